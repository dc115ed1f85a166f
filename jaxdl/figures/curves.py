"""Figures of what goes on inside nets: losses by step, activations, slopes, the atlas of gradients.

Most take what the functions of `jaxdl.diagnostics` return.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxdl.figures.base import COLOURS, subplots


def _band(axis: Any, x: Any, curves: Float[np.ndarray, "seeds n"], **style: Any) -> None:
    """Mean over seeds, and one standard deviation around it."""
    mean, sd = curves.mean(axis=0), curves.std(axis=0)
    axis.plot(x, mean, **style)
    axis.fill_between(x, mean - sd, mean + sd, color=style["color"], alpha=0.15, lw=0)


def loss_by_step(traces: Mapping[str, Float[np.ndarray, "seeds steps"]]) -> Any:
    """Training loss of every step, on a log axis."""
    figure, axis = subplots(width=6)
    for colour, (name, trace) in zip(COLOURS, traces.items(), strict=False):
        _band(axis, np.arange(1, trace.shape[1] + 1), trace, color=colour, label=name)
    axis.set(xlabel="iteration", ylabel="training loss", yscale="log")
    axis.legend()
    axis.grid(alpha=0.3)
    return figure


def accuracy_by_epoch(
    curves: Mapping[str, Float[np.ndarray, "epochs seeds"]],
    references: Mapping[str, Sequence[float]],
) -> Any:
    """Validation accuracy after each epoch; dotted: published values of the same names."""
    figure, axis = subplots(width=6)
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        epochs = np.arange(1, len(curve) + 1)
        _band(axis, epochs, curve.T, color=colour, label=name, marker="o")
        reference = references.get(name, ())[: len(curve)]
        if reference:
            label = f"{name}, read off the slide"
            axis.plot(epochs[: len(reference)], reference, ":", color=colour, label=label)
    axis.set(xlabel="epoch", ylabel="validation accuracy", xticks=range(1, len(curve) + 1))
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    return figure


def sweep(accuracy: Mapping[str, Mapping[float, Float[np.ndarray, " seeds"]]], xlabel: str) -> Any:
    """Validation accuracy against a number on a log axis, one line for each net."""
    figure, axis = subplots(width=6)
    for colour, (name, by_value) in zip(COLOURS, accuracy.items(), strict=False):
        members = np.stack(list(by_value.values()), axis=1)
        _band(axis, list(by_value), members, color=colour, label=name, marker="o")
    axis.set(xscale="log", xlabel=xlabel, ylabel="validation accuracy")
    axis.legend()
    axis.grid(alpha=0.3)
    return figure


def gradients_by_layer(
    norms: Mapping[str, Mapping[str, Float[np.ndarray, "seeds layers"]]],
) -> Any:
    """Gradient norm of each 3x3 kernel over its place in the net, log axis; bands from min to max.

    Args:
        norms: panel -> net -> norms.
    """
    figure, axes = subplots(1, len(norms))
    for axis, (panel, nets) in zip(np.atleast_1d(axes), norms.items(), strict=True):
        for colour, (net, values) in zip(COLOURS, nets.items(), strict=False):
            place = np.linspace(0, 1, values.shape[1])
            axis.plot(place, np.median(values, axis=0), color=colour, label=net)
            axis.fill_between(
                place, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0
            )
        axis.set(title=panel, yscale="log", xlabel="place (0: first layer, 1: last)")
        axis.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("gradient norm of the kernel")
    np.atleast_1d(axes)[0].legend(fontsize=8)
    return figure


def curves(
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]], xlabel: str, ylabel: str, log_x: bool
) -> Any:
    """Lines with points, the mean over seeds with a band of one standard deviation.

    Args:
        lines: label -> (x [points], y [points, seeds]).
        xlabel, ylabel: of the axes.
        log_x: a logarithmic axis.
    """
    figure, axis = subplots()
    for label, (x, y) in lines.items():
        mean, spread = y.mean(axis=1), y.std(axis=1)
        (line,) = axis.plot(x, mean, "o-", ms=3, label=label)
        axis.fill_between(x, mean - spread, mean + spread, color=line.get_color(), alpha=0.15, lw=0)
    axis.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log_x else "linear")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    return figure


def loss_curves(
    histories: Mapping[str, Mapping[str, Float[np.ndarray, "epochs seeds"]]],
    name: str = "loss",
    ylabel: str = "loss",
    log: bool = False,
) -> Any:
    """Train (solid) and validation (dashed) curves, one colour per model, a band of one sd.

    Args:
        histories: model -> history of its fit.
        name: which quantity of the history, "loss" or a metric.
    """
    figure, axes = subplots()
    for colour, (label, history) in zip(COLOURS, histories.items(), strict=False):
        for split, style in (("train", "-"), ("valid", "--")):
            if f"{split}_{name}" not in history:
                continue
            curve = np.asarray(history[f"{split}_{name}"], np.float64)
            curve = curve[np.isfinite(curve).any(axis=1)]
            epochs = np.arange(1, len(curve) + 1)
            mean = np.nanmean(curve, axis=1)
            axes.plot(epochs, mean, style, color=colour, label=f"{label} {split}")
            if curve.shape[1] > 1:
                sd = np.nanstd(curve, axis=1)
                axes.fill_between(epochs, mean - sd, mean + sd, color=colour, alpha=0.15, lw=0)
    axes.set(xlabel="epoch", ylabel=ylabel, yscale="log" if log else "linear")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure
