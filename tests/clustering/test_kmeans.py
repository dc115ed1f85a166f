"""K-means in JAX against scikit-learn's."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from jaxdl.clustering import kmeans

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def blobs():
    x, y = make_blobs(300, centers=4, n_features=3, cluster_std=1.5, random_state=3)
    return (x - x.mean(axis=0)).astype(np.float32), y


@pytest.mark.parametrize("k", [2, 4, 7])
def test_labels_are_scikit_learns_from_the_same_start(blobs, k):
    x, _ = blobs
    start = x[:k]
    theirs = KMeans(k, init=start, n_init=1, tol=0.0, algorithm="lloyd").fit(x)
    ones = np.ones(len(x), np.float32)
    centres, inertia, steps = kmeans.lloyd(x, ones, start, np.ones(k, bool))
    np.testing.assert_array_equal(kmeans.nearest_centre(x, centres), theirs.labels_)
    np.testing.assert_allclose(centres, theirs.cluster_centers_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(inertia, theirs.inertia_, rtol=1e-5)
    assert abs(int(steps) - theirs.n_iter_) <= 1


def test_all_k_at_once_are_as_good_as_one_by_one(blobs):
    x, _ = blobs
    ks = (1, 2, 3, 4, 6)
    ours = kmeans.kmeans(KEY, x, np.ones(len(x), np.float32), ks, restarts=10)
    theirs = [KMeans(k, n_init=10, random_state=0).fit(x).inertia_ for k in ks]
    assert (np.asarray(ours.inertia) <= np.array(theirs) * 1.01).all()
    np.testing.assert_allclose(ours.inertia[:4], theirs[:4], rtol=1e-4)


def test_a_weight_is_so_many_points(blobs):
    x, _ = blobs
    weights = np.random.default_rng(0).integers(1, 5, len(x))
    many = np.repeat(x, weights, axis=0)
    start, used = x[:5], np.ones(5, bool)
    ones = np.ones(len(many), np.float32)
    one_by_one = kmeans.lloyd(many, ones, start, used)
    weighted = kmeans.lloyd(x, weights.astype(np.float32), start, used)
    np.testing.assert_allclose(weighted[0], one_by_one[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weighted[1], one_by_one[1], rtol=1e-4)


def test_starting_centres_are_points_spread_over_the_blobs():
    x, y = make_blobs(300, centers=4, n_features=3, cluster_std=0.1, random_state=3)
    x = x.astype(np.float32)
    for seed in range(5):
        start = kmeans.kmeans_plusplus(jax.random.key(seed), x, np.ones(len(x), np.float32), 4)
        rows = [np.flatnonzero((x == centre).all(axis=1))[0] for centre in np.asarray(start)]
        assert len({y[row] for row in rows}) == 4


STOPS = """
import jax, numpy as np
from jaxdl.clustering import kmeans
x = np.random.default_rng(0).uniform(-1, 1, (300, 2)).astype(np.float32)
found = kmeans.kmeans(jax.random.key(0), x, np.ones(300, np.float32), (1, 2, 10), restarts=5)
print(found.iterations.tolist())
"""


def test_it_stops_when_nothing_moves():
    """Fast programs keep digits that rounding would drop, and these must not count as a movement.

    In a process of its own, since the other tests compile without optimisation.
    """
    fast = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
    words = [sys.executable, "-c", STOPS]
    said = subprocess.run(words, env=fast, check=True, capture_output=True, text=True).stdout
    iterations = json.loads(said)
    assert iterations[0] == 2
    assert max(iterations) < 100
