"""Variational autoencoders of binary images: pixels made binary, the task, bounds on test images.

Grey pixels are made binary in one of three ways, which give different problems, so that bounds can
only be compared within one. "static": each pixel is drawn once, with its grey as probability, by a
fixed seed. "dynamic": training images are drawn anew in every step, the others are static.
"threshold": 1 from 128 on.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, UInt8

from jaxdl import losses, optim
from jaxdl.models.layers import convolves
from jaxdl.models.vae import VAE, VaeOutput, reparametrise, warmed
from jaxdl.training import Fitted, Task
from jaxdl.training.task import Batch
from jaxdl.vision import likelihood_bounds

Binarisation = Literal["static", "dynamic", "threshold"]
ACTIVE = 0.01  # variance of the posterior mean from which a dimension counts as used


class Drawn(NamedTuple):
    """What one pass gives: the model's output for `target`, and the weight of the KL term."""

    output: VaeOutput
    target: Float[Array, "batch pixels"]
    beta: Float[Array, ""]


def binary(
    grey: UInt8[np.ndarray, "rows pixels"], how: Binarisation, seed: int
) -> UInt8[np.ndarray, "rows pixels"]:
    """Pixels 0 and 1; a pure function of the seed."""
    if how == "threshold":
        return (grey > 127).astype(np.uint8)
    rng = np.random.Generator(np.random.PCG64(seed))
    return (rng.random(grey.shape, np.float32) * 255 < grey).astype(np.uint8)


def vae_task(
    module: VAE, beta: float, warm_up_steps: int, learning_rate: float | optax.Schedule
) -> Task:
    """Minimise reconstruction + weight * KL, the weight rising to `beta` over the first steps.

    Batches hold binary "x", or bytes "grey" that are drawn anew in every step. The step is counted
    in a collection of its own. In evaluation, too, one code is drawn for each image, always by the
    same key, for the loss is a bound only at a drawn code.
    """

    def init(key, batch):
        x = jnp.zeros(next(iter(batch.values())).shape, jnp.float32)
        start = {"warm_up": {"step": jnp.zeros((), jnp.int32)}}
        return {**module.init({"params": key}, x, train=False), **start}

    def apply(variables, batch, key, train, hyper):
        del hyper
        pixel_key, code_key = jax.random.split(key)
        if "grey" in batch:
            share = batch["grey"].astype(jnp.float32) / 255
            x = jax.random.bernoulli(pixel_key, share).astype(jnp.float32)
        else:
            x = batch["x"].astype(jnp.float32)
        params = {"params": variables["params"]}
        posterior = module.apply(params, x, method="encode")
        logits = module.apply(params, reparametrise(code_key, posterior), method="decode")
        step = variables["warm_up"]["step"]
        weight = warmed(step, warm_up_steps, beta) if train else jnp.asarray(beta)
        return Drawn(VaeOutput(logits, posterior), x, weight), (
            {"warm_up": {"step": step + 1}} if train else {}
        )

    def loss(drawn, batch, hyper):
        return reconstruction(drawn, batch) + drawn.beta * divergence(drawn, batch)

    terms = {
        "reconstruction": reconstruction,
        "kl": divergence,
        "bound": lambda drawn, batch: reconstruction(drawn, batch) + divergence(drawn, batch),
    }
    return Task(
        init,
        apply,
        loss,
        lambda hyper: optim.adam(learning_rate),
        terms,
        convolves=convolves(module),
    )


def reconstruction(drawn: Drawn, batch: Batch) -> Float[Array, " batch"]:
    """-log p(x | z) in nats, summed over pixels."""
    del batch
    return -likelihood_bounds.bernoulli_log_likelihood(drawn.output.reconstruction, drawn.target)


def divergence(drawn: Drawn, batch: Batch) -> Float[Array, " batch"]:
    """KL divergence of the posterior from the prior, in nats."""
    del batch
    return losses.gaussian_kl(*drawn.output.posterior)


