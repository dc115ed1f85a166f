"""Classifiers that learn from a budget of labelled frauds, cross-fitted (lab 165, slide 90).

With few frauds a validation part of its own is a luxury: a quarter of ten frauds cannot place a
threshold. So every labelled row is scored by the one of several classifiers that has not been
taught it. These scores place the threshold and say which kind of classifier is best; new rows get
the mean of all of them, which is on the same scale (one classifier taught every label is not).
Features come from a member's own encoder, frozen or tuned with the labels of the same folds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from tqdm import tqdm

from jaxdl import losses, optim
from jaxdl.anomaly import evaluation, scores, thresholds
from jaxdl.models.mlp import MLP
from jaxdl.training import Fitted, Task

OUTSIDE = -1  # fold of the frauds that nobody has labelled
KINDS = ("raw", "code", "tuned code", "code and row")
BASELINES = ("untrained code", "PCA code")
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


def features(encoder: Any, kind: str, params: Any, x: Float[Array, "n columns"]) -> Array:
    """What a classifier gets of a row.

    Args:
        encoder: an autoencoder with `encode`.
        kind: of `KINDS` or `BASELINES`: the row itself, its code (frozen, tuned or untrained: that
            depends on `params`), its principal components, or the row, its code and the logarithm
            of its reconstruction error together.
        params: of the autoencoder or the PCA.
        x: rows.
    """
    if kind == "raw":
        return x
    if kind == "PCA code":
        return (x - params.mean) @ params.components.T
    code = encoder.apply({"params": params}, x, method="encode")
    if kind != "code and row":
        return code
    error = losses.mse(encoder.apply({"params": params}, x, train=False), x)
    return jnp.concatenate([x, code, jnp.log(error + 1e-6)[:, None]], axis=1)


def params_by_kind(trained: Fitted, untrained: Fitted, x: Rows, components: int) -> dict[str, Any]:
    """What `features` of each kind are made with, seed axis in front.

    Args:
        trained, untrained: populations of autoencoders.
        x: rows for the PCA, which has as many `components` as the code has numbers.
    """
    weights, blank = trained.variables["params"], untrained.variables["params"]
    seeds = jax.tree.leaves(weights)[0].shape[0]
    pca = jax.tree.map(lambda w: jnp.stack([w] * seeds), scores.fit_pca(x, components))
    kinds = dict.fromkeys(KINDS, weights)
    return kinds | dict(zip(BASELINES, (blank, pca), strict=True))


def network(encoder: Any, kind: str, weights: Any, budget: Budget) -> Task:
    """The deck's 32-16-1 network on `features`, a member for each seed and fold.

    A batch has `x` [rows, columns], `label` [rows] and `keep` [rows, members]: which rows a member
    is taught. Tuning ("tuned code") trains a change to the member's encoder that starts at zero.
    Outputs are (logit, the member's column of `keep`).

    Args:
        encoder, kind: see `features`.
        weights: what the kind's features are made with (`params_by_kind`).
        budget: gives the members.
    """
    head, tuned = MLP((32, 16, 1), dropout=0.2), kind == "tuned code"

    def init(key, batch):
        first = jax.tree.map(lambda w: w[0], weights)
        some = features(encoder, kind, first, jnp.asarray(batch["x"][:1]))
        params = {"head": head.init(key, jnp.zeros_like(some), train=False)["params"]}
        if tuned:
            params["change"] = jax.tree.map(jnp.zeros_like, first)
        return {"params": params}

    def apply(variables, batch, key, train, hyper):
        params = variables["params"]
        own = jax.tree.map(lambda w: w[hyper["owner"].astype(jnp.int32)], weights)
        if tuned:
            own = jax.tree.map(jnp.add, own, params["change"])
        noise = {"dropout": key} if train else None
        x = features(encoder, kind, own, batch["x"])
        logit = head.apply({"params": params["head"]}, x, train=train, rngs=noise)[:, 0]
        return (logit, batch["keep"][:, hyper["member"].astype(jnp.int32)]), {}

    def loss(outputs, batch):
        logit, keep = outputs
        return keep * losses.binary_cross_entropy(logit[:, None], batch["label"][:, None])

    hyper = {"owner": budget.owner, "member": np.arange(len(budget.owner))}
    return Task(init, apply, loss, lambda hyper: optim.adam(), hyper=hyper)


def member_features(
    encoder: Any, kind: str, weights: Any, budget: Budget, change: Any = None
) -> Callable[[int, Rows], Rows]:
    """(member, rows) -> `features`, for classifiers that are no network.

    Args:
        encoder, kind, weights, budget: see `network`.
        change: "change" of the trained network, one for each member, where the code is tuned.
    """
    program = jax.jit(partial(features, encoder, kind))

    def of(member: int, x: Rows) -> Rows:
        own = jax.tree.map(lambda w: w[budget.owner[member]], weights)
        if change is not None:
            own = jax.tree.map(lambda w, c: w + c[member], own, change)
        return np.asarray(program(own, x))

    return of


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
        own = evaluation.confusion(known, truth, limit, mass)
        score = one.new.mean(axis=0)
        hit = evaluation.confusion(score, new_label, limit, new_mass)
        area = evaluation.average_precision(score, new_label, new_mass)
        cells.append((own.f_beta(), hit.precision(), hit.recall(), hit.f_beta(), area))
    names = (HELD_OUT, "precision", "recall", "F1", "AUPRC")
    return {
        name: np.array(cell, float)
        for name, cell in zip(names, zip(*cells, strict=True), strict=True)
    }
