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

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from tqdm import tqdm

from datasets.source import Provenance, array_digest
from jaxdl import clustering
from jaxdl.figures import COLOURS, subplots
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


PRESETS = {
    "quick": Config(starts=3, neighbours=(5,), alphas=(0.9,), budgets=(20, 50)),
}


def logistic() -> LogisticRegression:
    """Geron's classifier; this solver reaches the same optimum thirty times faster."""
    return LogisticRegression(solver="newton-cg")


def main(config: Config, run: Run) -> Results:
    x, y = load_digits(return_X_y=True)
    digest = array_digest({"x": x, "y": y})
    run.uses(Provenance("digits", "real", digest, "1,797 images bundled with scikit-learn"))
    train, test = slice(0, config.train), slice(config.train, None)
    matrices = {}
    for neighbours in config.neighbours:
        graph = clustering.neighbour_graph(x[train], neighbours)
        for alpha in config.alphas:
            matrices[neighbours, alpha] = clustering.spreading_matrix(graph, alpha)
    lecture = [_lecture(config, run, x, y, known) for known in config.lecture_known]
    held_out, curve, chosen = {}, {}, []
    for seed in tqdm(run.seeds, desc="seeds", disable=None):
        lab = Holdout(config, x[train], y[train], x[test], y[test], matrices, int(seed))
        for name, pair in lab.methods().items():
            held_out.setdefault(name, []).append(pair)
        chosen.append(lab.chosen)
        for budget in config.budgets:
            for name, value in lab.budget(budget).items():
                curve.setdefault(name, {}).setdefault(budget, []).append(value)
    for name, pair in baselines(config, x[train], y[train], x[test], y[test]).items():
        held_out[name] = [pair]
    rows = [
        {
            "method": name,
            "labels used": config.train if name.startswith("all labels") else config.known,
            "right among 1,400": np.array([pair[0] for pair in pairs]),
            "hold-out accuracy": np.array([pair[1] for pair in pairs]),
            "worst seed": min(pair[1] for pair in pairs),
        }
        for name, pairs in held_out.items()
    ]
    curve_rows = [
        {"labels": budget, **{name: np.array(curve[name][budget]) for name in curve}}
        for budget in config.budgets
    ]
    tables = [
        Table(
            "the lecture's procedure, accuracy over all 1,797 digits, known ones included", lecture
        ),
        Table("trained on 1,400 digits, tested on the last 397", rows),
        Table("hold-out accuracy by number of labels (397 digits)", curve_rows),
    ]
    best = held_out["representatives, graph, neighbours"]
    picks = ", ".join(f"{p} in {chosen.count(p)}" for p in sorted(set(chosen)))
    notes = [
        "A seed starts K-means, and draws the random labels of the curve; rows without a deviation "
        "do not depend on it.",
        "Graph chosen by leaving one known label out (neighbours, alpha): "
        f"{picks} of {len(chosen)} seeds.",
    ]
    figures = {
        "representatives": lambda: _digits(x[train][lab.representatives], y[lab.representatives]),
        "label_budget": lambda: _curve(curve, config.budgets),
    }
    headline = {f"hold-out, {config.known} labels": np.array([pair[1] for pair in best])}
    return Results(tables, figures, headline, notes)


def _lecture(config, run, x, y, known):
    """One row: the notebook's seed 42 with one start and ten, then the run's seeds."""

    def accuracy(seed, starts):
        clusters = KMeans(10, n_init=starts, random_state=int(seed)).fit(x).labels_
        labels = clustering.majority_labels(clusters, np.arange(known), y[:known], 10)
        forest = RandomForestClassifier(random_state=42).fit(x[labels >= 0], labels[labels >= 0])
        return (labels == y).mean(), (labels == y)[known:].mean(), (forest.predict(x) == y).mean()

    one, ten = accuracy(42, 1), accuracy(42, config.starts)
    seeds = np.array([accuracy(seed, 1) for seed in run.seeds])
    return {
        "known labels": known,
        "seed 42, one start": one[0],
        f"seed 42, {config.starts} starts": ten[0],
        "one start": seeds[:, 0],
        "one start, unknown digits only": seeds[:, 1],
        "random forest on these labels": seeds[:, 2],
    }


def baselines(config, x, y, x_test, y_test):
    """Rows that no seed changes."""
    first = slice(0, config.known)
    neighbours = KNeighborsClassifier(config.classifier_neighbours)
    return {
        "first labels, logistic": _score(logistic(), x[first], y[first], x, y, x_test, y_test),
        "all labels, logistic": (1.0, logistic().fit(x, y).score(x_test, y_test)),
        "all labels, neighbours": (1.0, neighbours.fit(x, y).score(x_test, y_test)),
    }


