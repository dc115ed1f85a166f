"""The streaming detector: live equals back-test, causal, restartable, one by one or all at once."""

import io
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.timeseries import streaming
from tests.series import same, taxi_twin, taxi_values

advance, step = jax.jit(streaming.advance), jax.jit(streaming.step)
# for examples of a few rows: their day is the unit of time
BRIEF = streaming.DEFAULT._replace(unit=1, learning=0.5)
brief_step = jax.jit(partial(streaming.step, settings=BRIEF))


@pytest.fixture(scope="module")
def taxi():
    return taxi_values()


def test_live_is_the_backtest_bit_by_bit(taxi):
    values = taxi[:1000]
    end, scores, flags = advance(streaming.start(48), values)
    state, one_by_one = streaming.start(48), []
    for value in values:
        state, score, flag = step(state, value)
        one_by_one.append((float(score), bool(flag)))
    assert np.array_equal(scores, np.array([s for s, _ in one_by_one], np.float32))
    assert np.array_equal(flags, [f for _, f in one_by_one])
    assert same(end, state)
    assert np.asarray(scores).max() > 0.5


def test_the_future_changes_nothing(taxi):
    changed = taxi[:900].copy()
    changed[600:] = -1e6
    _, scores, flags = advance(streaming.start(48), taxi[:900])
    _, scores_changed, flags_changed = advance(streaming.start(48), changed)
    assert np.array_equal(scores[:600], scores_changed[:600])
    assert np.array_equal(flags[:600], flags_changed[:600])
    assert not np.array_equal(scores[600:], scores_changed[600:])


def test_it_finds_what_is_labelled_in_the_twin(taxi):
    series = taxi_twin()
    _, scores, flags = advance(streaming.start(48), taxi)
    flagged = series.time[np.asarray(flags)]
    hit = [((flagged >= a) & (flagged <= b)).any() for a, b in series.windows]
    assert sum(hit) >= 4
    assert np.asarray(flags).sum() <= 25
    day = streaming.alarms(np.asarray(scores), streaming.DEFAULT.threshold, 48)
    assert np.array_equal(day, flags)


def test_scores_do_not_depend_on_the_unit(taxi):
    _, plain, _ = advance(streaming.start(48), taxi[:2000])
    _, scaled, _ = advance(streaming.start(48), taxi[:2000] * np.float32(1024))
    assert np.mean(np.abs(np.asarray(plain) - np.asarray(scaled)) > 0.05) < 0.01


def test_many_series_at_once_are_the_single_ones(taxi):
    rows = np.stack([taxi[i : i + 700] for i in (0, 100, 200)])
    days = [48, 24, 12]
    states = streaming.stack([streaming.start(day, 48) for day in days])
    ends, scores, flags = jax.jit(streaming.advance_many)(states, rows)
    for i, day in enumerate(days):
        _, one, flag = advance(streaming.start(day, 48), rows[i])
        np.testing.assert_allclose(scores[i], one, atol=0.05)
        assert np.array_equal(flags[i], flag)
    assert ends.rows.tolist() == [700, 700, 700]


def test_backtest_of_series_of_different_lengths(taxi):
    series, days = {"long": taxi[:500], "short": taxi[100:400]}, {"long": 48, "short": 24}
    states = {name: streaming.start(day, 48) for name, day in days.items()}
    scores = streaming.backtest(series, states)
    for name, values in series.items():
        _, alone, _ = advance(streaming.start(days[name], 48), values)
        assert scores[name].shape == (1, len(values))
        np.testing.assert_allclose(scores[name][0], alone, atol=0.05)


def test_a_thousand_series():
    states = streaming.stack([streaming.start(4)] * 1000)
    values = np.random.default_rng(0).normal(size=(1000, 6)).astype(np.float32)
    _, scores, _ = jax.jit(streaming.advance_many)(states, values)
    assert scores.shape == (1000, 6)
    assert np.isfinite(scores).all()


def test_a_missing_value_moves_the_clock_only(taxi):
    state, _, _ = advance(streaming.start(48), taxi[:300])
    after, score, flag = step(state, np.float32(np.nan))
    assert (float(score), bool(flag)) == (0.0, False)
    assert int(after.rows) == 301
    assert same(after._replace(rows=state.rows), state)


