"""The streaming detector: live equals back-test, causal, restartable, one by one or all at once."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from datasets import nab
from datasets.source import Request
from jaxdl.errors import UserError
from jaxdl.serving import live, table_reader
from jaxdl.timeseries import streaming

advance, step = jax.jit(streaming.advance), jax.jit(streaming.step)


@pytest.fixture(scope="module")
def taxi():
    return nab.load(Request("simulated"), "realKnownCause/nyc_taxi").value.astype(np.float32)


def same(first, second):
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, first, second)))


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
    series = nab.load(Request("simulated"), "realKnownCause/nyc_taxi")
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


def test_an_alarm_is_followed_by_silence():
    scores = np.zeros(100)
    scores[[5, 6, 20, 40, 60, 61]] = 9.0
    assert np.flatnonzero(streaming.alarms(scores, 1.0, day=24)).tolist() == [5, 40]
    scores[29:40] = 9.0  # still going on when the silence ends: the same alarm
    assert np.flatnonzero(streaming.alarms(scores, 1.0, day=24)).tolist() == [5, 60]


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


def lines(values):
    start = np.datetime64("2020-01-01T00:00:00")
    return [f"{start + 1800 * i},{value}" for i, value in enumerate(values)]


def test_live_goes_on_where_it_stopped(taxi, tmp_path):
    given, path = lines(taxi[:260]), tmp_path / "state.npz"
    whole = list(live.Live(live.Options(1800)).answers(["timestamp,value", *given]))
    first = live.Live(live.Options(1800, state=path))
    parts = list(first.answers(given[:150]))
    first.save()
    parts += list(live.Live(live.Options(1800, state=path)).answers(given[150:]))
    assert parts == whole
    assert whole[-1]["row"] == 259
    with pytest.raises(UserError, match="step-seconds 1800"):
        live.Live(live.Options(300, state=path))
    path.write_text("no state")
    with pytest.raises(UserError, match="not a state"):
        live.Live(live.Options(1800, state=path))


def test_live_fills_gaps_and_answers_bad_lines(taxi):
    given = lines(taxi[:120])
    answers = list(live.Live(live.Options(1800)).answers(given[:50] + given[60:]))
    assert answers[50]["row"] == 60
    odd = ["x", "", *given[:2], given[0], "2021-01-01,1", "nan", "inf"]
    answers = list(live.Live(live.Options(1800)).answers(odd))
    errors = [answer.get("error", "") for answer in answers]
    assert [bool(error) for error in errors] == [False, False, True, True, False, True]
    assert "not a step later" in errors[2]
    assert "7 days" in errors[3]
    with pytest.raises(UserError, match="step-seconds"):
        live.Live(live.Options(0))


def test_a_long_gap_is_only_a_later_clock(taxi):
    given = lines(taxi[:200])
    short = live.Live(live.Options(1800))
    list(short.answers(given[:100]))
    list(short.answers(given[150:151]))
    state, _, _ = advance(streaming.start(48), np.append(taxi[:100], np.full(50, np.nan)))
    state, _, _ = step(state, taxi[150])
    assert same(short.detector, state)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": float("nan")}, "threshold"),
        ({"save_every": 0}, "save-every"),
        ({"state": Path("/no/such/folder/s.npz")}, "no such folder"),
        ({"state": Path(__file__)}, "not a state"),
    ],
)
def test_live_refuses_in_one_line(options, words):
    with pytest.raises(UserError, match=words) as error:
        live.Live(live.Options(**options))
    assert "\n" not in str(error.value)


def test_live_misspelt_option_is_one_line(capsys):
    assert live.main(["--step-second", "3"]) == 2
    assert capsys.readouterr().err == (
        "error: unknown option --step-second; did you mean --step-seconds?\n"
    )


def test_live_saves_every_so_often(taxi, tmp_path):
    path = tmp_path / "state.npz"
    program = live.Live(live.Options(1800, state=path, save_every=4))
    given = lines(taxi[:9])
    answers = program.answers([*given[:3], *given[5:]])
    saved = [path.exists() for _ in answers]
    assert saved == [False] * 4 + [True] * 3  # the state is written when the next line is asked for
    assert int(live.load(path, 1800)[0].rows) == 6


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_program_answers_at_once_and_saves_when_it_is_stopped(signum, tmp_path):
    command = [sys.executable, "-m", "jaxdl.score", "--series", "--step-seconds", "3600"]
    command += ["--state", str(tmp_path / "state.npz")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        process.stdin.write("5\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())  # the input is still open
        process.send_signal(signum)
        assert process.wait(30) == 128 + signum
        assert process.stderr.read() == "1 rows, 0 alarms, 0 lines skipped\n"
    assert (answer["row"], answer["value"], answer["alarm"]) == (0, 5.0, False)
    assert int(live.load(tmp_path / "state.npz", 3600)[0].rows) == 1


def test_a_series_in_the_wrong_place_is_sent_on():
    with pytest.raises(UserError, match=r"time series.*--series"):
        table_reader.Wanted(("Time", "Amount")).places(["timestamp", "value"])
