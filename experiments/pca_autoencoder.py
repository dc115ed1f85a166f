"""Lab 460 - PCA against linear and non-linear autoencoders on digits (PCA와 오토인코더 비교)

At equal width of the code: PCA by SVD is the best linear copy, so a linear autoencoder can only
approach it, and a non-linear one can pass it. On the 8 x 8 digits bundled with scikit-learn: the
first 1,400 to train on, 397 held out. The points in space of lab 050 have a lab of their own.

    python run.py experiments/pca_autoencoder.py --seeds 10

Runtime on two CPU cores: about 1 minute. Numbers: docs/results.md.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

from datasets.source import Provenance, array_digest
from jaxdl import losses, optim
from jaxdl.figures.curves import loss_curves
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.pca import fit_pca, pca_score
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions


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


def error(outputs, batch, hyper=None):
    """Squared error of a row."""
    return losses.mse(outputs, batch["x"])


def main(config: Config, run: Run) -> Results:
    images, _ = load_digits(return_X_y=True)
    digest = array_digest({"x": images})
    run.uses(Provenance("digits", "real", digest, "1,797 images bundled with scikit-learn"))
    x = (images / 16).astype(np.float32)
    train, test = x[: config.train_rows], x[config.train_rows :]

    rows, curves = [], {}
    for code in config.codes:
        pca = fit_pca(jnp.asarray(train), code)
        row = {"numbers in the code": code, "PCA": float(pca_score(pca, jnp.asarray(test)).mean())}
        linear = DenseAutoencoder(x.shape[1], (code,), identity)
        bent = DenseAutoencoder(x.shape[1], (config.hidden, code), jnp.tanh)
        models = {
            "untrained": (linear, 0),
            "linear autoencoder": (linear, config.epochs),
            f"non-linear, 64-{config.hidden}-code": (bent, config.epochs),
        }
        for name, (net, epochs) in models.items():
            adam = optim.adam(config.learning_rate)
            task = Task(*module_functions(net), error, lambda hyper, adam=adam: adam)
            fit_name = f"digits-{code}-{name.split(',')[0].replace(' ', '-')}"
            size = {"epochs": epochs, "batch_size": config.batch_size}
            # the held-out curve is for the eye; nothing is chosen by it
            fitted = run.fit(fit_name, task, {"x": train}, {"x": test}, **size)
            row[name] = fitted.predict(error, {"x": test}).mean(axis=1)
            if epochs:
                curves[f"{name.split(',')[0]}, {code}"] = fitted.history
        rows.append(row)
    title = f"MSE on {len(test)} held-out digits (pixels 0..1), trained on {len(train):,}"
    last = rows[-1]
    return Results(
        tables=[Table(title, rows, digits=5)],
        figures={"loss": lambda: loss_curves(curves, ylabel="mean squared error", log=True)},
        headline={
            f"PCA, {last['numbers in the code']}": last["PCA"],
            "non-linear": [*last.values()][-1],
        },
    )
