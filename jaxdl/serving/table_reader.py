"""Tables as a stream: CSV or Parquet of any size, a sheet, or standard input, in constant memory.

A reader cuts its input into blocks of whole lines and hands each to a *table*, which says what the
columns are: `NumberTable` here, where all of them are numbers, or `jaxdl.serving.typed_table` for a
table with a schema. A block is read the quick way (pyarrow where it is installed) unless something
is unusual in it; the careful way then takes line by line, finds the fault and says where it is.

A row with a fault does not stop the stream: it is marked in its chunk. What concerns the whole
table (no header, a column missing, a line without end) is a UserError.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from jaxdl.errors import UserError
from jaxdl.serving.cells import number

if TYPE_CHECKING:  # the scoring side needs only JAX and NumPy
    from jaxtyping import Float64

BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 1 << 20
MAX_FLOAT32 = float(np.finfo(np.float32).max)
PARQUET_ROWS = 65_536
SHEET_ROWS = 8_192
FEW_LINES = 64  # read with care at once: starting the quick way would take longer
SHOWN = 40  # characters of a cell in a message
NUMPY_BLANKS = b"\x1c\x1d\x1e\x1f"  # around a number, for NumPy; not for `float`


class Problem(NamedTuple):
    """Why a row cannot be scored.

    Attributes:
        where: its line or row, in words.
        what: the column and what is wrong with its cell, in words.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}{', ' if self.what.startswith('column') else ': '}{self.what}"


class Chunk(NamedTuple):
    """Rows that follow each other.

    Attributes:
        first: number of the first row, counted from 1 without the header.
        rows: the numbers; 0 in a row with a problem.
        kept: for each column that is carried over, its cells as text.
        problems: place in `rows` -> why this row cannot be scored.
        bytes_read: how far into the file this is.
    """

    first: int
    rows: Float64[np.ndarray, "n columns"]
    kept: list[list[str]]
    problems: dict[int, Problem]
    bytes_read: int


@dataclass(frozen=True)
class Layout:
    """Where the wanted columns stand in a CSV.

    Attributes:
        separator: between cells.
        width: cells in a line.
        places: of the columns that are scored, in the order in which they are handed out.
        kept: places of the columns that are carried over.
        decimal: the sign between whole and fractional digits.
    """

    separator: str
    width: int
    places: tuple[int, ...]
    kept: tuple[int, ...]
    decimal: str = "."


class Quick(NamedTuple):
    """What the quick way finds in a block without a fault."""

    rows: Float64[np.ndarray, "n columns"]
    kept: list[list[str]]


@runtime_checkable
class Table(Protocol):
    """What a reader must know of the columns.

    Attributes:
        columns: names of the columns that are scored, in order.
        keep: names of those that are carried over as text.
        encodings: of text, the usual one first.
    """

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def keep(self) -> tuple[str, ...]: ...

    @property
    def encodings(self) -> tuple[str, ...]: ...

    def layout(self, header: str, sample: Sequence[str]) -> Layout:
        """Where the columns stand, from the header and some lines below it.

        Raises:
            UserError: they do not stand there.
        """
        ...

    def quick(self, data: bytes, layout: Layout) -> Quick | None:
        """Rows of whole lines of UTF-8 text; None where anything is unusual in them."""
        ...

    def careful(
        self, cells: Sequence[Sequence[str]], layout: Layout
    ) -> tuple[Float64[np.ndarray, "n columns"], dict[int, str]]:
        """Rows of the cells of `columns`, and place -> what is wrong with this row."""
        ...

    def check_types(self, types: Mapping[str, Any]) -> None:
        """Raises UserError where a Parquet file's columns are missing or of a wrong type."""
        ...

    def of_arrow(
        self, columns: Mapping[str, Any]
    ) -> tuple[Float64[np.ndarray, "n columns"], dict[int, str]]:
        """`careful` of typed columns."""
        ...


