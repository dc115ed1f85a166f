"""VUS-PR: the volume under the surface of range-based precision and recall.

Paparrizos et al. (2022, "Volume Under the Surface"). A label is softened by a buffer on both sides,
so that a detector which is a little early or late gets part of the credit; the area under the
precision-recall curve is taken for each buffer length from 0 to a longest one, and their mean is
the volume. It needs no threshold. As in TSB-AD (Liu and Paparrizos 2024) the longest buffer is the
series' period. Here every distinct score is a threshold, where the published code takes 250.

>>> labels = np.zeros(60, bool)
>>> labels[30:36] = True
>>> exact, late = labels.astype(float), np.roll(labels, 3).astype(float)
>>> [round(vus_pr(scores, labels, longest=12), 2) for scores in (exact, late)]
[1.0, 0.61]
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.signal import argrelmax

from jaxdl.timeseries.ranking import by_falling_score

SHORTEST_PERIOD, LONGEST_PERIOD, NO_PERIOD = 3, 300, 125
MOST_LAGS, MOST_ROWS = 400, 20_000


def period(values: Float[np.ndarray, " n"]) -> int:
    """Rows in a period, by TSB-AD's rule: the highest local maximum of the autocorrelation.

    125 where there is none among the lags up to 400, or where the highest lies beyond 300.

    >>> period(np.sin(2 * np.pi * np.arange(1000) / 48))
    48
    """
    x = np.asarray(values[:MOST_ROWS], np.float64)
    x = x - x.mean()
    power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2  # twice the length: no correlation around
    correlation = np.fft.irfft(power)[SHORTEST_PERIOD : min(MOST_LAGS + 1, len(x))]
    maxima = argrelmax(correlation)[0]
    if not x.any() or not maxima.size:
        return NO_PERIOD
    lag = SHORTEST_PERIOD + int(maxima[np.argmax(correlation[maxima])])
    return lag if lag <= LONGEST_PERIOD else NO_PERIOD


def vus_pr(scores: Float[np.ndarray, " n"], labels: Bool[np.ndarray, " n"], longest: int) -> float:
    """Mean of `range_pr_area` over the buffer lengths 0 .. `longest`.

    It takes time in proportion to n * longest. A perfect score gives 1, a constant one the mean
    share of soft labels.

    Args:
        scores: higher is worse.
        labels: rows in a labelled range.
        longest: longest buffer, in rows.

    Raises:
        ValueError: no row is labelled.
    """
    ranking = _rank(scores, labels)
    areas = [_area(ranking, labels, soft_labels(labels, b)) for b in range(longest + 1)]
    return float(np.mean(areas))


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
    return _area(_rank(scores, labels), labels, soft_labels(labels, buffer))


def soft_labels(labels: Bool[np.ndarray, " n"], buffer: int) -> Float[np.ndarray, " n"]:
    """1 inside the labelled ranges, sqrt(1 - d / buffer) at distance d <= buffer / 2, else 0.

    >>> soft_labels(np.array([False, False, False, True, True]), buffer=4).round(2).tolist()
    [0.0, 0.71, 0.87, 1.0, 1.0]
    """
    row = np.arange(len(labels))
    soft = labels.astype(np.float64)
    for first, last in _ranges(labels):
        distance = np.maximum(first - row, row - last)
        near = (distance > 0) & (distance <= buffer // 2)
        soft[near] += np.sqrt(1 - distance[near] / buffer)
    return np.minimum(soft, 1.0)


class _Ranking(NamedTuple):
    """Rows by falling score; all that does not depend on the buffer is computed once.

    Attributes:
        scores: of the rows, in order of time.
        order: rows by falling score.
        thresholds: places in `order` behind which a threshold may lie.
    """

    scores: Float[np.ndarray, " n"]
    order: Int[np.ndarray, " n"]
    thresholds: Int[np.ndarray, " thresholds"]


def _rank(scores: Float[np.ndarray, " n"], labels: Bool[np.ndarray, " n"]) -> _Ranking:
    if not labels.any():
        raise ValueError("no row is labelled, so there is no recall")
    return _Ranking(scores, *by_falling_score(scores))


def _area(
    ranking: _Ranking, labels: Bool[np.ndarray, " n"], soft: Float[np.ndarray, " n"]
) -> float:
    """The area for one buffer length; see `range_pr_area`."""
    scores, order, thresholds = ranking
    # at each threshold: rows flagged, their soft labels, how many of them are labelled
    flagged = thresholds + 1
    hits = np.cumsum(soft[order])[thresholds]
    labelled_hits = np.cumsum(labels[order])[thresholds]

    # share of the ranges whose highest score reaches the threshold
    highest = np.sort([scores[first : last + 1].max() for first, last in _ranges(soft > 0)])
    below = np.searchsorted(highest, scores[order][thresholds], side="left")
    ranges_found = (len(highest) - below) / len(highest)

    from_buffers = hits - labelled_hits
    recall = np.minimum(hits / (labels.sum() + from_buffers / 2), 1.0) * ranges_found
    steps = np.diff(recall, prepend=0.0)
    return float((steps * hits / flagged).sum())  # precision is hits / flagged


def _ranges(labels: Bool[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """(first, last) row of each run of labelled rows."""
    edges = np.flatnonzero(np.diff(labels.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
