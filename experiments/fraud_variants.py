"""Lab 160, further - better autoencoders for fraud (오토인코더 개선: 폭, 잡음, 앙상블)

Lab 160's net squeezes 30 columns, which are nearly uncorrelated principal components, into 12
numbers, and judges by the plain mean of the squared errors. Here: wider and deeper codes, noise on
the input, a scaler made by normal rows alone, errors in units of what is usual for the column
("whitened"). The seeds vote, and their ensemble for decisions is exported; the norm of a row's own
gradient is a second score; an alert names the columns that made it and the nearest normal row.

    python run.py experiments/fraud_variants.py --seeds 10
    python run.py experiments/fraud_variants.py --csv sample.csv --prevalence 0.001727 --seeds 10
    python run.py experiments/fraud_variants.py --split temporal

Protocol: the lecture's 50/50 split. A quarter of the training part's normal rows and all of its
frauds, none of which is ever trained on, are the validation part; their labels choose two variants
(the largest mean AUPRC, for ranking, and the largest mean F1 at 3 sd, for decisions) and do nothing
else. Trained again on all normal rows of the training part, whose scores give the thresholds, these
score the test part. Numbers: docs/results.md.
Runtime on one CPU core: about 7 minutes for ten seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float, Int

from datasets import fraud
from datasets.fraud import Transactions
from datasets.fraud_split import (
    COLUMNS,
    LabelFree,
    Parts,
    columns,
    label_free,
    raw_rows,
    split_three,
    training_part,
    without_labels,
)
from jaxdl import optim
from jaxdl.anomaly import default_detectors, detectors, explain, metrics, tables, thresholds
from jaxdl.anomaly.detector import Detector, Rows, score_members
from jaxdl.anomaly.leaks import leak_warnings, least_variance_direction, taught_made_up_anomalies
from jaxdl.anomaly.metrics import Confusion, MemberScores, Scores
from jaxdl.anomaly.reconstruction import (
    Residuals,
    ensemble_detector,
    ensemble_score,
    plain_contributions,
    residual,
    squared_error,
    whitened_contributions,
)
from jaxdl.anomaly.thresholds import Threshold
from jaxdl.diagnostics import probes
from jaxdl.figures.curves import loss_curves
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.serving import export, scorer_file, transactions
from jaxdl.training import Fitted, Task, module_functions
from jaxdl.training.task import forward


@dataclass(frozen=True)
class Config:
    csv: Path | None = None
    """Your own transactions: columns Time, V1..V28, Amount, Class (0 normal, 1 fraud)."""
    prevalence: float | None = None
    """True share of fraud, where the file was down-sampled: normal rows are weighted to it."""
    split: Literal["random", "temporal"] = "random"
    """random: the lecture's, seed 0; temporal: train on the earlier rows, test on the later."""
    test_share: float = 0.5
    """Share of the rows that are tested."""
    steps: int = 6000
    """Optimiser steps of each variant, in whole epochs: the same work on files of any size."""
    batch_size: int = 128
    """Rows in a step."""
    noise: float = 0.2
    """Standard deviation of the noise that the denoising variant has to undo."""
    sigmas: tuple[float, ...] = (1.0, 2.0, 3.0)
    """Thresholds: mean + k standard deviations of the scores of normal training rows."""
    tree_rows: int = 200_000
    """Normal rows that the trees are taught, at most; a seventh as many frauds are made up."""
    alerts: int = 8
    """How many of the highest alerts are explained."""
    twin_rows: int = fraud.ROWS
    """Rows of the simulated twin, where no real file is found."""


PRESETS = {"quick": Config(steps=150, tree_rows=2000, twin_rows=20_000)}

Fit = Callable[..., Fitted]  # `Run.fit` with the batch size

RANKING = "AUPRC"
DECISIONS = "F1 at mean + 3 sd"
ERRORS = {"plain": plain_contributions, "whitened": whitened_contributions}


