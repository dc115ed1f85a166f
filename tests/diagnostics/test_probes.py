"""Probes against jacobians and NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.diagnostics import probes


def test_per_example_gradients_are_the_jacobians_rows():
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(3, 2)).astype("f4"), "b": rng.normal(size=2).astype("f4")}
    batch = {"x": rng.normal(size=(6, 3)).astype("f4"), "y": rng.normal(size=(6, 2)).astype("f4")}

    def loss(params, example):
        return jnp.square(jnp.tanh(example["x"] @ params["w"] + params["b"]) - example["y"]).sum()

    ours = probes.per_example_gradients(loss, params, batch)
    every = jax.jacobian(lambda p: jax.vmap(lambda e: loss(p, e))(batch))(params)
    for name in params:
        np.testing.assert_allclose(ours[name], every[name], rtol=1e-5, atol=1e-6)
    squares = sum(np.square(np.asarray(v)).reshape(6, -1).sum(axis=1) for v in every.values())
    np.testing.assert_allclose(probes.per_example_norms(ours), np.sqrt(squares), rtol=1e-5)

    # a dense layer's norms follow from its input and the gradient at its output
    def at_output(z, y):
        return jnp.square(jnp.tanh(z) - y).sum()

    x = jnp.asarray(batch["x"])
    deltas = jax.vmap(jax.grad(at_output))(x @ params["w"] + params["b"], batch["y"])
    expected = np.linalg.norm(np.asarray(every["w"]).reshape(6, -1), axis=1)
    np.testing.assert_allclose(probes.dense_gradient_norms(x, deltas), expected, rtol=1e-5)


def test_norms_by_layer_are_named_by_path():
    tree = {"Dense_0": {"kernel": np.full((2, 2), 3.0), "bias": np.array([4.0, 3.0])}}
    norms = probes.norms_by_layer(tree)
    assert {k: float(v) for k, v in norms.items()} == {"Dense_0/bias": 5.0, "Dense_0/kernel": 6.0}


def test_activation_statistics_layer_by_layer():
    z = np.random.default_rng(0).normal(0, 4, size=(2, 50, 7)).astype("f4")
    relu, slopes = np.maximum(z, 0), (z > 0).astype("f4")
    stats = probes.activation_statistics(jnp.asarray(relu), jnp.asarray(slopes))
    np.testing.assert_allclose(stats["mean"], relu.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(stats["sd"], relu.std(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(stats["flat"], (z <= 0).mean(axis=(1, 2)), rtol=1e-5)
