"""Small sets of points: the lecture's very numbers, and shapes that are the same every time."""

import numpy as np
import pytest

from datasets.toy import lecture_points, shapes


def test_points_are_the_lectures():
    x = lecture_points()
    centred = x - x.mean(axis=0)
    variance = np.linalg.eigvalsh(centred.T @ centred / 100)[::-1]
    assert variance[2] / 3 == pytest.approx(0.001905, abs=5e-7)
    np.testing.assert_allclose(variance / variance.sum(), [0.866, 0.128, 0.006], atol=6e-4)


def test_shapes_are_standardised_and_repeatable():
    for name, (x, y) in shapes(120).items():
        assert x.shape == (120, 2)
        assert len(y) == 120
        np.testing.assert_allclose(x.std(axis=0), 1)
        np.testing.assert_array_equal(x, shapes(120)[name][0])
