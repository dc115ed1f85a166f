"""Where each method fails, how many clusters each rule counts, and K-means step by step."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from experiments import clustering as lab


def test_each_method_fails_on_shapes_of_another_kind(quick_run):
    agreement, _ = quick_run("clustering").results.tables
    rows = {row["shape"]: row for row in agreement.rows}
    for shape in ("moons", "rings"):
        assert rows[shape]["DBSCAN"].min() > 0.9
        assert rows[shape]["K-means"].max() < 0.6
    assert rows["unlike widths"]["single linkage"].mean() < rows["unlike widths"]["K-means"].mean()


def test_rules_count_clusters_where_they_can(quick_run):
    _, counts = quick_run("clustering").results.tables
    found = {row["data"]: row for row in counts.rows}
    assert found["five blobs"]["silhouette"] == 5
    assert found["five blobs"]["highest gap"] == 5
    assert found["no clusters"]["gap"] == 1
    assert found["irises"]["sqrt(n / 2)"] == 9


def test_distance_of_the_slide():
    apart = lab.distances(np.array([[54.0, 190, 3]]), np.array([[50.0, 200, 8]]))
    assert apart.item() == pytest.approx(11.87, abs=5e-3)


def test_last_step_of_kmeans_is_scikit_learns_from_the_same_start():
    x, _ = make_blobs(200, centers=4, random_state=3)
    first, *_, last = lab.kmeans_steps(x, 4)
    theirs = KMeans(4, init=first.centres, n_init=1, tol=0.0, algorithm="lloyd").fit(x)
    np.testing.assert_array_equal(last.clusters, theirs.labels_)
    np.testing.assert_allclose(last.centres, theirs.cluster_centers_)
    assert (first.clusters == -1).all()
