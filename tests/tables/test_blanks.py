"""What stands in for missing cells: the right values, and what they weigh beside evidence."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxdl.anomaly import default_detector, detectors
from jaxdl.tables import Column, Schema, fit_encoder
from jaxdl.tables.blanks import MOST_FEATURES, RIDGE, fit_blanks


def numbers(width):
    return Schema(tuple(Column(f"c{i}", "number", "") for i in range(width)))


def encoded(rows, known):
    """Features of all rows; the encoder learns from the known ones."""
    schema = numbers(rows.shape[1])
    return fit_encoder(rows[known], schema)(rows)


def test_a_blank_is_the_conditional_mean_and_so_many_standard_errors_as_it_is_rare():
    """By hand: two features with a correlation of 0.8, the second blank in 4 % of the rows."""
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([1.0, -0.5], [[1.0, 0.8], [0.8, 1.0]], 50_000)
    missing = np.zeros(x.shape, bool)
    missing[::25, 1] = True
    blanks = fit_blanks(x, missing, np.ones(2, bool))
    rows = np.array([[2.5, np.nan], [-1.0, 99.0], [2.5, 0.3]])
    filled = blanks(rows, np.array([[False, True], [False, True], [False, False]]), np)
    slope, error = 0.8 / (1 + RIDGE), np.sqrt(1 + RIDGE - 0.64 / (1 + RIDGE))
    push = stats.norm.isf(0.02) * error
    wanted = [-0.5 + 1.5 * slope + push, -0.5 - 2.0 * slope + push, 0.3]
    np.testing.assert_allclose(filled[:, 1], wanted, atol=0.03)
    np.testing.assert_array_equal(filled[:, 0], rows[:, 0])


def test_a_blank_that_training_never_saw_is_three_deviations_off():
    x = np.random.default_rng(0).normal(0.5, 0.8, (5000, 2))
    blanks = fit_blanks(x, np.zeros(x.shape, bool), np.ones(2, bool))
    filled = blanks(np.full((1, 2), np.nan), np.ones((1, 2), bool), np)
    np.testing.assert_allclose(filled, [[0.5 + 3 * 0.8] * 2], atol=0.05)
    few = fit_blanks(x[:9], np.zeros((9, 2), bool), np.ones(2, bool))
    np.testing.assert_allclose(few.push, stats.norm.isf(0.05) * np.clip(x[:9], -4, 4).std(axis=0))


def test_a_column_that_was_never_blank_is_filled_with_its_mean():
    """Whatever the others say: nobody knows what a blank means there."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 3))
    missing = np.zeros(x.shape, bool)
    missing[:50, 2] = True
    blanks = fit_blanks(x, missing, np.ones(3, bool))
    rows, lacking = np.array([[2.0, np.nan, 2.0]]), np.array([[False, True, False]])
    wanted = x[:, 1].mean() + stats.norm.isf(0.5 / 501) * x[:, 1].std()
    assert blanks(rows, lacking, np)[0, 1] == pytest.approx(min(wanted, 9), abs=0.35)
    assert blanks(rows, lacking, np)[0, 1] == blanks(-rows, lacking, np)[0, 1]


def test_means_are_of_what_is_there():
    x = np.random.default_rng(0).normal(3.0, 0.1, (400, 2))
    missing = np.zeros(x.shape, bool)
    missing[::2, 0] = True
    blanks = fit_blanks(np.where(missing, 99.0, x), missing, np.ones(2, bool))
    np.testing.assert_allclose(blanks.centre, [x[1::2, 0].mean(), x[:, 1].mean()])


def test_far_values_count_as_four_in_an_expectation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 1)) + 0.3 * rng.normal(size=(1000, 2))
    missing = rng.random(x.shape) < [0.0, 0.1]
    usual = fit_blanks(x, missing, np.ones(2, bool))
    lacking = np.array([[False, True]])
    filled = [usual(np.array([[far, np.nan]]), lacking, np)[0, 1] for far in (4.0, 1e6)]
    assert filled[0] == filled[1]
    x[3], missing[3] = (-1000.0, 1000.0), False
    fitted = fit_blanks(x, missing, np.ones(2, bool))
    np.testing.assert_allclose(fitted.weights, usual.weights, atol=0.1)


