"""Lab 165 - fraud detection, method 2: features of an encoder (특징 추출기 + SVM / KNN / DNN)

An autoencoder learns to copy all rows, frauds too, by a loss without labels; its encoder then feeds
classifiers, which need labels. Two questions:

1. How much does the encoder help when only 10 or 50 frauds are labelled? Support vector machine,
   nearest neighbours, a small network and logistic regression on the raw columns, the code, the
   code of an encoder tuned further with the labels (slide 90), and code, row and reconstruction
   error together; with all labels also on the codes of an untrained encoder and of PCA. A further
   table takes the difference to the same classifier on raw columns, seed by seed.
2. How good does it get with every label and every row? Gradient boosting, extremely randomised
   trees and a wider network, and votes of theirs; the trees also with the reconstruction error and
   with directions that separate frauds.

    python run.py experiments/fraud_features.py --seeds 10
    python run.py experiments/fraud_features.py --split temporal --test-share 0.2 --seeds 10
    python run.py experiments/fraud_features.py --protocol lecture --seeds 10

Protocol: the lecture's random 50/50 split, or by time; encoder 30-12 on all rows of the training
part. Labels reach it in one way: all columns are standardised by the normal rows of three quarters
of that part, under every budget. The labelled rows are cut into folds, and each row is scored by
the classifier that was taught the other folds (`jaxdl.anomaly.cross_fitting` says why); these
held-out scores place the threshold (largest expected F1) and choose classifier and features. The
mean of the folds' classifiers is tested. With a budget, so many labelled frauds are drawn by seed,
among at most `rows` normal rows; tested are all frauds and at most `test_rows` normal rows,
weighted to the prevalence of the test part. In the last table every training row is taught, every
test row tested.
`--protocol lecture` is the lab as it was: columns standardised by all training rows, 30 epochs of
the encoder, every labelled row taught to a support vector machine, three neighbours and a network
(50 epochs, batch 1024), decisions at one half. Beside the encoder's code the same three get the raw
columns, an untrained encoder's code and PCA's.
Reference: the lecture's stored runs on the full file, all 249 frauds, no seeds: F1 0.766 (SVM),
0.808 (KNN), 0.791 (DNN), its best 0.827; published of gradient boosting: average precision 0.824.
Runtime on two busy CPU cores: about two hours for ten seeds; `--protocol lecture` half an hour on
one. Numbers: docs/results.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree
from sklearn.base import ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.utils import gen_batches
from tqdm import tqdm

from datasets import fraud
from datasets.fraud_split import (
    How,
    TransactionRows,
    refuse_parts_without_fraud,
    resample,
    split_in_two,
    split_three,
    thinned,
    training_part,
)
from jaxdl import losses, optim
from jaxdl.anomaly import detectors, metrics, tables
from jaxdl.anomaly.cross_fitting import (
    CrossFitted,
    LabelBudget,
    cross_fit,
    cross_fitted_population,
    draw_budget,
    f1_threshold,
    random_scores,
    vote,
)
from jaxdl.anomaly.leaks import least_variance_direction
from jaxdl.anomaly.reconstruction import squared_error
from jaxdl.errors import UserError
from jaxdl.figures.base import COLOURS, Figure, subplots
from jaxdl.figures.curves import draw_curve
from jaxdl.figures.decisions import confusion_heat_maps
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.mlp import MLP
from jaxdl.pca import PCA, fit_pca
from jaxdl.report import Results, Table
from jaxdl.report.table import Cell
from jaxdl.runs import Run
from jaxdl.scaling import usable_spread
from jaxdl.training import Fitted, Task, module_functions
from jaxdl.training.batch_order import epochs_for


@dataclass(frozen=True)
class Config:
    protocol: Literal["validation", "lecture"] = "validation"
    """validation: thresholds and choices by held-out rows, options `budgets` to `wide_steps`;
    lecture: every row taught, none held out, `epochs` and `classifier_epochs`."""
    csv: Path | None = None
    """Your own transactions: columns Time, V1..V28, Amount, Class (0 normal, 1 fraud)."""
    prevalence: float | None = None
    """True share of fraud, where the file was down-sampled; else that of each part."""
    split: How = "random"
    """random: the lecture's, seed 0; temporal: train on the earlier rows, test on the later."""
    test_share: float = 0.5
    """Share of the rows that are tested."""
    widths: tuple[int, ...] = (12,)
    """Of the encoder."""
    budgets: tuple[int, ...] = (10, 50, 1000)
    """Labelled frauds, for training and for the threshold together; 1000 is more than there are."""
    folds: int = 4
    """Parts of the labelled rows, each held out once."""
    steps: int = 6000
    """Optimiser steps of the autoencoder, in whole epochs; batch 128."""
    classifier_steps: int = 3000
    """Optimiser steps of the small network, in whole epochs; batch 256."""
    rows: int = 12_000
    """Normal rows that the classifiers of the first table train on, at most."""
    test_rows: int = 40_000
    """Normal rows that they are tested on, at most; fewer are faster and make precision coarse."""
    trees: int = 40
    """Extremely randomised trees of each member."""
    wide_steps: int = 3000
    """Optimiser steps of the wider network, in whole epochs; batch 1024."""
    epochs: int = 30
    """Passes of the autoencoder over the training rows (protocol "lecture")."""
    classifier_epochs: int = 50
    """Passes of the small network, batch 1024 (protocol "lecture")."""
    twin_rows: int = fraud.ROWS
    """Rows of the simulated twin, where no real file is found."""


