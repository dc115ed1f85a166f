"""One population for all regularisers of lab 040, and what they do to the weights.

Every strength is a number in `Task.hyper`, so that members without a penalty, with L1, L2, elastic
net or dropout train side by side in one vmapped program; a strength of zero switches a term off.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxdl import optim
from jaxdl.population import cross
from jaxdl.report import Table
from jaxdl.sentiment import hidden_kernel
from jaxdl.training import Fitted

STRENGTHS = ("l1", "l2", "proximal", "dropout")
NEAR_ZERO = 1e-3


def population(
    methods: Mapping[str, Mapping[str, float]], seeds: Sequence[int]
) -> tuple[dict[str, Float[np.ndarray, " members"]], np.ndarray]:
    """Strengths and seeds of every method with every seed, the methods one after the other.

    Args:
        methods: name -> its strengths (`STRENGTHS`); what is not named is 0.

    Raises:
        ValueError: a strength that does not exist.
    """
    unknown = {name for given in methods.values() for name in given} - set(STRENGTHS)
    if unknown:
        raise ValueError(f"unknown strengths {sorted(unknown)}: there are {STRENGTHS}")
    columns = {name: [given.get(name, 0.0) for given in methods.values()] for name in STRENGTHS}
    return cross(columns, len(methods), seeds)


def split_members(tree: Any, methods: Sequence[str]) -> dict[str, Any]:
    """Method -> its part of arrays [methods * seeds, ...], laid out as by `population`."""
    members = len(jax.tree.leaves(tree)[0]) // len(methods)
    return {
        name: jax.tree.map(lambda x, i=i: x[i * members : (i + 1) * members], tree)
        for i, name in enumerate(methods)
    }


def by_method(fitted: Fitted, methods: Sequence[str]) -> dict[str, Fitted]:
    """The members of each method, as fits of their own."""
    history = {name: curve.T for name, curve in fitted.history.items()}
    hyper = {name: np.asarray(value) for name, value in fitted.task.hyper.items()}
    parts = (hyper, fitted.variables, history, fitted.seeds, fitted.best_epoch)
    groups = {}
    for name, (hyper, variables, history, seeds, best) in split_members(parts, methods).items():
        groups[name] = Fitted(
            task=dataclasses.replace(fitted.task, hyper=hyper),
            variables=variables,
            history={key: curve.T for key, curve in history.items()},
            seeds=seeds,
            best_epoch=best,
            restored=fitted.restored,
        )
    return groups


def learning_row(fitted: Fitted, valid_name: str) -> dict[str, Array]:
    """Columns of a table: the epoch whose weights are kept, what they reach, what was reached.

    Args:
        fitted: one method, its seeds.
        valid_name: what the validation curve was measured on ("validation" or "test").
    """
    kept = fitted.best_epoch - 1, np.arange(len(fitted.seeds))
    loss, accuracy = (fitted.history[f"valid_{name}"] for name in ("loss", "accuracy"))
    return {
        "epoch": fitted.best_epoch,
        "train cross-entropy": fitted.history["train_loss"][kept],
        "train accuracy": fitted.history["train_accuracy"][kept],
        "penalty": penalties(fitted),
        "weight norm": weight_norms(fitted),
        f"{valid_name} cross-entropy": loss[kept],
        f"{valid_name} accuracy": accuracy[kept],
        f"lowest {valid_name} cross-entropy": np.nanmin(loss, axis=0),
        "in epoch": np.nanargmin(loss, axis=0) + 1,
        f"highest {valid_name} accuracy": np.nanmax(accuracy, axis=0),
    }


def penalties(fitted: Fitted) -> Float[np.ndarray, " seeds"]:
    """What L1 and L2 would add to each member's loss: `l1 * sum|w| + l2 * sum(w ** 2)`."""
    members = len(fitted.seeds)
    l1, l2 = (np.broadcast_to(fitted.task.hyper[name], members) for name in ("l1", "l2"))
    penalty = jax.vmap(lambda params, l1, l2: optim.penalty(params, l1, l2, hidden_kernel))
    return np.asarray(penalty(fitted.variables["params"], l1.astype("f4"), l2.astype("f4")))


def kernel_of_words(fitted: Fitted) -> Float[np.ndarray, "seeds vocabulary units"]:
    """The first layer's kernel, one row for each word."""
    return np.asarray(fitted.variables["params"]["hidden_0"]["kernel"])


def weight_norms(fitted: Fitted) -> Float[np.ndarray, " seeds"]:
    """Euclidean norm of all penalised weights of each member."""
    norm = jax.vmap(lambda params: optim.penalty(params, 0.0, 1.0, hidden_kernel))
    return np.sqrt(np.asarray(norm(fitted.variables["params"])))


def word_effects(fitted: Fitted, vocabulary: int) -> Float[np.ndarray, "seeds vocabulary"]:
    """By how much a text of this one word is more positive than an empty text, in logits."""
    alone = np.arange(vocabulary + 1, dtype=np.uint32)[:, None]  # the last one is the empty text
    logits = fitted.predict(lambda outputs, batch: outputs, {"x": alone})
    return logits[:, :-1] - logits[:, -1:]


def strongest_words(
    effects: Float[np.ndarray, "seeds vocabulary"], words: Sequence[str], count: int
) -> dict[str, float]:
    """The `count` most negative and `count` most positive words with their mean effect."""
    mean = effects.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    return {words[i]: float(mean[i]) for i in (*order[:count], *order[::-1][:count])}


def sparsity(fitted: Fitted) -> dict[str, Array]:
    """Shares of the first layer's weights that are exactly 0 and nearly 0, and words that are left.

    A word is left where one of its weights is not 0.
    """
    kernel = kernel_of_words(fitted)
    return {
        "exact zeros": (kernel == 0).mean(axis=(1, 2)),
        f"|w| < {NEAR_ZERO:g}": (np.abs(kernel) < NEAR_ZERO).mean(axis=(1, 2)),
        "words left": (kernel != 0).any(axis=2).sum(axis=1),
    }


def weight_tables(
    groups: Mapping[tuple[str, int], Fitted],
    strongest: Mapping[str, Mapping[str, float]],
    epochs: int,
    split: str,
) -> list[Table]:
    """What is left of the first layer's weights, and the words that say most.

    Args:
        groups: (method, units) -> the method's members.
        strongest: method -> `strongest_words` of its largest size; these methods are shown.
        epochs, split: for the titles.
    """
    largest = max(units for _, units in groups)
    zeros = [
        {"method": name, "units": units} | sparsity(group)
        for (name, units), group in groups.items()
        if name in strongest
    ]
    words = [
        {
            "method": name,
            "against": ", ".join(word for word, effect in effects.items() if effect < 0),
            "for": ", ".join(word for word, effect in effects.items() if effect > 0),
        }
        for name, effects in strongest.items()
    ]
    title = "Words that move the logit most, mean of the seeds"
    return [
        Table(f"Weights of the first layer after {epochs} epochs; {split}", zeros),
        Table(f"{title}; {largest} units, {epochs} epochs", words),
    ]
