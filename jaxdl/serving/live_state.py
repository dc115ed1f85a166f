"""The memory of a live series on disk, so that a kill at any moment loses nothing answered.

    state.npz            the detector and its clock after some event; plain arrays, no pickle
    .state.npz.journal   the events since then, each written down before it is answered

The state file is written whole or not at all, and then the journal is cut. At a start the events of
the journal are fed to the detector again; a last line that a kill has torn was never answered and
is dropped. The state file ends with the sha256 of all bytes before it (as the comment that a ZIP
file may have), every line of the journal begins with the CRC-32 of the rest: damage is an error.

One process at a time: the journal is locked, and the kernel lets go of it however a process ends.
What the machine itself loses with its power is not covered: nothing waits for the disk.
"""

import contextlib
import fcntl
import glob
import hashlib
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdl.errors import UserError
from jaxdl.files import write_whole
from jaxdl.serving.cells import number
from jaxdl.serving.live_clock import LiveState, Memory, Ongoing
from jaxdl.serving.live_detector import LiveDetector
from jaxdl.serving.live_lines import MOST_COLUMNS, Event, Layout
from jaxdl.stamps import EPOCH, MICROSECOND
from jaxdl.timeseries import incidents

FORMAT = 3
SUM_LENGTH = 64  # hexadecimal digits of a sha256
MOST_BYTES = 256 << 20
MOST_ABOUT = 1 << 20  # bytes of JSON
ABOUT = "about"  # the array that holds it
BEFORE = "before_"  # in front of the names of the memory before an event in doubt
JOURNAL_HEAD = re.compile(r"jaxdl-live-journal 2 (\d{1,15}|-) (\[.{1,65536}\])")
JOURNAL_LINE = re.compile(r"(\d{1,18}) (-?\d{1,18}|-) (\S{1,4096})")
NOT_A_STATE = (
    "is damaged, or was written by an earlier version: restore it, or remove it, and the detector "
    "begins anew"
)


# ---- the state file ------------------------------------------------------------------------------


class Stored(NamedTuple):
    """A state file that was read and whose sum is right.

    Attributes:
        about: everything but arrays, plain JSON; `about["detector"]` is the detector's key.
        arrays: of the detector's memory.
    """

    about: dict[str, Any]
    arrays: dict[str, np.ndarray]


def pack(
    detector: LiveDetector,
    state: LiveState,
    events: int,
    layout: Layout | None = None,
    more: Mapping[str, Any] | None = None,
) -> bytes:
    """The bytes of a state file.

    Args:
        detector: whose memory it is.
        state: of the series.
        events: that it has seen, refused ones included.
        layout: of the lines.
        more: further plain JSON to keep.
    """
    arrays = dict(detector.to_arrays(state.memory.detector))
    about = {
        **(more or {}),
        "format": FORMAT,
        "detector": detector.key(),
        "events": events,
        "step": state.step // MICROSECOND,
        "day": state.day,
        "refused": state.refused,
        "refused_last": _microseconds(state.refused_last),
        "memory": _memory_json(state.memory),
        "before": None if state.before is None else _memory_json(state.before),
        "layout": None if layout is None else layout.to_json(),
    }
    if state.before is not None:
        before = detector.to_arrays(state.before.detector)
        arrays |= {BEFORE + name: array for name, array in before.items()}
    text = json.dumps(about, allow_nan=False, ensure_ascii=True).encode()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **{ABOUT: np.frombuffer(text, np.uint8)})
    with zipfile.ZipFile(buffer, "a") as file:
        file.comment = b"0" * SUM_LENGTH
    content = buffer.getvalue()[:-SUM_LENGTH]
    return content + hashlib.sha256(content).hexdigest().encode()


def unpack(data: bytes) -> Stored:
    """What is in a state file; `restore` makes a state of it.

    Raises:
        ValueError: one bit is not as it was written, or it is no such file.
    """
    content, digest = data[:-SUM_LENGTH], data[-SUM_LENGTH:]
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise ValueError(NOT_A_STATE)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            if sum(entry.file_size for entry in stored.zip.infolist()) > MOST_BYTES:
                raise ValueError("too large")
            arrays = {name: stored[name] for name in stored.files}
        text = arrays.pop(ABOUT)
        if text.dtype != np.uint8 or text.size > MOST_ABOUT:
            raise ValueError("no text")
        about = json.loads(text.tobytes().decode("ascii"))
        good = about["format"] == FORMAT and isinstance(about["detector"], dict)
    except Exception as error:  # the readers of ZIP, arrays and JSON raise a dozen types
        raise ValueError("is not a state of this detector") from error
    if not good:
        raise ValueError("is not a state of this detector")
    return Stored(about, arrays)


