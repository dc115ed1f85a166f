"""How many clusters? Two rules that read a curve over k: the elbow and the gap statistic."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray

from jaxdl.clustering.kmeans import kmeans


def elbow(ks: tuple[int, ...], inertia: Float[np.ndarray, " ks"]) -> int:
    """The k whose inertia lies farthest below the straight line from the first k to the last.

    It is the knee of Satopaa et al., "Finding a 'kneedle' in a haystack" (2011), without smoothing.

    Args:
        ks: ascending numbers of clusters.
        inertia: of the fit with each of them.

    >>> elbow((1, 2, 3, 4, 5), np.array([100.0, 60.0, 20.0, 18.0, 17.0]))
    3
    """
    k, fall = np.asarray(ks, np.float64), np.asarray(inertia, np.float64)
    line = fall[0] + (fall[-1] - fall[0]) * (k - k[0]) / (k[-1] - k[0])
    return ks[int(np.argmax(line - fall))]


class Gap(NamedTuple):
    """The gap statistic.

    Attributes:
        gap: for each k the mean log inertia of the reference data minus that of the data.
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
    """How much tighter the clusters of the data are than those of data that have none.

    Tibshirani, Walther and Hastie, "Estimating the number of clusters in a data set via the gap
    statistic" (2001), with their second kind of reference: uniform in the box that is aligned with
    the principal components of the data. All fits of a data set run as one program, and several
    data sets at a time: XLA keeps the loops of a program on one core of a CPU.

    Args:
        key: draws the reference data and the starts of K-means.
        x: points.
        ks: consecutive numbers of clusters, from 1.
        references: reference data sets.
        restarts: of K-means.

    >>> corners = np.array([(0.0, 0.0), (4.0, 0.0), (2.0, 3.0)])
    >>> x = np.repeat(corners, 50, axis=0) + np.random.default_rng(0).normal(0, 0.5, (150, 2))
    >>> gap_statistic(jax.random.key(0), x, (1, 2, 3, 4), references=10).chosen
    3
    """
    mean = x.mean(axis=0)
    _, _, axes = np.linalg.svd(x - mean, full_matrices=False)
    turned = ((x - mean) @ axes.T).astype(np.float32)
    keys = jax.random.split(key, references + 1)
    of_data = kmeans(keys[0], turned, np.ones(len(turned), np.float32), ks, restarts).inertia

    def of_references(some: Key[Array, " keys"]) -> Float[np.ndarray, "keys ks"]:
        return np.asarray(_inertia_of_references(some, turned, ks, restarts))

    threads = min(_cores(), references) if jax.default_backend() == "cpu" else 1
    each = -(-references // threads)
    # equally many for every thread, so that one program serves all; what is too much is cut off
    shares = jnp.resize(keys[1:], (threads, each))
    with ThreadPoolExecutor(threads) as pool:
        found = np.concatenate(list(pool.map(of_references, shares)))[:references]
    inertia = np.concatenate([np.asarray(of_data)[None], found]).astype(np.float64)
    logs = np.log(np.maximum(inertia, np.finfo(np.float32).tiny))
    gap = logs[1:].mean(axis=0) - logs[0]
    error = logs[1:].std(axis=0) * np.sqrt(1 + 1 / references)
    enough = np.flatnonzero(gap[:-1] >= gap[1:] - error[1:])
    return Gap(gap, error, ks[enough[0]] if enough.size else ks[-1])


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@partial(jax.jit, static_argnames=("ks", "restarts"))
def _inertia_of_references(
    keys: Key[Array, " keys"],
    x: Float[Array, "n features"],
    ks: tuple[int, ...],
    restarts: int,
) -> Float[Array, "keys ks"]:
    """Inertia of uniform data in the box of the data, one data set for a key."""
    weights = jnp.ones(len(x))

    def of_reference(key):
        box = jax.random.uniform(key, x.shape, minval=x.min(axis=0), maxval=x.max(axis=0))
        return kmeans(jax.random.fold_in(key, 1), box, weights, ks, restarts).inertia

    return jax.lax.map(of_reference, keys)
