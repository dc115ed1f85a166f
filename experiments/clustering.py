"""Clustering - K-means, hierarchical, DBSCAN, and how many clusters (군집화)

Four methods that group points without labels: K-means and Ward's linkage look for round clusters,
single linkage follows chains, DBSCAN looks for dense regions. Each meets shapes that suit it and
shapes that do not. Then the question that K-means leaves open: how many clusters are there? Four
rules answer it, and disagree: sqrt(n / 2), the elbow, the silhouette and the gap statistic, which
is read in two ways: by its published rule, and at its highest value.

    python run.py experiments/clustering.py --seeds 20
    python run.py experiments/clustering.py --csv my_table.csv
    python run.py --predict RUN more_rows.csv

Data: synthetic shapes in the plane, as in the deck (a seed draws them), five blobs, and Fisher's
irises, which are real. No method sees a label; agreement with the true clusters is the adjusted
Rand index: 0 for chance, 1 for the same clusters. Pictures: the deck's five steps of K-means,
dendrograms of both linkages, what each method makes of each shape, and the curves of the rules.
The deck's example of a distance, (54, 190, 3) to (50, 200, 8), is sqrt(141) = 11.87 (a test).
Expected (20 seeds): single linkage and DBSCAN find moons and rings (1.00), K-means does not (0.48
and 0.00); on blobs of unlike width K-means reaches 0.84, single linkage 0.43. The rules are asked
with the first seed only: the silhouette and the highest gap count the five blobs, and of points
without clusters only the gap's published rule says so.
Runtime on two CPU cores: about 10 s for twenty seeds. All numbers: docs/results.md.

A table of one's own (`--csv`) is standardised and clustered by K-means. `--predict` names for each
row of another table the nearest cluster; a run without `--csv` has clustered the irises. Of more
than 3,000 rows as many, drawn, are what elbow, silhouette and gap statistic see.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import dendrogram, linkage
from sklearn.base import ClusterMixin
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import load_iris, make_blobs
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.neighbors import NearestNeighbors

from datasets import number_table, toy
from datasets.number_table import NumberTable, Scale
from datasets.source import Provenance
from jaxdl.anomaly.detectors import subsample
from jaxdl.anomaly.percentiles import percentiles
from jaxdl.clustering import choose_k
from jaxdl.errors import UserError, refuse_without
from jaxdl.figures.base import COLOURS, Figure, subplots
from jaxdl.figures.points import principal_plane
from jaxdl.hashing import arrays_digest
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.runs.predictions import csv_of

Shapes = Mapping[str, tuple[np.ndarray, np.ndarray]]  # name -> points, true labels
SPECIES = 3  # of irises
MOST_COMPARED = 3_000  # rows of one's own whose distances are taken pair by pair
COUNTS = "number of clusters by four rules, the gap read in two ways; first seed (unsupervised)"
FIVE_CENTRES = np.array([(0, 0), (6, 0), (0, 6), (6, 6), (3, 3)])


@dataclass(frozen=True)
class Config:
    points: int = 400
    """Points of each shape."""
    eps: float = 0.3
    """DBSCAN: radius of a neighbourhood, in standard deviations."""
    min_points: int = 5
    """DBSCAN: points in a neighbourhood that make a core."""
    most: int = field(default=8, metadata={"least": 2})
    """Largest number of clusters tried."""
    references: int = 50
    """Uniform data sets of the gap statistic."""
    starts: int = 5
    """K-means starts."""
    csv: Path | None = None
    """A table of one's own: its columns of numbers, standardised, are clustered."""
    clusters: int = field(default=0, metadata={"least": 0})
    """Clusters of that table; 0: as many as the silhouette says."""


PRESETS = {"quick": Config(references=10, starts=2)}


