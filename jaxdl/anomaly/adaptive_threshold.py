"""A threshold that moves with the stream, and the table that holds every rule to its promise."""

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxdl.anomaly import thresholds


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
