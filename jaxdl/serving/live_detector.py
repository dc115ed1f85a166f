"""What scores a live series: the streaming detector, or a trained model of windows.

Both are pure: `advance(memory, values, missing)` gives the next memory and what it says of the
event. `missing` ticks of the clock without a row lie before the event. The memory is a tree of
arrays, which `to_arrays` names for the state file.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxdl.errors import UserError
from jaxdl.timeseries.incidents import Rule

if TYPE_CHECKING:
    from jaxdl.serving.scorer_file import Scorer
    from jaxdl.timeseries import streaming

MOST_WINDOW_NUMBERS = 4096


class Said(NamedTuple):
    """What a detector says of an event.

    Attributes:
        score: higher is worse; 0 where there is none.
        above: which columns have a score of their own above the threshold.
    """

    score: float
    above: tuple[bool, ...]


class LiveDetector(Protocol):
    """A detector of one live series of some columns."""

    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def rule(self) -> Rule: ...
    @property
    def day(self) -> int: ...

    def key(self) -> dict[str, Any]:
        """Plain JSON: a memory goes on with a detector of the same key only."""
        ...

    def start(self) -> Any: ...
    def advance(self, memory: Any, values: tuple[float, ...], missing: int) -> tuple[Any, Said]: ...
    def to_arrays(self, memory: Any) -> dict[str, np.ndarray]: ...
    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> Any: ...


# ---- the streaming detector ----------------------------------------------------------------------


@dataclass(frozen=True)
class StreamingDetector:
    """`jaxdl.timeseries.streaming`, one for each column; the highest score counts.

    Attributes:
        columns: names of the values.
        day: events in a day, or in another season.
        threshold: of the score; None: the detector's own.
    """

    columns: tuple[str, ...]
    day: int
    threshold: float | None = None

    @property
    def rule(self) -> Rule:
        from jaxdl.timeseries import streaming

        settings = streaming.DEFAULT
        if self.threshold is not None:
            settings = settings._replace(threshold=self.threshold)
        return streaming.incident_rule(self.day, settings)

    def key(self) -> dict[str, Any]:
        return {"kind": "streaming", "columns": list(self.columns), "day": self.day}

    def start(self) -> tuple["streaming.State", ...]:
        from jaxdl.timeseries import streaming

        state = streaming.start(self.day, min(self.day, streaming.MOST_SLOTS))
        return (state,) * len(self.columns)

    def advance(
        self, memory: tuple["streaming.State", ...], values: tuple[float, ...], missing: int
    ) -> tuple[tuple["streaming.State", ...], Said]:
        step = _streaming_step()
        states, scores = [], []
        for state, value in zip(memory, values, strict=True):
            if missing:  # what the step makes of missing values
                state = state._replace(rows=state.rows + np.int32(missing))
            state, score, _ = step(state, np.float32(value))
            states.append(state)
            scores.append(float(score))
        limit = float(np.float32(self.rule.threshold))
        return tuple(states), Said(max(scores), tuple(score > limit for score in scores))

    def to_arrays(self, memory: tuple["streaming.State", ...]) -> dict[str, np.ndarray]:
        from jaxdl.timeseries import streaming

        return {
            f"{place}_{name}": np.asarray(leaf)
            for place, state in enumerate(memory)
            for name, leaf in streaming.to_arrays(state).items()
        }

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> tuple["streaming.State", ...]:
        """Raises ValueError where the arrays are those of something else."""
        from jaxdl.timeseries import streaming

        by_column: list[dict[str, np.ndarray]] = [{} for _ in self.columns]
        for full, array in arrays.items():
            place, _, name = full.partition("_")
            by_column[int(place)][name] = array
        states = tuple(streaming.from_arrays(each) for each in by_column)
        if any(int(state.day) != self.day for state in states):
            raise ValueError("of another day")
        return states


@functools.cache
def _streaming_step() -> Callable:
    """`streaming.step`; its own flag is not used, since several columns make one incident."""
    import jax

    from jaxdl.timeseries import streaming

    return jax.jit(streaming.step)


# ---- a trained model of windows ------------------------------------------------------------------


class WindowMemory(NamedTuple):
    """The latest rows of a series.

    Attributes:
        values: the newest last.
        known: how many of them there are since the last gap, the newest included.
        missing: ticks since then without a value in every column.
    """

    values: Float[np.ndarray, "window columns"]
    known: Int[np.ndarray, ""]
    missing: Int[np.ndarray, ""]


@dataclass(frozen=True)
class WindowDetector:
    """A scorer file whose rows are windows: it scores the latest window after every event.

    A run of at most `most_filled` missing ticks is filled along a line when the next value comes;
    after a longer one a whole window has to come first.

    Attributes:
        scorer: the file.
        columns: names of the values.
        window: rows in a window.
        most_filled: see above.
        calm: rows at or below the threshold that end an incident.
        day: rows in a day.
        threshold: of the score; None: the file's.
    """

    scorer: "Scorer"
    columns: tuple[str, ...]
    window: int
    most_filled: int
    calm: int
    day: int
    threshold: float | None = None

    @property
    def rule(self) -> Rule:
        threshold = self.threshold
        return Rule(self.scorer.threshold["value"] if threshold is None else threshold, self.calm)

    def key(self) -> dict[str, Any]:
        return {"kind": "window", "columns": list(self.columns), "scorer": self.scorer.sha256}

    def start(self) -> WindowMemory:
        values = np.zeros((self.window, len(self.columns)))
        return WindowMemory(values, np.int64(0), np.int64(0))

    def advance(
        self, memory: WindowMemory, values: tuple[float, ...], missing: int
    ) -> tuple[WindowMemory, Said]:
        nothing = Said(0.0, (False,) * len(self.columns))
        missing = int(memory.missing) + missing
        if any(math.isnan(value) for value in values):
            return memory._replace(missing=np.int64(missing + 1)), nothing
        row = np.array(values, np.float64)
        known = int(memory.known)
        if known == 0 or missing > self.most_filled:
            known, new = 1, row[None]
        else:
            share = np.arange(1, missing + 2)[:, None] / (missing + 1)
            before = memory.values[-1]
            new = before + share * (row - before)
            new[-1] = row
            known = min(known + missing + 1, self.window)
        kept = np.concatenate([memory.values, new])[-self.window :]
        memory = WindowMemory(kept, np.int64(known), np.int64(0))
        if known < self.window:
            return memory, nothing
        window = kept.reshape(1, -1)
        score = float(self._run("score", window)[0])
        return memory, Said(score, self._above(window, score))

    def _above(self, window: Float[np.ndarray, "1 numbers"], score: float) -> tuple[bool, ...]:
        """The score is the mean over the columns; which of them made it (`leading_columns`)."""
        limit, count = self.rule.threshold, len(self.columns)
        if not score > np.float32(limit):
            return (False,) * count
        errors = self._run("explain", window).reshape(self.window, count).sum(axis=0) * count
        return tuple(bool(above) for above in leading_columns(errors, limit))

    def _run(self, program: str, window: Float[np.ndarray, "1 numbers"]) -> np.ndarray:
        """A program of the scorer for one row: not in a block of many, which would take long."""
        return np.asarray(self.scorer.programs[program].dispatch(window)[0])

    def to_arrays(self, memory: WindowMemory) -> dict[str, np.ndarray]:
        return {name: np.asarray(array) for name, array in memory._asdict().items()}

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> WindowMemory:
        """Raises ValueError where the arrays are those of something else."""
        fresh = self.start()
        if set(arrays) != set(fresh._fields):
            raise ValueError("not the arrays of a window")
        for name, array in fresh._asdict().items():
            if (
                arrays[name].shape != np.shape(array)
                or arrays[name].dtype != np.asarray(array).dtype
            ):
                raise ValueError(f"{name} has another shape or type")
        good = 0 <= arrays["known"] <= self.window and arrays["missing"] >= 0
        if not good or not np.isfinite(arrays["values"]).all():
            raise ValueError("numbers out of range")
        return WindowMemory(**arrays)


def leading_columns(
    errors: Float[np.ndarray, "*columns"], threshold: float
) -> Bool[np.ndarray, "*columns"]:
    """Columns whose error is above the threshold and at least half of the largest one's.

    A net that copies all columns together copies the others worse, too, where one is odd.

    Args:
        errors: of each column of a window whose mean error is above the threshold; columns first.
        threshold: of the mean.
    """
    return (errors > np.float32(threshold)) & (errors >= errors.max(axis=0) / 2)


def of_scorer(scorer: "Scorer", day: int, threshold: float | None) -> WindowDetector:
    """The detector in a scorer file that a series lab wrote.

    Raises:
        UserError: it is a scorer of a table, or what it says of its windows does not fit.
    """
    about = scorer.metadata["provenance"].get("series")
    if about is None:
        raise UserError(
            "the scorer is one of rows of a table, not of a series: see python -m jaxdl.score"
        )
    try:
        columns, window = tuple(about["columns"]), about["window"]
        filled, calm = about["most_filled"], about["calm"]
        whole = [window, filled, calm]
        good = all(type(number) is int and 0 <= number <= MOST_WINDOW_NUMBERS for number in whole)
        good = good and len(columns) * window == len(scorer.columns) > 0
        good = good and all(isinstance(name, str) and name.isprintable() for name in columns)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError("the scorer does not say what its windows are") from error
    if not good:
        raise UserError("the scorer's windows do not fit its columns")
    return WindowDetector(scorer, columns, window, filled, calm, day, threshold)
