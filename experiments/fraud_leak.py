"""A leak in the fraud data (데이터 누출): who trains on normal rows only has used the labels

V1..V28 of the credit-card transactions are principal components, computed on all rows, frauds among
them. So over all rows no two of them are correlated. Take the frauds out, as "trained on normal
rows only" does with their labels, and what goes missing points at them: the direction in which the
remaining rows vary least (the last principal component) is the direction of the mean fraud. A
detector that looks for unusual directions is handed the answer, although it never saw a fraud; on
the rows of another bank it would not be. Here the leak is measured, drawn, weakened and taken away.

    python run.py experiments/fraud_leak.py
    python run.py experiments/fraud_leak.py --source real --seeds 10

Protocol: both splits of the other fraud labs, the lecture's random halves and 80/20 by time; all
columns standardised by the training part, as in lab 160. Nothing is chosen: every number is of the
test part. Seeds draw which rows are removed, the nets' weights and the frauds that are made up.

1. Which rows are kept, and what the direction of least variance is then worth.
2. How the leak fades when only some of the frauds are taken out.
3. Detectors with and without that one direction: how much of each of them is the leak?
4. How far the leak carries: a classifier taught frauds that are made up from it, none of them real.

Numbers: docs/results.md. Runtime on two busy CPU cores: about 40 minutes for ten seeds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from datasets import fraud
from datasets.fraud_split import (
    How,
    TransactionRows,
    refuse_parts_without_fraud,
    split_in_two,
)
from jaxdl import optim
from jaxdl.anomaly import default_detectors, detectors, metrics, reconstruction, tables
from jaxdl.anomaly.detector import Rows, score_members
from jaxdl.anomaly.leaks import Direction, least_variance_direction, taught_made_up_anomalies
from jaxdl.anomaly.metrics import MemberScores
from jaxdl.anomaly.reconstruction import squared_error
from jaxdl.figures.base import COLOURS, Figure, subplots
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, module_functions


@dataclass(frozen=True)
class Config:
    removed: tuple[float, ...] = (0.0, 0.2, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
    """Shares of the training frauds that are taken out, for the second table."""
    steps: int = 6000
    """Optimiser steps of each autoencoder, in whole epochs."""
    batch_size: int = 128
    """Rows in a step."""
    normal_rows: int = 200_000
    """Normal rows that the classifier of made-up frauds is taught, at most."""
    made_up: int = 20_000
    """Frauds that are made up for it."""
    twin_rows: int = fraud.ROWS
    """Rows of the simulated twin, where no real file is found."""


PRESETS = {
    "quick": Config(
        removed=(0.0, 0.2, 1.0), steps=150, normal_rows=2000, made_up=200, twin_rows=20_000
    )
}
SPLITS: dict[How, float] = {"random": 0.5, "temporal": 0.2}  # share of the rows that are tested


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, None, twin_rows=config.twin_rows)
    run.uses(data.provenance)

    kept_rows, fading_rows, rankings, figures = [], [], [], {}
    for split, test_share in SPLITS.items():
        train, test, _ = split_in_two(data, split, test_share)
        refuse_parts_without_fraud(split, train, test)
        held = tables.tested_on(split, test.label, None, test_share)

        # 1. the direction of least variance, of all rows, without the frauds, without random rows
        kept_rows += table_of_kept(split, run.seeds, train, test)

        # 2. the same, when only a share of the frauds is taken out
        fading = fade(config, run.seeds, train, test)
        fading_rows += [{"split": split, **row} for row in fading]

        # 3. and 4. what detectors are worth with that direction, without it, and by it alone
        compared = compare(config, run, split, train, test)
        rankings.append(Table(f"What is the leak; {held}", compared))

        figures[f"directions_{split}"] = partial(draw_directions, train, int(run.seeds[0]))
        figures[f"fading_{split}"] = partial(draw_fading, fading, config.removed)

    fullest = [row for row in kept_rows if row["rows kept"] == WITHOUT_FRAUDS]
    return Results(
        tables=[
            Table("The direction of least variance, by the rows that are kept", kept_rows),
            Table("How the leak fades with the share of the frauds that are removed", fading_rows),
            *rankings,
        ],
        figures=figures,
        headline={"AUPRC of the direction of least variance": fullest[0]["AUPRC"]},
        notes=[
            "Lesson: a result of a detector that learnt from normal rows is a result with labels. "
            "On components that were computed with the anomalies among the rows it is better than "
            "it will be on new data. Compute the components on normal rows, or judge the detector "
            "by what it does when it learns from all rows.",
        ],
    )


# ---- 1. which rows are kept ----------------------------------------------------------------------

ALL = "all rows"
WITHOUT_FRAUDS = "all but the frauds"
WITHOUT_RANDOM = "all but as many random rows"


def rows_left_out(
    label: np.ndarray, seed: int, share: float = 1.0
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Masks of what is kept without a share of the frauds, and without as many random rows."""
    rng = np.random.default_rng(seed)
    count = round(share * int(label.sum()))
    without_frauds, without_random = np.ones(len(label), bool), np.ones(len(label), bool)
    without_frauds[rng.permutation(np.flatnonzero(label == 1))[:count]] = False
    without_random[rng.choice(len(label), count, replace=False)] = False
    return without_frauds, without_random


