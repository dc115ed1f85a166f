"""Residual nets: sizes, shortcuts, batch statistics, the recipe, gradient norms; the lab runs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import resnet
from jaxdl.models.resnet import ResNet, blocks_of, identity_shortcut
from jaxdl.training import fit, parameter_count
from jaxdl.vision import classification_task


def shapes(model):
    return jax.eval_shape(
        lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)
    )


# the paper's table 6 rounds to 0.27, 0.46, 0.85 and 1.7 million
@pytest.mark.parametrize(
    ("depth", "count"), [(20, 269_722), (32, 464_154), (56, 853_018), (110, 1_727_962)]
)
def test_depths_have_the_papers_sizes(depth, count):
    made = shapes(ResNet(blocks_of(depth)))
    assert parameter_count(made) == count
    kernels = [k for k in made["params"] if k.startswith("conv_")]
    assert len(kernels) + 1 == depth
    assert parameter_count(shapes(ResNet(blocks_of(depth), "none"))) == count
    # two 1x1 convolutions and their normalisations more
    projected = parameter_count(shapes(ResNet(blocks_of(depth), "projection")))
    assert projected - count == 16 * 32 + 32 * 64 + 2 * (32 + 64)


def test_other_depths_are_refused():
    with pytest.raises(ValueError, match="not 6n"):
        blocks_of(34)


def test_identity_shortcut_takes_every_second_pixel_and_fills_up_with_zeros():
    x = jnp.arange(2 * 4 * 4 * 3, dtype=jnp.float32).reshape(2, 4, 4, 3)
    y = identity_shortcut(x, 2, 5)
    assert y.shape == (2, 2, 2, 5)
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    assert not y[..., 3:].any()


@pytest.fixture(scope="module")
def data():
    """48 tiny pictures, bright or dark on one side."""
    rng = np.random.default_rng(0)
    y = np.arange(48, dtype=np.int32) % 2
    x = rng.integers(60, 120, (48, 8, 8, 3))
    x[y == 1, :, :4] += 80
    return {"x": x.astype(np.uint8), "y": y}


def small(shortcut="identity", steps=18):
    net = ResNet(1, shortcut, (4, 6, 8), classes=2)
    return classification_task.image_task(
        net,
        lambda hyper: resnet.momentum_sgd(0.1, 1e-4, steps, 8),
        lambda images: resnet.centred(images, np.full((8, 8, 3), 0.35, np.float32)),
    )


def test_without_its_branches_a_block_hands_its_input_on_only_with_a_shortcut():
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))

    def features(shortcut):
        net = ResNet(1, shortcut, (4, 6, 8), classes=3)
        variables = jax.jit(net.init, static_argnames="train")(jax.random.key(1), x, train=False)
        for name in variables["params"]:
            if name.startswith("norm_") and name != "norm_0":  # every branch gives 0
                zeros = jax.tree.map(jnp.zeros_like, variables["params"][name])
                variables["params"][name] = zeros
        return jax.jit(net.apply, static_argnames="train")(variables, x, train=False)

    assert jnp.abs(features("identity")).max() > 1e-3
    assert not features("none").any()


def test_batch_statistics_are_handed_back_and_change_in_training_only(data):
    task = small()
    batch = jax.tree.map(jnp.asarray, data)
    variables = jax.jit(task.init)(jax.random.key(0), batch)
    before = jax.tree.map(np.asarray, variables["batch_stats"])
    run = jax.jit(lambda train: task.apply(variables, batch, jax.random.key(1), train, {}),
                  static_argnums=0)  # fmt: skip
    _, changed = run(True)
    assert set(changed) == {"batch_stats"}
    assert run(False)[1] == {}
    jax.tree.map(np.testing.assert_array_equal, before, dict(variables["batch_stats"]))
    seen = resnet.centred(batch["x"], np.full((8, 8, 3), 0.35, np.float32))
    kernel = variables["params"]["conv_0"]["kernel"]
    first = jax.lax.conv_general_dilated(
        seen, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    expected = 0.1 * np.asarray(first).mean(axis=(0, 1, 2))  # 0.9 of the start, which is 0
    np.testing.assert_allclose(changed["batch_stats"]["norm_0"]["mean"], expected, atol=1e-6)


@pytest.mark.parametrize("shortcut", ["projection", "none"])
def test_nets_learn_and_their_gradients_are_reported_by_layer(data, shortcut):
    task = small(shortcut)
    start = fit(task, data, seeds=np.arange(2), epochs=0, batch_size=16)
    fitted = fit(task, data, seeds=np.arange(2), epochs=6, batch_size=16)
    said = classification_task.predicted_class(fitted, data)
    assert classification_task.accuracy_of(said, data["y"]).min() > 0.9
    first, last = resnet.gradient_norms([start, fitted], data)
    assert first.shape == last.shape == (2, 7)

    batch = jax.tree.map(jnp.asarray, data)

    def loss(params):
        variables = {**jax.tree.map(lambda x: x[1], start.variables), "params": params}
        outputs, _ = task.apply(variables, batch, jax.random.key(0), True, {})
        return task.loss(outputs, batch, {}).mean()

    params = jax.tree.map(lambda x: x[1], start.variables["params"])
    by_hand = jax.jit(jax.grad(loss))(params)
    for layer in (0, 6):
        norm = np.linalg.norm(by_hand[f"conv_{layer}"]["kernel"])
        assert first[1, layer] == pytest.approx(norm, rel=1e-3)


def test_shrinking_averages_squares():
    image = np.random.default_rng(0).integers(0, 256, (1, 4, 6, 3), np.uint8)
    mean = np.full((4, 6, 3), 0.5, np.float32)
    small = resnet.centred(jnp.asarray(image), mean, 2)
    assert small.shape == (1, 2, 3, 3)
    np.testing.assert_allclose(small[0, 1, 2], image[0, 2:, 4:].mean((0, 1)) / 255 - 0.5, atol=1e-6)


class Shown(nn.Module):
    """Gives out what it is shown."""

    @nn.compact
    def __call__(self, x, train):
        self.param("unused", nn.initializers.zeros, ())
        return x.reshape(len(x), -1)


@pytest.mark.parametrize("pad", [0, 2])
def test_training_images_are_flipped_and_cropped_only_where_that_is_asked_for(pad):
    images = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8)
    mean = np.full((32, 32, 3), 0.5, np.float32)
    config = resnet.Config(pad=pad, shrink=2)
    data = resnet.Photographs({}, {}, {}, mean, ())
    task = resnet.classifier(Shown(), resnet.optim.adam(1e-3), config, data)
    batch = {"x": jnp.asarray(images), "y": jnp.zeros(64, jnp.int32)}
    variables = task.init(jax.random.key(0), batch)

    def shown(train):
        outputs, _ = task.apply(variables, batch, jax.random.key(1), train, {})
        return np.asarray(outputs).reshape(64, 16, 16, 3)

    small = np.asarray(resnet.centred(jnp.asarray(images), mean, 2))
    np.testing.assert_allclose(shown(False), small, atol=1e-6)
    same, mirrored = (
        np.isclose(shown(True), x, atol=1e-6).all(axis=(1, 2, 3))
        for x in (small, small[:, :, ::-1])
    )
    if pad:
        assert (same | mirrored).mean() < 0.3  # 1 in 25 places is the old one
    else:
        assert (same ^ mirrored).all()
        assert 16 < mirrored.sum() < 48


@pytest.mark.parametrize(("depth", "early"), [(56, 1.0), (110, 0.1)])
def test_rate_falls_twice_and_deep_nets_start_slowly(depth, early):
    transform = resnet.momentum_sgd(0.1, 0.01, 1000, depth)
    weights = {"w": jnp.ones(())}

    def step(state, _):
        updates, state = transform.update({"w": jnp.zeros(())}, state, weights)
        return state, updates["w"]

    _, updates = jax.lax.scan(step, transform.init(weights), None, length=1000)
    # only the decay moves the weights: rate * 0.01 / (1 - momentum), once momentum is up to speed
    np.testing.assert_allclose(updates[390], -early * 0.01, rtol=1e-3)
    np.testing.assert_allclose(updates[495], -0.01, rtol=1e-3)
    np.testing.assert_allclose(updates[740], -0.001, rtol=1e-3)
    np.testing.assert_allclose(updates[990], -0.0001, rtol=1e-3)


def test_lab_sets_residual_beside_plain_nets_of_the_same_size(quick_run):
    results = quick_run("resnet").results
    linear, residual, plain, untrained = results.tables[0].rows
    assert (residual["net"], plain["net"]) == ("residual, 8 layers", "plain, 8 layers")
    assert residual["parameters"] == plain["parameters"]
    assert (residual["first / last gradient at the start"] > 0).all()
    assert linear["at the end"] == "-"
    assert untrained["net"] == "plain, 8 layers, untrained"
    assert set(results.figures) == {"loss", "accuracy", "gradients"}
