"""Lab 050 - image segmentation by K-means over colours (K-means 이미지 픽셀 군집화)

Every pixel is a point in the space of red, green and blue. K-means finds k colours, and each pixel
takes the nearest: the picture falls into k segments, and is drawn with k colours.

    python run.py experiments/image_segmentation.py
    python run.py experiments/image_segmentation.py --image photo.jpg --ks 2 4 8 16

All pixels take part, at every k (`--reduce` takes fewer). Pixels of equal colour are one point that
weighs as much as there are pixels. Ten k-means++ starts for every k run as one JAX program on a
summary of the colours (the occupied cells of a 32 x 32 x 32 cube); the best start of each k is then
finished on all colours.

Data: china.jpg and flower.jpg, bundled with scikit-learn (real, no download), or your own picture
with --image. Measured: mean squared error (MSE) of the picture in k colours, pixels from 0 to 1;
its peak signal-to-noise ratio (PSNR); the inertia beside that of scikit-learn's K-means with one
start on all pixels (a ratio of 1.00 and below is as good).
Reference: the lecture's colorful_house.jpg with k = 4 stores cluster sizes 253,520 / 167,070 /
139,780 / 133,630 and, recomputed, MSE 0.01562 and 18.06 dB; its licence is unknown, so bring it
with --image. Expected: china.jpg with k = 4 has MSE 0.0070 and 21.5 dB (docs/results.md); speed is
in benchmarks/kmeans.py. Runtime on two CPU cores: about 10 s. It runs with one seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image

from datasets import pictures
from datasets.source import Provenance
from jaxdl.clustering.kmeans import kmeans, lloyd, nearest_centre, used_centres
from jaxdl.errors import UserError
from jaxdl.figures.base import Figure, subplots
from jaxdl.hashing import arrays_digest
from jaxdl.report import Results, Table
from jaxdl.runs import Run

Pixels = UInt8[np.ndarray, "rows columns 3"]


@dataclass(frozen=True)
class Config:
    image: Path | None = None
    """Your own picture, in any format that Pillow reads. Default: two that scikit-learn brings."""
    ks: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8, 9, 10)
    """Numbers of colours."""
    starts: int = 10
    """K-means++ starts for every k."""
    tolerance: float = 1e-4
    """Stop when squared movements are below this times the mean variance, as in scikit-learn."""
    reduce: int = 1
    """Take every n-th pixel of every n-th row."""


PRESETS = {"quick": Config(ks=(2, 4, 8), starts=4, reduce=4)}


def main(config: Config, run: Run) -> Results:
    if max(config.ks) > 256:
        raise UserError("--ks: between 1 and 256 colours")
    seed = run.only_seed()
    tables, figures = [], {}
    for name, pixels in load(config, run).items():
        segmented = segment(pixels, config, seed)
        tables += [
            quality_table(name, pixels, segmented, config, seed),
            palette_table(name, segmented, config.ks),
        ]
        figures[f"{Path(name).stem}_side_by_side"] = partial(
            draw_segmentations, pixels, segmented, config.ks
        )
    first_picture, *_ = tables
    headline = {
        f"PSNR, {row['k']} colours": row["PSNR dB"]
        for row in first_picture.rows
        if row["k"] in (4, 8)
    }
    return Results(tables, figures, headline)


# ---- data ----------------------------------------------------------------------------------------


def load(config: Config, run: Run) -> Mapping[str, Pixels]:
    """Name -> picture.

    Raises:
        UserError: no such file, not a picture, broken, or of more than 40 million pixels.
    """
    if config.image is None:
        found = {name: load_sample_image(name) for name in ("china.jpg", "flower.jpg")}
        kind, detail = "real", "bundled with scikit-learn"
    else:
        found = {config.image.name: pictures.read(config.image)}
        kind, detail = "user file", "your file"
    step = slice(None, None, config.reduce)
    found = {name: np.ascontiguousarray(image[step, step]) for name, image in found.items()}
    for name, image in found.items():
        size = f"{image.shape[1]} x {image.shape[0]} pixels, {detail}"
        run.uses(Provenance(name, kind, arrays_digest({"image": image}), size))
    return found


# ---- colours instead of pixels -------------------------------------------------------------------


def distinct_colours(
    pixels: Pixels,
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"], Int[np.ndarray, " pixels"]]:
    """Distinct colours, scaled to 0..1, how many pixels have each, and each pixel's colour."""
    flat = pixels.reshape(-1, 3).astype(np.int32)
    code = (flat[:, 0] << 16) | (flat[:, 1] << 8) | flat[:, 2]
    counts = np.bincount(code, minlength=1 << 24)
    present = np.flatnonzero(counts)
    place = np.zeros(1 << 24, np.int32)
    place[present] = np.arange(present.size)
    colours = np.stack([present >> 16, (present >> 8) & 255, present & 255], axis=1)
    return (colours / 255).astype(np.float32), counts[present].astype(np.float32), place[code]


def occupied_cells(
    colours: Float[np.ndarray, "n 3"], counts: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "cells 3"], Float[np.ndarray, " cells"]]:
    """Mean colour and number of pixels of the occupied cells of a 32 x 32 x 32 cube."""
    cell = (colours * 255).round().astype(np.int64) // 8 @ np.array([1024, 32, 1])
    weights = np.bincount(cell, counts, minlength=32**3)
    sums = np.stack([np.bincount(cell, counts * c, minlength=32**3) for c in colours.T], axis=1)
    full = weights > 0
    return (sums[full] / weights[full, None]).astype(np.float32), weights[full].astype(np.float32)