def test_constant_series_is_not_alarming():
    _, scores, flags = advance(streaming.start(24), np.full(600, 7.0, np.float32))
    assert np.isfinite(scores).all()
    assert not np.asarray(flags).any()


def test_an_alarm_needs_more_than_the_threshold_and_calm_before():
    """`begin_alarm`, row by row, and `alarms`: both rules at their edges."""
    settings = streaming.DEFAULT._replace(threshold=1.0, calm=0.5, aftermath=1.5, renewed=1.0)
    above, strong, at, below = 1.5, 3.0, 1.0, 0.0
    cases = {
        "a score equal to the threshold begins nothing": ([below, at, at], []),
        "the first row begins nothing": ([above, below, below, below], []),
        "nor does what goes on from it": ([above, above, below], []),
        "an alarm that goes on is the same alarm": ([below, *[above] * 9], [1]),
        "half a day of calm ends it": ([below, *[above] * 6, at, below, above], [1, 9]),
        "one row less does not": ([below, *[above] * 6, at, above], [1]),
        "in the aftermath it takes more": ([below, above, *[below] * 4, above], [1]),
        "as much more begins nothing": ([below, above, *[below] * 4, 2.0], [1]),
        "more does, on the same day": ([below, above, *[below] * 2, strong], [1, 4]),
        "but not without calm": ([below, above, below, strong], [1]),
        "what grows strong after calm does": ([below, above, *[below] * 2, above, strong], [1, 5]),
        "the aftermath is over after six rows": ([below, above, *[below] * 5, above], [1]),
        "a row later it is": ([below, above, *[below] * 6, above], [1, 8]),
    }
    for name, (scores, expected) in cases.items():
        memory, flags = streaming.alarm_memory(streaming.start(4)), []
        for row, score in enumerate(scores):
            flag, memory = streaming.begin_alarm(
                jnp.float32(score), jnp.int32(row), memory, jnp.float32(4), settings
            )
            flags.append(bool(flag))
        assert np.flatnonzero(flags).tolist() == expected, name
        rows = streaming.alarms(np.array(scores), 1.0, day=4, settings=settings)
        assert np.flatnonzero(rows).tolist() == expected, name


def test_both_rules_agree_on_any_scores():
    rng = np.random.default_rng(0)
    scores = np.where(rng.random(5000) < 0.1, rng.exponential(1.5, 5000), 0).astype(np.float32)

    def body(memory, row):
        score, number = row
        day = jnp.float32(48)
        flag, memory = streaming.begin_alarm(score, number, memory, day, streaming.DEFAULT)
        return memory, flag

    memory = streaming.alarm_memory(streaming.start(48))
    _, flags = jax.lax.scan(body, memory, (jnp.asarray(scores), jnp.arange(5000)))
    rows = streaming.alarms(scores, streaming.DEFAULT.threshold, 48)
    assert 20 < rows.sum() < 200
    assert np.array_equal(flags, rows)


def burst_series(days, at, size):
    """Five-minute values with a daily wave, and an hour of `size` more at each of these rows."""
    rng = np.random.default_rng(0)
    values = 50 + 10 * np.sin(2 * np.pi * np.arange(days * 288) / 288)
    values += rng.normal(0, 1, values.size)
    for row in at:
        values[row : row + 12] += size
    return values.astype(np.float32)


def test_a_second_incident_on_the_same_day_is_another():
    at = [20 * 288 + 60, 20 * 288 + 180]
    _, _, flags = advance(streaming.start(288), burst_series(28, at, 30.0))
    rows = np.flatnonzero(flags)
    for row in at:
        assert ((rows >= row) & (rows < row + 12)).sum() == 1
    # and the same scores without the second one
    _, _, flags = advance(streaming.start(288), burst_series(28, at[:1], 30.0))
    assert not np.asarray(flags)[at[0] + 12 : at[0] + 288].any()


