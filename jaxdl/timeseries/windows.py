"""Sliding windows of a time series, and from flagged windows back to points (lab 170).

Window i covers the points i .. i + window - 1. Point d therefore lies in the windows
d - window + 1 .. d. The lecture and the Keras example leave window d out and look at the points
from window - 1 on only; `points_in_flagged_windows` does it right, `lecture_points` their way.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import DTypeLike

from jaxdl.losses import mae, mse


def sliding(values: Float[np.ndarray, " n"], window: int) -> Float[np.ndarray, "windows window 1"]:
    """All windows of stride 1, as float32 with a channel axis: n - window + 1 of them.

    >>> sliding(np.array([5.0, 6.0, 7.0, 8.0]), window=3)[:, :, 0].tolist()
    [[5.0, 6.0, 7.0], [6.0, 7.0, 8.0]]

    Raises:
        ValueError: the series is shorter than the window.
    """
    if len(values) < window:
        raise ValueError(f"{len(values)} values do not fill a window of {window}")
    view = np.lib.stride_tricks.sliding_window_view(np.asarray(values, np.float32), window)
    return view[:, :, None].copy()


def without_gaps(
    values: Float[np.ndarray, "n channels"], window: int, dtype: DTypeLike = np.float32
) -> tuple[Float[np.ndarray, "windows window channels"], Int[np.ndarray, " windows"]]:
    """All windows of stride 1 that cross no gap, and the point where each begins.

    >>> x, start = without_gaps(np.array([[5.0], [6.0], [np.nan], [8.0], [9.0]]), window=2)
    >>> x[:, :, 0].tolist(), start.tolist()
    ([[5.0, 6.0], [8.0, 9.0]], [0, 3])

    Args:
        values: a gap is a row with a NaN.
        window: points in a window.
        dtype: of the windows.

    Raises:
        ValueError: the series is shorter than the window.
    """
    if len(values) < window:
        raise ValueError(f"{len(values)} values do not fill a window of {window}")
    view = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    gaps_before = np.concatenate([[0], np.cumsum(np.isnan(values).any(axis=1))])
    start = np.flatnonzero(gaps_before[window:] == gaps_before[:-window])
    return view[start].transpose(0, 2, 1).astype(dtype), start


def points_of_windows(
    start: Int[np.ndarray, " windows"], window: int, n: int
) -> Bool[np.ndarray, " n"]:
    """Which points lie in some window.

    Args:
        start: the first point of each window.
        window: points in a window.
        n: how many points there are.
    """
    edges = np.bincount(start, minlength=n + 1) - np.bincount(start + window, minlength=n + 1)
    return np.cumsum(edges)[:n] > 0


def points_in_flagged_windows(
    flags: Bool[np.ndarray, " windows"], window: int
) -> Bool[np.ndarray, " n"]:
    """Points all of whose windows are flagged; those near the ends lie in fewer windows.

    This finds a long anomaly, but its first and last points only if a window that holds a single
    bad point is flagged already.

    >>> flags = np.array([False, True, True, True, False])  # windows of three points
    >>> points_in_flagged_windows(flags, window=3).tolist()
    [False, False, False, True, False, False, False]

    Args:
        flags: of the windows, one for each starting point.
        window: points in a window.
    """
    n = len(flags) + window - 1
    first = np.maximum(np.arange(n) - window + 1, 0)
    last = np.minimum(np.arange(n), len(flags) - 1)
    return _all_flagged(flags, first, last)


def lecture_points(flags: Bool[np.ndarray, " windows"], window: int) -> Bool[np.ndarray, " n"]:
    """The rule of lab 170 and of the Keras example, one window short, as they published it.

    Point d is flagged when the windows d - window + 1 .. d - 1 are; only the points window - 1 ..
    windows - 1 are looked at.

    Args:
        flags: of the windows, one for each starting point.
        window: points in a window.
    """
    points = np.zeros(len(flags) + window - 1, bool)
    d = np.arange(window - 1, len(flags))
    points[d] = _all_flagged(flags, d - window + 1, d - 1)
    return points


def _all_flagged(
    flags: Bool[np.ndarray, " windows"],
    first: Int[np.ndarray, " points"],
    last: Int[np.ndarray, " points"],
) -> Bool[np.ndarray, " points"]:
    """Whether all the windows first .. last of a point are flagged."""
    unflagged_before = np.concatenate([[0], np.cumsum(~flags)])
    return unflagged_before[last + 1] == unflagged_before[first]


def window_errors(
    outputs: Float[Array, "batch window channels"], batch: Mapping[str, Array]
) -> dict[str, Float[Array, " batch"]]:
    """Mean absolute and mean squared error of each window against `batch["x"]`."""
    return {"MAE": mae(outputs, batch["x"]), "MSE": mse(outputs, batch["x"])}


def window_loss(
    outputs: Float[Array, "batch window channels"],
    batch: Mapping[str, Array],
    hyper: Mapping[str, Array] | None = None,
) -> Float[Array, " batch"]:
    """What an autoencoder of windows is trained on: the mean squared error of each."""
    del hyper
    return mse(outputs, batch["x"])
