"""A picture file as an array of pixels."""

from pathlib import Path

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxdl.errors import UserError

MAX_PIXELS = 40_000_000


def read(path: Path) -> UInt8[np.ndarray, "rows columns 3"]:
    """A picture in any format that Pillow reads, upright as its camera meant it.

    Grey of 16 bits keeps its upper eight, as Pillow does with colours of 16 bits.

    Raises:
        UserError: no such file, not a picture, broken, of more than 40 million pixels, or with
            pixels that are no grey or colour of 8 or 16 bits.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width} x {image.height}"
                raise UserError(
                    f"{path} has {size} pixels; at most {MAX_PIXELS:,} are read: shrink it"
                )
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith(("I", "F")):
                upright = Image.fromarray(_upper_bits(np.asarray(upright), path))
            return np.array(upright.convert("RGB"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: a picture file is needed") from error
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is no picture that can be read ({error})") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for truncated and broken
        raise UserError(f"{path} is a broken picture ({error})") from error


def _upper_bits(
    grey: Num[np.ndarray, "rows columns"], path: Path
) -> UInt8[np.ndarray, "rows columns"]:
    """Grey of 16 bits as grey of eight; Pillow's own conversion makes all above 255 white."""
    if not np.issubdtype(grey.dtype, np.integer) or grey.min() < 0 or grey.max() > 65_535:
        raise UserError(f"{path} has no grey or colour of 8 or 16 bits in a pixel: convert it")
    return (grey.astype(np.uint16) >> 8).astype(np.uint8)
