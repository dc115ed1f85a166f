"""What a run leaves for a live series: it goes on where the history ends, to the bit."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from datasets import user_series
from datasets.source import Request
from experiments import nab_benchmark
from jaxdl.errors import UserError
from jaxdl.serving import live, live_detector, live_export, live_state
from jaxdl.serving.live_clock import Ongoing
from jaxdl.serving.live_detector import StreamingDetector, WindowDetector
from jaxdl.timeseries import incidents
from tests.conftest import ROOT

START = np.datetime64("2025-01-01T00:00")


def rows_of(n=900, seed=0):
    """Lines of two columns every half hour, some missing, with two bursts in the second column."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(n) / 48)
    values = np.stack([wave, -wave], axis=1) + 0.05 * rng.normal(size=(n, 2))
    values[700:706, 1] += 4
    values[850:856, 0] += 4
    lines = []
    for i in range(n):
        if i % 97 in (5, 6) or 500 <= i < 520:
            continue
        first = "" if i % 101 == 3 else f"{values[i, 0]:.4f}"
        lines.append(f"{START + np.timedelta64(30 * i, 'm')},{first},{values[i, 1]:.4f}")
    return lines


HEADER = "time,cpu,memory"


def answers(lines, **options):
    program = live.Live(live.Options(**options))
    try:
        return list(program.answers(lines)), program
    finally:
        program.close()


def without_notes(records):
    return [{k: v for k, v in record.items() if k != "note"} for record in records]


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A run's detector after the first 600 lines, and all lines."""
    lines = rows_of()
    folder = tmp_path_factory.mktemp("run")
    path = folder / "own.csv"
    path.write_text("\n".join([HEADER, *lines[:600]]))
    own = user_series.load(Request(), path)
    past = nab_benchmark.run_over(own, 48)
    detector = StreamingDetector(own.columns, 48, 1.1)
    found, memory = incidents.follow(past.score, detector.rule, own.tick)
    state = nab_benchmark.live_state_after(past, memory, 1.1)
    (folder / "detector.npz").write_bytes(live_export.pack_streaming(detector, state, {"lab": "x"}))
    return folder, lines, past, found


def test_a_run_goes_on_as_if_it_had_been_live_from_the_first_row(history):
    folder, lines, past, found = history
    whole, program = answers([HEADER, *lines], threshold=1.1)
    scores = np.array([record["score"] for record in whole[:600]])
    np.testing.assert_allclose(scores, past.score, atol=1e-6)  # records round
    assert [i for i, r in enumerate(whole[:600]) if r["alarm"]] == [
        int(np.searchsorted(past.own.tick, each.first)) for each in found
    ]
    rest, continued = answers([HEADER, *lines[600:]], run=folder)
    assert without_notes(rest) == whole[600:]
    for one, other in zip(program.now.memory.detector, continued.now.memory.detector, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    alarms = [record for record in whole if record["alarm"] and record["row"] >= 690]
    assert [record["columns"] for record in alarms] == [["memory"], ["cpu"]]
    told = [record["incident"] for record in whole if "incident" in record]
    (burst,) = [each for each in told if each["start"] == alarms[0]["time"]]
    assert burst["columns"] == ["memory"]
    assert burst["start"] <= burst["peak_time"] <= burst["end"]


def test_a_threshold_on_the_command_line_overrules_the_run(history):
    folder, *_ = history
    assert live_export.load(folder, None).detector.rule.threshold == 1.1
    assert live_export.load(folder / "detector.npz", 2.0).detector.rule.threshold == 2.0


def test_columns_have_to_be_those_of_the_run(history):
    folder, lines, *_ = history
    turned = [HEADER.replace("cpu,memory", "memory,cpu"), *lines[600:650]]
    swapped, _ = answers(turned, run=folder)
    assert list(swapped[0]["values"]) == ["cpu", "memory"]
    assert swapped[0]["values"]["memory"] == float(lines[600].split(",")[1])
    with pytest.raises(UserError, match="--value memory: the header has no such column"):
        answers(["time,cpu,disk", *lines[:3]], run=folder)
    records, _ = answers(["2025-02-01,1", "2025-02-01,1,2,3"], run=folder)
    assert all("is not 'timestamp' and 2 values" in record["error"] for record in records)


def test_a_state_is_kept_over_restarts_with_and_without_the_header(history, tmp_path):
    folder, lines, *_ = history
    whole, _ = answers([HEADER, *lines[600:]], run=folder)
    for with_header in (True, False):
        state, records = tmp_path / f"{with_header}.npz", []
        for first, end in ((0, 3), (3, 90), (90, 91), (91, 300)):
            head = [HEADER] if with_header or not first else []
            found, _ = answers([*head, *lines[600 + first : 600 + end]], run=folder, state=state)
            records += found  # never saved but by save_every: the journal has it
        assert without_notes(records) == whole[: len(records)]
    with pytest.raises(UserError, match="is a state of another detector"):
        answers([], run=folder, state=saved_by_plain(tmp_path))


def saved_by_plain(tmp_path):
    path = tmp_path / "plain.npz"
    program = live.Live(live.Options(1800, state=path))
    list(program.answers(["2025-01-01,1"]))
    program.save()
    program.close()
    return path


def test_kill_9_forgets_nothing_of_a_run_with_several_columns(history, tmp_path):
    folder, lines, *_ = history
    given = [HEADER, *lines[600:680]]
    whole, _ = answers(given, run=folder)
    command = [sys.executable, "-m", "jaxdl.live", str(folder), "-"]
    command += ["--state", str(tmp_path / "state.npz"), "--save-every", "30"]
    records = []
    for end in (41, 80):
        with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=ROOT) as process:
            new = given[1 + len(records) : 1 + end]
            process.stdin.write("\n".join([HEADER, *new]) + "\n")
            process.stdin.flush()
            while len(records) < end:
                records.append(json.loads(process.stdout.readline()))
            process.kill()
    assert without_notes(records) == without_notes(whole)


