"""Hand-written rules as a table: a name, conditions on columns, nothing else.

A rule fires where all its conditions hold. All rules are evaluated on all events at once; the
number of rules that fired is a score like any other, and their names are the explanation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped


@dataclass(frozen=True)
class Condition:
    """`column` compared with `limit`."""

    column: str
    sign: Literal[">", ">=", "<", "<="]
    limit: float

    def __str__(self) -> str:
        return f"{self.column} {self.sign} {self.limit:g}"


@dataclass(frozen=True)
class Rule:
    """Fires where all conditions hold."""

    name: str
    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(map(str, self.conditions))


COMPARE = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}


def fired(
    rules: Sequence[Rule], columns: Mapping[str, Shaped[np.ndarray, " n"]]
) -> Bool[np.ndarray, "n rules"]:
    """Which rule fires on which event.

    Raises:
        ValueError: a rule names a column that is not there, has no condition, or NaN is compared.
    """
    results = []
    for rule in rules:
        if not rule.conditions:
            raise ValueError(f"rule {rule.name!r} has no condition")
        parts = []
        for condition in rule.conditions:
            if condition.column not in columns:
                raise ValueError(
                    f"rule {rule.name!r} looks at {condition.column!r}; "
                    f"there are {', '.join(columns)}"
                )
            values = np.asarray(columns[condition.column])
            if np.issubdtype(values.dtype, np.floating) and np.isnan(values).any():
                raise ValueError(f"column {condition.column!r} holds NaN: no rule can judge it")
            parts.append(COMPARE[condition.sign](values, condition.limit))
        results.append(np.logical_and.reduce(parts))
    return np.stack(results, axis=1)


def reasons(rules: Sequence[Rule], hits: Bool[np.ndarray, "n rules"]) -> list[str]:
    """For each event the names of the rules that fired, "" where none did."""
    return [", ".join(rules[j].name for j in np.flatnonzero(row)) for row in hits]


def count_before(
    time: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"], window: float
) -> Int[np.ndarray, " n"]:
    """Events of the same group in the last `window` seconds, the event itself included.

    Args:
        time: not falling.
        group: an account or an address, say.
    """
    order = np.lexsort((time, group))
    place = group[order].astype(np.int64)
    _, place = np.unique(place, return_inverse=True)
    # one increasing axis for all groups, so that one search serves them all
    stretch = float(time[-1] - time[0]) + 2 * window + 1.0
    axis = place * stretch + (time[order] - time[0])
    first = np.searchsorted(axis, axis - window, side="left")
    counts = np.empty(len(time), np.int64)
    counts[order] = np.arange(len(time)) - first + 1
    return counts


def distinct_before(
    time: Float[np.ndarray, " n"],
    group: Int[np.ndarray, " n"],
    value: Int[np.ndarray, " n"],
    window: float,
) -> Int[np.ndarray, " n"]:
    """Distinct values of a group in the last `window` seconds: accounts behind one address, say.

    Args:
        time: not falling.
    """
    counts = np.ones(len(time), np.int64)
    order = np.lexsort((time, group))
    edges = np.flatnonzero(np.diff(group[order])) + 1
    for rows in np.split(order, edges):
        if len(rows) < 2 or (value[rows] == value[rows[0]]).all():
            continue
        first = np.searchsorted(time[rows], time[rows] - window, side="left")
        counts[rows] = [
            len(set(value[rows[start : i + 1]].tolist())) for i, start in enumerate(first)
        ]
    return counts


def first_seen(
    group: Int[np.ndarray, " n"], value: Int[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """True at the first event, in the given order, of each pair of group and value."""
    pairs = np.stack([group, value], axis=1)
    _, index = np.unique(pairs, axis=0, return_index=True)
    new = np.zeros(len(group), bool)
    new[index] = True
    return new
