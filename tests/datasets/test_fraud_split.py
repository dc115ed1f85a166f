"""Transactions cut into parts: no row in two of them, resampling only after the split."""

import dataclasses

import numpy as np
import pytest

from datasets import fraud
from datasets.fraud_split import label_free, resample, split_halves, split_three
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


def test_a_column_that_never_changes_is_not_divided_by_its_rounding(data):
    """Every amount is 9.99: the deviation of its logarithm is some 1e-16, not 0."""
    same = dataclasses.replace(data, amount=np.full(len(data.amount), 9.99))
    train, test, _ = split_halves(same, "random")
    parts = split_three(same, "random")
    for part in (train, test, *parts[:3]):
        assert np.abs(part.x[:, -1]).max() < 1e-6
