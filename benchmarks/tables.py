"""Outliers in tables without tuning: the default detector beside PyOD's, each as it comes.

    python benchmarks/tables.py [--rounds 3] [--record docs/benchmarks.md]

Tables: each class of scikit-learn's iris in turn is made rare; invented ones have anomalies of a
known kind (after Han et al., "ADBench", 2022). Wine, breast cancer and digits are among ADBench's
own tables and are left out, so that those stay unseen. Two protocols: *all rows*, fitted on the
rows that are then scored; *normals only*, fitted on 60 % of the normal rows, scored on the others
and the anomalies. Rows are standardised for PyOD, not for this project. Seconds are of fitting and
scoring all rows, compiled before. Peers: the extra `peers`; the isolation forest of scikit-learn
is always there.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from harness import machine, measure, options, publish, timed
from sklearn.datasets import load_iris
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxdl.anomaly.default import default_detector

OURS = "this project"
FIRST_PEER = "scikit-learn IForest"
PYOD = {
    "PyOD IForest": ("iforest", "IForest"),
    "PyOD KNN": ("knn", "KNN"),
    "PyOD LOF": ("lof", "LOF"),
    "PyOD OCSVM": ("ocsvm", "OCSVM"),
    "PyOD PCA": ("pca", "PCA"),
    "PyOD ECOD": ("ecod", "ECOD"),
    "PyOD COPOD": ("copod", "COPOD"),
    "PyOD HBOS": ("hbos", "HBOS"),
}
RARE = 0.05

Rows = np.ndarray
# (training rows, rows to score) -> scores
FitAndScore = Callable[[Rows, Rows], np.ndarray]


class Table(NamedTuple):
    """Rows and which of them are anomalies."""

    name: str
    x: Rows
    anomaly: np.ndarray


# ---- tables --------------------------------------------------------------------------------------


def bundled_tables() -> list[Table]:
    """Each class of a set of scikit-learn as the rare one."""
    x, label = load_iris(return_X_y=True)
    return [_rare(f"iris, class {kind}", x, label == kind) for kind in np.unique(label)]


def _rare(name: str, x: Rows, rare: np.ndarray) -> Table:
    """All other rows, and of the rare ones as many as make `RARE` of the table."""
    rng = np.random.default_rng(0)
    usual, odd = np.flatnonzero(~rare), np.flatnonzero(rare)
    count = min(len(odd), max(5, round(RARE / (1 - RARE) * len(usual))))
    rows = rng.permutation(np.concatenate([usual, rng.choice(odd, count, replace=False)]))
    return Table(name, x[rows], rare[rows])


def invented_tables() -> list[Table]:
    """Mixtures of Gaussians in columns of very different units, and four kinds of anomalies."""
    kinds = ("local", "global", "clustered", "dependency")
    sizes = ((4, 600), (12, 1500), (30, 2375))
    return [_invented(kind, features, n) for kind in kinds for features, n in sizes]


def _invented(kind: str, features: int, n: int) -> Table:
    rng = np.random.default_rng(features)
    centres = 3 * rng.normal(size=(3, features))
    mixing = rng.normal(size=(3, features, features)) / np.sqrt(features)

    def cluster_rows(count, stretch=1.0, move=1.0):
        which = rng.integers(0, 3, count)
        noise = np.einsum("nij,nj->ni", mixing[which], rng.normal(size=(count, features)))
        return move * centres[which] + stretch * noise

    usual, count = cluster_rows(n), round(RARE / (1 - RARE) * n)
    if kind == "local":
        odd = cluster_rows(count, stretch=np.sqrt(5))
    elif kind == "global":
        low, high = 1.1 * usual.min(axis=0), 1.1 * usual.max(axis=0)
        odd = rng.uniform(low, high, size=(count, features))
    elif kind == "clustered":
        odd = cluster_rows(count, move=3.0)
    else:
        odd = np.stack([rng.permutation(column)[:count] for column in usual.T], axis=1)
    x = np.concatenate([usual, odd]) * np.logspace(-2, 3, features)
    return Table(f"{kind}, {features} columns", x, np.repeat([False, True], [n, count]))


# ---- detectors -----------------------------------------------------------------------------------


def ours(training: Rows, x: Rows) -> np.ndarray:
    return default_detector(training).score(x)


def sklearn_forest(training: Rows, x: Rows) -> np.ndarray:
    return -IsolationForest(n_estimators=100, random_state=0).fit(training).score_samples(x)


def pyod(module: str, name: str) -> FitAndScore:
    """A detector of PyOD with its defaults.

    Raises:
        ImportError: PyOD is not installed.
    """
    import importlib

    kind = getattr(importlib.import_module(f"pyod.models.{module}"), name)

    def fit_and_score(training, x):
        mean, spread = training.mean(axis=0), training.std(axis=0)
        varies = spread > 0
        standard = [(r - mean)[:, varies] / spread[varies] for r in (training, x)]
        fitted = kind().fit(standard[0])
        # the scores of its own training rows are kept apart from those of new ones
        return fitted.decision_scores_ if x is training else fitted.decision_function(standard[1])

    return fit_and_score


def detectors() -> dict[str, FitAndScore]:
    """All that are installed."""
    found = {OURS: ours, FIRST_PEER: sklearn_forest}
    try:
        found |= {name: pyod(*words) for name, words in PYOD.items()}
    except ImportError as error:
        print(f"left out: the detectors of PyOD ({error})")
    return found


# ---- what we see ---------------------------------------------------------------------------------


def quality(detect: FitAndScore, table: Table) -> list[float]:
    """AUROC and average precision fitted on all rows, and fitted on normal rows only."""
    normal = np.random.default_rng(0).permutation(np.flatnonzero(~table.anomaly))
    learned = normal[: round(0.6 * len(normal))]
    others = np.setdiff1d(np.arange(len(table.x)), learned)
    numbers = []
    for training, x, anomaly in (
        (table.x, table.x, table.anomaly),
        (table.x[learned], table.x[others], table.anomaly[others]),
    ):
        score = np.nan_to_num(detect(training, x))
        numbers += [roc_auc_score(anomaly, score), average_precision_score(anomaly, score)]
    return numbers


def quality_table(title: str, tables: list[Table], peers: dict[str, FitAndScore]) -> str:
    lines = [
        f"**{title}**, mean over {len(tables)} tables",
        "",
        "| | AUROC, all rows | AUCPR, all rows | AUROC, normals only | AUCPR, normals only |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, detect in peers.items():
        means = np.mean([quality(detect, table) for table in tables], axis=0)
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in means) + " |")
    return "\n".join(lines)


def time_table(features: int, peers: dict[str, FitAndScore], rounds: int) -> str:
    """Seconds to fit 2,500 rows and score them."""
    x = _invented("global", features, 2375).x

    def work(detect):
        return lambda: detect(x, x)

    seconds = measure({name: timed(work(detect)) for name, detect in peers.items()}, rounds)
    forest = np.array(seconds[FIRST_PEER])
    lines = [
        f"**Fit and score 2,500 rows of {features} columns** ({rounds} rounds, {machine()})",
        "",
        "| | median s | times the isolation forest's |",
        "|---|---:|---:|",
    ]
    for name, values in seconds.items():
        ratio = np.median(np.array(values) / forest)
        lines.append(f"| {name} | {np.median(values):.4f} | {ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    args = options(__doc__, rounds=3).parse_args()
    began, peers = time.perf_counter(), detectors()
    parts = [
        quality_table("Iris of scikit-learn, each class rare in turn", bundled_tables(), peers),
        quality_table("Invented tables, four kinds of anomalies", invented_tables(), peers),
        *(time_table(features, peers, args.rounds) for features in (10, 100)),
    ]
    command = "python benchmarks/tables.py"
    publish(args.record, "tables", "Outliers in tables", "\n\n".join(parts), command)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
