"""NAB benchmark on the simulated twins: the streaming detector against weak and other ones."""

from dataclasses import replace

import numpy as np
import pytest

from experiments import nab_benchmark
from experiments.nab_benchmark import Config, Corpus, Detector
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError
from jaxdl.serving import live_export
from jaxdl.timeseries import nab_score, vus_pr, window_detectors


def test_quick_preset(quick_run):
    run = quick_run("nab_benchmark")
    results = run.results
    table, per_series, thresholds, held_out, offline = results.tables
    assert table.title.endswith("the first 15 % of each, at most 750 rows, are for learning")
    rows = {row["detector"]: row for row in table.rows}
    streaming, weak = rows["streaming"], rows["random scores"]
    assert streaming["windows found"].item() >= 7
    assert streaming["standard"].item() > 60
    assert streaming["standard"].item() > weak["standard"].item() + 40
    assert streaming["range AP x 100"].item() > 2 * weak["range AP x 100"].item()
    assert streaming["VUS-PR x 100"].item() > 2 * weak["VUS-PR x 100"].item()
    for row in table.rows:
        assert np.all(row["low FP"] <= row["standard"] + 1e-9)
    series = {row["series"]: row for row in per_series.rows}
    assert series["artificialNoAnomaly/art_daily_small_noise"]["standard"] is None
    assert series["artificialWithAnomaly/art_daily_jumpsup"]["found"] == 1
    assert len(thresholds.rows) == 2 * 5
    own = [row for row in thresholds.rows if row["times its own"] == "1"]
    assert [row["standard"] for row in own] == [
        streaming["standard"].item(),
        rows["streaming, by the time stamps"]["standard"].item(),
    ]
    assert [row["held out"] for row in held_out.rows] == [
        "artificial",
        "realKnownCause",
        "each in turn",
    ]
    by_patch = {row["detector"]: row["VUS-PR x 100"] for row in offline.rows}
    assert by_patch.keys() == {
        "sub-sequence PCA",
        "sub-sequence kNN",
        "kNN of patches without their mean",
        "patch encoder",
        "patch encoder, untrained",
    }
    assert all((value > weak["VUS-PR x 100"].item()).all() for value in by_patch.values())
    assert (run.folder / "figures" / "streaming_alarms.png").stat().st_size > 10_000


def weeks_of_noise(tmp_path, weeks, seed):
    """A noisy daily wave in steps of an hour, with the odd burst."""
    rng = np.random.default_rng(seed)
    n = weeks * 7 * 24
    value = np.sin(2 * np.pi * np.arange(n) / 24) + 0.2 * rng.standard_t(3, size=n)
    value[rng.choice(n, n // 60, replace=False)] += 2
    start = np.datetime64("2020-01-01T00:00")
    rows = [f"{start + np.timedelta64(i, 'h')},{v:.5f}" for i, v in enumerate(value)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["timestamp,value", *rows]))
    return path


def test_own_series_keeps_the_alerts_that_were_asked_for(tmp_path, capsys):
    path = weeks_of_noise(tmp_path, weeks=200, seed=0)
    folder = tmp_path / "run"
    argv = ["nab_benchmark", "--series", str(path), "--workdir", str(folder)]
    results = launch([*argv, "--alerts-per-week", "2"])[0]
    row = results.tables[0].rows[0]
    assert row["earlier half, a week"] == pytest.approx(2, rel=0.03)
    assert row["later half, a week"] == pytest.approx(2, rel=0.2)
    assert row["rows in a season"] == 24
    said = capsys.readouterr().out
    assert "step 3600 s" in said
    assert "asked: 2 alerts a week" in said
    assert "realised on the later half" in said
    assert len((folder / "incidents.csv").read_text().splitlines()) == row["incidents"] + 1
    assert (folder / "figures" / "incidents.png").stat().st_size > 10_000

    # the run's detector goes on in a live series, with the run's threshold
    loaded = live_export.load(folder, None)
    assert loaded.detector.rule.threshold == pytest.approx(row["threshold"])
    assert loaded.state.memory.rows == row["rows"]
    assert launch(["--eval", str(folder)])

    results = launch(
        [*argv[:3], "--workdir", str(tmp_path / "rate"), "--false-alarm-rate", "0.01"]
    )[0]
    threshold = results.tables[0].rows[0]["threshold"]
    own = nab_benchmark.user_series.load(nab_benchmark.Request(), path)
    history = nab_benchmark.run_over(own, 24)
    earlier, later = history.score[history.earlier], history.score[history.later]
    assert (earlier > threshold).mean() == pytest.approx(0.01, rel=0.02)
    assert (later > threshold).mean() == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--alerts-per-week", "0"], "--alerts-per-week 0"),
        (["--alerts-per-week", "0.1"], "weeks hold 0.1"),
        (["--alerts-per-week", "1", "--false-alarm-rate", "0.1"], "not both"),
        (["--false-alarm-rate", "1"], "between 0 and 1"),
        (["--season-rows", "200"], "less than three seasons of 200"),
        (["--value", "cpu"], "--value cpu: there is no such column"),
        (["--source", "simulated"], "leave --source simulated out"),
    ],
)
def test_own_series_refuses_in_one_line(tmp_path, options, words):
    path = weeks_of_noise(tmp_path, weeks=3, seed=0)
    with pytest.raises(UserError, match=words) as error:
        launch(["nab_benchmark", "--series", str(path), "--workdir", str(tmp_path / "r"), *options])
    assert "\n" not in str(error.value)


