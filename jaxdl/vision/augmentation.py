"""Image augmentation inside jit: one affine warp for each image, drawn from a key of its own.

The convention is that of Keras's ImageDataGenerator (lab 010): the matrix that maps a pixel of the
result to a place in the original is rotation @ shift @ shear @ zoom, about the image's centre
(size / 2 - 0.5), read by linear interpolation; the flip comes last. Keras feeds `tx` from its
height range and `ty` from its width range although `tx` moves along the width; here the ranges do
what their names say, which for square images with equal ranges is the same distribution.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

Fill = Literal["nearest", "constant", "reflect"]
Views = Literal[1, 2, 6]
EDGE = 1e-3  # pixels: rounding must not count as leaving the image


@dataclass(frozen=True)
class Augmentation:
    """Ranges to draw from, all uniform and symmetric.

    Attributes:
        rotation: degrees.
        width_shift, height_shift: shares of the width and of the height.
        shear: degrees.
        zoom: both axes are scaled by independent numbers in [1 - zoom, 1 + zoom].
        horizontal_flip: mirror every second image, by chance.
        fill: what lies outside: the nearest pixel, `constant`, or the image mirrored at its edge.
        constant: value outside for fill "constant".
    """

    rotation: float = 0.0
    width_shift: float = 0.0
    height_shift: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    horizontal_flip: bool = False
    fill: Fill = "nearest"
    constant: float = 0.0


LECTURE = Augmentation(width_shift=0.1, height_shift=0.1, horizontal_flip=True)
"""What lab 010 switches on."""

DECK = Augmentation(40.0, 0.2, 0.2, 0.2, 0.2, horizontal_flip=True)
"""The options that the deck lists; its shear of 0.2 is in degrees, so that it is hardly seen."""


class Warp(NamedTuple):
    """Parameters of one image's warp.

    Attributes:
        rotation, shear: degrees.
        shift_x, shift_y: pixels along the width and the height; positive moves the picture left
            and up, since the matrix maps results to originals.
        zoom_x, zoom_y: factors; above 1 shows more of the original, smaller.
        flip: mirror left and right, after all else.
    """

    rotation: Float[Array, ""] | float = 0.0
    shift_x: Float[Array, ""] | float = 0.0
    shift_y: Float[Array, ""] | float = 0.0
    shear: Float[Array, ""] | float = 0.0
    zoom_x: Float[Array, ""] | float = 1.0
    zoom_y: Float[Array, ""] | float = 1.0
    flip: Bool[Array, ""] | bool = False


def draw_warp(key: PRNGKeyArray, ranges: Augmentation, height: int, width: int) -> Warp:
    """Random parameters for one image of the given size in pixels."""
    reach = jnp.array(
        [
            ranges.rotation,
            ranges.width_shift * width,
            ranges.height_shift * height,
            ranges.shear,
            ranges.zoom,
            ranges.zoom,
            0.0,
        ]
    )
    # a key for each number, all drawn in one call: seven calls take nearly twice as long
    uniform = jax.vmap(jax.random.uniform)(jax.random.split(key, len(reach)))
    rotation, shift_x, shift_y, shear, zoom_x, zoom_y, _ = uniform * (2 * reach) - reach
    flip = uniform[-1] < 0.5 if ranges.horizontal_flip else False
    return Warp(rotation, shift_x, shift_y, shear, 1 + zoom_x, 1 + zoom_y, flip)


def warp_matrix(warp: Warp) -> Float[Array, "2 3"]:
    """Maps (x, y, 1) of the result to (x, y) of the original, both from the image's centre."""
    turn, lean = jnp.deg2rad(warp.rotation), jnp.deg2rad(warp.shear)
    cos, sin = jnp.cos(turn), jnp.sin(turn)
    mirror = jnp.where(warp.flip, -1.0, 1.0)
    # written out, not `@`: accelerators multiply matrices in lower precision
    return jnp.array(
        [
            [
                cos * warp.zoom_x * mirror,
                -(cos * jnp.sin(lean) + sin * jnp.cos(lean)) * warp.zoom_y,
                cos * warp.shift_x - sin * warp.shift_y,
            ],
            [
                sin * warp.zoom_x * mirror,
                (cos * jnp.cos(lean) - sin * jnp.sin(lean)) * warp.zoom_y,
                sin * warp.shift_x + cos * warp.shift_y,
            ],
        ]
    )


