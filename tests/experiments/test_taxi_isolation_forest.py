"""Lab 060: the lecture's 21 rows to the last digit, and the days that the labels know."""

from datetime import timedelta

import numpy as np
import pytest

from datasets import nab
from datasets.source import Request
from datasets.user_series import UserSeries
from experiments import taxi_isolation_forest as lab
from jaxdl.cli.launcher import launch, main
from jaxdl.errors import UserError

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


@pytest.mark.real_data
def test_lecture_is_reproduced_and_all_five_windows_are_found(real_data, tmp_path):
    options = ["--data-dir", str(real_data), "--causal-trees", "50"]
    command = ["experiments/taxi_isolation_forest.py", "--workdir", str(tmp_path / "run")]
    (results,) = launch([*command, *options])
    flagged, sweep, days, _ = results.tables
    ours = [(r["hour"], r["mean passengers"], r["score"]) for r in flagged.rows]
    cells = [cell.split() for line in LECTURE.splitlines() for cell in line.split("|")]
    theirs = sorted((f"{c[0]} {c[1]}", c[2], c[3]) for c in cells if c)
    assert ours == theirs
    assert len(ours) == 21
    assert sum(row["second threshold"] == "kept" for row in flagged.rows) == 19
    by_rule = {(row["rule"], f"{np.mean(row['score below']):.4f}"): row for row in sweep.rows}
    assert by_rule["no contamination, negative score", "0.0000"]["hours flagged"] == 2339
    assert by_rule["no contamination, fixed score", "-0.1600"]["hours flagged"] == 19
    assert by_rule["contamination 0.004", "-0.1589"]["windows found"] == 4
    for row in days.rows[3:6]:
        assert (row["windows found"] == 5).all(), row
        assert (row["false days"] <= 3).all(), row
    assert days.rows[0]["windows found"].max() < 4
    assert days.rows[1]["false days"].min() > 3


def test_simulated_twin_runs_through_the_lab(quick_run):
    days = quick_run("taxi_isolation_forest").results.tables[2].rows
    assert days[3]["windows found"] >= 4
    assert days[5]["windows found"] >= 4
    assert days[3]["AUPRC"] > 2 * days[0]["AUPRC"]


def test_days_are_hourly_means_of_whole_days():
    series = nab.load(Request("simulated"), "realKnownCause/nyc_taxi")
    dates, days = lab.hourly_days(series.time[5:-5], series.value[5:-5])
    assert dates[0] == np.datetime64("2014-07-02")
    assert dates[-1] == np.datetime64("2015-01-30")
    assert days[0, 3] == series.value[48 + 6 : 48 + 8].mean()
    with pytest.raises(ValueError, match="whole day"):
        lab.hourly_days(series.time[:40], series.value[:40])
    gap = np.delete(np.arange(500), [100, 101])
    with pytest.raises(ValueError, match="every hour"):
        lab.hourly_days(series.time[gap], series.value[gap])
    assert lab.weekday(np.array(["2014-11-02"], "datetime64[D]")) == 6


@pytest.mark.parametrize("day", [50, 80, 120])
def test_causal_scores_do_not_see_the_future(day):
    rng = np.random.default_rng(0)
    days = rng.normal(size=(140, 24)) + 10 * (np.arange(140) % 7)[:, None]
    changed = days.copy()
    changed[day + 1 :] += rng.normal(size=changed[day + 1 :].shape) * 100

    def score(values):
        past = lab.day_features(lab.causal_residuals(values, 6, 7))
        scores = lab.scores_of_weekly_forests(past, 42, 10, 0)
        return scores, lab.running_threshold(scores, 3.0, 7)

    for before, after in zip(score(days), score(changed), strict=True):
        np.testing.assert_array_equal(before[: day + 1], after[: day + 1])
        assert not np.array_equal(before, after, equal_nan=True)
    whole, moved = lab.weekly_residuals(days), lab.weekly_residuals(changed)
    assert not np.array_equal(whole[: day + 1], moved[: day + 1])


def test_weekly_cycle_is_removed():
    cycle = np.tile(np.random.default_rng(0).normal(size=(7, 24)), (20, 1))
    cycle[77] += 5
    for residual in (lab.weekly_residuals(cycle), lab.causal_residuals(cycle, 6, 7)):
        assert np.nanargmax(np.abs(residual).mean(axis=1)) == 77
        quiet = np.delete(residual, 77, axis=0)
        assert np.nanmax(np.abs(quiet)) < 1e-12
    assert np.isnan(lab.causal_residuals(cycle, 6, 7)[:21]).all()


