"""Lab 460, second part - what an autoencoder is good for (오토인코더 활용)

The deck lists uses of autoencoders. Here six of them are shown and measured, one section each, with
one net on (Fashion-)MNIST, 784-512-256-32 and back:

1. compression: the code in place of the image, against PCA of the same size;
2. noise removal: a denoising autoencoder against PCA and a median filter;
3. search for similar images: the nearest codes against the nearest pixels;
4. change and generation: images between two others, moved to another class, made out of nothing;
5. pre-training without labels: classifiers that start from the encoder and see few labels;
6. a map of the codes: whether two dimensions keep classes together.

    python run.py experiments/mnist_promises.py --seeds 10
    python run.py experiments/mnist_promises.py --data mnist --seeds 3

Protocol: 55,000 training images, the last 5,000 choose the epoch (and PCA's size against noise),
test images are used once. Labels serve only to judge, and where a number of labels is named. Tables
of changed images and of maps show the first seed.
Reference: the deck has no numbers. Beside the net stand PCA (in 1 to 4 and 6), a median filter (2),
pixels (3, 4, 6), an untrained net and chance (3), a net from scratch and linear classifiers (5).
Expected: docs/results.md. Runtime on one CPU core: about 22 minutes for ten seeds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8
from scipy.ndimage import median_filter
from scipy.stats import entropy
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datasets import labelled_images, mnist, splits
from datasets.splits import Rows
from jaxdl import losses, optim
from jaxdl.errors import UserError
from jaxdl.figures.base import Figure
from jaxdl.figures.curves import loss_curves
from jaxdl.figures.images import image_rows
from jaxdl.figures.points import latent_maps
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.pca import PCA, fit_pca, pca_errors, project, restore
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task
from jaxdl.training.task import Batch, Hyper
from jaxdl.vision import corruptions
from jaxdl.vision.autoencoder_task import (
    encoded,
    reconstructed,
    reconstruction_task,
    squared_error,
    unit_range,
)
from jaxdl.vision.corruptions import Corruption
from jaxdl.vision.retrieval import (
    Neighbours,
    majority_vote,
    nearest,
    neighbour_agreement,
    precision_at_k,
)

PIXELS = mnist.SIDE**2
CLASSES = 10
MOST_COMPONENTS = 256  # of PCA

OneOrPerSeed = float | np.floating | Float[np.ndarray, " _"]


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
    train, held_out, test = labelled_parts(data, config.valid_rows)
    check_sizes(config, train, test)
    noises = kinds_of_noise(config)
    nets = train_autoencoders(config, run, train, held_out, noises)

    # the six uses, each judged on test images
    compression = compression_table(nets, train, test)
    cleaned, noisy_examples = remove_noise(nets, noises, held_out, test)
    similar = search_table(nets, train, test.first(config.queries))
    made, made_examples = change_and_generate(nets, train, test.first(config.made))
    taught = pretraining_table(config, run, nets, train, test)
    mapped, maps = map_codes(nets, test.first(config.mapped), config.tsne)

    histories = {"autoencoder": nets.plain.history, "denoiser": nets.denoiser.history}
    mapped_label = test.label[: config.mapped]
    return Results(
        tables=[compression, cleaned, similar, made, taught, mapped],
        figures={
            "loss": partial(loss_curves, histories, "mse", "MSE (denoiser: of noisy images)"),
            "noise": partial(image_rows, noisy_examples),
            "similar": partial(images_found, nets, train, test.first(8)),
            "between": partial(images_between, nets, test),
            "changed_and_made": partial(image_rows, made_examples),
            "maps": partial(latent_maps, maps, mapped_label, data.classes),
        },
        headline={"denoised, PSNR": cleaned.rows[0]["denoising autoencoder"]},
    )


# ---- data ----------------------------------------------------------------------------------------


class Labelled(NamedTuple):
    """Flat images, a row of bytes each, and their classes."""

    x: UInt8[np.ndarray, "rows pixels"]
    label: Int[np.ndarray, " rows"]

    def first(self, rows: int) -> "Labelled":
        """The first so many."""
        return Labelled(self.x[:rows], self.label[:rows])

    @property
    def pixels(self) -> Float[np.ndarray, "rows pixels"]:
        """The images with pixels between 0 and 1."""
        return self.x / np.float32(255)


def labelled_parts(
    data: labelled_images.Images, valid_rows: int
) -> tuple[Labelled, Labelled, Labelled]:
    """Training images, the held-out ones that choose the epoch, test images."""
    image, label = labelled_images.flat(data.train.image), data.train.label
    train, held_out = splits.split_last({"x": image, "label": label}, valid_rows)
    test = Labelled(labelled_images.flat(data.test.image), data.test.label)
    return Labelled(**train), Labelled(**held_out), test


def check_sizes(config: Config, train: Labelled, test: Labelled) -> None:
    """Whether there are images enough for the code, the labels and the maps.

    Raises:
        UserError: there are not.
    """
    most = min(len(train.x), PIXELS)
    if config.widths[-1] > most:
        raise UserError(
            f"--widths ... {config.widths[-1]}: the code stands beside PCA with as many "
            f"components, and {len(train.x):,} images of {PIXELS} pixels have {most}; give a "
            "smaller last width"
        )
    for count in config.labels:
        labels_of_a_class(train, count)
    mapped = len(test.first(config.mapped).x)
    least = PERPLEXITY + 1 if config.tsne else MAP_NEIGHBOURS + 1
    if mapped < least:
        raise UserError(
            f"{mapped} test images on the maps (--mapped) are too few: at least {least} are needed"
        )


# ---- the nets, and PCA beside them ---------------------------------------------------------------


class Nets(NamedTuple):
    """What all sections use.

    Attributes:
        model: the autoencoder's layers.
        plain: trained to reconstruct images.
        denoiser: trained to reconstruct images from noisy ones.
        untrained: not trained at all.
        pca: principal components of the training images.
    """

    model: DenseAutoencoder
    plain: Fitted
    denoiser: Fitted
    untrained: Fitted
    pca: PCA


def train_autoencoders(
    config: Config,
    run: Run,
    train: Labelled,
    held_out: Labelled,
    noises: Mapping[str, Corruption],
) -> Nets:
    """Two autoencoders with the same layers, one of which sees noisy images; and PCA."""
    model = DenseAutoencoder(PIXELS, config.widths, jax.nn.gelu, code_activation=identity)
    size = {"epochs": config.epochs, "batch_size": config.batch_size}
    falling = optim.cosine(config.learning_rate, rows=len(train.x), **size)
    copying = reconstruction_task(model, squared_error, falling)
    any_noise = corruptions.one_of(list(noises.values()))
    denoising = reconstruction_task(model, squared_error, falling, corrupt=any_noise)

    # as much patience as there are epochs: all of them are trained, the best one is kept. The
    # denoiser's is the one that cleans held-out images best, so these are noisy, too
    fit = partial(run.fit, train={"x": train.x}, patience=config.epochs, **size)
    noisy = np.asarray(any_noise(jax.random.key(0), unit_range(held_out.x)))
    plain = fit("autoencoder", copying, valid={"x": held_out.x})
    denoiser = fit("denoiser", denoising, valid={"x": held_out.x, "input": noisy})
    untrained = run.fit(
        "untrained", copying, {"x": train.x}, epochs=0, batch_size=config.batch_size
    )
    pca = fit_pca(unit_range(train.x), most_components(train, config.widths[-1]))
    return Nets(model, plain, denoiser, untrained, pca)


def most_components(train: Labelled, code: int) -> int:
    """How many principal components are looked at: as many as the code has numbers, at least."""
    return min(max(MOST_COMPONENTS, code), len(train.x), PIXELS)


def codes_of(fitted: Fitted, images: Labelled) -> Float[np.ndarray, "seeds rows code"]:
    """The codes of images, by each member's encoder."""
    return fitted.predict(encoded, {"x": images.x})