def main(config: Config, run: Run) -> Results:
    if config.csv is not None:
        return cluster_own_table(config, run)
    refuse_without("csv FILE", {"clusters": config.clusters > 0})
    irises = load_irises(run)
    drawings = load_shapes(config, run)
    shapes = drawings[0]
    moons, _ = shapes["moons"]
    uniform, _ = shapes["no clusters"]
    blobs, _ = make_blobs(300, centers=FIVE_CENTRES, cluster_std=0.7, random_state=0)

    agreement = compare_methods(drawings, config)

    questions = {"five blobs": (blobs, 5), "no clusters": (uniform, 1), "irises": (irises, 3)}
    answers = {name: count_clusters(x, config, run) for name, (x, _) in questions.items()}
    counts = [
        {"data": name, "true": truth} | answers[name].numbers()
        for name, (_, truth) in questions.items()
    ]

    return Results(
        tables=[agreement, Table(COUNTS, counts)],
        figures={
            "kmeans_step_by_step": partial(draw_kmeans_steps, blobs, len(FIVE_CENTRES)),
            "dendrogram": partial(draw_dendrograms, irises, "irises"),
            "shapes": partial(draw_partitions, shapes, config),
            "how_many": partial(draw_counts, answers),
            "dbscan_distances": partial(draw_neighbour_distances, moons, config, "moons"),
        },
        headline={"DBSCAN on moons, ARI": agreement.rows[0]["DBSCAN"]},
        notes=[
            "sqrt(n / 2) knows only n; elbow and silhouette cannot answer 1, the gap statistic "
            "can. Its published rule takes the first k that k + 1 does not beat by a standard "
            "error, and so can stop early where clusters form groups; its highest value cannot "
            "stop early, but can see clusters where there are none. The irises are measured in "
            "centimetres, not standardised.",
        ],
    )


def cluster_own_table(config: Config, run: Run) -> Results:
    """K-means on a table of one's own, and what the rules say about its number of clusters.

    Raises:
        UserError: more than one seed; see also `own_table`.
    """
    run.only_seed()  # count_clusters draws with it
    table = own_table(config, run)
    found = cluster_table(table, config)
    answer = count_clusters(found.compared, config, run, rows=len(table.x))

    k, name = len(found.centres), config.csv.name
    how = "as asked" if config.clusters else "by the silhouette"
    counts = [{"data": name} | answer.numbers()]
    sizes = f"{len(table.x):,} rows in {k} clusters ({how}): means of the columns"
    return Results(
        tables=[
            Table(COUNTS, counts),
            Table(sizes, mean_rows(table, found)),
        ],
        figures={
            "how_many": partial(draw_counts, {name: answer}),
            "dendrogram": partial(draw_dendrograms, found.compared, name),
            "clusters": partial(draw_clusters, found),
        },
        headline={"clusters": k},
        notes=[
            *table.remarks,
            *empty_notes(k, config),
            *sample_notes(len(found.compared), len(table.x)),
            "K-means finds as many clusters as it is told to. Where the gap statistic says 1, they "
            "cut one cloud into pieces. Every column is standardised: all of them count alike.",
        ],
        files={"clusters.csv": partial(clusters_csv, table, found)},
    )


def predict(config: Config, run: Run, inputs: Sequence[str]) -> Results:
    """The nearest cluster of each row of a table, and how far its centre is.

    The distance is placed among those of the learnt rows of the same cluster: at 100 none of them
    is farther from the centre. A run without `--csv` knows the irises in three clusters.
    """
    if config.csv is None:
        columns, unit = tuple(load_iris().feature_names), "centimetres"
        in_centimetres = Scale(np.zeros(len(columns)), np.ones(len(columns)))
        found = k_means(load_irises(run), in_centimetres, SPECIES, config)
    else:
        table = own_table(config, run)
        columns, unit = table.columns, "standard deviations of the learnt columns"
        found = cluster_table(table, config)

    new = number_table.named(inputs, columns)
    x = found.scale(new.x)
    rows = []
    for place, apart in zip(new.place, distances(x, found.centres), strict=True):
        nearest = int(apart.argmin())
        among = found.distance[found.cluster == nearest]
        rows.append(
            {
                "row": place,
                "nearest cluster": nearest + 1,
                "distance": apart[nearest],
                "percentile in its cluster": percentiles(apart[[nearest]], among).item(),
            }
        )
    title = f"{len(rows):,} rows, the nearest of {len(found.centres)} clusters"
    return Results(
        [Table(title, rows, verbatim=True)],
        {"clusters": partial(draw_clusters, found, x)},
        notes=[
            f"Distances are in {unit}. A row far from all clusters is given the nearest one, too: "
            "its percentile tells."
        ],
    )


# ---- data ----------------------------------------------------------------------------------------


def own_table(config: Config, run: Run) -> NumberTable:
    """The table of `--csv`.

    Raises:
        UserError: more clusters are to be tried than it has rows.
    """
    table = number_table.load(run.source, config.csv)
    run.uses(table.provenance)
    if max(config.most, config.clusters) >= len(table.x):
        raise UserError(f"{config.csv} has {len(table.x)} rows: too few for so many clusters")
    return table


def load_irises(run: Run) -> Float[np.ndarray, "150 4"]:
    """Fisher's irises: length and width of sepals and petals in centimetres, three species."""
    x = load_iris().data
    digest = arrays_digest({"x": x})
    run.uses(Provenance("iris", "real", digest, "150 flowers bundled with scikit-learn"))
    return x


