"""What the sets of labelled images share: training and test images as bytes, classes, counts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32, UInt8

from datasets import source
from datasets.source import Missing, Provenance
from datasets.splits import Rows
from jaxdl.hashing import arrays_digest

Arrays = dict[str, np.ndarray]  # "train_image", "train_label", "test_image", "test_label"


@dataclass(frozen=True)
class ImageRows:
    """Images, pixels 0..255, row by row from the top left; `label` is the class."""

    image: UInt8[np.ndarray, "rows height width *channels"]
    label: Int32[np.ndarray, " rows"]


@dataclass(frozen=True)
class Images:
    """Training and test images; `classes[k]` names class k."""

    train: ImageRows
    test: ImageRows
    classes: tuple[str, ...]
    provenance: Provenance


def images(arrays: Arrays, classes: tuple[str, ...], provenance: Provenance) -> Images:
    """Training and test images, their classes and where they come from."""
    halves = (
        ImageRows(arrays[f"{half}_image"], arrays[f"{half}_label"].astype(np.int32))
        for half in ("train", "test")
    )
    return Images(*halves, classes, provenance)


def prepared(arrays: Arrays, title: str, classes: tuple[str, ...]) -> Images:
    """Images that TensorFlow Datasets prepared."""
    provenance = Provenance(title, "tfds", arrays_digest(arrays), counts(arrays))
    return images(arrays, classes, provenance)


def twin(
    draw: Callable[[], Arrays], key: str, title: str, classes: tuple[str, ...], found: Missing
) -> Images:
    """The simulated twin, drawn once and kept in the cache.

    Args:
        draw: gives the arrays.
        key: under which they are kept; names the numbers of rows.
        title: of the data set.
        classes: names of what is drawn.
        found: why there are no real files; see `source.provenance_of_twin`.
    """
    arrays = source.cached_arrays(key, draw)
    provenance = source.provenance_of_twin(title, arrays, counts(arrays), found)
    return images(arrays, classes, provenance)


def counts(arrays: Arrays) -> str:
    """How many images of which size."""
    train, test = (len(arrays[f"{half}_label"]) for half in ("train", "test"))
    size = "x".join(map(str, arrays["train_image"].shape[1:]))
    return f"{train:,} + {test:,} images of {size}"


def flat(image: UInt8[np.ndarray, "rows height width"]) -> UInt8[np.ndarray, "rows pixels"]:
    """Each image as one row of bytes.

    >>> flat(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 784)
    """
    return image.reshape(len(image), -1)


def examples(
    image: UInt8[np.ndarray, " rows *pixels"],
    label: Int[np.ndarray, " rows"],
    shape: tuple[int, ...],
) -> Rows:
    """{"x": pixels between 0 and 1, [rows, *shape], "y": labels} of images of bytes."""
    x = image.reshape(-1, *shape).astype(np.float32) / 255
    return {"x": x, "y": label.astype(np.int32)}