def decode(
    model: DenseAutoencoder, fitted: Fitted, codes: Float[np.ndarray, "seeds rows code"]
) -> Float[np.ndarray, "seeds rows pixels"]:
    """Images of codes, pixels between 0 and 1; each member decodes its own."""

    @jax.jit
    def images_of(variables, code):
        return jax.nn.sigmoid(model.apply(variables, code, method="decode"))

    images = []
    for member, code in enumerate(codes):
        own = jax.tree.map(lambda leaf, m=member: leaf[m], fitted.variables)
        images.append(np.asarray(images_of(own, code)))
    return np.stack(images)


def mean_squared_error(
    a: Float[np.ndarray, " *seeds rows pixels"], b: Float[np.ndarray, "rows pixels"]
) -> OneOrPerSeed:
    """Mean over rows and pixels."""
    return np.square(a - b).mean(axis=(-2, -1))


def psnr(mse: OneOrPerSeed) -> OneOrPerSeed:
    """Peak signal-to-noise ratio in dB, 10 log10(peak^2 / MSE), for pixels whose peak is 1."""
    return 10 * np.log10(1 / np.maximum(np.asarray(mse, np.float64), 1e-12))


# ---- 1. compression ------------------------------------------------------------------------------
# An image can be stored as its code, since the decoder needs nothing else: 32 numbers in place of
# 784 bytes, as float32 or rounded to a byte each.

