"""Lab 170 on the simulated twins: the jump is found, and a user's own series goes through."""

import csv
import json
from datetime import timedelta

import numpy as np
import pytest
from sklearn.decomposition import PCA

from experiments import nab_conv1d_ae
from experiments.nab_conv1d_ae import Config, Detector
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError
from jaxdl.serving import live, scorer_file
from jaxdl.timeseries import incidents, windows

LAB = "experiments/nab_conv1d_ae.py"
SHORT = ["--preset", "quick", "--source", "simulated", "--batch-size", "512"]


def test_quick_preset_finds_the_jump(quick_run):
    run = quick_run("nab_conv1d_ae")
    results = run.results
    rows = {(row["model"], row["protocol"]): row for row in results.tables[0].rows}
    pca = rows["PCA, 16 components", "sound, MSE"]
    assert pca["points found"].item() == 108
    assert pca["false points"].item() <= 5
    net = rows["lecture net", "sound, MSE"]
    assert net["parameters"] == 9_313
    assert net["true points"] == 108
    assert net["points found"].item() >= 100
    assert net["false points"].item() <= 2
    published = rows["lecture net", "published, MAE"]
    assert published["points found"].item() >= 90
    assert {"flagged_points", "conv1d_arithmetic", "test_errors"} <= set(results.figures)
    assert "the squared error serves better" in results.notes[0]
    assert (run.folder / "figures" / "flagged_points.png").stat().st_size > 10_000


def sine(rows=2000, seed=0):
    """A wave of fifty rows with noise, and twenty odd rows in its second half."""
    rng = np.random.default_rng(seed)
    value = np.sin(np.arange(rows) / 8) + 0.05 * rng.normal(size=rows)
    value[1700:1720] += 3
    return value


QUICK = ("--preset", "quick", "--batch-size", "64", "--epochs", "8")


def own_file(tmp_path, columns, minutes):
    start = np.datetime64("2020-01-01T00:00")
    cells = zip(*columns.values(), strict=True)
    rows = [
        f"{start + int(m)},{','.join(map(str, row))}" for m, row in zip(minutes, cells, strict=True)
    ]
    path = tmp_path / "own.csv"
    path.write_text("\n".join([f"timestamp,{','.join(columns)}", *rows]))
    return path


def test_own_series_gives_incidents_and_a_scorer(tmp_path, capsys):
    path = own_file(tmp_path, {"value": sine()}, 5 * np.arange(2000))
    folder = tmp_path / "run"
    own = [*QUICK, "--series", str(path), "--workdir", str(folder)]
    results = launch([LAB, *own, "--window", "32"])[0]
    assert "step 300 s (median of the differences, all are the same)" in capsys.readouterr().out
    row = next(r for r in results.tables[0].rows if r["model"].startswith("PCA"))
    assert "points found" not in row  # nobody knows the truth of a user's series
    assert 10 <= row["points flagged"].item() <= 60
    assert not any("the squared error serves better" in note for note in results.notes)

    with (folder / "incidents.csv").open() as file:
        found = list(csv.DictReader(file))
    lines = (folder / "incidents.jsonl").read_text().splitlines()
    assert len(lines) == len(found) == results.headline["incidents"]
    worst = max(found, key=lambda row: float(row["peak score"]))
    began = np.datetime64(worst["start"].removesuffix("Z"))
    minute = (began - np.datetime64("2020-01-01T00:00")) / np.timedelta64(5, "m")
    assert 1700 <= minute < 1706
    assert worst["columns"] == "value"
    assert json.loads(lines[int(worst["incident"]) - 1])["start"] == worst["start"]
    assert (folder / "figures" / "incidents.png").stat().st_size > 10_000

    # the scorer gives the scores of the run: a row is a window of raw values
    scorer = scorer_file.load(folder)
    value = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)
    window = np.lib.stride_tricks.sliding_window_view(value, 32)[1000:]
    scores, flags = scorer.score(window)
    assert scores.max() == pytest.approx(float(worst["peak score"]), rel=1e-4)
    assert flags[700:706].any()
    assert not flags[500:660].mean() > 0.1
    about = scorer.metadata["provenance"]["series"]
    assert (about["window"], about["columns"], about["step_seconds"]) == (32, ["value"], 300)

    # a live series gives the same incidents, over a restart without a save, too
    lines, records = path.read_text().splitlines()[1:], []
    for first, end in ((1000, 1400), (1400, 1760)):
        program = live.Live(live.Options(run=folder, state=tmp_path / "state.npz", save_every=150))
        records += list(program.answers(lines[first:end]))
        program.close()
    starts = [record["time"].replace(" ", "T") + "Z" for record in records if record["alarm"]]
    last = records[-1]["time"].replace(" ", "T")
    assert starts == [row["start"] for row in found if row["start"] <= last]

    with pytest.raises(UserError, match="smaller --window"):
        launch([LAB, *own, "--window", "288", "--fresh"])
    with pytest.raises(UserError, match=r"the 0.587 days that validate hold 0.17 of them"):
        launch([LAB, *own, "--window", "32", "--alerts-per-week", "2", "--fresh"])


