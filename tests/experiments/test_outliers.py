"""Each detector does what its kind can, and fails where its kind fails."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.neighbors import KernelDensity

from experiments import outliers as lab
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError


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


@pytest.mark.parametrize("columns", [2, 6])
def test_new_rows_like_the_learnt_ones_stand_in_the_middle_with_every_detector(columns):
    rng = np.random.default_rng(0)
    rows, new = rng.normal(size=(400, columns)), rng.normal(size=(400, columns))
    learnt = lab.learn(rows, lab.Config(), seed=0)
    for name, found in learnt.percentiles_of(learnt.score(new)).items():
        assert 35 < np.median(found) < 65, name


def test_learnt_and_other_rows_of_a_table_stand_on_the_same_footing():
    rows = np.random.default_rng(0).normal(size=(600, 3))
    places = np.random.default_rng(1).choice(600, 300, replace=False)
    learnt = lab.learn(rows[places], lab.Config(), seed=0)
    scores = learnt.score_table(rows, places)
    others = np.setdiff1d(np.arange(600), places)
    for name, found in learnt.percentiles_of(scores).items():
        np.testing.assert_array_equal(scores[name][places], learnt.scores[name])
        assert np.mean(found[places]) == pytest.approx(50), name
        assert np.median(found[others]) == pytest.approx(50, abs=15), name


def test_density_without_itself_is_that_of_a_fit_to_the_others():
    x = np.concatenate([np.random.default_rng(0).normal(size=(40, 3)), [[60.0, 0, 0]]])
    without = lab.rarity_among_others(x, 0.7)
    for i, row in enumerate(x):
        others = KernelDensity(bandwidth=0.7).fit(np.delete(x, i, axis=0))
        assert without[i] == pytest.approx(-others.score_samples(row[None])[0])
    # where the others lie close, it is (n * density - kernel(0)) / (n - 1)
    every = np.exp(KernelDensity(bandwidth=0.7).fit(x).score_samples(x[:40]))
    own = (0.7 * np.sqrt(2 * np.pi)) ** -3
    np.testing.assert_allclose(np.exp(-without[:40]), (41 * every - own) / 40, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--share", "0"], "--share 0: a share lies between 0 and 1"),
        (["--share", "1"], "--share 1: a share lies between 0 and 1"),
        (["--share", "0.5"], "357 anomalies beside 357 benign rows, and there are 212 malignant"),
        (["--share", "0.0001"], "--share 0.0001: that is less than one anomaly beside 178 rows"),
        (["--neighbours", "178"], "--neighbours 178: some sets have 178 rows, give less"),
    ],
)
def test_shares_and_neighbours_that_the_rows_do_not_have_are_refused(options, told, tmp_path):
    with pytest.raises(UserError, match=told):
        launch(["outliers", "--preset", "quick", "--workdir", str(tmp_path / "run"), *options])


def test_the_headline_is_fixed_in_advance(quick_run):
    results = quick_run("outliers").results
    (name,) = results.headline
    assert name == "novelty AUPRC, isolation forest"
    novelty = results.tables[1].rows[1]
    np.testing.assert_array_equal(results.headline[name], novelty["isolation forest"])
    assert "5% anomalies" in results.tables[0].title
