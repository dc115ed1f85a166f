"""From cells to features: fitted on training rows, a pure function of arrays afterwards.

A number is centred at its median and divided by a robust spread; where a column's tails are heavy
its scaled values go through asinh, which is the identity near zero and a logarithm far out. A
category becomes how rare its value is (information content, -ln of its share) and, for its most
frequent values, a column of zeros and ones. A date becomes hour of day and day of week, as points
on circles. What is missing is filled with the column's usual value and marked in a column of its
own, if training rows lacked it too.
"""

from dataclasses import dataclass
from types import ModuleType

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from jaxdl.errors import UserError
from jaxdl.losses import AnyArray
from jaxdl.scaling import SMALLEST_SHARE
from jaxdl.tables.schema import Column, Schema

DAY, WEEK = 86_400.0, 604_800.0
THURSDAY = 3  # 1 January 1970 was one; days are counted from Monday
ONE_HOT = 8  # most frequent values of a category that get a column each
ONE_HOT_SCALE = 0.5**0.5  # two rows that differ in a category are then 1 apart
NORMAL_QUARTILES = 1.349  # distance of the quartiles of a standard normal
HEAVY_TAIL = 10.0  # robust spreads; a column with one value in a thousand beyond is tamed
LARGEST = 1e6  # scaled values are cut off here: no cell may hide all others


@dataclass(frozen=True)
class NumberCode:
    """How a number is scaled.

    Attributes:
        centre, spread: median, and quartile distance as a standard deviation, of training rows.
        tamed: asinh is applied after scaling.
        marked: missing cells get a column of their own.
    """

    centre: float
    spread: float
    tamed: bool
    marked: bool

    @property
    def names(self) -> tuple[str, ...]:
        return ("", " is missing") if self.marked else ("",)

    def __call__(self, value: Float64[AnyArray, " rows"], xp: ModuleType) -> list[AnyArray]:
        missing = xp.isnan(value)
        scaled = (xp.where(missing, self.centre, value) - self.centre) / self.spread
        scaled = xp.clip(scaled, -LARGEST, LARGEST)
        scaled = xp.arcsinh(scaled) if self.tamed else scaled
        return [scaled, xp.where(missing, 1.0, 0.0)] if self.marked else [scaled]


@dataclass(frozen=True)
class CategoryCode:
    """How a category becomes numbers.

    Attributes:
        rareness: information content in nats of each known value, of an unseen one, and of none;
            standardised over the training rows.
        shown: how many of the known values have a column of zeros and ones.
    """

    rareness: tuple[float, ...]
    shown: int

    @property
    def names(self) -> tuple[str, ...]:
        return (" is rare", *(f" is value {i + 1}" for i in range(self.shown)))

    def __call__(self, code: Float64[AnyArray, " rows"], xp: ModuleType) -> list[AnyArray]:
        known = len(self.rareness) - 2
        place = xp.where(xp.isnan(code), known + 1, xp.clip(code, 0, known)).astype(np.int32)
        rare = xp.asarray(self.rareness)[place]
        return [rare, *(xp.where(place == i, ONE_HOT_SCALE, 0.0) for i in range(self.shown))]


@dataclass(frozen=True)
class DateCode:
    """Hour of day and day of week as points on circles; a missing date is marked."""

    marked: bool

    @property
    def names(self) -> tuple[str, ...]:
        circles = (" hour, sine", " hour, cosine", " weekday, sine", " weekday, cosine")
        return (*circles, " is missing") if self.marked else circles

    def __call__(self, seconds: Float64[AnyArray, " rows"], xp: ModuleType) -> list[AnyArray]:
        missing = xp.isnan(seconds)
        seconds = xp.where(missing, 0.0, seconds)
        hour = 2 * np.pi * (seconds % DAY) / DAY
        weekday = 2 * np.pi * ((seconds + THURSDAY * DAY) % WEEK) / WEEK
        circles = [xp.sin(hour), xp.cos(hour), xp.sin(weekday), xp.cos(weekday)]
        circles = [xp.where(missing, 0.0, part) for part in circles]
        return [*circles, xp.where(missing, 1.0, 0.0)] if self.marked else circles


