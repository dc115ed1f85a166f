"""A live time series on standard input, a score for each event on standard output.

    tail -f values.csv | python -m jaxdl.live --step-seconds 1800 --state taxi.npz

Lines are `value` or `timestamp,value`; a header line is passed over. The answer to each line is one
line of JSON, written at once: {"row", "time", "value", "score", "alarm"}. With time stamps, rows
that are missing are filled in as missing; a time stamp that goes back, or a line that is no number,
is answered with {"error"} and skipped. `--state` is read if it exists and written at the end and
every `--save-every` rows, so that a restart goes on where it stopped.
"""

import contextlib
import json
import math
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from jaxdl.errors import UserError

MOST_MISSING_DAYS = 7
FORMAT = 1


@dataclass(frozen=True)
class Options:
    """Options of `python -m jaxdl.live`."""

    step_seconds: int = 300
    """Time between two events."""
    threshold: float | None = None
    """Mean surprise (decades) that begins an alarm. Default: the detector's own."""
    state: Path | None = None
    """File that the detector's memory is kept in (.npz, no pickle)."""
    save_every: int = 1000
    """Rows between two saves of the state."""


class Live:
    """The detector with its clock. `answers` turns lines into records.

    Raises:
        UserError: the step is not between a second and a day, or the state file cannot be used.
    """

    def __init__(self, options: Options):
        import jax

        from jaxdl.anomaly import streaming

        if not 1 <= options.step_seconds <= 86400:
            raise UserError(f"--step-seconds {options.step_seconds}: give 1 to 86400")
        if options.save_every < 1:
            raise UserError(f"--save-every {options.save_every}: give 1 or more")
        self.options = options
        settings = streaming.DEFAULT
        if options.threshold is not None:
            settings = settings._replace(threshold=options.threshold)
        self.step = jax.jit(lambda state, value: streaming.step(state, value, settings))
        self.detector = streaming.start(86400 // options.step_seconds)
        self.last: datetime | None = None
        if options.state is not None and options.state.exists():
            self.detector, self.last = load(options.state, options.step_seconds)

    def answers(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        """One record for each line; empty lines and a header give none."""
        first = True
        for line in lines:
            text = line.strip().lstrip("\ufeff")
            if not text:
                continue
            try:
                time, value = parse(text)
                yield self.event(time, value)
                if int(self.detector.rows) % self.options.save_every == 0:
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
            for _ in range(late - 1):
                self.detector, _, _ = self.step(self.detector, np.float32(np.nan))
        self.detector, score, flag = self.step(self.detector, np.float32(value))
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
    from jaxdl.anomaly import streaming

    arrays = {name: np.asarray(leaf) for name, leaf in streaming.to_arrays(detector).items()}
    clock = np.datetime64("NaT", "us") if last is None else np.datetime64(last, "us")
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        np.savez(file, **arrays, clock=clock.astype(np.int64), step=step_seconds, format=FORMAT)
    os.replace(file.name, path)  # noqa: PTH105 - one atomic move


def load(path: Path, step_seconds: int) -> tuple[Any, datetime | None]:
    """What `save` wrote.

    Raises:
        UserError: not such a file, or of another step.
    """
    from jaxdl.anomaly import streaming

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


def main() -> int:
    """Read standard input to its end; exit status 2 for a mistake in the call."""
    import tyro

    options = tyro.cli(
        Annotated[Options, tyro.conf.OmitArgPrefixes], description=__doc__, prog="jaxdl.live"
    )
    try:
        live = Live(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        for record in live.answers(sys.stdin):
            print(json.dumps(record), flush=True)
    try:
        live.save()
    except OSError as error:
        print(f"error: {options.state} cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
