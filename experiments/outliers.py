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

from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.neighbors import KernelDensity, NearestNeighbors
from tqdm import tqdm

from datasets.source import Provenance
from datasets.toy import mix, odd_count, shapes_and_blob
from jaxdl.anomaly import detectors
from jaxdl.anomaly.detectors import Rows, Scorer
from jaxdl.anomaly.metrics import average_precision
from jaxdl.figures.points import decision_boundaries
from jaxdl.hashing import arrays_digest
from jaxdl.report import Results, Table
from jaxdl.runs import Run


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
    neighbours = config.neighbours
    reach = NearestNeighbors(n_neighbors=neighbours).fit(x).kneighbors(x)[0][:, -1]
    density = KernelDensity(bandwidth=np.median(reach)).fit(x)
    plane = PCA(0.9 if x.shape[1] > 2 else 1).fit(x)

    def off_plane(rows):
        return np.square(rows - plane.inverse_transform(plane.transform(rows))).mean(axis=1)

    return {
        "isolation forest": detectors.isolation_forest(x, seed, config.trees),
        "kNN distance": detectors.nearest_neighbours(x, neighbours),
        "LOF": detectors.local_outlier_factor(x, neighbours),
        "DBSCAN": detectors.dbscan(x, neighbours, share=0.1),
        "PCA": off_plane,
        "one-class SVM": detectors.one_class_svm(x, config.nu),
        "kernel density": lambda rows: -density.score_samples(rows),
        "Mahalanobis": detectors.mahalanobis(x.astype(np.float32)),
    }


def hidden_among(normal: Rows, config: Config, rng: np.random.Generator) -> Rows:
    """Anomalies in the plane: points drawn uniformly, the stated share of all."""
    return rng.uniform(-3, 3, (odd_count(len(normal), config.share), 2))


def main(config: Config, run: Run) -> Results:
    cancer = load_breast_cancer()
    digest = arrays_digest({"x": cancer.data})
    detail = "569 rows, 30 features, bundled with scikit-learn"
    run.uses(Provenance("breast cancer Wisconsin", "real", digest, detail))
    first = shapes_and_blob(config.points, int(run.seeds[0]))
    run.uses(
        Provenance("shapes", "simulated", arrays_digest(first), "four shapes in the plane", False)
    )
    in_plane: dict[str, dict[str, list[float]]] = {}
    real: dict[str, dict[str, list[float]]] = {}
    for seed in tqdm(run.seeds, desc="seeds", disable=None):
        rng = np.random.default_rng(int(seed))
        for name, normal in shapes_and_blob(config.points, int(seed)).items():
            x, y = mix(normal, hidden_among(normal, config, rng))
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

    def boundaries():
        rng = np.random.default_rng(int(run.seeds[0]))
        sets = {name: (normal, hidden_among(normal, config, rng)) for name, normal in first.items()}
        fit = partial(fit_detectors, config=config, seed=int(run.seeds[0]))
        return decision_boundaries(sets, fit, config.share)

    return Results(tables, {"decision_boundaries": boundaries}, headline, notes)


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
