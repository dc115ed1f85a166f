"""Training residual and plain nets: the paper's optimiser, and gradient norms layer by layer."""

import re
from collections.abc import Mapping

import jax
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxdl import probes
from jaxdl.training import Fitted, Task

WARM_UP_STEPS = 400
WARM_UP_DEPTH = 110


def optimizer(
    learning_rate: float, weight_decay: float, steps: int, depth: int
) -> optax.GradientTransformation:
    """SGD with momentum 0.9 and decay of all weights; the rate falls tenfold at 1/2 and 3/4.

    He et al. (2015), section 4.2. From 110 layers on the first 400 steps take a tenth of the rate,
    without which such a net does not start to learn there.

    Args:
        learning_rate: of the first half.
        weight_decay: added to the gradient, times the weights.
        steps: of the whole training.
        depth: layers of the net.
    """
    falls = {steps // 2: 0.1, steps * 3 // 4: 0.1}
    schedule = optax.piecewise_constant_schedule(learning_rate, falls)
    if depth >= WARM_UP_DEPTH:
        slow = optax.constant_schedule(0.1 * learning_rate)
        late = optax.piecewise_constant_schedule(
            learning_rate, {step - WARM_UP_STEPS: factor for step, factor in falls.items()}
        )
        schedule = optax.join_schedules([slow, late], [WARM_UP_STEPS])
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=0.9))


def layer_gradient_norms(
    fitted: Fitted, batch: Mapping[str, np.ndarray]
) -> Float[np.ndarray, "seeds layers"]:
    """Norm of the mean loss's gradient for each 3x3 kernel, from the input to the output.

    Args:
        fitted: a population of `models.resnet.ResNet`; the untrained one for the start.
        batch: rows that the loss is the mean of, in training mode (batch statistics).
    """
    task: Task = fitted.task

    @jax.jit
    def norms(variables) -> dict[str, Array]:
        def mean_loss(params):
            whole = {**variables, "params": params}
            outputs, _ = task.apply(whole, batch, jax.random.key(0), True, {})
            return task.loss(outputs, batch).mean()

        return probes.norms_by_layer(jax.grad(mean_loss)(variables["params"]))

    rows = []
    for member in range(len(fitted.seeds)):
        found = norms(jax.tree.map(lambda x, member=member: x[member], fitted.variables))
        layers = {
            int(match[1]): float(norm)
            for path, norm in found.items()
            if (match := re.fullmatch(r"conv_(\d+)/kernel", path))
        }
        rows.append([layers[layer] for layer in sorted(layers)])
    return np.array(rows)
