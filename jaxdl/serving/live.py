"""A live time series on standard input, a score for each event on standard output.

    tail -f values.csv | python -m jaxdl.live --step-seconds 1800 --state taxi.npz

Lines are `value` or `timestamp,value`; a header line is passed over. The answer to each line is one
line of JSON, written at once: {"row", "time", "value", "score", "alarm"}. With time stamps, rows
that are missing are filled in as missing; a time stamp that goes back, or a line that is no number,
is answered with {"error"} and skipped. `--state` is read if it exists and written at the end and
every `--save-every` rows, so that a restart goes on where it stopped.

`python -m jaxdl.score --series` is the same. Exit status: 0 at the end of the input; 2 for a
mistake in the call or the state file; 130 after Ctrl-C and 143 after SIGTERM, with the state saved.
"""

import contextlib
import json
import math
import os
import signal
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.errors import UserError
from jaxdl.serving.command import Parser

MOST_MISSING_DAYS = 7
MOST_CHARACTERS = 4096
FORMAT = 1


@dataclass(frozen=True)
class Options:
    """Options of `python -m jaxdl.live`.

    Attributes:
        step_seconds: time between two events.
        threshold: mean surprise (decades) that begins an alarm; None: the detector's own.
        state: file that the detector's memory is kept in (.npz, no pickle).
        save_every: rows between two saves of the state.
    """

    step_seconds: int = 300
    threshold: float | None = None
    state: Path | None = None
    save_every: int = 1000