def warp_image(
    image: Float[Array, "height width channels"],
    warp: Warp,
    fill: Fill = "nearest",
    constant: float = 0.0,
) -> Float[Array, "height width channels"]:
    """One image after one warp, linear interpolation.

    Args:
        image: any range of values.
        warp: the parameters.
        fill: as SciPy's modes of the same names; "constant" does not interpolate across the edge.
        constant: value for fill "constant".

    >>> row = jnp.arange(3.0).reshape(1, 3, 1)
    >>> warp_image(row, Warp(shift_x=1.0)).ravel().tolist()
    [1.0, 2.0, 2.0]
    >>> warp_image(row, Warp(flip=True)).ravel().tolist()
    [2.0, 1.0, 0.0]
    """
    height, width, _ = image.shape
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    x, y = jnp.arange(width) - middle_x, jnp.arange(height)[:, None] - middle_y
    matrix = warp_matrix(warp)
    source_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    source_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]

    def read(channel):
        places = [source_y + middle_y, source_x + middle_x]
        mode = "nearest" if fill == "constant" else fill
        return map_coordinates(channel, places, order=1, mode=mode)

    result = jax.vmap(read, in_axes=-1, out_axes=-1)(image)
    if fill != "constant":
        return result
    outside = (jnp.abs(source_x) > middle_x + EDGE) | (jnp.abs(source_y) > middle_y + EDGE)
    return jnp.where(outside[..., None], constant, result)


def augment(
    key: PRNGKeyArray, images: Float[Array, "batch height width channels"], ranges: Augmentation
) -> Float[Array, "batch height width channels"]:
    """Every image warped by parameters of its own. With no range set, the images as they are.

    Rescale bytes before: a warp of integers would round.
    """
    if ranges == Augmentation(fill=ranges.fill, constant=ranges.constant):
        return images

    def augment_image(key, image):
        warp = draw_warp(key, ranges, *image.shape[:2])
        return warp_image(image, warp, ranges.fill, ranges.constant)

    return jax.vmap(augment_image)(jax.random.split(key, len(images)), images)


def pad_and_crop(
    key: PRNGKeyArray, images: Float[Array, "batch height width channels"], pad: int = 4
) -> Float[Array, "batch height width channels"]:
    """Zeros around each image, a crop of the old size at a random place, a flip by chance.

    The augmentation of He et al., "Deep residual learning for image recognition" (2015), section
    4.2: whole pixels, nothing interpolated.

    Args:
        images: with the mean taken off, so that zero is grey.
        pad: pixels on each side.
    """
    padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))

    def crop_and_flip(key, image):
        corner_key, flip_key = jax.random.split(key)
        row, column = jax.random.randint(corner_key, (2,), 0, 2 * pad + 1)
        crop = jax.lax.dynamic_slice(image, (row, column, 0), images.shape[1:])
        return jnp.where(jax.random.bernoulli(flip_key), crop[:, ::-1], crop)

    return jax.vmap(crop_and_flip)(jax.random.split(key, len(images)), padded)


def views(
    images: Num[Array, "batch height width channels"], count: Views = 6
) -> list[tuple[Num[Array, "batch height width channels"], float]]:
    """Views of each image for test-time augmentation, each with its weight; these add up to 1.

    The image and its mirror image; then both moved by one pixel up left, and down right, with the
    edge mirrored. Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (2024), section 3.5:
    what is not moved weighs as much as what is.

    Args:
        images: bytes or numbers.
        count: the first so many of the six.

    >>> [weight for _, weight in views(jnp.zeros((1, 8, 8, 3)))]
    [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]
    >>> [weight for _, weight in views(jnp.zeros((1, 8, 8, 3)), 2)]
    [0.5, 0.5]
    """
    height, width = images.shape[1:3]
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    moved = [padded[:, i : i + height, i : i + width] for i in (0, 2)]
    weighted = [(images, 0.25), *[(image, 0.125) for image in moved]]
    both_sides = [
        (image[:, :, ::direction], weight) for image, weight in weighted for direction in (1, -1)
    ]
    seen = both_sides[:count]
    total = sum(weight for _, weight in seen)
    return [(image, weight / total) for image, weight in seen]


def in_training(apply: Callable, change: Callable[[PRNGKeyArray, Array], Array]) -> Callable:
    """A task's `apply` whose images go through `change(key, images)` first, in training only.

    Args:
        apply: as `Task.apply`, reading the images from batch["x"].
        change: such as a partial of `augment`; its key is not the one that dropout draws from.
    """

    def changed_apply(variables, batch, key, train, hyper):
        if train:
            key, change_key = jax.random.split(key)
            batch = {**batch, "x": change(change_key, batch["x"])}
        return apply(variables, batch, key, train, hyper)

    return changed_apply
