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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from datasets import fraud
from datasets.fraud_split import Parts, TransactionRows, resample, split_three
from datasets.source import DataError
from datasets.splits import refuse_shared_rows
from jaxdl import losses, optim
from jaxdl.anomaly import detectors, metrics, reconstruction
from jaxdl.anomaly.tables import ranking_table
from jaxdl.figures import decisions
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.vae import DenseVAE, gaussian_bound
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, module_functions


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


PRESETS = {"quick": Config(steps=150, neighbour_rows=500, twin_rows=20_000)}
DRAWN = (
    "supervised: gradient boosting",
    "supervised: logistic regression",
    "30-27-30, whitened",
    "PCA, 27 components",
    "30-12-30",
    "VAE",
    "isolation forest",
    "rule: columns out of their usual range",
)


def remedies(config: Config, run: Run, data: fraud.Transactions, parts: Parts) -> list[dict]:
    """Rows of the table of imbalance remedies, the leak last."""
    weights = fraud.prevalence_weights(data.label, config.prevalence)

    def judge(name, model, scored, label, rows, verdict):
        cells = metrics.metrics_of(scored, label, weights[rows])
        at = [metrics.confusion(s, label, 0.0, weights[rows]) for s in scored]
        decided = {"precision": np.array([c.precision() for c in at])}
        decided |= {"recall": np.array([c.recall() for c in at])}
        head = {"training part": name, "model": model, "AUPRC": cells["AUPRC"]}
        return {**head, **{f"{k} at odds 1": v for k, v in decided.items()}, "split check": verdict}

    share, rows = config.fraud_share, []
    seeds = [int(seed) for seed in run.seeds]
    training = {
        "as it is": [parts.fit],
        "class weights": [parts.fit],
        f"frauds repeated to {share:.0%}": [resample(parts.fit, "over", share, s) for s in seeds],
        f"normals dropped to {share:.0%}": [resample(parts.fit, "under", share, s) for s in seeds],
    }
    models = {
        "logistic regression": detectors.logistic_regression,
        "gradient boosting": detectors.gradient_boosting,
    }
    for name, versions in tqdm(training.items(), "remedies", leave=False):
        for part in versions:
            refuse_shared_rows(part.rows, parts.test.rows)
        for model, make in models.items():
            fitted = [make(part.x, part.label, name == "class weights") for part in versions]
            scored = np.stack([scorer(parts.test.x) for scorer in fitted])
            rows.append(judge(name, model, scored, parts.test.label, parts.test.rows, "passed"))
    everything = [
        np.concatenate([getattr(p, f) for p in parts[:3]]) for f in ("x", "label", "rows")
    ]
    mixed = resample(
        TransactionRows(*everything), "over", share, 0
    )  # in random order: the halves are random
    first, second = (slice(None, len(mixed.rows) // 2), slice(len(mixed.rows) // 2, None))
    try:
        refuse_shared_rows(mixed.rows[first], mixed.rows[second])
        verdict = "passed"
    except DataError as error:
        verdict = f"refused: {str(error).split('(')[0].strip()}"
    leaked = detectors.gradient_boosting(mixed.x[first], mixed.label[first])
    scored, name = leaked(mixed.x[second])[None], "LEAK: frauds repeated before the split"
    test = (mixed.label[second], mixed.rows[second])
    return [*rows, judge(name, "gradient boosting", scored, *test, verdict)]


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    tables, figures = [], {}
    for split in ("random", "temporal"):
        parts = split_three(data, split)
        weights = fraud.prevalence_weights(data.label, config.prevalence)[parts.test.rows]
        labelled, x = (parts.fit.x, parts.fit.label), parts.test.x
        found = classical(*labelled, x, run.seeds, config.neighbour_rows)
        epochs = -(-config.steps // -(-len(parts.fit.normal) // config.batch_size))

        def fit(name, *rest, split=split, **size):
            return run.fit(f"{split}-{name}", *rest, batch_size=config.batch_size, **size)

        found |= deep(fit, parts.fit.normal, x, epochs)
        title = f"Detectors; {split} 50/50 split; test half {len(weights):,} rows, "
        title += f"{parts.test.label.sum()} frauds"
        if config.prevalence is not None:
            title += f"; normal rows weighted to prevalence {config.prevalence}"
        tables.append(ranking_table(title, found, parts.test.label, weights))
        curves = {name: members for name, members in found.items() if name in DRAWN}
        figures[f"precision_recall_{split}"] = partial(
            decisions.precision_recall,
            metrics.precision_recall_curves(curves, parts.test.label, weights),
            float(weights[parts.test.label == 1].sum() / weights.sum()),
        )
        if split == "random":
            rows = remedies(config, run, data, parts)
            best = metrics.population(
                metrics.average_precision, found[DRAWN[0]], parts.test.label, weights
            )
    tables.append(Table("Remedies for imbalance; random 50/50 split; threshold at even odds", rows))
    return Results(tables, figures, headline={"AUPRC of gradient boosting": best})


Rows = Float[np.ndarray, "n columns"]
Found = dict[str, Float[np.ndarray, "seeds m"]]


def residual(outputs, batch):
    """What an autoencoder's copy lacks."""
    return batch["x"] - outputs


def residual_of_vae(outputs, batch):
    """What a VAE's copy lacks, made from the mean of the code."""
    return batch["x"] - outputs.reconstruction


def deep(fit: Callable[..., Fitted], normal: Rows, x: Rows, epochs: int) -> Found:
    """Scores by autoencoders and a VAE, plain and whitened errors.

    Args:
        fit: (name, task, rows, epochs=...) -> the trained population.
        normal: rows to train on.
        x: rows to score.
        epochs: of those that are trained.
    """
    models = {
        "30-12-30": (DenseAutoencoder(30, (12,)), lambda o, b, hyper: losses.mse(o, b["x"])),
        "30-27-30": (DenseAutoencoder(30, (27,)), lambda o, b, hyper: losses.mse(o, b["x"])),
        "VAE": (DenseVAE((32,), 16), lambda o, b, hyper: gaussian_bound(o, b["x"], noise=0.5)),
    }
    fits = {name: (name, epochs) for name in models} | {"30-12-30 untrained": ("30-12-30", 0)}
    found = {}
    for name, (kind, length) in fits.items():
        model, loss = models[kind]
        task = Task(*module_functions(model), loss=loss, optimizer=lambda hyper: optim.adam())
        fitted = fit(name.replace(" ", "-"), task, {"x": normal}, epochs=length)
        missing = residual_of_vae if kind == "VAE" else residual
        usual, errors = (fitted.predict(missing, {"x": rows}) for rows in (normal, x))
        found[name] = np.square(errors).mean(axis=-1)
        found[f"{name}, whitened"] = reconstruction.whitened_population(usual, errors)
    return found


def classical(
    fit_x: Rows,
    fit_label: Int[np.ndarray, " n"],
    x: Rows,
    seeds: Iterable[int],
    neighbour_rows: int,
) -> Found:
    """Scores by everything that is not a deep model; one member where nothing is drawn.

    Args:
        fit_x, fit_label: rows to train on; all but the supervised models see the normal ones only.
        x: rows to score.
        seeds: of what is drawn.
        neighbour_rows: normal rows that neighbour methods and the one-class SVM see, at most.
    """
    normal = fit_x[fit_label == 0]
    few = detectors.subsample(normal, neighbour_rows, seed=0)
    n = f"{len(few):,} rows"
    once = {
        "rule: columns out of their usual range": lambda: detectors.usual_range(normal),
        "supervised: logistic regression": lambda: detectors.logistic_regression(fit_x, fit_label),
        "supervised: gradient boosting": lambda: detectors.gradient_boosting(fit_x, fit_label),
        "PCA, 12 components": lambda: detectors.pca(normal, 12),
        "PCA, 27 components": lambda: detectors.pca(normal, 27),
        "tail probabilities (ECOD)": lambda: detectors.tail_probability(normal),
        "Mahalanobis": lambda: detectors.mahalanobis(normal),
        f"kNN, {n}": lambda: detectors.nearest_neighbours(few),
        f"LOF, {n}": lambda: detectors.local_outlier_factor(few),
        f"DBSCAN, {n}": lambda: detectors.dbscan(few),
        f"one-class SVM, {n}": lambda: detectors.one_class_svm(few),
    }
    seeded = {
        "isolation forest": lambda s: detectors.isolation_forest(normal, s),
        "random": lambda s: lambda rows: np.random.default_rng(s).random(len(rows)),
    }
    found = {name: make()(x)[None] for name, make in tqdm(once.items(), "detectors", leave=False)}
    for name, make in tqdm(seeded.items(), "seeded detectors", leave=False):
        found[name] = np.stack([make(int(seed))(x) for seed in seeds])
    return found
