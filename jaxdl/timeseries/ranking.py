"""Rows ranked by their score: what curves over all thresholds are made of."""

import numpy as np
from jaxtyping import Float, Int


def by_falling_score(
    scores: Float[np.ndarray, " n"],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " thresholds"]]:
    """Rows by falling score, and the places in that order at which a threshold may lie.

    Rows of equal score are flagged together, so a threshold lies behind the last of them only.

    >>> order, last_of_ties = by_falling_score(np.array([1.0, 3.0, 1.0, 2.0]))
    >>> order.tolist(), last_of_ties.tolist()
    ([1, 3, 0, 2], [0, 1, 3])

    Args:
        scores: higher is worse; equal ones keep their order.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