# ---- K-means -------------------------------------------------------------------------------------


class Segmented(NamedTuple):
    """A picture in few colours, for each number of colours.

    Attributes:
        palette: the colours, about 0..1; with k colours the first k rows are used.
        labels: which of them each pixel takes.
        inertia: sum of squared distances of all pixels to their colour.
    """

    palette: Float[np.ndarray, "ks most 3"]
    labels: UInt8[np.ndarray, "ks rows columns"]
    inertia: Float[np.ndarray, " ks"]


def segment(pixels: Pixels, config: Config, seed: int) -> Segmented:
    """K-means over all pixels for every k.

    Raises:
        UserError: the picture has fewer colours than it shall be drawn with.
    """
    colours, counts, colour_of_pixel = distinct_colours(pixels)
    if len(colours) < max(config.ks):
        raise UserError(f"the picture has only {len(colours)} colours; lower --ks")
    mean = np.average(colours, axis=0, weights=counts)
    variance = np.average((colours - mean) ** 2, axis=0, weights=counts).mean()
    tolerance = jnp.float32(config.tolerance * variance)

    cells, weights = occupied_cells(colours, counts)
    cells = (cells - mean).astype(np.float32)
    start = kmeans(
        jax.random.key(seed), cells, weights, config.ks, config.starts, tolerance=tolerance
    )

    centred = jnp.asarray(colours - mean, jnp.float32)
    used = used_centres(config.ks)
    centres, inertia = finish(centred, counts, start.centres, used, tolerance)
    nearest = jax.jit(jax.vmap(nearest_centre, in_axes=(None, 0, 0)))(centred, centres, used)
    labels = np.asarray(nearest, np.uint8)[:, colour_of_pixel]
    return Segmented(
        palette=np.asarray(centres) + mean,
        labels=labels.reshape(len(config.ks), *pixels.shape[:2]),
        inertia=np.asarray(inertia, np.float64),
    )


@jax.jit
def finish(
    colours: Float[Array, "n 3"],
    counts: Float[Array, " n"],
    centres: Float[Array, "ks most 3"],
    used: Bool[Array, "ks most"],
    tolerance: Float[Array, ""],
) -> tuple[Float[Array, "ks most 3"], Float[Array, " ks"]]:
    """Lloyd's iteration on all colours from given centres: (centres, inertia).

    One k after the other: all at once would need the memory of len(ks) * n * most numbers.
    """

    def one(start):
        centres, used = start
        centres, inertia, _ = lloyd(colours, counts, centres, used, tolerance=tolerance)
        return centres, inertia

    return jax.lax.map(one, (centres, used))


# ---- what we see ---------------------------------------------------------------------------------


def quality_table(
    name: str, pixels: Pixels, segmented: Segmented, config: Config, seed: int
) -> Table:
    """What k colours lose of the picture, and scikit-learn's K-means on the same pixels."""
    flat = pixels.reshape(-1, 3) / 255
    rows = []
    for k, palette, labels, inertia in zip(config.ks, *segmented, strict=True):
        mse = np.square(palette[labels.reshape(-1)] - flat).mean()
        theirs = KMeans(k, n_init=1, tol=config.tolerance, random_state=seed).fit(flat)
        rows.append(
            {
                "k": k,
                "MSE": mse,
                "PSNR dB": 10 * np.log10(1 / mse),
                "inertia": inertia,
                "scikit-learn, one start": theirs.inertia_,
                "ratio": f"{inertia / theirs.inertia_:.4f}",
            }
        )
    taken = "all pixels" if config.reduce == 1 else f"one pixel in {config.reduce**2}"
    return Table(f"{name}: {taken}, K-means over colours", rows, digits=4)


def palette_table(name: str, segmented: Segmented, ks: Sequence[int]) -> Table:
    """The colours for each k as hexadecimal codes with their numbers of pixels, largest first."""
    rows = []
    for k, palette, labels in zip(ks, segmented.palette, segmented.labels, strict=True):
        sizes = np.bincount(labels.reshape(-1), minlength=k)
        entries = []
        for i in np.argsort(-sizes):
            red, green, blue = (palette[i] * 255).round().clip(0, 255).astype(int)
            entries.append(f"#{red:02x}{green:02x}{blue:02x} {sizes[i]:,}")
        rows.append({"k": f"{k}", "colours and their pixels": ", ".join(entries)})
    return Table(f"{name}: palette and sizes", rows)


def draw_segmentations(pixels: Pixels, segmented: Segmented, ks: Sequence[int]) -> Figure:
    """The picture, and beside it the same in each number of colours."""
    columns = min(len(ks) + 1, 5)
    height = 3.2 * pixels.shape[0] / pixels.shape[1] + 0.3
    figure, axes = subplots(-(-(len(ks) + 1) // columns), columns, width=3.2, height=height)
    axes = np.atleast_1d(axes).reshape(-1)
    for axis in axes:
        axis.set_axis_off()
    axes[0].imshow(pixels)
    axes[0].set_title("original")
    panels = zip(axes[1:], ks, segmented.palette, segmented.labels, strict=False)
    for axis, k, palette, labels in panels:
        axis.imshow(palette.clip(0, 1)[labels])
        axis.set_title(f"{k} colours")
    return figure
