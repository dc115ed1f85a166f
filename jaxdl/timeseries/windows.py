"""Sliding windows of a time series, and from window errors back to points (lab 170).

Window i covers the points i .. i + window - 1. Point d therefore lies in the windows
d - window + 1 .. d. The lecture and the Keras example leave window d out and look at the points
from window - 1 on only; `points_in_flagged_windows` does it right, `lecture_points` their way.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float

from jaxdl.losses import mae, mse


def sliding(values: Float[np.ndarray, " n"], window: int) -> Float[np.ndarray, "windows window 1"]:
    """All windows of stride 1, as float32 with a channel axis: n - window + 1 of them.

    Raises:
        ValueError: the series is shorter than the window.
    """
    if len(values) < window:
        raise ValueError(f"{len(values)} values do not fill a window of {window}")
    view = np.lib.stride_tricks.sliding_window_view(np.asarray(values, np.float32), window)
    return view[:, :, None].copy()


def points_in_flagged_windows(
    flags: Bool[np.ndarray, " windows"], window: int
) -> Bool[np.ndarray, " n"]:
    """Points all of whose windows are flagged; those near the ends lie in fewer windows.

    This finds a long anomaly, but its first and last points only if a window that holds a single
    bad point is flagged already.
    """
    n = len(flags) + window - 1
    before = np.concatenate([[0], np.cumsum(~np.asarray(flags))])
    first = np.maximum(np.arange(n) - window + 1, 0)
    last = np.minimum(np.arange(n), len(flags) - 1)
    return before[last + 1] == before[first]


def lecture_points(flags: Bool[np.ndarray, " windows"], window: int) -> Bool[np.ndarray, " n"]:
    """The rule of lab 170 and of the Keras example, one window short, as they published it.

    Point d is flagged when the windows d - window + 1 .. d - 1 are; only the points window - 1 ..
    windows - 1 are looked at.
    """
    points = np.zeros(len(flags) + window - 1, bool)
    before = np.concatenate([[0], np.cumsum(~np.asarray(flags))])
    d = np.arange(window - 1, len(flags))
    points[d] = before[d] == before[d - window + 1]
    return points


def mean_over_windows(
    errors: Float[np.ndarray, "windows window"],
) -> Float[np.ndarray, " n"]:
    """Each point's error, averaged over all the windows that hold it (float64)."""
    windows, window = errors.shape
    total, count = np.zeros(windows + window - 1), np.zeros(windows + window - 1)
    for offset in range(window):
        total[offset : offset + windows] += errors[:, offset]
        count[offset : offset + windows] += 1
    return total / count


def window_errors(
    outputs: Float[Array, "batch window channels"], batch: Mapping[str, Array]
) -> dict[str, Float[Array, " batch"]]:
    """Mean absolute and mean squared error of each window against `batch["x"]`."""
    return {"MAE": mae(outputs, batch["x"]), "MSE": mse(outputs, batch["x"])}


def window_loss(
    outputs: Float[Array, "batch window channels"], batch: Mapping[str, Array], hyper: Any = None
) -> Float[Array, " batch"]:
    """What an autoencoder of windows is trained on: the mean squared error of each."""
    return mse(outputs, batch["x"])