def restore(stored: Stored, detector: LiveDetector) -> tuple[LiveState, int]:
    """The state that `pack` was given, and how many events it has seen.

    Raises:
        ValueError: it is a state of another detector.
    """
    about, arrays = stored
    if about["detector"] != detector.key():
        raise ValueError("is a state of another detector: name the run that it was made with")
    try:
        now = {name: array for name, array in arrays.items() if not name.startswith(BEFORE)}
        old = {name.removeprefix(BEFORE): array for name, array in arrays.items()}
        columns = len(detector.columns)
        before = about["before"]
        if before is not None:
            kept = {name: old[name] for name in now if BEFORE + name in arrays}
            before = _memory(before, detector.from_arrays(kept), columns)
        state = LiveState(
            _whole(about["step"], least=1) * MICROSECOND,
            _whole(about["day"], least=1),
            _memory(about["memory"], detector.from_arrays(now), columns),
            before,
            _whole(about["refused"]),
            _time(about["refused_last"]),
        )
        return state, _whole(about["events"])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError) as error:
        raise ValueError("is not a state of this detector") from error


def layout_of(stored: Stored) -> Layout | None:
    """The layout of the lines that a state file keeps.

    Raises:
        ValueError: it is none.
    """
    text = stored.about.get("layout")
    try:
        return None if text is None else Layout.from_json(text)
    except (TypeError, ValueError) as error:
        raise ValueError("is not a state of this detector") from error


def _memory_json(memory: Memory) -> dict[str, Any]:
    """A memory without the detector's arrays."""
    ongoing = memory.incident
    return {
        "rows": memory.rows,
        "last": _microseconds(memory.last),
        "incident": list(ongoing.memory.latest),
        "unanswered": ongoing.memory.unanswered,
        "times": [_microseconds(time) for time in ongoing.times],
        "above": list(ongoing.above),
        "told": ongoing.told,
    }


def _memory(about: Mapping[str, Any], detector: Any, columns: int) -> Memory:
    first, last, peak = (int(row) for row in about["incident"][:3])
    latest = incidents.Incident(first, last, peak, float(about["incident"][3]))
    times = tuple(_time(time) for time in about["times"])
    above = tuple(bool(each) for each in about["above"])
    if len(times) != 3 or len(above) not in (0, columns):
        raise ValueError("of another number of columns")
    ongoing = Ongoing(
        incidents.Memory(latest, bool(about["unanswered"])),
        (times[0], times[1], times[2]),
        above,
        bool(about["told"]),
    )
    return Memory(detector, _whole(about["rows"]), _time(about["last"]), ongoing)


def _whole(value: Any, least: int = 0) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{value!r} is no count")
    return value


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else (time - EPOCH) // MICROSECOND


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else EPOCH + microseconds * MICROSECOND


# ---- both files ----------------------------------------------------------------------------------


