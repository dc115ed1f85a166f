"""LSTM autoencoder for windows of a time series (notebooks 171 and 471 beside lab 170)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


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
