"""Variational autoencoder of handwritten digits (변분 오토인코더): bounds, samples, latent space

An autoencoder that also makes new images. Its code z is a random vector: before an image is seen it
is standard normal, p(z) = N(0, I); the decoder gives each pixel's probability of being 1, p(x | z);
the encoder gives for each image x a Gaussian q(z | x) that is to resemble the true p(z | x). The
loss is an upper bound on -log p(x), in nats, with a part that asks for good reconstructions and a
part that keeps the codes near the prior:

    -log p(x)  <=  -ELBO(x)  =  E_q [-log p(x | z)]  +  KL(q(z | x) || p(z))

Kingma and Welling, "Auto-encoding variational Bayes" (2014). How much the bound gives away is seen
beside the importance-weighted bound of Burda et al. (2016), which with 5,000 draws comes close to
log p(x). The deck names the variational autoencoder and leaves it there. Here: two hidden layers on
each side, 20 latent dimensions, the KL term warmed up over the first epochs. An untrained model and
independent pixels stand beside it, and a model with 2 dimensions for the pictures.

    python run.py experiments/mnist_vae.py --seeds 5
    python run.py experiments/mnist_vae.py --binarisation dynamic --seeds 5
    python run.py experiments/mnist_vae.py --beta 4 --binarisation threshold
    python run.py experiments/mnist_vae.py --images my_digits
    python run.py --predict RUN picture.png folder_of_pictures

Protocol: 55,000 training images, the last 5,000 choose the epoch by the loss with the final weight
of its KL term (`beta`; 1 makes it the evidence bound). Test images are used once: all of them for
the evidence bound, the first `bound_rows` for K draws. Pixels are made binary in one of three ways
(`binary`); bounds compare only within one way.
Reference: published examples of this size, ways mixed: evidence bound 101 to 107 nats,
importance-weighted 97 to 100. Goals (static, 20 dimensions): at most 100, and at most 96.
Expected: docs/results.md.
Runtime on one CPU core: 2 s per epoch and seed, a minute per seed for the 5,000 draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8
from scipy.stats import norm

from datasets import labelled_images, mnist, splits, user_images
from datasets.labelled_images import Images
from datasets.splits import Rows
from datasets.user_images import DigitImages
from jaxdl import losses, optim
from jaxdl.anomaly.percentiles import percentiles
from jaxdl.errors import UserError
from jaxdl.figures.base import Figure
from jaxdl.figures.curves import curves_over_seeds, loss_curves
from jaxdl.figures.images import image_rows, mosaic
from jaxdl.figures.points import latent_maps
from jaxdl.hashing import array_digest
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import convolves, identity
from jaxdl.models.vae import VAE, Posterior, reparametrise
from jaxdl.report import Results, Table, table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task
from jaxdl.training.batch_order import steps_per_epoch
from jaxdl.training.task import Batch, Hyper
from jaxdl.vision.likelihood_bounds import (
    bernoulli_log_likelihood,
    evidence_bound,
    importance_bound,
    independent_pixels,
)

Binarisation = Literal["static", "dynamic", "threshold"]
BinaryRows = UInt8[np.ndarray, "_ pixels"]

# nats at most, static MNIST with so many dimensions; -IWAE with at least so many draws
GOALS = {"-ELBO": 100.0, "-IWAE": 96.0}
GOAL_LATENT, GOAL_DRAWS = 20, 5000
USED_VARIANCE = 0.01  # of the posterior mean over images, from which a dimension counts as used
ELBO_DRAWS = 20  # codes over which the reconstruction term of a test image is averaged
CHUNK = 25  # codes that an importance-weighted bound takes at once
BOUND_BATCH = 40  # images that a bound takes at once; small, so that logits stay in a core's cache
MAP_ROWS = 5000  # points of the map of codes


@dataclass(frozen=True)
class Config:
    data: mnist.Name = "mnist"
    """Which images."""
    binarisation: Binarisation = "static"
    """How training images are made binary; validation and test images are drawn once."""
    widths: tuple[int, ...] = (200, 200)
    """Hidden layers of the encoder; the decoder mirrors them."""
    latent: int = 20
    """Dimensions of the code."""
    beta: float = 1.0
    """Final weight of the KL term."""
    warm_up: int = field(default=5, metadata={"least": 0})
    """Epochs over which that weight rises from 0, fewer than --epochs; 0: it is there at once."""
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
    """K of the importance-weighted bounds: 1 or multiples of 25."""
    bound_rows: int = 1000
    """Test images, the first ones, for these bounds; all 10,000 take ten times as long."""
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


def main(config: Config, run: Run) -> Results:
    check_numbers(config)
    data, valid_rows, remarks = load_images(config, run)
    images = binary_images(config, data, valid_rows)

    model, plane_model = vae(config, config.latent), vae(config, latent=2)
    trained = fit_vae(config, run, model, images)
    untrained = fit(config, run, "untrained", model, images, epochs=0)
    plane = fit(config, run, "plane", plane_model, images, config.plane_epochs, seeds=run.seeds[:1])

    few = images.test[: config.bound_rows]
    by_draws = {
        "VAE": bounds(model, trained, few, config.draws),
        "VAE, untrained": bounds(model, untrained, few, config.draws),
    }
    rows = [
        vae_row("VAE", model, trained, images.test, by_draws["VAE"]),
        vae_row("VAE, untrained", model, untrained, images.test, by_draws["VAE, untrained"]),
    ]
    rows.append(independent_row(images, len(few), columns=list(rows[0])))

    cut = "cut at 128" if config.binarisation == "threshold" else "drawn once"
    title = f"{data.provenance.name}, {config.binarisation} binarisation "
    title += f"({len(images.test):,} test images {cut}), "
    title += f"{config.latent} dimensions, beta {config.beta:g}; nats, lower is better"
    history = {"VAE": trained.history}
    label, classes = data.test.label, data.classes
    return Results(
        tables=[Table(title, rows, digits=2)],
        figures={
            "bound": partial(loss_curves, history, "bound", "negative evidence bound in nats"),
            "kl": partial(loss_curves, history, "kl", "KL term in nats"),
            "bound_by_draws": partial(bound_by_draws, by_draws, config.draws),
            "copies": partial(copies, model, trained, images.test, label, classes),
            "samples": partial(samples, model, trained, config.latent),
            "traversals": partial(traversals, model, trained, images.test),
            "latent_plane": partial(latent_plane, plane_model, plane),
            "latent_map": partial(latent_map, plane, images.test, label, classes),
        },
        headline={"-ELBO": rows[0]["-ELBO"]},
        notes=[*goal_notes(config, data, rows[0], len(few)), *remarks],
    )


def check_numbers(config: Config) -> None:
    """Whether the warm-up ends within the training, and the draws divide into chunks.

    Raises:
        UserError: they do not.
    """
    if config.warm_up >= config.epochs:
        raise UserError(
            f"--warm-up {config.warm_up}: no epoch of --epochs {config.epochs} is left with the "
            "full weight; give a shorter warm-up or more epochs"
        )
    for k in config.draws:
        if k % min(CHUNK, k):
            raise UserError(f"--draws {k}: give multiples of {CHUNK}, or fewer than {CHUNK}")


def predict(config: Config, run: Run, inputs: Sequence[str]) -> Results:
    """How likely a finished run finds pictures that are named by file or folder, and its copies.

    They are made binary as the test images were. A picture's -ELBO is placed among those of the
    test images: a high percentile says that the model has seen little like it. Bounds are means of
    the seeds, reconstructions the first seed's. What is said of a picture does not depend on the
    others that are named with it.
    """
    data, valid_rows, _ = load_images(config, run)
    pictures = user_images.named(inputs, mnist.SIDE, colour=False)
    images = binary_images(config, data, valid_rows)
    asked = binary_one_by_one(labelled_images.flat(pictures.pixels), config.binarisation)
    model = vae(config, config.latent)
    trained = fit_vae(config, run, model, images)

    own = bounds(model, trained, asked, one_by_one=True)
    of_test = bounds(model, trained, images.test)
    reconstruction, kl = own["reconstruction"].mean(axis=0), own["kl"].mean(axis=0)
    test_bound = (of_test["reconstruction"] + of_test["kl"]).mean(axis=0)
    percentile = percentiles(reconstruction + kl, among=test_bound)
    rows = [
        {
            "picture": name,
            "-ELBO": reconstruction[i] + kl[i],
            "reconstruction": reconstruction[i],
            "KL": kl[i],
            "percentile among test images": percentile[i],
        }
        for i, name in enumerate(pictures.names)
    ]
    title = f"{len(rows):,} pictures, judged by the VAE, mean of {len(trained.seeds)} seeds; "
    title += "nats, lower is better"
    return Results(
        [Table(title, rows, digits=2, verbatim=True)],
        {"reconstructions": partial(pictures_and_copies, model, trained, asked, percentile)},
        notes=[
            *pictures.remarks,
            *user_images.brightness_notes(pictures.pixels, data.test.image),
            "Percentile: share of the test images whose bound is better.",
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


class BinaryImages(NamedTuple):
    """Flat images of pixels 0 and 1.

    Attributes:
        train: what a fit is given: {"x": binary images}, or {"grey": bytes} that are drawn anew.
        train_once: the same training images, drawn once.
        valid: {"x": binary images} that choose the epoch.
        test: binary images.
    """

    train: Rows
    train_once: BinaryRows
    valid: Rows
    test: BinaryRows


def binary_images(config: Config, data: Images, valid_rows: int) -> BinaryImages:
    """Set validation images aside and make all pixels binary.

    Validation and test images are never drawn anew, whatever the training images are.
    """
    grey = {"x": labelled_images.flat(data.train.image)}
    train, valid = splits.split_last(grey, valid_rows)
    how = config.binarisation
    train_once = binary(train["x"], how, seed=0)
    return BinaryImages(
        train={"grey": train["x"]} if how == "dynamic" else {"x": train_once},
        train_once=train_once,
        valid={"x": binary(valid["x"], how, seed=1)},
        test=binary(labelled_images.flat(data.test.image), how, seed=2),
    )


def binary(grey: UInt8[np.ndarray, "rows pixels"], how: Binarisation, seed: int) -> BinaryRows:
    """Pixels 0 and 1 of grey ones, 0..255; a pure function of the seed.

    The three ways are three problems, and their bounds do not compare:

    - "static": each pixel is drawn once, with its grey as its probability of being 1 (as in the
      binarised MNIST of Larochelle and Murray, 2011, but drawn by our own seed);
    - "dynamic": training images are drawn in this way in every step (as by Burda et al., 2016); for
      the others, which come here, it is the same as static;
    - "threshold": 1 from 128 on.
    """
    if how == "threshold":
        return (grey > 127).astype(np.uint8)
    rng = np.random.Generator(np.random.PCG64(seed))
    return (rng.random(grey.shape, np.float32) * 255 < grey).astype(np.uint8)


def binary_one_by_one(grey: UInt8[np.ndarray, "rows pixels"], how: Binarisation) -> BinaryRows:
    """`binary` of each image by itself: its own bytes seed its draws, not its place in a list."""
    return np.concatenate([binary(row[None], how, seed_of(row)) for row in grey])


def seed_of(row: UInt8[np.ndarray, " pixels"]) -> int:
    """A seed that is the same for the same image."""
    return int(array_digest(row)[:16], 16)


# ---- model ---------------------------------------------------------------------------------------


def vae(config: Config, latent: int) -> VAE:
    """Dense layers on both sides; the encoder ends in `latent` means and log variances."""
    widths = (*config.widths, 2 * latent)
    return VAE(DenseAutoencoder(mnist.SIDE**2, widths, code_activation=identity))


class Pass(NamedTuple):
    """What one pass through the model gives.

    Attributes:
        logits: of the pixels, decoded from one drawn code of each image.
        posterior: q(z | x), the Gaussian that the code was drawn from.
        target: the binary image that was encoded.
        kl_weight: of the KL term in this step.
    """

    logits: Float[Array, "batch pixels"]
    posterior: Posterior
    target: Float[Array, "batch pixels"]
    kl_weight: Float[Array, ""]


def reconstruction_term(outputs: Pass, batch: Batch) -> Float[Array, " batch"]:
    """-log p(x | z) in nats, summed over pixels, at the drawn code."""
    del batch
    return -bernoulli_log_likelihood(outputs.logits, outputs.target)


def kl_term(outputs: Pass, batch: Batch) -> Float[Array, " batch"]:
    """KL(q(z | x) || p(z)) in nats, in closed form."""
    del batch
    return losses.gaussian_kl(*outputs.posterior)


def negative_bound(outputs: Pass, batch: Batch) -> Float[Array, " batch"]:
    """-ELBO in nats: both terms with weight 1."""
    return reconstruction_term(outputs, batch) + kl_term(outputs, batch)


def weighted_bound(outputs: Pass, batch: Batch, hyper: Hyper) -> Float[Array, " batch"]:
    """The loss: -ELBO with the KL term weighted as this step has it."""
    del hyper
    return reconstruction_term(outputs, batch) + outputs.kl_weight * kl_term(outputs, batch)


def kl_weight(step: Int[Array, ""], warm_up_steps: int, beta: float) -> Float[Array, ""]:
    """Weight of the KL term: rises on a line to `beta` over the first steps; 0 steps: at once.

    With the full weight from the start, many dimensions would fall silent before the decoder has
    learnt to use them (Bowman et al., "Generating sentences from a continuous space", 2016;
    Sonderby et al., "Ladder variational autoencoders", 2016). A `beta` above 1 asks for codes
    nearer to the prior (Higgins et al., "beta-VAE", 2017).
    """
    return beta * jnp.minimum(1.0, (step + 1.0) / max(warm_up_steps, 1))


# ---- training ------------------------------------------------------------------------------------


def vae_task(
    model: VAE, beta: float, warm_up_steps: int, learning_rate: float | optax.Schedule
) -> Task:
    """Minimise reconstruction term + weight * KL term, by Adam.

    Batches hold binary "x", or bytes "grey" that are drawn anew in every step. The steps of the
    warm-up are counted in a collection of their own, beside the parameters. In evaluation, too, one
    code is drawn for each image, always by the same key: the loss is a bound only at a drawn code.
    """

    def init(key, batch):
        images = batch["grey"] if "grey" in batch else batch["x"]
        x = jnp.zeros(images.shape, jnp.float32)
        variables = model.init({"params": key}, x, train=False)
        return {**variables, "warm_up": {"step": jnp.zeros((), jnp.int32)}}

    def apply(variables, batch, key, train, hyper):
        del hyper
        pixel_key, code_key = jax.random.split(key)
        if "grey" in batch:
            probability = batch["grey"].astype(jnp.float32) / 255
            x = jax.random.bernoulli(pixel_key, probability).astype(jnp.float32)
        else:
            x = batch["x"].astype(jnp.float32)

        params = {"params": variables["params"]}
        posterior = model.apply(params, x, method="encode")
        code = reparametrise(code_key, posterior)
        logits = model.apply(params, code, method="decode")

        step = variables["warm_up"]["step"]
        if not train:
            return Pass(logits, posterior, x, jnp.asarray(beta)), {}
        weight = kl_weight(step, warm_up_steps, beta)
        return Pass(logits, posterior, x, weight), {"warm_up": {"step": step + 1}}

    return Task(
        init,
        apply,
        weighted_bound,
        optimizer=lambda hyper: optim.adam(learning_rate),
        metrics={
            "reconstruction": reconstruction_term,
            "kl": kl_term,
            "bound": negative_bound,
        },
        convolves=convolves(model),
    )


def fit(
    config: Config,
    run: Run,
    name: str,
    model: VAE,
    images: BinaryImages,
    epochs: int,
    patience: int | None = None,
    seeds: Int[np.ndarray, " seeds"] | None = None,
) -> Fitted:
    """A population of a model; with patience the epoch with the least loss on validation images.

    In evaluation the KL term has its final weight, also while it still warms up in training: the
    epochs are compared by the loss that is trained once the warm-up has ended.
    """
    rows, batch_size = len(images.train_once), config.batch_size
    falling = optim.cosine(config.learning_rate, epochs, rows, batch_size)
    warm_up = min(config.warm_up, max(epochs - 1, 0))  # the last epoch has the full weight
    warm_up_steps = warm_up * steps_per_epoch(rows, batch_size)
    return run.fit(
        name,
        vae_task(model, config.beta, warm_up_steps, falling),
        images.train,
        images.valid,
        epochs=epochs,
        batch_size=batch_size,
        patience=patience,
        monitor="valid_loss",
        seeds=seeds,
    )


def fit_vae(config: Config, run: Run, model: VAE, images: BinaryImages) -> Fitted:
    """The model of the table; of all its epochs the best one on validation images is kept."""
    return fit(config, run, "vae", model, images, config.epochs, patience=config.epochs)


# ---- bounds on test images -----------------------------------------------------------------------


def member_params(fitted: Fitted, member: int = 0) -> dict[str, Any]:
    """The variables of one member, as the model wants them."""
    return {"params": jax.tree.map(lambda leaf: leaf[member], fitted.variables["params"])}


def bounds(
    model: VAE,
    fitted: Fitted,
    x: BinaryRows,
    draws: Sequence[int] = (),
    *,
    one_by_one: bool = False,
) -> dict[str, Float[np.ndarray, "seeds rows"]]:
    """Bounds of every member on every image in nats, signs turned: lower is better.

    Args:
        model: the model.
        fitted: its population.
        x: binary images.
        draws: K of the importance-weighted bounds, each 1 or a multiple of 25.
        one_by_one: every image by itself and with the same draws, so that its bound does not depend
            on the images beside it; slower.

    Returns:
        "reconstruction" and "kl", whose sum is -ELBO, and "IWAE-K" for each K of `draws`.
    """

    @jax.jit
    def bounds_of_batch(params, key, x):
        posterior = model.apply(params, x, method="encode")

        def log_likelihood(codes):
            return bernoulli_log_likelihood(model.apply(params, codes, method="decode"), x)

        first, *keys = jax.random.split(key, len(draws) + 1)
        reconstruction, kl = evidence_bound(first, posterior, log_likelihood, ELBO_DRAWS)
        found = {"reconstruction": -reconstruction, "kl": kl}
        for k, own_key in zip(draws, keys, strict=True):
            bound = importance_bound(own_key, posterior, log_likelihood, k, min(CHUNK, k))
            found[f"IWAE-{k}"] = -bound
        return found

    members, size = [], 1 if one_by_one else BOUND_BATCH
    for member, seed in enumerate(fitted.seeds):
        params, batches = member_params(fitted, member), []
        for start in range(0, len(x), size):
            # the last batch is filled up with the last image, so that all have the same shape
            rows = np.minimum(np.arange(start, start + size), len(x) - 1)
            key = jax.random.fold_in(jax.random.key(int(seed)), 0 if one_by_one else start)
            batch = x[rows].astype(np.float32)
            batches.append(jax.device_get(bounds_of_batch(params, key, batch)))
        members.append(jax.tree.map(lambda *parts: np.concatenate(parts)[: len(x)], *batches))
    return jax.tree.map(lambda *values: np.stack(values), *members)


def vae_row(
    name: str,
    model: VAE,
    fitted: Fitted,
    test: BinaryRows,
    of_first: Mapping[str, Float[np.ndarray, "seeds rows"]],
) -> dict[str, Any]:
    """A line of the table: means over test images, for each member.

    Args:
        name: of the model.
        model, fitted: the model and its population.
        test: all test images, for the evidence bound and its two terms.
        of_first: `bounds` of the first test images, with those of K draws.
    """
    of_all = bounds(model, fitted, test)
    row = {
        "model": name,
        "-ELBO": (of_all["reconstruction"] + of_all["kl"]).mean(axis=1),
        "reconstruction": of_all["reconstruction"].mean(axis=1),
        "KL": of_all["kl"].mean(axis=1),
        "dimensions used": dimensions_used(fitted, test),
        "epoch of the weights": fitted.best_epoch,
    }
    first_rows = of_first["kl"].shape[1]
    negative_elbo = of_first["reconstruction"] + of_first["kl"]
    row[f"-ELBO, first {first_rows:,}"] = negative_elbo.mean(axis=1)
    for bound, value in of_first.items():
        if bound.startswith("IWAE-"):
            k = int(bound.removeprefix("IWAE-"))
            row[iwae_column(k, first_rows)] = value.mean(axis=1)
    return row


def iwae_column(draws: int, rows: int) -> str:
    """The heading of the importance-weighted bound of so many draws on the first test images."""
    return f"-IWAE, K = {draws:,}, first {rows:,}"


def posterior_mean(outputs: Pass, batch: Batch) -> Float[Array, "batch latent"]:
    """Mean of q(z | x): the code that stands for an image where none is drawn."""
    del batch
    return outputs.posterior.mean


def dimensions_used(fitted: Fitted, x: BinaryRows) -> Int[np.ndarray, " seeds"]:
    """How many dimensions tell images apart: their posterior mean varies (Burda et al., 2016)."""
    code = fitted.predict(posterior_mean, {"x": x})
    return (code.var(axis=1) > USED_VARIANCE).sum(axis=-1)


def independent_row(images: BinaryImages, first: int, columns: Sequence[str]) -> dict[str, Any]:
    """The baseline's line: -log p(x), exact, of pixels that know nothing of one another."""
    known, test = jnp.asarray(images.train_once), jnp.asarray(images.test)
    exact = -np.asarray(independent_pixels(known, test))
    row = dict.fromkeys(columns)  # there is no code, hence no KL term and no draws
    row["model"] = "independent pixels (exact)"
    row["-ELBO"] = exact.mean()
    row[f"-ELBO, first {first:,}"] = exact[:first].mean()
    return row


