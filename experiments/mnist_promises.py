"""Lab 460, second part - what autoencoders promise, measured (오토인코더 활용)

The deck lists uses of autoencoders. Here each is shown and measured on (Fashion-)MNIST with one
net, 784-512-256-32 and back: compression and removal of noise, against PCA and a median filter;
search for similar images; images changed, mixed and made out of nothing; classifiers pre-trained
without labels; maps of the code.

    python run.py experiments/mnist_promises.py --seeds 3
    python run.py experiments/mnist_promises.py --data mnist --seeds 3

Protocol: 55,000 training images, the last 5,000 choose the epoch (and PCA's size against noise),
test images are used once. Labels serve only to judge, and where a number of labels is named. Tables
of changed images and of maps show the first seed. The deck has no numbers; ours: docs/results.md.
Runtime on one CPU core: about 12 minutes for three seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from scipy.ndimage import median_filter
from scipy.stats import entropy

from datasets import labelled_images, mnist, splits
from datasets.labelled_images import Labelled
from jaxdl import optim
from jaxdl.figures.curves import loss_curves
from jaxdl.figures.images import image_rows
from jaxdl.figures.points import latent_maps
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.pca import PCA, fit_pca, pca_errors, project, restore
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted
from jaxdl.vision import autoencoder_task as images
from jaxdl.vision import corruptions, pretraining, retrieval
from jaxdl.vision.corruptions import Noise


@dataclass(frozen=True)
class Config:
    data: mnist.Name = "fashion_mnist"
    """Which images."""
    widths: tuple[int, ...] = (512, 256, 32)
    """Encoder; the last is the code. The decoder mirrors it."""
    epochs: int = 12
    """Passes over the training images, for each of the two autoencoders."""
    batch_size: int = 128
    """Images in a step."""
    learning_rate: float = 2e-3
    """Adam's highest step size; it falls to 0 on a cosine."""
    valid_rows: int = 5000
    """Training images, the last ones, that choose the epoch."""
    sd: float = 0.3
    """Gaussian noise: standard deviation, for pixels from 0 to 1."""
    salted: float = 0.2
    """Salt and pepper: share of pixels."""
    masked: float = 0.5
    """Masking: share of pixels."""
    queries: int = 1000
    """Test images that are searched for."""
    made: int = 500
    """Images of each kind that are changed or made."""
    mapped: int = 2000
    """Test images on the maps."""
    tsne: bool = True
    """Also draw maps by t-SNE."""
    labels: tuple[int, ...] = (100, 1000)
    """Numbers of labels for the classifiers, as many of every class."""
    classifier_steps: int = 1000
    """Optimiser steps of the classifying nets, batch 50."""
    twin_rows: int = mnist.ROWS
    """Training images of the simulated twin, where no real files are found."""


PRESETS = {
    "quick": Config(
        widths=(64, 16),
        epochs=8,
        batch_size=32,
        learning_rate=1e-2,
        valid_rows=120,
        queries=100,
        made=50,
        mapped=100,
        tsne=False,
        labels=(50,),
        classifier_steps=60,
        twin_rows=1200,
    )
}


def main(config: Config, run: Run) -> Results:
    data = mnist.load(run.source, config.data, config.twin_rows)
    run.uses(data.provenance)
    test = Labelled(labelled_images.flat(data.test.image), data.test.label)
    rows, held = splits.split_last({"x": labelled_images.flat(data.train.image)}, config.valid_rows)
    train = Labelled(rows["x"], data.train.label[: len(rows["x"])])
    kinds = corruptions.kinds(config.sd, config.salted, config.masked)
    pca = fit_pca(images.unit(jnp.asarray(train.x)), min(256, len(train.x)))
    net = DenseAutoencoder(mnist.SIDE**2, config.widths, jax.nn.gelu, code_activation=identity)

    size = {"epochs": config.epochs, "batch_size": config.batch_size}
    rate = optim.cosine(config.learning_rate, rows=len(train.x), **size)
    fit = partial(run.fit, train=rows, patience=config.epochs, **size)
    plain_task = images.copy_task(net, "mse", rate)
    plain = fit("autoencoder", plain_task, valid=held)
    spoil = corruptions.any_of(kinds)
    # validation images are noisy too: the epoch is chosen that cleans best, not copies best
    spoilt = images.spoilt(held, spoil, jax.random.key(0))
    denoiser = fit("denoiser", images.copy_task(net, "mse", rate, spoil), valid=spoilt)
    blank = run.fit("untrained", plain_task, rows, epochs=0, batch_size=config.batch_size)

    cleaned, noisy = noise_removal(denoiser, plain, pca, kinds, held["x"], test.x)
    searched = {"autoencoder": plain, "denoising autoencoder": denoiser, "untrained": blank}
    made, examples = changed_images(net, plain, pca, train, test.first(config.made))
    mapped, maps = maps_of(plain, test.first(config.mapped), config.tsne)
    right = {n: taught(config, run, n, net, plain, train, test) for n in config.labels}
    tables = [
        compression(net, plain, pca, train, test),
        cleaned,
        similar_images(searched, pca, train, test.first(config.queries)),
        made,
        few_labels(right, len(test.x)),
        mapped,
    ]
    curves = {"autoencoder": plain.history, "denoiser": denoiser.history}
    figures = {
        "loss": lambda: loss_curves(curves, "mse", "MSE (denoiser: of noisy images)"),
        "noise": lambda: image_rows(noisy),
        "similar": lambda: image_rows(search_rows(plain, train, test.first(8))),
        "between": lambda: image_rows(between(net, plain, test, 10)),
        "changed_and_made": lambda: image_rows(examples),
        "maps": lambda: latent_maps(maps, test.label[: config.mapped], data.classes),
    }
    headline = {"denoised, PSNR": cleaned.rows[0]["denoising autoencoder"]}
    return Results(tables, figures, headline)


