"""Learning from few labels (lab 055): whose label to ask for, how to spread it, how to judge it.

Spreading itself is in `jaxdl.clustering`; here its hyper-parameters are chosen, without any label
but the known ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from tqdm import tqdm

from jaxdl import clustering

Graph = tuple[int, float]


class Holdout(NamedTuple):
    """Rows to learn from, nearly all of whose labels are hidden, and rows to judge by."""

    x: Float[np.ndarray, "n features"]
    y: Int[np.ndarray, " n"]
    x_test: Float[np.ndarray, "m features"]
    y_test: Int[np.ndarray, " m"]

    def learn(
        self, model: Any, labels: Int[np.ndarray, " n"], rows: Any = slice(None)
    ) -> tuple[float, float]:
        """Teach a classifier these labels of some rows.

        Returns:
            (share of the labels taught that are right, hold-out accuracy).
        """
        model.fit(self.x[rows], labels[rows])
        return (labels == self.y)[rows].mean(), model.score(self.x_test, self.y_test)

    def learn_known(self, model: Any, known: Any) -> tuple[float, float]:
        """Teach a classifier nothing but the true labels of the rows `known`.

        Returns:
            (share of all n rows that it then names rightly, hold-out accuracy).
        """
        model.fit(self.x[known], self.y[known])
        return model.score(self.x, self.y), model.score(self.x_test, self.y_test)


def logistic() -> LogisticRegression:
    """Geron's classifier; this solver reaches the same optimum thirty times faster."""
    return LogisticRegression(solver="newton-cg")


def majority_of_clusters(
    x: Float[np.ndarray, "n features"],
    first: Int[np.ndarray, " known"],
    k: int,
    starts: int,
    seed: int,
) -> Int[np.ndarray, " n"]:
    """The lecture's procedure: K-means, and `clustering.majority_labels` in its clusters.

    Args:
        x: all rows.
        first: labels of the first rows, the known ones.
        k: number of clusters.
        starts, seed: of K-means.
    """
    clusters = KMeans(k, n_init=starts, random_state=seed).fit(x).labels_
    return clustering.majority_labels(clusters, np.arange(len(first)), first, k)


def representatives(
    x: Float[np.ndarray, "n features"], k: int, starts: int, seed: int
) -> tuple[KMeans, Int[np.ndarray, " k"]]:
    """K-means with k clusters, and the row nearest to each centre: those to ask about."""
    means = KMeans(k, n_init=starts, random_state=seed).fit(x)
    return means, means.transform(x).argmin(axis=0)


def near_centre(
    means: KMeans, x: Float[np.ndarray, "n features"], farthest: float
) -> Bool[np.ndarray, " n"]:
    """Which of the rows that K-means was fitted to are not among their cluster's farthest.

    Args:
        farthest: share of each cluster that is left out.
    """
    distance = means.transform(x).min(axis=1)
    near = np.ones(len(x), bool)
    for k in range(means.n_clusters):
        inside = means.labels_ == k
        near[inside] = distance[inside] <= np.quantile(distance[inside], 1 - farthest)
    return near


def spreading_matrices(
    x: Float[np.ndarray, "n features"], neighbours: Sequence[int], alphas: Sequence[float]
) -> dict[Graph, Float[np.ndarray, "n n"]]:
    """`clustering.spreading_matrix` for all (neighbours, alpha), sparse graphs first."""
    matrices = {}
    for count in neighbours:
        graph = clustering.neighbour_graph(x, count)
        for alpha in alphas:
            matrices[count, alpha] = clustering.spreading_matrix(graph, alpha)
    return matrices


def spread_best(
    matrices: Mapping[Graph, Float[np.ndarray, "n n"]],
    known: Int[np.ndarray, " known"],
    labels: Int[np.ndarray, " known"],
    classes: int,
) -> tuple[Int[np.ndarray, " n"], Graph]:
    """Labels of all rows over the graph that leave-one-out prefers, the first of equals."""
    spread = {
        graph: clustering.spread(matrix, known, labels, classes)
        for graph, matrix in matrices.items()
    }
    best = max(spread, key=lambda graph: spread[graph][2])
    return spread[best][0], best


def by_budget(
    split: Holdout,
    matrices: Mapping[Graph, Float[np.ndarray, "n n"]],
    vote: Any,
    starts: int,
    budgets: Sequence[int],
    seeds: Sequence[int],
) -> list[dict[str, Any]]:
    """Hold-out accuracy by number of labels, of rows drawn at random or of representatives.

    Args:
        split: rows, of ten classes.
        matrices: to choose from for spreading.
        vote: classifier that learns the spread labels.
        starts: of K-means, which finds the representatives.
        budgets: numbers of labels; where it is all rows, there is nothing to choose.
        seeds: of the draws and of K-means.

    Returns:
        For each budget {"labels": it, method: accuracy [seeds]}.
    """

    def spread(known):
        return split.learn(vote, spread_best(matrices, known, split.y[known], 10)[0])[1]

    def accuracies(labels, seed):
        drawn = np.random.default_rng(seed).permutation(len(split.x))[:labels]
        everyone = labels >= len(split.x)
        chosen = drawn if everyone else representatives(split.x, labels, starts, seed)[1]
        alone = split.learn(KNeighborsClassifier(1), split.y, drawn)[1]
        return alone, spread(drawn), spread(chosen)

    names = "random labels, 1 neighbour", "random labels, graph", "representatives, graph"
    rows = []
    for labels in tqdm(budgets, "budgets", disable=None):
        values = np.array([accuracies(labels, seed) for seed in seeds]).T
        rows.append({"labels": labels, **dict(zip(names, values, strict=True))})
    return rows
