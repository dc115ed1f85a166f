"""Lab 050 - image segmentation by K-means over colours (K-means 이미지 픽셀 군집화)

Every pixel is a point in RGB; with k clusters the picture keeps k colours. All pixels take part, at
every k: pixels of equal colour are one weighted point, ten starts for every k run as one
JAX program on the occupied cells of a 32 x 32 x 32 colour cube, and the best start of each k is
finished on all colours.

    python run.py experiments/image_segmentation.py
    python run.py experiments/image_segmentation.py --image photo.jpg --ks 2 4 8 16

Without --image: china.jpg and flower.jpg, bundled with scikit-learn (real, no download). The
lecture's colorful_house.jpg with k = 4 stores cluster sizes 253,520 / 167,070 / 139,780 / 133,630
and, recomputed, MSE 0.01562 and 18.06 dB; its licence is unknown, so bring it with --image.
Quality against scikit-learn stands in the table (inertia ratio 1.00 and below is as good), speed in
benchmarks/kmeans.py. Runtime on two CPU cores: about 20 s. One seed is enough.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image

from datasets import pictures
from datasets.source import Provenance, array_digest
from jaxdl.clustering import kmeans
from jaxdl.errors import UserError
from jaxdl.figures.images import in_few_colours
from jaxdl.report import Results, Table
from jaxdl.runs import Run


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
    tables, figures = [], {}
    for name, pixels in load(config, run).items():
        segmented = segment(pixels, config, int(run.seeds[0]))
        tables += [_quality(name, pixels, segmented, config, int(run.seeds[0]))]
        tables += [_palette(name, pixels, segmented, config)]
        figures[f"{Path(name).stem}_side_by_side"] = partial(
            in_few_colours, pixels, config.ks, segmented["palette"], segmented["labels"]
        )
    headline = {row["k"]: row["PSNR dB"] for row in tables[0].rows if row["k"] in (4, 8)}
    headline = {f"PSNR, {k} colours": value for k, value in headline.items()}
    return Results(tables, figures, headline)


def load(config: Config, run: Run) -> dict[str, np.ndarray]:
    """Pictures as uint8 [rows, columns, 3].

    Raises:
        UserError: no such file, not a picture, broken, or of more than 40 million pixels.
    """
    if config.image is None:
        found = {name: load_sample_image(name) for name in ("china.jpg", "flower.jpg")}
        detail = "bundled with scikit-learn"
    else:
        found, detail = {config.image.name: pictures.read(config.image)}, "your file"
    step = slice(None, None, config.reduce)
    found = {name: np.ascontiguousarray(image[step, step]) for name, image in found.items()}
    for name, image in found.items():
        kind = "real" if config.image is None else "user file"
        size = f"{image.shape[1]} x {image.shape[0]} pixels, {detail}"
        run.uses(Provenance(name, kind, array_digest({"image": image}), size))
    return found


def segment(pixels: np.ndarray, config: Config, seed: int) -> dict:
    """K-means over all pixels for every k.

    Returns:
        "palette" [ks, most, 3] in 0..1, "labels" [ks, rows, columns], "inertia" [ks].
    """
    colours, counts, index = colours_of(pixels)
    if len(colours) < max(config.ks):
        raise UserError(f"the picture has only {len(colours)} colours; lower --ks")
    mean = np.average(colours, axis=0, weights=counts)
    spread = np.average((colours - mean) ** 2, axis=0, weights=counts).mean()
    tolerance = jnp.float32(config.tolerance * spread)
    centred = jnp.asarray(colours - mean, jnp.float32)
    coarse, weights = cells_of(colours, counts)
    coarse = (coarse - mean).astype(np.float32)
    start = kmeans.kmeans(
        jax.random.key(seed), coarse, weights, config.ks, config.starts, tolerance=tolerance
    )
    used = kmeans.used_centres(config.ks)
    centres, inertia = kmeans.finish(centred, counts, start.centres, used, tolerance)
    nearest = jax.jit(jax.vmap(kmeans.nearest, (None, 0, 0)))
    labels = np.asarray(nearest(centred, centres, used), np.uint8)[:, index]
    return {
        "palette": np.asarray(centres) + mean,
        "labels": labels.reshape(len(config.ks), *pixels.shape[:2]),
        "inertia": np.asarray(inertia, np.float64),
    }


def _quality(name, pixels, segmented, config, seed):
    flat = pixels.reshape(-1, 3) / 255
    rows = []
    for i, k in enumerate(config.ks):
        picture = segmented["palette"][i][segmented["labels"][i].reshape(-1)]
        mse = np.square(picture - flat).mean()
        theirs = KMeans(k, n_init=1, random_state=seed).fit(flat)
        rows.append(
            {
                "k": k,
                "MSE": mse,
                "PSNR dB": 10 * np.log10(1 / mse),
                "inertia": segmented["inertia"][i],
                "scikit-learn, one start": theirs.inertia_,
                "ratio": f"{segmented['inertia'][i] / theirs.inertia_:.4f}",
            }
        )
    return Table(f"{name}: all pixels, K-means over colours", rows, digits=4)


def _palette(name, pixels, segmented, config):
    rows = []
    for i, k in enumerate(config.ks):
        sizes = np.bincount(segmented["labels"][i].reshape(-1), minlength=k)
        order = np.argsort(-sizes)
        codes = (segmented["palette"][i][order] * 255).round().clip(0, 255).astype(int)
        names = ["#{:02x}{:02x}{:02x}".format(*code) for code in codes]
        pairs = [f"{name} {size:,}" for name, size in zip(names, sizes[order], strict=True)]
        rows.append({"k": f"{k}", "colours and their pixels": ", ".join(pairs)})
    return Table(f"{name}: palette and sizes", rows)


def colours_of(
    pixels: UInt8[np.ndarray, "rows columns 3"],
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"], Int[np.ndarray, " pixels"]]:
    """Distinct colours, scaled to 0..1, how often each occurs, and each pixel's index."""
    flat = pixels.reshape(-1, 3).astype(np.int32)
    code = (flat[:, 0] << 16) | (flat[:, 1] << 8) | flat[:, 2]
    counts = np.bincount(code, minlength=1 << 24)
    present = np.flatnonzero(counts)
    place = np.zeros(1 << 24, np.int32)
    place[present] = np.arange(present.size)
    colours = np.stack([present >> 16, (present >> 8) & 255, present & 255], axis=1)
    return (colours / 255).astype(np.float32), counts[present].astype(np.float32), place[code]


def cells_of(
    colours: Float[np.ndarray, "n 3"], counts: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "cells 3"], Float[np.ndarray, " cells"]]:
    """Mean colour and number of pixels of the occupied cells of a 32 x 32 x 32 cube."""
    cell = (colours * 255).round().astype(np.int64) // 8 @ np.array([1024, 32, 1])
    weights = np.bincount(cell, counts, minlength=32**3)
    sums = np.stack([np.bincount(cell, counts * c, minlength=32**3) for c in colours.T], axis=1)
    full = weights > 0
    return (sums[full] / weights[full, None]).astype(np.float32), weights[full].astype(np.float32)
