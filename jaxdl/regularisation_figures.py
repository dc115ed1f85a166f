"""Figures of lab 040: learning curves by size, weights by method, norm balls."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxdl.figures import COLOURS, subplots
from jaxdl.training import Fitted


def size_curves(
    groups: Mapping[tuple[str, int], Fitted],
    methods: Sequence[str],
    stopped: Mapping[str, str],
    dashed: str,
) -> Any:
    """Cross-entropy by epoch: a panel for each method, a colour for each size, train solid.

    Args:
        groups: (method, units) -> its members.
        methods: those that were trained to the last epoch, a panel each.
        stopped: method -> name of the same method with early stopping, if it is among the groups;
            a triangle marks the mean epoch whose weights it keeps.
        dashed: what the dashed curve is measured on.
    """
    columns = min(4, len(methods))
    figure, axes = subplots(-(-len(methods) // columns), columns, width=3.4, height=3.0)
    axes = np.atleast_1d(axes).reshape(-1)
    sizes = list(dict.fromkeys(size for _, size in groups))
    for axis, method in zip(axes, methods, strict=False):
        for colour, size in zip(COLOURS, sizes, strict=False):
            for split, style in (("train", "-"), ("valid", "--")):
                curve = groups[method, size].history[f"{split}_loss"]
                mean, sd = curve.mean(axis=1), curve.std(axis=1)
                epochs = np.arange(1, len(mean) + 1)
                label = str(size) if split == "train" else None
                axis.plot(epochs, mean, style, color=colour, label=label)
                axis.fill_between(epochs, mean - sd, mean + sd, color=colour, alpha=0.15, lw=0)
            early = groups.get((stopped.get(method, ""), size))
            if early is not None:
                epoch = early.best_epoch.mean()
                axis.plot(epoch, np.interp(epoch, epochs, mean), "v", color=colour, ms=8, mec="k")
        axis.set(title=method, xlabel="epoch", ylim=(0, 1.2))
        axis.grid(alpha=0.3)
    for axis in axes[len(methods) :]:
        axis.set_axis_off()
    axes[0].set_ylabel(f"cross-entropy (train solid, {dashed} dashed)")
    axes[0].legend(title="hidden units", fontsize=8)
    return figure


def weight_histograms(weights: Mapping[str, Float[np.ndarray, "..."]]) -> Any:
    """Histogram of a layer's weights by method, counts on a log axis, exact zeros in the title."""
    figure, axes = subplots(1, len(weights), width=2.6, height=2.8)
    limit = max(np.quantile(np.abs(w), 0.999) for w in weights.values())
    weights = {method: w.reshape(-1) for method, w in weights.items()}
    bins = np.linspace(-limit, limit, 82)  # an odd number of bins: one of them is around 0
    for axis, colour, (method, w) in zip(
        np.atleast_1d(axes), COLOURS, weights.items(), strict=False
    ):
        axis.hist(w, bins, color=colour)
        axis.set(title=f"{method}\n{np.mean(w == 0):.1%} exactly 0", xlabel="weight", yscale="log")
        axis.title.set_fontsize(9)
        axis.set_ylim(1, max(len(w) for w in weights.values()))
    np.atleast_1d(axes)[0].set_ylabel("weights of the first layer")
    return figure


def zeros_by_threshold(kernels: Mapping[str, Float[np.ndarray, "..."]], near: float) -> Any:
    """Share of weights that are at most so large, by method: a step at the left means real zeros.

    Args:
        kernels: method -> weights.
        near: the threshold below which a weight counts as nearly zero, drawn as a line.
    """
    figure, axes = subplots(width=6)
    grid = np.geomspace(1e-7, 1, 200)
    for colour, (method, w) in zip(COLOURS, kernels.items(), strict=False):
        ordered = np.sort(np.abs(w), axis=None)
        axes.plot(
            grid, np.searchsorted(ordered, grid, "right") / w.size, color=colour, label=method
        )
    axes.axvline(near, color="0.5", ls=":")
    axes.set(
        xscale="log", xlabel="threshold t", ylabel="share of weights with |w| <= t", ylim=(0, 1)
    )
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure


def draw_word_effects(effects: Mapping[str, Mapping[str, float]]) -> Any:
    """Bars of the strongest words by method: green speaks for, red against a positive review.

    Args:
        effects: method -> word -> effect in logits, strongest first.
    """
    figure, axes = subplots(1, len(effects), width=3.0, height=4.6)
    for axis, (method, words) in zip(np.atleast_1d(axes), effects.items(), strict=True):
        ordered = sorted(words.items(), key=lambda item: item[1])
        values = np.array([value for _, value in ordered])
        axis.barh(range(len(ordered)), values, color=np.where(values > 0, COLOURS[2], COLOURS[1]))
        axis.set_yticks(range(len(ordered)), [word for word, _ in ordered], fontsize=7)
        axis.set(title=method, xlabel="effect on the logit")
    return figure


def norm_balls() -> Any:
    """Why L1 gives zeros: the first point of the ball that the loss's ellipses touch.

    The deck's picture with a quadratic loss, its minimum constrained to |w|_1 <= 1 (left), to
    |w|_2 <= 1 (middle) and to their elastic-net mean (right); found on a fine grid.
    """
    centre, curvature = np.array([1.25, 0.75]), np.array([[2.0, 0.6], [0.6, 0.9]])
    axis_values = np.linspace(-1.6, 1.9, 701)
    x, y = np.meshgrid(axis_values, axis_values)
    away = np.stack([x - centre[0], y - centre[1]])
    loss = 0.5 * np.einsum("iab,ij,jab->ab", away, curvature, away)
    one, two = np.abs(x) + np.abs(y), x**2 + y**2
    balls = {"L1": one, "L2": two, "elastic net": 0.5 * one + 0.5 * two}
    figure, axes = subplots(1, len(balls), width=3.4, height=3.6)
    for axis, (name, size) in zip(axes, balls.items(), strict=True):
        best = np.unravel_index(np.where(size <= 1 + 1e-9, loss, np.inf).argmin(), loss.shape)
        w = x[best], y[best]
        axis.contourf(x, y, size, levels=[0, 1], colors=[COLOURS[0]], alpha=0.35)
        levels = np.sort([*(loss[best] * np.array([0.3, 0.6, 1.0])), 1.6 * loss[best]])
        axis.contour(x, y, loss, levels=levels, colors="0.35", linewidths=0.8)
        axis.plot(*centre, "k+", ms=9)
        axis.plot(*w, "o", color=COLOURS[1])
        axis.axhline(0, color="0.6", lw=0.6)
        axis.axvline(0, color="0.6", lw=0.6)
        axis.set(title=f"{name}: w = ({w[0]:.2f}, {w[1]:.2f})", aspect="equal")
    return figure
