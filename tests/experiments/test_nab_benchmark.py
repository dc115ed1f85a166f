"""NAB benchmark on the simulated twins: the streaming detector against weak and other ones."""

import numpy as np
import pytest

from experiments import nab_benchmark
from experiments.nab_benchmark import Config, Corpus, Detector
from jaxdl.errors import UserError
from jaxdl.timeseries import nab_score, vus_pr, window_detectors


def test_quick_preset(quick_run):
    run = quick_run("nab_benchmark")
    results = run.results
    table, per_series, thresholds = results.tables
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
    assert len(thresholds.rows) == 6
    assert (run.folder / "figures" / "streaming_alarms.png").stat().st_size > 10_000


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
    return Corpus(values, layouts, {"a": 24, "b": 24}, periods)


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
    sweep = nab_benchmark.threshold_rows(detector, (1.0, 9.0), corpus)
    assert [r["standard"] for r in sweep] == pytest.approx([100.0, 0.0])


def test_an_ensemble_adds_a_tenth_of_both_window_detectors():
    live = Detector("live", {"a": np.ones((1, 3))}, 1.2)
    conv1d, knn = {"a": np.array([[1.0, 2, 3], [0, 0, 0]])}, {"a": np.array([[1.0, 1, 1]])}
    both = nab_benchmark.ensemble(live, conv1d, knn)
    np.testing.assert_allclose(both.scores["a"], [[1.2, 1.3, 1.4], [1.1, 1.1, 1.1]])
    assert both.threshold == pytest.approx(1.4)
