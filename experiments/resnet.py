"""Residual networks on CIFAR-10, with and without shortcuts (ResNet: 잔차 연결과 기울기 소실)

A net of 6n + 2 layers, once with identity shortcuts and once without. In both every convolution is
followed by batch normalisation, so that no gradient vanishes at the start; in the plain net it
grows towards the input instead, the more the deeper it is (a column of the table), and so deep a
net is harder to train all the same.

    python run.py experiments/resnet.py --seeds 3
    python run.py experiments/resnet.py --shortcut false --depths 56
    python run.py experiments/resnet.py --shortcut projection false --depths 20 56
    python run.py experiments/resnet.py --preset full --depths 20
    python run.py experiments/resnet.py --images my_pictures
    python run.py --predict RUN picture.jpg folder_of_pictures

Protocol: 20,000 training images halved to 16x16 pixels, five passes in batches of 32, flipped by
chance: enough to see 20 layers far above a linear model and 56 plain ones far behind 56 residual
ones. In so few passes no net overfits, so that images are not cropped. `--preset full` is the
paper's recipe, for an accelerator: SGD with momentum 0.9, weight decay 1e-4, batch 128, learning
rate 0.1 divided by 10 after 32,000 and 48,000 of 64,000 steps, images padded by 4 and cropped,
flipped by chance; a tenth of the training images is set aside. The last step's weights are taken
and the table chooses nothing by the validation images (`--predict` asks the net that is best on
them); the test images are read once.

Reference: test errors of the paper (He et al. 2015, table 6): ResNet-20 8.75 %, -32 7.51 %,
-56 6.97 %, -110 6.43 %; its plain nets get worse from 20 layers on. Expected: docs/results.md.
Runtime: 14 minutes for one seed on two idle CPU cores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from datasets import cifar10, splits, user_images
from datasets.labelled_images import Images
from datasets.splits import Rows
from jaxdl import optim
from jaxdl.diagnostics.probes import norms_by_layer
from jaxdl.figures.base import COLOURS, Figure, subplots
from jaxdl.figures.curves import draw_curve, loss_curves
from jaxdl.models.conv2d import pixels
from jaxdl.models.mlp import MLP
from jaxdl.models.resnet import ResNet, blocks_of
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task
from jaxdl.training.batch_order import steps_per_epoch
from jaxdl.training.task import forward
from jaxdl.vision import augmentation
from jaxdl.vision.classification_task import accuracy_of, image_task, predicted_class
from jaxdl.vision.classified import judged_pictures

NAMES = {"identity": "residual", "projection": "residual, projections", "false": "plain"}
WARM_UP_STEPS = 400
WARM_UP_DEPTH = 110


@dataclass(frozen=True)
class Config:
    depths: tuple[int, ...] = (20, 56)
    """Layers: 6n + 2."""
    shortcut: tuple[Literal["identity", "projection", "false"], ...] = ("identity", "false")
    """identity: option A of the paper; projection: option B; false: the plain net."""
    widths: tuple[int, int, int] = (16, 32, 64)
    """Channels of the three stages."""
    train_rows: int = 20_000
    """Training images, rounded down to whole batches."""
    validation_share: float = 0.02
    """Part of the published training images that is set aside for the curves."""
    shrink: int = 2
    """Squares of so many pixels become one (1: 32x32 as published)."""
    steps: int = 3_125
    """Optimiser steps, rounded up to whole epochs."""
    pad: int = field(default=0, metadata={"least": 0})
    """Zeros on each side of a shrunk training image, which is cropped to its size by chance."""
    batch_size: int = 32
    """Images in a step."""
    learning_rate: float = 0.05
    """Of SGD with momentum 0.9; divided by 10 after a half and three quarters of the steps."""
    weight_decay: float = 1e-4
    """Of all weights, before momentum."""
    twin_rows: tuple[int, int] = (50_000, 10_000)
    """Training and test images of the simulated twin, where no real file is found."""
    images: Path | None = None
    """A folder of one's own pictures, a sub-folder for each class, in place of CIFAR-10."""
    test_share: float = user_images.TEST_SHARE
    """Part of each class to test on (--images, where there are no folders train and test)."""
    split_seed: int = field(default=0, metadata={"least": 0})
    """Seed of that choice."""


