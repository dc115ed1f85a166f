"""Figures of the clustering labs: K-means step by step, trees, shapes, the choice of k, budgets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.figures.base import COLOURS, subplots

Points = Float[np.ndarray, "n 2"]
Score = Callable[[Points], Float[np.ndarray, " n"]]


def cluster_colours(labels: Int[np.ndarray, " n"]) -> list[str]:
    """A colour for each cluster; what is in none (a negative label) is grey."""
    return [COLOURS[k % len(COLOURS)] if k >= 0 else "0.75" for k in labels]


def dendrograms(x: Float[np.ndarray, "n features"], name: str) -> Any:
    """Ward's and single linkage of the same points, the last 40 merges of each."""
    from scipy.cluster.hierarchy import dendrogram, linkage

    figure, axes = subplots(1, 2, width=6)
    for axis, method in zip(axes, ("ward", "single"), strict=True):
        dendrogram(linkage(x, method), ax=axis, no_labels=True, truncate_mode="lastp", p=40)
        axis.set(title=f"{name}, {method} linkage", ylabel="distance at which clusters merge")
    return figure


def partitions(
    sets: Mapping[str, tuple[Points, Int[np.ndarray, " n"]]],
    methods: Callable[[int], Mapping[str, Any]],
) -> Any:
    """What each method (a column) makes of each set of points (a row).

    Args:
        sets: name -> (points, true labels).
        methods: number of clusters -> name -> unfitted scikit-learn estimator.
    """
    columns = len(methods(2))
    figure, axes = subplots(len(sets), columns, width=2.6, height=2.4)
    for line, (name, (x, y)) in zip(axes, sets.items(), strict=True):
        models = methods(max(len(set(y)), 2))
        for axis, (method, model) in zip(line, models.items(), strict=True):
            axis.scatter(*x.T, s=5, c=cluster_colours(model.fit_predict(x)))
            axis.set(title=f"{name}: {method}", xticks=[], yticks=[])
    return figure


def neighbour_distances(x: Points, neighbour: int, eps: float, name: str) -> Any:
    """Sorted distance of each point to its so-manyth neighbour: where it bends, DBSCAN's eps is."""
    from sklearn.neighbors import NearestNeighbors

    distance, _ = NearestNeighbors(n_neighbors=neighbour).fit(x).kneighbors(x)
    figure, axes = subplots()
    axes.plot(np.sort(distance[:, -1]))
    axes.axhline(eps, color="#d62728", ls="--", label=f"eps = {eps}")
    axes.set(xlabel="points, sorted", ylabel=f"distance to neighbour {neighbour} ({name})")
    axes.legend()
    return figure


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