def goal_notes(config: Config, data: Images, row: Mapping[str, Any], first: int) -> list[str]:
    """Whether the goals are met; they are for published, statically binarised MNIST.

    Args:
        config: of the lab.
        data: whose origin decides.
        row: of the trained model in the table.
        first: test images of the importance-weighted bounds.
    """
    published = config.data == "mnist" and config.images is None
    if data.provenance.kind == "simulated" or not published:
        return []
    if config.binarisation != "static" or config.beta != 1.0 or config.latent != GOAL_LATENT:
        return []
    notes = [table.goal_line("-ELBO, nats", row["-ELBO"], GOALS["-ELBO"])]
    if max(config.draws) >= GOAL_DRAWS:
        tightest = iwae_column(max(config.draws), first)
        notes.append(table.goal_line(f"{tightest}, nats", row[tightest], GOALS["-IWAE"]))
    return notes


# ---- what we see ---------------------------------------------------------------------------------


def bound_by_draws(
    found: Mapping[str, Mapping[str, Float[np.ndarray, "seeds rows"]]], draws: Sequence[int]
) -> Figure:
    """The importance-weighted bound against the number of draws, a line for each model."""
    lines = {}
    for name, own in found.items():
        by_k = np.stack([own[f"IWAE-{k}"].mean(axis=1) for k in draws])
        lines[name] = (np.array(draws), by_k)
    first = next(iter(found.values()))["kl"].shape[1]
    ylabel = f"negative bound in nats, first {first:,} test images"
    return curves_over_seeds(lines, "K", ylabel, log_x=True)


