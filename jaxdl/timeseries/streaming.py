"""A streaming detector: one pure step, scanned over a history or called for one event at a time.

    state = start(day=48)
    state, score, flag = step(state, value)              # one event, live
    state, scores, flags = advance(state, values)        # the same step over a history
    states, scores, flags = advance_many(states, values) # over thousands of series

What a step knows is in its state, so it cannot look ahead. It keeps running means, the course of
the day and of the week, some windows of the past, and for every statistic how often each value
occurred before. Six kinds of statistics ask whether the value is far from the mean, outside all
values so far, other than expected at this hour for an hour or twelve, or for a day, at the end of a
window unlike all earlier ones, or in a time more quiet than usual. The score of an event is how
surprising they are on average: -log10 of their tail shares, a conformal p-value that adapts to the
series and needs no labels (Vovk et al. 2005; Laxhammar and Falkman 2014). Beyond everything seen so
far the tail is continued as a power law. A flag marks the beginning of an incident, for which there
is one alarm (`jaxdl.timeseries.incidents`).
"""

import bisect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from jaxdl.stamps import bounded
from jaxdl.timeseries import incidents

# Several series by name: their values, and a population's scores of them
SeriesValues = Mapping[str, Float[np.ndarray, " _"]]  # [rows]
SeriesScores = Mapping[str, Float[np.ndarray, "_ _"]]  # [seeds, rows]
# a named tuple with the fields `mean` and `rows`
AnyState = TypeVar("AnyState", bound=Any)

# Each statistic and what its surprise weighs in the score: six kinds count the same
STATISTICS = {
    "level": 1.0,
    "novelty": 1.0,
    "residual, 1 h": 0.5,
    "residual, 12 h": 0.5,
    "|residual|, 1 day": 1.0,
    "distance to earlier windows": 1.0,
    "quietness": 1.0,
}
BINS = 160
LOWEST, HIGHEST = -5.0, 5.0  # decades that the histogram of a statistic covers
TINY = 1e-9
WINDOW = 48  # rows whose shape is compared with earlier ones
WINDOWS, SPACING = 64, 16  # so many are remembered, one in SPACING rows, which divides WINDOW
BLOCKS = WINDOWS + 2 * WINDOW // SPACING  # of SPACING values: those windows and what came since
NEAREST = 3  # of the remembered windows, whose distances are averaged
# Room for the course of a day where nobody needs more: a row in ten seconds
MOST_SLOTS = 8640


class Settings(NamedTuple):
    """One setting serves every series; times are in days.

    Attributes:
        threshold: mean surprise (decades) above which an alarm begins.
        calm: an incident is over when the score has been no higher than the threshold this long.
        aftermath: this long after an incident began it takes `renewed` more decades than the
            threshold to begin another; less is the same incident still.
        renewed: these decades.
        unit: for all that follows but the rates, a day has at least so many rows: however few rows
            a day really has, a statistic is made of enough of them.
        short, half, long: averaging times; the signed residual has the short and the half one, the
            absolute residual the long one, and quietness is judged over the half one.
        memory: of the running mean and deviation.
        tail_memory: of the histograms.
        day_rate, week_rate: how fast the courses of the day and of the week follow.
        learning: statistics are counted after this long, scored after twice as long, and if nine
            tenths as many values have been counted.
        clip: largest residual that enters an average, in usual residuals.
        reach: largest residual that enters the usual residual, in usual residuals.
        floor: least usual residual, as a share of the deviation of the values.
        power: exponent of the power law beyond everything seen; at most `cap` decades.
    """

    threshold: float = 0.9
    calm: float = 0.1
    aftermath: float = 1.0
    renewed: float = 0.9
    unit: int = 96
    short: float = 1 / 24
    half: float = 0.5
    long: float = 1.0
    memory: float = 7.0
    tail_memory: float = 60.0
    day_rate: float = 0.5
    week_rate: float = 0.35
    learning: float = 0.25
    clip: float = 20.0
    reach: float = 5.0
    floor: float = 0.02
    power: float = 2.0
    cap: float = 3.0


DEFAULT = Settings()


