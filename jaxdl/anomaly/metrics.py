"""How good are scores? Weighted metrics, the sweep over all thresholds, bootstrap intervals.

Rows have a score (higher is worse), a label (1 is an anomaly) and, optionally, a weight: how many
events of the real stream the row stands for. A sample that kept every fraud but one normal in a
hundred gets weight 100 on its normals, and precision is then that of the real stream. Leaving
weights out means 1 each.

Metrics have the signature `metric(scores, labels, weights=None) -> float`, so any of them, or one
of your own, goes through `bootstrap_interval` and `population`. A threshold cannot cut through
equal scores, and no metric here pretends it can. NaN in scores raises ValueError everywhere.

>>> scores, labels = np.array([0.1, 0.2, 0.7, 0.9]), np.array([0, 0, 1, 1])
>>> average_precision(scores, labels)
1.0
>>> average_precision(scores, labels[::-1])  # a detector that is upside down
0.41666666666666663
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

Scores = Float[np.ndarray, " n"]  # of one detector
MemberScores = Float[np.ndarray, "seeds n"]  # of a population, a row for each member
# What callers may hand over, each of n rows: `check_rows` makes arrays of it or says what is wrong.
ScoresLike = ArrayLike
LabelsLike = ArrayLike  # 1 is an anomaly, 0 is normal
WeightsLike = ArrayLike | None  # None: 1 each
Metric = Callable[..., float]

# Sums of weights carry rounding; comparisons against a stated bound forgive this much of it.
ROUNDING = 1e-12
CONFIDENCE = 0.95

# ---- checks --------------------------------------------------------------------------------------


def check_scores(scores: ScoresLike) -> Scores:
    """One-dimensional floating-point scores without NaN, in their own precision.

    Raises:
        ValueError: empty, not one-dimensional, or a NaN.
    """
    scores = np.asarray(scores)
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    if scores.ndim != 1 or not scores.size:
        raise ValueError(f"scores must be a non-empty one-dimensional array, not {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} of {scores.size} scores are NaN")
    return scores


def check_rows(
    scores: ScoresLike, labels: LabelsLike, weights: WeightsLike = None
) -> tuple[Scores, Bool[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Scores, labels as booleans and weights as float64, after checking that they belong together.

    Raises:
        ValueError: lengths differ, a label is not 0 or 1, a weight is negative or not finite, all
            weights are 0, or a score is NaN.
    """
    scores, labels = check_scores(scores), np.asarray(labels)
    if labels.shape != scores.shape:
        raise ValueError(f"{scores.shape} scores but {labels.shape} labels")
    if labels.dtype != bool:
        if not ((labels == 0) | (labels == 1)).all():
            raise ValueError("labels must be 0 (normal) or 1 (anomaly)")
        labels = labels.astype(bool)
    return scores, labels, check_weights(weights, scores.size)


def check_weights(weights: WeightsLike, n: int) -> Float[np.ndarray, " n"]:
    """Weights as float64; ones if there are none.

    Raises:
        ValueError: wrong length, a negative or non-finite weight, or all of them 0.
    """
    if weights is None:
        return np.ones(n)
    weights = np.asarray(weights, np.float64)
    if weights.shape != (n,):
        raise ValueError(f"{n} scores but weights of shape {weights.shape}")
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise ValueError("weights must be finite, not negative, and not all 0")
    return weights


# ---- decisions at given thresholds ---------------------------------------------------------------


class Confusion(NamedTuple):
    """Weighted counts, one entry per threshold. Undefined ratios (0 / 0) are 0."""

    tn: Float[np.ndarray, " *thresholds"]
    fp: Float[np.ndarray, " *thresholds"]
    fn: Float[np.ndarray, " *thresholds"]
    tp: Float[np.ndarray, " *thresholds"]

    def precision(self) -> Float[np.ndarray, " *thresholds"]:
        """Share of alerts that are anomalies."""
        return _ratio(self.tp, self.tp + self.fp)

    def recall(self) -> Float[np.ndarray, " *thresholds"]:
        """Share of anomalies that raise an alert."""
        return _ratio(self.tp, self.tp + self.fn)

    def false_alarm_rate(self) -> Float[np.ndarray, " *thresholds"]:
        """Share of normal events that raise an alert."""
        return _ratio(self.fp, self.fp + self.tn)

    def f_beta(self, beta: float = 1.0) -> Float[np.ndarray, " *thresholds"]:
        """Harmonic mean in which recall counts `beta` times as much as precision."""
        hits = (1 + beta**2) * self.tp
        return _ratio(hits, hits + beta**2 * self.fn + self.fp)


