"""Where each method fails, how many clusters each rule counts, and K-means step by step."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from experiments import clustering as lab
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError


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
    assert "first seed" in counts.title


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


@pytest.fixture
def table(tmp_path):
    """60 rows in two blobs."""
    x, _ = make_blobs(60, centers=[(0, 0), (9, 9)], random_state=0)
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "".join(f"{a:.4f},{b:.4f}\n" for a, b in x))
    return path


def test_rules_that_see_a_sample_say_so_and_n_is_that_of_the_table(table, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxdl.cli.launcher.load_lab", lambda path: lab)
    words = ["clustering", "--preset", "quick", "--most", "3", "--csv", str(table), "--workdir"]
    (results,) = launch([*words, str(tmp_path / "whole")])
    assert not any("drawn" in note for note in results.notes)
    monkeypatch.setattr(lab, "MOST_COMPARED", 30)
    (results,) = launch([*words, str(tmp_path / "sample")])
    assert results.tables[0].rows[0]["sqrt(n / 2)"] == round(np.sqrt(60 / 2))
    assert any("saw 30 of 60 rows, drawn" in note for note in results.notes)


def test_one_cluster_at_most_is_refused_and_so_are_seeds_for_a_table(table, tmp_path):
    words = ["clustering", "--preset", "quick", "--workdir", str(tmp_path / "run")]
    with pytest.raises(UserError, match="--most 1: must be at least 2"):
        launch([*words, "--most", "1"])
    with pytest.raises(UserError, match="--seeds 3: this is done with one seed"):
        launch([*words, "--csv", str(table), "--seeds", "3"])


def test_two_clusters_at_most_are_counted():
    x, _ = make_blobs(40, centers=[(0, 0), (9, 9)], random_state=0)
    assert lab.best_silhouette(x, lab.Config(most=2)) == 2