class StateFile:
    """The state file and the journal beside it, locked until `close` or the end of the process.

    Args:
        path: of the state file, which may not exist yet.

    Attributes:
        events: written down so far, since the very first.
        torn: the last line of the journal was dropped: a kill had torn it.

    Raises:
        UserError: there is no such folder, it cannot be written, or another process is using it.
    """

    def __init__(self, path: Path):
        self.named = path
        self._lines: Iterator[str] = iter(())  # of the journal, behind its head
        if not path.absolute().parent.is_dir():
            raise UserError(f"--state {path}: there is no such folder")
        self.path = path.resolve()
        if self.path.exists() and not self.path.is_file():
            raise UserError(f"--state {path} is no plain file")
        self.journal = self.path.with_name(f".{self.path.name}.journal")
        self.events = 0
        self.torn = False
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(self.journal, flags, 0o644)
        except OSError as error:
            raise UserError(f"{self.journal} cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise UserError(f"--state {path} is in use by another process") from error
        for left in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.tmp"):  # by a kill
            with contextlib.suppress(OSError):
                left.unlink()

    def close(self) -> None:
        """Let go of the files."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def read(self) -> Stored | None:
        """What the state file holds; None where there is none yet.

        Raises:
            UserError: it cannot be read, or is damaged.
        """
        if not self.path.exists():
            return None
        try:
            if self.path.stat().st_size > MOST_BYTES:
                raise UserError(f"{self.named} has more than {MOST_BYTES:,} bytes")
            return unpack(self.path.read_bytes())
        except OSError as error:
            raise UserError(f"{self.named} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise UserError(f"{self.named} {error}") from error

    def restore(self, stored: Stored, detector: LiveDetector) -> LiveState:
        """The state in a file that was read.

        Raises:
            UserError: it is one of another detector.
        """
        try:
            state, self.events = restore(stored, detector)
        except ValueError as error:
            raise UserError(f"{self.named} {error}") from error
        return state

    def journal_head(self) -> tuple[timedelta | None, Layout | None]:
        """The step and the layout that the journal was begun with; None where not known then.

        Raises:
            UserError: the journal is damaged.
        """
        self._lines = self._journal_lines()
        first = next(self._lines, None)
        if first is None:
            return None, None
        head = JOURNAL_HEAD.fullmatch(first)
        try:
            if head is None:
                raise ValueError("no head")
            layout = Layout.from_json(head[2])
        except (ValueError, TypeError) as error:
            raise self._damaged() from error
        return None if head[1] == "-" else int(head[1]) * MICROSECOND, layout

    def replay(self) -> Iterator[Event]:
        """The events since the state that `read` gave, behind the head.

        Call once, after `journal_head` and before `write_down`.

        Raises:
            UserError: the journal is damaged, or does not follow the state.
        """
        for line in self._lines:
            found = JOURNAL_LINE.fullmatch(line)
            if found is None:
                raise self._damaged()
            count = int(found[1])
            if count <= self.events:  # killed between the new state and the cut
                continue
            if count != self.events + 1:
                raise UserError(
                    f"{self.journal} does not follow {self.named}: restore the state file, or "
                    "remove both"
                )
            self.events = count
            time = None if found[2] == "-" else _time(int(found[2]))
            values = found[3].split(",")
            if len(values) > MOST_COLUMNS:
                raise self._damaged()
            yield Event(time, tuple(number(value) for value in values))

    def _journal_lines(self) -> Iterator[str]:
        """Lines of the journal without their sums, the head first; a torn last one is cut off."""
        try:
            if os.fstat(self._file).st_size > MOST_BYTES:
                raise UserError(f"{self.journal} has more than {MOST_BYTES:,} bytes")
            data = self.journal.read_bytes()
            whole, newline, torn = data.rpartition(b"\n")
            if torn:
                self.torn = True
                os.truncate(self._file, len(whole + newline))
        except OSError as error:
            raise UserError(f"{self.journal} cannot be read ({error.strerror})") from error
        for line in whole.split(b"\n") if newline else ():
            digest, _, text = line.partition(b" ")
            if digest != _crc(text):
                raise self._damaged()
            yield text.decode("ascii")

    def _damaged(self) -> UserError:
        return UserError(
            f"{self.journal} is damaged: restore it, or remove it, and the events since the last "
            f"save of {self.named} are forgotten"
        )

    def write_down(self, event: Event, step: timedelta | None, layout: Layout) -> None:
        """Add an event to the journal: after that a kill of this process loses it no more.

        Args:
            event: what was given.
            step: time between two events, if it is known.
            layout: of the lines.

        Raises:
            UserError: it cannot be written.
        """
        if os.fstat(self._file).st_size == 0:
            known = "-" if step is None else step // MICROSECOND
            self._append(f"jaxdl-live-journal 2 {known} {layout.to_json()}")
        time = "-" if event.time is None else _microseconds(event.time)
        values = ",".join(repr(value) for value in event.values)
        self._append(f"{self.events + 1} {time} {values}")
        self.events += 1

    def save(self, detector: LiveDetector, state: LiveState, layout: Layout | None) -> None:
        """Write the state file in one move, and cut the journal.

        Raises:
            UserError: it cannot be written; what was there stays.
        """
        write_whole(self.path, pack(detector, state, self.events, layout))
        try:
            os.truncate(self._file, 0)
        except OSError as error:
            raise UserError(f"{self.journal} cannot be written ({error.strerror})") from error

    def _append(self, text: str) -> None:
        line = text.encode("ascii")
        line = _crc(line) + b" " + line + b"\n"
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise UserError(f"{self.journal} cannot be written ({error.strerror})") from error


def _crc(text: bytes) -> bytes:
    return f"{zlib.crc32(text):08x}".encode()
