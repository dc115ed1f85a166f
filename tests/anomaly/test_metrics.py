"""Weighted metrics against scikit-learn and brute force; intervals, costs and scores."""

from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA

from jaxdl import pca
from jaxdl.anomaly import costs, scores
from jaxdl.anomaly.metrics import (
    average_precision,
    bootstrap_interval,
    confusion,
    percentile_interval,
    population,
    precision_at_100,
    precision_at_k,
    recall_at_precision,
    resample_counts,
    roc_auc,
    sweep,
)


def make_rows(seed=0, n=400, ties=True, weighted=True):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.15
    values = rng.normal(size=n) + 1.2 * labels
    if ties:
        values = np.round(values, 1)
    weights = rng.choice([0.0, 0.5, 1.0, 7.0], size=n) if weighted else None
    return values.astype(np.float32), labels.astype(int), weights


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_ranking_metrics_equal_scikit_learn(seed, ties, weighted):
    values, labels, weights = make_rows(seed, ties=ties, weighted=weighted)
    precision = metrics.average_precision_score(labels, values, sample_weight=weights)
    area = metrics.roc_auc_score(labels, values, sample_weight=weights)
    assert average_precision(values, labels, weights) == pytest.approx(precision)
    assert roc_auc(values, labels, weights) == pytest.approx(area)


def brute_force_confusion(values, labels, threshold, weights):
    flags = values > threshold
    cells = [(False, 0), (True, 0), (False, 1), (True, 1)]
    return [weights[(flags == flag) & (labels == label)].sum() for flag, label in cells]


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-3, 3), st.booleans(), st.integers(1, 4)), min_size=1, max_size=12
    ),
    extra=st.floats(-4, 4),
)
def test_confusion_sweep_equals_brute_force(rows, extra):
    values, labels, weights = (np.array(column, float) for column in zip(*rows, strict=True))
    thresholds = np.concatenate([values, [extra, -np.inf, np.inf]])
    table = confusion(values, labels, thresholds, weights)
    brute = [brute_force_confusion(values, labels, t, weights) for t in thresholds]
    np.testing.assert_array_equal(np.stack(table, axis=-1), brute)


def test_confusion_keeps_the_shape_of_the_thresholds_and_excludes_equal_scores():
    values, labels = np.array([1.0, 2.0, 2.0, 3.0]), np.array([0, 0, 1, 1])
    table = confusion(values, labels, 2.0)
    assert [float(cell) for cell in table] == [2, 0, 1, 1]
    assert table.tp.shape == ()
    assert confusion(values, labels, np.zeros((2, 3))).tp.shape == (2, 3)


def test_ratios_of_a_confusion_equal_scikit_learn_and_zero_where_undefined():
    values, labels, weights = make_rows(1)
    table = confusion(values, labels, [0.5, 99.0], weights)
    flags = values > 0.5
    expected = metrics.precision_recall_fscore_support(
        labels, flags, beta=2.0, average="binary", sample_weight=weights
    )[:3]
    ours = (table.precision(), table.recall(), table.f_beta(2.0))
    np.testing.assert_allclose([ratio[0] for ratio in ours], expected)
    assert [ratio[1] for ratio in ours] == [0, 0, 0]
    normals = labels == 0
    alarms = np.average(flags[normals], weights=weights[normals])
    assert table.false_alarm_rate()[0] == pytest.approx(alarms)


def test_sweep_thresholds_flag_what_the_sweep_counts():
    values, labels, weights = make_rows(2)
    swept = sweep(values, labels, weights)
    assert swept.thresholds.dtype == np.float32
    table = confusion(values, labels, swept.thresholds, weights)
    for ours, direct in zip(swept.confusion(), table, strict=True):
        np.testing.assert_allclose(ours, direct, atol=1e-9)
    assert table.fn[-1] == 0


def test_recall_at_precision_cannot_cut_through_ties():
    values = np.array([5.0, 4.0, 4.0, 4.0, 3.0])
    labels = np.array([1, 1, 0, 0, 1])
    # Cutting inside the three 4s would give 2 of 2; only {5}, {5, 4, 4, 4} and all are possible.
    assert recall_at_precision(values, labels, 0.9) == pytest.approx(1 / 3)
    assert recall_at_precision(values, labels, 0.6) == 1.0
    assert recall_at_precision(values, labels, 0.6, [1, 1, 2, 2, 1]) == pytest.approx(1 / 3)
    assert recall_at_precision(-values, labels, 0.7) == pytest.approx(1 / 3)
    assert recall_at_precision(np.arange(3.0), [1, 0, 0], 0.5) == 0.0