def test_damage_and_other_files_are_one_line(history, tmp_path):
    folder, *_ = history
    good = (folder / "detector.npz").read_bytes()
    bad = tmp_path / "detector.npz"
    for content in (good[:-1], good[:100], b"", bytes([good[0] ^ 1]) + good[1:]):
        bad.write_bytes(content)
        with pytest.raises(UserError, match="is damaged") as error:
            live.Live(live.Options(run=bad))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"holds neither detector\.npz nor scorer\.jaxdl"):
        live.Live(live.Options(run=ROOT / "tests"))
    with pytest.raises(UserError, match="cannot be read"):
        live.Live(live.Options(run=tmp_path / "absent.npz"))
    with pytest.raises(UserError, match="is not a scorer file"):
        live.Live(live.Options(run=folder / "own.csv"))
    plain = saved_by_plain(tmp_path)  # a state is no detector of a run
    with pytest.raises(UserError, match="is no detector that a run left"):
        live.Live(live.Options(run=plain))


# ---- a model of windows --------------------------------------------------------------------------


class Program:
    def __init__(self, function):
        self.function = function

    def dispatch(self, rows):
        return [self.function(rows)]


class Scorer:
    """The mean square of a window is its score."""

    sha256 = "0" * 64
    threshold = {"value": 4.0}  # noqa: RUF012
    programs = {  # noqa: RUF012
        "score": Program(lambda rows: np.square(rows).mean(axis=1)),
        "explain": Program(lambda rows: np.square(rows) / rows.shape[1]),
    }


def window_detector(columns=("a",), window=4):
    return WindowDetector(Scorer(), columns, window, most_filled=2, calm=1, day=24)


def scores_of(detector, events):
    memory, scores = detector.start(), []
    for values, missing in events:
        memory, said = detector.advance(memory, values, missing)
        scores.append(said.score)
    return scores, memory