Cells = Float64[AnyArray, "rows columns"]
Code = NumberCode | CategoryCode | DateCode


@dataclass(frozen=True)
class Encoder:
    """The fitted arithmetic of a table.

    Attributes:
        schema: what the columns are.
        codes: what is done with each used column, in the schema's order.
    """

    schema: Schema
    codes: tuple[Code, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that go in."""
        return tuple(column.name for column in self.schema.used)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that come out, the column's name in front."""
        pairs = zip(self.names, self.codes, strict=True)
        return tuple(f"{name}{part}" for name, code in pairs for part in code.names)

    @property
    def column_of_feature(self) -> Int[np.ndarray, " features"]:
        """Place in `names` of the column that each feature comes from."""
        return np.repeat(np.arange(len(self.codes)), [len(code.names) for code in self.codes])

    def __call__(self, cells: Float64[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows f"]:
        """Features of cells as `schema.column_codes` gives them, on the host."""
        return np.asarray(self.encode(cells, np), np.float32)

    def encode(self, cells: Cells, xp: ModuleType = jnp) -> AnyArray:
        """The same with any array library; with `jax.numpy` it can be traced and exported."""
        parts = [part for i, code in enumerate(self.codes) for part in code(cells[:, i], xp)]
        return xp.stack(parts, axis=1)

    def by_column(self, parts: Float[AnyArray, "rows features"]) -> Float[AnyArray, "rows columns"]:
        """Contributions of features, added up for the column that each of them comes from."""
        member = np.eye(len(self.codes), dtype=np.float32)[self.column_of_feature]
        return parts @ member


def fit_encoder(cells: Float64[np.ndarray, "rows columns"], schema: Schema) -> Encoder:
    """Fit the arithmetic of each used column on training rows.

    Args:
        cells: from `schema.column_codes`, training rows only.
        schema: of the same table.

    Raises:
        UserError: no column is left to learn from.
    """
    codes, kept = [], []
    for column, values in zip(schema.used, np.asarray(cells).T, strict=True):
        code = _fit(column, values)
        if code is not None:
            codes.append(code)
            kept.append(column.name)
    if not codes:
        raise UserError("no column is left to learn from: all are constant or identifiers")
    return Encoder(schema.keeping(kept), tuple(codes))


def _fit(column: Column, values: Float64[np.ndarray, " rows"]) -> Code | None:
    """What is done with one column; None where its training rows do not vary."""
    held, some_missing = values[~np.isnan(values)], bool(np.isnan(values).any())
    if not len(held):
        return None
    if column.kind == "number":
        centre, spread = robust_scale(held)
        if spread == 0:
            return None
        far = np.quantile(np.abs(held - centre) / spread, 0.999)
        return NumberCode(centre, spread, bool(far > HEAVY_TAIL), some_missing)
    if column.kind == "date":
        return DateCode(some_missing)
    known = len(column.categories)
    counts = np.bincount(held.astype(np.int64), minlength=known + 1).astype(np.float64)
    counts = np.append(counts, len(values) - len(held)) + 1.0
    content = -np.log(counts / counts.sum())
    place = np.where(np.isnan(values), known + 1, values).astype(np.int64)
    mean, sd = content[place].mean(), content[place].std()
    if sd == 0:
        sd = 1.0
    return CategoryCode(tuple(((content - mean) / sd).tolist()), min(known, ONE_HOT))


def robust_scale(values: Float64[np.ndarray, " n"]) -> tuple[float, float]:
    """Median, and the quartile distance as the standard deviation of a normal distribution.

    Where more than half of the values are equal the standard deviation takes its place; a spread
    that is rounding only (a billionth of the values' size) is 0.

    >>> robust_scale(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))[0]
    3.0
    >>> robust_scale(np.array([9.99, 9.99 + 1e-13, 9.99]))[1]
    0.0
    """
    low, centre, high = np.quantile(values, [0.25, 0.5, 0.75])
    size = SMALLEST_SHARE * float(np.abs(values).max())
    for spread in ((high - low) / NORMAL_QUARTILES, values.std()):
        if spread > size:
            return float(centre), float(spread)
    return float(centre), 0.0
