"""Search by similarity: the nearest rows of a gallery, and how many are of the same class."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.neighbors import NearestNeighbors


class Neighbours(NamedTuple):
    """The nearest gallery rows of each query, nearest first.

    Attributes:
        row: their numbers in the gallery.
        mse: squared distance, mean over features.
    """

    row: Int[np.ndarray, "queries k"]
    mse: Float[np.ndarray, "queries k"]


def nearest(
    gallery: Float[np.ndarray, "rows features"],
    queries: Float[np.ndarray, "queries features"],
    k: int,
) -> Neighbours:
    """The k nearest gallery rows by Euclidean distance, exact: every pair is compared.

    >>> nearest(np.array([[0.0], [2.0], [5.0]]), np.array([[3.0]]), k=2)
    Neighbours(row=array([[1, 2]]), mse=array([[1., 4.]]))
    """
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(gallery)
    distance, row = index.kneighbors(queries)
    return Neighbours(row, np.square(distance) / gallery.shape[1])


def precision_at_k(
    gallery: Float[np.ndarray, "rows features"],
    gallery_label: Int[np.ndarray, " rows"],
    queries: Float[np.ndarray, "queries features"],
    label: Int[np.ndarray, " queries"],
    k: int,
) -> float:
    """Share of the k nearest gallery rows that have the query's class, mean over queries."""
    row = nearest(gallery, queries, k).row
    return float((gallery_label[row] == label[:, None]).mean())


def neighbour_agreement(
    points: Float[np.ndarray, "rows features"], label: Int[np.ndarray, " rows"], k: int
) -> float:
    """`precision_at_k` of each row among the others: how well a map keeps classes together.

    >>> neighbour_agreement(np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 0]), k=1)
    0.5
    """
    found = nearest(points, points, k + 1).row
    rows = np.arange(len(points))[:, None]
    # the row itself goes last and is cut off; among equal points it need not have come first
    itself_last = np.argsort(found == rows, axis=1, kind="stable")
    others = np.take_along_axis(found, itself_last[:, :k], axis=1)
    return float((label[others] == label[:, None]).mean())


def majority_vote(
    labels: Int[np.ndarray, "queries k"], classes: int
) -> Int[np.ndarray, " queries"]:
    """The class that most of a row's labels name; of several, the one with the smallest number.

    >>> majority_vote(np.array([[1, 1, 2], [2, 0, 1]]), classes=3)
    array([1, 0])
    """
    votes = (labels[:, :, None] == np.arange(classes)).sum(axis=1)
    return votes.argmax(axis=1)
