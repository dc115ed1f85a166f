"""Detectors, splits, the alarm against leaks, and the lab that compares them."""

import numpy as np
import pytest

from datasets import fraud
from datasets.fraud_split import label_free, resample, split_halves, split_three
from datasets.source import DataError, Request
from datasets.splits import refuse_shared_rows
from jaxdl.anomaly import detectors
from jaxdl.cli import launcher


@pytest.fixture(scope="module")
def data():
    return fraud.load(Request(source="simulated"), twin_rows=20_000)


@pytest.fixture(scope="module")
def plane():
    """Correlated normal rows; a test part with one row in the middle and one far off the plane."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 4))
    normal = (hidden + 0.1 * rng.normal(size=(600, 4))).astype(np.float32)
    off = np.linalg.svd(normal - normal.mean(0))[2][-1]
    return normal, np.stack([normal.mean(0), normal.mean(0) + 30 * off]).astype(np.float32)


MAKERS = {
    "pca": lambda x: detectors.pca(x, 2),
    "mahalanobis": detectors.mahalanobis,
    "usual range": detectors.usual_range,
    "ecod": detectors.tail_probability,
    "forest": lambda x: detectors.isolation_forest(x, 0),
    "lof": detectors.local_outlier_factor,
    "knn": detectors.nearest_neighbours,
    "svm": detectors.one_class_svm,
    "dbscan": detectors.dbscan,
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_row_far_from_the_normal_ones_scores_higher(name, plane):
    normal, rows = plane
    scores = MAKERS[name](normal)(rows)
    assert scores.shape == (2,)
    assert scores[1] > scores[0]
    assert scores[1] > np.quantile(MAKERS[name](normal)(normal), 0.95)


def test_dbscan_score_above_epsilon_is_dbscan_noise():
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    normal = np.random.default_rng(1).normal(size=(300, 2))
    reach = NearestNeighbors(n_neighbors=10).fit(normal).kneighbors(normal)[0][:, -1]
    epsilon = float(np.quantile(reach, 0.95))
    noise = DBSCAN(eps=epsilon, min_samples=10).fit(normal).labels_ == -1
    np.testing.assert_array_equal(detectors.dbscan(normal)(normal) > epsilon, noise)


def test_tail_probability_is_minus_the_log_of_the_smaller_tail():
    normal = np.arange(9.0)[:, None]
    score = detectors.tail_probability(normal)(np.array([[-1.0], [0.0], [4.0], [8.0], [99.0]]))
    np.testing.assert_allclose(score, -np.log([1 / 10, 2 / 10, 6 / 10, 2 / 10, 1 / 10]))


def test_supervised_models_rank_what_they_were_taught(plane):
    normal, rows = plane
    x = np.concatenate([normal, rows[1] + 0.1 * normal[:40]])
    label = np.r_[np.zeros(600), np.ones(40)].astype(np.int32)
    for make in (detectors.logistic_regression, detectors.gradient_boosting):
        for balanced in (False, True):
            scores = make(x, label, balanced)(rows)
            assert scores[0] < 0 < scores[1]


def test_three_parts_share_no_row_and_keep_the_lectures_test_half(data):
    for how in ("random", "temporal"):
        parts = split_three(data, how)
        rows = np.concatenate([p.rows for p in parts[:3]])
        assert len(np.unique(rows)) == len(rows) == len(data.label)
        np.testing.assert_array_equal(parts.test.rows, split_halves(data, how)[1].rows)
        np.testing.assert_allclose(parts.fit.normal.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(parts.fit.normal.std(axis=0), 1, atol=1e-3)
        np.testing.assert_array_equal(parts.valid.label, data.label[parts.valid.rows])


def test_label_free_training_sees_no_fraud_and_validation_sees_all_of_them(data):
    parts = split_three(data, "random")
    part = label_free(parts)
    assert part.valid.label.sum() == parts.fit.label.sum() + parts.valid.label.sum()
    assert len(part.normal) == (parts.fit.label == 0).sum() + (parts.valid.label == 0).sum()
    assert (data.label[part.normal_rows] == 0).all()
    np.testing.assert_array_equal(part.normal[: len(part.fit)], part.fit)
    i = len(part.fit) + 5
    np.testing.assert_array_equal(part.normal[i], parts.valid.normal[5])
    assert not np.isin(part.normal_rows[: len(part.fit)], part.valid.rows).any()


def test_a_row_in_two_parts_raises_the_alarm(data):
    train, test, _ = split_halves(data, "random")
    refuse_shared_rows(train.rows, test.rows, np.array([10**6, 10**6]))
    with pytest.raises(DataError, match=r"1 rows stand in more than one part.*split first"):
        refuse_shared_rows(train.rows, np.append(test.rows, train.rows[0]))


def test_resampling_after_the_split_passes_and_before_it_is_refused(data):
    train, test, _ = split_halves(data, "random")
    for how in ("over", "under"):
        part = resample(train, how, 0.1, seed=0)
        np.testing.assert_allclose(part.label.mean(), 0.1, atol=0.005)
        np.testing.assert_array_equal(part.label, data.label[part.rows])
        refuse_shared_rows(part.rows, test.rows)
    assert set(resample(train, "over", 0.1, 0).rows) == set(train.rows)
    mixed = resample(train, "over", 0.1, 0)
    with pytest.raises(DataError, match="more than one part"):
        refuse_shared_rows(*np.array_split(mixed.rows, 2))


def test_row_weights_make_the_prevalence(data):
    assert (fraud.prevalence_weights(data.label, None) == 1).all()
    weights = fraud.prevalence_weights(data.label, 0.01)
    np.testing.assert_allclose(weights[data.label == 1].sum() / weights.sum(), 0.01)


def test_lab_ranks_labels_first_chance_last_and_refuses_the_leak(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--workdir", str(tmp_path / "run")]
    (results,) = launcher.launch(["experiments/fraud_detectors.py", *options])
    for table, split in zip(results.tables, ("random", "temporal"), strict=False):
        assert split in table.title
        area = {row["detector"]: row["AUPRC"].mean() for row in table.rows}
        label_free = [v for k, v in area.items() if not k.startswith("supervised")]
        assert area["supervised: logistic regression"] > max(label_free)
        assert area["random"] == min(area.values()) < 0.02
        assert len(area) >= 20
    rows = {row["training part"] + row["model"]: row for row in results.tables[2].rows}
    *honest, leak = rows.values()
    assert "refused" in leak["split check"]
    assert all(row["split check"] == "passed" for row in honest)
    assert leak["AUPRC"].mean() > 0.99 > max(row["AUPRC"].mean() for row in honest)
