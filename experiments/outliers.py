"""Outliers and novelties - one detector of each kind, and where it fails (이상치 탐지 분류 체계)

The deck's taxonomy by example. Random split: isolation forest. Proximity: k nearest neighbours,
local outlier factor, DBSCAN. Deviation: distance to the principal components, one-class SVM.
Statistical: kernel density, Mahalanobis distance. Outlier detection learns from rows with
anomalies among them and judges those rows; novelty detection learns from normal rows only and
judges new ones.

    python run.py experiments/outliers.py --seeds 20

In the plane (synthetic) uniform points hide among four shapes; decision boundaries are drawn. The
real set is scikit-learn's breast cancer (Wisconsin): benign rows are normal, malignant ones are
anomalies, thinned to the stated share. AUPRC of a random score is about that share. Settings are
the same for all sets, none is tuned. Runtime on two CPU cores: 5 s for one seed. Numbers, with
their seeds: docs/results.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_breast_cancer, make_blobs
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import KernelDensity, LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM
from tqdm import tqdm

from datasets.source import Provenance, array_digest
from datasets.toy import shapes
from jaxdl.anomaly.evaluation import average_precision
from jaxdl.anomaly.scores import fit_mahalanobis, mahalanobis_score
from jaxdl.figures import subplots
from jaxdl.report import Results, Table
from jaxdl.runs import Run

Rows = np.ndarray
Scorer = Callable[[Rows], np.ndarray]


@dataclass(frozen=True)
class Config:
    points: int = 400
    """Normal points of each shape."""
    share: float = 0.05
    """Share of anomalies among all rows."""
    neighbours: int = 20
    """Of kNN, LOF and of DBSCAN's core points."""
    nu: float = 0.05
    """One-class SVM: share of training rows that may lie outside."""
    trees: int = 200
    """Of the isolation forest."""


PRESETS = {"quick": Config(trees=100)}


def fit_detectors(x: Rows, config: Config, seed: int) -> dict[str, Scorer]:
    """Name -> scores of rows, higher is worse; each detector has learnt from x.

    A row that a neighbour search finds among its own training rows is its own nearest neighbour, in
    kNN as in density; every detector is treated the same, so the ranking does not suffer.
    """
    near = NearestNeighbors(n_neighbors=config.neighbours).fit(x)
    reach = near.kneighbors(x)[0][:, -1]
    eps = np.quantile(reach, 0.9)
    core = x[DBSCAN(eps=eps, min_samples=config.neighbours).fit(x).core_sample_indices_]
    core = NearestNeighbors(n_neighbors=1).fit(core)
    forest = IsolationForest(n_estimators=config.trees, random_state=seed).fit(x)
    factor = LocalOutlierFactor(config.neighbours, novelty=True).fit(x)
    bandwidth = np.median(reach)
    density = KernelDensity(bandwidth=bandwidth).fit(x)
    svm = OneClassSVM(nu=config.nu, gamma="scale").fit(x)
    pca = PCA(0.9 if x.shape[1] > 2 else 1).fit(x)
    ellipse = fit_mahalanobis(x.astype(np.float32))

    def off_plane(rows):
        return np.square(rows - pca.inverse_transform(pca.transform(rows))).mean(axis=1)

    return {
        "isolation forest": lambda rows: -forest.score_samples(rows),
        "kNN distance": lambda rows: near.kneighbors(rows)[0].mean(axis=1),
        "LOF": lambda rows: -factor.score_samples(rows),
        "DBSCAN": lambda rows: core.kneighbors(rows)[0][:, 0],
        "PCA": off_plane,
        "one-class SVM": lambda rows: -svm.decision_function(rows),
        "kernel density": lambda rows: -density.score_samples(rows),
        "Mahalanobis": lambda rows: np.asarray(
            mahalanobis_score(ellipse, rows.astype(np.float32)), np.float64
        ),
    }


def planes(config: Config, seed: int) -> dict[str, Rows]:
    """Name -> normal points in the plane."""
    made = shapes(config.points, seed)
    one, _ = make_blobs(config.points, centers=1, random_state=seed)
    standard = (one - one.mean(0)) / one.std(0)
    return {"one blob": standard} | {
        name: made[name][0] for name in ("unlike widths", "moons", "rings")
    }


def mix(normal: Rows, odd: Rows) -> tuple[Rows, np.ndarray]:
    """Rows of both kinds and their labels, 1 for an anomaly."""
    return np.concatenate([normal, odd]), np.repeat([0, 1], [len(normal), len(odd)])


