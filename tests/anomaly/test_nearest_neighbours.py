"""Nearest neighbours against scikit-learn's."""

import jax
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from jaxdl.anomaly import nearest_neighbours
from jaxdl.precision import double_precision


@pytest.fixture(scope="module")
def clouds():
    """Training rows over more than one tile, far from the origin, with duplicates; and queries."""
    rng = np.random.default_rng(0)
    x = 3000 + rng.normal(size=(nearest_neighbours.TILE + 452, 6)) * rng.gamma(2, size=(2500, 1))
    x[40:43] = x[0]
    queries = np.concatenate([x[:50], 3000 + 3 * rng.normal(size=(150, 6))])
    return x.astype(np.float32), queries.astype(np.float32)


def test_nearest_equals_scikit_learn(clouds):
    x, queries = clouds
    wanted, rows = NearestNeighbors(n_neighbors=9, algorithm="brute").fit(x).kneighbors(queries)
    found, index = jax.jit(nearest_neighbours.nearest)(
        nearest_neighbours.fit_neighbours(x, 9), queries
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    # duplicates may come in any order
    assert (np.sort(index, axis=1) == np.sort(rows, axis=1)).mean() > 0.99
    assert (np.asarray(found)[:40, 0] == 0).all()


def test_the_score_is_the_mean_distance(clouds):
    x, queries = clouds
    params = nearest_neighbours.fit_neighbours(x, 4)
    far, _ = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(x).kneighbors(queries)
    np.testing.assert_allclose(
        nearest_neighbours.mean_knn_score(params, queries), far.mean(axis=1), rtol=1e-5, atol=1e-6
    )


def test_float64_rows_give_distances_as_exact_as_scikit_learns(clouds):
    x, queries = (rows.astype(np.float64) for rows in clouds)
    far, _ = NearestNeighbors(n_neighbors=4, algorithm="kd_tree").fit(x).kneighbors(queries)
    with double_precision():
        found, _ = nearest_neighbours.nearest(nearest_neighbours.fit_neighbours(x, 4), queries)
    np.testing.assert_allclose(found, far, rtol=1e-13)


def test_all_rows_may_be_neighbours():
    x = np.arange(5, dtype=np.float32)[:, None]
    params = nearest_neighbours.fit_neighbours(x, 5)
    far, index = nearest_neighbours.nearest(params, np.float32([[0.2]]))
    np.testing.assert_allclose(far[0], [0.2, 0.8, 1.8, 2.8, 3.8], rtol=1e-6)
    assert index[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("k", [0, 6])
def test_refuses_an_impossible_number_of_neighbours(k):
    with pytest.raises(ValueError, match="k must be"):
        nearest_neighbours.fit_neighbours(np.zeros((5, 2)), k)


def test_rows_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        nearest_neighbours.fit_neighbours(np.full((5, 2), np.nan), 1)


def test_of_rows_that_were_learned_the_others_are_the_neighbours(clouds):
    x, _ = clouds
    wanted, _ = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(x).kneighbors()
    found, index = nearest_neighbours.nearest_others(nearest_neighbours.fit_neighbours(x, 3), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    alone = np.ones(len(x), bool)
    alone[[0, 40, 41, 42]] = False  # these repeat one row
    assert (index != np.arange(len(x))[:, None])[alone].all()
