"""Residual networks on CIFAR-10, with and without shortcuts (ResNet: 잔차 연결과 기울기 소실)

A net of 6n + 2 layers, once with identity shortcuts and once without. In both every convolution is
followed by batch normalisation, so that no gradient vanishes at the start; the plain net is harder
to train all the same, and the more so the deeper it is.

    python run.py experiments/resnet.py --seeds 3
    python run.py experiments/resnet.py --shortcut false --depths 56
    python run.py experiments/resnet.py --shortcut projection false --depths 20 56
    python run.py experiments/resnet.py --preset full --depths 20

Default: 4,992 training images halved to 16x16 pixels, six passes in batches of 32, 8 minutes a
seed on one CPU core: enough to see 56 plain layers stay behind a linear model and 56 residual ones
pass it, not enough for good accuracy. `--preset full` is the paper's recipe, for an accelerator:
SGD with momentum 0.9, weight decay 1e-4, batch 128, learning rate 0.1 divided by 10 after 32,000
and 48,000 of 64,000 steps, images padded by 4 and cropped, flipped by chance; a tenth of the
training images is set aside. Test errors of the paper (He et al. 2015, table 6): ResNet-20 8.75 %,
-32 7.51 %, -56 6.97 %, -110 6.43 %; its plain nets get worse from 20 layers on. The last step's
weights are taken and nothing is chosen, so that the validation curve is for the eye only; the test
images are read once. Ours: docs/results.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, UInt8

from datasets import cifar10, labelled_images, splits
from jaxdl import optim
from jaxdl.diagnostics import probes
from jaxdl.figures.curves import gradients_by_layer, loss_curves
from jaxdl.models import conv2d
from jaxdl.models.mlp import MLP
from jaxdl.models.resnet import ResNet, blocks_of
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, parameter_count
from jaxdl.vision import augmentation, classification_task
from jaxdl.vision.classification_task import accuracy_of, predicted_class

NAMES = {"identity": "residual", "projection": "residual, projections", "false": "plain"}


@dataclass(frozen=True)
class Config:
    depths: tuple[int, ...] = (20, 56)
    """Layers: 6n + 2."""
    shortcut: tuple[Literal["identity", "projection", "false"], ...] = ("identity", "false")
    """identity: option A of the paper; projection: option B; false: the plain net."""
    widths: tuple[int, int, int] = (16, 32, 64)
    """Channels of the three stages."""
    train_rows: int = 5_000
    """Training images, rounded down to whole batches: batch statistics would count padding."""
    validation_share: float = 0.02
    """Part of the published training images that is set aside for the curves."""
    shrink: int = 2
    """Squares of so many pixels become one (1: 32x32 as published)."""
    steps: int = 936
    """Optimiser steps, rounded up to whole epochs."""
    batch_size: int = 32
    """Images in a step."""
    learning_rate: float = 0.01
    """Of SGD with momentum 0.9; divided by 10 after a half and three quarters of the steps."""
    weight_decay: float = 1e-4
    """Of all weights, before momentum."""
    twin_rows: tuple[int, int] = (50_000, 10_000)
    """Training and test images of the simulated twin, where no real file is found."""


PRESETS = {
    "quick": Config(
        depths=(8,), widths=(4, 8, 16), train_rows=256, steps=12, shrink=4, batch_size=64,
        twin_rows=(800, 200),
    ),
    "full": Config(
        depths=(20, 32, 56, 110), train_rows=45_000, validation_share=0.1, shrink=1, steps=64_000,
        batch_size=128, learning_rate=0.1,
    ),
}  # fmt: skip


def split(config: Config, data: labelled_images.Images) -> tuple[dict, dict, dict]:
    """Training, validation and test rows; no image is in two of them."""
    label = data.train.label
    rest, held = splits.split_by_class(label, config.validation_share)
    if config.train_rows < len(rest):
        _, chosen = splits.split_by_class(label[rest], config.train_rows / len(rest), seed=1)
        rest = rest[chosen]
    rest = rest[: len(rest) // config.batch_size * config.batch_size]
    train, valid = ({"x": data.train.image[rows], "y": label[rows]} for rows in (rest, held))
    return train, valid, {"x": data.test.image, "y": data.test.label}


def main(config: Config, run: Run) -> Results:
    data = cifar10.load(run.source, config.twin_rows)
    run.uses(data.provenance)
    train, valid, test = split(config, data)
    per_epoch = len(train["y"]) // config.batch_size
    size = {"epochs": -(-config.steps // per_epoch), "batch_size": config.batch_size}
    mean = train["x"].mean(axis=0, dtype=np.float64).astype(np.float32) / 255
    ready = partial(centred, mean=mean, shrink=config.shrink)
    change = partial(augmentation.pad_and_crop, pad=4 // config.shrink)

    def task(module, transform):
        return classification_task.image_task(module, transform, ready, change)

    adam = task(MLP((10,)), lambda hyper: optim.adam(1e-3))
    linear = run.fit("linear", adam, train, valid, **size)
    rows = [{"net": "linear, on pixels"} | result_columns(linear, test)]
    curves, starts, ends = {}, {}, {}
    sample = {name: value[: config.batch_size] for name, value in train.items()}
    for depth in config.depths:
        recipe = partial(optimizer, config.learning_rate, config.weight_decay, config.steps, depth)
        for shortcut in config.shortcut:
            kind = "none" if shortcut == "false" else shortcut
            model = ResNet(blocks_of(depth), kind, config.widths)
            net = task(model, lambda hyper, recipe=recipe: recipe())
            name = f"{NAMES[shortcut]}, {depth} layers"
            fitted = run.fit(f"{shortcut}_{depth}", net, train, valid, **size)
            size0 = {"epochs": 0, "batch_size": config.batch_size}
            untrained = run.fit(f"{shortcut}_{depth}_untrained", net, train, **size0)
            starts[name], ends[name] = probes.layer_gradient_norms([untrained, fitted], sample)
            curves[name] = fitted.history
            ratios = [norms[:, 0] / norms[:, -1] for norms in (starts[name], ends[name])]
            rows.append({"net": name} | result_columns(fitted, test, *ratios))
    guess = classification_task.predicted_class(untrained, test)
    rows.append({"net": f"{name}, untrained"})
    rows[-1]["test accuracy"] = classification_task.accuracy_of(guess, test["y"])
    side = train["x"].shape[1] // config.shrink
    title = f"CIFAR-10 at {side}x{side}: {len(train['y']):,} training, {len(valid['y']):,} "
    title += f"validation, {len(test['y']):,} test images, {size['epochs'] * per_epoch:,} steps"
    panels = {"at the start": starts, "after training": ends}
    return Results(
        tables=[Table(title, rows)],
        figures={
            "loss": partial(loss_curves, curves, ylabel="cross-entropy"),
            "accuracy": partial(loss_curves, curves, "accuracy", "accuracy"),
            "gradients": partial(gradients_by_layer, panels),
        },
        headline={row["net"]: row["test accuracy"] for row in rows[1:-1]},
    )


WARM_UP_STEPS = 400
WARM_UP_DEPTH = 110


def optimizer(
    learning_rate: float, weight_decay: float, steps: int, depth: int
) -> optax.GradientTransformation:
    """SGD with momentum 0.9 and decay of all weights; the rate falls tenfold at 1/2 and 3/4.

    He et al. (2015), section 4.2. From 110 layers on the first 400 steps take a tenth of the rate,
    without which such a net does not start to learn there.

    Args:
        learning_rate: of the first half.
        weight_decay: added to the gradient, times the weights.
        steps: of the whole training.
        depth: layers of the net.
    """
    falls = {steps // 2: 0.1, steps * 3 // 4: 0.1}
    schedule = optax.piecewise_constant_schedule(learning_rate, falls)
    if depth >= WARM_UP_DEPTH:
        slow = optax.constant_schedule(0.1 * learning_rate)
        late = optax.piecewise_constant_schedule(
            learning_rate, {step - WARM_UP_STEPS: factor for step, factor in falls.items()}
        )
        schedule = optax.join_schedules([slow, late], [WARM_UP_STEPS])
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=0.9))


def centred(
    images: UInt8[Array, "batch height width channels"],
    mean: Float[Array, "height width channels"],
    shrink: int = 1,
) -> Float[Array, "batch height_shrink width_shrink channels"]:
    """Bytes as numbers around 0: the mean picture taken off, squares of pixels averaged to one.

    Args:
        images: as stored.
        mean: of the training images, 0..1.
        shrink: side of the squares.
    """
    batch, height, width, channels = images.shape
    squares = batch, height // shrink, shrink, width // shrink, shrink, channels
    return (conv2d.pixels(images) - mean).reshape(squares).mean(axis=(2, 4))


def result_columns(
    fitted: Fitted,
    test: Mapping[str, np.ndarray],
    start: Float[np.ndarray, " seeds"] | str = "-",
    end: Float[np.ndarray, " seeds"] | str = "-",
) -> dict[str, Array]:
    """Columns of a table: parameters, and what the last epoch's weights reach.

    Args:
        fitted: the population.
        test: rows that the test accuracy is of.
        start, end: gradient norm of the first layer over that of the last, before and after.
    """
    history = fitted.history
    return {
        "parameters": parameter_count(jax.tree.map(lambda x: x[0], fitted.variables)),
        "train loss": history["train_loss"][-1],
        "train accuracy": history["train_accuracy"][-1],
        "validation accuracy": history["valid_accuracy"][-1],
        "test accuracy": accuracy_of(predicted_class(fitted, test), test["y"]),
        "first / last gradient at the start": start,
        "at the end": end,
    }
