"""The speed run: its first layer, flips, shifts, views, optimiser; what is fixed stays fixed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from datasets.source import Request
from experiments import cifar_speedrun as lab
from jaxdl.models.conv2d import pixels
from jaxdl.models.whitened_cnn import WhitenedCNN, identity_first
from jaxdl.training import fit, parameter_count


@pytest.fixture(scope="module")
def images():
    """Smooth pictures with colours that go together, as photographs have."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, (60, 8, 8, 1)) + rng.integers(0, 20, (60, 8, 8, 3))
    x = coarse.repeat(4, axis=1).repeat(4, axis=2) + rng.integers(0, 9, (60, 32, 32, 3))
    return x.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def data(images):
    label = np.arange(60) % 10
    rows = lab.examples(images, label.astype(np.int32))
    x = pixels(images)
    return lab.Photographs(rows, rows, rows, x.mean((0, 1, 2)), x.std((0, 1, 2)))


CONFIG = lab.Config(epochs=4, batch_size=20, widths=(4, 4, 4), whitening_epochs=1)


def test_the_published_net_has_the_published_size():
    shapes = jax.eval_shape(
        lambda: WhitenedCNN().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), False)
    )
    # 24 biases, six kernels of 3x3, their norms' biases, 256 x 10 weights; no kernel of the first
    kernels = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 256 * 256 + 2 * 256 * 256)
    assert parameter_count(shapes) == 24 + kernels + 2 * (64 + 256 + 256) + 2560
    assert shapes["whitening"]["kernel"].shape == (2, 2, 3, 24)


def test_filters_whiten(images):
    filters = lab.whitening_filters(images).reshape(12, 24)
    x = pixels(images)
    x = (x - x.mean((0, 1, 2))) / x.std((0, 1, 2))
    patches = [x[:, i : i + 31, j : j + 31] for i in (0, 1) for j in (0, 1)]
    seen = np.concatenate(patches, axis=-1).reshape(-1, 12) @ filters[:, :12]
    second = seen.T @ seen / len(seen)
    np.testing.assert_allclose(second - np.diag(np.diag(second)), 0, atol=1e-3)
    variances = np.diag(second)
    assert variances[0] == pytest.approx(1, abs=1e-3)  # the strongest axis
    assert (variances > 0.5).all()
    assert (variances < 1.001).all()
    np.testing.assert_array_equal(filters[:, 12:], -filters[:, :12])


def test_a_kernel_starts_as_the_identity():
    kernel = identity_first(jax.random.key(0), (3, 3, 4, 6))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 5, 5, 4)).astype(np.float32))
    numbers = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    np.testing.assert_allclose(y[..., :4], x, atol=1e-6)
    bound = 1 / np.sqrt(9 * 4)
    assert 0.8 * bound < np.abs(kernel[..., 4:]).max() <= bound


def test_pictures_move_by_whole_pixels_and_their_edges_are_mirrored(images):
    moved = np.asarray(lab.shifted(jax.random.key(0), jnp.asarray(images), 2))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    corners = set()
    for i, image in enumerate(moved):
        places = [(r, c) for r in range(5) for c in range(5)]
        fits = [p for p in places if (padded[i, p[0] : p[0] + 32, p[1] : p[1] + 32] == image).all()]
        assert fits
        corners.update(fits)
    assert len(corners) > 15  # of 25


