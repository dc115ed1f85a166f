"""Corrupted images: noise of the stated strength, a pure function of the key."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.vision import corruptions

GREY = jnp.full((50, 784), 0.5)


@pytest.mark.parametrize(
    "corrupt",
    [
        partial(corruptions.gaussian, sd=0.8),
        partial(corruptions.salt_and_pepper, share=0.2),
        partial(corruptions.masking, share=0.4),
    ],
)
def test_noise_is_a_function_of_the_key_and_keeps_the_range(corrupt):
    noisy = np.asarray(corrupt(jax.random.key(0), GREY))
    np.testing.assert_array_equal(noisy, corrupt(jax.random.key(0), GREY))
    assert (noisy != corrupt(jax.random.key(1), GREY)).any()
    assert noisy.min() >= 0
    assert noisy.max() <= 1


def test_noise_is_of_the_stated_strength():
    key = jax.random.key(0)
    assert corruptions.gaussian(key, GREY, sd=0.1).std() == pytest.approx(0.1, rel=0.02)
    salted = np.asarray(corruptions.salt_and_pepper(key, GREY, share=0.2))
    assert (salted == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (salted == 1).mean() == pytest.approx(0.1, abs=0.01)
    assert (salted == 0.5).mean() == pytest.approx(0.8, abs=0.01)
    masked = np.asarray(corruptions.masking(key, GREY, share=0.4))
    assert (masked == 0).mean() == pytest.approx(0.4, abs=0.01)
    assert (masked == 0.5).mean() == pytest.approx(0.6, abs=0.01)


def test_one_of_several_ways_is_drawn_for_each_row():
    def brighten(key, x):
        return x + 1.0

    def keep(key, x):
        return x

    either = corruptions.one_of([brighten, keep])
    corrupted = np.asarray(either(jax.random.key(0), jnp.zeros((400, 3))))
    assert ((corrupted == corrupted[:, :1]).all(axis=1)).all()
    assert corrupted[:, 0].mean() == pytest.approx(0.5, abs=0.1)