@pytest.mark.parametrize("size", [15.0, 40.0, -25.0])
def test_a_new_level_is_learnt_within_a_stated_time(size):
    """Four days after a lasting shift the detector is calm; one half as large again it sees."""
    shift, burst = 20 * 288, 26 * 288 + 100
    values = burst_series(34, [burst], 1.5 * size)
    values[shift:] += size
    _, scores, flags = advance(streaming.start(288), values)
    above = np.asarray(scores) > streaming.DEFAULT.threshold
    assert np.asarray(flags)[shift : shift + 6].sum() == 1
    learnt = shift + 4 * 288
    assert above[learnt : burst - 1].mean() < 0.01
    assert np.asarray(flags)[burst : burst + 12].sum() == 1


def run(day, values, state=None):
    """The state after these values; one by one, which compiles once for all numbers of values."""
    state = streaming.start(day) if state is None else state
    for value in np.asarray(values, np.float32):
        state, _, _ = brief_step(state, value)
    return state


def test_a_course_is_judged_only_where_it_had_a_guess():
    day = run(4, [1, 2, 3, 4])
    assert day.course_rows.tolist() == [0, 0]
    assert day.course_error.tolist() == [0, 0]
    again = run(4, [1, 2, 3, 4, 3])  # yesterday this row was 1
    assert again.course_rows.tolist() == [1, 0]
    assert again.course_error.tolist() == [2, 0]
    third = run(4, [1, 2, 3, 4, 3, 2])  # the mean over as many rows
    assert third.course_error.tolist() == [1, 0]
    week = run(4, [*[1, 2, 3, 4] * 7, 5])
    assert week.course_rows.tolist() == [25, 1]
    assert week.course_error[1] == 4


@pytest.mark.parametrize(("value", "novelty"), [(4, 0.5), (0, 0.5), (-3, 2), (2, 0), (3, 0)])
def test_novelty_is_the_distance_outside_all_earlier_values(value, novelty):
    """Above and below, as a share of their range; four rows a day, counted behind the second."""
    state = run(4, [1, 3, 2, value])
    assert state.largest[1] == pytest.approx(max(novelty, 1e-6))


def test_a_residual_is_measured_by_the_usual_one():
    """Three rows without a course, four a day.

    Of the first value nothing is expected. 3 after 1 is beyond all measure, as there was no
    residual yet. The usual residual is then 1, the mean 2, and 4 a residual of twice the usual.
    """
    first, second, third = run(4, [1]), run(4, [1, 3]), run(4, [1, 3, 4])
    assert first.residual.tolist() == [0, 0]
    clip = streaming.DEFAULT.clip
    assert second.residual[0] == 0.5 * clip
    assert second.residual_abs == pytest.approx(0.75 + 0.25 * (clip - 0.75))
    assert third.residual[0] == pytest.approx(0.5 * clip + 0.5 * (2 - 0.5 * clip))
    # with a course: half of the hour's own usual size, half of all
    state = run(1, [0, 4, 6, 2, 5])
    usual = 0.5 * float(state.size_by_hour[0] + state.residual_size)
    after, _, _ = brief_step(state, np.float32(5.5))
    expected = (5.5 - float(state.day_course[0])) / usual
    assert after.residual[0] - state.residual[0] == pytest.approx(
        0.5 * (expected - float(state.residual[0])), rel=1e-5
    )


def distance_to_earlier_windows(values, deviation):
    """By NumPy: the last remembered windows, of which none overlaps the latest one."""
    window, spacing = streaming.WINDOW, streaming.SPACING
    first = np.arange(1, len(values) - 2 * window + 1, spacing)[-streaming.WINDOWS :]
    windows = np.stack([values[row : row + window] for row in first])
    distance = np.sqrt(((windows - values[-window:]) ** 2).mean(axis=1))
    return np.sort(distance)[: streaming.NEAREST].mean() / deviation


# young, with a block more or less, and when the oldest windows have been forgotten
@pytest.mark.parametrize("rows", [300, 304, 305, 2600, 2601, 2609])
def test_a_window_is_compared_with_earlier_ones(rows):
    """A random walk whose first windows, long forgotten at the end, would be near the latest."""
    values = np.random.default_rng(0).normal(size=rows).cumsum().astype(np.float32)
    values[:200] += values[-1] - values[100]
    state, _, _ = advance(streaming.start(48), values)
    expected = distance_to_earlier_windows(values, float(state.deviation))
    found = streaming._distance_to_earlier_windows(state)
    assert found == pytest.approx(expected, rel=1e-3)


