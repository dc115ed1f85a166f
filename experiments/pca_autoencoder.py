"""Lab 050/460 - PCA against linear and non-linear autoencoders (PCA와 오토인코더 비교)

A linear autoencoder with two numbers in the middle can do no better than the two first principal
components: on the lecture's 100 points in space the least mean squared error is 0.001905, and the
lecture's 200 epochs stop at 0.0029 (other run: 0.0040). Here PCA is an SVD, the lecture's training
is repeated, and then trained to the floor; a non-linear autoencoder goes below it, on these points
by bending the plane, on the digits bundled with scikit-learn (1,400 to train on, 397 held out) at
equal width of the code.

    python run.py experiments/pca_autoencoder.py --seeds 10

The linear weights find the principal plane, not the principal axes: the largest angle between the
two planes is in the table. Runtime on two CPU cores: about 1 minute. Numbers: docs/results.md.
"""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
import optax
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits

from datasets.source import Provenance, array_digest
from datasets.toy import lecture_points
from jaxdl import losses, optim
from jaxdl.anomaly.scores import fit_pca, pca_score
from jaxdl.figures import loss_curves
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions


@dataclass(frozen=True)
class Config:
    epochs: int = 200
    """Passes of the lecture's training."""
    learning_rate: float = 0.1
    """Its step size (SGD)."""
    long_epochs: int = 3000
    """Passes of the training that shall reach the floor, and of the non-linear one."""
    batch_size: int = 32
    """Rows in a step of the lecture's training; the long ones take all 100."""
    hidden: int = 32
    """Width of the non-linear layers on the points."""
    digit_codes: tuple[int, ...] = (2, 8, 16)
    """Widths of the code on the digits."""
    digit_epochs: int = 300
    """Passes over the 1,400 digits."""


PRESETS = {"quick": Config(digit_codes=(2,), digit_epochs=40)}


def identity(x):
    """No activation: a linear layer."""
    return x


def task(features: int, widths: tuple[int, ...], activation, optimizer) -> Task:
    """An autoencoder that is trained on squared error."""
    init, apply = module_functions(DenseAutoencoder(features, widths, activation))
    loss = lambda outputs, batch: losses.mse(outputs, batch["x"])  # noqa: E731
    return Task(init, apply, loss, optimizer)


def errors(fitted, x: np.ndarray) -> np.ndarray:
    """Mean squared error of every member on the rows x."""
    per_row = fitted.predict(lambda outputs, batch: losses.mse(outputs, batch["x"]), {"x": x})
    return per_row.mean(axis=1)


def main(config: Config, run: Run) -> Results:
    points = lecture_points()
    digest = array_digest({"x": points})
    run.uses(Provenance("points in space", "simulated", digest, "the lecture's formula, seed 42"))
    images, _ = load_digits(return_X_y=True)
    digest = array_digest({"x": images})
    run.uses(Provenance("digits", "real", digest, "1,797 images bundled with scikit-learn"))
    space, figures = _space(config, run, points.astype(np.float32))
    digits = _digits(config, run, (images / 16).astype(np.float32))
    floor, best = space.rows[0]["MSE"], space.rows[3]["MSE"]
    headline = {"PCA floor": floor, "linear autoencoder": best}
    notes = ["The points are synthetic in the lecture too; the digits are real."]
    return Results([space, digits], figures, headline, notes)


