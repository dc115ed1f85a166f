"""Lab 030 - a train step of one's own (서브클래싱 API와 사용자 정의 학습 단계)

Convolution, two dense layers, logits; the loss is the cross-entropy. The train step stands below,
in the open: value and gradient, gradient transform, update, running metrics, compiled by `jax.jit`.
`open_loop` trains with it. The library's engine does the same for whole populations, with
checkpoints; the first table trains both ways from the same start in the same order of rows and
shows by how much they differ. The rest is the lab itself: 5 epochs of Adam 1e-3 in batches of 32.

    python run.py experiments/mnist_custom_step.py --seeds 5
    python run.py experiments/mnist_custom_step.py --protocol lecture --seeds 5

Protocol "validation": 5,000 training images are set aside for the curves, nothing is chosen by
them, the test images are read once after the last epoch. Protocol "lecture": all 60,000 are trained
on and the test images are the validation curve. The lecture's stored run: 98.24 % after 5 epochs,
test loss 0.0620 (n = 1). Ours: docs/results.md.
Runtime: 40 s for each epoch and seed on one CPU core. `--eval` runs the short open loop again.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from datasets import labelled_images, mnist, splits
from jaxdl import losses, optim
from jaxdl.figures.curves import loss_curves
from jaxdl.models.cnn import DigitNet
from jaxdl.models.mlp import MLP
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, loop, parameter_count
from jaxdl.training.batch_order import epoch_order
from jaxdl.vision.classification_task import image_task

LECTURE = (0.9810, 0.9776, 0.9834, 0.9822, 0.9824)  # stored test accuracy by epoch, n = 1


@dataclass(frozen=True)
class Config:
    protocol: Literal["validation", "lecture"] = "validation"
    """validation: curves on images set aside; lecture: the test images are the validation curve."""
    validation_rows: int = 5000
    """Training images set aside (protocol "validation")."""
    epochs: int = 5
    """Passes over the training images."""
    batch_size: int = 32
    """Images in a step."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    check_rows: int = 1600
    """Images on which the open step and the engine are compared, two epochs each."""
    twin_rows: int = mnist.ROWS
    """Training images of the simulated twin, where no real file is found."""


PRESETS = {"quick": Config(validation_rows=300, epochs=2, check_rows=320, twin_rows=1800)}


def open_loop(config: Config, data: dict[str, np.ndarray], seed: int, epochs: int):
    """The lesson: train a net with a step of one's own. Rows divide by the batch size.

    Returns:
        Trained parameters, and the mean loss and accuracy of each epoch.
    """
    model, optimizer = DigitNet(), optim.adam(config.learning_rate)
    params = model.init(jax.random.key(seed), data["x"][:1], train=False)["params"]
    opt_state = optimizer.init(params)

    def loss_fn(params, batch):
        logits = model.apply({"params": params}, batch["x"], train=True)
        return losses.softmax_cross_entropy(logits, batch["y"]).mean(), logits

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def train_step(params, opt_state, sums, batch):
        (loss, logits), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        hits = losses.accuracy(logits, batch["y"]).mean()
        return params, opt_state, sums + jnp.stack([loss, hits])

    curve = []
    for epoch in range(epochs):
        order = epoch_order(seed, epoch, len(data["y"]), config.batch_size)
        sums = jnp.zeros(2)
        for rows in order:
            batch = {name: values[rows] for name, values in data.items()}
            params, opt_state, sums = train_step(params, opt_state, sums, batch)
        curve.append(np.asarray(sums) / len(order))
    return params, np.array(curve)


def task_of(model, config: Config) -> Task:
    """The same model, loss and optimiser as a record for the engine."""
    return image_task(model, lambda hyper: optim.adam(config.learning_rate), prepare=lambda x: x)


def compare(config: Config, run: Run, task: Task, train) -> Table:
    """Two epochs on a few rows by the step above and by the engine."""
    count = config.check_rows // config.batch_size * config.batch_size
    few = {name: values[:count] for name, values in train.items()}
    seed = int(run.seeds[0])
    params, curve = open_loop(config, few, seed, 2)
    engine = run.fit("check", task, few, seeds=[seed], epochs=2, batch_size=config.batch_size)
    title = f"The step written out against the engine's: second epoch on {count:,} images"
    return Table(title, difference_rows(params, curve, engine))


def main(config: Config, run: Run) -> Results:
    data = mnist.load(run.source, "mnist", config.twin_rows)
    run.uses(data.provenance)
    halves = [
        labelled_images.examples(h.image, h.label, (28, 28, 1)) for h in (data.train, data.test)
    ]
    aside = config.validation_rows if config.protocol == "validation" else 0
    train, valid, held = splits.hold_out(*halves, aside)
    test = halves[1]

    task, linear = task_of(DigitNet(), config), task_of(MLP((10,)), config)
    shape = {"epochs": config.epochs, "batch_size": config.batch_size}
    fits = {
        "convolutional net": run.fit("net", task, train, valid, **shape),
        "logistic regression": run.fit("linear", linear, train, valid, **shape),
        "untrained net": run.fit("untrained", task, train, **(shape | {"epochs": 0})),
    }
    rows = [
        {"model": name, "parameters": parameter_count(fitted.variables) // len(run.seeds)}
        | {"test accuracy": fitted.predict(task.metrics["accuracy"], test).mean(axis=1)}
        | {"test loss": fitted.predict(task.loss, test).mean(axis=1)}
        for name, fitted in fits.items()
    ]
    split = f"{len(train['y']):,} training, {len(test['y']):,} test images"
    curves = {name: fits[name].history for name in ("convolutional net", "logistic regression")}
    steps = loop.epoch_rows(fits["convolutional net"], held)
    for row, reference in zip(steps, LECTURE, strict=False):
        row["lecture's test accuracy"] = reference
    title = f"Epoch by epoch, training means taken on the way; {held}: {len(valid['y']):,} images"
    return Results(
        tables=[
            compare(config, run, task, train),
            Table(f"After {config.epochs} epochs; {split}", rows, digits=4),
            Table(title, steps, digits=4),
        ],
        figures={
            "loss": partial(loss_curves, curves, ylabel="cross-entropy", log=True),
            "accuracy": partial(loss_curves, curves, "accuracy", "accuracy"),
        },
        headline={"test accuracy": rows[0]["test accuracy"]},
    )


def difference_rows(
    params: Any, curve: Float[np.ndarray, "epochs 2"], engine: Fitted
) -> list[dict[str, str]]:
    """How far a net trained by a loop of one's own is from the engine's first member.

    Args:
        params: the loop's trained parameters.
        curve: its training loss and accuracy by epoch.
        engine: the population that the engine trained.
    """
    theirs = jax.tree.map(lambda x: x[0], engine.variables["params"])
    apart = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), params, theirs)
    rows = [{"number": "weights", "own step": "-", "engine": "-"}]
    rows[0]["largest difference"] = f"{max(jax.tree.leaves(apart)):.1e}"
    for name, ours in zip(("loss", "accuracy"), curve[-1].tolist(), strict=True):
        value = float(engine.history[f"train_{name}"][-1, 0])
        row = {"number": f"train {name}", "own step": f"{ours:.7f}", "engine": f"{value:.7f}"}
        rows.append(row | {"largest difference": f"{abs(ours - value):.1e}"})
    return rows
