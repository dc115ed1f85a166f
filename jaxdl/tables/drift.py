"""Whether new rows look like those that were learnt from: the population stability index.

The index of a column compares the shares p of new rows and q of known rows over some bins:
sum of (p - q) ln(p / q). Banks read it as: below 0.1 stable, 0.1 to 0.25 some change, above 0.25 a
model on this column should not be trusted before somebody has looked (Siddiqi, "Credit Risk
Scorecards", 2006).
"""

import numpy as np
from jaxtyping import Float, Float64, Int64

from jaxdl.tables.schema import Column, Schema

BINS = 10  # of a number: tenths of the known rows
HOURS_A_BIN = 3
DAY = 86_400.0
LIMITS = (0.1, 0.25)
HALF_A_ROW = 0.5  # added to each bin, so that an empty one does not make the index infinite


def population_stability(
    known: Float64[np.ndarray, "n columns"], new: Float64[np.ndarray, "m columns"], schema: Schema
) -> Float[np.ndarray, " columns"]:
    """The index of each used column.

    A number falls into tenths of the known rows, a category into its values and one bin for those
    never seen, a date into hours of the day (dates themselves always move on). What is missing has
    a bin of its own.

    Args:
        known: codes of the rows that were learnt from, see `schema.column_codes`.
        new: codes of the rows to compare.
        schema: of the table.

    >>> from jaxdl.tables.schema import Column, Schema
    >>> rng = np.random.default_rng(0)
    >>> known, moved = rng.normal(size=(1000, 1)), rng.normal(1.0, size=(1000, 1))
    >>> schema = Schema((Column("x", "number", ""),))
    >>> index = population_stability(known, moved, schema)
    >>> bool(index[0] > 0.25), bool(population_stability(known, known, schema)[0] < 1e-9)
    (True, True)
    """
    stability = Stability(known, schema)
    stability.add(new)
    return np.array(list(stability.indices().values()))


class Stability:
    """The index of each used column for new rows that come block by block.

    Attributes:
        rows: how many have come.

    Args:
        known: codes of the rows that were learnt from, or of a sample of them.
        schema: of the table.
    """

    def __init__(self, known: Float64[np.ndarray, "n columns"], schema: Schema):
        self.rows = 0
        self._columns = schema.used
        self._edges = [_edges(column, known[:, i]) for i, column in enumerate(self._columns)]
        self._known = [self._count(i, known) for i in range(len(self._columns))]
        self._new = [np.zeros_like(counts) for counts in self._known]

    def add(self, new: Float64[np.ndarray, "m columns"]) -> None:
        """Count more rows."""
        self.rows += len(new)
        for i, counts in enumerate(self._new):
            counts += self._count(i, new)

    def indices(self) -> dict[str, float]:
        """Column -> index of all rows that have come."""
        found = {}
        for column, new, known in zip(self._columns, self._new, self._known, strict=True):
            p, q = _shares(new), _shares(known)
            found[column.name] = float(((p - q) * np.log(p / q)).sum())
        return found

    def _count(
        self, place: int, codes: Float64[np.ndarray, "m columns"]
    ) -> Int64[np.ndarray, " _"]:
        edges = self._edges[place]
        bins = _bins(self._columns[place], codes[:, place], edges)
        return np.bincount(bins, minlength=len(edges) + 2)


def _edges(column: Column, known: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " edges"]:
    """Between the bins of one column."""
    if column.kind == "category":
        return np.arange(len(column.categories)) + 0.5
    if column.kind == "date":
        return np.arange(HOURS_A_BIN, 24, HOURS_A_BIN) * 3600.0
    held = known[~np.isnan(known)]
    if not len(held):
        return np.zeros(0)
    return np.unique(np.quantile(held, np.arange(1, BINS) / BINS))


def _bins(
    column: Column, values: Float64[np.ndarray, " n"], edges: Float64[np.ndarray, " edges"]
) -> Int64[np.ndarray, " n"]:
    """The bin of each row; the last one is for what is missing."""
    placed = values % DAY if column.kind == "date" else values
    missing = np.isnan(values)
    bins = np.searchsorted(edges, np.where(missing, 0.0, placed), side="left")
    return np.where(missing, len(edges) + 1, bins)


def _shares(counts: Int64[np.ndarray, " bins"]) -> Float64[np.ndarray, " bins"]:
    counts = counts + HALF_A_ROW
    return counts / counts.sum()


def reading(index: float) -> str:
    """What an index is read as.

    >>> reading(0.02), reading(0.2), reading(0.3)
    ('stable', 'some change', 'changed')
    """
    stable, changed = LIMITS
    return "stable" if index < stable else "some change" if index < changed else "changed"