def measure(kept: Rows, train: TransactionRows, test: TransactionRows) -> dict[str, float]:
    """What the direction of least variance of some training rows has to do with frauds.

    Returns:
        Its variance, in units of an average column's; the cosine of its angle to the mean training
        fraud; and the average precision on the test part of the squared distance along it.
    """
    direction = least_variance_direction(kept)
    distance = np.square(direction.along(test.x))
    return {
        "variance along it": direction.variance,
        "cosine with the mean fraud": direction.cosine_with_mean(train.x[train.label == 1]),
        "AUPRC": metrics.average_precision(distance, test.label),
    }


def table_of_kept(
    split: str, seeds: Sequence[int], train: TransactionRows, test: TransactionRows
) -> list[dict[str, Any]]:
    """Rows of the first table; only which random rows are left out depends on the seed."""
    masks = [rows_left_out(train.label, int(seed)) for seed in seeds]
    found = {
        ALL: [measure(train.x, train, test)],
        WITHOUT_FRAUDS: [measure(train.normal, train, test)],
        WITHOUT_RANDOM: [measure(train.x[random], train, test) for _, random in masks],
    }
    return [{"split": split, "rows kept": kept, **over_seeds(rows)} for kept, rows in found.items()]


def over_seeds(rows: Sequence[dict[str, float]]) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Numbers of several seeds, column by column."""
    return {column: np.array([row[column] for row in rows]) for column in rows[0]}


# ---- 2. how it fades -----------------------------------------------------------------------------


def fade(
    config: Config, seeds: Sequence[int], train: TransactionRows, test: TransactionRows
) -> list[dict[str, Any]]:
    """The measurement of the first table, with only a share of the frauds taken out."""
    rows = []
    for share in config.removed:
        masks = [rows_left_out(train.label, int(seed), share)[0] for seed in seeds]
        measured = [measure(train.x[kept], train, test) for kept in masks]
        rows.append({"frauds removed": f"{share:.0%}", **over_seeds(measured)})
    return rows


# ---- 3. detectors with and without the direction -------------------------------------------------


def compare(
    config: Config, run: Run, split: str, train: TransactionRows, test: TransactionRows
) -> list[dict[str, Any]]:
    """Average precision of detectors: as they are, and where the direction is taken away.

    Taken away means: the rows are turned so that the direction is an axis of its own, and the other
    29 numbers are all that the detector learns from and is tested on.
    """
    direction = least_variance_direction(train.normal)
    whole, nets = {}, {}
    without: dict[str, dict[str, MemberScores]] = {}
    x, new = (direction.across(part.x).astype(np.float32) for part in (train, test))
    learnt_from = {tables.NORMAL_ROWS: train.label == 0, tables.ALL_ROWS: train.label >= 0}
    for source, kept in learnt_from.items():
        name = f"{split}-{source.split()[0]}"
        nets[source] = fit_nets(config, run, f"{name}-with", train.x[kept])
        whole[source] = scores_by_all(run.seeds, nets[source], train.x[kept], test.x)
        across = fit_nets(config, run, f"{name}-without", x[kept])
        without[source] = scores_by_all(run.seeds, across, x[kept], new)

    shares = error_along(nets[tables.NORMAL_ROWS], direction, train, test)
    rows = []
    for source, found in whole.items():
        for name, members in found.items():
            rows.append(
                {
                    "detector": name,
                    "learns from": source,
                    "AUPRC": area(members, test),
                    "without the direction": area(without[source][name], test),
                }
                | (shares.get(name, {}) if source == tables.NORMAL_ROWS else {})
            )
    return [*rows, *rows_of_the_leak_alone(config, run.seeds, direction, train, test)]


def area(members: MemberScores, test: TransactionRows) -> Float[np.ndarray, " seeds"]:
    """Average precision of each member on the test part."""
    return metrics.population(metrics.average_precision, members, test.label)


def scores_by_all(
    seeds: Sequence[int], nets: Mapping[str, Fitted], x: Rows, new: Rows
) -> dict[str, MemberScores]:
    """Scores of new rows by the nets and by detectors that are no net.

    Args:
        seeds: of the default detector.
        nets: trained on `x`.
        x: rows to learn from.
        new: rows to score.
    """
    lecture, wide = nets[LECTURE], nets[WIDE]
    usual, errors = (wide.predict(reconstruction.residual, {"x": rows}) for rows in (x, new))
    found = {
        LECTURE: lecture.predict(squared_error, {"x": new}),
        WIDE: reconstruction.whitened_scores(usual, errors),
    }
    found["default detector"] = score_members(default_detectors(x, seeds), new)
    for one in (detectors.pca(x, 12), detectors.minor_components(x), detectors.mahalanobis(x)):
        found[one.name] = one.score(new)[None]
    return found


LECTURE = "autoencoder of the lecture"
WIDE = "autoencoder recommended"


def fit_nets(config: Config, run: Run, name: str, x: Rows) -> dict[str, Fitted]:
    """The lecture's net and the recommended one of lab 160, on these rows.

    Args:
        config, run: of the lab.
        name: goes into the names of the fits.
        x: rows to train on.
    """
    columns, nets = x.shape[1], {}
    for title, widths in ((LECTURE, (12,)), (WIDE, (columns,))):
        init, apply = module_functions(DenseAutoencoder(columns, widths))
        task = Task(init, apply, squared_error, adam)
        nets[title] = run.fit(
            f"{name}-{title.split()[-1]}",
            task,
            {"x": x},
            steps=config.steps,
            batch_size=config.batch_size,
        )
    return nets


def adam(hyper):
    """Adam as in Keras."""
    return optim.adam()


def error_along(
    nets: Mapping[str, Fitted], direction: Direction, train: TransactionRows, test: TransactionRows
) -> dict[str, dict[str, Float[np.ndarray, " seeds"]]]:
    """Which share of each net's squared error lies along the direction: a 30th is no more than any.

    The recommended net's error is taken in units of what is usual for the column, as its score is.

    Returns:
        Net -> columns of the table: mean share among the test part's frauds and among its normal
        rows, for each seed.
    """
    found = {}
    for name, net in nets.items():
        errors = net.predict(reconstruction.residual, {"x": test.x})
        vector = np.broadcast_to(direction.vector, (len(errors), test.x.shape[1]))
        if name == WIDE:
            usual = net.predict(reconstruction.residual, {"x": train.normal}).std(axis=1)
            errors, vector = errors / usual[:, None], vector / usual
            vector = vector / np.linalg.norm(vector, axis=1, keepdims=True)
        along = np.square(np.einsum("snc,sc->sn", errors, vector)) / np.square(errors).sum(axis=-1)
        kinds = {"frauds": test.label == 1, "normal": test.label == 0}
        found[name] = {
            f"error along it, {kind}": along[:, rows].mean(axis=1) for kind, rows in kinds.items()
        }
    return found


# ---- 4. how far the leak carries -----------------------------------------------------------------


def rows_of_the_leak_alone(
    config: Config,
    seeds: Sequence[int],
    direction: Direction,
    train: TransactionRows,
    test: TransactionRows,
) -> list[dict[str, Any]]:
    """Table rows of what knows nothing but the leak, and of a classifier with all labels.

    The signed distance looks only to the side on which the frauds must lie, since all columns have
    mean 0 when they are there. The classifier of made-up frauds has never seen a fraud.
    """
    label = (train.label == 1).astype(np.int64)
    share = float(label.mean())
    taught_made_up = [
        taught_made_up_anomalies(
            train.normal, direction, share, config.made_up, config.normal_rows, int(seed)
        )
        for seed in seeds
    ]
    with_labels = [detectors.extra_trees(train.x, label, int(seed)) for seed in seeds]
    found = {
        ("signed distance along the direction", tables.NORMAL_ROWS): direction.along(test.x)[None],
        ("extra trees, made-up frauds", tables.NORMAL_ROWS): score_members(taught_made_up, test.x),
        ("extra trees, real frauds", tables.LABELS): score_members(with_labels, test.x),
    }
    return [
        {"detector": name, "learns from": source, "AUPRC": area(members, test)}
        for (name, source), members in found.items()
    ]


# ---- pictures ------------------------------------------------------------------------------------


def draw_directions(train: TransactionRows, seed: int, normals: int = 3000) -> Figure:
    """Training rows seen along the direction of least variance, for the three ways to keep rows.

    The other axis is the second direction from the end. Both are in standard deviations of the rows
    kept; all panels show the same rows, and have the same limits, within which all rows lie.
    """
    without_frauds, without_random = rows_left_out(train.label, seed)
    kept = {
        "all rows are kept": np.ones(len(train.label), bool),
        "as many random rows are left out": without_random,
        "the frauds are left out": without_frauds,
    }
    shown = detectors.subsample(train.normal, normals, seed=seed)
    frauds = train.x[train.label == 1]
    figure, axes = subplots(1, len(kept), width=4.2, height=4.0)
    for axis, (title, mask) in zip(axes, kept.items(), strict=True):
        for rows, colour, name in ((shown, "0.6", "normal"), (frauds, COLOURS[1], "fraud")):
            across, up = along_the_last_two(train.x[mask], rows)
            axis.scatter(across, up, s=5, color=colour, label=name, alpha=0.6, lw=0)
        axis.axvline(0.0, color="0.3", lw=0.8, label="mean of the rows kept")
        axis.set_xscale("symlog", linthresh=10)
        axis.set(title=title, xlabel="along the direction of least variance (sd)")
    x = [limit for axis in axes for limit in axis.get_xlim()]
    y = [limit for axis in axes for limit in axis.get_ylim()]
    for axis in axes:
        axis.set(xlim=(min(x), max(x)), ylim=(min(y), max(y)))
    axes[0].set_ylabel("along the direction before it (sd)")
    axes[-1].legend(markerscale=3, fontsize=8)
    return figure


def along_the_last_two(kept: Rows, rows: Rows) -> Iterator[Float[np.ndarray, " n"]]:
    """How far rows lie along the last and the last but one principal direction of those kept."""
    last = least_variance_direction(kept)
    yield last.along(rows)
    before = least_variance_direction(last.across(kept))
    yield before.along(last.across(rows))


def draw_fading(rows: Sequence[dict[str, Any]], removed: Sequence[float]) -> Figure:
    """Cosine and average precision against the share of the frauds that is taken out.

    Args:
        rows: of the second table.
        removed: the share that each of them is of.
    """
    figure, axis = subplots(width=5.4, height=3.6)
    rising = np.argsort(removed)
    place = np.array(removed)[rising]
    for colour, column in zip(COLOURS, ("cosine with the mean fraud", "AUPRC"), strict=False):
        heights = np.array([row[column] for row in rows])[rising]
        axis.plot(place, heights.mean(axis=1), marker="o", color=colour, label=column)
        axis.fill_between(
            place, heights.min(axis=1), heights.max(axis=1), color=colour, alpha=0.2, lw=0
        )
    axis.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.set(xlabel="share of the training frauds that is left out", ylim=(0, 1))
    axis.legend(fontsize=8)
    return figure
