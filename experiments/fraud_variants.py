"""Lab 160, further - better autoencoders for fraud (오토인코더 개선: 폭, 잡음, 앙상블)

Lab 160's net squeezes 30 columns, which are nearly uncorrelated principal components, into 12
numbers, and judges by the plain mean of the squared errors. Here: wider and deeper codes, noise on
the input, a scaler that normal rows alone have made, and an error measured in units of what is
usual for the column ("whitened"). The seeds vote as an ensemble, the norm of a row's own gradient
is a second score, and an alert says which columns made it and which normal row is nearest.

    python run.py experiments/fraud_variants.py --seeds 10
    python run.py experiments/fraud_variants.py --csv sample.csv --prevalence 0.001727 --seeds 10
    python run.py experiments/fraud_variants.py --split temporal

Protocol: the lecture's 50/50 split. A quarter of the training half's normal rows and all of its
frauds, none of which is ever trained on, are the validation part; their labels choose two variants
(the largest mean AUPRC, for ranking, and the largest mean F1 at 3 sd, for decisions) and do nothing
else. These are trained again on all normal rows of the training half, whose scores give the
thresholds, and score the test half.
Runtime on two CPU cores: about two minutes for ten seeds. Numbers: docs/results.md.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from datasets import fraud
from datasets.fraud_split import COLUMNS, label_free, row_weights, split_three
from jaxdl import figures, losses, optim
from jaxdl.anomaly import detectors, evaluation, explain, reporting
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions


@dataclass(frozen=True)
class Config:
    csv: Path | None = None
    """Your own transactions: columns Time, V1..V28, Amount, Class (0 normal, 1 fraud)."""
    prevalence: float | None = None
    """True share of fraud, where the file was down-sampled: normal rows are weighted to it."""
    split: Literal["random", "temporal"] = "random"
    """random: the lecture's 50/50, seed 0; temporal: train on the earlier half."""
    steps: int = 6000
    """Optimiser steps of each variant, in whole epochs: the same work on files of any size."""
    batch_size: int = 128
    """Rows in a step."""
    noise: float = 0.2
    """Standard deviation of the noise that the denoising variant has to undo."""
    sigmas: tuple[float, ...] = (1.0, 2.0, 3.0)
    """Thresholds: mean + k standard deviations of the scores of normal training rows."""
    alerts: int = 8
    """How many of the highest alerts are explained."""
    twin_rows: int = fraud.ROWS
    """Rows of the simulated twin, where no real file is found."""


PRESETS = {"quick": Config(steps=150, twin_rows=20_000)}
MODELS = {
    "30-12-30": DenseAutoencoder(30, (12,)),
    "30-24-30": DenseAutoencoder(30, (24,)),
    "30-27-30": DenseAutoencoder(30, (27,)),
    "30-30-30": DenseAutoencoder(30, (30,)),
    "30-64-24-64-30": DenseAutoencoder(30, (64, 24)),
}


def squared_error(outputs, batch):
    """The loss: mean over columns."""
    return losses.mse(outputs, batch["x"])


def residual(outputs, batch):
    """What the copy lacks, column by column."""
    return batch["x"] - outputs


