"""Distance to the neighbours: kNN and LOF as array programs, exact, in constant memory.

scikit-learn has both; these are for what it cannot do: run on an accelerator and be exported with
columns and threshold in one file. Results equal its `NearestNeighbors` (brute force) and
`LocalOutlierFactor(novelty=True)` up to rounding.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

TILE = 2048
# Squared distances by |a|^2 - 2ab + |b|^2 are fast but lose digits: so many more candidates than
# asked for are taken, and put in order by distances from differences.
SPARE = 8
# The reciprocal of a local density of zero distances; scikit-learn's number.
TINY = 1e-10


class Neighbours(NamedTuple):
    """`rows` [n, features] to be near to, and `k` (an array, so that it is exported too).

    Attributes:
        rows: training rows, of normal data.
        rank: [k] zeros; its length is the number of neighbours.
    """

    rows: Float[Array, "n features"]
    rank: Int[Array, " k"]


class LOF(NamedTuple):
    """Training rows with the k-distance and the local reachability density of each."""

    neighbours: Neighbours
    k_distance: Float[Array, " n"]
    density: Float[Array, " n"]


def fit_neighbours(x: Float[Array, "n features"], k: int) -> Neighbours:
    """Keeps the rows.

    Raises:
        ValueError: `k` is not between 1 and the number of rows, or rows are not finite.
    """
    rows = np.asarray(x, np.float32)
    if not 1 <= k <= len(rows):
        raise ValueError(f"k must be 1..{len(rows)}, not {k}")
    if not np.isfinite(rows).all():
        raise ValueError("rows must be finite")
    return Neighbours(jnp.asarray(rows), jnp.zeros(k, jnp.int32))


def nearest(
    params: Neighbours,
    x: Float[Array, "batch features"],
    itself: Int[Array, " batch"] | None = None,
) -> tuple[Float[Array, "batch k"], Int[Array, "batch k"]]:
    """Distances to the k nearest training rows, nearest first, and which rows they are.

    The training rows go by in tiles, so memory is [batch, 2048] whatever their number.

    Args:
        params: fitted rows.
        x: rows to look up.
        itself: for each of `x` a training row that does not count, the row itself.
    """
    k, (n, features) = len(params.rank), params.rows.shape
    keep = min(k + SPARE, n)
    tiles = -(-n // TILE)
    centre = params.rows.mean(axis=0)
    padded = jnp.pad(params.rows - centre, ((0, tiles * TILE - n), (0, 0)))
    x = x.astype(jnp.float32)
    near = x - centre

    def merge(best, tile):
        rows, first = tile
        index = first + jnp.arange(TILE, dtype=jnp.int32)
        far = jnp.square(rows).sum(axis=1) - 2 * jnp.matmul(near, rows.T, precision="highest")
        blocked = index >= n
        if itself is not None:
            blocked = blocked | (index == itself[:, None])
        far = jnp.where(blocked, jnp.inf, far)
        both = jnp.concatenate([best[0], far], axis=1)
        names = jnp.concatenate([best[1], jnp.broadcast_to(index, far.shape)], axis=1)
        nearness, place = jax.lax.top_k(-both, keep)
        return (-nearness, jnp.take_along_axis(names, place, axis=1)), None

    batch = x.shape[0]
    start = (jnp.full((batch, keep), jnp.inf, x.dtype), jnp.zeros((batch, keep), jnp.int32))
    firsts = TILE * jnp.arange(tiles, dtype=jnp.int32)
    cut = padded.reshape(tiles, TILE, features)
    (rough, index), _ = jax.lax.scan(merge, start, (cut, firsts))
    exact = jnp.sqrt(jnp.square(x[:, None, :] - params.rows[index]).sum(axis=2))
    exact = jnp.where(jnp.isinf(rough), jnp.inf, exact)
    nearness, place = jax.lax.top_k(-exact, k)
    return -nearness, jnp.take_along_axis(index, place, axis=1)


def knn_score(params: Neighbours, x: Float[Array, "batch features"]) -> Float[Array, " batch"]:
    """Distance to the k-th nearest training row (Ramaswamy et al. 2000)."""
    return nearest(params, x)[0][:, -1]


def mean_knn_score(params: Neighbours, x: Float[Array, "batch features"]) -> Float[Array, " batch"]:
    """Mean distance to the k nearest training rows (Angiulli and Pizzuti 2002)."""
    return nearest(params, x)[0].mean(axis=1)


def fit_lof(x: Float[Array, "n features"], k: int, batch: int = 1024) -> LOF:
    """k-distance and density of each training row among the others (Breunig et al. 2000).

    Raises:
        ValueError: `k` is not between 1 and the number of other rows.
    """
    params = fit_neighbours(x, k)
    n = len(params.rows)
    if k >= n:
        raise ValueError(f"k must be 1..{n - 1}, not {k}")
    others = jax.jit(nearest)
    parts = []
    for start in range(0, n, batch):
        row = jnp.minimum(jnp.arange(start, start + batch, dtype=jnp.int32), n - 1)
        far, index = others(params, params.rows[row], row)
        parts.append((np.asarray(far)[: n - start], np.asarray(index)[: n - start]))
    far, index = (np.concatenate(part) for part in zip(*parts, strict=True))
    k_distance = far[:, -1]
    density = 1 / (np.maximum(far, k_distance[index]).mean(axis=1) + np.float32(TINY))
    return LOF(params, jnp.asarray(k_distance), jnp.asarray(density))


def lof_score(params: LOF, x: Float[Array, "batch features"]) -> Float[Array, " batch"]:
    """Local outlier factor: density of the neighbours over the row's own; about 1 is normal.

    scikit-learn's `-score_samples(x)` with `novelty=True`.
    """
    far, index = nearest(params.neighbours, x)
    reach = jnp.maximum(far, params.k_distance[index]).mean(axis=1)
    return params.density[index].mean(axis=1) * (reach + TINY)