LEVELS = 255  # steps of a number that is stored in one byte
RANGE_ROWS = 5000  # training images from which the range of a stored number is known


def compression_table(nets: Nets, train: Labelled, test: Labelled) -> Table:
    """Error and size of the code, as float32 numbers and as bytes, beside PCA of the same size."""
    x, known = test.pixels, train.first(RANGE_ROWS)

    codes, known_codes = codes_of(nets.plain, test), codes_of(nets.plain, known)
    stored = [in_bytes(own, of) for own, of in zip(codes, known_codes, strict=True)]
    size = codes.shape[-1]
    error = mean_squared_error(decode(nets.model, nets.plain, codes), x)
    error_stored = mean_squared_error(decode(nets.model, nets.plain, np.stack(stored)), x)

    most = most_components(train, size)
    pca_error = pca_errors(unit_range(train.x), unit_range(test.x), most)
    components = project(nets.pca, x, size)
    components_stored = in_bytes(components, project(nets.pca, known.pixels, size))
    pca_error_stored = mean_squared_error(restore(nets.pca, components_stored), x)

    pca_name = f"PCA, {size} components"
    rows = [
        compression_row("autoencoder", size, 4 * size, error),
        compression_row("autoencoder, a byte each", size, size, error_stored),
        compression_row(pca_name, size, 4 * size, float(pca_error[size])),
        compression_row(f"{pca_name}, a byte each", size, size, pca_error_stored),
    ]
    enough = np.flatnonzero(pca_error <= error.mean())
    if len(enough):
        fewest = int(enough[0])
        name = "PCA, as many components as the autoencoder's error needs"
        rows.append(compression_row(name, fewest, 4 * fewest, float(pca_error[fewest])))
    return Table(f"Compression: {len(x):,} test images, 784 bytes each", rows, digits=4)


def compression_row(method: str, numbers: int, size: int, mse: OneOrPerSeed) -> dict[str, Any]:
    """A line of the table; `size` is that of a compressed image in bytes."""
    return {
        "method": method,
        "numbers": numbers,
        "bytes for 784": size,
        "MSE": mse,
        "PSNR, dB": psnr(mse),
    }


def in_bytes(
    codes: Float[np.ndarray, "rows code"], known: Float[np.ndarray, "others code"]
) -> Float[np.ndarray, "rows code"]:
    """Codes after they were stored in one byte per number; `known` codes give each one's range."""
    low, high = known.min(axis=0), known.max(axis=0)
    step = np.maximum(high - low, 1e-12) / LEVELS
    stored = np.clip(np.round((codes - low) / step), 0, LEVELS)
    return (stored * step + low).astype(np.float32)


# ---- 2. noise removal ----------------------------------------------------------------------------
# A net that has learnt to give back clean images for noisy ones can clean images that it has never
# seen. PCA cleans by leaving out small components, a median filter by looking at nine pixels.

