"""Where rows are set aside: the last ones, at random, by class, by group, by time.

The functions that take labels, groups or times return row numbers, so that a part of a part still
knows which rows of the file it holds.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int, Int64, Shaped

from datasets.source import DataError

Rows = Mapping[str, np.ndarray]  # named arrays whose first axes are the same rows


def split_last(data: Rows, rows: int) -> tuple[Rows, Rows]:
    """All but the last `rows` rows, and those.

    Raises:
        DataError: one of the two would be empty.

    >>> rest, last = split_last({"x": np.arange(5)}, 2)
    >>> rest["x"], last["x"]
    (array([0, 1, 2]), array([3, 4]))
    """
    total = len(next(iter(data.values())))
    if not 0 < rows < total:
        raise DataError(f"{rows:,} of {total:,} rows cannot be held out: one side is empty")
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
    return *split_last(train, rows), "validation"


def split_at_random(
    rows: Int[np.ndarray, " n"], share: float, seed: int = 0
) -> tuple[Int[np.ndarray, " rest"], Int[np.ndarray, " chosen"]]:
    """All but `share` of these row numbers, and that share; both in random order.

    >>> rest, chosen = split_at_random(np.arange(10, 18), 0.25)
    >>> len(chosen), sorted([*rest, *chosen]) == list(range(10, 18))
    (2, True)
    """
    shuffled = np.random.default_rng(seed).permutation(rows)
    chosen, rest = np.split(shuffled, [round(share * len(shuffled))])
    return rest, chosen


def random_parts(
    rows: int, share: float = 0.5, seed: int = 0
) -> tuple[Int64[np.ndarray, " rest"], Int64[np.ndarray, " chosen"]]:
    """Row numbers of all but a random `share` of the rows, and of that share.

    They are those of scikit-learn's `train_test_split`, with which the lectures split.

    Raises:
        DataError: one of the two would be empty.
    """
    from sklearn.model_selection import train_test_split

    try:
        rest, chosen = train_test_split(np.arange(rows), test_size=share, random_state=seed)
    except ValueError as error:
        raise DataError(f"{rows} row(s) cannot be split in two: one side is empty") from error
    return rest, chosen


def split_by_time(
    time: Float[np.ndarray, " n"], share: float = 0.5
) -> tuple[Int64[np.ndarray, " earlier"], Int64[np.ndarray, " later"]]:
    """Row numbers of all but the latest `share` of the rows, and of that share; in order of time.

    Raises:
        DataError: one of the two would be empty.

    >>> split_by_time(np.array([3.0, 1.0, 2.0, 0.0]))
    (array([3, 1]), array([2, 0]))
    """
    in_time = np.argsort(time, kind="stable")
    earlier, later = np.split(in_time, [int((1 - share) * len(in_time))])
    if not len(earlier) or not len(later):
        raise DataError(f"{len(time)} row(s) cannot be split by time: one side is empty")
    return earlier, later


def split_by_class(
    label: Int[np.ndarray, " n"], share: float, seed: int = 0
) -> tuple[Int64[np.ndarray, " rest"], Int64[np.ndarray, " chosen"]]:
    """Row numbers of all but `share` of each class, and of that share; in the order of the data.

    Raises:
        DataError: one side would lack a class.

    >>> rest, chosen = split_by_class(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 0.25)
    >>> len(rest), (chosen < 4).tolist()
    (6, [True, False])
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = np.zeros(len(label), bool)
    for each in np.unique(label):
        rows = np.flatnonzero(label == each)
        count = round(share * len(rows))
        if not 0 < count < len(rows):
            raise DataError(f"a share of {share} of {len(rows)} rows of a class leaves a side bare")
        chosen[rng.permutation(rows)[:count]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def split_by_group(
    group: Shaped[np.ndarray, " n"], share: float, seed: int = 0
) -> tuple[Int64[np.ndarray, " rest"], Int64[np.ndarray, " chosen"]]:
    """Row numbers of all but about `share` of the rows, and of that share; no group on both sides.

    The groups are the films of reviews, say, or the customers of payments: a model that remembers
    names would look better on other rows of a group it knows than it is.

    Raises:
        DataError: one side would be empty.

    >>> rest, chosen = split_by_group(np.array([7, 7, 8, 8, 9, 9]), 0.34)
    >>> chosen
    array([4, 5])
    """
    groups, member_of = np.unique(group, return_inverse=True)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(groups))
    rows = np.cumsum(np.bincount(member_of)[order])
    chosen = np.isin(member_of, order[rows <= share * len(member_of)])
    if chosen.all() or not chosen.any():
        raise DataError(f"a share of {share} of {len(groups)} groups leaves a side without rows")
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def refuse_shared_rows(*parts: Int[np.ndarray, " _"]) -> None:
    """The alarm against the commonest leak: a row of the file that stands in two parts.

    Resampling before a split does that: copies of a fraud land on both sides, and a model that
    remembers its training rows looks perfect. Rows may repeat within a part.

    Args:
        parts: row numbers of each part.

    Raises:
        DataError: two parts share a row.

    >>> refuse_shared_rows(np.array([1, 1, 2]), np.array([3]))
    """
    seen = np.concatenate([np.unique(rows) for rows in parts])
    numbers, times = np.unique(seen, return_counts=True)
    shared = numbers[times > 1]
    if len(shared):
        problem = f"{len(shared)} rows stand in more than one part of the split (row {shared[0]}, "
        raise DataError(problem + "say): split first, then resample the training part only")
