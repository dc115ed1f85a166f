"""What each column of a table is, and what is done with it: inferred, printed, overruled, kept.

Four kinds: a number, a category, a date, or left out with the reason said. The rules are few, so
that a user can foresee them:

* left out: no value at all; one value only; text that hardly repeats (an identifier or a note);
  whole numbers that never repeat and carry an identifier's name or count upwards;
* a date: ISO dates and times, or whole numbers that are seconds, milli- or microseconds since 1970
  between 1990 and 2100;
* a number: at least 95 of 100 cells that hold something are numbers; the others are then faults;
* a category: everything else.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64

from jaxdl.errors import UserError
from jaxdl.scaling import SMALLEST_SHARE
from jaxdl.tables.read import MISSING, Cells

Kind = Literal["number", "category", "date", "left out"]
FORMAT = 1
MOSTLY = 0.95  # of the cells that hold something must fit a kind
MOST_CATEGORIES = 1_000
REPEATED = 0.5  # text with more distinct values than this share of its rows tells nothing
ENOUGH_ROWS = 20  # below this nothing is called an identifier because it does not repeat
IDENTIFIER = re.compile(r"(^|[_\W])(id|ids|uuid|guid|key|no|nr|number|index|seq)($|[_\W])", re.I)
EPOCH_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6}
EARLIEST, LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100 in seconds since 1970
ISO_DATE = (
    r"^\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?\s*(Z|[+-]\d{2}:?\d{2})?\s*$"
)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: as the file has it.
        kind: what it is.
        note: why, or what is done with it, in words.
        missing: cells that hold nothing, of the rows that were seen.
        distinct: different values among the others.
        categories: known values of a category, the most frequent first.
        unit: of a date: "iso" text, or the unit of a number since 1970.
    """

    name: str
    kind: Kind
    note: str
    missing: int = 0
    distinct: int = 0
    categories: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True)