@dataclass(frozen=True)
class NumberTable:
    """A table whose scored columns are numbers; no cell may be missing.

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

    @property
    def encodings(self) -> tuple[str, ...]:
        return ("utf-8",)

    def layout(self, header: str, sample: Sequence[str] = ()) -> Layout:
        """Where the columns stand in a header line.

        Raises:
            UserError: a column is missing, stands twice or is unknown.
        """
        names = header_names(header, ",")
        self.check_names(names)
        places, kept = ([names.index(name) for name in some] for some in (self.columns, self.keep))
        return Layout(",", len(names), tuple(places), tuple(kept))

    def check_names(self, header: Sequence[str]) -> None:
        """Raises UserError where a column is missing, stands twice or is unknown."""
        refuse_series(header, self.columns)
        for name in (*self.columns, *self.keep, *header):
            refuse_absent_or_repeated(name, header, self.columns)
            if name not in (*self.columns, *self.keep, *self.ignored):
                raise UserError(
                    f"column {name[:SHOWN]!r} is unknown to the scorer: remove it, or carry it "
                    f"over with --keep; needed: {self.listing()}"
                )

    def listing(self) -> str:
        """The needed columns in few words."""
        return in_few_words(self.columns)

    def quick(self, data: bytes, layout: Layout) -> Quick | None:
        """Rows of whole lines, with pyarrow or else NumPy; None where a cell is no such number."""
        try:
            found = arrow_cells(data, layout, "float64")
        except ImportError:
            rows = self._with_numpy(data, layout)
            return Quick(rows, []) if rows is not None and self._all_good(rows) else None
        if found is None:
            return None
        columns, kept = found
        rows = np.stack([column.to_numpy() for column in columns], axis=1)
        return Quick(rows, kept) if self._all_good(rows) else None

    @staticmethod
    def _with_numpy(data: bytes, layout: Layout) -> np.ndarray | None:
        if layout.kept or not data.isascii() or any(octet in data for octet in NUMPY_BLANKS):
            return None
        text = io.StringIO(data.decode("ascii").replace("\r\n", "\n"))
        try:
            table = np.loadtxt(text, delimiter=",", quotechar='"', comments=None, ndmin=2)
        except ValueError:
            return None
        fits = table.shape[1] == layout.width and len(table) == lines_that_hold_something(data)
        return table[:, layout.places] if fits else None

    def _all_good(self, rows: np.ndarray) -> bool:
        signed = [self.columns.index(name) for name in self.nonnegative]
        # the comparison is false for NaN
        return bool((np.abs(rows) <= MAX_FLOAT32).all() and (rows[:, signed] >= 0).all())

    def careful(
        self, cells: Sequence[Sequence[str]], layout: Layout
    ) -> tuple[Float64[np.ndarray, "n columns"], dict[int, str]]:
        """Rows of numbers, and what is wrong with the others."""
        rows, problems = np.zeros((len(cells), len(self.columns))), {}
        for i, row in enumerate(cells):
            found = [self._number(c, name) for c, name in zip(row, self.columns, strict=True)]
            wrong = next((value for value in found if isinstance(value, str)), None)
            if wrong is None:
                rows[i] = found
            else:
                problems[i] = wrong
        return rows, problems

    def _number(self, cell: str, name: str) -> float | str:
        """The number, or what is wrong with it."""
        try:
            value = number(cell)
        except ValueError:
            return f"column {name}: {shown(cell)} is not a number"
        problem = self.problem(name, value)
        return f"column {name}: {cell.strip()[:SHOWN]} {problem}" if problem else value

    def problem(self, name: str, value: float) -> str | None:
        """What is wrong with a number, or None."""
        if math.isnan(value):
            return "is not finite"
        if abs(value) > MAX_FLOAT32:
            return "is out of range"
        if name in self.nonnegative and value < 0:
            return "is negative"
        return None

    def check_types(self, types: Mapping[str, Any]) -> None:
        """Raises UserError where a column is missing, unknown or holds no numbers."""
        self.check_names(list(types))
        for name in self.columns:
            kind = str(types[name])
            if not kind.startswith(("int", "uint", "float", "double", "halffloat")):
                raise UserError(f"column {name} holds {kind}, not numbers")

    def of_arrow(
        self, columns: Mapping[str, Any]
    ) -> tuple[Float64[np.ndarray, "n columns"], dict[int, str]]:
        """Rows of a Parquet file's columns, and what is wrong with some of them."""
        from pyarrow import compute

        values = [
            compute.cast(columns[name], "float64", safe=False).to_numpy(zero_copy_only=False)
            for name in self.columns
        ]
        rows = np.stack(values, axis=1)
        problems: dict[int, str] = {}
        if self._all_good(rows):
            return rows, problems
        bad = ~(np.abs(rows) <= MAX_FLOAT32)
        for name in self.nonnegative:
            bad[:, self.columns.index(name)] |= rows[:, self.columns.index(name)] < 0
        for place, column in np.argwhere(bad).tolist():
            name, value = self.columns[column], float(rows[place, column])
            problems.setdefault(place, f"column {name}: {value} {self.problem(name, value)}")
        rows[list(problems)] = 0
        return rows, problems


