"""Anomaly scores as pure JAX functions: parameters and rows in, [batch] out, higher is worse.

PCA and the Mahalanobis distance are written here, not taken from scikit-learn, because a score that
is an array program can be jitted, vmapped over a population and exported with its model.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.anomaly.metrics import check_scores
from jaxdl.losses import mse
from jaxdl.pca import right_singular_vectors


def reconstruction_score(
    x: Float[Array, " batch *features"], reconstruction: Float[Array, " batch *features"]
) -> Float[Array, " batch"]:
    """Squared reconstruction error, mean over features (lab 160, slide 89).

    Raises:
        ValueError: the shapes differ.
    """
    return mse(reconstruction, x)


def reconstruction_contributions(
    x: Float[Array, " batch *features"], reconstruction: Float[Array, " batch *features"]
) -> Float[Array, " batch *features"]:
    """Each feature's part of `reconstruction_score`; a row's parts add up to its score.

    Raises:
        ValueError: the shapes differ.
    """
    if x.shape != reconstruction.shape:
        raise ValueError(f"x has shape {x.shape} but its reconstruction {reconstruction.shape}")
    return jnp.square(x - reconstruction) / max(x[0].size, 1)


class Mahalanobis(NamedTuple):
    """`mean` [features] and `whitening` [features, k]: centred rows times it have covariance 1."""

    mean: Float[Array, " features"]
    whitening: Float[Array, "features k"]


def fit_mahalanobis(x: Float[Array, "n features"], ridge: float = 1e-6) -> Mahalanobis:
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


def mahalanobis_score(
    params: Mahalanobis, x: Float[Array, "batch features"]
) -> Float[Array, " batch"]:
    """Squared Mahalanobis distance; about chi-square with `features` degrees if x is Gaussian."""
    return jnp.square((x - params.mean) @ params.whitening).sum(axis=-1)


def distinct_share(scores: Float[np.ndarray, " n"]) -> float:
    """Number of distinct scores divided by the number of scores."""
    scores = check_scores(scores)
    return np.unique(scores).size / scores.size


def assert_diverse(
    scores: Float[np.ndarray, " n"], share: float = 0.01, spread: float = 1e-5
) -> None:
    """Refuses the scores of a detector that has collapsed to (nearly) one answer.

    Ranking metrics can look fine on such scores (PyOD's DeepSVDD gave one distinct score on most of
    its benchmark sets and passed its tests), so this is checked by itself.

    Args:
        share: least accepted `distinct_share`.
        spread: least accepted distance between the 5 % and 95 % quantiles, relative to the larger
            of their absolute values; rounding noise on a constant lies below it.

    Raises:
        ValueError: the scores have collapsed.
    """
    distinct = distinct_share(scores)
    low, high = np.quantile(np.asarray(scores, np.float64), [0.05, 0.95])
    if distinct < share or high - low <= spread * max(abs(low), abs(high)):
        raise ValueError(
            f"the detector has collapsed: {distinct:.2%} of its scores are distinct "
            f"and 90 % of them lie within {low:.6g} .. {high:.6g}"
        )
