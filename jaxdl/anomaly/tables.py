"""Tables and figures that every detector is shown with, from nothing but its scores."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.anomaly import metrics, thresholds
from jaxdl.anomaly.metrics import (
    METRICS,
    Labels,
    MemberScores,
    Weights,
    metrics_of,
    precision_recall_curves,
)
from jaxdl.figures import decisions
from jaxdl.report import Table


def sigma_thresholds(
    normal_scores: MemberScores, sigmas: Sequence[float], fitted_on: str
) -> Float[np.ndarray, "seeds sigmas"]:
    """Mean + k standard deviations of each member's scores of normal rows, for each k."""
    # the spread over seeds is shown beside it, so the bootstrap of the threshold is not needed
    rule = partial(thresholds.k_sigma, fitted_on=fitted_on, resamples=0)
    return np.array([[rule(scores, k).value for k in sigmas] for scores in normal_scores])


def decision_table(
    title: str,
    names: Sequence[str],
    limits: Float[np.ndarray, "seeds k"],
    counts: Sequence[metrics.Confusion],
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


def ranking_table(
    title: str, detectors: Mapping[str, MemberScores], labels: Labels, weights: Weights
) -> Table:
    """One row per detector; the interval is a bootstrap over the rows for the first member."""
    rows = []
    for name, members in detectors.items():
        metric = METRICS["AUPRC"]
        low, high = metrics.bootstrap_interval(metric, members[0], labels, weights)
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


def same_sized_groups(
    normal: Float[np.ndarray, " n"], fraud: Float[np.ndarray, " m"]
) -> dict[str, Float[np.ndarray, " k"]]:
    """All frauds and about as many random normal rows: 284,000 against 492 show nothing."""
    size = min(len(fraud) + 1, len(normal))
    chosen = np.random.default_rng(0).choice(len(normal), size, replace=False)
    return {"normal": normal[chosen], "fraud": fraud}


def score_figures(
    groups: Mapping[str, Float[np.ndarray, " n"]],
    names: Sequence[str],
    limits: Float[np.ndarray, " k"],
    counts: metrics.Confusion,
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
        "error_histogram": partial(decisions.histogram_by_class, groups, marks),
        "error_box_plot": partial(decisions.box_by_class, groups),
        "confusion": partial(decisions.confusion_heat_maps, matrices, ("normal", "fraud")),
        "precision_recall": partial(decisions.precision_recall, curves, base_rate),
    }