COMPONENTS_TRIED = (4, 8, 16, 32, 64, 128, 256)


def kinds_of_noise(config: Config) -> dict[str, Corruption]:
    """Three kinds of noise by name, with their strengths in it."""
    return {
        f"Gaussian, sd {config.sd:g}": partial(corruptions.gaussian, sd=config.sd),
        f"salt and pepper, {100 * config.salted:g}%": partial(
            corruptions.salt_and_pepper, share=config.salted
        ),
        f"masking, {100 * config.masked:g}%": partial(corruptions.masking, share=config.masked),
    }


def remove_noise(
    nets: Nets, noises: Mapping[str, Corruption], held_out: Labelled, test: Labelled
) -> tuple[Table, dict[str, np.ndarray]]:
    """PSNR of noisy images and of what each method makes of them, by kind of noise.

    PCA keeps as many components as are best on noisy held-out images; the median filter takes
    3 x 3 pixels.

    Returns:
        The table, and for the figure: label -> the first 10 test images.
    """
    clean, clean_held_out = np.asarray(unit_range(test.x)), np.asarray(unit_range(held_out.x))
    rows, examples = [], {"original": clean[:10]}
    for number, (name, noise) in enumerate(noises.items()):
        noisy = np.asarray(noise(jax.random.key(2 * number), unit_range(test.x)))
        other_key = jax.random.key(2 * number + 1)
        noisy_held_out = np.asarray(noise(other_key, unit_range(held_out.x)))
        data = {"x": test.x, "input": noisy}

        best = best_components(nets.pca, noisy_held_out, clean_held_out)
        by_pca = restore(nets.pca, project(nets.pca, noisy, best))
        images = noisy.reshape(-1, mnist.SIDE, mnist.SIDE)
        by_median = median_filter(images, size=(1, 3, 3)).reshape(noisy.shape)
        rows.append(
            {
                "noise": name,
                "noisy": psnr(mean_squared_error(noisy, clean)),
                "denoising autoencoder": psnr(mean_error(nets.denoiser, data)),
                "plain autoencoder": psnr(mean_error(nets.plain, data)),
                "PCA": psnr(mean_squared_error(by_pca, clean)),
                "median filter": psnr(mean_squared_error(by_median, clean)),
                "components of PCA": best,
            }
        )

        few = {"x": test.x[:10], "input": noisy[:10]}
        examples[name] = noisy[:10]
        examples[f"{name}, cleaned"] = nets.denoiser.predict(reconstructed, few)[0]
    title = f"Noise removal: PSNR in dB, {len(clean):,} test images; one denoiser for all kinds"
    return Table(title, rows, digits=2), examples


def mean_error(fitted: Fitted, data: Rows) -> Float[np.ndarray, " seeds"]:
    """Mean squared error of each member's reconstructions, against the clean images."""
    return fitted.predict(squared_error, data).mean(axis=1)


def best_components(
    pca: PCA, noisy: Float[np.ndarray, "rows pixels"], clean: Float[np.ndarray, "rows pixels"]
) -> int:
    """The number of components with which PCA removes the most noise from these images."""
    counts = [count for count in COMPONENTS_TRIED if count <= len(pca.components)]
    errors = []
    for count in counts:
        cleaned = restore(pca, project(pca, noisy, count))
        errors.append(mean_squared_error(cleaned, clean))
    return counts[int(np.argmin(errors))]


# ---- 3. search for similar images ----------------------------------------------------------------
# Images whose codes are near should be alike. Labels play no part in the search; they judge it.

NEIGHBOURS = 10


