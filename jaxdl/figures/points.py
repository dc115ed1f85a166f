"""Figures of points in the plane: decision boundaries, and classes in a two-dimensional code."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.figures.base import subplots

Points = Float[np.ndarray, "n 2"]
Score = Callable[[Points], Float[np.ndarray, " n"]]


def decision_boundaries(
    sets: Mapping[str, tuple[Points, Points]],
    fit: Callable[[Points], Mapping[str, Score]],
    share: float,
) -> Any:
    """Each detector (a column) on each set of points (a row); where it sees outliers is pink.

    Args:
        sets: name -> (normal points [n, 2], anomalies [m, 2] among them), drawn from -3 to 3.
        fit: points of both kinds -> name -> detector that has learnt from them.
        share: of the points that each detector may call outliers.
    """
    axis_values = np.linspace(-3, 3, 70)
    across, up = np.meshgrid(axis_values, axis_values)
    grid = np.stack([across.reshape(-1), up.reshape(-1)], axis=1)
    fitted = {name: fit(np.concatenate(both)) for name, both in sets.items()}
    columns = len(next(iter(fitted.values())))
    figure, axes = subplots(len(sets), columns, width=2.1, height=2.1)
    for i, (line, (name, (normal, odd))) in enumerate(zip(axes, sets.items(), strict=True)):
        x = np.concatenate([normal, odd])
        for axis, (title, score) in zip(line, fitted[name].items(), strict=True):
            cut = np.quantile(score(x), 1 - share)
            outside = (score(grid) > cut).reshape(across.shape)
            axis.contourf(across, up, outside, [-0.5, 0.5, 1.5], colors=["w", "#fde0dd"])
            axis.scatter(*normal.T, s=2, c="0.4")
            axis.scatter(*odd.T, s=7, c="#d62728")
            axis.set(xticks=[], yticks=[], xlim=(-3, 3), ylim=(-3, 3))
            axis.set_title("" if i else title, fontsize=10)
        line[0].set_ylabel(name)
    return figure


def latent_maps(
    maps: Mapping[str, Float[np.ndarray, "rows 2"]],
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Any:
    """Scatter plots in two dimensions, side by side, coloured by class."""
    from matplotlib import colormaps

    figure, axes = subplots(1, len(maps), width=4.2, height=4.0)
    for axis, (title, points) in zip(np.atleast_1d(axes), maps.items(), strict=True):
        for k, name in enumerate(classes):
            colour = colormaps["tab10"](k)
            axis.scatter(*points[label == k].T, s=4, color=colour, label=name, alpha=0.7, lw=0)
        axis.set(title=title, xticks=[], yticks=[])
    figure.legend(
        *np.atleast_1d(axes)[0].get_legend_handles_labels(),
        loc="outside right center",
        markerscale=3,
        fontsize=8,
    )
    return figure
