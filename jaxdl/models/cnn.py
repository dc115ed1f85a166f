"""The convolutional classifiers of labs 010 (CIFAR-10) and 030 (MNIST)."""

from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.models.conv2d import Conv2D, max_pool
from jaxdl.models.layers import glorot


class VGG(nn.Module):
    """Blocks of 3x3 convolutions, each block followed by 2x2 pooling, then two dense layers.

    Attributes:
        convolutions: in each block; 1 is lab 010's notebook, 2 its slide.
        widths: channels of the blocks.
        hidden: units of the first dense layer.
        classes: units of the last.
    """

    convolves = True

    convolutions: int = 1
    widths: Sequence[int] = (32, 64, 128)
    hidden: int = 128
    classes: int = 10

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], train: bool
    ) -> Float[Array, "batch classes"]:
        for width in self.widths:
            x = Conv2D(width, (3, 3))(x)
            for _ in range(self.convolutions - 1):
                x = Conv2D(width, (3, 3))(nn.relu(x))
            # ReLU behind the pooling: the same values as before it, a quarter of the work
            x = nn.relu(max_pool(x))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(self.hidden, kernel_init=glorot)(x))
        return nn.Dense(self.classes, kernel_init=glorot)(x)


def notebook_net() -> VGG:
    """Lab 010's notebook: one convolution in each block, 356,810 parameters."""
    return VGG(convolutions=1)


def slide_net() -> VGG:
    """Lab 010's slide: two convolutions in each block, 550,570 parameters."""
    return VGG(convolutions=2)


class DigitNet(nn.Module):
    """conv 32 of 3x3, ReLU -> flatten -> dense 128, ReLU -> dense 10: 2,770,634 parameters.

    Layers are made in `setup`, as in the constructor of a Keras sub-class, and joined in the call.
    """

    convolves = True

    def setup(self):
        self.conv = nn.Conv(32, (3, 3), padding="VALID", kernel_init=glorot)
        self.hidden = nn.Dense(128, kernel_init=glorot)
        self.output = nn.Dense(10, kernel_init=glorot)

    def __call__(self, x: Float[Array, "batch 28 28 1"], train: bool) -> Float[Array, "batch 10"]:
        """Logits; `train` changes nothing, for the net has no dropout."""
        del train
        x = nn.relu(self.conv(x))
        x = nn.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.output(x)
