"""Figures of pictures: grids, rows of vectors drawn as images, mosaics.

Each is one large picture with text around it: dozens of axes would take seconds to lay out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Num, UInt8

from jaxdl.figures.base import Figure, subplots


def image_grid(
    images: Num[np.ndarray, " count height width *channels"],
    titles: Sequence[str] | None = None,
    columns: int = 7,
    colours: Sequence[str] | None = None,
) -> Figure:
    """Pictures in rows of `columns`, each with its title.

    Args:
        images: bytes, or numbers 0..1 (what lies outside is cut); one channel is shown as grey.
        titles: one for each picture, of one or two lines.
        columns: pictures in a row.
        colours: of the titles.
    """
    pictures = colour_bytes(np.asarray(images))
    count, height, width, _ = pictures.shape
    title_lines = max((title.count("\n") + 1 for title in titles or ()), default=0)
    # distance from picture to picture, with room for the titles
    row_height, column_width = height * (1.08 + 0.16 * title_lines), width * 1.12
    sheet_height = round(-(-count // columns) * row_height)
    sheet_width = round(columns * column_width)

    sheet = np.full((sheet_height, sheet_width, 3), 255, np.uint8)
    figure, axes = subplots(width=1.1 * columns, height=1.1 * columns * sheet_height / sheet_width)
    for i, picture in enumerate(pictures):
        bottom = round((i // columns + 1) * row_height)
        left = round(i % columns * column_width)
        sheet[bottom - height : bottom, left : left + width] = picture
        if titles is not None:
            axes.text(
                left + width / 2,
                bottom - 1.05 * height,
                titles[i],
                ha="center",
                va="bottom",
                fontsize=7,
                color=colours[i] if colours else "black",
            )
    axes.imshow(sheet)
    axes.set_axis_off()
    return figure


def classified_images(
    images: UInt8[np.ndarray, "rows height width channels"],
    probability: Float[np.ndarray, "rows classes"],
    classes: Sequence[str],
    most: int = 35,
) -> Figure:
    """The first pictures, each under its three likeliest classes and their probabilities.

    Args:
        images: as the net sees them.
        probability: of each class for each picture.
        classes: their names.
        most: pictures that are shown.
    """
    titles = []
    for of_classes in probability[:most]:
        likeliest = np.argsort(-of_classes, kind="stable")[:3]
        titles.append("\n".join(f"{classes[k]} {of_classes[k]:.0%}" for k in likeliest))
    return image_grid(images[:most], titles)


def colour_bytes(
    images: Num[np.ndarray, " count height width *channels"],
) -> UInt8[np.ndarray, "count height width 3"]:
    """Images as bytes in three channels.

    >>> colour_bytes(np.array([[[0.0, 1.0]]])).tolist()
    [[[[0, 0, 0], [255, 255, 255]]]]
    """
    if images.dtype != np.uint8:
        images = (np.clip(images, 0, 1) * 255).astype(np.uint8)
    if images.ndim == 3 or images.shape[-1] == 1:
        images = images.reshape(*images.shape[:3], 1).repeat(3, axis=-1)
    return images


def as_image(x: Num[np.ndarray, " pixels"]) -> Num[np.ndarray, "height width"]:
    """A vector as an image: a square where its length is one, else as nearly square as can be.

    >>> as_image(np.zeros(9)).shape, as_image(np.zeros(12)).shape
    ((3, 3), (4, 3))
    """
    x = np.asarray(x)
    height = int(np.ceil(np.sqrt(x.size)))
    while x.size % height:
        height += 1
    return x.reshape(height, -1)


def image_rows(
    rows: Mapping[str, Num[np.ndarray, "images _"] | Sequence[Num[np.ndarray, " _"]]],
    titles: Sequence[str] = (),
) -> Figure:
    """One labelled row of vectors per entry, drawn as images; pixels are shown from 0 to 1.

    In rows whose name starts with "code" each image has its own range, for codes have none in
    common.

    Args:
        rows: label -> vectors of equal length.
        titles: above the columns.
    """
    columns = max(len(vectors) for vectors in rows.values())
    figure, axes = subplots(len(rows), width=0.85 * columns + 1.5, height=0.95)
    for axis, (label, vectors) in zip(np.atleast_1d(axes), rows.items(), strict=True):
        images = [as_image(x) for x in vectors]
        if label.startswith("code"):
            images = [(image - image.min()) / max(np.ptp(image), 1e-9) for image in images]
        height, width = images[0].shape
        # every image in the middle of a square, and a gap behind it
        side = max(height, width)
        margin = np.full((height, (side - width) // 2), np.nan)
        gap = np.full((height, max(width // 14, 1)), np.nan)
        tiles = [np.hstack([margin, image, margin, gap]) for image in images]
        axis.imshow(np.hstack(tiles), cmap="gray", vmin=0, vmax=1)

        tile_width = tiles[0].shape[1]
        axis.set_xticks(np.arange(len(titles)) * tile_width + side / 2, titles, fontsize=7)
        titles = ()  # above the first row only
        axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axis.set(yticks=[], xlim=(-0.5, columns * tile_width - 0.5))
        axis.set_frame_on(False)
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def mosaic(images: Float[np.ndarray, "count pixels"], columns: int, title: str = "") -> Figure:
    """Square images without gaps, row by row: samples, or a walk over a grid of codes."""
    side = int(np.sqrt(images.shape[1]))
    rows = len(images) // columns
    grid = images[: rows * columns].reshape(rows, columns, side, side)
    figure, axis = subplots(width=0.42 * columns, height=0.42 * rows)
    axis.imshow(grid.transpose(0, 2, 1, 3).reshape(rows * side, -1), cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[], title=title)
    return figure
