"""Figures of decisions: score histograms, thresholds, confusion, precision against recall."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from jaxdl.figures.base import COLOURS, VERBATIM, Axes, Figure, plain_numbers, subplots

ONE_SIZE = 30.0  # largest over smallest score, up to which a linear axis shows both
MOST_BARS = 40  # of a picture; the table has all

# ---- scores --------------------------------------------------------------------------------------


def histogram_by_class(
    groups: Mapping[str, Float[np.ndarray, " _"]],
    thresholds: Mapping[str, float] | None = None,
    xlabel: str = "score",
) -> Figure:
    """Score histograms, one step line per group, thresholds as dashed lines.

    The axis is logarithmic, unless the scores are negative or all of about one size.
    """
    from matplotlib import colormaps

    figure, axes = subplots(width=6)
    everything = np.concatenate(list(groups.values()))
    low, high = everything.min(), everything.max()
    log = bool(low >= 0 and high > ONE_SIZE * low)
    if log:
        low = max(low, 1e-6)
        bins = np.geomspace(low, max(high, low * 1.01), 40)
    else:
        bins = np.linspace(low, max(high, low + 1e-6), 40)
    for colour, (label, values) in zip(COLOURS, groups.items(), strict=False):
        axes.hist(
            values, bins, histtype="step", color=colour, lw=1.6, label=f"{label} ({len(values)})"
        )
    marks = dict(thresholds or {})
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(marks)))
    for shade, (name, value) in zip(shades, marks.items(), strict=True):
        axes.axvline(value, color=shade, ls="--", lw=1.2, label=name)
    axes.set(xscale="log" if log else "linear", xlabel=xlabel, ylabel="rows")
    # beside the axes: thresholds lie close together, and no corner is free
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def box_by_class(groups: Mapping[str, Float[np.ndarray, " _"]], ylabel: str = "score") -> Figure:
    """Box plots on a log axis."""
    figure, axes = subplots()
    axes.boxplot(list(groups.values()), showfliers=True, flierprops={"ms": 2, "alpha": 0.4})
    axes.set_xticks(range(1, len(groups) + 1), list(groups))
    axes.set(yscale="log", ylabel=ylabel)
    return figure


def histogram(
    errors: Float[np.ndarray, " windows"], xlabel: str, threshold: float | None = None
) -> Figure:
    """50 bins, the threshold as a dashed line."""
    figure, axis = subplots()
    axis.hist(errors, bins=50)
    if threshold is not None:
        axis.axvline(threshold, color="red", ls="--", label=f"threshold {threshold:.4f}")
        axis.legend()
    axis.set(xlabel=xlabel, ylabel="windows")
    return figure


# ---- confusion -----------------------------------------------------------------------------------


def confusion_heat_maps(
    matrices: Mapping[str, Num[np.ndarray, "classes classes"]], labels: Sequence[str]
) -> Figure:
    """One heat map per matrix, whose rows are true classes; weighted counts may be fractions.

    Args:
        matrices: title -> counts.
        labels: names of the classes.
    """
    figure, axes = subplots(1, len(matrices), width=3.4, height=3.2)
    for axis, (title, counts) in zip(np.atleast_1d(axes), matrices.items(), strict=True):
        _draw_counts(axis, counts, fontsize=9)
        axis.set_xticks(range(len(labels)), labels)
        axis.set_yticks(range(len(labels)), labels)
        axis.set(title=title, xlabel="flagged as", ylabel="true")
    return figure


def confusion(
    label: Int[np.ndarray, " rows"], predicted: Int[np.ndarray, " rows"], classes: Sequence[str]
) -> Figure:
    """Heat map of counts, true classes down, predicted ones across."""
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (label, predicted), 1)
    figure, axes = subplots(width=6.5, height=6)
    _draw_counts(axes, counts, fontsize=8)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(classes)), classes, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def _draw_counts(axes: Axes, counts: Num[np.ndarray, "classes classes"], fontsize: int) -> None:
    """Colour is the share of the row, text the count."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        colour = "white" if share[i, j] > 0.5 else "black"
        axes.text(j, i, f"{count:,.0f}", ha="center", va="center", color=colour, fontsize=fontsize)


