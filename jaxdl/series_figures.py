"""Figures of time series: labs 060 and 170, and the NAB benchmark."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.anomaly import seasonal, windows
from jaxdl.anomaly.window_decisions import Errors, Protocol
from jaxdl.figures import loss_curves, subplots
from jaxdl.models import conv1d

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


def nab_alarms(series: Sequence[Any], flags: Mapping[str, Bool[np.ndarray, " n"]]) -> Any:
    """Alarms in red, labelled windows shaded: the first twelve series with a window, and the taxis.

    Args:
        series: each with `name`, `time`, `value` and `windows` of time stamps.
        flags: name -> rows in which an alarm begins.
    """
    shown = [s for s in series if s.windows][:12] + [s for s in series if "taxi" in s.name]
    panels, spans = {}, {}
    for s in shown:
        panels[s.name] = (s.value, flags[s.name])
        inside = [np.flatnonzero((s.time >= a) & (s.time <= b)) for a, b in s.windows]
        spans[s.name] = [(rows[0], rows[-1]) for rows in inside]
    return flagged_points(panels, spans)


def histogram(
    errors: Float[np.ndarray, " windows"], xlabel: str, threshold: float | None = None
) -> Any:
    """50 bins, the threshold as a dashed line."""
    figure, axis = subplots()
    axis.hist(errors, bins=50)
    if threshold is not None:
        axis.axvline(threshold, color="red", ls="--", label=f"threshold {threshold:.4f}")
        axis.legend()
    axis.set(xlabel=xlabel, ylabel="windows")
    return figure


def reconstruction(
    window: Float[np.ndarray, " window"], output: Float[np.ndarray, " window"]
) -> Any:
    """A window and what the autoencoder makes of it."""
    figure, axis = subplots(width=7)
    axis.plot(window, label="window")
    axis.plot(output, label="reconstruction")
    axis.set(xlabel="step", ylabel="scaled value")
    axis.legend()
    return figure


def conv1d_arithmetic(
    signal: Float[np.ndarray, " n"],
    kernel: Float[np.ndarray, " taps"],
    output: Float[np.ndarray, " outputs"],
) -> Any:
    """Which cells a one-dimensional convolution multiplies and adds for each output (slide 99)."""
    figure, axis = subplots(width=7, height=3.2)
    for row, (values, colour, label) in enumerate(
        ((signal, "#cfe2f3", "signal"), (output, "#d9ead3", "feature"))
    ):
        shift = 0 if row == 0 else (len(kernel) - 1) / 2
        for i, value in enumerate(values):
            box = {"boxstyle": "square,pad=0.7", "fc": colour, "ec": "0.4"}
            axis.text(i + shift, 1 - row, f"{value:g}", ha="center", va="center", bbox=box)
        axis.text(-1.0, 1 - row, label, ha="center", va="center")
    for i in range(len(output)):
        for tap, weight in enumerate(kernel):
            ends = ((i + tap, 0.86), (i + (len(kernel) - 1) / 2, 0.14))
            axis.plot(*zip(*ends, strict=True), color="0.6", lw=0.6 + 0.6 * abs(weight), zorder=0)
        terms = " + ".join(f"{w:g}x{s:g}" for w, s in zip(kernel, signal[i:], strict=False))
        axis.text(i + (len(kernel) - 1) / 2, -0.32, terms, ha="center", fontsize=7)
    axis.set(xlim=(-1.6, len(signal)), ylim=(-0.5, 1.4))
    axis.set_title(f"kernel {[float(weight) for weight in kernel]}, stride 1, no padding")
    axis.axis("off")
    return figure


def layers(rows: Sequence[Mapping[str, Any]], title: str) -> Any:
    """A net as a column of boxes: layer, output shape, number of parameters."""
    figure, axis = subplots(height=0.5 * len(rows) + 0.6)
    box = {"boxstyle": "round,pad=0.35", "fc": "#cfe2f3", "ec": "0.4"}
    for i, row in enumerate(rows):
        text = f"{row['layer']}: {row['output']}, {row['parameters']:,} parameters"
        axis.text(0, -i, text, ha="center", va="center", fontsize=8, bbox=box)
        if i:
            arrow = {"arrowstyle": "->", "color": "0.4"}
            axis.annotate("", (0, -i + 0.25), (0, -i + 0.75), arrowprops=arrow)
    axis.set(xlim=(-1, 1), ylim=(0.6 - len(rows), 0.5), title=title)
    axis.axis("off")
    return figure


def lab_170(
    train: Float[np.ndarray, " n"],
    test: Float[np.ndarray, " m"],
    window: int,
    fits: Mapping[tuple[str, Protocol], tuple[Any, Sequence[Errors]]],
    truth: Bool[np.ndarray, " m"] | None = None,
) -> dict[str, Callable[[], Any]]:
    """The notebook's figures for the first seed of the first net, and the flagged points of all.

    Args:
        train: the series that was learnt.
        test: the other one.
        window: points in a window.
        fits: (net, protocol) -> its fit, and the errors of its training, validation and test
            windows; the published protocol of the first net comes first, the sound one second.
        truth: the points that should be flagged, where they are known.
    """
    (_, published), (_, sound) = list(fits)[:2]
    (fitted, errors), (_, sound_errors) = list(fits.values())[:2]
    mean, deviation = train.mean(), train.std(ddof=1)
    first = windows.sliding((train[:window] - mean) / deviation, window)
    output = fitted.predict(lambda outputs, batch: outputs, {"x": first})[0, 0, :, 0]
    curves = {f"{net}, {protocol.name}": fit.history for (net, protocol), (fit, _) in fits.items()}
    cuts = {p: p.flag(e, p.kinds[0], 0, window)[0] for (_, p), (_, e) in list(fits.items())[:2]}
    panels = {
        f"{net}, {p.name} protocol": (test, p.flag(e, p.kinds[0], 0, window)[2])
        for (net, p), (_, e) in fits.items()
    }
    block = np.flatnonzero(truth) if truth is not None else np.array([], int)
    spans = {title: [(block[0], block[-1])] for title in panels if block.size}
    signal, kernel = np.array([1.0, 1.0, 3.0, 4.0, 3.0]), np.array([1.0, 2.0, 1.0])
    feature = np.asarray(conv1d.conv1d(signal[None, :, None], kernel[:, None, None]))[0, :, 0]
    net = conv1d.layers(conv1d.lecture_net(), window)
    return {
        "raw_series": lambda: series({"training series": train, "test series": test}),
        "net": lambda: layers(net, "the lecture's net: output shapes without the batch"),
        "loss": lambda: loss_curves(curves, log=True),
        "training_errors": lambda: histogram(
            errors[0]["MAE"][0], "training window MAE", cuts[published]
        ),
        "first_window": lambda: reconstruction(first[0, :, 0], output),
        "scaled_test_series": lambda: series(
            {"test series": (test - mean) / deviation}, "scaled value"
        ),
        "test_errors": lambda: histogram(errors[2]["MAE"][0], "test window MAE", cuts[published]),
        "test_errors_sound": lambda: histogram(
            sound_errors[2]["MSE"][0], "test window MSE", cuts[sound]
        ),
        "flagged_points": lambda: flagged_points(panels, spans),
        "conv1d_arithmetic": lambda: conv1d_arithmetic(signal, kernel, feature),
    }


def draw_cycles(dates: np.ndarray, days: Float[np.ndarray, "days 24"]) -> Any:
    """Mean of each weekday and of each hour of the day."""
    figure, axes = subplots(1, 2)
    kind = seasonal.weekday(dates)
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    axes[0].bar(names, [days[kind == k].mean() for k in range(7)])
    axes[1].bar(np.arange(24), days.mean(axis=0))
    axes[0].set(xlabel="weekday", ylabel="passengers in half an hour")
    axes[1].set(xlabel="hour of day")
    return figure


def draw_flagged_hours(
    time: np.ndarray,
    hours: Float[np.ndarray, " n"],
    flagged: Bool[np.ndarray, " n"],
    windows: Sequence[tuple],
) -> Any:
    """The taxi series with the flagged hours in red: all of it, its end, and the hours alone."""
    figure, axes = subplots(4, 1, width=11, height=2.3)
    spans = [(time[0], time[-1]), ("2014-10-01", "2014-12-31"), ("2015-01-01", "2015-01-31")]
    for axis, (start, end) in zip(axes, spans, strict=False):
        part = (time >= np.datetime64(start)) & (time <= np.datetime64(end))
        axis.plot(time[part], hours[part], lw=0.6, color="0.35")
        both = part & flagged
        axis.plot(time[both], hours[both], "o", ms=4, color=RED)
        axis.set(ylabel="passengers", xlim=(time[part][0], time[part][-1]))
        for low, high in windows:
            axis.axvspan(low, high, color=ORANGE, alpha=0.2, lw=0)
    axes[3].plot(time[flagged], hours[flagged], "o-", ms=4, lw=0.8, color=RED)
    axes[3].set(ylabel="flagged hours only", xlim=(time[0], time[-1]))
    axes[0].set_title("flagged by the lecture's protocol (red); NAB's windows (orange)")
    return figure


def draw_decisions(values: Float[np.ndarray, " n"]) -> Any:
    """Histogram of a forest's decision function with the deck's two thresholds."""
    figure, axis = subplots()
    axis.hist(values, bins=50)
    for cut in (-0.16, 0.0):
        axis.axvline(cut, color=RED, ls="--")
    axis.set(xlabel="decision function, no contamination (lower is worse)", ylabel="hours")
    return figure


def draw_day_scores(
    dates: np.ndarray,
    panels: Mapping[str, tuple[Float[np.ndarray, " days"], Bool[np.ndarray, " days"]]],
    events: Mapping[str, tuple],
) -> Any:
    """Scores of days with the flagged ones in red, the events' windows shaded and named.

    Args:
        dates: of the days.
        panels: title -> (scores, flags).
        events: name -> (first, last) time stamp.
    """
    figure, axes = subplots(len(panels), 1, width=11, height=2.6)
    for axis, (title, (scores, flags)) in zip(axes, panels.items(), strict=True):
        axis.plot(dates, scores, lw=0.8, color="0.35")
        axis.plot(dates[flags], scores[flags], "o", ms=5, color=RED)
        for i, (event, (low, high)) in enumerate(events.items()):
            axis.axvspan(low, high, color=ORANGE, alpha=0.2, lw=0)
            axis.annotate(event, (high, 0.88 - 0.05 * (i % 2)), ha="right", fontsize=8)
        axis.set(ylabel="score of the day", ylim=(0.3, 0.93), title=title)
        axis.set(xlim=(dates[0], dates[-1]))
    return figure
