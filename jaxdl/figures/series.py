"""Figures of time series: labs 060 and 170, and the NAB benchmark."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.figures.base import subplots

RED, ORANGE = "#d62728", "#ff7f0e"


def series(curves: Mapping[str, Float[np.ndarray, " n"]], ylabel: str = "value") -> Any:
    """One panel for each series, one below the other."""
    figure, axes = subplots(len(curves), 1, width=9, height=2.4)
    for axis, (title, values) in zip(np.atleast_1d(axes), curves.items(), strict=True):
        axis.plot(values, lw=0.7)
        axis.set(title=title, ylabel=ylabel)
    np.atleast_1d(axes)[-1].set_xlabel("row")
    return figure


def flagged_points(
    panels: Mapping[str, tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]],
    spans: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    times: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """Series in grey with the flagged points in red, labelled windows shaded.

    Args:
        panels: title -> (values, flags), one below the other.
        spans: title -> (first, last) row of each labelled window.
        times: title -> time stamps for the axis; rows otherwise.
    """
    figure, axes = subplots(len(panels), 1, width=9, height=2.4)
    for axis, (title, (values, flags)) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        x = np.arange(len(values)) if times is None else times[title]
        axis.plot(x, values, color="0.6", lw=0.7)
        for first, last in (spans or {}).get(title, ()):
            axis.axvspan(x[first], x[last], color="tab:orange", alpha=0.2, lw=0)
        axis.plot(x[flags], values[flags], ".", color="red", ms=5, label=f"{flags.sum()} flagged")
        axis.set_title(title)
        axis.legend(loc="upper left", fontsize=8)
    return figure
