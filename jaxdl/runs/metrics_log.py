"""The two logs of a run, a line of JSON for each epoch: metrics.jsonl and timing.jsonl.

metrics.jsonl holds numbers that depend on nothing but the configuration and the data: after a kill
and a resume it is the same file, byte for byte. Seconds go to timing.jsonl: those of the epoch, and
those that the run has taken so far, from which a resumed run goes on counting.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxdl.errors import UserError
from jaxdl.files import write_whole
from jaxdl.runs.folder import LOGS, TIMING
from jaxdl.runs.progress import ProgressBar, StopRequest

if TYPE_CHECKING:  # an optional package
    from tensorboardX import SummaryWriter


class _Line(NamedTuple):
    """A line of a log: which fit and epoch it is of, and its bytes."""

    fit: str
    epoch: int
    text: bytes


class EpochLog:
    """A log whose lines stand in the order in which the lab trains its fits.

    A resumed fit continues where its checkpoint stands, which may be before its last line, and
    behind lines of fits that are already finished. So its lines are put back into their place.

    Args:
        path: of the file; made with the first line.
    """

    def __init__(self, path: Path):
        self.path = path

    def begin(self, fit: str, epochs_done: int, order: Sequence[str]) -> None:
        """Drop the lines of `fit` behind its checkpoint, and lines that cannot be read.

        Args:
            fit: that is about to train.
            epochs_done: how many epochs its checkpoint has seen.
            order: the fits that the lab has asked for so far, `fit` included.

        Raises:
            UserError: the file cannot be read or written.
        """
        lines = self._lines()
        self._write([x for x in lines if x.fit != fit or x.epoch <= epochs_done], order)

    def append(self, fit: str, epoch: int, values: Mapping[str, object]) -> None:
        """One more line.

        Raises:
            UserError: the file cannot be written.
        """
        line = json.dumps({"fit": fit, "epoch": epoch, **values}) + "\n"
        try:
            with self.path.open("ab") as file:
                file.write(line.encode())
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror})") from error

    def arrange(self, order: Sequence[str]) -> None:
        """Put the lines into the order of the fits; see `begin` for it."""
        self._write(self._lines(), order)

    def entries(self, fit: str | None = None) -> list[dict[str, object]]:
        """What its lines say, those of one fit or of all."""
        lines = [line for line in self._lines() if fit is None or line.fit == fit]
        return [json.loads(line.text) for line in lines]

    def _lines(self) -> list[_Line]:
        try:
            content = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise UserError(f"{self.path} cannot be read ({error.strerror})") from error
        return [line for text in content.splitlines() if (line := _parse(text)) is not None]

    def _write(self, lines: Sequence[_Line], order: Sequence[str]) -> None:
        place = {fit: number for number, fit in enumerate(order)}
        ordered = sorted(lines, key=lambda line: place.get(line.fit, len(place)))  # stable
        content = b"".join(line.text + b"\n" for line in ordered)
        if content != (self.path.read_bytes() if self.path.exists() else b""):
            write_whole(self.path, content)


def seconds_logged(folder: Path) -> dict[str, float]:
    """What a run has taken until its last logged epoch, in all its processes; zeros without any.

    Args:
        folder: the run folder.

    Returns:
        "run_seconds" by the clock and "cpu_seconds" that processors worked.
    """
    entries = EpochLog(folder / TIMING).entries()
    names = ("run_seconds", "cpu_seconds")
    return {name: max((_number(entry, name) for entry in entries), default=0.0) for name in names}


class RunWatcher(ProgressBar):
    """The progress bar of a fit, and its lines in the two logs.

    Args:
        name: of the fit.
        stop: where a request to stop arrives.
        timing: is told the seconds of compilation and training.
        folder: the run folder; None writes and shows nothing (processes other than the first).
        order: the fits that the lab has asked for so far, this one included.
        tensorboard: the curves are also written as TensorBoard events.
        taken: gives the seconds that the run has taken so far.
    """

    def __init__(
        self,
        name: str,
        stop: StopRequest,
        timing: dict[str, float],
        folder: Path | None,
        order: Sequence[str],
        tensorboard: bool = False,
        taken: Callable[[], Mapping[str, float]] = dict,
    ):
        super().__init__(name, stop, show=folder is not None)
        self.timing, self.folder, self.order = timing, folder, order
        self.tensorboard, self.taken = tensorboard, taken
        self.seconds_before = 0.0  # of this fit's epochs, in processes before this one
        self.logs: list[EpochLog] = []
        self.events: SummaryWriter | None = None

    def start(self, epochs: int, rows: int, seen: int, compile_seconds: float) -> None:
        super().start(epochs, rows, seen, compile_seconds)
        self.timing.update(compile_seconds=compile_seconds, train_seconds=0.0)
        if self.folder is None:
            return
        if self.tensorboard:
            self.events = _event_writer(self.folder / "tensorboard" / self.name)
        self.logs = [EpochLog(self.folder / name) for name in LOGS]
        for log in self.logs:
            log.begin(self.name, seen // rows, self.order)
        before = EpochLog(self.folder / TIMING).entries(self.name)
        trained = sum(_number(entry, "train_seconds") for entry in before)
        self.timing["train_seconds"] = trained
        self.seconds_before = trained + sum(_number(entry, "valid_seconds") for entry in before)

    def epoch(self, epoch: int, metrics: Mapping[str, np.ndarray], timing: dict) -> None:
        super().epoch(epoch, metrics, timing)
        self.timing["train_seconds"] += timing["train_seconds"]
        values = {name: np.asarray(value, np.float32).tolist() for name, value in metrics.items()}
        speed = {"examples_per_second": self.rows / timing["train_seconds"], **timing}
        speed |= self.taken()
        for log, entry in zip(self.logs, (values, speed), strict=False):
            log.append(self.name, epoch + 1, entry)
        if self.events is not None:
            for name, value in metrics.items():
                self.events.add_scalar(name, float(np.nanmean(value)), epoch + 1)

    def close(self) -> None:
        super().close()
        for log in self.logs:
            log.arrange(self.order)
        if self.events is not None:
            self.events.close()


def _parse(text: bytes) -> _Line | None:
    """A line of a log; None where a kill or a bad disk has left something else."""
    try:
        entry = json.loads(text)
        return _Line(str(entry["fit"]), int(entry["epoch"]), text)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _number(entry: Mapping[str, object], name: str) -> float:
    """0 where an entry of an older version, or a damaged one, has no such number."""
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _event_writer(folder: Path) -> "SummaryWriter":
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError('--tensorboard needs: pip install -e ".[tensorboard]"') from error
    return SummaryWriter(str(folder))