def by_hand(config, rows, params, grads, steps):
    """The recipe in NumPy: PyTorch's SGD with its two groups, lookahead, the frozen bias."""
    total = config.epochs * (rows // config.batch_size)
    peak = config.learning_rate * config.batch_size / 1024 / (1 + 1 / (1 - config.momentum))
    params = {name: x.copy() for name, x in params.items()}
    slow = {name: x.copy() for name, x in params.items()}
    speed = {name: np.zeros_like(x) for name, x in params.items()}
    for step in range(steps):
        share = np.interp(step, [0, 0.23 * total, total], [0.2, 1, 0.07])
        for name in params:
            factor = config.bias_factor if name.startswith("norm_") else 1
            decay = config.weight_decay / config.learning_rate / factor
            gradient = grads[name] + decay * params[name]
            speed[name] = config.momentum * speed[name] + gradient
            change = gradient + config.momentum * speed[name]
            frozen = step >= config.whitening_epochs * (rows // config.batch_size)
            if name == "whitening_bias" and frozen:
                continue
            params[name] = params[name] - peak * share * factor * change
        if (step + 1) % config.lookahead_every == 0:
            keep = 0.95**5 * ((step + 1) / total) ** 3
            for name in params:
                slow[name] = keep * slow[name] + (1 - keep) * params[name]
                params[name] = slow[name].copy()
    return params


def test_the_optimiser_is_the_published_one():
    config = dataclasses.replace(CONFIG, lookahead_every=3)
    rng = np.random.default_rng(0)
    params = {
        name: rng.normal(size=4) for name in ("conv_0_0", "norm_0_0", "whitening_bias", "Dense_0")
    }
    grads = {name: rng.normal(size=4) for name in params}
    transform = lab.recipe(config, rows=60)
    ours = {name: jnp.asarray(x, jnp.float32) for name, x in params.items()}
    state = transform.init(ours)
    update = jax.jit(transform.update)
    fixed = {name: jnp.asarray(x, jnp.float32) for name, x in grads.items()}
    for _ in range(10):
        updates, state = update(fixed, state, ours)
        ours = optax.apply_updates(ours, updates)
    expected = by_hand(config, 60, params, grads, 10)
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, rtol=2e-4, atol=1e-5, err_msg=name)


def test_only_what_is_learned_changes(data):
    filters = lab.whitening_filters(data.train["x"])
    task = lab.speedrun_task(CONFIG, data, filters)
    start, one, end = (
        fit(task, data.train, seeds=[3], epochs=epochs, batch_size=20).variables
        for epochs in (0, 1, 4)
    )
    np.testing.assert_array_equal(end["whitening"]["kernel"][0], filters)
    np.testing.assert_array_equal(end["flips"]["first"], start["flips"]["first"])
    assert end["flips"]["step"].tolist() == [12]
    bias = [v["params"]["whitening_bias"] for v in (start, one, end)]
    assert (bias[1] != bias[0]).any()
    # the average over the last steps is all that moves it after the first epoch
    assert np.abs(bias[2] - bias[1]).max() < np.abs(bias[1] - bias[0]).max()


@pytest.mark.parametrize("variant", lab.Config().variants)
def test_every_variant_trains_and_is_another_one(data, variant):
    filters = lab.whitening_filters(data.train["x"])
    tasks = [lab.speedrun_task(CONFIG, data, filters, v) for v in ("whole recipe", variant)]
    losses = [
        fit(task, data.train, seeds=[0], epochs=4, batch_size=20).history["train_loss"]
        for task in tasks
    ]
    assert np.isfinite(losses[1]).all()
    assert (losses[0] == losses[1]).all() == (variant == "whole recipe")


def test_a_member_flips_every_other_time(data):
    filters = lab.whitening_filters(data.train["x"])
    task = lab.speedrun_task(dataclasses.replace(CONFIG, shift=0), data, filters)
    # pictures that are dark on the left: what the net sees tells which way they are
    x = np.zeros((60, 32, 32, 3), np.uint8)
    x[:, :, 16:] = 255
    variables = task.init(jax.random.key(0), {"x": x[:1]})
    first, rows = variables["flips"]["first"], {"x": jnp.asarray(x), "id": jnp.arange(60)}
    assert 10 < first.sum() < 50
    outputs = []
    for step in (0, 2, 3, 6):  # three steps an epoch
        variables["flips"]["step"] = jnp.int32(step)
        outputs.append(task.apply(variables, rows, jax.random.key(step), True, {})[0])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[3])
    two_ways = [np.unique(np.asarray(o).round(4), axis=0) for o in outputs]
    assert len(two_ways[0]) == 2
    assert (outputs[0] != outputs[2]).any(axis=1).all()


def test_accuracy_by_views_is_that_of_the_mean_logits(data):
    filters = lab.whitening_filters(data.train["x"])
    task = lab.speedrun_task(CONFIG, data, filters)
    fitted = fit(task, data.train, seeds=[0, 1], epochs=1, batch_size=20)
    found = lab.test_by_views(fitted, data.test)
    seen = lab.views(jnp.asarray(data.test["x"]))
    logits = [
        fitted.predict(lambda out, batch: out, {**data.test, "x": np.asarray(x)}) for x, _ in seen
    ]
    weights = [weight for _, weight in seen]
    for name, count in (("one view", 1), ("two views", 2), ("six views", 6)):
        mean = sum(w * x for w, x in zip(weights[:count], logits[:count], strict=True))
        expected = (mean.argmax(-1) == data.test["y"]).mean(axis=1)
        np.testing.assert_allclose(found[name], expected, atol=1e-6)


@pytest.mark.real_data
def test_real_photographs_are_learned(real_data):

    class Told:
        source = Request("real", real_data)

        def uses(self, provenance):
            pass

    config = lab.Config(
        train_rows=2_000, validation_rows=500, epochs=4, batch_size=100, widths=(8, 16, 16)
    )
    photographs = lab.load_images(config, Told())
    filters = lab.whitening_filters(photographs.train["x"])
    task = lab.speedrun_task(config, photographs, filters)
    fitted = fit(task, photographs.train, photographs.valid, seeds=[0], epochs=4, batch_size=100)
    assert fitted.history["valid_accuracy"][-1, 0] > 0.16