PRESETS = {
    "quick": Config(
        folds=2,
        steps=150,
        classifier_steps=100,
        rows=1500,
        test_rows=3000,
        trees=20,
        wide_steps=100,
        epochs=2,
        classifier_epochs=10,
        twin_rows=40_000,
        budgets=(40,),
    )
}
ENCODER_BATCH = 128  # rows in a step of the autoencoder
# (split, test share) -> what the choice of the last table should reach on the published file
GOALS: dict[tuple[How, float], dict[str, float]] = {
    ("random", 0.5): {"AUPRC": 0.85, "F1": 0.87},
    ("temporal", 0.2): {"AUPRC": 0.80},
}


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    if config.protocol == "lecture":
        return judge_as_in_the_lecture(data, config, run)
    whole = split_rows(data, config)
    refuse_too_few_labels(whole.known.label, config)
    some = few_rows(whole, config)

    # 1. an encoder, whose training asks for no label
    epochs = epochs_for(config.steps, rows=len(whole.known.x), batch_size=ENCODER_BATCH)
    kinds = feature_kinds(whole.known.x, config.widths, epochs, run)

    # 2. does it help a classifier that has few labels?
    rows = compare_features(kinds, some, config, run)
    gains = gains_over_raw(rows)

    # 3. how good does it get with every label and every row? Held-out scores choose
    best = compare_strongest(kinds.row_and_error, whole, config, run)
    chosen = largest(HELD_OUT, best)

    goals = goals_of(data, config)
    counts_for = some.test_weights[some.test.label == 0].mean()  # all of them for the same
    return Results(
        tables=[
            Table(f"Classifiers on an encoder's features; {tested_on(some, config)}", rows),
            Table("Gain over the same classifier on raw columns, seed by seed", gains),
            Table(f"Every label and every row; {tested_on(whole, config)}", best),
        ],
        figures={"budgets": partial(draw_f1_by_budget, rows, goals.get("F1"))},
        headline={f"F1 ({name_of(chosen)})": chosen["F1"], "AUPRC": chosen["AUPRC"]},
        notes=[
            f"Normal rows of the first table: {config.rows:,} at most in training, "
            f"{config.test_rows:,} in test, each of which counts for "
            f"{counts_for:.2f}, which makes precision coarse: compare its rows with "
            "each other, not with the last table.",
            "The encoder's loss asks for no label, but its columns are standardised by normal "
            "rows, which labels chose, and by more of them than a budget has.",
            gains_in_words(gains),
            choice_in_words(chosen, best, goals),
        ],
    )


def judge_as_in_the_lecture(data: fraud.Transactions, config: Config, run: Run) -> Results:
    """The lecture's own protocol: every labelled row is taught, a decision falls at one half."""
    train, test, _ = split_in_two(data, config.split, config.test_share)
    refuse_parts_without_fraud(config.split, train, test)
    row_weights = fraud.prevalence_weights(test.label, config.prevalence)

    # 1. an encoder of all training rows; its loss asks for no label
    kinds = feature_kinds(train.x, config.widths, config.epochs, run)
    by_name = {kind.name: kind for kind in kinds.compared + kinds.baselines}

    # 2. the lecture's three classifiers on its code, and on what it should be better than
    rows, matrices = [], {}
    for features in ("code", "raw", "untrained code", "PCA code"):
        scores = lecture_scores(by_name[features], train, test.x, config, run)
        for name, of_seeds in scores.items():
            counts = counts_above_half(of_seeds, test.label, row_weights)
            auprc = metrics.population(metrics.average_precision, of_seeds, test.label, row_weights)
            rows.append(
                {"features": features, "classifier": name}
                | {"false alarms": counts.fp, "frauds missed": counts.fn}
                | {"precision": counts.precision(), "recall": counts.recall()}
                | {"F1": counts.f_beta(), "AUPRC": auprc}
            )
            if features == "code":
                means = [count.mean() for count in counts]
                matrices[f"{name}, mean of the seeds"] = np.reshape(means, (2, 2))

    held = tables.tested_on(config.split, test.label, config.prevalence, config.test_share)
    return Results(
        tables=[Table(f"The lecture's protocol, every row taught; {held}", rows)],
        figures={"confusion": partial(confusion_heat_maps, matrices, ("normal", "fraud"))},
        headline={f"F1 ({name_of(row)})": row["F1"] for row in rows if row["features"] == "code"},
        notes=[
            "No row is held out: which line is the largest only the test part knows, and by it "
            "nobody may choose. The other protocol chooses on held-out rows."
        ],
    )


# ---- data ----------------------------------------------------------------------------------------

