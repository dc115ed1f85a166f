"""A trained model as a streaming detector: it scores the latest window after every event.

    step = step_of(window_score)                             # window_score([window]) -> error
    state = start(day=288, learning=604, window=48)
    state, score, flag = step(state, value)                  # one event, live
    state, scores, flags = scan_events(step, state, values)  # the same step over a history

The window is scaled by the running mean and deviation of the series, which stand still when the
learning rows are over, unless `memory` lets them follow. The score is how rare the model's error is
among the earlier ones of this series (`streaming.tail_surprise`), so no threshold has to be fitted.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from jaxdl.timeseries import incidents, streaming

BINS = 800
FARTHEST = 20.0  # standard deviations; a value beyond all that was learnt is not farther
DEFAULT = streaming.DEFAULT._replace(threshold=2.5, memory=math.inf)


class State(NamedTuple):
    """All that the detector remembers of one series, besides the model.

    Attributes:
        rows: events so far, missing ones included.
        day: events in a day.
        learning: events that are only learnt from.
        seen: events so far that were not missing.
        window: the latest values, the newest last.
        mean, variance: of the values, for the scale of the window.
        histogram, largest: as in `streaming.State`; one statistic, the model's error.
        quiet_until, began, unanswered: see `streaming.AlarmMemory`.
    """

    rows: Int[Array, ""]
    day: Int[Array, ""]
    learning: Int[Array, ""]
    seen: Int[Array, ""]
    window: Float[Array, " window"]
    mean: Float[Array, ""]
    variance: Float[Array, ""]
    histogram: Float[Array, "1 bins"]
    largest: Float[Array, "1"]
    quiet_until: Int[Array, ""]
    began: Int[Array, ""]
    unanswered: Bool[Array, ""]


Step = Callable[[State, Float[ArrayLike, ""]], tuple[State, Float[Array, ""], Bool[Array, ""]]]


def start(day: int, learning: int, window: int) -> State:
    """The state before the first event.

    Args:
        day: events in a day.
        learning: events that are only learnt from, at least two windows; the errors of the second
            half are what the first scores are compared with.
        window: events in a window of the model.

    Raises:
        ValueError: `day` or `window` is not positive, or `learning` is shorter than two windows.
    """
    if day < 1 or window < 1 or learning < 2 * window:
        raise ValueError(f"day {day}, window {window}: give 1 or more, and learning two windows")
    zero = jnp.int32(0)
    return State(
        rows=zero,
        day=jnp.int32(day),
        learning=jnp.int32(learning),
        seen=zero,
        window=jnp.zeros(window),
        mean=jnp.zeros(()),
        variance=jnp.zeros(()),
        histogram=jnp.zeros((1, BINS)),
        largest=jnp.full(1, 1e-6, jnp.float32),
        quiet_until=zero,
        began=jnp.int32(incidents.NEVER),
        unanswered=jnp.bool_(False),
    )


def step_of(
    window_score: Callable[[Float[Array, " window"]], Float[Array, ""]],
    settings: streaming.Settings = DEFAULT,
) -> Step:
    """The pure step of a detector whose model gives a scaled window an error, higher is worse.

    Args:
        window_score: the model.
        settings: `threshold`, `calm`, `aftermath`, `renewed`, `memory`, `tail_memory`, `power` and
            `cap` count.

    Returns:
        (state, value) -> (state, score, flag). A value that is not finite (a missing one) scores 0
        and moves nothing but the clock.
    """

    def step_of_value(
        state: State, x: Float[Array, ""]
    ) -> tuple[State, Float[Array, ""], Bool[Array, ""]]:
        day, seen = state.day.astype(jnp.float32), state.seen + 1
        mean, variance = _running_moments(state, x, settings.memory * day)
        window = jnp.concatenate([state.window[1:], x[None]])
        error = window_score(_scaled(window, mean, variance))

        # one statistic, the model's error
        surprise, histogram, largest = streaming.tail_surprise(
            state.histogram, state.largest, error[None], day, settings
        )
        counted = seen > state.learning // 2
        score = jnp.where(seen > state.learning, surprise[0], 0.0)
        alarm = streaming.alarm_memory(state)
        flag, alarm = streaming.begin_alarm(score, state.rows, alarm, day, settings)
        new = state._replace(
            rows=state.rows + 1,
            seen=seen,
            window=window,
            mean=mean,
            variance=variance,
            histogram=jnp.where(counted, histogram, state.histogram),
            largest=jnp.where(counted, largest, state.largest),
            **alarm._asdict(),
        )
        return new, score, flag

    return partial(streaming.skip_missing, step_of_value)


def _running_moments(
    state: State, x: Float[Array, ""], memory: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and variance with one more value: of all so far while the detector learns.

    Welford's update. Behind the learning rows the step is 1 / `memory`, 0 for an infinite one.
    """
    seen = state.seen + 1
    rate = jnp.where(seen <= state.learning, 1.0 / seen.astype(jnp.float32), 1.0 / memory)
    mean = state.mean + rate * (x - state.mean)
    variance = state.variance + rate * ((x - state.mean) * (x - mean) - state.variance)
    return mean, variance


def _scaled(
    window: Float[Array, " window"], mean: Float[Array, ""], variance: Float[Array, ""]
) -> Float[Array, " window"]:
    """A window as the model knows windows; see `window_detectors.scaled_windows`."""
    least = 1e-3 * jnp.maximum(jnp.abs(mean), 1.0)
    scaled = (window - mean) / jnp.maximum(jnp.sqrt(variance), least)
    return jnp.clip(scaled, -FARTHEST, FARTHEST)
