"""Winograd's convolution with 3x3 kernels: a quarter of the multiplications, as matrix products.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), F(4x4, 3x3). The output
is cut into tiles of 4x4 pixels, each of which depends on a window of 6x6 pixels. In one dimension

    tile (4 numbers) = A^T [(G kernel (3 numbers)) * (B^T window (6 numbers))]

where * multiplies element by element: 6 multiplications instead of 12, and in two dimensions 36
instead of 144. With channels each of the 36 elements is a matrix product, [tiles, channels] x
[channels, features]. A^T, B^T and G hold a few small constants.

Gradients take the same way back. Of the output's gradient, A gradient A^T gives 36 matrices; the
kernel's elements get windows^T x these, and the windows get these x elements^T, which B takes to
pixels, added up where windows overlap.

A few images go through at a time (`images`), so that their windows, 2.25 times as large as they,
stay in the processor's cache. Rounding errors are a few times those of the direct form.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

TILE = 4  # pixels of the output
WINDOW = 6  # pixels of the input that a tile depends on: neighbouring windows share two

# Lavin and Gray's matrices for the points 0, 1, -1, 2, -2 and infinity
TO_WINDOW = np.array(  # B^T
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
TO_KERNEL = np.array(  # G
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    np.float32,
)
# G (columns of the kernel) times G (rows), as one matrix [36, 9]
TO_KERNEL_2D = np.einsum("ai,bj->baij", TO_KERNEL, TO_KERNEL).reshape(WINDOW**2, 9)
FROM_PRODUCT = np.array(  # A^T
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    np.float32,
)

Images = Float[Array, "images height width channels"]
# One matrix [tiles, channels] for each element of a window; columns of the window in front of rows
Elements = Float[Array, "6 6 tiles channels"]
Kernel = Float[Array, "3 3 channels features"]


def convolve(
    x: Float[Array, "batch height width channels"], kernel: Kernel, images: int
) -> Float[Array, "batch height width features"]:
    """Convolution with stride 1 and padding "SAME".

    Args:
        x: feature maps.
        kernel: of 3x3.
        images: how many go through at a time.
    """
    elements = kernel_elements(kernel)

    def some(x):
        return tiles_to_images(jnp.matmul(windows(x), elements), x.shape[:3])

    if len(x) <= images:
        return some(x)
    pieces = lax.map(some, in_pieces(x, images))
    return pieces.reshape(-1, *pieces.shape[2:])[: len(x)]


def gradients(
    x: Float[Array, "batch height width channels"],
    kernel: Kernel,
    gradient: Float[Array, "batch height width features"],
    images: int,
) -> tuple[Float[Array, "batch height width channels"], Kernel]:
    """Gradients of a loss with respect to `convolve`'s two arguments.

    Args:
        x, kernel, images: as `convolve` got them.
        gradient: of the loss with respect to its result.
    """
    elements = kernel_elements(kernel)

    def some(total, pair):
        x, gradient = pair
        products = images_to_tiles(gradient)
        total += jnp.einsum("abtc,abtf->abcf", windows(x), products)
        to_windows = jnp.einsum("abtf,abcf->abtc", products, elements)
        return total, windows_to_images(to_windows, x.shape[:3])

    total = jnp.zeros_like(elements)
    if len(x) <= images:
        total, to_x = some(total, (x, gradient))
    else:
        pairs = in_pieces(x, images), in_pieces(gradient, images)
        total, to_x = lax.scan(some, total, pairs)
        to_x = to_x.reshape(-1, *to_x.shape[2:])[: len(x)]
    return to_x, elements_to_kernel(total)


def in_pieces(
    x: Float[Array, "batch height width channels"], images: int
) -> Float[Array, "pieces some height width channels"]:
    """The batch cut into equal pieces of at most so many images; images of zeros fill the last."""
    count = -(-len(x) // images)
    size = -(-len(x) // count)
    x = jnp.pad(x, ((0, count * size - len(x)), (0, 0), (0, 0), (0, 0)))
    return x.reshape(count, size, *x.shape[1:])


def kernel_elements(kernel: Kernel) -> Float[Array, "6 6 channels features"]:
    """G kernel G^T."""
    rows, columns, *channels = kernel.shape
    kernel = product(TO_KERNEL_2D, kernel.reshape(rows * columns, *channels))
    return kernel.reshape(WINDOW, WINDOW, *channels)


def elements_to_kernel(x: Float[Array, "6 6 channels features"]) -> Kernel:
    """The transpose of `kernel_elements`: G^T element G."""
    channels = x.shape[2:]
    return product(TO_KERNEL_2D.T, x.reshape(-1, *channels)).reshape(3, 3, *channels)


def windows(x: Images) -> Elements:
    """B^T window B, for the window of each tile: rows along the whole width, then columns."""
    down, across = tiles_of(x.shape[1]), tiles_of(x.shape[2])
    x = jnp.pad(x, ((0, 0), margins(x.shape[1]), margins(x.shape[2]), (0, 0)))
    rows = [every_tile(x, i, down, axis=1) for i in range(WINDOW)]
    x = jnp.concatenate([sums(half, rows) for half in np.split(TO_WINDOW, 2)])  # see `sums`
    columns = [every_tile(x, j, across, axis=3) for j in range(WINDOW)]
    x = sums(TO_WINDOW, columns)
    return x.reshape(WINDOW, WINDOW, -1, x.shape[-1])


def windows_to_images(x: Elements, shape: Sequence[int]) -> Images:
    """The transpose of `windows`: B element B^T, added up where windows overlap.

    Args:
        x: elements.
        shape: images, height, width.
    """
    images, height, width = shape
    x = x.reshape(WINDOW, WINDOW, images, tiles_of(height), tiles_of(width), -1)
    x = overlapped(list(x), axis=3)
    x = overlapped([lax.index_in_dim(x, i, 1, keepdims=False) for i in range(WINDOW)], axis=2)
    return interleaved(x)[:, 1 : height + 1, 1 : width + 1]


def overlapped(parts: Sequence[Array], axis: int) -> Array:
    """B times the parts, and of six pixels of a window four of a tile, stacked.

    A window's last two pixels are the next tile's first two, so `axis` of the parts, which counts
    tiles, gets one more.
    """

    def padded(part, before):
        widths = [(0, 0)] * part.ndim
        widths[axis + 1] = (before, 1 - before)
        return jnp.pad(part, widths)

    first, middle, last = np.split(TO_WINDOW.T, 3)
    ends = padded(sums(first, parts), 0) + padded(sums(last, parts), 1)
    return jnp.concatenate([ends, padded(sums(middle, parts), 0)])


def tiles_to_images(x: Elements, shape: Sequence[int]) -> Images:
    """A^T element A: the pixels of each tile, put together.

    Args:
        x: elements.
        shape: images, height, width.
    """
    images, height, width = shape
    x = x.reshape(WINDOW, WINDOW, images, tiles_of(height), tiles_of(width), -1)
    x = product(FROM_PRODUCT, x)
    x = sums(FROM_PRODUCT, [lax.index_in_dim(x, i, 1, keepdims=False) for i in range(WINDOW)])
    return interleaved(x)[:, :height, :width]


def images_to_tiles(x: Images) -> Elements:
    """The transpose of `tiles_to_images`: A tile A^T."""
    down, across = tiles_of(x.shape[1]), tiles_of(x.shape[2])
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % TILE), (0, -x.shape[2] % TILE), (0, 0)))
    x = sums(FROM_PRODUCT.T, [every_tile(x, i, down, axis=1) for i in range(TILE)])
    x = sums(FROM_PRODUCT.T, [every_tile(x, j, across, axis=3) for j in range(TILE)])
    return x.reshape(WINDOW, WINDOW, -1, x.shape[-1])


def every_tile(x: Array, start: int, tiles: int, axis: int) -> Array:
    """One row (or column, by `axis`) of each tile or window: this one of the first, and so on."""
    return lax.slice_in_dim(x, start, start + TILE * (tiles - 1) + 1, TILE, axis)


def interleaved(x: Float[Array, "4 4 images down across channels"]) -> Images:
    """Pixels by row and column in their tile -> by row and column in the image."""
    rows, columns, images, down, across, channels = x.shape
    x = x.transpose(2, 3, 0, 4, 1, 5)
    return x.reshape(images, down * rows, across * columns, channels)


def sums(matrix: np.ndarray, parts: Sequence[Array]) -> Array:
    """For each row of the matrix the sum of its numbers times the parts, stacked.

    XLA makes one loop of it, vectorised over channels, and joins it with the sums that the parts
    are themselves: good for 4 x 4 terms, slow for 6 x 6. It does not reach through a concatenation,
    so two halves of a matrix, concatenated, are a loop of their own.
    """
    columns = matrix.T.reshape(*matrix.T.shape, *[1] * parts[0].ndim)
    return reduce(add, [column * part for column, part in zip(columns, parts, strict=True)])


def product(matrix: np.ndarray, x: Array) -> Array:
    """The same by a matrix product, for parts that lie in one array, along its first axis."""
    return jnp.matmul(matrix, x.reshape(len(x), -1)).reshape(len(matrix), *x.shape[1:])


def tiles_of(length: int) -> int:
    """How many tiles cover so many pixels.

    >>> tiles_of(8), tiles_of(9)
    (2, 3)
    """
    return -(-length // TILE)


def margins(length: int) -> tuple[int, int]:
    """Zeros in front of and behind so many pixels, for whole windows and padding "SAME".

    >>> margins(8), margins(9)
    ((1, 1), (1, 4))
    """
    return 1, TILE * tiles_of(length) + 1 - length
