"""What the image classifiers share: the task, and the columns of a table of results."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxdl import losses
from jaxdl.models import conv2d
from jaxdl.models.layers import convolves
from jaxdl.training import Fitted, Task, module_functions
from jaxdl.training.task import Batch, Hyper
from jaxdl.vision import augmentation


def image_task(
    module: Any,
    optimizer: Callable[[Mapping], optax.GradientTransformation],
    prepare: Callable[[Array], Array] = conv2d.pixels,
    change: Callable[[Array, Array], Array] | None = None,
) -> Task:
    """Cross-entropy on {"x": bytes, "y": class}; the hit rate as metric.

    Args:
        module: a Linen module that gives logits.
        optimizer: as `Task.optimizer`.
        prepare: makes numbers of the bytes, always.
        change: (key, prepared images) -> images, in training steps only; `augment.augment`, say.
    """
    init, apply = module_functions(module)
    if change is not None:
        apply = augmentation.in_training(apply, change)

    def prepared(batch):
        return {**batch, "x": prepare(batch["x"])}

    return Task(
        init=lambda key, batch: init(key, prepared(batch)),
        apply=lambda variables, batch, *rest: apply(variables, prepared(batch), *rest),
        loss=cross_entropy,
        optimizer=optimizer,
        metrics={"accuracy": accuracy},
        convolves=convolves(module),
    )


def cross_entropy(
    logits: Float[Array, "batch classes"], batch: Batch, hyper: Hyper | None = None
) -> Float[Array, " batch"]:
    """Softmax cross-entropy of each image, in nats; the loss of the task."""
    del hyper
    return losses.softmax_cross_entropy(logits, batch["y"])


def accuracy(logits: Float[Array, "batch classes"], batch: Batch) -> Float[Array, " batch"]:
    """1 where the class with the largest logit is the right one, else 0."""
    return losses.accuracy(logits, batch["y"])


def predicted(fitted: Fitted, data: Mapping[str, np.ndarray]) -> Int[np.ndarray, "seeds rows"]:
    """The class that each member gives to each row."""
    return fitted.predict(lambda outputs, batch: outputs.argmax(axis=-1), data)


def accuracy_of(
    said: Int[np.ndarray, "seeds rows"], label: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, " seeds"]:
    """Share of rows whose class each member names."""
    return (said == label).mean(axis=1)


def learning_columns(
    fitted: Fitted, accuracy: Float[np.ndarray, " seeds"], held: str
) -> dict[str, Array]:
    """Columns of a table: the epoch whose weights are kept, what they reach, the best epoch.

    The training columns are averages over the epoch, as Keras prints them, augmentation included.

    Args:
        fitted: the population.
        accuracy: of its members on the test rows.
        held: what the validation curve was measured on ("validation" or "test").
    """
    kept = fitted.best_epoch - 1, np.arange(len(fitted.seeds))
    history = fitted.history
    seen = history["train_accuracy"][kept]
    return {
        "epoch": fitted.best_epoch,
        "train loss": history["train_loss"][kept],
        "train accuracy": seen,
        f"{held} loss": history["valid_loss"][kept],
        "test accuracy": accuracy,
        "train - test": seen - accuracy,
        f"best {held} accuracy": history["valid_accuracy"].max(axis=0),
        "in epoch": history["valid_accuracy"].argmax(axis=0) + 1,
        f"lowest {held} loss in epoch": history["valid_loss"].argmin(axis=0) + 1,
    }