Rows = Float[np.ndarray, "n columns"]


@dataclass(frozen=True)
class Split:
    """Rows by the part they play, standardised.

    Attributes:
        known: rows of the training part, for the classifiers.
        test: rows of the test part.
        prevalence: true share of fraud in the training part.
        test_prevalence: and in the test part.
    """

    known: TransactionRows
    test: TransactionRows
    prevalence: float
    test_prevalence: float

    def weigh(self, label: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Row weights that give a sample of training rows with these labels its prevalence."""
        return fraud.prevalence_weights(label, self.prevalence)

    @property
    def test_weights(self) -> Float[np.ndarray, " n"]:
        """Row weights that give the test rows their prevalence."""
        return fraud.prevalence_weights(self.test.label, self.test_prevalence)


def split_rows(data: fraud.Transactions, config: Config) -> Split:
    """All rows of the training and of the test part."""
    fraud.prevalence_weights(data.label, config.prevalence)  # refuses what is no share, early
    parts = split_three(data, config.split, config.test_share)
    train = training_part(parts)
    return Split(
        known=train,
        test=parts.test,
        prevalence=config.prevalence or float(train.label.mean()),
        test_prevalence=config.prevalence or float(parts.test.label.mean()),
    )


def refuse_too_few_labels(label: Int[np.ndarray, " n"], config: Config) -> None:
    """Every fold needs a labelled fraud.

    Raises:
        UserError: a budget has fewer.
    """
    fewest = min(*config.budgets, int(label.sum()))
    if fewest < config.folds:
        raise UserError(
            f"{fewest} labelled frauds do not fill {config.folds} folds: give a file with more "
            "frauds in the training part, larger --budgets or fewer --folds"
        )


def few_rows(whole: Split, config: Config) -> Split:
    """All frauds, and no more normal rows than slow classifiers can take."""
    return replace(
        whole,
        known=thinned(whole.known, config.rows),
        test=thinned(whole.test, config.test_rows),
    )


def tested_on(split: Split, config: Config) -> str:
    """Split, rows and prevalence, for a title."""
    prevalence = round(split.test_prevalence, 6)
    return tables.tested_on(config.split, split.test.label, prevalence, config.test_share)


# ---- model: what a classifier gets of a row ------------------------------------------------------


@dataclass(frozen=True)
class FeatureKind:
    """A way to make features of a row.

    Attributes:
        name: as the table has it.
        make: (weights of one seed, rows) -> features.
        weights: of all seeds, their axis in front; {} where nothing was learnt.
        tuned: the small network goes on training the weights, with the labels (slide 90).
    """

    name: str
    make: Callable[[PyTree, Float[Array, "n columns"]], Float[Array, "n features"]]
    weights: PyTree
    tuned: bool = False


class Kinds(NamedTuple):
    """Features to compare.

    Attributes:
        compared: features of the encoder, and raw columns; with every budget of labels.
        baselines: codes of an untrained encoder and of PCA; with all labels only.
        row_and_error: for the strongest classifiers.
    """

    compared: list[FeatureKind]
    baselines: list[FeatureKind]
    row_and_error: FeatureKind


def feature_kinds(x: Rows, widths: tuple[int, ...], epochs: int, run: Run) -> Kinds:
    """Trains the autoencoder, by no label; the features that it gives, and their baselines.

    Args:
        x: rows of both classes, standardised.
        widths: of the encoder.
        epochs: of the autoencoder.
        run: trains.
    """
    model = DenseAutoencoder(x.shape[1], widths)
    task = Task(*module_functions(model), squared_error, lambda hyper: optim.adam())
    trained = run.fit("autoencoder", task, {"x": x}, epochs=epochs, batch_size=ENCODER_BATCH)
    untrained = run.fit("blank", task, {"x": x}, epochs=0, batch_size=ENCODER_BATCH)
    weights, blank = trained.variables["params"], untrained.variables["params"]
    pca = fit_pca(x, widths[-1])  # as many components as the code has numbers
    pca_of_seeds = for_all_seeds(pca, run.seeds)
    compared = [
        FeatureKind("raw", raw, {}),
        FeatureKind("code", partial(code, model), weights),
        FeatureKind("tuned code", partial(code, model), weights, tuned=True),
        FeatureKind("code and row", partial(code_and_row, model), weights),
    ]
    baselines = [
        FeatureKind("untrained code", partial(code, model), blank),
        FeatureKind("PCA code", pca_code, pca_of_seeds),
    ]
    row_and_error = FeatureKind("row and error", partial(error_and_row, model), weights)
    return Kinds(compared, baselines, row_and_error)


def raw(weights: PyTree, x: Float[Array, "n columns"]) -> Float[Array, "n columns"]:
    """The row itself."""
    del weights
    return x


def code(
    model: DenseAutoencoder, weights: PyTree, x: Float[Array, "n columns"]
) -> Float[Array, "n code"]:
    """What the encoder makes of the row."""
    return model.apply({"params": weights}, x, method="encode")


def code_and_row(
    model: DenseAutoencoder, weights: PyTree, x: Float[Array, "n columns"]
) -> Float[Array, "n features"]:
    """The row, its code, and the logarithm of its reconstruction error."""
    error = log_error(model, weights, x)
    return jnp.concatenate([x, code(model, weights, x), error], axis=1)


def error_and_row(
    model: DenseAutoencoder, weights: PyTree, x: Float[Array, "n columns"]
) -> Float[Array, "n features"]:
    """The row, and the logarithm of its reconstruction error."""
    return jnp.concatenate([x, log_error(model, weights, x)], axis=1)


def log_error(
    model: DenseAutoencoder, weights: PyTree, x: Float[Array, "n columns"]
) -> Float[Array, "n 1"]:
    """The logarithm of the row's reconstruction error."""
    copy = model.apply({"params": weights}, x, train=False)
    return jnp.log(losses.mse(copy, x) + 1e-6)[:, None]


def pca_code(weights: PCA, x: Float[Array, "n columns"]) -> Float[Array, "n code"]:
    """The row's principal components, the code of the best linear autoencoder."""
    return (x - weights.mean) @ weights.components.T


class RobustScale(NamedTuple):
    """Medians of the columns, and their quartile distances in units of a normal's deviation."""

    median: Float[Array, "*seeds columns"]
    spread: Float[Array, "*seeds columns"]


def robust_row(weights: RobustScale, x: Float[Array, "n columns"]) -> Float[Array, "n columns"]:
    """The row without its huge values: arcsinh is a logarithm far from 0, straight near it."""
    return jnp.arcsinh((x - weights.median) / weights.spread)


def robust_kind(x: Rows, seeds: Sequence[int] | Int[np.ndarray, " seeds"]) -> FeatureKind:
    """`robust_row` by the quartiles of these rows, the same for all seeds."""
    lower, median, upper = np.percentile(x, [25, 50, 75], axis=0)
    spread = usable_spread((upper - lower) / 1.349, np.abs(x).max(axis=0))
    scale = RobustScale(jnp.float32(median), jnp.float32(spread))
    return FeatureKind("robust row", robust_row, for_all_seeds(scale, seeds))


def for_all_seeds(weights: PyTree, seeds: Sequence[int] | Int[np.ndarray, " seeds"]) -> PyTree:
    """The same weights for every seed, their axis in front."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * len(seeds)), weights)


def weights_of_seed(kind: FeatureKind, seed: int | Int[Array, ""]) -> PyTree:
    """What `kind.make` needs, of one seed (counted from 0)."""
    return jax.tree.map(lambda leaf: leaf[seed], kind.weights)


# ---- model: the networks -------------------------------------------------------------------------

SMALL = MLP((32, 16, 1), dropout=0.2)  # the deck's
WIDE = MLP((64, 64, 1), activation=jax.nn.gelu, dropout=0.2)


def network(
    kind: FeatureKind,
    owner: Int[np.ndarray, " members"],
    head: MLP = SMALL,
    optimizer: optax.GradientTransformation | None = None,
) -> Task:
    """A network on features of one kind; a population.

    A batch has `x` [rows, columns], `label` [rows] and `keep` [rows, members], which is 1 where a
    member is taught a row. The outputs are logits. Where the kind is tuned, the parameters hold,
    beside the network's head, a change to the member's encoder that starts at zero.

    The members differ in two whole numbers, which travel as hyper-parameters: "owner", whose
    seed's weights a member starts from, and "member", its column of `keep`.

    Args:
        kind: what it gets.
        owner: of each member the seed, counted from 0, whose features it gets.
        head: its layers.
        optimizer: Adam as in Keras by default.
    """

    def init(key, batch):
        weights = weights_of_seed(kind, 0)
        features = kind.make(weights, jnp.asarray(batch["x"][:1]))
        params = {"head": head.init(key, jnp.zeros_like(features), train=False)["params"]}
        if kind.tuned:
            params["change"] = jax.tree.map(jnp.zeros_like, weights)
        return {"params": params}

    def apply(variables, batch, key, train, hyper):
        params = variables["params"]
        weights = weights_of_seed(kind, whole_number(hyper["owner"]))
        if kind.tuned:
            weights = jax.tree.map(jnp.add, weights, params["change"])
        features = kind.make(weights, batch["x"])
        dropout = {"dropout": key} if train else None
        logit = head.apply({"params": params["head"]}, features, train=train, rngs=dropout)
        return logit[:, 0], {}

    def loss(logit, batch, hyper):
        taught = batch["keep"][:, whole_number(hyper["member"])]
        return taught * losses.binary_cross_entropy(logit[:, None], batch["label"][:, None])

    hyper = {"owner": owner, "member": np.arange(len(owner))}
    return Task(init, apply, loss, lambda hyper: optimizer or optim.adam(), hyper=hyper)


def owners(budget: LabelBudget) -> Int[np.ndarray, " members"]:
    """The seed of each member of a budget."""
    return np.array([seed for seed, _ in budget.members])


def whole_number(hyper: Float[Array, ""]) -> Int[Array, ""]:
    """A number that counts something; the engine hands every hyper-parameter over as a float."""
    return hyper.astype(jnp.int32)


def network_batch(x: Rows, budget: LabelBudget) -> dict[str, np.ndarray]:
    """The training rows of `network`."""
    keep = np.stack([budget.taught(seed, fold) for seed, fold in budget.members], axis=1)
    return {"x": x, "label": np.float32(budget.label), "keep": np.float32(keep)}


def more_frauds(known: TransactionRows, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The batch with its frauds repeated until they are 2 % of it: a step should see some.

    Args:
        known: the rows that the batch is of.
        batch: see `network_batch`.
    """
    numbered = replace(known, rows=np.arange(len(known.rows)))
    repeated = resample(numbered, "over", fraud_share=0.02, seed=0).rows
    return {name: values[repeated] for name, values in batch.items()}


def logits(outputs: Float[Array, " n"], batch: Mapping[str, Array]) -> Float[Array, " n"]:
    """The network's outputs as they are."""
    del batch
    return outputs


# ---- model: classifiers that are no network ------------------------------------------------------


class SVM(SVC):
    """A support vector machine whose decisions by an RBF kernel are matrix products.

    libsvm takes row after row: 2.4 s instead of 0.7 s for 43,000 rows and 600 support vectors.
    """

    def decision_function(self, x: Rows) -> Float[np.ndarray, " n"]:
        """Signed distance from the boundary, that of `SVC`."""
        if self.kernel != "rbf" or len(self.classes_) != 2:
            return super().decision_function(x)
        distance = np.empty(len(x))
        for some in gen_batches(len(x), 2048):
            kernel = rbf_kernel(x[some], self.support_vectors_, gamma=self._gamma)
            distance[some] = kernel @ self.dual_coef_[0] + self.intercept_[0]
        return distance


CLASSIFIERS = {  # the lecture's, and logistic regression
    "SVM": SVM(),
    "KNN, k = 3": KNeighborsClassifier(3, algorithm="brute"),
    "logistic regression": LogisticRegression(max_iter=1000),
}
OTHER_CLASSIFIERS = {  # settings that did well on held-out rows of the training half
    "SVM, C = 10": SVM(C=10, gamma=0.005),
    "KNN, k = 5, by distance": KNeighborsClassifier(5, weights="distance", algorithm="brute"),
}
SEPARATED = "row, error and directions"
ENCODED = ("code", "tuned code", "code and row")  # features of the trained encoder
DRAWN = (*ENCODED, "untrained code")  # every seed has an encoder of its own
OTHERS_FOR = ("raw", "code and row")  # with all labels, they are tried on these features


class ExtraTrees(ExtraTreesClassifier):
    """Extremely randomised trees (Geurts et al. 2006) that answer with log-odds.

    Means over folds and votes are taken of log-odds. Half a vote is added to each side, so that
    no tree or all trees are not infinitely sure.
    """

    def decision_function(self, x: Rows) -> Float[np.ndarray, " n"]:
        """Log-odds of an anomaly."""
        votes = self.n_estimators * self.predict_proba(x)[:, 1]
        return np.log((votes + 0.5) / (self.n_estimators - votes + 0.5))


def strongest(trees: int) -> dict[str, ClassifierMixin]:
    """The classifiers that take every row; they look at some of the columns at each cut."""
    boosting = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=200,
        max_leaf_nodes=15,
        l2_regularization=10.0,
        max_features=0.3,
        early_stopping=False,
    )
    return {
        "gradient boosting": boosting,
        "extra trees": ExtraTrees(trees, max_features=10, n_jobs=-1),
    }


