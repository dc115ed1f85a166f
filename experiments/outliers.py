"""Outliers and novelties - one detector of each kind, and where it fails (이상치 탐지 분류 체계)

The deck's taxonomy by example. Random split: isolation forest. Proximity: k nearest neighbours,
local outlier factor, DBSCAN. Deviation: distance to the principal components, one-class SVM.
Statistical: kernel density, Mahalanobis distance. Outlier detection learns from rows with
anomalies among them and judges those rows; novelty detection learns from normal rows only and
judges new ones.

    python run.py experiments/outliers.py --seeds 20
    python run.py experiments/outliers.py --csv my_table.csv
    python run.py --predict RUN more_rows.csv

Protocol: in the plane (synthetic) uniform points hide among four shapes; decision boundaries are
drawn. The real set is scikit-learn's breast cancer (Wisconsin): benign rows are normal, malignant
ones are anomalies, thinned to the stated share. AUPRC of a random score is a little above that
share where anomalies are few. Settings are the same for all sets, none is tuned; the headline is
the isolation forest's, fixed in advance.
Expected with twenty seeds: on rings kNN 0.779 ± 0.077 and PCA 0.330 ± 0.066; on breast cancer the
isolation forest 0.578 ± 0.067 with outliers in the data and 0.747 ± 0.142 on novelties; every
detector in docs/results.md.
Runtime on one CPU core: 40 s for twenty seeds.

A table of one's own (`--csv`) is outlier detection without any label. Scores of unlike detectors
have no unit in common, so each is given as a percentile among the rows that were learnt from, each
of them judged without itself: it would be its own nearest neighbour, which no new row has.
Of a long table the detectors learn from 5,000 rows, drawn, and judge all. `--predict` judges the
rows of another table in the same way; a run without `--csv` has learnt the benign rows of breast
cancer. For dates, words and thresholds: `table_anomalies`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp
from scipy.stats import rankdata
from sklearn.datasets import load_breast_cancer, make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import KernelDensity, NearestNeighbors
from tqdm import tqdm

from datasets import number_table
from datasets.number_table import NumberTable, Scale
from datasets.source import Provenance
from datasets.toy import shapes
from jaxdl.anomaly import detectors
from jaxdl.anomaly.detector import Detector, Rows
from jaxdl.anomaly.metrics import average_precision
from jaxdl.anomaly.percentiles import percentiles
from jaxdl.errors import UserError
from jaxdl.figures.base import Figure, subplots
from jaxdl.figures.points import principal_plane
from jaxdl.hashing import arrays_digest
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.runs.predictions import csv_of


@dataclass(frozen=True)
class Config:
    points: int = 400
    """Normal points of each shape."""
    share: float = 0.05
    """Share of anomalies among all rows, above 0 and below 1."""
    neighbours: int = 20
    """Of kNN, LOF and of DBSCAN's core points."""
    nu: float = 0.05
    """One-class SVM: share of training rows that may lie outside."""
    trees: int = 200
    """Of the isolation forest."""
    csv: Path | None = None
    """A table of one's own: its columns of numbers, standardised, are judged without a label."""


PRESETS = {"quick": Config(trees=100)}


def main(config: Config, run: Run) -> Results:
    if config.csv is not None:
        return judge_own_table(config, run)
    cancer = load_breast_cancer()
    check_options(config, cancer.target)
    seeds = [int(seed) for seed in run.seeds]
    plane = shapes_in_plane(config.points, seeds[0])
    run.uses(provenance_of_cancer(cancer.data))
    run.uses(provenance_of_shapes(plane))

    in_plane, in_cancer = defaultdict(list), defaultdict(list)  # data set -> AUPRC, seed by seed
    for seed in tqdm(seeds, "seeds", disable=None):
        rng = np.random.default_rng(seed)
        for name, normal in shapes_in_plane(config.points, seed).items():
            problem = outliers_among(normal, uniform_points(len(normal), config, rng))
            in_plane[name].append(auprc_of_all(problem, config, seed, rng))
        for name, problem in cancer_problems(cancer.data, cancer.target, config, rng).items():
            in_cancer[name].append(auprc_of_all(problem, config, seed, rng))

    share = f"{100 * config.share:.3g}% anomalies"
    novelty = columns_of(in_cancer["novelty"])
    return Results(
        tables=[
            Table(
                f"AUPRC on shapes in the plane, outlier detection, {share} (simulated)",
                [{"data": name} | columns_of(found) for name, found in in_plane.items()],
            ),
            Table(
                f"AUPRC on breast cancer, {share}: outliers in the data, or novelties",
                [{"data": name} | columns_of(found) for name, found in in_cancer.items()],
            ),
        ],
        figures={"decision_boundaries": partial(draw_boundaries, plane, config, seeds[0])},
        headline={"novelty AUPRC, isolation forest": novelty["isolation forest"]},
        notes=[
            "Where they fail (see the drawn boundaries): Mahalanobis knows one ellipse, PCA one "
            "line; the forest and a wide kernel fill the hole of a ring; one length for all points "
            "makes the edge of a wide blob suspect; uniform anomalies inside a blob cannot be "
            "found by anyone. Every detector loses when anomalies are among the rows it learns "
            "from.",
        ],
    )


