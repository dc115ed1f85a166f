"""Score transactions with an exported detector.

    python -m jaxdl.score RUN_OR_FILE transactions.csv --output scored.csv
    python -m jaxdl.score RUN_OR_FILE transactions.parquet --output alerts.jsonl --only-flagged
    some_source | python -m jaxdl.score RUN_OR_FILE - --format jsonl
    python -m jaxdl.score RUN_OR_FILE --describe
    some_source | python -m jaxdl.score --series     (a live time series; see jaxdl.live)

RUN_OR_FILE is a scorer file, or the folder of a run that wrote one (scorer.jaxdl). It holds the
columns' arithmetic, the model or ensemble, and the threshold; its sum is checked and its stored
example rows are scored again before anything else. Only JAX and NumPy are needed, and pyarrow where
the input is Parquet.

Input: a header that names the scorer's columns in any order; a column Class may be there and is not
read. A further column must be named with --keep, which carries it over. Files may be of any size.
From standard input each row is answered as soon as it is there.

Output, one line a row: row (counted from 1), score (higher is worse), flag (1 or true: score above
the threshold), p_value (share of normal rows that score as high; see --describe for which rows),
top (the columns that make the score, with their share of it; of flagged rows, or see --explain).
Where the scorer holds normal rows: nearest (the one most like the row, by its number in the data
that the scorer learned from), distance (in standard deviations), usual (its values in the columns
of top).
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np

from jaxdl.errors import UserError
from jaxdl.serving.command import Parser
from jaxdl.serving.table_reader import (
    Chunk,
    Wanted,
    file_reader,
    pipe_reader,
    read_csv,
    read_parquet,
)

if TYPE_CHECKING:
    from jaxdl.serving.scorer_file import Scorer

FIELDS = ("row", "score", "flag", "p_value", "top", "nearest", "distance", "usual")
EXIT_CODES = """\
exit status: 0 all rows were scored; 2 a mistake in the call, the scorer or the data, told in one
line: nothing is left at --output then, and a file's rows are printed only when all of them are
good; 130 after Ctrl-C, 143 after SIGTERM.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["--series"]:
        from jaxdl.serving import live

        return live.main(argv[1:])
    with contextlib.suppress(ValueError):  # only the main thread may do this
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        options = _parser().parse_args(argv)
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `... | head` closed the pipe: nothing more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (UserError, OSError) as error:
        known = isinstance(error, OSError) and error.strerror
        text = f"{error.filename or 'output'}: {error.strerror}" if known else str(error)
        print(f"error: {' '.join(text.split())}", file=sys.stderr)
        return 2
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m jaxdl.score",
        usage="python -m jaxdl.score RUN_OR_FILE INPUT [--output FILE] [options]",
        description=__doc__,
        epilog=EXIT_CODES,
    )
    add = parser.add_argument
    add("scorer", metavar="RUN_OR_FILE", type=Path, help="scorer file or run folder")
    add("input", metavar="INPUT", nargs="?", help="file.csv, file.parquet, or - for standard input")
    add("--output", type=Path, metavar="FILE", help="write here, whole or not at all")
    add("--format", choices=("csv", "jsonl"), help="default: by --output's name, else csv")
    add("--explain", choices=("flagged", "all", "none"), default="flagged", help="rows with top")
    add("--top", type=int, default=3, metavar="N", help="columns in top (3)")
    add("--keep", action="append", default=[], metavar="COLUMN", help="carry it over; repeatable")
    add("--only-flagged", action="store_true", help="leave out rows that are not flagged")
    add("--sha256", metavar="SUM", help="refuse the scorer unless this is its sum")
    add("--describe", action="store_true", help="print what the scorer says of itself as JSON")
    return parser


def run(options: argparse.Namespace) -> None:
    """Everything the command does.

    Raises:
        UserError: one line that says what is wrong.
    """
    if options.input is None and not options.describe:
        raise UserError("name an input: file.csv, file.parquet, or - for standard input")
    if options.top < 1:
        raise UserError(f"--top {options.top}: at least one column")
    source = None if options.input in (None, "-") else Path(options.input)
    if source is not None and not source.is_file():
        raise UserError(f"{source} is not a file")
    if None not in (source, options.output) and source.resolve() == options.output.resolve():
        raise UserError("--output is the input; give another name")
    if options.output is not None and options.output.exists() and not options.output.is_file():
        raise UserError(f"--output {options.output} is no plain file; leave it out to print")
    from jaxdl.serving import scorer_file

    scorer_file.prefer_latency()
    scorer = scorer_file.load(options.scorer, options.sha256)
    if options.describe:
        print(json.dumps({**scorer.metadata, "sha256": scorer.sha256}, indent=2))
        return
    taken = sorted({*FIELDS, *scorer.columns} & set(options.keep))
    if taken:
        raise UserError(f"--keep {taken[0]} is a column of the output or the scorer")
    wanted = Wanted(scorer.columns, scorer.nonnegative, tuple(options.keep))
    suffix = options.output.suffix if options.output else ""
    kind = options.format or ("jsonl" if suffix in (".jsonl", ".ndjson") else "csv")
    write = _Writer(scorer, options, kind)
    with contextlib.suppress(ValueError):  # only the main thread may do this
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with _destination(options.output, direct=source is None) as out:
        chunks = _named(source, _chunks(source, wanted))
        rows = flags = 0
        with _Progress(source, options.input) as progress:
            for chunk in chunks:
                if not rows:
                    write.header(out)
                flags += write(out, chunk)
                rows += len(chunk.rows)
                if source is None:
                    out.flush()
                progress(chunk, flags)
    origin = scorer.metadata["provenance"].get("simulated")
    note = "; the scorer was trained on SIMULATED data" if origin else ""
    print(f"{rows:,} rows, {flags:,} flagged (score > {write.limit:g}){note}", file=sys.stderr)