def _space(config, run, x):
    pca = fit_pca(jnp.asarray(x), 2)
    floor = float(pca_score(pca, jnp.asarray(x)).mean())
    sgd = lambda hyper: optax.sgd(config.learning_rate)  # noqa: E731
    slow = lambda hyper: optim.adam(optax.cosine_decay_schedule(0.03, config.long_epochs))  # noqa: E731
    lecture = task(3, (2,), identity, sgd)
    straight = task(3, (2,), identity, slow)
    bent = task(3, (config.hidden, 2), jnp.tanh, slow)
    fit = partial(run.fit, train={"x": x})
    fits = {
        "linear, untrained": fit("untrained", lecture, epochs=0, batch_size=config.batch_size),
        f"linear, lecture's {config.epochs} epochs of SGD": fit(
            "lecture", lecture, epochs=config.epochs, batch_size=config.batch_size
        ),
        "linear, trained to the end": fit(
            "linear", straight, epochs=config.long_epochs, batch_size=len(x)
        ),
        f"non-linear, 3-{config.hidden}-2-{config.hidden}-3": fit(
            "bent", bent, epochs=config.long_epochs, batch_size=len(x)
        ),
    }
    rows = [{"model": "PCA by SVD: the floor of linear ones", "MSE": floor, "above the floor": "-"}]
    rows[0]["angle to PCA's plane, degrees"] = "-"
    for name, fitted in fits.items():
        mse = errors(fitted, x)
        angle = "-"
        if name.startswith("linear"):
            kernels = np.asarray(fitted.variables["params"]["decoder_0"]["kernel"], np.float64)
            turns = [subspace_angles(k.T, np.asarray(pca.components).T).max() for k in kernels]
            angle = np.degrees(turns)
        rows.append(
            {"model": name, "MSE": mse, "above the floor": f"{mse.mean() / floor - 1:+.1%}"}
            | {"angle to PCA's plane, degrees": angle}
        )
    title = "the lecture's 100 points in 3-D, two numbers in the code, error on the same points"
    names = ("lecture", "linear to the end", "non-linear")
    curves = dict(zip(names, [f.history for f in list(fits.values())[1:]], strict=True))
    last = list(fits.values())
    figures = {
        "points_codes_reconstructions": lambda: _planes(x, pca, last[1], last[2], last[3]),
        "loss": lambda: loss_curves(curves, ylabel="mean squared error", log=True),
    }
    return Table(title, rows, digits=6), figures


def _digits(config, run, x):
    train, test = x[:1400], x[1400:]
    adam = lambda hyper: optim.adam(2e-3)  # noqa: E731
    rows = []
    for code in config.digit_codes:
        pca = fit_pca(jnp.asarray(train), code)
        row = {"numbers in the code": code, "PCA": float(pca_score(pca, jnp.asarray(test)).mean())}
        models = {
            "untrained": (task(64, (code,), identity, adam), 0),
            "linear autoencoder": (task(64, (code,), identity, adam), config.digit_epochs),
            "non-linear, 64-128-code": (task(64, (128, code), jnp.tanh, adam), config.digit_epochs),
        }
        for name, (model, epochs) in models.items():
            fit_name = f"digits-{code}-{name.split(',')[0].replace(' ', '-')}"
            fitted = run.fit(fit_name, model, {"x": train}, epochs=epochs, batch_size=128)
            row[name] = errors(fitted, test)
        rows.append(row)
    return Table(
        "digits: MSE on 397 held-out images (pixels 0..1), trained on 1,400", rows, digits=5
    )


def _planes(x, pca, lecture, linear, bent):
    from matplotlib import pyplot

    def member(fitted, function):
        return fitted.predict(function, {"x": x})[0]

    def outputs(out, batch):
        return out

    figure = pyplot.figure(figsize=(13, 4), layout="constrained")
    views = {
        "points": x,
        "lecture's training": member(lecture, outputs),
        "linear, trained to the end": member(linear, outputs),
        "non-linear": member(bent, outputs),
    }
    for i, (title, points) in enumerate(views.items()):
        axis = figure.add_subplot(1, 5, i + 1, projection="3d")
        axis.scatter(*points.T, s=8)
        axis.set_title(title, fontsize=10)
        axis.tick_params(labelsize=6)
    axis = figure.add_subplot(1, 5, 5)
    codes = (x - np.asarray(pca.mean)) @ np.asarray(pca.components).T
    axis.scatter(*codes.T, s=8)
    axis.set(title="code: principal components", xlabel="z1", ylabel="z2", aspect="equal")
    axis.grid(alpha=0.3)
    return figure
