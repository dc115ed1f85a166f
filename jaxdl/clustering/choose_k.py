"""How many clusters? The elbow of the inertia and the gap statistic."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from jaxdl.clustering.kmeans import kmeans


class Gap(NamedTuple):
    """The gap statistic.

    Attributes:
        gap: mean log inertia of uniform reference data minus that of the data.
        error: standard error of `gap`, s_k in the paper.
        chosen: the smallest k with gap(k) >= gap(k + 1) - s(k + 1), the last k if none has.
    """

    gap: Float[np.ndarray, " ks"]
    error: Float[np.ndarray, " ks"]
    chosen: int


def gap_statistic(
    key: PRNGKeyArray,
    x: Float[np.ndarray, "n features"],
    ks: tuple[int, ...],
    references: int = 50,
    restarts: int = 5,
) -> Gap:
    """How much tighter the clusters are than in data without any (Tibshirani et al. 2001).

    References are uniform in the box of the principal axes. All fits run in one program.

    Args:
        ks: consecutive numbers of clusters, from 1.
    """
    mean = x.mean(axis=0)
    _, _, axes = np.linalg.svd(x - mean, full_matrices=False)
    turned = ((x - mean) @ axes.T).astype(np.float32)
    keys = jax.random.split(key, references + 1)
    inertia = np.asarray(_gap_inertia(keys, turned, ks, restarts), np.float64)
    logs = np.log(np.maximum(inertia, np.finfo(np.float32).tiny))
    gap = logs[1:].mean(axis=0) - logs[0]
    error = logs[1:].std(axis=0) * np.sqrt(1 + 1 / references)
    enough = np.flatnonzero(gap[:-1] >= gap[1:] - error[1:])
    return Gap(gap, error, ks[enough[0]] if enough.size else ks[-1])


@partial(jax.jit, static_argnames=("ks", "restarts"))
def _gap_inertia(keys, x, ks, restarts):
    """Inertia [1 + references, ks]: of the data first, then of uniform data in the same box."""
    weights = jnp.ones(len(x))

    def one(key):
        box = jax.random.uniform(key, x.shape, minval=x.min(axis=0), maxval=x.max(axis=0))
        return kmeans(jax.random.fold_in(key, 1), box, weights, ks, restarts).inertia

    data = kmeans(keys[0], x, weights, ks, restarts).inertia
    return jnp.concatenate([data[None], jax.lax.map(one, keys[1:])])


def elbow(ks: tuple[int, ...], inertia: Float[np.ndarray, " ks"]) -> int:
    """The k whose inertia lies farthest below the line from the first to the last k."""
    k, fall = np.asarray(ks, np.float64), np.asarray(inertia, np.float64)
    line = fall[0] + (fall[-1] - fall[0]) * (k - k[0]) / (k[-1] - k[0])
    return ks[int(np.argmax(line - fall))]