def judge_own_table(config: Config, run: Run) -> Results:
    """Every detector on a table of one's own: the rows that most of them find odd.

    Raises:
        UserError: more than one seed; see also `own_table`.
    """
    seed = run.only_seed()
    table = own_table(config, run)
    places = detectors.drawn_places(len(table.x), MOST_LEARNT, seed=0)
    learnt = learn(table.x[places], config, seed)
    scores = learnt.score_table(table.x, places)
    found = learnt.percentiles_of(scores)
    oddness = np.mean(list(found.values()), axis=0)
    order = np.argsort(-oddness, kind="stable")

    names = [f"row {row}" for row in table.row]
    highest = percentile_rows([names[i] for i in order[:SHOWN]], found, order[:SHOWN])
    agreement = rank_correlations(scores)
    title = f"the {len(highest)} oddest of {len(table.x):,} rows: percentiles by detector"
    return Results(
        tables=[Table(title, highest, digits=1), Table("rank correlation of scores", agreement)],
        figures={"plane": partial(draw_plane, learnt.scale(table.x), oddness)},
        headline={"oddest row": names[order[0]]},
        notes=[
            *table.remarks,
            *sample_notes(len(learnt.x), len(table.x)),
            "Some row is always the oddest: a percentile ranks, it does not say that anything is "
            "wrong. A row that detectors of all kinds put high is worth a look.",
        ],
        files={"scores.csv": partial(scores_csv, table, scores, found)},
    )


def predict(config: Config, run: Run, inputs: Sequence[str]) -> Results:
    """Each detector's percentile of the rows of a table, among the rows that were learnt from."""
    if config.csv is None:
        cancer = load_breast_cancer()
        run.uses(provenance_of_cancer(cancer.data))
        columns, kind = tuple(cancer.feature_names), "benign rows of breast cancer"
        rows = cancer.data[cancer.target == BENIGN]
    else:
        table = own_table(config, run)
        columns, rows, kind = table.columns, table.x, f"rows of {config.csv.name}"
    learnt = learn(detectors.subsample(rows, MOST_LEARNT, seed=0), config, int(run.seeds[0]))

    new = number_table.named(inputs, columns)
    scores = learnt.score(new.x)
    found = learnt.percentiles_of(scores)
    title = f"{len(new.x):,} rows: percentiles among {len(learnt.x):,} {kind}"
    by_row = [
        {"row": place} | {name: float(of_all[i]) for name, of_all in scores.items()}
        for i, place in enumerate(new.place)
    ]
    return Results(
        [
            Table(title, percentile_rows(new.place, found), digits=1, verbatim=True),
            Table("scores, higher is worse", by_row, verbatim=True),
        ],
        {"plane": partial(draw_plane, learnt.x, None, learnt.scale(new.x))},
        notes=[
            "Every row is judged as a new one. One that was learnt is its own neighbour then: its "
            "percentile is too low with kNN, LOF, DBSCAN and kernel density."
        ],
    )


# ---- data ----------------------------------------------------------------------------------------

Points = Float[np.ndarray, "n 2"]
BENIGN, MALIGNANT = 1, 0  # scikit-learn's classes


class Problem(NamedTuple):
    """What a detector learns from and what it judges.

    Attributes:
        learn: rows, standardised by themselves.
        judge: rows, standardised like those learnt from.
        label: of the rows to judge; 1 = anomaly.
    """

    learn: Rows
    judge: Rows
    label: Int[np.ndarray, " n"]


