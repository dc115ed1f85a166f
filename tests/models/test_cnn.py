"""Convolutions and pooling: values and gradients are those of the plain forms; Keras's sizes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxdl.models import cnn, conv2d
from jaxdl.training import parameter_count

LAYOUT = ("NHWC", "HWIO", "NHWC")


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize(
    ("images", "strides", "padding"),
    [
        (37, (1, 1), "SAME"),  # two whole parts and a rest
        (37, (2, 2), "SAME"),
        (5, (1, 1), "VALID"),
        (70, (2, 1), ((1, 0), (2, 1))),  # four parts of more than 16
    ],
)
def test_gradients_are_those_of_the_plain_convolution(images, strides, padding):
    x, kernel = normal(0, images, 9, 8, 3), normal(1, 3, 3, 3, 5)

    def plain(x, kernel):
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=LAYOUT)

    def parts(x, kernel):
        return conv2d.convolve_in_parts(x, kernel, strides, padding)

    expected, back = jax.vjp(plain, x, kernel)
    got, back_in_parts = jax.vjp(parts, x, kernel)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    gradient = normal(2, *expected.shape)
    for ours, theirs in zip(back_in_parts(gradient), back(gradient), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_layer_takes_the_form_of_the_backend(monkeypatch):
    calls = []
    inner = conv2d.convolve_in_parts
    monkeypatch.setattr(conv2d, "convolve_in_parts", lambda *a: calls.append(a[2:]) or inner(*a))
    x = normal(0, 2, 8, 8, 4)
    layer = conv2d.Conv2D(6, (3, 3), strides=2)
    variables = layer.init(jax.random.key(0), x)
    ours = layer.apply(variables, x)
    assert calls[-1] == ((2, 2), "SAME")
    expected = nn.Conv(6, (3, 3), strides=2).apply(variables, x)
    np.testing.assert_array_equal(ours, expected)
    calls.clear()
    for options in ({"kernel_dilation": 2}, {"feature_group_count": 2}):
        other = conv2d.Conv2D(6, (3, 3), **options)
        variables = other.init(jax.random.key(0), x)
        expected = nn.Conv(6, (3, 3), **options).apply(variables, x)
        np.testing.assert_array_equal(other.apply(variables, x), expected)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    layer.init(jax.random.key(0), x)
    assert not calls


@pytest.mark.parametrize(("size", "height", "width"), [(2, 8, 6), (2, 7, 9), (3, 10, 11)])
def test_pooling_is_linens_with_its_gradient(size, height, width):
    x = normal(3, 4, height, width, 5)

    def linen(x):
        return nn.max_pool(x, (size, size), (size, size))

    expected, back = jax.vjp(linen, x)
    got, own_back = jax.vjp(lambda x: conv2d.max_pool(x, size), x)
    np.testing.assert_array_equal(got, expected)
    gradient = normal(4, *expected.shape)
    np.testing.assert_array_equal(own_back(gradient)[0], back(gradient)[0])


def test_equal_maxima_share_the_gradient():
    shares = jax.grad(lambda x: conv2d.max_pool(x).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(shares, 0.25)


@pytest.mark.parametrize(("net", "count"), [("notebook", 356_810), ("slide", 550_570)])
def test_nets_have_kerass_sizes_and_initialisers(net, count):
    model = getattr(cnn, f"{net}_net")()
    variables = jax.jit(model.init, static_argnums=2)(
        jax.random.key(0), jnp.zeros((1, 32, 32, 3)), False
    )
    assert parameter_count(variables) == count
    for path, leaf in jax.tree_util.tree_flatten_with_path(variables["params"])[0]:
        if leaf.ndim == 1:
            assert not leaf.any(), path
        else:
            window = np.prod(leaf.shape[:-2])
            limit = np.sqrt(6 / (window * (leaf.shape[-2] + leaf.shape[-1])))
            assert 0.95 * limit < jnp.abs(leaf).max() <= limit, path
            assert leaf.std() == pytest.approx(limit / np.sqrt(3), rel=0.05), path


def test_relu_behind_the_pooling_changes_nothing():
    model, x = cnn.VGG(2, (4, 6), 5, 3), normal(5, 3, 8, 8, 3)
    params = jax.jit(model.init, static_argnums=2)(jax.random.key(1), x, False)["params"]

    def by_hand(params, x):
        for i in range(4):
            layer = params[f"Conv_{i}"]
            x = lax.conv_general_dilated(
                x, layer["kernel"], (1, 1), "SAME", dimension_numbers=LAYOUT
            )
            x = nn.relu(x + layer["bias"])
            x = nn.max_pool(x, (2, 2), (2, 2)) if i % 2 else x
        x = nn.relu(x.reshape(3, -1) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"])
        return x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]

    def ours(params, x):
        return model.apply({"params": params}, x, False)

    results = [
        jax.jit(jax.value_and_grad(lambda p, f=f: jnp.square(f(p, x)).sum()))(params)
        for f in (ours, by_hand)
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *results)


def test_bytes_become_shares():
    images = jnp.array([0, 51, 255], jnp.uint8).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(conv2d.pixels(images)[0, 0, 0], [0, 0.2, 1], rtol=1e-6)
