"""NAB's score of a streaming detector (Lavin and Ahmad 2015), as pure functions of arrays.

In every labelled window the earliest flag counts, and the more the earlier it comes; a window
without a flag costs `missed`; each flag outside costs up to `false_alarm`, less just behind a
window. The first 15 % of a series (750 rows at most) are for learning and do not count. A corpus is
scaled so that no flag at all gives 0 and a flag on the first row of each window gives 100.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

LEARNING_SHARE = 0.15
LEARNING_ROWS = 750


class Profile(NamedTuple):
    """Weights of NAB's three applications (config/profiles.json)."""

    found: float
    false_alarm: float
    missed: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low FP": Profile(1.0, 0.22, 1.0),
    "low FN": Profile(1.0, 0.11, 2.0),
}


class Layout(NamedTuple):
    """What a flag in each row of one series is worth, without the weights of a profile.

    Attributes:
        value: 1 for the first row of a window, falling to 0 at its end; -1 for a false alarm far
            from any window.
        window: index of the row's window, -1 outside.
        counts: False in the learning period.
        windows: number of windows.
    """

    value: Float[np.ndarray, " n"]
    window: Int[np.ndarray, " n"]
    counts: Bool[np.ndarray, " n"]
    windows: int


def scaled_sigmoid(position: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """2 / (1 + exp(5 position)) - 1, and -1 from three window widths behind a window on."""
    position = np.minimum(position, 3.0)
    return np.where(position >= 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * position)) - 1.0)


def learning_rows(n: int) -> int:
    """How many rows at the start do not count."""
    return int(min(LEARNING_SHARE * n, LEARNING_ROWS))


def layout(time: np.ndarray, windows: Sequence[tuple]) -> Layout:
    """Where the windows lie in a series, and what a flag in each row is worth.

    Args:
        time: time stamps [n]; where one is repeated, its first row is meant.
        windows: (first, last) time stamp of each window, in order.

    Raises:
        ValueError: a window's time stamp is not in the series.
    """
    n = len(time)
    row = np.arange(n)
    value, window = np.full(n, -1.0), np.full(n, -1)
    for index, (first, last) in enumerate(windows):
        starts, ends = np.flatnonzero(time == first), np.flatnonzero(time == last)
        if not starts.size or not ends.size:
            raise ValueError(f"window {first} .. {last} does not begin and end on rows")
        start, end = starts[0], ends[0]
        width = end - start + 1
        inside = (row >= start) & (row <= end)
        early = scaled_sigmoid((row - end - 1) / width) / scaled_sigmoid(np.float64(-1.0))
        late = scaled_sigmoid((row - end) / max(width - 1, 1))
        value = np.where(inside, early, np.where(row > end, late, value))
        window[inside] = index
    return Layout(value, window, row >= learning_rows(n), len(windows))


def raw_score(flags: Bool[np.ndarray, " n"], rows: Layout, profile: Profile) -> float:
    """Score of the flags in one series, not scaled."""
    flags = np.asarray(flags, bool) & rows.counts
    total = profile.false_alarm * rows.value[flags & (rows.window < 0)].sum()
    for index in range(rows.windows):
        hits = rows.value[flags & (rows.window == index)]
        total += profile.found * hits.max() if hits.size else -profile.missed
    return float(total)


def false_alarms(flags: Bool[np.ndarray, " n"], rows: Layout) -> int:
    """Number of flags outside the windows."""
    return int((np.asarray(flags, bool) & rows.counts & (rows.window < 0)).sum())


def windows_found(flags: Bool[np.ndarray, " n"], rows: Layout) -> int:
    """Number of windows with a flag."""
    inside = np.asarray(flags, bool) & rows.counts & (rows.window >= 0)
    return int(np.unique(rows.window[inside]).size)


def scaled(raw: float, windows: int, profile: Profile) -> float:
    """0 for no flag at all, 100 for a flag on the first row of each of `windows` windows."""
    silent = -profile.missed * windows
    return 100.0 * (raw - silent) / (profile.found * windows - silent)


def corpus_score(
    flags: Sequence[Bool[np.ndarray, " n"]], layouts: Sequence[Layout], profile: Profile
) -> float:
    """Scaled score over several series.

    Raises:
        ValueError: no series has a window.
    """
    windows = sum(rows.windows for rows in layouts)
    if windows == 0:
        raise ValueError("no series has a window, so the score has no scale")
    raw = sum(raw_score(f, rows, profile) for f, rows in zip(flags, layouts, strict=True))
    return scaled(raw, windows, profile)


def best_threshold(
    scores: Sequence[Float[np.ndarray, " n"]], layouts: Sequence[Layout], profile: Profile
) -> tuple[float, float]:
    """NAB's own threshold: the one value, for all series, with the highest score on the labels.

    It uses the labels of the very series it is judged on; show it beside a label-free one only.

    Returns:
        (threshold, scaled score). A row is flagged when its score is >= the threshold, as in NAB.
    """
    levels, gains = [], []
    windows = sum(rows.windows for rows in layouts)
    for series, rows in zip(scores, layouts, strict=True):
        series = np.asarray(series, np.float64)
        outside = rows.counts & (rows.window < 0)
        levels.append(series[outside])
        gains.append(profile.false_alarm * rows.value[outside])
        for index in range(rows.windows):
            inside = np.flatnonzero(rows.counts & (rows.window == index))
            order = inside[np.argsort(-series[inside], kind="stable")]
            best = profile.found * np.maximum.accumulate(rows.value[order])
            levels.append(series[order])
            gains.append(np.diff(best, prepend=-profile.missed))
    level, gain = np.concatenate(levels), np.concatenate(gains)
    order = np.argsort(-level, kind="stable")
    level, total = level[order], np.cumsum(gain[order]) - profile.missed * windows
    last_of_ties = np.append(level[1:] != level[:-1], True)
    level, total = level[last_of_ties], total[last_of_ties]
    best = int(np.argmax(total))
    if total[best] <= -profile.missed * windows:
        return float("inf"), 0.0
    return float(level[best]), scaled(float(total[best]), windows, profile)


def range_average_precision(
    scores: Sequence[Float[np.ndarray, " n"]], layouts: Sequence[Layout]
) -> float:
    """Area under precision against range recall, over several series with one threshold.

    Recall is the share of windows with at least one flag (existence, Tatbul et al. 2018), precision
    the share of flagged rows that lie in a window. Rows of the learning period do not count.
    """
    level, hit, inside = [], [], []
    windows = sum(rows.windows for rows in layouts)
    for series, rows in zip(scores, layouts, strict=True):
        series = np.asarray(series, np.float64)
        first = np.zeros(len(series))
        for index in range(rows.windows):
            rows_in = np.flatnonzero(rows.counts & (rows.window == index))
            if rows_in.size:
                first[rows_in[np.argmax(series[rows_in])]] = 1
        level.append(series[rows.counts])
        hit.append(first[rows.counts])
        inside.append((rows.window >= 0)[rows.counts])
    level, hit, inside = map(np.concatenate, (level, hit, inside))
    order = np.argsort(-level, kind="stable")
    level = level[order]
    ends = np.append(level[1:] != level[:-1], True)
    recall = (np.cumsum(hit[order]) / windows)[ends]
    precision = (np.cumsum(inside[order]) / np.arange(1, len(order) + 1))[ends]
    return float((np.diff(recall, prepend=0.0) * precision).sum())
