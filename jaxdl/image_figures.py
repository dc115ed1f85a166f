"""Figures of image labs: grids of pictures, confusion matrices, pictures in few colours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num, UInt8

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
        titles: one for each picture, of one or two lines.
        columns: pictures in a row.
        colours: of the titles.
        heading: over all.
    """
    # one large picture: dozens of axes would take seconds to lay out
    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = (np.clip(images, 0, 1) * 255).astype(np.uint8)
    if images.ndim == 3 or images.shape[-1] == 1:
        images = images.reshape(*images.shape[:3], 1).repeat(3, axis=-1)
    rows, (height, width) = -(-len(images) // columns), images.shape[1:3]
    lines = max((title.count("\n") + 1 for title in titles or ()), default=0)
    pitch = height * (1.08 + 0.16 * lines), width * 1.12
    size = round(rows * pitch[0]), round(columns * pitch[1])
    sheet = np.full((*size, 3), 255, np.uint8)
    figure, axes = subplots(width=1.1 * columns, height=1.1 * columns * size[0] / size[1])
    for i, image in enumerate(images):
        bottom, left = round((i // columns + 1) * pitch[0]), round(i % columns * pitch[1])
        sheet[bottom - height : bottom, left : left + width] = image
        if titles is not None:
            colour = colours[i] if colours else "black"
            place = left + width / 2, bottom - height - 0.05 * height
            axes.text(*place, titles[i], ha="center", va="bottom", fontsize=7, color=colour)
    axes.imshow(sheet)
    axes.set_axis_off()
    if heading:
        axes.set_title(heading, fontsize=10)
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


def in_few_colours(
    pixels: UInt8[np.ndarray, "rows columns 3"],
    ks: Sequence[int],
    palettes: Float[np.ndarray, "ks most 3"],
    labels: Int[np.ndarray, "ks rows columns"],
) -> Any:
    """A picture, and beside it the same in each number of colours.

    Args:
        pixels: the original.
        ks: numbers of colours.
        palettes: the colours for each of `ks`, 0..1 (what lies outside is cut).
        labels: which of them each pixel takes.
    """
    columns = min(len(ks) + 1, 5)
    height = 3.2 * pixels.shape[0] / pixels.shape[1] + 0.3
    figure, axes = subplots(-(-(len(ks) + 1) // columns), columns, width=3.2, height=height)
    axes = np.atleast_1d(axes).reshape(-1)
    for axis in axes:
        axis.set_axis_off()
    axes[0].imshow(pixels)
    axes[0].set_title("original")
    for axis, k, palette, label in zip(axes[1:], ks, palettes, labels, strict=False):
        axis.imshow(palette.clip(0, 1)[label])
        axis.set_title(f"{k} colours")
    return figure