def main(config: Config, run: Run) -> Results:
    data = load_parts(config, run)
    fit = partial(run.fit, batch_size=config.batch_size)

    # 1. train every variant and look at the validation part
    fits = fit_variants(config, fit, data.label_free.fit)
    choices = [
        validation_row(name, error, fitted, data)
        for name, fitted in fits.items()
        for error in ERRORS
    ]

    choices_of_others = []
    for name in (*MINOR, MADE_UP):
        members = fit_detector(name, config, run.seeds, data.label_free.fit, data)
        choices_of_others.append(validation_row_of_detector(name, members, data))

    # 2. the best for ranking and the best for decisions (often the same), on all normal rows
    chosen = fit_chosen(config, fit, choices, fits, data)
    final = chosen[-1]  # the one for decisions: exported, and its alerts are explained

    # 3. the test part
    compared = {}
    for one in chosen:
        compared |= {one.title: one.judged.new, one.vote_title: one.judged.new_vote}
    pca = pca_scores(data)
    compared |= gradient_scores(final, data) | pca
    best_other = largest(RANKING, choices_of_others)["model"]
    members = fit_detector(best_other, config, run.seeds, data.label_free.normal, data)
    known, compared[best_other] = (
        score_members(members, x) for x in (data.label_free.normal, data.x)
    )
    protocols = {
        tables.NORMAL_ROWS: compared,
        tables.ALL_ROWS: scores_without_labels(config, run, fit, final, data),
        tables.LABELS: scores_with_labels(data),
        tables.NOTHING: scores_of_nothing(run, fit, final, data),
    }

    held = tables.tested_on(config.split, data.label, config.prevalence, config.test_share)
    decisions = [table for one in chosen for table in decision_tables(config, one, data, held)]
    decisions.append(
        decisions_of_detector(config, best_other, known, compared[best_other], data, held)
    )
    frauds, rows = data.label_free.valid.label.sum(), len(data.label_free.valid.label)
    validated = f"{config.split} split, {frauds} of {rows:,} rows are frauds"
    first = compared[chosen[0].title]
    names = (chosen[0].title, chosen[0].vote_title, best_other, *pca)
    drawn = {name: compared[name] for name in names}  # the others lie on these
    return Results(
        tables=[
            Table(
                f"Choice of the variant on the validation part; {validated}",
                choices + choices_of_others,
            ),
            tables.ranking_by_protocol(f"Ranking; {held}", protocols, data.label, data.weights),
            *decisions,
            explained_alerts(config, final, data),
        ],
        figures={
            "loss": partial(
                loss_curves,
                {name: fitted.history for name, fitted in fits.items()},
                ylabel="MSE of normal rows",
                log=True,
            ),
            **score_figures(config, final, drawn, data),
        },
        headline={
            "AUPRC": metrics.population(metrics.average_precision, first, data.label, data.weights)
        },
        notes=leak_warnings(columns(data.raw), data.raw.label == 1),  # as in lab 160
        files={scorer_file.FILE_NAME: partial(export_scorer, config, final, data)},
    )