def odd_count(normal: int, share: float) -> int:
    """How many anomalies make up `share` of all rows."""
    return max(1, round(normal * share / (1 - share)))


def main(config: Config, run: Run) -> Results:
    cancer = load_breast_cancer()
    digest = array_digest({"x": cancer.data})
    detail = "569 rows, 30 features, bundled with scikit-learn"
    run.uses(Provenance("breast cancer Wisconsin", "real", digest, detail))
    first = planes(config, int(run.seeds[0]))
    run.uses(Provenance("shapes", "simulated", array_digest(first), "four shapes in the plane"))
    in_plane: dict[str, dict[str, list[float]]] = {}
    real: dict[str, dict[str, list[float]]] = {}
    for seed in tqdm(run.seeds, desc="seeds", disable=None):
        rng = np.random.default_rng(int(seed))
        for name, normal in planes(config, int(seed)).items():
            odd = rng.uniform(-3, 3, (odd_count(len(normal), config.share), 2))
            x, y = mix(normal, odd)
            _collect(in_plane, name, fit_detectors(x, config, int(seed)), x, y, rng)
        for name, (learn, x, y) in _protocols(cancer, config, rng).items():
            mean, sd = learn.mean(0), learn.std(0)
            scorers = fit_detectors((learn - mean) / sd, config, int(seed))
            _collect(real, name, scorers, (x - mean) / sd, y, rng)
    share = f"{config.share:.0%} anomalies"
    tables = [
        _table(f"AUPRC on shapes in the plane, outlier detection, {share} (simulated)", in_plane),
        _table(f"AUPRC on breast cancer, {share}: outliers in the data, or novelties", real),
    ]
    best = max(real["novelty"], key=lambda name: np.mean(real["novelty"][name]))
    headline = {f"novelty AUPRC, {best}": np.array(real["novelty"][best])}
    notes = [
        "Where they fail (see the drawn boundaries): Mahalanobis knows one ellipse, PCA one line; "
        "the forest and a wide kernel fill the hole of a ring; one length for all points makes the "
        "edge of a wide blob suspect, which LOF avoids; uniform anomalies inside a blob cannot be "
        "found by anyone. Every detector loses when anomalies are among the rows it learns from.",
    ]
    figures = {"decision_boundaries": lambda: _boundaries(config, first, int(run.seeds[0]))}
    return Results(tables, figures, headline, notes)


def _protocols(cancer, config, rng):
    """Name -> (rows to learn from, rows to judge, their labels)."""
    benign, malignant = (rng.permutation(cancer.data[cancer.target == kind]) for kind in (1, 0))
    mixed, labels = mix(benign, malignant[: odd_count(len(benign), config.share)])
    half = len(benign) // 2
    fresh = benign[half:]
    new, new_labels = mix(fresh, malignant[: odd_count(len(fresh), config.share)])
    return {"outlier": (mixed, mixed, labels), "novelty": (benign[:half], new, new_labels)}


def _collect(found, name, scorers, x, y, rng):
    row = found.setdefault(name, {})
    for detector, score in scorers.items():
        row.setdefault(detector, []).append(average_precision(score(x), y))
    row.setdefault("random", []).append(average_precision(rng.random(len(x)), y))


def _table(title, found):
    rows = [
        {"data": name} | {detector: np.array(values) for detector, values in row.items()}
        for name, row in found.items()
    ]
    return Table(title, rows)


def _boundaries(config, sets, seed):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.linspace(-3, 3, 70), np.linspace(-3, 3, 70)), axis=-1)
    figure, axes = subplots(len(sets), 8, width=2.1, height=2.1)
    for line, (name, normal) in zip(axes, sets.items(), strict=True):
        odd = rng.uniform(-3, 3, (odd_count(len(normal), config.share), 2))
        x, _ = mix(normal, odd)
        for axis, (title, score) in zip(line, fit_detectors(x, config, seed).items(), strict=True):
            cut = np.quantile(score(x), 1 - config.share)
            outside = (score(grid.reshape(-1, 2)) > cut).reshape(70, 70)
            axis.contourf(
                grid[..., 0], grid[..., 1], outside, [-0.5, 0.5, 1.5], colors=["w", "#fde0dd"]
            )
            axis.scatter(*normal.T, s=2, c="0.4")
            axis.scatter(*odd.T, s=7, c="#d62728")
            axis.set(xticks=[], yticks=[], xlim=(-3, 3), ylim=(-3, 3))
            axis.set_title(title if name == "one blob" else "", fontsize=10)
        line[0].set_ylabel(name)
    return figure
