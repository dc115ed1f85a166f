"""Gradients measured layer by layer: against automatic differentiation and mean-field theory."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import losses
from jaxdl.diagnostics import mean_field, probes, signal_propagation
from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import Setting, setting


@pytest.mark.parametrize("norm", traced_mlp.NORMS)
def test_wide_nets_do_what_theory_says(norm):
    """Four nets of 128 units: the measured signal is within a tenth of a decade per ten layers."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(48, 128)), jnp.float32)
    y = jnp.asarray(rng.integers(0, 10, 48))
    names = [
        (activation, initialiser, norm, shortcut)
        for activation, initialiser, shortcut in itertools.product(
            ("tanh", "relu"), ("lecun", "too large"), ("plain", "shortcut")
        )
    ]
    cases = [setting(*each) for each in names]
    keys = jax.random.split(jax.random.key(0), 4)
    settings = Setting(*np.array(cases).T)

    def state_gradient(net, key):
        params = traced_mlp.init(key, 5, 128, 128, 10)
        return signal_propagation.measure(params, net, x, y).state_gradient

    found = jax.jit(jax.vmap(jax.vmap(state_gradient, (None, 0)), (0, None)))(settings, keys)
    found = np.asarray(found - found[..., -1:]).mean(axis=1)
    for each, case, measured in zip(names, cases, found, strict=True):
        theory = mean_field.gradient_profile(case, 5, 128, 128)
        np.testing.assert_allclose(measured, theory, atol=0.15, err_msg=str(each))


def test_measured_gradients_are_those_of_autodiff():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(7, 4)), jnp.float32)
    y = jnp.asarray(rng.integers(0, 10, 7))
    net = setting("gelu", "glorot", "layer", "shortcut")
    params = traced_mlp.init(jax.random.key(3), 2, 4, 6, 10)
    measured = jax.jit(signal_propagation.measure)(params, net, x, y)

    def loss(params, example):
        logits = traced_mlp.apply(params, example["x"][None], net)[0]
        return losses.softmax_cross_entropy(logits, example["y"][None])[0]

    batch = {"x": x, "y": y}
    each = jax.jit(lambda p: probes.per_example_gradients(loss, p, batch))(params)
    scales = traced_mlp.weight_scales(net.initialiser, 4, 6)
    for i, (name, scale) in enumerate(zip(("first", "second"), scales, strict=True)):
        real = np.asarray(each[name]) / float(scale)  # with respect to the real weights
        together = np.linalg.norm(real.mean(axis=0), axis=-1)
        np.testing.assert_allclose(10 ** measured.weight_gradient[i::2], together, rtol=1e-3)
        quantiles = np.quantile(np.linalg.norm(real, axis=-1), [0.1, 0.5, 0.9], axis=0).T
        np.testing.assert_allclose(10 ** measured.example_gradients[i::2], quantiles, rtol=1e-3)


def test_norms_are_right_where_squares_underflow():
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    scale = np.array([1.0, 1e-30, 1e25], np.float32)[:, None, None]
    expected = np.log10(np.linalg.norm((x.astype(np.float64) * scale).reshape(3, -1), axis=1))
    np.testing.assert_allclose(
        signal_propagation.log_norm(jnp.asarray(x * scale)), expected, rtol=1e-5
    )
    assert np.isfinite(signal_propagation.log_norm(jnp.zeros((1, 2, 2)))).all()