def test_a_missing_date_is_pushed_off_once_and_columns_that_do_not_vary_take_no_part():
    rng = np.random.default_rng(0)
    kinds = {"same": "number", "when": "date", "amount": "number"}
    schema = Schema(tuple(Column(name, kind, "", unit="s") for name, kind in kinds.items()))
    cells = np.column_stack([np.ones(400), 1e9 + 3e6 * rng.random(400), rng.normal(5, 1, 400)])
    cells[::10, 1] = np.nan
    encoder = fit_encoder(cells, schema)
    assert encoder.names == ("when", "amount")
    assert (encoder.blanks.push > 0).tolist() == [True, False, False, False, True]
    np.testing.assert_allclose(encoder.blanks.centre[4], encoder(cells[:, 1:])[:, 4].mean(), 1e-5)


def test_two_blanks_of_a_row_are_expected_from_what_is_left():
    """Three features that are one: any of them tells the two others."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 1)) + 0.05 * rng.normal(size=(4000, 3))
    missing = rng.random(x.shape) < 0.05
    blanks = fit_blanks(x, missing, np.zeros(3, bool))  # no push
    filled = blanks(np.array([[1.5, np.nan, np.nan]]), np.array([[False, True, True]]), np)
    # in so few rounds the two go most of the way from their means
    assert (filled[0, 1:] > 1.1).all()
    one = blanks(np.array([[1.5, 1.5, np.nan]]), np.array([[False, False, True]]), np)
    np.testing.assert_allclose(one[0, 2], 1.5, atol=0.1)


@pytest.mark.parametrize("share", [0.2, 0.02, 0.002])
def test_a_blank_weighs_as_a_deviation_of_the_same_rareness(share):
    """Squared Mahalanobis distance of an otherwise usual row."""
    rng = np.random.default_rng(1)
    mixing = np.eye(5) + 0.4 * rng.normal(size=(5, 5))
    rows = rng.normal(size=(20_000, 5)) @ mixing
    rows[rng.random(20_000) < share, 2] = np.nan
    x = encoded(rows, slice(None))
    detector, blank = detectors.mahalanobis(x), np.isnan(rows[:, 2])
    more = detector.score(x[blank]).mean() - detector.score(x[~blank]).mean()
    # pushed off by z, of a column that blanks make vary by share * z^2 more; a usual value adds 1
    z = min(stats.norm.isf(share / 2), 3.0)
    expected = z**2 / (1 + share * z**2) - 1
    assert more == pytest.approx(expected, rel=0.35, abs=0.4)


def made(blank_share, blank_share_of_anomalies, evidence, columns=1):
    """(rows, anomaly) of ten columns that go together; the first `columns` lack cells."""
    rng = np.random.default_rng(6)
    anomaly = rng.random(4000) < 0.03
    rows = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 10)) + 0.3 * rng.normal(size=(4000, 10))
    rows[anomaly] += evidence * rng.normal(size=(anomaly.sum(), 10))
    share = np.where(anomaly, blank_share_of_anomalies, blank_share)[:, None]
    lacking = rng.random((4000, columns)) < share
    rows[:, :columns][lacking] = np.nan
    return rows, anomaly


@pytest.mark.parametrize("fit", [default_detector, detectors.mahalanobis])
def test_blanks_at_random_do_not_outrank_evidence(fit):
    """With a column of zeros and ones for each: 0.12 and 0.19 instead of 0.98."""
    rows, anomaly = made(0.02, 0.02, 1.2, columns=10)
    x, later = encoded(rows, slice(2400)), slice(2400, None)
    score = fit(x[:2400]).score(x[later])
    assert average_precision_score(anomaly[later], score) > 0.9


@pytest.mark.parametrize("fit", [default_detector, detectors.mahalanobis])
def test_blanks_that_go_with_anomalies_count(fit):
    """Nothing else tells these anomalies: two of three cells are blank in 60 % of them."""
    rows, anomaly = made(0.02, 0.6, 0.0, columns=3)
    x, later = encoded(rows, slice(2400)), slice(2400, None)
    score = fit(x[:2400]).score(x[later])
    assert roc_auc_score(anomaly[later], score) > 0.75


def test_a_huge_cell_does_not_decide_what_is_expected():
    rows, _ = made(0.02, 0.02, 0.0)
    x = encoded(rows, slice(None))
    rows[1, 5] = 1e30
    other = encoded(rows, slice(None))
    assert np.isfinite(other).all()
    blank = np.isnan(rows[:, 0])
    np.testing.assert_allclose(other[blank, 0], x[blank, 0], atol=0.1)


def test_a_wide_table_is_filled_with_its_means():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, MOST_FEATURES + 1))
    missing = rng.random(x.shape) < 0.1
    blanks = fit_blanks(x, missing, np.zeros(x.shape[1], bool))
    assert not blanks.expects
    column = np.nonzero(missing)[1]
    np.testing.assert_allclose(blanks(x, missing, np)[missing], blanks.centre[column])