def test_options_of_a_series_without_one_are_refused(tmp_path):
    for option in ("--alerts-per-week", "--season-rows"):
        with pytest.raises(
            UserError, match=f"{option} is for data of your own: give --series FILE"
        ):
            launch(["nab_benchmark", option, "3", "--workdir", str(tmp_path / "r")])
    with pytest.raises(UserError, match="--time is for data of your own"):
        launch(["nab_benchmark", "--time", "t", "--workdir", str(tmp_path / "r")])


def test_sizes_that_cannot_work_are_refused():
    nab_benchmark.check_sizes(Config(window=12, components=4, neighbours=3), [1200])
    for (window, components, neighbours), words in (
        ((14, 4, 3), "--window 14: give a multiple of 4, at most 90"),
        ((0, 4, 3), "--window 0"),
        ((92, 4, 3), "--window 92"),
        ((12, 13, 3), "--components 13: give 1 to 12"),
        ((12, 4, 169), "--neighbours 169: give 1 to 168"),
    ):
        config = Config(window=window, components=components, neighbours=neighbours)
        with pytest.raises(UserError, match=words):
            nab_benchmark.check_sizes(config, [1200, 1500])
    # the largest that it allows
    values = np.random.default_rng(0).normal(size=1200)
    nab_benchmark.check_sizes(Config(window=12, components=12, neighbours=168), [1200])
    window_detectors.subsequence_pca(values, 12, components=12)
    window_detectors.subsequence_knn(values, 12, neighbours=168)


def two_series():
    """One with a window in rows 200 .. 219, one without; hourly."""
    time = np.arange(np.datetime64("2020-01-01", "h"), np.datetime64("2020-01-01", "h") + 400)
    values = {"a": np.sin(2 * np.pi * np.arange(400) / 24), "b": np.zeros(400)}
    layouts = {
        "a": nab_score.layout_of(time, [(time[200], time[219])]),
        "b": nab_score.layout_of(time, []),
    }
    periods = {name: vus_pr.period(each) for name, each in values.items()}
    ticks = {"a": np.arange(400), "b": np.arange(400)}
    return Corpus(values, layouts, {"a": 24, "b": 24}, ticks, periods)


