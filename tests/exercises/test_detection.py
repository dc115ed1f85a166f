"""Solutions of the exercises on fraud, thresholds, tables of one's own, and time series."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, average_precision_score
from sklearn.neighbors import KNeighborsClassifier

from jaxdl.anomaly import detectors, thresholds
from jaxdl.anomaly.costs import FixedCost, expected_cost
from jaxdl.anomaly.default import default_detector
from jaxdl.anomaly.leaks import correlation_leak, least_variance_direction
from jaxdl.anomaly.metrics import roc_auc
from jaxdl.timeseries.windows import lecture_points, points_in_flagged_windows, sliding

RNG = np.random.default_rng

# ---- 160 fraud by reconstruction error ----------------------------------------------------------


def test_160_1_three_sigma_is_a_promise_for_gaussian_errors_only():
    gaussian = RNG(0).normal(size=100_000)
    errors = RNG(0).chisquare(1, size=100_000) ** 2  # squared errors have heavy tails

    def flagged(scores):
        rule = thresholds.k_sigma(scores, 3, fitted_on="exercise", resamples=2)
        return thresholds.realised_rate(rule, scores).rate

    assert flagged(gaussian) == pytest.approx(0.00135, abs=4e-4)
    assert flagged(errors) > 8 * 0.00135


def test_160_2_a_detector_that_says_nothing_is_right_998_times_in_1000():
    label = np.zeros(58_000, int)
    label[:100] = 1  # one in 580
    says_nothing = np.zeros(58_000, int)
    assert accuracy_score(label, says_nothing) == pytest.approx(0.9983, abs=1e-4)
    assert average_precision_score(label, says_nothing) == pytest.approx(1 / 580)


def test_160_3_precision_falls_with_the_share_of_fraud():
    def precision(recall, false_alarm_rate, share):
        found, false = recall * share, false_alarm_rate * (1 - share)
        return found / (found + false)

    # the same detector, on a balanced sample and on the real stream
    assert precision(0.6, 0.01, share=0.5) == pytest.approx(0.984, abs=1e-3)
    assert precision(0.6, 0.01, share=1 / 580) == pytest.approx(0.094, abs=1e-3)


# ---- the leak ------------------------------------------------------------------------------------


def moved_rows():
    """4,000 correlated rows of which the first 40 are moved along one direction."""
    x = RNG(0).normal(size=(4000, 8)) @ RNG(1).normal(size=(8, 8))
    x[:40] += 6 * x.std(axis=0) * RNG(2).choice([-1.0, 1.0], 8)
    return x, np.arange(4000) < 40


def components(x, fitted_on):
    centred = x - x[fitted_on].mean(axis=0)
    return centred @ np.linalg.svd(centred[fitted_on], full_matrices=False)[2].T


def test_leak_1_the_rest_varies_least_towards_the_rows_that_were_left_out():
    x, moved = moved_rows()
    of_all = components(x, np.ones(4000, bool))
    rest = least_variance_direction(of_all[~moved])
    assert rest.cosine_with_mean(of_all[moved]) > 0.9
    assert correlation_leak(of_all, moved).found


def test_leak_2_components_of_the_rest_tell_nothing():
    x, moved = moved_rows()
    assert not correlation_leak(components(x, ~moved), moved).found


# ---- thresholds, detectors, rules ---------------------------------------------------------------


def test_thresholds_1_a_quantile_keeps_its_promise_until_the_data_drift():
    earlier, later = RNG(1).lognormal(size=20_000), RNG(2).lognormal(size=20_000)
    rule = thresholds.quantile(earlier, 0.01, fitted_on="exercise", resamples=2)
    same, drifted = (thresholds.realised_rate(rule, x) for x in (later, 1.3 * later))
    assert same.low < 0.01 < same.high
    assert drifted.low > 0.01
    assert drifted.rate > 1.5 * same.rate


def test_thresholds_2_repeating_frauds_before_the_split_makes_noise_perfect():
    x, label = RNG(0).normal(size=(2000, 5)), (np.arange(2000) % 40 == 0).astype(int)

    def auprc(x, label):
        order = RNG(1).permutation(len(x))
        train, test = order[: len(x) // 2], order[len(x) // 2 :]
        model = KNeighborsClassifier(1).fit(x[train], label[train])
        return average_precision_score(label[test], model.predict_proba(x[test])[:, 1])

    again = np.repeat(np.flatnonzero(label), 20)
    repeated = np.concatenate([x, x[again]]), np.concatenate([label, label[again]])
    assert auprc(x, label) < 0.1  # the columns say nothing of the label
    assert auprc(*repeated) > 0.9  # and yet: each fraud of the test part was learnt


def test_thresholds_3_the_dearer_a_miss_the_lower_the_threshold():
    label = np.repeat([0, 1], [950, 50])
    score = RNG(0).normal(size=1000) + 2 * label
    cut = {}
    for missed in (1.0, 20.0, 500.0):
        cost = FixedCost(missed=missed, false_alarm=1.0)
        rule = thresholds.cost_minimal(score, label, cost, fitted_on="exercise", resamples=2)
        cut[missed] = float(rule.value)
        policies = expected_cost(score, label, cost, [cut[missed], -np.inf, np.inf])
        assert policies[0] == policies.min()  # never worse than flagging all or nothing
    assert cut[1.0] > cut[20.0] > cut[500.0]


# ---- any table ----------------------------------------------------------------------------------


def test_table_1_a_budget_of_alerts_is_a_threshold():
    score = RNG(0).lognormal(size=6000)
    rule = thresholds.alert_budget(score, 10, days=20, fitted_on="exercise", resamples=2)
    assert int(rule.label(score).sum()) == 200
    assert rule.value == np.sort(score)[-201]


def test_table_2_a_simple_detector_may_beat_the_default():
    x, benign = load_breast_cancer(return_X_y=True)
    malignant, learnt = 1 - benign, x[benign == 1][:200]
    rest = np.ones(len(x), bool)
    rest[np.flatnonzero(benign)[:200]] = False
    scale = learnt.mean(axis=0), learnt.std(axis=0)

    def auc(detector, rows):
        return roc_auc(np.asarray(detector.score(rows)), malignant[rest])

    standard = (x - scale[0]) / scale[1]
    found = {
        "default": auc(default_detector(learnt), x[rest]),
        "Mahalanobis": auc(detectors.mahalanobis((learnt - scale[0]) / scale[1]), standard[rest]),
        "random": auc(detectors.random(30, seed=0), standard[rest]),
    }
    assert found["default"] > 0.9
    assert found["Mahalanobis"] > 0.9
    assert 0.3 < found["random"] < 0.7


# ---- 170 time series ----------------------------------------------------------------------------


def flags_of_block(first, points, window, n):
    """A window is flagged where it holds a point of the block."""
    block = np.zeros(n, bool)
    block[first : first + points] = True
    return sliding(block.astype(float), window)[:, :, 0].max(axis=1) > 0


def test_170_1_one_window_too_few_shifts_the_block():
    flags = flags_of_block(first=500, points=108, window=288, n=2000)
    ours = np.flatnonzero(points_in_flagged_windows(flags, 288))
    theirs = np.flatnonzero(lecture_points(flags, 288))
    assert (ours[0], ours[-1], len(ours)) == (500, 607, 108)
    assert len(theirs) == 109  # a point behind the block, whose last window was not asked


def test_170_2_a_single_bad_point_is_found_whatever_the_window():
    for window in (3, 48, 288):
        flags = flags_of_block(first=700, points=1, window=window, n=2000)
        assert flags.sum() == window
        assert np.flatnonzero(points_in_flagged_windows(flags, window)).tolist() == [700]


def test_170_3_the_ends_lie_in_few_windows():
    windows = sliding(np.arange(1000.0), 288)
    assert len(windows) == 1000 - 288 + 1
    holding_first = (windows[:, :, 0] == 0).any(axis=1).sum()
    holding_middle = (windows[:, :, 0] == 500).any(axis=1).sum()
    assert (holding_first, holding_middle) == (1, 288)
