"""Lab 460 - PCA against linear and non-linear autoencoders on digits (PCA와 오토인코더 비교)

How much of an image survives a code of 2, 8 or 16 numbers? Among linear copies PCA's is the best on
the training images, and an SVD gives it at once; a linear autoencoder, trained by gradient descent,
can only approach it. An autoencoder with non-linear layers around the code can pass it; from 8
numbers on it does so clearly.

    python run.py experiments/pca_autoencoder.py --seeds 10
    python run.py experiments/pca_autoencoder.py --csv my_table.csv
    python run.py --predict RUN more_rows.csv

Protocol: the 8 x 8 digits bundled with scikit-learn, pixels 0..1; the first 1,400 to train on, 397
held out; squared error, Adam 2e-3, batch 128, 300 epochs. Nothing is chosen by the held-out images.
Reference: PCA at the same width, and the untrained net. Expected: docs/results.md.
Runtime on two CPU cores: about 1 minute. Points in space through two numbers are lab 050's.

A table of one's own (`--csv`) takes the place of the digits, its columns standardised by the rows
to train on; a fifth of its rows, drawn, is held out. `--predict` copies the rows of another table
through the widest code: what is copied badly is unlike the rows that were learnt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from sklearn.datasets import load_digits

from datasets import number_table
from datasets.number_table import Scale
from datasets.source import Provenance
from jaxdl import losses, optim
from jaxdl.anomaly.percentiles import percentiles
from jaxdl.errors import UserError
from jaxdl.figures.curves import loss_curves
from jaxdl.hashing import arrays_digest
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.pca import fit_pca, pca_score
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, module_functions
from jaxdl.training.task import Batch, Hyper

GREY_LEVELS = 16  # of a pixel of the digits

Rows = Float[np.ndarray, "_ columns"]


@dataclass(frozen=True)
class Config:
    codes: tuple[int, ...] = (2, 8, 16)
    """Widths of the code."""
    hidden: int = 128
    """Width of the non-linear net's other layers."""
    epochs: int = 300
    """Passes over the rows to train on."""
    batch_size: int = 128
    """Rows in a step."""
    learning_rate: float = 2e-3
    """Adam's step size."""
    train_rows: int = 1400
    """Digits to train on, the first ones; the others are held out."""
    csv: Path | None = None
    """A table of one's own in place of the digits: its columns of numbers."""


PRESETS = {"quick": Config(codes=(2,), epochs=40)}


def main(config: Config, run: Run) -> Results:
    data = load_rows(config, run)
    rows, curves = [], {}
    for code in data.codes:
        untrained = fit(config, run, data, f"{code}-untrained", linear_net(data, code), epochs=0)
        linear = fit(config, run, data, f"{code}-linear-autoencoder", linear_net(data, code))
        nonlinear = fit_nonlinear(config, run, data, code)
        rows.append(
            {
                "numbers in the code": code,
                "PCA": float(pca_errors(data.train, data.held_out, code).mean()),
                "untrained": mean_error(untrained, data.held_out),
                "linear autoencoder": mean_error(linear, data.held_out),
                nonlinear_name(config, data): mean_error(nonlinear, data.held_out),
            }
        )
        curves[f"linear autoencoder, {code}"] = linear.history
        curves[f"non-linear, {code}"] = nonlinear.history

    title = f"MSE on {len(data.held_out):,} held-out {data.unit}, "
    title += f"trained on {len(data.train):,}"
    widest = max(rows, key=lambda row: row["numbers in the code"])
    return Results(
        tables=[Table(title, rows, digits=5)],
        figures={"loss": partial(loss_curves, curves, ylabel="mean squared error", log=True)},
        headline={
            f"PCA, {widest['numbers in the code']}": widest["PCA"],
            "non-linear": widest[nonlinear_name(config, data)],
        },
        notes=data.remarks,
    )


def predict(config: Config, run: Run, inputs: Sequence[str]) -> Results:
    """How badly the rows of a table are copied through the widest code, by PCA and by the net.

    Errors are placed among those of the held-out rows: a high percentile says that a row is unlike
    those that were learnt. The net's errors are means of its seeds.
    """
    data = load_rows(config, run)
    new = number_table.named(inputs, data.columns)
    x = data.scale(new.x).astype(np.float32)
    code = max(data.codes)
    net = fit_nonlinear(config, run, data, code)

    by_pca = np.asarray(pca_errors(data.train, x, code))
    by_net = net.predict(squared_error, {"x": x}).mean(axis=0)
    pca_known = np.asarray(pca_errors(data.train, data.held_out, code))
    net_known = net.predict(squared_error, {"x": data.held_out}).mean(axis=0)
    pca_place, net_place = percentiles(by_pca, pca_known), percentiles(by_net, net_known)
    rows = [
        {
            "row": place,
            "MSE, non-linear": by_net[i],
            "percentile, non-linear": net_place[i],
            "MSE, PCA": by_pca[i],
            "percentile, PCA": pca_place[i],
        }
        for i, place in enumerate(new.place)
    ]
    title = f"{len(rows):,} rows, copied through {code} numbers, mean of {len(net.seeds)} seeds"
    note = f"Percentiles are among the {len(data.held_out):,} held-out rows."
    return Results([Table(title, rows, verbatim=True)], notes=[note])


# ---- data ----------------------------------------------------------------------------------------


class Data(NamedTuple):
    """Rows to copy.

    Attributes:
        train, held_out: rows to train on and others, scaled.
        columns: their names.
        scale: how the rows of a file become these.
        codes: widths of the code, all of them narrower than the rows and no more than the rows to
            train on.
        unit: what the rows are, and what their numbers are, for titles.
        remarks: lines to print: what was left out.
    """

    train: Rows
    held_out: Rows
    columns: Sequence[str]
    scale: Scale
    codes: Sequence[int]
    unit: str
    remarks: Sequence[str] = ()


