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
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from jaxdl.errors import UserError
from jaxdl.files import write_whole
from jaxdl.serving.cells import number
from jaxdl.serving.live_clock import LiveState, Memory
from jaxdl.serving.live_lines import EPOCH, Event

FORMAT = 2
SUM_LENGTH = 64  # hexadecimal digits of a sha256
MOST_BYTES = 256 << 20
MICROSECOND = timedelta(microseconds=1)
NO_TIME = np.iinfo(np.int64).min
BEFORE = "before_"  # in front of the names of the memory before an event in doubt
JOURNAL_HEAD = re.compile(r"jaxdl-live-journal 1 (\d{1,15}|-)")
JOURNAL_LINE = re.compile(r"(\d{1,18}) (-?\d{1,18}|-) (\S{1,32})")
NOT_A_STATE = (
    "is damaged, or was written by an earlier version: restore it, or remove it, and the detector "
    "begins anew"
)


# ---- the state file ------------------------------------------------------------------------------


def pack(state: LiveState, events: int) -> bytes:
    """The bytes of a state file.

    Args:
        state: of the series.
        events: that it has seen, refused ones included.
    """
    arrays = _memory_arrays(state.memory, "")
    if state.before is not None:
        arrays |= _memory_arrays(state.before, BEFORE)
    numbers = {
        "format": FORMAT,
        "events": events,
        "step": state.step // MICROSECOND,
        "refused": state.refused,
        "refused_last": _microseconds(state.refused_last),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **{name: np.int64(value) for name, value in numbers.items()})
    with zipfile.ZipFile(buffer, "a") as file:
        file.comment = b"0" * SUM_LENGTH
    content = buffer.getvalue()[:-SUM_LENGTH]
    return content + hashlib.sha256(content).hexdigest().encode()


def unpack(data: bytes) -> tuple[LiveState, int]:
    """What `pack` was given.

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
        events, form, step, refused, refused_last = (
            int(arrays.pop(name))
            for name in ("events", "format", "step", "refused", "refused_last")
        )
        before = {name: arrays.pop(name) for name in list(arrays) if name.startswith(BEFORE)}
        state = LiveState(
            step * MICROSECOND,
            _memory(arrays, ""),
            _memory(before, BEFORE) if before else None,
            refused,
            _time(refused_last),
        )
    except Exception as error:  # the readers of ZIP and of arrays raise a dozen types
        raise ValueError("is not a state of this detector") from error
    if form != FORMAT or events < 0 or step < 1:
        raise ValueError("is not a state of this detector")
    return state, events


def _memory_arrays(memory: Memory, prefix: str) -> dict[str, np.ndarray]:
    from jaxdl.timeseries import streaming

    arrays = {name: np.asarray(leaf) for name, leaf in streaming.to_arrays(memory.detector).items()}
    arrays["clock"] = np.int64(_microseconds(memory.last))
    return {prefix + name: array for name, array in arrays.items()}


def _memory(arrays: Mapping[str, np.ndarray], prefix: str) -> Memory:
    from jaxdl.timeseries import streaming

    bare = {name.removeprefix(prefix): array for name, array in arrays.items()}
    last = _time(int(bare.pop("clock")))
    return Memory(streaming.from_arrays(bare), last)


def _microseconds(time: datetime | None) -> int:
    return NO_TIME if time is None else (time - EPOCH) // MICROSECOND


def _time(microseconds: int) -> datetime | None:
    return None if microseconds == NO_TIME else EPOCH + microseconds * MICROSECOND


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

    def read(self) -> LiveState | None:
        """The state; None where there is none yet.

        Raises:
            UserError: it cannot be read, or is damaged.
        """
        if not self.path.exists():
            return None
        try:
            if self.path.stat().st_size > MOST_BYTES:
                raise UserError(f"{self.named} has more than {MOST_BYTES:,} bytes")
            state, self.events = unpack(self.path.read_bytes())
        except OSError as error:
            raise UserError(f"{self.named} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise UserError(f"{self.named} {error}") from error
        return state

    def journaled_step(self) -> timedelta | None:
        """The step that the journal was begun with; None where it was not known then.

        Raises:
            UserError: the journal is damaged.
        """
        head = JOURNAL_HEAD.fullmatch(next(self._journal_lines(), "jaxdl-live-journal 1 -"))
        if head is None:
            raise self._damaged()
        return None if head[1] == "-" else int(head[1]) * MICROSECOND

    def replay(self) -> Iterator[Event]:
        """The events since the state that `read` gave. Call once, and before `write_down`.

        Raises:
            UserError: the journal is damaged, or does not follow the state.
        """
        lines = self._journal_lines()
        next(lines, None)
        for line in lines:
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
            yield Event(time, number(found[3]))

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

    def begin_journal(self, step: timedelta | None) -> None:
        """Give an empty journal its head.

        Args:
            step: time between two events, if it is known.

        Raises:
            UserError: it cannot be written.
        """
        if os.fstat(self._file).st_size == 0:
            self._append(f"jaxdl-live-journal 1 {'-' if step is None else step // MICROSECOND}")

    def write_down(self, event: Event) -> None:
        """Add an event to the journal: after that a kill of this process loses it no more.

        Raises:
            UserError: it cannot be written.
        """
        time = "-" if event.time is None else _microseconds(event.time)
        self._append(f"{self.events + 1} {time} {event.value!r}")
        self.events += 1

    def save(self, state: LiveState) -> None:
        """Write the state file in one move, and cut the journal.

        Raises:
            UserError: it cannot be written; what was there stays.
        """
        write_whole(self.path, pack(state, self.events))
        try:
            os.truncate(self._file, 0)
        except OSError as error:
            raise UserError(f"{self.journal} cannot be written ({error.strerror})") from error
        self.begin_journal(state.step)

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
