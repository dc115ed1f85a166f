"""Why a row was flagged: the columns that made its score, and the normal row nearest to it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Nearest(NamedTuple):
    """For each flagged row the number of the nearest normal row, and the distance."""

    row: Int[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]


def top_columns(
    contributions: Float[np.ndarray, "n columns"], names: Sequence[str], k: int = 3
) -> list[str]:
    """For each row its `k` largest parts of the score, as "V14 62 %, V10 11 %, V12 9 %".

    Args:
        contributions: not negative, the columns' parts of the row's score.
        names: of the columns.

    Raises:
        ValueError: the number of names is not that of columns.
    """
    if contributions.shape[1] != len(names):
        raise ValueError(f"{contributions.shape[1]} columns but {len(names)} names")
    share = contributions / np.maximum(contributions.sum(axis=1, keepdims=True), 1e-30)
    largest = np.argsort(-share, axis=1, kind="stable")[:, :k]
    return [
        ", ".join(f"{names[j]} {100 * parts[j]:.0f} %" for j in order)
        for order, parts in zip(largest, share, strict=True)
    ]


def nearest_normal(
    x: Float[np.ndarray, "n columns"],
    normal: Float[np.ndarray, "m columns"],
    scale: Float[np.ndarray, " columns"] | None = None,
) -> Nearest:
    """The normal row that looks most like each flagged one: what the customer usually does.

    Args:
        x: flagged rows, standardised.
        normal: normal rows to choose from.
        scale: divides every column first (root of the error variances, say).
    """
    from sklearn.neighbors import NearestNeighbors

    divisor = 1.0 if scale is None else scale
    search = NearestNeighbors(n_neighbors=1).fit(normal / divisor)
    distance, row = search.kneighbors(x / divisor)
    return Nearest(row[:, 0], distance[:, 0])
