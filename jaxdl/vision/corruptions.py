"""Ways to corrupt images whose pixels lie between 0 and 1; pure functions of a key.

Each takes (key, x [batch, pixels]) and keeps the range, so that a corrupted image is an image
again. Vincent, Larochelle, Lajoie, Bengio and Manzagol, "Stacked denoising autoencoders" (2010),
train on these three.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Corruption = Callable[[PRNGKeyArray, Float[Array, "batch pixels"]], Float[Array, "batch pixels"]]


def gaussian(
    key: PRNGKeyArray, x: Float[Array, "batch pixels"], sd: float
) -> Float[Array, "batch pixels"]:
    """Adds to each pixel a normal number of standard deviation `sd`, then cuts at 0 and 1."""
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
    """Sets a share of the pixels to 0."""
    return jnp.where(jax.random.bernoulli(key, share, x.shape), 0.0, x)


def one_of(corruptions: Sequence[Corruption]) -> Corruption:
    """Each image is corrupted in one of these ways, drawn for it with equal probability."""

    def corrupt(key, x):
        choice_key, *keys = jax.random.split(key, len(corruptions) + 1)
        choice = jax.random.randint(choice_key, (len(x), 1), 0, len(corruptions))
        versions = [way(own, x) for way, own in zip(corruptions, keys, strict=True)]
        return jnp.select([choice == i for i in range(len(corruptions))], versions)

    return corrupt
