"""Two-dimensional convolutions and pooling, channels last.

Three operations are slow in XLA on a CPU, and so are done otherwise here, with the same values and
gradients: the maximum over windows (its backward pass searches every window again) is a maximum of
strided slices; a convolution of three channels gets a fourth one of zeros; and the filter gradient
is taken over a few images at a time, because XLA's own becomes slower per image as the batch grows
(benchmarks/cnn_step.py). Accelerators keep XLA's convolution as it is. Kernels start
Glorot-uniform, biases at zero.
"""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt8

from jaxdl.models.layers import glorot

# A CPU computes the filter gradient of so many images at once, but in no more than so many parts:
# smaller parts are a little faster and take much longer to compile
PART_IMAGES, MOST_PARTS = 16, 4
LAYOUT = ("NHWC", "HWIO", "NHWC")


def _convolve(x: Array, kernel: Array, strides, padding, **options) -> Array:
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=LAYOUT, **options
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve_in_parts(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns channels features"],
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
) -> Float[Array, "batch out_height out_width features"]:
    """XLA's convolution, colours padded, its filter gradient added up from parts of the batch."""
    if x.shape[-1] == 3:
        fourth = ((0, 0), (0, 0), (0, 0), (0, 1))
        x, kernel = jnp.pad(x, fourth), jnp.pad(kernel, (*fourth[:2], fourth[3], fourth[0]))
    return _convolve(x, kernel, strides, padding)


def convolve_forward(x, kernel, strides, padding):
    return convolve_in_parts(x, kernel, strides, padding), (x, kernel)


def convolve_backward(strides, padding, saved, gradient):
    x, kernel = saved
    to_x = jax.linear_transpose(lambda x: _convolve(x, kernel, strides, padding), x)
    total = jnp.zeros_like(kernel)
    size = max(PART_IMAGES, -(-len(x) // MOST_PARTS))
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        images = x[part]
        to_kernel = jax.linear_transpose(
            lambda kernel, images=images: _convolve(images, kernel, strides, padding), kernel
        )
        total += to_kernel(gradient[part])[0]
    return to_x(gradient)[0], total


convolve_in_parts.defvjp(convolve_forward, convolve_backward)


def convolution(x, kernel, strides, padding, *, dimension_numbers=None, **options) -> Array:
    """What `nn.Conv` takes in place of `lax.conv_general_dilated`: the form that suits the backend.

    Any dilation, grouping or other layout than channels last falls back on XLA's.
    """
    plain = not any(_is_set(value) for value in options.values())
    if jax.default_backend() != "cpu" or x.ndim != 4 or not plain:
        return lax.conv_general_dilated(
            x, kernel, strides, padding, dimension_numbers=dimension_numbers, **options
        )
    padding = padding if isinstance(padding, str) else tuple(map(tuple, padding))
    return convolve_in_parts(x, kernel, tuple(strides), padding)


def _is_set(option) -> bool:
    """Whether an option of the convolution differs from its neutral value (None or ones)."""
    values = option if isinstance(option, tuple | list) else (option,)
    return any(value not in (None, 1) for value in values)


Conv2D = partial(nn.Conv, kernel_init=glorot, conv_general_dilated=convolution)
"""`nn.Conv` with Keras's initialisers and the backend's form: `Conv2D(features, (3, 3))`."""


def max_pool(
    x: Float[Array, "batch height width channels"], size: int = 2
) -> Float[Array, "batch height_size width_size channels"]:
    """Maximum over windows of size x size that do not overlap; rows that fill no window are left.

    Where several places of a window share the maximum, they share the gradient too.

    Args:
        x: feature maps.
        size: of the window, and the distance of two windows (Keras's "valid" pooling).
    """
    height, width = (n // size * size for n in x.shape[1:3])
    slices = [x[:, i:height:size, j:width:size] for i in range(size) for j in range(size)]
    while len(slices) > 1:  # pairwise: the tree is what shares a gradient evenly
        pairs = zip(slices[::2], slices[1::2], strict=False)
        odd = slices[-1:] if len(slices) % 2 else []
        slices = [jnp.maximum(a, b) for a, b in pairs] + odd
    return slices[0]


def pixels(
    x: UInt8[Array | np.ndarray, "batch height width channels"],
) -> Float[Array | np.ndarray, "batch height width channels"]:
    """Bytes 0..255 as numbers 0..1; images stay bytes until a step reads them."""
    return x.astype(jnp.float32) / 255.0
