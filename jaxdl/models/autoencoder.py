"""Autoencoders of rows and of square images: dense, or convolutional.

`encode` and `decode` stand beside the call, so that a trained model can be used in halves:

    code = model.apply(variables, x, method="encode")
    copy = model.apply(variables, code, method="decode")

Those of time series are in `jaxdl.models.window_autoencoder`.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from jaxdl.models.conv2d import Conv2D
from jaxdl.models.layers import glorot


class DenseAutoencoder(nn.Module):
    """features -> widths of the encoder -> the same widths backwards -> features.

    `DenseAutoencoder(30, (12,))` is lab 160's 30-12-30 (762 parameters);
    `DenseAutoencoder(784, (128, 64, 32))` is lab 460's stacked one (222,384). Linear, with a code
    of k numbers, it can do no better than the first k principal components:
    `DenseAutoencoder(3, (2,), activation=identity)` is lab 050's.

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
        """The code of each row."""
        for layer in self.encoder[:-1]:
            x = self.activation(layer(x))
        code_activation = self.code_activation or self.activation
        return code_activation(self.encoder[-1](x))

    def decode(self, code: Float[Array, " *batch code"]) -> Float[Array, " *batch features"]:
        """The reconstruction from each code, without a final activation."""
        for layer in self.decoder[:-1]:
            code = self.activation(layer(code))
        return self.decoder[-1](code)


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

    convolves = True

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
        """The code of each image."""
        blocks = x.reshape(-1, self.grid, self.patch, self.grid, self.patch)
        blocks = blocks.transpose(0, 1, 3, 2, 4)
        maps = self.activation(self.cut(blocks.reshape(*blocks.shape[:3], self.patch**2)))
        for layer in self.down:
            maps = self.activation(layer(maps))
        return self.to_code(self.activation(self.to_hidden(maps.reshape(len(maps), -1))))

    def decode(self, code: Float[Array, "batch code"]) -> Float[Array, "batch features"]:
        """The reconstruction from each code, without a final activation."""
        maps = self.activation(self.to_maps(self.activation(self.from_code(code))))
        maps = maps.reshape(-1, self.grid, self.grid, self.channels)
        for layer in self.up:
            maps = self.activation(layer(maps))
        blocks = self.join(maps).reshape(-1, self.grid, self.grid, self.patch, self.patch)
        return blocks.transpose(0, 1, 3, 2, 4).reshape(len(blocks), -1)