def test_a_row_of_the_table_has_a_value_for_each_seed():
    corpus = two_series()
    hit, miss = np.zeros(400), np.zeros(400)
    hit[200], miss[100] = 5, 5
    detector = Detector("x", {"a": np.stack([hit, miss]), "b": np.zeros((1, 400))}, 1.0)
    row = nab_benchmark.detector_row(detector, corpus)
    assert row["detector"] == "x"
    assert row["standard"].tolist() == pytest.approx([100.0, -5.5])
    assert row["windows found"].tolist() == [1, 0]
    assert row["false alarms"].tolist() == [0, 1]
    assert row["best on labels"][0] == pytest.approx(100.0)
    assert row["best on labels, rows"].tolist() == pytest.approx([100.0, 0.0])
    assert row["VUS-PR x 100"][0] > row["VUS-PR x 100"][1]
    rows = nab_benchmark.series_rows(detector.alarms(corpus, seed=0), corpus)
    assert [r["found"] for r in rows] == [1, 0]
    assert rows[1]["standard"] is None
    sweep = nab_benchmark.threshold_rows([detector], (1.0, 9.0), corpus)
    assert [r["standard"] for r in sweep] == pytest.approx([100.0, 0.0])
    assert [r["windows found"] for r in sweep] == [1, 0]


def test_alarms_by_the_clock_lie_as_far_apart_as_the_stamps():
    """Two peaks, 20 rows apart: echoes by rows; by the clock 15 days lie between them."""
    corpus = two_series()
    scores = np.zeros((1, 400))
    scores[0, [100, 120]] = 1.5
    both = {"a": scores, "b": np.zeros((1, 400))}
    ticks = np.arange(400)
    ticks[110:] += 360
    ticks[5] = -1  # refused
    corpus = replace(corpus, ticks={**corpus.ticks, "a": ticks})
    by_rows = Detector("x", both, 1.0).alarms(corpus, seed=0)
    assert np.flatnonzero(by_rows["a"]).tolist() == [100]
    by_clock = Detector("x", both, 1.0, by_clock=True).alarms(corpus, seed=0)
    assert np.flatnonzero(by_clock["a"]).tolist() == [100, 120]


def test_a_group_is_held_out_of_the_choice_made_for_it():
    """Setting "high" suits group a alone, "low" group b: each is scored with the other's choice."""
    time = np.arange(np.datetime64("2020-01-01", "h"), np.datetime64("2020-01-01", "h") + 400)
    layout = nab_score.layout_of(time, [(time[200], time[219])])
    names = ("artificialX/a", "realY/b")
    base = two_series()
    corpus = Corpus(
        {name: np.zeros(400) for name in names},
        dict.fromkeys(names, layout),
        dict.fromkeys(names, 24),
        {name: np.arange(400) for name in names},
        dict(zip(names, base.periods.values(), strict=True)),
    )

    def scores(hit):
        peak = np.zeros((1, 400))
        peak[0, 200] = 5.0
        return {name: peak if name == hit else np.zeros((1, 400)) for name in names}

    detectors = {
        "high": Detector("x", scores(names[0]), 1.0),
        "low": Detector("x", scores(names[1]), 1.0),
    }
    rows = nab_benchmark.held_out_rows(detectors, corpus)
    assert [row["held out"] for row in rows] == ["artificial", "realY", "each in turn"]
    assert [row["chosen on the others"] for row in rows] == ["low", "high", None]
    assert [row["standard"] for row in rows] == [0.0, 0.0, 0.0]
    both = {"both": Detector("x", {**scores(names[0]), names[1]: scores(names[1])[names[1]]}, 1.0)}
    assert [row["standard"] for row in nab_benchmark.held_out_rows(both, corpus)] == [100.0] * 3
    alone = replace(corpus, layouts={names[0]: layout})
    assert nab_benchmark.held_out_rows(both, alone) == []


def test_an_ensemble_adds_a_tenth_of_both_window_detectors():
    live = Detector("live", {"a": np.ones((1, 3))}, 1.2)
    conv1d, knn = {"a": np.array([[1.0, 2, 3], [0, 0, 0]])}, {"a": np.array([[1.0, 1, 1]])}
    both = nab_benchmark.ensemble(live, conv1d, knn)
    np.testing.assert_allclose(both.scores["a"], [[1.2, 1.3, 1.4], [1.1, 1.1, 1.1]])
    assert both.threshold == pytest.approx(1.4)
