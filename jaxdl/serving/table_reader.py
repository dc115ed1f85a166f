"""Tables of numbers as a stream: CSV or Parquet of any size, or standard input, in constant memory.

Every reader checks the header by name, in any order, and yields chunks of float64 rows in the order
asked for. The first fault ends the stream with one line that names row and column.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxdl.errors import UserError

if TYPE_CHECKING:  # the scoring side needs only JAX and NumPy
    from jaxtyping import Float64

BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 1 << 16
MAX_FLOAT32 = float(np.finfo(np.float32).max)
PARQUET_ROWS = 65_536


class Chunk(NamedTuple):
    """Rows that follow each other.

    Attributes:
        first: number of the first row, counted from 1 without the header.
        rows: the numbers.
        kept: for each row the cells of the columns that are carried over as text.
        bytes_read: how far into the file this is.
    """

    first: int
    rows: Float64[np.ndarray, "n columns"]
    kept: list[list[str]]
    bytes_read: int


@dataclass(frozen=True)
class Wanted:
    """Which columns a table must and may have.

    Attributes:
        columns: numbers that are needed, in the order in which they are handed out.
        nonnegative: of these, the ones that must not be negative.
        keep: carried over as text.
        ignored: may be there and is not read.
    """

    columns: tuple[str, ...]
    nonnegative: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ("Class",)

    def places(self, header: Sequence[str]) -> tuple[list[int], list[int]]:
        """Positions of `columns` and of `keep` in a header.

        Raises:
            UserError: a column is missing, stands twice or is unknown.
        """
        if sorted(header) == ["timestamp", "value"] and "timestamp" not in self.columns:
            raise UserError("this is a time series: give it to python -m jaxdl.score --series")
        for name in (*self.columns, *self.keep, *header):
            if name not in header:
                raise UserError(f"column {name[:40]!r} is missing; needed: {self.listing()}")
            if header.count(name) > 1:
                raise UserError(f"column {name[:40]!r} stands twice in the header")
            if name not in (*self.columns, *self.keep, *self.ignored):
                raise UserError(
                    f"column {name[:40]!r} is unknown to the scorer: remove it, or carry it over "
                    f"with --keep; needed: {self.listing()}"
                )
        return [header.index(c) for c in self.columns], [header.index(c) for c in self.keep]

    def listing(self) -> str:
        """The needed columns in few words."""
        names = list(self.columns)
        return ", ".join(names if len(names) <= 8 else [*names[:3], "...", *names[-2:]])

    def problem(self, name: str, value: float) -> str | None:
        """What is wrong with a number, or None."""
        if not math.isfinite(value) or abs(value) > MAX_FLOAT32:
            return "is not finite"
        if name in self.nonnegative and value < 0:
            return "is negative"
        return None

    def check(self, rows: Float64[np.ndarray, "n columns"], first: int, row_name: str) -> None:
        """Raises UserError that names the first bad cell."""
        bad = ~(np.abs(rows) <= MAX_FLOAT32)  # true for NaN
        for name in self.nonnegative:
            bad[:, self.columns.index(name)] |= rows[:, self.columns.index(name)] < 0
        if bad.any():
            row, column = np.argwhere(bad)[0]
            name, value = self.columns[column], float(rows[row, column])
            raise UserError(
                f"{row_name} {first + row}, column {name}: {value} {self.problem(name, value)}"
            )


def read_csv(read: Callable[[int], bytes], wanted: Wanted) -> Iterator[Chunk]:
    """Chunks of a CSV that arrives through `read(most bytes)`; b"" is its end.

    Whole lines are handed on as soon as they are there, so on a pipe a chunk is whatever has
    arrived. UTF-8, comma, quotes as usual but no line break inside a cell; blank lines are skipped.

    Raises:
        UserError: names line (the header is 1) and column of the first fault.
    """
    header, line, row, rest, seen = None, 1, 1, b"", 0
    while True:
        data = read(BLOCK_BYTES)
        seen += len(data)
        if seen == len(data):
            data = data.removeprefix(b"\xef\xbb\xbf")
        whole, newline, rest = (rest + data).rpartition(b"\n")
        whole += newline
        if not data:
            whole, rest = whole + rest, b""
        if len(rest) > MAX_LINE_BYTES:
            at = line + whole.count(b"\n")
            raise UserError(f"line {at} has more than {MAX_LINE_BYTES:,} bytes")
        if header is None and whole.strip():
            first, _, whole = whole.partition(b"\n")
            header = [name.strip() for name in _cells(_text(first, line), line)]
            places, kept = wanted.places(header)
            line += 1
        if whole.strip():
            text = _text(whole, line)
            rows, cells = _parse(text, line, header, places, kept, wanted)
            if len(rows):
                yield Chunk(row, rows, cells, seen)
            row += len(rows)
        line += whole.count(b"\n")
        if not data:
            break
    if header is None:
        raise UserError("is empty; the first line must name the columns")
    if row == 1:
        raise UserError("has a header but no rows")


def _text(data: bytes, line: int) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = line + data.count(b"\n", 0, error.start)
        raise UserError(f"line {at}: byte 0x{data[error.start]:02x} is not UTF-8 text") from None
    if "\0" in text:
        raise UserError(f"line {line + text.count(chr(10), 0, text.index(chr(0)))}: a zero byte")
    return text


def _cells(text: str, line: int) -> list[str]:
    try:
        rows = list(csv.reader([text.rstrip("\r\n")], strict=True))
    except csv.Error as error:
        raise UserError(f"line {line} is no CSV ({error})") from None
    return rows[0] if rows else []


def _parse(
    text: str, line: int, header: list[str], places: list[int], kept: list[int], wanted: Wanted
) -> tuple[np.ndarray, list[list[str]]]:
    """Numbers and kept cells of whole lines: the quick way, or the one that finds the fault."""
    text = text.replace("\r\n", "\n")
    if not kept and text.isascii() and "\r" not in text:
        try:
            table = np.loadtxt(
                io.StringIO(text), delimiter=",", quotechar='"', comments=None, ndmin=2
            )
            if table.shape[1] == len(header):
                rows = table[:, places]
                if (np.abs(rows) <= MAX_FLOAT32).all():
                    wanted.check(rows, 0, "")
                    return rows, []
        except (ValueError, UserError):
            pass  # the slow way says where
    parsed, cells = [], []
    for number, one in enumerate(text.split("\n"), line):
        if not one.strip():
            continue
        found = _cells(one, number)
        if len(found) != len(header):
            raise UserError(f"line {number} has {len(found)} cells instead of {len(header)}")
        parsed.append([_number(found[i], header[i], number, wanted) for i in places])
        cells.append([found[i] for i in kept])
    return np.array(parsed, np.float64).reshape(len(parsed), len(places)), cells if kept else []


def _number(cell: str, name: str, line: int, wanted: Wanted) -> float:
    try:
        # float() also takes 1_000 and digits of other scripts, which no bank means
        value = float(cell if cell.isascii() and "_" not in cell else "?")
    except ValueError:
        shown = cell[:40].encode("ascii", "backslashreplace").decode()
        raise UserError(f"line {line}, column {name}: {shown!r} is not a number") from None
    problem = wanted.problem(name, value)
    if problem:
        raise UserError(f"line {line}, column {name}: {cell.strip()[:40]} {problem}")
    return value


def read_parquet(path: Path, wanted: Wanted) -> Iterator[Chunk]:
    """Chunks of a Parquet file.

    Raises:
        UserError: pyarrow is missing, or the file or a cell is not as it should be.
    """
    try:
        from pyarrow import ArrowException, compute, parquet
    except ImportError as error:
        raise UserError("Parquet needs the package pyarrow: install it, or give a CSV") from error
    try:
        with parquet.ParquetFile(path) as file:
            wanted.places(file.schema_arrow.names)
            if file.metadata.num_rows == 0:
                raise UserError("has columns but no rows")
            for name in wanted.columns:
                kind = str(file.schema_arrow.field(name).type)
                if not kind.startswith(("int", "uint", "float", "double", "halffloat")):
                    raise UserError(f"column {name} holds {kind}, not numbers")
            size, row = path.stat().st_size, 1
            names = [*wanted.columns, *wanted.keep]
            for batch in file.iter_batches(PARQUET_ROWS, columns=names, use_threads=False):
                columns = [
                    compute.cast(batch.column(name), "float64").to_numpy(zero_copy_only=False)
                    for name in wanted.columns
                ]
                rows = np.stack(columns, axis=1)
                wanted.check(rows, row, "row")
                texts = [batch.column(name).to_pylist() for name in wanted.keep]
                kept = [["" if c is None else str(c) for c in r] for r in zip(*texts, strict=True)]
                done = row + len(rows) - 1
                yield Chunk(row, rows, kept, size * done // file.metadata.num_rows)
                row = done + 1
    except (ArrowException, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"is no readable Parquet file ({first[:120]})") from error


def file_reader(path: Path) -> Callable[[int], bytes]:
    """`read` for a file; it is closed with the last reference to it.

    Raises:
        UserError: it cannot be opened.
    """
    try:
        return path.open("rb", buffering=0).read
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})") from error


def pipe_reader(descriptor: int = 0) -> Callable[[int], bytes]:
    """`read` for a pipe or terminal: gives what is there and does not wait for more."""
    return lambda most: os.read(descriptor, most)
