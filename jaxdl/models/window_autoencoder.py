"""LSTM autoencoder for windows of a time series (notebooks 171 and 471 beside lab 170)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.models.conv1d import Conv1D, Conv1DTranspose, Dropout


class LSTMAutoencoder(nn.Module):
    """One LSTM reads the window, its last state is repeated, another LSTM writes the window.

    Attributes:
        units: width of both LSTMs; 32 gives the notebook's 12,705 parameters for one channel.
        dropout_rate: share of the code, and of the repeated code, dropped in training.
    """

    units: int = 32
    dropout_rate: float = 0.2

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch window channels"], train: bool
    ) -> Float[Array, "batch window channels"]:
        code = nn.RNN(nn.OptimizedLSTMCell(self.units))(x)[:, -1]
        code = nn.Dropout(self.dropout_rate, deterministic=not train)(code)
        repeated = jnp.repeat(code[:, None], x.shape[1], axis=1)
        repeated = nn.Dropout(self.dropout_rate, deterministic=not train)(repeated)
        return nn.Dense(x.shape[-1])(nn.RNN(nn.OptimizedLSTMCell(self.units))(repeated))


class ConvAutoencoder(nn.Module):
    """The autoencoder of lab 170: two convolutions down by 4, three transposed ones up again.

    Attributes:
        dropout_rate: share of activations dropped in training.
        second_dropout: "encoder" (the lecture) or "decoder" (the Keras example).
        output_kernel: taps of the last layer, 1 (the lecture) or 7 (the Keras example).

    The lecture's net has 9,313 parameters, that of the Keras example 9,505.
    """

    convolves = True

    dropout_rate: float = 0.2
    second_dropout: str = "encoder"
    output_kernel: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch window channels"], train: bool
    ) -> Float[Array, "batch window channels"]:
        if x.shape[1] % 4:
            raise ValueError(f"the window must be a multiple of 4, not {x.shape[1]}")
        channels = x.shape[-1]
        x = nn.relu(Conv1D(32, 7, 2)(x))
        x = Dropout(self.dropout_rate)(x, train)
        x = nn.relu(Conv1D(16, 7, 2)(x))
        if self.second_dropout == "encoder":
            x = Dropout(self.dropout_rate)(x, train)
        x = nn.relu(Conv1DTranspose(16, 7, 2)(x))
        if self.second_dropout == "decoder":
            x = Dropout(self.dropout_rate)(x, train)
        x = nn.relu(Conv1DTranspose(32, 7, 2)(x))
        return Conv1DTranspose(channels, self.output_kernel)(x)


def lecture_net() -> ConvAutoencoder:
    """Lab 170 as the lecture has it: 9,313 parameters for one channel."""
    return ConvAutoencoder()


def keras_net() -> ConvAutoencoder:
    """The Keras example that the lab comes from: 9,505 parameters for one channel."""
    return ConvAutoencoder(second_dropout="decoder", output_kernel=7)
