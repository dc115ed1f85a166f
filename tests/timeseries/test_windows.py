"""Windows of a series and the way back from windows to points."""

import jax.numpy as jnp
import numpy as np
import pytest

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


def test_errors_of_windows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 7, 5, 1)).astype(np.float32)
    errors = windows.window_errors(jnp.asarray(y), {"x": jnp.asarray(x)})
    np.testing.assert_allclose(errors["MAE"], np.abs(y - x)[:, :, 0].mean(1), rtol=1e-5)
    np.testing.assert_allclose(errors["MSE"], np.square(y - x)[:, :, 0].mean(1), rtol=1e-5)
