"""Convolutions as matrix products against XLA's own; the published parameter counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models.conv1d import (
    Dropout,
    conv1d,
    conv1d_transpose,
    layer_rows,
    random_words,
    same_padding,
)
from jaxdl.models.window_autoencoder import LSTMAutoencoder, keras_net, lecture_net

SHAPES = [(8, 7, 2), (9, 7, 2), (12, 7, 1), (7, 4, 3), (9, 2, 3), (5, 1, 1)]


def xla_conv(x, kernel, stride):
    dimensions = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride,), "SAME", dimension_numbers=dimensions)


def arrays(length, taps, inputs=3, features=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, length, inputs)).astype(np.float32)
    return x, rng.normal(size=(taps, inputs, features)).astype(np.float32)


def same_value_and_gradients(ours, theirs, x, kernel):
    """Both functions and their gradients for both arguments, each in one program."""

    def everything(function):
        def loss(x, kernel):
            output = function(x, kernel)
            return jnp.sin(output).sum(), output

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    (gradients, output), (their_gradients, their_output) = everything(ours), everything(theirs)
    np.testing.assert_allclose(output, their_output, atol=1e-5)
    for mine, other in zip(gradients, their_gradients, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)


@pytest.mark.parametrize("features", [2, 40])  # the product first, the windows first
@pytest.mark.parametrize(("length", "taps", "stride"), SHAPES)
def test_convolution_and_its_gradients_are_xlas(length, taps, stride, features):
    x, kernel = arrays(length, taps, features=features)
    same_value_and_gradients(
        lambda x, kernel: conv1d(x, kernel, stride, same_padding(length, taps, stride)),
        lambda x, kernel: xla_conv(x, kernel, stride),
        x,
        kernel,
    )


@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize(("length", "taps", "stride"), SHAPES)
def test_transposed_convolution_is_the_adjoint(length, taps, stride, features):
    x, kernel = arrays(length, taps, features=features)
    output = jnp.zeros((2, length * stride, features))

    def adjoint(x, kernel):
        _, backward = jax.vjp(lambda y: xla_conv(y, kernel.transpose(0, 2, 1), stride), output)
        return backward(x)[0]

    same_value_and_gradients(
        lambda x, kernel: conv1d_transpose(x, kernel, stride), adjoint, x, kernel
    )


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


def test_layers_are_listed_in_order_with_shapes():
    rows = layer_rows(lecture_net(), np.zeros((1, 288, 1), np.float32))
    assert [row["parameters"] for row in rows] == [256, 0, 3_600, 0, 1_808, 3_616, 33]
    assert [row["output"] for row in rows][::6] == ["144 x 32", "288 x 1"]


def test_start_is_glorot_uniform_with_zero_biases():
    init = jax.jit(lambda key: lecture_net().init(key, jnp.zeros((1, 8, 1)), train=False))
    params = init(jax.random.key(0))["params"]
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
    again = Dropout(0.2).apply({}, x, True, rngs={"dropout": jax.random.key(0)})
    other = Dropout(0.2).apply({}, x, True, rngs={"dropout": jax.random.key(1)})
    assert (again == dropped).all()
    assert float((other == dropped).mean()) == pytest.approx(0.8**2 + 0.2**2, abs=0.02)


def test_cheap_random_words_look_random():
    """Every bit is fair, and independent of its neighbours, of the other bits and of other keys."""
    keys = jax.random.split(jax.random.key(0), 64)
    words = np.asarray(jax.vmap(lambda key: random_words(key, (32, 64)))(keys)).reshape(64, -1)
    assert np.array_equal(random_words(keys[3], (2048,)), words[3])  # vmapped or alone
    bits = ((words[:, :, None] >> np.arange(32, dtype=np.uint32)) & 1).astype(np.float64) - 0.5
    noise = 5.5 * 0.5 / np.sqrt(bits[:, :, 0].size)
    assert np.abs(bits.mean(axis=(0, 1))).max() < noise
    pairs = 2 * np.einsum("kpi,kpj->ij", bits, bits) / bits[:, :, 0].size
    assert np.abs(pairs - np.diag(np.diag(pairs))).max() < noise
    for lag in (1, 2, 32, 64):
        assert np.abs(2 * (bits[:, lag:] * bits[:, :-lag]).mean(axis=(0, 1))).max() < noise
        assert np.abs(2 * (bits[1:] * bits[:-1]).mean(axis=(0, 1))).max() < noise
    assert np.unique(words).size > words.size - 10
