"""A streaming detector: one pure step, scanned over a history or called for one event at a time.

    state = start(day=48)
    state, score, flag = step(state, value)              # one event, live
    state, scores, flags = advance(state, values)        # the same step over a history
    states, scores, flags = advance_many(states, values) # over thousands of series

What a step knows is in its state, so it cannot look ahead. It keeps running means, the course of
the day and of the week, and for five statistics how often each value occurred before. The score of
an event is how surprising the five are on average: -log10 of their tail shares, a conformal p-value
that adapts to the series and needs no labels (Vovk et al. 2005; Laxhammar and Falkman 2014). Beyond
everything seen so far the tail is continued as a power law. A flag marks the beginning of an alarm.
"""

import bisect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

STATISTICS = ("level", "novelty", "residual, 3 h", "|residual|, 3 h", "|residual|, 1 day")
BINS = 160
LOWEST, HIGHEST = -5.0, 5.0  # decades that the histogram of a statistic covers
TINY = 1e-9


class Settings(NamedTuple):
    """One setting serves every series; times are in days.

    Attributes:
        threshold: mean surprise (decades) above which an alarm begins.
        silence: no second alarm this long after one began.
        calm: nor this long after the score was last above the threshold.
        short, long: averaging times of the residuals.
        memory: of the running mean and deviation.
        tail_memory: of the histograms.
        day_rate, week_rate: how fast the courses of the day and of the week follow.
        learning: statistics are counted after this long, scored after twice as long.
        clip: largest residual that enters an average, in usual residuals.
        reach: largest residual that enters the usual residual, in usual residuals.
        floor: least usual residual, as a share of the deviation of the values.
        power: exponent of the power law beyond everything seen; at most `cap` decades.
    """

    threshold: float = 1.2
    silence: float = 1.0
    calm: float = 0.1
    short: float = 0.125
    long: float = 1.0
    memory: float = 7.0
    tail_memory: float = 60.0
    day_rate: float = 0.5
    week_rate: float = 0.35
    learning: float = 0.5
    clip: float = 10.0
    reach: float = 5.0
    floor: float = 0.02
    power: float = 2.0
    cap: float = 3.0


DEFAULT = Settings()


class State(NamedTuple):
    """All that the detector remembers of one series; a pytree of float32 and int32 arrays."""

    rows: Int[Array, ""]
    day: Int[Array, ""]
    mean: Float[Array, ""]
    deviation: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    residual_size: Float[Array, ""]
    size_by_hour: Float[Array, " slots"]
    day_course: Float[Array, " slots"]
    day_visits: Float[Array, " slots"]
    week_course: Float[Array, " slots7"]
    week_visits: Float[Array, " slots7"]
    course_error: Float[Array, "2"]
    course_rows: Float[Array, "2"]
    residual: Float[Array, "2"]
    residual_abs: Float[Array, "2"]
    histogram: Float[Array, "statistics bins"]
    largest: Float[Array, " statistics"]
    quiet_until: Int[Array, ""]


def start(day: int, slots: int | None = None) -> State:
    """The state before the first event.

    Args:
        day: events in a day (288 for one in five minutes), at least 1.
        slots: room for the course of a day; equal for series that are vmapped together.

    Raises:
        ValueError: `day` is not between 1 and `slots`.
    """
    slots = day if slots is None else slots
    if not 1 <= day <= slots:
        raise ValueError(f"day must be 1..{slots} events, not {day}")
    zero = jnp.zeros(())
    return State(
        rows=jnp.int32(0),
        day=jnp.int32(day),
        mean=zero,
        deviation=zero,
        low=jnp.float32(jnp.inf),
        high=jnp.float32(-jnp.inf),
        residual_size=zero,
        size_by_hour=jnp.zeros(slots),
        day_course=jnp.zeros(slots),
        day_visits=jnp.zeros(slots),
        week_course=jnp.zeros(7 * slots),
        week_visits=jnp.zeros(7 * slots),
        course_error=jnp.zeros(2),
        course_rows=jnp.zeros(2),
        residual=jnp.zeros(2),
        residual_abs=jnp.ones(2),
        histogram=jnp.zeros((len(STATISTICS), BINS)),
        largest=jnp.full(len(STATISTICS), 1e-6),
        quiet_until=jnp.int32(0),
    )


def step(
    state: State, value: Float[Array, ""], settings: Settings = DEFAULT
) -> tuple[State, Float[Array, ""], Bool[Array, ""]]:
    """One event: what it adds to the state, how surprising it is, whether an alarm begins.

    A value that is not finite (a missing one) scores 0 and moves nothing but the clock.
    """
    value = jnp.asarray(value, jnp.float32)
    new, score, flag = _step(state, jnp.where(jnp.isfinite(value), value, state.mean), settings)
    there = jnp.isfinite(value)
    kept = jax.tree.map(lambda after, before: jnp.where(there, after, before), new, state)
    kept = kept._replace(rows=new.rows)
    return kept, jnp.where(there, score, 0.0), flag & there


