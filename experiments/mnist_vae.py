"""Variational autoencoder of handwritten digits (변분 오토인코더): bounds, samples, latent space

The deck names the variational autoencoder and leaves it there. Here: two hidden layers on each
side, 20 latent dimensions, reparametrised draws, the KL term warmed up over the first epochs. The
evidence bound is shown in its two parts, and beside it the importance-weighted bound with 5,000
draws, which comes close to log p(x). An untrained model and independent pixels stand beside them.

    python run.py experiments/mnist_vae.py --seeds 3
    python run.py experiments/mnist_vae.py --binarisation dynamic --seeds 3
    python run.py experiments/mnist_vae.py --beta 4 --binarisation threshold

Protocol: 55,000 training images, the last 5,000 choose the epoch by their evidence bound, test
images are used once: all of them for the evidence bound, the first `bound_rows` for K draws.
Pixels are made binary, see `jaxdl.vision.vae_task`; bounds compare only within one way. Goals
(static, 20 dimensions): evidence bound at most 100 nats, importance-weighted at most 96.
Published examples of this size, ways mixed: bound 101 to 107, importance-weighted 97 to 100.
Runtime on one CPU core: 3 s per epoch and seed, half a minute per seed for the 5,000 draws.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, UInt8

from datasets import labelled_images, mnist, splits
from jaxdl import optim
from jaxdl.figures.curves import curves, loss_curves
from jaxdl.figures.images import image_rows, mosaic
from jaxdl.figures.points import latent_maps
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.models.vae import VAE
from jaxdl.report import Results, Table, table
from jaxdl.runs import Run
from jaxdl.training import Fitted
from jaxdl.vision import likelihood_bounds, vae_task


@dataclass(frozen=True)
class Config:
    data: mnist.Name = "mnist"
    """Which images."""
    binarisation: vae_task.Binarisation = "static"
    """How training images are made binary; validation and test images are drawn once."""
    widths: tuple[int, ...] = (200, 200)
    """Hidden layers of the encoder; the decoder mirrors them."""
    latent: int = 20
    """Dimensions of the code."""
    beta: float = 1.0
    """Final weight of the KL term."""
    warm_up: int = field(default=5, metadata={"least": 0})
    """Epochs over which that weight rises from 0; 0: it is there at once."""
    epochs: int = 50
    """Passes over the training images."""
    plane_epochs: int = 15
    """Passes of a second model with two dimensions, for the pictures (one seed)."""
    batch_size: int = 128
    """Images in a step."""
    learning_rate: float = 2e-3
    """Adam's highest step size; it falls to 0 on a cosine."""
    valid_rows: int = 5000
    """Training images, the last ones, that choose the epoch."""
    draws: tuple[int, ...] = (1, 50, 500, 5000)
    """K of the importance-weighted bounds: 1 or multiples of 50."""
    bound_rows: int = 1000
    """Test images, the first ones, for these bounds; all 10,000 take ten times as long."""
    twin_rows: int = mnist.ROWS
    """Training images of the simulated twin, where no real files are found."""


PRESETS = {
    "quick": Config(
        widths=(32,),
        latent=4,
        epochs=10,
        warm_up=2,
        learning_rate=8e-3,
        plane_epochs=1,
        batch_size=32,
        valid_rows=120,
        draws=(1, 50),
        bound_rows=40,
        twin_rows=1200,
    )
}


def model(config: Config, latent: int) -> VAE:
    """Dense layers on both sides, a linear code of `latent` means and log variances."""
    widths = (*config.widths, 2 * latent)
    return VAE(DenseAutoencoder(mnist.SIDE**2, widths, code_activation=identity))


