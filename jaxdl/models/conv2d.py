"""Two-dimensional convolutions and pooling, channels last.

Four operations are slow in XLA on a CPU, and so are done otherwise here, with the same values and
gradients: the maximum over windows (its backward pass searches every window again) is a maximum of
strided slices; wide 3x3 convolutions go Winograd's way (`jaxdl.models.winograd`), which agrees to
about five digits; another one of three channels gets a fourth one of zeros; and its filter gradient
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

from jaxdl.models import winograd
from jaxdl.models.layers import glorot

# A CPU computes the filter gradient of so many images at once, but in no more than so many parts:
# smaller parts are a little faster and take much longer to compile
PART_IMAGES, MOST_PARTS = 16, 4
# Where Winograd's way is taken. Forward and gradients together, it is faster by (two AMD EPYC
# cores, jax 0.10.2, float32, medians of interleaved rounds; pixels, channels, batch):
#   32x32, 32 -> 32,   128: 2.4    8x8, 64 -> 128, 128: 2.1    32x32,  3 -> 32, 128: 0.9
#   16x16, 32 -> 64,   128: 1.9    8x8, 64 -> 128,  32: 2.1    32x32,  8 ->  8, 128: 0.8
#   16x16, 64 -> 64,   128: 2.4    7x7, 64 -> 64,  128: 1.6    32x32, 16 -> 16, 128: 1.1
#    8x8, 128 -> 128,  128: 2.4    7x7, 32 -> 32,  128: 1.1     9x9,  32 -> 32, 128: 0.8
# Little work does not repay compiling: a layer takes about 0.3 s longer.
WINOGRAD_CHANNELS = 32  # at least, in and out
WINOGRAD_FILL = 0.7  # at least this share of the tiles' pixels lies in the image
WINOGRAD_WORK = 1 << 22  # at least, pixels of the batch x channels x features
# Pixels x channels that go through together, so that they stay in the cache: half or twice as many
# are up to 1.4 times slower
WINOGRAD_PIECE = 1 << 18
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


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve_in_tiles(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "3 3 channels features"],
    images: int,
) -> Float[Array, "batch height width features"]:
    """Winograd's convolution, stride 1 and padding "SAME", of so many images at a time."""
    return winograd.convolve(x, kernel, images)


def tiles_forward(x, kernel, images):
    return winograd.convolve(x, kernel, images), (x, kernel)


def tiles_backward(images, saved, gradient):
    return winograd.gradients(*saved, gradient, images)


convolve_in_tiles.defvjp(tiles_forward, tiles_backward)


def images_at_once(x: Array, kernel: Array, strides, padding) -> int:
    """How many images go through Winograd's convolution together; 0 where another form is better.

    Args:
        x: feature maps [batch, height, width, channels].
        kernel: [rows, columns, channels, features].
        strides, padding: of the convolution.
    """
    if jax.device_count() > 1:  # its loop over pieces of the batch would gather them everywhere
        return 0
    batch, height, width, channels = x.shape
    rows, columns, _, features = kernel.shape
    same = padding == "SAME" or padding == ((1, 1), (1, 1))
    if (rows, columns) != (3, 3) or tuple(strides) != (1, 1) or not same:
        return 0
    if x.dtype != jnp.float32 or kernel.dtype != jnp.float32:
        return 0
    pixels = height * width
    tiles = winograd.tiles_of(height) * winograd.tiles_of(width)
    wide = min(channels, features) >= WINOGRAD_CHANNELS
    filled = pixels >= WINOGRAD_FILL * tiles * winograd.TILE**2
    much = batch * pixels * channels * features >= WINOGRAD_WORK
    if not (wide and filled and much):
        return 0
    return max(1, WINOGRAD_PIECE // (pixels * max(channels, features)))


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
    images = images_at_once(x, kernel, strides, padding)
    if images:
        return convolve_in_tiles(x, kernel, images)
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
