"""How gradients travel back through a deep net, layer by layer, measured in one backward pass.

Everything is log10, and computed on values that are scaled to a largest element of 1: fifty layers
of sigmoids leave gradients of 1e-40, whose squares float32 does not hold.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl import losses
from jaxdl.diagnostics import probes
from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import Number, Params, Setting

SMALLEST = 1e-37  # what is added to or put in the place of zero, near the smallest float32


class Propagation(NamedTuple):
    """What one net shows on a batch; states and layers from the input on.

    Attributes:
        state_gradient: log10 of the root mean square gradient that arrives at each state.
        weight_gradient: log10 of the norm of each layer's weight gradient.
        example_gradients: log10 of the norm of what single examples add to it: their 10 %, 50 % and
            90 % quantiles.
        flat: share of activations where the activation function's slope is below 0.01.
    """

    state_gradient: Float[Array, " states"]
    weight_gradient: Float[Array, " layers"]
    example_gradients: Float[Array, "layers 3"]
    flat: Float[Array, " layers"]


def measure(
    params: Params,
    setting: Setting,
    x: Float[Array, "batch narrow"],
    y: Int[Array, " batch"],
) -> Propagation:
    """One backward pass of the mean cross-entropy through one net of `traced_mlp`.

    Args:
        params, setting: the net.
        x, y: rows and their classes.
    """

    def mean_loss(perturbations):
        logits, trace = traced_mlp.apply(params, x, setting, perturbations)
        return losses.softmax_cross_entropy(logits, y).mean(), trace

    zeros = traced_mlp.zero_perturbations(params, len(x))
    arriving, trace = jax.grad(mean_loss, has_aux=True)(zeros)

    states = jnp.concatenate([arriving.start[None], arriving.states])
    rows_and_units = states[0].size
    state_gradient = log_norm(states) - 0.5 * jnp.log10(rows_and_units)

    into_wide = _measure_layers(
        trace.outer_seen, trace.outer_value, arriving.inside, setting.activation
    )
    into_narrow = _measure_layers(
        trace.inner_seen, trace.inner_value, arriving.states, setting.activation
    )
    return Propagation(state_gradient, *map(_alternate, into_wide, into_narrow))


def _measure_layers(
    seen: Float[Array, "layers batch fan_in"],
    value: Float[Array, "layers batch fan_in"],
    arriving: Float[Array, "layers batch fan_out"],
    activation: Number,
) -> tuple[Float[Array, " layers"], Float[Array, "layers 3"], Float[Array, " layers"]]:
    """Weight gradient, example gradients and flat share of layers of one shape.

    Args:
        seen: what the activation function got.
        value: its value, the layers' input.
        arriving: gradient of the mean loss with respect to the layers' output.
        activation: its index.
    """
    unit_value, unit_arriving = unit_size(value), unit_size(arriving)
    # what the scaling took out, to be added again as a logarithm
    log_scale = log_size(value) + log_size(arriving)

    gradient = jnp.einsum("kbi,kbo->kio", unit_value, unit_arriving)
    weight_gradient = log_norm(gradient) + log_scale

    # an example's own gradient is the mean loss's share of it, times the number of examples
    batch = arriving.shape[1]
    each = probes.dense_gradient_norms(unit_value, unit_arriving) * batch
    quantiles = jnp.quantile(each, jnp.array([0.1, 0.5, 0.9]), axis=1).T
    example_gradients = jnp.log10(quantiles + SMALLEST) + log_scale[:, None]

    slopes = traced_mlp.slope(seen, activation)
    flat = probes.activation_statistics(value, slopes)["flat"]
    return weight_gradient, example_gradients, flat


def _alternate(
    into_wide: Float[Array, " blocks *values"], into_narrow: Float[Array, " blocks *values"]
) -> Float[Array, " layers *values"]:
    """Layers in the order in which they are passed: into the wide, back into the narrow, ..."""
    pairs = jnp.stack([into_wide, into_narrow], axis=1)
    return pairs.reshape(-1, *into_wide.shape[1:])


def log_norm(x: Float[Array, "layers rows columns"]) -> Float[Array, " layers"]:
    """log10 of the Euclidean norm of each layer's values, whatever their size."""
    squares = jnp.square(unit_size(x)).sum(axis=(1, 2))
    return log_size(x) + 0.5 * jnp.log10(jnp.maximum(squares, SMALLEST))


def log_size(x: Float[Array, "layers rows columns"]) -> Float[Array, " layers"]:
    """log10 of each layer's largest absolute value."""
    return jnp.log10(jnp.maximum(jnp.abs(x).max(axis=(1, 2)), SMALLEST))


def unit_size(x: Float[Array, "layers rows columns"]) -> Float[Array, "layers rows columns"]:
    """Each layer's values divided by the largest absolute one."""
    return x / jnp.maximum(jnp.abs(x).max(axis=(1, 2), keepdims=True), SMALLEST)
