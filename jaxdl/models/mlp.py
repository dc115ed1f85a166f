"""Multi-layer perceptron."""

from collections.abc import Callable, Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.models.layers import glorot


class MLP(nn.Module):
    """Dense layers of the given widths; the last has no activation.

    Attributes:
        widths: of all layers, the output included.
        activation: between layers.
        dropout: rate after each hidden layer, in training only.
    """

    widths: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, " batch *features"], train: bool
    ) -> Float[Array, "batch out"]:
        x = x.reshape(x.shape[0], -1)
        for width in self.widths[:-1]:
            x = self.activation(nn.Dense(width, kernel_init=glorot)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.widths[-1], kernel_init=glorot)(x)
