"""Bounds on the log likelihood of latent-variable models with a Gaussian prior and posterior.

All in nats, per example, as pure functions of a key. The model enters as `log_likelihood`: codes
[draws, batch, latent] -> log p(x | z) [draws, batch].
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from jaxdl import losses
from jaxdl.models.vae import Posterior

LogLikelihood = Callable[[Float[Array, "draws batch latent"]], Float[Array, "draws batch"]]


def bernoulli_log_likelihood(
    logits: Float[Array, " *draws batch pixels"], x: Float[Array, "batch pixels"]
) -> Float[Array, " *draws batch"]:
    """log p(x | logits) of independent binary pixels, summed over them."""
    return (x * logits - jax.nn.softplus(logits)).sum(axis=-1)


def evidence_bound(
    key: PRNGKeyArray, posterior: Posterior, log_likelihood: LogLikelihood, draws: int
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """The evidence lower bound in its two parts, the first averaged over `draws` codes.

    Returns:
        (reconstruction term E log p(x | z), KL divergence of the posterior from the prior); the
        bound is the first minus the second.
    """
    noise = jax.random.normal(key, (draws, *posterior.mean.shape))
    codes = posterior.mean + jnp.exp(0.5 * posterior.log_variance) * noise
    return log_likelihood(codes).mean(axis=0), losses.gaussian_kl(*posterior)


def importance_bound(
    key: PRNGKeyArray,
    posterior: Posterior,
    log_likelihood: LogLikelihood,
    draws: int,
    chunk: int = 50,
) -> Float[Array, " batch"]:
    """The importance-weighted bound log (1/K) sum_k p(x, z_k) / q(z_k | x), with K = `draws`.

    Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders" (2015). In expectation it
    grows with K, from the evidence bound (K = 1) towards log p(x). A scan keeps the running sum of
    the weights, so memory is that of one chunk.

    Args:
        key: draws the codes.
        posterior: q, which is where the codes are drawn from.
        log_likelihood: see the module.
        draws: K.
        chunk: codes of each example in one step of the scan.

    Raises:
        ValueError: `draws` is not a multiple of `chunk`.
    """
    if draws % chunk:
        raise ValueError(f"{draws} draws are not a multiple of the chunk, {chunk}")
    mean, log_variance = posterior
    half_width = jnp.exp(0.5 * log_variance)

    def add(total, i):
        noise = jax.random.normal(jax.random.fold_in(key, i), (chunk, *mean.shape))
        codes = mean + half_width * noise
        # log prior - log posterior; the terms with 2 pi cancel
        ratio = 0.5 * (jnp.square(noise) - jnp.square(codes) + log_variance).sum(axis=-1)
        weights = log_likelihood(codes) + ratio
        return jnp.logaddexp(total, jax.nn.logsumexp(weights, axis=0)), None

    nothing = jnp.full(mean.shape[:-1], -jnp.inf, mean.dtype)
    total, _ = jax.lax.scan(add, nothing, jnp.arange(draws // chunk))
    return total - jnp.log(draws)


def independent_pixels(
    known: UInt8[Array, "rows pixels"], x: UInt8[Array, "batch pixels"]
) -> Float[Array, " batch"]:
    """log p(x) of binary pixels that know nothing of one another: the baseline of every model.

    The share of ones of each pixel in `known` is smoothed as if one image of all ones and one of
    all zeros had been seen besides.
    """
    share = (known.sum(axis=0, dtype=jnp.float32) + 1) / (len(known) + 2)
    logits = jnp.log(share) - jnp.log1p(-share)
    return bernoulli_log_likelihood(logits[None], x.astype(jnp.float32))