def load_shapes(config: Config, run: Run) -> list[Shapes]:
    """The shapes of `datasets.toy`, drawn once for each seed."""
    drawings = [toy.shapes(config.points, int(seed)) for seed in run.seeds]
    digest = arrays_digest({name: x for name, (x, _) in drawings[0].items()})
    run.uses(Provenance("shapes", "simulated", digest, "five sets of points in the plane", False))
    return drawings


# ---- four methods --------------------------------------------------------------------------------


def clusterers(k: int, config: Config) -> dict[str, ClusterMixin]:
    """Name -> method, not fitted yet. All are told the number of clusters k, except DBSCAN."""
    return {
        "K-means": KMeans(k, n_init=config.starts, random_state=0),
        "Ward": AgglomerativeClustering(k),
        "single linkage": AgglomerativeClustering(k, linkage="single"),
        "DBSCAN": DBSCAN(eps=config.eps, min_samples=config.min_points),
    }


def compare_methods(drawings: Sequence[Shapes], config: Config) -> Table:
    """How well each method finds the true clusters of each shape, a value for each drawing."""
    rows = []
    for shape in drawings[0]:
        if shape == "no clusters":
            continue
        scores: dict[str, list[float]] = {}
        for shapes in drawings:
            x, truth = shapes[shape]
            for method, model in clusterers(len(set(truth)), config).items():
                score = adjusted_rand_score(truth, model.fit_predict(x))
                scores.setdefault(method, []).append(score)
        rows.append({"shape": shape} | {name: np.array(values) for name, values in scores.items()})
    return Table("agreement with the true clusters (adjusted Rand index, no labels used)", rows)


# ---- a table of one's own ------------------------------------------------------------------------


class Clusters(NamedTuple):
    """Rows in clusters, the largest first; each holds at least one.

    Attributes:
        x: the rows, scaled.
        scale: how.
        cluster: of each row, from 0 on.
        centres: means of the clusters.
        distance: of each row to its centre.
    """

    x: Float[np.ndarray, "n features"]
    scale: Scale
    cluster: Int[np.ndarray, " n"]
    centres: Float[np.ndarray, "k features"]
    distance: Float[np.ndarray, " n"]

    @property
    def compared(self) -> Float[np.ndarray, "some features"]:
        """The rows, or as many of them as can be compared pair by pair."""
        return subsample(self.x, MOST_COMPARED, seed=0)


def cluster_table(table: NumberTable, config: Config) -> Clusters:
    """K-means on standardised columns, with as many clusters as asked or by the silhouette."""
    scale = number_table.scale_of(table.x)
    k = config.clusters or best_silhouette(subsample(scale(table.x), MOST_COMPARED, seed=0), config)
    return k_means(table.x, scale, k, config)


def k_means(x: Float[np.ndarray, "n features"], scale: Scale, k: int, config: Config) -> Clusters:
    """K-means on scaled rows; of fewer than k different rows each is a cluster."""
    scaled = scale(x)
    fitted = KMeans(k, n_init=config.starts, random_state=0).fit(scaled)
    sizes = np.bincount(fitted.labels_, minlength=k)
    by_size = np.argsort(-sizes, kind="stable")
    cluster = np.argsort(by_size)[fitted.labels_]
    centres = fitted.cluster_centers_[by_size[: np.count_nonzero(sizes)]]
    return Clusters(scaled, scale, cluster, centres, distances(scaled, centres).min(axis=1))


def best_silhouette(x: Float[np.ndarray, "n features"], config: Config) -> int:
    """The number of clusters, from two on, with the highest silhouette."""

    def silhouette(k: int) -> float:
        fitted = KMeans(k, n_init=config.starts, random_state=0).fit(x)
        return silhouette_score(x, fitted.labels_)

    return max(range(2, config.most + 1), key=silhouette)


def empty_notes(k: int, config: Config) -> list[str]:
    """A sentence that says so where fewer clusters hold rows than were asked for."""
    if k >= config.clusters:
        return []
    return [
        f"{config.clusters} clusters were asked for, {k} of them hold rows: the table has no more "
        "different rows."
    ]


def sample_notes(compared: int, rows: int) -> list[str]:
    """A sentence that says so where the rules saw a part of the rows only."""
    if compared == rows:
        return []
    return [
        f"Elbow, silhouette and gap statistic saw {compared:,} of {rows:,} rows, drawn; K-means "
        "clusters all of them."
    ]


