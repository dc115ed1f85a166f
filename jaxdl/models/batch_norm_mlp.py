"""The sigmoid classifier of the batch-normalisation experiment (slide 30)."""

import math
from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxdl.models.layers import BatchNorm, dropout

Placement = Literal["none", "before", "after"]

# uniform between -1 / sqrt(inputs) and 1 / sqrt(inputs)
torch_kernel = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def torch_bias(inputs: int):
    """As the kernel: PyTorch draws the biases of a linear layer too."""
    limit = 1 / math.sqrt(inputs)

    def init(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


class NormedMLP(nn.Module):
    """inputs -> sigmoid layers, batch-normalised or not -> logits. PyTorch's initial values.

    784-100-100-10 has 89,610 parameters, with batch normalisation 90,010.

    Attributes:
        norm: "after" normalises the sigmoid's output, as the slide's net does; "before" its input,
            as Ioffe and Szegedy, "Batch normalization" (2015), do; "none".
        inputs, widths, classes: numbers of units.
    """

    norm: Placement = "none"
    inputs: int = 784
    widths: Sequence[int] = (100, 100)
    classes: int = 10

    def setup(self):
        fans = (self.inputs, *self.widths)
        self.hidden = [
            self._dense(width, fan) for width, fan in zip(self.widths, fans[:-1], strict=True)
        ]
        self.output = self._dense(self.classes, fans[-1])
        if self.norm != "none":
            self.norms = [BatchNorm(momentum=0.9, epsilon=1e-5) for _ in self.widths]

    def _dense(self, width: int, fan: int) -> nn.Dense:
        return nn.Dense(width, kernel_init=torch_kernel, bias_init=torch_bias(fan))

    def __call__(
        self,
        x: Float[Array, "batch inputs"],
        train: bool,
        rate: float | Float[Array, ""] = 0.0,
        mask: Bool[Array, " batch"] | None = None,
    ) -> Float[Array, "batch classes"]:
        """Logits.

        Args:
            x: rows.
            train: batch statistics instead of running ones, and dropout.
            rate: of the dropout behind each hidden layer, in training only.
            mask: the real rows of a padded batch.
        """
        for i in range(len(self.widths)):
            x = self._finish(i, self._preactivation(i, x, train, mask), train, mask)
            x = dropout(x, rate, self.make_rng("dropout") if train else None)
        return self.output(x)

    def preactivations(self, x: Float[Array, "batch inputs"]) -> list[Float[Array, "batch width"]]:
        """What the sigmoids of each layer get, in evaluation mode."""
        seen = []
        for i in range(len(self.widths)):
            seen.append(self._preactivation(i, x, False))
            x = self._finish(i, seen[-1], False)
        return seen

    def _preactivation(self, i: int, x: Array, train: bool, mask: Array | None = None) -> Array:
        x = self.hidden[i](x)
        return self.norms[i](x, not train, mask=mask) if self.norm == "before" else x

    def _finish(self, i: int, x: Array, train: bool, mask: Array | None = None) -> Array:
        x = nn.sigmoid(x)
        return self.norms[i](x, not train, mask=mask) if self.norm == "after" else x
