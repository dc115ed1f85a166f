"""Means and spreads of columns, and the one rule for when a spread may be divided by."""

import numpy as np
from jaxtyping import Float

# Spreads are compared with the largest value of their column: what is smaller than this share of it
# is taken for rounding. float32 has fewer digits, hence a larger share.
SMALLEST_SHARE = 1e-9
ROUNDINGS = 16


def usable_spread(
    spread: Float[np.ndarray, "*columns"], largest: Float[np.ndarray, "*columns"]
) -> Float[np.ndarray, "*columns"]:
    """What to divide by: the spread, or 1 where a column is constant but for rounding.

    The mean of 0.1, 0.1, 0.1 is not 0.1 in floating point, so the deviation of a constant column is
    not 0 but some 1e-17. Dividing by that blows rounding up to the size of a signal; a spread is
    therefore held against the size of the values, not against 0.

    Args:
        spread: standard deviations, say, in the precision they were computed in.
        largest: the largest absolute value of each column.

    >>> values = np.array([[0.1, 5.0], [0.1, 7.0], [0.1, 9.0]])
    >>> usable_spread(values.std(axis=0), np.abs(values).max(axis=0)).round(2)
    array([1.  , 1.63])
    """
    share = max(SMALLEST_SHARE, ROUNDINGS * float(np.finfo(spread.dtype).eps))
    return np.where(spread > share * largest, spread, np.ones_like(spread))


def mean_and_spread(
    x: Float[np.ndarray, "rows columns"],
) -> tuple[Float[np.ndarray, " columns"], Float[np.ndarray, " columns"]]:
    """Mean and `usable_spread` (the standard deviation, divided by n) of each column.

    Standardised values are `(x - mean) / spread`.
    """
    return x.mean(axis=0), usable_spread(x.std(axis=0), np.abs(x).max(axis=0))
