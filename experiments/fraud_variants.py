"""Lab 160, further - better autoencoders for fraud (오토인코더 개선: 폭, 잡음, 앙상블)

Lab 160's net squeezes 30 columns, which are nearly uncorrelated principal components, into 12
numbers, and judges by the plain mean of the squared errors. Here: wider and deeper codes, noise on
the input, a scaler made by normal rows alone, errors in units of what is usual for the column
("whitened"). The seeds vote, and their ensemble for decisions is exported; the norm of a row's own
gradient is a second score; an alert names the columns that made it and the nearest normal row.

    python run.py experiments/fraud_variants.py --seeds 10
    python run.py experiments/fraud_variants.py --csv sample.csv --prevalence 0.001727 --seeds 10
    python run.py experiments/fraud_variants.py --split temporal

Protocol: the lecture's 50/50 split. A quarter of the training half's normal rows and all of its
frauds, none of which is ever trained on, are the validation part; their labels choose two variants
(the largest mean AUPRC, for ranking, and the largest mean F1 at 3 sd, for decisions) and do nothing
else. Trained again on all normal rows of the training half, whose scores give the thresholds, these
score the test half. Runtime on two CPU cores: two minutes for ten seeds. Numbers: docs/results.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from datasets import fraud
from datasets.fraud_split import COLUMNS, label_free, raw_rows, split_three
from jaxdl import optim
from jaxdl.anomaly import detectors, explain, metrics, reconstruction, thresholds
from jaxdl.anomaly.reconstruction import KINDS, Judged, contributions, residual, squared_error
from jaxdl.anomaly.tables import (
    decision_table,
    ranking_table,
    same_sized_groups,
    score_figures,
    sigma_thresholds,
    table_of_columns,
    tested_on,
)
from jaxdl.figures.curves import loss_curves
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.runs.run import fit_in_steps
from jaxdl.serving import export, transactions
from jaxdl.training import Fitted, Task, module_functions


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


DECISIONS = "F1 at mean + 3 sd"
PRESETS = {"quick": Config(steps=150, twin_rows=20_000)}
MODELS = {
    "30-12-30": DenseAutoencoder(30, (12,)),
    "30-24-30": DenseAutoencoder(30, (24,)),
    "30-27-30": DenseAutoencoder(30, (27,)),
    "30-30-30": DenseAutoencoder(30, (30,)),
    "30-64-24-64-30": DenseAutoencoder(30, (64, 24)),
}


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    parts = split_three(data, config.split)
    part = label_free(parts)
    normal, x_test = part.normal, parts.test.x
    valid = (
        part.valid.x,
        part.valid.label,
        fraud.prevalence_weights(part.valid.label, config.prevalence),
    )
    test = (
        parts.test.label,
        fraud.prevalence_weights(data.label, config.prevalence)[parts.test.rows],
    )
    fit = fit_in_steps(run.fit, config.steps, config.batch_size)

    fits, choices = {}, []
    denoising = DenseAutoencoder(30, (27,), noise=config.noise)
    for name, model in {**MODELS, "30-27-30 denoising": denoising}.items():
        task = Task(*module_functions(model), squared_error, lambda hyper: optim.adam())
        fits[name] = fit(name.replace(" ", "-"), task, part.fit)
        choices += validation_rows(name, fits[name], part.fit, *valid, DECISIONS)

    held = tested_on(config.split, test[0], config.prevalence)
    shown, decisions = {}, []
    for purpose in ("AUPRC", DECISIONS):
        best = max(choices, key=lambda row, by=purpose: row[by].mean())
        title = f"{best['model']}, {best['error']} error"
        if title in shown:
            continue
        task = fits[best["model"]].task
        chosen = fit(f"chosen-{best['model']}", task, normal)
        found = reconstruction.judge(chosen, normal, x_test, best["error"])
        ensemble, vote = f"{title}, vote of the seeds", found.new_vote[0]
        shown |= {title: found.new, ensemble: found.new_vote}
        titles = [f"Decisions of {n} (chosen by {purpose}); {held}" for n in (ensemble, title)]
        tables, *marks = decision_tables(titles, found, config.sigmas, *test)
        decisions += tables
    norms = reconstruction.gradient_norms(task, chosen.variables, {"x": x_test})
    blank = fit("untrained", task, normal, steps=0)
    shown |= {
        f"{best['model']}, norm of the gradient": norms,
        f"{best['model']}, untrained": np.square(blank.predict(residual, {"x": x_test})).mean(-1),
        "PCA, 12 components": detectors.pca(normal, 12)(x_test)[None],
        "PCA, 27 components": detectors.pca(normal, 27)(x_test)[None],
        "random": metrics.random_scores(run.seeds, len(x_test)),
    }
    frauds = f"{config.split} split, {valid[1].sum()} of {len(valid[1]):,} rows are frauds"
    top = np.argsort(-vote, kind="stable")[: config.alerts]
    near = explain.nearest_normal(x_test[top], normal, np.sqrt(np.square(found.usual).mean((0, 1))))
    alerts = {
        "row": parts.test.rows[top],
        "fraud": np.where(test[0][top] == 1, "yes", "no"),
        "score": vote[top],
        "amount": data.amount[parts.test.rows[top]],
        "columns that made it": explain.top_columns(found.made.mean(axis=0)[top], COLUMNS),
        "nearest normal row": part.normal_rows[near.row],
        "its distance": near.distance,
    }
    calm = found.known_vote[0]
    scorer = partial(
        export.build,
        export.detector(task, chosen.variables, found.usual, best["error"], title),
        transactions.transactions(parts.scaler.mean, parts.scaler.sd),
        thresholds.k_sigma(calm, max(config.sigmas), fitted_on="normal training rows"),
        rows=raw_rows(data, parts.test.rows[:1024]),
        reference=vote[:1024],
        calibration=calm,
        normal=export.Normal(raw_rows(data, part.normal_rows), part.normal_rows + 1),
    )
    groups = same_sized_groups(*(found.new[0, test[0] == kind] for kind in (0, 1)))
    pictures = score_figures(groups, *marks, shown, *test)
    histories = {name: fitted.history for name, fitted in fits.items()}
    curves = partial(loss_curves, histories, ylabel="MSE of normal rows", log=True)
    area = metrics.population(metrics.average_precision, next(iter(shown.values())), *test)
    return Results(
        tables=[
            Table(f"Choice of the variant on the validation part; {frauds}", choices),
            ranking_table(f"Ranking; {held}", shown, *test),
            *decisions,
            table_of_columns(f"Highest alerts of {ensemble}, explained", alerts, 1),
        ],
        figures={"loss": curves, **pictures},
        headline={"AUPRC": area},
        files={"scorer.jaxdl": scorer},
    )


def decision_tables(
    titles: Sequence[str],
    found: Judged,
    sigmas: Sequence[float],
    label: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> tuple[list[Table], list[str], Float[np.ndarray, " k"], metrics.Confusion]:
    """Decisions at mean + k sd of the normal training scores, by the vote and by the members.

    Returns:
        Both tables; names of the thresholds, the first member's values and confusion counts.
    """
    names, tables = [f"mean + {k:g} sd" for k in sigmas], []
    pairs = ((found.known_vote, found.new_vote), (found.known, found.new))
    for title, (known, new) in zip(titles, pairs, strict=True):
        limits = sigma_thresholds(known, sigmas, "normal training rows")
        counts = metrics.confusion_of_members(new, label, limits, weights)
        tables.append(decision_table(title, names, limits, counts))
    return tables, names, limits[0], counts[0]


def validation_rows(
    name: str,
    fitted: Fitted,
    normal: Float[np.ndarray, "m features"],
    x: Float[np.ndarray, "n features"],
    label: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    column: str,
) -> list[Mapping[str, Any]]:
    """A table row for each kind of error: ranking metrics, and F1 at mean + 3 sd.

    Args:
        name: of the model.
        fitted: the trained population.
        normal: its training rows.
        x, label, weights: the validation part.
        column: name of the column of F1.
    """
    usual, errors = (fitted.predict(residual, {"x": rows}) for rows in (normal, x))
    rows = []
    for kind in KINDS:
        ours, theirs = (contributions(usual, e, kind).sum(axis=-1) for e in (usual, errors))
        limits = sigma_thresholds(ours, (3.0,), "normal training rows")
        counts = metrics.confusion_of_members(theirs, label, limits, weights)
        decided = {column: np.array([c.f_beta()[0] for c in counts])}
        cells = {**metrics.metrics_of(theirs, label, weights), **decided}
        rows.append({"model": name, "error": kind, **cells})
    return rows
