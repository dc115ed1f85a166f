"""Figures of the fraud labs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxdl import figures


def f1_by_budget(rows: Sequence[Mapping[str, Any]], goal: float | None = None) -> Any:
    """F1 over the number of labelled frauds: one panel for each classifier, one line for features.

    Args:
        rows: have "frauds", "features", "classifier" and "F1".
        goal: drawn as a dashed line.
    """
    budgets = list(dict.fromkeys(int(row["frauds"]) for row in rows))
    everywhere = [r for r in rows if r["frauds"] == rows[0]["frauds"]]  # what every budget has
    kinds = list(dict.fromkeys(row["features"] for row in everywhere))
    names = list(dict.fromkeys(row["classifier"] for row in everywhere))
    figure, axes = figures.subplots(1, len(names), width=3.2, height=3.2)
    for axis, name in zip(axes, names, strict=True):
        for colour, kind in zip(figures.COLOURS, kinds, strict=False):
            own = [r for r in rows if (r["classifier"], r["features"]) == (name, kind)]
            if not own:
                continue
            heights = [float(np.mean(row["F1"])) for row in own]
            axis.plot(budgets, heights, marker="o", color=colour, label=kind)
        if goal is not None:
            axis.axhline(goal, color="0.5", ls="--", lw=1)
        axis.set(title=name, xlabel="labelled frauds", xscale="log", ylim=(0, 1))
        axis.set_xticks(budgets, map(str, budgets))
    axes[0].set_ylabel("F1 at true prevalence")
    axes[0].legend(fontsize=8)
    return figure


def rates_over_time(
    flags: Mapping[str, Bool[np.ndarray, " n"]], hours: Float[np.ndarray, " n"], asked: float
) -> Any:
    """Share of normal rows flagged, hour by hour of the later half.

    Args:
        flags: rule -> of normal rows.
        hours: of these rows.
        asked: false-alarm rate asked for, a dashed line.
    """
    figure, axes = figures.subplots(width=7)
    bins = np.floor(hours - hours.min()).astype(int)
    for colour, (name, own) in zip(figures.COLOURS, flags.items(), strict=False):
        share = np.bincount(bins, own) / np.maximum(np.bincount(bins), 1)
        axes.plot(share, color=colour, marker="o", ms=3, label=name)
    axes.axhline(asked, color="0.4", ls="--", label=f"asked for: {asked:g}")
    axes.set(xlabel="hour of the later half", ylabel="share of normal rows flagged", ylim=(0, None))
    axes.legend()
    return figure


def caught_by_pattern(
    rows: Mapping[str, Mapping[str, Any]], patterns: Sequence[str], known: int
) -> Any:
    """Share caught of each pattern: one group of bars for each, one colour for each detector.

    Args:
        rows: detector -> pattern -> share of its payments caught.
        patterns: in order, those that the rules know first.
        known: how many these are.
    """
    figure, axis = figures.subplots(width=11, height=4)
    shown = [name for name in rows if name not in ("random", "untrained autoencoder")]
    for i, (colour, name) in enumerate(zip(figures.COLOURS, shown, strict=False)):
        heights = [float(np.mean(rows[name][pattern])) for pattern in patterns]
        axis.bar(np.arange(len(heights)) + 0.1 * i, heights, 0.1, color=colour, label=name)
    axis.axvline(known - 0.15, color="0.4", ls="--")
    axis.set_xticks(np.arange(len(patterns)) + 0.35, patterns, rotation=20)
    axis.set(ylabel="share of payments caught", ylim=(0, 1.02))
    axis.text(known, 1.03, "patterns the rules do not know", fontsize=8)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
