"""A model that scores the latest window: live equals back-test, and the batch's windows."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.timeseries import nab_score, streaming, streaming_model, window_detectors

WINDOW, LEARNING = 8, 60


def roughness(window):
    """A stand-in for a model: it copies windows in which neighbours are alike."""
    return jnp.abs(jnp.diff(window)).mean()


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(0)
    x = 50 + 5 * np.sin(np.arange(400) / 6) + rng.normal(size=400)
    x[300:304] += [30, -30, 30, -30]
    return x.astype(np.float32)


def fresh():
    return streaming_model.start(24, LEARNING, WINDOW)


def test_live_is_the_backtest_and_does_not_look_ahead(values):
    step = streaming_model.step_of(roughness)
    advance, one = jax.jit(partial(streaming.scan_events, step)), jax.jit(step)
    end, scores, flags = advance(fresh(), values)
    state, single = fresh(), []
    for value in values:
        state, score, flag = one(state, value)
        single.append((float(score), bool(flag)))
    assert np.array_equal(scores, np.array([s for s, _ in single], np.float32))
    assert np.array_equal(flags, [f for _, f in single])
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, end, state)))
    assert not np.asarray(scores)[:LEARNING].any()
    assert np.flatnonzero(flags).tolist() == [300]
    changed = values.copy()
    changed[250:] = 0
    assert np.array_equal(advance(fresh(), changed)[1][:250], scores[:250])


def test_the_model_sees_the_windows_of_the_batch_detectors(values):
    """Behind the learning rows, to rounding; `scaled_windows` gives the others."""
    values, seen = values[:120], []
    rows = nab_score.learning_rows(len(values))

    def remember(window):
        seen.append(np.asarray(window))
        return window[0] ** 2

    step, state = streaming_model.step_of(remember), streaming_model.start(24, rows, WINDOW)
    for value in values:
        state, _, _ = step(state, value)
    expected, count = window_detectors.scaled_windows(values, WINDOW)
    np.testing.assert_allclose(seen[rows:], expected[count:, :, 0], atol=1e-4)


def test_score_is_the_rarity_of_the_error(values):
    """Counting earlier errors gives the same, but for the bins; early errors have another scale."""
    settings = streaming_model.DEFAULT._replace(tail_memory=np.inf, power=0.0)
    step = streaming_model.step_of(roughness, settings)
    _, scores, _ = jax.jit(partial(streaming.scan_events, step))(fresh(), values)
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW)
    errors = np.abs(np.diff(windows)).mean(axis=1)
    counted = streaming.surprise(errors, LEARNING // 2 - WINDOW + 1)[LEARNING - WINDOW + 1 :]
    assert np.corrcoef(counted, np.asarray(scores)[LEARNING:])[0, 1] > 0.95


def test_a_missing_value_moves_the_clock_only(values):
    step = jax.jit(streaming_model.step_of(roughness))
    state, _, _ = jax.jit(partial(streaming.scan_events, step))(fresh(), values[:100])
    after, score, flag = step(state, np.float32(np.nan))
    assert (float(score), bool(flag), int(after.rows)) == (0.0, False, 101)
    rest = after._replace(rows=state.rows)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, rest, state)))


def test_start_refuses_what_cannot_work():
    for numbers in ((0, 60, 8), (24, 15, 8), (24, 60, 0)):
        with pytest.raises(ValueError, match="give 1 or more"):
            streaming_model.start(*numbers)
