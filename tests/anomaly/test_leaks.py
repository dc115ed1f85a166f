"""The leak of principal components: found where it is, and only there."""

import numpy as np
import pytest

from jaxdl.anomaly.leaks import (
    CorrelationLeak,
    correlation_leak,
    least_variance_direction,
    made_up_anomalies,
)

ROWS, COLUMNS, ANOMALIES = 4000, 10, 40


@pytest.fixture
def rows():
    """Correlated rows, forty of them moved along one direction."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, COLUMNS)) @ rng.normal(size=(COLUMNS, COLUMNS))
    anomaly = np.zeros(ROWS, bool)
    anomaly[rng.choice(ROWS, ANOMALIES, replace=False)] = True
    x[anomaly] += 6 * x.std(axis=0) * rng.choice([-1.0, 1.0], COLUMNS)
    return x, anomaly


def components_of(x, fitted_on):
    mean = x[fitted_on].mean(axis=0)
    directions = np.linalg.svd(x[fitted_on] - mean, full_matrices=False)[2]
    return (x - mean) @ directions.T


def test_components_of_all_rows_give_the_anomalies_away(rows):
    x, anomaly = rows
    leak = correlation_leak(components_of(x, np.ones(ROWS, bool)), anomaly)
    assert leak.uncorrelated == COLUMNS * (COLUMNS - 1) // 2
    assert leak.revealed > 0.5 * leak.uncorrelated
    assert leak.found
    assert leak.cosine > 0.85
    assert f"{leak.revealed} of them" in leak.warning()


def test_raw_columns_and_components_of_normal_rows_do_not(rows):
    x, anomaly = rows
    assert not correlation_leak(x, anomaly).found
    fitted_on_normal = correlation_leak(components_of(x, ~anomaly), anomaly)
    assert fitted_on_normal.revealed == 0
    assert not fitted_on_normal.found


def test_random_labels_reveal_nothing(rows):
    x, anomaly = rows
    shuffled = np.random.default_rng(2).permutation(anomaly)
    leak = correlation_leak(components_of(x, np.ones(ROWS, bool)), shuffled)
    assert leak.uncorrelated == 45
    assert not leak.found


def test_a_constant_column_is_left_out_and_few_pairs_are_no_evidence(rows):
    x, anomaly = rows
    components = components_of(x, np.ones(ROWS, bool))
    with_constant = np.column_stack([components, np.full(ROWS, 3.0)])
    assert correlation_leak(with_constant, anomaly) == correlation_leak(components, anomaly)
    assert not CorrelationLeak(9, 9, 1.0).found
    assert CorrelationLeak(10, 2, 0.5).found
    assert not CorrelationLeak(10, 1, 0.5).found


def test_without_both_kinds_there_is_nothing_to_compare():
    with pytest.raises(ValueError, match="only where there are anomalies"):
        correlation_leak(np.zeros((5, 2)), np.zeros(5, bool))


def test_the_direction_of_least_variance_by_hand():
    """Columns x and y with y = x + little: the direction is (1, -1) / sqrt(2)."""
    rng = np.random.default_rng(3)
    shared, little = rng.normal(size=5000), 0.1 * rng.normal(size=5000)
    x = np.column_stack([10 * shared + 7, shared + little])
    found = least_variance_direction(x, origin=np.array([17.0, 0.0]))
    np.testing.assert_allclose(found.vector, [np.sqrt(0.5), -np.sqrt(0.5)], atol=0.01)
    assert found.variance == pytest.approx(1 - np.corrcoef(x.T)[0, 1], rel=1e-6)
    assert found.along(x).std() == pytest.approx(1.0, rel=1e-6)
    # the other side of the rows: the sign turns, nothing else does
    turned = least_variance_direction(x, origin=np.array([-3.0, 0.0]))
    np.testing.assert_allclose(turned.vector, -found.vector)
    # what lies across has no part of it
    across = found.across(x)
    assert across.shape == (5000, 1)
    assert np.corrcoef(across[:, 0], found.along(x))[0, 1] == pytest.approx(0.0, abs=0.01)


def test_without_the_anomalies_the_direction_is_theirs_and_points_to_them(rows):
    x, anomaly = rows
    components = components_of(x, np.ones(ROWS, bool))
    components /= components.std(axis=0)
    everything = least_variance_direction(components)
    normal = least_variance_direction(components[~anomaly])
    assert normal.cosine_with_mean(components[anomaly]) > 0.85
    assert normal.cosine_with_mean(components[anomaly]) > everything.cosine_with_mean(
        components[anomaly]
    )
    assert normal.along(components[anomaly]).mean() > 5  # on the positive side


def test_made_up_anomalies_lie_where_the_real_ones_do(rows):
    x, anomaly = rows
    components = components_of(x, np.ones(ROWS, bool))
    components /= components.std(axis=0)
    normal = components[~anomaly]
    direction = least_variance_direction(normal)
    made_up = made_up_anomalies(normal, direction, ANOMALIES / ROWS, 3000, seed=5)
    real = components[anomaly].mean(axis=0)
    found = made_up.mean(axis=0)
    cosine = found @ real / np.linalg.norm(found) / np.linalg.norm(real)
    assert cosine > 0.85
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(real), rel=0.25)
    again = made_up_anomalies(normal, direction, ANOMALIES / ROWS, 3000, seed=5)
    np.testing.assert_array_equal(made_up, again)
