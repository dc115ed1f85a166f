"""A leak in tables of principal components: choosing the normal rows shows where the others lie.

Components that were computed on all rows are uncorrelated over all rows. Take the anomalies out,
which "trained on normals only" does with their labels, and the variance that goes missing points at
them: the direction in which the remaining rows vary least is nearly that of the mean anomaly. A
detector of normal rows then profits from the labels without having seen one, and no later row would
give it that. The published credit-card transactions (V1..V28) are such a table.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

UNCORRELATED = 1e-4  # below it two columns are uncorrelated by construction, not by chance
LEAST_PAIRS = 10
TIMES_CHANCE = 5.0  # times the usual correlation after leaving random rows out
LEAST_SHARE = 0.2


class CorrelationLeak(NamedTuple):
    """What leaving the anomalies out does to correlations.

    Attributes:
        uncorrelated: pairs of columns without any correlation over all rows.
        revealed: those of them that are correlated once the anomalies are left out, far more than
            after leaving out as many random rows.
        cosine: between the direction in which normal rows vary least and that of the mean anomaly,
            of the columns that are uncorrelated with most others; 1 where they are the same.
    """

    uncorrelated: int
    revealed: int
    cosine: float

    @property
    def found(self) -> bool:
        """The table is one of components that were computed with the anomalies in it."""
        enough = self.uncorrelated >= LEAST_PAIRS
        return enough and self.revealed >= LEAST_SHARE * self.uncorrelated

    def warning(self) -> str:
        """A sentence for the reader of a result."""
        return (
            f"LEAK: {self.uncorrelated} pairs of columns are uncorrelated over all rows, and "
            f"{self.revealed} of them are not once the anomalies are left out: the columns were "
            "made from all rows (principal components), so choosing the normal rows shows where "
            f"the anomalies lie (cosine {self.cosine:.2f} with the direction of least variance). "
            "Numbers of detectors that learn from normal rows are too good here."
        )


def correlation_leak(
    x: Float[np.ndarray, "rows columns"], anomaly: Bool[np.ndarray, " rows"], seed: int = 0
) -> CorrelationLeak:
    """Compare correlations over all rows, without the anomalies, and without as many random rows.

    Args:
        x: numeric columns of the whole table, in any units.
        anomaly: True for an anomaly.
        seed: draws the random rows.

    Raises:
        ValueError: no anomaly, or fewer than three other rows.

    >>> rng = np.random.default_rng(0)
    >>> x, anomaly = rng.normal(size=(3000, 8)) * np.arange(2, 10), np.arange(3000) < 30
    >>> x[anomaly] += 15.0
    >>> correlation_leak(x, anomaly).found
    False
    >>> centred = x - x.mean(axis=0)
    >>> components = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    >>> correlation_leak(components, anomaly).found
    True
    """
    if not anomaly.any() or (~anomaly).sum() < 3:
        raise ValueError("a leak can be looked for only where there are anomalies and other rows")
    x = x[:, x.std(axis=0) > 0].astype(np.float64)
    dropped = np.zeros(len(x), bool)
    dropped[np.random.default_rng(seed).choice(len(x), int(anomaly.sum()), replace=False)] = True
    everything, normal, by_chance = (_correlations(x[kept]) for kept in (..., ~anomaly, ~dropped))
    uncorrelated = np.triu(everything < UNCORRELATED, 1)
    pairs = int(uncorrelated.sum())
    chance = np.sqrt(np.square(by_chance[uncorrelated]).sum() / max(pairs, 1))
    revealed = uncorrelated & (normal > TIMES_CHANCE * chance)
    # the components among the columns: uncorrelated with most of the others
    component = (everything < UNCORRELATED).sum(axis=1) >= 0.5 * (len(everything) - 1)
    cosine = _cosine(x[:, component], anomaly) if component.sum() > 1 else 0.0
    return CorrelationLeak(pairs, int(revealed.sum()), cosine)


def leak_warnings(
    x: Float[np.ndarray, "rows columns"], anomaly: Bool[np.ndarray, " rows"]
) -> list[str]:
    """Notes of a lab that learns from normal rows: the warning, where there is a leak.

    Args:
        x, anomaly: see `correlation_leak`.
    """
    leak = correlation_leak(x, anomaly)
    return [leak.warning()] if leak.found else []


def _correlations(x: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "columns columns"]:
    """Absolute correlation of each pair of columns."""
    columns = x.shape[1]
    return np.abs(np.corrcoef(x, rowvar=False).reshape(columns, columns))


def _cosine(x: Float[np.ndarray, "rows columns"], anomaly: Bool[np.ndarray, " rows"]) -> float:
    """Of the smallest principal direction of the normal rows with the mean anomaly."""
    normal = x[~anomaly]
    spread = normal.std(axis=0)
    spread[spread == 0] = 1.0
    standard = (normal - normal.mean(axis=0)) / spread
    _, directions = np.linalg.eigh(standard.T @ standard)
    mean = ((x[anomaly] - normal.mean(axis=0)) / spread).mean(axis=0)
    return float(np.abs(directions[:, 0] @ mean) / max(float(np.linalg.norm(mean)), 1e-30))
