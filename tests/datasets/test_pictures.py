"""A user's picture: grey of 16 bits keeps its levels, other depths are named."""

import numpy as np
import pytest
from PIL import Image

from datasets import pictures
from jaxdl.errors import UserError

GREY = np.arange(0, 65_536, 16, dtype=np.uint16).reshape(64, 64)
BYTES = (GREY >> 8).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "pixels"),
    [
        ("png", GREY),
        ("tif", GREY),
        ("tif", GREY.astype(np.int32)),
        ("png", (GREY >> 8).astype(np.uint8)),
    ],
    ids=["16 bits", "16 bits, TIFF", "32 bits that hold 16", "8 bits"],
)
def test_grey_of_any_depth_keeps_its_levels(tmp_path, suffix, pixels):
    path = tmp_path / f"grey.{suffix}"
    Image.fromarray(pixels).save(path)
    found = pictures.read(path)
    assert (found.shape, found.dtype) == ((64, 64, 3), np.uint8)
    np.testing.assert_array_equal(found, np.repeat(BYTES[..., None], 3, axis=2))


@pytest.mark.parametrize("pixels", [GREY.astype(np.float32), GREY.astype(np.int32) * 300])
def test_other_pixels_are_refused_in_one_line(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match="no grey or colour of 8 or 16 bits") as error:
        pictures.read(tmp_path / "x.tif")
    assert "\n" not in str(error.value)