def main(config: Config, run: Run) -> Results:
    data = mnist.load(run.source, config.data, config.twin_rows)
    run.uses(data.provenance)
    grey, seen = labelled_images.flat(data.train.image), config.binarisation
    train, valid = splits.split_off({"x": grey}, config.valid_rows)
    # a test image is never drawn anew, whatever the training images are
    valid["x"], test = (
        vae_task.binary(x, seen, seed)
        for seed, x in ((1, valid["x"]), (2, labelled_images.flat(data.test.image)))
    )
    drawn_once = vae_task.binary(train["x"], seen, seed=0)
    train = {"grey": train["x"]} if seen == "dynamic" else {"x": drawn_once}

    def fit(name, latent, epochs, **options):
        size = {"epochs": epochs, "batch_size": config.batch_size}
        rate = optim.cosine(config.learning_rate, rows=len(drawn_once), **size)
        steps = config.warm_up * -(-len(drawn_once) // config.batch_size)
        task = vae_task.vae_task(model(config, latent), config.beta, steps, rate)
        return run.fit(name, task, train, valid, monitor="valid_bound", **size, **options)

    fitted = fit("vae", config.latent, config.epochs, patience=config.epochs)
    blank = fit("untrained", config.latent, 0)
    flat = fit("plane", 2, config.plane_epochs, seeds=run.seeds[:1])
    net, few = model(config, config.latent), test[: config.bound_rows]

    rows, found = [], {}
    for name, own in (("VAE", fitted), ("VAE, untrained", blank)):
        whole = vae_task.bounds_of(net, own, test, ())
        part = found[name] = vae_task.bounds_of(net, own, few, config.draws)
        code = own.predict(vae_task.means, {"x": test})
        row = {"model": name, "-ELBO": (whole["reconstruction"] + whole["kl"]).mean(1)}
        row |= {"reconstruction": whole["reconstruction"].mean(1), "KL": whole["kl"].mean(1)}
        row |= {"dimensions used": (code.var(axis=1) > vae_task.ACTIVE).sum(axis=-1)}
        row |= {f"-ELBO, first {len(few):,}": (part["reconstruction"] + part["kl"]).mean(1)}
        rows.append(row | {f"-IWAE, K = {k:,}": part[f"IWAE-{k}"].mean(1) for k in config.draws})
    alone = -np.asarray(
        likelihood_bounds.independent_pixels(jnp.asarray(drawn_once), jnp.asarray(test))
    )
    row = {"model": "independent pixels (exact)", "-ELBO": alone.mean()}
    row[f"-ELBO, first {len(few):,}"] = alone[: len(few)].mean()
    rows.append(dict.fromkeys(rows[0]) | row)

    history, ks = {"VAE": fitted.history}, np.array(config.draws)
    by_draws = {n: (ks, np.stack([f[f"IWAE-{k}"].mean(1) for k in ks])) for n, f in found.items()}
    labelled = {"x": test, "label": data.test.label, "classes": data.classes}
    figures = {
        "bound": lambda: loss_curves(history, "bound", "negative evidence bound in nats"),
        "kl": lambda: loss_curves(history, "kl", "KL term in nats"),
        "bound_by_draws": lambda: curves(by_draws, "K", "negative bound in nats", log_x=True),
        **latent_space(net, fitted, **labelled),
        **latent_plane(model(config, 2), flat, **labelled),
    }
    cut = "cut at 128" if seen == "threshold" else "drawn once"
    title = f"{data.provenance.name}, {seen} binarisation ({len(test):,} test images {cut}), "
    title += f"{config.latent} dimensions; nats, lower is better"
    notes = []
    real = data.provenance.kind != "simulated"
    if real and (seen, config.data, config.beta) == ("static", "mnist", 1.0):
        goals = {"-ELBO": 100.0, f"-IWAE, K = {config.draws[-1]:,}": 96.0}
        notes = [table.goal_line(f"{name}, nats", rows[0][name], goals[name]) for name in goals]
    return Results([Table(title, rows, digits=2)], figures, {"-ELBO": rows[0]["-ELBO"]}, notes)


MAP_ROWS = 5000  # points of a scatter plot


def latent_space(
    module: VAE,
    fitted: Fitted,
    x: UInt8[np.ndarray, "rows pixels"],
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Mapping[str, Callable[[], Any]]:
    """Draws from the prior, copies, and walks along the dimensions that vary most; first member.

    Args:
        module: the model.
        fitted: its population.
        x: binary test images; the first is where the walks start.
        label, classes: class of each image, name of each class.
    """

    def copies():
        first = [int(np.flatnonzero(label == k)[0]) for k in range(len(classes))]
        code = fitted.predict(vae_task.means, {"x": x[first]})[0]
        copy = vae_task.images_of(module, fitted, code)
        rows = {"binary image": x[first], "code": code, "reconstruction": copy}
        return image_rows(rows, classes)

    def samples():
        latent = fitted.predict(vae_task.means, {"x": x[:1]}).shape[-1]
        codes = np.asarray(jax.random.normal(jax.random.key(0), (100, latent)))
        return mosaic(vae_task.images_of(module, fitted, codes), 10, "draws from the prior")

    def walks():
        code = fitted.predict(vae_task.means, {"x": x})[0]
        widest = np.argsort(-code.var(axis=0))[:8]
        steps = np.linspace(-3, 3, 11)
        rows = vae_task.traversals(code[0], widest, steps)
        shown = {name: vae_task.images_of(module, fitted, codes) for name, codes in rows.items()}
        return image_rows(shown, [f"{step:+.1f}" for step in steps])

    return {"copies": copies, "samples": samples, "traversals": walks}


def latent_plane(
    module: VAE,
    fitted: Fitted,
    x: UInt8[np.ndarray, "rows pixels"],
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Mapping[str, Callable[[], Any]]:
    """A model with two latent dimensions: its plane decoded, and the codes of test images on it."""

    def spots():
        code = fitted.predict(vae_task.means, {"x": x[:MAP_ROWS]})[0]
        return latent_maps({"posterior means": code}, label[:MAP_ROWS], classes)

    decoded = partial(vae_task.images_of, module, fitted)
    return {
        "latent_plane": lambda: mosaic(decoded(vae_task.plane(20)), 20, "latent plane"),
        "latent_map": spots,
    }
