"""Figures of what goes on inside nets: losses by step, activations, slopes, the atlas of gradients.

Most take what `jaxdl.probes`, `jaxdl.normalisation` and `jaxdl.atlas` return.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl.figures import COLOURS, subplots
from jaxdl.normalisation import standardise

SLIDE_ACTIVATIONS = (1.0, 3.0, 5.1, 7.5, 9.0)


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


def preactivation_histograms(
    rows: Mapping[str, Mapping[str, Float[np.ndarray, "..."]]], xlabel: str
) -> Any:
    """A row of panels for each kind of data, a panel for each net, on one axis of values.

    Args:
        rows: what was looked at -> net -> values.
    """
    nets = list(next(iter(rows.values())))
    figure, axes = subplots(len(rows), len(nets), width=3.2, height=2.4)
    for line, (title, values) in zip(np.atleast_2d(axes), rows.items(), strict=True):
        limit = max(np.quantile(np.abs(v), 0.995) for v in values.values())
        bins = np.linspace(-limit, limit, 61)
        for axis, colour, name in zip(line, COLOURS, nets, strict=False):
            v = values[name].reshape(-1)
            axis.hist(v, bins, color=colour, density=True)
            axis.set_title(f"{name}: {v.mean():.1f} ± {v.std():.1f}\n{title}", fontsize=9)
    for axis in np.atleast_2d(axes)[-1]:
        axis.set_xlabel(xlabel)
    return figure


def standardised_slopes() -> Any:
    """Slide 29: five activations in the flat tail of the slope, and the same five standardised.

    The slope is the sigmoid's, scaled to 1 at its top.
    """
    figure, axes = subplots(1, 2, width=4.2, height=2.8)
    given = jnp.array(SLIDE_ACTIVATIONS)
    grid = np.linspace(-9.5, 9.5, 400)
    slope = jax.vmap(jax.grad(lambda z: 4 * jax.nn.sigmoid(z)))
    panels = {"before": given, "after batch normalisation": standardise(given)}
    for axis, (title, z) in zip(axes, panels.items(), strict=True):
        axis.plot(grid, slope(jnp.asarray(grid)), color="0.5")
        axis.plot(z, slope(z), "o", color=COLOURS[1])
        heights = slope(z)
        for value, height in zip(z.tolist(), heights.tolist(), strict=True):
            place = {"xytext": (6, 4), "textcoords": "offset points"}
            axis.annotate(f"{value:.2f}", (value, height), fontsize=7, **place)
        axis.set(title=f"{title}: mean slope {heights.mean():.3f}", xlabel="z", ylim=(0, 1.25))
        axis.title.set_fontsize(9)
    axes[0].set_ylabel("slope")
    return figure
