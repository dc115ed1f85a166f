"""Winograd's convolution: values and gradients are XLA's; which shapes take it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxdl.models import conv2d, winograd

LAYOUT = ("NHWC", "HWIO", "NHWC")


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def direct(x, kernel, strides=(1, 1), padding="SAME", **options):
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=LAYOUT, **options
    )


def assert_close(got, expected):
    """To 1e-4 of the largest number."""
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    assert jnp.abs(got - expected).max() <= 1e-4 * jnp.abs(expected).max()


def assert_same_values_and_gradients(ours, theirs, x, kernel):
    got, got_back = jax.vjp(ours, x, kernel)
    expected, back = jax.vjp(theirs, x, kernel)
    assert_close(got, expected)
    gradient = normal(2, *expected.shape)
    for one, other in zip(got_back(gradient), back(gradient), strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(
    ("shape", "features", "images"),
    [
        ((3, 8, 8, 5), 4, 8),  # whole tiles, one piece
        ((7, 8, 12, 2), 3, 2),  # pieces that the batch does not fill
        ((5, 7, 9, 3), 6, 1),
        ((2, 10, 5, 1), 1, 1),
        ((1, 1, 1, 4), 2, 1),
        ((4, 3, 2, 33), 35, 4),
        ((6, 32, 32, 32), 32, 4),
    ],
)
def test_values_and_gradients_are_those_of_the_direct_form(shape, features, images):
    x, kernel = normal(0, *shape), normal(1, 3, 3, shape[-1], features)
    assert_same_values_and_gradients(
        lambda x, kernel: conv2d.convolve_in_tiles(x, kernel, images), direct, x, kernel
    )


def test_matrices_convolve_in_one_dimension():
    window, kernel = normal(3, 6), normal(4, 3)
    tile = winograd.FROM_PRODUCT @ ((winograd.TO_KERNEL @ kernel) * (winograd.TO_WINDOW @ window))
    np.testing.assert_allclose(tile, np.correlate(window, kernel, "valid"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "transpose", "shape"),
    [
        (winograd.windows, winograd.windows_to_images, (2, 7, 9, 3)),
        (winograd.images_to_tiles, winograd.tiles_to_images, (2, 8, 5, 3)),
    ],
)
def test_transposes(function, transpose, shape):
    x = normal(5, *shape)
    result = function(x)
    other = normal(6, *result.shape)
    back = transpose(other, shape[:3])
    assert jnp.vdot(result, other) == pytest.approx(float(jnp.vdot(x, back)), rel=1e-4, abs=1e-3)


@pytest.fixture
def taken(monkeypatch):
    """Shapes that took Winograd's way; any amount of work is enough."""
    shapes = []
    inner = conv2d.convolve_in_tiles
    monkeypatch.setattr(conv2d, "WINOGRAD_WORK", 0)
    monkeypatch.setattr(
        conv2d, "convolve_in_tiles", lambda *a: shapes.append(a[0].shape) or inner(*a)
    )
    return shapes


@pytest.mark.parametrize("padding", ["SAME", [(1, 1), (1, 1)]])
@pytest.mark.parametrize("shape", [(3, 8, 8, 32), (2, 7, 7, 40), (1, 4, 11, 33)])
def test_wide_layers_take_it(taken, shape, padding):
    x, kernel = normal(0, *shape), normal(1, 3, 3, shape[-1], 36)
    assert_same_values_and_gradients(
        lambda x, kernel: conv2d.convolution(x, kernel, (1, 1), padding), direct, x, kernel
    )
    assert shape in taken


@pytest.mark.parametrize(
    ("shape", "kernel", "strides", "padding", "options"),
    [
        ((2, 8, 8, 31), (3, 3, 31, 32), (1, 1), "SAME", {}),
        ((2, 8, 8, 32), (3, 3, 32, 31), (1, 1), "SAME", {}),
        ((2, 8, 8, 32), (1, 3, 32, 32), (1, 1), "SAME", {}),
        ((2, 8, 8, 32), (5, 5, 32, 32), (1, 1), "SAME", {}),
        ((2, 8, 8, 32), (3, 3, 32, 32), (2, 2), "SAME", {}),
        ((2, 9, 8, 32), (3, 3, 32, 32), (1, 2), "SAME", {}),
        ((2, 8, 8, 32), (3, 3, 32, 32), (1, 1), "VALID", {}),
        ((2, 8, 8, 32), (3, 3, 32, 32), (1, 1), ((2, 1), (1, 1)), {}),
        ((2, 9, 9, 32), (3, 3, 32, 32), (1, 1), "SAME", {}),  # tiles too empty
        ((2, 8, 8, 32), (3, 3, 32, 32), (1, 1), "SAME", {"rhs_dilation": (2, 2)}),
        ((2, 8, 8, 32), (3, 3, 32, 32), (1, 1), ((1, 1), (1, 1)), {"lhs_dilation": (2, 1)}),
        ((2, 8, 8, 64), (3, 3, 32, 64), (1, 1), "SAME", {"feature_group_count": 2}),
    ],
)
def test_others_do_not(taken, shape, kernel, strides, padding, options):
    def ours(x, kernel):
        return conv2d.convolution(x, kernel, strides, padding, dimension_numbers=LAYOUT, **options)

    def theirs(x, kernel):
        return direct(x, kernel, strides, padding, **options)

    assert_same_values_and_gradients(ours, theirs, normal(0, *shape), normal(1, *kernel))
    assert not taken


def test_little_work_other_numbers_and_accelerators_do_not(taken, monkeypatch):
    x, kernel = normal(0, 2, 8, 8, 32), normal(1, 3, 3, 32, 32)
    half = conv2d.convolution(
        x.astype(jnp.bfloat16),
        kernel.astype(jnp.bfloat16),
        (1, 1),
        "SAME",
        dimension_numbers=LAYOUT,
    )
    assert half.dtype == jnp.bfloat16
    with monkeypatch.context() as patch:
        patch.setattr(conv2d, "WINOGRAD_WORK", 1 << 22)
        conv2d.convolution(x, kernel, (1, 1), "SAME")
    with monkeypatch.context() as patch:
        patch.setattr(jax, "default_backend", lambda: "gpu")
        conv2d.convolution(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)
    assert not taken
    conv2d.convolution(x, kernel, (1, 1), "SAME")
    assert taken


def test_it_compiles_ahead_and_maps_over_one_member(taken):
    x, kernel = normal(0, 5, 8, 8, 32), normal(1, 3, 3, 32, 32)

    def loss(kernel, x):
        return jnp.square(conv2d.convolution(x, kernel, (1, 1), "SAME")).sum()

    expected = jax.grad(lambda kernel: jnp.square(direct(x, kernel)).sum())(kernel)
    compiled = jax.jit(jax.grad(loss)).lower(kernel, x).compile()
    assert_close(compiled(kernel, x), expected)
    assert_close(jax.vmap(jax.grad(loss))(kernel[None], x[None])[0], expected)
    assert taken
    assert "f64" not in compiled.as_text()


def test_several_devices_keep_xlas_convolution(monkeypatch):
    x, kernel = jnp.zeros((128, 16, 16, 64)), jnp.zeros((3, 3, 64, 64))
    assert conv2d.images_at_once(x, kernel, (1, 1), "SAME") > 0
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert conv2d.images_at_once(x, kernel, (1, 1), "SAME") == 0
