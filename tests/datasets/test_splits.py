"""Where rows are set aside: every row lands on one side, and the side it should."""

import numpy as np
import pytest

from datasets import imdb, splits
from datasets.source import DataError, Request


def test_the_last_rows_are_split_off():
    data = {"x": np.arange(10), "y": np.arange(10) % 2}
    rest, last = splits.split_last(data, 3)
    assert (rest["x"].tolist(), last["x"].tolist()) == ([*range(7)], [7, 8, 9])
    assert last["y"].tolist() == [1, 0, 1]
    for rows in (0, 10, 11):
        with pytest.raises(DataError, match="one side is empty"):
            splits.split_last(data, rows)


def test_validation_on_the_last_training_rows_or_as_in_the_lecture_on_the_test_rows():
    train, test = {"x": np.arange(10)}, {"x": np.arange(20, 24)}
    kept, valid, held = splits.hold_out(train, test, 3)
    assert (kept["x"].tolist(), valid["x"].tolist(), held) == ([*range(7)], [7, 8, 9], "validation")
    assert splits.hold_out(train, test, 0) == (train, test, "test")


def test_a_random_share_of_given_rows():
    rows = np.arange(100, 200)
    rest, chosen = splits.split_at_random(rows, 0.25)
    assert (len(rest), len(chosen)) == (75, 25)
    assert sorted([*rest, *chosen]) == rows.tolist()
    assert not np.array_equal(chosen, splits.split_at_random(rows, 0.25, seed=1)[1])


def test_the_lectures_halves():
    first, second = splits.random_parts(7)
    assert sorted([*first, *second]) == list(range(7))
    # what train_test_split(range(7), test_size=0.5, random_state=0) has always given
    order = np.random.RandomState(0).permutation(7)
    assert (first.tolist(), second.tolist()) == (order[4:].tolist(), order[:4].tolist())


def test_a_random_part_of_another_size():
    rest, chosen = splits.random_parts(10, 0.2)
    assert (len(rest), len(chosen)) == (8, 2)
    assert sorted([*rest, *chosen]) == list(range(10))


def test_no_row_of_the_later_part_is_earlier():
    time = np.random.default_rng(0).integers(0, 30, 101).astype(float)
    earlier, later = splits.split_by_time(time, 0.25)
    assert (len(earlier), len(later)) == (75, 26)
    assert time[earlier].max() <= time[later].min()
    assert sorted([*earlier, *later]) == list(range(101))


def test_the_same_share_of_each_class():
    label = np.repeat(np.arange(10), [10, 20] * 5)
    rest, chosen = splits.split_by_class(label, 0.1)
    assert sorted([*rest, *chosen]) == list(range(150))
    assert np.bincount(label[chosen]).tolist() == [1, 2] * 5
    assert not np.array_equal(chosen, splits.split_by_class(label, 0.1, seed=1)[1])
    with pytest.raises(DataError, match="leaves a side bare"):
        splits.split_by_class(label, 0.01)


def test_films_stay_on_one_side():
    half = imdb.load(Request("simulated"), twin_rows=400).train
    rest, chosen = splits.split_by_group(half.film, 0.2, seed=1)
    assert sorted([*rest, *chosen]) == list(range(400))
    assert 70 <= len(chosen) <= 80
    assert not set(half.film[rest]) & set(half.film[chosen])
    assert not np.array_equal(chosen, splits.split_by_group(half.film, 0.2, seed=2)[1])
    with pytest.raises(DataError, match="without rows"):
        splits.split_by_group(half.film, 0.001)


def test_a_single_row_has_no_parts():
    with pytest.raises(DataError, match=r"1 row\(s\) cannot be split in two: one side is empty"):
        splits.random_parts(1)
    with pytest.raises(DataError, match=r"1 row\(s\) cannot be split by time: one side is empty"):
        splits.split_by_time(np.zeros(1))
