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
