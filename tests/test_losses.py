"""Per-example losses against formulas and scikit-learn, and the shapes they must refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics

from jaxdl import losses


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(5, 7), (5, 4, 3, 2)])
def test_regression_losses_are_feature_means(shape):
    outputs, targets = draw(*shape), draw(*shape, seed=1)
    flat = (outputs.reshape(5, -1), targets.reshape(5, -1))
    squared = [metrics.mean_squared_error(t, o) for o, t in zip(*flat, strict=True)]
    absolute = [metrics.mean_absolute_error(t, o) for o, t in zip(*flat, strict=True)]
    np.testing.assert_allclose(losses.mse(outputs, targets), squared, rtol=1e-5)
    np.testing.assert_allclose(losses.mae(outputs, targets), absolute, rtol=1e-5)


def test_binary_cross_entropy_is_the_mean_negative_log_likelihood():
    logits, targets = 3 * draw(6, 10), (draw(6, 10, seed=1) > 0).astype(np.int32)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = -np.where(targets, np.log(p), np.log(1 - p)).mean(axis=1)
    np.testing.assert_allclose(losses.binary_cross_entropy(logits, targets), expected, rtol=1e-5)
    one_logit = losses.binary_cross_entropy(logits[:, 0], targets[:, 0])
    assert one_logit.shape == (6,)


def test_binary_cross_entropy_stays_finite_at_huge_logits():
    value, slope = jax.value_and_grad(lambda x: losses.binary_cross_entropy(x, jnp.ones(1)).sum())(
        jnp.array([-1e4])
    )
    assert value == pytest.approx(1e4)
    assert slope[0] == pytest.approx(-1.0)


def test_softmax_cross_entropy_per_row_and_over_positions():
    logits, labels = draw(8, 4), np.arange(8) % 4
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = losses.softmax_cross_entropy(logits, labels)
    assert rows.mean() == pytest.approx(metrics.log_loss(labels, p, labels=range(4)), rel=1e-5)
    positions = losses.softmax_cross_entropy(logits.reshape(2, 4, 4), labels.reshape(2, 4))
    np.testing.assert_allclose(positions, np.reshape(rows, (2, 4)).mean(axis=1), rtol=1e-5)


def test_gaussian_kl_against_numerical_integration():
    mean, log_variance = np.array([[0.7, -1.2]], np.float32), np.array([[0.3, -0.8]], np.float32)
    x = np.linspace(-15, 15, 60_001)
    total = 0.0
    for m, v in zip(mean[0].astype(float), np.exp(log_variance[0].astype(float)), strict=True):
        log_q = -0.5 * (np.log(2 * np.pi * v) + (x - m) ** 2 / v)
        log_p = -0.5 * (np.log(2 * np.pi) + x**2)
        total += np.trapezoid(np.exp(log_q) * (log_q - log_p), x)
    np.testing.assert_allclose(losses.gaussian_kl(mean, log_variance), [total], rtol=1e-5)
    assert losses.gaussian_kl(jnp.zeros((3, 5)), jnp.zeros((3, 5))).tolist() == [0, 0, 0]


def test_accuracies():
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, -1.0]])
    assert losses.accuracy(logits, np.array([0, 0, 0])).tolist() == [1, 0, 1]
    hits = losses.binary_accuracy(np.array([2.0, -2.0, 2.0, -2.0]), np.array([1, 0, 0, 1]))
    assert hits.tolist() == [1, 1, 0, 0]


def test_low_precision_outputs_are_reduced_in_float32():
    outputs = jnp.full((1, 1000), 1.0, jnp.bfloat16)
    targets = jnp.zeros((1, 1000), jnp.bfloat16).at[0, 0].set(0.9)
    loss = losses.mse(outputs, targets)
    assert loss.dtype == jnp.float32
    assert loss[0] == pytest.approx(0.999, abs=1e-4)


@pytest.mark.parametrize(
    "loss",
    [losses.mse, losses.mae, losses.binary_cross_entropy, losses.binary_accuracy],
)
def test_shapes_that_would_broadcast_are_refused(loss):
    with pytest.raises(ValueError, match="shape"):
        loss(jnp.zeros((4, 1)), jnp.zeros(4))


def test_smoothed_labels_are_spread_over_all_classes():
    logits, labels = jnp.array([[2.0, 0.0, -1.0]]), jnp.array([1])
    log_probability = np.asarray(jax.nn.log_softmax(logits))[0]
    wanted = np.array([0.1, 0.8, 0.1])  # three tenths of the label over three classes
    smoothed = losses.softmax_cross_entropy(logits, labels, smoothing=0.3)
    np.testing.assert_allclose(smoothed, [-(wanted * log_probability).sum()], rtol=1e-6)


@pytest.mark.parametrize("loss", [losses.softmax_cross_entropy, losses.accuracy])
def test_labels_of_the_wrong_shape_are_refused(loss):
    with pytest.raises(ValueError, match="labels"):
        loss(jnp.zeros((4, 3)), jnp.zeros((4, 1), jnp.int32))


def test_losses_jit_and_vmap_over_a_population():
    outputs, targets = draw(3, 5, 2), draw(5, 2, seed=1)
    together = jax.jit(jax.vmap(losses.mse, in_axes=(0, None)))(outputs, targets)
    apart = [losses.mse(member, targets) for member in outputs]
    np.testing.assert_allclose(together, apart, rtol=1e-6)
