"""When a spread may be divided by."""

import numpy as np
import pytest

from jaxdl.scaling import mean_and_spread, usable_spread


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, -3.7])
def test_a_constant_column_is_not_divided_by_its_rounding(value):
    x = np.full((1000, 2), value)
    x[:, 1] = np.arange(1000)
    mean, spread = mean_and_spread(x)
    assert spread[0] == 1.0
    assert spread[1] == x[:, 1].std()
    np.testing.assert_allclose((x[:, 0] - mean[0]) / spread[0], 0, atol=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e6, 1e-6])
def test_a_column_with_a_relative_spread_of_1e_13_is_constant_and_one_of_1e_7_is_not(size):
    wave = np.sin(np.arange(1000.0))
    for relative, constant in ((1e-13, True), (1e-7, False)):
        x = size * (1 + relative * wave)[:, None]
        _, spread = mean_and_spread(x)
        assert (spread[0] == 1.0) == constant


def test_float32_columns_have_their_own_rounding():
    x = np.float32(1000) + np.float32(1e-4) * np.arange(8, dtype=np.float32)
    spread = usable_spread(np.array([x.std(), 1.0], np.float32), np.array([1000, 1000], np.float32))
    assert spread.tolist() == [1.0, 1.0]
    assert usable_spread(np.float32([0.01]), np.float32([1000])) == np.float32(0.01)
    assert spread.dtype == np.float32


def test_a_column_of_one_far_value_is_not_constant():
    x = np.zeros((100_000, 1))
    x[0] = 1e-3
    _, spread = mean_and_spread(x)
    assert spread[0] == x.std()