def test_windows_fill_short_gaps_and_cross_no_long_one():
    detector = window_detector()
    scores, memory = scores_of(detector, [((float(v),), 0) for v in range(5)])
    assert scores == [0, 0, 0, np.square([0, 1, 2, 3]).mean(), np.square([1, 2, 3, 4]).mean()]
    # two ticks without a row are on the line between their neighbours
    _, said = detector.advance(memory, (10.0,), 2)
    assert said.score == pytest.approx(np.square([4, 6, 8, 10]).mean())
    # a row without a value is such a tick
    after, said = detector.advance(memory, (float("nan"),), 1)
    assert (said.score, int(after.missing)) == (0.0, 2)
    _, said = detector.advance(after, (10.0,), 0)
    assert said.score == pytest.approx(np.square([4, 6, 8, 10]).mean())
    # three are a gap: a whole window comes first
    after, said = detector.advance(memory, (10.0,), 3)
    scores = [said.score]
    for value in (11.0, 12.0, 13.0):
        after, said = detector.advance(after, (value,), 0)
        scores.append(said.score)
    assert scores == [0, 0, 0, pytest.approx(np.square([10, 11, 12, 13]).mean())]


def test_the_columns_that_made_a_score_are_named():
    detector = window_detector(("a", "b", "c"), window=2)
    _, memory = scores_of(detector, [((0.0, 0.0, 0.0), 0)])
    _, said = detector.advance(memory, (5.0, 4.0, 1.0), 0)
    assert said.score == pytest.approx(42 / 6)
    assert said.above == (True, True, False)
    errors = np.array([[9.0, 1.0], [5.0, 8.0], [4.1, 3.0]])
    assert live_detector.leading_columns(errors, 4.0).tolist() == [
        [True, False],
        [True, True],
        [False, False],
    ]


class Spoken:
    """A detector whose scores are the values."""

    columns, day, rule = ("a", "b"), 24, incidents.Rule(1.0, calm=2)

    def start(self):
        return ()

    def advance(self, memory, values, missing):
        return memory, live_detector.Said(max(values), tuple(value > 1 for value in values))


def test_an_incident_is_told_when_it_is_over_with_the_columns_of_its_peak():
    program = live.Live(live.Options(1800))
    program.detector = Spoken()
    first = [(0, 0), (2, 0), (1, 5), (3, 0), (0, 0), (0, 0), (0, 0)]
    values = [*first, (0, 3), (0, 0), (0, 0), (0, 0)]
    times = [START + np.timedelta64(30 * i, "m") for i in range(len(values))]
    lines = [f"{time},{a},{b}" for time, (a, b) in zip(times, values, strict=True)]
    records = list(program.answers(lines))
    assert [i for i, record in enumerate(records) if record["alarm"]] == [1, 7]
    told = {i: record["incident"] for i, record in enumerate(records) if "incident" in record}
    assert list(told) == [6, 10]
    assert told[6] == {
        "start": "2025-01-01 00:30:00",
        "end": "2025-01-01 01:30:00",
        "peak_time": "2025-01-01 01:00:00",
        "peak_score": 5.0,
        "columns": ["b"],
    }
    assert told[10]["columns"] == ["b"]


def test_the_memory_of_windows_goes_through_a_file():
    detector = window_detector(("a", "b"))
    _, memory = scores_of(detector, [((1.0, 2.0), 0), ((3.0, float("nan")), 0)])
    back = detector.from_arrays(detector.to_arrays(memory))
    assert all(np.array_equal(one, other) for one, other in zip(memory, back, strict=True))
    arrays = detector.to_arrays(memory)
    for name, bad in (("values", np.zeros((3, 2))), ("known", np.int64(9)), ("missing", 1.0)):
        with pytest.raises(ValueError, match=r"."):
            detector.from_arrays({**arrays, name: np.asarray(bad)})
    with pytest.raises(ValueError, match="not the arrays"):
        detector.from_arrays({})
    other = replace(detector, columns=("a", "c"))
    # with an incident whose end was not told
    begun, _ = incidents.advance(incidents.START, 7, 9.5, detector.rule)
    time = datetime(2025, 1, 1, 0, 0, 1, 5)
    ongoing = Ongoing(begun, (time, None, time), (False, True), told=False)
    state = live.LiveState(live.USUAL_STEP, 24, live.Memory(memory, 2, time, ongoing))
    stored = live_state.unpack(live_state.pack(detector, state, 2))
    restored, events = live_state.restore(stored, detector)
    assert events == 2
    assert restored._replace(memory=None) == state._replace(memory=None)
    assert restored.memory[1:] == state.memory[1:]
    with pytest.raises(ValueError, match="of another detector"):
        live_state.restore(stored, other)