# ---- precision and recall ------------------------------------------------------------------------


def precision_recall(
    curves: Mapping[str, tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"]]],
    base_rate: float,
) -> Figure:
    """Precision against recall, one line per detector, the base rate as a dotted line.

    Args:
        curves: detector -> (recall, precision).
        base_rate: precision of flagging everything.
    """
    figure, axes = subplots(width=6, height=3.8 + 0.17 * len(curves))
    for number, (label, (recall, precision)) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        dashes = ("-", "--", "-.")[number // len(COLOURS) % 3]
        axes.plot(recall, precision, color=colour, ls=dashes, label=label)
    axes.axhline(base_rate, color="black", ls=":", label=f"base rate {base_rate:.4f}")
    axes.set(xlabel="recall, first seed", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    figure.legend(fontsize=8, loc="outside lower center")
    axes.grid(alpha=0.3)
    return figure


# ---- alerts --------------------------------------------------------------------------------------


def caught_by_alerts(
    alerts: Float[np.ndarray, " n"],
    curves: Mapping[str, Float[np.ndarray, " n"]],
    xlabel: str = "alerts",
) -> Figure:
    """Share of the anomalies caught against the number of alerts, which is on a log axis.

    Args:
        alerts: 1 .. n of them, or so many a day.
        curves: detector -> share caught by the so many highest scores.
        xlabel: what is counted.
    """
    figure, axes = subplots(width=6, height=3.6 + 0.1 * len(curves))
    for colour, (label, share) in zip(cycle(COLOURS), curves.items(), strict=False):
        axes.plot(alerts, share, color=colour, label=label)
    axes.set(xscale="log", xlabel=xlabel, ylabel="share of anomalies caught", ylim=(0, 1.02))
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    axes.grid(alpha=0.3)
    return figure


def promised_and_realised(
    promised: Float[np.ndarray, " rates"], realised: Float[np.ndarray, "rates seeds"]
) -> Figure:
    """Realised false-alarm rates against the promised ones; on the line a promise is kept."""
    figure, axes = subplots(width=4.5, height=4)
    axes.plot(promised, promised, ":", color="black", label="promise kept")
    least = promised.min() / 10  # what never happened has no place on a log axis
    for member in realised.T:
        axes.plot(promised, np.maximum(member, least), "o-", ms=4, color=COLOURS[0], alpha=0.7)
    axes.set(xscale="log", yscale="log", xlabel="promised rate", ylabel="rate on later usual rows")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure


def bars(
    values: Mapping[str, float], xlabel: str, marks: Sequence[float] = (), verbatim: bool = False
) -> Figure:
    """A bar for each name, the longest on top; the marks as dashed lines.

    Args:
        values: name -> length.
        xlabel: of the lengths.
        marks: lengths.
        verbatim: names are those of somebody's data, and are never translated.
    """
    ordered = sorted(values.items(), key=lambda pair: pair[1])[-MOST_BARS:]
    figure, axes = subplots(width=6, height=0.8 + 0.3 * len(ordered))
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=COLOURS[0])
    for mark in marks:
        axes.axvline(mark, color="black", ls="--", lw=1)
    axes.set(xlabel=xlabel)
    if verbatim:
        axes.yaxis.set_gid(VERBATIM)
    return figure


def scores_over_time(
    days: Float[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    threshold: float,
    anomaly: Bool[np.ndarray, " n"] | None = None,
) -> Figure:
    """Each row's score against time, the threshold as a line, labelled anomalies in red."""
    figure, axes = subplots(width=8)
    axes.plot(days, scores, ".", ms=3, color=COLOURS[0], label=f"rows ({len(scores):,})")
    if anomaly is not None:
        label = f"anomalies ({anomaly.sum():,})"
        axes.plot(days[anomaly], scores[anomaly], "x", ms=5, color="red", label=label)
    axes.axhline(threshold, color="black", ls="--", lw=1, label="threshold")
    axes.set(xlabel="days", ylabel="score")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


# ---- what a threshold brings ---------------------------------------------------------------------


class SweptPart(NamedTuple):
    """Scored and labelled rows of a stretch of time.

    Attributes:
        score: higher is worse.
        anomaly: whether a row is one.
        days: time that the rows stand for.
    """

    score: Float[np.ndarray, " n"]
    anomaly: Bool[np.ndarray, " n"]
    days: float


class Sweep(NamedTuple):
    """What flagging all scores above a threshold brings, for each threshold."""

    precision: Float[np.ndarray, " thresholds"]
    recall: Float[np.ndarray, " thresholds"]
    alerts_per_day: Float[np.ndarray, " thresholds"]


def sweep_thresholds(part: SweptPart, thresholds: Float[np.ndarray, " thresholds"]) -> Sweep:
    """Precision (NaN without an alert), recall and alerts a day of `score > threshold`.

    >>> part = SweptPart(np.array([1.0, 2.0, 3.0]), np.array([False, True, True]), days=2.0)
    >>> swept = sweep_thresholds(part, np.array([0.0, 2.0]))
    >>> [column.round(2).tolist() for column in swept]
    [[0.67, 1.0], [1.0, 0.5], [1.5, 0.5]]
    """
    alerts = _above(part.score, thresholds)
    caught = _above(part.score[part.anomaly], thresholds)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = caught / alerts, caught / np.count_nonzero(part.anomaly)
    return Sweep(precision, recall, alerts / part.days)


def _above(
    scores: Float[np.ndarray, " n"], thresholds: Float[np.ndarray, " thresholds"]
) -> Int[np.ndarray, " thresholds"]:
    """How many scores are above each threshold."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="right")


def precision_recall_alerts(
    columns: Mapping[str, Mapping[str, SweptPart]],
    marks: Sequence[Mapping[str, float]],
    budget: float,
) -> Figure:
    """Precision, recall and alerts a day against the threshold, below one another.

    The first part of a column is dotted: what the rows that a threshold was fitted on make one
    expect. The second is solid: what happened. Where the two part, a promise is broken.

    Args:
        columns: title -> its two parts, by name.
        marks: for each column thresholds by name, drawn as vertical lines.
        budget: alerts a day that were asked for, a horizontal line.
    """
    figure, grid = subplots(3, len(columns), width=5, height=2.5)
    grid = np.reshape(grid, (3, len(columns)))
    labels = Sweep("precision", "recall", "alerts a day")
    for axes, (title, parts), limits in zip(grid.T, columns.items(), marks, strict=True):
        thresholds = _thresholds_to_show([part.score for part in parts.values()])
        for (name, part), line in zip(parts.items(), (":", "-"), strict=True):
            swept = sweep_thresholds(part, thresholds)
            for axis, values in zip(axes, swept, strict=True):
                axis.plot(thresholds, values, ls=line, color=COLOURS[0], label=name)
        for colour, (name, value) in zip(COLOURS[1:], limits.items(), strict=False):
            for axis in axes:
                axis.axvline(value, color=colour, ls="--", lw=1.2, label=name)
        axes[2].axhline(budget, color="black", lw=1, label=f"asked for: {budget:g} a day")
        axes[0].set_title(title)
        for axis, label in zip(axes, labels, strict=True):
            axis.set(xscale="log", ylabel=label)
            axis.grid(alpha=0.3)
            plain_numbers(axis.xaxis)
        axes[0].set_ylim(0, 1.02)
        axes[1].set_ylim(0, 1.02)
        axes[2].set(yscale="log", xlabel="threshold: flagged above it")
    entries = grid[2, -1].get_legend_handles_labels()
    figure.legend(*entries, fontsize=8, loc="outside lower center", ncols=len(columns))
    return figure


def _thresholds_to_show(scores: Sequence[Float[np.ndarray, " _"]]) -> Float[np.ndarray, " 300"]:
    """300 of them, evenly on a log axis, from the highest tenth of the scores to their highest."""
    everything = np.concatenate(scores)
    low, high = np.quantile(everything, 0.9), everything.max()
    low = max(low, 1e-6)
    return np.geomspace(low, max(high, 1.01 * low), 300)
