"""What is trained: a record of pure functions. The engine never looks inside a model."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

ROW_MASK = "row_mask"
"""The entry that the engine adds to a batch that may be padded; see `row_mask`."""

Batch = Mapping[str, Array]
Hyper = Mapping[str, Array]
Variables = Mapping[str, Any]
Precision = Literal["float32", "bfloat16"]
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
        precision: what `apply` computes in, see `forward`. Weights, gradients, the optimiser's
            numbers, batch statistics and losses are float32 either way.
    """

    init: Callable[[PRNGKeyArray, Batch], Variables]
    apply: Callable[[Variables, Batch, PRNGKeyArray, bool, Hyper], tuple[Any, Variables]]
    loss: Loss
    optimizer: Callable[[Hyper], optax.GradientTransformation]
    metrics: Mapping[str, PerExample] = field(default_factory=dict)
    hyper: Mapping[str, Any] = field(default_factory=dict)
    convolves: bool = False
    precision: Precision = "float32"


def forward(
    task: Task, variables: Variables, batch: Batch, key: PRNGKeyArray, train: bool, hyper: Hyper
) -> tuple[Any, Variables]:
    """`task.apply` in the task's precision; all that the engine calls, in training and after.

    With "bfloat16" the parameters and the numbers of the batch are rounded to 16 bits on the way
    in, and outputs and changed collections are float32 again on the way out: losses are computed,
    and batch statistics kept, in full (Micikevicius et al., "Mixed precision training", 2017;
    bfloat16 has the range of float32, so that no loss has to be scaled). The gradient passes the
    rounding as if it were not there and is that of the float32 parameters. It pays where a device
    has matrix units for 16 bits; a CPU is slower with it.
    """
    if task.precision == "float32":
        return task.apply(variables, batch, key, train, hyper)
    params = floats_as(variables["params"], jnp.bfloat16)
    rounded = floats_as(dict(batch), jnp.bfloat16)
    outputs, changed = task.apply({**variables, "params": params}, rounded, key, train, hyper)
    return floats_as(outputs, jnp.float32), floats_as(changed, jnp.float32)


def floats_as(tree: Any, dtype: Any) -> Any:
    """The tree with its real numbers of another type; whole numbers, masks and keys as they are."""

    def converted(leaf: Any) -> Any:
        if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating):
            return jnp.asarray(leaf).astype(dtype)
        return leaf

    return jax.tree.map(converted, tree)


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
        (init, apply). `apply` gives the module's dropout its own stream of `key`, and the module
        inputs of its parameters' type: what is prepared from bytes is float32, see `forward`.
    """

    takes_mask = "mask" in inspect.signature(type(module).__call__).parameters

    def init(key: PRNGKeyArray, batch: Batch) -> Variables:
        return module.init({"params": key}, inputs(batch), train=False)

    def apply(variables, batch, key, train, hyper):
        del hyper
        mask = {"mask": row_mask(batch)} if takes_mask else {}
        x = floats_as(inputs(batch), jax.tree.leaves(variables["params"])[0].dtype)
        if not train:
            return module.apply(variables, x, train=False, **mask), {}
        mutable = [name for name in variables if name != "params"]
        outputs, changed = module.apply(
            variables, x, train=True, rngs={"dropout": key}, mutable=mutable, **mask
        )
        return outputs, dict(changed)

    return init, apply


def parameter_count(variables: Variables) -> int:
    """Trained numbers in the variables of one model; `Fitted.parameter_count` for a population."""
    params = variables["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(params))