def test_three_windows_are_the_least(taxi):
    rows = 2 * streaming.WINDOW + 2 * streaming.SPACING
    assert streaming._distance_to_earlier_windows(run(48, taxi[:rows])) == 0  # two
    assert streaming._distance_to_earlier_windows(run(48, taxi[: rows + 1])) > 0


def test_a_quiet_time_is_seen_as_one():
    """A tenth of the usual noise for a day, two averaging times; nothing else is surprising."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=12 * 288)
    values[-288:] *= 0.1
    before, _, _ = advance(streaming.start(288), values[:-288].astype(np.float32))
    after, _, _ = advance(before, values[-288:].astype(np.float32))
    assert streaming._quietness(before) == pytest.approx(1, abs=0.2)
    assert streaming._quietness(after) == pytest.approx(3.97, rel=0.15)
    assert after.largest[-1] > 3 * before.largest[-1]
    assert after.largest[:-1] == pytest.approx(before.largest[:-1])


def test_the_level_of_a_series_does_not_matter(taxi):
    _, plain, _ = advance(streaming.start(48), taxi[:1500])
    _, lifted, _ = advance(streaming.start(48), taxi[:1500] + np.float32(2**20))
    assert np.mean(np.abs(np.asarray(plain) - np.asarray(lifted)) > 0.05) < 0.02


def test_few_rows_a_day_are_given_the_time_of_more():
    """An hourly series learns as long as 96 rows a day would: scored behind half of them."""
    values = np.random.default_rng(0).normal(size=60).astype(np.float32)
    _, scores, _ = advance(streaming.start(24), values)
    assert np.flatnonzero(scores)[0] == 49


def test_rows_that_share_a_slot_share_their_course():
    """Twelve rows in four slots: each slot is the mean of its three rows on the first day."""
    fresh = streaming.start(12, 4)
    state = run(12, np.arange(12), fresh)
    assert state.day_course.tolist() == pytest.approx([1, 4, 7, 10])
    assert state.day_visits.tolist() == [3] * 4
    assert state.week_course.tolist() == pytest.approx([1, 4, 7, 10] + [0] * 24)
    # one more visit counts a sixth, as three of them together count a half
    state, _, _ = brief_step(state, np.float32(7))
    rate = max(streaming.DEFAULT.day_rate / 3, 1 / 4)
    assert state.day_course[0] == pytest.approx(1 + rate * (7 - 1))
    assert (int(state.day), int(state.rows)) == (12, 13)
    # a row whose hour is well known counts a thirtieth in the usual size
    known = state._replace(
        rows=jnp.int32(12), day_visits=jnp.full(4, 99.0), week_visits=jnp.zeros(28)
    )
    after, _, _ = brief_step(known, np.float32(7))
    size, expected = float(known.size_by_hour[0]), float(known.day_course[0])
    assert after.size_by_hour[0] == pytest.approx(size + 0.1 / 3 * (7 - expected - size))
    week = run(12, np.ones(84), fresh)
    assert week.week_visits.tolist() == [3] * 28
    # 10 rows in 4 slots: three a slot, the last one short
    state = run(10, np.ones(70), streaming.start(10, 4))
    assert state.day_visits.tolist() == [21, 21, 21, 7]
    assert state.week_visits.tolist() == [3] * 23 + [1] + [0] * 4


def test_the_better_course_is_what_is_expected():
    """Two rows a day; at weekends the values are higher, which only the course of the week tells.

    A value that is expected adds nothing to the usual size of a residual.
    """
    values = [10.0] * 10 + [20.0] * 4
    state = run(2, values * 6)
    assert state.course_error[1] < 0.1 < state.course_error[0]
    monday, _, _ = brief_step(state, np.float32(10))
    assert float(monday.residual_size) == pytest.approx(13 / 14 * float(state.residual_size))
    surprising, _, _ = brief_step(state, np.float32(20))
    assert float(surprising.residual_size) > float(monday.residual_size)
    # without a course it is the mean of the values so far
    assert run(4, [1, 3]).residual_size == pytest.approx((0 + 2) / 2)


def test_an_outlier_hardly_becomes_usual():
    rng = np.random.default_rng(0)
    quiet = rng.normal(size=400)
    state = run(24, quiet)
    after, _, _ = brief_step(state, np.float32(1000))
    slow = 1 / (7 * 24)
    reach = streaming.DEFAULT.reach * 2 * float(state.residual_size)  # usual: about residual_size
    assert float(after.residual_size - state.residual_size) < slow * reach
    # nor does it fill the averages: it counts as twenty usual residuals
    rate = 1 / (0.5 * 24)
    assert float(after.residual[1]) == pytest.approx(
        float(state.residual[1]) + rate * (20 - float(state.residual[1])), rel=1e-5
    )
    # early on everything does
    early = run(24, quiet[:20])
    after, _, _ = brief_step(early, np.float32(1000))
    assert float(after.residual_size) > 40


def test_statistics_are_counted_after_half_a_day_and_scored_after_a_day(taxi):
    _, scores, _ = advance(streaming.start(48), taxi[:60])
    assert np.flatnonzero(scores)[0] == 49
    assert run(48, taxi[:25]).histogram.sum() == 0
    state = run(48, taxi[:27])
    assert state.histogram.sum(axis=1).tolist() == pytest.approx([2] * 7, rel=1e-2)
    assert (state.largest > 1e-6).sum() >= 4


def test_tail_surprise_counts_bins_and_goes_on_as_a_power_law():
    settings = streaming.DEFAULT._replace(tail_memory=np.inf)
    histogram, largest = jnp.zeros((1, streaming.BINS)), jnp.full(1, 1e-6)
    day = jnp.float32(24)
    earlier = [1.0, 10.0, 1.0, 0.1, 10.0, 0.01]
    for value in earlier:
        _, histogram, largest = streaming.tail_surprise(
            histogram, largest, jnp.array([value]), day, settings
        )
    assert histogram.sum() == 6
    assert float(largest[0]) == 10.0

    def surprise(value, settings=settings):
        return float(
            streaming.tail_surprise(histogram, largest, jnp.array([value]), day, settings)[0][0]
        )

    for value, as_high in ((10.0, 2), (1.0, 4), (3.0, 2), (0.01, 6), (1e-4, 6)):
        assert surprise(value) == pytest.approx(-np.log10((as_high + 1) / 7), abs=1e-5)
    # twice the largest: twice the logarithm of two; at most three decades
    assert surprise(20.0) == pytest.approx(np.log10(7) + 2 * np.log10(2), abs=1e-5)
    assert surprise(1e6) == pytest.approx(np.log10(7) + 3, abs=1e-5)
    # counts fade
    _, faded, _ = streaming.tail_surprise(
        histogram, largest, jnp.array([1.0]), day, streaming.DEFAULT
    )
    assert float(faded.sum()) == pytest.approx(6 * (1 - 1 / (60 * 24)) + 1, rel=1e-6)


def test_surprise_counts_earlier_scores_only():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 20, 60).astype(float)
    ours = streaming.surprise(scores, first=10)
    for row in range(10, 60):
        past = scores[10:row]
        assert ours[row] == pytest.approx(-np.log10(((past >= scores[row]).sum() + 1) / (row - 9)))
    assert not ours[:10].any()


def test_state_as_arrays_and_back(taxi):
    state, _, _ = advance(streaming.start(48), taxi[:300])
    buffer = io.BytesIO()
    np.savez(buffer, **streaming.to_arrays(state))
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    assert same(streaming.from_arrays(arrays), state)
    with pytest.raises(ValueError, match="has shape"):
        streaming.from_arrays({**arrays, "mean": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="not the arrays"):
        streaming.from_arrays({"mean": np.zeros(())})
    with pytest.raises(ValueError, match="day"):
        streaming.start(0)


def test_the_second_event_needs_no_other_program_than_the_first():
    """What a step gives back is of the types that it takes, or a live series would wait twice."""
    program, state = jax.jit(step), streaming.start(48)
    for value in (1.0, 2.0):
        state, _, _ = program(state, value)
    assert program._cache_size() == 1
