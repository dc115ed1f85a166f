"""Detectors beside the deep ones: each a function from training rows to a scorer, higher is worse.

A scorer is `rows [n, features] -> scores [n]`, NumPy in and out, so that a table can treat all of
them alike. scikit-learn does the work where it has the method. The second half of the file turns
the errors of a population of autoencoders into better scores.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.anomaly import scores
from jaxdl.pca import fit_pca, pca_score

Rows = Float[np.ndarray, "n features"]
Features = Float[Array, "batch features"]
Scorer = Callable[[Rows], Float[np.ndarray, " n"]]


def subsample(rows: Rows, size: int, seed: int) -> Rows:
    """At most `size` of the rows, drawn without replacement."""
    if len(rows) <= size:
        return rows
    return rows[np.random.default_rng(seed).choice(len(rows), size, replace=False)]


def pca(normal: Rows, components: int) -> Scorer:
    """Squared distance to the subspace of the first principal components."""
    params = fit_pca(normal, components)
    return lambda x: np.asarray(pca_score(params, x))


def mahalanobis(normal: Rows) -> Scorer:
    """Squared Mahalanobis distance."""
    params = scores.fit_mahalanobis(normal)
    return lambda x: np.asarray(scores.mahalanobis_score(params, x))


def usual_range(normal: Rows, share: float = 0.001) -> Scorer:
    """A rule anyone would write: how many columns lie outside the range usual for normal rows.

    Each column's range leaves `share` of the normal rows out, half of it on either side.
    """
    low, high = np.quantile(normal, [share / 2, 1 - share / 2], axis=0)
    return lambda x: ((x < low) | (x > high)).sum(axis=1).astype(np.float64)


def tail_probability(normal: Rows) -> Scorer:
    """How far out in its column each value is: minus the sum of log tail probabilities.

    After ECOD (Li et al., "ECOD: unsupervised outlier detection using empirical cumulative
    distribution functions", 2022), with the smaller of both tails of each column. A rare flag then
    counts as much as an equally rare amount, which in units of a deviation it does not.
    """
    columns, n = np.sort(np.asarray(normal).T, axis=1), len(normal)

    def score(x: Rows) -> Float[np.ndarray, " n"]:
        total = np.zeros(len(x))
        for column, values in zip(columns, np.asarray(x).T, strict=True):
            below = np.searchsorted(column, values, side="right")
            above = n - np.searchsorted(column, values, side="left")
            total -= np.log((np.minimum(below, above) + 1) / (n + 1))
        return total

    return score


def isolation_forest(rows: Rows, seed: int, trees: int = 100) -> Scorer:
    """Liu, Ting and Zhou (2008); scikit-learn's, 256 rows a tree."""
    from sklearn.ensemble import IsolationForest

    fitted = IsolationForest(n_estimators=trees, random_state=seed).fit(rows)
    return lambda x: -fitted.score_samples(x)


def local_outlier_factor(normal: Rows, neighbours: int = 20) -> Scorer:
    """Breunig et al. (2000) as novelty detection: new rows against normal ones."""
    from sklearn.neighbors import LocalOutlierFactor

    fitted = LocalOutlierFactor(neighbours, novelty=True).fit(normal)
    return lambda x: -fitted.score_samples(x)


def nearest_neighbours(normal: Rows, neighbours: int = 5) -> Scorer:
    """Mean distance to the nearest normal rows."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=neighbours).fit(normal)
    return lambda x: fitted.kneighbors(x)[0].mean(axis=1)


def one_class_svm(normal: Rows, nu: float = 0.01) -> Scorer:
    """Schoelkopf et al. (2001), radial kernel."""
    from sklearn.svm import OneClassSVM

    fitted = OneClassSVM(nu=nu).fit(normal)
    return lambda x: -fitted.score_samples(x)


def dbscan(normal: Rows, neighbours: int = 10, share: float = 0.05) -> Scorer:
    """Distance to the nearest core row of DBSCAN (Ester et al. 1996).

    DBSCAN itself only says cluster or noise: a row is noise when this distance exceeds epsilon.
    Epsilon is where `share` of the normal rows have too few neighbours to be core rows.
    """
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    reach = NearestNeighbors(n_neighbors=neighbours).fit(normal).kneighbors(normal)[0][:, -1]
    found = DBSCAN(eps=float(np.quantile(reach, 1 - share)), min_samples=neighbours).fit(normal)
    core = NearestNeighbors(n_neighbors=1).fit(found.components_)
    return lambda x: core.kneighbors(x)[0][:, 0]


def logistic_regression(x: Rows, label: Int[np.ndarray, " n"], balanced: bool = False) -> Scorer:
    """Supervised: log-odds of fraud."""
    from sklearn.linear_model import LogisticRegression

    weight = "balanced" if balanced else None
    return LogisticRegression(max_iter=1000, class_weight=weight).fit(x, label).decision_function


def gradient_boosting(x: Rows, label: Int[np.ndarray, " n"], balanced: bool = False) -> Scorer:
    """Supervised: scikit-learn's histogram gradient boosting, log-odds of fraud.

    Shallow trees, small steps and a penalty, because there are few frauds to learn from; for the
    same reason none of them is set aside for early stopping. Nothing is drawn: there is no seed.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=200,
        max_leaf_nodes=15,
        l2_regularization=10.0,
        class_weight="balanced" if balanced else None,
        early_stopping=False,
    )
    return model.fit(x, label).decision_function


@dataclass(frozen=True)
class Detector:
    """A fitted detector as pure functions of standardised features.

    Attributes:
        name: what it is, in words.
        score: [batch, features] -> [batch], higher is worse; each row by itself.
        explain: [batch, features] -> [batch, features], what each feature adds.
        explanation: how `explain` is to be read.
    """

    name: str
    score: Callable[[Features], Float[Array, " batch"]]
    explain: Callable[[Features], Features]
    explanation: str
