"""Scores made of the reconstruction errors of a population of autoencoders.

Residuals are arrays [seeds, n, features]: row minus copy, by each member. Plain scores are their
mean squares. Whitened scores take every column in units of the error that is usual for it on normal
training rows (`usual` below). The members vote by the mean of their standardised scores.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl import losses
from jaxdl.anomaly.detector import Detector
from jaxdl.anomaly.detectors import population
from jaxdl.anomaly.metrics import MemberScores, Scores
from jaxdl.scaling import usable_spread
from jaxdl.training import Task
from jaxdl.training.task import Batch, Hyper

Residuals = Float[np.ndarray, "seeds n features"]
UsualResiduals = Float[np.ndarray, "seeds m features"]  # of normal training rows


# ---- of one autoencoder: loss and residual -------------------------------------------------------


def squared_error(
    outputs: Float[Array, "batch features"], batch: Batch, hyper: Hyper | None = None
) -> Float[Array, " batch"]:
    """The loss of an autoencoder and its plain score: mean over columns."""
    return losses.mse(outputs, batch["x"])


def residual(
    outputs: Float[Array, "batch features"], batch: Batch
) -> Float[Array, "batch features"]:
    """What the copy lacks, column by column."""
    return batch["x"] - outputs


# ---- of a population: what each column adds to the score -----------------------------------------


def plain_contributions(usual: UsualResiduals, errors: Residuals) -> Residuals:
    """Each column's part of the mean squared error, by each member.

    Args:
        usual: not needed; there so that both kinds are called alike.
        errors: residuals of the rows in question.
    """
    del usual
    return np.square(errors) / errors.shape[-1]


def whitened_contributions(usual: UsualResiduals, errors: Residuals) -> Residuals:
    """Each column's part of the squared error in units of what is usual for the column.

    A plain mean is made by the columns that are always copied badly; an error that is small, but
    unheard of in its column, counts here. The parts of normal rows add up to 1 on average.

    Args:
        usual: residuals of normal training rows, [seeds, m, features].
        errors: residuals of the rows in question.

    Raises:
        ValueError: a member copies a column of normal rows without any error.
    """
    parts = [_whitened(own, theirs) for own, theirs in zip(usual, errors, strict=True)]
    return np.stack([np.asarray(part) for part in parts])


def whitened_scores(usual: UsualResiduals, errors: Residuals) -> MemberScores:
    """The sum of `whitened_contributions` over the columns."""
    parts = [_whitened(own, theirs) for own, theirs in zip(usual, errors, strict=True)]
    return np.stack([np.asarray(part.sum(axis=-1)) for part in parts])


def _whitened(
    usual: Float[np.ndarray, "m features"], errors: Float[np.ndarray, "n features"]
) -> Float[Array, "n features"]:
    variance = jnp.square(usual).mean(axis=0)
    if not bool((variance > 0).all()):
        raise ValueError("a column is reconstructed without any error; it cannot be scaled")
    return jnp.square(errors) / variance / errors.shape[-1]


# ---- the vote of a population --------------------------------------------------------------------


def ensemble_score(members: MemberScores, normal: Float[np.ndarray, "seeds m"]) -> Scores:
    """Mean over the population of each member's standardised score.

    Args:
        members: scores of the rows in question.
        normal: scores of normal training rows; give each member its mean and deviation.
    """
    centre, spread = _mean_and_spread(normal)
    return ((members - centre[:, None]) / spread[:, None]).mean(axis=0)


def _mean_and_spread(
    normal: Float[np.ndarray, "seeds m"],
) -> tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]:
    spread = usable_spread(normal.std(axis=1), np.abs(normal).max(axis=1))
    return normal.mean(axis=1), spread


def ensemble_detector(
    task: Task, variables: Mapping[str, Any], usual: UsualResiduals, whitened: bool, name: str
) -> Detector:
    """`ensemble_score` of the members' errors as a detector that can be exported.

    Args:
        task, variables: the trained population.
        usual: its residuals of normal training rows.
        whitened: errors in units of what is usual for the column, or plain.
        name: what it is, in words.
    """
    contributions = whitened_contributions if whitened else plain_contributions
    known = contributions(usual, usual).sum(axis=-1)
    variance = np.square(usual).mean(axis=1) if whitened else np.ones_like(usual[:, 0])

    def parts(outputs, batch):
        return jnp.square(batch["x"] - outputs) / batch["variance"] / outputs.shape[-1]

    def score(outputs, batch):
        return parts(outputs, batch).sum(axis=-1)

    return population(
        task,
        variables,
        usual.shape[-1],
        score,
        parts,
        extras={"variance": variance},
        standard=_mean_and_spread(known),
        name=name,
    )
