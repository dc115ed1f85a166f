"""The two logs of a run, a line for each epoch: metrics.jsonl and timing.jsonl."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.errors import UserError
from jaxdl.runs.folder import LOGS
from jaxdl.runs.progress import ProgressBar
from jaxdl.training import parallel


class RunWatcher(ProgressBar):
    """The progress bar, and the two logs of the run.

    metrics.jsonl holds numbers that depend on nothing but the configuration and the data: after a
    kill and a resume it is the same file, byte for byte. Seconds go to timing.jsonl.
    """

    def __init__(self, run: Any, name: str):
        super().__init__(name, run.stop, show=parallel.is_main())
        self.run = run
        self.events = None

    def start(self, epochs: int, rows: int, seen: int, compile_seconds: float) -> None:
        super().start(epochs, rows, seen, compile_seconds)
        self.run.timing[self.name] = {"compile_seconds": compile_seconds, "train_seconds": 0.0}
        if self.run.evaluating or not self.show:
            return
        if self.run.tensorboard:
            self.events = _event_writer(self.run.folder / "tensorboard" / self.name)
        for log in LOGS:
            path = self.run.folder / log
            lines = path.read_text("utf-8").splitlines() if path.exists() else []
            kept = [line for line in lines if _still_true(line, self.name, seen // rows)]
            path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def epoch(self, epoch: int, metrics: Mapping[str, np.ndarray], timing: dict) -> None:
        super().epoch(epoch, metrics, timing)
        self.run.timing[self.name]["train_seconds"] += timing["train_seconds"]
        if not self.show:
            return
        values = {name: np.asarray(value, np.float32).tolist() for name, value in metrics.items()}
        speed = {"examples_per_second": self.rows / timing["train_seconds"], **timing}
        for log, entry in zip(LOGS, (values, speed), strict=True):
            line = json.dumps({"fit": self.name, "epoch": epoch + 1, **entry})
            with (self.run.folder / log).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        if self.events is not None:
            for name, value in metrics.items():
                self.events.add_scalar(name, float(np.nanmean(value)), epoch + 1)

    def close(self) -> None:
        super().close()
        if self.events is not None:
            self.events.close()


def _event_writer(folder: Path) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError('--tensorboard needs: pip install -e ".[tensorboard]"') from error
    return SummaryWriter(str(folder))


def _still_true(line: str, fit_name: str, epochs_done: int) -> bool:
    """Whether a log line is of another fit, or of an epoch that the checkpoint has seen."""
    try:
        entry = json.loads(line)
    except ValueError:  # the process was killed while it wrote this line
        return False
    return entry["fit"] != fit_name or entry["epoch"] <= epochs_done