def member_features(
    kind: FeatureKind, budget: LabelBudget, change: PyTree | None = None
) -> Callable[[int, Rows], Rows]:
    """(member, rows) -> features, for classifiers that are no network.

    Args:
        kind: see `network`.
        budget: gives the members.
        change: "change" of the trained network, one for each member, where the kind is tuned.
    """
    make = jax.jit(kind.make)

    def features(member: int, x: Rows) -> Rows:
        seed, _ = budget.members[member]
        weights = weights_of_seed(kind, seed)
        if change is not None:
            weights = jax.tree.map(lambda leaf, move: leaf + move[member], weights, change)
        return np.asarray(make(weights, x))

    return features


def with_separating_columns(
    features: Callable[[int, Rows], Rows], known: TransactionRows, budget: LabelBudget
) -> Callable[[int, Rows], Rows]:
    """(member, rows) -> the features and `separating_columns` of the rows the member is taught.

    Args:
        features: (member, rows) -> features.
        known, budget: the labelled rows.
    """
    columns = []
    for seed, fold in budget.members:
        taught = budget.taught(seed, fold)
        columns.append(separating_columns(known.x[taught], known.label[taught]))

    def both(member: int, x: Rows) -> Rows:
        return np.column_stack([features(member, x), columns[member](x)]).astype(np.float32)

    return both


