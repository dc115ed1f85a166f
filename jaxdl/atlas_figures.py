"""Figures of the atlas of gradients: heat maps, profiles by layer, histograms, the slide."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl import atlas as at
from jaxdl.figures import COLOURS, subplots
from jaxdl.models import deep

DECADES = 8  # where the colours of the gradient maps end


def heat_maps(
    atlas: Sequence[at.Depth], value: Callable[[at.Depth], Any], label: str, low: float, high: float
) -> Any:
    """A panel for each normalisation and shortcut: activation and initial scale against depth.

    Args:
        atlas: the depths, columns of the panels.
        value: [combinations, seeds] of a depth; the mean over seeds is drawn and written.
        label: of the colour bar.
        low, high: ends of the colours; a diverging map where they are opposite.
    """
    figure, axes = subplots(2, 3, width=4.3, height=6.2)
    colours = "RdBu" if low == -high else "viridis"
    columns = np.stack([value(depth).mean(axis=1) for depth in atlas], axis=1)
    rows = [f"{f}, {i}" for f in at.AXES[0] for i in at.AXES[1]]
    for axis, (norm, shortcut) in zip(axes.flat, at.kinds(), strict=True):
        values = columns[at.chosen(norm=norm, shortcut=shortcut)]
        image = axis.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
        for (i, j), number in np.ndenumerate(values):
            strong = (number - low) / (high - low)
            dark = abs(strong - 0.5) > 0.35 if low == -high else strong < 0.6
            text = f"{np.clip(number, -99, 99):.1f}"
            colour = "white" if dark else "black"
            axis.text(j, i, text, ha="center", va="center", fontsize=6, color=colour)
        axis.set_title(f"{shortcut}, {'no' if norm == 'none' else norm} norm", fontsize=10)
        axis.set_xticks(range(len(atlas)), [d.layers for d in atlas])
        axis.set_yticks(range(len(rows)), rows if axis in axes[:, 0] else [], fontsize=7)
    for axis in axes[1]:
        axis.set_xlabel("hidden layers")
    figure.colorbar(image, ax=axes, label=label, shrink=0.5, extend="both")
    return figure


def gradient_map(atlas: Sequence[at.Depth]) -> Any:
    """Measured log10 of the gradient at the first state over that at the last, at the start."""
    label = "log10 (gradient at the first / at the last state), start"
    return heat_maps(atlas, lambda depth: depth.ratio, label, -DECADES, DECADES)


def theory_map(atlas: Sequence[at.Depth]) -> Any:
    """The same as predicted."""
    label = "log10 (gradient at the first / at the last state), theory"
    return heat_maps(atlas, lambda depth: depth.theory[:, :1], label, -DECADES, DECADES)


def accuracy_map(atlas: Sequence[at.Depth]) -> Any:
    """Validation accuracy after training."""
    label = "validation accuracy after training"
    return heat_maps(atlas, lambda depth: depth.accuracy, label, 0.1, 1.0)


def profiles(depth: at.Depth, initialiser: str = "he") -> Any:
    """Weight gradient by layer, plain net on top, shortcut below; a panel for each normalisation.

    The band holds the middle 80 % of single examples at the start; dotted: the batch's gradient
    after training.
    """
    figure, axes = subplots(2, 3, width=4.2, height=3.2)
    layers = np.arange(1, depth.layers + 1)
    for axis, (norm, shortcut) in zip(axes.flat, at.kinds(), strict=True):
        for colour, activation in zip(COLOURS, at.AXES[0], strict=False):
            wanted = {"norm": norm, "shortcut": shortcut, "activation": activation}
            i = int(np.flatnonzero(at.chosen(initialiser=initialiser, **wanted))[0])
            low, middle, high = depth.start.examples[i].mean(axis=0).T
            axis.fill_between(layers, low, high, color=colour, alpha=0.15, lw=0)
            axis.plot(layers, middle, color=colour, label=activation)
            axis.plot(layers, depth.end.weights[i].mean(axis=0), ":", color=colour)
        axis.set_ylim(max(axis.get_ylim()[0], -16), None)
        axis.set_title(f"{shortcut}, {'no' if norm == 'none' else norm} norm", fontsize=10)
        axis.grid(alpha=0.3)
    for axis in axes[1]:
        axis.set_xlabel("layer, from the input")
    for axis in axes[:, 0]:
        axis.set_ylabel("log10 of a weight gradient's norm")
    axes[0, 0].legend(fontsize=7)
    return figure


def theory_scatter(atlas: Sequence[at.Depth]) -> Any:
    """Every net of the atlas: predicted against measured gradient ratio."""
    figure, axes = subplots(2, 3, width=3.6, height=3.2)
    for axis, (norm, shortcut) in zip(axes.flat, at.kinds(), strict=True):
        mask = at.chosen(norm=norm, shortcut=shortcut)
        for colour, depth in zip(COLOURS, atlas, strict=False):
            theory = np.repeat(depth.theory[mask, :1], depth.ratio.shape[1], axis=1)
            label = f"{depth.layers} layers"
            axis.plot(theory, depth.ratio[mask], ".", color=colour, ms=4)
            axis.plot([], [], ".", color=colour, label=label)
        low, high = axis.get_xlim()
        low = max(low, -30)
        axis.plot([low, high], [low, high], color="0.5", lw=0.8)
        margin = 0.15 * (high - low)
        axis.set(xlim=(low, high), ylim=(low - margin, high + margin))
        axis.set_title(f"{shortcut}, {'no' if norm == 'none' else norm} norm", fontsize=10)
        axis.grid(alpha=0.3)
    axes[1, 1].set_xlabel("log10 gradient ratio, theory")
    axes[1, 0].set_ylabel("measured at the start")
    axes[0, 0].legend(fontsize=7)
    return figure


def activation_histograms(
    x: Float[np.ndarray, "batch narrow"], seed: int, layers: int, wide: int
) -> Any:
    """Activations of some plain nets before training: a row for each net, panels by layer.

    Args:
        x, seed, layers, wide: see `atlas.activations_at_start`.
    """
    values = at.activations_at_start(x, seed, layers, wide)
    columns = len(next(iter(values.values())))
    figure, axes = subplots(len(values), columns, width=2.3, height=1.7)
    for line, colour, (name, layers) in zip(axes, COLOURS, values.items(), strict=False):
        for axis, (layer, x) in zip(line, layers.items(), strict=True):
            axis.hist(x.reshape(-1), 50, color=colour, density=True)
            axis.set_title(f"layer {layer}: {x.mean():.2g} ± {x.std():.2g}", fontsize=8)
            axis.set_yticks([])
            axis.tick_params(labelsize=6)
            axis.locator_params(axis="x", nbins=3)
            axis.ticklabel_format(axis="x", scilimits=(-2, 3))
            axis.xaxis.get_offset_text().set_fontsize(6)
        line[0].set_ylabel(name, fontsize=8)
    return figure


def functions_and_slopes() -> Any:
    """Slide 24: sigmoid on -10..10, tanh and ReLU on -3..3, each with its slope; all on -2..2."""
    figure, axes = subplots(1, 4, width=3.2, height=2.8)
    limits = {"sigmoid": 10, "tanh": 3, "relu": 3}
    for axis, colour, (name, limit) in zip(axes, COLOURS, limits.items(), strict=False):
        number = deep.ACTIVATIONS.index(name)
        x = jnp.linspace(-limit, limit, 401)
        slopes = jax.vmap(jax.grad(lambda x, number=number: deep.activate(x, number)))(x)
        axis.plot(x, deep.activate(x, number), color=colour, label=name)
        axis.plot(x, slopes, "--", color="0.3", label=f"slope, at most {slopes.max():.2f}")
        near = jnp.linspace(-2, 2, 401)
        axes[3].plot(near, deep.activate(near, number), color=colour, label=name)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    axes[3].set_title("together")
    return figure
