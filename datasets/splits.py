"""Where rows are set aside: for validation, for testing, by class, by film, by time."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, Int32, Int64

from datasets.imdb import Half
from datasets.source import DataError
from jaxdl.errors import UserError

Rows = Mapping[str, np.ndarray]


def split_off(data: Rows, rows: int) -> tuple[Rows, Rows]:
    """All but the last `rows` rows, and those.

    Raises:
        UserError: one of the two would be empty.
    """
    total = len(data["x"])
    if not 0 < rows < total:
        raise UserError(f"{rows:,} of {total:,} images cannot be held out: one side is empty")
    return {k: x[:-rows] for k, x in data.items()}, {k: x[-rows:] for k, x in data.items()}


def hold_out(train: Rows, test: Rows, rows: int) -> tuple[Rows, Rows, str]:
    """Training rows, validation rows and the latter's name.

    Args:
        train, test: all rows.
        rows: how many of the last training rows are set aside for validation; 0 validates on the
            test rows, as the lecture does.
    """
    if not rows:
        return train, test, "test"
    return *split_off(train, rows), "validation"


def split_by_class(
    label: Int32[np.ndarray, " rows"], share: float, seed: int = 0
) -> tuple[Int64[np.ndarray, " rest"], Int64[np.ndarray, " chosen"]]:
    """Row numbers of all but `share` of each class, and of that share; in the order of the data.

    Raises:
        DataError: one side would lack a class.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = np.zeros(len(label), bool)
    for each in np.unique(label):
        rows = np.flatnonzero(label == each)
        count = round(share * len(rows))
        if not 0 < count < len(rows):
            raise DataError(f"a share of {share} of {len(rows)} images leaves a side without one")
        chosen[rng.permutation(rows)[:count]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def refuse_shared_rows(*parts: Int[np.ndarray, " _"]) -> None:
    """The alarm against the commonest leak: a row of the file that stands in two parts.

    Resampling before a split does that: copies of a fraud land on both sides, and a model that
    remembers its training rows looks perfect. Rows may repeat within a part.

    Args:
        parts: row numbers of the parts, as in `Half.rows`.

    Raises:
        DataError: two parts share a row.
    """
    seen = np.concatenate([np.unique(rows) for rows in parts])
    numbers, times = np.unique(seen, return_counts=True)
    shared = numbers[times > 1]
    if len(shared):
        problem = f"{len(shared)} rows stand in more than one part of the split (row {shared[0]}, "
        raise DataError(problem + "say): split first, then resample the training part only")


def split_by_film(
    half: Half, share: float, seed: int = 0
) -> tuple[Int64[np.ndarray, " rest"], Int64[np.ndarray, " chosen"]]:
    """Row numbers of all but about `share` of the reviews, and of that share.

    No film has reviews on both sides, as none has in the published halves: a model that remembers
    names would look better on other reviews of a film it knows than it is.

    Raises:
        DataError: one side would be empty.
    """
    films, film = np.unique(half.film, return_inverse=True)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(films))
    reviews = np.cumsum(np.bincount(film)[order])
    chosen = np.isin(film, order[reviews <= share * len(film)])
    if chosen.all() or not chosen.any():
        raise DataError(f"a share of {share} of {len(films)} films leaves a side without reviews")
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
