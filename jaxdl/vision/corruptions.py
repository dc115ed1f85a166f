"""Ways to spoil an image whose pixels lie between 0 and 1; pure functions of a key.

Each takes (key, x [batch, pixels]) and keeps the range, so that a spoilt image is an image again.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Noise = Callable[[PRNGKeyArray, Float[Array, "batch pixels"]], Float[Array, "batch pixels"]]


def gaussian(
    key: PRNGKeyArray, x: Float[Array, "batch pixels"], sd: float
) -> Float[Array, "batch pixels"]:
    """Adds N(0, sd) to each pixel, then cuts at 0 and 1."""
    return jnp.clip(x + sd * jax.random.normal(key, x.shape), 0.0, 1.0)


def salt_and_pepper(
    key: PRNGKeyArray, x: Float[Array, "batch pixels"], share: float
) -> Float[Array, "batch pixels"]:
    """Sets a share of the pixels to 0 or 1, half of them each, whatever they were."""
    u = jax.random.uniform(key, x.shape)
    return jnp.where(u < share / 2, 0.0, jnp.where(u < share, 1.0, x))


def masking(
    key: PRNGKeyArray, x: Float[Array, "batch pixels"], share: float
) -> Float[Array, "batch pixels"]:
    """Sets a share of the pixels to 0 (Vincent et al., 2008)."""
    return jnp.where(jax.random.bernoulli(key, share, x.shape), 0.0, x)


def kinds(sd: float, salted: float, masked: float) -> Mapping[str, Noise]:
    """The three kinds by name, with their strengths in it."""
    return {
        f"Gaussian, sd {sd:g}": partial(gaussian, sd=sd),
        f"salt and pepper, {salted:.0%}": partial(salt_and_pepper, share=salted),
        f"masking, {masked:.0%}": partial(masking, share=masked),
    }


def any_of(noises: Mapping[str, Noise]) -> Noise:
    """Each row is spoilt by one kind, drawn for it."""

    def spoil(key, x):
        choice_key, *keys = jax.random.split(key, len(noises) + 1)
        choice = jax.random.randint(choice_key, (len(x), 1), 0, len(noises))
        versions = [noise(own, x) for noise, own in zip(noises.values(), keys, strict=True)]
        return jnp.select([choice == i for i in range(len(noises))], versions)

    return spoil