def _step(state: State, x: Array, settings: Settings):
    day = state.day.astype(jnp.float32)
    age = state.rows.astype(jnp.float32)
    hour, week_hour = state.rows % state.day, state.rows % (7 * state.day)
    deviation = jnp.maximum(state.deviation, TINY)

    # The course of the day or of the week, whichever has been the better guess; else the mean
    courses = jnp.stack([state.day_course[hour], state.week_course[week_hour]])
    known = jnp.stack([state.day_visits[hour], state.week_visits[week_hour]]) > 0
    weekly = known[1] & (state.course_error[1] < state.course_error[0])
    expected = jnp.where(weekly, courses[1], jnp.where(known[0], courses[0], state.mean))
    residual = x - expected
    local = jnp.where(state.day_visits[hour] > 1, state.size_by_hour[hour], state.residual_size)
    usual = 0.5 * (local + state.residual_size)
    usual = jnp.maximum(jnp.maximum(usual, settings.floor * deviation), TINY)
    z = jnp.clip(residual / usual, -settings.clip, settings.clip)

    rates = 1.0 / jnp.maximum(day * jnp.array([settings.short, settings.long]), 2.0)
    mean_z = state.residual + rates * (z - state.residual)
    mean_abs = state.residual_abs + rates * (jnp.abs(z) - state.residual_abs)
    span = jnp.maximum(state.high - state.low, TINY)
    novelty = jnp.maximum(jnp.maximum(x - state.high, state.low - x) / span, 0.0)
    novelty = jnp.where(state.rows > 0, novelty, 0.0)
    level = jnp.abs(x - state.mean) / deviation
    statistics = jnp.stack([level, novelty, jnp.abs(mean_z[0]), mean_abs[0], mean_abs[1]])

    surprise, histogram, largest = tail_surprise(
        state.histogram, state.largest, statistics, day, settings
    )
    live = age > settings.learning * day
    scored = age > 2 * settings.learning * day
    score = jnp.where(scored, surprise.mean(), 0.0)

    flag, quiet = begin_alarm(score, state.rows, state.quiet_until, day, settings)

    slow = jnp.maximum(1.0 / (age + 1.0), 1.0 / (settings.memory * day))
    bound = jnp.where(age > 1.5 * day, settings.reach * usual, jnp.inf)
    size = jnp.minimum(jnp.abs(residual), bound)
    visits = jnp.stack([state.day_visits[hour], state.week_visits[week_hour]])
    follow = jnp.array([settings.day_rate, settings.week_rate])
    follow = jnp.maximum(follow, 1.0 / (visits + 1.0))
    courses_new = courses + follow * (x - courses)
    by_hour = state.size_by_hour[hour]
    course_rows = state.course_rows + known
    error_rate = jnp.maximum(1.0 / day, 1.0 / jnp.maximum(course_rows, 1.0))
    error_step = error_rate * (jnp.abs(x - courses) - state.course_error)
    new = State(
        rows=state.rows + 1,
        day=state.day,
        mean=state.mean + slow * (x - state.mean),
        deviation=state.deviation + slow * (jnp.abs(x - state.mean) - state.deviation),
        low=jnp.minimum(state.low, x),
        high=jnp.maximum(state.high, x),
        residual_size=state.residual_size + slow * (size - state.residual_size),
        size_by_hour=state.size_by_hour.at[hour].add(
            jnp.maximum(0.1, 1.0 / (visits[0] + 1.0)) * (size - by_hour)
        ),
        day_course=state.day_course.at[hour].set(courses_new[0]),
        day_visits=state.day_visits.at[hour].add(1.0),
        week_course=state.week_course.at[week_hour].set(courses_new[1]),
        week_visits=state.week_visits.at[week_hour].add(1.0),
        course_error=state.course_error + jnp.where(known, error_step, 0.0),
        course_rows=course_rows,
        residual=mean_z,
        residual_abs=mean_abs,
        histogram=jnp.where(live, histogram, state.histogram),
        largest=jnp.where(live, largest, state.largest),
        quiet_until=quiet,
    )
    return new, score, flag


def tail_surprise(
    histogram: Float[Array, "statistics bins"],
    largest: Float[Array, " statistics"],
    statistics: Float[Array, " statistics"],
    day: Float[Array, ""],
    settings: Settings,
) -> tuple[Array, Array, Array]:
    """-log10 of the share of earlier values as high, and the histogram with these added.

    Args:
        histogram: how often each decade of a statistic occurred, fading with `tail_memory`.
        largest: of each statistic so far; beyond it the tail goes on as a power law.
        statistics: the new values, not negative.
        day: events in a day.
        settings: of the detector.
    """
    bins = histogram.shape[-1]
    width = (HIGHEST - LOWEST) / bins
    place = (jnp.log10(statistics + TINY) - LOWEST) / width
    place = jnp.clip(place, 0, bins - 1).astype(jnp.int32)
    as_high = jnp.arange(bins) >= place[:, None]
    count = jnp.where(as_high, histogram, 0.0).sum(axis=1)
    share = (count + 1.0) / (histogram.sum(axis=1) + 1.0)
    beyond = jnp.log10((statistics + 1e-6) / (largest + 1e-6))
    beyond = jnp.clip(settings.power * beyond, 0.0, settings.cap)
    forget = 1.0 - 1.0 / (settings.tail_memory * day)
    here = jnp.arange(bins) == place[:, None]
    return beyond - jnp.log10(share), histogram * forget + here, jnp.maximum(largest, statistics)


