"""Distance to the nearest neighbours as an array program: exact, in constant memory.

It runs on an accelerator and is exported with columns and threshold in one file. Distances are
those of scikit-learn's `NearestNeighbors` up to rounding, in the precision of the training rows:
float64 rows (`jaxdl.precision`) give float64 distances.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

AnyArray = np.ndarray | Array
Features = Float[AnyArray, "batch features"]

TILE = 2048
# Squared distances by |a|^2 - 2ab + |b|^2 are fast but lose digits: so many more candidates than
# asked for are taken, and put in order by distances from differences.
SPARE = 8


class Neighbours(NamedTuple):
    """Rows to be near to, and how many of them count.

    Attributes:
        rows: training rows, of normal data.
        rank: k zeros. The number of neighbours is a length, not a number, because it shapes arrays.
    """

    rows: Float[Array, "n features"]
    rank: Int[Array, " k"]


def fit_neighbours(x: Float[AnyArray, "n features"], k: int) -> Neighbours:
    """Keeps the rows.

    Raises:
        ValueError: `k` is not between 1 and the number of rows, or rows are not finite.
    """
    rows = np.asarray(x)
    if not 1 <= k <= len(rows):
        raise ValueError(f"k must be 1..{len(rows)}, not {k}")
    if not np.isfinite(rows).all():
        raise ValueError("rows must be finite")
    return Neighbours(jnp.asarray(rows), jnp.zeros(k, jnp.int32))


def nearest(
    params: Neighbours, x: Features
) -> tuple[Float[Array, "batch k"], Int[Array, "batch k"]]:
    """Distances to the k nearest training rows, nearest first, and which rows they are.

    The training rows go by in tiles, so memory is [batch, 2048] whatever their number.

    Args:
        params: fitted rows.
        x: rows to look up.
    """
    k, (n, features) = len(params.rank), params.rows.shape
    keep = min(k + SPARE, n)
    tile = min(TILE, n)
    tiles = -(-n // tile)
    centre = params.rows.mean(axis=0)
    padded = jnp.pad((params.rows - centre).astype(jnp.float32), ((0, tiles * tile - n), (0, 0)))
    x = jnp.asarray(x, params.rows.dtype)
    near = (x - centre).astype(jnp.float32)

    def merge(best, piece):
        rows, first = piece
        index = first + jnp.arange(tile, dtype=jnp.int32)
        far = jnp.square(rows).sum(axis=1) - 2 * jnp.matmul(near, rows.T, precision="highest")
        far = jnp.where(index < n, far, jnp.inf)  # the last tile is filled up
        both = jnp.concatenate([best[0], far], axis=1)
        names = jnp.concatenate([best[1], jnp.broadcast_to(index, far.shape)], axis=1)
        nearness, place = jax.lax.top_k(-both, keep)
        return (-nearness, jnp.take_along_axis(names, place, axis=1)), None

    batch = x.shape[0]
    start = (jnp.full((batch, keep), jnp.inf, jnp.float32), jnp.zeros((batch, keep), jnp.int32))
    firsts = tile * jnp.arange(tiles, dtype=jnp.int32)
    pieces = (padded.reshape(tiles, tile, features), firsts)
    (rough, index), _ = jax.lax.scan(merge, start, pieces)
    exact = jnp.sqrt(jnp.square(x[:, None, :] - params.rows[index]).sum(axis=2))
    exact = jnp.where(jnp.isinf(rough), jnp.inf, exact)
    nearness, place = jax.lax.top_k(-exact, k)
    return -nearness, jnp.take_along_axis(index, place, axis=1)


def nearest_others(
    params: Neighbours, x: Features
) -> tuple[Float[Array, "batch k"], Int[Array, "batch k"]]:
    """`nearest`, but a row that is one of the training rows is not its own neighbour.

    A training row at distance 0 is taken for the row itself and does not count (one of them, where
    rows repeat). Needs more than k training rows.
    """
    one_more = params._replace(rank=jnp.zeros(len(params.rank) + 1, jnp.int32))
    far, index = nearest(one_more, x)
    itself = far[:, :1] == 0
    return (
        jnp.where(itself, far[:, 1:], far[:, :-1]),
        jnp.where(itself, index[:, 1:], index[:, :-1]),
    )


def mean_knn_score(params: Neighbours, x: Features) -> Float[Array, " batch"]:
    """Mean distance to the k nearest training rows (Angiulli and Pizzuti 2002)."""
    return nearest(params, x)[0].mean(axis=1)


def mean_knn_score_of_others(params: Neighbours, x: Features) -> Float[Array, " batch"]:
    """`mean_knn_score` of rows that may be training rows themselves (see `nearest_others`)."""
    return nearest_others(params, x)[0].mean(axis=1)
