"""The gap statistic on data with and without clusters; the elbow's doctest says the rest."""

import jax
import numpy as np
from sklearn.datasets import make_blobs

from jaxdl.clustering import choose_k

KEY = jax.random.key(0)


def test_gap_statistic_finds_the_blobs_and_sees_where_there_are_none():
    x, _ = make_blobs(150, centers=3, n_features=2, cluster_std=0.6, random_state=1)
    ks = (1, 2, 3, 4, 5)
    found = choose_k.gap_statistic(KEY, x, ks, references=10)
    assert found.chosen == 3
    assert (found.error > 0).all()
    box = np.random.default_rng(0).uniform(size=(150, 2))
    assert choose_k.gap_statistic(KEY, box, ks, references=10).chosen == 1
