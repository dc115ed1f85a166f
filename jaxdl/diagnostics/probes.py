"""Looking into a net in training: gradient norms by layer and by example, activations, losses.

Pure functions of arrays, for use inside jit and vmap; nothing here depends on a particular model.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.training.task import Batch, Task, row_mask

TRACE = "loss_trace"


def norms_by_layer(tree: Any) -> dict[str, Float[Array, ""]]:
    """Euclidean norm of each leaf of a gradient (or of parameters), by path: "Dense_0/kernel"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): jnp.linalg.norm(leaf.reshape(-1))
        for path, leaf in leaves
    }


def per_example_gradients(
    loss: Callable[[Any, Any], Float[Array, ""]], params: Any, batch: Any
) -> Any:
    """The gradient of each example's own loss: a tree like `params` with leaves [batch, ...].

    Args:
        loss: (params, one example) -> a number; the example has no batch axis.
        params: what is differentiated.
        batch: a tree of arrays [batch, ...].
    """
    return jax.vmap(jax.grad(loss), in_axes=(None, 0))(params, batch)


def per_example_norms(gradients: Any) -> Float[Array, " batch"]:
    """Euclidean norm, over all leaves together, of each example's gradient."""
    squares = [
        jnp.square(leaf).reshape(leaf.shape[0], -1).sum(axis=1)
        for leaf in jax.tree.leaves(gradients)
    ]
    return jnp.sqrt(sum(squares))


def dense_gradient_norms(
    inputs: Float[Array, "*layers batch fan_in"], deltas: Float[Array, "*layers batch fan_out"]
) -> Float[Array, "*layers batch"]:
    """Norm of each example's gradient of a dense kernel, without forming it.

    An example's gradient is the outer product of the layer's input and of the loss gradient at its
    output, so its norm is the product of theirs: Goodfellow, "Efficient per-example gradient
    computations" (2015).

    Args:
        inputs: of the layer.
        deltas: gradient of each example's loss with respect to the layer's output.
    """
    return jnp.linalg.norm(inputs, axis=-1) * jnp.linalg.norm(deltas, axis=-1)


def activation_statistics(
    values: Float[Array, "*layers batch units"], slopes: Float[Array, "*layers batch units"]
) -> dict[str, Float[Array, " *layers"]]:
    """Mean, standard deviation and share of flat spots of activations, layer by layer.

    Args:
        values: activations.
        slopes: derivative of the activation function at the same places; where it is below 0.01 the
            spot is flat: a saturated sigmoid, a dead ReLU.
    """
    axes = (-2, -1)
    return {
        "mean": values.mean(axis=axes),
        "sd": values.std(axis=axes),
        "flat": (jnp.abs(slopes) < 0.01).mean(axis=axes),
    }


def trace_loss(task: Task, steps: int) -> Task:
    """The same task, which also remembers the mean training loss of each of its steps.

    The losses live in the model's state, so that they are stored, resumed and restored with it:
    after a fit they are in `variables["loss_trace"]["loss"]`, [seeds, steps]. The mean is that of
    the real rows of a batch, without padding.

    Args:
        task: what is trained.
        steps: how many steps there will be; later ones are not kept.
    """

    def init(key: Array, batch: Batch) -> dict[str, Any]:
        trace = {"loss": jnp.full(steps, jnp.nan), "step": jnp.zeros((), jnp.int32)}
        return {**task.init(key, batch), TRACE: trace}

    def apply(variables, batch, key, train, hyper):
        inner = {name: value for name, value in variables.items() if name != TRACE}
        outputs, changed = task.apply(inner, batch, key, train, hyper)
        if not train:
            return outputs, changed
        step = variables[TRACE]["step"]
        mean = jax.lax.stop_gradient(task.loss(outputs, batch, hyper).mean(where=row_mask(batch)))
        losses = variables[TRACE]["loss"].at[step].set(mean, mode="drop")
        return outputs, {**changed, TRACE: {"loss": losses, "step": step + 1}}

    return dataclasses.replace(task, init=init, apply=apply)
