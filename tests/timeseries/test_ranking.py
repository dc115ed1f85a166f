"""Rows by falling score: ties share a threshold."""

import numpy as np

from jaxdl.timeseries.ranking import by_falling_score


def test_a_threshold_lies_behind_the_last_of_equal_scores():
    scores = np.random.default_rng(0).integers(0, 5, 40).astype(float)
    order, thresholds = by_falling_score(scores)
    assert (np.diff(scores[order]) <= 0).all()
    assert sorted(order) == list(range(40))
    for threshold, place in zip(sorted(set(scores), reverse=True), thresholds, strict=True):
        assert set(order[: place + 1]) == set(np.flatnonzero(scores >= threshold))
    first_of_each = [rows[0] for rows in np.split(order, thresholds[:-1] + 1)]
    assert all((np.flatnonzero(scores == scores[row])[0]) == row for row in first_of_each)