def separating_columns(x: Rows, label: Int[np.ndarray, " n"]) -> Callable[[Rows], Rows]:
    """Three columns that look at all others at once, which a tree that cuts one at a time cannot.

    The direction in which the normal rows vary least (`jaxdl.anomaly.leaks`: on this file it
    points at the frauds), Fisher's linear discriminant, and the distance to the normal rows in
    units of their covariance. All use the labels.

    Args:
        x, label: the rows to learn from; 1 = fraud.
    """
    normal = x[label == 0]
    least = least_variance_direction(normal)
    fisher = LinearDiscriminantAnalysis(solver="lsqr").fit(x, label)
    distance = detectors.mahalanobis(normal)

    def columns(rows: Rows) -> Rows:
        log_distance = np.log1p(distance.score(rows))
        return np.column_stack([least.along(rows), fisher.decision_function(rows), log_distance])

    return columns


# ---- training ------------------------------------------------------------------------------------


def compare_features(
    kinds: Kinds,
    split: Split,
    config: Config,
    run: Run,
) -> list[dict[str, Cell]]:
    """Every budget, kind of features and classifier; rows of the first table.

    Args:
        kinds: of features.
        split: some of the normal rows.
        config, run: see `main`.
    """
    rows, there_are = [], int(split.known.label.sum())
    budgets = sorted({min(asked, there_are) for asked in config.budgets})
    for frauds in budgets:
        budget = draw_budget(split.known.label, frauds, config.folds, run.seeds)
        all_labels = frauds == there_are
        for kind in kinds.compared + kinds.baselines if all_labels else kinds.compared:
            more = all_labels and kind.name in OTHERS_FOR
            classifiers = CLASSIFIERS | OTHER_CLASSIFIERS if more else CLASSIFIERS
            scores = cross_fit_all(kind, classifiers, budget, frauds, split, config, run)
            for name, one in scores.items():
                head = {"frauds": str(frauds), "features": kind.name, "classifier": name}
                rows.append(head | judge(one, budget, split))
    chance = random_scores(budget, len(split.test.label), run.seeds)
    head = {"frauds": str(frauds), "features": "none", "classifier": "random"}
    return [*rows, head | judge(chance, budget, split)]


