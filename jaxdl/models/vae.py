"""Variational autoencoders: a Gaussian code, drawn in training, and the bounds they are trained by.

Kingma and Welling, "Auto-encoding variational Bayes" (2014).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxdl import losses
from jaxdl.models.layers import convolves, glorot

WIDEST = 8.0  # the log variance of the code stays between -8 and 8


class Posterior(NamedTuple):
    """q(z | x): a Gaussian over the latent space whose dimensions are independent."""

    mean: Float[Array, "batch latent"]
    log_variance: Float[Array, "batch latent"]


class VaeOutput(NamedTuple):
    """`reconstruction` has no final activation: logits, where the loss takes logits."""

    reconstruction: Float[Array, " batch *features"]
    posterior: Posterior


def reparametrise(key: PRNGKeyArray, posterior: Posterior) -> Float[Array, "batch latent"]:
    """A draw z = mean + standard deviation * noise from the posterior, the noise standard normal.

    The noise does not depend on the parameters, so gradients reach mean and variance (Kingma and
    Welling, section 2.4). A pure function of the key: the same key gives the same draw.
    """
    noise = jax.random.normal(key, posterior.mean.shape)
    return posterior.mean + jnp.exp(0.5 * posterior.log_variance) * noise


class DenseVAE(nn.Module):
    """rows or images -> widths -> Gaussian code -> mirrored widths -> the same shape.

    In training the code is drawn, in evaluation it is the posterior's mean, which makes scores and
    reconstructions deterministic.

    Attributes:
        widths: hidden layers of the encoder; the decoder mirrors them.
        latent: dimensions of the code.
        activation: of the hidden layers.
    """

    widths: Sequence[int]
    latent: int
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(self, x: Float[Array, " batch *features"], train: bool) -> VaeOutput:
        shape = x.shape
        hidden = x.reshape(shape[0], -1)
        features = hidden.shape[1]
        for i, width in enumerate(self.widths):
            dense = nn.Dense(width, kernel_init=glorot, name=f"encoder_{i}")
            hidden = self.activation(dense(hidden))
        spread = nn.Dense(self.latent, kernel_init=nn.initializers.zeros, name="log_variance")
        posterior = Posterior(
            nn.Dense(self.latent, kernel_init=glorot, name="mean")(hidden),
            # a row far out would otherwise get a variance of e^100, and a bound without meaning
            WIDEST * jnp.tanh(spread(hidden) / WIDEST),
        )
        code = reparametrise(self.make_rng("dropout"), posterior) if train else posterior.mean
        for i, width in enumerate(self.widths[::-1]):
            dense = nn.Dense(width, kernel_init=glorot, name=f"decoder_{i}")
            code = self.activation(dense(code))
        out = nn.Dense(features, kernel_init=glorot, name="output")(code)
        return VaeOutput(out.reshape(shape), posterior)


def gaussian_bound(
    outputs: VaeOutput, x: Float[Array, " batch *features"], noise: float | Array, beta: float = 1.0
) -> Float[Array, " batch"]:
    """Negative evidence lower bound in nats for real-valued columns, up to a constant.

    With p(x | z) a Gaussian around the reconstruction: the sum of squared errors / (2 noise^2)
    + beta * KL(q(z | x) || p(z)).

    Args:
        outputs: of the model.
        x: what was encoded.
        noise: standard deviation of a column given the code: how exact a copy is asked for.
        beta: weight of the KL term (Higgins et al., "beta-VAE", 2017).
    """
    squared = losses.mse(outputs.reconstruction, x) * (x.size // x.shape[0])
    return squared / (2 * noise**2) + beta * losses.gaussian_kl(*outputs.posterior)


class VAE(nn.Module):
    """A variational autoencoder out of any autoencoder of `jaxdl.models`: dense or convolutional.

    Of the body's code one half is the mean, the other the log variance; the body decodes codes of
    half that width. `VAE(DenseAutoencoder(784, (200, 200, 40), code_activation=identity))` has 20
    latent dimensions.

    Attributes:
        body: has `encode` and `decode`; its code must not be cut by an activation.
    """

    body: nn.Module

    @property
    def convolves(self) -> bool:
        """Whether the body has convolutions."""
        return convolves(self.body)

    def __call__(self, x: Float[Array, "batch features"], train: bool) -> VaeOutput:
        """Logits of a draw in training (stream "dropout"), of the mean in evaluation."""
        posterior = self.encode(x)
        drawn = reparametrise(self.make_rng("dropout"), posterior) if train else posterior.mean
        return VaeOutput(self.decode(drawn), posterior)

    def encode(self, x: Float[Array, "batch features"]) -> Posterior:
        """q(z | x), the posterior of the code."""
        mean, spread = jnp.split(self.body.encode(x), 2, axis=-1)
        return Posterior(mean, WIDEST * jnp.tanh(spread / WIDEST))

    def decode(self, code: Float[Array, " *batch latent"]) -> Float[Array, " *batch features"]:
        """The body's reconstruction from each code, without a final activation."""
        return self.body.decode(code)
