"""Fraud detectors side by side (비정상 탐지 기법 비교): one table, two splits, intervals

Rules, supervised models, classical outlier detection and deep autoencoders under one protocol, on
the random and on the temporal 50/50 split. Then the deck's remedies for imbalance (slide 66), and
the mistake that makes any of them look perfect: resampling before the split.

    python run.py experiments/fraud_detectors.py --seeds 10
    python run.py experiments/fraud_detectors.py --csv sample.csv --prevalence 0.001727 --seeds 10

Protocol: three quarters of the training half are trained on (normal rows alone, except by the
supervised models); nothing is tuned, every setting was fixed beforehand. Neighbour methods and the
one-class SVM see a random sample of the normal rows, named in the table. "±" is over seeds; the
interval is a bootstrap over test rows.
Runtime on two CPU cores: some minutes for ten seeds. Numbers: docs/results.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from datasets import fraud
from datasets.fraud_split import Parts, TransactionRows, joined, resample, split_three
from datasets.source import DataError
from datasets.splits import refuse_shared_rows
from jaxdl import optim
from jaxdl.anomaly import detectors, metrics, reconstruction, tables
from jaxdl.anomaly.detector import Detector, Rows, score_members
from jaxdl.anomaly.metrics import MemberScores
from jaxdl.anomaly.reconstruction import squared_error
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.vae import DenseVAE, VaeOutput, gaussian_bound
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions
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
DRAWN = (  # detectors in the figures
    BEST,
    "supervised: logistic regression",
    "30-27-30, whitened",
    "PCA, 27 components",
    "30-12-30",
    "VAE",
    "isolation forest",
    "rule: columns out of their usual range",
)


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    weights = fraud.prevalence_weights(data.label, config.prevalence)

    parts = {split: split_three(data, split) for split in ("random", "temporal")}

    rankings, figures, boosting = [], {}, {}
    for split, (fit, _, test, _) in parts.items():
        scores = score_classical(classical_detectors(config, run.seeds, fit), test.x)
        scores |= deep_scores(config, run, split, fit.normal, test.x)

        judged = (test.label, weights[test.rows])
        held = tables.tested_on(split, test.label, config.prevalence)
        rankings.append(tables.ranking_table(f"Detectors; {held}", scores, *judged))
        drawn = {name: members for name, members in scores.items() if name in DRAWN}
        figures[f"precision_recall_{split}"] = tables.precision_recall_figure(drawn, *judged)
        boosting[split] = metrics.population(metrics.average_precision, scores[BEST], *judged)

    remedies = remedies_table(config, run.seeds, parts["random"], weights)
    return Results(
        tables=[*rankings, remedies],
        figures=figures,
        headline={"AUPRC of gradient boosting": boosting["random"]},
    )


# ---- classical detectors -------------------------------------------------------------------------


def classical_detectors(
    config: Config, seeds: Sequence[int], fit: TransactionRows
) -> Iterator[list[Detector]]:
    """Everything that is not a deep model, fitted one after the other.

    All but the supervised models see the normal rows only.

    Yields:
        A detector for each seed, or a single one where nothing is drawn.
    """
    normal = fit.normal
    few = detectors.subsample(normal, config.neighbour_rows, seed=0)
    yield [detectors.usual_range(normal)]
    yield [detectors.logistic_regression(fit.x, fit.label)]
    yield [detectors.gradient_boosting(fit.x, fit.label)]
    yield [detectors.pca(normal, 12)]
    yield [detectors.pca(normal, 27)]
    yield [detectors.tail_probability(normal)]
    yield [detectors.mahalanobis(normal)]
    yield [detectors.nearest_neighbours(few)]
    yield [detectors.local_outlier_factor(few)]
    yield [detectors.dbscan(few)]
    yield [detectors.one_class_svm(few)]
    yield [detectors.isolation_forest(normal, int(seed)) for seed in seeds]
    yield [detectors.random(normal.shape[1], int(seed)) for seed in seeds]


def score_classical(fitted: Iterator[list[Detector]], x: Rows) -> dict[str, MemberScores]:
    """Name -> scores of the rows, one row of them for each member."""
    found = {}
    for members in tqdm(fitted, "detectors", leave=False):
        found[members[0].name] = score_members(members, x)
    return found


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
        trained: or left as it was initialised.
    """

    name: str
    module: DenseAutoencoder | DenseVAE
    loss: Loss
    residual: Callable[[Any, Batch], Float[Array, "batch features"]]
    trained: bool = True


