"""Clustering - K-means, hierarchical, DBSCAN, and how many clusters (군집화)

The deck's five steps of K-means drawn one by one; single and Ward linkage with a dendrogram; DBSCAN
on shapes that K-means cannot do; and the number of clusters by the rule sqrt(n / 2), by the elbow,
by the silhouette and by the gap statistic with its intervals. Shapes are synthetic, as in the deck;
the number of clusters is also asked of Fisher's irises, which are real.

    python run.py experiments/clustering.py --seeds 20

Agreement is the adjusted Rand index: 0 for chance, 1 for the true clusters. No labels are used.
The deck's example of a distance, (54, 190, 3) to (50, 200, 8), is sqrt(141) = 11.87 (a test).
Runtime on two CPU cores: about 10 s for one seed. Numbers: docs/results.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import load_iris, make_blobs
from sklearn.metrics import adjusted_rand_score, silhouette_score

from datasets.source import Provenance, array_digest
from datasets.toy import shapes
from jaxdl.clustering import choose_k, kmeans
from jaxdl.figures import points as figures
from jaxdl.figures.base import subplots
from jaxdl.figures.points import Points, cluster_colours
from jaxdl.report import Results, Table
from jaxdl.runs import Run

FIVE = np.array([(0, 0), (6, 0), (0, 6), (6, 6), (3, 3)])


@dataclass(frozen=True)
class Config:
    points: int = 400
    """Points of each shape."""
    eps: float = 0.3
    """DBSCAN: radius of a neighbourhood, in standard deviations."""
    min_points: int = 5
    """DBSCAN: points in a neighbourhood that make a core."""
    most: int = 8
    """Largest number of clusters tried."""
    references: int = 50
    """Uniform data sets of the gap statistic."""
    starts: int = 5
    """K-means starts."""


PRESETS = {"quick": Config(references=10, starts=2)}


def main(config: Config, run: Run) -> Results:
    irises = load_iris()
    digest = array_digest({"x": irises.data})
    run.uses(Provenance("iris", "real", digest, "150 flowers bundled with scikit-learn"))
    sets = [shapes(config.points, int(seed)) for seed in run.seeds]
    digest = array_digest({name: x for name, (x, _) in sets[0].items()})
    run.uses(Provenance("shapes", "simulated", digest, "five sets of points in the plane", False))
    blobs, _ = make_blobs(300, centers=FIVE, cluster_std=0.7, random_state=0)
    questions = {
        "five blobs": (blobs, 5),
        "no clusters": (sets[0]["no clusters"][0], 1),
        "irises": (irises.data, 3),
    }
    answers = {name: how_many(config, run, x) for name, (x, _) in questions.items()}
    rows = [
        {"data": name, "true": truth, "sqrt(n / 2)": round(np.sqrt(len(x) / 2))}
        | {rule: answers[name][rule] for rule in ("elbow", "silhouette", "gap", "highest gap")}
        for name, (x, truth) in questions.items()
    ]
    moons = sets[0]["moons"][0]
    drawn = {
        "kmeans_step_by_step": partial(kmeans_steps, blobs, len(FIVE)),
        "dendrogram": partial(figures.dendrograms, irises.data, "irises"),
        "shapes": partial(figures.partitions, sets[0], partial(methods, config)),
        "how_many": partial(numbers_of_clusters, answers),
        "dbscan_distances": partial(
            figures.neighbour_distances, moons, config.min_points, config.eps, "moons"
        ),
    }
    table = _agreement(config, sets)
    headline = {"DBSCAN on moons, ARI": table.rows[0]["DBSCAN"]}
    notes = [
        "sqrt(n / 2) knows only n; elbow and silhouette cannot answer 1, the gap statistic can. "
        "Its published rule takes the first k that k + 1 does not beat by a standard error, and so "
        "stops early where the blobs pair up; its highest value finds them, but also sees clusters "
        "where there are none. The irises are measured in centimetres, not standardised.",
    ]
    choice = Table("number of clusters by four rules (unsupervised)", rows)
    return Results([table, choice], drawn, headline, notes)


def methods(config: Config, k: int) -> dict:
    """Name -> unfitted estimator that knows the number of clusters, except DBSCAN."""
    return {
        "K-means": KMeans(k, n_init=config.starts, random_state=0),
        "Ward": AgglomerativeClustering(k),
        "single linkage": AgglomerativeClustering(k, linkage="single"),
        "DBSCAN": DBSCAN(eps=config.eps, min_samples=config.min_points),
    }


def _agreement(config, sets):
    rows = []
    for name in [name for name in sets[0] if name != "no clusters"]:
        row = {"shape": name}
        for x, y in [made[name] for made in sets]:
            for method, model in methods(config, len(set(y))).items():
                row.setdefault(method, []).append(adjusted_rand_score(y, model.fit_predict(x)))
        rows.append({key: v if key == "shape" else np.array(v) for key, v in row.items()})
    return Table("agreement with the true clusters (adjusted Rand index, no labels used)", rows)


def how_many(config: Config, run: Run, x: np.ndarray) -> dict:
    """Answers of three rules, and the curves they read."""
    ks = tuple(range(1, config.most + 1))
    key = jax.random.key(int(run.seeds[0]))
    gap = choose_k.gap_statistic(key, x, ks, config.references, config.starts)
    fits = [KMeans(k, n_init=config.starts, random_state=0).fit(x) for k in ks]
    inertia = np.array([fit.inertia_ for fit in fits])
    silhouette = np.array([silhouette_score(x, fit.labels_) for fit in fits[1:]])
    return {
        "elbow": choose_k.elbow(ks, inertia),
        "silhouette": int(silhouette.argmax()) + 2,
        "gap": gap.chosen,
        "highest gap": int(gap.gap.argmax()) + 1,
        "curves": (ks, inertia, silhouette, gap),
    }


def kmeans_steps(x: Points, k: int) -> Any:
    """Starting centres, then assignment and new centres in turn, until nothing moves."""
    from sklearn.cluster import KMeans

    x32 = x.astype(np.float32)
    centres = x32[np.random.default_rng(1).choice(len(x), k, replace=False)]
    first = np.asarray(kmeans.nearest(x32, centres))
    moved = np.stack([x[first == j].mean(axis=0) for j in range(k)]).astype(np.float32)
    second = np.asarray(kmeans.nearest(x32, moved))
    done = KMeans(k, init=moved, n_init=1).fit(x)
    pictures = {
        "1 choose k, draw centres": (np.full(len(x), -1), centres),
        "2 assign to the nearest": (first, centres),
        "3 move to the mean": (first, moved),
        "4 assign and move again": (second, moved),
        f"5 no more change (step {done.n_iter_ + 1})": (done.labels_, done.cluster_centers_),
    }
    figure, axes = subplots(1, len(pictures), width=3, height=3)
    for axis, (title, (labels, centres)) in zip(axes, pictures.items(), strict=True):
        axis.scatter(*x.T, s=6, c=cluster_colours(labels))
        axis.scatter(*centres.T, marker="X", s=90, c="black", edgecolors="white")
        axis.set(title=title, xticks=[], yticks=[])
    return figure


def numbers_of_clusters(answers: Mapping[str, Mapping[str, Any]]) -> Any:
    """The curves that elbow, silhouette and gap read, a row for each data set, answers dashed.

    Args:
        answers: data set -> {"elbow", "silhouette", "gap": the k that the rule says, "curves":
            (numbers of clusters, inertia, silhouettes from the second k on, `clustering.Gap`)}.
    """
    figure, axes = subplots(len(answers), 3, width=4, height=2.8)
    for line, (name, found) in zip(axes, answers.items(), strict=True):
        ks, inertia, silhouette, gap = found["curves"]
        line[0].plot(ks, inertia, "o-")
        line[1].plot(ks[1:], silhouette, "o-")
        line[2].errorbar(ks, gap.gap, gap.error, fmt="o-", capsize=3)
        for axis, rule in zip(line, ("elbow", "silhouette", "gap"), strict=True):
            axis.axvline(found[rule], color="#d62728", ls="--")
            axis.set(title=f"{name}: {rule} says {found[rule]}", xlabel="clusters")
    return figure