# ---- data ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """The transactions, split.

    Attributes:
        raw: as they were loaded.
        parts: fit, validation and test part.
        label_free: the training part as a method without labels uses it.
        valid_weights, weights: how many transactions of the real stream each row of the validation
            part and of the test part stands for.
    """

    raw: Transactions
    parts: Parts
    label_free: LabelFree
    valid_weights: Float[np.ndarray, " m"]
    weights: Float[np.ndarray, " n"]

    @property
    def x(self) -> Float[np.ndarray, "n features"]:
        """The test part."""
        return self.parts.test.x

    @property
    def label(self) -> Int[np.ndarray, " n"]:
        """Of the test part; 1 is fraud."""
        return self.parts.test.label


def load_parts(config: Config, run: Run) -> Data:
    """Load, split and weight."""
    raw = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(raw.provenance)
    parts = split_three(raw, config.split, config.test_share)
    rows = label_free(parts)
    valid_weights = fraud.prevalence_weights(rows.valid.label, config.prevalence)
    weights = fraud.prevalence_weights(parts.test.label, config.prevalence)
    return Data(raw, parts, rows, valid_weights, weights)


# ---- variants and their training -----------------------------------------------------------------


def variants(config: Config) -> dict[str, DenseAutoencoder]:
    """Lab 160's net, wider and deeper codes, and one that has to undo noise."""
    return {
        "30-12-30": DenseAutoencoder(30, (12,)),
        "30-24-30": DenseAutoencoder(30, (24,)),
        "30-27-30": DenseAutoencoder(30, (27,)),
        "30-30-30": DenseAutoencoder(30, (30,)),
        "30-64-24-64-30": DenseAutoencoder(30, (64, 24)),
        "30-27-30 denoising": DenseAutoencoder(30, (27,), noise=config.noise),
    }


def adam(hyper):
    """Adam as in Keras."""
    return optim.adam()


def fit_variants(config: Config, fit: Fit, normal: Rows) -> dict[str, Fitted]:
    """Each variant, trained on the normal rows of the fit part.

    Args:
        config: of the lab.
        fit: `Run.fit` with the batch size.
        normal: rows to train on.
    """
    fits = {}
    for name, model in variants(config).items():
        task = Task(*module_functions(model), squared_error, adam)
        fits[name] = fit(name.replace(" ", "-"), task, {"x": normal}, steps=config.steps)
    return fits


# ---- scores by reconstruction error --------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """Scores by one kind of error, of each member and of their vote.

    Attributes:
        usual: residuals of normal training rows.
        parts: each column's part of the new rows' scores.
        known, new: scores of the normal training rows and of the new rows.
    """

    usual: Residuals
    parts: Residuals
    known: Float[np.ndarray, "seeds m"]
    new: Float[np.ndarray, "seeds n"]

    @property
    def known_vote(self) -> Float[np.ndarray, "1 m"]:
        """The vote on the normal training rows, as a population of one."""
        return ensemble_score(self.known, self.known)[None]

    @property
    def new_vote(self) -> Float[np.ndarray, "1 n"]:
        """The vote on the new rows, as a population of one."""
        return ensemble_score(self.new, self.known)[None]


def judge(fitted: Fitted, normal: Rows, x: Rows, error: str) -> Judged:
    """Scores of the rows `x` by a population, and of the normal rows that it was trained on."""
    usual = fitted.predict(residual, {"x": normal})
    errors = fitted.predict(residual, {"x": x})
    parts = ERRORS[error](usual, errors)
    known = ERRORS[error](usual, usual).sum(axis=-1)
    return Judged(usual, parts, known, parts.sum(axis=-1))


def threshold_rule(normal_scores: Scores, k: float, resamples: int = 0) -> Threshold:
    """Mean + k standard deviations of the scores of normal training rows, as in lab 160."""
    return thresholds.k_sigma(
        normal_scores, k, fitted_on="normal training rows", resamples=resamples
    )


# ---- the choice on the validation part -----------------------------------------------------------


def validation_row(name: str, error: str, fitted: Fitted, data: Data) -> dict[str, Any]:
    """A table row of a variant with one kind of error: ranking metrics, and F1 at mean + 3 sd."""
    judged = judge(fitted, data.label_free.fit, data.label_free.valid.x, error)
    return validated(name, error, judged.known, judged.new, data)


def validated(
    name: str, error: str, known: MemberScores, new: MemberScores, data: Data
) -> dict[str, Any]:
    """A row of the validation table.

    Args:
        name, error: its first cells.
        known: scores of the normal rows that were trained on; they give the threshold.
        new: scores of the validation part.
        data: whose labels judge.
    """
    valid, weights = data.label_free.valid, data.valid_weights
    limits = tables.thresholds_of_members(threshold_rule, known, (3.0,))
    counts = metrics.confusion_of_members(new, valid.label, limits, weights)
    return {
        "model": name,
        "error": error,
        **metrics.metrics_of(new, valid.label, weights),
        DECISIONS: np.array([one.f_beta()[0] for one in counts]),
    }


@dataclass(frozen=True)
class Chosen:
    """A variant chosen on the validation part and trained on all normal rows.

    Attributes:
        model, error: names of the net and of the kind of error.
        purpose: what it was the best at.
        fitted: the population.
        judged: its scores of the test part.
    """

    model: str
    error: str
    purpose: str
    fitted: Fitted
    judged: Judged

    @property
    def title(self) -> str:
        """What its members are called."""
        return f"{self.model}, {self.error} error"

    @property
    def vote_title(self) -> str:
        """What its ensemble is called."""
        return f"{self.title}, vote of the seeds"


def fit_chosen(
    config: Config,
    fit: Fit,
    choices: Sequence[Mapping[str, Any]],
    fits: Mapping[str, Fitted],
    data: Data,
) -> list[Chosen]:
    """The best variant for each purpose, trained again on all normal rows; once if it is one.

    Args:
        config: of the lab.
        fit: `Run.fit` with the batch size.
        choices: rows of the validation table.
        fits: the variants by name.
        data: the test part is scored, nothing else is done with it.
    """
    normal, populations, chosen = data.label_free.normal, {}, []
    for purpose in (RANKING, DECISIONS):
        best = largest(purpose, choices)
        model, error = best["model"], best["error"]
        if any((one.model, one.error) == (model, error) for one in chosen):
            continue
        if model not in populations:
            task, name = fits[model].task, f"chosen-{model}"
            populations[model] = fit(name, task, {"x": normal}, steps=config.steps)
        judged = judge(populations[model], normal, data.x, error)
        chosen.append(Chosen(model, error, purpose, populations[model], judged))
    return chosen


def largest(column: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The row with the largest mean over the seeds."""
    return max(rows, key=lambda row: row[column].mean())