def _ratio(above: ArrayLike, below: ArrayLike) -> np.ndarray:
    below = np.asarray(below)
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def confusion(
    scores: ScoresLike,
    labels: LabelsLike,
    thresholds: ArrayLike | float,
    weights: WeightsLike = None,
) -> Confusion:
    """TN, FP, FN, TP of `score > threshold` for all given thresholds: one sort, then look-ups.

    Args:
        scores, labels, weights: as everywhere in this module.
        thresholds: any number of them in any shape; infinities are allowed.

    Raises:
        ValueError: a NaN threshold, or rows that `check_rows` refuses.
    """
    scores, labels, weights = check_rows(scores, labels, weights)
    thresholds = np.asarray(thresholds)
    if np.isnan(thresholds).any():
        raise ValueError("a threshold is NaN")
    order = np.argsort(scores, kind="stable")
    flagged = scores.size - np.searchsorted(scores[order], thresholds, side="right")
    falling = order[::-1]
    tp, fp = (
        np.concatenate([[0.0], np.cumsum((weights * kind)[falling])]) for kind in (labels, ~labels)
    )
    return Confusion(
        tn=fp[-1] - fp[flagged], fp=fp[flagged], fn=tp[-1] - tp[flagged], tp=tp[flagged]
    )


def confusion_of_members(
    scores: MemberScores,
    labels: LabelsLike,
    limits: Float[np.ndarray, "seeds k"],
    weights: WeightsLike,
) -> list[Confusion]:
    """Weighted confusion counts of each member at each of its own thresholds."""
    pairs = zip(scores, limits, strict=True)
    return [confusion(own, labels, limit, weights) for own, limit in pairs]


# ---- all thresholds at once ----------------------------------------------------------------------


class Sweep(NamedTuple):
    """What happens as the threshold falls past each distinct score, highest first.

    Attributes:
        values: the distinct scores.
        tp, fp: weighted events scored that high or higher.
    """

    values: Float[np.ndarray, " groups"]
    tp: Float[np.ndarray, " groups"]
    fp: Float[np.ndarray, " groups"]

    @property
    def thresholds(self) -> Float[np.ndarray, " groups"]:
        """For each value the threshold with which `score > threshold` flags exactly those events.

        It is the next lower score, which floating-point rounding cannot move to the wrong side.
        """
        return np.append(self.values[1:], np.nextafter(self.values[-1], -np.inf))

    def confusion(self) -> Confusion:
        """The counts at `thresholds`."""
        return Confusion(self.fp[-1] - self.fp, self.fp, self.tp[-1] - self.tp, self.tp)


def sort_falling(scores: Scores, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """The rows in order of falling score. Rows in that order already are not sorted again."""
    if np.all(scores[1:] <= scores[:-1]):
        return (scores, *columns)
    order = np.argsort(-scores, kind="stable")
    return tuple(column[order] for column in (scores, *columns))


def group_ends(falling: Scores) -> Int[np.ndarray, " groups"]:
    """Index of the last row of each group of equal scores."""
    return np.flatnonzero(np.append(falling[1:] < falling[:-1], True))


def sweep(scores: ScoresLike, labels: LabelsLike, weights: WeightsLike = None) -> Sweep:
    """Cumulated weighted hits and false alarms at every distinct score."""
    scores, labels, weights = sort_falling(*check_rows(scores, labels, weights))
    ends = group_ends(scores)
    hits = np.cumsum(weights * labels)[ends]
    false_alarms = np.cumsum(weights * ~labels)[ends]
    return Sweep(scores[ends], hits, false_alarms)


def precision_recall_curves(
    detectors: Mapping[str, MemberScores], labels: LabelsLike, weights: WeightsLike
) -> dict[str, tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]]:
    """(recall, precision) of the first member of each detector, for `figures.precision_recall`."""
    curves = {}
    for name, members in detectors.items():
        swept = sweep(members[0], labels, weights)
        curves[name] = (swept.tp / swept.tp[-1], swept.tp / (swept.tp + swept.fp))
    return curves


# ---- metrics of a ranking ------------------------------------------------------------------------


def average_precision(scores: ScoresLike, labels: LabelsLike, weights: WeightsLike = None) -> float:
    """Area under the precision-recall curve as a step function (AUPRC), scikit-learn's definition.

    Raises:
        ValueError: no anomaly has a positive weight.
    """
    swept = sweep(scores, labels, weights)
    _need(swept.tp[-1], "anomaly")
    return float(np.diff(swept.tp, prepend=0.0) @ swept.confusion().precision() / swept.tp[-1])


def roc_auc(scores: ScoresLike, labels: LabelsLike, weights: WeightsLike = None) -> float:
    """Probability that an anomaly scores above a normal event, equal scores counting one half.

    Raises:
        ValueError: no anomaly or no normal event has a positive weight.
    """
    swept = sweep(scores, labels, weights)
    _need(swept.tp[-1], "anomaly")
    _need(swept.fp[-1], "normal event")
    above = np.concatenate([[0.0], swept.tp[:-1]])
    area = np.diff(swept.fp, prepend=0.0) @ (above + swept.tp) / 2
    return float(area / (swept.tp[-1] * swept.fp[-1]))


