"""Fraud detectors side by side (비정상 탐지 기법 비교): one table, two splits, intervals

Rules, supervised models, classical outlier detection and deep autoencoders on the random 50/50
split and by time, 50/50 and 80/20. What a detector learns from stands in front of its name: all
rows without labels; normal rows, which somebody must have chosen by their labels (on this file that
gives the frauds away, `experiments/fraud_leak.py`); or all rows and their labels. Then the deck's
remedies for imbalance (slide 66), and the mistake that makes any of them look perfect: resampling
before the split.

    python run.py experiments/fraud_detectors.py --seeds 10
    python run.py experiments/fraud_detectors.py --csv sample.csv --prevalence 0.001727 --seeds 10

Protocol: three quarters of the training part are trained on; the number of minor components is
chosen on the labels of the last quarter, nothing else is chosen. Neighbour methods and the
one-class SVM see a random sample of the rows, named in the table. "±" is over seeds; the interval
is a bootstrap over test rows.
Runtime on two busy CPU cores: about 20 minutes for ten seeds. Numbers: docs/results.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from datasets import fraud
from datasets.fraud_split import (
    How,
    Parts,
    TransactionRows,
    joined,
    resample,
    split_three,
    without_labels,
)
from datasets.source import DataError
from datasets.splits import refuse_shared_rows
from jaxdl import optim
from jaxdl.anomaly import default_detectors, detectors, metrics, reconstruction, tables
from jaxdl.anomaly.detector import Detector, Rows, score_members
from jaxdl.anomaly.metrics import MemberScores
from jaxdl.anomaly.reconstruction import squared_error
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.vae import DenseVAE, VaeOutput, gaussian_bound
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, module_functions
from jaxdl.training.task import Batch, Hyper, Loss


@dataclass(frozen=True)
class Config:
    csv: Path | None = None
    """Your own transactions: columns Time, V1..V28, Amount, Class (0 normal, 1 fraud)."""
    prevalence: float | None = None
    """True share of fraud, where the file was down-sampled: normal rows are weighted to it."""
    steps: int = 6000
    """Optimiser steps of the deep models, in whole epochs."""
    batch_size: int = 128
    """Rows in a step."""
    neighbour_rows: int = 5000
    """Normal rows that kNN, LOF, DBSCAN and the one-class SVM see."""
    fraud_share: float = 0.1
    """Of the training rows after over- or under-sampling."""
    twin_rows: int = fraud.ROWS
    """Rows of the simulated twin, where no real file is found."""


PRESETS = {"quick": Config(steps=150, neighbour_rows=300, twin_rows=20_000)}
BEST = "supervised: gradient boosting"
DRAWN = {  # detectors in the figures
    tables.LABELS: (BEST, "supervised: extra trees"),
    tables.NORMAL_ROWS: ("30-27-30, whitened", "30-12-30", "minor components of PCA, 1"),
    tables.ALL_ROWS: ("default detector", "30-27-30, whitened", "isolation forest"),
}
SPLITS: dict[str, tuple[How, float]] = {  # how, and the share of the rows that are tested
    "random": ("random", 0.5),
    "temporal": ("temporal", 0.5),
    "temporal_late": ("temporal", 0.2),
}


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    parts = {name: split_three(data, how, share) for name, (how, share) in SPLITS.items()}
    # each test part gets the prevalence that is stated, whatever its own is
    weights = {
        name: fraud.prevalence_weights(part.test.label, config.prevalence)
        for name, part in parts.items()
    }

    rankings, figures, boosting = [], {}, {}
    for name, (how, share) in SPLITS.items():
        fit, valid, test, _ = parts[name]
        x, new = without_labels(fit, test)
        protocols = {
            tables.NORMAL_ROWS: label_free_scores(config, run, f"{name}-normal", fit.normal, test.x)
            | minor_components_chosen(fit, valid, test.x),
            tables.ALL_ROWS: label_free_scores(config, run, f"{name}-all", x, new),
            tables.LABELS: score_all(supervised_detectors(run.seeds, fit), test.x),
            tables.NOTHING: untrained_scores(config, run, name, fit.normal, test.x),
        }
        judged = (test.label, weights[name])
        held = tables.tested_on(how, test.label, config.prevalence, share)
        rankings.append(tables.ranking_by_protocol(f"Detectors; {held}", protocols, *judged))
        figures[f"precision_recall_{name}"] = tables.precision_recall_figure(
            drawn_of(protocols), *judged
        )
        best = protocols[tables.LABELS][BEST]
        boosting[name] = metrics.population(metrics.average_precision, best, *judged)

    remedies = remedies_table(config, run.seeds, parts["random"], weights["random"])
    return Results(
        tables=[*rankings, remedies],
        figures=figures,
        headline={"AUPRC of gradient boosting": boosting["random"]},
    )


def drawn_of(protocols: Mapping[str, Mapping[str, MemberScores]]) -> dict[str, MemberScores]:
    """The scores of the detectors in `DRAWN`."""
    return tables.with_protocol(
        {
            source: {name: found for name, found in scores.items() if name in DRAWN[source]}
            for source, scores in protocols.items()
            if source in DRAWN
        }
    )


# ---- classical detectors -------------------------------------------------------------------------


def label_free_scores(
    config: Config, run: Run, name: str, x: Rows, new: Rows
) -> dict[str, MemberScores]:
    """Scores by everything that needs no labels once its training rows are there.

    Args:
        config, run: of the lab.
        name: goes into the names of the fits.
        x: rows to learn from.
        new: rows to score.
    """
    found = score_all(classical_detectors(config, run.seeds, x), new)
    return found | deep_scores(config, run, name, x, new)


def classical_detectors(
    config: Config, seeds: Sequence[int], x: Rows
) -> Iterator[tuple[str, list[Detector]]]:
    """Detectors that are no deep model, fitted one after the other.

    Yields:
        The name, and a detector for each seed, or a single one where nothing is drawn.
    """
    few = detectors.subsample(x, config.neighbour_rows, seed=0)
    yield "default detector", default_detectors(x, seeds)
    for one in (
        detectors.usual_range(x),
        detectors.pca(x, 12),
        detectors.pca(x, 27),
        detectors.minor_components(x),
        detectors.tail_probability(x),
        detectors.mahalanobis(x),
        detectors.nearest_neighbours(few),
        detectors.local_outlier_factor(few),
        detectors.dbscan(few),
        detectors.one_class_svm(few),
    ):
        yield one.name, [one]
    yield "isolation forest", [detectors.isolation_forest(x, int(seed)) for seed in seeds]


def supervised_detectors(
    seeds: Sequence[int], fit: TransactionRows
) -> Iterator[tuple[str, list[Detector]]]:
    """Detectors that are taught with labels."""
    for one in (
        detectors.logistic_regression(fit.x, fit.label),
        detectors.gradient_boosting(fit.x, fit.label),
    ):
        yield one.name, [one]
    trees = [detectors.extra_trees(fit.x, fit.label, int(seed)) for seed in seeds]
    yield trees[0].name, trees


def minor_components_chosen(
    fit: TransactionRows, valid: TransactionRows, new: Rows
) -> dict[str, MemberScores]:
    """Minor components of the normal rows; labels of the validation part choose how many."""
    chosen = detectors.best_minor_components(fit.normal, valid.x, valid.label)
    return {f"{chosen.name}, number chosen": chosen.score(new)[None]}


def score_all(fitted: Iterator[tuple[str, list[Detector]]], x: Rows) -> dict[str, MemberScores]:
    """Name -> scores of the rows, one row of them for each member."""
    return {
        name: score_members(members, x) for name, members in tqdm(fitted, "detectors", leave=False)
    }


# ---- deep models ---------------------------------------------------------------------------------


def vae_bound(
    outputs: VaeOutput, batch: Batch, hyper: Hyper | None = None
) -> Float[Array, " batch"]:
    """The VAE's loss: minus the evidence bound with a standard deviation of 0.5 a column."""
    return gaussian_bound(outputs, batch["x"], noise=0.5)


