"""Mean-field theory against numerical integrals and against what is known of rectifiers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from jaxdl.diagnostics import mean_field
from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import setting

FUNCTIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "gelu": jax.nn.gelu}


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu"])
def test_gaussian_integrals_equal_scipys(name):
    function, number, variance = FUNCTIONS[name], traced_mlp.ACTIVATIONS.index(name), 1.7
    slope = jax.jit(jax.grad(function))

    def mean(f):
        def weighted(z):
            return float(f(np.sqrt(variance) * z)) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

        return quad(weighted, -8, 8, limit=100)[0]

    first, square = mean(function), mean(lambda z: function(z) ** 2)
    expected = (square, square - first**2, mean(lambda z: slope(float(z)) ** 2))
    np.testing.assert_allclose(mean_field.moments(number, variance), expected, rtol=1e-3)


def test_theory_of_rectifiers_is_known():
    square, variance, slope = mean_field.moments(traced_mlp.ACTIVATIONS.index("relu"), 3.0)
    assert float(square) == pytest.approx(1.5, rel=1e-4)
    assert float(slope) == pytest.approx(0.5, rel=1e-4)
    assert float(variance) == pytest.approx(3 * (0.5 - 1 / (2 * np.pi)), rel=2e-2)
    # of one width He keeps a gradient as it is and LeCun halves its square in each layer
    he = mean_field.gradient_profile(setting("relu", "he"), 5, 30, 30)
    np.testing.assert_allclose(he, np.zeros(6), atol=1e-4)
    lecun = mean_field.gradient_profile(setting("relu", "lecun"), 5, 30, 30)
    np.testing.assert_allclose(lecun, np.log10(0.5) * np.arange(5, -1, -1), atol=1e-3)
    # a shortcut adds the block's factor to 1; batch normalisation of ReLUs explodes by pi / (pi-1)
    shortcut = mean_field.gradient_profile(setting("relu", "he", shortcut="shortcut"), 5, 30, 30)
    np.testing.assert_allclose(shortcut, 0.5 * np.log10(2) * np.arange(5, -1, -1), atol=1e-3)
    batch = mean_field.gradient_profile(setting("relu", "he", "batch"), 6, 30, 30)
    step = np.log10(np.pi / (np.pi - 1))
    np.testing.assert_allclose(batch[1:-1] - batch[2:], np.full(5, step), rtol=0.02)