def search_table(nets: Nets, gallery: Labelled, queries: Labelled) -> Table:
    """Share of the 10 nearest training images that have the query's class, by kind of distance."""
    rows = []
    fits = {
        "codes, autoencoder": nets.plain,
        "codes, denoising autoencoder": nets.denoiser,
        "codes, untrained": nets.untrained,
    }
    for name, fitted in fits.items():
        members = zip(codes_of(fitted, gallery), codes_of(fitted, queries), strict=True)
        found = [same_class(*own, gallery, queries) for own in members]
        rows.append(search_row(name, nets.model.widths[-1], np.array(found)))

    size = nets.model.widths[-1]
    near = [project(nets.pca, part.pixels, size) for part in (gallery, queries)]
    rows.append(search_row("principal components", size, same_class(*near, gallery, queries)))
    found = same_class(gallery.pixels, queries.pixels, gallery, queries)
    rows.append(search_row("pixels", PIXELS, found))
    chance = 1 / len(np.unique(gallery.label))
    rows.append(search_row("nothing: chance", None, chance))

    title = f"Similar images: share of the same class, {len(queries.x):,} test images against "
    return Table(f"{title}{len(gallery.x):,} training images", rows)


def same_class(
    of_gallery: Float[np.ndarray, "rows numbers"],
    of_queries: Float[np.ndarray, "queries numbers"],
    gallery: Labelled,
    queries: Labelled,
) -> float:
    """Precision at 10 where images are compared by these numbers."""
    return precision_at_k(of_gallery, gallery.label, of_queries, queries.label, NEIGHBOURS)


def search_row(compared: str, numbers: int | None, precision: OneOrPerSeed) -> dict[str, Any]:
    """A line of the table."""
    return {
        "distance between": compared,
        "numbers": numbers,
        f"precision at {NEIGHBOURS}": precision,
    }


def images_found(nets: Nets, gallery: Labelled, queries: Labelled) -> Figure:
    """Each query and the nine training images with the nearest codes, by the first member."""
    first = nets.plain.member(0)
    found = nearest(codes_of(first, gallery)[0], codes_of(first, queries)[0], k=9)
    rows = {}
    for number, (query, near) in enumerate(zip(queries.x, found.row, strict=True), start=1):
        rows[f"query {number}, found"] = np.vstack([query, gallery.x[near]]) / 255
    return image_rows(rows)


# ---- 4. change and generation --------------------------------------------------------------------
# Codes can be averaged, moved and drawn at random; the decoder makes images of the results. Is that
# better than to do the same with pixels, or with principal components?


class Space(NamedTuple):
    """Numbers in place of images, in which one can add, subtract and average.

    Attributes:
        known: training images in these numbers.
        test: test images in these numbers.
        to_images: makes images of such numbers, pixels between 0 and 1.
    """

    known: Float[np.ndarray, "rows numbers"]
    test: Float[np.ndarray, "others numbers"]
    to_images: Callable[[Float[np.ndarray, "n numbers"]], Float[np.ndarray, "n pixels"]]


def spaces_of(nets: Nets, gallery: Labelled, test: Labelled) -> dict[str, Space]:
    """The first member's codes; pixels; and as many principal components as a code has numbers."""
    first = nets.plain.member(0)
    codes, test_codes = codes_of(first, gallery)[0], codes_of(first, test)[0]
    size = codes.shape[1]

    def from_codes(code):
        return decode(nets.model, first, code[None])[0]

    def from_pixels(pixels):
        return np.clip(pixels, 0, 1)

    def from_components(components):
        return np.clip(restore(nets.pca, components), 0, 1)

    pixels, test_pixels = gallery.pixels, test.pixels
    components = project(nets.pca, pixels, size)
    test_components = project(nets.pca, test_pixels, size)
    return {
        "code": Space(codes, test_codes, from_codes),
        "pixels": Space(pixels, test_pixels, from_pixels),
        "PCA": Space(components, test_components, from_components),
    }


