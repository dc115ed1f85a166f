"""Classifiers that start from the encoder of a trained autoencoder, or from nothing.

Each member of a population has its own labelled rows and its own encoder. Labelled batches
therefore hold "x" [rows, members, pixels] and "y" [rows, members]; a member takes its column.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jaxdl import losses, optim
from jaxdl.training import Fitted, Task
from jaxdl.training.task import Batch
from jaxdl.vision import autoencoder_task as images
from jaxdl.vision.autoencoder_task import unit


class Scores(NamedTuple):
    """Logits of the classes, and the member they are of."""

    logits: Float[Array, "batch classes"]
    member: Int[Array, ""]


def labelled(
    x: UInt8[np.ndarray, "rows pixels"],
    label: Int[np.ndarray, " rows"],
    count: int,
    seeds: np.ndarray,
) -> dict[str, np.ndarray]:
    """`count` rows for each seed, as many of every class, drawn by the seed.

    Returns:
        "x" [count, seeds, pixels] and "y" [count, seeds].

    Raises:
        ValueError: `count` is not a multiple of the number of classes, or a class has too few rows.
    """
    classes = np.unique(label)
    each, rest = divmod(count, len(classes))
    if rest or not each:
        raise ValueError(f"{count} labels do not divide among {len(classes)} classes")
    chosen = []
    for seed in seeds:
        rng = np.random.Generator(np.random.PCG64([int(seed), count]))
        rows = [rng.choice(np.flatnonzero(label == k), each, replace=False) for k in classes]
        chosen.append(np.concatenate(rows))
    chosen = np.stack(chosen, axis=1)
    return {"x": x[chosen], "y": label[chosen].astype(np.int32)}


def classifier_task(
    body: Any, classes: int, members: int, encoders: Any = None, learning_rate: float = 1e-3
) -> Task:
    """A linear layer on the code of `body`, all of it trained.

    Args:
        body: an autoencoder; only its encoder is used.
        classes: of the labels.
        members: of the population.
        encoders: parameters of trained autoencoders [members, ...], which each member starts from;
            None starts from a new encoder.
        learning_rate: of Adam.
    """
    if encoders is not None:
        encoders = {name: w for name, w in encoders.items() if name.startswith("encoder")}

    def init(key, batch):
        body_key, head_key = jax.random.split(key)
        pixels = unit(batch["x"]).reshape(-1, batch["x"].shape[-1])[:1]
        if encoders is None:
            params = body.init({"params": body_key}, pixels, method="encode")["params"]
        else:
            # every member starts at no change to its own encoder
            params = jax.tree.map(lambda w: jnp.zeros(w.shape[1:], w.dtype), encoders)
        width = jax.eval_shape(lambda: encode(params, jnp.asarray(0), pixels)).shape[-1]
        bound = (6 / (width + classes)) ** 0.5
        kernel = jax.random.uniform(head_key, (width, classes), minval=-bound, maxval=bound)
        return {"params": {"body": params, "kernel": kernel, "bias": jnp.zeros(classes)}}

    def encode(params, member, x):
        if encoders is not None:
            params = jax.tree.map(lambda change, w: w[member] + change, params, encoders)
        return body.apply({"params": params}, x, method="encode")

    def apply(variables, batch, key, train, hyper):
        del key, train
        params, member = variables["params"], hyper["member"].astype(jnp.int32)
        x = batch["x"] if batch["x"].ndim == 2 else batch["x"][:, member]
        code = encode(params["body"], member, unit(x))
        return Scores(code @ params["kernel"] + params["bias"], member), {}

    def own(scores: Scores, batch: Batch) -> Array:
        return batch["y"] if batch["y"].ndim == 1 else batch["y"][:, scores.member]

    return Task(
        init,
        apply,
        lambda scores, batch, hyper: losses.softmax_cross_entropy(
            scores.logits, own(scores, batch)
        ),
        lambda hyper: optim.adam(learning_rate),
        {"accuracy": lambda scores, batch: losses.accuracy(scores.logits, own(scores, batch))},
        {"member": np.arange(members)},
    )


def hits(scores: Scores, batch: Batch) -> Float[Array, " batch"]:
    """1 where the class is right, for batches that all members share; for `Fitted.predict`."""
    return losses.accuracy(scores.logits, batch["y"])


def linear(
    autoencoder: Fitted,
    shown: dict[str, np.ndarray],
    test_x: UInt8[np.ndarray, "rows pixels"],
    test_label: Int[np.ndarray, " rows"],
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Test accuracy of logistic regression on pixels and on codes, each member by itself.

    Args:
        autoencoder: its members' codes are used.
        shown: from `labelled`.
        test_x, test_label: images to judge by, and their classes.
    """
    found = {"linear, pixels": [], "linear, codes": []}
    known = [autoencoder.member(m) for m in range(len(autoencoder.seeds))]
    for member, own in enumerate(known):
        parts = [shown["x"][:, member], test_x]
        spaces = {
            "linear, pixels": [part / np.float32(255) for part in parts],
            "linear, codes": [own.predict(images.code, {"x": part})[0] for part in parts],
        }
        for name, (seen, unseen) in spaces.items():
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            model.fit(seen, shown["y"][:, member])
            found[name].append(model.score(unseen, test_label))
    return {name: np.array(values) for name, values in found.items()}
