"""A live time series on standard input, a score for each event on standard output.

    tail -f values.csv | python -m jaxdl.live --state taxi.npz

Lines are `value` or `timestamp,value`; a first line of names is passed over. A time stamp is ISO
8601 (with T or a blank, Z, an offset, fractions of a second; UTC where no zone is named) or the
seconds, milliseconds or microseconds since 1970. The answer to each line is one line of JSON,
written at once: {"row", "time", "value", "score", "alarm"}, and "note" where there is something to
know. A line that is no event is answered with {"error"} and skipped.

Without --step-seconds the time between two events is the median of the first ten differences; the
first eleven events have the score 0. Rows that are missing are filled in as missing, however many.
A stamp that goes back is refused. One more than ten steps ahead is in doubt: if the next event
comes before it, it is taken back. After 100 refused stamps in order the clock counts as set back.

--state is read if it exists and written at the end and every --save-every rows; a journal beside it
(.NAME.journal) holds the rows since then. So after an end of any kind, kill -9 too, a restart goes
on behind the last answer. A row that was written down but not yet answered counts as given. One
process at a time may use a state file.

`python -m jaxdl.score --series` is the same. Exit status: 0 at the end of the input; 2 for a
mistake in the call or the state file, or where an output cannot be written; 130 after Ctrl-C and
143 after SIGTERM, with the state saved.
"""

import contextlib
import functools
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.errors import UserError
from jaxdl.serving import live_clock
from jaxdl.serving.command import Parser, hold_standard_streams, one_line
from jaxdl.serving.live_clock import LiveState, Memory
from jaxdl.serving.live_lines import MOST_CHARACTERS, Event, is_header, parse_event
from jaxdl.serving.live_state import StateFile

FIRST_DIFFERENCES = 10  # of stamps, whose median is the step
USUAL_STEP = timedelta(minutes=5)  # where there are no stamps to tell
# A step this far from the stamps' own is most likely a mistake in the call
TOLERANCE = 0.25


@dataclass(frozen=True)
class Options:
    """Options of `python -m jaxdl.live`.

    Attributes:
        step_seconds: time between two events; None: as the state file or the stamps say.
        threshold: mean surprise (decades) that begins an alarm; None: the detector's own.
        state: file that the detector's memory is kept in (.npz, no pickle).
        save_every: rows between two saves of the state.
    """

    step_seconds: int | float | None = None
    threshold: float | None = None
    state: Path | None = None
    save_every: int = 1000

    def step(self) -> timedelta | None:
        """`step_seconds` as a time."""
        return None if self.step_seconds is None else timedelta(seconds=self.step_seconds)


