"""Tables and figures that every detector is shown with, from nothing but its scores."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxdl import figures
from jaxdl.anomaly import evaluation, thresholds
from jaxdl.anomaly.evaluation import Labels, Weights
from jaxdl.report import Table

MemberScores = Float[np.ndarray, "seeds n"]


def sigma_thresholds(
    normal_scores: MemberScores, sigmas: Sequence[float], fitted_on: str
) -> Float[np.ndarray, "seeds sigmas"]:
    """Mean + k standard deviations of each member's scores of normal rows, for each k."""
    # the spread over seeds is shown beside it, so the bootstrap of the threshold is not needed
    rule = partial(thresholds.k_sigma, fitted_on=fitted_on, resamples=0)
    return np.array([[rule(scores, k).value for k in sigmas] for scores in normal_scores])


def confusion_of_members(
    scores: MemberScores, labels: Labels, limits: Float[np.ndarray, "seeds k"], weights: Weights
) -> list[evaluation.Confusion]:
    """Weighted confusion counts of each member at each of its own thresholds."""
    pairs = zip(scores, limits, strict=True)
    return [evaluation.confusion(s, labels, limit, weights) for s, limit in pairs]


def decision_table(
    title: str,
    names: Sequence[str],
    limits: Float[np.ndarray, "seeds k"],
    counts: Sequence[evaluation.Confusion],
) -> Table:
    """One row per threshold; the counts are weighted and rounded to whole rows."""
    rows = []
    for i, name in enumerate(names):
        cells = {
            part.upper(): np.array([round(getattr(c, part)[i]) for c in counts])
            for part in ("tn", "fp", "fn", "tp")
        }
        ratios = {
            "precision": np.array([c.precision()[i] for c in counts]),
            "recall": np.array([c.recall()[i] for c in counts]),
            "F1": np.array([c.f_beta(1.0)[i] for c in counts]),
        }
        rows.append({"threshold": name, "value": limits[:, i], **cells, **ratios})
    return Table(title, rows)


def precision_at_100(scores: MemberScores, labels: Labels, weights: Weights = None) -> float:
    """Share of anomalies among the 100 highest-scored events, or among all where they are fewer."""
    events = len(labels) if weights is None else float(np.sum(weights))
    return evaluation.precision_at_k(scores, labels, min(100, events), weights)


METRICS = {
    "AUPRC": evaluation.average_precision,
    "ROC-AUC": evaluation.roc_auc,
    "recall at precision 0.5": partial(evaluation.recall_at_precision, precision=0.5),
    "recall at precision 0.8": partial(evaluation.recall_at_precision, precision=0.8),
    "precision@100": precision_at_100,
}


def metrics_of(
    members: MemberScores, labels: Labels, weights: Weights
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """The ranking metrics of each member, by the name of their column."""
    return {
        column: evaluation.population(metric, members, labels, weights)
        for column, metric in METRICS.items()
    }


def ranking_table(
    title: str, detectors: Mapping[str, MemberScores], labels: Labels, weights: Weights
) -> Table:
    """One row per detector; the interval is a bootstrap over the rows for the first member."""
    rows = []
    for name, members in detectors.items():
        metric = METRICS["AUPRC"]
        low, high = evaluation.bootstrap_interval(metric, members[0], labels, weights)
        cells = metrics_of(members, labels, weights)
        interval = {"AUPRC, 95 % of first seed": f"{low:.3f} .. {high:.3f}"}
        rows.append({"detector": name, **cells, **interval})
    return Table(title, rows)


def alerts_within(scores: MemberScores, budget: int) -> Bool[np.ndarray, "seeds n"]:
    """Flags of the `budget` highest scores of each member; of equal ones the first."""
    flags = np.zeros(scores.shape, bool)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :budget]
    np.put_along_axis(flags, order, True, axis=1)
    return flags


def table_of_columns(title: str, columns: Mapping[str, Sequence[Any]], digits: int = 3) -> Table:
    """A table given by its columns, all of the same length."""
    cells = zip(*columns.values(), strict=True)
    return Table(title, [dict(zip(columns, row, strict=True)) for row in cells], digits)


def tested_on(split: str, labels: Labels, prevalence: float | None) -> str:
    """The part of a title that says what the numbers are of."""
    held = f"{split} 50/50 split; test half {len(labels):,} rows, {labels.sum()} frauds"
    weighted = f"; normal rows weighted to prevalence {prevalence}"
    return held if prevalence is None else held + weighted


def random_scores(seeds: Iterable[int], rows: int) -> MemberScores:
    """MemberScores that know nothing: what any detector must beat."""
    return np.stack([np.random.default_rng(seed).random(rows) for seed in seeds])


def same_sized_groups(
    normal: Float[np.ndarray, " n"], fraud: Float[np.ndarray, " m"]
) -> dict[str, Float[np.ndarray, " k"]]:
    """All frauds and about as many random normal rows: 284,000 against 492 show nothing."""
    size = min(len(fraud) + 1, len(normal))
    chosen = np.random.default_rng(0).choice(len(normal), size, replace=False)
    return {"normal": normal[chosen], "fraud": fraud}


def precision_recall_curves(
    detectors: Mapping[str, MemberScores], labels: Labels, weights: Weights
) -> dict[str, tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]]:
    """(recall, precision) of the first member of each detector, for `figures.precision_recall`."""
    curves = {}
    for name, members in detectors.items():
        swept = evaluation.sweep(members[0], labels, weights)
        curves[name] = (swept.tp / swept.tp[-1], swept.tp / (swept.tp + swept.fp))
    return curves


def score_figures(
    groups: Mapping[str, Float[np.ndarray, " n"]],
    names: Sequence[str],
    limits: Float[np.ndarray, " k"],
    counts: evaluation.Confusion,
    detectors: Mapping[str, MemberScores],
    labels: Labels,
    weights: Weights,
) -> dict[str, Any]:
    """Histogram, box plot, confusion heat maps and precision-recall curves of the first member.

    Args:
        groups: scores of normal rows and of frauds, for histogram and box plot.
        names, limits: of the thresholds.
        counts: confusion counts at these thresholds.
        detectors: scores of everything that is compared, [seeds, n].
        labels, weights: of the n rows.

    Returns:
        Figure name -> function that draws it.
    """
    marks = dict(zip(names, limits, strict=True))
    matrices = {
        name: np.array([[counts.tn[i], counts.fp[i]], [counts.fn[i], counts.tp[i]]])
        for i, name in enumerate(names)
    }
    curves = precision_recall_curves(detectors, labels, weights)
    base_rate = float(weights[labels == 1].sum() / weights.sum())
    return {
        "error_histogram": partial(figures.histogram_by_class, groups, marks),
        "error_box_plot": partial(figures.box_by_class, groups),
        "confusion": partial(figures.confusion_heat_maps, matrices, ("normal", "fraud")),
        "precision_recall": partial(figures.precision_recall, curves, base_rate),
    }
