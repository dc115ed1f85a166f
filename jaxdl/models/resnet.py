"""Residual networks for 32x32 images: He et al., "Deep residual learning" (2015), section 4.2.

Depth 6n + 2: a 3x3 convolution, three stages of n blocks of two 3x3 convolutions with 16, 32 and 64
channels, global mean, a dense layer. Batch statistics are a collection of variables beside the
parameters; in training `apply` hands the new ones back, and nothing else changes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxdl.models.conv2d import Conv2D
from jaxdl.models.layers import BatchNorm

Shortcut = Literal["identity", "projection", "none"]
Conv3 = partial(
    Conv2D,
    kernel_size=(3, 3),
    use_bias=False,  # the normalisation behind it has one
    kernel_init=nn.initializers.he_normal(),
)


def identity_shortcut(
    x: Float[Array, "batch height width channels"], stride: int, features: int
) -> Float[Array, "batch out_height out_width features"]:
    """Option A of the paper: every `stride`-th pixel, zeros in the new channels, no parameters."""
    missing = features - x.shape[-1]
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, missing)))


class ResNet(nn.Module):
    """ResNet-20, -32, -44, -56, -110 for 3, 5, 7, 9, 18 blocks in each stage.

    Attributes:
        blocks: in each stage; depth is 6 * blocks + 2.
        shortcut: "identity" (option A), "projection" (option B: a 1x1 convolution where the number
            of channels changes), or "none": the plain net of the same depth.
        widths: channels of the stages.
        classes: units of the last layer.
        momentum: of the running batch statistics.
    """

    convolves = True

    blocks: int = 3
    shortcut: Shortcut = "identity"
    widths: Sequence[int] = (16, 32, 64)
    classes: int = 10
    momentum: float = 0.9

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        train: bool,
        mask: Bool[Array, " batch"] | None = None,
    ) -> Float[Array, "batch classes"]:
        """Logits; `mask` tells the real rows of a padded batch."""

        def norm(x: Array, name: str) -> Array:
            layer = BatchNorm(not train, momentum=self.momentum, epsilon=1e-5, name=name)
            return layer(x, mask=mask)

        x = nn.relu(norm(Conv3(self.widths[0], name="conv_0")(x), "norm_0"))
        layer = 1
        for stage, width in enumerate(self.widths):
            for block in range(self.blocks):
                stride = 2 if stage and not block else 1
                y = Conv3(width, strides=stride, name=f"conv_{layer}")(x)
                y = nn.relu(norm(y, f"norm_{layer}"))
                y = Conv3(width, name=f"conv_{layer + 1}")(y)
                y = norm(y, f"norm_{layer + 1}")
                if self.shortcut != "none":
                    y = y + self._shortcut(x, stride, width, norm, layer)
                x = nn.relu(y)
                layer += 2
        x = x.mean(axis=(1, 2))
        return nn.Dense(self.classes, kernel_init=nn.initializers.he_normal(), name="dense")(x)

    def _shortcut(
        self, x: Array, stride: int, width: int, norm: Callable[[Array, str], Array], layer: int
    ) -> Array:
        """What a block of `width` channels adds to its branch; `layer` is the branch's first."""
        if x.shape[-1] == width and stride == 1:
            return x
        if self.shortcut == "identity":
            return identity_shortcut(x, stride, width)
        x = Conv3(width, kernel_size=(1, 1), strides=stride, name=f"project_{layer}")(x)
        return norm(x, f"project_norm_{layer}")


def blocks_of(depth: int) -> int:
    """Blocks in each stage of a net of this depth.

    Raises:
        ValueError: the depth is not 6n + 2.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth {depth} is not 6n + 2: 20, 32, 44, 56 and 110 are")
    return (depth - 2) // 6