def cross_fit_all(
    kind: FeatureKind,
    classifiers: Mapping[str, ClassifierMixin],
    budget: LabelBudget,
    frauds: int,
    split: Split,
    config: Config,
    run: Run,
) -> dict[str, CrossFitted]:
    """Name -> scores: the small network, the other classifiers, and a vote of the first four.

    Args:
        kind: of the features.
        classifiers: beside the network.
        budget: of `frauds` labels, which name the fit.
        split, config, run: see `main`.
    """
    known, test = split.known.x, split.test.x
    fitted = run.fit(
        f"network-{kind.name.replace(' ', '-')}-{frauds}",
        network(kind, owners(budget)),
        network_batch(known, budget),
        steps=config.classifier_steps,
        batch_size=256,
        seeds=member_seeds(budget, run),
    )
    scores = {"DNN": network_scores(fitted, split, budget)}
    features = member_features(kind, budget, fitted.variables["params"].get("change"))
    for name, classifier in classifiers.items():
        title = f"{name}, {kind.name}, {frauds}"
        scores[name] = cross_fit(classifier, features, known, test, budget, title)
    first_four = [scores[name] for name in ("DNN", *CLASSIFIERS)]
    scores["vote of the first four"] = vote(first_four, budget, split.weigh)
    return scores


def member_seeds(budget: LabelBudget, run: Run) -> Int[np.ndarray, " members"]:
    """A seed for each member of a population of networks."""
    return run.seeds[0] + np.arange(len(budget.members))


def network_scores(fitted: Fitted, split: Split, budget: LabelBudget) -> CrossFitted:
    """What a population of networks says."""
    known = fitted.predict(logits, {"x": split.known.x})
    return cross_fitted_population(known, fitted.predict(logits, {"x": split.test.x}), budget)


def compare_strongest(
    row_and_error: FeatureKind, split: Split, config: Config, run: Run
) -> list[dict[str, Cell]]:
    """Every label and every row; rows of the third table.

    Args:
        row_and_error: what trees get beside the raw columns, with `separating_columns` added.
        split: all rows.
        config, run: see `main`.
    """
    label = split.known.label
    budget = draw_budget(label, int(label.sum()), config.folds, run.seeds)
    features = {
        "raw": member_features(FeatureKind("raw", raw, {}), budget),
        SEPARATED: with_separating_columns(
            member_features(row_and_error, budget), split.known, budget
        ),
    }
    network_says = wide_network_scores(split, budget, config, run)
    trees, votes = {}, {}
    for kind, make in features.items():
        own = {}
        for name, classifier in strongest(config.trees).items():
            title = f"{name}, {kind}, all rows"
            own[kind, name] = cross_fit(
                classifier, make, split.known.x, split.test.x, budget, title
            )
        trees |= own
        of_trees = list(own.values())
        votes[kind, "vote of the trees"] = vote(of_trees, budget, split.weigh)
        votes[kind, "vote of trees and network"] = vote(
            [*of_trees, network_says], budget, split.weigh
        )
    votes["all", "vote of all"] = vote([*trees.values(), network_says], budget, split.weigh)
    scores = {("robust row", "wide network"): network_says} | trees | votes
    return [
        {"features": kind, "classifier": name} | judge(one, budget, split)
        for (kind, name), one in scores.items()
    ]