def mean_rows(table: NumberTable, found: Clusters) -> list[dict[str, str | float]]:
    """A row for each column of the file: its mean in each cluster."""
    inside = [found.cluster == k for k in range(len(found.centres))]
    names = [f"cluster {k + 1} ({rows.sum():,} rows)" for k, rows in enumerate(inside)]
    means = [table.x[rows].mean(axis=0) for rows in inside]
    return [
        {"column": column} | dict(zip(names, values, strict=True))
        for column, *values in zip(table.columns, *means, strict=True)
    ]


def clusters_csv(table: NumberTable, found: Clusters, origin: Mapping[str, Any]) -> bytes:
    """A line for each row of the table: its number in the file, its cluster and its distance."""
    del origin
    rows = [
        {"row": row, "cluster": k + 1, "distance": distance}
        for row, k, distance in zip(table.row, found.cluster, found.distance, strict=True)
    ]
    return csv_of(Table("clusters", rows))


# ---- how many clusters? --------------------------------------------------------------------------


class Counts(NamedTuple):
    """What each rule says about the number of clusters in n points, and the curve that it reads.

    The silhouette has no value for one cluster, so its curve starts at the second k.
    """

    n: int
    ks: tuple[int, ...]
    inertia: Float[np.ndarray, " ks"]
    silhouette: Float[np.ndarray, " ks-1"]
    gap: choose_k.Gap

    def numbers(self) -> dict[str, int]:
        """Rule -> number of clusters."""
        return {
            "sqrt(n / 2)": round(np.sqrt(self.n / 2)),
            "elbow": choose_k.elbow(self.ks, self.inertia),
            "silhouette": self.ks[1 + int(self.silhouette.argmax())],
            "gap": self.gap.chosen,
            "highest gap": self.ks[int(self.gap.gap.argmax())],
        }


def count_clusters(
    x: Float[np.ndarray, "some features"], config: Config, run: Run, rows: int | None = None
) -> Counts:
    """K-means with 1, 2, ... clusters, and the curves that the rules read.

    Args:
        x: points.
        config, run: of the lab; the run's first seed draws the references of the gap statistic.
        rows: how many there are in all, where x is a sample of them; by default x is all.
    """
    ks = tuple(range(1, config.most + 1))
    fits = [KMeans(k, n_init=config.starts, random_state=0).fit(x) for k in ks]
    key = jax.random.key(int(run.seeds[0]))
    return Counts(
        n=rows or len(x),
        ks=ks,
        inertia=np.array([fit.inertia_ for fit in fits]),
        silhouette=np.array([silhouette_score(x, fit.labels_) for fit in fits[1:]]),
        gap=choose_k.gap_statistic(key, x, ks, config.references, config.starts),
    )


# ---- K-means, step by step -----------------------------------------------------------------------


def distances(
    x: Float[np.ndarray, "n features"], centres: Float[np.ndarray, "k features"]
) -> Float[np.ndarray, "n k"]:
    """Euclidean distance of each point to each centre."""
    return np.sqrt(np.square(x[:, None] - centres).sum(axis=2))


def assign(
    x: Float[np.ndarray, "n features"], centres: Float[np.ndarray, "k features"]
) -> Int[np.ndarray, " n"]:
    """Each point joins the cluster of its nearest centre."""
    return distances(x, centres).argmin(axis=1)


def move(
    x: Float[np.ndarray, "n features"], clusters: Int[np.ndarray, " n"], k: int
) -> Float[np.ndarray, "k features"]:
    """Each centre moves to the mean of its points."""
    return np.stack([x[clusters == j].mean(axis=0) for j in range(k)])


class KMeansStep(NamedTuple):
    """A moment of K-means, for a picture; clusters are -1 before the first assignment."""

    title: str
    clusters: Int[np.ndarray, " n"]
    centres: Float[np.ndarray, "k features"]


def kmeans_steps(x: Float[np.ndarray, "n features"], k: int) -> list[KMeansStep]:
    """The deck's five steps: choose centres, assign, move, again, until nothing changes."""
    drawn = x[np.random.default_rng(1).choice(len(x), k, replace=False)]
    first = assign(x, drawn)
    moved = move(x, first, k)
    second = assign(x, moved)
    steps = [
        KMeansStep("1 choose k, draw centres", np.full(len(x), -1), drawn),
        KMeansStep("2 assign to the nearest", first, drawn),
        KMeansStep("3 move to the mean", first, moved),
        KMeansStep("4 assign and move again", second, moved),
    ]
    rounds, before, clusters = 2, first, second
    while (clusters != before).any():
        before, clusters = clusters, assign(x, move(x, clusters, k))
        rounds += 1
    title = f"5 no more change (round {rounds})"
    return [*steps, KMeansStep(title, clusters, move(x, clusters, k))]