def test_rounding_does_not_keep_a_precision_from_being_reached():
    # 14 of 25 are 0.56, but 0.56 * 25 is a little more than 14 in floating point
    assert 0.56 * 25 > 14
    labels = np.repeat([1, 0], [14, 11])
    assert recall_at_precision(np.ones(25), labels, 0.56) == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_recall_at_precision_equals_scikit_learn_curve(seed):
    values, labels, weights = make_rows(seed)
    precision, recall, _ = metrics.precision_recall_curve(labels, values, sample_weight=weights)
    for least in (0.2, 0.4, 0.6):
        expected = recall[precision >= least].max()
        ours = recall_at_precision(values, labels, least, weights)
        assert ours == pytest.approx(expected)


def test_precision_at_k_of_integer_weights_equals_that_of_repeated_rows():
    rng = np.random.default_rng(0)
    values, labels, _ = make_rows(3, n=60)
    weights = rng.integers(0, 4, size=60)
    repeated = np.repeat(values, weights), np.repeat(labels, weights)
    # Reference: the mean over many random orders of the equal scores.
    orders = [rng.permutation(weights.sum()) for _ in range(4000)]
    for k in (1, 10, 33):
        tops = [o[np.argsort(-repeated[0][o], kind="stable")[:k]] for o in orders]
        expected = np.mean([repeated[1][top].mean() for top in tops])
        ours = precision_at_k(values, labels, k, weights)
        assert ours == pytest.approx(precision_at_k(*repeated, k))
        assert ours == pytest.approx(expected, abs=0.01)
    with pytest.raises(ValueError, match="at most"):
        precision_at_k(values, labels, 61)


def test_expected_cost_of_both_models_equals_a_sum_over_rows():
    values, labels, weights = make_rows(4, n=50)
    amounts = np.random.default_rng(1).exponential(100, size=50)
    thresholds = np.array([-np.inf, 0.3, 1.0, np.inf])
    fixed = costs.FixedCost(missed=111.58, false_alarm=5.0, investigation=2.0)
    by_amount = costs.AmountCost()
    for t, ours, ours_amount in zip(
        thresholds,
        costs.expected_cost(values, labels, fixed, thresholds, weights=weights),
        costs.expected_cost(values, labels, by_amount, thresholds, amounts, weights),
        strict=True,
    ):
        total = total_amount = 0.0
        for v, y, w, a in zip(values, labels, weights, amounts, strict=True):
            if v > t:
                total += w * (2.0 + (0.0 if y else 5.0))
                total_amount += w * (-(50.0 + a) if y else 5.0)
            else:
                total += w * (111.58 if y else 0.0)
                total_amount += w * (a if y else -0.02 * a)
        assert ours == pytest.approx(total)
        assert ours_amount == pytest.approx(total_amount)
    with pytest.raises(ValueError, match="amount"):
        costs.expected_cost(values, labels, by_amount, 0.0)


def test_bootstrap_interval_equals_a_plain_stratified_bootstrap():
    values, labels, weights = make_rows(5, n=600)
    low, high = bootstrap_interval(average_precision, values, labels, weights, resamples=800)
    rng = np.random.default_rng(9)
    draws = []
    for _ in range(800):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(labels == c), size=(labels == c).sum()) for c in (0, 1)]
        )
        draws.append(
            metrics.average_precision_score(labels[rows], values[rows], sample_weight=weights[rows])
        )
    expected = np.quantile(draws, [0.025, 0.975])
    np.testing.assert_allclose([low, high], expected, atol=0.1 * np.ptp(expected))
    assert low < average_precision(values, labels, weights) < high


def test_an_interval_leaves_two_and_a_half_percent_out_on_either_side():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))
    metric = partial(bootstrap_interval, average_precision, *make_rows(5), resamples=200)
    assert metric(confidence=0.5)[0] > metric()[0]
    assert metric() == metric(confidence=0.95)


def test_bootstrap_is_seeded_takes_partial_metrics_and_sorts_columns_with_the_rows():
    values, labels, weights = make_rows(6)
    recall = partial(recall_at_precision, precision=0.3)
    run = partial(bootstrap_interval, recall, values, labels, weights, resamples=50)
    assert run() == run()
    assert run(seed=1) != run(seed=2)
    seen = []

    def metric(scores, labels, weights, amounts):
        seen.append(np.array_equal(amounts, 2 * scores))
        return 0.0

    bootstrap_interval(metric, values, labels, columns={"amounts": 2 * values})
    assert all(seen)
    assert len(seen) == 200


def test_resamples_keep_the_number_of_each_class():
    labels = np.arange(50) < 7
    for counts in resample_counts(labels, 20, seed=0):
        assert counts[:7].sum() == 7
        assert counts[7:].sum() == 43


