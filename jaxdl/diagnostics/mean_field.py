"""What theory says about gradients in untrained nets (those of `jaxdl.models.traced_mlp`).

In wide random nets every layer's values are Gaussian, and one Gaussian integral per layer gives the
variance of the next one and the factor by which a gradient's variance changes on its way back:
Schoenholz et al., "Deep information propagation" (2017); with shortcuts Yang and Schoenholz, "Mean
field residual networks" (2017); with batch normalisation Yang et al., "A mean field theory of batch
normalization" (2019), here with examples that normalisation has made independent.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import Number

_NODES, _WEIGHTS = (jnp.asarray(x) for x in np.polynomial.hermite_e.hermegauss(100))
LEAST_VARIANCE = 1e-30  # an underflow would move the mean slope of a ReLU to its corner


def gaussian_mean(function: Callable[[Array], Array], variance: Number) -> Float[Array, ""]:
    """Mean of function(x) for normal x of mean 0, by Gauss-Hermite quadrature.

    >>> round(float(gaussian_mean(jnp.square, variance=3.0)), 3)
    3.0
    """
    x = jnp.sqrt(jnp.maximum(variance, LEAST_VARIANCE)) * _NODES
    return (function(x) * _WEIGHTS).sum() / _WEIGHTS.sum()


class Moments(NamedTuple):
    """Of an activation function whose input is normal with mean 0.

    Attributes:
        square: mean square of its values.
        variance: variance of its values.
        slope: mean square of its slope.
    """

    square: Float[Array, ""]
    variance: Float[Array, ""]
    slope: Float[Array, ""]


def moments(activation: Number, variance: Number) -> Moments:
    """Moments of an activation function.

    Args:
        activation: its index.
        variance: of its input.
    """
    square = gaussian_mean(lambda x: jnp.square(traced_mlp.activate(x, activation)), variance)
    mean = gaussian_mean(lambda x: traced_mlp.activate(x, activation), variance)
    slope = gaussian_mean(lambda x: jnp.square(traced_mlp.slope(x, activation)), variance)
    return Moments(square, square - mean**2, slope)


class _State(NamedTuple):
    """Theory's view of a state: its mean square, and its variance over the batch."""

    square: Float[Array, ""]
    variance: Float[Array, ""]


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
    scales = traced_mlp.weight_scales(setting.initialiser, narrow, wide)
    first, second = (jnp.square(scale) for scale in scales)  # variances of the two kernels

    def activations(state: _State) -> tuple[Moments, Float[Array, ""]]:
        """Moments behind normalisation and activation, and what a gradient's square loses there.

        Normalisation makes the square 1, and divides a gradient's square by what it was.
        """
        seen = jnp.where(norm == 0, state.square, 1.0)
        divisor = jnp.where(norm == 1, state.variance, jnp.where(norm == 2, state.square, 1.0))
        return moments(setting.activation, seen), divisor

    def forward(state, _):
        """The next state, and the factor of a gradient's square through the block's two layers."""
        outer, outer_divisor = activations(state)
        hidden = _State(narrow * first * outer.square, narrow * first * outer.variance)
        factor = wide * first * outer.slope / outer_divisor

        inner, inner_divisor = activations(hidden)
        factor = factor * narrow * second * inner.slope / inner_divisor
        square = wide * second * inner.square + shortcut * state.square
        variance = wide * second * inner.variance + shortcut * state.variance
        return _State(square, variance), factor

    def backward(log_gradient, factor):
        """In logarithms: fifty layers of sigmoids leave what float32 can hold."""
        branch, skip = log_gradient + jnp.log(factor), log_gradient + jnp.log(shortcut)
        log_gradient = jnp.logaddexp(branch, skip)
        return log_gradient, log_gradient

    start = _State(jnp.ones(()), jnp.ones(()))
    _, factors = jax.lax.scan(forward, start, length=blocks)
    _, profile = jax.lax.scan(backward, jnp.zeros(()), factors, reverse=True)
    return jnp.append(profile, 0.0) / (2 * jnp.log(10.0))
