"""Nets that differ in numbers: one formula for all activations, scales, normalisation, blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import setting

FUNCTIONS = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "leaky relu": jax.nn.leaky_relu,
    "gelu": jax.nn.gelu,
}


@pytest.mark.parametrize("name", traced_mlp.ACTIVATIONS)
def test_one_formula_gives_every_activation_and_its_slope(name):
    number, function = traced_mlp.ACTIVATIONS.index(name), FUNCTIONS[name]
    x = jnp.linspace(-30, 30, 1200)  # no zero, where slopes may differ
    np.testing.assert_allclose(traced_mlp.activate(x, number), function(x), rtol=1e-5, atol=2e-6)
    slopes = jax.vmap(jax.grad(function))(x)
    np.testing.assert_allclose(traced_mlp.slope(x, number), slopes, rtol=1e-4, atol=1e-5)
    huge = traced_mlp.activate(jnp.array([-1e30, 1e30]), number)
    assert np.isfinite(huge).all()


def test_initial_scales():
    narrow, wide = 24, 48
    variances = {name: [] for name in traced_mlp.INITIALISERS}
    for i, name in enumerate(traced_mlp.INITIALISERS):
        variances[name] = [float(s) ** 2 for s in traced_mlp.weight_scales(i, narrow, wide)]
    assert variances["glorot"] == pytest.approx([2 / 72, 2 / 72])
    assert variances["he"] == pytest.approx([2 / 24, 2 / 48])
    assert variances["lecun"] == pytest.approx([1 / 24, 1 / 48])
    assert variances["too small"] == pytest.approx([0.25 / 24, 0.25 / 48])
    assert variances["too large"] == pytest.approx([4 / 24, 4 / 48])


def test_normalisation_equals_numpy():
    x = np.random.default_rng(0).normal(3, 2, size=(40, 6)).astype(np.float32)
    np.testing.assert_array_equal(traced_mlp.normalise(jnp.asarray(x), 0), x)
    for norm, axis in ((1, 0), (2, 1)):
        spread = np.sqrt(x.var(axis=axis, keepdims=True) + 1e-5)
        expected = (x - x.mean(axis=axis, keepdims=True)) / spread
        np.testing.assert_allclose(traced_mlp.normalise(jnp.asarray(x), norm), expected, atol=1e-5)


@pytest.mark.parametrize("shortcut", ["plain", "shortcut"])
def test_net_equals_a_loop_over_its_layers(shortcut):
    net = setting("tanh", "he", "layer", shortcut)
    params = traced_mlp.init(jax.random.key(0), 3, 4, 6, 10)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    first, second = (np.asarray(w) for w in traced_mlp.weights(params, net))
    assert first.std() == pytest.approx(np.sqrt(2 / 4), rel=0.2)

    def f(x):
        spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return np.tanh((x - x.mean(axis=1, keepdims=True)) / spread)

    h = x @ np.asarray(params["stem"])
    for a, b in zip(first, second, strict=True):
        h = (h if shortcut == "shortcut" else 0) + f(f(h) @ a) @ b
    logits, trace = traced_mlp.apply(params, jnp.asarray(x), net)
    np.testing.assert_allclose(logits, f(h) @ np.asarray(params["head"]), rtol=1e-3, atol=1e-4)
    assert trace.inner_value.shape == (3, 5, 6)