def load_rows(config: Config, run: Run) -> Data:
    """The digits, or a table of one's own."""
    return load_digit_rows(config, run) if config.csv is None else load_own_rows(config, run)


def load_digit_rows(config: Config, run: Run) -> Data:
    """The bundled digits, a row of 64 pixels between 0 and 1 each.

    Raises:
        UserError: no digit is left to be held out; and see `usable_codes`.
    """
    digits = load_digits()
    digest = arrays_digest({"x": digits.data})
    run.uses(Provenance("digits", "real", digest, "1,797 images bundled with scikit-learn"))
    pixels = len(digits.feature_names)
    scale = Scale(np.zeros(pixels), np.full(pixels, GREY_LEVELS))
    x = scale(digits.data).astype(np.float32)
    if config.train_rows >= len(x):
        raise UserError(
            f"--train-rows {config.train_rows}: there are {len(x)} digits, and some must be held "
            "out"
        )
    train = x[: config.train_rows]
    codes, remarks = usable_codes(config.codes, train, "the table of digits")
    return Data(
        train=train,
        held_out=x[config.train_rows :],
        columns=digits.feature_names,
        scale=scale,
        codes=codes,
        unit="digits (pixels 0..1)",
        remarks=remarks,
    )


def load_own_rows(config: Config, run: Run) -> Data:
    """The columns of numbers of `--csv`, standardised by the rows to train on.

    Raises:
        UserError: see `usable_codes`.
    """
    table = number_table.load(run.source, config.csv)
    run.uses(table.provenance)
    order = np.random.default_rng(0).permutation(len(table.x))
    held_out, train = np.split(table.x[order], [len(table.x) // 5])
    scale = number_table.scale_of(train)
    codes, remarks = usable_codes(config.codes, train, str(config.csv))
    return Data(
        train=scale(train).astype(np.float32),
        held_out=scale(held_out).astype(np.float32),
        columns=table.columns,
        scale=scale,
        codes=codes,
        unit="rows (standardised columns)",
        remarks=[*table.remarks, *remarks],
    )


def usable_codes(
    codes: Sequence[int], train: Rows, table: str
) -> tuple[Sequence[int], Sequence[str]]:
    """The codes that do not copy every row anyway, and a line on those that are left out.

    A code as wide as the rows copies all of them; so does PCA those that it was fitted to with as
    many components, and it has no more of them.

    Args:
        codes: widths as configured.
        train: rows to train on.
        table: its name, for an error.

    Raises:
        UserError: there is no such code.
    """
    rows, width = train.shape
    limit = min(width, rows + 1)
    usable = [code for code in codes if code < limit]
    if not usable:
        has = f"{width} columns of numbers" if limit == width else f"{rows} rows to train on"
        raise UserError(f"{table} has {has}: choose --codes below {limit}")
    if len(usable) == len(codes):
        return usable, []
    why = "they copy every row" if limit == width else f"there are {rows} rows to train on"
    return usable, [f"codes of {limit} and more numbers were left out: {why}"]


# ---- models and training -------------------------------------------------------------------------


def linear_net(data: Data, code: int) -> DenseAutoencoder:
    """One matrix into the code, one out of it."""
    return DenseAutoencoder(len(data.columns), (code,), activation=identity)


def nonlinear_net(config: Config, data: Data, code: int) -> DenseAutoencoder:
    """A layer of tanh before the code and one behind it."""
    return DenseAutoencoder(len(data.columns), (config.hidden, code), activation=jnp.tanh)


def nonlinear_name(config: Config, data: Data) -> str:
    """Its column in the table."""
    return f"non-linear, {len(data.columns)}-{config.hidden}-code"


def fit(
    config: Config,
    run: Run,
    data: Data,
    name: str,
    model: DenseAutoencoder,
    epochs: int | None = None,
) -> Fitted:
    """A population of a net; the curve of the held-out rows is looked at, nothing is chosen by it.

    Args:
        config, run, data: of the lab.
        name: of the fit.
        model: the net.
        epochs: as configured by default.
    """
    return run.fit(
        f"digits-{name}" if config.csv is None else name,
        reconstruction_task(model, optim.adam(config.learning_rate)),
        {"x": data.train},
        {"x": data.held_out},
        epochs=config.epochs if epochs is None else epochs,
        batch_size=config.batch_size,
    )


def fit_nonlinear(config: Config, run: Run, data: Data, code: int) -> Fitted:
    """The non-linear net with this code."""
    return fit(config, run, data, f"{code}-non-linear", nonlinear_net(config, data, code))


def squared_error(
    reconstruction: Float[Array, "batch columns"], batch: Batch, hyper: Hyper | None = None
) -> Float[Array, " batch"]:
    """Squared error of each row, mean over its columns: the loss, and what is reported."""
    del hyper
    return losses.mse(reconstruction, batch["x"])


def reconstruction_task(model: DenseAutoencoder, optimizer: optax.GradientTransformation) -> Task:
    """Reconstruct the rows with the least squared error."""
    init, apply = module_functions(model)
    return Task(init, apply, squared_error, lambda hyper: optimizer)


# ---- what we see ---------------------------------------------------------------------------------


def mean_error(fitted: Fitted, x: Rows) -> Float[np.ndarray, " seeds"]:
    """Mean squared error of each member over all rows."""
    return fitted.predict(squared_error, {"x": x}).mean(axis=1)


def pca_errors(train: Rows, others: Rows, components: int) -> Float[Array, " others"]:
    """Squared error of each of the others, copied by the first principal components."""
    return pca_score(fit_pca(jnp.asarray(train), components), jnp.asarray(others))
