"""The variational autoencoder of digits: binary pixels, the loss, bounds, grids of codes."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import mnist
from datasets.source import Request
from experiments import mnist_vae
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.models.vae import VAE

QUICK = mnist_vae.PRESETS["quick"]


def test_bounds_are_ordered_and_beat_the_baselines(quick_run):
    results = quick_run("mnist_vae").results
    vae, untrained, independent = results.tables[0].rows
    assert vae["-ELBO"].mean() < independent["-ELBO"] < untrained["-ELBO"].mean()
    np.testing.assert_allclose(vae["reconstruction"] + vae["KL"], vae["-ELBO"], rtol=1e-6)
    assert (vae["-IWAE, K = 50"] < vae["-ELBO, first 40"]).all()
    assert results.notes == []  # goals are for published images
    names = {"samples", "traversals", "latent_plane", "latent_map", "bound_by_draws"}
    assert names <= set(results.figures)


def test_binary_images_follow_the_grey():
    grey = np.tile(np.array([[0, 64, 128, 255]], np.uint8), (4000, 1))
    once = mnist_vae.binary(grey, "static", seed=0)
    np.testing.assert_array_equal(once, mnist_vae.binary(grey, "static", seed=0))
    assert (once != mnist_vae.binary(grey, "static", seed=1)).any()
    np.testing.assert_allclose(once.mean(axis=0), [0, 64 / 255, 128 / 255, 1], atol=0.03)
    assert mnist_vae.binary(grey, "threshold", seed=0)[0].tolist() == [0, 0, 1, 1]


def test_only_dynamic_training_images_stay_grey():
    data = mnist.load(Request("simulated"), "mnist", QUICK.twin_rows)
    static = mnist_vae.binary_images(QUICK, data, QUICK.valid_rows)
    dynamic = mnist_vae.binary_images(
        replace(QUICK, binarisation="dynamic"), data, QUICK.valid_rows
    )
    assert set(np.unique(static.train["x"])) == {0, 1}
    np.testing.assert_array_equal(static.train["x"], static.train_once)
    assert set(dynamic.train) == {"grey"}
    assert dynamic.train["grey"].max() == 255
    np.testing.assert_array_equal(dynamic.train_once, static.train_once)
    np.testing.assert_array_equal(dynamic.valid["x"], static.valid["x"])
    np.testing.assert_array_equal(dynamic.test, static.test)


def test_the_kl_term_warms_up_and_grey_images_are_drawn_anew():
    model = VAE(DenseAutoencoder(16, (8, 4), code_activation=identity))
    task = mnist_vae.vae_task(model, beta=2.0, warm_up_steps=4, learning_rate=1e-3)
    batch = {"grey": jnp.full((6, 16), 128, jnp.uint8)}
    variables = task.init(jax.random.key(0), batch)
    weights, targets = [], []
    for step in range(6):
        outputs, changed = task.apply(variables, batch, jax.random.key(step), True, {})
        weights.append(float(outputs.kl_weight))
        targets.append(np.asarray(outputs.target))
        variables = {**variables, **changed}
    assert weights == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert set(np.unique(targets)) == {0.0, 1.0}
    assert (targets[0] != targets[1]).any()

    fixed = {"x": jnp.asarray(targets[0], jnp.uint8)}
    outputs, changed = task.apply(variables, fixed, jax.random.key(0), False, {})
    assert changed == {}
    assert float(outputs.kl_weight) == 2.0
    reconstruction = mnist_vae.reconstruction_term(outputs, fixed)
    kl = mnist_vae.kl_term(outputs, fixed)
    np.testing.assert_allclose(task.loss(outputs, fixed, {}), reconstruction + 2 * kl, rtol=1e-6)
    np.testing.assert_allclose(
        task.metrics["bound"](outputs, fixed), reconstruction + kl, rtol=1e-6
    )


def test_the_weight_rises_on_a_line_and_stays():
    weights = [float(mnist_vae.kl_weight(jnp.asarray(step), 4, beta=2.0)) for step in range(6)]
    assert weights == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert float(mnist_vae.kl_weight(jnp.asarray(0), 0, beta=1.0)) == 1.0


def test_codes_of_the_latent_plane_and_of_a_walk():
    grid = mnist_vae.prior_grid(3, probability=0.5)
    assert grid[:3, 0].tolist() == pytest.approx([-0.6745, 0.0, 0.6745], abs=1e-4)
    assert grid[0, 1] == pytest.approx(0.6745, abs=1e-4)  # the top row is the largest
    walk = mnist_vae.walk(np.arange(3.0), 1, np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(walk, [[0, -1, 2], [0, 0, 2], [0, 2, 2]])


def test_a_pictures_bound_does_not_depend_on_the_pictures_named_with_it():
    """Neither its binary pixels nor the codes that are drawn for it."""
    model = mnist_vae.vae(QUICK, QUICK.latent)
    x = np.zeros((1, mnist.SIDE**2), np.float32)
    params = model.init({"params": jax.random.key(0)}, x, train=False)["params"]
    two = jax.tree.map(lambda leaf: np.stack([leaf, 2 * leaf]), params)
    fitted = SimpleNamespace(seeds=np.array([0, 1]), variables={"params": two})
    grey = np.random.default_rng(0).integers(0, 256, (50, mnist.SIDE**2)).astype(np.uint8)

    def bounds_of(pictures):
        asked = mnist_vae.binary_one_by_one(pictures, "static")
        return mnist_vae.bounds(model, fitted, asked, one_by_one=True)

    together, alone = bounds_of(grey), bounds_of(grey[[45, 3]])
    for term in ("reconstruction", "kl"):
        np.testing.assert_array_equal(alone[term], together[term][:, [45, 3]])
    assert len(np.unique(together["reconstruction"][0])) == 50


def test_pictures_one_by_one_follow_their_grey_and_the_way_of_the_run():
    grey = np.random.default_rng(0).integers(0, 256, (200, 784)).astype(np.uint8)
    drawn = mnist_vae.binary_one_by_one(grey, "dynamic")
    assert set(np.unique(drawn)) == {0, 1}
    assert abs(drawn[grey > 200].mean() - grey[grey > 200].mean() / 255) < 0.01
    np.testing.assert_array_equal(mnist_vae.binary_one_by_one(grey, "threshold"), grey > 127)
    # other pictures have other draws: two that differ in a pixel are unlike in many
    twin = grey[0].copy()
    twin[0] ^= 1
    assert (drawn[0] != mnist_vae.binary_one_by_one(twin[None], "dynamic")[0]).mean() > 0.1
