"""Lines of a live series: what is a header, a time stamp, a value."""

import json
import math
from datetime import datetime
from typing import NamedTuple

import numpy as np

from jaxdl.errors import UserError, nearest
from jaxdl.serving.cells import number, shown
from jaxdl.stamps import (
    ALL_FOUND,
    NO_VALUES,
    TIME_NAMES,
    VALUE_NAMES,
    SeriesColumns,
    StampReader,
)

MOST_CHARACTERS = 4096
MOST_COLUMNS = 64
LARGEST = float(np.finfo(np.float32).max)
SEPARATORS = (";", "\t", ",")  # the first that a line holds
# Words that begin with a letter and still name no column
NO_NAMES = {"nan", "na", "n/a", "null", "none", "nil", "missing", "inf", "infinity"}


class Event(NamedTuple):
    """One event of a series.

    Attributes:
        time: UTC without a zone; None where the line has no time stamp.
        values: one for each column; NaN where it is missing.
    """

    time: datetime | None
    values: tuple[float, ...]


class Layout(NamedTuple):
    """Which cells of a line are what.

    Attributes:
        separator: between cells.
        cells: how many there are.
        time: place of the stamp; -1 where there is none.
        values: places of the values.
        columns: names of the values.
    """

    separator: str
    cells: int
    time: int
    values: tuple[int, ...]
    columns: tuple[str, ...]

    def to_json(self) -> str:
        """As ASCII text on one line."""
        return json.dumps(self, ensure_ascii=True)

    @staticmethod
    def from_json(text: str) -> "Layout":
        """What `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        separator, cells, time, values, columns = json.loads(text)
        layout = Layout(separator, cells, time, tuple(values), tuple(columns))
        whole = [layout.cells, layout.time, *layout.values]
        good = layout.separator in SEPARATORS and all(type(each) is int for each in whole)
        good = good and all(isinstance(name, str) for name in layout.columns)
        good = good and 1 <= len(layout.columns) == len(layout.values) <= MOST_COLUMNS
        good = good and all(-1 <= place < layout.cells for place in whole[1:])
        if not good:
            raise ValueError("is no layout of lines")
        return layout


class LineReader:
    """Turns lines into events; the first lines tell what the cells are.

    Args:
        wanted: what the user says.
        columns: names of the values, where a detector knows them already.
        layout: of the lines, where it is known from before.

    Raises:
        UserError: there is no such time zone.
    """

    def __init__(
        self,
        wanted: SeriesColumns = ALL_FOUND,
        columns: tuple[str, ...] | None = None,
        layout: Layout | None = None,
    ):
        self.wanted = wanted
        self.columns = columns
        self.layout = layout
        self.stamps = StampReader(wanted.day_first, wanted.timezone)

    def header(self, text: str) -> None:
        """Take a first line of names.

        Raises:
            UserError: a column that is wanted is not there.
        """
        separator = _separator(text)
        names = [_bare(cell) for cell in text.split(separator)]
        lower = [name.lower() for name in names]
        time = -1
        if self.wanted.time is not None:
            time = _place(self.wanted.time, "--time", names)
        elif len(names) > 1:
            time = next((lower.index(name) for name in TIME_NAMES if name in lower), 0)
        columns = self.wanted.values or self.columns or ()
        if not columns or (columns == ("value",) and "value" not in names):
            others = [i for i in range(len(names)) if i != time and lower[i] not in NO_VALUES]
            usual = [i for i in others if lower[i] in VALUE_NAMES][:1]
            values = usual or others
        else:
            values = [_place(name, "--value", names) for name in columns]
        if not values or len(values) > MOST_COLUMNS:
            raise UserError(f"the header names {len(values)} columns of values: 1 to 64 are read")
        found = tuple(names[i] for i in values)
        if self.columns is not None and len(found) != len(self.columns):
            raise UserError(
                f"the header has the values {', '.join(found)}, the detector knows "
                f"{', '.join(self.columns)}"
            )
        self.layout = Layout(separator, len(names), time, tuple(values), self.columns or found)

    def event(self, text: str) -> Event:
        """The event of a line; an empty value or `nan` is a missing one.

        >>> reader = LineReader()
        >>> reader.event("2020-01-31T09:30:00.5+02:00,7")
        Event(time=datetime.datetime(2020, 1, 31, 7, 30, 0, 500000), values=(7.0,))

        Raises:
            ValueError: the line is none, or too long; one line that says so.
        """
        if len(text) >= MOST_CHARACTERS:
            raise ValueError(f"a line of {MOST_CHARACTERS:,} characters or more; skipped")
        layout = self.layout or self._layout_of(text)
        cells = [_bare(cell) for cell in text.split(layout.separator)]
        if len(layout.columns) == 1 and len(cells) == 1 and layout.cells <= 2:
            stamp, values = None, cells
        elif len(cells) == 2 and layout.cells == 1:
            stamp, values = cells[0], cells[1:]
        elif len(cells) == layout.cells:
            stamp = cells[layout.time] if layout.time >= 0 else None
            values = [cells[place] for place in layout.values]
        else:
            raise ValueError(f"{shown(text, 60)} is not {_form(layout)}; skipped")
        try:
            time = None if stamp is None else self.stamps.read(stamp)
            numbers = tuple(_number(cell, layout.separator) for cell in values)
        except OverflowError:
            raise ValueError(
                f"{shown(text, 60)}: the time lies outside the calendar; skipped"
            ) from None
        except ValueError:
            raise ValueError(f"{shown(text, 60)} is not {_form(layout)}; skipped") from None
        if any(abs(value) > LARGEST for value in numbers):  # infinity, too; not NaN
            raise ValueError(f"{shown(text, 60)}: the value is out of range; skipped")
        self.layout = layout
        return Event(time, numbers)

    def _layout_of(self, text: str) -> Layout:
        """What the cells of a first line without a header are: a stamp, then values; or a value.

        Raises:
            ValueError: their number is not that of the detector's columns.
        """
        separator = _separator(text)
        cells = text.count(separator) + 1
        count = max(cells - 1, 1)
        columns = self.columns or column_names(count)
        if count != len(columns) or count > MOST_COLUMNS:
            form = _form(Layout(",", len(columns) + 1, 0, (), columns))
            raise ValueError(f"{shown(text, 60)} is not {form}; skipped")
        stamped = cells > 1
        places = tuple(range(1, cells)) if stamped else (0,)
        return Layout(separator, cells, 0 if stamped else -1, places, columns)


def _separator(text: str) -> str:
    return next((sign for sign in SEPARATORS if sign in text), ",")


def _place(name: str, option: str, names: list[str]) -> int:
    if name in names:
        return names.index(name)
    near = nearest(name, names)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names[:8])}"
    raise UserError(f"{option} {name}: the header has no such column; {hint}")


def _number(cell: str, separator: str) -> float:
    """A value; NaN where the cell is empty. Commas are decimal ones where they cut no cells."""
    if not cell:
        return math.nan
    return number(cell.replace(",", ".") if separator != "," else cell)


def _form(layout: Layout) -> str:
    if len(layout.columns) == 1:
        return "'value' or 'timestamp,value'"
    return f"'timestamp' and {len(layout.columns)} values"


def is_header(text: str) -> bool:
    """Whether all cells of a line are names: each begins with a letter, and none is a value.

    >>> is_header('timestamp,"CPU 1 (%)"'), is_header("2020-01-31,x"), is_header("inf")
    (True, False, False)
    """
    return all(_is_name(_bare(cell)) for cell in text.split(_separator(text)))


def _is_name(cell: str) -> bool:
    return cell[:1].isalpha() and cell.lower() not in NO_NAMES


def _bare(cell: str) -> str:
    return cell.strip().strip('"').strip()


def column_names(count: int) -> tuple[str, ...]:
    """Names of columns that nobody named."""
    return ("value",) if count == 1 else tuple(f"value {i + 1}" for i in range(count))
