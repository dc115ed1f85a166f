"""A trained model as a streaming detector: it scores the latest window after every event.

    step = step_of(window_score)                         # window_score([window]) -> error
    state = start(day=288, learning=604, window=48)
    state, score, flag = step(state, value)              # one event, live
    state, scores, flags = advance(step, state, values)  # the same step over a history

The window is scaled by the running mean and deviation of the series, which stand still when the
learning rows are over, unless `memory` lets them follow. The score is how rare the model's error is
among the earlier ones of this series (`streaming.tail_surprise`), so no threshold has to be fitted.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxdl.timeseries import streaming

BINS = 800
FARTHEST = 20.0
DEFAULT = streaming.DEFAULT._replace(threshold=2.5, memory=math.inf)

Step = Callable[["State", Array], tuple["State", Array, Array]]


class State(NamedTuple):
    """All that the detector remembers of one series, besides the model."""

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
        largest=jnp.full(1, 1e-6),
        quiet_until=zero,
    )


def step_of(
    window_score: Callable[[Float[Array, " window"]], Float[Array, ""]],
    settings: streaming.Settings = DEFAULT,
) -> Step:
    """The pure step of a detector whose model gives a scaled window an error, higher is worse."""

    def step(
        state: State, value: Float[Array, ""]
    ) -> tuple[State, Float[Array, ""], Bool[Array, ""]]:
        value = jnp.asarray(value, jnp.float32)
        there = jnp.isfinite(value)
        new, score, flag = judge(state, jnp.where(there, value, state.mean))
        kept = jax.tree.map(lambda after, before: jnp.where(there, after, before), new, state)
        return kept._replace(rows=new.rows), jnp.where(there, score, 0.0), flag & there

    def judge(state: State, x: Array):
        day, seen = state.day.astype(jnp.float32), state.seen + 1
        rate = jnp.where(
            seen <= state.learning, 1.0 / seen.astype(jnp.float32), 1.0 / (settings.memory * day)
        )
        mean = state.mean + rate * (x - state.mean)
        variance = state.variance + rate * ((x - state.mean) * (x - mean) - state.variance)
        window = jnp.concatenate([state.window[1:], x[None]])
        floor = 1e-3 * jnp.maximum(jnp.abs(mean), 1.0)
        scaled = (window - mean) / jnp.maximum(jnp.sqrt(variance), floor)
        error = window_score(jnp.clip(scaled, -FARTHEST, FARTHEST))[None]
        surprise, histogram, largest = streaming.tail_surprise(
            state.histogram, state.largest, error, day, settings
        )
        counted = seen > state.learning // 2
        score = jnp.where(seen > state.learning, surprise[0], 0.0)
        flag, quiet = streaming.begin_alarm(score, state.rows, state.quiet_until, day, settings)
        new = state._replace(
            rows=state.rows + 1,
            seen=seen,
            window=window,
            mean=mean,
            variance=variance,
            histogram=jnp.where(counted, histogram, state.histogram),
            largest=jnp.where(counted, largest, state.largest),
            quiet_until=quiet,
        )
        return new, score, flag

    return step


def advance(
    step: Step, state: State, values: Float[Array, " n"]
) -> tuple[State, Float[Array, " n"], Bool[Array, " n"]]:
    """`step` for each value in turn."""

    def body(state, value):
        state, score, flag = step(state, value)
        return state, (score, flag)

    state, (scores, flags) = jax.lax.scan(body, state, values)
    return state, scores, flags
