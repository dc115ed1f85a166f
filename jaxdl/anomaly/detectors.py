"""Detectors: one constructor each, from training rows to a fitted `Detector`.

Most are array programs and can be exported; where scikit-learn computes the score, the docstring
says so. Populations of deep models and classifiers that learn from labels are at the end.

>>> rows = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
>>> detector = mahalanobis(rows)
>>> calm, odd = np.zeros((1, 3), np.float32), np.array([[0, 9, 0]], np.float32)
>>> bool(detector.score(odd)[0] > detector.score(calm)[0])
True
>>> int(detector.contributions(odd)[0].argmax())  # the column that made it
1
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.anomaly import metrics, scores
from jaxdl.anomaly.detector import (
    ADDITIVE,
    OCCLUSION,
    SHIFTED,
    Detector,
    Rows,
    check_finite_rows,
    opaque,
)
from jaxdl.anomaly.isolation_forest import from_sklearn, isolation_score
from jaxdl.anomaly.metrics import Scores
from jaxdl.anomaly.nearest_neighbours import (
    fit_neighbours,
    mean_knn_score,
    mean_knn_score_of_others,
)
from jaxdl.pca import PCA, fit_pca, pca_reconstruct, pca_score
from jaxdl.precision import double_precision
from jaxdl.training import Task
from jaxdl.training.task import forward

# (outputs, batch) -> something for each row, as handed to `Fitted.predict`
RowFunction = Callable[[Any, Mapping[str, Array]], Array]


def drawn_places(rows: int, most: int, seed: int) -> Int[np.ndarray, " few"]:
    """At most so many of the numbers below `rows`, drawn without replacement; all in order if few.

    >>> drawn_places(3, 5, seed=0)
    array([0, 1, 2])
    """
    if rows <= most:
        return np.arange(rows)
    return np.random.default_rng(seed).choice(rows, most, replace=False)


def subsample(rows: Rows, size: int, seed: int) -> Float[np.ndarray, "few features"]:
    """At most `size` of the rows, drawn without replacement: for methods that look at all pairs."""
    return rows if len(rows) <= size else rows[drawn_places(len(rows), size, seed)]


def _float32(rows: Rows) -> Float[np.ndarray, "n features"]:
    """Finite training rows, in the precision of array programs."""
    return check_finite_rows(rows).astype(np.float32, copy=False)


# ---- distance to what normal rows span -----------------------------------------------------------


def pca(normal: Rows, components: int) -> Detector:
    """Squared distance to the subspace of the first principal components, mean over features.

    Raises:
        ValueError: see `fit_pca`, or rows that are not finite.
    """
    x = _float32(normal)
    params = fit_pca(x, components)
    name = f"PCA, {components} components"
    return Detector(name, x.mean(axis=0), params, pca_score, _pca_parts, ADDITIVE)


def _pca_parts(params: PCA, x: Float[Array, "n features"]) -> Float[Array, "n features"]:
    return scores.reconstruction_contributions(x, pca_reconstruct(params, x))


def minor_components(normal: Rows, components: int = 1) -> Detector:
    """Squared scores on the principal components of least variance, each in units of its variance.

    See `scores.fit_minor_components`.

    Raises:
        ValueError: see there, or rows that are not finite.
    """
    x = _float32(normal)
    params = scores.fit_minor_components(x, components)
    return _quadratic(f"minor components of PCA, {components}", x, params)


def best_minor_components(
    normal: Rows,
    x: Float[np.ndarray, "m features"],
    label: Int[np.ndarray, " m"],
    candidates: Sequence[int] = (1, 2, 3, 5, 10),
) -> Detector:
    """`minor_components`, their number chosen by average precision on labelled rows.

    Args:
        normal: rows to fit to.
        x, label: rows to choose by, 1 where one is an anomaly; never rows that are tested on.
        candidates: numbers of components to choose from.

    Raises:
        ValueError: see `minor_components`, or no anomaly among the rows to choose by.
    """
    fitted = [minor_components(normal, number) for number in candidates]
    quality = [metrics.average_precision(one.score(x), label) for one in fitted]
    return fitted[int(np.argmax(quality))]


def mahalanobis(normal: Rows) -> Detector:
    """Squared Mahalanobis distance.

    Raises:
        ValueError: see `scores.fit_mahalanobis`, or rows that are not finite.
    """
    x = _float32(normal)
    return _quadratic("Mahalanobis", x, scores.fit_mahalanobis(x))


def _quadratic(name: str, x: Rows, params: scores.Mahalanobis) -> Detector:
    parts = scores.mahalanobis_contributions
    return Detector(name, x.mean(axis=0), params, scores.mahalanobis_score, parts, ADDITIVE)


# ---- column by column ----------------------------------------------------------------------------


def usual_range(normal: Rows, share: float = 0.001) -> Detector:
    """A rule anyone would write: how many columns lie outside the range usual for normal rows.

    Args:
        normal: training rows.
        share: each column's range leaves this share of the rows out, half of it on either side.

    Raises:
        ValueError: `share` is not in [0, 1), or rows are not finite.
    """
    x = _float32(normal)
    params = scores.fit_ranges(x, share)
    name, parts = "rule: columns out of their usual range", scores.outside_contributions
    return Detector(name, x.mean(axis=0), params, scores.outside_score, parts, ADDITIVE)


def tail_probability(normal: Rows) -> Detector:
    """How far out in its column each value is: minus the sum of log tail probabilities.

    After ECOD (Li et al., "ECOD: unsupervised outlier detection using empirical cumulative
    distribution functions", 2022), with the smaller of both tails of each column. A rare flag then
    counts as much as an equally rare amount, which in units of a deviation it does not.

    Raises:
        ValueError: rows that are not finite.
    """
    x = _float32(normal)
    columns = jnp.asarray(np.sort(x.T, axis=1))
    name, parts = "tail probabilities (ECOD)", scores.tail_contributions
    return Detector(name, x.mean(axis=0), columns, scores.tail_score, parts, ADDITIVE)


# ---- random splits -------------------------------------------------------------------------------


def isolation_forest(rows: Rows, seed: int, trees: int = 100) -> Detector:
    """Liu, Ting and Zhou (2008): rows that few random splits set apart; 256 rows a tree.

    scikit-learn grows the trees; they are walked as arrays.

    Raises:
        ValueError: rows that are not finite.
    """
    from sklearn.ensemble import IsolationForest

    x = _float32(rows)
    grown = IsolationForest(n_estimators=trees, random_state=seed).fit(x)
    return Detector("isolation forest", x.mean(axis=0), from_sklearn(grown), isolation_score)


# ---- neighbours ----------------------------------------------------------------------------------


def nearest_neighbours(
    normal: Rows, neighbours: int = 5, *, leave_itself_out: bool = False
) -> Detector:
    """Mean distance to the nearest normal rows (Angiulli and Pizzuti 2002).

    Args:
        normal: training rows.
        neighbours: how many.
        leave_itself_out: a row that is one of the training rows is not its own neighbour. Wanted
            where the rows that are scored are those that it was fitted on.

    Raises:
        ValueError: too few rows for so many neighbours, or rows that are not finite.
    """
    few = check_finite_rows(normal).astype(np.float64)
    if leave_itself_out and neighbours >= len(few):
        raise ValueError(f"{len(few)} rows have no {neighbours} neighbours beside themselves")
    with double_precision():
        params = fit_neighbours(few, neighbours)
    score = mean_knn_score_of_others if leave_itself_out else mean_knn_score
    return Detector(f"kNN, {len(few):,} rows", few.mean(axis=0), params, score)


def local_outlier_factor(normal: Rows, neighbours: int = 20) -> Detector:
    """Breunig et al. (2000) as novelty detection: new rows against normal ones, by scikit-learn.

    Pairs of rows with the same neighbours have equal factors, which rounding puts in some order. So
    no other order of sums gives quite the same ranking, and there is no array program for it.

    Args:
        normal, neighbours: see `nearest_neighbours`.

    Raises:
        ValueError: rows that are not finite.
    """
    from sklearn.neighbors import LocalOutlierFactor

    few = check_finite_rows(normal)
    fitted = LocalOutlierFactor(neighbours, novelty=True).fit(few)
    name = f"LOF, {len(few):,} rows"
    return Detector(name, few.mean(axis=0), fitted, _minus_normality, exportable=False)


SMALLEST_REACH = 1e-7  # of the largest value, below which a distance is rounding


def dbscan(
    normal: Rows, neighbours: int = 10, share: float = 0.05, *, leave_itself_out: bool = False
) -> Detector:
    """Distance to the nearest core row of DBSCAN (Ester et al. 1996).

    DBSCAN itself only says cluster or noise: a row is noise when this distance exceeds epsilon.

    Args:
        normal: training rows; scikit-learn finds the core rows among them.
        neighbours: rows within epsilon, itself included, that make a core row.
        share: epsilon is where this share of the rows have too few neighbours to be core rows.
        leave_itself_out: of a core row, the distance to the nearest other one; its own is 0. See
            `nearest_neighbours`.

    Raises:
        ValueError: rows that are not finite, or a single core row, which has no other.
    """
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    few = check_finite_rows(normal)
    reach = NearestNeighbors(n_neighbors=neighbours).fit(few).kneighbors(few)[0][:, -1]
    # among many equal rows the distance is 0 up to rounding, which DBSCAN does not take
    rounding = SMALLEST_REACH * max(1.0, float(np.abs(few).max()))
    epsilon = max(float(np.quantile(reach, 1 - share)), rounding)
    core = DBSCAN(eps=epsilon, min_samples=neighbours).fit(few).components_
    name, centre = f"DBSCAN, {len(few):,} rows", few.mean(axis=0)
    if not leave_itself_out:
        search = NearestNeighbors(n_neighbors=1).fit(core)
        return Detector(name, centre, search, _distance_to_nearest, exportable=False)
    if len(core) < 2:
        raise ValueError("there is a single core row, which has no other one beside itself")
    # a tree takes differences, so that a row's distance to itself is 0, not rounding
    search = NearestNeighbors(n_neighbors=2, algorithm="kd_tree").fit(core)
    return Detector(name, centre, search, _distance_to_nearest_other, exportable=False)


def _distance_to_nearest(search: Any, x: Rows) -> Scores:
    return search.kneighbors(x)[0][:, 0]


def _distance_to_nearest_other(search: Any, x: Rows) -> Scores:
    nearest, second = search.kneighbors(x)[0].T
    return np.where(nearest == 0, second, nearest)


# ---- others --------------------------------------------------------------------------------------


def one_class_svm(normal: Rows, nu: float = 0.01) -> Detector:
    """Schoelkopf et al. (2001), radial kernel; scikit-learn computes the score.

    Args:
        normal: training rows.
        nu: share of them that may lie outside of the boundary.

    Raises:
        ValueError: rows that are not finite.
    """
    from sklearn.svm import OneClassSVM

    few = check_finite_rows(normal)
    fitted = OneClassSVM(nu=nu).fit(few)
    name = f"one-class SVM, {len(few):,} rows"
    return Detector(name, few.mean(axis=0), fitted, _minus_normality, exportable=False)


def random(features: int, seed: int) -> Detector:
    """A score that knows nothing, what any detector must beat: the i-th number drawn for row i."""
    centre = np.zeros(features)
    return Detector("random", centre, seed, _random_numbers, exportable=False)


def _minus_normality(fitted: Any, x: Rows) -> Scores:
    return -fitted.score_samples(x)


def _random_numbers(seed: int, x: Rows) -> Scores:
    return np.random.default_rng(seed).random(len(x))


# ---- deep: a population of seeds as one detector -------------------------------------------------


class Ensemble(NamedTuple):
    """What a population of deep models is scored with; the member axis in front everywhere.

    Attributes:
        variables: of the models.
        extras: name -> what a member's score needs beside its outputs.
        centre, spread: of each member's scores on normal rows, [members]; None: not standardised.
    """

    variables: Any
    extras: dict[str, Any]
    centre: Any
    spread: Any


def population(
    task: Task,
    variables: Mapping[str, Any],
    features: int,
    row_score: RowFunction,
    row_parts: RowFunction | None = None,
    *,
    extras: Mapping[str, Any] | None = None,
    standard: tuple[Any, Any] | None = None,
    name: str = "autoencoder",
) -> Detector:
    """The ensemble of all members: the mean of their scores; one member is scored as it is.

    Args:
        task: gives `apply`.
        variables: `Fitted.variables`, seed axis in front.
        features: number of columns; they are standardised, so that 0 is the training mean.
        row_score: per-row score from outputs and batch, as handed to `Fitted.predict`.
        row_parts: per-row parts of the score; None explains by occlusion.
        extras: name -> array [members, ...]: what a member's score needs beside its outputs (the
            scale of its errors, say); it finds its own under that name in the batch.
        standard: (mean, deviation) of each member's scores on normal rows; the ensemble is then the
            mean of standardised scores.
        name: what it is, in words.
    """
    members = jax.tree.leaves(variables)[0].shape[0]
    centre, spread = (None, None) if standard is None else map(np.float32, standard)
    extras = {key: np.asarray(value) for key, value in (extras or {}).items()}
    params = Ensemble(dict(variables), extras, centre, spread)
    reading = OCCLUSION
    if row_parts is not None:
        reading = ADDITIVE if standard is None else SHIFTED
    return Detector(
        name if members == 1 else f"{name}, mean of {members} members",
        np.zeros(features, np.float32),
        jax.device_get(params),
        partial(_mean_score, task, row_score),
        None if row_parts is None else partial(_mean_parts, task, row_parts),
        reading,
    )


def _mean_score(task: Task, row_score: RowFunction, params: Ensemble, x: Array) -> Array:
    values = _of_members(task, row_score, params, x)
    if params.spread is not None:
        values = (values - params.centre[:, None]) / params.spread[:, None]
    return _mean_of_members(values)


def _mean_parts(task: Task, row_parts: RowFunction, params: Ensemble, x: Array) -> Array:
    values = _of_members(task, row_parts, params, x)
    if params.spread is not None:
        values = values / params.spread[:, None, None]
    return _mean_of_members(values)


def _of_members(task: Task, function: RowFunction, params: Ensemble, x: Array) -> Array:
    """A row function by each member, [members, n, ...]."""

    def of_member(variables, extras):
        batch = {"x": x, **extras}
        outputs, _ = forward(task, variables, batch, jax.random.key(0), False, {})
        return function(outputs, batch)

    return jax.vmap(of_member)(params.variables, params.extras)


def _mean_of_members(values: Array) -> Array:
    """The mean over the first axis, added one after the other, as NumPy adds float32."""
    total = values[0]
    for member in values[1:]:
        total = total + member
    # an array, because a division by one number becomes a product with its reciprocal
    return total / opaque(jnp.full_like(total, len(values)))


# ---- with labels ---------------------------------------------------------------------------------


def logistic_regression(x: Rows, label: Int[np.ndarray, " n"], balanced: bool = False) -> Detector:
    """Supervised: log-odds of fraud, computed by scikit-learn.

    Args:
        x: training rows of both kinds.
        label: 1 = fraud.
        balanced: both classes get the same total weight.
    """
    from sklearn.linear_model import LogisticRegression

    weight = "balanced" if balanced else None
    fitted = LogisticRegression(max_iter=1000, class_weight=weight).fit(check_finite_rows(x), label)
    name = "supervised: logistic regression"
    return Detector(name, x.mean(axis=0), fitted, _log_odds, exportable=False)


def gradient_boosting(x: Rows, label: Int[np.ndarray, " n"], balanced: bool = False) -> Detector:
    """Supervised: scikit-learn's histogram gradient boosting, log-odds of fraud.

    Shallow trees, small steps and a penalty, because there are few frauds to learn from; for the
    same reason none of them is set aside for early stopping. Of more than 200,000 rows scikit-learn
    draws as many to place its bins, always the same ones here.

    Args:
        x, label, balanced: see `logistic_regression`.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=200,
        max_leaf_nodes=15,
        l2_regularization=10.0,
        class_weight="balanced" if balanced else None,
        early_stopping=False,
        random_state=0,
    )
    fitted = model.fit(check_finite_rows(x), label)
    name = "supervised: gradient boosting"
    return Detector(name, x.mean(axis=0), fitted, _log_odds, exportable=False)


def extra_trees(x: Rows, label: Int[np.ndarray, " n"], seed: int = 0, trees: int = 100) -> Detector:
    """Supervised: scikit-learn's extremely randomised trees (Geurts et al. 2006), log-odds.

    Args:
        x, label: see `logistic_regression`.
        seed: of the random cuts.
        trees: how many; at least five rows in a leaf.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(trees, min_samples_leaf=5, random_state=seed, n_jobs=-1)
    # one job scores: several add the trees up in the order in which they end
    fitted = model.fit(check_finite_rows(x), label).set_params(n_jobs=1)
    name = "supervised: extra trees"
    return Detector(name, x.mean(axis=0), fitted, _log_odds_of_votes, exportable=False)


def _log_odds(fitted: Any, x: Rows) -> Scores:
    return fitted.decision_function(x)


def _log_odds_of_votes(fitted: Any, x: Rows) -> Scores:
    """Log-odds of the trees' mean probability; that of no tree at all counts as a 20,000th."""
    probability = np.clip(fitted.predict_proba(x)[:, 1], 5e-5, 1 - 5e-5)
    return np.log(probability) - np.log1p(-probability)
