"""Figures of time series."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Shaped

from jaxdl.figures.base import Figure, subplots

RED, ORANGE = "#d62728", "#ff7f0e"
MOST_PANELS = 8


def series(curves: Mapping[str, Float[np.ndarray, " _"]], ylabel: str = "value") -> Figure:
    """One panel for each series, one below the other.

    Args:
        curves: title -> values.
        ylabel: of all panels.
    """
    figure, axes = _panels(len(curves))
    for axis, (title, values) in zip(axes, curves.items(), strict=True):
        axis.plot(values, lw=0.7)
        axis.set(title=title, ylabel=ylabel)
    axes[-1].set_xlabel("row")
    return figure


def flagged_points(
    panels: Mapping[str, tuple[Float[np.ndarray, " _"], Bool[np.ndarray, " _"]]],
    spans: Mapping[str, Sequence[tuple[int, int]]],
) -> Figure:
    """Series in grey with the flagged points in red, labelled windows in orange.

    Args:
        panels: title -> (values, flags), one below the other.
        spans: title -> (first, last) row of each labelled window; none for titles that are missing.
    """
    figure, axes = _panels(len(panels))
    for axis, (title, (values, flags)) in zip(axes, panels.items(), strict=True):
        axis.plot(values, color="0.6", lw=0.7)
        for first, last in spans.get(title, ()):
            axis.axvspan(first, last, color="tab:orange", alpha=0.2, lw=0)
        rows = np.flatnonzero(flags)
        axis.plot(rows, values[rows], ".", color="red", ms=5)
        axis.set(title=f"{title}: {len(rows)} flagged", ylabel="value")
    axes[-1].set_xlabel("row; flagged: red, labelled window: orange")
    return figure


def incidents_over_time(
    time: Shaped[np.ndarray, " n"],
    values: Mapping[str, Float[np.ndarray, " n"]],
    scores: Float[np.ndarray, " n"],
    threshold: float | Float[np.ndarray, " n"],
    spans: Sequence[tuple[np.datetime64, np.datetime64]],
) -> Figure:
    """Values and score against time, one panel each, incidents shaded.

    Args:
        time: datetime64 of the rows.
        values: name -> a column; at most `MOST_PANELS` are drawn.
        scores: of the rows; NaN where a row has none.
        threshold: of the score; NaN where a row has none.
        spans: (first, last) time of each incident.
    """
    shown = dict(list(values.items())[:MOST_PANELS])
    figure, axes = _panels(len(shown) + 1)
    for axis, (name, column) in zip(axes, {**shown, "score": scores}.items(), strict=True):
        axis.plot(time, column, color="0.4", lw=0.7)
        for first, last in spans:
            axis.axvspan(first, last, color=RED, alpha=0.3, lw=1)
        axis.set(title=name)
    level = np.broadcast_to(threshold, time.shape)
    axes[-1].plot(time, level, color="black", ls="--", lw=1, label="threshold")
    axes[-1].legend(loc="upper left", fontsize=8)
    axes[-1].set_xlabel("time (UTC)")
    return figure


def _panels(count: int) -> tuple[Figure, np.ndarray]:
    """A figure with wide, low axes one below the other, and the axes, also of a single one."""
    figure, axes = subplots(count, 1, width=9.0, height=2.4)
    return figure, np.atleast_1d(axes)