def wide_network_scores(split: Split, budget: LabelBudget, config: Config, run: Run) -> CrossFitted:
    """A wider network on all rows, which ends at a learning rate of 0."""
    batch = more_frauds(split.known, network_batch(split.known.x, budget))
    size = {"rows": len(batch["x"]), "batch_size": 1024}
    epochs = epochs_for(config.wide_steps, **size)
    optimizer = optax.adamw(optim.cosine(2e-3, epochs, **size), weight_decay=1e-2)
    kind = robust_kind(split.known.x, run.seeds)
    fitted = run.fit(
        "wide-network",
        network(kind, owners(budget), WIDE, optimizer),
        batch,
        epochs=epochs,
        batch_size=size["batch_size"],
        seeds=member_seeds(budget, run),
    )
    return network_scores(fitted, split, budget)


def lecture_scores(
    kind: FeatureKind,
    train: TransactionRows,
    new: Float[np.ndarray, "m columns"],
    config: Config,
    run: Run,
) -> dict[str, Float[np.ndarray, "seeds m"]]:
    """Name -> scores of new rows by the lecture's classifiers; above 0 is a fraud.

    Args:
        kind: of the features.
        train: every row is taught.
        new: the rows to score.
        config, run: see `main`.
    """
    seeds = len(run.seeds)
    batch = {
        "x": train.x,
        "label": np.float32(train.label),
        "keep": np.ones((len(train.x), seeds), np.float32),
    }
    fitted = run.fit(
        f"network-{kind.name.replace(' ', '-')}",
        network(kind, np.arange(seeds)),
        batch,
        epochs=config.classifier_epochs,
        batch_size=1024,
    )
    scores = {"DNN": fitted.predict(logits, {"x": new})}
    make = jax.jit(kind.make)
    fits = seeds if kind.name in DRAWN else 1  # one for all seeds, where they draw no features
    for name in ("SVM", "KNN, k = 3"):
        found = []
        for seed in tqdm(range(fits), f"{name}, {kind.name}", leave=False, disable=None):
            weights = weights_of_seed(kind, seed)
            features, of_new = (np.asarray(make(weights, x)) for x in (train.x, new))
            taught = clone(CLASSIFIERS[name]).fit(features, train.label)
            found.append(above_half(taught, of_new))
        scores[name] = np.stack(found * (seeds // fits))
    return scores


def above_half(taught: ClassifierMixin, x: Rows) -> Float[np.ndarray, " n"]:
    """Scores that are above 0 where the classifier says fraud."""
    if hasattr(taught, "decision_function"):
        return taught.decision_function(x)
    return taught.predict_proba(x)[:, 1] - 0.5


def counts_above_half(
    scores: Float[np.ndarray, "seeds m"],
    label: Int[np.ndarray, " m"],
    weights: Float[np.ndarray, " m"],
) -> metrics.Confusion:
    """Confusion of each seed's decisions; see `above_half`."""
    halves = np.zeros((len(scores), 1))
    of_seeds = metrics.confusion_of_members(scores, label, halves, weights)
    return metrics.Confusion(*np.array(of_seeds)[..., 0].T)


# ---- what we see ---------------------------------------------------------------------------------

HELD_OUT = "AUPRC, held out"  # what choices look at


def judge(
    scores: CrossFitted, budget: LabelBudget, split: Split
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Quality on test rows at the threshold of the largest expected F1 on the held-out scores.

    Returns:
        One value for each seed: AUPRC and F1 of the labelled rows, which choices may look at;
        precision, recall, F1 and AUPRC of the test rows; all at true prevalence.
    """
    test_label, test_weights = split.test.label, split.test_weights
    per_seed = []
    for seed in range(budget.seeds):
        labelled = np.isfinite(scores.held_out[seed])
        known, label = scores.held_out[seed, labelled], budget.label[labelled]
        weights = split.weigh(label)
        threshold = f1_threshold(known, label, weights)
        held_out = metrics.confusion(known, label, threshold, weights)

        new = scores.new[seed].mean(axis=0)
        test = metrics.confusion(new, test_label, threshold, test_weights)
        per_seed.append(
            {
                HELD_OUT: metrics.average_precision(known, label, weights),
                "F1, held out": held_out.f_beta(),
                "precision": test.precision(),
                "recall": test.recall(),
                "F1": test.f_beta(),
                "AUPRC": metrics.average_precision(new, test_label, test_weights),
            }
        )
    return {column: np.array([row[column] for row in per_seed], float) for column in per_seed[0]}


def largest(column: str, rows: Sequence[Mapping[str, Cell]]) -> Mapping[str, Cell]:
    """The row with the largest mean over the seeds."""
    return max(rows, key=lambda row: row[column].mean())


def name_of(row: Mapping[str, Cell]) -> str:
    """Classifier and features of a row."""
    return f"{row['classifier']}, {row['features']}"


def gains_over_raw(rows: Sequence[Mapping[str, Cell]]) -> list[dict[str, Cell]]:
    """What an encoder's features add to a classifier, seed by seed; rows of the second table.

    Of the encoder's kinds of features those with the largest AUPRC on held-out rows are taken. A
    gain is clear where its mean is larger than its spread over the seeds.

    Args:
        rows: of the first table.
    """
    found = []
    for frauds, name in dict.fromkeys((row["frauds"], row["classifier"]) for row in rows):
        own = [row for row in rows if (row["frauds"], row["classifier"]) == (frauds, name)]
        encoded = [row for row in own if row["features"] in ENCODED]
        if not encoded:
            continue
        (before,) = [row for row in own if row["features"] == "raw"]
        after = largest(HELD_OUT, encoded)
        gains = {column: after[column] - before[column] for column in ("F1", "AUPRC")}
        clear = [column for column, gain in gains.items() if is_clear(gain)]
        found.append(
            {"frauds": frauds, "classifier": name, "features": after["features"]}
            | {f"gain in {column}": gain for column, gain in gains.items()}
            | {"more than the spread": " and ".join(clear) or "no"}
        )
    return found


def is_clear(gain: Float[np.ndarray, " seeds"]) -> bool:
    """Larger than its spread over the seeds; one seed shows nothing."""
    return len(gain) > 1 and float(gain.mean()) > float(gain.std(ddof=1))


def gains_in_words(gains: Sequence[Mapping[str, Cell]]) -> str:
    """For which budgets and classifiers the encoder helps."""
    clear = [
        f"{row['classifier']} with {row['frauds']} frauds ({row['features']}: "
        f"{row['more than the spread']})"
        for row in gains
        if row["more than the spread"] != "no"
    ]
    return (
        f"The encoder's features gain more than the spread over seeds in {len(clear)} of "
        f"{len(gains)} comparisons: {'; '.join(clear) or 'none'}."
    )


def goals_of(data: fraud.Transactions, config: Config) -> dict[str, float]:
    """Column -> goal: of the published file and its `GOALS`, with all other options as they are.

    Args:
        data: a simulated twin or somebody's own file has no goals.
        config: a quick run or another prevalence has none, neither.
    """
    default = Config()
    as_published = data.provenance.kind in ("real", "local mirror")
    if not as_published or default != replace(
        config, split=default.split, test_share=default.test_share
    ):
        return {}
    return GOALS.get((config.split, config.test_share), {})


def choice_in_words(
    chosen: Mapping[str, Cell], rows: Sequence[Mapping[str, Cell]], goals: Mapping[str, float]
) -> str:
    """What held-out scores choose, and which goals it reaches.

    Args:
        chosen: row of the third table.
        rows: all of them.
        goals: column -> goal, where there is one.
    """
    said, hindsight = [], []
    for column in ("AUPRC", "F1"):
        value, best = chosen[column].mean(), largest(column, rows)
        said.append(f"{column} {value:.3f}")
        if column in goals:
            reached = "reached" if value >= goals[column] else "missed"
            said[-1] += f", goal {goals[column]} {reached}"
        hindsight.append(f"{column} {name_of(best)}, {best[column].mean():.3f}")
    return (
        f"Held-out scores choose {name_of(chosen)}: {'; '.join(said)}. Largest on the test part, "
        f"which nobody may choose by: {'; '.join(hindsight)}."
    )


def draw_f1_by_budget(rows: Sequence[Mapping[str, Cell]], goal: float | None) -> Figure:
    """F1 over the number of labelled frauds: one panel for each classifier, one line for features.

    Args:
        rows: of the table. Drawn are the classifiers and features that the smallest budget has.
        goal: drawn as a dashed line, where there is one.
    """
    budgets = sorted({int(row["frauds"]) for row in rows})
    first = [row for row in rows if int(row["frauds"]) == budgets[0]]
    kinds = list(dict.fromkeys(row["features"] for row in first))
    names = list(dict.fromkeys(row["classifier"] for row in first))
    figure, axes = subplots(1, len(names), width=3.2, height=3.2)
    for axis, name in zip(axes, names, strict=True):
        for colour, kind in zip(COLOURS, kinds, strict=False):
            own = [row for row in rows if (row["classifier"], row["features"]) == (name, kind)]
            if own:
                labelled = [int(row["frauds"]) for row in own]
                heights = np.stack([row["F1"] for row in own])
                draw_curve(axis, np.array(labelled), heights, color=colour, label=kind, marker="o")
        if goal is not None:
            label = f"goal {goal:g} for every label and every row"
            axis.axhline(goal, color="0.5", ls="--", lw=1, label=label)
        axis.set(title=name, xlabel="labelled frauds", xscale="log", ylim=(0, 1))
        axis.set_xticks(budgets, map(str, budgets))
    axes[0].set_ylabel("F1 at true prevalence")
    entries = axes[0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside lower center", ncols=len(entries[0]), fontsize=8)
    return figure
