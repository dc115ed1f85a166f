"""Pictures of the user, and a picture as a set of weighted points in colour space (lab 050)."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from jaxdl.errors import UserError

MAX_PIXELS = 40_000_000


def read(path: Path) -> UInt8[np.ndarray, "rows columns 3"]:
    """A picture in any format that Pillow reads, upright as its camera meant it.

    Raises:
        UserError: no such file, not a picture, broken, or of more than 40 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width} x {image.height}"
                raise UserError(
                    f"{path} has {size} pixels; at most {MAX_PIXELS:,} are read: shrink it"
                )
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; --image needs a picture file") from error
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is no picture that can be read ({error})") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for truncated and broken
        raise UserError(f"{path} is a broken picture ({error})") from error


def colours_of(
    pixels: UInt8[np.ndarray, "rows columns 3"],
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"], Int[np.ndarray, " pixels"]]:
    """Distinct colours, scaled to 0..1, how often each occurs, and each pixel's index."""
    flat = pixels.reshape(-1, 3).astype(np.int32)
    code = (flat[:, 0] << 16) | (flat[:, 1] << 8) | flat[:, 2]
    counts = np.bincount(code, minlength=1 << 24)
    present = np.flatnonzero(counts)
    place = np.zeros(1 << 24, np.int32)
    place[present] = np.arange(present.size)
    colours = np.stack([present >> 16, (present >> 8) & 255, present & 255], axis=1)
    return (colours / 255).astype(np.float32), counts[present].astype(np.float32), place[code]


def cells_of(
    colours: Float[np.ndarray, "n 3"], counts: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "cells 3"], Float[np.ndarray, " cells"]]:
    """Mean colour and number of pixels of the occupied cells of a 32 x 32 x 32 cube."""
    cell = (colours * 255).round().astype(np.int64) // 8 @ np.array([1024, 32, 1])
    weights = np.bincount(cell, counts, minlength=32**3)
    sums = np.stack([np.bincount(cell, counts * c, minlength=32**3) for c in colours.T], axis=1)
    full = weights > 0
    return (sums[full] / weights[full, None]).astype(np.float32), weights[full].astype(np.float32)
