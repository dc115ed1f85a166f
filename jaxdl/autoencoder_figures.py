"""Figures of image autoencoders: rows of images, codes as small pictures, latent maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from jaxdl import image_autoencoder
from jaxdl.figures import subplots
from jaxdl.image_autoencoder import pixels
from jaxdl.training import Fitted


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


def image_copies(fitted: Fitted, x: UInt8[np.ndarray, "rows pixels"]) -> Any:
    """Lab 460's picture: images, their codes, what the first member makes of them."""
    code, copy = (fitted.predict(f, {"x": x})[0] for f in (image_autoencoder.code, pixels))
    return image_rows({"original": x / 255, "code": code, "reconstruction": copy})


def mosaic(images: Float[np.ndarray, "count pixels"], columns: int, title: str = "") -> Any:
    """Square images without gaps, row by row: samples, or a walk over a grid of codes."""
    side = int(np.sqrt(images.shape[1]))
    rows = len(images) // columns
    grid = images[: rows * columns].reshape(rows, columns, side, side)
    figure, axis = subplots(width=0.42 * columns, height=0.42 * rows)
    axis.imshow(grid.transpose(0, 2, 1, 3).reshape(rows * side, -1), cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[], title=title)
    return figure


def latent_maps(
    maps: Mapping[str, Float[np.ndarray, "rows 2"]],
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Any:
    """Scatter plots in two dimensions, side by side, coloured by class."""
    from matplotlib import colormaps

    figure, axes = subplots(1, len(maps), width=4.2, height=4.0)
    for axis, (title, points) in zip(np.atleast_1d(axes), maps.items(), strict=True):
        for k, name in enumerate(classes):
            colour = colormaps["tab10"](k)
            axis.scatter(*points[label == k].T, s=4, color=colour, label=name, alpha=0.7, lw=0)
        axis.set(title=title, xticks=[], yticks=[])
    figure.legend(
        *np.atleast_1d(axes)[0].get_legend_handles_labels(),
        loc="outside right center",
        markerscale=3,
        fontsize=8,
    )
    return figure


def points_codes_copies(
    points: Float[np.ndarray, "rows 3"],
    models: Mapping[str, tuple[Float[np.ndarray, "rows 2"], Float[np.ndarray, "rows 3"]]],
) -> Any:
    """Slide 84: the points, their codes and their reconstructions, one line per model."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(11, 3.4 * len(models)), layout="constrained")
    for line, (name, (codes, copies)) in enumerate(models.items()):
        for column, (title, values) in enumerate(
            (("original", points), (f"code of {name}", codes), ("reconstruction", copies))
        ):
            flat = values.shape[1] == 2
            place = (len(models), 3, 3 * line + column + 1)
            axis = figure.add_subplot(*place, projection=None if flat else "3d")
            axis.scatter(*values.T, s=8, c=points[:, 0], cmap="viridis")
            axis.set_title(title, fontsize=10)
            axis.tick_params(labelsize=6)
            if flat:
                axis.set(xlabel="z1", ylabel="z2")
                axis.grid(alpha=0.3)
    return figure


def curves(
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]], xlabel: str, ylabel: str, log_x: bool
) -> Any:
    """Lines with points, the mean over seeds with a band of one standard deviation.

    Args:
        lines: label -> (x [points], y [points, seeds]).
        xlabel, ylabel: of the axes.
        log_x: a logarithmic axis.
    """
    figure, axis = subplots()
    for label, (x, y) in lines.items():
        mean, spread = y.mean(axis=1), y.std(axis=1)
        (line,) = axis.plot(x, mean, "o-", ms=3, label=label)
        axis.fill_between(x, mean - spread, mean + spread, color=line.get_color(), alpha=0.15, lw=0)
    axis.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log_x else "linear")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    return figure
