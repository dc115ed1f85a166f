"""The forest as arrays must give scikit-learn's leaves and scores, also after export."""

import jax
import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from jaxdl.anomaly.isolation_forest import expected_path, from_sklearn, isolation_score


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    # repeated values put rows exactly on thresholds' neighbours
    return np.round(rng.normal(size=(700, 5)), 1).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {"n_estimators": 30},
        {"n_estimators": 7, "max_features": 3},
        {"n_estimators": 11, "max_samples": 700},
        {"n_estimators": 3, "max_samples": 2},
        {"n_estimators": 4, "bootstrap": True, "contamination": 0.1},
    ],
)
def test_scores_are_scikit_learns(rows, options):
    fitted = IsolationForest(random_state=1, **options).fit(rows)
    scores = np.asarray(isolation_score(from_sklearn(fitted), rows))
    np.testing.assert_allclose(scores, -fitted.score_samples(rows), rtol=2e-6)


def test_rows_on_a_threshold_go_where_scikit_learn_sends_them(rows):
    fitted = IsolationForest(n_estimators=1, random_state=0).fit(rows)
    tree = fitted.estimators_[0].tree_
    inner = tree.children_left >= 0
    edge = tree.threshold[inner].astype(np.float32)
    probes = np.repeat(rows[:1], 3 * edge.size, axis=0)
    beside = [edge, np.nextafter(edge, np.float32(9)), np.nextafter(edge, np.float32(-9))]
    probes[np.arange(3 * edge.size), np.tile(tree.feature[inner], 3)] = np.concatenate(beside)
    scores = np.asarray(isolation_score(from_sklearn(fitted), probes))
    np.testing.assert_allclose(scores, -fitted.score_samples(probes), rtol=2e-6)


def test_labels_follow_the_offset(rows):
    fitted = IsolationForest(n_estimators=50, contamination=0.05, random_state=0).fit(rows)
    scores = np.asarray(isolation_score(from_sklearn(fitted), rows))
    clear = np.abs(scores + fitted.offset_) > 1e-6
    assert clear.mean() > 0.98
    flagged = scores > -fitted.offset_
    assert (flagged == (fitted.predict(rows) == -1))[clear].all()


def test_exported_scorer_gives_the_same_bits(rows):
    forest = from_sklearn(IsolationForest(n_estimators=20, random_state=0).fit(rows))
    scorer = jax.jit(lambda x: isolation_score(forest, x))
    batch = jax.export.symbolic_shape("batch")[0]
    described = jax.ShapeDtypeStruct((batch, rows.shape[1]), np.float32)
    stored = jax.export.export(scorer, platforms=["cpu", "cuda", "tpu"])(described).serialize()
    again = jax.export.deserialize(stored)
    np.testing.assert_array_equal(again.call(rows), scorer(rows))
    np.testing.assert_array_equal(again.call(rows[:3]), scorer(rows)[:3])


def test_trees_too_deep_are_refused(rows, monkeypatch):
    monkeypatch.setattr("jaxdl.anomaly.isolation_forest.MAX_DEPTH", 7)
    with pytest.raises(ValueError, match="max_samples <= 128"):
        from_sklearn(IsolationForest(n_estimators=2, random_state=0).fit(rows))


def test_expected_path_of_the_paper():
    np.testing.assert_allclose(expected_path(np.array([0, 1, 2])), [0, 0, 1])
    np.testing.assert_allclose(expected_path(np.array(256)), 10.244770920116851)
