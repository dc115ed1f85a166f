"""Sub-sequence detectors: fitted on the learning rows, scores at the row that ends a window."""

import numpy as np
import pytest

from jaxdl.timeseries import nab_score, window_detectors


@pytest.fixture(scope="module")
def wave():
    rng = np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(1200) / 24) + 0.05 * rng.normal(size=1200)
    values[700:710] += 4
    return values


def test_windows_are_scaled_by_the_learning_rows(wave):
    x, count = window_detectors.scaled_windows(100 + 7 * wave, 12)
    assert count == nab_score.learning_rows(1200) - 12 + 1 == 169
    learning = np.append(x[:count, 0, 0], x[count - 1, 1:, 0])
    assert learning.mean() == pytest.approx(0, abs=1e-5)
    assert learning.std() == pytest.approx(1, abs=1e-5)
    constant, _ = window_detectors.scaled_windows(np.append(np.zeros(200), 1e9), 12)
    assert constant.max() == window_detectors.FARTHEST


def detectors(values):
    """All of them with small sizes: name -> [seeds, n]."""
    return {
        "PCA": window_detectors.subsequence_pca(values, 12, components=4),
        "kNN": window_detectors.subsequence_knn(values, 12, neighbours=3),
        "forest": window_detectors.subsequence_forest(values, 12, seeds=(0, 1)),
    }


def test_classical_detectors_find_the_bump_and_do_not_look_ahead(wave):
    scores = detectors(wave)
    assert [len(members) for members in scores.values()] == [1, 1, 2]
    for name, members in scores.items():
        assert members.shape[1] == len(wave)
        assert not members[:, :11].any()
        assert 700 <= members[0].argmax() < 722, name
    changed = wave.copy()
    changed[800:] = 50.0
    for name, members in detectors(changed).items():
        np.testing.assert_array_equal(members[:, :800], scores[name][:, :800])
        assert not np.array_equal(members, scores[name])


def test_a_learning_window_is_not_its_own_neighbour(wave):
    x, count = window_detectors.scaled_windows(wave, 12)
    flat, learning = x[:, :, 0], x[:count, :, 0]
    scores = window_detectors.subsequence_knn(wave, 12, neighbours=2)[0, 11:]
    for row in (40, 900):  # a learning window and one behind them
        distance = np.sort(np.linalg.norm(learning - flat[row], axis=1))
        nearest = distance[1:3] if row < count else distance[:2]
        assert scores[row] == pytest.approx(nearest.mean(), abs=1e-3)


def test_pca_scores_the_mean_absolute_error(wave):
    x, count = window_detectors.scaled_windows(wave, 12)
    flat, mean = x[:, :, 0], x[:count, :, 0].mean(axis=0)
    _, _, directions = np.linalg.svd(x[:count, :, 0] - mean, full_matrices=False)
    plane = directions[:4].T @ directions[:4]
    expected = np.abs((flat - mean) @ plane + mean - flat).mean(axis=1)
    scores = window_detectors.subsequence_pca(wave, 12, components=4)[0, 11:]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_scores_of_joined_windows_are_taken_apart():
    errors = np.arange(10.0).reshape(2, 5) + 1
    scores = window_detectors.split_by_series(errors, {"a": 2, "b": 3}, 4)
    assert scores["a"].tolist() == [[0, 0, 0, 1, 2], [0, 0, 0, 6, 7]]
    assert scores["b"].tolist() == [[0, 0, 0, 3, 4, 5], [0, 0, 0, 8, 9, 10]]


def test_rarity_counts_from_half_of_the_learning_rows():
    scores = {"a": np.arange(200.0)[None]}
    rare = window_detectors.rarity(scores)["a"][0]
    assert not rare[:15].any()
    np.testing.assert_allclose(rare[15:], np.log10(np.arange(1, 186)))
