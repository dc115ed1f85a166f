"""A small convolutional net that describes a patch of a time series by a few numbers."""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.models.conv1d import Conv1D


class PatchEncoder(nn.Module):
    """Two convolutions down by 4, the mean over the steps, a dense layer.

    The numbers are not scaled to a length, so that a patch of sizes never seen lies far away.

    Attributes:
        features: numbers that describe a patch.
    """

    convolves = True

    features: int = 32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch patches length channels"], train: bool
    ) -> Float[Array, "batch patches features"]:
        del train
        batch, patches, length, channels = x.shape
        x = x.reshape(batch * patches, length, channels)
        x = nn.relu(Conv1D(32, kernel_size=7, stride=2)(x))
        x = nn.relu(Conv1D(32, kernel_size=5, stride=2)(x))
        x = nn.Dense(self.features)(x.mean(axis=1))
        return x.reshape(batch, patches, self.features)