def refuse_series(header: Sequence[str], columns: Sequence[str]) -> None:
    """Raises UserError, with the right command in it, where the table is a time series."""
    if sorted(header) == ["timestamp", "value"] and "timestamp" not in columns:
        raise UserError("this is a time series: give it to python -m jaxdl.score --series")


def refuse_absent_or_repeated(name: str, header: Sequence[str], needed: Sequence[str]) -> None:
    """Raises UserError where a column does not stand in the header exactly once."""
    if name not in header:
        raise UserError(f"column {name[:SHOWN]!r} is missing; needed: {in_few_words(needed)}")
    if header.count(name) > 1:
        raise UserError(f"column {name[:SHOWN]!r} stands twice in the header")


def in_few_words(names: Sequence[str]) -> str:
    """The names, or the first and the last ones."""
    return ", ".join(names if len(names) <= 8 else [*names[:3], "...", *names[-2:]])


def shown(cell: str) -> str:
    """A cell in a message: short, in quotes, one line."""
    text = cell[:SHOWN]
    return repr(text if text.isprintable() else text.encode("ascii", "backslashreplace").decode())


def header_names(line: str, separator: str) -> list[str]:
    """Names of the columns, without spaces around them.

    Raises:
        UserError: the line is no CSV.
    """
    cells = split_line(line, separator)
    if isinstance(cells, str):
        raise UserError(f"the header {cells}")
    return [name.strip() for name in cells]


def split_line(line: str, separator: str) -> list[str] | str:
    """The cells of a line, or what is wrong with it."""
    try:
        # an open quote would swallow the second line
        rows = list(csv.reader([line.rstrip("\r\n") + "\n", "end"], delimiter=separator))
    except csv.Error as error:
        return f"is no CSV ({error})"
    return rows[0] if len(rows) == 2 else "a quote is not closed in this line"


