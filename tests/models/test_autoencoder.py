"""Autoencoders: two halves that can be used alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models.autoencoder import ConvAutoencoder, DenseAutoencoder
from jaxdl.models.layers import identity


@pytest.mark.parametrize(
    "model",
    [
        DenseAutoencoder(64, (6, 5)),
        DenseAutoencoder(64, (6, 5), code_activation=identity),
        ConvAutoencoder(8, 4, channels=3, hidden=6, code=5),
        ConvAutoencoder(8, 2, channels=3, hidden=6, code=5, depth=2),
    ],
)
def test_the_halves_are_the_whole(model):
    x = jax.random.uniform(jax.random.key(1), (2, 64))
    variables = model.init({"params": jax.random.key(0)}, x, train=False)
    code = model.apply(variables, x, method="encode")
    assert code.shape == (2, 5)
    whole = model.apply(variables, x, train=False)
    assert whole.shape == x.shape
    np.testing.assert_allclose(whole, model.apply(variables, code, method="decode"))


def test_an_image_is_cut_into_whole_patches():
    model, x = ConvAutoencoder(10, 4, 3, 6, 5), jnp.ones((2, 100))
    with pytest.raises(ValueError, match="cannot be cut into patches of 4"):
        model.init({"params": jax.random.key(0)}, x, train=False)


def test_noise_is_added_in_training_only():
    model, x = DenseAutoencoder(5, (3,), noise=0.5), jnp.ones((2, 5))
    variables = model.init({"params": jax.random.key(0)}, x, train=False)
    clean = model.apply(variables, x, train=False)
    np.testing.assert_array_equal(clean, model.apply(variables, x, train=False))
    noisy = model.apply(variables, x, train=True, rngs={"dropout": jax.random.key(1)})
    assert (noisy != clean).any()
