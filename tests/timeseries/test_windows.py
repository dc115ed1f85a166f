"""Windows of a series and the way back from windows to points."""

import numpy as np
import pytest

from experiments import nab_conv1d_ae
from jaxdl.timeseries import windows


def test_sliding_gives_every_window():
    x = windows.sliding(np.arange(6.0), 4)
    assert x.shape == (3, 4, 1)
    assert x[2, :, 0].tolist() == [2, 3, 4, 5]
    with pytest.raises(ValueError, match="do not fill"):
        windows.sliding(np.arange(3.0), 4)


def test_points_by_the_definition():
    rng = np.random.default_rng(0)
    for window in (1, 2, 5):
        flags = rng.random(40) < 0.8
        points = windows.points_in_flagged_windows(flags, window)
        for d in range(40 + window - 1):
            holding = [i for i in range(40) if i <= d < i + window]
            assert points[d] == all(flags[i] for i in holding)


def test_lecture_rule_is_one_window_short():
    # published by the notebook: windows 2702..3094 of 3745 flagged, 107 points from 09:05 to 17:55
    flags = np.zeros(3745, bool)
    flags[2702:3095] = True
    theirs = np.flatnonzero(windows.lecture_points(flags, 288))
    assert (len(theirs), theirs[0], theirs[-1]) == (107, 2989, 3095)
    # every window that touches the block of 108 points, and exactly the block comes back
    flags[2701:3096] = True
    ours = np.flatnonzero(windows.points_in_flagged_windows(flags, 288))
    assert (len(ours), ours[0], ours[-1]) == (108, 2988, 3095)


def test_no_flag_no_point_and_all_flags_all_points():
    none, every = np.zeros(10, bool), np.ones(10, bool)
    assert not windows.points_in_flagged_windows(none, 3).any()
    assert windows.points_in_flagged_windows(every, 3).all()
    assert windows.lecture_points(every, 3).sum() == 8


def test_protocols_decide_by_their_rules():
    rng = np.random.default_rng(0)
    fit, valid, test = (rng.random((2, n)) for n in (50, 200, 60))
    test[1, 20:35] += 2
    errors = [{"MSE": each, "MAE": each[::-1]} for each in (fit, valid, test)]
    published, sound = nab_conv1d_ae.published(), nab_conv1d_ae.sound(0.02)
    cut, flags, points = published.flag(errors, "MAE", 0, 4)
    assert cut == fit[1].max()
    assert np.array_equal(flags, test[1] > cut)
    assert np.array_equal(points, windows.lecture_points(flags, 4))
    cut, flags, points = sound.flag(errors, "MSE", 1, 4)
    assert 3 <= np.sum(valid[1] > cut) <= 4
    assert np.array_equal(points, windows.points_in_flagged_windows(flags, 4))


def test_rows_count_found_and_false_points():
    errors = [{"MAE": np.zeros((2, 9)), "MSE": np.zeros((2, 9))} for _ in range(3)]
    for kind in ("MAE", "MSE"):
        errors[2][kind][:, 2:7] = 1.0  # with windows of 3: points 4, 5 and 6
    errors[2]["MSE"][1, 7] = 1.0
    truth = np.zeros(11, bool)
    truth[4:7] = True
    rows = nab_conv1d_ae.table_rows({"model": "x"}, nab_conv1d_ae.sound(0.5), errors, 3, truth)
    assert [row["protocol"] for row in rows] == ["sound, MSE", "sound, MAE"]
    assert rows[0]["model"] == "x"
    assert rows[0]["windows flagged"].tolist() == [5, 6]
    assert rows[0]["true points"] == 3
    assert rows[0]["points found"].tolist() == [3, 3]
    assert rows[0]["false points"].tolist() == [0, 1]
    assert [row["exact"] for row in rows] == ["1 of 2", "2 of 2"]
    unknown = nab_conv1d_ae.table_rows({}, nab_conv1d_ae.published(), errors, 3)
    assert list(unknown[0])[-1] == "points flagged"


def test_errors_of_windows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 7, 5, 1)).astype(np.float32)
    errors = windows.window_errors(y, {"x": x})
    np.testing.assert_allclose(errors["MAE"], np.abs(y - x)[:, :, 0].mean(1), rtol=1e-5)
    np.testing.assert_allclose(errors["MSE"], np.square(y - x)[:, :, 0].mean(1), rtol=1e-5)
    # windows of rank 2 are copied by two components, others are not
    low = (rng.normal(size=(20, 2)) @ rng.normal(size=(2, 5)))[:, :, None]
    near, far = nab_conv1d_ae.pca_errors(2, low, x)
    assert near["MSE"].shape == (1, 20)
    assert near["MSE"].max() < 1e-20
    assert far["MAE"].min() > 0.1
