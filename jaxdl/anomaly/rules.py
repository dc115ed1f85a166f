"""Rules that people write: a name and a sentence about columns, nothing else.

A rule fires on an event where all its conditions hold. All rules are evaluated on all events at
once; how many of them fired is a score like any other, and their names are the explanation.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Shaped

COMPARISONS = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}
_CONDITION = re.compile(r"([^<>=]*[^<>=\s])\s*([<>]=?)\s*([^<>=\s]+)")


@dataclass(frozen=True)
class Condition:
    """A column compared with a number, one of `COMPARISONS`."""

    column: str
    sign: str
    limit: float


@dataclass(frozen=True)
class Rule:
    """A rule as an analyst writes it down.

    >>> rule = Rule("large and foreign", "amount > 2000 and abroad > 0")
    >>> columns = {"amount": np.array([50.0, 3000.0, 9000.0]), "abroad": np.array([1, 0, 1])}
    >>> fired([rule], columns)[:, 0]
    array([False, False,  True])

    Attributes:
        name: what an alert is called.
        when: comparisons of columns with numbers, joined by " and ", all of which must hold.

    Raises:
        ValueError: `when` is anything else.
    """

    name: str
    when: str

    def __post_init__(self):
        _ = self.conditions  # refuses what cannot be read

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """`when`, read."""
        return tuple(self._condition(part.strip()) for part in self.when.split(" and "))

    def _condition(self, text: str) -> Condition:
        found = _CONDITION.fullmatch(text)
        try:
            column, sign, limit = found.groups()
            return Condition(column, sign, float(limit))
        except (AttributeError, ValueError):
            signs = " ".join(COMPARISONS)
            raise ValueError(
                f"rule {self.name!r}: {text!r} is not a column, one of {signs}, and a number"
            ) from None


def fired(
    rules: Sequence[Rule], columns: Mapping[str, Shaped[np.ndarray, " n"]]
) -> Bool[np.ndarray, "n rules"]:
    """Which rule fires on which event.

    Raises:
        ValueError: a rule names a column that is not there, or compares NaN.
    """
    results = []
    for rule in rules:
        holds = [_holds(condition, rule, columns) for condition in rule.conditions]
        results.append(np.logical_and.reduce(holds))
    return np.stack(results, axis=1)


def _holds(
    condition: Condition, rule: Rule, columns: Mapping[str, Shaped[np.ndarray, " n"]]
) -> Bool[np.ndarray, " n"]:
    if condition.column not in columns:
        raise ValueError(
            f"rule {rule.name!r} looks at {condition.column!r}; there are {', '.join(columns)}"
        )
    values = np.asarray(columns[condition.column])
    if np.issubdtype(values.dtype, np.floating) and np.isnan(values).any():
        raise ValueError(f"column {condition.column!r} holds NaN: no rule can judge it")
    return COMPARISONS[condition.sign](values, condition.limit)