PRESETS = {
    "quick": Config(
        depths=(8,), widths=(4, 8, 16), train_rows=256, steps=12, shrink=4, batch_size=64,
        twin_rows=(800, 200),
    ),
    "full": Config(
        depths=(20, 32, 56, 110), train_rows=45_000, validation_share=0.1, shrink=1, steps=64_000,
        pad=4, batch_size=128, learning_rate=0.1,
    ),
}  # fmt: skip


def main(config: Config, run: Run) -> Results:
    data = load_images(config, run)
    one_batch = {name: values[: config.batch_size] for name, values in data.train.items()}

    linear = train(config, run, data, "linear", linear_model(config, data))
    rows = [{"net": "linear, on pixels"} | result_columns(linear, data.test), *data.baseline_rows]
    histories, at_start, after_training, headline = {}, {}, {}, {}
    for depth in config.depths:
        for shortcut in config.shortcut:
            name = f"{NAMES[shortcut]}, {depth} layers"
            task = deep_net(config, data, depth, shortcut)
            start_name = f"{shortcut}_{depth}_untrained"
            untrained = run.fit(
                start_name, task, data.train, epochs=0, batch_size=config.batch_size
            )
            fitted = train(config, run, data, f"{shortcut}_{depth}", task)
            start, end = gradient_norms([untrained, fitted], one_batch)

            row = {"net": name} | result_columns(fitted, data.test, start, end)
            rows.append(row)
            headline[name] = row["test accuracy"]
            histories[name] = fitted.history
            at_start[name], after_training[name] = start, end
    # of the last net
    rows.append({"net": f"{name}, untrained", "test accuracy": test_accuracy(untrained, data.test)})

    side = data.train["x"].shape[1] // config.shrink
    epochs = len(linear.history["train_loss"])
    steps = epochs * steps_per_epoch(len(data.train["y"]), config.batch_size)
    title = f"{data.title} at {side}x{side}: {len(data.train['y']):,} training, "
    title += f"{len(data.valid['y']):,} validation, {len(data.test['y']):,} test images, "
    title += f"{steps:,} steps"
    gradients = {"at the start": at_start, "after training": after_training}
    return Results(
        tables=[Table(title, rows), *data.tables],
        figures={
            "loss": partial(loss_curves, histories, ylabel="cross-entropy"),
            "accuracy": partial(loss_curves, histories, "accuracy", "accuracy"),
            "gradients": partial(gradients_by_layer, gradients),
        },
        headline=headline,
        notes=data.remarks,
    )


def predict(config: Config, run: Run, inputs: Sequence[str]) -> Results:
    """What a finished run says of pictures that are named by file or folder.

    Of its deep nets the one with the highest validation accuracy is asked; probabilities are means
    of its seeds.
    """
    data = load_images(config, run)
    pictures = user_images.named(inputs, cifar10.SIZE, colour=True)
    name, fitted = most_accurate_net(config, run, data)
    judged = judged_pictures(name, fitted, pictures.names, pictures.pixels, data.classes)
    return replace(judged, notes=[*pictures.remarks, *judged.notes])


# ---- data ----------------------------------------------------------------------------------------


class Photographs(NamedTuple):
    """Rows {"x": bytes [rows, 32, 32, 3], "y": classes}; no image is in two of them.

    Attributes:
        mean: the mean training image, 0..1.
        classes: their names.
        title: of the data set.
        remarks: on one's own pictures: how they were read and split.
        baseline_rows, tables: on these, too: a line of the result table for naming the largest
            class always, how many of each there are.
    """

    train: Rows
    valid: Rows
    test: Rows
    mean: Float[np.ndarray, "32 32 3"]
    classes: Sequence[str]
    title: str = cifar10.NAME
    remarks: Sequence[str] = ()
    baseline_rows: Sequence[Mapping[str, Any]] = ()
    tables: Sequence[Table] = ()


