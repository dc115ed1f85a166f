"""A small convolutional net for 32x32 photographs that learns in seconds on an accelerator.

After Keller Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024), and David Page's
ResNet experiments (2018) before it: a fixed first layer that whitens patches of 2x2 pixels, three
blocks of two 3x3 convolutions with batch normalisation and GELU, one dense layer on the maximum of
what is left of the picture.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxdl.models.conv2d import LAYOUT, Conv2D, max_pool
from jaxdl.models.layers import BatchNorm

PATCH = 2
"""Side of the patches that the first layer whitens, in pixels."""


def identity_first(key: Array, shape: Sequence[int], dtype=jnp.float32) -> Array:
    """A 3x3 kernel whose first outputs copy the inputs; the other ones start at random.

    The random ones are uniform in +-1 / sqrt(inputs * 9), PyTorch's default. With as many outputs
    as inputs the layer starts as the identity ("Dirac" initialisation).

    >>> identity_first(jax.random.key(0), (3, 3, 2, 2))[1, 1].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows, columns, inputs, outputs = shape
    bound = (rows * columns * inputs) ** -0.5
    kernel = jax.random.uniform(key, shape, dtype, -bound, bound)
    copied = min(inputs, outputs)
    kernel = kernel.at[..., :copied].set(0.0)
    same = jnp.arange(copied)
    return kernel.at[rows // 2, columns // 2, same, same].set(1.0)


class WhitenedCNN(nn.Module):
    """Logits of photographs, [batch, 32, 32, 3] with mean 0 and standard deviation 1.

    The kernel of the first layer is no parameter: it is the variable "kernel" of the collection
    "whitening", [2, 2, 3, 24], zeros until it is set (a whitening has as many filters as a patch
    has numbers, here each once with either sign). Its biases are learned.

    Attributes:
        widths: channels of the three blocks.
        classes: logits.
        scale: what logits are multiplied by.
        momentum: of the running batch statistics.
    """

    convolves = True

    widths: Sequence[int] = (64, 256, 256)
    classes: int = 10
    scale: float = 1 / 9
    momentum: float = 0.6

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        train: bool,
        mask: Bool[Array, " batch"] | None = None,
    ) -> Float[Array, "batch classes"]:
        """Logits; `mask` tells the real rows of a padded batch."""
        shape = (PATCH, PATCH, x.shape[-1], 2 * PATCH * PATCH * x.shape[-1])
        kernel = self.variable("whitening", "kernel", jnp.zeros, shape).value.astype(x.dtype)
        bias = self.param("whitening_bias", nn.initializers.zeros, shape[-1:])
        x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=LAYOUT)
        x = nn.gelu(x + bias, approximate=False)
        for block, width in enumerate(self.widths):
            for layer in range(2):
                name = f"{block}_{layer}"
                convolution = Conv2D(
                    width, (3, 3), use_bias=False, kernel_init=identity_first, name=f"conv_{name}"
                )
                x = convolution(x)
                if layer == 0:
                    x = max_pool(x)
                norm = BatchNorm(
                    not train,
                    momentum=self.momentum,
                    epsilon=1e-12,
                    use_scale=False,
                    name=f"norm_{name}",
                )
                x = nn.gelu(norm(x, mask=mask), approximate=False)
        x = x.max(axis=(1, 2))
        start = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # PyTorch's default
        return self.scale * nn.Dense(self.classes, use_bias=False, kernel_init=start)(x)