class Schema:
    """What the columns of a table are.

    Attributes:
        columns: all of them but the label, in the file's order.
        label: name of the column that says what is an anomaly, "" where there is none.
        positive: its value for an anomaly, as text.
        time: name of the column that orders the rows in time, "" where there is none.
        decimal: "." or ",".
    """

    columns: tuple[Column, ...]
    label: str = ""
    positive: str = ""
    time: str = ""
    decimal: Literal[".", ","] = "."

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns that a detector sees."""
        return tuple(column for column in self.columns if column.kind != "left out")

    def keeping(self, names: Collection[str]) -> "Schema":
        """The same with all other used columns left out, since their training rows do not vary."""
        columns = tuple(
            column
            if column.kind == "left out" or column.name in names
            else dataclasses.replace(column, kind="left out", note="does not vary in training")
            for column in self.columns
        )
        return dataclasses.replace(self, columns=columns)

    def rows(self) -> list[dict[str, Any]]:
        """A line for each column: name, what it is, missing, distinct, what is done with it."""
        return [
            {
                "column": column.name,
                "is a": column.kind,
                "missing": column.missing,
                "distinct": column.distinct,
                "what is done": column.note,
            }
            for column in self.columns
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @staticmethod
    def from_json(value: Any) -> "Schema":
        """What `to_json` wrote.

        Raises:
            UserError: it is something else.
        """
        try:
            if value["format"] != FORMAT:
                raise ValueError(f"format {value['format']}")
            columns = tuple(
                Column(**{**column, "categories": tuple(column["categories"])})
                for column in value["columns"]
            )
            if value["decimal"] not in (".", ","):
                raise ValueError(f"decimal {value['decimal']}")
            label, positive, time = (str(value[n]) for n in ("label", "positive", "time"))
            return Schema(columns, label, positive, time, value["decimal"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"is no schema of a table ({error})") from error


def infer_schema(
    cells: Cells,
    *,
    label: str = "",
    positive: str = "",
    time: str = "",
    ignore: Collection[str] = (),
    numeric: Collection[str] = (),
    categorical: Collection[str] = (),
) -> Schema:
    """Say what each column is.

    Args:
        cells: the table.
        label: column that says what is an anomaly; no feature.
        positive: its value for an anomaly; found where the label has the values 0 and 1.
        time: column that orders the rows.
        ignore, numeric, categorical: columns that are left out, or are what the user says.

    Raises:
        UserError: a name that the table does not have, the label has no such value, or a column is
            not what the user says it is.
    """
    named = {"--label": [label] if label else [], "--time": [time] if time else []}
    named |= {"--ignore": ignore, "--numeric": numeric, "--categorical": categorical}
    for option, names in named.items():
        for name in names:
            if name not in cells.columns:
                listing = ", ".join(list(cells.columns)[:12])
                raise UserError(f"{option} {name}: no such column; there are {listing}")
    columns = []
    for name, column in cells.columns.items():
        if name == label:
            continue
        if name in ignore:
            columns.append(Column(name, "left out", "ignored, as asked"))
        else:
            said = "number" if name in numeric else "category" if name in categorical else None
            columns.append(_describe(name, column, cells, "date" if name == time else said))
    if label:
        positive = find_positive(cells.columns[label], positive)
    return Schema(tuple(columns), label, positive, time, cells.decimal)


def find_positive(column: pa.ChunkedArray, positive: str) -> str:
    """The value of a label that means an anomaly.

    Raises:
        UserError: it is not said and not 1, or the label never has it.
    """
    values = sorted({value for value in pc.unique(as_text(column)).to_pylist() if value})
    shown = ", ".join(values[:8])
    if not positive:
        if set(values) <= {"0", "1"}:
            return "1"
        raise UserError(f"--positive is missing: which of {shown} means an anomaly?")
    if positive not in values and set(values) != {"0"}:
        raise UserError(f"--positive {positive}: the label has the values {shown}")
    return positive


class RowTimes(NamedTuple):
    """When the rows of a table happened.

    Attributes:
        values: in the order of the table.
        are_dates: they are seconds since 1970, UTC; else plain numbers of an unknown unit.
    """

    values: Float64[np.ndarray, " rows"]
    are_dates: bool


def row_times(cells: Cells, name: str) -> RowTimes:
    """The column that orders the rows, whether it holds dates or plain numbers.

    Raises:
        UserError: a row without a time, or one that is neither a date nor a number.
    """
    column = cells.columns[name]
    text = as_text(column)
    held = pc.filter(text, pc.invert(is_missing(text)))
    numbers = as_numbers(column, cells.decimal)
    unit = date_unit(name, column, held, numbers[~np.isnan(numbers)]) if len(held) else ""
    values = as_seconds(column, unit) if unit else numbers
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        row = int(wrong[0])
        shown = (text[row].as_py() or "")[:40]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UserError(
            f"row {row + cells.first_line}, column {name}: {shown!r} is no time{more}; "
            "mend it, or order the rows by another column"
        )
    return RowTimes(values, bool(unit))


def labels_of(
    column: pa.ChunkedArray, positive: str, first_line: int = 1
) -> Bool[np.ndarray, " rows"]:
    """True where the label says anomaly.

    Args:
        column: the labels.
        positive: what an anomaly is called.
        first_line: of the file, as `Cells` has it: rows are named by it.

    Raises:
        UserError: a row without a label.
    """
    text = as_text(column)
    empty = np.flatnonzero(np.asarray(is_missing(text)))
    if len(empty):
        more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise UserError(f"row {empty[0] + first_line} has no label{more}")
    return np.asarray(pc.equal(text, positive))


def _describe(name: str, column: pa.ChunkedArray, cells: Cells, said: Kind | None) -> Column:
    """What one column is; `said` by the user, or inferred."""
    text = as_text(column)
    missing = np.asarray(is_missing(text))
    held = pc.filter(text, pa.array(~missing))
    counted = by_frequency(held)
    distinct = len(counted)

    def is_a(kind: Kind, note: str, unit: str = "", categories: tuple[str, ...] = ()) -> Column:
        return Column(name, kind, note, int(missing.sum()), distinct, categories, unit)

    if not distinct:
        return is_a("left out", "holds nothing")
    if distinct == 1 and said is None:
        return is_a("left out", f"holds {counted[0][:40]!r} only")

    numbers = as_numbers(column, cells.decimal)[~missing]
    are_numbers = np.isfinite(numbers)
    if said in (None, "date"):
        unit = date_unit(name, column, held, numbers)
        if unit:
            return is_a("date", "hour and weekday", unit=unit)
        if said == "date":
            if not are_numbers.all():
                wrong = held[int(np.argmin(are_numbers))].as_py()[:40]
                raise UserError(f"--time {name}: {wrong!r} is neither an ISO date nor a number")
            return is_a("left out", "orders the rows; plain numbers are no dates")
    if said == "number" or (said is None and are_numbers.mean() >= MOSTLY):
        _refuse_other_cells(name, held, missing, are_numbers, cells)
        if said is None and is_identifier(name, numbers, distinct):
            return is_a("left out", "whole numbers that count the rows")
        if said is None and nearly_constant(numbers):
            return is_a("left out", "does not vary")
        imputed = ", missing ones expected from the other columns" if missing.any() else ""
        return is_a("number", "scaled" + imputed)
    if said is None and distinct > max(REPEATED * len(held), ENOUGH_ROWS):
        return is_a("left out", "text that hardly repeats")
    known = tuple(counted[:MOST_CATEGORIES])
    return is_a("category", "how rare its value is", categories=known)


def by_frequency(text: pa.ChunkedArray) -> list[str]:
    """The different values of a column, the most frequent first."""
    counted = pc.value_counts(text).to_pylist()
    pairs = sorted((-entry["counts"], entry["values"]) for entry in counted)
    return [value for _, value in pairs]


def _refuse_other_cells(
    name: str,
    held: pa.ChunkedArray,
    missing: Bool[np.ndarray, " rows"],
    are_numbers: Bool[np.ndarray, " held"],
    cells: Cells,
) -> None:
    wrong = np.flatnonzero(~are_numbers)
    if len(wrong):
        line = int(np.flatnonzero(~missing)[wrong[0]]) + cells.first_line
        shown = held[int(wrong[0])].as_py()[:40]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UserError(
            f"row {line}, column {name}: {shown!r} is not a number{more}; "
            f"mend it, or give --categorical {name} or --ignore {name}"
        )


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells as text without spaces around it; what is null stays null."""
    text = column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
    return pc.utf8_trim_whitespace(text)


