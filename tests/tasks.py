"""Tasks small enough for tests."""

import flax.linen as nn
import jax
import optax

from jaxdl import losses, optim
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import BatchNorm
from jaxdl.training import Task, module_functions


def autoencoder(learning_rate=1e-2, noise=0.0, hyper=None) -> Task:
    """5-2-5, with noise if asked, so that a test can see whether keys are replayed."""
    init, apply = module_functions(DenseAutoencoder(5, (4, 2), nn.tanh, noise))

    def optimizer(hyper):
        return optim.adam(hyper.get("learning_rate", learning_rate))

    def loss(outputs, batch, hyper=None):
        return losses.mse(outputs, batch["x"])

    metrics = {"mae": lambda outputs, batch: losses.mae(outputs, batch["x"])}
    return Task(init, apply, loss, optimizer, metrics, hyper or {})


class Normed(nn.Module):
    """A net with a convolution, batch statistics and dropout."""

    dropout: float = 0.2

    @nn.compact
    def __call__(self, x, train, mask=None):
        x = nn.Conv(4, (3, 3))(x)
        x = BatchNorm(use_running_average=not train, momentum=0.9)(x, mask=mask)
        x = nn.relu(x).reshape(x.shape[0], -1)
        return nn.Dense(3)(nn.Dropout(self.dropout, deterministic=not train)(x))


def classifier(dropout=0.2, learning_rate=0.1) -> Task:
    """A three-class task for `Normed`."""
    init, apply = module_functions(Normed(dropout))
    return Task(
        init,
        apply,
        lambda outputs, batch, hyper=None: losses.softmax_cross_entropy(outputs, batch["y"]),
        lambda hyper: optax.sgd(learning_rate, momentum=0.9),
        convolves=True,
    )


def same(a, b) -> bool:
    """Whether two trees are equal bit for bit."""
    a, b = jax.tree.leaves(jax.device_get(a)), jax.tree.leaves(jax.device_get(b))
    return len(a) == len(b) and all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True)
    )
