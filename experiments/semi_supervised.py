"""Lab 055 - semi-supervised learning by clustering (군집화를 이용한 준지도 학습)

The digits bundled with scikit-learn, nearly all without labels. First the lecture's procedure to
the letter (all 1,797 digits, K-means with 10 clusters, a cluster takes the majority of its known
labels), then a real test: 1,400 digits to learn from, of which 50 are labelled, 397 held out. The
50 may be the first ones, or one representative of each of 50 clusters; labels then spread to
clusters, or over a graph of neighbours, and a classifier learns from the spread labels.

    python run.py experiments/semi_supervised.py --seeds 20

A seed starts K-means. The graph's hyper-parameters are chosen by leaving out one of the known
labels at a time; the hold-out is never looked at. Published (Geron, one seed, 50 labels): 0.894
propagated, 0.909 without the farthest 1 %; the same steps over 20 seeds average 0.877 and 0.874.
Ours: more than 0.95 (n = 20 seeds), see docs/results.md.
Runtime on two CPU cores: about 40 s for one seed, a quarter of an hour for twenty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from tqdm import tqdm

from datasets.source import Provenance, array_digest
from jaxdl.clustering import label_propagation
from jaxdl.clustering.label_propagation import Graph, representatives, spread_best
from jaxdl.figures.curves import label_budgets
from jaxdl.figures.images import image_grid
from jaxdl.report import Results, Table
from jaxdl.runs import Run


@dataclass(frozen=True)
class Config:
    known: int = 50
    """Labelled digits in the hold-out protocol, and clusters whose representatives they are."""
    lecture_known: tuple[int, ...] = (170, 50)
    """Labelled digits in the lecture's procedure: of 2023, and of the editions before."""
    train: int = 1400
    """Digits to learn from; the rest is the hold-out."""
    starts: int = 10
    """K-means starts; the best is kept."""
    farthest: float = 0.01
    """Share of each cluster, farthest from its centre, that takes no label."""
    neighbours: tuple[int, ...] = (5, 7, 10, 15)
    """Neighbours in the graph, to choose from."""
    alphas: tuple[float, ...] = (0.8, 0.9, 0.99)
    """How far labels spread, to choose from."""
    classifier_neighbours: int = 3
    """Neighbours that vote in the last classifier."""
    budgets: tuple[int, ...] = (10, 20, 50, 100, 200, 400, 1400)
    """Numbers of labels in the curve."""


PRESETS = {"quick": Config(starts=3, neighbours=(5,), alphas=(0.9,), budgets=(20, 50))}


def main(config: Config, run: Run) -> Results:
    x, y = load_digits(return_X_y=True)
    digest = array_digest({"x": x, "y": y})
    run.uses(Provenance("digits", "real", digest, "1,797 images bundled with scikit-learn"))
    train, test = slice(config.train), slice(config.train, None)
    split = Holdout(x[train], y[train], x[test], y[test])
    graphs = label_propagation.spreading_matrices(split.x, config.neighbours, config.alphas)
    vote = KNeighborsClassifier(config.classifier_neighbours)
    seeds = [int(seed) for seed in run.seeds]
    tried = [_methods(config, split, graphs, vote, s) for s in tqdm(seeds, "seeds", disable=None)]
    found, chosen, asked = zip(*tried, strict=True)
    held_out = {name: np.array([one[name] for one in found]).T for name in found[0]}
    held_out |= {  # no seed changes these
        "first labels, logistic": split.learn_known(logistic(), slice(config.known)),
        "all labels, logistic": split.learn(logistic(), split.y),
        "all labels, neighbours": split.learn(vote, split.y),
    }
    rows = [
        {
            "method": name,
            "labels used": config.train if name.startswith("all labels") else config.known,
            "right among 1,400": np.atleast_1d(right),
            "hold-out accuracy": np.atleast_1d(accuracy),
            "worst seed": np.min(accuracy),
        }
        for name, (right, accuracy) in held_out.items()
    ]
    curve = by_budget(split, graphs, vote, config.starts, config.budgets, seeds)
    procedure = "the lecture's procedure, accuracy over all 1,797 digits, known ones included"
    tables = [
        Table(procedure, [_lecture(config, run, x, y, known) for known in config.lecture_known]),
        Table("trained on 1,400 digits, tested on the last 397", rows),
        Table("hold-out accuracy by number of labels (397 digits)", curve),
    ]
    picks = ", ".join(f"{p} in {chosen.count(p)}" for p in sorted(set(chosen)))
    notes = [
        "A seed starts K-means, and draws the random labels of the curve; rows without a deviation "
        "do not depend on it.",
        "Graph chosen by leaving one known label out (neighbours, alpha): "
        f"{picks} of {len(seeds)} seeds.",
    ]
    pictures, names = 1 - x[asked[-1]].reshape(-1, 8, 8) / 16, [str(k) for k in y[asked[-1]]]
    figures = {
        "representatives": partial(image_grid, pictures, names, columns=10),
        "label_budget": partial(label_budgets, curve),
    }
    _, best = held_out["representatives, graph, neighbours"]
    headline = {f"hold-out, {config.known} labels": best}
    return Results(tables, figures, headline, notes)


