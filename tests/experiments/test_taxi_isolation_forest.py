"""Lab 060: the lecture's 21 rows to the last digit, and the days that the labels know."""

import numpy as np
import pytest

from datasets import nab
from datasets.source import Request
from jaxdl.cli.launcher import launch
from jaxdl.timeseries import seasonal

LECTURE = """
2014-09-06 23:00 29418.5 -0.002328 | 2014-11-23 00:00 26458.5 -0.013776
2014-09-14 00:00 26473.5 -0.014530 | 2014-12-07 00:00 26160.5 -0.010435
2014-09-21 00:00 25969.0 -0.005538 | 2014-12-14 00:00 25905.0 -0.004545
2014-09-28 00:00 26794.5 -0.017059 | 2014-12-25 23:00 7977.5 -0.001072
2014-10-12 00:00 26005.0 -0.006258 | 2015-01-01 00:00 25850.0 -0.004096
2014-10-19 00:00 27146.5 -0.020904 | 2015-01-01 01:00 29292.0 -0.026268
2014-10-26 00:00 26560.0 -0.015533 | 2015-01-11 00:00 25721.5 -0.000100
2014-11-02 01:00 37204.5 -0.032008 | 2015-01-26 21:00 2907.0 -0.006582
2014-11-09 00:00 26069.5 -0.007519 | 2015-01-26 22:00 1324.5 -0.033173
2014-11-16 00:00 25931.5 -0.004833 | 2015-01-26 23:00 243.0 -0.052023
2015-01-27 23:00 7792.0 -0.002560 |
"""


def run_lab(folder, *options):
    command = ["experiments/taxi_isolation_forest.py", "--workdir", str(folder), *options]
    return launch(command)[0]


@pytest.mark.real_data
def test_lecture_is_reproduced_and_all_five_windows_are_found(real_data, tmp_path):
    results = run_lab(tmp_path / "run", "--data-dir", str(real_data), "--causal-trees", "50")
    flagged, sweep, days, _ = results.tables
    ours = [(r["hour"], r["mean passengers"], r["score"]) for r in flagged.rows]
    cells = [cell.split() for line in LECTURE.splitlines() for cell in line.split("|")]
    theirs = sorted((f"{c[0]} {c[1]}", c[2], c[3]) for c in cells if c)
    assert ours == theirs
    assert len(ours) == 21
    assert sum(row["second threshold"] == "kept" for row in flagged.rows) == 19
    by_rule = {(row["rule"], row["score below"]): row for row in sweep.rows}
    assert by_rule["no contamination, negative score", "0.0000"]["hours flagged"] == 2339
    assert by_rule["no contamination, fixed score", "-0.1600"]["hours flagged"] == 19
    assert by_rule["contamination 0.004", "-0.1589"]["windows found"] == 4
    for row in days.rows[3:6]:
        assert (row["windows found"] == 5).all(), row
        assert (row["false days"] <= 3).all(), row
    assert days.rows[0]["windows found"].max() < 4
    assert days.rows[1]["false days"].min() > 3


def test_simulated_twin_runs_through_the_lab(tmp_path):
    results = run_lab(tmp_path / "run", "--preset", "quick", "--source", "simulated")
    days = results.tables[2].rows
    assert days[3]["windows found"] >= 4
    assert days[5]["windows found"] >= 4
    assert days[3]["AUPRC"] > 2 * days[0]["AUPRC"]


def test_days_are_hourly_means_of_whole_days():
    series = nab.load(Request("simulated"), "realKnownCause/nyc_taxi")
    dates, days = seasonal.hourly_days(series.time[5:-5], series.value[5:-5])
    assert dates[0] == np.datetime64("2014-07-02")
    assert dates[-1] == np.datetime64("2015-01-30")
    assert days[0, 3] == series.value[48 + 6 : 48 + 8].mean()
    with pytest.raises(ValueError, match="whole day"):
        seasonal.hourly_days(series.time[:40], series.value[:40])
    gap = np.delete(np.arange(500), [100, 101])
    with pytest.raises(ValueError, match="every hour"):
        seasonal.hourly_days(series.time[gap], series.value[gap])
    assert seasonal.weekday(np.array(["2014-11-02"], "datetime64[D]")) == 6


@pytest.mark.parametrize("day", [50, 80, 120])
def test_causal_scores_do_not_see_the_future(day):
    rng = np.random.default_rng(0)
    days = rng.normal(size=(140, 24)) + 10 * (np.arange(140) % 7)[:, None]
    changed = days.copy()
    changed[day + 1 :] += rng.normal(size=changed[day + 1 :].shape) * 100

    def score(values):
        past = seasonal.day_features(seasonal.causal_residuals(values, 6, 7))
        scores = seasonal.causal_forest_scores(past, 42, 10, 0)
        return scores, seasonal.running_threshold(scores, 3.0)

    for before, after in zip(score(days), score(changed), strict=True):
        np.testing.assert_array_equal(before[: day + 1], after[: day + 1])
        assert not np.array_equal(before, after, equal_nan=True)
    whole, moved = seasonal.residuals(days), seasonal.residuals(changed)
    assert not np.array_equal(whole[: day + 1], moved[: day + 1])


def test_weekly_cycle_is_removed():
    cycle = np.tile(np.random.default_rng(0).normal(size=(7, 24)), (20, 1))
    cycle[77] += 5
    for residual in (seasonal.residuals(cycle), seasonal.causal_residuals(cycle, 6, 7)):
        assert np.nanargmax(np.abs(residual).mean(axis=1)) == 77
        quiet = np.delete(residual, 77, axis=0)
        assert np.nanmax(np.abs(quiet)) < 1e-12
    assert np.isnan(seasonal.causal_residuals(cycle, 6, 7)[:21]).all()
