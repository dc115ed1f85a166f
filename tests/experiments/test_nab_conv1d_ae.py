"""Lab 170 on the simulated twins: the jump is found, and a user's own series goes through."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from experiments import nab_conv1d_ae
from experiments.nab_conv1d_ae import Config, Detector
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError
from jaxdl.timeseries import windows

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
    assert (run.folder / "figures" / "flagged_points.png").stat().st_size > 10_000


def test_own_series(tmp_path):
    rng = np.random.default_rng(0)
    value = np.sin(np.arange(2000) / 8) + 0.05 * rng.normal(size=2000)
    value[1700:1720] += 3
    start = np.datetime64("2020-01-01T00:00")
    rows = [f"{start + 5 * i},{v}" for i, v in enumerate(value)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["timestamp,value", *rows]))
    own = [*SHORT, "--series", str(path), "--workdir", str(tmp_path / "run")]
    results = launch([LAB, *own, "--window", "32"])[0]
    row = next(r for r in results.tables[0].rows if r["model"].startswith("PCA"))
    assert "points found" not in row  # nobody knows the truth of a user's series
    assert 10 <= row["points flagged"].item() <= 60
    with pytest.raises(UserError, match="smaller --window"):
        launch([LAB, *own, "--window", "288", "--fresh"])


def prepared(train, test, **numbers):
    """Both protocols and the scaled test series, as `main` makes them."""
    config = Config(**numbers)
    nab_conv1d_ae.check_sizes(config, len(train), len(test))
    scaled_train, scaled_test = nab_conv1d_ae.standardise(train, test)
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


def test_protocols_set_different_windows_aside():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=600)
    train = np.append(np.ones(300), noise[:300])
    numbers = {"window": 32, "valid_share": 0.2, "alarm_rate": 0.1}
    published, sound, scaled_test = prepared(train, noise, **numbers)
    assert scaled_test == pytest.approx((noise - train.mean()) / train.std(ddof=1))
    assert [len(published.train_windows), len(published.valid_windows)] == [512, 57]
    assert [len(sound.train_windows), len(sound.valid_windows)] == [449, 89]
    # one cuts between windows, which share all points but one; the other cuts the series
    last, first = published.train_windows[-1], published.valid_windows[0]
    assert np.array_equal(last[1:], first[:-1])
    scaled_train = (train - train.mean()) / train.std(ddof=1)
    np.testing.assert_allclose(sound.train_windows[-1, -1, 0], scaled_train[479], rtol=1e-6)
    np.testing.assert_allclose(sound.valid_windows[0, 0, 0], scaled_train[480], rtol=1e-6)


def detector(protocol, train, valid, test):
    """A detector with these errors of each kind, [seeds, windows]."""
    return Detector("x", 7, protocol, train, valid, test)


def protocols(window, alarm_rate):
    """Both protocols on a series that only says how long a window is."""
    config = Config(window=window, alarm_rate=alarm_rate)
    series = np.arange(10.0 * window)
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
    cut, flags, points = nab_conv1d_ae.decide(detector(published, *errors), "MAE", seed=0)
    assert cut == train[1].max()
    assert np.array_equal(flags, test[1] > cut)
    assert np.array_equal(points, windows.lecture_points(flags, 4))
    cut, flags, points = nab_conv1d_ae.decide(detector(sound, *errors), "MSE", seed=1)
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
    rows = nab_conv1d_ae.table_rows(detector(sound, *errors), truth)
    assert [row["protocol"] for row in rows] == ["sound, MSE", "sound, MAE"]
    assert [rows[0][name] for name in ("model", "parameters", "best epoch")] == ["x", 7, None]
    assert rows[0]["windows flagged"].tolist() == [5, 6]
    assert rows[0]["true points"] == 3
    assert rows[0]["points found"].tolist() == [3, 3]
    assert rows[0]["false points"].tolist() == [0, 1]
    assert [row["exact"] for row in rows] == ["1 of 2", "2 of 2"]
    (unknown,) = nab_conv1d_ae.table_rows(detector(published, *errors))
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
