"""Detectors of sub-sequences for a live series: fitted on its first rows, then scoring the rest.

A population's scores of several series are a mapping: series -> [seeds, rows]. A window's score
stands at the row that completes it, so nothing looks ahead.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from jaxdl.errors import UserError
from jaxdl.losses import mae
from jaxdl.timeseries import nab_score, streaming, streaming_model, windows
from jaxdl.training import Fitted

Series = Mapping[str, Float[np.ndarray, " n"]]
SeriesScores = dict[str, Float[np.ndarray, "seeds n"]]

FARTHEST = 20.0  # standard deviations; a value far beyond all that was learnt is not farther


def check(series: Series, window: int, components: int, neighbours: int) -> None:
    """Whether the learning rows of every series suffice.

    Raises:
        UserError: the window is no multiple of 4, or one of the numbers is too large or small.
    """
    rows = min(nab_score.learning_rows(len(values)) for values in series.values())
    if window % 4 or not 4 <= window <= rows // 2:
        raise UserError(f"--window {window}: give a multiple of 4, at most {rows // 2}")
    most = {"components": min(window, rows - window + 1), "neighbours": rows - window}
    for name, value in (("components", components), ("neighbours", neighbours)):
        if not 1 <= value <= most[name]:
            raise UserError(f"--{name} {value}: give 1 to {most[name]}")


def scaled_windows(
    values: Float[np.ndarray, " n"], window: int
) -> tuple[Float[np.ndarray, "windows window 1"], int]:
    """Windows of a series, scaled by its learning rows, and how many of them are for learning."""
    rows = nab_score.learning_rows(len(values))
    mean, deviation = values[:rows].mean(), values[:rows].std()
    floor = 1e-3 * max(abs(mean), 1.0)
    scaled = np.clip((values - mean) / max(deviation, floor), -FARTHEST, FARTHEST)
    return windows.sliding(scaled, window), rows - window + 1


def at_last_row(
    errors: Float[np.ndarray, "seeds windows"], window: int
) -> Float[np.ndarray, "seeds n"]:
    """Window scores at the row that completes the window; earlier rows 0."""
    return np.pad(errors, ((0, 0), (window - 1, 0)))


def split_by_series(
    errors: Float[np.ndarray, "seeds windows"], lengths: Mapping[str, int], window: int
) -> SeriesScores:
    """SeriesScores of the windows of several series, one behind the other, taken apart again.

    Args:
        errors: one row for each seed.
        lengths: series -> number of its windows, in order.
        window: points in a window.
    """
    parts = np.split(errors, np.cumsum(list(lengths.values()))[:-1], axis=1)
    return {name: at_last_row(part, window) for name, part in zip(lengths, parts, strict=True)}


def classical(
    values: Float[np.ndarray, " n"],
    window: int,
    components: int,
    neighbours: int,
    seeds: Sequence[int],
) -> SeriesScores:
    """Sub-sequence PCA, kNN and isolation forest, fitted on the learning windows of a series.

    Args:
        values: one series.
        window: points in a window.
        components: of the PCA, whose score is the mean absolute error.
        neighbours: of the kNN, whose score is their mean distance.
        seeds: of the forests; the others are not random.

    Returns:
        detector -> [seeds, n].
    """
    x, count = scaled_windows(values, window)
    flat, learning = x[:, :, 0], x[:count, :, 0]
    with np.errstate(invalid="ignore"):  # a constant series has no variance to explain
        pca = PCA(components, svd_solver="full").fit(learning)
    error = np.abs(pca.inverse_transform(pca.transform(flat)) - flat).mean(axis=1)
    near = NearestNeighbors(n_neighbors=neighbours + 1).fit(learning)
    distance = near.kneighbors(flat)[0]
    # a learning window is its own first neighbour
    own = np.arange(len(flat)) < count
    distance = np.where(own, distance[:, 1:].mean(1), distance[:, :-1].mean(1))
    forests = [
        -IsolationForest(random_state=int(seed)).fit(learning).score_samples(flat) for seed in seeds
    ]
    scores = {"sub-sequence PCA": error[None], "sub-sequence kNN": distance[None]}
    scores["isolation forest"] = np.stack(forests)
    return {name: at_last_row(members, window) for name, members in scores.items()}


def streamed(
    fitted: Fitted, series: Series, days: Mapping[str, int], window: int, member: int = 0
) -> SeriesScores:
    """Scores of one member of a fitted autoencoder, from the step that a live series would use.

    Args:
        fitted: its batch is {"x": [batch, window, 1]}; the score is the mean absolute error.
        series: what is scored.
        days: series -> rows in a day.
        window: points in a window.
        member: which seed.
    """
    variables = jax.tree.map(lambda leaf: leaf[member], fitted.variables)

    def error(scaled):
        batch = {"x": scaled[None, :, None]}
        outputs, _ = fitted.task.apply(variables, batch, jax.random.key(0), False, {})
        return mae(outputs, batch["x"])[0]

    states = {
        name: streaming_model.start(days[name], nab_score.learning_rows(len(values)), window)
        for name, values in series.items()
    }
    advance = partial(streaming_model.advance, streaming_model.step_of(error))
    scores = streaming.backtest(series, states, advance)
    return {name: row[None] for name, row in scores.items()}


def random_scores(series: Series, seeds: Sequence[int]) -> SeriesScores:
    """The weakest detector: a uniform number for each row."""
    return {
        key: np.stack([np.random.default_rng(int(seed)).random(len(values)) for seed in seeds])
        for key, values in series.items()
    }


def rarity(scores: SeriesScores) -> SeriesScores:
    """Every detector on one scale: how rare a score is among the series' earlier ones, in decades.

    SeriesScores of the first half of the learning rows only count as earlier ones.
    """
    first = {key: nab_score.learning_rows(members.shape[1]) // 2 for key, members in scores.items()}
    return {
        key: np.stack([streaming.surprise(member, first[key]) for member in members])
        for key, members in scores.items()
    }
