"""Lab 460 - simple, stacked and convolutional autoencoders on (Fashion-)MNIST (오토인코더)

Images of 28 x 28 pixels go through 32 or 64 numbers and come back. Two protocols stand side by
side. The lecture's: binary cross-entropy, Adam 1e-3, batch 256, 50 epochs on 60,000 images, the
test images as validation curve (nothing is chosen by it). A better one: squared error, a learning
rate that falls to zero, the last 5,000 training images held out to choose the epoch, test images
used once. PCA with as many numbers, an untrained net and the mean image stand beside them.

    python run.py experiments/mnist_autoencoder.py --seeds 5
    python run.py experiments/mnist_autoencoder.py --data mnist --seeds 5
    python run.py experiments/mnist_autoencoder.py --images my_pictures
    python run.py experiments/mnist_autoencoder.py --models convolutional --better-epochs 12
    python run.py --predict RUN picture.png folder_of_pictures

Reference: the lecture's stored run (Fashion-MNIST, stacked, test): BCE 0.2765; it has no squared
error. Goals at 32 numbers on Fashion-MNIST, mean squared error on test: stacked-wide at most
0.0105, convolutional at most 0.0085. Expected: docs/results.md.
Runtime on one CPU core: three minutes per seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from datasets import labelled_images, mnist, splits, user_images
from datasets.splits import Rows
from datasets.user_images import DigitImages
from jaxdl import optim, pca
from jaxdl.anomaly.percentiles import percentiles
from jaxdl.figures.base import Figure
from jaxdl.figures.curves import loss_curves
from jaxdl.figures.images import image_rows
from jaxdl.models.autoencoder import ConvAutoencoder, DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.report import Results, Table, table
from jaxdl.runs import Run
from jaxdl.training import Fitted
from jaxdl.training.task import Batch
from jaxdl.vision.autoencoder_task import (
    Reconstruction,
    cross_entropy,
    encoded,
    reconstructed,
    reconstruction_task,
    squared_error,
    unit_range,
)

ModelName = Literal[
    "simple-32", "simple-64", "stacked", "stacked-mse", "stacked-wide", "convolutional"
]
BETTER = ("stacked-mse", "stacked-wide", "convolutional")  # trained by the better protocol
GOALS = {"stacked-wide": 0.0105, "convolutional": 0.0085}  # test MSE on Fashion-MNIST, at most
PIXELS = mnist.SIDE**2
MOST_COMPONENTS = 64  # of PCA
CODE = 32  # numbers in the code of all nets but simple-64


@dataclass(frozen=True)
class Config:
    data: mnist.Name = "fashion_mnist"
    """Which images."""
    models: tuple[ModelName, ...] = get_args(ModelName)[:5]
    """The first three are the lecture's nets and protocol, the others take the better protocol;
    stacked-mse is the lecture's stacked net again. "convolutional" takes its time."""
    epochs: int = 50
    """Passes of the lecture's protocol."""
    batch_size: int = 256
    """Images in one of its steps."""
    better_epochs: int = 20
    """Passes of the better protocol."""
    better_batch: int = 128
    """Images in one of its steps."""
    learning_rate: float = 2e-3
    """Its highest learning rate; the lecture's is 1e-3 throughout."""
    valid_rows: int = 5000
    """Training images, the last ones, that it holds out to choose the epoch."""
    hidden: tuple[int, ...] = (512, 256)
    """Hidden layers of the wide net; the last is the convolutional net's dense layer, too."""
    channels: int = 48
    """Of the convolutional net, which cuts the image into 7 x 7 patches."""
    twin_rows: int = mnist.ROWS
    """Training images of the simulated twin, where no real files are found."""
    images: Path | None = None
    """A folder of one's own pictures, a sub-folder for each class, in place of MNIST."""
    test_share: float = user_images.TEST_SHARE
    """Part of each class to test on (--images, where there are no folders train and test)."""
    split_seed: int = field(default=0, metadata={"least": 0})
    """Seed of that choice."""


PRESETS = {
    "quick": Config(
        models=("simple-32", "convolutional"),
        epochs=4,
        batch_size=32,
        better_epochs=8,
        better_batch=32,
        learning_rate=1e-2,
        valid_rows=120,
        hidden=(64, 64),
        channels=8,
        twin_rows=1200,
    )
}


