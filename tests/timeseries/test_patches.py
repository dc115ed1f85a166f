"""Offline detector by patches: triplets, their loss, the memory, and scores of rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import optim
from jaxdl.models.patch_encoder import PatchEncoder
from jaxdl.timeseries import patches, windows
from jaxdl.training import Task, fit, module_functions


def test_triplets_hold_an_overlapping_patch_and_one_from_elsewhere():
    """The patches of 0, 1, 2, ...: their first rows tell where they lie."""
    length = 16
    x = windows.sliding(np.arange(100.0), length)
    drawn = patches.triplets(x, 3000, np.random.default_rng(0))
    assert drawn.shape == (3000, 3, length, 1)
    anchor, near, far = drawn[:, :, 0, 0].T
    apart = np.abs(near - anchor)
    assert (apart.min(), apart.max()) == (1, length // 4)
    assert np.abs(far - anchor).min() == length
    assert set(anchor) == set(range(85))  # every patch comes
    assert {0, 84} <= set(far)
    with pytest.raises(ValueError, match="32 patches of 16 rows"):
        patches.triplets(x[:32], 1, np.random.default_rng(0))
    least = patches.triplets(x[:33], 500, np.random.default_rng(0))
    assert np.abs(least[:, 2, 0, 0] - least[:, 0, 0, 0]).min() == length


def test_the_loss_is_what_is_missing_to_the_margin():
    point = jnp.array([[0.0, 0.0], [3.0, 4.0], [0.0, 5.0]])
    same = jnp.stack([point, point[jnp.array([0, 0, 1])], point[jnp.array([0, 1, 1])]])
    loss = patches.triplet_loss(same, {}, {})
    assert loss.tolist() == [patches.MARGIN, 0, patches.MARGIN + 25 - 25]
    assert patches.triplet_loss(point[None, jnp.array([0, 1, 0])], {}, {}) == patches.MARGIN + 25


def test_a_patch_far_from_the_memory_is_strange():
    points = np.concatenate([np.zeros((5, 2)), np.ones((5, 2)), [[1.0, 1.0], [4.0, 5.0]]])
    distance = patches.distances_to_memory(points, remembered=10)
    assert distance.tolist() == [0] * 11 + [5]


def test_a_trained_encoder_tells_the_shapes_of_a_series_apart():
    """A wave whose sixth part is twice as fast: the memory knows only the slow one."""
    rng = np.random.default_rng(0)
    phase = np.cumsum(np.where(np.arange(1200) // 100 == 8, 4, 1)) * 2 * np.pi / 24
    values = np.sin(phase) + 0.05 * rng.normal(size=1200)
    x = windows.sliding(values, 32)
    init, apply = module_functions(PatchEncoder(features=8))
    task = Task(init, apply, patches.triplet_loss, lambda hyper: optim.adam(1e-3), convolves=True)
    drawn = patches.triplets(x[:500], 256, rng)
    fitted = fit(task, {"x": drawn}, seeds=[0, 1], epochs=2, batch_size=64)
    points = patches.embeddings(fitted, x)
    assert points.shape == (2, len(x), 8)
    for member in points:
        rows = patches.mean_over_patches(patches.distances_to_memory(member, 500), 32)
        assert len(rows) == 1200
        assert 800 <= rows.argmax() < 900


def test_training_brings_near_what_overlaps():
    """On a ramp, where what lies elsewhere is higher or lower, the loss falls."""
    x = windows.sliding(np.linspace(-3, 3, 300), 16)
    init, apply = module_functions(PatchEncoder())
    task = Task(init, apply, patches.triplet_loss, lambda hyper: optim.adam(1e-3), convolves=True)
    drawn = patches.triplets(x, 512, np.random.default_rng(0))
    fitted = fit(task, {"x": drawn}, seeds=[0], epochs=4, batch_size=64)
    loss = fitted.history["train_loss"][:, 0]
    assert loss[-1] < 0.7 * loss[0]


def test_a_constant_patch_has_a_gradient():
    net = PatchEncoder()
    x = jnp.zeros((2, 3, 16, 1))
    variables = net.init(jax.random.key(0), x, train=False)

    def loss(variables):
        return patches.triplet_loss(net.apply(variables, x, train=True), {}, {}).sum()

    gradient = jax.grad(loss)(variables)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
