"""Figures of points in the plane: classes in a two-dimensional code."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.figures.base import subplots


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
