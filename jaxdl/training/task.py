"""What is trained: a record of pure functions. The engine never looks inside a model."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

ROW_MASK = "row_mask"
"""The entry that the engine adds to a batch that may be padded; see `row_mask`."""

Batch = Mapping[str, Array]
Hyper = Mapping[str, Array]
Variables = Mapping[str, Any]
PerExample = Callable[[Any, Batch], Float[Array, " batch"]]
Loss = Callable[[Any, Batch, Hyper], Float[Array, " batch"]]


@dataclass(frozen=True)
class Task:
    """Everything a fit needs to know about a model, as plain functions of arrays.

    Attributes:
        init: (key, batch) -> variables; `variables["params"]` is trained, every other collection
            (batch statistics, say) is state that `apply` hands back.
        apply: (variables, batch, key, train, hyper) -> (outputs, changed collections). Dropout and
            augmentation draw from `key`; with `train=False` the collections come back empty.
        loss: (outputs, batch, hyper) -> the loss of each example, shape [batch]. No reduction: the
            engine takes the mean over the rows that are not padding.
        optimizer: hyper -> gradient transform. Called inside jit, so the numbers in `hyper` may be
            traced and may differ between the members of a population.
        metrics: name -> (outputs, batch) -> a number for each example, averaged like the loss and
            reported per epoch.
        hyper: plain numbers, or arrays of shape [seeds] that give each member its own.
        convolves: the model has convolutions. The members of a population are then trained one
            after the other, and on a CPU step by step: a vmapped convolution is a grouped one,
            which is several times slower, and so is a convolution inside a loop.
    """

    init: Callable[[PRNGKeyArray, Batch], Variables]
    apply: Callable[[Variables, Batch, PRNGKeyArray, bool, Hyper], tuple[Any, Variables]]
    loss: Loss
    optimizer: Callable[[Hyper], optax.GradientTransformation]
    metrics: Mapping[str, PerExample] = field(default_factory=dict)
    hyper: Mapping[str, Any] = field(default_factory=dict)
    convolves: bool = False


def row_mask(batch: Batch) -> Bool[Array, " batch"] | None:
    """True for the real rows of a batch, False for its padding; None where all rows are real.

    The engine leaves padding out of losses and metrics by itself. Only what a model or a task
    computes over the rows of a batch (a mean, a variance) has to ask: `x.mean(axis=0,
    where=mask[:, None])`, or `nn.BatchNorm()(x, mask=...)`, see `jaxdl.models.layers.BatchNorm`.
    """
    return batch.get(ROW_MASK)


def module_functions(module: Any, inputs: Callable[[Batch], Any] = lambda batch: batch["x"]):
    """`init` and `apply` of a Flax Linen module in the form that `Task` wants.

    Args:
        module: a Linen module whose `__call__(x, train)` takes the inputs and the mode, and,
            if it looks at several rows at once (batch normalisation), `mask`: see `row_mask`.
        inputs: picks the module's inputs out of the batch; `batch["x"]` by default.

    Returns:
        (init, apply). `apply` gives the module's dropout its own stream of `key`.
    """

    takes_mask = "mask" in inspect.signature(type(module).__call__).parameters

    def init(key: PRNGKeyArray, batch: Batch) -> Variables:
        return module.init({"params": key}, inputs(batch), train=False)

    def apply(variables, batch, key, train, hyper):
        del hyper
        mask = {"mask": row_mask(batch)} if takes_mask else {}
        if not train:
            return module.apply(variables, inputs(batch), train=False, **mask), {}
        mutable = [name for name in variables if name != "params"]
        outputs, changed = module.apply(
            variables, inputs(batch), train=True, rngs={"dropout": key}, mutable=mutable, **mask
        )
        return outputs, dict(changed)

    return init, apply


def parameter_count(variables: Variables) -> int:
    """Trained numbers in the variables of one model; `Fitted.parameter_count` for a population."""
    params = variables["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(params))