def test_population_gives_one_number_per_member():
    values, labels, weights = make_rows(7)
    members = np.stack([values, -values, 2 * values])
    ours = population(roc_auc, members, labels, weights)
    area = roc_auc(values, labels, weights)
    np.testing.assert_allclose(ours, [area, 1 - area, area])


METRICS = [
    average_precision,
    roc_auc,
    partial(recall_at_precision, precision=0.5),
    partial(precision_at_k, k=2),
    partial(confusion, thresholds=0.0),
    partial(costs.expected_cost, cost=costs.FixedCost(1.0, 1.0), thresholds=0.0),
]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("values", "labels", "weights", "message"),
    [
        ([1.0, np.nan, 2.0], [0, 1, 0], None, "NaN"),
        ([1.0, 2.0], [0, 1, 0], None, "labels"),
        ([1.0, 2.0, 3.0], [0, 2, 0], None, "0 \\(normal\\)"),
        ([1.0, 2.0, 3.0], [0, 1, 0], [1, -1, 1], "weights"),
        ([1.0, 2.0, 3.0], [0, 1, 0], [0, 0, 0], "weights"),
        ([], [], None, "non-empty"),
        ([[1.0], [2.0]], [[0], [1]], None, "one-dimensional"),
    ],
)
def test_bad_rows_are_refused(metric, values, labels, weights, message):
    with pytest.raises(ValueError, match=message):
        metric(np.array(values), np.array(labels), weights=weights)


def test_metrics_without_one_of_the_classes_are_refused():
    with pytest.raises(ValueError, match="anomaly"):
        average_precision(np.arange(3.0), np.zeros(3))
    with pytest.raises(ValueError, match="normal"):
        roc_auc(np.arange(3.0), np.ones(3))
    with pytest.raises(ValueError, match="threshold is NaN"):
        confusion(np.arange(3.0), np.ones(3), np.nan)


def make_features(n=500, features=6):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, features)) @ rng.normal(size=(features, features)) + 3
    return x.astype(np.float32)


def test_pca_score_equals_scikit_learn_and_vmaps():
    x, new = make_features(), make_features(40)[::-1] * 1.5
    reference = PCA(2).fit(x)
    rebuilt = reference.inverse_transform(reference.transform(new))
    expected = np.square(new - rebuilt).mean(axis=1)
    params = jax.jit(pca.fit_pca, static_argnums=1)(x, 2)
    np.testing.assert_allclose(pca.pca_score(params, new), expected, rtol=2e-4)
    stacked = jax.vmap(lambda rows: pca.fit_pca(rows, 2))(np.stack([x, 2 * x]))
    assert jax.vmap(pca.pca_score, in_axes=(0, None))(stacked, new).shape == (2, 40)
    with pytest.raises(ValueError, match="n_components"):
        pca.fit_pca(x, 7)


def test_mahalanobis_equals_scikit_learn():
    x, new = make_features(), make_features(40) * 1.5
    expected = EmpiricalCovariance().fit(x.astype(np.float64)).mahalanobis(new.astype(np.float64))
    ours = scores.mahalanobis_score(scores.fit_mahalanobis(x, ridge=0.0), new)
    np.testing.assert_allclose(ours, expected, rtol=2e-3)


def test_mahalanobis_makes_leaving_a_constant_direction_expensive():
    x = make_features()
    x[:, 0] = 1.0
    new = x[:2].copy()
    new[0, 0] = 2.0
    value = scores.mahalanobis_score(scores.fit_mahalanobis(x), new)
    assert np.isfinite(value).all()
    assert value[0] > 1e4 > value[1]
    with pytest.raises(ValueError, match="rows"):
        scores.fit_mahalanobis(x[:3])


def test_contributions_add_up_to_the_score():
    x, rebuilt = make_features(10).reshape(10, 3, 2), make_features(20)[10:].reshape(10, 3, 2)
    parts = scores.reconstruction_contributions(x, rebuilt)
    assert parts.shape == x.shape
    total = scores.reconstruction_score(x, rebuilt)
    np.testing.assert_allclose(parts.sum(axis=(1, 2)), total, rtol=1e-5)
    np.testing.assert_allclose(total, np.square(x - rebuilt).mean(axis=(1, 2)), rtol=1e-5)


def test_the_hundred_highest_events_are_counted_by_their_weights():
    """One row that stands for 60 anomalies, then one for 140 normal events: 60 of the first 100."""
    found = precision_at_100([2.0, 1.0], [1, 0], [60.0, 140.0])
    assert found == pytest.approx(0.6)
    assert precision_at_100([2.0, 1.0], [1, 0], [6.0, 14.0]) == pytest.approx(0.3)
    assert precision_at_100([2.0, 1.0], [1, 0]) == 0.5