def main(config: Config, run: Run) -> Results:
    data, valid_rows, remarks = load_images(config, run)
    train = {"x": labelled_images.flat(data.train.image)}
    test = {"x": labelled_images.flat(data.test.image)}
    kept, _ = splits.split_last(train, valid_rows)

    fits, rows = {}, []
    for name in config.models:
        fits[name] = fit(config, run, name, train, test, valid_rows)
        rows.append(net_row(name, "better" if name in BETTER else "lecture", fits[name], test))
    stacked = reconstruction_task(autoencoder("stacked", config), cross_entropy, 1e-3)
    untrained = run.fit("untrained", stacked, train, epochs=0, batch_size=config.batch_size)
    rows.append(net_row("stacked, untrained", "-", untrained, test))
    rows += pca_rows(train["x"], test["x"])

    title = f"{data.provenance.name}, {len(test['x']):,} test images"
    if any(name in BETTER for name in config.models):
        title += f"; better protocol: {len(kept['x']):,} to train on, "
        title += f"{valid_rows:,} to choose the epoch"
    errors = {row["model"]: row["test MSE"] for row in rows}
    notes = ["BCE has a floor that no copy reaches: grey pixels carry entropy of their own."]
    notes += remarks
    if (
        config.images is None
        and config.data == "fashion_mnist"
        and data.provenance.kind != "simulated"
    ):
        for name in fits:
            if name in GOALS:
                notes.append(table.goal_line(f"{name}, test MSE", errors[name], GOALS[name]))
    last = config.models[-1]
    return Results(
        tables=[Table(title, rows, digits=4)],
        figures=figures(fits, test["x"][:10]),
        headline={f"test MSE, {last}": errors[last]},
        notes=notes,
    )


def predict(config: Config, run: Run, inputs: Sequence[str]) -> Results:
    """How well a finished run copies pictures that are named by file or folder.

    The last of its nets is asked, the one of the headline. A picture's error is placed among those
    of the test images: a high percentile says that the net has seen little like it. Errors are
    means of the seeds, reconstructions the first seed's.
    """
    data, valid_rows, _ = load_images(config, run)
    pictures = user_images.named(inputs, mnist.SIDE, colour=False)
    train = {"x": labelled_images.flat(data.train.image)}
    test = {"x": labelled_images.flat(data.test.image)}
    asked = {"x": labelled_images.flat(pictures.pixels)}
    name = config.models[-1]
    fitted = fit(config, run, name, train, test, valid_rows)

    error = fitted.predict(squared_error, asked).mean(axis=0)
    percentile = percentiles(error, among=fitted.predict(squared_error, test).mean(axis=0))
    rows = [
        {"picture": picture, "MSE": own, "percentile among test images": place}
        for picture, own, place in zip(pictures.names, error, percentile, strict=True)
    ]
    title = f"{len(rows):,} pictures, reconstructed by {name}, mean of {len(fitted.seeds)} seeds"
    return Results(
        [Table(title, rows, digits=4, verbatim=True)],
        {"reconstructions": partial(pictures_and_copies, fitted, asked["x"], percentile)},
        notes=[
            *pictures.remarks,
            *user_images.brightness_notes(pictures.pixels, data.test.image),
            "Percentile: share of the test images that the net copies better.",
        ],
    )


# ---- data ----------------------------------------------------------------------------------------


def load_images(config: Config, run: Run) -> DigitImages:
    """A set of digits or clothes, or pictures of one's own."""
    found = user_images.load_or_mnist(
        run.source,
        config.images,
        data=config.data,
        twin_rows=config.twin_rows,
        valid_rows=config.valid_rows,
        test_share=config.test_share,
        seed=config.split_seed,
    )
    run.uses(found.images.provenance)
    return found


# ---- models --------------------------------------------------------------------------------------


def autoencoder(name: ModelName, config: Config) -> DenseAutoencoder | ConvAutoencoder:
    """The net of this name; the decoder mirrors the encoder and ends in logits of pixels."""
    if name == "simple-32":
        return DenseAutoencoder(PIXELS, (32,))
    if name == "simple-64":
        return DenseAutoencoder(PIXELS, (64,))
    if name in ("stacked", "stacked-mse"):
        return DenseAutoencoder(PIXELS, (128, 64, CODE))
    if name == "stacked-wide":
        widths = (*config.hidden, CODE)
        return DenseAutoencoder(PIXELS, widths, jax.nn.gelu, code_activation=identity)
    return ConvAutoencoder(
        mnist.SIDE, patch=4, channels=config.channels, hidden=config.hidden[-1], code=CODE
    )


# ---- training ------------------------------------------------------------------------------------


def fit(
    config: Config, run: Run, name: ModelName, train: Rows, test: Rows, valid_rows: int
) -> Fitted:
    """The net of this name, trained by its own protocol.

    Args:
        config, run: of the lab.
        name: of the net.
        train: all training images.
        test: for the lecture's curves.
        valid_rows: of the last training images, for the better protocol's choice of the epoch.
    """
    if name in BETTER:
        kept, held_out = splits.split_last(train, valid_rows)
        return fit_better(config, run, name, kept, held_out)
    return fit_as_in_lecture(config, run, name, train, test)


