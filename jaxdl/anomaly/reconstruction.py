"""Ensembles of autoencoders that judge by their errors, plain or whitened, column by column."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl import losses
from jaxdl.diagnostics import probes
from jaxdl.training import Fitted
from jaxdl.training.task import Task

KINDS = ("plain", "whitened")
Residuals = Float[np.ndarray, "seeds n features"]


def squared_error(outputs, batch, hyper=None):
    """The loss: mean over columns."""
    return losses.mse(outputs, batch["x"])


def residual(outputs, batch):
    """What the copy lacks, column by column."""
    return batch["x"] - outputs


def contributions(usual: Residuals, errors: Residuals, kind: str) -> Residuals:
    """Each column's part of each member's score.

    Args:
        usual: residuals of normal rows, which scale the whitened error.
        errors: residuals of the rows in question.
        kind: "plain" or "whitened".
    """
    if kind == "plain":
        return np.square(errors) / errors.shape[-1]
    pairs = zip(map(fit_error_scale, usual), errors, strict=True)
    return np.stack([np.asarray(whitened_contributions(*pair)) for pair in pairs])


class Judged(NamedTuple):
    """Scores of a population on normal training rows and on new ones.

    Attributes:
        usual: residuals of the normal rows.
        made: each column's part of the new rows' scores.
        known, new: scores of the normal and of the new rows.
        known_vote, new_vote: of the ensemble, as a population of one.
    """

    usual: Residuals
    made: Residuals
    known: Float[np.ndarray, "seeds m"]
    new: Float[np.ndarray, "seeds n"]
    known_vote: Float[np.ndarray, "1 m"]
    new_vote: Float[np.ndarray, "1 n"]


def judge(
    fitted: Fitted,
    normal: Float[np.ndarray, "m features"],
    x: Float[np.ndarray, "n features"],
    kind: str,
) -> Judged:
    """Scores of all members and of their vote by one kind of error."""
    usual, errors = (fitted.predict(residual, {"x": rows}) for rows in (normal, x))
    made = contributions(usual, errors, kind)
    known, new = contributions(usual, usual, kind).sum(axis=-1), made.sum(axis=-1)
    votes = (ensemble_score(scores, known)[None] for scores in (known, new))
    return Judged(usual, made, known, new, *votes)


GRADIENT_ROWS = 1024  # per-example gradients held at once


class ErrorScale(NamedTuple):
    """`variance` [features]: mean squared reconstruction error of each column on normal rows."""

    variance: Float[Array, " features"]


def fit_error_scale(residual: Float[Array, "n features"]) -> ErrorScale:
    """How well each column of normal rows is reconstructed, from x - reconstruction.

    Raises:
        ValueError: a column without any error, whose scale would be 0.
    """
    variance = jnp.square(residual).mean(axis=0)
    if not bool((variance > 0).all()):
        raise ValueError("a column is reconstructed without any error; it cannot be scaled")
    return ErrorScale(variance)


def whitened_contributions(
    scale: ErrorScale, residual: Float[Array, "batch features"]
) -> Float[Array, "batch features"]:
    """Each column's part of `whitened_score`."""
    return jnp.square(residual) / scale.variance / residual.shape[-1]


def whitened_score(
    scale: ErrorScale, residual: Float[Array, "batch features"]
) -> Float[Array, " batch"]:
    """Squared error in units of what is usual for the column, mean over columns.

    A plain mean is made by the columns that are always copied badly; an error that is small, but
    unheard of in its column, counts here. Normal rows have mean 1.
    """
    return whitened_contributions(scale, residual).sum(axis=-1)


def whitened_population(
    usual: Float[np.ndarray, "seeds m features"], errors: Float[np.ndarray, "seeds n features"]
) -> Float[np.ndarray, "seeds n"]:
    """`whitened_score` of each member, by its own residuals of normal training rows (`usual`)."""
    pairs = zip(map(fit_error_scale, usual), errors, strict=True)
    return np.stack([np.asarray(whitened_score(*pair)) for pair in pairs])


def ensemble_score(
    members: Float[np.ndarray, "seeds n"], normal: Float[np.ndarray, "seeds m"]
) -> Float[np.ndarray, " n"]:
    """Mean over the population of each member's standardised score.

    Args:
        members: scores of the rows in question.
        normal: scores of normal training rows; give each member its mean and deviation.
    """
    centre, spread = normal.mean(axis=1, keepdims=True), normal.std(axis=1, keepdims=True)
    return ((members - centre) / spread).mean(axis=0)


def gradient_norms(
    task: Task, variables: Any, data: dict[str, np.ndarray]
) -> Float[np.ndarray, "seeds n"]:
    """Norm of each row's own gradient of the loss: how much the row would change the model.

    A second score beside the error itself: for a linear layer it is the error times the size of
    the activation in front, so it also sees rows that are far out but well copied.

    Args:
        task: whose `loss` is differentiated, in evaluation mode.
        variables: of a population, seed axis in front.
        data: arrays [n, ...].
    """
    rows = len(next(iter(data.values())))

    def of_member(variables, batch):
        def loss(params, example):
            alone = jax.tree.map(lambda x: x[None], example)
            outputs, _ = task.apply({**variables, "params": params}, alone, None, False, {})
            return task.loss(outputs, alone, {})[0]

        gradients = probes.per_example_gradients(loss, variables["params"], batch)
        return probes.per_example_norms(gradients)

    program = jax.jit(jax.vmap(of_member, in_axes=(0, None)))
    parts = []
    for start in range(0, rows, GRADIENT_ROWS):
        index = np.minimum(np.arange(start, start + GRADIENT_ROWS), rows - 1)
        batch = {name: x[index] for name, x in data.items()}
        parts.append(np.asarray(program(variables, batch))[:, : rows - start])
    return np.concatenate(parts, axis=1)
