"""The task of image autoencoders: reconstruct flat images, clean or corrupted ones.

A batch holds flat images: "x" as bytes 0..255 or as numbers 0..1, and, where what the encoder sees
is not the target (a denoiser that is judged), "input" beside it. Models give logits of pixels; a
sigmoid makes pixels between 0 and 1 of them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Num

from jaxdl import losses, optim
from jaxdl.models.autoencoder import ConvAutoencoder, DenseAutoencoder
from jaxdl.models.layers import convolves
from jaxdl.training import Task
from jaxdl.training.task import Batch, Hyper, Loss
from jaxdl.vision.corruptions import Corruption


class Reconstruction(NamedTuple):
    """What a model makes of a batch: `logits` of the pixels, before the sigmoid, and the `code`."""

    logits: Float[Array, "batch pixels"]
    code: Float[Array, "batch code"]


# ---- losses, and what is read off a trained model ------------------------------------------------


def unit_range(x: Num[np.ndarray | Array, " *shape"]) -> Float[Array, " *shape"]:
    """Bytes 0..255 as float32 numbers 0..1; numbers of other types as they are.

    >>> unit_range(np.array([0, 255], np.uint8)).tolist()
    [0.0, 1.0]
    """
    x = jnp.asarray(x)
    return x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x


def cross_entropy(
    outputs: Reconstruction, batch: Batch, hyper: Hyper | None = None
) -> Float[Array, " batch"]:
    """Binary cross-entropy of each image in nats, mean over pixels; a grey pixel is a probability.

    Its least value is not 0 but the entropy of the grey pixels themselves.
    """
    del hyper
    return losses.binary_cross_entropy(outputs.logits, unit_range(batch["x"]))


def squared_error(
    outputs: Reconstruction, batch: Batch, hyper: Hyper | None = None
) -> Float[Array, " batch"]:
    """Squared error of each image with pixels between 0 and 1, mean over pixels."""
    del hyper
    return losses.mse(reconstructed(outputs, batch), unit_range(batch["x"]))


def encoded(outputs: Reconstruction, batch: Batch) -> Float[Array, "batch code"]:
    """The code of each image; for `Fitted.predict`."""
    del batch
    return outputs.code


def reconstructed(outputs: Reconstruction, batch: Batch) -> Float[Array, "batch pixels"]:
    """The reconstruction of each image, pixels between 0 and 1; for `Fitted.predict`."""
    del batch
    return jax.nn.sigmoid(outputs.logits)


# ---- the task ------------------------------------------------------------------------------------


def reconstruction_task(
    module: DenseAutoencoder | ConvAutoencoder,
    loss: Loss,
    learning_rate: float | optax.Schedule,
    corrupt: Corruption | None = None,
) -> Task:
    """Reconstruct images through `module.encode` and `module.decode`, by Adam.

    With `corrupt` it is a denoising autoencoder: the encoder sees a corrupted image, corrupted
    afresh in every step, and the target stays clean (Vincent, Larochelle, Bengio and Manzagol,
    "Extracting and composing robust features with denoising autoencoders", 2008). In evaluation
    nothing is corrupted; a batch may bring a corrupted "input" of its own.

    Args:
        module: an autoencoder that decodes to logits.
        loss: what is minimised, `cross_entropy` or `squared_error`; both are reported, as "bce" and
            "mse".
        learning_rate: of Adam.
        corrupt: (key, pixels 0..1) -> pixels 0..1; see `jaxdl.vision.corruptions`.
    """

    def init(key, batch):
        return module.init({"params": key}, unit_range(batch["x"]), train=False)

    def apply(variables, batch, key, train, hyper):
        del hyper
        x = unit_range(batch.get("input", batch["x"]))
        if train and corrupt is not None:
            x = corrupt(key, x)
        code = module.apply(variables, x, method="encode")
        logits = module.apply(variables, code, method="decode")
        return Reconstruction(logits, code), {}

    return Task(
        init,
        apply,
        loss,
        optimizer=lambda hyper: optim.adam(learning_rate),
        metrics={"bce": cross_entropy, "mse": squared_error},
        convolves=convolves(module),
    )