class State(NamedTuple):
    """All that the detector remembers of one series; a pytree of float32 and int32 arrays.

    "Day" and "week" come in pairs of that order in arrays of two; `slots` is the room for the rows
    of a day. Where there are fewer than rows, neighbouring rows share one.

    Attributes:
        rows: events so far.
        seen: those of them that were not missing.
        day: events in a day.
        mean, deviation: running mean of the values, and of their absolute distance from it.
        half_mean, half_deviation: the same over half a day.
        low, high: least and greatest value so far.
        residual_size: running mean of the absolute residual.
        size_by_hour: the same for each row of the day.
        day_course, week_course: the expected value for each row of the day, of the week.
        day_visits, week_visits: how often that row was seen.
        course_error, course_rows: running mean error of each course, and over how many rows.
        residual: its averages over the short time and over half a day, in usual residuals.
        residual_abs: the average of its absolute value over the long time.
        latest: the latest window of values, the newest last.
        history: the values that the earlier windows are made of, in blocks (columns) that take
            turns: a window begins with each block.
        histogram: how often each decade of each statistic occurred.
        largest: of each statistic so far.
        quiet_until, began, unanswered: see `AlarmMemory`.
    """

    rows: Int[Array, ""]
    seen: Int[Array, ""]
    day: Int[Array, ""]
    mean: Float[Array, ""]
    deviation: Float[Array, ""]
    half_mean: Float[Array, ""]
    half_deviation: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    residual_size: Float[Array, ""]
    size_by_hour: Float[Array, " slots"]
    day_course: Float[Array, " slots"]
    day_visits: Float[Array, " slots"]
    week_course: Float[Array, " 7*slots"]
    week_visits: Float[Array, " 7*slots"]
    course_error: Float[Array, "2"]
    course_rows: Float[Array, "2"]
    residual: Float[Array, "2"]
    residual_abs: Float[Array, ""]
    latest: Float[Array, " window"]
    history: Float[Array, "spacing blocks"]
    histogram: Float[Array, "statistics bins"]
    largest: Float[Array, " statistics"]
    quiet_until: Int[Array, ""]
    began: Int[Array, ""]
    unanswered: Bool[Array, ""]


def start(day: int, slots: int | None = None) -> State:
    """The state before the first event.

    Args:
        day: events in a day (288 for one in five minutes), at least 1.
        slots: room for the course of a day, by default as many; equal for series that are vmapped
            together.

    Raises:
        ValueError: `day` or `slots` is not positive.
    """
    slots = day if slots is None else slots
    if day < 1 or slots < 1:
        raise ValueError(f"day {day}, slots {slots}: give 1 event or more")
    zero = jnp.zeros(())
    return State(
        rows=jnp.int32(0),
        seen=jnp.int32(0),
        day=jnp.int32(day),
        mean=zero,
        deviation=zero,
        half_mean=zero,
        half_deviation=zero,
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
        residual_abs=jnp.ones(()),
        latest=jnp.zeros(WINDOW),
        history=jnp.zeros((SPACING, BLOCKS)),
        histogram=jnp.zeros((len(STATISTICS), BINS)),
        largest=jnp.full(len(STATISTICS), 1e-6, jnp.float32),
        quiet_until=jnp.int32(0),
        began=jnp.int32(incidents.NEVER),
        unanswered=jnp.bool_(False),
    )


# ---- one event -----------------------------------------------------------------------------------


def step(
    state: State, value: Float[ArrayLike, ""], settings: Settings = DEFAULT
) -> tuple[State, Float[Array, ""], Bool[Array, ""]]:
    """One event: what it adds to the state, how surprising it is, whether an alarm begins.

    A value that is not finite (a missing one) scores 0 and moves nothing but the clock.
    """
    return skip_missing(partial(_step, settings=settings), state, value)