def _lecture(config, run, x, y, known):
    """One row: the notebook's seed 42 with one start and ten, then the run's seeds."""

    def accuracy(seed, starts):
        labels = label_propagation.majority_of_clusters(x, y[:known], 10, starts, int(seed))
        forest = RandomForestClassifier(random_state=42).fit(x[labels >= 0], labels[labels >= 0])
        return (labels == y).mean(), (labels == y)[known:].mean(), (forest.predict(x) == y).mean()

    seeds = np.array([accuracy(seed, 1) for seed in run.seeds])
    return {
        "known labels": known,
        "seed 42, one start": accuracy(42, 1)[0],
        f"seed 42, {config.starts} starts": accuracy(42, config.starts)[0],
        "one start": seeds[:, 0],
        "one start, unknown digits only": seeds[:, 1],
        "random forest on these labels": seeds[:, 2],
    }


def _methods(config, split, graphs, vote, seed):
    """Name -> (share of right labels, hold-out accuracy); the graph; the representatives."""
    first, starts = np.arange(config.known), config.starts
    lecture = label_propagation.majority_of_clusters(split.x, split.y[first], 10, starts, seed)
    means, chosen = label_propagation.representatives(split.x, config.known, starts, seed)
    clusters = split.y[chosen][means.labels_]
    near = label_propagation.near_centre(means, split.x, config.farthest)
    spread_first, _ = label_propagation.spread_best(graphs, first, split.y[first], 10)
    spread, graph = label_propagation.spread_best(graphs, chosen, split.y[chosen], 10)
    forest = RandomForestClassifier(random_state=seed)
    found = {
        "lecture: 10 clusters, random forest": split.learn(forest, lecture, lecture >= 0),
        "representatives, logistic": split.learn_known(logistic(), chosen),
        "representatives, clusters, logistic": split.learn(logistic(), clusters),
        f"same without the farthest {config.farthest:.0%}": split.learn(logistic(), clusters, near),
        "representatives, graph, logistic": split.learn(logistic(), spread),
        "first labels, graph, neighbours": split.learn(vote, spread_first),
        "representatives, graph, neighbours": split.learn(vote, spread),
    }
    return found, graph, chosen


class Holdout(NamedTuple):
    """Rows to learn from, nearly all of whose labels are hidden, and rows to judge by."""

    x: Float[np.ndarray, "n features"]
    y: Int[np.ndarray, " n"]
    x_test: Float[np.ndarray, "m features"]
    y_test: Int[np.ndarray, " m"]

    def learn(
        self, model: Any, labels: Int[np.ndarray, " n"], rows: Any = slice(None)
    ) -> tuple[float, float]:
        """Teach a classifier these labels of some rows.

        Returns:
            (share of the labels taught that are right, hold-out accuracy).
        """
        model.fit(self.x[rows], labels[rows])
        return (labels == self.y)[rows].mean(), model.score(self.x_test, self.y_test)

    def learn_known(self, model: Any, known: Any) -> tuple[float, float]:
        """Teach a classifier nothing but the true labels of the rows `known`.

        Returns:
            (share of all n rows that it then names rightly, hold-out accuracy).
        """
        model.fit(self.x[known], self.y[known])
        return model.score(self.x, self.y), model.score(self.x_test, self.y_test)


def logistic() -> LogisticRegression:
    """Geron's classifier; this solver reaches the same optimum thirty times faster."""
    return LogisticRegression(solver="newton-cg")


def by_budget(
    split: Holdout,
    matrices: Mapping[Graph, Float[np.ndarray, "n n"]],
    vote: Any,
    starts: int,
    budgets: Sequence[int],
    seeds: Sequence[int],
) -> list[dict[str, Any]]:
    """Hold-out accuracy by number of labels, of rows drawn at random or of representatives.

    Args:
        split: rows, of ten classes.
        matrices: to choose from for spreading.
        vote: classifier that learns the spread labels.
        starts: of K-means, which finds the representatives.
        budgets: numbers of labels; where it is all rows, there is nothing to choose.
        seeds: of the draws and of K-means.

    Returns:
        For each budget {"labels": it, method: accuracy [seeds]}.
    """

    def spread(known):
        return split.learn(vote, spread_best(matrices, known, split.y[known], 10)[0])[1]

    def accuracies(labels, seed):
        drawn = np.random.default_rng(seed).permutation(len(split.x))[:labels]
        everyone = labels >= len(split.x)
        chosen = drawn if everyone else representatives(split.x, labels, starts, seed)[1]
        alone = split.learn(KNeighborsClassifier(1), split.y, drawn)[1]
        return alone, spread(drawn), spread(chosen)

    names = "random labels, 1 neighbour", "random labels, graph", "representatives, graph"
    rows = []
    for labels in tqdm(budgets, "budgets", disable=None):
        values = np.array([accuracies(labels, seed) for seed in seeds]).T
        rows.append({"labels": labels, **dict(zip(names, values, strict=True))})
    return rows
