"""Tables as people have them: CSV with any usual separator, gzipped or not, Parquet, Excel.

Nothing is guessed about a cell here: cells of a CSV or a sheet are text, a Parquet column keeps its
type. What
the columns are is the business of `jaxdl.tables.schema`.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet

from jaxdl.errors import UserError
from jaxdl.tables import workbook

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_BYTES = 1 << 18
MAX_BYTES = 8 << 30  # of a file once it is unpacked
MAX_COLUMNS = workbook.MAX_COLUMNS
MAX_NAME = 200
# What people write into a cell that holds nothing; compared without case and spaces around it.
MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "?", "#n/a")
ENCODINGS = ("utf-8", "cp949")  # cp949 is what Korean spreadsheets write


@dataclass(frozen=True)
class Cells:
    """A table before anything is known about it.

    Attributes:
        columns: name -> cells; text from a CSV or a sheet, typed from Parquet.
        first_line: number of the first row in the file as an editor counts it (2 behind a header).
        decimal: the sign between whole and fractional digits.
        origin: how the file was read, in words.
    """

    columns: dict[str, pa.ChunkedArray]
    first_line: int
    decimal: Literal[".", ","]
    origin: str

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values())))


def read_table(
    path: Path,
    separator: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
) -> Cells:
    """Read a whole table.

    Args:
        path: a .csv, .tsv, .txt (any of them .gz), .parquet, .pq or .xlsx file, or a folder of
            Parquet parts.
        separator: between cells of a CSV; found out where it is not said.
        decimal: "." or ","; found out where it is not said.
        sheet: of a workbook; the first one where it is not said.

    Raises:
        UserError: it cannot be read, has no rows, too many columns, a name twice, or lines of
            unlike length. One line that names the file.
    """
    path = Path(path)
    try:
        of_excel = workbook.is_workbook(path)
        if sheet is not None and not of_excel:
            raise UserError(f"--sheet {sheet} goes with a workbook (.xlsx)")
        if of_excel:
            found = _read_sheet(path, sheet)
        elif path.is_dir() or path.suffix.lower() in (".parquet", ".pq"):
            found = _read_parquet(path)
        else:
            found = _read_csv(path, separator, decimal)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {_first_line(error)}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    _check_names(path, list(found.columns))
    if not found.rows:
        raise UserError(f"{path} has a header but no rows")
    return found


def csv_format(sample: bytes) -> tuple[str, Literal[".", ","], str]:
    r"""(separator, decimal sign, encoding) of the first lines of a CSV.

    The separator is the one that cuts all lines into the same number of cells, and most of them; a
    comma is the decimal sign where more cells look like 3,14 than like 3.14.

    >>> csv_format(b"a;b;c\n1,5;x;2\n2,5;y;3\n")
    (';', ',', 'utf-8')
    >>> csv_format(b"a,b\n1.5,x\n")
    (',', '.', 'utf-8')

    Raises:
        UserError: the bytes are no text in a known encoding.
    """
    encoding, text = _decoded(sample)
    lines = text.splitlines()
    lines = lines[:-1] if len(sample) >= SAMPLE_BYTES else lines  # the last one may be cut
    best, most, found = ",", 1, []
    for separator in SEPARATORS:
        rows = [row for row in csv.reader(lines[:200], delimiter=separator) if row]
        widths = {len(row) for row in rows}
        if len(widths) == 1 and max(widths) > most:
            best, most, found = separator, max(widths), rows
    cells = [cell.strip() for row in found[1:] for cell in row]
    with_comma = sum(looks_decimal(cell, ",") for cell in cells)
    with_point = sum(looks_decimal(cell, ".") for cell in cells)
    decimal = "," if best != "," and with_comma > with_point else "."
    return best, decimal, encoding


def _decoded(sample: bytes) -> tuple[str, str]:
    for encoding in ENCODINGS:
        try:
            # a sample may end in the middle of a character
            return encoding, sample.decode(encoding, "strict").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            if error.start > len(sample) - 4 and len(sample) >= SAMPLE_BYTES:
                return encoding, sample[: error.start].decode(encoding).removeprefix("\ufeff")
    raise UserError(f"is no text in {' or '.join(ENCODINGS)}")


def looks_decimal(cell: str, sign: str) -> bool:
    """Whether a cell is digits, the sign, digits.

    >>> looks_decimal("-3,14", ","), looks_decimal("3", ",")
    (True, False)
    """
    whole, found, fraction = cell.lstrip("+-").partition(sign)
    return bool(found) and whole.isdigit() and fraction.isdigit()


def _read_csv(path: Path, separator: str | None, decimal: str | None) -> Cells:
    data = _content(path)
    if not data.strip():
        raise UserError("is empty; the first line must name the columns")
    found_separator, found_decimal, encoding = csv_format(data[:SAMPLE_BYTES])
    separator = separator or found_separator
    decimal = decimal or found_decimal
    header = next(csv.reader(io.StringIO(_decoded(data[:SAMPLE_BYTES])[1]), delimiter=separator))
    names = [name.strip() for name in header]
    _check_names(path, names)
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(
            encoding=encoding, skip_rows=1, column_names=names, block_size=16 << 20
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=separator),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=False
        ),
    )
    words = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
    origin = f"{words.get(separator, separator)}-separated, decimal {words.get(decimal, 'point')}"
    if encoding != "utf-8":
        origin += f", {encoding}"
    return Cells(dict(zip(names, table.columns, strict=True)), 2, decimal, origin)


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked if it is gzipped, and not more than `MAX_BYTES` of them."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        parts, size = [], 0
        for part in _parts(stream):
            size += len(part)
            if size > MAX_BYTES:
                raise UserError(f"has more than {MAX_BYTES:,} bytes")
            parts.append(part)
    return b"".join(parts)


def _parts(stream: io.BufferedIOBase) -> Iterator[bytes]:
    while part := stream.read(64 << 20):
        yield part


def _read_sheet(path: Path, sheet: str | None) -> Cells:
    with workbook.open_sheet(path, sheet) as (title, rows):
        names = [name.strip() for name in next(rows, [])]
        if not names:
            raise UserError(f"sheet {title} is empty; the first row must name the columns")
        _check_names(path, names)
        columns: list[list[str]] = [[] for _ in names]
        for row in rows:
            for column, cell in zip(columns, row, strict=True):
                column.append(cell)
    cells = [pa.chunked_array([pa.array(column, pa.string())]) for column in columns]
    return Cells(dict(zip(names, cells, strict=True)), 2, ".", f"Excel, sheet {title}")


def _read_parquet(path: Path) -> Cells:
    table = pyarrow.dataset.dataset(path, format="parquet").to_table()
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        columns[name] = column
    if not columns:
        raise UserError("has no columns")
    return Cells(columns, 1, ".", "Parquet")


def _check_names(path: Path, names: list[str]) -> None:
    if len(names) > MAX_COLUMNS:
        raise UserError(f"has {len(names):,} columns; at most {MAX_COLUMNS:,} are read")
    for number, name in enumerate(names, start=1):
        if not name:
            raise UserError(f"column {number} has no name in the header")
        if len(name) > MAX_NAME or not name.isprintable():
            raise UserError(f"the name of column {number} is not a printable text of 200 letters")
        if names.count(name) > 1:
            raise UserError(f"the column {name!r} stands twice in the header")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
