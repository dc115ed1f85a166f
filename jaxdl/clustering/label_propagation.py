"""Semi-supervised learning on a graph: the labels of a few points, spread to all of them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.neighbors import kneighbors_graph

NO_LABEL = -1  # of a point that no known label reaches
SMALLEST_DISTANCE = 1e-7  # of the longest one, below which two points count as equal: rounding


def neighbour_graph(
    x: Float[np.ndarray, "n features"], neighbours: int
) -> Float[np.ndarray, "n n"]:
    """Normalised affinities D^-1/2 W D^-1/2 of the symmetric graph of k nearest neighbours.

    Two points that are neighbours have w = exp(-d^2 / (s_i s_j)), where d is their distance and
    s_i the distance from i to the last of its neighbours; others have 0, and D is the diagonal
    matrix of row sums of W. Zelnik-Manor and Perona, "Self-tuning spectral clustering" (2004): so
    there is no length to choose. Equal points that are neighbours have w = 1; where all neighbours
    of i are equal to it, s_i is the distance to the nearest other point that is linked with it.

    Args:
        x: points.
        neighbours: k, without the point itself.
    """
    nearest = kneighbors_graph(x, neighbours, mode="distance")
    distance = nearest.toarray()
    nearest.data[:] = 1  # stored entries are edges, also where the distance is 0
    linked = nearest.toarray() > 0
    linked |= linked.T
    length = np.maximum(distance, distance.T)
    scale = _scales(distance.max(axis=1), length)
    weight = np.where(linked, np.exp(-(length**2) / np.outer(scale, scale)), 0.0)
    degree = np.maximum(weight.sum(axis=1), 1e-12)
    return weight / np.sqrt(np.outer(degree, degree))


def _scales(
    farthest: Float[np.ndarray, " n"], length: Float[np.ndarray, "n n"]
) -> Float[np.ndarray, " n"]:
    """The s_i of `neighbour_graph`, none of them 0.

    Args:
        farthest: distance from each point to the last of its neighbours.
        length: of the edges; 0 between points that are equal or not linked.
    """
    smallest = SMALLEST_DISTANCE * farthest.max()
    to_others = np.where(length > smallest, length, np.inf).min(axis=1)
    of_equals = np.where(np.isfinite(to_others), to_others, 1.0)  # 1: of no consequence, all d = 0
    return np.where(farthest > smallest, farthest, of_equals)


def spreading_matrix(graph: Float[np.ndarray, "n n"], alpha: float) -> Float[np.ndarray, "n n"]:
    """(1 - alpha) (I - alpha S)^-1: what maps known labels to the limit of label spreading.

    Zhou et al., "Learning with local and global consistency" (2004), iterate
    F <- alpha S F + (1 - alpha) Y from F = Y; this is the closed form of the limit. It does not
    depend on the labels, so it serves any number of label sets.

    Args:
        graph: S, from `neighbour_graph`.
        alpha: between 0 and 1: share of a point's scores that comes from its neighbours.
    """
    return (1 - alpha) * np.linalg.inv(np.eye(len(graph)) - alpha * graph)


class Spread(NamedTuple):
    """Labels that were spread over a graph.

    Attributes:
        labels: of all points; the known ones are kept, and a point that is not linked with any of
            them, not even through others, has `NO_LABEL`.
        scores: of all points and classes, before the known labels were put back.
        leave_one_out: share of the known labels that the others predict rightly, each in turn left
            out; one that they do not reach counts as wrong. It is exact and costs nothing, because
            scores are linear in the labels. Hyper-parameters of the graph may be chosen by it: no
            other label is looked at.
    """

    labels: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, "n classes"]
    leave_one_out: float


def spread(
    matrix: Float[np.ndarray, "n n"],
    known: Int[np.ndarray, " known"],
    labels: Int[np.ndarray, " known"],
    classes: int,
) -> Spread:
    """The label of each point: the class with the highest score.

    Args:
        matrix: from `spreading_matrix`.
        known: rows whose labels are known.
        labels: theirs, from 0 on.
        classes: how many there are.

    >>> x = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
    >>> matrix = spreading_matrix(neighbour_graph(x, neighbours=2), alpha=0.9)
    >>> spread(matrix, known=np.array([0, 5]), labels=np.array([1, 0]), classes=2).labels.tolist()
    [1, 1, 1, 0, 0, 0]
    """
    given = np.eye(classes)[labels]
    scores = matrix[:, known] @ given
    without_own = scores[known] - np.diag(matrix)[known, None] * given
    everyone = _best_class(scores)
    everyone[known] = labels
    return Spread(everyone, scores, float((_best_class(without_own) == labels).mean()))


def _best_class(scores: Float[np.ndarray, "some classes"]) -> Int[np.ndarray, " some"]:
    """The class with the highest score, `NO_LABEL` where no class has any."""
    return np.where(scores.any(axis=1), scores.argmax(axis=1), NO_LABEL)
