"""Tables and figures that every detector is shown with, from nothing but its scores."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxdl.anomaly import metrics
from jaxdl.anomaly.metrics import LabelsLike, MemberScores, Scores, WeightsLike
from jaxdl.anomaly.thresholds import Threshold
from jaxdl.figures import decisions
from jaxdl.report import Table


def tested_on(
    split: str,
    labels: Int[np.ndarray, " n"],
    prevalence: float | None,
    test_share: float,
) -> str:
    """The part of a title that says what the numbers are of.

    >>> tested_on("random", np.array([0, 0, 1]), prevalence=0.01, test_share=0.5)
    'random 50/50 split; test part 3 rows, 1 frauds; normal rows weighted to prevalence 0.01'
    >>> tested_on("temporal", np.array([0, 0, 1]), prevalence=None, test_share=0.2)
    'temporal 80/20 split; test part 3 rows, 1 frauds'
    """
    shares = f"{100 * (1 - test_share):.0f}/{100 * test_share:.0f}"
    held = f"{split} {shares} split; test part {len(labels):,} rows, {labels.sum()} frauds"
    if prevalence is None:
        return held
    return f"{held}; normal rows weighted to prevalence {prevalence}"


# What a detector learns from, its protocol. "Trained on normal rows" is not "without labels":
# somebody has to say which rows are normal.
ALL_ROWS = "all rows, no labels"
NORMAL_ROWS = "normal rows, chosen by labels"
LABELS = "all rows and their labels"
NOTHING = "nothing"


# ---- the ranking ---------------------------------------------------------------------------------


def ranking_table(
    title: str, detectors: Mapping[str, MemberScores], labels: LabelsLike, weights: WeightsLike
) -> Table:
    """One row per detector; the interval is a bootstrap over the rows for the first member."""
    rows = []
    for name, members in detectors.items():
        low, high = metrics.bootstrap_interval(
            metrics.average_precision, members[0], labels, weights
        )
        cells = metrics.metrics_of(members, labels, weights)
        interval = {"AUPRC, 95 % of first seed": f"{low:.3f} .. {high:.3f}"}
        rows.append({"detector": name, **cells, **interval})
    return Table(title, rows)


def ranking_by_protocol(
    title: str,
    protocols: Mapping[str, Mapping[str, MemberScores]],
    labels: LabelsLike,
    weights: WeightsLike,
) -> Table:
    """`ranking_table` of several protocols, one below the other, told apart by a first column.

    Args:
        title: of the table.
        protocols: what was learnt from (`ALL_ROWS`, `NORMAL_ROWS`, `LABELS` or `NOTHING`) ->
            detectors and their scores.
        labels, weights: of the rows that were scored.
    """
    rows = []
    for source, detectors in protocols.items():
        ranked = ranking_table(title, detectors, labels, weights)
        rows += [{"learns from": source, **row} for row in ranked.rows]
    return Table(title, rows)


def with_protocol(
    protocols: Mapping[str, Mapping[str, MemberScores]],
) -> dict[str, MemberScores]:
    """The detectors of all protocols, what each learns from in its name.

    >>> list(with_protocol({ALL_ROWS: {"kNN": np.zeros((1, 2))}}))
    ['kNN (all rows)']
    """
    return {
        f"{name} ({source.split(',')[0]})": scores
        for source, detectors in protocols.items()
        for name, scores in detectors.items()
    }


def alerts_within(scores: MemberScores, budget: int) -> Bool[np.ndarray, "seeds n"]:
    """Flags of the `budget` highest scores of each member; of equal ones the first."""
    flags = np.zeros(scores.shape, bool)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :budget]
    np.put_along_axis(flags, order, True, axis=1)
    return flags


# ---- decisions -----------------------------------------------------------------------------------


def thresholds_of_members(
    rule: Callable[[Scores, float], Threshold],
    normal_scores: MemberScores,
    settings: Sequence[float],
) -> Float[np.ndarray, "seeds settings"]:
    """The values of a threshold rule, fitted to each member's scores with each setting.

    Args:
        rule: (scores, setting) -> threshold; `partial(thresholds.k_sigma, ...)`, say. The spread
            over seeds is shown beside the values, so the rule's own bootstrap is not needed.
        normal_scores: of normal rows that are not tested on.
        settings: what the rule is asked for: numbers of standard deviations, or rates.
    """
    limits = np.empty((len(normal_scores), len(settings)))
    for member, scores in enumerate(normal_scores):
        for i, setting in enumerate(settings):
            limits[member, i] = rule(scores, setting).value
    return limits


def sigma_names(sigmas: Sequence[float]) -> list[str]:
    """What thresholds by `thresholds.k_sigma` are called in tables and figures.

    >>> sigma_names((2.0, 2.5))
    ['mean + 2 sd', 'mean + 2.5 sd']
    """
    return [f"mean + {k:g} sd" for k in sigmas]


def decision_table(
    title: str,
    names: Sequence[str],
    limits: Float[np.ndarray, "seeds k"],
    counts: Sequence[metrics.Confusion],
) -> Table:
    """One row per threshold; the counts are weighted and rounded to whole rows.

    Args:
        title: of the table.
        names: of the thresholds.
        limits: each member's thresholds.
        counts: each member's confusion counts at its thresholds.
    """
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


# ---- figures -------------------------------------------------------------------------------------

SCORE = "score of a row, first seed"  # name of an axis


def same_sized_groups(
    normal: Float[np.ndarray, " n"], fraud: Float[np.ndarray, " m"], rows: str
) -> dict[str, Float[np.ndarray, " _"]]:
    """All frauds and about as many random normal rows: 284,000 against 492 show nothing.

    Args:
        normal, fraud: scores.
        rows: what they are of, "training rows" or "test rows".
    """
    size = min(len(fraud) + 1, len(normal))
    chosen = np.random.default_rng(0).choice(len(normal), size, replace=False)
    return {f"normal, drawn of {rows}": normal[chosen], f"fraud, all {rows}": fraud}


def score_figures(
    groups: Mapping[str, Float[np.ndarray, " _"]],
    names: Sequence[str],
    limits: Float[np.ndarray, " k"],
    counts: metrics.Confusion,
    detectors: Mapping[str, MemberScores],
    labels: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> dict[str, Callable[[], Any]]:
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
    return {
        "error_histogram": partial(decisions.histogram_by_class, groups, marks, SCORE),
        "error_box_plot": partial(decisions.box_by_class, groups, SCORE),
        "confusion": partial(decisions.confusion_heat_maps, matrices, ("normal", "fraud")),
        "precision_recall": precision_recall_figure(detectors, labels, weights),
    }


def precision_recall_figure(
    detectors: Mapping[str, MemberScores],
    labels: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> Callable[[], Any]:
    """Precision against recall of each detector's first member; draws when it is called."""
    curves = metrics.precision_recall_curves(detectors, labels, weights)
    base_rate = float(weights[labels == 1].sum() / weights.sum())
    return partial(decisions.precision_recall, curves, base_rate)