def test_own_series_of_several_columns_with_a_gap(tmp_path):
    """No window crosses the gap, and the column of the fault is named."""
    calm = sine(seed=1)
    calm[1700:1720] -= 3
    minutes = 5 * np.arange(2000) + np.where(np.arange(2000) >= 1500, 43_200, 0)
    path = own_file(tmp_path, {"cpu": sine(), "memory": calm}, minutes)
    own = [*QUICK, "--series", str(path), "--window", "32"]
    own += ["--alerts-per-week", "20", "--workdir", str(tmp_path / "run")]
    results = launch([LAB, *own])[0]
    rows = results.tables[1].rows
    worst = max(rows, key=lambda row: row["peak score"])
    assert worst["columns"] == "cpu"
    worst_at = np.datetime64(worst["peak time"].removesuffix("Z")) - np.timedelta64(43_200, "m")
    row = (worst_at - np.datetime64("2020-01-01T00:00")) / np.timedelta64(5, "m")
    assert 1700 <= row < 1720 + 32
    assert any("gaps that no window crosses (1, the longest 30 days" in n for n in results.notes)
    assert any("asked: 20 alerts a week" in note for note in results.notes)


def test_points_beside_a_gap_are_judged_by_their_own_windows():
    x = np.arange(20.0)[:, None]
    x[9] = np.nan
    _, sound = protocols(window=4, alarm_rate=0.02)
    _, starts = windows.without_gaps(x, 4)
    assert starts.tolist() == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16]
    errors = {"MSE": np.zeros((1, 13))}
    errors["MSE"][0, starts >= 5] = 1.0  # the last before the gap, and all behind it
    each = detector(sound, {"MSE": np.zeros((1, 50))}, {"MSE": np.zeros((1, 50))}, errors, starts)
    points = nab_conv1d_ae.decide(each, "MSE", 0, 20).points
    assert np.flatnonzero(points).tolist() == [8, *range(10, 20)]


def prepared(train, test, **numbers):
    """Both protocols and the scaled test series, as `main` makes them."""
    config = Config(**numbers)
    nab_conv1d_ae.check_sizes(config, len(train), len(test))
    scaled_train, scaled_test = nab_conv1d_ae.standardise(train[:, None], test[:, None])
    published = nab_conv1d_ae.published_protocol(scaled_train, config)
    return published, nab_conv1d_ae.sound_protocol(scaled_train, config), scaled_test


def test_what_cannot_work_is_said_in_one_line():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=600)
    for words, train, (window, valid_share, alarm_rate) in (
        ("multiple of 4", noise, (30, 0.2, 0.1)),
        ("--valid-share 1.5", noise, (32, 1.5, 0.1)),
        ("--alarm-rate 0", noise, (32, 0.2, 0.0)),
        ("600 to test are too few", noise, (32, 0.2, 0.001)),
        ("too few", noise, (400, 0.5, 0.1)),
        ("constant", np.ones(600), (32, 0.2, 0.1)),
        ("out of all range", 1e300 * noise, (32, 0.2, 0.1)),
    ):
        with pytest.raises(UserError, match=words):
            prepared(train, noise, window=window, valid_share=valid_share, alarm_rate=alarm_rate)


def test_alerts_a_week_take_the_place_of_the_quantile():
    """In the threshold of the table, and in what is asked of the series."""
    noise = np.random.default_rng(0).normal(size=600)
    config = Config(window=32, alarm_rate=0.001, alerts_per_week=50.0)
    nab_conv1d_ae.check_sizes(config, 600, 600)  # 89 validation windows, not 1,000
    short = Config(window=32, valid_share=0.05, alerts_per_week=50.0)
    with pytest.raises(UserError, match=r"too few for --window 32 and --valid-share 0\.05: use"):
        nab_conv1d_ae.check_sizes(short, 600, 600)
    sound = nab_conv1d_ae.sound_protocol(noise[:, None], config, timedelta(hours=2))
    valid = np.random.default_rng(1).random(200)
    alerts = 50 * 200 / (7 * 12)
    asked = incidents.threshold_for_alerts(valid, incidents.Rule(0.0, calm=8), alerts)
    assert sound.threshold(noise, valid) == asked
    few = Config(window=32, alerts_per_week=2.0)
    higher = nab_conv1d_ae.sound_protocol(noise[:, None], few, timedelta(hours=2))
    assert higher.threshold(noise, valid) > asked


