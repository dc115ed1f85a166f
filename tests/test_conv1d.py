"""Convolutions as matrix products against XLA's own; the published parameter counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models.conv1d import (
    Dropout,
    conv1d,
    conv1d_transpose,
    keras_net,
    lecture_net,
    same_padding,
)
from jaxdl.models.recurrent import LSTMAutoencoder

SHAPES = [(8, 7, 2), (9, 7, 2), (12, 7, 1), (7, 4, 3), (9, 2, 3), (5, 1, 1)]


def xla_conv(x, kernel, stride):
    dimensions = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride,), "SAME", dimension_numbers=dimensions)


def arrays(length, taps, inputs=3, features=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, length, inputs)).astype(np.float32)
    return x, rng.normal(size=(taps, inputs, features)).astype(np.float32)


@pytest.mark.parametrize(("length", "taps", "stride"), SHAPES)
def test_convolution_and_its_gradients_are_xlas(length, taps, stride):
    x, kernel = arrays(length, taps)

    def ours(x, kernel):
        return conv1d(x, kernel, stride, same_padding(length, taps, stride))

    def theirs(x, kernel):
        return xla_conv(x, kernel, stride)

    np.testing.assert_allclose(ours(x, kernel), theirs(x, kernel), atol=1e-5)
    for argument in (0, 1):
        grads = [
            jax.grad(lambda x, k, f=f: jnp.sin(f(x, k)).sum(), argument)(x, kernel)
            for f in (ours, theirs)
        ]
        np.testing.assert_allclose(*grads, atol=1e-4)


@pytest.mark.parametrize(("length", "taps", "stride"), SHAPES)
def test_transposed_convolution_is_the_adjoint(length, taps, stride):
    x, kernel = arrays(length, taps)
    output = jnp.zeros((2, length * stride, 4))
    _, adjoint = jax.vjp(lambda y: xla_conv(y, kernel.transpose(0, 2, 1), stride), output)
    ours = conv1d_transpose(x, kernel, stride)
    assert ours.shape == output.shape
    np.testing.assert_allclose(ours, adjoint(jnp.asarray(x))[0], atol=1e-5)


def test_arithmetic_of_slide_99():
    signal, kernel = jnp.array([1.0, 1.0, 3.0, 4.0, 3.0]), jnp.array([1.0, 2.0, 1.0])
    feature = conv1d(signal[None, :, None], kernel[:, None, None])[0, :, 0]
    assert feature.tolist() == [6, 11, 14]


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match="does not fit"):
        conv1d(jnp.zeros((1, 5, 2)), jnp.zeros((3, 1, 4)))
    with pytest.raises(ValueError, match="does not fit"):
        conv1d(jnp.zeros((1, 2, 1)), jnp.zeros((3, 1, 4)))
    with pytest.raises(ValueError, match="multiple of 4"):
        lecture_net().init(jax.random.key(0), jnp.zeros((1, 30, 1)), train=False)


@pytest.mark.parametrize(
    ("net", "parameters", "layers"),
    [
        (lecture_net(), 9_313, [256, 3_600, 1_808, 3_616, 33]),
        (keras_net(), 9_505, [256, 3_600, 1_808, 3_616, 225]),
        (LSTMAutoencoder(), 12_705, None),
    ],
)
def test_published_parameter_counts(net, parameters, layers):
    x = jnp.zeros((1, 288, 1))
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), x, train=False))["params"]
    counts = [sum(leaf.size for leaf in jax.tree.leaves(layer)) for layer in shapes.values()]
    assert sum(counts) == parameters
    assert layers is None or sorted(counts) == sorted(layers)


def test_start_is_glorot_uniform_with_zero_biases():
    params = lecture_net().init(jax.random.key(0), jnp.zeros((1, 8, 1)), train=False)["params"]
    kernel = np.asarray(params["Conv1D_1"]["kernel"])
    limit = np.sqrt(6 / (7 * 32 + 7 * 16))
    assert kernel.shape == (7, 32, 16)
    assert 0.98 * limit < np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert not np.asarray(params["Conv1D_1"]["bias"]).any()


def test_dropout_keeps_the_mean_and_is_off_in_evaluation():
    x = jnp.ones((100, 100))
    dropped = Dropout(0.2).apply({}, x, True, rngs={"dropout": jax.random.key(0)})
    assert float((dropped == 0).mean()) == pytest.approx(0.2, abs=0.02)
    assert set(np.unique(dropped).tolist()) == {0.0, 1.25}
    assert (Dropout(0.2).apply({}, x, False) == x).all()
