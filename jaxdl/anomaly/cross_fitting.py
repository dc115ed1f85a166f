"""Classifiers taught a budget of labels, and scores of every labelled row by one not taught it.

With few labelled anomalies a validation part of its own is a luxury: a quarter of ten cannot place
a threshold. So the labelled rows are cut into folds, and a member is a classifier that is taught
all folds but one. The row's held-out score, by the member that was not taught it, places thresholds
and says which kind of classifier is best; new rows get the mean of all members of a seed, which is
on the same scale (one classifier taught every label is not).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from jaxdl.anomaly import metrics

OUTSIDE = -1  # fold of the anomalies that nobody has labelled
Rows = Float[np.ndarray, "n columns"]
Weigh = Callable[[Int[np.ndarray, " n"]], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class LabelBudget:
    """Which rows have labels, and in which fold each one is held out, for each seed.

    Attributes:
        label: 1 = anomaly. Normal rows all count as labelled: an unlabelled row is taken for one.
        fold: of each row; `OUTSIDE` for anomalies beyond the budget.
        folds: how many.
    """

    label: Int[np.ndarray, " n"]
    fold: Int[np.ndarray, "seeds n"]
    folds: int

    @property
    def seeds(self) -> int:
        """How many times the budget was drawn."""
        return len(self.fold)

    @property
    def members(self) -> list[tuple[int, int]]:
        """(seed, fold that is held out) of each member, seeds counted from 0."""
        return [(seed, fold) for seed in range(self.seeds) for fold in range(self.folds)]

    def held_out(self, seed: int, fold: int) -> Bool[np.ndarray, " n"]:
        """The labelled rows that a member is not taught."""
        return self.fold[seed] == fold

    def taught(self, seed: int, fold: int) -> Bool[np.ndarray, " n"]:
        """The labelled rows that a member is taught."""
        return (self.fold[seed] != OUTSIDE) & (self.fold[seed] != fold)


def draw_budget(
    label: Int[np.ndarray, " n"],
    anomalies: int,
    folds: int,
    seeds: Iterable[int] | Int[np.ndarray, " seeds"],
) -> LabelBudget:
    """Draws the labelled anomalies, and deals them and the normal rows out over the folds.

    Args:
        label: 1 = anomaly.
        anomalies: how many are labelled; more than there are means all.
        folds: how many.
        seeds: of the draws.

    Raises:
        ValueError: fewer anomalies or normal rows than folds.
    """
    drawn = []
    for seed in seeds:
        rng, fold = np.random.default_rng(seed), np.full(len(label), OUTSIDE)
        for kind, at_most in ((0, None), (1, anomalies)):
            rows = rng.permutation(np.flatnonzero(label == kind))[:at_most]
            if len(rows) < folds:
                raise ValueError(f"{len(rows)} rows of label {kind} do not fill {folds} folds")
            fold[rows] = np.arange(len(rows)) % folds
        drawn.append(fold)
    return LabelBudget(label, np.stack(drawn), folds)


@dataclass(frozen=True)
class CrossFitted:
    """Scores by the members of one kind of classifier, higher is worse.

    Attributes:
        held_out: of the labelled rows, each by the member that was not taught it; NaN for the
            anomalies outside of the budget.
        new: of other rows, by each member.
    """

    held_out: Float[np.ndarray, "seeds n"]
    new: Float[np.ndarray, "seeds folds m"]


def cross_fit(
    classifier: ClassifierMixin,
    features: Callable[[int, Rows], Rows],
    known: Rows,
    new: Float[np.ndarray, "m columns"],
    budget: LabelBudget,
    title: str = "classifier",
) -> CrossFitted:
    """Scores by a scikit-learn classifier, taught afresh for each member.

    A classifier that draws at random draws differently for each member: its `random_state` is the
    number of the member.

    Args:
        classifier: not fitted; has `decision_function` or `predict_proba`.
        features: (number of the member, rows) -> what the classifier gets.
        known: the rows of the budget.
        new: other rows.
        budget: gives the members.
        title: for the progress bar.
    """
    held_out, of_new = np.full(budget.fold.shape, np.nan), []
    members = tqdm(budget.members, title, leave=False, disable=None)
    for member, (seed, fold) in enumerate(members):
        x, taught, own = (
            features(member, known),
            budget.taught(seed, fold),
            budget.held_out(seed, fold),
        )
        fitted = _with_seed(clone(classifier), member).fit(x[taught], budget.label[taught])
        held_out[seed, own] = _decision(fitted, x[own])
        of_new.append(_decision(fitted, features(member, new)))
    return CrossFitted(held_out, _by_seed_and_fold(of_new, budget))


def _with_seed(classifier: ClassifierMixin, seed: int) -> ClassifierMixin:
    if "random_state" in classifier.get_params():
        return classifier.set_params(random_state=seed)
    return classifier


def _decision(fitted: ClassifierMixin, x: Rows) -> Float[np.ndarray, " n"]:
    if hasattr(fitted, "decision_function"):
        return fitted.decision_function(x)
    return fitted.predict_proba(x)[:, 1]


def cross_fitted_population(
    known: Float[np.ndarray, "members n"], new: Float[np.ndarray, "members m"], budget: LabelBudget
) -> CrossFitted:
    """The scores of a population that was trained at once, where each member has scored all rows.

    Args:
        known: of the rows of the budget, in the order of `LabelBudget.members`.
        new: of other rows.
        budget: says which member was not taught a row.
    """
    held_out = np.full(budget.fold.shape, np.nan, known.dtype)
    for member, (seed, fold) in enumerate(budget.members):
        own = budget.held_out(seed, fold)
        held_out[seed, own] = known[member, own]
    return CrossFitted(held_out, _by_seed_and_fold(new, budget))


def _by_seed_and_fold(
    members: Sequence[Float[np.ndarray, " m"]] | Float[np.ndarray, "members m"], budget: LabelBudget
) -> Float[np.ndarray, "seeds folds m"]:
    return np.stack(members).reshape(budget.seeds, budget.folds, -1)


def random_scores(
    budget: LabelBudget, new: int, seeds: Iterable[int] | Int[np.ndarray, " seeds"]
) -> CrossFitted:
    """A classifier that knows nothing, one member for each seed.

    Args:
        budget: says which rows are labelled.
        new: number of other rows.
        seeds: as many as the budget has.
    """
    held_out, of_new = [], []
    for fold, seed in zip(budget.fold, seeds, strict=True):
        rng = np.random.default_rng(seed)
        held_out.append(np.where(fold == OUTSIDE, np.nan, rng.random(len(fold))))
        of_new.append(rng.random((1, new)))
    return CrossFitted(np.stack(held_out), np.stack(of_new))


def vote(kinds: Sequence[CrossFitted], budget: LabelBudget, weigh: Weigh) -> CrossFitted:
    """The mean of what several kinds of classifiers say, each as log-odds.

    Log-odds, not probabilities: far from the boundary, where nearly all rows lie and where rare
    anomalies are ranked, probabilities are all close to 0.

    Args:
        kinds: scores in any units.
        budget, weigh: see `calibrated`.
    """
    log_odds = [calibrated(scores, budget, weigh) for scores in kinds]
    return CrossFitted(
        held_out=np.mean([one.held_out for one in log_odds], axis=0),
        new=np.mean([one.new for one in log_odds], axis=0),
    )


def calibrated(scores: CrossFitted, budget: LabelBudget, weigh: Weigh) -> CrossFitted:
    """Scores as log-odds of an anomaly: logistic regression on the held-out ones.

    Platt, "Probabilistic outputs for support vector machines" (1999).

    Args:
        scores: in any units.
        budget: gives the labels.
        weigh: labels -> row weights that give them the true prevalence.
    """
    held_out, of_new = np.full(scores.held_out.shape, np.nan), []
    for seed in range(budget.seeds):
        labelled = np.isfinite(scores.held_out[seed])
        known, label = scores.held_out[seed, labelled], budget.label[labelled]
        log_odds = _platt(known, label, weigh(label))
        held_out[seed, labelled] = log_odds(known)
        of_new.append(log_odds(scores.new[seed]))
    return CrossFitted(held_out, np.stack(of_new))


def f1_threshold(
    known: Float[np.ndarray, " n"],
    label: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> float:
    """The threshold of the largest expected F1, by calibrated probabilities of held-out scores.

    With probabilities p of the rows above a threshold, expected F1 is 2 sum(p) / (rows above +
    expected anomalies), whose largest value is at p = F1 / 2 (Lipton et al., "Optimal thresholding
    of classifiers to maximize F1 measure", 2014). It is smooth; the F1 that is counted jumps with
    every label, and its largest value owes much to luck where anomalies are few.

    Args:
        known: held-out scores, higher is worse.
        label: 1 = anomaly.
        weights: of the rows.

    Returns:
        A threshold; what lies above it is flagged.
    """
    known, label, weights = metrics.sort_falling(known, label, weights)
    probability = expit(_platt(known, label, weights)(known))
    hits = np.cumsum(weights * probability)
    expected = 2 * hits / (np.cumsum(weights) + hits[-1])
    # among equal scores it rises or falls throughout, so the largest value is never inside a tie
    return float(np.nextafter(known[np.argmax(expected)], -np.inf))


def _platt(
    known: Float[np.ndarray, " n"],
    label: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> Callable[[Float[np.ndarray, "*rows"]], Float[np.ndarray, "*rows"]]:
    """scores -> log-odds, by logistic regression on these scores."""
    centre, spread = known.mean(), known.std() or 1.0
    fitted = LogisticRegression().fit(((known - centre) / spread)[:, None], label, weights)

    def log_odds(scores: Float[np.ndarray, "*rows"]) -> Float[np.ndarray, "*rows"]:
        standard = ((scores - centre) / spread).reshape(-1, 1)
        return fitted.decision_function(standard).reshape(scores.shape)

    return log_odds
