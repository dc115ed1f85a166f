"""Principal components: the best linear autoencoder of each width, as pure functions of arrays."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.losses import AnyArray, mse


class PCA(NamedTuple):
    """A linear subspace: `mean` [features] and orthonormal rows `components` [k, features]."""

    mean: Float[Array, " features"]
    components: Float[Array, "k features"]


def right_singular_vectors(centred: Float[AnyArray, "n features"]) -> tuple[Array, Array]:
    """Singular values and right singular vectors (as rows) of a tall matrix.

    They are those of its triangular factor, which is small; the left vectors are never formed.
    """
    _, singular, rows = jnp.linalg.svd(jnp.linalg.qr(centred, mode="r"), full_matrices=False)
    return singular, rows


def fit_pca(x: Float[AnyArray, "n features"], n_components: int) -> PCA:
    """The subspace of `n_components` directions with the least squared reconstruction error.

    This is the best that any linear autoencoder with that bottleneck can do, hence the baseline
    beside every deep one.

    Args:
        x: training rows, of normal data; standardise first where units differ.
        n_components: width of the bottleneck.

    Raises:
        ValueError: `n_components` is not between 1 and min(n, features).
    """
    if not 1 <= n_components <= min(x.shape):
        raise ValueError(f"n_components must be 1..{min(x.shape)}, not {n_components}")
    mean = x.mean(axis=0)
    _, rows = right_singular_vectors(x - mean)
    return PCA(mean, rows[:n_components])


def pca_reconstruct(
    params: PCA, x: Float[AnyArray, "batch features"]
) -> Float[Array, "batch features"]:
    """The nearest points of the subspace."""
    codes = (x - params.mean) @ params.components.T
    return codes @ params.components + params.mean


def pca_score(params: PCA, x: Float[AnyArray, "batch features"]) -> Float[Array, " batch"]:
    """Squared distance to the subspace, mean over features; comparable with an autoencoder's."""
    return mse(pca_reconstruct(params, x), x)


def pca_errors(
    known: Float[np.ndarray, "rows features"],
    unseen: Float[np.ndarray, "others features"],
    most: int,
) -> Float[np.ndarray, " most+1"]:
    """Mean squared error on `unseen` of PCA fitted to `known`, with 0, 1, ... `most` components.

    No component is the mean image. Each further one takes away its own share of the error.
    """
    pca = fit_pca(jnp.asarray(known), most)
    left = np.asarray(jnp.asarray(unseen) - pca.mean, np.float64)
    shares = np.square(left @ np.asarray(pca.components, np.float64).T).mean(axis=0)
    return (np.square(left).sum(axis=1).mean() - np.cumsum([0.0, *shares])) / left.shape[1]


def project(pca: PCA, x: Float[np.ndarray, "rows pixels"], k: int) -> np.ndarray:
    """The first k principal components of rows."""
    return (x - np.asarray(pca.mean)) @ np.asarray(pca.components)[:k].T


def restore(pca: PCA, codes: Float[np.ndarray, "rows k"]) -> np.ndarray:
    """Rows of principal components."""
    return codes @ np.asarray(pca.components)[: codes.shape[1]] + np.asarray(pca.mean)
