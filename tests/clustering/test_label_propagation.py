"""Label spreading in closed form against scikit-learn's iteration, and exact leave-one-out."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.semi_supervised import LabelSpreading

from jaxdl.clustering import label_propagation


@pytest.fixture(scope="module")
def blobs():
    x, y = make_blobs(300, centers=4, n_features=3, cluster_std=1.5, random_state=3)
    return (x - x.mean(axis=0)).astype(np.float32), y


def test_spreading_is_scikit_learns_limit(blobs):
    x, y = blobs
    graph = label_propagation.neighbour_graph(x, 8)
    np.testing.assert_allclose(graph, graph.T)
    known = np.concatenate([np.flatnonzero(y == k)[:2] for k in range(4)])
    hidden = np.full(len(x), -1)
    hidden[known] = y[known]
    # an affinity that normalises to the same graph: the graph itself has other degrees, so redo it
    degree = graph.sum(axis=1)
    again = graph / np.sqrt(np.outer(degree, degree))
    theirs = LabelSpreading(kernel=lambda a, b: graph, alpha=0.8, max_iter=3000, tol=1e-12)
    theirs.fit(x, hidden)
    matrix = label_propagation.spreading_matrix(again, 0.8)
    labels, scores, _ = label_propagation.spread(matrix, known, y[known], 4)
    shares = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, theirs.label_distributions_, atol=1e-6)
    np.testing.assert_array_equal(labels[hidden < 0], theirs.transduction_[hidden < 0])


def test_leave_one_out_is_what_leaving_out_gives(blobs):
    x, _ = blobs
    matrix = label_propagation.spreading_matrix(label_propagation.neighbour_graph(x, 5), 0.9)
    known = np.arange(0, 300, 5)
    # labels without sense: each point knows only its own, so forgetting to leave it out shows
    labels = np.random.default_rng(0).integers(0, 4, len(known))
    accuracy = label_propagation.spread(matrix, known, labels, 4).leave_one_out
    right = []
    for i in range(len(known)):
        others = label_propagation.spread(matrix, np.delete(known, i), np.delete(labels, i), 4)
        right.append(others.scores[known[i]].argmax() == labels[i])
    assert accuracy == pytest.approx(np.mean(right))
    assert accuracy < 0.6


def cells_of_twins(seed=0):
    """300 rows of two small whole numbers, so that each has some 30 twins; 60 labels by the first.

    Returns:
        x [300, 2] in standard deviations, the true classes [300], rows with a known label [60].
    """
    rng = np.random.default_rng(seed)
    x = np.stack([rng.integers(1, 4, 300), rng.integers(0, 3, 300)], axis=1).astype(float)
    return (x - x.mean(axis=0)) / x.std(axis=0), (x[:, 0] - 1).astype(int), np.arange(60)


@pytest.mark.parametrize("neighbours", [5, 15])
def test_equal_rows_are_linked_and_share_their_label(neighbours):
    x, y, known = cells_of_twins()
    matrix = label_propagation.spreading_matrix(
        label_propagation.neighbour_graph(x, neighbours), 0.9
    )
    found = label_propagation.spread(matrix, known, y[known], 3)
    np.testing.assert_array_equal(found.labels, y)
    assert found.leave_one_out == 1


def test_a_row_among_groups_of_twins_is_linked_to_the_nearest_ones():
    x = np.array([[0.0]] * 6 + [[1.0]] + [[5.0]] * 6)
    graph = label_propagation.neighbour_graph(x, 3)
    np.testing.assert_allclose(graph, graph.T)
    assert (graph[6, :6] > 0).sum() == 3
    assert not graph[6, 7:].any()
    assert not graph.diagonal().any()


def test_rows_that_no_known_label_reaches_have_none():
    x = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [9.0], [9.1], [9.2]])
    matrix = label_propagation.spreading_matrix(label_propagation.neighbour_graph(x, 2), 0.9)
    found = label_propagation.spread(matrix, np.array([1, 4]), np.array([0, 1]), 2)
    assert found.labels.tolist() == [0] * 3 + [1] * 3 + [label_propagation.NO_LABEL] * 3
    # left out, neither is reached by the other: no label is no right answer, whatever the class
    assert found.leave_one_out == 0


def test_the_graph_of_rows_without_twins_is_as_published():
    x = np.random.default_rng(1).normal(size=(40, 2))
    distance = np.sqrt(np.square(x[:, None] - x).sum(axis=2))
    order = np.argsort(distance, axis=1)[:, 1:5]
    scale = np.take_along_axis(distance, order, axis=1)[:, -1]
    linked = np.zeros((40, 40), bool)
    np.put_along_axis(linked, order, True, axis=1)
    linked |= linked.T
    weight = np.where(linked, np.exp(-(distance**2) / np.outer(scale, scale)), 0)
    degree = weight.sum(axis=1)
    expected = weight / np.sqrt(np.outer(degree, degree))
    np.testing.assert_allclose(label_propagation.neighbour_graph(x, 4), expected, atol=1e-12)
