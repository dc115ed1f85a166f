"""What theory says about gradients in untrained nets (those of `jaxdl.models.traced_mlp`).

In wide random nets every layer's values are Gaussian, and one Gaussian integral per layer gives the
variance of the next one and the factor by which a gradient's variance changes on its way back:
Schoenholz et al., "Deep information propagation" (2017); with shortcuts Yang and Schoenholz, "Mean
field residual networks" (2017); with batch normalisation Yang et al., "A mean field theory of batch
normalization" (2019), here with examples that normalisation has made independent.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.models import traced_mlp

_NODES, _WEIGHTS = (jnp.asarray(x) for x in np.polynomial.hermite_e.hermegauss(100))
LEAST_VARIANCE = 1e-30  # an underflow would move the mean slope of a ReLU to its corner


def gaussian_mean(function: Callable[[Array], Array], variance: Array | float) -> Array:
    """Mean of function(x) for normal x of mean 0, by Gauss-Hermite quadrature."""
    x = jnp.sqrt(jnp.maximum(variance, LEAST_VARIANCE)) * _NODES
    return (function(x) * _WEIGHTS).sum() / _WEIGHTS.sum()


def moments(activation: Array | int, variance: Array | float) -> tuple[Array, Array, Array]:
    """Mean square, variance and mean squared slope of the activations for normal inputs."""
    square = gaussian_mean(lambda x: jnp.square(traced_mlp.activate(x, activation)), variance)
    mean = gaussian_mean(lambda x: traced_mlp.activate(x, activation), variance)
    slope = gaussian_mean(lambda x: jnp.square(traced_mlp.slope(x, activation)), variance)
    return square, square - mean**2, slope


@partial(jax.jit, static_argnames=("blocks", "narrow", "wide"))
def gradient_profile(
    setting: traced_mlp.Setting, blocks: int, narrow: int, wide: int
) -> Float[Array, " states"]:
    """log10 of the root mean square gradient at each state, relative to the last one.

    Args:
        setting: which net; indices may be traced, and the function vmapped over them.
        blocks, narrow, wide: its sizes. The state in front of the first block is taken to have
            variance 1 and no correlation between examples.

    Returns:
        `blocks + 1` values, from the state in front of the first block to the last state.
    """
    norm, shortcut = jnp.asarray(setting.norm), jnp.asarray(setting.shortcut, jnp.float32)
    first, second = (
        jnp.square(s) for s in traced_mlp.weight_scales(setting.initialiser, narrow, wide)
    )

    def through(total, spread):
        """Moments of the activations behind a normalisation, and what it divides the square by."""
        seen = jnp.where(norm == 0, total, 1.0)
        divisor = jnp.where(norm == 1, spread, jnp.where(norm == 2, total, 1.0))
        return (*moments(setting.activation, seen), divisor)

    def forward(carry, _):
        # mean square of the state, and its variance over the batch
        total, spread = carry
        square, variance, slope, divisor = through(total, spread)
        factor = wide * first * slope / divisor
        gain = narrow * first
        square, variance, slope, divisor = through(gain * square, gain * variance)
        factor = factor * narrow * second * slope / divisor
        total = wide * second * square + shortcut * total
        spread = wide * second * variance + shortcut * spread
        return (total, spread), factor

    def backward(gradient, factor):
        # in logarithms: fifty layers of sigmoids leave what float32 can hold
        gradient = jnp.logaddexp(gradient + jnp.log(factor), gradient + jnp.log(shortcut))
        return gradient, gradient

    _, factors = jax.lax.scan(forward, (jnp.ones(()), jnp.ones(())), length=blocks)
    _, profile = jax.lax.scan(backward, jnp.zeros(()), factors, reverse=True)
    return jnp.append(profile, 0.0) / (2 * jnp.log(10.0))
