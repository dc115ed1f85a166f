"""Lab 460 - PCA against linear and non-linear autoencoders on digits (PCA와 오토인코더 비교)

How much of an image survives a code of 2, 8 or 16 numbers? Among linear copies PCA's is the best on
the training images, and an SVD gives it at once; a linear autoencoder, trained by gradient descent,
can only approach it. An autoencoder with non-linear layers around the code can pass it; from 8
numbers on it does so clearly.

    python run.py experiments/pca_autoencoder.py --seeds 10

Protocol: the 8 x 8 digits bundled with scikit-learn, pixels 0..1; the first 1,400 to train on, 397
held out; squared error, Adam 2e-3, batch 128, 300 epochs. Nothing is chosen by the held-out images.
Reference: PCA at the same width, and the untrained net. Expected: docs/results.md.
Runtime on two CPU cores: about 1 minute. Points in space through two numbers are lab 050's.
"""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from sklearn.datasets import load_digits

from datasets.source import Provenance
from jaxdl import losses, optim
from jaxdl.figures.curves import loss_curves
from jaxdl.hashing import arrays_digest
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.pca import fit_pca, pca_score
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, module_functions
from jaxdl.training.task import Batch, Hyper

PIXELS = 64

Digits = Float[np.ndarray, "_ pixels"]


@dataclass(frozen=True)
class Config:
    codes: tuple[int, ...] = (2, 8, 16)
    """Widths of the code."""
    hidden: int = 128
    """Width of the non-linear net's other layers."""
    epochs: int = 300
    """Passes over the 1,400 digits."""
    batch_size: int = 128
    """Digits in a step."""
    learning_rate: float = 2e-3
    """Adam's step size."""
    train_rows: int = 1400
    """Digits to train on, the first ones; the others are held out."""


PRESETS = {"quick": Config(codes=(2,), epochs=40)}


def main(config: Config, run: Run) -> Results:
    train, held_out = load_images(run, config.train_rows)
    adam = optim.adam(config.learning_rate)
    # the curve of the held-out images is only looked at; nothing is chosen by it
    fit = partial(run.fit, train={"x": train}, valid={"x": held_out}, batch_size=config.batch_size)

    rows, curves = [], {}
    for code in config.codes:
        linear_net = DenseAutoencoder(PIXELS, (code,), activation=identity)
        nonlinear_net = DenseAutoencoder(PIXELS, (config.hidden, code), activation=jnp.tanh)
        linear_task = reconstruction_task(linear_net, adam)
        nonlinear_task = reconstruction_task(nonlinear_net, adam)
        untrained = fit(f"digits-{code}-untrained", linear_task, epochs=0)
        linear = fit(f"digits-{code}-linear-autoencoder", linear_task, epochs=config.epochs)
        nonlinear = fit(f"digits-{code}-non-linear", nonlinear_task, epochs=config.epochs)

        rows.append(
            {
                "numbers in the code": code,
                "PCA": pca_error(train, held_out, code),
                "untrained": mean_error(untrained, held_out),
                "linear autoencoder": mean_error(linear, held_out),
                f"non-linear, 64-{config.hidden}-code": mean_error(nonlinear, held_out),
            }
        )
        curves[f"linear autoencoder, {code}"] = linear.history
        curves[f"non-linear, {code}"] = nonlinear.history

    title = f"MSE on {len(held_out)} held-out digits (pixels 0..1), trained on {len(train):,}"
    widest = rows[-1]
    return Results(
        tables=[Table(title, rows, digits=5)],
        figures={"loss": partial(loss_curves, curves, ylabel="mean squared error", log=True)},
        headline={
            f"PCA, {widest['numbers in the code']}": widest["PCA"],
            "non-linear": widest[f"non-linear, 64-{config.hidden}-code"],
        },
    )


# ---- data ----------------------------------------------------------------------------------------


def load_images(run: Run, train_rows: int) -> tuple[Digits, Digits]:
    """The digits to train on and the held-out ones, a row of 64 pixels between 0 and 1 each."""
    images, _ = load_digits(return_X_y=True)
    digest = arrays_digest({"x": images})
    run.uses(Provenance("digits", "real", digest, "1,797 images bundled with scikit-learn"))
    x = (images / 16).astype(np.float32)
    return x[:train_rows], x[train_rows:]


# ---- training ------------------------------------------------------------------------------------


def squared_error(
    reconstruction: Float[Array, "batch pixels"], batch: Batch, hyper: Hyper | None = None
) -> Float[Array, " batch"]:
    """Squared error of each image, mean over its pixels: the loss, and what is reported."""
    del hyper
    return losses.mse(reconstruction, batch["x"])


def reconstruction_task(model: DenseAutoencoder, optimizer: optax.GradientTransformation) -> Task:
    """Reconstruct the images with the least squared error."""
    init, apply = module_functions(model)
    return Task(init, apply, squared_error, lambda hyper: optimizer)


# ---- what we see ---------------------------------------------------------------------------------


def mean_error(fitted: Fitted, x: Digits) -> Float[np.ndarray, " seeds"]:
    """Mean squared error of each member over all images."""
    return fitted.predict(squared_error, {"x": x}).mean(axis=1)


def pca_error(train: Digits, held_out: Digits, components: int) -> float:
    """Mean squared error of held-out images copied by the first principal components."""
    pca = fit_pca(jnp.asarray(train), components)
    return float(pca_score(pca, jnp.asarray(held_out)).mean())
