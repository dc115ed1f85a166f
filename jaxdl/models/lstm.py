"""A long short-term memory layer with Keras's gates: one bias vector for each gate.

Hochreiter and Schmidhuber, "Long short-term memory" (1997), with the forget gate of Gers et al.
(2000). Flax's cells split the kernels by gate and start otherwise; here names, order of the gates
(input, forget, cell, output) and initial values are Keras's, so that parameter counts and starts
are those of the course: 4 * (units * (units + inputs) + units).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from jaxdl.models.layers import glorot


def lstm_sequence(
    x: Float[Array, "batch time inputs"],
    kernel: Float[Array, "inputs gates"],
    recurrent_kernel: Float[Array, "units gates"],
    bias: Float[Array, " gates"],
) -> Float[Array, "batch time units"]:
    """The hidden state after every step, from a state of zeros.

    The inputs of all steps meet the kernel in one product in front of the loop.

    Args:
        x: the series.
        kernel, recurrent_kernel, bias: of the gates input, forget, cell, output, side by side;
            `gates` is 4 * units.
    """
    units = recurrent_kernel.shape[0]

    def step(state, from_input):
        hidden, cell = state
        gates = from_input + hidden @ recurrent_kernel
        let_in, forget, candidate, out = jnp.split(gates, 4, axis=-1)
        cell = nn.sigmoid(forget) * cell + nn.sigmoid(let_in) * jnp.tanh(candidate)
        hidden = nn.sigmoid(out) * jnp.tanh(cell)
        return (hidden, cell), hidden

    start = jnp.zeros((x.shape[0], units), x.dtype)
    from_inputs = jnp.swapaxes(x @ kernel + bias, 0, 1)  # [time, batch, gates]
    _, hidden = jax.lax.scan(step, (start, start), from_inputs)
    return jnp.swapaxes(hidden, 0, 1)


def forget_gate_bias(
    key: PRNGKeyArray, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
) -> Float[Array, " gates"]:
    """1 for the forget gate, 0 elsewhere: Keras's `unit_forget_bias`."""
    del key
    units = shape[0] // 4
    return jnp.zeros(shape, dtype).at[units : 2 * units].set(1)


class LSTM(nn.Module):
    """The layer.

    Attributes:
        units: width of the state.
        return_sequences: the state after every step instead of the last one.
    """

    units: int
    return_sequences: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch time inputs"]
    ) -> Float[Array, "batch time units"] | Float[Array, "batch units"]:
        gates = 4 * self.units
        hidden = lstm_sequence(
            x,
            self.param("kernel", glorot, (x.shape[-1], gates)),
            self.param("recurrent_kernel", nn.initializers.orthogonal(), (self.units, gates)),
            self.param("bias", forget_gate_bias, (gates,)),
        )
        return hidden if self.return_sequences else hidden[:, -1]