def test_flags_are_held_against_windows():
    moments = np.array(["2014-11-01", "2014-11-02", "2014-11-05", "2014-12-25"], "datetime64[s]")
    windows = [(moments[0], moments[1]), (moments[3], moments[3])]
    event = lab.event_of(moments, windows)
    assert event.tolist() == [0, 0, -1, 1]
    hits = lab.count_hits(np.array([True, True, True, False]), event)
    assert hits == lab.Hits(windows=1, false=1, flagged=3)
    scores = np.array([[0.4, 0.1, 0.3, 0.2], [1.0, 2.0, 3.0, 4.0]])
    detector = lab.top_share_detector("name", lab.PAST_ONLY, scores, 0.5)
    assert detector.flags.tolist() == [[True, False, True, False], [False, False, True, True]]
    row = lab.against_windows(detector, event)
    assert row["threshold"] == "top 50% of days"
    few = lab.top_share_detector("name", lab.PAST_ONLY, scores, 0.005)
    assert few.threshold == "top 0.5% of days"
    assert row["windows found"].tolist() == [1, 1]
    assert row["false days"].tolist() == [1, 1]


def test_contamination_moves_the_threshold_and_not_the_scores():
    hours = np.random.default_rng(0).gamma(4.0, size=480)
    few, many = (lab.lecture_forest(hours, 20, share, seed=0) for share in (0.01, 0.1))
    np.testing.assert_array_equal(few.score, many.score)
    assert (few.decision < 0).sum() == 5
    assert (many.decision < 0).sum() == 48
    np.testing.assert_array_equal(few.decision, few.forest.decision_function(few.rows))
    rows = lab.hour_threshold_sweep(few.score[None], 0.1, np.full(480, -1))
    flagged = {row["rule"]: row["hours flagged"] for row in rows}
    assert flagged["contamination 0.01"] == 5
    assert flagged["contamination 0.1"] == 48


def test_the_sweep_over_hours_has_a_value_for_each_seed():
    hours = np.random.default_rng(0).gamma(4.0, size=480)
    config = lab.Config(trees=20, contamination=0.01)
    found = lab.lecture_scores(hours, config, seeds=[0, 1, 2])
    one = lab.lecture_forest(hours, 20, 0.01, seed=1)
    np.testing.assert_array_equal(found.score[1], one.score)
    np.testing.assert_array_equal(found.decision[1], one.decision)
    detector = lab.lecture_detector(found)
    np.testing.assert_array_equal(detector.scores[1], -one.decision.reshape(-1, 24).min(axis=1))
    event = np.where(np.arange(480) < 240, 0, -1)
    by_rule = {row["rule"]: row for row in lab.hour_threshold_sweep(found.score, 0.01, event)}
    row = by_rule["contamination 0.01"]
    assert row["hours flagged"].tolist() == [5, 5, 5]
    assert row["score below"][1] == pytest.approx(one.forest.offset_ + 0.5)
    (alone,) = lab.hour_threshold_sweep(one.score[None], 0.01, event)[1]["in a window"]
    assert row["in a window"][1] == alone
    assert row["windows found"].shape == (3,)


def own_hours(tmp_path, weeks=14, columns=("value",)):
    """Hourly rows with a weekly course; a day of half as much, and one that lacks three hours."""
    n = weeks * 7 * 24
    hour = np.arange(n)
    value = 100 + 30 * np.sin(2 * np.pi * hour / 24) + 10 * (hour // 24 % 7 >= 5)
    value += np.random.default_rng(0).normal(size=n)
    value[80 * 24 : 81 * 24] *= 0.5
    start = np.datetime64("2024-01-01T00:00")
    lines = [",".join(["time", *columns])]
    for i in range(n):
        if 90 * 24 <= i < 90 * 24 + 3:
            continue
        lines.append(f"{start + np.timedelta64(i, 'h')}" + f",{value[i]:.3f}" * len(columns))
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines))
    return path


def test_running_threshold_waits_for_enough_scores():
    scores = np.r_[np.full(5, np.nan), np.random.default_rng(0).normal(size=60)]
    limits = lab.running_threshold(scores, 2.5, 28)
    assert np.isinf(limits[:33]).all()
    assert np.isfinite(limits[33:]).all()
    past = scores[5:40]
    spread = 1.4826 * np.median(np.abs(past - np.median(past)))
    assert limits[40] == pytest.approx(np.median(past) + 2.5 * spread)