def means(drawn: Drawn, batch: Batch) -> Float[Array, "batch latent"]:
    """The posterior's mean; for `Fitted.predict`."""
    del batch
    return drawn.output.posterior.mean


def bounds_of(
    module: VAE,
    fitted: Fitted,
    x: UInt8[np.ndarray, "rows pixels"],
    draws: Sequence[int],
    elbo_draws: int = 20,
    chunk: int = 25,
    batch: int = 40,
) -> dict[str, Float[np.ndarray, "seeds rows"]]:
    """Bounds of every member on every row, in nats, signs turned: lower is better.

    Args:
        module: the model.
        fitted: its population.
        x: binary images.
        draws: K of the importance-weighted bounds, each 1 or a multiple of `chunk`.
        elbo_draws: codes over which the reconstruction term is averaged.
        chunk: codes in one step of the scan.
        batch: images at once; small, so that logits stay in a core's cache.

    Returns:
        "reconstruction" and "kl", whose sum is the negative evidence bound, and "IWAE-K" for each
        K of `draws`.
    """

    @jax.jit
    def judge(params, key, x):
        posterior = module.apply(params, x, method="encode")

        def log_likelihood(codes):
            return likelihood_bounds.bernoulli_log_likelihood(
                module.apply(params, codes, method="decode"), x
            )

        first, *keys = jax.random.split(key, len(draws) + 1)
        fit, kl = likelihood_bounds.evidence_bound(first, posterior, log_likelihood, elbo_draws)
        found = {"reconstruction": -fit, "kl": kl}
        for k, own in zip(draws, keys, strict=True):
            value = likelihood_bounds.importance_bound(
                own, posterior, log_likelihood, k, min(chunk, k)
            )
            found[f"IWAE-{k}"] = -value
        return found

    members = []
    for member, seed in enumerate(fitted.seeds):
        params = {"params": jax.tree.map(lambda w, m=member: w[m], fitted.variables["params"])}
        parts = []
        for start in range(0, len(x), batch):
            rows = np.minimum(np.arange(start, start + batch), len(x) - 1)
            key = jax.random.fold_in(jax.random.key(int(seed)), start)
            part = jax.device_get(judge(params, key, x[rows].astype(np.float32)))
            parts.append(part)
        joined = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
        members.append({k: value[: len(x)] for k, value in joined.items()})
    return {k: np.stack([found[k] for found in members]) for k in members[0]}


def images_of(
    module: VAE, fitted: Fitted, codes: Float[np.ndarray, "rows latent"], member: int = 0
) -> Float[np.ndarray, "rows pixels"]:
    """What a member decodes: the probability of each pixel."""
    params = {"params": jax.tree.map(lambda w: w[member], fitted.variables["params"])}
    return np.asarray(jax.nn.sigmoid(module.apply(params, jnp.asarray(codes), method="decode")))


def plane(side: int, reach: float = 0.95) -> Float[np.ndarray, "side*side 2"]:
    """A grid over the middle of a 2-D prior, denser where the prior is; row by row from the top.

    Kingma and Welling (2013), figure 4: equal steps in probability, turned into codes by the
    inverse of the Gaussian's distribution function.
    """
    from scipy.stats import norm

    steps = norm.ppf(np.linspace((1 - reach) / 2, (1 + reach) / 2, side))
    across, down = np.meshgrid(steps, steps[::-1])
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)


def traversals(
    middle: Float[np.ndarray, " latent"], dimensions: Sequence[int], steps: Sequence[float]
) -> Mapping[str, Float[np.ndarray, "steps latent"]]:
    """Codes in which one dimension at a time takes the values `steps`, the others stay."""
    walks = {}
    for dimension in dimensions:
        codes = np.tile(np.asarray(middle, np.float32), (len(steps), 1))
        codes[:, dimension] = steps
        walks[f"dimension {dimension}"] = codes
    return walks