def fit_as_in_lecture(config: Config, run: Run, name: ModelName, train: Rows, test: Rows) -> Fitted:
    """Cross-entropy, Adam 1e-3, the last epoch's weights; test images only draw the curve."""
    task = reconstruction_task(autoencoder(name, config), cross_entropy, learning_rate=1e-3)
    return run.fit(name, task, train, test, epochs=config.epochs, batch_size=config.batch_size)


def fit_better(config: Config, run: Run, name: ModelName, kept: Rows, held_out: Rows) -> Fitted:
    """Squared error, a falling learning rate, the epoch with the least error on held-out images."""
    size = {"epochs": config.better_epochs, "batch_size": config.better_batch}
    falling = optim.cosine(config.learning_rate, rows=len(kept["x"]), **size)
    task = reconstruction_task(autoencoder(name, config), squared_error, falling)
    # as much patience as there are epochs: all of them are trained, the best one is kept
    return run.fit(name, task, kept, held_out, patience=config.better_epochs, **size)


# ---- what we see ---------------------------------------------------------------------------------


def errors_and_code(outputs: Reconstruction, batch: Batch) -> dict[str, Array]:
    """Both errors of each image, and its code."""
    return {
        "bce": cross_entropy(outputs, batch),
        "mse": squared_error(outputs, batch),
        "code": outputs.code,
    }


def net_row(
    name: str, protocol: Literal["lecture", "better", "-"], fitted: Fitted, test: Rows
) -> dict[str, Any]:
    """A line of the table for a net: what it is, and its mean errors over all test images."""
    found = fitted.predict(errors_and_code, test)
    return {
        "model": name,
        "protocol": protocol,
        "numbers in the code": found["code"].shape[-1],
        "parameters": fitted.parameter_count,
        "test BCE": found["bce"].mean(axis=1),
        "test MSE": found["mse"].mean(axis=1),
        "epoch of the weights": fitted.best_epoch if protocol == "better" else None,
    }


def pca_rows(
    train: UInt8[np.ndarray, "rows pixels"], test: UInt8[np.ndarray, "others pixels"]
) -> list[dict[str, Any]]:
    """The lines of PCA with as many components as the codes have numbers, and with none."""
    most = min(MOST_COMPONENTS, len(train))
    errors = pca.pca_errors(unit_range(train), unit_range(test), most)
    rows = []
    for components in (MOST_COMPONENTS, CODE, 0):
        if components > most:  # fewer images than components
            continue
        rows.append(
            {
                "model": f"PCA, {components} components" if components else "mean image",
                "protocol": None,
                "numbers in the code": components,
                "parameters": None,
                "test BCE": None,
                "test MSE": errors[components],
                "epoch of the weights": None,
            }
        )
    return rows


def figures(
    fits: dict[str, Fitted], images: UInt8[np.ndarray, "rows pixels"]
) -> dict[str, Callable[[], Figure]]:
    """Some images with their codes and copies for each net, and the curves of both errors."""
    drawn = {f"copies_{name}": partial(image_copies, fit, images) for name, fit in fits.items()}
    histories = {name: fitted.history for name, fitted in fits.items()}
    for kind in ("bce", "mse"):
        label = f"{kind.upper()}, pixels"
        # held out are test images in the lecture's protocol, validation images in the better one
        drawn[kind] = partial(
            loss_curves, histories, name=kind, ylabel=label, log=True, held_out="held out"
        )
    return drawn


def pictures_and_copies(
    fitted: Fitted,
    images: UInt8[np.ndarray, "rows pixels"],
    percentile: Float[np.ndarray, " rows"],
    most: int = 12,
) -> Figure:
    """The first pictures, as the net sees them, and the first member's copies below.

    Args:
        fitted: the net.
        images: the pictures.
        percentile: of each one's error among those of the test images, written above it.
        most: pictures that are shown.
    """
    copy = fitted.predict(reconstructed, {"x": images[:most]})[0]
    titles = [f"percentile\n{place:.0f}" for place in percentile[:most]]
    return image_rows({"picture": images[:most] / 255, "reconstruction": copy}, titles)


def image_copies(fitted: Fitted, images: UInt8[np.ndarray, "rows pixels"]) -> Figure:
    """Images, their codes drawn as small pictures, and the first member's copies."""
    code = fitted.predict(encoded, {"x": images})[0]
    copy = fitted.predict(reconstructed, {"x": images})[0]
    return image_rows({"original": images / 255, "code": code, "reconstruction": copy})