def skip_missing(
    step_of_value: Callable[[AnyState, Array], tuple[AnyState, Array, Array]],
    state: AnyState,
    value: Float[ArrayLike, ""],
) -> tuple[AnyState, Float[Array, ""], Bool[Array, ""]]:
    """A step of any detector for a value that may be missing (not finite).

    The barriers keep the arithmetic of a step apart from the program around it. Otherwise XLA may
    fuse it with the loop of a history, round differently there, and live would no longer be the
    back-test bit by bit.

    Args:
        step_of_value: (state, value that is there) -> (state, score, flag).
        state: has `rows`, the clock, and `mean`, which stands in for a missing value.
        value: the event.
    """
    state, value = jax.lax.optimization_barrier((state, jnp.asarray(value, jnp.float32)))
    there = jnp.isfinite(value)
    new, score, flag = step_of_value(state, jnp.where(there, value, state.mean))
    kept = jax.tree.map(lambda after, before: jnp.where(there, after, before), new, state)
    kept = kept._replace(rows=new.rows)
    return jax.lax.optimization_barrier((kept, jnp.where(there, score, 0.0), flag & there))


def _step(
    state: State, x: Float[Array, ""], settings: Settings
) -> tuple[State, Float[Array, ""], Bool[Array, ""]]:
    """`step` for a value that is there: expect, compare, learn, score."""
    day = state.day.astype(jnp.float32)
    unit = unit_of(day, settings)
    new = _learn(state, x, settings)
    statistics = jnp.stack(
        [
            _level(state, x),
            _novelty(state, x),
            *jnp.abs(new.residual),
            new.residual_abs,
            _distance_to_earlier_windows(new),
            _quietness(new),
        ]
    )
    surprise, histogram, largest = tail_surprise(
        state.histogram, state.largest, statistics, unit, settings
    )
    age, learning = state.rows.astype(jnp.float32), settings.learning * unit
    counted = age > learning
    # where much of the learning time was missing, there is too little to compare with
    enough = state.histogram[0].sum() >= 0.9 * learning
    weights = jnp.array(list(STATISTICS.values()))
    mean = (weights * surprise).sum() / weights.sum()
    score = jnp.where((age > 2 * learning) & enough, mean, 0.0)
    flag, alarm = begin_alarm(score, state.rows, alarm_memory(state), day, settings)
    new = new._replace(
        histogram=jnp.where(counted, histogram, state.histogram),
        largest=jnp.where(counted, largest, state.largest),
        **alarm._asdict(),
    )
    return new, score, flag


def rows_learnt_from(day: int, settings: Settings = DEFAULT) -> int:
    """Rows before the first score: half a day, and 48 where a day has fewer than 96.

    >>> rows_learnt_from(day=288), rows_learnt_from(day=24)
    (144, 48)
    """
    return int(2 * settings.learning * max(day, settings.unit))


def unit_of(day: Float[Array, ""], settings: Settings) -> Float[Array, ""]:
    """Rows in a day, or `settings.unit` where a day has fewer."""
    return jnp.maximum(day, settings.unit)


