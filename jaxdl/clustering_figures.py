"""Figures of the clustering labs: K-means step by step, trees, shapes, the choice of k, budgets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl import clustering
from jaxdl.figures import COLOURS, subplots

Points = Float[np.ndarray, "n 2"]


def cluster_colours(labels: Int[np.ndarray, " n"]) -> list[str]:
    """A colour for each cluster; what is in none (a negative label) is grey."""
    return [COLOURS[k % len(COLOURS)] if k >= 0 else "0.75" for k in labels]


def kmeans_steps(x: Points, k: int) -> Any:
    """Starting centres, then assignment and new centres in turn, until nothing moves."""
    from sklearn.cluster import KMeans

    x32 = x.astype(np.float32)
    centres = x32[np.random.default_rng(1).choice(len(x), k, replace=False)]
    first = np.asarray(clustering.nearest(x32, centres))
    moved = np.stack([x[first == j].mean(axis=0) for j in range(k)]).astype(np.float32)
    second = np.asarray(clustering.nearest(x32, moved))
    done = KMeans(k, init=moved, n_init=1).fit(x)
    pictures = {
        "1 choose k, draw centres": (np.full(len(x), -1), centres),
        "2 assign to the nearest": (first, centres),
        "3 move to the mean": (first, moved),
        "4 assign and move again": (second, moved),
        f"5 no more change (step {done.n_iter_ + 1})": (done.labels_, done.cluster_centers_),
    }
    figure, axes = subplots(1, len(pictures), width=3, height=3)
    for axis, (title, (labels, centres)) in zip(axes, pictures.items(), strict=True):
        axis.scatter(*x.T, s=6, c=cluster_colours(labels))
        axis.scatter(*centres.T, marker="X", s=90, c="black", edgecolors="white")
        axis.set(title=title, xticks=[], yticks=[])
    return figure


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


def numbers_of_clusters(answers: Mapping[str, Mapping[str, Any]]) -> Any:
    """The curves that elbow, silhouette and gap read, a row for each data set, answers dashed.

    Args:
        answers: data set -> {"elbow", "silhouette", "gap": the k that the rule says, "curves":
            (numbers of clusters, inertia, silhouettes from the second k on, `clustering.Gap`)}.
    """
    figure, axes = subplots(len(answers), 3, width=4, height=2.8)
    for line, (name, found) in zip(axes, answers.items(), strict=True):
        ks, inertia, silhouette, gap = found["curves"]
        line[0].plot(ks, inertia, "o-")
        line[1].plot(ks[1:], silhouette, "o-")
        line[2].errorbar(ks, gap.gap, gap.error, fmt="o-", capsize=3)
        for axis, rule in zip(line, ("elbow", "silhouette", "gap"), strict=True):
            axis.axvline(found[rule], color="#d62728", ls="--")
            axis.set(title=f"{name}: {rule} says {found[rule]}", xlabel="clusters")
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


def label_budgets(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Mean accuracy by number of labels, a line for each method, the band from worst to best seed.

    Args:
        rows: for each number of labels {"labels": it, method: accuracy [seeds]}.
    """
    figure, axes = subplots()
    budgets = [row["labels"] for row in rows]
    for colour, name in zip(COLOURS, list(rows[0])[1:], strict=False):
        accuracy = np.array([row[name] for row in rows])
        axes.plot(budgets, accuracy.mean(axis=1), "o-", color=colour, label=name)
        low, high = accuracy.min(axis=1), accuracy.max(axis=1)
        axes.fill_between(budgets, low, high, color=colour, alpha=0.15, lw=0)
    axes.set(xscale="log", xlabel="labels", ylabel="hold-out accuracy (band: all seeds)")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure
