"""A picture file as an array of pixels."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

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
        raise UserError(f"{path} does not exist: a picture file is needed") from error
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is no picture that can be read ({error})") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for truncated and broken
        raise UserError(f"{path} is a broken picture ({error})") from error
