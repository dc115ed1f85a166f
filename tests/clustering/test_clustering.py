"""K-means in JAX against scikit-learn, label propagation against scikit-learn, the choice of k."""

import jax
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.semi_supervised import LabelSpreading

from jaxdl.cli.launcher import launch
from jaxdl.clustering import choose_k, kmeans, label_propagation

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
    np.testing.assert_array_equal(kmeans.nearest(x, centres), theirs.labels_)
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
        start = kmeans.plus_plus(jax.random.key(seed), x, np.ones(len(x), np.float32), 4)
        rows = [np.flatnonzero((x == centre).all(axis=1))[0] for centre in np.asarray(start)]
        assert len({y[row] for row in rows}) == 4


def test_gap_statistic_and_elbow_find_the_blobs():
    x, _ = make_blobs(150, centers=3, n_features=2, cluster_std=0.6, random_state=1)
    ks = (1, 2, 3, 4, 5)
    found = choose_k.gap_statistic(KEY, x, ks, references=10)
    assert found.chosen == 3
    assert (found.error > 0).all()
    box = np.random.default_rng(0).uniform(size=(150, 2))
    assert choose_k.gap_statistic(KEY, box, ks, references=10).chosen == 1
    assert choose_k.elbow(ks, np.array([100, 60, 20, 18, 17])) == 3


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
    _, _, accuracy = label_propagation.spread(matrix, known, labels, 4)
    right = []
    for i in range(len(known)):
        _, scores, _ = label_propagation.spread(
            matrix, np.delete(known, i), np.delete(labels, i), 4
        )
        right.append(scores[known[i]].argmax() == labels[i])
    assert accuracy == pytest.approx(np.mean(right))
    assert accuracy < 0.6


def test_majority_rule_of_the_lecture():
    clusters = np.array([0, 0, 0, 1, 1, 2])
    labels = label_propagation.majority_labels(
        clusters, np.array([0, 1, 2, 3]), np.array([7, 7, 5, 1]), 3
    )
    np.testing.assert_array_equal(labels, [7, 7, 5, 1, 1, -1])


def test_distance_of_the_slide():
    assert np.linalg.norm(np.subtract((54, 190, 3), (50, 200, 8))) == pytest.approx(11.87, abs=5e-3)


def test_lab_shows_where_each_method_fails_and_counts_clusters(tmp_path):
    command = ["experiments/clustering.py", "--preset", "quick", "--seeds", "2"]
    agreement, choice = launch([*command, "--workdir", str(tmp_path / "run")])[0].tables
    rows = {row["shape"]: row for row in agreement.rows}
    for shape in ("moons", "rings"):
        assert rows[shape]["DBSCAN"].min() > 0.9
        assert rows[shape]["K-means"].max() < 0.6
    assert rows["unlike widths"]["single linkage"].mean() < rows["unlike widths"]["K-means"].mean()
    found = {row["data"]: row for row in choice.rows}
    assert found["five blobs"]["silhouette"] == 5
    assert found["five blobs"]["highest gap"] == 5
    assert found["no clusters"]["gap"] == 1
    assert found["irises"]["sqrt(n / 2)"] == 9
