"""A memory of normal patches: an offline detector that learns what makes two patches alike.

1. A small net describes a patch (a window) of a series by a point. It learns from the first part of
   the series alone: patches that overlap by much shall lie near each other, patches from elsewhere
   far apart (triplet loss, Schroff et al. 2015). No label is needed.
2. The points of the first part are the memory. A later patch is the stranger, the farther its point
   is from the nearest ones of the memory.
3. A row's score is the mean over all patches that hold it. So it looks ahead by a patch, which a
   live detector cannot.

"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float
from sklearn.neighbors import NearestNeighbors

from jaxdl.training import Fitted

NEAREST = 3
MARGIN = 0.5


def triplets(
    patches: Float[np.ndarray, "patches length 1"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "count 3 length 1"]:
    """Patches, each with one that overlaps it by three quarters or more, and one from elsewhere.

    Args:
        patches: of the first part of one series, in order of time, one for each row.
        count: how many.
        rng: draws them.

    Raises:
        ValueError: there are too few patches for two of them not to overlap.
    """
    n, length = patches.shape[:2]
    if n < 2 * length + 1:
        raise ValueError(f"{n} patches of {length} rows: two of them must not overlap")
    anchor = rng.integers(0, n, count)
    shift = rng.integers(1, length // 4 + 1, count) * rng.choice([-1, 1], count)
    near = anchor + shift
    near = np.where((near < 0) | (near >= n), anchor - shift, near)
    # any patch but those that overlap the anchor, counted from behind it around to its front
    far = (anchor + length + rng.integers(0, n - 2 * length + 1, count)) % n
    return patches[np.stack([anchor, near, far], axis=1)]


def triplet_loss(
    outputs: Float[Array, "batch 3 features"], batch: Any, hyper: Any
) -> Float[Array, " batch"]:
    """How much nearer the overlapping patch should be than the other one; at least 0."""
    del batch, hyper
    anchor, near, far = outputs[:, 0], outputs[:, 1], outputs[:, 2]
    squared_near = ((anchor - near) ** 2).sum(axis=-1)
    squared_far = ((anchor - far) ** 2).sum(axis=-1)
    return jax.nn.relu(MARGIN + squared_near - squared_far)


def embeddings(
    fitted: Fitted, patches: Float[np.ndarray, "patches length 1"]
) -> Float[np.ndarray, "seeds patches features"]:
    """The points of patches, for each member of the population."""

    def points(outputs: Array, batch: Mapping[str, Array]) -> Array:
        del batch
        return outputs[:, 0]

    return fitted.predict(points, {"x": patches[:, None]})


def distances_to_memory(
    points: Float[np.ndarray, "patches features"], remembered: int
) -> Float[np.ndarray, " patches"]:
    """Mean distance to the nearest of the first `remembered` points."""
    memory = NearestNeighbors(n_neighbors=NEAREST).fit(points[:remembered])
    distance, _ = memory.kneighbors(points)
    return distance.mean(axis=1)


def mean_over_patches(
    scores: Float[np.ndarray, " patches"], length: int
) -> Float[np.ndarray, " n"]:
    """The score of each row: the mean of all patches that hold it.

    >>> mean_over_patches(np.array([1.0, 3.0, 5.0]), length=2).tolist()
    [1.0, 2.0, 4.0, 5.0]
    """
    ones = np.ones(length)
    return np.convolve(scores, ones) / np.convolve(np.ones(len(scores)), ones)
