"""Training residual and plain nets: the paper's optimiser, and gradient norms layer by layer."""

import re
from collections.abc import Mapping, Sequence

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, UInt8

from jaxdl import probes
from jaxdl.classification import accuracy_of, predicted
from jaxdl.models import cnn
from jaxdl.training import Fitted, parameter_count

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


def centred(
    images: UInt8[Array, "batch height width channels"],
    mean: Float[Array, "height width channels"],
    shrink: int = 1,
) -> Float[Array, "batch height_shrink width_shrink channels"]:
    """Bytes as numbers around 0: the mean picture taken off, squares of pixels averaged to one.

    Args:
        images: as stored.
        mean: of the training images, 0..1.
        shrink: side of the squares.
    """
    batch, height, width, channels = images.shape
    squares = batch, height // shrink, shrink, width // shrink, shrink, channels
    return (cnn.pixels(images) - mean).reshape(squares).mean(axis=(2, 4))


def result_columns(
    fitted: Fitted,
    test: Mapping[str, np.ndarray],
    start: Float[np.ndarray, " seeds"] | str = "-",
    end: Float[np.ndarray, " seeds"] | str = "-",
) -> dict[str, Array]:
    """Columns of a table: parameters, and what the last epoch's weights reach.

    Args:
        fitted: the population.
        test: rows that the test accuracy is of.
        start, end: gradient norm of the first layer over that of the last, before and after.
    """
    history = fitted.history
    return {
        "parameters": parameter_count(jax.tree.map(lambda x: x[0], fitted.variables)),
        "train loss": history["train_loss"][-1],
        "train accuracy": history["train_accuracy"][-1],
        "validation accuracy": history["valid_accuracy"][-1],
        "test accuracy": accuracy_of(predicted(fitted, test), test["y"]),
        "first / last gradient at the start": start,
        "at the end": end,
    }


def layer_gradient_norms(
    populations: Sequence[Fitted], batch: Mapping[str, np.ndarray]
) -> list[Float[np.ndarray, "seeds layers"]]:
    """Norm of the mean loss's gradient for each 3x3 kernel, from the input to the output.

    Args:
        populations: of one task with a `models.resnet.ResNet`, at several moments.
        batch: rows that the loss is the mean of, in training mode (batch statistics).
    """
    task = populations[0].task

    @jax.jit
    def norms(variables) -> dict[str, Array]:
        def mean_loss(params):
            whole = {**variables, "params": params}
            outputs, _ = task.apply(whole, batch, jax.random.key(0), True, {})
            return task.loss(outputs, batch).mean()

        return probes.norms_by_layer(jax.grad(mean_loss)(variables["params"]))

    def member_norms(fitted, member):
        found = norms(jax.tree.map(lambda x: x[member], fitted.variables))
        layers = {
            int(match[1]): float(norm)
            for path, norm in found.items()
            if (match := re.fullmatch(r"conv_(\d+)/kernel", path))
        }
        return [layers[layer] for layer in sorted(layers)]

    # one member after the other: JAX 0.7 cannot vmap a convolution's gradient
    return [
        np.array([member_norms(fitted, member) for member in range(len(fitted.seeds))])
        for fitted in populations
    ]
