"""Classifiers that learn from a budget of labelled frauds, cross-fitted (lab 165, slide 90).

With few frauds a validation part of its own is a luxury: a quarter of ten frauds cannot place a
threshold. So every labelled row is scored by the one of several classifiers that has not been
taught it. These scores place the threshold and say which kind of classifier is best; new rows get
the mean of all of them, which is on the same scale (one classifier taught every label is not).
Features come from a member's own encoder, frozen or tuned with the labels of the same folds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from tqdm import tqdm

from jaxdl.anomaly import metrics, thresholds

OUTSIDE = -1  # fold of the frauds that nobody has labelled


HELD_OUT = "F1, held out"
Rows = Float[np.ndarray, "n columns"]
Weigh = Callable[[Int[np.ndarray, " n"]], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class Budget:
    """Which rows a population of seeds has labels of, and in which fold each one is held out.

    Attributes:
        label: 1 = fraud. Normal rows all count as labelled: an unlabelled row is taken for one.
        fold: of each seed; `OUTSIDE` for frauds beyond the budget.
        folds: how many.
    """

    label: Int[np.ndarray, " n"]
    fold: Int[np.ndarray, "seeds n"]
    folds: int

    @property
    def owner(self) -> Int[np.ndarray, " members"]:
        """The seed (counted from 0) of each member; a seed has one member for each fold."""
        return np.repeat(np.arange(len(self.fold)), self.folds)

    def taught(self, seed: int) -> list[Bool[np.ndarray, " n"]]:
        """What each member of a seed is taught: all labelled rows but those of its fold."""
        fold = self.fold[seed]
        return [(fold != OUTSIDE) & (fold != k) for k in range(self.folds)]

    @property
    def keep(self) -> Bool[np.ndarray, "n members"]:
        """`taught` of all members, as `network` wants it."""
        return np.stack([rows for s in range(len(self.fold)) for rows in self.taught(s)], axis=1)


def draw_budget(
    label: Int[np.ndarray, " n"], frauds: int, folds: int, seeds: Iterable[int]
) -> Budget:
    """Frauds and stratified folds by seed.

    Args:
        label: 1 = fraud.
        frauds: how many are labelled; more than there are means all.
        folds: how many.
        seeds: of the draws.

    Raises:
        ValueError: fewer frauds or normal rows than folds.
    """
    drawn = []
    for seed in seeds:
        rng, fold = np.random.default_rng(seed), np.full(len(label), OUTSIDE)
        for kind, most in ((0, None), (1, frauds)):
            rows = rng.permutation(np.flatnonzero(label == kind))[:most]
            if len(rows) < folds:
                raise ValueError(f"{len(rows)} rows of label {kind} do not fill {folds} folds")
            fold[rows] = np.arange(len(rows)) % folds
        drawn.append(fold)
    return Budget(label, np.stack(drawn), folds)


class Scored(NamedTuple):
    """Scores by the classifiers of one seed.

    Attributes:
        known: of labelled rows, by the one that was not taught them; NaN outside of the budget.
        new: of other rows, by each of them.
    """

    known: Float[np.ndarray, " n"]
    new: Float[np.ndarray, "folds m"]


def cross_fit(
    make: Callable[[], Any],
    of: Callable[[int, Rows], Rows],
    known: Rows,
    new: Rows,
    budget: Budget,
    name: str = "classifier",
) -> list[Scored]:
    """Scores by a scikit-learn classifier, for each seed.

    Args:
        make: a fresh classifier with `decision_function` or `predict_proba`.
        of: (member, rows) -> features.
        known, new: rows, those of the budget and those to be scored.
        name: for the progress bar.
    """
    found = []
    for seed, fold in enumerate(tqdm(budget.fold, name, leave=False)):
        held_out, others = np.full(len(fold), np.nan), []
        for k, rows in enumerate(budget.taught(seed)):
            member = seed * budget.folds + k
            x = of(member, known)
            score = _scorer(make().fit(x[rows], budget.label[rows]))
            held_out[fold == k] = score(x[fold == k])
            others.append(score(of(member, new)))
        found.append(Scored(held_out, np.stack(others)))
    return found


def cross_fitted_logits(
    known: Float[np.ndarray, "members n"], new: Float[np.ndarray, "members m"], budget: Budget
) -> list[Scored]:
    """The same out of the logits of `network`'s population."""
    found = []
    for fold, own, other in zip(
        budget.fold, np.split(known, len(budget.fold)), np.split(new, len(budget.fold)), strict=True
    ):
        held_out = np.take_along_axis(own, np.maximum(fold, 0)[None], axis=0)[0]
        found.append(Scored(np.where(fold == OUTSIDE, np.nan, held_out), other))
    return found