class Live:
    """The detector with its clock. `answers` turns lines into records.

    Attributes:
        now: the series so far; None while the step is not known.

    Raises:
        UserError: the step is not between a tenth of a second and a day, the state file cannot be
            used, or another process is using it.
    """

    def __init__(self, options: Options):
        _check(options)
        self.options = options
        self._step = _compiled_step(options.threshold)
        self.now: LiveState | None = None
        self._early: list[Event] = []  # before the step is known
        self._first_times: list[datetime] = []  # of this process, to check the step
        self._notes: list[str] = []
        self._unsaved = 0
        self._file = None if options.state is None else StateFile(options.state)
        try:
            self._go_on()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the state file without saving."""
        if self._file is not None:
            self._file.close()

    def _go_on(self) -> None:
        """Start where the state file and its journal end, or anew."""
        step = self.options.step()
        if self._file is not None:
            self.now = self._file.read()
            known = self._file.journaled_step() if self.now is None else self.now.step
            if None not in (step, known) and step != known:
                raise UserError(
                    f"{self.options.state} was made with --step-seconds {known.total_seconds():g}, "
                    f"not {step.total_seconds():g}"
                )
            step = step or known
        if self.now is None and step is not None:
            self.now = _fresh(step)
        if self._file is not None:
            for event in self._file.replay():
                self._answer(event)
                self._unsaved += 1
            self._file.begin_journal(step)
            self._notes.clear()  # they were told
            if self._file.torn:
                self._note("the last line of the journal was torn by a kill and is dropped")

    def answers(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        """One record for each line; empty lines and a header give none.

        Raises:
            UserError: the state file cannot be written.
        """
        first = True
        for line in lines:
            text = line.strip().lstrip("\ufeff")
            if not text:
                continue
            try:
                event = parse_event(text if len(line) < MOST_CHARACTERS else line)
            except ValueError as error:
                if not (first and len(line) < MOST_CHARACTERS and is_header(text)):
                    yield {"error": str(error)}
            else:
                yield self.event(event)
                if self._unsaved >= self.options.save_every:
                    self.save()
            first = False

    def event(self, event: Event) -> dict[str, Any]:
        """The answer to one event, which is written down before it is given.

        Raises:
            UserError: it cannot be written down.
        """
        if self._file is not None:
            self._file.write_down(event)
        self._unsaved += 1
        self._check_step(event.time)
        record = self._answer(event)
        if self._notes:
            record["note"] = "; ".join(self._notes)
            self._notes.clear()
        return record

    def save(self) -> None:
        """Write the state file and cut the journal; nothing without `--state`.

        While the step is not known there is no state yet: the journal has all events.

        Raises:
            UserError: it cannot be written.
        """
        self._unsaved = 0
        if self._file is not None and self.now is not None:
            self._file.save(self.now)

    def _note(self, text: str) -> None:
        self._notes.append(text)

    # ---- the step ------------------------------------------------------------------------

    def _answer(self, event: Event) -> dict[str, Any]:
        """The answer to an event: a function of what came before."""
        if self.now is not None:
            return self._score(event)
        before = self._early[-1].time if self._early else None
        self._early.append(event)
        if event.time is not None and len(self._early) <= FIRST_DIFFERENCES:
            if before is not None and event.time <= before:  # the clock decides later
                return {"error": live_clock.not_later(event.time, before)}
            return _record(len(self._early) - 1, event, 0.0, False)
        return self._begin()

    def _begin(self) -> dict[str, Any]:
        """Choose the step by the events so far, and give them to the detector."""
        times = [event.time for event in self._early if event.time is not None]
        found = live_clock.typical_step(times)
        step = found or USUAL_STEP
        why = f"the median of the first {len(times) - 1} differences" if found else "no stamp tells"
        self._note(f"the step is {step.total_seconds():g} s ({why}); --step-seconds sets it")
        self.now = _fresh(step)
        *earlier, latest = self._early
        self._early = []
        for event in earlier:
            self._score(event)
        self._unsaved = self.options.save_every  # so that the step is kept from now on
        return self._score(latest)

    def _check_step(self, time: datetime | None) -> None:
        """Say once that the stamps have another step than was given."""
        if time is None or self.now is None or len(self._first_times) > FIRST_DIFFERENCES:
            return
        self._first_times.append(time)
        if len(self._first_times) > FIRST_DIFFERENCES:
            found = live_clock.typical_step(self._first_times)
            step = self.now.step
            if found is not None and abs(found / step - 1) > TOLERANCE:
                self._note(
                    f"the stamps are {found.total_seconds():g} s apart (median of the first "
                    f"{FIRST_DIFFERENCES}), but the step is {step.total_seconds():g} s: is "
                    "--step-seconds right?"
                )

    # ---- one event -----------------------------------------------------------------------

    def _score(self, event: Event) -> dict[str, Any]:
        """Place an event by its stamp, score it, learn from it."""
        placement = live_clock.place(self.now, event.time)
        self.now = placement.state
        if placement.note:
            self._note(placement.note)
        if placement.error:
            return {"error": placement.error}
        detector = self.now.memory.detector
        if placement.missing:  # what the step makes of missing values
            detector = detector._replace(rows=detector.rows + np.int32(placement.missing))
        detector, score, flag = self._step(detector, np.float32(event.value))
        self.now = self.now._replace(memory=Memory(detector, self._time_of(event)))
        return _record(int(detector.rows) - 1, event, float(score), bool(flag))

    def _time_of(self, event: Event) -> datetime | None:
        """When the event was; one without a stamp is a step behind the last one."""
        last = self.now.memory.last
        if event.time is not None or last is None:
            return event.time
        with contextlib.suppress(OverflowError):  # the calendar ends
            return last + self.now.step
        return last


def _check(options: Options) -> None:
    """Raises UserError where an option makes no sense."""
    least, most = live_clock.LEAST_STEP.total_seconds(), live_clock.MOST_STEP.total_seconds()
    seconds = options.step_seconds
    if seconds is not None and not least <= seconds <= most:  # not NaN either
        raise UserError(f"--step-seconds {seconds:g}: give {least:g} to {most:.0f}")
    if options.save_every < 1:
        raise UserError(f"--save-every {options.save_every}: give 1 or more")
    if options.threshold is not None and not math.isfinite(options.threshold):
        raise UserError(f"--threshold {options.threshold}: give a finite number")


@functools.cache
def _compiled_step(threshold: float | None) -> Callable:
    """`streaming.step` with this threshold; None: the detector's own."""
    import jax

    from jaxdl.timeseries import streaming

    settings = streaming.DEFAULT
    if threshold is not None:
        settings = settings._replace(threshold=threshold)
    return jax.jit(functools.partial(streaming.step, settings=settings))


