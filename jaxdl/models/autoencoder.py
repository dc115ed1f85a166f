"""Autoencoders of dense layers.

`encode` and `decode` stand beside the call, so that a trained model can be used in halves:

    model.apply(variables, x, method="encode")

Convolutional ones: `jaxdl.models.conv_autoencoder` (images), `jaxdl.models.conv1d` (series).
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
from jaxtyping import Array, Float

glorot = nn.initializers.glorot_uniform()


def identity(x: Array) -> Array:
    """No activation: a linear layer."""
    return x


class DenseAutoencoder(nn.Module):
    """features -> encoder widths -> ... mirrored ... -> features.

    `DenseAutoencoder(30, (12,))` is lab 160's 30-12-30 (762 parameters);
    `DenseAutoencoder(784, (128, 64, 32))` is lab 460's stacked one (222,384).

    Attributes:
        features: columns in and out.
        widths: of the encoder; the last is the code.
        activation: of every layer but the last one, the code included.
        code_activation: of the code, if another one is wanted; `identity` leaves it linear.
        noise: standard deviation of Gaussian noise added to the input in training (denoising).
    """

    features: int
    widths: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu
    noise: float = 0.0
    code_activation: Callable[[Array], Array] | None = None

    def setup(self):
        back = [*self.widths[-2::-1], self.features]
        self.encoder = [nn.Dense(width, kernel_init=glorot) for width in self.widths]
        self.decoder = [nn.Dense(width, kernel_init=glorot) for width in back]

    def __call__(
        self, x: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch features"]:
        """The reconstruction, without a final activation (logits, where the loss takes logits)."""
        if self.noise and train:
            x = x + self.noise * jax.random.normal(self.make_rng("dropout"), x.shape)
        return self.decode(self.encode(x))

    def encode(self, x: Float[Array, "batch features"]) -> Float[Array, "batch code"]:
        """The code."""
        for layer in self.encoder[:-1]:
            x = self.activation(layer(x))
        return (self.code_activation or self.activation)(self.encoder[-1](x))

    def decode(self, code: Float[Array, "batch code"]) -> Float[Array, "batch features"]:
        """The reconstruction of a code."""
        for layer in self.decoder[:-1]:
            code = self.activation(layer(code))
        return self.decoder[-1](code)