class Live:
    """The detector with its clock. `answers` turns lines into records.

    Raises:
        UserError: the step is not between a second and a day, or the state file cannot be used.
    """

    def __init__(self, options: Options):
        import jax

        from jaxdl.timeseries import streaming

        if not 1 <= options.step_seconds <= 86400:
            raise UserError(f"--step-seconds {options.step_seconds}: give 1 to 86400")
        if options.save_every < 1:
            raise UserError(f"--save-every {options.save_every}: give 1 or more")
        self.options = options
        if options.threshold is not None and not math.isfinite(options.threshold):
            raise UserError(f"--threshold {options.threshold}: give a finite number")
        if options.state is not None and not options.state.absolute().parent.is_dir():
            raise UserError(f"--state {options.state}: there is no such folder")
        settings = streaming.DEFAULT
        if options.threshold is not None:
            settings = settings._replace(threshold=options.threshold)
        self.step = jax.jit(lambda state, value: streaming.step(state, value, settings))
        self.detector = streaming.start(86400 // options.step_seconds)
        self.last: datetime | None = None
        self.unsaved = 0
        if options.state is not None and options.state.exists():
            self.detector, self.last = load(options.state, options.step_seconds)

    def answers(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        """One record for each line; empty lines and a header give none.

        Raises:
            OSError: the state file cannot be written.
        """
        first = True
        for line in lines:
            text = line.strip().lstrip("\ufeff")
            if not text:
                continue
            try:
                time, value = parse(text)
                yield self.event(time, value)
                if self.unsaved >= self.options.save_every:
                    self.save()
            except ValueError as error:
                header = first and not any(ch.isdigit() for ch in text)
                if not header:
                    yield {"error": str(error)}
            first = False

    def event(self, time: datetime | None, value: float) -> dict[str, Any]:
        """Score one event, after filling in the rows that are missing before it.

        Raises:
            ValueError: the time stamp is not later than the one before, or the gap is too long.
        """
        if time is not None and self.last is not None:
            late = round((time - self.last).total_seconds() / self.options.step_seconds)
            if late < 1:
                raise ValueError(f"{time} is not a step later than {self.last}; skipped")
            if late * self.options.step_seconds > MOST_MISSING_DAYS * 86400:
                raise ValueError(
                    f"{time} is more than {MOST_MISSING_DAYS} days after {self.last}; start a "
                    "fresh state for the new stretch"
                )
            # what the step makes of a missing value
            missing = np.int32(late - 1)
            self.detector = self.detector._replace(rows=self.detector.rows + missing)
        self.detector, score, flag = self.step(self.detector, np.float32(value))
        self.unsaved += 1
        self.last = time if time is not None else self.last
        return {
            "row": int(self.detector.rows) - 1,
            "time": None if time is None else str(time),
            "value": value if math.isfinite(value) else None,
            "score": round(float(score), 6),
            "alarm": bool(flag),
        }

    def save(self) -> None:
        """Write the state file in one move; nothing without `--state`."""
        self.unsaved = 0
        if self.options.state is not None:
            save(self.options.state, self.detector, self.last, self.options.step_seconds)


def parse(text: str) -> tuple[datetime | None, float]:
    """`value` or `timestamp,value`; an empty value or `nan` is a missing one.

    Raises:
        ValueError: the line is neither.
    """
    stamp, comma, number = text.rpartition(",")
    try:
        time = datetime.fromisoformat(stamp.strip().strip('"')) if comma else None
        value = float(number) if number.strip() else math.nan
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not 'value' or 'timestamp,value'; skipped") from None
    if math.isinf(value) or abs(value) > float(np.finfo(np.float32).max):
        raise ValueError(f"{text[:60]!r}: the value is out of range; skipped")
    if time is not None and time.tzinfo is not None:
        time = time.astimezone(UTC).replace(tzinfo=None)
    return time, value


def save(path: Path, detector: Any, last: datetime | None, step_seconds: int) -> None:
    """State, clock and format number as a plain .npz."""
    from jaxdl.timeseries import streaming

    arrays = {name: np.asarray(leaf) for name, leaf in streaming.to_arrays(detector).items()}
    clock = np.datetime64("NaT", "us") if last is None else np.datetime64(last, "us")
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            np.savez(file, **arrays, clock=clock.astype(np.int64), step=step_seconds, format=FORMAT)
            file.close()
            os.replace(file.name, path)  # noqa: PTH105 - one atomic move
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def load(path: Path, step_seconds: int) -> tuple[Any, datetime | None]:
    """What `save` wrote.

    Raises:
        UserError: not such a file, or of another step.
    """
    from jaxdl.timeseries import streaming

    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not a state of this detector")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        clock, step, form = (int(arrays.pop(name)) for name in ("clock", "step", "format"))
        if form != FORMAT:
            raise ValueError(f"its format is {form}")
        detector = streaming.from_arrays(arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a state of this detector ({error})") from error
    if step != step_seconds:
        raise UserError(f"{path} was made with --step-seconds {step}, not {step_seconds}")
    stamp = np.datetime64(clock, "us")
    return detector, None if np.isnat(stamp) else stamp.astype(datetime)


class _Stopped(Exception):
    """A signal came while the program waited for a line."""


class _Lines:
    """Lines of standard input until its end or a signal, which never cuts an event in two."""

    def __init__(self):
        self.signum, self.waiting = 0, False
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # only the main thread may do this
                signal.signal(number, self._stop)
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")

    def _stop(self, number, frame):
        self.signum = number
        if self.waiting:
            raise _Stopped

    def __iter__(self) -> Iterator[str]:
        with contextlib.suppress(_Stopped):
            while not self.signum:
                self.waiting = True
                line = sys.stdin.readline(MOST_CHARACTERS)
                self.waiting = False
                if not line:
                    return
                yield line


def _options(argv: Sequence[str]) -> Options:
    parser = Parser(
        prog="python -m jaxdl.live",
        usage="python -m jaxdl.live [--step-seconds N] [--state FILE] [options]",
        description=__doc__,
    )
    add, usual = parser.add_argument, Options()
    step, save = usual.step_seconds, usual.save_every
    add("--step-seconds", type=int, default=step, metavar="N", help=f"between two events ({step})")
    add(
        "--threshold",
        type=float,
        metavar="DECADES",
        help="mean surprise that begins an alarm; default: the detector's own",
    )
    add("--state", type=Path, metavar="FILE", help="the detector's memory (.npz, no pickle)")
    add("--save-every", type=int, default=save, metavar="N", help=f"rows between saves ({save})")
    return Options(**vars(parser.parse_args(argv)))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    lines = _Lines()
    rows = alarms = errors = 0
    try:
        options = _options(sys.argv[1:] if argv is None else argv)
        live = Live(options)
        try:
            for record in live.answers(lines):
                rows += "row" in record
                errors += "error" in record
                alarms += record.get("alarm", False)
                print(json.dumps(record), flush=True)
        except BrokenPipeError:  # `... | head` closed the pipe: nothing more to say
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        live.save()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {options.state} cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    print(f"{rows:,} rows, {alarms:,} alarms, {errors:,} lines skipped", file=sys.stderr)
    return 128 + lines.signum if lines.signum else 0
