"""Figures that several labs share. matplotlib is imported only when one is drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")


def subplots(rows: int = 1, columns: int = 1, width: float = 5.0, height: float = 3.6) -> Any:
    """A figure and its axes, `width` x `height` inches each."""
    from matplotlib import pyplot

    return pyplot.subplots(
        rows, columns, figsize=(width * columns, height * rows), layout="constrained"
    )


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


def histogram_by_class(
    groups: Mapping[str, Float[np.ndarray, " n"]],
    thresholds: Mapping[str, float] | None = None,
    xlabel: str = "score",
) -> Any:
    """Score histograms on a log axis, one step line per group, thresholds as dashed lines."""
    from matplotlib import colormaps

    figure, axes = subplots(width=6)
    everything = np.concatenate(list(groups.values()))
    low, high = max(everything.min(), 1e-6), everything.max()
    bins = np.geomspace(low, max(high, low * 1.01), 40)
    for colour, (label, values) in zip(COLOURS, groups.items(), strict=False):
        axes.hist(
            values, bins, histtype="step", color=colour, lw=1.6, label=f"{label} ({len(values)})"
        )
    marks = dict(thresholds or {})
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(marks)))
    for shade, (name, value) in zip(shades, marks.items(), strict=True):
        axes.axvline(value, color=shade, ls="--", lw=1.2, label=name)
    axes.set(xscale="log", xlabel=xlabel, ylabel="rows")
    # beside the axes: thresholds lie close together, and no corner is free
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def box_by_class(groups: Mapping[str, Float[np.ndarray, " n"]], ylabel: str = "score") -> Any:
    """Box plots on a log axis."""
    figure, axes = subplots()
    axes.boxplot(list(groups.values()), showfliers=True, flierprops={"ms": 2, "alpha": 0.4})
    axes.set_xticks(range(1, len(groups) + 1), list(groups))
    axes.set(yscale="log", ylabel=ylabel)
    return figure


def confusion_heat_maps(
    matrices: Mapping[str, Int[np.ndarray, "classes classes"]], labels: Sequence[str]
) -> Any:
    """One heat map per matrix; rows are true classes. Colour is the share of the row."""
    figure, axes = subplots(1, len(matrices), width=3.4, height=3.2)
    for axis, (title, matrix) in zip(np.atleast_1d(axes), matrices.items(), strict=True):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (i, j), count in np.ndenumerate(matrix):
            colour = "white" if share[i, j] > 0.5 else "black"
            axis.text(j, i, f"{count:,.0f}", ha="center", va="center", color=colour, fontsize=9)
        axis.set_xticks(range(len(labels)), labels)
        axis.set_yticks(range(len(labels)), labels)
        axis.set(title=title, xlabel="flagged as", ylabel="true")
    return figure


def precision_recall(
    curves: Mapping[str, tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]],
    base_rate: float,
) -> Any:
    """Precision against recall, one line per detector, the base rate as a dotted line.

    Args:
        curves: detector -> (recall, precision).
        base_rate: precision of flagging everything.
    """
    figure, axes = subplots(width=6)
    for colour, (label, (recall, precision)) in zip(COLOURS, curves.items(), strict=False):
        axes.plot(recall, precision, color=colour, label=label)
    axes.axhline(base_rate, color="black", ls=":", label=f"base rate {base_rate:.4f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    axes.grid(alpha=0.3)
    return figure
