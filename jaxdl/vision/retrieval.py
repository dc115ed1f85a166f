"""Search by similarity: the nearest rows of a gallery, and how many are of the same class."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.neighbors import NearestNeighbors


class Found(NamedTuple):
    """The nearest gallery rows of each query, nearest first.

    Attributes:
        row: their numbers.
        mse: squared distance, mean over features.
    """

    row: Int[np.ndarray, "queries k"]
    mse: Float[np.ndarray, "queries k"]


def nearest(
    gallery: Float[np.ndarray, "rows features"],
    queries: Float[np.ndarray, "queries features"],
    k: int,
) -> Found:
    """By Euclidean distance, exact."""
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(gallery)
    distance, row = index.kneighbors(queries)
    return Found(row, np.square(distance) / gallery.shape[1])


def precision_at_k(
    gallery: Float[np.ndarray, "rows features"],
    gallery_label: Int[np.ndarray, " rows"],
    queries: Float[np.ndarray, "queries features"],
    label: Int[np.ndarray, " queries"],
    k: int,
) -> float:
    """Share of the k nearest gallery rows that have the query's class, mean over queries."""
    found = nearest(gallery, queries, k).row
    return float((gallery_label[found] == label[:, None]).mean())


def agreement(
    points: Float[np.ndarray, "rows features"], label: Int[np.ndarray, " rows"], k: int
) -> float:
    """`precision_at_k` of each row among the others: how well a map keeps classes together."""
    found = nearest(points, points, k + 1).row
    rows = np.arange(len(points))[:, None]
    # with equal points a row need not be its own first neighbour
    others = np.argsort(found == rows, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(found, others, axis=1)
    return float((label[found] == label[:, None]).mean())


def vote(labels: Int[np.ndarray, "queries k"], classes: int) -> Int[np.ndarray, " queries"]:
    """The class that most of a row's labels name; of several, the one with the smallest number."""
    return (labels[:, :, None] == np.arange(classes)).sum(axis=1).argmax(axis=1)