def vae_residual(outputs: VaeOutput, batch: Batch) -> Float[Array, "batch features"]:
    """What a VAE's copy lacks, made from the mean of the code."""
    return batch["x"] - outputs.reconstruction


@dataclass(frozen=True)
class DeepModel:
    """A model that copies its rows.

    Attributes:
        name: in the table.
        module: the model.
        loss: what it is trained by.
        residual: (outputs, batch) -> what the copy lacks, column by column.
    """

    name: str
    module: DenseAutoencoder | DenseVAE
    loss: Loss
    residual: Callable[[Any, Batch], Float[Array, "batch features"]]


DEEP_MODELS = (
    DeepModel("30-12-30", DenseAutoencoder(30, (12,)), squared_error, reconstruction.residual),
    DeepModel("30-27-30", DenseAutoencoder(30, (27,)), squared_error, reconstruction.residual),
    DeepModel("VAE", DenseVAE((32,), 16), vae_bound, vae_residual),
)


def adam(hyper):
    """Adam as in Keras."""
    return optim.adam()


def deep_scores(config: Config, run: Run, name: str, x: Rows, new: Rows) -> dict[str, MemberScores]:
    """Scores by autoencoders and a VAE: the plain error, and the error whitened by column.

    Args:
        config, run: of the lab.
        name: goes into the names of the fits.
        x: rows to train on.
        new: rows to score.
    """
    found = {}
    for model in DEEP_MODELS:
        fitted = fit_deep(config, run, f"{name}-{model.name}", model, x, config.steps)
        usual = fitted.predict(model.residual, {"x": x})
        errors = fitted.predict(model.residual, {"x": new})
        found[model.name] = np.square(errors).mean(axis=-1)
        found[f"{model.name}, whitened"] = reconstruction.whitened_scores(usual, errors)
    return found


