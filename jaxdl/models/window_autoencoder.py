"""Autoencoders for windows of a time series: convolutional (lab 170) and recurrent."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.models.conv1d import Conv1D, Conv1DTranspose, Dropout


class LSTMAutoencoder(nn.Module):
    """One LSTM reads the window, its last state is repeated, another LSTM writes the window.

    The net of the course's notebooks 171 and 471.

    Attributes:
        units: width of both LSTMs; 32 gives the notebooks' 12,705 parameters for one channel.
        dropout_rate: share of the code, and of the repeated code, dropped in training.
    """

    units: int = 32
    dropout_rate: float = 0.2

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch window channels"], train: bool
    ) -> Float[Array, "batch window channels"]:
        window, channels = x.shape[1:]
        states = nn.RNN(nn.OptimizedLSTMCell(self.units))(x)
        code = nn.Dropout(self.dropout_rate, deterministic=not train)(states[:, -1])
        repeated = jnp.repeat(code[:, None], window, axis=1)
        repeated = nn.Dropout(self.dropout_rate, deterministic=not train)(repeated)
        states = nn.RNN(nn.OptimizedLSTMCell(self.units))(repeated)
        return nn.Dense(channels)(states)


class ConvAutoencoder(nn.Module):
    """The autoencoder of lab 170: two convolutions down by 4, three transposed ones up again.

    Attributes:
        dropout_rate: share of activations dropped in training.
        decoder_dropout: the second dropout stands in the decoder (the Keras example) and not in the
            encoder (the lecture).
        output_kernel: taps of the last layer, 1 (the lecture) or 7 (the Keras example).
        code: numbers that a window is squeezed into, by a dense layer in the middle; None leaves
            the 16 channels at a quarter of the window as they are, four times as many numbers as a
            window of one channel has, which can copy what it was never shown.
    """

    convolves = True

    dropout_rate: float = 0.2
    decoder_dropout: bool = False
    output_kernel: int = 1
    code: int | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch window channels"], train: bool
    ) -> Float[Array, "batch window channels"]:
        if x.shape[1] % 4:
            raise ValueError(f"the window must be a multiple of 4, not {x.shape[1]}")
        channels = x.shape[-1]
        x = nn.relu(Conv1D(32, kernel_size=7, stride=2)(x))
        x = Dropout(self.dropout_rate)(x, train)
        x = nn.relu(Conv1D(16, kernel_size=7, stride=2)(x))
        if not self.decoder_dropout:
            x = Dropout(self.dropout_rate)(x, train)
        if self.code is not None:
            batch, steps, features = x.shape  # an export knows no number of rows
            code = nn.Dense(self.code, name="code")(x.reshape(batch, steps * features))
            x = nn.relu(nn.Dense(steps * features, name="from_code")(code))
            x = x.reshape(batch, steps, features)
        x = nn.relu(Conv1DTranspose(16, kernel_size=7, stride=2)(x))
        if self.decoder_dropout:
            x = Dropout(self.dropout_rate)(x, train)
        x = nn.relu(Conv1DTranspose(32, kernel_size=7, stride=2)(x))
        return Conv1DTranspose(channels, kernel_size=self.output_kernel)(x)


LECTURE_WINDOW = 288
NUMBERS_PER_CODE = 8


def code_for(window: int, channels: int) -> int | None:
    """Numbers of the code for windows of a length: an eighth of those in a window.

    The lecture's own window keeps the lecture's net, which has none (None).

    >>> code_for(140, channels=1), code_for(288, channels=1)
    (17, None)
    """
    if (window, channels) == (LECTURE_WINDOW, 1):
        return None
    return max(1, window * channels // NUMBERS_PER_CODE)


def lecture_net(code: int | None = None) -> ConvAutoencoder:
    """Lab 170 as the lecture has it: 9,313 parameters for one channel, and more with a code."""
    return ConvAutoencoder(code=code)


def keras_net(code: int | None = None) -> ConvAutoencoder:
    """The Keras example that the lab comes from: 9,505 parameters for one channel."""
    return ConvAutoencoder(decoder_dropout=True, output_kernel=7, code=code)