def change_and_generate(
    nets: Nets, gallery: Labelled, test: Labelled
) -> tuple[Table, dict[str, np.ndarray]]:
    """Images half way between two, images moved to the next class, images out of nothing.

    Pixels and principal components are treated as codes are. Each kind is judged by its nearest
    training images: how far the nearest is, and whether most of the nearest five have the class
    that was meant.

    Returns:
        The table, and for the figure: label -> 10 images.
    """
    target = (test.label + 1) % CLASSES  # the class that an image is moved to
    made, meant = {"test images": test.pixels}, {"test images": test.label}
    for name, space in spaces_of(nets, gallery, test).items():
        half_way = (space.test + np.roll(space.test, -1, axis=0)) / 2
        centre = class_centres(space.known, gallery.label)
        moved = space.test + centre[target] - centre[test.label]
        if name != "pixels":
            made[f"copies, {name}"] = space.to_images(space.test)
            meant[f"copies, {name}"] = test.label
        made[f"half way to the next image, {name}"] = space.to_images(half_way)
        made[f"moved to the next class, {name}"] = space.to_images(moved)
        meant[f"moved to the next class, {name}"] = target
        if name != "pixels":  # a Gaussian of 784 pixels is PCA's with more components
            drawn = gaussian_codes(jax.random.key(0), space.known, len(test.x))
            made[f"drawn from a Gaussian, {name}"] = space.to_images(drawn)

    rows, known = [], gallery.pixels
    for name, images in made.items():
        found = nearest(known, images, k=5)
        rows.append(judged_row(name, found, gallery.label, meant.get(name)))
    title = (
        f"Change and generation: {len(test.x):,} images of each kind, judged by their neighbours"
    )
    return Table(title, rows), {name: images[:10] for name, images in made.items()}


def class_centres(
    numbers: Float[np.ndarray, "rows numbers"], label: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, "classes numbers"]:
    """The mean of each class."""
    return np.stack([numbers[label == k].mean(axis=0) for k in range(CLASSES)])


def gaussian_codes(
    key: PRNGKeyArray, known: Float[np.ndarray, "rows code"], count: int
) -> Float[np.ndarray, "count code"]:
    """New codes from a Gaussian with the mean and covariance of the known ones."""
    mean, covariance = known.mean(axis=0), np.cov(known, rowvar=False)
    draws = jax.random.multivariate_normal(key, mean, covariance, (count,))
    return np.asarray(draws, np.float32)


def judged_row(
    name: str,
    found: Neighbours,
    label: Int[np.ndarray, " rows"],
    meant: Int[np.ndarray, " n"] | None,
) -> dict[str, Any]:
    """A line of the table.

    Args:
        name: of the kind of images.
        found: the nearest five training images of each; most of them say which class is seen.
        label: of the training images.
        meant: the class that each image should have, if it should have one.
    """
    seen = majority_vote(label[found.row], CLASSES)
    share = np.bincount(seen, minlength=CLASSES) / len(seen)
    return {
        "images": name,
        "MSE to the nearest training image": found.mse[:, 0].mean(),
        "of the class that was meant": None if meant is None else (seen == meant).mean(),
        "classes seen, bits": entropy(share, base=2),
    }


def images_between(nets: Nets, test: Labelled) -> Figure:
    """From one image to another in ten steps on straight lines, of codes and of pixels."""
    first, rows = nets.plain.member(0), {}
    share = np.linspace(0, 1, 10, dtype=np.float32)[:, None]
    for pair in range(3):
        ends = Labelled(test.x[2 * pair : 2 * pair + 2], test.label[2 * pair : 2 * pair + 2])
        start, end = codes_of(first, ends)[0]
        line = (1 - share) * start + share * end
        start, end = ends.pixels
        rows[f"pair {pair + 1}, by codes"] = decode(nets.model, first, line[None])[0]
        rows[f"pair {pair + 1}, by pixels"] = (1 - share) * start + share * end
    return image_rows(rows)


# ---- 5. pre-training: classifiers that see few labels --------------------------------------------
# The encoder has seen 55,000 images, but no label. A classifier that starts from it is compared
# with one that starts from nothing, and with logistic regression, all on the same few labels.

LABELLED_BATCH = 50
CLASSIFIER_RATE = 1e-3  # Adam's step size


def pretraining_table(
    config: Config, run: Run, nets: Nets, train: Labelled, test: Labelled
) -> Table:
    """Test accuracy by number of labels (rows) and classifier (columns)."""
    encoders = encoder_params(nets.plain)
    scratch = classifier_task(nets.model, len(run.seeds))
    pretrained = classifier_task(nets.model, len(run.seeds), encoders)
    size = {"steps": config.classifier_steps, "batch_size": LABELLED_BATCH}
    rows = []
    for count in config.labels:
        shown = draw_labelled(train, count, run.seeds)
        from_scratch = run.fit(f"net-from-scratch-{count}", scratch, shown, **size)
        from_encoder = run.fit(f"net-from-the-encoder-{count}", pretrained, shown, **size)
        rows.append(
            {
                "labels": count,
                **linear_accuracy(nets.plain, shown, test),
                "net from scratch": accuracy(from_scratch, test),
                "net from the encoder": accuracy(from_encoder, test),
            }
        )
    return Table(
        f"Pre-training: accuracy on {len(test.x):,} test images, labels drawn by seed", rows
    )