# ---- what is no net ------------------------------------------------------------------------------


MADE_UP = "extra trees, made-up frauds"
MINOR = {f"minor components of PCA, {number}": number for number in (1, 2, 3)}


def fit_detector(
    name: str, config: Config, seeds: Sequence[int], normal: Rows, data: Data
) -> list[Detector]:
    """Minor components, or trees taught made-up frauds; a detector for each seed if it draws.

    Args:
        name: of `MINOR`, or `MADE_UP`.
        config, seeds: of the lab.
        normal: rows to learn from.
        data: how many frauds were left out of the training part is known to who left them out.
    """
    if name in MINOR:
        return [detectors.minor_components(normal, MINOR[name])]
    # principal components have mean 0 over all rows, which tells the side of the missing ones
    origin = data.parts.scaler.mean.copy()
    origin[[column.startswith("V") for column in COLUMNS]] = 0.0
    direction = least_variance_direction(normal, data.parts.scaler(origin[None])[0])
    share = float(training_part(data.parts).label.mean())
    count = min(len(normal), config.tree_rows) // 7
    return [
        taught_made_up_anomalies(normal, direction, share, count, config.tree_rows, int(seed))
        for seed in seeds
    ]


def validation_row_of_detector(
    name: str, members: Sequence[Detector], data: Data
) -> dict[str, Any]:
    """`validation_row` of what is no net."""
    known, new = (score_members(members, x) for x in (data.label_free.fit, data.label_free.valid.x))
    return validated(name, "", known, new, data)


