"""What the image autoencoder labs share: from bytes to a task, its errors, its codes.

A batch holds flat images: "x" as bytes or as numbers between 0 and 1, and, where the input is not
the target (denoising), "input" beside it. Models give logits of pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxdl import losses, optim
from jaxdl.models.layers import convolves
from jaxdl.training import Fitted, Task
from jaxdl.training.task import Batch

Corrupt = Callable[[PRNGKeyArray, Float[Array, "batch pixels"]], Float[Array, "batch pixels"]]
PEAK = 1.0  # the largest value of a pixel


class Copy(NamedTuple):
    """What a model makes of a batch; `logits` are before the sigmoid."""

    logits: Float[Array, "batch pixels"]
    code: Float[Array, "batch code"]


def unit(x: Array) -> Float[Array, " *shape"]:
    """Bytes as float32 between 0 and 1; numbers as they are."""
    return x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x


def spoilt(data: Batch, corrupt: Corrupt, key: PRNGKeyArray) -> Batch:
    """The same images with a spoilt "input" beside each, to judge a denoiser by."""
    return {**data, "input": np.asarray(corrupt(key, unit(jnp.asarray(data["x"]))))}


def bce(copy: Copy, batch: Batch, hyper: Any = None) -> Float[Array, " batch"]:
    """Binary cross-entropy in nats, mean over pixels: what lab 460 trains and reports."""
    return losses.binary_cross_entropy(copy.logits, unit(batch["x"]))


def mse(copy: Copy, batch: Batch, hyper: Any = None) -> Float[Array, " batch"]:
    """Squared error of pixels between 0 and 1, mean over pixels."""
    return losses.mse(jax.nn.sigmoid(copy.logits), unit(batch["x"]))


def code(copy: Copy, batch: Batch) -> Float[Array, "batch code"]:
    """The code; for `Fitted.predict`."""
    del batch
    return copy.code


def pixels(copy: Copy, batch: Batch) -> Float[Array, "batch pixels"]:
    """The reconstruction; for `Fitted.predict`."""
    del batch
    return jax.nn.sigmoid(copy.logits)


def errors_and_code(copy: Copy, batch: Batch) -> dict[str, Array]:
    """All three of "bce", "mse" and "code" at once; for `Fitted.predict`."""
    return {"bce": bce(copy, batch), "mse": mse(copy, batch), "code": copy.code}


def copy_task(
    module: Any,
    loss: Literal["bce", "mse"],
    learning_rate: float | optax.Schedule,
    corrupt: Corrupt | None = None,
) -> Task:
    """A task that copies images through `module.encode` and `module.decode`.

    Args:
        module: an autoencoder of `jaxdl.models.autoencoder` that decodes to logits.
        loss: what is minimised; both are reported.
        learning_rate: of Adam.
        corrupt: spoils the input in training, afresh in every step (Vincent et al., "Extracting and
            composing robust features with denoising autoencoders", 2008). The target stays clean.
    """

    def init(key, batch):
        return module.init({"params": key}, unit(batch["x"]), train=False)

    def apply(variables, batch, key, train, hyper):
        del hyper
        x = unit(batch.get("input", batch["x"]))
        if train and corrupt is not None:
            x = corrupt(key, x)
        inner = module.apply(variables, x, method="encode")
        return Copy(module.apply(variables, inner, method="decode"), inner), {}

    errors = {"bce": bce, "mse": mse}
    return Task(
        init,
        apply,
        errors[loss],
        lambda hyper: optim.adam(learning_rate),
        errors,
        convolves=convolves(module),
    )


def decode(module: Any, fitted: Fitted, codes: Float[np.ndarray, "seeds rows code"]) -> np.ndarray:
    """Images of codes, each member decoding its own: [seeds, rows, pixels], between 0 and 1."""

    @jax.jit
    def images(variables, codes):
        return jax.nn.sigmoid(module.apply(variables, codes, method="decode"))

    members = [jax.tree.map(lambda x, m=m: x[m], fitted.variables) for m in range(len(codes))]
    return np.stack([np.asarray(images(v, c)) for v, c in zip(members, codes, strict=True)])


def psnr(squared_error: np.ndarray | Sequence[float]) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of mean squared errors of pixels between 0 and 1."""
    return 10 * np.log10(PEAK**2 / np.maximum(np.asarray(squared_error, np.float64), 1e-12))
