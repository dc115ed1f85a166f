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

from jaxdl.anomaly import detectors
from jaxdl.anomaly.detector import Detector
from jaxdl.scaling import mean_and_spread

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
    cosine = 0.0
    if component.sum() > 1:
        least = least_variance_direction(x[np.ix_(~anomaly, component)])
        cosine = least.cosine_with_mean(x[np.ix_(anomaly, component)])
    return CorrelationLeak(pairs, int(revealed.sum()), cosine)


# ---- the direction that the leak points to -------------------------------------------------------


class Direction(NamedTuple):
    """A direction in the space of standardised columns.

    Attributes:
        mean, spread: of the columns, over the rows that it was made from.
        vector: of length 1.
        variance: of those rows along it; 1 is that of an average column.
    """

    mean: Float[np.ndarray, " columns"]
    spread: Float[np.ndarray, " columns"]
    vector: Float[np.ndarray, " columns"]
    variance: float

    def standardise(
        self, x: Float[np.ndarray, "rows columns"]
    ) -> Float[np.ndarray, "rows columns"]:
        """The rows in units of the columns' spreads."""
        return (x - self.mean) / self.spread

    def along(self, x: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, " rows"]:
        """How far each row lies along the direction, in standard deviations."""
        return self.standardise(x) @ self.vector / np.sqrt(self.variance)

    def across(self, x: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows others"]:
        """The rows in an orthonormal basis of all that is perpendicular to the direction."""
        return self.standardise(x) @ _perpendicular(self.vector)

    def cosine_with_mean(self, x: Float[np.ndarray, "rows columns"]) -> float:
        """Cosine of the angle to the mean of these rows, whatever its sign."""
        mean = self.standardise(x).mean(axis=0)
        return float(np.abs(self.vector @ mean) / max(float(np.linalg.norm(mean)), 1e-30))


def least_variance_direction(
    x: Float[np.ndarray, "rows columns"], origin: Float[np.ndarray, " columns"] | None = None
) -> Direction:
    """The direction in which the standardised rows vary least: their last principal component.

    Its sign: it points from the rows' mean to the side of `origin`. Where that is the mean of a
    whole table, of which a few rows were left out, those lie on the same side.

    Args:
        x: rows of columns that vary; constant ones count as if they had a spread of 1.
        origin: a point in the units of `x`; None: where all columns are 0.
    """
    x = x.astype(np.float64)
    mean, spread = mean_and_spread(x)
    standard = (x - mean) / spread
    variances, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    vector = vectors[:, 0]
    towards = ((0.0 if origin is None else origin) - mean) / spread
    sign = 1.0 if vector @ towards >= 0 else -1.0
    return Direction(mean, spread, sign * vector, max(float(variances[0]), 1e-30))


def made_up_anomalies(
    normal: Float[np.ndarray, "rows columns"],
    direction: Direction,
    share: float,
    count: int,
    seed: int = 0,
) -> Float[np.ndarray, "count columns"]:
    """Anomalies as the leak describes them, made without having seen one.

    Over all rows each standardised column had variance 1 and no pair was correlated. What is
    missing in the direction of least variance v, 1 - variance, was that of the share of rows left
    out, around the mean of the rest: their distance along v is about sqrt((1 - variance) / share).
    A made-up anomaly is a normal row, twice as far from the mean as it is, pushed so far along v
    times a severity (Gamma, mean 1, shape 1.5), because anomalies are not all alike.

    Args:
        normal: the rows that are left.
        direction: `least_variance_direction` of these.
        share: of the rows that were left out.
        count: how many to make.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    drawn = direction.standardise(normal[rng.choice(len(normal), count)].astype(np.float64))
    push = np.sqrt(max(1.0 - direction.variance, 0.0) / share) * direction.vector
    severity = rng.gamma(1.5, 1 / 1.5, (count, 1))
    return direction.mean + direction.spread * (2.0 * drawn + severity * push)


def taught_made_up_anomalies(
    normal: Float[np.ndarray, "rows columns"],
    direction: Direction,
    share: float,
    count: int,
    most_rows: int,
    seed: int,
) -> Detector:
    """Trees that tell normal rows from anomalies that are made up: what the leak alone is worth.

    Args:
        normal, direction, share, count: see `made_up_anomalies`.
        most_rows: normal rows that the trees are taught, at most; the same for every seed.
        seed: of the anomalies and of the trees.
    """
    few = detectors.subsample(normal, most_rows, seed=0)
    made_up = made_up_anomalies(normal, direction, share, count, seed)
    x = np.concatenate([few, made_up]).astype(np.float32)
    return detectors.extra_trees(x, np.repeat([0, 1], [len(few), len(made_up)]), seed)


def _perpendicular(vector: Float[np.ndarray, " columns"]) -> Float[np.ndarray, "columns others"]:
    """An orthonormal basis of the directions perpendicular to one of length 1."""
    basis, _ = np.linalg.qr(np.column_stack([vector, np.eye(len(vector))]))
    return basis[:, 1 : len(vector)]


# ---- the warning ---------------------------------------------------------------------------------


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
