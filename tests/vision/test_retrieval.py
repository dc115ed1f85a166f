"""Search by similarity against brute force."""

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error

from jaxdl.vision import retrieval


def test_precision_at_k_against_brute_force():
    rng = np.random.default_rng(0)
    label = np.arange(60) % 3
    x = rng.normal(size=(3, 16))[label] + 1.5 * rng.normal(size=(60, 16))
    gallery, queries = x[:40], x[40:]
    hits = []
    for query, own in zip(queries, label[40:], strict=True):
        order = np.argsort([np.sum((query - other) ** 2) for other in gallery])[:4]
        hits.append((label[:40][order] == own).mean())
    assert 1 / 3 < np.mean(hits) < 1
    found = retrieval.precision_at_k(gallery, label[:40], queries, label[40:], 4)
    assert found == pytest.approx(np.mean(hits))
    near = retrieval.nearest(gallery, queries, 1)
    assert near.mse[0, 0] == pytest.approx(mean_squared_error(queries[0], gallery[near.row[0, 0]]))


def test_agreement_leaves_the_row_itself_out():
    points = np.array([[0.0], [0.0], [1.0], [1.1], [5.0]])
    label = np.array([0, 1, 2, 2, 0])
    # the twins at 0 differ, the pair near 1 agrees, the last one's neighbour is of class 2
    assert retrieval.neighbour_agreement(points, label, 1) == pytest.approx(2 / 5)


def test_of_several_classes_with_most_votes_the_first_wins():
    assert retrieval.majority_vote(np.array([[1, 1, 2], [2, 0, 1]]), 3).tolist() == [1, 0]
