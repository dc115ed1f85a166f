"""Per-example losses and hit rates: [batch, ...] in, [batch] out, no reduction over the batch.

The engine takes the mean over the rows that are not padding, so nothing here may. Features are
averaged, as in Keras, which makes a value comparable between models of different width; the one
exception is the Gaussian KL term, which the VAE's bound sums over the latent axis.
Arithmetic is done in float32 or wider, whatever precision the model computes in.

A label outside 0..classes-1, or a binary target outside 0..1 (-1 for "no", say), has no loss: it is
NaN, and so is the hit rate. A fit that meets one stops (`jaxdl.errors.NotFinite`); it would
otherwise learn something else than was meant, without a word.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Num

AnyArray = np.ndarray | Array


def _pair(outputs: AnyArray, targets: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Both in float32 or wider; shapes must agree, because broadcasting would hide a mistake."""
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs have shape {outputs.shape} but targets {targets.shape}")
    return _wide(outputs), _wide(targets)


def _wide(x: AnyArray) -> AnyArray:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _feature_mean(values: Array) -> Float[Array, " batch"]:
    return values.mean(axis=tuple(range(1, values.ndim)))


def mse(
    outputs: Float[AnyArray, " batch *features"],
    targets: Num[AnyArray, " batch *features"],
) -> Float[Array, " batch"]:
    """Squared error, mean over all features of a row.

    Raises:
        ValueError: the shapes differ.
    """
    outputs, targets = _pair(outputs, targets)
    return _feature_mean(jnp.square(outputs - targets))


def mae(
    outputs: Float[Array, " batch *features"], targets: Num[Array, " batch *features"]
) -> Float[Array, " batch"]:
    """Absolute error, mean over all features of a row (the window score of lab 170).

    Raises:
        ValueError: the shapes differ.
    """
    outputs, targets = _pair(outputs, targets)
    return _feature_mean(jnp.abs(outputs - targets))


def binary_cross_entropy(
    logits: Float[Array, " batch *features"], targets: Num[Array, " batch *features"]
) -> Float[Array, " batch"]:
    """Binary cross-entropy in nats, mean over all features of a row (pixels, in labs 050 and 460).

    Args:
        logits: before the sigmoid.
        targets: 0, 1 or a probability between them, same shape.

    Raises:
        ValueError: the shapes differ ([batch, 1] logits against [batch] labels, say).
    """
    logits, targets = _pair(logits, targets)
    # log(1 + exp(logits)) - targets * logits, with one exponential that cannot overflow
    losses = jnp.maximum(logits, 0) - targets * logits + jnp.log1p(jnp.exp(-jnp.abs(logits)))
    return _feature_mean(jnp.where(_is_share(targets), losses, jnp.nan))


def softmax_cross_entropy(
    logits: Float[Array, " batch *positions classes"],
    labels: Int[Array, " batch *positions"],
    smoothing: float = 0.0,
) -> Float[Array, " batch"]:
    """Cross-entropy in nats against integer labels, mean over the positions of a row, if any.

    Args:
        logits: before the softmax.
        labels: numbers of classes.
        smoothing: part of each label that is spread over all classes (Szegedy et al. 2016).

    Raises:
        ValueError: labels do not have the shape of the logits without the class axis.
    """
    _check_labels(logits, labels)
    logits = _wide(logits)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    if smoothing:
        of_all_classes = -jax.nn.log_softmax(logits).mean(axis=-1)
        losses = (1 - smoothing) * losses + smoothing * of_all_classes
    return _feature_mean(jnp.where(_is_class(logits, labels), losses, jnp.nan))


def gaussian_kl(
    mean: Float[Array, "batch latent"], log_variance: Float[Array, "batch latent"]
) -> Float[Array, " batch"]:
    """KL divergence in nats from N(0, 1) of N(mean, exp(log_variance)), summed over latents.

    Kingma and Welling, "Auto-encoding variational Bayes" (2013), appendix B. In their bound the
    reconstruction term is a sum over features too: multiply the mean losses above by the number of
    features before adding this.

    Raises:
        ValueError: the shapes differ.
    """
    mean, log_variance = _pair(mean, log_variance)
    terms = jnp.square(mean) + jnp.exp(log_variance) - 1.0 - log_variance
    return 0.5 * terms.sum(axis=tuple(range(1, terms.ndim)))


def accuracy(
    logits: Float[Array, " batch *positions classes"], labels: Int[Array, " batch *positions"]
) -> Float[Array, " batch"]:
    """1 where the largest logit is the label's, else 0; mean over the positions of a row, if any.

    Raises:
        ValueError: labels do not have the shape of the logits without the class axis.
    """
    _check_labels(logits, labels)
    hits = (logits.argmax(axis=-1) == labels).astype(jnp.float32)
    return _feature_mean(jnp.where(_is_class(logits, labels), hits, jnp.nan))


def binary_accuracy(
    logits: Float[Array, " batch *features"], targets: Num[Array, " batch *features"]
) -> Float[Array, " batch"]:
    """1 where the logit's sign says what the 0/1 target says, else 0; mean over features.

    Raises:
        ValueError: the shapes differ.
    """
    logits, targets = _pair(logits, targets)
    hits = ((logits > 0) == (targets > 0.5)).astype(jnp.float32)
    return _feature_mean(jnp.where(_is_share(targets), hits, jnp.nan))


def _is_class(logits: Array, labels: Array) -> Array:
    return (labels >= 0) & (labels < logits.shape[-1])


def _is_share(targets: Array) -> Array:
    return (targets >= 0) & (targets <= 1)


def _check_labels(logits: Array, labels: Array) -> None:
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"labels have shape {labels.shape} but logits {logits.shape}: "
            f"labels of shape {logits.shape[:-1]} are needed"
        )
