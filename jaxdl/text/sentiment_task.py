"""Tasks that tell a positive text from a negative one, and how their answers are judged."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxdl import losses, optim
from jaxdl.models.layers import convolves
from jaxdl.models.text import BagMLP
from jaxdl.training import Task, module_functions
from jaxdl.training.population import cross

METRICS = {"accuracy": lambda outputs, batch: losses.binary_accuracy(outputs, batch["y"])}


def cross_entropy(outputs: Float[Array, " batch"], batch: Mapping[str, Any], hyper: Any = None):
    """Binary cross-entropy of each text; no penalty is part of it."""
    return losses.binary_cross_entropy(outputs, batch["y"])


def hidden_kernel(names: tuple[str, ...]) -> bool:
    """The layers that lab 040 penalises: all kernels but the output's."""
    return names[-1] == "kernel" and names[0] != "output"


def sentiment_task(
    model: BagMLP,
    hyper: Mapping[str, Any],
    learning_rate: float,
    word_weights: Float[np.ndarray, " vocabulary"] | None = None,
) -> Task:
    """Binary cross-entropy on {"x": lists of words, "y": 0 or 1}; the penalty is not part of it.

    The penalty enters as a gradient transform in front of Adam (as Keras adds it to the loss), the
    proximal L1 step behind it, the dropout rate goes into the model.

    Args:
        model: on lists of words.
        hyper: the strengths, as `jaxdl.text.sentiment_task.population` returns them.
        learning_rate: Adam's.
        word_weights: fixed factor of each word's one in the multi-hot vector, 1 by default.
    """

    def optimizer(hyper):
        return optax.chain(
            optim.elastic_net(hyper["l1"], hyper["l2"], hidden_kernel),
            optim.adam(learning_rate),
            optim.soft_threshold(hyper["proximal"], learning_rate, hidden_kernel),
        )

    def apply(variables, batch, key, train, hyper):
        params = variables["params"]
        if word_weights is not None:
            # a weighted one times a row of the kernel is a one times the weighted row
            rows = jnp.asarray(word_weights, jnp.float32)[:, None]
            first = params["hidden_0"]
            params = {**params, "hidden_0": {**first, "kernel": first["kernel"] * rows}}
        rngs = {"dropout": key} if train else {}
        outputs = model.apply({"params": params}, batch["x"], train, hyper["dropout"], rngs=rngs)
        return outputs, {}

    return Task(
        init=lambda key, batch: model.init(key, batch["x"], False),
        apply=apply,
        loss=cross_entropy,
        optimizer=optimizer,
        metrics=METRICS,
        hyper=hyper,
    )


def sequence_task(module: nn.Module, learning_rate: float) -> Task:
    """Binary cross-entropy on {"x": sequences of words, "y": 0 or 1}, Adam as in Keras.

    The gradient is clipped at norm 1: one long review must not undo a recurrent layer.
    """
    init, apply = module_functions(module)
    return Task(
        init=init,
        apply=apply,
        loss=cross_entropy,
        optimizer=lambda hyper: optax.chain(
            optax.clip_by_global_norm(1.0), optim.adam(learning_rate)
        ),
        metrics=METRICS,
        convolves=convolves(module),
    )


def judged(outputs: Any, batch: Mapping[str, Any]) -> dict[str, Array]:
    """Cross-entropy, hit and probability of each text, for `Fitted.predict`."""
    return {
        "cross-entropy": cross_entropy(outputs, batch),
        "accuracy": losses.binary_accuracy(outputs, batch["y"]),
        "probability": jax.nn.sigmoid(outputs),
    }


def test_columns(answers: Mapping[str, Array], label: Float[np.ndarray, " rows"]) -> dict[str, Any]:
    """What a population reaches on test texts: columns of a table, the vote of its seeds last.

    Args:
        answers: `judged` of every member, arrays [seeds, rows].
        label: 0 or 1.
    """
    return {
        "test cross-entropy": answers["cross-entropy"].mean(axis=1),
        "test accuracy": answers["accuracy"].mean(axis=1),
        "vote of the seeds": vote(answers["probability"], label),
    }


def vote(probability: Float[np.ndarray, "seeds rows"], label: Float[np.ndarray, " rows"]) -> float:
    """Accuracy of the seeds' mean probability."""
    return float(np.mean((probability.mean(axis=0) > 0.5) == (label > 0.5)))


STRENGTHS = ("l1", "l2", "proximal", "dropout")


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
