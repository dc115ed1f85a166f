"""Hand-written rules as a table: a name, conditions on columns, nothing else.

A rule fires where all its conditions hold. All rules are evaluated on all events at once; the
number of rules that fired is a score like any other, and their names are the explanation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Shaped


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
