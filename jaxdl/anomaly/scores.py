"""Anomaly scores as pure JAX functions: parameters and rows in, [batch] out, higher is worse.

They are written here, not taken from scikit-learn, because a score that is an array program can be
jitted, vmapped over a population and exported with its model. Forests and neighbours have files of
their own (`isolation_forest`, `nearest_neighbours`), principal components are in `jaxdl.pca`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.losses import AnyArray, mse
from jaxdl.pca import right_singular_vectors

Features = Float[AnyArray, "batch features"]

# ---- reconstruction error ------------------------------------------------------------------------


def reconstruction_score(
    x: Float[AnyArray, " batch *features"],
    reconstruction: Float[AnyArray, " batch *features"],
) -> Float[Array, " batch"]:
    """Squared reconstruction error, mean over features (lab 160, slide 89).

    Raises:
        ValueError: the shapes differ.
    """
    return mse(reconstruction, x)


def reconstruction_contributions(
    x: Float[AnyArray, " batch *features"],
    reconstruction: Float[AnyArray, " batch *features"],
) -> Float[Array, " batch *features"]:
    """Each feature's part of `reconstruction_score`; a row's parts add up to its score.

    Raises:
        ValueError: the shapes differ.
    """
    if x.shape != reconstruction.shape:
        raise ValueError(f"x has shape {x.shape} but its reconstruction {reconstruction.shape}")
    return jnp.square(x - reconstruction) / max(x[0].size, 1)


# ---- Mahalanobis distance and minor components ---------------------------------------------------


class Mahalanobis(NamedTuple):
    """`mean` [features] and `whitening` [features, k]: centred rows times it have covariance 1.

    The columns of `whitening` are principal directions, in order of falling variance.
    """

    mean: Float[Array, " features"]
    whitening: Float[Array, "features k"]


def fit_mahalanobis(x: Float[AnyArray, "n features"], ridge: float = 1e-6) -> Mahalanobis:
    """Mean and covariance (divided by n, the maximum-likelihood form) of the training rows.

    Args:
        x: training rows, of normal data.
        ridge: added to every variance, in units of the mean variance. It makes a direction that is
            constant in training an expensive one to leave, instead of a division by zero.

    Raises:
        ValueError: fewer rows than features, so that the covariance is not determined.
    """
    n, features = x.shape
    if n < features:
        raise ValueError(f"{n} rows do not determine a covariance of {features} features")
    mean = x.mean(axis=0)
    singular, rows = right_singular_vectors(x - mean)
    variance = jnp.square(singular) / n
    return Mahalanobis(mean, rows.T / jnp.sqrt(variance + ridge * variance.mean()))


def fit_minor_components(
    x: Float[AnyArray, "n features"], components: int, ridge: float = 1e-6
) -> Mahalanobis:
    """The `components` directions in which normal rows vary least.

    Shyu, Chen, Sarinnapakorn and Chang, "A novel anomaly detection scheme based on principal
    component classifier" (2003). A row may be ordinary in every column and in the large components
    and still break a relation that normal rows keep; all components together are the Mahalanobis
    distance.

    Args:
        x: training rows, of normal data.
        components: how many, the smallest first.
        ridge: see `fit_mahalanobis`.

    Raises:
        ValueError: `components` is not between 1 and the number of features, or too few rows.
    """
    if not 1 <= components <= x.shape[1]:
        raise ValueError(f"components must be 1..{x.shape[1]}, not {components}")
    whole = fit_mahalanobis(x, ridge)
    return Mahalanobis(whole.mean, whole.whitening[:, -components:])


def mahalanobis_score(params: Mahalanobis, x: Features) -> Float[Array, " batch"]:
    """Squared Mahalanobis distance; about chi-square with k degrees if x is Gaussian."""
    return jnp.square((x - params.mean) @ params.whitening).sum(axis=-1)


def mahalanobis_contributions(params: Mahalanobis, x: Features) -> Float[Array, "batch features"]:
    """Each feature's part of `mahalanobis_score`, deviation times gradient / 2.

    The parts add up to the score. A part is negative where the feature's deviation makes those of
    the others more usual.
    """
    deviation = x - params.mean
    return deviation * (deviation @ params.whitening @ params.whitening.T)


# ---- column by column ----------------------------------------------------------------------------


class Ranges(NamedTuple):
    """The usual range of each column."""

    low: Float[Array, " features"]
    high: Float[Array, " features"]


def fit_ranges(x: Float[np.ndarray, "n features"], share: float) -> Ranges:
    """Quantiles of each column that leave `share` of the rows outside, half on either side.

    They are rounded to float32 inwards to the next number, so that no float32 value changes sides.

    Raises:
        ValueError: `share` is not between 0 and 1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be at least 0 and below 1, not {share}")
    low, high = np.quantile(x, [share / 2, 1 - share / 2], axis=0)
    low32, high32 = low.astype(np.float32), high.astype(np.float32)
    low32 = np.where(low32 < low, np.nextafter(low32, np.float32(np.inf)), low32)
    high32 = np.where(high32 > high, np.nextafter(high32, np.float32(-np.inf)), high32)
    return Ranges(jnp.asarray(low32), jnp.asarray(high32))


def outside_contributions(params: Ranges, x: Features) -> Float[Array, "batch features"]:
    """1 where a value lies outside its column's range, else 0."""
    return ((x < params.low) | (x > params.high)).astype(jnp.float32)


def outside_score(params: Ranges, x: Features) -> Float[Array, " batch"]:
    """How many columns lie outside their range."""
    return outside_contributions(params, x).sum(axis=1)


def tail_contributions(
    columns: Float[AnyArray, "features n"], x: Features
) -> Float[Array, "batch features"]:
    """Minus the log probability of the smaller tail that each value lies in.

    Args:
        columns: the training rows' values, each column sorted.
        x: rows to score.
    """
    n = columns.shape[1]

    def of_column(known, values):
        below = jnp.searchsorted(known, values, side="right")
        above = n - jnp.searchsorted(known, values, side="left")
        share = (jnp.minimum(below, above) + 1).astype(jnp.float32) / (n + 1)
        return -jnp.log(share)

    return jax.vmap(of_column, in_axes=(0, 1), out_axes=1)(columns, x)


def tail_score(columns: Float[AnyArray, "features n"], x: Features) -> Float[Array, " batch"]:
    """How far out in its column each value is: the sum of `tail_contributions`."""
    return tail_contributions(columns, x).sum(axis=1)
