"""VUS-PR: the volume under the surface of range-based precision and recall.

Paparrizos et al. (2022, "Volume Under the Surface"). A label is softened by a buffer on both sides,
so that a detector which is a little early or late gets part of the credit; the area under the
precision-recall curve is taken for each buffer length from 0 to a longest one, and their mean is
the volume. It needs no threshold. As in TSB-AD (Liu and Paparrizos 2024) the longest buffer is the
series' period. Here every distinct score is a threshold, where the published code takes 250.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import argrelmax

SHORTEST_PERIOD, LONGEST_PERIOD, NO_PERIOD = 3, 300, 125
MOST_LAGS, MOST_ROWS = 400, 20_000


def period(values: Float[np.ndarray, " n"]) -> int:
    """Rows in a period, by TSB-AD's rule: the highest local maximum of the autocorrelation.

    125 where there is none among the lags up to 400, or where the highest lies beyond 300.
    """
    x = np.asarray(values[:MOST_ROWS], np.float64)
    x = x - x.mean()
    power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(power)[SHORTEST_PERIOD : min(MOST_LAGS + 1, len(x))]
    places = argrelmax(correlation)[0]
    if not x.any() or not places.size:
        return NO_PERIOD
    lag = int(places[np.argmax(correlation[places])]) + SHORTEST_PERIOD
    return lag if lag <= LONGEST_PERIOD else NO_PERIOD


def soft_labels(labels: Bool[np.ndarray, " n"], buffer: int) -> Float[np.ndarray, " n"]:
    """1 inside the labelled ranges, sqrt(1 - d / buffer) at distance d <= buffer / 2, else 0."""
    row = np.arange(len(labels))
    soft = np.asarray(labels, np.float64)
    for first, last in _ranges(labels):
        distance = np.maximum(first - row, row - last)
        near = (distance > 0) & (distance <= buffer // 2)
        soft[near] += np.sqrt(1 - distance[near] / buffer)
    return np.minimum(soft, 1.0)


def range_pr_area(
    scores: Float[np.ndarray, " n"], labels: Bool[np.ndarray, " n"], buffer: int
) -> float:
    """Area under range-based precision and recall for one buffer length; steps, not trapezoids.

    With a threshold, the hits are the flagged rows weighted by their soft label; precision is
    their share of the flagged rows. Recall is their share of the labelled rows plus half of what
    the buffers gave, at most 1, times the share of ranges (with their buffers) that hold a flag.
    Without a buffer and with one range this is average precision.

    Args:
        scores: higher is worse.
        labels: rows in a labelled range.
        buffer: its length; half of it lies on each side. Ranges whose buffers touch become one.

    Raises:
        ValueError: no row is labelled.
    """
    labels = np.asarray(labels, bool)
    return _area(scores, labels, soft_labels(labels, buffer), _thresholds(scores, labels))


def vus_pr(scores: Float[np.ndarray, " n"], labels: Bool[np.ndarray, " n"], longest: int) -> float:
    """Mean of `range_pr_area` over the buffer lengths 0 .. `longest`.

    It takes time in proportion to n * longest. A perfect score gives 1, a constant one the mean
    share of soft labels.

    Raises:
        ValueError: no row is labelled.
    """
    labels = np.asarray(labels, bool)
    steps = _thresholds(scores, labels)
    areas = [_area(scores, labels, soft_labels(labels, b), steps) for b in range(longest + 1)]
    return float(np.mean(areas))


def _ranges(labels: Bool[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """(first, last) row of each run of labelled rows."""
    edges = np.flatnonzero(np.diff(np.asarray(labels, np.int8), prepend=0, append=0))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def _thresholds(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by falling score, and at which of these places a threshold may lie (not inside ties)."""
    if not labels.any():
        raise ValueError("no row is labelled, so there is no recall")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    level = np.asarray(scores)[order]
    return order, np.flatnonzero(np.append(level[1:] != level[:-1], True))


def _area(scores: np.ndarray, labels: np.ndarray, soft: np.ndarray, steps: tuple) -> float:
    order, ends = steps
    hits = np.cumsum(soft[order])[ends]
    inside = np.cumsum(labels[order])[ends]
    highest = np.array([scores[first : last + 1].max() for first, last in _ranges(soft > 0)])
    level = np.asarray(scores)[order][ends]
    seen = np.searchsorted(np.sort(-highest), -level, side="right") / len(highest)
    recall = np.minimum(hits / (labels.sum() + (hits - inside) / 2), 1.0) * seen
    return float((np.diff(recall, prepend=0.0) * hits / (ends + 1)).sum())
