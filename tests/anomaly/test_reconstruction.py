"""Whitened errors and the vote of a population."""

import numpy as np
import pytest

from jaxdl.anomaly import reconstruction


@pytest.fixture(scope="module")
def residuals():
    """Of two members, whose columns are copied with very different errors."""
    rng = np.random.default_rng(0)
    scales = np.array([[0.01, 1.0, 10.0], [2.0, 0.5, 0.1]])
    return rng.normal(size=(2, 500, 3)) * scales[:, None]


def test_whitened_scores_of_normal_rows_are_one_on_average_and_add_up(residuals):
    scores = reconstruction.whitened_scores(residuals, residuals)
    np.testing.assert_allclose(scores.mean(axis=1), 1.0, rtol=1e-5)
    parts = reconstruction.whitened_contributions(residuals, residuals)
    np.testing.assert_allclose(parts.sum(axis=2), scores, rtol=1e-5)


def test_the_same_surprise_counts_the_same_in_every_column(residuals):
    own = residuals[:1]
    small, large = (np.eye(3)[[[column]]] * [0.05, 5.0, 50.0] for column in (0, 2))
    np.testing.assert_allclose(
        reconstruction.whitened_scores(own, small),
        reconstruction.whitened_scores(own, large),
        rtol=0.2,
    )


def test_each_member_is_scaled_by_its_own_errors(residuals):
    both = reconstruction.whitened_contributions(residuals, residuals)
    for member in range(2):
        own = residuals[[member]]
        alone = reconstruction.whitened_contributions(own, own)
        np.testing.assert_array_equal(both[member], alone[0])


def test_a_column_that_is_copied_without_error_cannot_be_scaled(residuals):
    with pytest.raises(ValueError, match="without any error"):
        reconstruction.whitened_scores(residuals * [1.0, 0.0, 1.0], residuals)


def test_plain_contributions_add_up_to_the_mean_squared_error(residuals):
    parts = reconstruction.plain_contributions(residuals, residuals[:, :9])
    np.testing.assert_allclose(parts.sum(axis=2), np.square(residuals[:, :9]).mean(axis=2))


def test_the_ensemble_gives_members_the_same_say():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(2, 4000)) * [[1.0], [1000.0]] + [[0.0], [5000.0]]
    score = reconstruction.ensemble_score(np.array([[1.0], [5000.0]]), normal)
    np.testing.assert_allclose(score, [0.5], atol=0.05)
    np.testing.assert_allclose(reconstruction.ensemble_score(normal, normal).mean(), 0, atol=1e-9)


def test_a_member_whose_normal_scores_are_all_alike_is_not_blown_up():
    normal = np.stack([np.random.default_rng(0).normal(size=100), np.full(100, 0.1)])
    score = reconstruction.ensemble_score(np.array([[0.0], [0.3]]), normal)
    assert abs(score[0]) < 1
