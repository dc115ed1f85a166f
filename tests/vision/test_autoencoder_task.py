"""The task of image autoencoders: bytes or numbers, clean or corrupted inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models.autoencoder import ConvAutoencoder, DenseAutoencoder
from jaxdl.training import fit, parameter_count
from jaxdl.vision.autoencoder_task import (
    cross_entropy,
    encoded,
    reconstructed,
    reconstruction_task,
    squared_error,
)


@pytest.fixture(scope="module")
def grey():
    """60 images of 16 pixels from three classes that differ in their mean."""
    rng = np.random.default_rng(0)
    centre = rng.integers(0, 256, (3, 16))
    x = centre[np.arange(60) % 3] + rng.normal(0, 25, (60, 16))
    return np.clip(x, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("widths", "count"), [((32,), 50_992), ((64,), 101_200), ((128, 64, 32), 222_384)]
)
def test_parameters_are_the_lectures(widths, count):
    task = reconstruction_task(DenseAutoencoder(784, widths), cross_entropy, 1e-3)
    variables = jax.eval_shape(task.init, jax.random.key(0), {"x": jnp.zeros((1, 784), jnp.uint8)})
    assert parameter_count(variables) == count


def test_a_task_says_whether_its_model_convolves():
    dense, convolutional = DenseAutoencoder(64, (4,)), ConvAutoencoder(8, 4, 3, 6, 5)
    assert not reconstruction_task(dense, squared_error, 1e-3).convolves
    assert reconstruction_task(convolutional, squared_error, 1e-3).convolves


def test_bytes_and_numbers_are_the_same_images(grey):
    task = reconstruction_task(DenseAutoencoder(16, (4,)), squared_error, 1e-2)
    blank = fit(task, {"x": grey}, seeds=np.arange(2), epochs=0, batch_size=20)
    as_numbers = {"x": grey.astype(np.float32) / 255}
    for values in (encoded, reconstructed, cross_entropy, squared_error):
        of_bytes = blank.predict(values, {"x": grey})
        of_numbers = blank.predict(values, as_numbers)
        np.testing.assert_allclose(of_bytes, of_numbers, rtol=1e-5, atol=1e-6)
    assert of_bytes.shape == (2, 60)


def test_errors_are_those_of_the_reconstruction(grey):
    task = reconstruction_task(DenseAutoencoder(16, (8, 4)), squared_error, 1e-2)
    trained = fit(task, {"x": grey}, seeds=np.arange(1), epochs=30, batch_size=20)
    copy, x = trained.predict(reconstructed, {"x": grey})[0], grey / 255
    expected = np.square(copy - x).mean(axis=1)
    np.testing.assert_allclose(trained.predict(squared_error, {"x": grey})[0], expected, rtol=1e-4)
    entropy = -(x * np.log(copy) + (1 - x) * np.log(1 - copy)).mean(axis=1)
    np.testing.assert_allclose(trained.predict(cross_entropy, {"x": grey})[0], entropy, rtol=1e-4)
    mse = trained.history["train_mse"]
    np.testing.assert_array_equal(mse, trained.history["train_loss"])
    assert mse[-1] < 0.5 * mse[0]


def test_denoiser_sees_noise_only_in_training(grey):
    def darken(key, x):
        return jnp.zeros_like(x)

    task = reconstruction_task(DenseAutoencoder(16, (4,)), squared_error, 1e-2, corrupt=darken)
    key = jax.random.key(0)
    variables = task.init(key, {"x": grey})
    corrupted, _ = task.apply(variables, {"x": grey}, key, True, {})
    assert np.ptp(np.asarray(corrupted.logits), axis=0).max() == 0  # all inputs were black
    clean, _ = task.apply(variables, {"x": grey}, key, False, {})
    assert np.ptp(np.asarray(clean.logits), axis=0).max() > 0
    given, _ = task.apply(variables, {"x": grey, "input": 0.0 * grey}, key, False, {})
    np.testing.assert_array_equal(given.logits, corrupted.logits)