def test_own_series_gives_incidents_of_days(tmp_path):
    folder = tmp_path / "run"
    argv = ["taxi_isolation_forest", "--series", str(own_hours(tmp_path)), "--workdir", str(folder)]
    results = launch([*argv, "--preset", "quick"])[0]
    rows = results.tables[1].rows
    (odd,) = [row for row in rows if row["start"] == "2024-03-21T00:00:00Z"]
    assert odd["end"] == "2024-03-21T23:59:59Z"
    assert not any(row["start"] <= "2024-03-31T12:00:00Z" <= row["end"] for row in rows)
    assert any("1 of 98 days lack an hour" in note for note in results.notes)
    days = {row["detector"]: row["days"] for row in results.tables[0].rows}
    assert list(days.values()) == [97, 97 - 42 - 28]  # by the past alone, behind what is learnt
    assert len((folder / "incidents.jsonl").read_text().splitlines()) == len(rows)
    assert launch(["--eval", str(folder)])


def own_series(value):
    """Hourly values from a Monday on, NaN where there is no row, as a lab reads them."""
    time = np.datetime64("2024-01-01T00", "us") + np.arange(len(value)) * np.timedelta64(1, "h")
    return UserSeries(
        name="own",
        columns=("value",),
        time=time,
        tick=np.arange(len(value)),
        value=value[:, None],
        step=timedelta(hours=1),
        provenance=None,
        remarks=(),
    )


def test_missing_hours_are_not_filled_from_the_future_where_the_past_alone_judges():
    rng = np.random.default_rng(0)
    value = 100 + rng.normal(size=16 * 7 * 24)
    value[60 * 24 : 60 * 24 + 5] = np.nan
    changed = value.copy()
    changed[90 * 24 :] *= 3  # later values, of which the whole series' medians know
    config = lab.Config(causal_trees=10)
    before, after = (lab.whole_days(own_series(each)) for each in (value, changed))
    assert np.flatnonzero(~before.judged).tolist() == [60]
    assert np.isfinite(before.filled).all()
    assert not np.array_equal(before.filled[60], after.filled[60])
    scores, others = (lab.causal_forest_scores(x.days, config, [0])[0] for x in (before, after))
    np.testing.assert_array_equal(scores[:90], others[:90])
    assert not np.array_equal(scores, others, equal_nan=True)
    # the day that lacks hours is neither judged nor learnt from, the days behind it are judged
    assert np.flatnonzero(np.isnan(scores)).tolist() == [*range(42), 60]


def test_the_threshold_that_is_drawn_is_the_running_one(tmp_path, monkeypatch):
    scored, score = [], lab.causal_forest_scores

    def remember(*parts):
        scored.append(score(*parts))
        return scored[-1]

    monkeypatch.setattr(lab, "causal_forest_scores", remember)
    monkeypatch.setattr("jaxdl.cli.launcher.load_lab", lambda path: lab)
    argv = ["taxi_isolation_forest", "--series", str(own_hours(tmp_path)), "--preset", "quick"]
    (results,) = launch([*argv, "--workdir", str(tmp_path / "run")])
    judged, drawn = (line.get_ydata() for line in results.figures["incidents"]().axes[1].lines)
    config = lab.PRESETS["quick"]
    limits = lab.running_threshold(scored[0][0], config.mad_factor, config.mad_days)
    known = np.isfinite(limits)
    assert known.any()
    np.testing.assert_array_equal(drawn[known], limits[known])
    assert np.isnan(drawn[~known]).all()
    assert np.isnan(judged[~known]).all()


def test_a_warm_up_without_a_day_to_learn_from_is_refused(tmp_path, capsys):
    command = ["experiments/taxi_isolation_forest.py", "--preset", "quick", "--source", "simulated"]
    options = ["--warmup-days", "21", "--workdir", str(tmp_path / "run")]
    assert main([*command, *options]) == 2
    assert "--warmup-days 21: must be at least 22" in capsys.readouterr().err


def test_own_series_without_a_day_to_judge_is_refused(tmp_path):
    argv = ["taxi_isolation_forest", "--series", str(own_hours(tmp_path)), "--preset", "quick"]
    with pytest.raises(UserError, match="no day is left to judge behind 102 days"):
        launch([*argv, "--mad-days", "60", "--workdir", str(tmp_path / "r")])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weeks": 9}, "63 whole days are fewer than 12 weeks"),
        ({"columns": ("a", "b")}, "name it with --value, such as --value a"),
    ],
)
def test_own_series_that_cannot_be_judged_by_days(tmp_path, change, words):
    path = own_hours(tmp_path, **change)
    with pytest.raises(UserError, match=words):
        launch(["taxi_isolation_forest", "--series", str(path), "--workdir", str(tmp_path / "r")])