def random_scores(budget: Budget, new: int, seeds: Iterable[int]) -> list[Scored]:
    """A classifier that knows nothing, for each seed; `new` is the number of new rows."""
    found = []
    for fold, seed in zip(budget.fold, seeds, strict=True):
        rng = np.random.default_rng(seed)
        known = np.where(fold == OUTSIDE, np.nan, rng.random(len(fold)))
        found.append(Scored(known, rng.random((1, new))))
    return found


def vote(members: Sequence[Sequence[Scored]], budget: Budget, weigh: Weigh) -> list[Scored]:
    """Mean of the kinds' probabilities, each calibrated on its held-out scores (Platt 1999).

    Args:
        members: for each classifier the scores for each seed.
        weigh: label -> row weights that give it the true prevalence.
    """
    found = []
    for voters in zip(*members, strict=True):
        chances = [_calibrated(one, budget.label, weigh) for one in voters]
        found.append(Scored(*(np.mean(side, axis=0) for side in zip(*chances, strict=True))))
    return found


def _calibrated(scored: Scored, label: np.ndarray, weigh: Weigh) -> Scored:
    from sklearn.linear_model import LogisticRegression

    seen = np.isfinite(scored.known)
    centre, spread = scored.known[seen].mean(), scored.known[seen].std() or 1.0
    known, new = ((s.reshape(-1, 1) - centre) / spread for s in (scored.known[seen], scored.new))
    model = LogisticRegression().fit(known, label[seen], weigh(label[seen]))
    chance = np.full(len(seen), np.nan)
    chance[seen] = model.predict_proba(known)[:, 1]
    return Scored(chance, model.predict_proba(new)[:, 1].reshape(scored.new.shape))


def _scorer(model: Any) -> Callable[[Rows], Float[np.ndarray, " n"]]:
    if hasattr(model, "decision_function"):
        return model.decision_function
    return lambda x: model.predict_proba(x)[:, 1]


def judge(
    scored: Sequence[Scored], budget: Budget, new_label: Int[np.ndarray, " m"], weigh: Weigh
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Quality on new rows at the threshold of the largest F1 on the held-out scores.

    Returns:
        "F1, held out" of the known rows, which choices may look at; precision, recall, F1 and AUPRC
        of the new rows; one value for each seed.
    """
    cells = []
    for one in scored:
        seen = np.isfinite(one.known)
        known, truth = one.known[seen], budget.label[seen]
        mass, new_mass = weigh(truth), weigh(new_label)
        on = {"fitted_on": "held-out scores of labelled rows", "weights": mass, "resamples": 0}
        limit = thresholds.f_beta(known, truth, 1.0, **on).value
        own = metrics.confusion(known, truth, limit, mass)
        score = one.new.mean(axis=0)
        hit = metrics.confusion(score, new_label, limit, new_mass)
        area = metrics.average_precision(score, new_label, new_mass)
        cells.append((own.f_beta(), hit.precision(), hit.recall(), hit.f_beta(), area))
    names = (HELD_OUT, "precision", "recall", "F1", "AUPRC")
    return {
        name: np.array(cell, float)
        for name, cell in zip(names, zip(*cells, strict=True), strict=True)
    }
