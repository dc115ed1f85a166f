"""K-means for several numbers of clusters and all restarts at once, as one compiled program.

It is meant for what scikit-learn does one fit at a time: a small data set many times over (the gap
statistic), and weighted points (the colours of an image, each with its number of pixels).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

HostOrDevice = np.ndarray | Array
Points = Float[HostOrDevice, "n features"]
Weights = Float[HostOrDevice, " n"]
Centres = Float[HostOrDevice, "k features"]


class Clusters(NamedTuple):
    """K-means for several numbers of clusters.

    Attributes:
        centres: for number of clusters i the first `ks[i]` rows; the others are not used.
        inertia: weighted sum of squared distances to the nearest centre.
        iterations: steps of Lloyd's iteration until it stopped.
    """

    centres: Float[Array, "ks most features"]
    inertia: Float[Array, " ks"]
    iterations: Int[Array, " ks"]


@partial(jax.jit, static_argnames=("ks", "restarts", "max_iterations"))
def kmeans(
    key: PRNGKeyArray,
    x: Points,
    weights: Weights,
    ks: tuple[int, ...],
    restarts: int,
    max_iterations: int = 300,
    tolerance: float | Float[Array, ""] = 0.0,
) -> Clusters:
    """K-means for every k in `ks`: of the `restarts` runs the one with the least inertia.

    A restart draws `max(ks)` starting centres by k-means++; the first k of them start the run with
    k clusters. Memory is len(ks) * restarts * n * max(ks) numbers.

    Args:
        key: draws the starting centres.
        x: points; subtract their mean first, float32 has seven digits.
        weights: how many points each row of `x` stands for.
        ks: numbers of clusters, in any order.
        restarts: starts for each k.
        max_iterations, tolerance: as in `lloyd`.

    >>> x = np.array([[0.0], [1.0], [10.0], [11.0]], np.float32)
    >>> found = kmeans(jax.random.key(0), x, np.ones(4, np.float32), ks=(1, 2), restarts=3)
    >>> found.inertia.tolist()
    [101.0, 1.0]
    >>> sorted(found.centres[1].ravel().tolist())
    [0.5, 10.5]
    """
    keys = jax.random.split(key, restarts)
    starts = jax.vmap(lambda key: kmeans_plusplus(key, x, weights, max(ks)))(keys)

    def run(start, used):
        return lloyd(x, weights, start, used, max_iterations, tolerance)

    run_restarts = jax.vmap(run, in_axes=(0, None))
    run_numbers = jax.vmap(run_restarts, in_axes=(None, 0))
    centres, inertia, iterations = run_numbers(starts, used_centres(ks))  # [ks, restarts, ...]
    best, row = inertia.argmin(axis=1), jnp.arange(len(ks))
    return Clusters(centres[row, best], inertia[row, best], iterations[row, best])


def used_centres(ks: tuple[int, ...]) -> Bool[np.ndarray, "ks most"]:
    """Which of `max(ks)` centres belong to each number of clusters: the first k.

    >>> used_centres((1, 3)).tolist()
    [[True, False, False], [True, True, True]]
    """
    return np.arange(max(ks))[None] < np.asarray(ks)[:, None]


def kmeans_plusplus(key: PRNGKeyArray, x: Points, weights: Weights, k: int) -> Centres:
    """Starting centres far from one another: k rows of `x`, drawn one after the other.

    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding" (2007): a row is drawn
    with probability proportional to its weight times its squared distance to the nearest centre
    drawn before. Greedy, as in scikit-learn: of 2 + ln k candidates the one is taken that leaves
    the least inertia. The first j centres are a start for j clusters.
    """
    x, trials = jnp.asarray(x), 2 + int(np.log(k))

    def draw(key, mass, count):
        total = jnp.cumsum(mass)
        position = jax.random.uniform(key, (count,)) * total[-1]
        return jnp.minimum(jnp.searchsorted(total, position, side="right"), len(x) - 1)

    def squared_distances(points):
        return jnp.square(x[None] - points[:, None]).sum(axis=2)

    def add(i, state):
        centres, closest = state
        candidates = draw(jax.random.fold_in(key, i), weights * closest, trials)
        left = jnp.minimum(closest, squared_distances(x[candidates]))
        best = (left * weights).sum(axis=1).argmin()
        return centres.at[i].set(x[candidates[best]]), left[best]

    first = x[draw(jax.random.fold_in(key, 0), weights, 1)]
    centres = jnp.zeros((k, x.shape[1]), x.dtype).at[0].set(first[0])
    return jax.lax.fori_loop(1, k, add, (centres, squared_distances(first)[0]))[0]


def lloyd(
    x: Points,
    weights: Weights,
    centres: Centres,
    used: Bool[HostOrDevice, " k"],
    max_iterations: int = 300,
    tolerance: float | Float[Array, ""] = 0.0,
) -> tuple[Float[Array, "k features"], Float[Array, ""], Int[Array, ""]]:
    """Lloyd's iteration: assign each point to its nearest centre, move the centres to the means.

    Lloyd, "Least squares quantization in PCM" (1982; written in 1957).

    Args:
        x: points; subtract their mean first, float32 has seven digits.
        weights: how many points each row of `x` stands for.
        centres: where they start.
        used: which centres take part. One that loses all its points stays where it is.
        max_iterations: stop after so many steps.
        tolerance: stop when the squared movements of all centres add up to no more than this; 0
            goes on until nothing moves.

    Returns:
        (centres, inertia, number of steps).

    >>> x = np.array([[0.0], [1.0], [10.0], [11.0]], np.float32)
    >>> start = np.array([[0.0], [1.0]], np.float32)
    >>> centres, inertia, steps = lloyd(x, np.ones(4, np.float32), start, np.ones(2, bool))
    >>> centres.ravel().tolist(), float(inertia), int(steps)
    ([0.5, 10.5], 1.0, 3)
    """

    def step(state):
        centres, _, count = state
        member = jax.nn.one_hot(nearest_centre(x, centres, used), len(centres), dtype=x.dtype)
        member = member * weights[:, None]
        mass = member.sum(axis=0)
        sums = jnp.matmul(member.T, x, precision="highest")
        moved = jnp.where((mass > 0)[:, None], sums / jnp.maximum(mass, 1e-30)[:, None], centres)
        # a compiler may subtract before it rounds the quotient: equal centres would seem to move
        movement = jnp.where(moved == centres, 0, jnp.square(moved - centres)).sum()
        return moved, movement, count + 1

    def still_moving(state):
        _, movement, count = state
        return (movement > tolerance) & (count < max_iterations)

    start = (jnp.asarray(centres), jnp.array(jnp.inf, x.dtype), jnp.int32(0))
    centres, _, count = jax.lax.while_loop(still_moving, step, start)
    distance = jnp.square(x - centres[nearest_centre(x, centres, used)]).sum(axis=1)
    return centres, (weights * distance).sum(), count


def nearest_centre(
    x: Points, centres: Centres, used: Bool[HostOrDevice, " k"] | None = None
) -> Int[Array, " n"]:
    """Index of each point's nearest centre, the first of equals.

    Args:
        x: points.
        centres: to choose from.
        used: which centres are considered; all by default.
    """
    # |x - c|^2 without |x|^2, which is the same for all centres
    product = jnp.matmul(x, centres.T, precision="highest")
    distance = jnp.square(centres).sum(axis=1) - 2.0 * product
    if used is not None:
        distance = jnp.where(used, distance, jnp.inf)
    return distance.argmin(axis=1)
