"""The columns of numbers of a table of one's own, for labs that look at nothing else.

Any table that `datasets.user_table` reads. A column counts as numbers where nearly all of its cells
are; identifiers, columns that do not vary or are mostly blank, text and dates are left out, and so
are rows in which a number is missing. Everything left out is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float64, Int

from datasets import user_table
from datasets.source import DataError, Provenance, Request
from jaxdl.errors import UserError
from jaxdl.scaling import mean_and_spread
from jaxdl.tables.read import Cells, read_table
from jaxdl.tables.schema import (
    MOSTLY,
    as_numbers,
    as_text,
    is_identifier,
    is_missing,
    nearly_constant,
)

FEWEST_ROWS = 20
MOSTLY_BLANK = 0.5  # share of blank cells above which a column is left out, not its rows
NAMED = 6  # columns that are named in a line


@dataclass(frozen=True)
class NumberTable:
    """The numbers of a table.

    Attributes:
        columns: names of the columns of numbers.
        x: their values, none missing.
        row: number of each row in the file as an editor counts it, 2 behind a header.
        label: cells of the column of labels, "" where there is none; empty if none was asked for.
        provenance: of the file.
        remarks: lines to print: what was left out.
    """

    columns: tuple[str, ...]
    x: Float64[np.ndarray, "rows columns"]
    row: Int[np.ndarray, " rows"]
    label: tuple[str, ...]
    provenance: Provenance
    remarks: tuple[str, ...]


class Scale(NamedTuple):
    """Mean and spread of each column of the rows that were learnt from."""

    mean: Float[np.ndarray, " columns"]
    spread: Float[np.ndarray, " columns"]

    def __call__(self, x: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
        """Rows in spreads from the mean."""
        return (x - self.mean) / self.spread


def scale_of(x: Float[np.ndarray, "rows columns"]) -> Scale:
    """What makes the columns of these rows have mean 0 and standard deviation 1."""
    return Scale(*mean_and_spread(x))


class NamedRows(NamedTuple):
    """Rows of the tables that `--predict` was given, in their order.

    Attributes:
        place: the file and the row in it, "new.csv, row 2".
        x: the columns that were learnt, none missing.
    """

    place: list[str]
    x: Float64[np.ndarray, "rows columns"]


def load(request: Request, path: Path, label: str = "") -> NumberTable:
    """The columns of numbers of a table.

    Args:
        request: a source other than "auto" does not go with a file.
        path: see `datasets.user_table.load`.
        label: a column that is no feature; its cells are kept as text.

    Raises:
        DataError: the file cannot be read, has no such label, fewer than two columns of numbers or
            too few rows; a cell of a column of numbers is text.
    """
    table = user_table.load(request, path)
    cells = table.cells
    if label and label not in cells.columns:
        raise DataError(f"has no column {label!r}; there are {_listed(cells.columns)}", file=path)
    kept: dict[str, Float64[np.ndarray, " rows"]] = {}
    left_out: dict[str, list[str]] = {}  # why -> names
    for name, column in cells.columns.items():
        if name == label:
            continue
        why = _why_left_out(name, column, cells)
        if why:
            left_out.setdefault(why, []).append(name)
        else:
            kept[name] = as_numbers(column, cells.decimal)
            _refuse_text(path, name, column, kept[name], cells)
    if len(kept) < 2:
        raise DataError(f"has {len(kept)} columns of numbers, at least 2 are needed", file=path)
    x = np.stack(list(kept.values()), axis=1)
    whole = np.isfinite(x).all(axis=1)
    if whole.sum() < FEWEST_ROWS:
        problem = f"{whole.sum()} rows without a blank, at least {FEWEST_ROWS} are needed"
        raise DataError(f"has {problem}{_where_blank(kept)}", file=path)
    remarks = [
        f"left out of {path.name}, {why}: {_listed(names)}" for why, names in left_out.items()
    ]
    if not whole.all():
        remarks.append(f"left out of {path.name}: {(~whole).sum():,} rows with a blank")
    cells_of_label = as_text(cells.columns[label]).to_pylist() if label else []
    missing = np.asarray(is_missing(as_text(cells.columns[label]))) if label else []
    return NumberTable(
        columns=tuple(kept),
        x=x[whole],
        row=np.flatnonzero(whole) + cells.first_line,
        label=tuple(
            "" if is_blank else cell
            for cell, is_blank, is_whole in zip(cells_of_label, missing, whole, strict=False)
            if is_whole
        ),
        provenance=table.provenance,
        remarks=tuple(remarks),
    )


def named(inputs: Sequence[str], columns: Sequence[str]) -> NamedRows:
    """The rows of tables that have these columns, and perhaps others.

    Raises:
        DataError: a table that cannot be read or lacks a column; a cell that holds no number.
    """
    places: list[str] = []
    parts = []
    for given in inputs:
        path = Path(given)
        try:
            cells = read_table(path)
        except UserError as error:
            raise DataError(str(error)) from error
        absent = [name for name in columns if name not in cells.columns]
        if absent:
            raise DataError(
                f"lacks {len(absent)} of the {len(columns)} columns that were learnt: "
                f"{_listed(absent)}; it has {_listed(cells.columns)}",
                file=path,
            )
        x = np.stack([_all_numbers(path, name, cells) for name in columns], axis=1)
        parts.append(x)
        places += [f"{path.name}, row {cells.first_line + i}" for i in range(len(x))]
    return NamedRows(places, np.concatenate(parts))


# ---- columns -------------------------------------------------------------------------------------


def _why_left_out(name: str, column: pa.ChunkedArray, cells: Cells) -> str:
    """Why a column is none of numbers to look at; "" where it is one."""
    held = ~np.asarray(is_missing(as_text(column)))
    if not held.any():
        return "hold nothing"
    numbers = as_numbers(column, cells.decimal)[held]
    if np.isfinite(numbers).mean() < MOSTLY:
        return "no numbers"
    if held.mean() < 1 - MOSTLY_BLANK:
        return "mostly blank"
    numbers = numbers[np.isfinite(numbers)]
    if nearly_constant(numbers):
        return "do not vary"
    if is_identifier(name, numbers, len(np.unique(numbers))):
        return "identifiers"
    return ""


def _where_blank(columns: Mapping[str, Float64[np.ndarray, " rows"]]) -> str:
    """The columns that cost rows and how many each, the most first, as the end of a sentence."""
    blanks = {name: int((~np.isfinite(numbers)).sum()) for name, numbers in columns.items()}
    worst = sorted((name for name in blanks if blanks[name]), key=lambda name: -blanks[name])
    named = _listed([f"{name} ({blanks[name]:,})" for name in worst])
    return f"; blanks are in {named}" if worst else ""


def _all_numbers(path: Path, name: str, cells: Cells) -> Float64[np.ndarray, " rows"]:
    """A column that has a number in each row; DataError names the first row that has none."""
    column = cells.columns[name]
    numbers = as_numbers(column, cells.decimal)
    _refuse_text(path, name, column, numbers, cells)
    blank = np.flatnonzero(~np.isfinite(numbers))
    if len(blank):
        row = int(blank[0]) + cells.first_line
        raise DataError(f"holds nothing{_and_more(blank)}", file=path, row=row, column=name)
    return numbers


def _refuse_text(
    path: Path,
    name: str,
    column: pa.ChunkedArray,
    numbers: Float64[np.ndarray, " rows"],
    cells: Cells,
) -> None:
    """DataError at the first cell that holds something, but no number."""
    text = as_text(column)
    wrong: Bool[np.ndarray, " rows"] = ~np.asarray(is_missing(text)) & ~np.isfinite(numbers)
    rows = np.flatnonzero(wrong)
    if len(rows):
        first = int(rows[0])
        shown = (text[first].as_py() or "")[:40]
        raise DataError(
            f"{shown!r} is no number{_and_more(rows)}",
            file=path,
            row=first + cells.first_line,
            column=name,
        )


def _and_more(rows: Int[np.ndarray, " wrong"]) -> str:
    return f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""


def _listed(names: Sequence[str] | dict) -> str:
    first = ", ".join(list(names)[:NAMED])
    return f"{first} and {len(names) - NAMED} more" if len(names) > NAMED else first