def test_protocols_set_different_windows_aside():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=600)
    train = np.append(np.ones(300), noise[:300])
    numbers = {"window": 32, "valid_share": 0.2, "alarm_rate": 0.1}
    published, sound, scaled_test = prepared(train, noise, **numbers)
    assert scaled_test[:, 0] == pytest.approx((noise - train.mean()) / train.std(ddof=1))
    assert [len(published.train_windows), len(published.valid_windows)] == [512, 57]
    assert [len(sound.train_windows), len(sound.valid_windows)] == [449, 89]
    # one cuts between windows, which share all points but one; the other cuts the series
    last, first = published.train_windows[-1], published.valid_windows[0]
    assert np.array_equal(last[1:], first[:-1])
    scaled_train = (train - train.mean()) / train.std(ddof=1)
    np.testing.assert_allclose(sound.train_windows[-1, -1, 0], scaled_train[479], rtol=1e-6)
    np.testing.assert_allclose(sound.valid_windows[0, 0, 0], scaled_train[480], rtol=1e-6)


def detector(protocol, train, valid, test, starts=None):
    """A detector with these errors of each kind, [seeds, windows]."""
    starts = np.arange(next(iter(test.values())).shape[1]) if starts is None else starts
    return Detector("x", 7, protocol, train, valid, test, starts)


def protocols(window, alarm_rate):
    """Both protocols on a series that only says how long a window is."""
    config = Config(window=window, alarm_rate=alarm_rate)
    series = np.arange(10.0 * window)[:, None]
    return (
        nab_conv1d_ae.published_protocol(series, config),
        nab_conv1d_ae.sound_protocol(series, config),
    )


def test_protocols_decide_by_their_rules():
    rng = np.random.default_rng(0)
    train, valid, test = (rng.random((2, n)) for n in (50, 200, 60))
    test[1, 20:35] += 2
    errors = [{"MSE": each, "MAE": each[::-1]} for each in (train, valid, test)]
    published, sound = protocols(window=4, alarm_rate=0.02)
    cut, flags, points = nab_conv1d_ae.decide(detector(published, *errors), "MAE", 0, 63)
    assert cut == train[1].max()
    assert np.array_equal(flags, test[1] > cut)
    assert np.array_equal(points, windows.lecture_points(flags, 4))
    cut, flags, points = nab_conv1d_ae.decide(detector(sound, *errors), "MSE", 1, 63)
    assert 3 <= np.sum(valid[1] > cut) <= 4
    assert np.array_equal(flags, test[1] > cut)
    assert np.array_equal(points, windows.points_in_flagged_windows(flags, 4))


def test_rows_count_found_and_false_points():
    errors = [{"MAE": np.zeros((2, 9)), "MSE": np.zeros((2, 9))} for _ in range(3)]
    for kind in ("MAE", "MSE"):
        errors[2][kind][:, 2:7] = 1.0  # with windows of 3: points 4, 5 and 6
    errors[2]["MSE"][1, 7] = 1.0
    truth = np.zeros(11, bool)
    truth[4:7] = True
    published, sound = protocols(window=3, alarm_rate=0.5)
    rows = nab_conv1d_ae.table_rows(detector(sound, *errors), truth, 11)
    assert [row["protocol"] for row in rows] == ["sound, MSE", "sound, MAE"]
    assert [rows[0][name] for name in ("model", "parameters", "best epoch")] == ["x", 7, None]
    assert rows[0]["windows flagged"].tolist() == [5, 6]
    assert rows[0]["true points"] == 3
    assert rows[0]["points found"].tolist() == [3, 3]
    assert rows[0]["false points"].tolist() == [0, 1]
    assert [row["exact"] for row in rows] == ["1 of 2", "2 of 2"]
    (unknown,) = nab_conv1d_ae.table_rows(detector(published, *errors), None, 11)
    assert list(unknown)[-1] == "points flagged"
    assert unknown["points flagged"].tolist() == [4, 4]  # the lecture's rule adds point 7


def test_headline_is_the_trained_lecture_net():
    row = {"model": "x", "protocol": "sound, MSE", "best epoch": None, "points found": 1}
    trained = row | {"best epoch": np.array([3]), "points found": 2, "false points": 0}
    rows = [trained | {"protocol": "published, MAE"}, row, trained, trained | {"points found": 9}]
    assert nab_conv1d_ae.headline(rows) == {"points found": 2, "false points": 0}


def test_pca_copies_windows_of_its_rank():
    rng = np.random.default_rng(0)
    low = (rng.normal(size=(20, 2)) @ rng.normal(size=(2, 5)))[:, :, None]
    pca = PCA(2).fit(low[:, :, 0])
    near = nab_conv1d_ae.pca_errors(pca, low)
    assert near["MSE"].shape == (1, 20)
    assert near["MSE"].max() < 1e-20
    assert nab_conv1d_ae.pca_errors(pca, rng.normal(size=(7, 5, 1)))["MAE"].min() > 0.1
