"""What a person sees of a fit: a bar with time left on a terminal, and the last epoch's line."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import numpy as np
from tqdm import tqdm

from jaxdl.language import translate_message

LINE_EVERY_SECONDS = 10.0
# What is said comes before the bar: a narrow terminal cuts the bar, not the loss.
BAR = "{percentage:3.0f}% {remaining} {desc} |{bar}|"
LONGEST_NAME = 20  # in the bar; the last line has the whole name


def say(line: str) -> None:
    """Print a line. Where nobody listens any more (`| head`), the work goes on without a word."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends


class StopRequest:
    """Turns Ctrl-C and SIGTERM into a request that a fit honours between two pieces.

    Outside a fit (`armed` is False), and at the second Ctrl-C, the signal takes effect at once.
    """

    def __init__(self):
        self.signum = 0
        self.armed = False

    def install(self) -> None:
        """Listen for the two signals from now on. Call from the main thread."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if self.armed and not self.signum:
            self.signum = signum
            told = translate_message("stopping: saving the state (again to stop at once)")
            print(f"\n{told}", file=sys.stderr)
            return
        if signum == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + signum)


class ProgressBar:
    """Shows one fit: epochs, examples per second without compilation and validation, time left.

    Args:
        name: of the fit.
        stop: where a request to stop arrives.
        show: False says nothing (processes other than the first).
    """

    def __init__(self, name: str, stop: StopRequest, show: bool = True):
        self.name, self.stop, self.show = name, stop, show
        self.stop.armed = True
        self.bar: tqdm | None = None
        self.terminal = sys.stderr.isatty()
        self.last_line = time.monotonic()
        self.epochs = 0
        self.unsaid = ""

    def start(self, epochs: int, rows: int, seen: int, compile_seconds: float) -> None:
        """The program is compiled; `seen` rows of `epochs * rows` are already behind us."""
        self.epochs, self.rows = epochs, rows
        if not self.show:
            return
        if seen:
            epoch = seen // rows + 1
            say(translate_message(f"{self.name}: continuing in epoch {epoch} of {epochs}"))
        self.bar = tqdm(
            total=epochs * rows,
            initial=seen,
            desc=translate_message(f"{self._short_name()} compiled in {compile_seconds:.1f} s"),
            bar_format=BAR,
            disable=not self.terminal,
            dynamic_ncols=True,
            leave=False,
        )

    def advance(self, rows: int) -> None:
        """`rows` more rows have been trained on (by every member)."""
        if self.bar is not None:
            self.bar.update(rows)

    def epoch(self, epoch: int, metrics: Mapping[str, np.ndarray], timing: dict) -> None:
        """An epoch (counted from 0) is over."""
        if self.bar is None:
            return
        losses = ", ".join(
            f"{name.removesuffix('_loss')} {np.nanmean(value):.4f}"
            for name, value in metrics.items()
            if name.endswith("_loss")
        )
        speed = self.rows / max(timing["train_seconds"], 1e-9)
        count = f"{epoch + 1}/{self.epochs}"
        told = translate_message(f"{self._short_name()} {count} loss {losses}")
        self.bar.set_description_str(told)
        self.unsaid = f"{self.name}: epoch {count}, loss {losses}, {speed:,.0f} examples/s"
        now = time.monotonic()
        if not self.terminal and now - self.last_line > LINE_EVERY_SECONDS:
            self.last_line = now
            self._say_epoch()

    def stop_signal(self) -> int:
        """The signal that asked to stop, 0 for none."""
        return self.stop.signum

    def close(self) -> None:
        """The fit is over, or stopped."""
        self.stop.armed = False
        if self.bar is not None:
            self.bar.close()
            self._say_epoch()  # the bar leaves nothing behind

    def _short_name(self) -> str:
        long = len(self.name) > LONGEST_NAME
        return f"{self.name[: LONGEST_NAME - 1]}…" if long else self.name

    def _say_epoch(self) -> None:
        if self.unsaid:
            say(translate_message(self.unsaid))
        self.unsaid = ""