def decisions_of_detector(
    config: Config, name: str, known: MemberScores, new: MemberScores, data: Data, held: str
) -> Table:
    """Decisions by what is no net, at mean + k sd of its scores of normal training rows.

    Args:
        config: of the lab.
        name: of the detector.
        known, new: its scores of the normal training rows and of the test part.
        data, held: see `decision_tables`.
    """
    limits, counts = decisions_of(config, known, new, data)
    title = f"Decisions of {name} (no net; chosen by {RANKING}); {held}"
    return tables.decision_table(title, tables.sigma_names(config.sigmas), limits, counts)


# ---- what it is compared with --------------------------------------------------------------------


def gradient_scores(final: Chosen, data: Data) -> dict[str, MemberScores]:
    """A second score of the chosen model."""
    gradients = gradient_norms(final.fitted, {"x": data.x})
    return {f"{final.model}, norm of the gradient": gradients}


def pca_scores(data: Data) -> dict[str, MemberScores]:
    """Reconstruction errors of PCA, learnt from normal rows."""
    narrow, wide = (detectors.pca(data.label_free.normal, size) for size in (12, 27))
    return {one.name: one.score(data.x)[None] for one in (narrow, wide)}


def scores_without_labels(
    config: Config, run: Run, fit: Fit, final: Chosen, data: Data
) -> dict[str, MemberScores]:
    """The chosen net, trained on all training rows, and detectors that learn from these."""
    x, new = without_labels(training_part(data.parts), data.parts.test)
    fitted = fit("all-rows", final.fitted.task, {"x": x}, steps=config.steps)
    default = default_detectors(x, run.seeds)
    mahalanobis = detectors.mahalanobis(x)
    return {
        final.title: judge(fitted, x, new, final.error).new,
        mahalanobis.name: mahalanobis.score(new)[None],
        "default detector": score_members(default, new),
    }


def scores_with_labels(data: Data) -> dict[str, MemberScores]:
    """Trees that were taught with the labels of the training part."""
    train = training_part(data.parts)
    boosting = detectors.gradient_boosting(train.x, train.label)
    return {boosting.name: boosting.score(data.x)[None]}


def scores_of_nothing(run: Run, fit: Fit, final: Chosen, data: Data) -> dict[str, MemberScores]:
    """The chosen net as it was initialised, and chance."""
    untrained = fit("untrained", final.fitted.task, {"x": data.label_free.normal}, steps=0)
    chance = [detectors.random(data.x.shape[1], int(seed)) for seed in run.seeds]
    return {
        f"{final.model}, untrained": np.square(untrained.predict(residual, {"x": data.x})).mean(-1),
        "random": score_members(chance, data.x),
    }


GRADIENT_ROWS = 1024  # per-example gradients held at once


def gradient_norms(fitted: Fitted, data: Mapping[str, np.ndarray]) -> MemberScores:
    """Norm of each row's own gradient of the loss: how much the row would change the model.

    A second score beside the error itself: for a linear layer it is the error times the size of
    the activation in front, so it also sees rows that are far out but well copied.

    Args:
        fitted: a population; its task's loss is differentiated, in evaluation mode.
        data: arrays [n, ...].
    """
    task, rows = fitted.task, len(next(iter(data.values())))

    def of_member(variables, batch):
        def loss(params, example):
            alone = jax.tree.map(lambda x: x[None], example)
            outputs, _ = forward(task, {**variables, "params": params}, alone, None, False, {})
            return task.loss(outputs, alone, {})[0]

        gradients = probes.per_example_gradients(loss, variables["params"], batch)
        return probes.per_example_norms(gradients)

    program = jax.jit(jax.vmap(of_member, in_axes=(0, None)))
    norms = []
    for start in range(0, rows, GRADIENT_ROWS):
        # the last block repeats the last row, so that all blocks have one size
        index = np.minimum(np.arange(start, start + GRADIENT_ROWS), rows - 1)
        batch = {name: x[index] for name, x in data.items()}
        norms.append(np.asarray(program(fitted.variables, batch))[:, : rows - start])
    return np.concatenate(norms, axis=1)


# ---- what we see ---------------------------------------------------------------------------------