def _chunks(source: Path | None, wanted: Wanted) -> Iterator[Chunk]:
    if source is None:
        return read_csv(pipe_reader(), wanted)
    if source.suffix.lower() in (".parquet", ".pq"):
        return read_parquet(source, wanted)
    return read_csv(file_reader(source), wanted)


def _named(source: Path | None, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same chunks; a fault gets the name of the input in front."""
    try:
        yield from chunks
    except (UserError, OSError) as error:
        problem = getattr(error, "strerror", None) or error
        raise UserError(f"{source or 'standard input'}: {problem}") from error


class _Reason(NamedTuple):
    """What is told of a row beside its score.

    Attributes:
        top: columns of the largest contribution, with share of the score.
        nearest, distance: number of the nearest normal row, and how far it is.
        usual: this normal row's values in the columns of `top`.
    """

    top: Sequence[tuple[str, float]] = ()
    nearest: int | None = None
    distance: float | None = None
    usual: Sequence[tuple[str, float]] = ()


class _Writer:
    """Scores chunks and writes their lines."""

    def __init__(self, scorer: Scorer, options: argparse.Namespace, kind: str):
        self.scorer, self.options, self.kind = scorer, options, kind
        self.limit = scorer.threshold["value"]

    def header(self, out: TextIO) -> None:
        if self.kind == "csv":
            csv.writer(out, lineterminator="\n").writerow([*self.options.keep, *FIELDS])

    def __call__(self, out: TextIO, chunk: Chunk) -> int:
        """Write a chunk; returns how many rows are flagged."""
        scores, flags = self.scorer.score(chunk.rows)
        if not np.isfinite(scores).all():
            row = chunk.first + int(np.argmin(np.isfinite(scores)))
            raise UserError(f"row {row} has no finite score: its values are out of all range")
        shown = flags if self.options.only_flagged else np.ones(len(flags), bool)
        chosen = {"flagged": flags & shown, "all": shown, "none": np.zeros(len(flags), bool)}
        why = self._why(chunk.rows, scores, chosen[self.options.explain])
        p_values = self.scorer.p_values(scores)
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        for i in np.flatnonzero(shown).tolist():
            kept = chunk.kept[i] if chunk.kept else []
            score, p_value = float(f"{scores[i]:.9g}"), float(p_values[i])
            row, flag, reason = chunk.first + i, bool(flags[i]), why.get(i, _Reason())
            if self.kind == "csv":
                shares = " ".join(f"{name}:{share:.2f}" for name, share in reason.top)
                like = " ".join(f"{name}:{value:.4g}" for name, value in reason.usual)
                cells = [row, f"{score:.9g}", int(flag), f"{p_value:.6g}", shares]
                cells += [reason.nearest, reason.distance, like]
                writer.writerow([*map(harmless, kept), *cells])
            else:
                carried = dict(zip(self.options.keep, kept, strict=True))
                top = [[name, round(share, 4)] for name, share in reason.top]
                values = (row, score, flag, p_value, top, *reason[1:])
                record = {**carried, **dict(zip(FIELDS, values, strict=True))}
                lines.write(json.dumps(record, ensure_ascii=False) + "\n")
        out.write(lines.getvalue())
        return int(flags.sum())

    def _why(self, rows: np.ndarray, scores: np.ndarray, chosen: np.ndarray) -> dict[int, _Reason]:
        """Row in the chunk -> what is told of it."""
        index = np.flatnonzero(chosen)
        if not len(index):
            return {}
        parts = self.scorer.explain(rows[index])
        shares = parts / np.where(scores[index] == 0, 1, scores[index])[:, None]
        order = np.argsort(-parts, axis=1, kind="stable")[:, : self.options.top]
        names, found = self.scorer.features, {}
        for i, share, best in zip(index.tolist(), shares, order.tolist(), strict=True):
            found[i] = _Reason([(names[j], float(share[j])) for j in best])
        if not len(self.scorer.normal_numbers):
            return found
        places, apart = self.scorer.nearest(rows[index])
        normal = zip(places.tolist(), apart, order.tolist(), strict=True)
        for i, (place, distance, best) in zip(found, normal, strict=True):
            values = self.scorer.normal_values[place]
            usual = [(names[j], float(f"{values[j]:.6g}")) for j in best]
            number = int(self.scorer.normal_numbers[place])
            found[i] = found[i]._replace(
                nearest=number, distance=float(f"{distance:.4g}"), usual=usual
            )
        return found


def harmless(cell: str) -> str:
    """A text cell that no spreadsheet takes for a formula: a quote goes in front of one."""
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        try:
            float(cell)
        except ValueError:
            return "'" + cell
    return cell


@contextlib.contextmanager
def _destination(path: Path | None, direct: bool) -> Iterator[TextIO]:
    """Where lines go. A file appears under its name only when it is whole; what is printed from a
    file waits in a temporary one for the same reason. Standard input is answered at once."""
    if path is None and direct:
        yield sys.stdout
        return
    if path is None:
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as spool:
            yield spool
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout)
        return
    named, path = path, path.resolve()  # a link stays one
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"--output {named} cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):  # the folder is not one, say
            temporary.unlink()


class _Progress:
    """A bar over the bytes of a file, on a terminal."""

    def __init__(self, source: Path | None, name: str):
        self.bar, self.seen = None, 0
        if source is None or not sys.stderr.isatty():
            return
        with contextlib.suppress(ImportError):  # the bar is a comfort, not a need
            from tqdm import tqdm

            size = source.stat().st_size
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
