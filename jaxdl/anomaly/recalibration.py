"""A threshold that moves with the stream, and the table that holds every rule to its promise."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxdl.anomaly import evaluation, thresholds
from jaxdl.anomaly.thresholds import Threshold


def recalibrated(
    first: Float[np.ndarray, " m"],
    later: Float[np.ndarray, " n"],
    label: Int[np.ndarray, " n"],
    rate: float,
    *,
    window: int,
    block: int,
    gain: float,
) -> Bool[np.ndarray, " n"]:
    """Flags of a threshold that follows the stream, with a reviewer's verdict on each alert.

    The threshold is the `level` quantile of the last scores; after each block the level moves
    against the false alarms seen (adaptive conformal inference, Gibbs and Candes 2021, here on the
    logarithm of the level). So long as it stays between its bounds, the realised rate is
    `rate * (1 - log(last level / rate) / (gain * blocks))`, however the scores drift.

    Args:
        first: normal scores to start from, in order of time.
        later, label: the stream, in order of time; labels are looked at for flagged rows only.
        rate: of false alarms, asked for.
        window: preceding rows that the quantile is taken of.
        block: rows between two recalibrations.
        gain: how fast the level moves against the false alarms it sees.
    """
    recent, flags, level = first[-window:], [], rate
    for start in range(0, len(later), block):
        scores = later[start : start + block]
        lowest = 2 / (len(recent) + 1)
        level = min(max(level, lowest), 0.5)
        limit = thresholds.quantile(recent, level, fitted_on="preceding rows", resamples=0)
        flags.append(limit.label(scores))
        confirmed = flags[-1] & (label[start : start + block] == 1)
        false = (flags[-1] & ~confirmed).sum() / max((~confirmed).sum(), 1)
        level *= np.exp(gain * len(scores) / block * (1 - false / rate))
        recent = np.concatenate([recent, scores[~confirmed]])[-window:]
    return np.concatenate(flags)


class Decided(NamedTuple):
    """What a rule decided on a later slice.

    Attributes:
        rule: its name.
        asked: false-alarm rate that it was asked for, if any.
        fitted: the threshold, if it is one and stays.
        flags: of the later rows.
    """

    rule: str
    asked: float | None
    fitted: Threshold | None
    flags: Bool[np.ndarray, " n"]


def promise_row(
    decided: Decided, label: Int[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> Mapping[str, Any]:
    """A table row: the threshold, the rate asked for, the one realised, and what was caught.

    Args:
        decided: flags of the later rows.
        label, weights: of these rows.
    """
    flags, asked = decided.flags.astype(np.float64), decided.asked
    judge = Threshold("flag", 0.5, {}, "flags", 1)  # judges any decision, moving or not
    found = thresholds.realised_rate(judge, flags[label == 0])
    hit = evaluation.confusion(flags, label, 0.5, weights)
    ratio = np.nan if asked is None else found.rate / asked
    interval = decided.fitted.interval if decided.fitted else None
    return {
        "rule": decided.rule,
        "threshold": decided.fitted.value if decided.fitted else np.nan,
        "its 95 %": "{:.2f} .. {:.2f}".format(*interval) if interval else "moves",
        "rate asked": np.nan if asked is None else asked,
        "realised": found.rate,
        "realised, 95 %": f"{found.low:.4f} .. {found.high:.4f}",
        "realised / asked": ratio,
        "within 20 %": "" if asked is None else "yes" if 0.8 <= ratio <= 1.2 else "no",
        "precision": float(hit.precision()),
        "recall": float(hit.recall()),
    }