def _score(model, x_known, y_known, x, y, x_test, y_test):
    model.fit(x_known, y_known)
    return model.score(x, y), model.score(x_test, y_test)


@dataclass
class Holdout:
    """One seed of the hold-out protocol."""

    config: Config
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    matrices: dict
    seed: int

    def __post_init__(self):
        self.means, self.representatives = self._cluster(self.config.known)

    def _cluster(self, k):
        means = KMeans(k, n_init=self.config.starts, random_state=self.seed).fit(self.x)
        return means, means.transform(self.x).argmin(axis=0)

    def _learn(self, model, labels, rows=slice(None)):
        right = (labels == self.y)[rows].mean()
        model.fit(self.x[rows], labels[rows])
        return right, model.score(self.x_test, self.y_test)

    def _spread(self, known):
        """Labels over the graph that leave-one-out prefers, the sparsest of equals."""
        options = {
            pair: clustering.spread(matrix, known, self.y[known], 10)
            for pair, matrix in self.matrices.items()
        }
        pair = max(options, key=lambda pair: options[pair][2])
        return options[pair][0], pair

    def methods(self):
        """Name -> (share of the 1,400 that got the right label, hold-out accuracy)."""
        config, first, chosen = self.config, np.arange(self.config.known), self.representatives
        ten = KMeans(10, n_init=config.starts, random_state=self.seed).fit(self.x)
        lecture = clustering.majority_labels(ten.labels_, first, self.y[first], 10)
        spread_first, _ = self._spread(first)
        spread, self.chosen = self._spread(chosen)
        clusters = self.y[chosen][self.means.labels_]
        distance = self.means.transform(self.x).min(axis=1)
        near = np.ones(len(self.x), bool)
        for k in range(config.known):
            inside = self.means.labels_ == k
            near[inside] = distance[inside] <= np.quantile(distance[inside], 1 - config.farthest)
        forest = RandomForestClassifier(random_state=self.seed)
        vote = KNeighborsClassifier(config.classifier_neighbours)
        on_representatives = _score(
            logistic(), self.x[chosen], self.y[chosen], self.x, self.y, self.x_test, self.y_test
        )
        return {
            "lecture: 10 clusters, random forest": self._learn(forest, lecture, lecture >= 0),
            "representatives, logistic": on_representatives,
            "representatives, clusters, logistic": self._learn(logistic(), clusters),
            f"same without the farthest {config.farthest:.0%}": self._learn(
                logistic(), clusters, near
            ),
            "representatives, graph, logistic": self._learn(logistic(), spread),
            "first labels, graph, neighbours": self._learn(vote, spread_first),
            "representatives, graph, neighbours": self._learn(vote, spread),
        }

    def budget(self, labels):
        """Hold-out accuracy with so many labels, by method."""
        drawn = np.random.default_rng(self.seed).permutation(len(self.x))[:labels]
        chosen = drawn if labels >= len(self.x) else self._cluster(labels)[1]
        vote = KNeighborsClassifier(self.config.classifier_neighbours)
        lonely = KNeighborsClassifier(1)
        return {
            "random labels, 1 neighbour": lonely.fit(self.x[drawn], self.y[drawn]).score(
                self.x_test, self.y_test
            ),
            "random labels, graph": self._learn(vote, self._spread(drawn)[0])[1],
            "representatives, graph": self._learn(vote, self._spread(chosen)[0])[1],
        }


def _digits(images, labels):
    columns = 10
    figure, axes = subplots(-(-len(images) // columns), columns, width=0.8, height=0.95)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, label in zip(axes.flat, images, labels, strict=False):
        axis.imshow(image.reshape(8, 8), cmap="gray_r")
        axis.set_title(str(label), fontsize=8, pad=1)
    return figure


def _curve(curve, budgets):
    figure, axes = subplots()
    for colour, (name, values) in zip(COLOURS, curve.items(), strict=False):
        mean = np.array([np.mean(values[b]) for b in budgets])
        axes.plot(budgets, mean, "o-", color=colour, label=name)
        low, high = (np.array([f(values[b]) for b in budgets]) for f in (np.min, np.max))
        axes.fill_between(budgets, low, high, color=colour, alpha=0.15, lw=0)
    axes.set(xscale="log", xlabel="labels", ylabel="hold-out accuracy (band: all seeds)")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure
