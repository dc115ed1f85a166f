"""What the clustering labs need beside scikit-learn.

K-means as one array program for all numbers of clusters and all restarts at once (small data sets
many times over: the gap statistic; weighted points: the colours of an image), the elbow and the gap
rule, and label propagation in closed form. Hierarchical clustering, DBSCAN, silhouettes and single
K-means fits are scikit-learn's.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

Points = Float[Array, "n features"]


class Clusters(NamedTuple):
    """K-means for several numbers of clusters.

    Attributes:
        centres: rows from `ks[i]` on are not used.
        inertia: weighted sum of squared distances to the nearest centre, the best restart's.
        iterations: Lloyd steps of that restart.
    """

    centres: Float[Array, "ks most features"]
    inertia: Float[Array, " ks"]
    iterations: Int[Array, " ks"]


def nearest(
    x: Points, centres: Float[Array, "k features"], used: Bool[Array, " k"] | None = None
) -> Int[Array, " n"]:
    """Index of the nearest centre, the first of equals; centres not `used` are not considered."""
    product = jnp.matmul(x, centres.T, precision="highest")
    distance = jnp.square(centres).sum(axis=1) - 2.0 * product
    if used is not None:
        distance = jnp.where(used, distance, jnp.inf)
    return distance.argmin(axis=1)


def plus_plus(
    key: PRNGKeyArray, x: Points, weights: Float[Array, " n"], k: int
) -> Float[Array, "k features"]:
    """Greedy k-means++ starting centres (Arthur and Vassilvitskii 2007), as scikit-learn's.

    Of 2 + ln k candidates, drawn with probability proportional to weight times squared distance,
    the one that leaves the least inertia is kept. The first j centres are a start for j clusters.
    """
    x, trials = jnp.asarray(x), 2 + int(np.log(k))

    def draw(key, mass, count):
        total = jnp.cumsum(mass)
        position = jax.random.uniform(key, (count,)) * total[-1]
        return jnp.minimum(jnp.searchsorted(total, position, side="right"), len(x) - 1)

    def squared(points):
        return jnp.square(x[None] - points[:, None]).sum(axis=2)

    def add(i, state):
        centres, closest = state
        candidates = draw(jax.random.fold_in(key, i), weights * closest, trials)
        left = jnp.minimum(closest, squared(x[candidates]))
        best = (left * weights).sum(axis=1).argmin()
        return centres.at[i].set(x[candidates[best]]), left[best]

    first = x[draw(jax.random.fold_in(key, 0), weights, 1)]
    centres = jnp.zeros((k, x.shape[1]), x.dtype).at[0].set(first[0])
    return jax.lax.fori_loop(1, k, add, (centres, squared(first)[0]))[0]


def lloyd(
    x: Points,
    weights: Float[Array, " n"],
    centres: Float[Array, "k features"],
    used: Bool[Array, " k"],
    max_iterations: int = 300,
    tolerance: float | Array = 0.0,
) -> tuple[Float[Array, "k features"], Float[Array, ""], Int[Array, ""]]:
    """Lloyd's iteration from given centres until they move no more.

    Args:
        x: points; centre them first, for float32's sake.
        used: which centres take part. One that loses all its points stays where it is.
        tolerance: stop when the squared movements add up to no more than this.

    Returns:
        (centres, inertia, number of steps).
    """

    def step(state):
        centres, _, count = state
        member = jax.nn.one_hot(nearest(x, centres, used), len(centres), dtype=x.dtype)
        member = member * weights[:, None]
        mass = member.sum(axis=0)
        sums = jnp.matmul(member.T, x, precision="highest")
        moved = jnp.where((mass > 0)[:, None], sums / jnp.maximum(mass, 1e-30)[:, None], centres)
        return moved, jnp.square(moved - centres).sum(), count + 1

    def going(state):
        return (state[1] > tolerance) & (state[2] < max_iterations)

    start = (centres, jnp.array(jnp.inf, x.dtype), jnp.int32(0))
    centres, _, count = jax.lax.while_loop(going, step, start)
    distance = jnp.square(x - centres[nearest(x, centres, used)]).sum(axis=1)
    return centres, (weights * distance).sum(), count


def used_centres(ks: tuple[int, ...]) -> Bool[np.ndarray, "ks most"]:
    """Which of `max(ks)` centres belong to each number of clusters."""
    return np.arange(max(ks))[None] < np.asarray(ks)[:, None]


@partial(jax.jit, static_argnames=("ks", "restarts", "max_iterations"))
def kmeans(
    key: PRNGKeyArray,
    x: Points,
    weights: Float[Array, " n"],
    ks: tuple[int, ...],
    restarts: int,
    max_iterations: int = 300,
    tolerance: float = 0.0,
) -> Clusters:
    """K-means for every k in `ks`, the best of `restarts` k-means++ starts: one program.

    Memory is len(ks) * restarts * n * max(ks) numbers; `tolerance` is as in `lloyd`.
    """
    starts = jax.vmap(lambda key: plus_plus(key, x, weights, max(ks)))(
        jax.random.split(key, restarts)
    )
    run = jax.vmap(
        lambda start, used: lloyd(x, weights, start, used, max_iterations, tolerance), (0, None)
    )
    centres, inertia, iterations = jax.vmap(run, (None, 0))(starts, used_centres(ks))
    best, row = inertia.argmin(axis=1), jnp.arange(len(ks))
    return Clusters(centres[row, best], inertia[row, best], iterations[row, best])


@jax.jit
def finish(
    x: Points,
    weights: Float[Array, " n"],
    centres: Float[Array, "ks most features"],
    used: Bool[Array, "ks most"],
    tolerance: float | Array,
) -> tuple[Float[Array, "ks most features"], Float[Array, " ks"]]:
    """Lloyd's iteration from given centres for every k in turn: (centres, inertia).

    For more points than `kmeans` can hold for all k at once; take its centres of fewer points.
    """

    def one(start):
        return lloyd(x, weights, *start, tolerance=tolerance)[:2]

    return jax.lax.map(one, (centres, used))
