"""Score rows of a table with an exported detector.

    python -m jaxdl.score RUN_OR_FILE table.csv --output scored.csv
    python -m jaxdl.score RUN_OR_FILE table.csv.gz --output scored.parquet
    python -m jaxdl.score RUN_OR_FILE book.xlsx --sheet March --output scored.csv
    python -m jaxdl.score RUN_OR_FILE parts/ --output alerts.jsonl --only-flagged
    some_source | python -m jaxdl.score RUN_OR_FILE - --format jsonl
    python -m jaxdl.score RUN_OR_FILE --describe
    some_source | python -m jaxdl.score --series     (a live time series; see jaxdl.live)

RUN_OR_FILE is a scorer file, or the folder of a run that wrote one (scorer.jaxdl). It holds the
columns' arithmetic, the model or ensemble, and the threshold; its sum is checked and its stored
example rows are scored again before anything else. Only JAX and NumPy are needed, pyarrow where a
file is Parquet or Excel (openpyxl, too) or the scorer was made from a table with words and dates.
Where pyarrow is installed, a CSV is read several times as fast.

Input: a CSV, gzipped or not, a Parquet file or a folder of Parquet parts, of any size, or a sheet
of an Excel workbook (.xlsx). No line break stands inside a cell of a CSV. The header names the
scorer's columns in any order. From standard input (CSV) each row is answered as soon as it is
there.
  - A scorer of numbers (card transactions) wants comma-separated numbers, none missing. A column
    Class may be there and is not read; a further one must be named with --keep.
  - A scorer of any table (--describe shows its schema) reads what training read: comma, semicolon,
    tab or bar between cells, decimal point or comma, UTF-8 or cp949. Missing cells and values that
    were never seen are scored. Columns that the schema does not know, and the label, are not read.
--keep COLUMN carries a column over.

The last line on the terminal also names columns of any table that no longer look as they did when
the scorer learned: population stability index above 0.25 over 500 rows or more.

A row that cannot be read (no number where one must be, out of the range of float32, negative where
it may not be, too few or too many cells) is left unscored: its column problem says why, the last
line on the terminal counts such rows and says where the first is, and --only-flagged keeps them.
With --strict the first such row ends the command with status 2.

Output: CSV, JSON lines (.jsonl) or Parquet (.parquet) by the name of --output; .csv.gz and
.jsonl.gz are gzipped. One line a row: row (counted from 1), score (higher is worse), flag (1 or
true: score above the threshold), p_value (share of normal rows that score as high; see --describe
for which rows), top (the columns that raise the score, each with its share of what raises it; of
flagged rows, or see --explain), values (what the row itself has in them, "another value" where
the word was never seen). Where the scorer holds rows that it learned from, at most 1,024 drawn from
them: nearest (the one most like the row, by its number in the data that it learned from, counted
from 1; a run's report looks among all of them), distance (in standard deviations, or in encoded
features of any table), usual (its values in the columns of top). Then problem. Text in a CSV that a
spreadsheet would take for a formula gets an apostrophe in front. Of a row with too few cells
--keep carries over those that are there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxdl.errors import UserError
from jaxdl.serving.command import Parser, hold_standard_streams, one_line
from jaxdl.serving.score_writer import (
    FIELDS,
    FORMATS,
    SPREADSHEETS,
    Reason,
    Scored,
    Writer,
    file_writer,
    format_of,
    text_writer,
)
from jaxdl.serving.table_reader import (
    Chunk,
    NumberTable,
    Problem,
    Table,
    file_reader,
    pipe_reader,
    read_ahead,
    read_csv,
    read_parquet,
    read_workbook,
)

if TYPE_CHECKING:
    from jaxdl.serving.scorer_file import Scorer
    from jaxdl.tables.drift import Stability
    from jaxdl.tables.schema import Column

DRIFT_ROWS = 2_048  # of a chunk, at most, are looked at for drift
LEAST_DRIFT_ROWS = 500  # fewer differ from the learnt ones by chance
MANY_BYTES = 1 << 20  # an input with thousands of rows
EXIT_CODES = """\
exit status: 0 the rows were scored, or marked as not to be read; 2 a mistake in the call, the
scorer or the data, no row that could be scored, or with --strict any that could not, told in one
line: nothing is left at --output then, and a file's rows are printed only when all is well; 130
after Ctrl-C, 143 after SIGTERM.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["--series"]:
        from jaxdl.serving import live

        return live.main(argv[1:])
    closed = hold_standard_streams()
    with contextlib.suppress(ValueError):  # only the main thread may do this
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        options = _parser().parse_args(argv)
        _refuse_closed(options, closed)
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `... | head` closed the pipe: nothing more to say
        _drop_standard_output()
        return 0
    except (UserError, OSError) as error:
        known = isinstance(error, OSError) and error.strerror
        text = f"{error.filename or 'output'}: {error.strerror}" if known else str(error)
        print(f"error: {one_line(text)}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # a full disk, say
            _drop_standard_output()
        return 2
    return 0


def _drop_standard_output() -> None:
    """Let what is still to be printed vanish, so that the interpreter ends without a complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _refuse_closed(options: argparse.Namespace, closed: set[str]) -> None:
    """Raises UserError where a standard stream is needed that the caller has closed."""
    if "stdin" in closed and options.input == "-":
        raise UserError("standard input is closed: there is nothing to read")
    if "stdout" in closed and (options.output is None or options.describe):
        raise UserError("standard output is closed: give --output")


def _parser() -> Parser:
    parser = Parser(
        prog="python -m jaxdl.score",
        usage="python -m jaxdl.score RUN_OR_FILE INPUT [--output FILE] [options]",
        description=__doc__,
        epilog=EXIT_CODES,
    )
    add = parser.add_argument
    add("scorer", metavar="RUN_OR_FILE", type=Path, help="scorer file or run folder")
    add("input", metavar="INPUT", nargs="?", help="CSV, Parquet or .xlsx, or - for standard input")
    add("--output", type=Path, metavar="FILE", help="write here, whole or not at all")
    add("--format", choices=FORMATS, help="default: by --output's name, else csv")
    add("--sheet", metavar="NAME", help="of an Excel workbook; default: the first one")
    add("--explain", choices=("flagged", "all", "none"), default="flagged", help="rows with top")
    add("--top", type=int, default=3, metavar="N", help="columns in top (3)")
    add("--keep", action="append", default=[], metavar="COLUMN", help="carry it over; repeatable")
    add("--only-flagged", action="store_true", help="leave out scored rows that are not flagged")
    add("--strict", action="store_true", help="refuse a table with a row that cannot be read")
    add("--sha256", metavar="SUM", help="refuse the scorer unless this is its sum")
    add("--describe", action="store_true", help="print what the scorer says of itself as JSON")
    return parser


def run(options: argparse.Namespace) -> None:
    """Everything the command does.

    Raises:
        UserError: one line that says what is wrong.
    """
    source = _checked_input(options)
    kind, packed = format_of(options.output, options.format)
    from jaxdl.serving import scorer_file

    scorer_file.prefer_latency()
    many_rows = source is not None and _bytes_in(source) > MANY_BYTES
    scorer = scorer_file.load(options.scorer, options.sha256, many_rows=many_rows)
    if options.describe:
        print(json.dumps({**scorer.metadata, "sha256": scorer.sha256}, indent=2))
        return
    table = _table(scorer, options.keep)
    # names of a user's columns may hold spaces
    between = "; " if scorer.has_schema else " "
    with contextlib.suppress(ValueError):  # only the main thread may do this
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        if options.output is not None:
            writer = stack.enter_context(
                file_writer(options.output, table.keep, kind, packed, between)
            )
        else:
            out = sys.stdout if source is None else stack.enter_context(_printed_at_the_end())
            writer = text_writer(out, table.keep, kind, between)
        scoring = _Scoring(scorer, options)
        with _Progress(source, options.input) as progress:
            for chunk in _named(source, _chunks(source, table, options.sheet), options.strict):
                scoring.write(writer, chunk)
                if source is None:
                    sys.stdout.flush()
                progress(chunk, scoring.flagged)
        if scoring.rows == scoring.bad:
            raise UserError(
                f"{source or 'standard input'}: no row can be scored; the first of "
                f"{scoring.bad:,}: {scoring.first}"
            )
    print(scoring.summary(), file=sys.stderr)


def _checked_input(options: argparse.Namespace) -> Path | None:
    """The input's path, None for standard input.

    Raises:
        UserError: the call cannot be right.
    """
    if options.input is None and not options.describe:
        raise UserError("name an input: file.csv, file.parquet, or - for standard input")
    if options.top < 1:
        raise UserError(f"--top {options.top}: at least one column")
    source = None if options.input in (None, "-") else Path(options.input)
    if source is not None and not (source.is_file() or _is_folder_of_parts(source)):
        raise UserError(f"{source} is not a file or a folder of Parquet files")
    is_sheet = source is not None and source.suffix.lower() in SPREADSHEETS
    if options.sheet is not None and not is_sheet:
        raise UserError(f"--sheet {options.sheet} goes with a workbook (.xlsx)")
    output = options.output
    if source is not None and output is not None and source.resolve() == output.resolve():
        raise UserError("--output is the input; give another name")
    if output is not None and output.exists() and not output.is_file():
        raise UserError(f"--output {output} is no plain file; leave it out to print")
    return source


def _bytes_in(source: Path) -> int:
    files = source.rglob("*.parquet") if source.is_dir() else [source]
    return sum(file.stat().st_size for file in files)


def _is_folder_of_parts(path: Path) -> bool:
    return path.is_dir() and any(path.rglob("*.parquet"))


def _table(scorer: Scorer, keep: Sequence[str]) -> Table:
    """What the scorer wants of a table."""
    of_numbers = () if scorer.has_schema else scorer.columns
    taken = sorted({*FIELDS, *of_numbers} & set(keep))
    if taken:
        raise UserError(f"--keep {taken[0]} is a column of the output or the scorer")
    if len(set(keep)) != len(keep):
        raise UserError("--keep names a column twice")
    if not scorer.has_schema:
        return NumberTable(scorer.columns, scorer.nonnegative, tuple(keep))
    try:
        from jaxdl.serving.typed_table import TypedTable

        schema = scorer.schema
    except ImportError as error:
        raise UserError("this scorer needs the package pyarrow to read a table") from error
    assert schema is not None
    return TypedTable(schema, tuple(keep))


def _chunks(source: Path | None, table: Table, sheet: str | None) -> Iterator[Chunk]:
    if source is None:
        return read_csv(pipe_reader(), table)
    if source.is_dir() or source.suffix.lower() in (".parquet", ".pq"):
        return read_ahead(read_parquet(source, table))
    if source.suffix.lower() in SPREADSHEETS:
        return read_ahead(read_workbook(source, table, sheet))
    return read_ahead(read_csv(file_reader(source), table))


def _named(source: Path | None, chunks: Iterator[Chunk], strict: bool) -> Iterator[Chunk]:
    """The same chunks; a fault gets the name of the input in front.

    Raises:
        UserError: the input cannot be read, or where it is `strict`, one of its rows.
    """
    try:
        for chunk in chunks:
            if strict and chunk.problems:
                raise UserError(next(iter(chunk.problems.values())))
            yield chunk
    except (UserError, OSError) as error:
        problem = getattr(error, "strerror", None) or error
        raise UserError(f"{source or 'standard input'}: {problem}") from error


class _Scoring:
    """Scores chunks, has their lines written, and counts.

    Attributes:
        rows, flagged, bad: so far.
        first: the first row that cannot be scored.
    """

    def __init__(self, scorer: Scorer, options: argparse.Namespace):
        self.scorer, self.options = scorer, options
        self.schema = scorer.schema if scorer.has_schema else None
        self.rows = self.flagged = self.bad = 0
        self.stability = self._stability()
        self.first: Problem | None = None

    def _stability(self) -> Stability | None:
        """What counts how the columns have changed since they were learnt; of any table only."""
        if self.schema is None or not len(self.scorer.normal_numbers):
            return None
        from jaxdl.tables.drift import Stability

        return Stability(self.scorer.normal_values, self.schema)

    def write(self, writer: Writer, chunk: Chunk) -> None:
        """Score a chunk and write its rows.

        Raises:
            UserError: a row has no finite score, and the call is strict.
        """
        count = len(chunk.rows)
        scores, flags = np.full(count, np.nan, np.float32), np.zeros(count, bool)
        good = np.ones(count, bool)
        good[list(chunk.problems)] = False
        if good.any():
            readable = chunk.rows[good]
            scores[good], flags[good] = self.scorer.score(readable)
            if self.stability is not None:
                step = -(-count // DRIFT_ROWS)
                self.stability.add(readable[::step])
        problems = chunk.problems | self._without_score(chunk, scores, good)
        flags[list(problems)] = False
        self._count(count, flags, problems)
        nothing, everything = np.zeros(count, bool), np.isfinite(scores)
        shown = flags | ~everything if self.options.only_flagged else np.ones(count, bool)
        chosen = {"flagged": flags, "all": everything & shown, "none": nothing}
        reasons = self._why(chunk.rows, scores, chosen[self.options.explain])
        places = np.flatnonzero(shown)
        scored = Scored(
            chunk.first + np.arange(count),
            scores,
            flags,
            self.scorer.p_values(scores),
            chunk.kept,
            reasons,
            {place: problem.what for place, problem in problems.items()},
        )
        writer.write(scored if len(places) == count else _only(scored, places))

    def _without_score(
        self, chunk: Chunk, scores: np.ndarray, good: np.ndarray
    ) -> dict[int, Problem]:
        """Rows of finite values without a finite score: the square of a large value, say."""
        places = np.flatnonzero(good & ~np.isfinite(scores)).tolist()
        scores[places] = np.nan
        what = "no finite score: its values are out of all range"
        found = {place: Problem(f"row {chunk.first + place}", what) for place in places}
        if found and self.options.strict:
            raise UserError(str(found[places[0]]))
        return found

    def _count(self, rows: int, flags: np.ndarray, problems: dict[int, Problem]) -> None:
        self.rows += rows
        self.flagged += int(flags.sum())
        self.bad += len(problems)
        if self.first is None and problems:
            self.first = problems[min(problems)]

    def summary(self) -> str:
        """The line at the end."""
        limit = self.scorer.threshold["value"]
        text = f"{self.rows:,} rows, {self.flagged:,} flagged (score > {limit:g})"
        if self.bad:
            rows = "1 bad row" if self.bad == 1 else f"{self.bad:,} bad rows"
            text += f"; {rows} left unscored, the first is {self.first}"
        changed = self._changed()
        if changed:
            text += f"; no longer as learnt (stability index): {', '.join(changed)}"
        if self.scorer.metadata["provenance"].get("simulated"):
            text += "; the scorer was trained on SIMULATED data"
        return text

    def _changed(self) -> list[str]:
        """Columns that a detector should not be trusted on before somebody has looked."""
        if self.stability is None or self.stability.rows < LEAST_DRIFT_ROWS:
            return []
        from jaxdl.tables.drift import reading

        indices = sorted(self.stability.indices().items(), key=lambda pair: -pair[1])
        return [f"{name} {index:.2f}" for name, index in indices if reading(index) == "changed"]

    def _why(self, rows: np.ndarray, scores: np.ndarray, chosen: np.ndarray) -> dict[int, Reason]:
        """Row in the chunk -> what is told of it."""
        index = np.flatnonzero(chosen)
        if not len(index):
            return {}
        parts = self.scorer.explain(rows[index])
        raising = np.maximum(np.where(np.isfinite(parts), parts, 0), 0)  # not finite: an overflow
        shares = raising / np.maximum(raising.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        order = np.argsort(-parts, axis=1, kind="stable")[:, : self.options.top]
        names, found = self.scorer.features, {}
        for i, share, best in zip(index.tolist(), shares, order.tolist(), strict=True):
            top = [(names[j], float(share[j])) for j in best]
            found[i] = Reason(top, self._values(rows[i], best))
        if not len(self.scorer.normal_numbers):
            return found
        places, apart = self.scorer.nearest(rows[index])
        normal = zip(places.tolist(), apart, order.tolist(), strict=True)
        for i, (place, distance, best) in zip(found, normal, strict=True):
            usual = [(names[j], self._usual(place, j)) for j in best]
            number = int(self.scorer.normal_numbers[place])
            far = float(f"{distance:.4g}") if np.isfinite(distance) else None
            found[i] = found[i]._replace(nearest=number, distance=far, usual=usual)
        return found

    def _values(self, row: np.ndarray, best: list[int]) -> list[tuple[str, float | str | None]]:
        """What a row has in the columns that raise its score, each by the table's own name."""
        columns = self.scorer.columns
        if len(columns) != len(self.scorer.features):  # nobody knows which is whose
            return []
        values = [self._shown(float(row[j]), j) for j in best]
        return [(columns[j], value) for j, value in zip(best, values, strict=True)]

    def _usual(self, place: int, feature: int) -> float | str | None:
        """What a normal row has in a column, as the user would write it."""
        return self._shown(float(self.scorer.normal_values[place, feature]), feature)

    def _shown(self, value: float, feature: int) -> float | str | None:
        """A stored number as the user would write it."""
        if self.schema is None:
            return float(f"{value:.6g}")
        return cell_of_code(self.schema.used[feature], value)


def cell_of_code(column: Column, code: float) -> float | str | None:
    """What a code stands for: a number, a category's word, a date as ISO text, None for nothing."""
    if np.isnan(code):
        return None
    if column.kind == "number":
        return code
    if column.kind == "date":
        try:
            return datetime.fromtimestamp(code, UTC).isoformat()
        except (ValueError, OverflowError, OSError):  # no date of the calendar
            return code
    known = 0 <= code < len(column.categories)
    return column.categories[int(code)] if known else "another value"


def _only(scored: Scored, places: np.ndarray) -> Scored:
    """The rows at these places."""
    new = {old: i for i, old in enumerate(places.tolist())}
    return Scored(
        scored.numbers[places],
        scored.scores[places],
        scored.flags[places],
        scored.p_values[places],
        [[cells[i] for i in new] for cells in scored.kept],
        {new[old]: reason for old, reason in scored.reasons.items() if old in new},
        {new[old]: problem for old, problem in scored.problems.items() if old in new},
    )


@contextlib.contextmanager
def _printed_at_the_end() -> Iterator[Any]:
    """A temporary file that is printed when all went well: rows of a file appear all or none."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as spool:
        yield spool
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout)


class _Progress:
    """A bar over the bytes of a file, on a terminal."""

    def __init__(self, source: Path | None, name: str):
        self.bar, self.seen = None, 0
        if source is None or not sys.stderr.isatty():
            return
        with contextlib.suppress(ImportError):  # the bar is a comfort, not a need
            from tqdm import tqdm

            # how large a gzipped file is shows at its end only
            known = source.is_file() and source.suffix.lower() != ".gz"
            size = source.stat().st_size if known else None
            self.bar = tqdm(total=size, desc=name, unit="B", unit_scale=True, leave=False)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: Any) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, chunk: Chunk, flags: int) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str(
                f"{chunk.first + len(chunk.rows) - 1:,} rows, {flags:,} flagged"
            )
            self.bar.update(chunk.bytes_read - self.seen)
            self.seen = chunk.bytes_read