def decisions_of(
    config: Config, known: MemberScores, new: MemberScores, data: Data
) -> tuple[Float[np.ndarray, "seeds k"], list[Confusion]]:
    """Each member's thresholds, and its confusion counts on the test part."""
    limits = tables.thresholds_of_members(threshold_rule, known, config.sigmas)
    return limits, metrics.confusion_of_members(new, data.label, limits, data.weights)


def decision_tables(config: Config, chosen: Chosen, data: Data, held: str) -> list[Table]:
    """Decisions at mean + k sd of the normal training scores, by the vote and by the members."""
    judged, found = chosen.judged, []
    for title, known, new in (
        (chosen.vote_title, judged.known_vote, judged.new_vote),
        (chosen.title, judged.known, judged.new),
    ):
        limits, counts = decisions_of(config, known, new, data)
        title = f"Decisions of {title} (chosen by {chosen.purpose}); {held}"
        names = tables.sigma_names(config.sigmas)
        found.append(tables.decision_table(title, names, limits, counts))
    return found


def score_figures(
    config: Config, final: Chosen, drawn: Mapping[str, MemberScores], data: Data
) -> dict[str, Any]:
    """Histogram, box plot and confusion of the first member; precision and recall of `drawn`."""
    judged = final.judged
    limits, counts = decisions_of(config, judged.known, judged.new, data)
    normal, frauds = (judged.new[0, data.label == kind] for kind in (0, 1))
    return tables.score_figures(
        tables.same_sized_groups(normal, frauds, "test rows"),
        tables.sigma_names(config.sigmas),
        limits[0],
        counts[0],
        drawn,
        data.label,
        data.weights,
    )


def explained_alerts(config: Config, final: Chosen, data: Data) -> Table:
    """The highest alerts of the vote: which columns made them, which normal row is nearest."""
    judged, test, known = final.judged, data.parts.test, data.label_free
    vote = judged.new_vote[0]
    top = np.argsort(-vote, kind="stable")[: config.alerts]
    # distances in units of what is usual for the column, like the scores
    usual_error = np.sqrt(np.square(judged.usual).mean(axis=(0, 1)))
    nearest = explain.nearest_normal(test.x[top], known.normal, usual_error)
    reasons = explain.top_columns(judged.parts.mean(axis=0)[top], COLUMNS)
    rows = []
    for alert, place in enumerate(top):
        row = test.rows[place]
        rows.append(
            {
                "row": row + 1,
                "fraud": "yes" if test.label[place] == 1 else "no",
                "score": vote[place],
                "amount": data.raw.amount[row],
                "columns that made it": reasons[alert],
                "nearest normal row": known.normal_rows[nearest.row[alert]] + 1,
                "its distance": nearest.distance[alert],
            }
        )
    title = f"Highest alerts of {final.vote_title}, explained (the first row below the header is 1)"
    return Table(title, rows, digits=1)


# ---- what is handed on: one file that scores raw transactions ------------------------------------


def export_scorer(config: Config, final: Chosen, data: Data, origin: Mapping[str, Any]) -> bytes:
    """The vote of the seeds with the strictest threshold; `python -m jaxdl.score` applies it."""
    judged, parts, normal_rows = final.judged, data.parts, data.label_free.normal_rows
    calm = judged.known_vote[0]
    detector = ensemble_detector(
        final.fitted.task,
        final.fitted.variables,
        judged.usual,
        whitened=final.error == "whitened",
        name=final.title,
    )
    return export.build(
        detector,
        transactions.columns(parts.scaler.mean, parts.scaler.sd),
        threshold_rule(calm, max(config.sigmas), resamples=200),
        origin,
        rows=raw_rows(data.raw, parts.test.rows[:1024]),
        reference=judged.new_vote[0][:1024],
        calibration=calm,
        normal=export.Normal(raw_rows(data.raw, normal_rows), normal_rows + 1),
    )
