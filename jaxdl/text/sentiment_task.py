"""The task of telling a positive text from a negative one, with regularisers as numbers.

How one program trains every regulariser: each training step contains all of them, and a strength of
0 turns one off. L1 and L2 with strength 0 add nothing to the gradient, the soft threshold at 0
moves no weight, dropout with rate 0 drops no unit. So two methods differ in four numbers only, and
numbers may differ between the members of a vmapped population. `methods_times_seeds` lays the
members out, `sentiment_task` puts the four numbers to work, and one compiled program trains all
methods with all seeds.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxdl import losses, optim
from jaxdl.models.layers import convolves
from jaxdl.models.text import BagMLP, TextCNN, TextRNN
from jaxdl.training import Task, module_functions
from jaxdl.training.population import cross
from jaxdl.training.task import Batch, Hyper, Variables

# ---- regularisers --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Regularisation:
    """How strongly each regulariser acts; 0 turns it off.

    Attributes:
        l1: factor of sum|w|, whose gradient is added to the loss's.
        l2: factor of sum(w ** 2), likewise; Keras's convention, without 1/2.
        proximal: L1 as a soft threshold behind Adam's step, which gives exact zeros
            (`jaxdl.optim.soft_threshold`); not on the scale of `l1`.
        dropout: share of the hidden units that each training step drops.
    """

    l1: float = 0.0
    l2: float = 0.0
    proximal: float = 0.0
    dropout: float = 0.0


def methods_times_seeds(
    methods: Mapping[str, Regularisation], seeds: Sequence[int] | Int[np.ndarray, " seeds"]
) -> tuple[dict[str, Float[np.ndarray, " members"]], Int[np.ndarray, " members"]]:
    """Strengths and seeds of a population: every method with every seed, method by method.

    `jaxdl.training.population.by_method` takes the trained population apart again.

    >>> methods = {"none": Regularisation(), "L2": Regularisation(l2=0.001)}
    >>> hyper, seeds = methods_times_seeds(methods, [0, 1, 2])
    >>> hyper["l2"].tolist()
    [0.0, 0.0, 0.0, 0.001, 0.001, 0.001]
    >>> seeds.tolist()
    [0, 1, 2, 0, 1, 2]
    """
    strengths = [dataclasses.asdict(method) for method in methods.values()]
    columns = {
        field.name: [strength[field.name] for strength in strengths]
        for field in dataclasses.fields(Regularisation)
    }
    return cross(columns, len(methods), seeds)


def hidden_kernel(names: tuple[str, ...]) -> bool:
    """The weights that are penalised: all kernels but the output layer's, and no biases.

    >>> hidden_kernel(("hidden_0", "kernel")), hidden_kernel(("output", "kernel"))
    (True, False)
    """
    return names[-1] == "kernel" and names[0] != "output"


# ---- task ----------------------------------------------------------------------------------------


def sentiment_task(
    model: BagMLP, hyper: Mapping[str, Float[np.ndarray, " members"]], learning_rate: float
) -> Task:
    """Binary cross-entropy on {"x": lists of words, "y": 0 or 1}, regularised as `hyper` says.

    The penalties are no part of the loss that is reported: their gradient is a transform in front
    of Adam (as if Keras had added them to the loss), the soft threshold one behind it, and the
    dropout rate goes into the model.

    Args:
        model: on lists of words.
        hyper: the strengths of each member, from `methods_times_seeds`.
        learning_rate: Adam's.
    """

    def init(key: PRNGKeyArray, batch: Batch) -> Variables:
        return model.init(key, batch["x"], False)

    def apply(variables, batch, key, train, hyper):
        rngs = {"dropout": key} if train else {}
        return model.apply(variables, batch["x"], train, hyper["dropout"], rngs=rngs), {}

    def optimizer(hyper: Hyper) -> optax.GradientTransformation:
        return optax.chain(
            optim.elastic_net(hyper["l1"], hyper["l2"], hidden_kernel),
            optim.adam(learning_rate),
            optim.soft_threshold(hyper["proximal"], learning_rate, hidden_kernel),
        )

    return Task(init, apply, cross_entropy, optimizer, {"accuracy": accuracy}, hyper)


def sequence_task(module: TextCNN | TextRNN, learning_rate: float | optax.Schedule) -> Task:
    """Binary cross-entropy on {"x": tokens in order, "y": 0 or 1}, Adam as in Keras.

    The gradient is clipped at norm 1: one long text must not undo a recurrent layer.

    Args:
        module: on sequences of words.
        learning_rate: Adam's, or its schedule.
    """
    init, apply = module_functions(module)

    def optimizer(hyper: Hyper) -> optax.GradientTransformation:
        del hyper
        return optax.chain(optax.clip_by_global_norm(1.0), optim.adam(learning_rate))

    return Task(
        init,
        apply,
        cross_entropy,
        optimizer,
        metrics={"accuracy": accuracy},
        convolves=convolves(module),
    )


def cross_entropy(
    logits: Float[Array, " batch"], batch: Batch, hyper: Hyper | None = None
) -> Float[Array, " batch"]:
    """Binary cross-entropy of each text, in nats; no penalty is part of it."""
    del hyper
    return losses.binary_cross_entropy(logits, batch["y"])


def accuracy(logits: Float[Array, " batch"], batch: Batch) -> Float[Array, " batch"]:
    """1 where the sign of the logit is right, else 0."""
    return losses.binary_accuracy(logits, batch["y"])


# ---- scores on test texts ------------------------------------------------------------------------


def judge(logits: Float[Array, " batch"], batch: Batch) -> dict[str, Float[Array, " batch"]]:
    """Cross-entropy, hit and probability of each text, for `Fitted.predict`."""
    return {
        "cross-entropy": cross_entropy(logits, batch),
        "accuracy": accuracy(logits, batch),
        "probability": jax.nn.sigmoid(logits),
    }


def scores_on_test(
    judged: Mapping[str, Float[np.ndarray, "seeds rows"]], label: Float[np.ndarray, " rows"]
) -> dict[str, float | Float[np.ndarray, " seeds"]]:
    """What the seeds reach on test texts, each for itself and together: columns of a table.

    Args:
        judged: what `judge` gives for every seed.
        label: 0 or 1.
    """
    return {
        "test cross-entropy": judged["cross-entropy"].mean(axis=1),
        "test accuracy": judged["accuracy"].mean(axis=1),
        "vote of the seeds": vote(judged["probability"], label),
    }


def vote(probability: Float[np.ndarray, "seeds rows"], label: Float[np.ndarray, " rows"]) -> float:
    """Accuracy of the seeds' mean probability.

    >>> vote(np.array([[0.9, 0.1], [0.2, 0.7]]), np.array([1.0, 1.0]))  # means 0.55 and 0.4
    0.5
    """
    return float(np.mean((probability.mean(axis=0) > 0.5) == (label > 0.5)))