def _rows_of_a_slot(state: State) -> Int[Array, ""]:
    """How many neighbouring rows share a slot of the courses; mostly 1."""
    return -(-state.day // state.day_course.shape[-1])


def _hours(state: State) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Which slot of the day and of the week it is."""
    shared = _rows_of_a_slot(state)
    return state.rows % state.day // shared, state.rows % (7 * state.day) // shared


def _courses(state: State) -> tuple[Float[Array, "2"], Float[Array, "2"]]:
    """What the courses of the day and of the week expect now, and how often this row was seen."""
    hour, week_hour = _hours(state)
    courses = jnp.stack([state.day_course[hour], state.week_course[week_hour]])
    return courses, jnp.stack([state.day_visits[hour], state.week_visits[week_hour]])


def _expected(state: State) -> Float[Array, ""]:
    """The course of the day or of the week, whichever has been the better guess; else the mean."""
    courses, visits = _courses(state)
    known = visits > 0
    weekly = known[1] & (state.course_error[1] < state.course_error[0])
    return jnp.where(weekly, courses[1], jnp.where(known[0], courses[0], state.mean))


def _usual_residual(state: State, settings: Settings) -> Float[Array, ""]:
    """What a residual is measured by: half the usual size at this hour, half the usual size."""
    hour, _ = _hours(state)
    local = jnp.where(state.day_visits[hour] > 1, state.size_by_hour[hour], state.residual_size)
    usual = 0.5 * (local + state.residual_size)
    least = settings.floor * jnp.maximum(state.deviation, TINY)
    return jnp.maximum(jnp.maximum(usual, least), TINY)


def _averaged_residuals(
    state: State, z: Float[Array, ""], settings: Settings
) -> tuple[Float[Array, "2"], Float[Array, ""]]:
    """Averages of a residual over the short and the half time, of its size over the long one.

    Args:
        state: holds the averages so far.
        z: the residual in usual residuals.
        settings: of the detector.
    """
    z = jnp.clip(z, -settings.clip, settings.clip)
    times = jnp.array([settings.short, settings.half, settings.long])
    unit = unit_of(state.day.astype(jnp.float32), settings)
    rates = 1.0 / jnp.maximum(times * unit, 2.0)
    signed = state.residual + rates[:2] * (z - state.residual)
    return signed, state.residual_abs + rates[2] * (jnp.abs(z) - state.residual_abs)


def _level(state: State, x: Float[Array, ""]) -> Float[Array, ""]:
    """Distance from the running mean, in deviations."""
    return jnp.abs(x - state.mean) / jnp.maximum(state.deviation, TINY)


def _novelty(state: State, x: Float[Array, ""]) -> Float[Array, ""]:
    """How far a value lies outside all earlier ones, as a share of their range."""
    span = jnp.maximum(state.high - state.low, TINY)
    novelty = jnp.maximum(jnp.maximum(x - state.high, state.low - x) / span, 0.0)
    return jnp.where(state.seen > 0, novelty, 0.0)


def _distance_to_earlier_windows(state: State) -> Float[Array, ""]:
    """How far the latest window is from the nearest remembered ones, in deviations.

    A nearest-neighbour distance of delay embeddings (Ramaswamy et al. 2000); the root mean square
    over the rows of a window. 0 while fewer than `NEAREST` windows are remembered.
    """
    blocks = WINDOW // SPACING
    history = jnp.concatenate([state.history, state.history[:, : blocks - 1]], axis=1)
    # squared distance of the windows that begin with each block; row by row, all blocks at once
    squared = jnp.zeros(BLOCKS)
    for row, value in enumerate(state.latest):
        block, place = divmod(row, SPACING)
        squared += (history[place, block : block + BLOCKS] - value) ** 2
    distance = jnp.sqrt(squared / WINDOW)
    nearest, _ = jax.lax.top_k(-jnp.where(_remembered(state), distance, jnp.inf), NEAREST)
    mean = -nearest.mean() / jnp.maximum(state.deviation, TINY)
    return jnp.where(jnp.isfinite(mean), mean, 0.0)


def _remembered(state: State) -> Bool[Array, " blocks"]:
    """Which blocks an earlier window begins with.

    The first one when two windows have passed, then one more in `SPACING` values: they end where
    the latest window begins, or before, so that it is compared with none that it overlaps. The last
    `WINDOWS` of them count.
    """
    windows = jnp.maximum(-(-(state.seen - 2 * WINDOW) // SPACING), 0)
    age = (windows - 1 - jnp.arange(BLOCKS)) % BLOCKS
    return age < jnp.minimum(windows, WINDOWS)


def _quietness(state: State) -> Float[Array, ""]:
    """How many times smaller the deviation of the last half day is than the usual one.

    It is large in a quiet time, and where values keep to a new level until the mean has followed.
    """
    least = 1e-3 * state.deviation + TINY
    return state.deviation / jnp.maximum(state.half_deviation, least)


def _learn(state: State, x: Float[Array, ""], settings: Settings) -> State:
    """The running means, the courses and the history after this value.

    Every mean makes a step towards the value. While it is young its step is 1 / (number of values),
    which makes it their plain mean.
    """
    day, age = state.day.astype(jnp.float32), state.rows.astype(jnp.float32)
    unit, seen = unit_of(day, settings), state.seen.astype(jnp.float32)
    first = state.seen == 0
    mean = jnp.where(first, x, state.mean)  # of the first value nothing is expected but itself
    half_mean = jnp.where(first, x, state.half_mean)
    residual = x - jnp.where(first, x, _expected(state))
    usual = _usual_residual(state, settings)
    signed, absolute = _averaged_residuals(state, residual / usual, settings)

    hour, week_hour = _hours(state)
    courses, visits = _courses(state)
    known = visits > 0
    slow = jnp.maximum(1.0 / (seen + 1.0), 1.0 / (settings.memory * unit))
    fast = jnp.maximum(1.0 / (seen + 1.0), 1.0 / jnp.maximum(settings.half * unit, 2.0))
    half_mean = half_mean + fast * (x - half_mean)
    # an anomaly must not become usual: after a day and a half large residuals are cut
    bound = jnp.where(age > 1.5 * day, settings.reach * usual, jnp.inf)
    size = jnp.minimum(jnp.abs(residual), bound)
    shared = _rows_of_a_slot(state).astype(jnp.float32)  # all rows of a slot move it together
    size_rate = jnp.maximum(0.1 / shared, 1.0 / (visits[0] + 1.0))
    course_rate = jnp.array([settings.day_rate, settings.week_rate]) / shared
    courses_new = courses + jnp.maximum(course_rate, 1.0 / (visits + 1.0)) * (x - courses)
    # a course is judged where it had a guess
    course_rows = state.course_rows + known
    error_rate = jnp.maximum(1.0 / day, 1.0 / jnp.maximum(course_rows, 1.0))
    error_step = error_rate * (jnp.abs(x - courses) - state.course_error)
    # the very first value belongs to no block; it lies in the last one until that is its turn
    block, place = jnp.divmod((state.seen - 1) % (SPACING * BLOCKS), SPACING)
    return state._replace(
        rows=state.rows + 1,
        seen=state.seen + 1,
        mean=mean + slow * (x - mean),
        deviation=state.deviation + slow * (jnp.abs(x - mean) - state.deviation),
        half_mean=half_mean,
        half_deviation=state.half_deviation
        + fast * (jnp.abs(x - half_mean) - state.half_deviation),
        low=jnp.minimum(state.low, x),
        high=jnp.maximum(state.high, x),
        residual_size=state.residual_size + slow * (size - state.residual_size),
        size_by_hour=state.size_by_hour.at[hour].add(size_rate * (size - state.size_by_hour[hour])),
        day_course=state.day_course.at[hour].set(courses_new[0]),
        day_visits=state.day_visits.at[hour].add(1.0),
        week_course=state.week_course.at[week_hour].set(courses_new[1]),
        week_visits=state.week_visits.at[week_hour].add(1.0),
        course_error=state.course_error + jnp.where(known, error_step, 0.0),
        course_rows=course_rows,
        residual=signed,
        residual_abs=absolute,
        latest=jnp.concatenate([state.latest[1:], x[None]]),
        history=state.history.at[place, block].set(x),
    )


def tail_surprise(
    histogram: Float[Array, "statistics bins"],
    largest: Float[Array, " statistics"],
    statistics: Float[Array, " statistics"],
    unit: Float[Array, ""],
    settings: Settings,
) -> tuple[
    Float[Array, " statistics"], Float[Array, "statistics bins"], Float[Array, " statistics"]
]:
    """-log10 of the share of earlier values as high, for each statistic.

    The share is (earlier values in this bin or above + 1) / (earlier values + 1).

    Args:
        histogram: how often each decade of a statistic occurred, fading with `tail_memory`.
        largest: of each statistic so far; beyond it the tail goes on as a power law.
        statistics: the new values, not negative.
        unit: rows in a unit of time.
        settings: of the detector.

    Returns:
        the surprise, and histogram and largest values with the new ones.
    """
    bins = histogram.shape[-1]
    width = (HIGHEST - LOWEST) / bins
    place = (jnp.log10(statistics + TINY) - LOWEST) / width
    # otherwise XLA works it out anew for every bin that it is compared with
    place = jax.lax.optimization_barrier(jnp.clip(place, 0, bins - 1).astype(jnp.int32))
    as_high = jnp.arange(bins) >= place[:, None]
    count = jnp.where(as_high, histogram, 0.0).sum(axis=1)
    share = (count + 1.0) / (histogram.sum(axis=1) + 1.0)
    beyond = jnp.log10((statistics + 1e-6) / (largest + 1e-6))
    beyond = jnp.clip(settings.power * beyond, 0.0, settings.cap)
    forget = 1.0 - 1.0 / (settings.tail_memory * unit)
    here = jnp.arange(bins) == place[:, None]
    return beyond - jnp.log10(share), histogram * forget + here, jnp.maximum(largest, statistics)


class AlarmMemory(NamedTuple):
    """What the rule of alarms remembers; three fields of a state.

    Attributes:
        quiet_until: the last row that belongs to the rows above the threshold so far.
        began: the row of the last alarm.
        unanswered: the latest rows above the threshold came after a calm and gave no alarm, as they
            were weak and in an aftermath.
    """

    quiet_until: Int[Array, ""]
    began: Int[Array, ""]
    unanswered: Bool[Array, ""]


def alarm_memory(state: AnyState) -> AlarmMemory:
    """The rule's part of a state."""
    return AlarmMemory(state.quiet_until, state.began, state.unanswered)


def begin_alarm(
    score: Float[Array, ""],
    rows: Int[Array, ""],
    memory: AlarmMemory,
    day: Float[Array, ""],
    settings: Settings,
) -> tuple[Bool[Array, ""], AlarmMemory]:
    """Whether an alarm begins in this row, and what the next row has to know.

    `jaxdl.timeseries.incidents` has the same rule for scores that are known already.

    Args:
        score: of this row.
        rows: its number.
        memory: what this function returned for the row before.
        day: events in a day.
        settings: of the detector.
    """
    above = score > settings.threshold
    strong = score > settings.threshold + settings.renewed
    after_calm = above & (rows > memory.quiet_until)
    unanswered = memory.unanswered | after_calm
    in_aftermath = rows - memory.began <= (settings.aftermath * day).astype(jnp.int32)
    flag = (after_calm & ~in_aftermath) | (above & unanswered & strong)
    calm_from = rows + (settings.calm * day).astype(jnp.int32)
    return flag, AlarmMemory(
        quiet_until=jnp.where(above, calm_from, memory.quiet_until),
        began=jnp.where(flag, rows, memory.began),
        unanswered=unanswered & ~flag,
    )


# ---- histories -----------------------------------------------------------------------------------


def advance(
    state: State, values: Float[ArrayLike, " n"], settings: Settings = DEFAULT
) -> tuple[State, Float[Array, " n"], Bool[Array, " n"]]:
    """`step` for each value in turn."""
    return scan_events(partial(step, settings=settings), state, values)


def scan_events(
    step: Callable[[AnyState, Array], tuple[AnyState, Array, Array]],
    state: AnyState,
    values: Float[ArrayLike, " n"],
) -> tuple[AnyState, Float[Array, " n"], Bool[Array, " n"]]:
    """The step of any detector for each value in turn."""

    def body(state, value):
        state, score, flag = step(state, value)
        return state, (score, flag)

    state, (scores, flags) = jax.lax.scan(body, state, values)
    return state, scores, flags


def advance_many(
    states: State, values: Float[ArrayLike, "series n"], settings: Settings = DEFAULT
) -> tuple[State, Float[Array, "series n"], Bool[Array, "series n"]]:
    """`advance` for many series at once; a series that has ended goes on with NaN.

    Args:
        states: as `stack` gives them.
        values: one row for each series.
    """
    return jax.vmap(lambda state, row: advance(state, row, settings))(states, values)


def backtest(
    series: SeriesValues,
    states: Mapping[str, tuple],
    advance: Callable = advance,
    missing: Mapping[str, Int[np.ndarray, " _"]] | None = None,
) -> SeriesScores:
    """Scores of whole series of different lengths, all at once; one member, nothing is random.

    Args:
        series: name -> values.
        states: name -> the state before the first event; all of one shape.
        advance: (state, values) -> (state, scores, flags).
        missing: ticks of the clock without a row before each row, as `missing_ticks` gives them,
            for an `advance` that takes them, too (`advance_on_ticks`).
    """
    longest = max(len(values) for values in series.values())
    table = np.full((len(series), longest), np.nan, np.float32)
    gaps = np.zeros((len(series), longest), np.int32)
    for row, (name, values) in enumerate(series.items()):
        table[row, : len(values)] = values
        if missing is not None:
            gaps[row, : len(values)] = missing[name]
    together = stack([states[name] for name in series])
    inputs = (table,) if missing is None else (table, gaps)
    _, scores, _ = jax.jit(jax.vmap(advance))(together, *inputs)
    scores = np.asarray(scores)
    return {
        name: scores[row : row + 1, : len(values)]
        for row, (name, values) in enumerate(series.items())
    }


def advance_on_ticks(
    state: AnyState,
    values: Float[ArrayLike, " n"],
    missing: Int[ArrayLike, " n"],
    step: Callable = step,
) -> tuple[AnyState, Float[Array, " n"], Bool[Array, " n"]]:
    """A step for each row of a series in which ticks of the clock are missing.

    Args:
        state: of the series so far.
        values: one for each row.
        missing: ticks without a row before each of them; see `missing_ticks`.
        step: of the detector.
    """

    def body(state, row):
        value, before = row
        state, score, flag = step(state._replace(rows=state.rows + before), value)
        return state, (score, flag)

    state, (scores, flags) = jax.lax.scan(
        body, state, (jnp.asarray(values, jnp.float32), jnp.asarray(missing, jnp.int32))
    )
    return state, scores, flags


def missing_ticks(tick: Int[np.ndarray, " n"], day: int) -> Int[np.ndarray, " n"]:
    """How many ticks are without a row before each row.

    >>> missing_ticks(np.array([0, 1, 4]), day=24).tolist()
    [0, 0, 2]

    Args:
        tick: of each row, rising.
        day: ticks in a day.
    """
    missing = np.diff(tick, prepend=tick[:1] - 1) - 1
    rows = 0
    for i, before in enumerate(missing.tolist()):
        if before:
            missing[i] = bounded(before, rows, day)
        rows += int(missing[i]) + 1
    return missing.astype(np.int32)


def stack(states: Sequence[AnyState]) -> AnyState:
    """Many states of the same number of slots as one pytree with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


# ---- the state as a file -------------------------------------------------------------------------


def to_arrays(state: State) -> dict[str, Array]:
    """A state as named arrays, for `np.savez`."""
    return state._asdict()


def from_arrays(arrays: Mapping[str, np.ndarray]) -> State:
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


# ---- scores of detectors of another kind ---------------------------------------------------------


def surprise(scores: Float[np.ndarray, " n"], first: int = 0) -> Float[np.ndarray, " n"]:
    """-log10 of the share of earlier scores at least as high: `tail_surprise`, counted exactly.

    It gives every detector the same label-free scale: above 3 means less than once in a thousand.

    >>> surprise(np.array([1.0, 2.0, 3.0, 2.0, 9.0]), first=0)[1:].round(2).tolist()
    [0.3, 0.48, 0.12, 0.7]

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
    """Rows in which an alarm begins: the rule of `begin_alarm`, for scores that are known already.

    >>> scores = np.array([0, 1.5, 1.5, 0, 1.5, 0, 0, 1.5])
    >>> np.flatnonzero(alarms(scores, threshold=1.0, day=4)).tolist()  # the third is an aftermath
    [1, 7]

    Args:
        scores: in order of time.
        threshold: an alarm begins above it.
        day: rows in a day.
        settings: `calm`, `aftermath` and `renewed` of the detector.
    """
    flags = np.zeros(len(scores), bool)
    rule = incident_rule(day, settings._replace(threshold=threshold))
    flags[[incident.first for incident in incidents.find(scores, rule)]] = True
    return flags


def incident_rule(day: int, settings: Settings = DEFAULT) -> incidents.Rule:
    """The detector's rule of incidents in rows.

    Args:
        day: rows in a day.
        settings: of the detector.
    """
    return incidents.Rule(
        threshold=settings.threshold,
        calm=int(settings.calm * day),
        aftermath=int(settings.aftermath * day),
        renewed=settings.renewed,
    )
