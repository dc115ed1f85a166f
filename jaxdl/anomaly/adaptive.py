"""A threshold that moves with the stream, so that a promise holds although the scores drift.

A fixed threshold promises a rate for rows like those it was fitted on. Later rows are not like them
(another hour, another day), and the promise is broken. Here the threshold follows in two ways:

1. it is a quantile of the last `window` scores, so that it rises and falls with them;
2. which quantile follows an account. Every row pays in its allowance, every alert takes 1 out;
   a balance above 0 lowers the bar, one below 0 raises it.

Step 2 is adaptive conformal inference (Gibbs and Candes, "Adaptive conformal inference under
distribution shift", 2021) for a stream without labels: an alert takes the place of an error, and
the logarithm of the level moves, so that levels of 0.1 % stay positive. Alerts and allowances
differ by the last balance, whatever the scores do; this is the promise. What it means depends on
the allowance:

    a share of all rows        `share` a row
    alerts a day               `alerts_per_day` times the days since the row before
    a false-alarm rate         `rate` a row, and besides as many frauds a day as the same rate
                               caught earlier: without labels a false alarm and a catch look alike
    the same, with verdicts    `rate` a row, and confirmed alerts cost nothing (`confirmed`)

The third is as good as the guess of the frauds that will be caught. Where they are few beside the
false alarms (0.17 % of all rows beside 1 %), a wrong guess does little harm; beside 0.1 % it
decides.

>>> rng = np.random.default_rng(0)
>>> past, later = rng.exponential(size=5000), rng.exponential(size=20_000)
>>> drifting = later * np.linspace(1, 3, 20_000)
>>> moved = paced_alerts(past, drifting, np.full(5000, 0.01), np.full(20_000, 0.01))
>>> fixed = drifting > np.quantile(past, 0.99)
>>> int(moved.flags.sum()), int(fixed.sum())  # 200 were allowed
(204, 1983)
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from jaxdl.anomaly import metrics
from jaxdl.anomaly.metrics import ROUNDING, Scores, ScoresLike

WINDOW = 5000
BLOCK = 100
GAIN = 0.1
# The balance moves the level by a factor of at most exp(5), about 150, in either direction.
LARGEST_MOVE = 5.0
LARGEST_LEVEL = 0.5


class Paced(NamedTuple):
    """What a moving threshold decided: `flags` of the rows, and the bar that each was held to."""

    flags: Bool[np.ndarray, " n"]
    bars: Float[np.ndarray, " n"]


def paced_alerts(
    past: ScoresLike,
    later: ScoresLike,
    past_allowance: Float[np.ndarray, " m"],
    allowance: Float[np.ndarray, " n"],
    *,
    confirmed: Bool[np.ndarray, " n"] | None = None,
    window: int = WINDOW,
    block: int = BLOCK,
    gain: float = GAIN,
) -> Paced:
    """Flags of a threshold that follows the stream and keeps to its allowance.

    Rows are decided in blocks. A block is held to a bar made of the rows before it: no row's flag
    depends on a later row, nor on others of its block.

    Args:
        past: scores from before the stream, in order of time; the first bar is made of them.
        later: scores of the stream, in order of time.
        past_allowance, allowance: alerts that each row allows (see the head of this file); their
            mean over the window is the level that the balance moves.
        confirmed: rows that a reviewer would confirm as anomalies, who is asked about flagged rows
            only and answers before the next block. Confirmed alerts cost nothing and leave the
            window. None: there are no verdicts.
        window: preceding rows that the bar is a quantile of.
        block: rows between two changes of the bar.
        gain: how fast the level moves: one alert too many lowers it by this share.

    Raises:
        ValueError: scores that are empty or NaN, lengths that differ, an allowance that is
            negative, a window or block below 1, a gain below 0, or a window too short for the
            allowance: the highest of so many rows is exceeded more often.
    """
    past, later = metrics.check_scores(past), metrics.check_scores(later)
    _check_settings(window, block, gain)
    recent = past[-window:]
    recent_allowance = _checked_allowance(past_allowance, past.size)[-window:]
    allowance = _checked_allowance(allowance, later.size)
    _require(
        recent_allowance.mean() * (recent.size + 1) * (1 + ROUNDING) >= 1,
        f"{recent.size} preceding rows cannot show a rate of {recent_allowance.mean():g}: "
        f"give a window of {math.ceil(1 / max(recent_allowance.mean(), 1e-12)) - 1:,} or more",
    )
    if confirmed is None:
        confirmed = np.zeros(later.size, bool)
    _require(len(confirmed) == later.size, "confirmed must have a value for each row")

    flags, bars = np.empty(later.size, bool), np.empty(later.size, later.dtype)
    balance = 0.0
    for start in range(0, later.size, block):
        rows = slice(start, start + block)
        level = moved_level(float(recent_allowance.mean()), gain * balance)
        bars[rows] = upper_quantile(recent, level)
        flags[rows] = later[rows] > bars[rows]

        # from here on the block is past
        verdict = flags[rows] & confirmed[rows]
        balance += allowance[rows].sum() - np.count_nonzero(flags[rows] & ~verdict)
        recent = np.concatenate([recent, later[rows][~verdict]])[-window:]
        kept = np.concatenate([recent_allowance, allowance[rows][~verdict]])
        recent_allowance = kept[-window:]
    return Paced(flags, bars)


def moved_level(level: float, move: float) -> float:
    """The level times exp(move), within bounds.

    >>> moved_level(0.01, 0.0), moved_level(0.01, 100.0)
    (0.01, 0.5)
    """
    bounded = min(max(move, -LARGEST_MOVE), LARGEST_MOVE)
    return min(level * math.exp(bounded), LARGEST_LEVEL)


def upper_quantile(scores: Scores, level: float) -> np.floating:
    """The score that a further, exchangeable row exceeds with a probability of at most `level`.

    Of n scores the k-th highest, k = floor(level (n + 1)), as in `thresholds.quantile`; where n is
    too small for the level, the highest.

    >>> float(upper_quantile(np.array([3.0, 1.0, 4.0, 2.0]), 0.4))  # the second highest
    3.0
    """
    rank = max(math.floor(level * (scores.size + 1) * (1 + ROUNDING)), 1)
    return np.partition(scores, scores.size - rank)[scores.size - rank]


def allowance_of(
    days: Float[np.ndarray, " n"], start: float, *, per_row: float = 0.0, per_day: float = 0.0
) -> Float[np.ndarray, " n"]:
    """Alerts that each row allows: so many a row, and so many for each day since the row before.

    Args:
        days: when the rows came, in order.
        start: when the row before the first came, in days.
        per_row: share of rows, or false-alarm rate.
        per_day: alerts a day.

    >>> allowance_of(np.array([0.5, 0.75]), 0.0, per_row=0.01, per_day=4.0).tolist()
    [2.01, 1.01]
    """
    return per_row + per_day * np.diff(days, prepend=start)


def _checked_allowance(allowance: ArrayLike, rows: int) -> Float[np.ndarray, " rows"]:
    """As float64. ValueError unless there is one for each row, finite and not negative."""
    allowance = np.asarray(allowance, np.float64)
    _require(allowance.shape == (rows,), f"{allowance.size} allowances for {rows} rows")
    good = np.isfinite(allowance).all() and (allowance >= 0).all()
    _require(good, "an allowance must be finite and not negative; are the rows in order of time?")
    return allowance


def _check_settings(window: int, block: int, gain: float) -> None:
    _require(window >= 1 and block >= 1, f"window {window} and block {block} must be 1 or more")
    _require(gain >= 0, f"gain must be 0 or more, not {gain}")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(f"threshold: {message}")