def outliers_among(normal: Rows, odd: Rows) -> Problem:
    """Outlier detection: learns from normal rows and anomalies, and judges the same rows."""
    rows, label = with_labels(normal, odd)
    return Problem(rows, rows, label)


def novelties_after(learn: Rows, normal: Rows, odd: Rows) -> Problem:
    """Novelty detection: learns from normal rows only, and judges others."""
    return Problem(learn, *with_labels(normal, odd))


def with_labels(normal: Rows, odd: Rows) -> tuple[Rows, Int[np.ndarray, " n"]]:
    """Rows of both kinds and their labels, 1 for an anomaly."""
    return np.concatenate([normal, odd]), np.repeat([0, 1], [len(normal), len(odd)])


def check_options(config: Config, kind: Int[np.ndarray, " n"]) -> None:
    """Refuse a share of anomalies that the rows cannot have, and more neighbours than rows.

    Args:
        config: of the lab.
        kind: of each row of the real set.

    Raises:
        UserError: the share is not between 0 and 1, is less than one row, or needs too many
            malignant ones; the smallest set of rows has too few neighbours for each.
    """
    share = config.share
    if not 0 < share < 1:
        raise UserError(f"--share {share:g}: a share lies between 0 and 1, both excluded")
    benign, malignant = np.sum(kind == BENIGN), np.sum(kind == MALIGNANT)
    fewest = min(config.points, benign // 2)
    if fewest * share / (1 - share) < 0.5:
        raise UserError(f"--share {share:g}: that is less than one anomaly beside {fewest} rows")
    needed = odd_count(benign, share)
    if needed > malignant:
        raise UserError(
            f"--share {share:g}: that is {needed} anomalies beside {benign} benign rows, and there "
            f"are {malignant} malignant ones: choose a smaller share"
        )
    if config.neighbours >= fewest:
        raise UserError(
            f"--neighbours {config.neighbours}: some sets have {fewest} rows, give less"
        )


def odd_count(normal: int, share: float) -> int:
    """How many anomalies make up `share` of all rows, at least one."""
    return max(1, round(normal * share / (1 - share)))


def shapes_in_plane(points: int, seed: int) -> dict[str, Points]:
    """Name -> normal points: one round blob, blobs of unlike width, moons and rings.

    Each axis has mean 0 and standard deviation 1.
    """
    blob, _ = make_blobs(points, centers=1, random_state=seed)
    others = shapes(points, seed)
    plane = {"one blob": (blob - blob.mean(0)) / blob.std(0)}
    for name in ("unlike widths", "moons", "rings"):
        plane[name], _ = others[name]
    return plane


def uniform_points(normal: int, config: Config, rng: np.random.Generator) -> Points:
    """Anomalies in the plane: drawn uniformly, the stated share of all."""
    return rng.uniform(-3, 3, (odd_count(normal, config.share), 2))


def cancer_problems(
    x: Rows, kind: Int[np.ndarray, " n"], config: Config, rng: np.random.Generator
) -> dict[str, Problem]:
    """Both kinds of detection on the same set: benign rows are normal, malignant ones anomalies."""
    benign = rng.permutation(x[kind == BENIGN])
    malignant = rng.permutation(x[kind == MALIGNANT])
    half = len(benign) // 2
    known, fresh = benign[:half], benign[half:]
    problems = {
        "outlier": outliers_among(benign, malignant[: odd_count(len(benign), config.share)]),
        "novelty": novelties_after(known, fresh, malignant[: odd_count(len(fresh), config.share)]),
    }
    return {name: standardised(problem) for name, problem in problems.items()}


def standardised(problem: Problem) -> Problem:
    """Columns in units of the rows that are learnt from."""
    mean, sd = problem.learn.mean(0), problem.learn.std(0)
    return Problem((problem.learn - mean) / sd, (problem.judge - mean) / sd, problem.label)


def provenance_of_cancer(x: Rows) -> Provenance:
    """The real set."""
    detail = "569 rows, 30 features, bundled with scikit-learn"
    return Provenance("breast cancer Wisconsin", "real", arrays_digest({"x": x}), detail)


def provenance_of_shapes(plane: Mapping[str, Points]) -> Provenance:
    """The points in the plane, of the first seed."""
    detail = "four shapes in the plane"
    return Provenance("shapes", "simulated", arrays_digest(plane), detail, False)


def own_table(config: Config, run: Run) -> NumberTable:
    """The table of `--csv`.

    Raises:
        UserError: it has too few rows for the detectors, or too many.
    """
    table = number_table.load(run.source, config.csv)
    run.uses(table.provenance)
    rows, columns = table.x.shape
    needed = max(config.neighbours, columns) + 1
    if min(rows, MOST_LEARNT) < needed:
        of_these = f", of which {MOST_LEARNT:,} are learnt from" if rows > MOST_LEARNT else ""
        raise UserError(
            f"{config.csv} has {rows} rows without a blank{of_these}, {needed} are needed"
        )
    if rows > MOST_SCORED:
        raise UserError(
            f"{config.csv} has {rows:,} rows without a blank, at most {MOST_SCORED:,} can be scored"
        )
    return table


# ---- detectors -----------------------------------------------------------------------------------

WIDTH_OF_EQUALS = 0.1  # of a kernel, in standard deviations, where each row has many equal ones
DBSCAN_SHARE = 0.1  # of the rows have too few neighbours to be core rows


def fit_detectors(x: Rows, config: Config, seed: int) -> dict[str, Detector]:
    """Name -> detector that has learnt from x, one or more of each kind.

    They judge a row that was learnt as they judge a new one, so that it is its own nearest
    neighbour; see `scores_without_itself`.
    """
    neighbours = config.neighbours
    return {
        # random splits
        "isolation forest": detectors.isolation_forest(x, seed, config.trees),
        # proximity
        "kNN distance": detectors.nearest_neighbours(x, neighbours),
        "LOF": detectors.local_outlier_factor(x, neighbours),
        "DBSCAN": detectors.dbscan(x, neighbours, DBSCAN_SHARE),
        # deviation
        "PCA": principal_components(x),
        "one-class SVM": detectors.one_class_svm(x, config.nu),
        # statistical
        "kernel density": kernel_density(x, neighbours),
        "Mahalanobis": detectors.mahalanobis(x),
    }


def reaches(x: Rows, neighbours: int) -> Float[np.ndarray, " n"]:
    """Distance of each row to the last of so many nearest rows, itself among them.

    It is 0 where these are equal up to rounding, as that of distances between wide rows.
    """
    distances, _ = NearestNeighbors(n_neighbors=neighbours).fit(x).kneighbors(x)
    reach = distances[:, -1]
    return np.where(reach > detectors.SMALLEST_REACH * np.abs(x).max(), reach, 0.0)


def principal_components(x: Rows) -> Detector:
    """Distance to the components that hold 90 % of the variance; in the plane to a line."""
    kept = PCA(0.9).fit(x).n_components_ if x.shape[1] > 2 else 1
    return detectors.pca(x, int(kept))


def kernel_density(x: Rows, neighbours: int) -> Detector:
    """Minus the logarithm of a Gaussian kernel density.

    Its width is the median distance of a row to its last neighbour, so many of them.
    """
    density = KernelDensity(bandwidth=kernel_width(reaches(x, neighbours))).fit(x)
    return Detector("kernel density", x.mean(axis=0), density, rarity, exportable=False)


def kernel_width(reach: Float[np.ndarray, " n"]) -> float:
    """The median reach, or the smallest positive one where most rows have only equal neighbours.

    >>> kernel_width(np.array([0.0, 0.5, 2.0])), kernel_width(np.array([0.0, 0.0, 2.0]))
    (0.5, 2.0)
    >>> kernel_width(np.zeros(3))
    0.1
    """
    median = float(np.median(reach))
    if median > 0:
        return median
    return float(reach[reach > 0].min()) if reach.any() else WIDTH_OF_EQUALS


def rarity(density: KernelDensity, x: Rows) -> Float[np.ndarray, " n"]:
    """Minus the log density of each row."""
    return -density.score_samples(x)


def scores_without_itself(
    x: Rows, fitted: Mapping[str, Detector], neighbours: int
) -> dict[str, Float[np.ndarray, " n"]]:
    """Scores of the rows that were learnt, none of which is its own neighbour.

    A new row has no neighbour at distance 0, so its scores are compared with these. The detectors
    that ask for no neighbours score their rows as they are.

    Args:
        x: the rows.
        fitted: `fit_detectors` of them.
        neighbours: how many it was told.
    """
    others = detectors.nearest_neighbours(x, neighbours, leave_itself_out=True)
    other_cores = detectors.dbscan(x, neighbours, DBSCAN_SHARE, leave_itself_out=True)
    scores = {name: detector.score(x) for name, detector in fitted.items()}
    return scores | {
        "kNN distance": others.score(x),
        "LOF": -fitted["LOF"].params.negative_outlier_factor_,
        "DBSCAN": other_cores.score(x),
        "kernel density": rarity_among_others(x, fitted["kernel density"].params.bandwidth),
    }


def rarity_among_others(x: Rows, width: float) -> Float[np.ndarray, " n"]:
    """Minus the log density of each row under the Gaussian kernels of the other rows."""

    def log_sums(distances, first):
        own = np.arange(len(distances))
        distances[own, first + own] = np.inf
        return logsumexp(-0.5 * np.square(distances / width), axis=1)

    n, columns = x.shape
    log_sum = np.concatenate(list(pairwise_distances_chunked(x, reduce_func=log_sums)))
    log_volume = columns * np.log(width * np.sqrt(2 * np.pi))
    return log_volume + np.log(n - 1) - log_sum


# ---- a table of one's own ------------------------------------------------------------------------

SHOWN = 20  # rows of the table of the oddest ones
MOST_DRAWN = 5_000  # rows in a figure
CALLED_OUTLIERS = "#fde0dd"  # colour of the plane where a detector does
MOST_LEARNT = 5_000  # rows: SVM, LOF and kernel density compare all pairs of them
MOST_SCORED = 100_000  # rows

Scores = Mapping[str, Float[np.ndarray, " n"]]  # detector -> its score of each row, or percentile


class Learnt(NamedTuple):
    """All detectors, and the rows that they have learnt from.

    Attributes:
        x: these rows, scaled.
        scale: how.
        detectors: by name.
        scores: of these rows, each judged without itself.
    """

    x: Rows
    scale: Scale
    detectors: Mapping[str, Detector]
    scores: Scores

    def score(self, rows: Rows) -> Scores:
        """Scores of rows as the table has them; higher is worse."""
        scaled = self.scale(rows)
        return {name: detector.score(scaled) for name, detector in self.detectors.items()}

    def score_table(self, rows: Rows, places: Int[np.ndarray, " learnt"]) -> Scores:
        """Scores of a table some of whose rows were learnt: these are judged without themselves.

        Args:
            rows: as the table has them.
            places: which of them were learnt, in the order of `x`.
        """
        scores = {name: np.array(of_all) for name, of_all in self.score(rows).items()}
        for name, of_learnt in self.scores.items():
            scores[name][places] = of_learnt
        return scores

    def percentiles_of(self, scores: Scores) -> Scores:
        """Where scores lie among those of the learnt rows, 0 to 100."""
        return {name: percentiles(own, among=self.scores[name]) for name, own in scores.items()}


def sample_notes(learnt: int, rows: int) -> list[str]:
    """A line that says so where not all rows were learnt from."""
    if learnt == rows:
        return []
    return [f"the detectors learnt from {learnt:,} of {rows:,} rows, drawn; all rows are scored"]


def learn(rows: Rows, config: Config, seed: int) -> Learnt:
    """All detectors on standardised rows."""
    scale = number_table.scale_of(rows)
    x = scale(rows)
    fitted = fit_detectors(x, config, seed)
    return Learnt(x, scale, fitted, scores_without_itself(x, fitted, config.neighbours))


def percentile_rows(
    names: Sequence[str], found: Scores, chosen: Int[np.ndarray, " chosen"] | None = None
) -> list[dict[str, Any]]:
    """A line for each row: the mean percentile, then each detector's.

    Args:
        names: of the rows.
        found: percentiles of all rows.
        chosen: which of them are shown; all by default.
    """
    rows = []
    for name, i in zip(names, range(len(names)) if chosen is None else chosen, strict=True):
        own = {detector: float(of_all[i]) for detector, of_all in found.items()}
        rows.append({"row": name, "mean percentile": float(np.mean(list(own.values())))} | own)
    return rows


def rank_correlations(scores: Scores) -> list[dict[str, Any]]:
    """Spearman's correlation of each detector's scores with every other one's.

    It is None where a detector gives all rows the same score.
    """
    ranks = rankdata(np.stack(list(scores.values())), axis=1)
    with np.errstate(invalid="ignore"):
        matrix = np.corrcoef(ranks)
    cells = np.where(np.isnan(matrix), None, matrix)
    return [
        {"detector": name} | dict(zip(scores, line.tolist(), strict=True))
        for name, line in zip(scores, cells, strict=True)
    ]


def scores_csv(
    table: NumberTable, scores: Scores, found: Scores, origin: Mapping[str, Any]
) -> bytes:
    """A line for each row of the table: its number in the file, each score and percentile."""
    del origin
    columns = {"row": table.row, "mean percentile": np.mean(list(found.values()), axis=0)}
    for name in scores:
        columns |= {name: scores[name], f"{name}, percentile": found[name]}
    lines = zip(*(values.tolist() for values in columns.values()), strict=True)
    return csv_of(Table("scores", [dict(zip(columns, line, strict=True)) for line in lines]))


# ---- what we see ---------------------------------------------------------------------------------


def auprc_of_all(
    problem: Problem, config: Config, seed: int, rng: np.random.Generator
) -> dict[str, float]:
    """Name -> AUPRC of each detector and of a random score, for one seed."""
    found = {}
    for name, detector in fit_detectors(problem.learn, config, seed).items():
        found[name] = average_precision(detector.score(problem.judge), problem.label)
    found["random"] = average_precision(rng.random(len(problem.judge)), problem.label)
    return found


def columns_of(found: Sequence[Mapping[str, float]]) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Detector -> its AUPRC for every seed, out of one mapping for each seed."""
    return {name: np.array([one_seed[name] for one_seed in found]) for name in found[0]}


def draw_plane(
    x: Rows,
    oddness: Float[np.ndarray, " n"] | None = None,
    new: Float[np.ndarray, "others columns"] | None = None,
) -> Figure:
    """Rows on the plane of their first two principal components.

    Args:
        x: the rows, scaled.
        oddness: of each, its mean percentile: the higher, the redder; grey without.
        new: further rows, scaled alike, drawn as stars.
    """
    drawn = np.random.default_rng(0).permutation(len(x))[:MOST_DRAWN]
    figure, axes, place = principal_plane(x, new)
    across, up = place(x[drawn]).T
    if oddness is None:
        axes.scatter(across, up, s=8, c="0.6")
    else:
        points = axes.scatter(across, up, s=8, c=oddness[drawn], cmap="coolwarm")
        figure.colorbar(points, label="mean percentile")
    return figure


def draw_boundaries(plane: Mapping[str, Points], config: Config, seed: int) -> Figure:
    """Each detector (a column) on each shape (a row); where it sees outliers is pink.

    Args:
        plane: name -> normal points; anomalies are drawn among them.
        config: its share is also that of the points which a detector calls outliers, each judged
            without itself, as are the points of the plane.
        seed: of the anomalies and of the forest.
    """
    rng = np.random.default_rng(seed)
    problems, fitted, known = {}, {}, {}
    for shape, normal in plane.items():
        problems[shape] = outliers_among(normal, uniform_points(len(normal), config, rng))
        fitted[shape] = fit_detectors(problems[shape].learn, config, seed)
        known[shape] = scores_without_itself(
            problems[shape].learn, fitted[shape], config.neighbours
        )
    names = list(fitted[shape])
    ticks = np.linspace(-3, 3, 70)
    across, up = np.meshgrid(ticks, ticks)
    grid = np.stack([across.reshape(-1), up.reshape(-1)], axis=1)

    figure, axes = subplots(len(plane), len(names), width=2.1, height=2.1)
    for line, (shape, problem) in zip(axes, problems.items(), strict=True):
        for axis, name in zip(line, names, strict=True):
            detector = fitted[shape][name]
            cut = np.quantile(known[shape][name], 1 - config.share)
            outside = (detector.score(grid) > cut).reshape(across.shape)
            axis.contourf(across, up, outside, [-0.5, 0.5, 1.5], colors=["w", CALLED_OUTLIERS])
            axis.scatter(*problem.learn[problem.label == 0].T, s=2, c="0.4", label="usual row")
            axis.scatter(*problem.learn[problem.label == 1].T, s=7, c="#d62728", label="outlier")
            axis.set(xticks=[], yticks=[], xlim=(-3, 3), ylim=(-3, 3))
        line[0].set_ylabel(shape)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, fontsize=10)
    axes[0, 0].fill([], [], color=CALLED_OUTLIERS, label=f"called outliers ({config.share:.0%})")
    entries = axes[0, 0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside lower center", ncols=3, markerscale=3)
    return figure
