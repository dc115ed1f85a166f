"""Figures of pictures: grids, rows of vectors drawn as images, mosaics."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from jaxdl.figures.base import subplots


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


def picture(x: Float[np.ndarray, " pixels"]) -> np.ndarray:
    """A vector as an image: a square where its length is one, else as nearly square as can be."""
    x = np.asarray(x)
    height = next(h for h in range(int(np.ceil(np.sqrt(x.size))), x.size + 1) if x.size % h == 0)
    return x.reshape(height, -1)


def image_rows(rows: Mapping[str, Sequence[np.ndarray]], titles: Sequence[str] = ()) -> Any:
    """One labelled row of vectors per entry, drawn as images; pixels are shown from 0 to 1.

    In rows whose name starts with "code" each image has its own range, for codes have none in
    common.

    Args:
        rows: label -> vectors of equal length.
        titles: above the columns.
    """
    columns = max(len(images) for images in rows.values())
    figure, axes = subplots(len(rows), width=0.85 * columns + 1.5, height=0.95)
    for axis, (label, vectors) in zip(np.atleast_1d(axes), rows.items(), strict=True):
        images = [picture(x) for x in vectors]
        if label.startswith("code"):
            images = [(image - image.min()) / max(np.ptp(image), 1e-9) for image in images]
        # one picture per row: a figure of a hundred axes takes seconds to lay out
        height, width = images[0].shape
        gap, step = np.full((height, max(width // 14, 1)), np.nan), max(height, width)
        side = np.full((height, (step - width) // 2), np.nan)
        tiles = [np.hstack([side, image, side, gap]) for image in images]
        axis.imshow(np.hstack(tiles), cmap="gray", vmin=0, vmax=1)
        centres = np.arange(len(titles)) * tiles[0].shape[1] + step / 2
        axis.set_xticks(centres, titles, fontsize=7)
        titles = ()  # above the first row only
        axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axis.set(yticks=[], xlim=(-0.5, columns * tiles[0].shape[1] - 0.5))
        axis.set_frame_on(False)
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def mosaic(images: Float[np.ndarray, "count pixels"], columns: int, title: str = "") -> Any:
    """Square images without gaps, row by row: samples, or a walk over a grid of codes."""
    side = int(np.sqrt(images.shape[1]))
    rows = len(images) // columns
    grid = images[: rows * columns].reshape(rows, columns, side, side)
    figure, axis = subplots(width=0.42 * columns, height=0.42 * rows)
    axis.imshow(grid.transpose(0, 2, 1, 3).reshape(rows * side, -1), cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[], title=title)
    return figure