def _fresh(step: timedelta) -> LiveState:
    """A series before its first event."""
    from jaxdl.timeseries import streaming

    day = live_clock.rows_of_a_day(step)
    return LiveState(step, Memory(streaming.start(day, min(day, streaming.MOST_SLOTS)), None))


def _record(row: int, event: Event, score: float, alarm: bool) -> dict[str, Any]:
    return {
        "row": row,
        "time": None if event.time is None else str(event.time),
        "value": event.value if math.isfinite(event.value) else None,
        "score": round(score, 6),
        "alarm": alarm,
    }


# ---- the command ---------------------------------------------------------------------------------


class _Stopped(Exception):
    """A signal came while the program waited for a line."""


class _Lines:
    """Lines of standard input until its end or a signal, which never cuts an event in two.

    Of a line that is too long only its first `MOST_CHARACTERS` are handed on, without a line end.
    """

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
                line = self._line()
                self.waiting = False
                if not line:
                    return
                yield line

    def _line(self) -> str:
        """The next line; "" at the end.

        Raises:
            UserError: standard input cannot be read.
        """
        try:
            line = sys.stdin.readline(MOST_CHARACTERS)
            rest = line
            while len(rest) == MOST_CHARACTERS and not rest.endswith("\n"):
                rest = sys.stdin.readline(MOST_CHARACTERS)
        except OSError as error:
            raise UserError(f"standard input cannot be read ({error.strerror})") from error
        return line


def _options(argv: Sequence[str]) -> Options:
    parser = Parser(
        prog="python -m jaxdl.live",
        usage="python -m jaxdl.live [--step-seconds N] [--state FILE] [options]",
        description=__doc__,
    )
    add, save = parser.add_argument, Options().save_every
    add(
        "--step-seconds", type=float, metavar="N", help="between two events; default: by the stamps"
    )
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
    closed = hold_standard_streams()
    lines = _Lines()
    rows = alarms = errors = 0
    try:
        options = _options(sys.argv[1:] if argv is None else argv)
        for name, stream in (("input", "stdin"), ("output", "stdout")):
            if stream in closed:
                raise UserError(f"standard {name} is closed")
        live = Live(options)
        try:
            for record in live.answers(lines):
                rows += "row" in record
                errors += "error" in record
                alarms += record.get("alarm", False)
                if "note" in record:
                    _say(f"note: {record['note']}")
                if not _print(record):
                    break
            live.save()
        finally:
            live.close()
    except UserError as error:
        _say(f"error: {one_line(str(error))}")
        return 2
    _say(f"{rows:,} rows, {alarms:,} alarms, {errors:,} lines skipped")
    return 128 + lines.signum if lines.signum else 0


def _print(record: dict[str, Any]) -> bool:
    """Write an answer; False where nobody reads on (`... | head`).

    Raises:
        UserError: it cannot be written.
    """
    try:
        print(json.dumps(record), flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the exit tries once more
        if isinstance(error, BrokenPipeError):
            return False
        raise UserError(f"standard output cannot be written ({error.strerror})") from error
    return True


def _say(text: str) -> None:
    """A line on standard error, where there is one."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)