def recall_at_precision(
    scores: ScoresLike, labels: LabelsLike, precision: float, weights: WeightsLike = None
) -> float:
    """The largest recall of any threshold whose precision is at least `precision`; 0 if none is.

    With `functools.partial(recall_at_precision, precision=0.8)` it becomes a metric.

    Raises:
        ValueError: `precision` is not in (0, 1], or no anomaly has a positive weight.
    """
    if not 0 < precision <= 1:
        raise ValueError(f"precision must be in (0, 1], not {precision}")
    swept = sweep(scores, labels, weights)
    _need(swept.tp[-1], "anomaly")
    enough = swept.tp >= precision * (swept.tp + swept.fp) * (1 - ROUNDING)
    return float(np.max(swept.tp, where=enough, initial=0.0) / swept.tp[-1])


def precision_at_k(
    scores: ScoresLike, labels: LabelsLike, k: float | int, weights: WeightsLike = None
) -> float:
    """Share of anomalies among the `k` highest-scored events of the stream.

    Weighted rows stand for that many events each: rows are taken from the top until their weights
    add up to k. Of the group of equal scores in which the cut falls, the missing part is drawn at
    random, and the expectation over that draw is returned.

    Raises:
        ValueError: `k` is not positive or exceeds the number of events.
    """
    swept = sweep(scores, labels, weights)
    alerts = swept.tp + swept.fp
    if not 0 < k <= alerts[-1] * (1 + ROUNDING):
        raise ValueError(f"k must be positive and at most {alerts[-1]:g} events, not {k}")
    return float(np.interp(k, np.append(0.0, alerts), np.append(0.0, swept.tp)) / k)


def precision_at_100(scores: ScoresLike, labels: LabelsLike, weights: WeightsLike = None) -> float:
    """Share of anomalies among the 100 highest-scored events, or among all where they are fewer."""
    events = np.size(labels) if weights is None else float(np.sum(weights))
    return precision_at_k(scores, labels, min(100, events), weights)


def _need(total: float, what: str) -> None:
    if total == 0:
        raise ValueError(f"the metric is not defined without at least one {what}")


# ---- of a population -----------------------------------------------------------------------------

METRICS: Mapping[str, Metric] = {
    "AUPRC": average_precision,
    "ROC-AUC": roc_auc,
    "recall at precision 0.5": partial(recall_at_precision, precision=0.5),
    "recall at precision 0.8": partial(recall_at_precision, precision=0.8),
    "precision@100": precision_at_100,
}


def population(
    metric: Metric,
    scores: MemberScores | Sequence[Scores],
    labels: LabelsLike,
    weights: WeightsLike = None,
) -> Float[np.ndarray, " seeds"]:
    """The metric of each member of a population, whose scores are the rows of `scores`."""
    return np.array([metric(member, labels, weights=weights) for member in scores])


def metrics_of(
    members: MemberScores, labels: LabelsLike, weights: WeightsLike
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """The ranking metrics of each member, by the name of their column."""
    return {
        column: population(metric, members, labels, weights) for column, metric in METRICS.items()
    }


# ---- bootstrap intervals -------------------------------------------------------------------------


def percentile_interval(draws: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The bootstrap interval: what leaves the same share of the draws out on either side.

    >>> percentile_interval(np.arange(101.0), confidence=0.5)
    (25.0, 75.0)
    """
    bounds = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(np.asarray(draws, np.float64), bounds).tolist()
    return low, high


def resample_counts(
    labels: Bool[np.ndarray, " n"], resamples: int, seed: int
) -> Iterator[Float[np.ndarray, " n"]]:
    """How often each row is drawn in each bootstrap resample, one resample at a time.

    Anomalies and normal rows are drawn apart (stratified), so a resample has as many of each as the
    data. One array is held at a time, whatever `resamples` is.
    """
    rng = np.random.default_rng(seed)
    strata = [rows for rows in (np.flatnonzero(labels), np.flatnonzero(~labels)) if rows.size]
    for _ in range(resamples):
        counts = np.empty(labels.size)
        for rows in strata:
            drawn = rng.integers(rows.size, size=rows.size)
            counts[rows] = np.bincount(drawn, minlength=rows.size)
        yield counts


def bootstrap_interval(
    metric: Metric,
    scores: ScoresLike,
    labels: LabelsLike,
    weights: WeightsLike = None,
    *,
    columns: Mapping[str, np.ndarray] | None = None,
    resamples: int = 200,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Percentile interval of a metric under the stratified bootstrap of the rows.

    Rows are sorted once; a resample is then only a new set of weights. It measures the chance in
    which rows were tested, not in training: for that, look at the spread over a population.

    Args:
        metric: `metric(scores, labels, weights=weights, **columns)`.
        columns: further arrays [n] that the metric needs row by row, such as amounts.

    Raises:
        ValueError: rows that `check_rows` refuses.
    """
    columns = {name: np.asarray(column) for name, column in (columns or {}).items()}
    scores, labels, weights, *rest = sort_falling(
        *check_rows(scores, labels, weights), *columns.values()
    )
    columns = dict(zip(columns, rest, strict=True))
    draws = [
        metric(scores, labels, weights=counts * weights, **columns)
        for counts in resample_counts(labels, resamples, seed)
    ]
    return percentile_interval(draws, confidence)
