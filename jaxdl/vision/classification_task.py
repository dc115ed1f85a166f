"""What the image classifiers share: the task, and how often they are right."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxdl import losses
from jaxdl.models import conv2d
from jaxdl.models.layers import convolves
from jaxdl.training import Fitted, Task, module_functions
from jaxdl.training.task import Batch, Hyper
from jaxdl.vision import augmentation
from jaxdl.vision.augmentation import Views


def image_task(
    module: Any,
    optimizer: Callable[[Hyper], optax.GradientTransformation],
    prepare: Callable[[Array], Array] = conv2d.pixels,
    change: Callable[[PRNGKeyArray, Array], Array] | None = None,
    smoothing: float = 0.0,
    views: Views = 1,
) -> Task:
    """Cross-entropy on {"x": images as bytes, "y": classes}; the accuracy is the metric.

    Args:
        module: a Linen module that gives logits.
        optimizer: as `Task.optimizer`.
        prepare: makes numbers of the bytes, always.
        change: (key, prepared images) -> images, in training steps only; such as
            `augmentation.augment` with its ranges.
        smoothing: part of each label that is spread over all classes.
        views: outside training an image's logits are the weighted mean of those of so many
            `augmentation.views`; 1: the image as it is.
    """
    module_init, module_apply = module_functions(module)
    if change is not None:
        module_apply = augmentation.in_training(module_apply, change)

    def prepared(batch):
        return {**batch, "x": jnp.asarray(prepare(batch["x"]))}

    def init(key, batch):
        return module_init(key, prepared(batch))

    def apply(variables, batch, key, train, hyper):
        batch = prepared(batch)
        if train or views == 1:
            return module_apply(variables, batch, key, train, hyper)
        logits = [
            weight * module_apply(variables, {**batch, "x": image}, key, train, hyper)[0]
            for image, weight in augmentation.views(batch["x"], views)
        ]
        return sum(logits), {}

    def loss(logits, batch, hyper: Hyper | None = None):
        return losses.softmax_cross_entropy(logits, batch["y"], smoothing)

    return Task(
        init,
        apply,
        loss,
        optimizer,
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


def predicted_class(
    fitted: Fitted, data: Mapping[str, np.ndarray]
) -> Int[np.ndarray, "seeds rows"]:
    """The class that each member gives to each row."""

    def largest(logits, batch):
        return logits.argmax(axis=-1)

    return fitted.predict(largest, data)


def accuracy_of(
    predicted: Int[np.ndarray, "seeds rows"], label: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, " seeds"]:
    """Share of rows whose class each member names."""
    return (predicted == label).mean(axis=1)
