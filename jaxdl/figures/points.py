"""Figures of points in the plane: the classes in two-dimensional codes."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from jaxdl.figures.base import Figure, subplots


def latent_maps(
    maps: Mapping[str, Float[np.ndarray, "rows 2"]],
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Figure:
    """Scatter plots of the same rows in several two-dimensional codes, coloured by class.

    Args:
        maps: title -> codes, side by side.
        label: class of each row, an index of `classes`.
        classes: names for the legend.
    """
    from matplotlib import colormaps

    colours = colormaps["tab10"]
    figure, axes = subplots(1, len(maps), width=4.2, height=4.0)
    axes = np.atleast_1d(axes)
    for axis, (title, points) in zip(axes, maps.items(), strict=True):
        for k, name in enumerate(classes):
            own = points[label == k]
            axis.scatter(*own.T, s=4, color=colours(k), label=name, alpha=0.7, lw=0)
        axis.set(title=title, xticks=[], yticks=[])
    entries = axes[0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside right center", markerscale=3, fontsize=8)
    return figure
