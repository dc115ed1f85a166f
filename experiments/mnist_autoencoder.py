"""Lab 460 - simple, stacked and convolutional autoencoders on (Fashion-)MNIST (오토인코더)

Images of 28 x 28 pixels go through 32 or 64 numbers and come back. Two protocols stand side by
side. The lecture's: binary cross-entropy, Adam 1e-3, batch 256, 50 epochs on 60,000 images, the
test images as validation curve (nothing is chosen by it). A better one: squared error, a learning
rate that falls to zero, the last 5,000 training images held out to choose the epoch, test images
used once. PCA with as many numbers, an untrained net and the mean image stand beside them.

    python run.py experiments/mnist_autoencoder.py --seeds 3
    python run.py experiments/mnist_autoencoder.py --data mnist --seeds 3
    python run.py experiments/mnist_autoencoder.py --models convolutional --better-epochs 12

The lecture's stored run (Fashion-MNIST, stacked, test): BCE 0.2765; it has no squared error. Goals
at 32 numbers on Fashion-MNIST, mean squared error on test: stacked at most 0.0105, convolutional
at most 0.0085. Numbers with seeds: docs/results.md. Runtime on one CPU core: about 1 s per epoch
and seed for the lecture's nets, 6 s for the wide one, 20 s for the convolutional one.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import jax
import numpy as np
from jaxtyping import UInt8

from datasets import labelled_images, mnist, splits
from jaxdl import optim, pca
from jaxdl.figures.curves import loss_curves
from jaxdl.figures.images import image_rows
from jaxdl.models.autoencoder import ConvAutoencoder, DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.report import Results, Table, table
from jaxdl.runs import Run
from jaxdl.training import Fitted, parameter_count
from jaxdl.vision import autoencoder_task
from jaxdl.vision import autoencoder_task as images
from jaxdl.vision.autoencoder_task import pixels

ModelName = Literal[
    "simple-32", "simple-64", "stacked", "stacked-mse", "stacked-wide", "convolutional"
]
MODELS = get_args(ModelName)
# names that train by the better protocol -> the goal on Fashion-MNIST, if there is one
BETTER = {"stacked-mse": None, "stacked-wide": 0.0105, "convolutional": 0.0085}


@dataclass(frozen=True)
class Config:
    data: mnist.Name = "fashion_mnist"
    """Which images."""
    models: tuple[ModelName, ...] = MODELS[:5]
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
    """Hidden layers of the wide net; the code has 32 numbers."""
    channels: int = 48
    """Of the convolutional net, which cuts the image into 7 x 7 patches."""
    twin_rows: int = mnist.ROWS
    """Training images of the simulated twin, where no real files are found."""


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


def module(name: ModelName, config: Config):
    """The net of a name."""
    if name == "convolutional":
        return ConvAutoencoder(mnist.SIDE, 4, config.channels, config.hidden[-1], code=32)
    if name == "stacked-wide":
        return DenseAutoencoder(784, (*config.hidden, 32), jax.nn.gelu, code_activation=identity)
    widths = {"simple-32": (32,), "simple-64": (64,)}.get(name, (128, 64, 32))
    return DenseAutoencoder(784, widths)


def main(config: Config, run: Run) -> Results:
    data = mnist.load(run.source, config.data, config.twin_rows)
    run.uses(data.provenance)
    train, test = ({"x": labelled_images.flat(half.image)} for half in (data.train, data.test))
    kept, held = splits.split_off(train, config.valid_rows)
    lecture = {"epochs": config.epochs, "batch_size": config.batch_size}
    better = {"epochs": config.better_epochs, "batch_size": config.better_batch}
    falling = optim.cosine(config.learning_rate, rows=len(kept["x"]), **better)

    fits = {}
    for name in config.models:
        if name in BETTER:
            task = images.copy_task(module(name, config), "mse", falling)
            fits[name] = run.fit(name, task, kept, held, patience=config.better_epochs, **better)
        else:  # the test curve is the lecture's validation curve; nothing is chosen by it
            task = images.copy_task(module(name, config), "bce", 1e-3)
            fits[name] = run.fit(name, task, train, test, **lecture)
    blank = images.copy_task(module("stacked", config), "bce", 1e-3)
    blank = run.fit("untrained", blank, train, epochs=0, batch_size=config.batch_size)

    rows = []
    for name, fitted in {**fits, "stacked, untrained": blank}.items():
        way = "better" if name in BETTER else "-" if fitted is blank else "lecture"
        found = fitted.predict(images.errors_and_code, test)
        rows.append(
            {
                "model": name,
                "protocol": way,
                "numbers in the code": found["code"].shape[-1],
                "parameters": parameter_count(fitted.variables) // len(run.seeds),
                "test BCE": found["bce"].mean(axis=1),
                "test MSE": found["mse"].mean(axis=1),
                "epoch of the weights": fitted.best_epoch if name in BETTER else None,
            }
        )
    linear = pca.pca_errors(images.unit(train["x"]), images.unit(test["x"]), most=64)
    for k in (64, 32, 0):
        name = f"PCA, {k} components" if k else "mean image"
        rows.append({"model": name, "numbers in the code": k, "test MSE": linear[k]})
    rows = [dict.fromkeys(rows[0]) | row for row in rows]

    histories = {name: fitted.history for name, fitted in fits.items()}
    figures = {f"copies_{n}": partial(image_copies, f, test["x"][:10]) for n, f in fits.items()}
    for kind in ("bce", "mse"):
        figures[kind] = partial(loss_curves, histories, name=kind, ylabel=f"{kind.upper()}, pixels")
    errors = {row["model"]: row["test MSE"] for row in rows}
    notes = ["BCE has a floor that no copy reaches: grey pixels carry entropy of their own."]
    if config.data == "fashion_mnist" and data.provenance.kind != "simulated":
        wanted = [name for name in fits if BETTER.get(name)]
        notes += [table.goal_line(f"{n}, test MSE", errors[n], BETTER[n]) for n in wanted]
    title = f"{data.provenance.name}, {len(test['x']):,} test images; better protocol: "
    title += f"{len(kept['x']):,} to train on, {config.valid_rows:,} to choose the epoch"
    headline = {f"test MSE, {name}": errors[name] for name in config.models[-1:]}
    return Results([Table(title, rows, digits=4)], figures, headline, notes)


def image_copies(fitted: Fitted, x: UInt8[np.ndarray, "rows pixels"]) -> Any:
    """Lab 460's picture: images, their codes, what the first member makes of them."""
    code, copy = (fitted.predict(f, {"x": x})[0] for f in (autoencoder_task.code, pixels))
    return image_rows({"original": x / 255, "code": code, "reconstruction": copy})