def load_images(config: Config, run: Run) -> Photographs:
    """CIFAR-10: some training images of each class, some set aside, the published test images.

    Or pictures of one's own, split in the same way.
    """
    found = user_images.load_or_cifar10(
        run.source,
        config.images,
        twin_rows=config.twin_rows,
        test_share=config.test_share,
        seed=config.split_seed,
    )
    data = found.images
    run.uses(data.provenance)
    own = {} if config.images is None else lines_of_own(data)
    image, label = data.train.image, data.train.label
    rest, held_out = splits.split_by_class(label, validation_share(config, label))
    if config.train_rows < len(rest):
        share = config.train_rows / len(rest)
        _, chosen = splits.split_by_class(label[rest], share, seed=1)
        rest = rest[chosen]
    # A remnant of a few images would be the last batch before each evaluation, and a tenth of the
    # running statistics that evaluation reads; so there is none.
    if len(rest) >= config.batch_size:
        rest = rest[: len(rest) // config.batch_size * config.batch_size]
    return Photographs(
        train={"x": image[rest], "y": label[rest]},
        valid={"x": image[held_out], "y": label[held_out]},
        test={"x": data.test.image, "y": data.test.label},
        mean=image[rest].mean(axis=0, dtype=np.float64).astype(np.float32) / 255,
        classes=data.classes,
        title=data.provenance.name,
        remarks=found.remarks,
        **own,
    )


def lines_of_own(data: Images) -> dict[str, Any]:
    """What `Photographs` says beside of pictures of one's own."""
    share = user_images.largest_class_share(data)
    row = {"net": "the largest class, always", "test accuracy": share}
    table = Table("Pictures of each class", user_images.class_rows(data))
    return {"baseline_rows": [row], "tables": [table]}


def validation_share(config: Config, label: Int[np.ndarray, " rows"]) -> float:
    """The share asked for; of few pictures of one's own as much as gives one of each class."""
    if config.images is None:
        return config.validation_share
    return user_images.share_with_every_class(label, config.validation_share)


def centred(
    images: UInt8[Array | np.ndarray, "batch height width channels"],
    mean: Float[np.ndarray, "height width channels"],
    shrink: int = 1,
) -> Float[Array | np.ndarray, "batch height//{shrink} width//{shrink} channels"]:
    """Bytes as numbers around 0: the mean picture taken off, squares of pixels averaged to one.

    Args:
        images: as stored.
        mean: of the training images, 0..1.
        shrink: side of the squares.
    """
    batch, height, width, channels = images.shape
    squares = batch, height // shrink, shrink, width // shrink, shrink, channels
    return (pixels(images) - mean).reshape(squares).mean(axis=(2, 4))


# ---- model and training --------------------------------------------------------------------------


def classifier(
    module: ResNet | MLP, transform: optax.GradientTransformation, config: Config, data: Photographs
) -> Task:
    """Cross-entropy of centred images; those of training are flipped by chance, cropped if asked.

    Args:
        module: gives a logit for each class.
        transform: the optimiser.
        config: how far images are shrunk and padded.
        data: the mean training image.
    """

    def optimizer(hyper):
        return transform

    prepare = partial(centred, mean=data.mean, shrink=config.shrink)
    change = partial(augmentation.pad_and_crop, pad=config.pad)
    return image_task(module, optimizer, prepare, change)


def linear_model(config: Config, data: Photographs) -> Task:
    """A linear model on pixels by Adam: what a deep net has to beat."""
    return classifier(MLP((len(data.classes),)), optim.adam(1e-3), config, data)


def deep_net(config: Config, data: Photographs, depth: int, shortcut: str) -> Task:
    """A net of `depth` layers by the paper's recipe; `shortcut` "false" is the plain net."""
    kind = "none" if shortcut == "false" else shortcut
    module = ResNet(blocks_of(depth), kind, config.widths, len(data.classes))
    recipe = momentum_sgd(config.learning_rate, config.weight_decay, config.steps, depth)
    return classifier(module, recipe, config, data)


def train(config: Config, run: Run, data: Photographs, name: str, task: Task) -> Fitted:
    """The fit of this name, to the last step."""
    return run.fit(
        name, task, data.train, data.valid, steps=config.steps, batch_size=config.batch_size
    )


def most_accurate_net(config: Config, run: Run, data: Photographs) -> tuple[str, Fitted]:
    """The trained deep net with the highest validation accuracy, mean of its seeds, and its name.

    The accuracy is that of the last step's weights, which are the ones that are kept.
    """
    fits = {}
    for depth in config.depths:
        for shortcut in config.shortcut:
            task = deep_net(config, data, depth, shortcut)
            name = f"{NAMES[shortcut]}, {depth} layers"
            fits[name] = train(config, run, data, f"{shortcut}_{depth}", task)

    def validation_accuracy(name: str) -> float:
        return fits[name].history["valid_accuracy"][-1].mean()

    best = max(fits, key=validation_accuracy)
    return best, fits[best]


def momentum_sgd(
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
        # a joined schedule counts its steps from where it begins
        later_falls = {step - WARM_UP_STEPS: factor for step, factor in falls.items()}
        usual = optax.piecewise_constant_schedule(learning_rate, later_falls)
        schedule = optax.join_schedules([slow, usual], [WARM_UP_STEPS])
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=0.9))


