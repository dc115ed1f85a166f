"""A table as a time series: which column is the time, which ones are values.

One reader for files, whoever asks: the labs (`datasets.user_series`) and `python -m jaxdl.live`.
The rows come in the order of the file; `jaxdl.stamps` has the clock that they are put on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from jaxdl.errors import UserError, nearest
from jaxdl.stamps import (
    ALL_FOUND,
    EPOCH,
    NO_VALUES,
    TIME_NAMES,
    VALUE_NAMES,
    SeriesColumns,
    StampReader,
    parse_stamp,
)
from jaxdl.tables.read import Cells, read_table
from jaxdl.tables.schema import as_numbers, as_text, is_missing

TRIED = 50  # cells that tell whether a column holds stamps
MOST_COLUMNS = 64
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class SeriesRows:
    """Rows of a series in the order of the file.

    Attributes:
        time_column: its name.
        columns: names of the values.
        times: UTC without a zone.
        values: NaN where a cell is empty.
        first_line: number of the first row in the file as an editor counts it.
        remarks: what was found out and not said by the user, in words.
    """

    time_column: str
    columns: tuple[str, ...]
    times: list[datetime]
    values: Float64[np.ndarray, "n columns"]
    first_line: int
    remarks: tuple[str, ...]


def read_rows(path: Path, choice: SeriesColumns = ALL_FOUND) -> SeriesRows:
    """Read a series from a CSV (.gz) or Parquet file.

    Raises:
        UserError: the file cannot be read, has no such column, or a cell is no stamp or no number;
            one line with the file, row and column.
    """
    cells = read_table(path)
    try:
        return rows_of(cells, choice)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def rows_of(cells: Cells, choice: SeriesColumns = ALL_FOUND) -> SeriesRows:
    """The series in a table that was read; see `read_rows`."""
    names = list(cells.columns)
    time = find_time(cells, choice)
    columns, left_out = find_values(cells, choice, time)
    times = _times(cells, time, choice)
    values = np.stack([_numbers(cells, name) for name in columns], axis=1)
    remarks = []
    if choice.time is None or not choice.values:
        remarks.append(f"time: column {time}; values: {', '.join(columns)}")
    if left_out:
        remarks.append(f"left out: {', '.join(left_out)} (of {len(names)} columns)")
    return SeriesRows(time, columns, times, values, cells.first_line, tuple(remarks))


# ---- which columns -------------------------------------------------------------------------------


def find_time(cells: Cells, choice: SeriesColumns) -> str:
    """The column of time stamps: the one that was named, or the first that looks like it.

    Raises:
        UserError: there is no such column, or none looks like stamps.
    """
    if choice.time is not None:
        return _known(choice.time, "--time", cells)
    by_name = [name for name in cells.columns if name.strip().lower() in TIME_NAMES]
    others = [name for name in cells.columns if name not in by_name]
    for name in [*sorted(by_name, key=_place_in_time_names), *others]:
        column = cells.columns[name]
        if pa.types.is_temporal(column.type) or _reads(column, choice):
            return name
    for name in by_name:  # numbers that count from the start
        if np.isfinite(as_numbers(column_start(cells.columns[name]), cells.decimal)).all():
            return name
    raise UserError(
        f"no column of time stamps among {_listed(cells)}: name it with --time, and where dates "
        "begin with the day say --day-first"
    )


def find_values(
    cells: Cells, choice: SeriesColumns, time: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of values, and those that were left out.

    Raises:
        UserError: there is no such column, or none of numbers.
    """
    others = [name for name in cells.columns if name != time]
    if choice.values:
        chosen = tuple(_known(name, "--value", cells) for name in choice.values)
        if time in chosen or len(set(chosen)) < len(chosen):
            raise UserError("--value names a column twice, or that of the time")
        return chosen, ()
    usual = [name for name in others if name.strip().lower() in VALUE_NAMES]
    numbers = usual[:1] or [
        name
        for name in others
        if name.strip().lower() not in NO_VALUES and _holds_numbers(cells, name)
    ]
    if not numbers:
        raise UserError(f"no column of numbers beside {time} among {_listed(cells)}")
    if len(numbers) > MOST_COLUMNS:
        raise UserError(f"has {len(numbers)} columns of numbers: name some with --value")
    return tuple(numbers), tuple(name for name in others if name not in numbers)


def _known(name: str, option: str, cells: Cells) -> str:
    if name in cells.columns:
        return name
    near = nearest(name, list(cells.columns))
    hint = f"did you mean {near}?" if near else f"there are {_listed(cells)}"
    raise UserError(f"{option} {name}: there is no such column; {hint}")


