"""Where a score lies among others: the percentile, which needs no unit and no threshold."""

import numpy as np
from jaxtyping import Float


def percentiles(
    values: Float[np.ndarray, " n"], among: Float[np.ndarray, " known"]
) -> Float[np.ndarray, " n"]:
    """Share of the known scores, in percent, that are lower than each value; equal ones count half.

    Half, so that a detector that gives most rows the same score puts them into the middle of these.

    Args:
        values: scores to place; 100 is above all known ones, 0 below all.
        among: known scores.

    >>> percentiles(np.array([0.5, 2.0, 9.0]), among=np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [0.0, 37.5, 100.0]
    """
    known = np.sort(among)
    below, not_above = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
    return 50 * (below + not_above) / len(known)
