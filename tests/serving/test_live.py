"""A live series: every line is answered at once, and a state file goes on where it stopped."""

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