# ---- gradients -----------------------------------------------------------------------------------


def gradient_norms(moments: list[Fitted], batch: Rows) -> list[Float[np.ndarray, "seeds layers"]]:
    """Norm of the mean loss's gradient for each 3x3 kernel, from the input to the output.

    Args:
        moments: populations of one net at several moments of its training.
        batch: rows that the loss is the mean of, in training mode (batch statistics).
    """
    images, labels = {"x": batch["x"]}, {"y": jnp.asarray(batch["y"])}
    task, params = moments[0].task, moments[0].variables["params"]
    names = [name for name in params if name.startswith("conv_")]
    in_order = sorted(names, key=lambda name: int(name.removeprefix("conv_")))

    @jax.jit
    def member_norms(variables) -> Float[Array, " layers"]:
        def mean_loss(params):
            now = {**variables, "params": params}
            outputs, _ = forward(task, now, images, jax.random.key(0), True, {})
            return task.loss(outputs, labels, {}).mean()

        norms = norms_by_layer(jax.grad(mean_loss)(variables["params"]))
        return jnp.stack([norms[f"{name}/kernel"] for name in in_order])

    results = []
    for fitted in moments:
        # one member after the other: JAX 0.7 cannot vmap a convolution's gradient
        by_member = []
        for i in range(len(fitted.seeds)):
            variables = jax.tree.map(lambda x, i=i: x[i], fitted.variables)
            by_member.append(np.asarray(member_norms(variables), np.float64))
        results.append(np.stack(by_member))
    return results


# ---- what we see ---------------------------------------------------------------------------------


def test_accuracy(fitted: Fitted, test: Rows) -> Float[np.ndarray, " seeds"]:
    """Share of test images that each member names."""
    return accuracy_of(predicted_class(fitted, test), test["y"])


def result_columns(
    fitted: Fitted,
    test: Rows,
    start: Float[np.ndarray, "seeds layers"] | None = None,
    end: Float[np.ndarray, "seeds layers"] | None = None,
) -> dict[str, Any]:
    """Columns of the table: parameters, what the last epoch's weights reach, gradient ratios.

    Args:
        fitted: the population.
        test: rows that the test accuracy is of.
        start, end: gradient norms by layer before and after training, where there are layers.
    """
    history = fitted.history
    return {
        "parameters": fitted.parameter_count,
        "train loss": history["train_loss"][-1],
        "train accuracy": history["train_accuracy"][-1],
        "validation accuracy": history["valid_accuracy"][-1],
        "test accuracy": test_accuracy(fitted, test),
        "first / last gradient at the start": "-" if start is None else start[:, 0] / start[:, -1],
        "at the end": "-" if end is None else end[:, 0] / end[:, -1],
    }


def gradients_by_layer(
    norms: Mapping[str, Mapping[str, Float[np.ndarray, "seeds layers"]]],
) -> Figure:
    """Gradient norm of each 3x3 kernel over its place in the net.

    Args:
        norms: panel -> net -> norms.
    """
    figure, axes = subplots(1, len(norms))
    for axis, (panel, nets) in zip(axes, norms.items(), strict=True):
        for colour, (net, values) in zip(COLOURS, nets.items(), strict=False):
            place = np.linspace(0, 1, values.shape[1])
            draw_curve(axis, place, np.log10(values).T, color=colour, label=net)
        axis.set(title=panel, xlabel="place (0: first layer, 1: last)")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("log10 of the kernel's gradient norm")
    axes[0].legend(fontsize=8)
    return figure