DEEP_MODELS = (
    DeepModel("30-12-30", DenseAutoencoder(30, (12,)), squared_error, reconstruction.residual),
    DeepModel("30-27-30", DenseAutoencoder(30, (27,)), squared_error, reconstruction.residual),
    DeepModel("VAE", DenseVAE((32,), 16), vae_bound, vae_residual),
    DeepModel(
        "30-12-30 untrained",
        DenseAutoencoder(30, (12,)),
        squared_error,
        reconstruction.residual,
        trained=False,
    ),
)


def adam(hyper):
    """Adam as in Keras."""
    return optim.adam()


def deep_scores(
    config: Config, run: Run, split: str, normal: Rows, x: Rows
) -> dict[str, MemberScores]:
    """Scores by autoencoders and a VAE: the plain error, and the error whitened by column.

    Args:
        config, run: of the lab.
        split: goes into the names of the fits.
        normal: rows to train on.
        x: rows to score.
    """
    found = {}
    for model in DEEP_MODELS:
        init, apply = module_functions(model.module)
        fitted = run.fit(
            f"{split}-{model.name.replace(' ', '-')}",
            Task(init, apply, model.loss, adam),
            {"x": normal},
            steps=config.steps if model.trained else 0,
            batch_size=config.batch_size,
        )
        usual = fitted.predict(model.residual, {"x": normal})
        errors = fitted.predict(model.residual, {"x": x})
        found[model.name] = np.square(errors).mean(axis=-1)
        found[f"{model.name}, whitened"] = reconstruction.whitened_scores(usual, errors)
    return found


# ---- remedies for imbalance, and the leak --------------------------------------------------------


def remedies_table(
    config: Config, seeds: Sequence[int], parts: Parts, weights: Float[np.ndarray, " rows"]
) -> Table:
    """Supervised models on resampled and on weighted training parts; last the leak.

    Args:
        config: of the lab.
        seeds: of the resampling.
        parts: of the random split.
        weights: of all rows of the file.
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
            quality = supervised_quality(scores, parts.test.label, weights[parts.test.rows])
            rows.append(
                {"training part": remedy, "model": name, **quality, "split check": "passed"}
            )
    rows.append(leaked_row(share, parts, weights))
    title = "Remedies for imbalance; random 50/50 split; threshold at even odds"
    return Table(title, rows)


def leaked_row(share: float, parts: Parts, weights: Float[np.ndarray, " rows"]) -> dict[str, Any]:
    """The mistake: frauds are repeated first and split afterwards, so both halves hold copies."""
    everything = joined([parts.fit, parts.valid, parts.test])
    mixed = resample(everything, "over", share, seed=0)  # in random order, so are the halves
    first, second = np.array_split(np.arange(len(mixed.rows)), [len(mixed.rows) // 2])
    train, test = mixed.take(first), mixed.take(second)
    try:
        refuse_shared_rows(train.rows, test.rows)
        verdict = "passed"
    except DataError as error:
        verdict = f"refused: {str(error).split('(')[0].strip()}"
    leaked = detectors.gradient_boosting(train.x, train.label)
    return {
        "training part": "LEAK: frauds repeated before the split",
        "model": "gradient boosting",
        **supervised_quality(leaked.score(test.x)[None], test.label, weights[test.rows]),
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