def untrained_scores(
    config: Config, run: Run, name: str, x: Rows, new: Rows
) -> dict[str, MemberScores]:
    """Scores by the lecture's net as it was initialised, and random ones."""
    lecture, *_ = DEEP_MODELS
    untrained = fit_deep(config, run, f"{name}-untrained", lecture, x, steps=0)
    errors = untrained.predict(lecture.residual, {"x": new})
    chance = [detectors.random(x.shape[1], int(seed)) for seed in run.seeds]
    return {
        f"{lecture.name} untrained": np.square(errors).mean(axis=-1),
        "random": score_members(chance, new),
    }


def fit_deep(config: Config, run: Run, name: str, model: DeepModel, x: Rows, steps: int) -> Fitted:
    """A population of a deep model, trained on these rows."""
    task = Task(*module_functions(model.module), model.loss, adam)
    return run.fit(name, task, {"x": x}, steps=steps, batch_size=config.batch_size)


# ---- remedies for imbalance, and the leak --------------------------------------------------------


def remedies_table(
    config: Config, seeds: Sequence[int], parts: Parts, weights: Float[np.ndarray, " test"]
) -> Table:
    """Supervised models on resampled and on weighted training parts; last the leak.

    Args:
        config: of the lab.
        seeds: of the resampling.
        parts: of the random split.
        weights: of its test part.
    """
    share = config.fraud_share
    repeated = [resample(parts.fit, "over", share, int(seed)) for seed in seeds]
    dropped = [resample(parts.fit, "under", share, int(seed)) for seed in seeds]
    remedies = {
        "as it is": [parts.fit],
        "class weights": [parts.fit],
        f"frauds repeated to {share:.0%}": repeated,
        f"normals dropped to {share:.0%}": dropped,
    }
    models = {
        "logistic regression": detectors.logistic_regression,
        "gradient boosting": detectors.gradient_boosting,
    }
    rows = []
    for remedy, versions in tqdm(remedies.items(), "remedies", leave=False):
        for version in versions:
            refuse_shared_rows(version.rows, parts.test.rows)
        balanced = remedy == "class weights"
        for name, fit_model in models.items():
            fitted = [fit_model(version.x, version.label, balanced) for version in versions]
            scores = score_members(fitted, parts.test.x)
            quality = supervised_quality(scores, parts.test.label, weights)
            rows.append(
                {"training part": remedy, "model": name, **quality, "split check": "passed"}
            )
    rows.append(leaked_row(config, parts))
    title = "Remedies for imbalance; random 50/50 split; threshold at even odds"
    return Table(title, rows)


def leaked_row(config: Config, parts: Parts) -> dict[str, Any]:
    """The mistake: frauds are repeated first and split afterwards, so both halves hold copies.

    The repeated frauds are tested, too, which is part of the mistake: the row says how many.
    """
    everything = joined([parts.fit, parts.valid, parts.test])
    # in random order, so are the halves
    mixed = resample(everything, "over", config.fraud_share, seed=0)
    first, second = np.array_split(np.arange(len(mixed.rows)), [len(mixed.rows) // 2])
    train, test = mixed.take(first), mixed.take(second)
    try:
        refuse_shared_rows(train.rows, test.rows)
        verdict = "passed"
    except DataError as error:
        verdict = f"refused: {str(error).split('(')[0].strip()}"
    leaked = detectors.gradient_boosting(train.x, train.label)
    weights = fraud.prevalence_weights(test.label, config.prevalence)
    tested = np.average(test.label, weights=weights)
    return {
        "training part": f"LEAK: frauds repeated before the split, {tested:.1%} of the test part",
        "model": "gradient boosting",
        **supervised_quality(leaked.score(test.x)[None], test.label, weights),
        "split check": verdict,
    }


def supervised_quality(
    scores: MemberScores, label: Int[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """AUPRC, and precision and recall where the log-odds of fraud exceed 0."""
    at_even_odds = [metrics.confusion(member, label, 0.0, weights) for member in scores]
    return {
        "AUPRC": metrics.population(metrics.average_precision, scores, label, weights),
        "precision at odds 1": np.array([counts.precision() for counts in at_even_odds]),
        "recall at odds 1": np.array([counts.recall() for counts in at_even_odds]),
    }