def _listed(cells: Cells) -> str:
    names = list(cells.columns)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _place_in_time_names(name: str) -> int:
    return TIME_NAMES.index(name.strip().lower())


def column_start(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The first cells of a column."""
    return column.slice(0, TRIED)


def _reads(column: pa.ChunkedArray, choice: SeriesColumns) -> bool:
    """Whether most of the first cells of a column are stamps; the day may come first in them."""
    texts = _texts(column_start(column))
    stamps = [
        _is_stamp(text, choice.day_first) or _is_stamp(text, day_first=True) for text in texts
    ]
    return sum(stamps) > len(stamps) / 2


def _is_stamp(text: str, day_first: bool) -> bool:
    try:
        parse_stamp(text, day_first)
    except (ValueError, OverflowError):
        return False
    return True


def _holds_numbers(cells: Cells, name: str) -> bool:
    column = cells.columns[name]
    if pa.types.is_temporal(column.type):
        return False
    numbers = as_numbers(column, cells.decimal)
    missing = np.asarray(is_missing(as_text(column)))
    return bool(np.isfinite(numbers).any() and (np.isfinite(numbers) | missing).mean() >= 0.95)


# ---- cells ---------------------------------------------------------------------------------------


def _times(cells: Cells, name: str, choice: SeriesColumns) -> list[datetime]:
    """The stamps of all rows.

    Raises:
        UserError: a cell is no stamp.
    """
    column = cells.columns[name]
    reader = StampReader(choice.day_first, choice.timezone)
    read: Callable[[str], datetime] = reader.read
    if pa.types.is_temporal(column.type):
        return [_checked(time, row, name, cells) for row, time in enumerate(_typed(column, reader))]
    texts = _texts(column)
    if not _reads(column, choice) and np.isfinite(as_numbers(column, cells.decimal)).all():
        read = _seconds
    times = []
    for row, text in enumerate(texts):
        try:
            times.append(read(text))
        except ValueError:
            problem = f"{text[:40]!a} is no time stamp"
            if not choice.day_first and _is_stamp(text, day_first=True):
                problem += "; where the day comes first say --day-first"
            raise UserError(f"row {row + cells.first_line}, column {name}: {problem}") from None
        except OverflowError:
            raise UserError(
                f"row {row + cells.first_line}, column {name}: {text[:40]!a} lies outside the "
                "calendar"
            ) from None
    return times


def _seconds(text: str) -> datetime:
    """A number that counts from the start of the series, in seconds."""
    return EPOCH + timedelta(seconds=float(text.replace(",", ".")))


def _typed(column: pa.ChunkedArray, reader: StampReader) -> Sequence[datetime | None]:
    """Dates of a Parquet file, whose type says whether they are UTC."""
    aware = pa.types.is_timestamp(column.type) and column.type.tz is not None
    stamps = pc.cast(column, pa.timestamp("us", tz="UTC" if aware else None), safe=False)
    times = stamps.to_pylist()
    if aware:
        return [
            None if time is None else time.astimezone(UTC).replace(tzinfo=None) for time in times
        ]
    return [None if time is None else reader.local(time) for time in times]


def _checked(time: datetime | None, row: int, name: str, cells: Cells) -> datetime:
    if time is None:
        raise UserError(f"row {row + cells.first_line}, column {name}: there is no time stamp")
    return time


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Cells as text; numbers written out, since `1.7e18` is no stamp."""
    if pa.types.is_floating(column.type):
        return ["" if cell is None else f"{cell:.6f}" for cell in column.to_pylist()]
    return [cell or "" for cell in as_text(column).to_pylist()]


def _numbers(cells: Cells, name: str) -> Float64[np.ndarray, " n"]:
    """A column of values; NaN where a cell is empty.

    Raises:
        UserError: a cell is no number, or out of range.
    """
    column = cells.columns[name]
    numbers = as_numbers(column, cells.decimal)
    text = as_text(column)
    missing = np.asarray(is_missing(text))
    with np.errstate(invalid="ignore"):
        wrong = ~missing & ~(np.abs(numbers) <= LARGEST)
    if pa.types.is_floating(column.type):
        wrong &= ~np.isnan(numbers)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        more = f" (and {wrong.sum() - 1:,} more)" if wrong.sum() > 1 else ""
        raise UserError(
            f"row {row + cells.first_line}, column {name}: {(text[row].as_py() or '')[:40]!a} "
            f"is not a finite number{more}"
        )
    if missing.all():
        raise UserError(f"column {name} holds no value")
    return numbers
