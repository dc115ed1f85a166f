"""Initialisers, activations and layers that several models share."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

glorot = nn.initializers.glorot_uniform()


def convolves(module: nn.Module) -> bool:
    """Whether a module has convolutions: its class then says `convolves = True`.

    It is what `jaxdl.training.Task` asks for.
    """
    return getattr(module, "convolves", False)


def identity(x: Array) -> Array:
    """No activation: a linear layer."""
    return x


class BatchNorm(nn.BatchNorm):
    """Batch normalisation that leaves the padding of a batch out of its statistics.

    Ioffe and Szegedy, "Batch normalization" (2015). With `mask`, and in training mode, mean and
    variance are those of the real rows: `jaxdl.training.task.row_mask` tells which these are.
    """

    def __call__(
        self,
        x: Float[Array, " batch *features"],
        use_running_average: bool | None = None,
        *,
        mask: Bool[Array, " batch"] | None = None,
    ) -> Float[Array, " batch *features"]:
        if mask is not None:
            mask = mask.reshape(mask.shape + (1,) * (x.ndim - 1))
        return super().__call__(x, use_running_average, mask=mask)


def dropout(x: Array, rate: float | Float[Array, ""], key: Array | None) -> Array:
    """Inverted dropout whose rate may be traced; `key` None (evaluation) drops nothing."""
    if key is None:
        return x
    kept = jnp.asarray(1 - rate, x.dtype)  # a traced rate must not change the type of x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / kept, 0)


def keras_embedding(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Uniform between -0.05 and 0.05, as Keras starts an embedding."""
    return jax.random.uniform(key, shape, dtype, -0.05, 0.05)
