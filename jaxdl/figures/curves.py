"""Curves over seeds: the mean as a line, one standard deviation around it as a band."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from jaxdl.figures.base import COLOURS, Axes, Figure, plain_numbers, subplots

FEW_POINTS = 30  # up to so many are marked
FEW_LINES = 2  # up to so many have their legend among them


def draw_curve(
    axes: Axes,
    x: Num[np.ndarray, " points"],
    y: Float[np.ndarray, "points seeds"],
    **style: Any,
) -> None:
    """Mean over seeds, and a band of one sample standard deviation: the tables' "mean ± sd".

    Args:
        axes: where to draw.
        x: places of the points.
        y: values; NaN for a seed that has stopped before.
        style: of the line: colour, label and the like.
    """
    mean = np.nanmean(y, axis=1)
    (line,) = axes.plot(x, mean, **style)
    count = np.isfinite(y).sum(axis=1)
    sd = np.nanstd(y, axis=1) * np.sqrt(count / np.maximum(count - 1, 1))
    if (sd > 0).any():
        axes.fill_between(x, mean - sd, mean + sd, color=line.get_color(), alpha=0.15, lw=0)


def curves_over_seeds(
    curves: Mapping[str, tuple[Num[np.ndarray, " points"], Float[np.ndarray, "points seeds"]]],
    xlabel: str,
    ylabel: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    references: Mapping[str, tuple[Num[np.ndarray, " n"], Float[np.ndarray, " n"]]] | None = None,
) -> Figure:
    """Several curves on one pair of axes.

    Args:
        curves: label -> (x, y).
        xlabel, ylabel: of the axes.
        log_x, log_y: logarithmic axes.
        references: label of a curve -> (x, y) of published values, dotted in its colour.
    """
    figure, axes = subplots(width=6)
    for colour, (label, (x, y)) in zip(cycle(COLOURS), curves.items(), strict=False):
        marker = "o" if len(x) <= FEW_POINTS else ""
        draw_curve(axes, x, y, color=colour, label=label, marker=marker, ms=3)
        if references and label in references:
            axes.plot(*references[label], ":", color=colour, label=f"{label}, reference")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_xscale("log" if log_x else "linear")
    axes.set_yscale("log" if log_y else "linear")
    if log_y:
        plain_numbers(axes.yaxis)
    if not log_x and all(np.issubdtype(x.dtype, np.integer) for x, _ in curves.values()):
        axes.locator_params(axis="x", integer=True)  # no ticks between epochs
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure


def loss_curves(
    histories: Mapping[str, Mapping[str, Float[np.ndarray, "epochs seeds"]]],
    name: str = "loss",
    ylabel: str = "loss",
    log: bool = False,
    held_out: str = "valid",
) -> Figure:
    """Training (solid) and validation (dashed) curves by epoch, one colour for each model.

    Args:
        histories: model -> history of its fit.
        name: which quantity of the history, "loss" or a metric.
        ylabel: what it is.
        log: a logarithmic axis of values.
        held_out: what the dashed curves are called: "test" where the test rows are looked at.
    """
    figure, axes = subplots()
    for colour, (label, history) in zip(cycle(COLOURS), histories.items(), strict=False):
        for split, line, called in (("train", "-", "train"), ("valid", "--", held_out)):
            if f"{split}_{name}" not in history:
                continue
            curve = np.asarray(history[f"{split}_{name}"], np.float64)
            curve = curve[np.isfinite(curve).any(axis=1)]  # epochs that early stopping saved
            epochs = np.arange(1, len(curve) + 1)
            draw_curve(axes, epochs, curve, color=colour, ls=line, label=f"{label} {called}")
    axes.set(xlabel="epoch", ylabel=ylabel, yscale="log" if log else "linear")
    axes.locator_params(axis="x", integer=True)
    if log:
        plain_numbers(axes.yaxis)
    lines, labels = axes.get_legend_handles_labels()
    if len(lines) <= FEW_LINES:
        axes.legend()
    else:
        figure.set_figwidth(1.5 * figure.get_figwidth())
        figure.legend(lines, labels, loc="outside right center", fontsize=8)
    axes.grid(alpha=0.3)
    return figure
