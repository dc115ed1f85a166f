"""Detectors of sub-sequences: fitted on the first rows of a series, then scoring the rest of it.

The first rows are those that NAB's score does not count (`nab_score.learning_rows`). A window's
score stands at the row that completes it, so nothing looks ahead.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float, Int
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from jaxdl.losses import mae
from jaxdl.timeseries import nab_score, streaming, streaming_model, windows
from jaxdl.timeseries.streaming import SeriesScores, SeriesValues
from jaxdl.timeseries.streaming_model import FARTHEST
from jaxdl.training import Fitted
from jaxdl.training.task import forward

# ---- windows and rows ----------------------------------------------------------------------------


def scaled_windows(
    values: Float[np.ndarray, " n"], window: int
) -> tuple[Float[np.ndarray, "windows window 1"], int]:
    """Windows of a series, scaled by its learning rows, and how many of them are for learning.

    Args:
        values: one series.
        window: points in a window.
    """
    rows = nab_score.learning_rows(len(values))
    mean, deviation = values[:rows].mean(), values[:rows].std()
    least = 1e-3 * max(abs(mean), 1.0)  # of a series that does not move while it is learnt
    scaled = np.clip((values - mean) / max(deviation, least), -FARTHEST, FARTHEST)
    return windows.sliding(scaled, window), rows - window + 1


def at_last_row(
    errors: Float[np.ndarray, "seeds windows"], window: int
) -> Float[np.ndarray, "seeds n"]:
    """Window scores at the row that completes the window; earlier rows 0.

    >>> at_last_row(np.array([[5.0, 6.0]]), window=3).tolist()
    [[0.0, 0.0, 5.0, 6.0]]
    """
    return np.pad(errors, ((0, 0), (window - 1, 0)))


def split_by_series(
    errors: Float[np.ndarray, "seeds windows"], lengths: Mapping[str, int], window: int
) -> SeriesScores:
    """Scores of the windows of several series, one behind the other, taken apart again.

    Args:
        errors: one row for each seed.
        lengths: series -> number of its windows, in order.
        window: points in a window.
    """
    parts = np.split(errors, np.cumsum(list(lengths.values()))[:-1], axis=1)
    return {name: at_last_row(part, window) for name, part in zip(lengths, parts, strict=True)}


# ---- classical detectors of one series: [seeds, n], one seed where nothing is random -------------


def subsequence_pca(
    values: Float[np.ndarray, " n"], window: int, components: int
) -> Float[np.ndarray, "1 n"]:
    """Mean absolute error of a window's projection on the first principal components.

    Args:
        values: one series.
        window: points in a window.
        components: at most the points in a window, and the learning windows.
    """
    x, learning = _flat_windows(values, window)
    with np.errstate(invalid="ignore"):  # a constant series has no variance to explain
        pca = PCA(components, svd_solver="full").fit(learning)
    projected = pca.inverse_transform(pca.transform(x))
    return at_last_row(np.abs(projected - x).mean(axis=1)[None], window)


def subsequence_knn(
    values: Float[np.ndarray, " n"], window: int, neighbours: int
) -> Float[np.ndarray, "1 n"]:
    """Mean distance of a window to its nearest learning windows.

    Args:
        values: one series.
        window: points in a window.
        neighbours: fewer than the learning windows.
    """
    x, learning = _flat_windows(values, window)
    one_more = NearestNeighbors(n_neighbors=neighbours + 1).fit(learning)
    distance, _ = one_more.kneighbors(x)
    # a learning window is its own first neighbour
    is_learning = np.arange(len(x)) < len(learning)
    mean = np.where(is_learning, distance[:, 1:].mean(axis=1), distance[:, :-1].mean(axis=1))
    return at_last_row(mean[None], window)


def subsequence_forest(
    values: Float[np.ndarray, " n"], window: int, seeds: Sequence[int] | Int[np.ndarray, " seeds"]
) -> Float[np.ndarray, "seeds n"]:
    """Score of an isolation forest, one for each seed.

    Args:
        values: one series.
        window: points in a window.
        seeds: of the forests.
    """
    x, learning = _flat_windows(values, window)
    scores = []
    for seed in seeds:
        forest = IsolationForest(random_state=int(seed)).fit(learning)
        scores.append(-forest.score_samples(x))
    return at_last_row(np.stack(scores), window)


def _flat_windows(
    values: Float[np.ndarray, " n"], window: int
) -> tuple[Float[np.ndarray, "windows window"], Float[np.ndarray, "learning window"]]:
    """All scaled windows, and those for learning."""
    x, learning = scaled_windows(values, window)
    return x[:, :, 0], x[:learning, :, 0]


# ---- a trained model, event by event -------------------------------------------------------------


def streamed(
    fitted: Fitted, series: SeriesValues, days: Mapping[str, int], window: int
) -> SeriesScores:
    """Scores of a fitted autoencoder's first member, from the step that a live series would use.

    Args:
        fitted: its batch is {"x": [batch, window, 1]}; the score is the mean absolute error.
        series: what is scored.
        days: series -> rows in a day.
        window: points in a window.
    """
    variables = jax.tree.map(lambda leaf: leaf[0], fitted.variables)

    def error(scaled: Float[Array, " window"]) -> Float[Array, ""]:
        batch = {"x": scaled[None, :, None]}
        outputs, _ = forward(fitted.task, variables, batch, jax.random.key(0), False, {})
        return mae(outputs, batch["x"])[0]

    states = {
        name: streaming_model.start(days[name], nab_score.learning_rows(len(values)), window)
        for name, values in series.items()
    }
    advance = partial(streaming.scan_events, streaming_model.step_of(error))
    return streaming.backtest(series, states, advance)


# ---- one scale for all detectors -----------------------------------------------------------------


def rarity(scores: SeriesScores) -> SeriesScores:
    """How rare a score is among the series' earlier ones, in decades: `streaming.surprise`.

    Scores of the first half of the learning rows only count as earlier ones: theirs is 0.
    """
    rare = {}
    for name, members in scores.items():
        first = nab_score.learning_rows(members.shape[1]) // 2
        rare[name] = np.stack([streaming.surprise(member, first) for member in members])
    return rare
