"""An autoencoder of two-dimensional convolutions, in halves that can be used apart."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.models.autoencoder import glorot
from jaxdl.models.cnn import Conv2D


class ConvAutoencoder(nn.Module):
    """Square images -> convolutions that halve the side -> a code of numbers -> the same shape.

    `ConvAutoencoder(28, (16, 32), 256, 32)` halves 28 to 14 and 7, then has a dense layer of 256
    and a linear code of 32 numbers; the decoder mirrors it with transposed convolutions.

    Attributes:
        side: rows and columns of an image, which has one channel.
        channels: of the convolutions, each with stride 2.
        hidden: width of the dense layer between the last convolution and the code.
        code: numbers in the code.
        kernel_size: of the convolutions.
        activation: of every layer but the code and the output.

    Raises:
        ValueError: the side cannot be halved so often.
    """

    side: int
    channels: Sequence[int]
    hidden: int
    code: int
    kernel_size: int = 4
    activation: Callable[[Array], Array] = nn.gelu

    def setup(self):
        halvings = 2 ** len(self.channels)
        if self.side % halvings:
            raise ValueError(f"a side of {self.side} cannot be divided by {halvings}")
        small, kernel = self.side // halvings, (self.kernel_size, self.kernel_size)
        self.small = (small, small, self.channels[-1])
        self.down = [Conv2D(c, kernel, (2, 2)) for c in self.channels]
        back = [*self.channels[-2::-1], 1]
        self.up = [nn.ConvTranspose(c, kernel, (2, 2), kernel_init=glorot) for c in back]
        self.to_hidden = nn.Dense(self.hidden, kernel_init=glorot)
        self.to_code = nn.Dense(self.code, kernel_init=glorot)
        self.from_code = nn.Dense(self.hidden, kernel_init=glorot)
        self.to_maps = nn.Dense(math.prod(self.small), kernel_init=glorot)

    def __call__(
        self, x: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch features"]:
        """The reconstruction of flat images, without a final activation; as `DenseAutoencoder`."""
        del train
        return self.decode(self.encode(x))

    def encode(self, x: Float[Array, "batch features"]) -> Float[Array, "batch code"]:
        """The code."""
        x = x.reshape(-1, self.side, self.side, 1)
        for layer in self.down:
            x = self.activation(layer(x))
        return self.to_code(self.activation(self.to_hidden(x.reshape(x.shape[0], -1))))

    def decode(self, code: Float[Array, "batch code"]) -> Float[Array, "batch features"]:
        """The reconstruction of a code."""
        x = self.activation(self.to_maps(self.activation(self.from_code(code))))
        x = x.reshape(-1, *self.small)
        for layer in self.up[:-1]:
            x = self.activation(layer(x))
        return self.up[-1](x).reshape(x.shape[0], -1)
