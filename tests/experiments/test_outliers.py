"""Each detector does what its kind can, and fails where its kind fails."""

import numpy as np
import pytest

from datasets.toy import odd_count
from jaxdl.cli.labs import find_lab, load_lab
from jaxdl.cli.launcher import launch

lab = load_lab(find_lab("outliers"))


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outliers") / "run"
    command = ["experiments/outliers.py", "--preset", "quick", "--seeds", "3"]
    return launch([*command, "--workdir", str(folder)])[0].tables


def test_every_detector_beats_chance_where_it_can(tables):
    rows = {row["data"]: row for row in tables[0].rows}
    blob = rows["one blob"]
    for name in (
        "isolation forest",
        "kNN distance",
        "LOF",
        "DBSCAN",
        "kernel density",
        "Mahalanobis",
    ):
        assert blob[name].mean() > 3 * blob["random"].mean(), name


def test_ellipses_fail_on_rings_and_neighbours_do_not(tables):
    rings = next(row for row in tables[0].rows if row["data"] == "rings")
    assert rings["kNN distance"].mean() > rings["Mahalanobis"].mean() + 0.05
    assert rings["kNN distance"].mean() > rings["PCA"].mean() + 0.2


def test_novelty_is_easier_than_outliers_in_the_data(tables):
    outlier, novelty = tables[1].rows
    assert outlier["random"].mean() < 0.2
    assert novelty["LOF"].mean() > outlier["LOF"].mean()
    for name in ("isolation forest", "kNN distance", "Mahalanobis"):
        assert novelty[name].mean() > 3 * novelty["random"].mean()


def test_far_points_score_higher_with_every_detector_that_looks_at_distance():
    x = np.random.default_rng(0).normal(size=(300, 2))
    near, far = np.zeros((1, 2)), np.full((1, 2), 8.0) * [1, -1]
    for name, score in lab.fit_detectors(x, lab.Config(), 0).items():
        assert score(far)[0] > score(near)[0], name


def test_share_of_anomalies():
    assert odd_count(95, 0.05) == 5
    assert odd_count(3, 0.05) == 1