def taught(config: Config, run: Run, count: int, net, plain, train, test) -> dict:
    """Test accuracy of classifiers that see `count` labels: without and with the encoder."""
    shown = pretraining.labelled(train.x, train.label, count, run.seeds)
    found = pretraining.linear(plain, shown, test.x, test.label)
    size = {"epochs": -(-config.classifier_steps // -(-count // 50)), "batch_size": 50}
    starts = {"net from scratch": None, "net from the encoder": plain.variables["params"]}
    for name, start in starts.items():
        task = pretraining.classifier_task(net, 10, len(run.seeds), start)
        fitted = run.fit(f"{name.replace(' ', '-')}-{count}", task, shown, **size)
        judged = {"x": test.x, "y": test.label.astype(np.int32)}
        found[name] = fitted.predict(pretraining.hits, judged).mean(axis=1)
    return found


LEVELS = 255  # steps of a number that is stored in one byte


def in_bytes(
    codes: Float[np.ndarray, "rows code"], known: Float[np.ndarray, "others code"]
) -> Float[np.ndarray, "rows code"]:
    """Codes after a trip through one byte per number; the range of each comes from `known`."""
    low, high = known.min(axis=0), known.max(axis=0)
    step = np.maximum(high - low, 1e-12) / LEVELS
    return (np.clip(np.round((codes - low) / step), 0, LEVELS) * step + low).astype(np.float32)


def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared error over rows and pixels, one value per member where there are members."""
    return np.square(a - b).mean(axis=(-2, -1))


def compression(module: Any, fitted: Fitted, pca: PCA, train: Labelled, test: Labelled) -> Table:
    """Error and size of the code, as numbers and as bytes, beside PCA of the same size."""
    x, known = test.x / np.float32(255), train.first(5000).x
    codes = fitted.predict(images.code, {"x": test.x})
    ranges = fitted.predict(images.code, {"x": known})
    small = np.stack([in_bytes(c, r) for c, r in zip(codes, ranges, strict=True)])
    size = codes.shape[-1]
    errors = pca_errors(images.unit(train.x), images.unit(test.x), most=min(256, x.shape[1]))
    line = project(pca, x, size)
    line_small = in_bytes(line, project(pca, known / np.float32(255), size))
    own = squared(images.decode(module, fitted, codes), x)
    enough = int(np.argmax(errors <= own.mean())) if (errors <= own.mean()).any() else None
    found = {
        "autoencoder": (size, own),
        "autoencoder, a byte each": (size, squared(images.decode(module, fitted, small), x)),
        f"PCA, {size} components": (size, float(errors[size])),
        f"PCA, {size} components, a byte each": (size, squared(restore(pca, line_small), x)),
    }
    if enough is not None:
        name = "PCA, as many components as the autoencoder's error needs"
        found[name] = (enough, float(errors[enough]))
    rows = [
        {
            "method": name,
            "numbers": numbers,
            "bytes for 784": numbers if "byte" in name else 4 * numbers,
            "MSE": error,
            "PSNR, dB": images.psnr(error),
        }
        for name, (numbers, error) in found.items()
    ]
    return Table(f"Compression: {len(x):,} test images, 784 bytes each", rows, digits=4)


def noise_removal(
    denoiser: Fitted,
    plain: Fitted,
    pca: PCA,
    noises: Mapping[str, Noise],
    valid: UInt8[np.ndarray, "others pixels"],
    test: UInt8[np.ndarray, "rows pixels"],
) -> tuple[Table, dict[str, np.ndarray]]:
    """PSNR before and after, by kind of noise.

    PCA keeps as many components as are best on spoilt validation images; the median filter takes
    3 x 3 pixels.

    Returns:
        The table, and for the figure: label -> the first 10 test images.
    """
    x, other = (images.unit(jnp.asarray(part)) for part in (test, valid))
    side = int(np.sqrt(x.shape[1]))
    rows, shown = [], {"original": np.asarray(x[:10])}
    for number, (name, noise) in enumerate(noises.items()):
        spoilt, spoilt_other = (
            np.asarray(noise(jax.random.key(2 * number + i), part))
            for i, part in enumerate((x, other))
        )
        counts = [k for k in (4, 8, 16, 32, 64, 128, 256) if k <= len(pca.components)]
        losses = [
            squared(restore(pca, project(pca, spoilt_other, k)), np.asarray(other)) for k in counts
        ]
        best = counts[int(np.argmin(losses))]
        middle = median_filter(spoilt.reshape(-1, side, side), (1, 3, 3)).reshape(spoilt.shape)
        data = {"x": test, "input": spoilt}
        errors = {
            "noisy": squared(spoilt, np.asarray(x)),
            "denoising autoencoder": denoiser.predict(images.mse, data).mean(axis=1),
            "plain autoencoder": plain.predict(images.mse, data).mean(axis=1),
            "PCA": squared(restore(pca, project(pca, spoilt, best)), np.asarray(x)),
            "median filter": squared(middle, np.asarray(x)),
        }
        row = {"noise": name} | {k: images.psnr(error) for k, error in errors.items()}
        rows.append(row | {"components of PCA": best})
        few = {k: v[:10] for k, v in data.items()}
        shown[name] = spoilt[:10]
        shown[f"{name}, cleaned"] = denoiser.predict(images.pixels, few)[0]
    title = f"Noise removal: PSNR in dB, {len(x):,} test images; one denoiser for all kinds"
    return Table(title, rows, digits=2), shown


def similar_images(
    fits: Mapping[str, Fitted], pca: PCA, gallery: Labelled, queries: Labelled, k: int = 10
) -> Table:
    """Share of the k nearest training images that have the query's class, by kind of distance."""
    classes = len(np.unique(gallery.label))

    def precision(a, b):
        return retrieval.precision_at_k(a, gallery.label, b, queries.label, k)

    def row(name, numbers, found):
        return {"distance between": name, "numbers": numbers, f"precision at {k}": found}

    rows = []
    for name, fitted in fits.items():
        codes = [fitted.predict(images.code, {"x": part.x}) for part in (gallery, queries)]
        found = [precision(*pair) for pair in zip(*codes, strict=True)]
        rows.append(row(f"codes, {name}", codes[0].shape[-1], np.array(found)))
    size = rows[0]["numbers"]
    both = [part.x / np.float32(255) for part in (gallery, queries)]
    short = [project(pca, part, size) for part in both]
    rows.append(row("principal components", size, precision(*short)))
    rows.append(row("pixels", both[0].shape[1], precision(*both)))
    rows.append(row("nothing: chance", None, 1 / classes))
    title = f"Similar images: share of the same class, {len(queries.x):,} test images against "
    return Table(f"{title}{len(gallery.x):,} training images", rows)


def search_rows(
    fitted: Fitted, gallery: Labelled, queries: Labelled, k: int = 9
) -> dict[str, np.ndarray]:
    """For a figure: each query and the images with the nearest codes, first member."""
    one = fitted.member(0)
    codes = [one.predict(images.code, {"x": part.x})[0] for part in (gallery, queries)]
    found = retrieval.nearest(*codes, k).row
    rows = enumerate(zip(queries.x, found, strict=True), start=1)
    return {f"query {i}, found": np.vstack([x, gallery.x[near]]) / 255 for i, (x, near) in rows}


def between(module: Any, fitted: Fitted, test: Labelled, steps: int) -> dict[str, np.ndarray]:
    """For a figure: from one image to another on straight lines, of codes and of pixels."""
    one, rows = fitted.member(0), {}
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    for i in (0, 2, 4):
        ends = test.x[i : i + 2]
        code = one.predict(images.code, {"x": ends})[0]
        line = (1 - share) * code[0] + share * code[1]
        rows[f"pair {i // 2 + 1}, by codes"] = images.decode(module, one, line[None])[0]
        rows[f"pair {i // 2 + 1}, by pixels"] = ((1 - share) * ends[0] + share * ends[1]) / 255
    return rows


def gaussian_codes(
    key: Array, train: Float[np.ndarray, "rows code"], count: int
) -> Float[np.ndarray, "count code"]:
    """New codes from a Gaussian with the mean and covariance of the training codes."""
    covariance = np.cov(train, rowvar=False)
    draws = jax.random.multivariate_normal(key, train.mean(axis=0), covariance, (count,))
    return np.asarray(draws, np.float32)


def changed_images(
    module: Any, fitted: Fitted, pca: PCA, gallery: Labelled, test: Labelled
) -> tuple[Table, dict[str, np.ndarray]]:
    """Images between two, images moved to another class, images out of nothing; first member.

    Judged by the nearest training images: how far the nearest is, and whether most of the nearest
    five have the class that was meant. Pixels and principal components are treated as codes are.

    Returns:
        The table, and for the figure: label -> 10 images.
    """
    x, known = (part.x / np.float32(255) for part in (test, gallery))
    one, count = fitted.member(0), len(x)
    codes = [one.predict(images.code, {"x": part.x})[0] for part in (gallery, test)]
    size = codes[0].shape[1]
    spaces = {
        "code": (*codes, lambda z: images.decode(module, one, z[None])[0]),
        "pixels": (known, x, lambda z: np.clip(z, 0, 1)),
        "PCA": (
            project(pca, known, size),
            project(pca, x, size),
            lambda z: np.clip(restore(pca, z), 0, 1),
        ),
    }
    classes = int(gallery.label.max()) + 1
    target = (test.label + 1) % classes
    made = {"test images": (x, test.label)}
    for name, (train_z, z, image) in spaces.items():
        centre = np.stack([train_z[gallery.label == k].mean(axis=0) for k in range(classes)])
        moved = z + centre[target] - centre[test.label]
        if name != "pixels":
            made[f"copies, {name}"] = (image(z), test.label)
        made[f"half way to the next image, {name}"] = (image((z + np.roll(z, -1, 0)) / 2), None)
        made[f"moved to the next class, {name}"] = (image(moved), target)
        if name != "pixels":  # a Gaussian of 784 pixels is PCA's with more components
            drawn = gaussian_codes(jax.random.key(0), train_z, count)
            made[f"drawn from a Gaussian, {name}"] = (image(drawn), None)
    rows = []
    for name, (picture, meant) in made.items():
        found = retrieval.nearest(known, picture, 5)
        votes = retrieval.vote(gallery.label[found.row], classes)
        share = np.bincount(votes, minlength=classes) / len(votes)
        rows.append(
            {
                "images": name,
                "MSE to the nearest training image": found.mse[:, 0].mean(),
                "of the class that was meant": None if meant is None else (votes == meant).mean(),
                "classes seen, bits": entropy(share, base=2),
            }
        )
    title = f"Change and generation: {count:,} images of each kind, judged by their neighbours"
    return Table(title, rows), {name: picture[:10] for name, (picture, _) in made.items()}


def maps_of(fitted: Fitted, test: Labelled, with_tsne: bool) -> tuple[Table, dict[str, np.ndarray]]:
    """Two-dimensional maps of the first member's codes and of pixels, and how they keep classes.

    Returns:
        The table, and label -> points [rows, 2].
    """
    from sklearn.decomposition import PCA as Components
    from sklearn.manifold import TSNE

    codes = fitted.member(0).predict(images.code, {"x": test.x})[0]
    maps = {}
    for name, values in (("codes", codes), ("pixels", test.x / np.float32(255))):
        maps[f"PCA of {name}"] = Components(2, random_state=0).fit_transform(values)
        if with_tsne:
            maps[f"t-SNE of {name}"] = TSNE(2, init="pca", random_state=0).fit_transform(values)
    whole = {"all numbers of codes": codes, "all pixels": test.x / np.float32(255)}
    rows = [
        {"map": name, "numbers": points.shape[1], "of 10 neighbours, same class": agree}
        for name, points in (maps | whole).items()
        for agree in [retrieval.agreement(points, test.label, 10)]
    ]
    return Table(f"Latent map: {len(test.x):,} test images, first seed", rows), maps


def few_labels(
    accuracies: Mapping[int, Mapping[str, Float[np.ndarray, " seeds"]]], rows: int
) -> Table:
    """Accuracy by number of labels (rows) and classifier (columns)."""
    lines: Sequence[dict] = [{"labels": count, **found} for count, found in accuracies.items()]
    return Table(f"Pre-training: accuracy on {rows:,} test images, labels drawn by seed", lines)