def draw_labelled(train: Labelled, count: int, seeds: Int[np.ndarray, " seeds"]) -> Rows:
    """For each seed `count` training images whose labels are shown, as many of every class.

    Returns:
        "x" [count, seeds, pixels] and "y" [count, seeds].

    Raises:
        UserError: see `labels_of_a_class`.
    """
    classes, each = np.unique(train.label), labels_of_a_class(train, count)
    chosen = []
    for seed in seeds:
        rng = np.random.Generator(np.random.PCG64([int(seed), count]))
        of_classes = [np.flatnonzero(train.label == k) for k in classes]
        own = [rng.choice(rows, each, replace=False) for rows in of_classes]
        chosen.append(np.concatenate(own))
    rows = np.stack(chosen, axis=1)
    return {"x": train.x[rows], "y": train.label[rows].astype(np.int32)}


def labels_of_a_class(train: Labelled, count: int) -> int:
    """How many of so many labels are of the same class.

    Raises:
        UserError: `count` is not a multiple of the number of classes, or a class has too few.
    """
    images = np.unique(train.label, return_counts=True)[1]
    each, rest = divmod(count, len(images))
    if rest or not each:
        raise UserError(f"{count} labels do not divide among {len(images)} classes")
    if each > images.min():
        raise UserError(
            f"--labels {count}: one of the {len(images)} classes has {images.min()} training "
            f"images; give at most {len(images) * images.min()}"
        )
    return each


