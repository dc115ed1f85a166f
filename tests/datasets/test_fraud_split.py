"""Transactions cut into parts: no row in two of them, resampling only after the split."""

import dataclasses

import numpy as np
import pytest

from datasets import fraud
from datasets.fraud_split import (
    label_free,
    refuse_parts_without_fraud,
    resample,
    split_in_two,
    split_three,
    without_labels,
)
from datasets.source import DataError, Request
from datasets.splits import refuse_shared_rows


@pytest.fixture(scope="module")
def data():
    return fraud.load(Request(source="simulated"), twin_rows=20_000)


def test_three_parts_share_no_row_and_keep_the_lectures_test_half(data):
    for how in ("random", "temporal"):
        parts = split_three(data, how)
        rows = np.concatenate([p.rows for p in parts[:3]])
        assert len(np.unique(rows)) == len(rows) == len(data.label)
        np.testing.assert_array_equal(parts.test.rows, split_in_two(data, how)[1].rows)
        np.testing.assert_allclose(parts.fit.normal.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(parts.fit.normal.std(axis=0), 1, atol=1e-3)
        np.testing.assert_array_equal(parts.valid.label, data.label[parts.valid.rows])


def test_too_few_normal_rows_to_learn_from_are_refused(data):
    few = np.concatenate([np.flatnonzero(data.label == 0)[:60], np.flatnonzero(data.label == 1)])
    small = dataclasses.replace(
        data, time=data.time[few], v=data.v[few], amount=data.amount[few], label=data.label[few]
    )
    with pytest.raises(DataError, match=r"normal rows to learn from and .*: 30 and 1"):
        split_three(small, "random")


def test_parts_without_fraud_are_refused_where_frauds_are_to_judge(data):
    train, test, _ = split_in_two(data, "temporal")
    refuse_parts_without_fraud("temporal", train, test)
    calm = test.take(test.label == 0)
    for parts in ((train, calm), (calm, test)):
        with pytest.raises(DataError, match="the temporal split leaves a part without any fraud"):
            refuse_parts_without_fraud("temporal", *parts)


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
    train, test, _ = split_in_two(data, "random")
    refuse_shared_rows(train.rows, test.rows, np.array([10**6, 10**6]))
    with pytest.raises(DataError, match=r"1 rows stand in more than one part.*split first"):
        refuse_shared_rows(train.rows, np.append(test.rows, train.rows[0]))


def test_resampling_after_the_split_passes_and_before_it_is_refused(data):
    train, test, _ = split_in_two(data, "random")
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


def test_a_column_that_never_changes_is_not_divided_by_its_rounding(data):
    """Every amount is 9.99: the deviation of its logarithm is some 1e-16, not 0."""
    same = dataclasses.replace(data, amount=np.full(len(data.amount), 9.99))
    train, test, _ = split_in_two(same, "random")
    parts = split_three(same, "random")
    for part in (train, test, *parts[:3]):
        assert np.abs(part.x[:, -1]).max() < 1e-6


def test_the_later_fifth_is_tested():
    data = fraud.load(Request("simulated"), twin_rows=20_000)
    train, test, _ = split_in_two(data, "temporal", 0.2)
    assert (len(train.rows), len(test.rows)) == (16_000, 4_000)
    assert data.time[train.rows].max() <= data.time[test.rows].min()
    parts = split_three(data, "temporal", 0.2)
    np.testing.assert_array_equal(parts.test.rows, test.rows)
    assert len(parts.valid.rows) == 4_000


def test_who_knows_no_label_standardises_by_all_rows():
    data = fraud.load(Request("simulated"), twin_rows=20_000)
    fit, _, test, _ = split_three(data, "random")
    x, new = without_labels(fit, test)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=0), 1, rtol=1e-3)
    assert fit.x.std(axis=0).max() > 1.02  # by its normal rows, the frauds stick out
    # the same affine map for both parts
    slope = (x[1] - x[0]) / (fit.x[1] - fit.x[0])
    np.testing.assert_allclose((new[1] - new[0]) / (test.x[1] - test.x[0]), slope, rtol=1e-2)