def is_missing(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """True where a cell holds nothing."""
    empty = pc.is_in(pc.utf8_lower(text), value_set=pa.array(MISSING))
    return pc.or_(pc.is_null(text), pc.fill_null(empty, True))


def as_numbers(column: pa.ChunkedArray, decimal: str) -> Float64[np.ndarray, " rows"]:
    """Cells as numbers; NaN where there is none."""
    kind = column.type
    if pa.types.is_boolean(kind):
        column = pc.cast(column, pa.int8())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers = pc.cast(column, pa.float64(), safe=False)
        return np.asarray(pc.fill_null(numbers, np.nan), np.float64)
    if pa.types.is_decimal(kind):
        return np.asarray(pc.fill_null(pc.cast(column, pa.float64()), np.nan), np.float64)
    if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        return np.full(len(column), np.nan)
    text = as_text(column)
    if decimal == ",":
        text = pc.replace_substring(text, ",", ".")
    # Arrow's own rule for a number, so that the cast below cannot fail
    fits = pc.match_substring_regex(text, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$")
    text = pc.if_else(pc.fill_null(fits, False), text, pa.scalar(None, pa.string()))
    text = pc.replace_substring_regex(text, r"^\+", "")
    return np.asarray(pc.fill_null(pc.cast(text, pa.float64()), np.nan), np.float64)


def as_seconds(column: pa.ChunkedArray, unit: str) -> Float64[np.ndarray, " rows"]:
    """Dates as seconds since 1970, UTC; NaN where there is none.

    Args:
        column: dates of a Parquet file, ISO text, or numbers since 1970.
        unit: "iso", or the numbers' unit.
    """
    if unit in EPOCH_UNITS:
        return as_numbers(column, ".") / EPOCH_UNITS[unit]
    if pa.types.is_temporal(column.type):
        stamps = pc.cast(column, pa.timestamp("us"))
    else:
        text = as_text(column)
        fits = pc.fill_null(pc.match_substring_regex(text, ISO_DATE), False)
        text = pc.if_else(fits, text, pa.scalar(None, pa.string()))
        zone = pc.extract_regex(text, r"(?P<local>^.*?)\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?$")
        local = pc.replace_substring(pc.struct_field(zone, "local"), "T", " ")
        local = pc.replace_substring_regex(local, r"^(\d{4}-\d{2}-\d{2})$", r"\1 00:00")
        local = pc.replace_substring_regex(local, r"(\.\d{6})\d+$", r"\1")
        # a date without a zone that has "-05:00" as its time does not match ISO_DATE
        stamps = _safe_stamps(local)
        shift = _zone_seconds(pc.struct_field(zone, "zone"))
        return _to_seconds(stamps) - shift
    return _to_seconds(stamps)


def _safe_stamps(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO text as time stamps; what is no date of the calendar (30 February) is null."""
    try:
        return pc.cast(text, pa.timestamp("us"))
    except pa.ArrowInvalid:
        stamps = []
        for value in text.to_pylist():
            try:
                stamps.append(None if value is None else np.datetime64(value, "us").item())
            except ValueError:
                stamps.append(None)
        return pa.chunked_array([pa.array(stamps, pa.timestamp("us"))])


def _to_seconds(stamps: pa.ChunkedArray) -> Float64[np.ndarray, " rows"]:
    micros = pc.cast(stamps, pa.int64())
    known = np.asarray(pc.is_valid(micros))
    seconds = np.asarray(pc.fill_null(micros, 0), np.int64) / 1e6
    return np.where(known, seconds, np.nan)


def _zone_seconds(zone: pa.ChunkedArray) -> Float64[np.ndarray, " rows"]:
    """How far local clocks are ahead of UTC: 32400 for +09:00, 0 for Z or nothing."""
    encoded = pc.dictionary_encode(pc.fill_null(zone, ""))
    shifts = []
    values = encoded.chunk(0).dictionary if encoded.num_chunks else pa.array([], pa.string())
    for value in values.to_pylist():
        if value in ("", "Z"):
            shifts.append(0)
        else:
            hours, minutes = int(value[1:3]), int(value[-2:])
            shifts.append((-1 if value[0] == "-" else 1) * (3600 * hours + 60 * minutes))
    codes = [np.asarray(chunk.indices) for chunk in encoded.chunks]
    return np.asarray(shifts, np.float64)[np.concatenate(codes)] if codes else np.zeros(0)


def date_unit(
    name: str,
    column: pa.ChunkedArray,
    held: pa.ChunkedArray,
    numbers: Float64[np.ndarray, " held"],
) -> str:
    """ "iso", "s", "ms" or "us" where a column holds dates, else "".

    Whole numbers are dates where nearly all lie between 1990 and 2100 in one of the units.
    """
    if pa.types.is_temporal(column.type):
        return "iso"
    if pa.types.is_string(column.type):
        fits = np.asarray(pc.match_substring_regex(held, ISO_DATE))
        if fits.mean() >= MOSTLY:
            return "iso"
    if not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
        return ""
    for unit, per_second in EPOCH_UNITS.items():
        if ((numbers >= EARLIEST * per_second) & (numbers <= LATEST * per_second)).all():
            # nine or ten digits may be an amount in won; a unit finer than a second may not
            named = re.search(r"time|date|stamp|epoch|when|_at$|^ts$|^ds$", name, re.I)
            return unit if unit != "s" or named else ""
    return ""


def is_identifier(name: str, values: Float64[np.ndarray, " n"], distinct: int) -> bool:
    """Whole numbers that never repeat, and that are named as an identifier or count upwards."""
    whole = bool((values == np.round(values)).all())
    if len(values) < ENOUGH_ROWS or not whole or distinct < len(values):
        return False
    counting = bool((np.diff(values) == np.diff(values)[0]).all())
    return counting or IDENTIFIER.search(name) is not None


def nearly_constant(values: Float64[np.ndarray, " n"]) -> bool:
    """Whether the values differ by rounding only.

    >>> nearly_constant(np.array([9.99, 9.99 + 2e-13, 9.99]))
    True
    >>> nearly_constant(np.array([0.0, 1e-9]))
    False
    """
    spread = float(values.max() - values.min())
    return spread <= SMALLEST_SHARE * float(np.abs(values).max())


def column_codes(
    cells: Mapping[str, pa.ChunkedArray], schema: Schema
) -> Float64[np.ndarray, "rows columns"]:
    """The cells of the used columns as numbers, in the schema's order.

    A number as it is; a category as its place among the known ones, and their count for one that
    was never seen; a date in seconds since 1970; NaN where there is nothing.

    Raises:
        UserError: a column is missing, or none is left.
    """
    parts: list[np.ndarray] = []
    if not schema.used:
        raise UserError("no column is left to learn from: all are constant or identifiers")
    for column in schema.used:
        if column.name not in cells:
            raise UserError(f"column {column.name!r} is missing")
        given = cells[column.name]
        if column.kind == "number":
            parts.append(as_numbers(given, schema.decimal))
        elif column.kind == "date":
            parts.append(as_seconds(given, column.unit))
        else:
            parts.append(category_codes(as_text(given), column.categories))
    return np.stack(parts, axis=1)


def category_codes(
    text: pa.ChunkedArray, categories: Sequence[str]
) -> Float64[np.ndarray, " rows"]:
    """Place of each text among `categories`, their number for an unseen one, NaN for none."""
    places = pc.fill_null(pc.index_in(text, value_set=pa.array(categories)), len(categories))
    codes = np.asarray(places, np.float64)
    codes[np.asarray(is_missing(text))] = np.nan
    return codes
