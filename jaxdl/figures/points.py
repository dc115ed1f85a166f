"""Figures of points in the plane: classes in two-dimensional codes, rows on their best plane."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from jaxdl.figures.base import Axes, Figure, subplots

MOST_NAMED = 20  # classes in a legend: more are higher than the figure


def latent_maps(
    maps: Mapping[str, Float[np.ndarray, "rows 2"]],
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Figure:
    """Scatter plots of the same rows in several two-dimensional codes, coloured by class.

    Args:
        maps: title -> codes, side by side.
        label: class of each row, an index of `classes`.
        classes: names for the legend; more than `MOST_NAMED` get none.
    """
    colours = class_colours(len(classes))
    figure, axes = subplots(1, len(maps), width=4.2, height=4.0)
    axes = np.atleast_1d(axes)
    for axis, (title, points) in zip(axes, maps.items(), strict=True):
        for k, name in enumerate(classes):
            own = points[label == k]
            axis.scatter(*own.T, s=4, color=colours[k], label=name, alpha=0.7, lw=0)
        axis.set(title=title, xticks=[], yticks=[])
    if len(classes) <= MOST_NAMED:
        entries = axes[0].get_legend_handles_labels()
        figure.legend(*entries, loc="outside right center", markerscale=3, fontsize=8)
    return figure


def class_colours(classes: int) -> Float[np.ndarray, "classes 4"]:
    """A colour for each class: up to ten that are easy to tell apart, else steps of a spectrum."""
    from matplotlib import colormaps

    few = colormaps["tab10"]
    if classes <= few.N:
        return few(np.arange(classes))
    return colormaps["turbo"](np.linspace(0, 1, classes))


def principal_plane(
    x: Float[np.ndarray, "rows columns"], new: Float[np.ndarray, "others columns"] | None = None
) -> tuple[Figure, Axes, Callable[[np.ndarray], Float[np.ndarray, "any 2"]]]:
    """The plane of the first two principal components, for rows to be drawn on.

    Args:
        x: the rows whose components they are.
        new: further rows, scaled alike, already drawn as stars.

    Returns:
        The figure, its axes, and the function rows -> places on the plane.
    """
    from sklearn.decomposition import PCA

    place = PCA(2, svd_solver="full").fit(x).transform
    figure, axes = subplots()
    if new is not None:
        axes.scatter(*place(new).T, marker="*", s=90, c="red", edgecolors="black", zorder=3)
    axes.set(xlabel="first principal component", ylabel="second principal component")
    return figure, axes, place
