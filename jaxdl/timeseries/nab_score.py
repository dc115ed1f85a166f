"""NAB's score of a streaming detector (Lavin and Ahmad 2015), as pure functions of arrays.

In every labelled window the earliest flag counts, and the more the earlier it comes; a window
without a flag costs `missed`; each flag outside costs up to `false_alarm`, less just behind a
window. The first 15 % of a series (750 rows at most) are for learning and do not count. A corpus is
scaled so that no flag at all gives 0 and a flag on the first row of each window gives 100.

>>> time = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-04-10"))  # 100 days
>>> layout = layout_of(time, [(time[40], time[59])])
>>> early, late = np.zeros(100, bool), np.zeros(100, bool)
>>> early[40], late[[30, 55]] = True, True  # `late` has a false alarm, too
>>> [round(corpus_score([flags], [layout], PROFILES["standard"]), 1) for flags in (early, late)]
[100.0, 72.6]
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from jaxdl.timeseries.ranking import by_falling_score

LEARNING_SHARE = 0.15
LEARNING_ROWS = 750


class Profile(NamedTuple):
    """Weights of NAB's three applications (config/profiles.json).

    Attributes:
        found: gain of a window with a flag on its first row.
        false_alarm: cost of a flag far from any window.
        missed: cost of a window without a flag.
    """

    found: float
    false_alarm: float
    missed: float


PROFILES = {
    "standard": Profile(found=1.0, false_alarm=0.11, missed=1.0),
    "low FP": Profile(found=1.0, false_alarm=0.22, missed=1.0),
    "low FN": Profile(found=1.0, false_alarm=0.11, missed=2.0),
}


class Layout(NamedTuple):
    """Where the windows of one series lie, and what a flag in each row is worth.

    Attributes:
        value: 1 for the first row of a window, falling to 0 at its end; -1 for a false alarm far
            from any window. The weights of a profile come on top.
        window: number of the row's window, -1 outside.
        counts: False in the learning period.
        windows: number of windows.
    """

    value: Float[np.ndarray, " n"]
    window: Int[np.ndarray, " n"]
    counts: Bool[np.ndarray, " n"]
    windows: int

    @property
    def outside(self) -> Bool[np.ndarray, " n"]:
        """Rows that count and lie in no window."""
        return self.counts & (self.window < 0)

    def inside(self, window: int) -> Int[np.ndarray, " rows"]:
        """Numbers of the rows of one window that count."""
        return np.flatnonzero(self.counts & (self.window == window))


def learning_rows(n: int) -> int:
    """How many rows at the start do not count."""
    return int(min(LEARNING_SHARE * n, LEARNING_ROWS))


def layout_of(
    time: Shaped[np.ndarray, " n"], windows: Sequence[tuple[np.datetime64, np.datetime64]]
) -> Layout:
    """Where the windows lie in a series, and what a flag in each row is worth.

    Args:
        time: time stamps; where one is repeated, its first row is meant.
        windows: (first, last) time stamp of each window, in order.

    Raises:
        ValueError: a window's time stamp is not in the series.
    """
    n = len(time)
    row = np.arange(n)
    value, window = np.full(n, -1.0), np.full(n, -1)
    for number, (first, last) in enumerate(windows):
        starts, ends = np.flatnonzero(time == first), np.flatnonzero(time == last)
        if not starts.size or not ends.size:
            raise ValueError(f"window {first} .. {last} does not begin and end on rows")
        start, end = starts[0], ends[0]
        width = end - start + 1
        # -1 on the first row, 0 just behind the last one
        value_inside = scaled_sigmoid((row - end - 1) / width) / scaled_sigmoid(np.float64(-1.0))
        # 0 on the last row, growing behind the window until the next one begins
        value_behind = scaled_sigmoid((row - end) / max(width - 1, 1))
        inside = (row >= start) & (row <= end)
        value = np.where(inside, value_inside, np.where(row > end, value_behind, value))
        window[inside] = number
    return Layout(value, window, row >= learning_rows(n), len(windows))


def scaled_sigmoid(position: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """2 / (1 + exp(5 position)) - 1, and -1 from three window widths behind a window on.

    Args:
        position: in widths of the window; negative inside it, 0 at its end.
    """
    position = np.minimum(position, 3.0)
    return np.where(position >= 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * position)) - 1.0)


# ---- the score of flags --------------------------------------------------------------------------


def raw_score(flags: Bool[np.ndarray, " n"], layout: Layout, profile: Profile) -> float:
    """Score of the flags in one series, not scaled."""
    total = profile.false_alarm * layout.value[flags & layout.outside].sum()
    for window in range(layout.windows):
        rows = layout.inside(window)
        hits = layout.value[rows[flags[rows]]]
        total += profile.found * hits.max() if hits.size else -profile.missed
    return float(total)


def false_alarms(flags: Bool[np.ndarray, " n"], layout: Layout) -> int:
    """Number of flags outside the windows."""
    return int((flags & layout.outside).sum())


def windows_found(flags: Bool[np.ndarray, " n"], layout: Layout) -> int:
    """Number of windows with a flag."""
    return sum(bool(flags[layout.inside(window)].any()) for window in range(layout.windows))


def scaled(raw: float, windows: int, profile: Profile) -> float:
    """0 for no flag at all, 100 for a flag on the first row of each of `windows` windows."""
    silent = -profile.missed * windows
    return 100.0 * (raw - silent) / (profile.found * windows - silent)


def corpus_score(
    flags: Sequence[Bool[np.ndarray, " _"]], layouts: Sequence[Layout], profile: Profile
) -> float:
    """Scaled score over several series.

    Raises:
        ValueError: no series has a window.
    """
    windows = sum(layout.windows for layout in layouts)
    if windows == 0:
        raise ValueError("no series has a window, so the score has no scale")
    raw = sum(raw_score(each, layout, profile) for each, layout in zip(flags, layouts, strict=True))
    return scaled(raw, windows, profile)


# ---- scores before a threshold -------------------------------------------------------------------


def best_threshold(
    scores: Sequence[Float[np.ndarray, " _"]], layouts: Sequence[Layout], profile: Profile
) -> tuple[float, float]:
    """NAB's own threshold: the one value, for all series, with the highest score on the labels.

    It uses the labels of the very series it is judged on; show it beside a label-free one only.
    While a threshold falls, rows are flagged one after the other. A row outside the windows adds
    its (negative) value, and a row in a window what it adds to the window's best flag so far, so
    one sort of all rows and a running sum give the score at every threshold.

    Returns:
        (threshold, scaled score). A row is flagged when its score is >= the threshold, as in NAB.
        Infinity and 0 where no threshold is better than no flag.
    """
    levels, gains = [], []
    for series, layout in zip(scores, layouts, strict=True):
        levels.append(series[layout.outside])
        gains.append(profile.false_alarm * layout.value[layout.outside])
        for window in range(layout.windows):
            rows = layout.inside(window)
            rows = rows[np.argsort(-series[rows], kind="stable")]
            best_so_far = profile.found * np.maximum.accumulate(layout.value[rows])
            levels.append(series[rows])
            gains.append(np.diff(best_so_far, prepend=-profile.missed))
    order, last_of_ties = by_falling_score(np.concatenate(levels))
    windows = sum(layout.windows for layout in layouts)
    silent = -profile.missed * windows
    totals = np.cumsum(np.concatenate(gains)[order])[last_of_ties] + silent
    best = int(np.argmax(totals))
    if totals[best] <= silent:
        return float("inf"), 0.0
    threshold = np.concatenate(levels)[order][last_of_ties][best]
    return float(threshold), scaled(float(totals[best]), windows, profile)


def range_average_precision(
    scores: Sequence[Float[np.ndarray, " _"]], layouts: Sequence[Layout]
) -> float:
    """Area under precision against range recall, over several series with one threshold.

    Recall is the share of windows with at least one flag (existence, Tatbul et al. 2018), precision
    the share of flagged rows that lie in a window. Rows of the learning period do not count.
    """
    levels, finds, inside = [], [], []
    for series, layout in zip(scores, layouts, strict=True):
        finds_window = np.zeros(len(series))  # 1 for the highest row of each window
        for window in range(layout.windows):
            rows = layout.inside(window)
            if rows.size:
                finds_window[rows[np.argmax(series[rows])]] = 1
        levels.append(series[layout.counts])
        finds.append(finds_window[layout.counts])
        inside.append((layout.window >= 0)[layout.counts])
    order, last_of_ties = by_falling_score(np.concatenate(levels))
    windows = sum(layout.windows for layout in layouts)
    recall = np.cumsum(np.concatenate(finds)[order]) / windows
    precision = np.cumsum(np.concatenate(inside)[order]) / np.arange(1, len(order) + 1)
    steps = np.diff(recall[last_of_ties], prepend=0.0)
    return float((steps * precision[last_of_ties]).sum())
