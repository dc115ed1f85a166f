"""A live time series on standard input, a score for each event on standard output.

    tail -f values.csv | python -m jaxdl.live --state taxi.npz
    tail -f values.csv | python -m jaxdl.live RUN - --state taxi.npz
    python -m jaxdl.live RUN --series march.parquet

Without RUN the detector learns from the series itself. RUN is the folder of a run with --series
(nab_benchmark, nab_conv1d_ae), or the file in it: a streaming detector that knows the history and
has the threshold of the run (detector.npz), or a trained model of windows (scorer.jaxdl).

Lines are `value`, or `timestamp,value`, or `timestamp,value,value,...` for several columns, with
commas, semicolons or tabs between them. A first line of names says which cells are what (--time,
--value name them); others are passed over. A time stamp is ISO 8601 (with T or a blank, Z, an
offset, fractions of a second), 3/20/2025 14:05 (--day-first: 20/3/2025), or the seconds,
milliseconds or microseconds since 1970. One without a zone is UTC, or local time in --timezone.

The answer to each line is one line of JSON, written at once: {"row", "time", "value", "score",
"alarm"}; "values" by column where there are several, and "columns", those above the threshold.
"alarm" is true once for each incident, when it begins. When an incident is over the next answer
has "incident": {"start", "end", "peak_time", "peak_score", "columns"}. It is over when the score
has been no higher than the threshold for a tenth of a day (a quarter of a window); a second one on
the same day is another. "note" stands where there is something to know. A line that is no event is
answered with {"error"} and skipped.

Without --step-seconds the time between two events is the run's, or the median of the first ten
differences; the first eleven events have the score 0. Rows that are missing are filled in as
missing, however many. A stamp that goes back is refused. One more than ten steps ahead is in doubt:
if the next event comes before it, it is taken back. After 100 refused stamps in order the clock
counts as set back. (A file with --series is read in its order, by the same rules.)

--state is read if it exists and written at the end and every --save-every rows; a journal beside it
(.NAME.journal) holds the rows since then. So after an end of any kind, kill -9 too, a restart goes
on behind the last answer. A row that was written down but not yet answered counts as given. One
process at a time may use a state file.

`python -m jaxdl.score --series` is the same. Exit status: 0 at the end of the input; 2 for a
mistake in the call or the state file, or where an output cannot be written; 130 after Ctrl-C and
143 after SIGTERM, with the state saved.
"""

import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError
from jaxdl.serving import live_clock, live_export
from jaxdl.serving.command import Parser, hold_standard_streams, one_line
from jaxdl.serving.live_clock import LiveState, Memory, Ongoing
from jaxdl.serving.live_detector import LiveDetector, Said, StreamingDetector
from jaxdl.serving.live_lines import (
    MOST_CHARACTERS,
    Event,
    Layout,
    LineReader,
    column_names,
    is_header,
)
from jaxdl.serving.live_state import StateFile, Stored, layout_of
from jaxdl.stamps import LEAST_STEP, MOST_STEP, SeriesColumns, rows_of_a_day, typical_step
from jaxdl.timeseries import incidents

FIRST_DIFFERENCES = 10  # of stamps, whose median is the step
USUAL_STEP = timedelta(minutes=5)  # where there are no stamps to tell
# A step this far from the stamps' own is most likely a mistake in the call
TOLERANCE = 0.25
CLOCK_CHANGE = timedelta(hours=1)


@dataclass(frozen=True)
class Options:
    """Options of `python -m jaxdl.live`.

    Attributes:
        step_seconds: time between two events; None: as the run, the state file or the stamps say.
        threshold: of the score; None: the detector's own.
        state: file that the detector's memory is kept in (.npz, no pickle).
        save_every: rows between two saves of the state.
        run: a run folder, or a file in it, that a lab left with --series.
        series: file to read in the place of standard input.
        time, value: names of columns, in the header.
        day_first: 3/4/2025 is the third of April.
        timezone: of stamps that name none; None: UTC.
    """

    step_seconds: int | float | None = None
    threshold: float | None = None
    state: Path | None = None
    save_every: int = 1000
    run: Path | None = None
    series: Path | None = None
    time: str | None = None
    value: tuple[str, ...] = ()
    day_first: bool = False
    timezone: str | None = None

    def step(self) -> timedelta | None:
        """`step_seconds` as a time."""
        return None if self.step_seconds is None else timedelta(seconds=self.step_seconds)

    def columns(self) -> SeriesColumns:
        """What is said of columns and stamps."""
        return SeriesColumns(self.time, tuple(self.value), self.day_first, self.timezone)