# ---- what we see ---------------------------------------------------------------------------------


def cluster_colours(clusters: Int[np.ndarray, " n"]) -> list[str]:
    """A colour for each cluster; what is in none (a negative label) is grey."""
    return [COLOURS[k % len(COLOURS)] if k >= 0 else "0.5" for k in clusters]


def draw_kmeans_steps(x: Float[np.ndarray, "n 2"], k: int) -> Figure:
    """The steps of K-means side by side, centres as crosses."""
    steps = kmeans_steps(x, k)
    figure, axes = subplots(1, len(steps), width=3, height=3)
    for axis, step in zip(axes, steps, strict=True):
        axis.scatter(*x.T, s=6, c=cluster_colours(step.clusters))
        axis.scatter(*step.centres.T, marker="X", s=90, c="black", edgecolors="white")
        axis.set(title=step.title, xticks=[], yticks=[])
    return figure


def draw_dendrograms(x: Float[np.ndarray, "n features"], name: str) -> Figure:
    """Ward's and single linkage of the same points, the last 40 merges of each."""
    figure, axes = subplots(1, 2, width=6)
    for axis, method in zip(axes, ("ward", "single"), strict=True):
        dendrogram(linkage(x, method), ax=axis, no_labels=True, truncate_mode="lastp", p=40)
        axis.set(title=f"{name}, {method} linkage", ylabel="distance at which clusters merge")
    return figure


def draw_partitions(shapes: Shapes, config: Config) -> Figure:
    """What each method (a column) makes of each shape (a row)."""
    columns = len(clusterers(2, config))
    figure, axes = subplots(len(shapes), columns, width=2.6, height=2.4)
    for line, (name, (x, truth)) in zip(axes, shapes.items(), strict=True):
        models = clusterers(max(len(set(truth)), 2), config)
        for axis, model in zip(line, models.values(), strict=True):
            axis.scatter(*x.T, s=5, c=cluster_colours(model.fit_predict(x)))
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    for axis, method in zip(axes[0], models, strict=True):
        axis.set_title("DBSCAN (noise: grey)" if method == "DBSCAN" else method)
    return figure


def draw_clusters(
    found: Clusters, new: Float[np.ndarray, "others features"] | None = None
) -> Figure:
    """The clusters on the plane of the first two principal components, centres as crosses.

    Args:
        found: the clusters.
        new: further rows, scaled alike, drawn as stars.
    """
    shown = subsample(np.column_stack([found.x, found.cluster]), MOST_COMPARED, seed=0)
    x, cluster = shown[:, :-1], shown[:, -1].astype(int)
    figure, axes, place = principal_plane(found.x, new)
    axes.scatter(*place(x).T, s=6, c=cluster_colours(cluster))
    axes.scatter(*place(found.centres).T, marker="X", s=90, c="black", edgecolors="white")
    for k, (across, up) in enumerate(place(found.centres)):
        axes.annotate(f" {k + 1}", (across, up))
    return figure


def draw_counts(answers: Mapping[str, Counts]) -> Figure:
    """Inertia, silhouette and gap against k, a row for each data set; answers dashed."""
    figure, axes = subplots(len(answers), 3, width=4, height=2.8)
    for line, (name, found) in zip(axes.reshape(-1, 3), answers.items(), strict=True):
        line[0].plot(found.ks, found.inertia, "o-")
        line[1].plot(found.ks[1:], found.silhouette, "o-")
        line[2].errorbar(found.ks, found.gap.gap, found.gap.error, fmt="o-", capsize=3)
        numbers = found.numbers()
        for axis, rule in zip(line, ("elbow", "silhouette", "gap"), strict=True):
            axis.axvline(numbers[rule], color="#d62728", ls="--")
            axis.set(title=f"{name}: {rule} says {numbers[rule]}", xlabel="clusters")
    return figure


def draw_neighbour_distances(x: Float[np.ndarray, "n 2"], config: Config, name: str) -> Figure:
    """Sorted distance of each point to its `min_points`-th neighbour: eps belongs at the bend."""
    neighbour = config.min_points
    distance, _ = NearestNeighbors(n_neighbors=neighbour).fit(x).kneighbors(x)
    figure, axes = subplots()
    axes.plot(np.sort(distance[:, -1]))
    axes.axhline(config.eps, color="#d62728", ls="--", label=f"eps = {config.eps}")
    axes.set(xlabel="points, sorted", ylabel=f"distance to neighbour {neighbour} ({name})")
    axes.legend()
    return figure