def line_ends(data: bytes) -> int:
    """How many line ends there are; several times as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def lines_that_hold_something(data: bytes) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in data.split(b"\n"))


def arrow_cells(
    data: bytes,
    layout: Layout,
    kinds: str | Sequence[str],
    missing: Sequence[str] = (),
) -> tuple[list[Any], list[list[str]]] | None:
    """Whole lines of a CSV through pyarrow: the scored columns, and the kept ones as text.

    Args:
        data: UTF-8 text.
        layout: of the lines.
        kinds: pyarrow's name for the type of the scored columns, or of each.
        missing: what stands in a cell of a number that holds nothing.

    Returns:
        None where a line or a cell is not as it should be.

    Raises:
        ImportError: pyarrow is not installed.
    """
    import pyarrow as pa
    import pyarrow.csv

    names = [str(i) for i in range(layout.width)]  # the file's own may stand twice
    scored, kept = [names[i] for i in layout.places], [names[i] for i in layout.kept]
    kinds = [kinds] * len(scored) if isinstance(kinds, str) else kinds
    types = {name: pa.type_for_alias(kind) for name, kind in zip(scored, kinds, strict=True)}
    types |= {name: pa.string() for name in kept}  # also of a column that is scored and kept
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES >> 2),
            parse_options=pyarrow.csv.ParseOptions(delimiter=layout.separator),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=list(missing),
                strings_can_be_null=False,
                decimal_point=layout.decimal,
            ),
        )
    except pa.ArrowException:
        return None
    # a quote that is not closed makes one row of several lines, unless it is in the last one
    last = data.rstrip().rpartition(b"\n")[2].decode("utf-8")
    if isinstance(split_line(last, layout.separator), str):
        return None
    lines = line_ends(data) + (not data.endswith(b"\n"))
    if len(table) != lines and len(table) != lines_that_hold_something(data):
        return None
    return [table[name] for name in scored], [table[name].to_pylist() for name in kept]


def read_csv(read: Callable[[int], bytes], table: Table) -> Iterator[Chunk]:
    """Chunks of a CSV that arrives through `read(most bytes)`; b"" is its end.

    Whole lines are handed on as soon as they are there, so on a pipe a chunk is whatever has
    arrived. Quotes as usual, but no line break inside a cell; blank lines are skipped.

    Args:
        read: as that of a file.
        table: what the columns are; of its encodings, the first block that is not plain ASCII
            decides.

    Raises:
        UserError: the header or a line is not to be read.
    """
    layout, encoding, line, row = None, None, 1, 1
    for data, seen in _whole_lines(read):
        if encoding is None and not data.isascii():
            encoding = _best_encoding(data, table.encodings)
        whole = data
        while layout is None and whole:
            first, _, whole = whole.partition(b"\n")
            if first.strip():
                text = _text(first, encoding or table.encodings[0])
                if not isinstance(text, str):
                    raise UserError(f"line {line}: {text.what}")
                lines = (_text(one, encoding or "utf-8") for one in whole.split(b"\n", 200)[:200])
                layout = table.layout(text, [one for one in lines if isinstance(one, str)])
            line += 1
        if layout is None or not whole.strip():
            line += line_ends(whole)
            continue
        rows, kept, problems = _parse(whole, line, layout, table, encoding or table.encodings[0])
        if len(rows):
            yield Chunk(row, rows, kept, problems, seen)
        row += len(rows)
        line += line_ends(whole)
    if layout is None:
        raise UserError("is empty; the first line must name the columns")
    if row == 1:
        raise UserError("has a header but no rows")


def _whole_lines(read: Callable[[int], bytes]) -> Iterator[tuple[bytes, int]]:
    """(whole lines, bytes read so far); the last line may lack its newline."""
    rest, seen, lines = b"", 0, 1
    while data := read(BLOCK_BYTES):
        if not seen:
            data = data.removeprefix(b"\xef\xbb\xbf")
        seen += len(data)
        whole, newline, rest = (rest + data).rpartition(b"\n")
        lines += line_ends(whole) + len(newline)
        if len(rest) > MAX_LINE_BYTES:
            raise UserError(f"line {lines} has more than {MAX_LINE_BYTES:,} bytes")
        if newline:
            yield whole + newline, seen
    if rest:
        yield rest, seen


def _best_encoding(data: bytes, encodings: Sequence[str]) -> str:
    """The first of the encodings that fits the most lines."""

    def misfits(encoding: str) -> int:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            return sum(not isinstance(_text(one, encoding), str) for one in data.split(b"\n"))
        return 0

    return min(encodings, key=misfits)


def _text(data: bytes, encoding: str) -> str | Problem:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8" else encoding
        return Problem("", f"byte 0x{data[error.start]:02x} is not {name} text")
    return Problem("", "a zero byte") if "\0" in text else text


class _Parsed(NamedTuple):
    rows: np.ndarray
    kept: list[list[str]]
    problems: dict[int, Problem]


def _parse(data: bytes, line: int, layout: Layout, table: Table, encoding: str) -> _Parsed:
    """Rows of whole lines: the quick way, the careful way for the part that has a fault."""
    if line_ends(data) <= FEW_LINES:
        return _parse_carefully(data, line, layout, table, encoding)
    quick = _parse_quickly(data, layout, table, encoding)
    if quick is not None:
        return _Parsed(*quick, {})
    middle = data.index(b"\n", len(data) // 2) + 1
    if middle == len(data):
        middle = data.index(b"\n") + 1
    first = _parse(data[:middle], line, layout, table, encoding)
    line += data.count(b"\n", 0, middle)
    second = _parse(data[middle:], line, layout, table, encoding)
    problems = {place + len(first.rows): what for place, what in second.problems.items()}
    return _Parsed(
        np.concatenate([first.rows, second.rows]),
        [one + two for one, two in zip(first.kept, second.kept, strict=True)],
        first.problems | problems,
    )


def _parse_quickly(data: bytes, layout: Layout, table: Table, encoding: str) -> Quick | None:
    if b"\0" in data:
        return None
    if not data.isascii():
        try:
            data = data.decode(encoding).encode("utf-8")
        except UnicodeDecodeError:
            return None
    return table.quick(data, layout)


def _parse_carefully(
    data: bytes, line: int, layout: Layout, table: Table, encoding: str
) -> _Parsed:
    cells: list[list[str]] = []  # of the rows that can be cut into cells
    places: list[int] = []  # of these rows
    kept: list[list[str]] = [[] for _ in layout.kept]
    problems: dict[int, Problem] = {}
    lines: list[int] = []  # line of each row
    for line_number, one in enumerate(data.split(b"\n"), line):
        if not one.strip():
            continue
        found, problem = _cut(one, layout, encoding)
        if problem:
            problems[len(lines)] = Problem(f"line {line_number}", problem)
        else:
            places.append(len(lines))
            cells.append([found[i] for i in layout.places])
        for column, i in zip(kept, layout.kept, strict=True):
            column.append(found[i] if i < len(found) else "")  # also of a row with a problem
        lines.append(line_number)
    rows = np.zeros((len(lines), len(layout.places)))
    if cells:
        rows[places], wrong = table.careful(cells, layout)
        for i, what in wrong.items():
            problems[places[i]] = Problem(f"line {lines[places[i]]}", what)
    return _Parsed(rows, kept, dict(sorted(problems.items())))


def _cut(line: bytes, layout: Layout, encoding: str) -> tuple[list[str], str]:
    """The cells of a line as far as it can be cut, and what is wrong with it or ""."""
    text = _text(line, encoding)
    if not isinstance(text, str):
        return [], text.what
    cells = split_line(text, layout.separator)
    if isinstance(cells, str):
        return [], cells
    if len(cells) != layout.width:
        return cells, f"{len(cells)} cells instead of {layout.width}"
    return cells, ""


def read_ahead(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same chunks, the next one being read while one is used."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk


def read_parquet(path: Path, table: Table) -> Iterator[Chunk]:
    """Chunks of a Parquet file, or of a folder of Parquet parts in the order of their names.

    Raises:
        UserError: pyarrow is missing, or the file is not as it should be.
    """
    try:
        import pyarrow as pa
        import pyarrow.dataset
    except ImportError as error:
        raise UserError("Parquet needs the package pyarrow: install it, or give a CSV") from error
    try:
        parts = pyarrow.dataset.dataset(path, format="parquet")
        table.check_types({field.name: field.type for field in parts.schema})
        total = parts.count_rows()
        if total == 0:
            raise UserError("has columns but no rows")
        size = sum(Path(file).stat().st_size for file in parts.files)
        batches = parts.to_batches(
            columns=[*table.columns, *table.keep],
            batch_size=PARQUET_ROWS,
            batch_readahead=1,
            fragment_readahead=1,
        )
        row = 1
        for batch in batches:
            if not len(batch):
                continue
            columns = {name: _decoded(batch.column(name)) for name in batch.schema.names}
            rows, wrong = table.of_arrow(columns)
            kept = [
                ["" if c is None else str(c) for c in columns[n].to_pylist()] for n in table.keep
            ]
            problems = {i: Problem(f"row {row + i}", what) for i, what in wrong.items()}
            yield Chunk(row, rows, kept, problems, size * (row + len(rows) - 1) // total)
            row += len(rows)
    except (pa.ArrowException, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"is no readable Parquet file ({first[:120]})") from error


def read_workbook(path: Path, table: Table, sheet: str | None = None) -> Iterator[Chunk]:
    """Chunks of a sheet of an Excel workbook; cells are read as those of a CSV are.

    Raises:
        UserError: a package is missing, or the sheet is not as it should be.
    """
    try:
        from jaxdl.tables import workbook
    except ImportError as error:
        raise UserError("an Excel file needs the packages openpyxl and pyarrow") from error
    workbook.is_workbook(path)  # or says so
    size, first = path.stat().st_size, 1
    with workbook.open_sheet(path, sheet) as (title, rows):
        header = next(rows, None)
        if header is None:
            raise UserError(f"sheet {title} is empty; the first row must name the columns")
        layout = table.layout(_csv_line(header), [])
        while block := list(itertools.islice(rows, SHEET_ROWS)):
            cells = [[row[place] for place in layout.places] for row in block]
            found, wrong = table.careful(cells, layout)
            kept = [[row[place] for row in block] for place in layout.kept]
            # the header is row 1 of the sheet
            problems = {i: Problem(f"line {first + i + 1}", what) for i, what in wrong.items()}
            yield Chunk(first, found, kept, problems, size)
            first += len(block)
    if first == 1:
        raise UserError("has a header but no rows")


def _csv_line(cells: Sequence[str]) -> str:
    """Cells as a line of a comma-separated file."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _decoded(column: Any) -> Any:
    """A column of categories as what they stand for."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def file_reader(path: Path) -> Callable[[int], bytes]:
    """`read` for a file, gzipped or not; it is closed with the last reference to it.

    Raises:
        UserError: it cannot be opened.
    """
    try:
        file = path.open("rb", buffering=0)
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})") from error
    return _unpacking(gzip.GzipFile(fileobj=file)) if packed else file.read


def _unpacking(file: gzip.GzipFile) -> Callable[[int], bytes]:
    def read(most: int) -> bytes:
        try:
            return file.read(most)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"is damaged: {error}") from error

    return read


def pipe_reader(descriptor: int = 0) -> Callable[[int], bytes]:
    """`read` for a pipe or terminal: gives what is there and does not wait for more."""

    def read(most: int) -> bytes:
        return os.read(descriptor, most)

    return read