class Live:
    """The detector with its clock. `answers` turns lines into records.

    Attributes:
        detector: None while columns and step are not known.
        now: the series so far; None while the step is not known.

    Raises:
        UserError: the step is not between a millisecond and a month, run or state file cannot be
            used, or another process is using the state.
    """

    def __init__(self, options: Options):
        _check(options)
        self.options = options
        self.detector: LiveDetector | None = None
        self.now: LiveState | None = None
        self._step = options.step()
        self._early: list[Event] = []  # before the step is known
        self._first_times: list[datetime] = []  # of this process, to check the step
        self._notes: list[str] = []
        self._unsaved = 0
        self._told_clock_change = False
        if options.run is not None:
            loaded = live_export.load(options.run, options.threshold)
            self.detector, self.now = loaded.detector, loaded.state
            self._take_step(loaded.step, f"{options.run} has")
        columns = None if self.detector is None else self.detector.columns
        self.lines = LineReader(options.columns(), columns)
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

    # ---- where to go on ------------------------------------------------------------------

    def _go_on(self) -> None:
        """Start where the state file and its journal end, or anew."""
        if self._file is not None:
            stored = self._file.read()
            if stored is not None:
                self._restore(stored)
            step, layout = self._file.journal_head()
            if stored is None:
                self._take_step(step, f"{self.options.state} was made with")
            self._take_layout(layout)
            for event in self._file.replay():
                self._answer(event)
                self._unsaved += 1
            self._notes.clear()  # they were told
            if self._file.torn:
                self._note("the last line of the journal was torn by a kill and is dropped")
            if self.now is not None:
                self.lines.stamps.after(self.now.memory.last)

    def _restore(self, stored: Stored) -> None:
        """The detector and the series of a state file.

        Raises:
            UserError: it is another detector's, or of another step.
        """
        assert self._file is not None
        if self.detector is None:
            self.detector = self._detector_of(stored.about["detector"])
        self.now = self._file.restore(stored, self.detector)
        self._take_step(self.now.step, f"{self.options.state} was made with")
        try:
            self._take_layout(layout_of(stored))
        except ValueError as error:
            raise UserError(f"{self.options.state} {error}") from error

    def _detector_of(self, key: dict[str, Any]) -> LiveDetector:
        """The streaming detector that a state file is of.

        Raises:
            UserError: it is of a detector that only its run knows.
        """
        columns, day = key.get("columns"), key.get("day")
        good = isinstance(columns, list) and all(isinstance(name, str) for name in columns)
        if key.get("kind") != "streaming" or not good or type(day) is not int or day < 1:
            raise UserError(
                f"{self.options.state} is a state of another detector: name the run that it was "
                "made with"
            )
        return StreamingDetector(tuple(columns), day, self.options.threshold)

    def _take_step(self, step: timedelta | None, where: str) -> None:
        """Take a step that is known from before.

        Raises:
            UserError: another one was given.
        """
        if None not in (step, self._step) and step != self._step:
            raise UserError(
                f"{where} --step-seconds {step.total_seconds():g}, not "
                f"{self._step.total_seconds():g}"
            )
        self._step = self._step or step

    def _take_layout(self, layout: Layout | None) -> None:
        if layout is not None:
            self.lines.layout, self.lines.columns = layout, layout.columns

    # ---- lines ---------------------------------------------------------------------------

    def answers(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        """One record for each line; empty lines and a header give none.

        Raises:
            UserError: the state file cannot be written, or the header lacks a column.
        """
        first = True
        for line in lines:
            text = line.strip().lstrip("\ufeff")
            if not text:
                continue
            short = len(line) < MOST_CHARACTERS
            if first and short and is_header(text):
                self.lines.header(text)
                first = False
                continue
            first = False
            try:
                event = self.lines.event(text if short else line)
            except ValueError as error:
                yield {"error": str(error)}
                continue
            yield self.event(event)
            if self.due:
                self.save()

    @property
    def due(self) -> bool:
        """Whether the state is to be saved."""
        return self._unsaved >= self.options.save_every

    def event(self, event: Event) -> dict[str, Any]:
        """The answer to one event, which is written down before it is given.

        Raises:
            UserError: it cannot be written down.
        """
        if self._file is not None:
            self._file.write_down(event, self._step, self._layout_of(event))
        self._unsaved += 1
        self._check_step(event.time)
        record = self._answer(event)
        if self._notes:
            record["note"] = "; ".join(self._notes)
            self._notes.clear()
        return record

    def _layout_of(self, event: Event) -> Layout:
        """The layout of the lines; that of plain lines where an event came another way."""
        if self.lines.layout is not None:
            return self.lines.layout
        count = len(event.values)
        columns = self.lines.columns or column_names(count)
        return Layout(",", count + 1, 0, tuple(range(1, count + 1)), columns)

    def save(self) -> None:
        """Write the state file and cut the journal; nothing without `--state`.

        While the step is not known there is no state yet: the journal has all events.

        Raises:
            UserError: it cannot be written.
        """
        self._unsaved = 0
        if self._file is not None and self.now is not None and self.detector is not None:
            self._file.save(self.detector, self.now, self.lines.layout)

    def _note(self, text: str) -> None:
        self._notes.append(text)

    # ---- the step ------------------------------------------------------------------------

    def _answer(self, event: Event) -> dict[str, Any]:
        """The answer to an event: a function of what came before."""
        if self.now is None and self._step is not None:
            self._begin(self._step, len(event.values))
        if self.now is not None:
            return self._score(event)
        before = self._early[-1].time if self._early else None
        self._early.append(event)
        if event.time is not None and len(self._early) <= FIRST_DIFFERENCES:
            if before is not None and event.time <= before:  # the clock decides later
                return {"error": live_clock.not_later(event.time, before)}
            return self._record(len(self._early) - 1, event, Said(0.0, ()), alarm=False)
        return self._find_step()

    def _find_step(self) -> dict[str, Any]:
        """Choose the step by the events so far, and give them to the detector."""
        times = [event.time for event in self._early if event.time is not None]
        found = typical_step(times)
        step = found or USUAL_STEP
        why = f"the median of the first {len(times) - 1} differences" if found else "no stamp tells"
        self._note(f"the step is {step.total_seconds():g} s ({why}); --step-seconds sets it")
        *earlier, latest = self._early
        self._early = []
        self._begin(step, len(latest.values))
        for event in earlier:
            self._score(event)
        self._unsaved = self.options.save_every  # so that the step is kept from now on
        return self._score(latest)

    def take_step_of(self, times: Sequence[datetime]) -> list[str]:
        """Take the step of a whole file, where it is not known; what is to be said of it."""
        if self._step is not None or self._early:
            return []
        self._step = typical_step(times)
        if self._step is None:
            return []
        return [
            f"the step is {self._step.total_seconds():g} s (the median of the differences); "
            "--step-seconds sets it"
        ]

    def _begin(self, step: timedelta, columns: int) -> None:
        """A series before its first event."""
        self._step = step
        if self.detector is None:
            names = self.lines.columns or (
                self.lines.layout.columns if self.lines.layout else column_names(columns)
            )
            self.detector = StreamingDetector(names, rows_of_a_day(step), self.options.threshold)
            self.lines.columns = names
        memory = Memory(self.detector.start(), 0, None)
        self.now = LiveState(step, self.detector.day, memory)

    def _check_step(self, time: datetime | None) -> None:
        """Say once that the stamps have another step than was given."""
        step = self._step
        if time is None or step is None or len(self._first_times) > FIRST_DIFFERENCES:
            return
        self._first_times.append(time)
        if len(self._first_times) > FIRST_DIFFERENCES:
            found = typical_step(self._first_times)
            if found is not None and abs(found / step - 1) > TOLERANCE:
                self._note(
                    f"the stamps are {found.total_seconds():g} s apart (median of the first "
                    f"{FIRST_DIFFERENCES}), but the step is {step.total_seconds():g} s: is "
                    "--step-seconds right?"
                )

    # ---- one event -----------------------------------------------------------------------

    def _score(self, event: Event) -> dict[str, Any]:
        """Place an event by its stamp, score it, learn from it."""
        assert self.now is not None
        assert self.detector is not None
        last = self.now.memory.last
        placement = live_clock.place(self.now, event.time)
        self.now = placement.state
        if placement.note:
            self._note(placement.note)
        if placement.error:
            self._advise_a_timezone(event.time, last)
            return {"error": placement.error}
        memory = self.now.memory
        row = memory.rows + placement.missing
        learnt, said = self.detector.advance(memory.detector, event.values, placement.missing)
        time = self._time_of(event)
        ongoing, alarm, over = self._follow(memory.incident, row, time, said)
        self.now = self.now._replace(memory=Memory(learnt, row + 1, time, ongoing))
        record = self._record(row, event, said, alarm)
        if over is not None:
            record["incident"] = over
        return record

    def _follow(
        self, ongoing: Ongoing, row: int, time: datetime | None, said: Said
    ) -> tuple[Ongoing, bool, dict[str, Any] | None]:
        """The latest incident after an event, whether one begins, and what of one that is over."""
        assert self.detector is not None
        rule = self.detector.rule
        over = None
        if not ongoing.told and incidents.is_over(ongoing.memory.latest, row - 1, rule):
            over = self._told(ongoing)
            ongoing = ongoing._replace(told=True)
        memory, begins = incidents.advance(ongoing.memory, row, said.score, rule)
        if begins:
            if not ongoing.told:  # the next one begins before the calm could be told
                over = self._told(ongoing)
            return Ongoing(memory, (time, time, time), said.above, told=False), True, over
        times, above = ongoing.times, ongoing.above
        if memory.latest.last == row and above:
            worst = memory.latest.peak == row
            times = (times[0], time, time if worst else times[2])
            above = said.above if worst else above
        return Ongoing(memory, times, above, ongoing.told), False, over

    def _told(self, ongoing: Ongoing) -> dict[str, Any]:
        """What is told of an incident that is over."""
        assert self.detector is not None
        first, last, peak = (None if time is None else str(time) for time in ongoing.times)
        names = self.detector.columns
        return {
            "start": first,
            "end": last,
            "peak_time": peak,
            "peak_score": round(ongoing.memory.latest.score, 6),
            "columns": [name for name, on in zip(names, ongoing.above, strict=True) if on],
        }

    def _advise_a_timezone(self, time: datetime | None, last: datetime | None) -> None:
        """Say once that clocks may have been set back."""
        if time is None or last is None or self._told_clock_change or self.options.timezone:
            return
        if timedelta(0) < last - time <= CLOCK_CHANGE:
            self._told_clock_change = True
            self._note(
                "if the stamps are local times whose clocks were set back, start with --timezone, "
                "such as --timezone Europe/Berlin"
            )

    def _time_of(self, event: Event) -> datetime | None:
        """When the event was; one without a stamp is a step behind the last one."""
        assert self.now is not None
        last = self.now.memory.last
        if event.time is not None or last is None:
            return event.time
        with contextlib.suppress(OverflowError):  # the calendar ends
            return last + self.now.step
        return last

    def _record(self, row: int, event: Event, said: Said, alarm: bool) -> dict[str, Any]:
        record: dict[str, Any] = {
            "row": row,
            "time": None if event.time is None else str(event.time),
        }
        values = [value if math.isfinite(value) else None for value in event.values]
        if len(values) == 1:
            record["value"] = values[0]
        else:
            names = self.lines.columns or column_names(len(values))
            record["values"] = dict(zip(names, values, strict=True))
        record |= {"score": round(said.score, 6), "alarm": alarm}
        if len(values) > 1 and any(said.above):
            record["columns"] = [name for name, on in zip(names, said.above, strict=True) if on]
        return record


def _check(options: Options) -> None:
    """Raises UserError where an option makes no sense."""
    least, most = LEAST_STEP.total_seconds(), MOST_STEP.total_seconds()
    seconds = options.step_seconds
    if seconds is not None and not least <= seconds <= most:  # not NaN either
        raise UserError(f"--step-seconds {seconds:g}: give {least:g} to {most:.0f}")
    if options.save_every < 1:
        raise UserError(f"--save-every {options.save_every}: give 1 or more")
    if options.threshold is not None and not math.isfinite(options.threshold):
        raise UserError(f"--threshold {options.threshold}: give a finite number")


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
        usage="python -m jaxdl.live [RUN] [-] [--series FILE] [--state FILE] [options]",
        description=__doc__,
    )
    add, save = parser.add_argument, Options().save_every
    add("run", nargs="?", metavar="RUN", help="run folder, or detector.npz or scorer.jaxdl in it")
    add("input", nargs="?", metavar="-", help="standard input, as without it")
    add("--series", type=Path, metavar="FILE", help="CSV (.gz) or Parquet instead of the input")
    add("--time", metavar="COLUMN", help="of time stamps, in the header; default: found")
    add("--value", nargs="+", metavar="COLUMN", default=(), help="of values; default: found")
    add("--day-first", action="store_true", help="3/4/2025 is the third of April")
    add("--timezone", metavar="NAME", help="of stamps that name none, as Europe/Berlin; else UTC")
    add(
        "--step-seconds", type=float, metavar="N", help="between two events; default: by the stamps"
    )
    add(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="above which an incident begins; default: the run's, or the detector's own (decades)",
    )
    add("--state", type=Path, metavar="FILE", help="the detector's memory (.npz, no pickle)")
    add("--save-every", type=int, default=save, metavar="N", help=f"rows between saves ({save})")
    given = vars(parser.parse_args(argv))
    run, source = given.pop("run"), given.pop("input")
    if run == "-" and source is None:
        run = None
    elif source not in (None, "-"):
        raise UserError(f"{source}: a file is given as --series {source}")
    return Options(**{**given, "value": tuple(given["value"])}, run=run and Path(run))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    closed = hold_standard_streams()
    lines = _Lines()
    rows = alarms = errors = 0
    try:
        options = _options(sys.argv[1:] if argv is None else argv)
        for name, stream in (("input", "stdin"), ("output", "stdout")):
            if stream in closed and not (options.series and stream == "stdin"):
                raise UserError(f"standard {name} is closed")
        live = Live(options)
        try:
            for record in live.answers(lines) if options.series is None else of_file(live, lines):
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


def of_file(live: Live, lines: _Lines) -> Iterator[dict[str, Any]]:
    """The answers to the rows of a file, until its end or a signal.

    Raises:
        UserError: the file cannot be read, or has other columns than the detector.
    """
    from jaxdl.tables.series import read_rows

    assert live.options.series is not None
    known = live.detector.columns if live.detector is not None else live.lines.columns
    choice = live.options.columns()
    if known is not None and not choice.values and known != ("value",):
        choice = replace(choice, values=known)
    rows = read_rows(live.options.series, choice)
    if known is not None and len(known) != len(rows.columns):
        raise UserError(
            f"{live.options.series} has the values {', '.join(rows.columns)}, the detector knows "
            f"{', '.join(known)}: name them with --value"
        )
    live.lines.columns = known or rows.columns
    for remark in [*rows.remarks, *live.take_step_of(rows.times)]:
        _say(f"note: {remark}")
    for time, values in zip(rows.times, rows.values.tolist(), strict=True):
        if lines.signum:
            return
        yield live.event(Event(time, tuple(values)))
        if live.due:
            live.save()


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
