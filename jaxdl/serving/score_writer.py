"""Where scored rows go: CSV, JSON lines or Parquet, gzipped or not, whole or not at all.

What goes into a CSV is safe to open in a spreadsheet (`harmless`); JSON lines and Parquet carry
text as it is, since their readers run no formulas.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from jaxdl.errors import UserError

if TYPE_CHECKING:  # the scoring side needs only JAX and NumPy
    from jaxtyping import Bool, Float32, Float64, Int64

FIELDS = ("row", "score", "flag", "p_value", "top", "values", "nearest", "distance", "usual")
FIELDS += ("problem",)
FORMATS = ("csv", "jsonl", "parquet")
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".numbers")  # none of them is written
PLAIN_ROW = "%d,%.9g,%d,%.6g,,,,,,\n"  # neither flagged nor with a problem
NEEDS_QUOTES = re.compile(r'[,"\r\n]')
PLAIN_NUMBER = re.compile(r" *[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)? *")
NOT_SEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # control, zero-width, spaces


class Reason(NamedTuple):
    """What is told of a row beside its score.

    Attributes:
        top: columns of the largest contribution, with share of the score.
        values: what the row has in them; None where the cell is missing.
        nearest, distance: number of the nearest normal row, and how far it is.
        usual: this normal row's values in the columns of `top`; None where it has none.
    """

    top: Sequence[tuple[str, float]] = ()
    values: Sequence[tuple[str, float | str | None]] = ()
    nearest: int | None = None
    distance: float | None = None
    usual: Sequence[tuple[str, float | str | None]] = ()

    def top_text(self, between: str) -> str:
        """`top` in one cell, such as "V14:0.41 V10:0.12"."""
        return between.join(f"{name}:{share:.2f}" for name, share in self.top)

    def values_text(self, between: str) -> str:
        """`values` in one cell, such as "amount:8310.5; country:KR"."""
        return between.join(f"{name}:{_value_text(value)}" for name, value in self.values)

    def usual_text(self, between: str) -> str:
        """`usual` in one cell."""
        return between.join(f"{name}:{_value_text(value)}" for name, value in self.usual)


class Scored(NamedTuple):
    """Rows that are to be written.

    Attributes:
        numbers: of the rows in the table, counted from 1.
        scores, flags, p_values: NaN and False in a row with a problem.
        kept: for each column that is carried over, its cells.
        reasons: place -> what is told of this row.
        problems: place -> why this row has no score.
    """

    numbers: Int64[np.ndarray, " n"]
    scores: Float32[np.ndarray, " n"]
    flags: Bool[np.ndarray, " n"]
    p_values: Float64[np.ndarray, " n"]
    kept: Sequence[Sequence[str]]
    reasons: dict[int, Reason]
    problems: dict[int, str]


@runtime_checkable
class Lines(Protocol):
    """What takes text: a file, or standard output of any kind."""

    def write(self, text: str, /) -> object: ...


@runtime_checkable
class Writer(Protocol):
    """Writes scored rows; `close` writes what must come at the end."""

    def write(self, scored: Scored) -> None: ...

    def close(self) -> None: ...


def harmless(cell: str) -> str:
    """A text cell that no spreadsheet takes for a formula: an apostrophe goes in front of one.

    >>> harmless("=1+1"), harmless("\\u200b＝1"), harmless("-3.5"), harmless("plain")
    ("'=1+1", "'\\u200b＝1", '-3.5', 'plain')
    """
    if not cell or cell[0].isalnum() or PLAIN_NUMBER.fullmatch(cell):
        return cell
    seen = next((sign for sign in cell if unicodedata.category(sign) not in NOT_SEEN), "")
    # compatibility forms (full-width, small) become the plain sign
    if cell[:1] in ("\t", "\r", "\n") or unicodedata.normalize("NFKC", seen)[:1] in tuple("=+-@"):
        return "'" + cell
    return cell


def csv_cell(cell: str) -> str:
    """A text cell of a CSV: harmless, and in quotes where it needs them."""
    cell = harmless(cell)
    if NEEDS_QUOTES.search(cell):
        return '"' + cell.replace('"', '""') + '"'
    return cell


class CsvWriter:
    """Comma-separated lines with a header."""

    def __init__(self, out: Lines, keep: Sequence[str], between: str):
        self.out, self.between = out, between
        self.form = "%s," * len(keep) + PLAIN_ROW
        self.header = ",".join([*map(csv_cell, keep), *FIELDS]) + "\n"

    def write(self, scored: Scored) -> None:
        pieces, self.header = [self.header], ""
        columns = [list(map(csv_cell, cells)) for cells in scored.kept]
        columns += [
            scored.numbers.tolist(),
            scored.scores.tolist(),
            scored.flags.tolist(),
            scored.p_values.tolist(),
        ]
        start = 0
        for place in [*sorted({*scored.reasons, *scored.problems}), len(scored.numbers)]:
            plain = zip(*[column[start:place] for column in columns], strict=True)
            values = tuple(itertools.chain.from_iterable(plain))
            pieces.append(self.form * (place - start) % values)
            if place < len(scored.numbers):
                pieces.append(self._special([column[place] for column in columns], scored, place))
            start = place + 1
        self.out.write("".join(pieces))

    def _special(self, values: list[Any], scored: Scored, place: int) -> str:
        *kept, number, score, flag, p_value = values
        problem = scored.problems.get(place, "")
        cells = [*kept, str(number)]
        cells += ["", "", ""] if problem else [f"{score:.9g}", str(int(flag)), f"{p_value:.6g}"]
        reason = scored.reasons.get(place, Reason())
        known = (reason.nearest, reason.distance)
        nearest, distance = ("" if value is None else str(value) for value in known)
        cells += [csv_cell(reason.top_text(self.between))]
        cells += [csv_cell(reason.values_text(self.between)), nearest, distance]
        cells += [csv_cell(reason.usual_text(self.between)), csv_cell(problem)]
        return ",".join(cells) + "\n"

    def close(self) -> None:
        pass


def _value_text(value: float | str | None) -> str:
    if value is None:
        return "missing"
    return value if isinstance(value, str) else f"{value:.6g}"


class JsonWriter:
    """One JSON object a line; what a row does not have is null."""

    def __init__(self, out: Lines, keep: Sequence[str]):
        self.out, self.keep = out, keep

    def write(self, scored: Scored) -> None:
        lines = []
        for place, number in enumerate(scored.numbers.tolist()):
            record: dict[str, Any] = {
                name: cells[place] for name, cells in zip(self.keep, scored.kept, strict=True)
            }
            reason = scored.reasons.get(place, Reason())
            problem = scored.problems.get(place)
            values: tuple[Any, ...] = (None, None, None)
            if problem is None:
                score = float(f"{scored.scores[place]:.9g}")
                values = (score, bool(scored.flags[place]), float(scored.p_values[place]))
            top = [[name, round(share, 4)] for name, share in reason.top]
            values = (number, *values, top, *reason[1:], problem)
            record |= dict(zip(FIELDS, values, strict=True))
            lines.append(json.dumps(record, ensure_ascii=False, allow_nan=False))
        self.out.write("".join(line + "\n" for line in lines))

    def close(self) -> None:
        pass


class ParquetWriter:
    """A Parquet file with one row group for each chunk."""

    def __init__(self, file: io.BufferedIOBase, keep: Sequence[str], between: str):
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise UserError("--output in Parquet needs the package pyarrow") from error
        self.between = between
        kinds = ("int64", "float32", "bool", "float64", *["string"] * 6)
        named = dict(zip(FIELDS, kinds, strict=True)) | {"nearest": "int64", "distance": "float64"}
        fields = [(name, pa.string()) for name in keep]
        fields += [(name, pa.type_for_alias(kind)) for name, kind in named.items()]
        self.schema = pa.schema(fields)
        self.file = parquet.ParquetWriter(file, self.schema)

    def write(self, scored: Scored) -> None:
        import pyarrow as pa

        absent = np.zeros(len(scored.numbers), bool)
        absent[list(scored.problems)] = True
        columns: list[Any] = [pa.array(cells, pa.string()) for cells in scored.kept]
        columns.append(pa.array(scored.numbers))
        for values in (scored.scores, scored.flags, scored.p_values):
            columns.append(pa.array(values, mask=absent))
        texts: dict[str, list[Any]] = {name: [None] * len(absent) for name in FIELDS[4:]}
        for place, reason in scored.reasons.items():
            texts["top"][place] = reason.top_text(self.between)
            texts["nearest"][place], texts["distance"][place] = reason.nearest, reason.distance
            texts["values"][place] = reason.values_text(self.between)
            texts["usual"][place] = reason.usual_text(self.between)
        for place, problem in scored.problems.items():
            texts["problem"][place] = problem
        for name, cells in texts.items():
            columns.append(pa.array(cells, self.schema.field(name).type))
        self.file.write_table(pa.Table.from_arrays(columns, schema=self.schema))

    def close(self) -> None:
        self.file.close()


def format_of(output: Path | None, said: str | None) -> tuple[str, bool]:
    """(one of `FORMATS`, whether it is gzipped), by what is said or else by the output's name.

    Raises:
        UserError: Parquet is to be printed, or gzipped, or the name is that of a spreadsheet.
    """
    name = output.name.lower() if output else ""
    if name.endswith(SPREADSHEETS):
        raise UserError(f"--output {output}: no spreadsheet is written; give .csv, which one opens")
    packed = name.endswith(".gz")
    kind = said or SUFFIXES.get(Path(name.removesuffix(".gz")).suffix, "csv")
    if kind == "parquet" and (output is None or packed):
        raise UserError("Parquet needs an --output such as scored.parquet, without .gz")
    return kind, packed


def text_writer(out: Lines, keep: Sequence[str], kind: str, between: str) -> Writer:
    """A writer of lines; `between` stands between two columns of `top` in one cell of a CSV."""
    return JsonWriter(out, keep) if kind == "jsonl" else CsvWriter(out, keep, between)


@contextlib.contextmanager
def file_writer(
    path: Path, keep: Sequence[str], kind: str, packed: bool, between: str
) -> Iterator[Writer]:
    """A writer into a file that is there whole or not at all; arguments as `format_of` says.

    Raises:
        UserError: it cannot be written; what was there stays.
    """
    with contextlib.ExitStack() as stack:
        file: Any = stack.enter_context(whole_file(path))
        if kind == "parquet":
            yield stack.enter_context(contextlib.closing(ParquetWriter(file, keep, between)))
            return
        if packed:  # without name and time: the same rows are the same bytes
            file = stack.enter_context(gzip.GzipFile("", "wb", 5, file, mtime=0))
        text = io.TextIOWrapper(file, "utf-8", newline="")
        yield text_writer(text, keep, kind, between)
        text.flush()
        text.detach()  # the file is closed by whom opened it


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[io.BufferedIOBase]:
    """A binary file that appears under its name only when all of it is written.

    Raises:
        UserError: it cannot be written; what was there stays.
    """
    named, path = path, path.resolve()  # a link stays one
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"--output {named} cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):  # the folder is not one, say
            temporary.unlink()
