"""Each detector does what its kind can, and fails where its kind fails."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from experiments import outliers as lab


@pytest.fixture(scope="module")
def tables(quick_run):
    return quick_run("outliers").results.tables


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
    for name, detector in lab.fit_detectors(x, lab.Config(), 0).items():
        assert detector.score(far)[0] > detector.score(near)[0], name


def test_rank_correlations_are_spearmans_and_a_constant_score_has_none():
    rng = np.random.default_rng(0)
    scores = {name: rng.integers(0, 9, 50).astype(float) for name in "ab"} | {"same": np.zeros(50)}
    a, _, same = lab.rank_correlations(scores)
    assert a["a"] == pytest.approx(1)
    assert a["b"] == pytest.approx(spearmanr(scores["a"], scores["b"]).statistic)
    assert a["same"] is None
    assert same == {"detector": "same", "a": None, "b": None, "same": None}


def test_share_of_anomalies():
    assert lab.odd_count(95, 0.05) == 5
    assert lab.odd_count(3, 0.05) == 1


def test_novelty_detection_learns_from_no_row_that_it_judges_and_from_no_anomaly():
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=(100, 3)), np.repeat([lab.BENIGN, lab.MALIGNANT], [60, 40])
    config = lab.Config(share=0.25)
    problems = lab.cancer_problems(x, kind, config, rng)
    outlier, novelty = problems["outlier"], problems["novelty"]
    np.testing.assert_array_equal(outlier.learn, outlier.judge)
    assert (outlier.label.sum(), len(outlier.label)) == (20, 80)
    assert (novelty.label.sum(), len(novelty.label)) == (10, 40)
    np.testing.assert_allclose(novelty.learn.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(novelty.learn.std(0), 1)
    shared = (novelty.learn[:, None] == novelty.judge[None]).all(axis=2)
    assert not shared.any()


@pytest.mark.parametrize("columns", [2, 30])
def test_every_detector_takes_rows_that_nearly_all_have_twins(columns):
    """Distances between equal rows are 0, or rounding where rows are wide."""
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(4, columns))
    lone = 3 + rng.normal(size=(5, columns))
    x = np.concatenate([np.repeat(kinds, 60, axis=0), lone])
    far = np.full((1, columns), 50.0)
    for name, detector in lab.fit_detectors(x, lab.Config(), 0).items():
        assert np.isfinite(detector.score(x)).all(), name
        if name not in ("isolation forest", "one-class SVM"):  # they know no distance that far
            assert detector.score(far)[0] > detector.score(kinds).max(), name
    assert 0.01 < lab.kernel_width(lab.reaches(x, 20)) < 50
