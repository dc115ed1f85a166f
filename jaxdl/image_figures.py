"""Figures of image labs: grids of pictures, confusion matrices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Num

from jaxdl.figures import subplots


def image_grid(
    images: Num[np.ndarray, " rows height width *channels"],
    titles: Sequence[str] | None = None,
    columns: int = 7,
    colours: Sequence[str] | None = None,
    heading: str = "",
) -> Any:
    """Pictures in rows of `columns`, each with its title.

    Args:
        images: bytes, or numbers 0..1 (what lies outside is cut); one channel is shown as grey.
        titles: one for each picture.
        columns: pictures in a row.
        colours: of the titles.
        heading: over all.
    """
    rows = -(-len(images) // columns)
    figure, axes = subplots(rows, columns, width=1.15, height=1.3)
    axes = np.atleast_1d(axes).reshape(-1)
    for axis in axes:
        axis.set_axis_off()
    for i, (axis, image) in enumerate(zip(axes, images, strict=False)):
        image = image if image.dtype == np.uint8 else np.clip(image, 0, 1)
        grey = image.ndim == 2 or image.shape[-1] == 1
        shown = image.reshape(image.shape[:2]) if grey else image
        top = 255 if image.dtype == np.uint8 else 1
        axis.imshow(shown, cmap="gray", vmin=0, vmax=top)
        if titles is not None:
            axis.set_title(titles[i], fontsize=8, color=colours[i] if colours else "black")
    if heading:
        figure.suptitle(heading, fontsize=10)
    return figure


def right_and_wrong(
    images: Num[np.ndarray, " rows height width *channels"],
    label: Int[np.ndarray, " rows"],
    predicted: Int[np.ndarray, " rows"],
    classes: Sequence[str],
    columns: int = 8,
) -> Any:
    """The first pictures that are named rightly (green, upper half), and wrongly (red, lower half).

    A wrong one's title is "what was said (what it is)".
    """
    right = np.flatnonzero(predicted == label)[: 2 * columns]
    wrong = np.flatnonzero(predicted != label)[: 2 * columns]
    rows = np.concatenate([right, wrong])
    titles = [classes[label[i]] for i in right]
    titles += [f"{classes[predicted[i]]}\n({classes[label[i]]})" for i in wrong]
    colours = ["green"] * len(right) + ["red"] * len(wrong)
    return image_grid(images[rows], titles, columns, colours)


def confusion(
    label: Int[np.ndarray, " rows"], predicted: Int[np.ndarray, " rows"], classes: Sequence[str]
) -> Any:
    """Heat map of counts, true classes down, predicted ones across; colour is the row's share."""
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (label, predicted), 1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = subplots(width=6.5, height=6)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        colour = "white" if share[i, j] > 0.5 else "black"
        axes.text(j, i, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(classes)), classes, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    return figure
