"""An autoencoder of two-dimensional convolutions, in halves that can be used apart."""

from collections.abc import Callable

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.models.autoencoder import glorot
from jaxdl.models.cnn import Conv2D


class ConvAutoencoder(nn.Module):
    """Square images -> feature maps of a grid of patches -> a code of numbers -> the same shape.

    The first convolution has a kernel as large as its stride, so that it cuts the image into
    patches and is a matrix product; the last, transposed one puts patches together in the same way.
    Between them stand 3 x 3 convolutions on the coarse grid, which on a CPU keep most of a matrix
    product's speed, and dense layers around the code. The decoder mirrors the encoder.

    Attributes:
        side: rows and columns of an image, which has one channel.
        patch: side of a patch; divides the image's side.
        channels: of all feature maps.
        hidden: width of the dense layer on each side of the code.
        code: numbers in the code, which is linear.
        depth: 3 x 3 convolutions on each side.
        activation: of every layer but the code and the output.

    Raises:
        ValueError: the image cannot be cut into whole patches.
    """

    side: int
    patch: int
    channels: int
    hidden: int
    code: int
    depth: int = 1
    activation: Callable[[Array], Array] = nn.gelu

    def setup(self):
        if self.side % self.patch:
            raise ValueError(f"a side of {self.side} cannot be cut into patches of {self.patch}")
        self.grid = self.side // self.patch
        self.cut = nn.Dense(self.channels, kernel_init=glorot)
        self.down = [Conv2D(self.channels, (3, 3)) for _ in range(self.depth)]
        self.to_hidden = nn.Dense(self.hidden, kernel_init=glorot)
        self.to_code = nn.Dense(self.code, kernel_init=glorot)
        self.from_code = nn.Dense(self.hidden, kernel_init=glorot)
        self.to_maps = nn.Dense(self.grid**2 * self.channels, kernel_init=glorot)
        self.up = [Conv2D(self.channels, (3, 3)) for _ in range(self.depth)]
        self.join = nn.Dense(self.patch**2, kernel_init=glorot)

    def __call__(
        self, x: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch features"]:
        """The reconstruction of flat images, without a final activation; as `DenseAutoencoder`."""
        del train
        return self.decode(self.encode(x))

    def encode(self, x: Float[Array, "batch features"]) -> Float[Array, "batch code"]:
        """The code."""
        blocks = x.reshape(-1, self.grid, self.patch, self.grid, self.patch)
        blocks = blocks.transpose(0, 1, 3, 2, 4)
        maps = self.activation(self.cut(blocks.reshape(*blocks.shape[:3], self.patch**2)))
        for layer in self.down:
            maps = self.activation(layer(maps))
        return self.to_code(self.activation(self.to_hidden(maps.reshape(len(maps), -1))))

    def decode(self, code: Float[Array, "batch code"]) -> Float[Array, "batch features"]:
        """The reconstruction of a code."""
        maps = self.activation(self.to_maps(self.activation(self.from_code(code))))
        maps = maps.reshape(-1, self.grid, self.grid, self.channels)
        for layer in self.up:
            maps = self.activation(layer(maps))
        blocks = self.join(maps).reshape(-1, self.grid, self.grid, self.patch, self.patch)
        return blocks.transpose(0, 1, 3, 2, 4).reshape(len(blocks), -1)
