"""The convolutional net of lab 030, in the sub-class form that the lesson is about."""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.models.autoencoder import glorot


class DigitNet(nn.Module):
    """conv 32 of 3x3, ReLU -> flatten -> dense 128, ReLU -> dense 10: 2,770,634 parameters.

    Layers are made in `setup`, as in the constructor of a Keras sub-class, and joined in the call.
    """

    def setup(self):
        self.conv = nn.Conv(32, (3, 3), padding="VALID", kernel_init=glorot)
        self.hidden = nn.Dense(128, kernel_init=glorot)
        self.output = nn.Dense(10, kernel_init=glorot)

    def __call__(self, x: Float[Array, "batch 28 28 1"], train: bool) -> Float[Array, "batch 10"]:
        """Logits; `train` changes nothing, for the net has no dropout."""
        del train
        x = nn.relu(self.conv(x))
        x = nn.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.output(x)
