"""Bounds on log p(x) of models with a latent code z: what a variational autoencoder is judged by.

The prior p(z) is standard normal, q(z | x) is a Gaussian with independent dimensions
(`jaxdl.models.vae.Posterior`), and the model enters as `log_likelihood`, a function that takes
codes [draws, batch, latent] to log p(x | z) [draws, batch]. All values are in nats, one for each
example; all functions are pure functions of a key.
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
    """log p(x | z) in nats of binary pixels that are independent given the code, summed over them.

    With p = sigmoid(l) the term of a pixel is x log p + (1 - x) log(1 - p) = x l - softplus(l).

    >>> bernoulli_log_likelihood(jnp.zeros((1, 3)), jnp.ones((1, 3))) / jnp.log(2)
    Array([-3.], dtype=float32)
    """
    return (x * logits - jax.nn.softplus(logits)).sum(axis=-1)


def evidence_bound(
    key: PRNGKeyArray, posterior: Posterior, log_likelihood: LogLikelihood, draws: int
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """The two terms of the evidence lower bound, ELBO = E_q [log p(x | z)] - KL(q(z | x) || p(z)).

    log p(x) is larger by KL(q(z | x) || p(z | x)), so the bound is tight where q is the true
    posterior. Kingma and Welling, "Auto-encoding variational Bayes" (2014), equation 3; the first
    term is averaged over draws from q, the second has a closed form (their appendix B).

    Args:
        key: draws the codes.
        posterior: q(z | x) of each example.
        log_likelihood: see the module.
        draws: codes of each example over which the first term is averaged.

    Returns:
        (E_q [log p(x | z)], KL(q(z | x) || p(z))) in nats; the bound is their difference.
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
    """The importance-weighted bound, log (1/K) sum_k p(x, z_k) / q(z_k | x) with z_k drawn from q.

    K = `draws`. In expectation it grows with K: with K = 1 it is the evidence bound, and where the
    weights p/q are bounded it tends to log p(x). Burda, Grosse and Salakhutdinov, "Importance
    weighted autoencoders" (2016), theorem 1. A scan over chunks of draws keeps a running
    log-sum-exp of the weights, so memory is that of one chunk.

    Args:
        key: draws the codes.
        posterior: q(z | x) of each example.
        log_likelihood: see the module.
        draws: K.
        chunk: codes of each example in one step of the scan.

    Raises:
        ValueError: `draws` is not a multiple of `chunk`.
    """
    if draws % chunk:
        raise ValueError(f"{draws} draws are not a multiple of the chunk, {chunk}")
    mean, log_variance = posterior
    deviation = jnp.exp(0.5 * log_variance)

    def add(total, i):
        noise = jax.random.normal(jax.random.fold_in(key, i), (chunk, *mean.shape))
        codes = mean + deviation * noise
        # log p(z) - log q(z | x); the terms with 2 pi cancel
        log_ratio = 0.5 * (jnp.square(noise) - jnp.square(codes) + log_variance).sum(axis=-1)
        log_weights = log_likelihood(codes) + log_ratio
        return jnp.logaddexp(total, jax.nn.logsumexp(log_weights, axis=0)), None

    nothing = jnp.full(mean.shape[:-1], -jnp.inf, mean.dtype)
    total, _ = jax.lax.scan(add, nothing, jnp.arange(draws // chunk))
    return total - jnp.log(draws)


def independent_pixels(
    known: UInt8[Array, "rows pixels"], x: UInt8[Array, "batch pixels"]
) -> Float[Array, " batch"]:
    """log p(x) in nats of independent binary pixels, exactly: the baseline of every latent code.

    A pixel's probability of being 1 is its share of ones in `known`, smoothed as if one image of
    all ones and one of all zeros had been seen besides.
    """
    share = (known.sum(axis=0, dtype=jnp.float32) + 1) / (len(known) + 2)
    logits = jnp.broadcast_to(jnp.log(share) - jnp.log1p(-share), x.shape)
    return bernoulli_log_likelihood(logits, x.astype(jnp.float32))