def decoded(
    model: VAE, fitted: Fitted, codes: Float[np.ndarray, "rows latent"]
) -> Float[np.ndarray, "rows pixels"]:
    """Each pixel's probability of being 1, by the first member's decoder."""
    logits = model.apply(member_params(fitted), jnp.asarray(codes), method="decode")
    return np.asarray(jax.nn.sigmoid(logits))


def copies(
    model: VAE,
    fitted: Fitted,
    test: BinaryRows,
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Figure:
    """The first test image of each class, its code, and its reconstruction."""
    first = [int(np.flatnonzero(label == k)[0]) for k in range(len(classes))]
    code = fitted.predict(posterior_mean, {"x": test[first]})[0]
    rows = {
        "binary image": test[first],
        "code": code,
        "reconstruction": decoded(model, fitted, code),
    }
    return image_rows(rows, classes)


def pictures_and_copies(
    model: VAE,
    fitted: Fitted,
    images: BinaryRows,
    percentile: Float[np.ndarray, " rows"],
    most: int = 12,
) -> Figure:
    """The first pictures as the model sees them, in black and white, and their reconstructions.

    Args:
        model, fitted: the model and its population.
        images: the pictures, made binary.
        percentile: of each one's bound among those of the test images, written above it.
        most: pictures that are shown.
    """
    code = fitted.predict(posterior_mean, {"x": images[:most]})[0]
    rows = {"binary image": images[:most], "reconstruction": decoded(model, fitted, code)}
    return image_rows(rows, [f"percentile\n{place:.0f}" for place in percentile[:most]])


def samples(model: VAE, fitted: Fitted, latent: int) -> Figure:
    """100 new images: codes drawn from the prior, decoded."""
    codes = np.asarray(jax.random.normal(jax.random.key(0), (100, latent)))
    return mosaic(decoded(model, fitted, codes), 10, "draws from the prior")


def traversals(model: VAE, fitted: Fitted, test: BinaryRows) -> Figure:
    """From the first test image along the eight dimensions whose codes vary most."""
    code = fitted.predict(posterior_mean, {"x": test})[0]
    widest = np.argsort(-code.var(axis=0))[:8]
    values = np.linspace(-3, 3, 11)
    rows = {}
    for dimension in widest.tolist():
        codes = walk(code[0], dimension, values)
        rows[f"dimension {dimension}"] = decoded(model, fitted, codes)
    return image_rows(rows, [f"{value:+.1f}" for value in values])


def walk(
    start: Float[np.ndarray, " latent"], dimension: int, values: Float[np.ndarray, " steps"]
) -> Float[np.ndarray, "steps latent"]:
    """Codes in which one dimension takes these values and the others stay as in `start`."""
    codes = np.tile(np.asarray(start, np.float32), (len(values), 1))
    codes[:, dimension] = values
    return codes


def latent_plane(model: VAE, fitted: Fitted) -> Figure:
    """The model with two dimensions: its plane of codes, decoded on a grid."""
    return mosaic(decoded(model, fitted, prior_grid(20)), 20, "two numbers, decoded")


def prior_grid(side: int, probability: float = 0.95) -> Float[np.ndarray, "codes 2"]:
    """A grid over the middle of the two-dimensional prior, row by row from the top.

    Equal steps in probability, turned into codes by the inverse of the normal distribution
    function, so that the grid is denser where the prior is (Kingma and Welling, figure 4).

    Args:
        side: steps along each of the two dimensions.
        probability: that the grid's reach has along each of them.
    """
    steps = norm.ppf(np.linspace((1 - probability) / 2, (1 + probability) / 2, side))
    across, down = np.meshgrid(steps, steps[::-1])
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)


def latent_map(
    fitted: Fitted, test: BinaryRows, label: Int[np.ndarray, " rows"], classes: Sequence[str]
) -> Figure:
    """The model with two dimensions: where the codes of test images lie, coloured by class."""
    code = fitted.predict(posterior_mean, {"x": test[:MAP_ROWS]})[0]
    return latent_maps({"posterior means": code}, label[:MAP_ROWS], classes)
