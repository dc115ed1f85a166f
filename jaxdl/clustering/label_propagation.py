"""Semi-supervised learning: the labels of a few rows, spread over a graph of all."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.cluster import KMeans

# ---- semi-supervised: labels of a few, spread over a graph of all -------------------------------


def neighbour_graph(
    x: Float[np.ndarray, "n features"], neighbours: int
) -> Float[np.ndarray, "n n"]:
    """Normalised affinities D^-1/2 W D^-1/2 of the symmetric k-nearest-neighbour graph.

    w = exp(-d^2 / (s_i s_j)) with s_i the distance from i to its last neighbour (Zelnik-Manor and
    Perona, "Self-tuning spectral clustering", 2004), so there is no length to choose.
    """
    from sklearn.neighbors import kneighbors_graph

    distance = kneighbors_graph(x, neighbours, mode="distance").toarray()
    scale = np.maximum(distance.max(axis=1), 1e-12)
    linked = np.maximum(distance, distance.T)
    weight = np.where(linked > 0, np.exp(-(linked**2) / np.outer(scale, scale)), 0.0)
    degree = np.maximum(weight.sum(axis=1), 1e-12)
    return weight / np.sqrt(np.outer(degree, degree))


def spreading_matrix(graph: Float[np.ndarray, "n n"], alpha: float) -> Float[np.ndarray, "n n"]:
    """(1 - alpha) (I - alpha S)^-1: what label spreading converges to (Zhou et al. 2004).

    It does not depend on the labels, so it serves any number of label sets.
    """
    return (1 - alpha) * np.linalg.inv(np.eye(len(graph)) - alpha * graph)


def spread(
    matrix: Float[np.ndarray, "n n"],
    known: Int[np.ndarray, " known"],
    labels: Int[np.ndarray, " known"],
    classes: int,
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n classes"], float]:
    """Labels for all points from those of the points `known`.

    Returns:
        (labels with the known ones kept, class scores, accuracy on each known label when it alone
        is left out). The last is exact and costs nothing, because the result is linear in the
        labels; it is what hyper-parameters may be chosen by.
    """
    given = np.eye(classes)[labels]
    scores = matrix[:, known] @ given
    without = scores[known] - np.diag(matrix)[known, None] * given
    everyone = scores.argmax(axis=1)
    everyone[known] = labels
    return everyone, scores, float((without.argmax(axis=1) == labels).mean())


def majority_labels(
    clusters: Int[np.ndarray, " n"],
    known: Int[np.ndarray, " known"],
    labels: Int[np.ndarray, " known"],
    k: int,
) -> Int[np.ndarray, " n"]:
    """The lecture's rule (lab 055): a cluster takes the commonest known label in it.

    Known labels are kept; a cluster without a known label gives -1; of equals the smallest wins.
    """
    counts = np.zeros((k, int(labels.max()) + 1), np.int64)
    np.add.at(counts, (clusters[known], labels), 1)
    of_cluster = np.where(counts.any(axis=1), counts.argmax(axis=1), -1)
    everyone = of_cluster[clusters]
    everyone[known] = labels
    return everyone


Graph = tuple[int, float]


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
    return majority_labels(clusters, np.arange(len(first)), first, k)


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
        graph = neighbour_graph(x, count)
        for alpha in alphas:
            matrices[count, alpha] = spreading_matrix(graph, alpha)
    return matrices


def spread_best(
    matrices: Mapping[Graph, Float[np.ndarray, "n n"]],
    known: Int[np.ndarray, " known"],
    labels: Int[np.ndarray, " known"],
    classes: int,
) -> tuple[Int[np.ndarray, " n"], Graph]:
    """Labels of all rows over the graph that leave-one-out prefers, the first of equals."""
    spread = {graph: spread(matrix, known, labels, classes) for graph, matrix in matrices.items()}
    best = max(spread, key=lambda graph: spread[graph][2])
    return spread[best][0], best
