"""Sheets of an Excel workbook (.xlsx, .xlsm) as rows of text, the same text as in a CSV.

Needs openpyxl (extra `excel`), which only reads: a formula is worth what Excel last computed of it.
A workbook is a zip of XML, so that a small file may unpack to anything: what it declares is held
against caps before it is opened, what is read of it while it is read.
"""

import datetime
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError

SUFFIXES = (".xlsx", ".xlsm")
OTHER_SUFFIXES = (".xls", ".xlsb", ".ods", ".numbers")  # told apart, not read
MAX_UNPACKED = 1 << 30  # bytes of all parts together
MAX_LETTERS = 1 << 30  # of all cells, which may share one long text
MAX_PARTS = 10_000
MAX_ROWS = 1_048_576  # Excel's own
MAX_COLUMNS = 4_096  # as of any table


def is_workbook(path: Path) -> bool:
    """Whether a file has the name of a workbook.

    Raises:
        UserError: it has the name of a spreadsheet that is not read.
    """
    suffix = path.suffix.lower()
    if suffix in OTHER_SUFFIXES:
        raise UserError(f"{suffix} files are not read: save the sheet as .xlsx or CSV")
    return suffix in SUFFIXES


@contextmanager
def open_sheet(path: Path, sheet: str | None = None) -> Iterator[tuple[str, Iterator[list[str]]]]:
    """(name of the sheet, its rows from the first line on) of a workbook.

    Rows are as long as the last cell that holds something in the first one, which names the
    columns; rows at the end that hold nothing are left out.

    Args:
        path: of the workbook.
        sheet: by its name; the first one where it is None.

    Raises:
        UserError: it is no workbook, is too large, has no such sheet, or openpyxl is not installed.
            Some of this shows only while rows are taken.
    """
    try:
        import openpyxl
    except ImportError:
        raise UserError(
            "an Excel file needs the package openpyxl: pip install openpyxl, or save it as CSV"
        ) from None
    with _as_user_error():
        _check_size(path)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    with closing(book):
        found = _chosen(book, sheet)
        yield found.title, _rows(found)


@contextmanager
def _as_user_error() -> Iterator[None]:
    """openpyxl raises whatever its XML, zip and number parsers raise."""
    try:
        yield
    except (UserError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise UserError(f"is no readable workbook ({first})") from error


def _check_size(path: Path) -> None:
    """Raises UserError where the parts are too many, or too large once they are unpacked.

    A part that holds more than it declares fails when it is read: its sum is then wrong.
    """
    with zipfile.ZipFile(path) as parts:
        listed = parts.infolist()
    size = sum(part.file_size for part in listed)
    if len(listed) > MAX_PARTS or size > MAX_UNPACKED:
        raise UserError(
            f"unpacks to {size:,} bytes in {len(listed):,} parts; at most {MAX_UNPACKED:,} in "
            f"{MAX_PARTS:,} are read: save the sheet as CSV"
        )


def _chosen(book: Any, name: str | None) -> Any:
    """The sheet of that name, or the first one that is shown."""
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if name is None:
        shown = [sheet for sheet in sheets.values() if sheet.sheet_state == "visible"]
        if not shown:
            raise UserError("has no sheet with cells")
        return shown[0]
    if name not in sheets:
        raise UserError(f"--sheet {name}: no such sheet; there are {', '.join(sheets)[:200]}")
    return sheets[name]


def _rows(sheet: Any) -> Iterator[list[str]]:
    """Rows of text of one length; nothing is taken from what the sheet says of its own size."""
    sheet.reset_dimensions()
    cells = sheet.iter_rows(values_only=True)
    width, letters, blank, number = 0, 0, 0, 0
    while True:
        with _as_user_error():
            row = next(cells, None)
        if row is None:
            return
        number += 1
        if number > MAX_ROWS:
            raise UserError(f"has more than {MAX_ROWS:,} rows")
        texts = [cell_text(value) for value in row]
        while texts and not texts[-1]:
            texts.pop()
        letters += sum(map(len, texts))
        if letters > MAX_LETTERS:
            raise UserError(f"holds more than {MAX_LETTERS:,} letters")
        if number == 1:
            width = len(texts)
            if not width:
                raise UserError("has an empty first row; it must name the columns")
            if width > MAX_COLUMNS:
                raise UserError(f"has {width:,} columns; at most {MAX_COLUMNS:,} are read")
        if len(texts) > width:
            raise UserError(f"row {number} has {len(texts):,} cells, its header {width:,}")
        if not texts:
            blank += 1
            continue
        for _ in range(blank):  # there are rows below them: they keep their place
            yield [""] * width
        blank = 0
        yield texts + [""] * (width - len(texts))


def cell_text(value: Any) -> str:
    """A cell as a CSV has it: dates in ISO form, no clock where it is midnight.

    >>> cell_text(5), cell_text(0.1), cell_text(True), cell_text(None)
    ('5', '0.1', 'TRUE', '')
    >>> cell_text(datetime.datetime(2026, 1, 5)), cell_text(datetime.datetime(2026, 1, 5, 9, 30))
    ('2026-01-05', '2026-01-05 09:30:00')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        if value.time() == datetime.time():
            return value.date().isoformat()
        return value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)