def linear_accuracy(
    autoencoder: Fitted, shown: Rows, test: Labelled
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Test accuracy of logistic regression on pixels and on codes, each member with its own."""
    on_pixels, on_codes = [], []
    for member in range(len(autoencoder.seeds)):
        one = autoencoder.member(member)
        own = Labelled(shown["x"][:, member], shown["y"][:, member])
        on_pixels.append(logistic_regression(own.pixels, own.label, test.pixels, test.label))
        codes, test_codes = codes_of(one, own)[0], codes_of(one, test)[0]
        on_codes.append(logistic_regression(codes, own.label, test_codes, test.label))
    return {"linear, pixels": np.array(on_pixels), "linear, codes": np.array(on_codes)}


def logistic_regression(
    x: Float[np.ndarray, "rows numbers"],
    label: Int[np.ndarray, " rows"],
    test_x: Float[np.ndarray, "others numbers"],
    test_label: Int[np.ndarray, " others"],
) -> float:
    """Accuracy on the second rows of a classifier that learnt the first, standardised."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(x, label).score(test_x, test_label)


class Classified(NamedTuple):
    """What a classifier says of each image of a batch, and what is right.

    Attributes:
        logits: of the classes.
        label: the class.
    """

    logits: Float[Array, "batch classes"]
    label: Int[Array, " batch"]


def classification_loss(outputs: Classified, batch: Batch, hyper: Hyper) -> Float[Array, " batch"]:
    """Cross-entropy of each image in nats."""
    del batch, hyper
    return losses.softmax_cross_entropy(outputs.logits, outputs.label)


def hit(outputs: Classified, batch: Batch) -> Float[Array, " batch"]:
    """1 where the class with the largest logit is the right one, else 0."""
    del batch
    return losses.accuracy(outputs.logits, outputs.label)


def encoder_params(autoencoder: Fitted) -> dict[str, Any]:
    """The encoders' layers, [seeds, ...] each."""
    params = autoencoder.variables["params"]
    return {name: layer for name, layer in params.items() if name.startswith("encoder")}


def classifier_task(
    model: DenseAutoencoder, members: int, encoders: dict[str, Any] | None = None
) -> Task:
    """The encoder of `model` with a linear layer on its code, all of it trained.

    Every member of the population has labelled images of its own (`draw_labelled`), and an encoder
    of its own to start from. Its number among the members is a hyper-parameter, by which it finds
    both.

    Args:
        model: the autoencoder; its decoder is not used.
        members: of the population.
        encoders: of trained autoencoders, [members, ...]; None starts from new weights.
    """
    code_size = model.widths[-1]

    def init(key, batch):
        body_key, head_key = jax.random.split(key)
        if encoders is None:
            image = jnp.zeros((1, batch["x"].shape[-1]))
            body = model.init({"params": body_key}, image, method="encode")["params"]
        else:
            # which member this is, is not known here: what is trained is the change of its encoder
            body = jax.tree.map(lambda w: jnp.zeros(w.shape[1:], w.dtype), encoders)
        bound = (6 / (code_size + CLASSES)) ** 0.5  # Glorot and Bengio (2010), uniform
        kernel = jax.random.uniform(head_key, (code_size, CLASSES), minval=-bound, maxval=bound)
        return {"params": {"body": body, "kernel": kernel, "bias": jnp.zeros(CLASSES)}}

    def apply(variables, batch, key, train, hyper):
        del key, train
        member = hyper["member"].astype(jnp.int32)
        x, label = images_of_member(batch, member)
        params = variables["params"]
        encoder = params["body"]
        if encoders is not None:
            encoder = jax.tree.map(lambda start, change: start[member] + change, encoders, encoder)
        code = model.apply({"params": encoder}, unit_range(x), method="encode")
        return Classified(code @ params["kernel"] + params["bias"], label), {}

    return Task(
        init,
        apply,
        classification_loss,
        optimizer=lambda hyper: optim.adam(CLASSIFIER_RATE),
        metrics={"accuracy": hit},
        hyper={"member": np.arange(members)},
    )


def images_of_member(
    batch: Batch, member: Int[Array, ""]
) -> tuple[UInt8[Array, "batch pixels"], Int[Array, " batch"]]:
    """The member's own images and labels; a batch without an axis of members is everybody's."""
    if batch["x"].ndim == 2:
        return batch["x"], batch["y"]
    return batch["x"][:, member], batch["y"][:, member]


def accuracy(classifier: Fitted, test: Labelled) -> Float[np.ndarray, " seeds"]:
    """Share of test images that each member names rightly."""
    data = {"x": test.x, "y": test.label.astype(np.int32)}
    return classifier.predict(hit, data).mean(axis=1)


# ---- 6. a map of the codes -----------------------------------------------------------------------
# PCA or t-SNE lays codes and pixels out in the plane. A good map has neighbours of the same class.

MAP_NEIGHBOURS = 10
PERPLEXITY = 30  # of t-SNE, which needs more images than that


def map_codes(
    nets: Nets, test: Labelled, with_tsne: bool
) -> tuple[Table, dict[str, Float[np.ndarray, "rows 2"]]]:
    """Two-dimensional maps of the first member's codes and of pixels, and how they keep classes.

    Returns:
        The table, and label -> points.
    """
    codes, pixels = codes_of(nets.plain.member(0), test)[0], test.pixels
    maps = {}
    for name, numbers in (("codes", codes), ("pixels", pixels)):
        maps[f"PCA of {name}"] = SklearnPCA(2, random_state=0).fit_transform(numbers)
        if with_tsne:
            tsne = TSNE(2, perplexity=PERPLEXITY, init="pca", random_state=0)
            maps[f"t-SNE of {name}"] = tsne.fit_transform(numbers)

    rows = []
    for name, points in {**maps, "all numbers of codes": codes, "all pixels": pixels}.items():
        rows.append(
            {
                "map": name,
                "numbers": points.shape[1],
                f"of {MAP_NEIGHBOURS} neighbours, same class": neighbour_agreement(
                    points, test.label, k=MAP_NEIGHBOURS
                ),
            }
        )
    return Table(f"Latent map: {len(pixels):,} test images, first seed", rows), maps
