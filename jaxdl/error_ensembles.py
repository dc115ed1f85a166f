"""Ensembles of autoencoders that judge by their errors, plain or whitened, column by column."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxdl import export, losses
from jaxdl.anomaly import detectors, evaluation, reporting
from jaxdl.report import Table
from jaxdl.training import Fitted, Task

KINDS = ("plain", "whitened")
Residuals = Float[np.ndarray, "seeds n features"]


def squared_error(outputs, batch):
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
    pairs = zip(map(detectors.fit_error_scale, usual), errors, strict=True)
    return np.stack([np.asarray(detectors.whitened_contributions(*pair)) for pair in pairs])


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
    votes = (detectors.ensemble_score(scores, known)[None] for scores in (known, new))
    return Judged(usual, made, known, new, *votes)


def decision_tables(
    titles: Sequence[str],
    found: Judged,
    sigmas: Sequence[float],
    label: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> tuple[list[Table], list[str], Float[np.ndarray, " k"], evaluation.Confusion]:
    """Decisions at mean + k sd of the normal training scores, by the vote and by the members.

    Returns:
        Both tables; names of the thresholds, the first member's values and confusion counts.
    """
    names, tables = [f"mean + {k:g} sd" for k in sigmas], []
    pairs = ((found.known_vote, found.new_vote), (found.known, found.new))
    for title, (known, new) in zip(titles, pairs, strict=True):
        limits = reporting.sigma_thresholds(known, sigmas, "normal training rows")
        counts = reporting.confusion_of_members(new, label, limits, weights)
        tables.append(reporting.decision_table(title, names, limits, counts))
    return tables, names, limits[0], counts[0]


def validation_rows(
    name: str,
    fitted: Fitted,
    normal: Float[np.ndarray, "m features"],
    x: Float[np.ndarray, "n features"],
    label: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    column: str,
) -> list[Mapping[str, Any]]:
    """A table row for each kind of error: ranking metrics, and F1 at mean + 3 sd.

    Args:
        name: of the model.
        fitted: the trained population.
        normal: its training rows.
        x, label, weights: the validation part.
        column: name of the column of F1.
    """
    usual, errors = (fitted.predict(residual, {"x": rows}) for rows in (normal, x))
    rows = []
    for kind in KINDS:
        ours, theirs = (contributions(usual, e, kind).sum(axis=-1) for e in (usual, errors))
        limits = reporting.sigma_thresholds(ours, (3.0,), "normal training rows")
        counts = reporting.confusion_of_members(theirs, label, limits, weights)
        decided = {column: np.array([c.f_beta()[0] for c in counts])}
        cells = {**reporting.metrics_of(theirs, label, weights), **decided}
        rows.append({"model": name, "error": kind, **cells})
    return rows


def detector(task: Task, variables: Any, usual: Residuals, kind: str, name: str) -> export.Detector:
    """`detectors.ensemble_score` of the members' errors as what `jaxdl.export` writes.

    Args:
        task, variables: the trained population.
        usual: its residuals of normal training rows.
        kind: "plain" or "whitened".
        name: what it is, in words.
    """
    known = contributions(usual, usual, kind).sum(axis=-1)
    variance = np.square(usual).mean(axis=1) if kind == "whitened" else np.ones_like(usual[:, 0])

    def parts(outputs, batch):
        errors = jnp.square(batch["x"] - outputs) / batch["variance"]
        return errors / outputs.shape[-1]

    return export.population(
        task,
        variables,
        lambda outputs, batch: parts(outputs, batch).sum(axis=-1),
        parts,
        extras={"variance": variance},
        standard=(known.mean(axis=1), known.std(axis=1)),
        name=name,
    )


def fit_in_steps(fit: Callable[..., Fitted], steps: int, batch_size: int) -> Callable[..., Fitted]:
    """`Run.fit` that trains for so many steps, in whole epochs, on files of any size.

    Returns:
        (name, task, rows [n, features], steps=steps) -> the trained population.
    """

    def fitted(name: str, task: Task, rows: np.ndarray, steps: int = steps) -> Fitted:
        epochs = -(-steps // -(-len(rows) // batch_size))
        return fit(name, task, {"x": rows}, epochs=epochs, batch_size=batch_size)

    return fitted
