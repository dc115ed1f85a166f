"""What the sets of labelled images share: two halves of bytes, the classes' names, the counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

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
    """Both halves; `classes[k]` names class k."""

    train: ImageRows
    test: ImageRows
    classes: tuple[str, ...]
    provenance: Provenance


def images(arrays: Arrays, classes: tuple[str, ...], provenance: Provenance) -> Images:
    """The halves under their names."""
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


class Labelled(NamedTuple):
    """Flat images and their classes."""

    x: UInt8[np.ndarray, "rows pixels"]
    label: Int[np.ndarray, " rows"]

    def first(self, rows: int) -> "Labelled":
        """The first so many."""
        return Labelled(self.x[:rows], self.label[:rows])


def flat(images: UInt8[np.ndarray, "rows height width"]) -> UInt8[np.ndarray, "rows pixels"]:
    """One row per image."""
    return images.reshape(len(images), -1)


def examples(image: np.ndarray, label: np.ndarray, shape: tuple[int, ...]) -> Rows:
    """{"x": pixels between 0 and 1, [rows, *shape], "y": labels} of images of bytes."""
    x = image.reshape(-1, *shape).astype(np.float32) / 255
    return {"x": x, "y": label.astype(np.int32)}