def contributions(usual: np.ndarray, errors: np.ndarray, kind: str) -> np.ndarray:
    """Each column's part of each member's score; `usual` are the errors of normal rows."""
    if kind == "plain":
        return np.square(errors) / errors.shape[-1]
    pairs = zip(map(detectors.fit_error_scale, usual), errors, strict=True)
    return np.stack([np.asarray(detectors.whitened_contributions(*pair)) for pair in pairs])


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    parts = split_three(data, config.split)
    part = label_free(parts)
    fit, normal, x_test = {"x": part.fit}, {"x": part.normal}, parts.test.x
    valid = (part.valid.label, row_weights(part.valid.label, config.prevalence))
    test = (parts.test.label, row_weights(data.label, config.prevalence)[parts.test.rows])
    size = {"batch_size": config.batch_size}

    def epochs(rows: dict) -> int:
        return -(-config.steps // -(-len(rows["x"]) // config.batch_size))

    fits, choices = {}, []
    denoising = DenseAutoencoder(30, (27,), noise=config.noise)
    for name, model in {**MODELS, "30-27-30 denoising": denoising}.items():
        task = Task(*module_functions(model), squared_error, lambda hyper: optim.adam())
        fits[name] = run.fit(name.replace(" ", "-"), task, fit, epochs=epochs(fit), **size)
        usual = fits[name].predict(residual, fit)
        errors = fits[name].predict(residual, {"x": part.valid.x})
        for kind in ("plain", "whitened"):
            makings = (contributions(usual, e, kind) for e in (usual, errors))
            ours, theirs = (made.sum(axis=-1) for made in makings)
            limits = reporting.sigma_thresholds(ours, (3.0,), "normal training rows")
            counts = reporting.confusion_of_members(theirs, valid[0], limits, valid[1])
            decided = {"F1 at mean + 3 sd": np.array([c.f_beta()[0] for c in counts])}
            cells = {**reporting.metrics_of(theirs, *valid), **decided}
            choices.append({"model": name, "error": kind, **cells})

    held = f"{config.split} 50/50 split; test half {len(x_test):,} rows, {test[0].sum()} frauds"
    if config.prevalence is not None:
        held += f"; normal rows weighted to prevalence {config.prevalence}"
    names = [f"mean + {k:g} sd" for k in config.sigmas]
    shown, decisions = {}, []
    for purpose in ("AUPRC", "F1 at mean + 3 sd"):
        best = max(choices, key=lambda row, by=purpose: row[by].mean())
        title = f"{best['model']}, {best['error']} error"
        if title in shown:
            continue
        task = fits[best["model"]].task
        chosen = run.fit(f"chosen-{best['model']}", task, normal, epochs=epochs(normal), **size)
        usual, errors = (chosen.predict(residual, rows) for rows in (normal, {"x": x_test}))
        made = contributions(usual, errors, best["error"])
        ours, score = contributions(usual, usual, best["error"]).sum(axis=-1), made.sum(axis=-1)
        ours_vote, vote = (detectors.ensemble_score(s, ours)[None] for s in (ours, score))
        ensemble = f"{title}, {len(run.seeds)} seeds vote"
        shown |= {title: score, ensemble: vote}
        for who, known, new in ((ensemble, ours_vote, vote), (title, ours, score)):
            limits = reporting.sigma_thresholds(known, config.sigmas, "normal training rows")
            counts = reporting.confusion_of_members(new, test[0], limits, test[1])
            decisions.append(
                reporting.decision_table(
                    f"Decisions of {who} (chosen by {purpose}); {held}", names, limits, counts
                )
            )
    norms = detectors.gradient_norms(task, chosen.variables, {"x": x_test})
    blank = run.fit("untrained", task, normal, epochs=0, **size)
    random = [np.random.default_rng(seed).random(len(x_test)) for seed in run.seeds]
    shown |= {
        f"{best['model']}, norm of the gradient": norms,
        f"{best['model']}, untrained": np.square(blank.predict(residual, {"x": x_test})).mean(-1),
        "PCA, 12 components": detectors.pca(normal["x"], 12)(x_test)[None],
        "PCA, 27 components": detectors.pca(normal["x"], 27)(x_test)[None],
        "random": np.stack(random),
    }
    frauds = f"{config.split} split, {valid[0].sum()} of {len(valid[0]):,} rows are frauds"

    top = np.argsort(-vote[0], kind="stable")[: config.alerts]
    scale = np.sqrt(np.square(usual).mean(axis=(0, 1)))
    near = explain.nearest_normal(x_test[top], normal["x"], scale)
    alerts = {
        "row": parts.test.rows[top],
        "fraud": np.where(test[0][top] == 1, "yes", "no"),
        "score": vote[0, top],
        "amount": data.amount[parts.test.rows[top]],
        "columns that made it": explain.top_columns(made.mean(axis=0)[top], COLUMNS),
        "nearest normal row": part.normal_rows[near.row],
        "its distance": near.distance,
    }
    groups = reporting.same_sized_groups(score[0, test[0] == 0], score[0, test[0] == 1])
    pictures = reporting.score_figures(groups, names, limits[0], counts[0], shown, *test)
    histories = {name: fitted.history for name, fitted in fits.items()}
    curves = partial(figures.loss_curves, histories, ylabel="MSE of normal rows", log=True)
    area = evaluation.population(evaluation.average_precision, next(iter(shown.values())), *test)
    return Results(
        tables=[
            Table(f"Choice of the variant on the validation part; {frauds}", choices),
            reporting.ranking_table(f"Ranking; {held}", shown, *test),
            *decisions,
            reporting.table_of_columns(f"Highest alerts of {ensemble}, explained", alerts, 1),
        ],
        figures={"loss": curves, **pictures},
        headline={"AUPRC": area},
    )