def begin_alarm(
    score: Float[Array, ""],
    rows: Int[Array, ""],
    quiet_until: Int[Array, ""],
    day: Float[Array, ""],
    settings: Settings,
) -> tuple[Bool[Array, ""], Int[Array, ""]]:
    """Whether an alarm begins in this row, and the row up to which none may begin after it."""
    above = score > settings.threshold
    flag = above & (rows > quiet_until)
    silence = jnp.where(flag, settings.silence, jnp.where(above, settings.calm, 0.0)) * day
    return flag, jnp.maximum(quiet_until, rows + silence.astype(jnp.int32))


def advance(
    state: State, values: Float[Array, " n"], settings: Settings = DEFAULT
) -> tuple[State, Float[Array, " n"], Bool[Array, " n"]]:
    """`step` for each value in turn."""

    def body(state, value):
        state, score, flag = step(state, value, settings)
        return state, (score, flag)

    state, (scores, flags) = jax.lax.scan(body, state, values)
    return state, scores, flags


def advance_many(
    states: State, values: Float[Array, "series n"], settings: Settings = DEFAULT
) -> tuple[State, Float[Array, "series n"], Bool[Array, "series n"]]:
    """`advance` for many series at once; a series that has ended goes on with NaN.

    Args:
        states: as `stack` gives them.
        values: one row for each series.
    """
    return jax.vmap(lambda state, row: advance(state, row, settings))(states, values)


def backtest(
    series: Mapping[str, Float[np.ndarray, " n"]],
    states: Mapping[str, Any],
    advance: Callable = advance,
) -> dict[str, Float[np.ndarray, " n"]]:
    """Scores of whole series of different lengths, all at once.

    Args:
        series: name -> values.
        states: name -> the state before the first event; all of one shape.
        advance: (state, values) -> (state, scores, flags).
    """
    longest = max(len(values) for values in series.values())
    table = np.full((len(series), longest), np.nan, np.float32)
    for row, values in zip(table, series.values(), strict=True):
        row[: len(values)] = values
    together = stack([states[name] for name in series])
    scores = np.asarray(jax.jit(jax.vmap(advance))(together, table)[1])
    return {
        name: row[: len(values)] for (name, values), row in zip(series.items(), scores, strict=True)
    }


def stack(states: list[Any]) -> Any:
    """Many states of the same number of slots as one pytree with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def to_arrays(state: State) -> dict[str, Array]:
    """A state as named arrays, for `np.savez`."""
    return state._asdict()


def from_arrays(arrays: dict[str, Array]) -> State:
    """The state that `to_arrays` named.

    Raises:
        ValueError: a name is missing or unknown, or a shape or type differs from a fresh state's.
    """
    if set(arrays) != set(State._fields):
        raise ValueError("these are not the arrays of a detector state")
    slots = arrays["day_course"].shape[-1] if arrays["day_course"].ndim else 0
    day = int(arrays["day"]) if arrays["day"].shape == () else 0
    fresh = start(day, slots)
    for name, leaf in fresh._asdict().items():
        given = arrays[name]
        if given.shape != leaf.shape or given.dtype != leaf.dtype:
            raise ValueError(f"{name} has shape {given.shape} and type {given.dtype}")
    return State(**{name: jnp.asarray(arrays[name]) for name in State._fields})


def surprise(scores: Float[np.ndarray, " n"], first: int = 0) -> Float[np.ndarray, " n"]:
    """-log10 of the share of earlier scores at least as high, for a detector of another kind.

    It gives every detector the same label-free scale: above 3 means less than once in a thousand.

    Args:
        scores: in order of time.
        first: row from which scores are counted; earlier rows get 0.
    """
    past: list[float] = []
    out = np.zeros(len(scores))
    for row in range(first, len(scores)):
        score = float(scores[row])
        at = bisect.bisect_left(past, score)
        out[row] = -np.log10((len(past) - at + 1) / (len(past) + 1))
        past.insert(at, score)
    return out


def alarms(
    scores: Float[np.ndarray, " n"], threshold: float, day: int, settings: Settings = DEFAULT
) -> Bool[np.ndarray, " n"]:
    """Rows in which an alarm begins: the rule of `step`, for scores that are known already."""
    flags = np.zeros(len(scores), bool)
    quiet_until = 0
    for row in np.flatnonzero(np.asarray(scores) > threshold):
        flags[row] = row > quiet_until
        wait = settings.silence if flags[row] else settings.calm
        quiet_until = max(quiet_until, row + int(wait * day))
    return flags
