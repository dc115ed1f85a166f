"""Lab 030 - a train step of one's own (서브클래싱 API와 사용자 정의 학습 단계)

Training repeats one function. It takes a batch, computes the loss and its gradient, lets the
optimiser turn the gradient into an update, adds the update to the parameters, and counts the loss
and the hits. This function, `train_step`, stands below in the open; `jax.jit` compiles it, and a
plain loop over epochs and batches, `train_by_hand`, calls it. The net is the lecture's: one
convolution, two dense layers, ten logits.

The library's engine, `run.fit`, repeats the same step for many seeds, with checkpoints and early
stopping around it. The first table trains the net both ways, from the same start in the same order
of rows, and shows by how much they differ. The rest is the lecture's lab, trained by the engine:
5 epochs of Adam 1e-3 in batches of 32.

    python run.py experiments/mnist_custom_step.py --seeds 5
    python run.py experiments/mnist_custom_step.py --protocol lecture --seeds 5

Protocol "validation": 5,000 training images are set aside for the curves, nothing is chosen by
them, the test images are read once after the last epoch. Protocol "lecture": all 60,000 are trained
on and the test images are the validation curve.

Reference: the lecture's stored run, 98.24 % after 5 epochs, test loss 0.0620 (n = 1). Expected:
docs/results.md. Runtime: 40 s for each epoch and seed on one CPU core; `--eval` runs the short
training by hand again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from datasets import labelled_images, mnist, splits
from datasets.splits import Rows
from jaxdl import optim
from jaxdl.errors import UserError
from jaxdl.figures.curves import loss_curves
from jaxdl.models.cnn import DigitNet
from jaxdl.models.layers import convolves
from jaxdl.models.mlp import MLP
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, module_functions
from jaxdl.training.batch_order import epoch_order
from jaxdl.training.task import Batch
from jaxdl.vision.classification_task import accuracy, cross_entropy

LECTURE = (0.9810, 0.9776, 0.9834, 0.9822, 0.9824)  # stored test accuracy by epoch, n = 1
LECTURE_BATCH, LECTURE_RATE = 32, 1e-3


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
    """Images on which the step by hand and the engine are compared, two epochs each."""
    twin_rows: int = mnist.ROWS
    """Training images of the simulated twin, where no real file is found."""


PRESETS = {"quick": Config(validation_rows=300, epochs=2, check_rows=320, twin_rows=1800)}


def main(config: Config, run: Run) -> Results:
    train, valid, test, held_out, real = load_digits(config, run)
    lecture = lecture_accuracy(config, real)

    # the lesson: the step written out below does what the engine does
    comparison = compare_with_engine(config, run, train)

    # the lecture's lab: the net, and two baselines that it must beat
    net_task = classifier(DigitNet(), config)
    linear_task = classifier(MLP((10,)), config)
    size = {"epochs": config.epochs, "batch_size": config.batch_size}
    net = run.fit("net", net_task, train, valid, **size)
    linear = run.fit("linear", linear_task, train, valid, **size)
    untrained = run.fit("untrained", net_task, train, epochs=0, batch_size=config.batch_size)

    scores = [
        score_row("convolutional net", net, test),
        score_row("logistic regression", linear, test),
        score_row("untrained net", untrained, test),
    ]
    curves = {"convolutional net": net.history, "logistic regression": linear.history}
    after = f"After {config.epochs} epochs; {len(train['y']):,} training, "
    after += f"{len(test['y']):,} test images"
    by_epoch = "Epoch by epoch, training means taken on the way; "
    by_epoch += f"{held_out}: {len(valid['y']):,} images"
    return Results(
        tables=[
            comparison,
            Table(after, scores, digits=4),
            Table(by_epoch, epoch_rows(net, held_out, lecture), digits=4),
        ],
        figures={
            "loss": partial(
                loss_curves, curves, ylabel="cross-entropy", log=True, held_out=held_out
            ),
            "accuracy": partial(loss_curves, curves, "accuracy", "accuracy", held_out=held_out),
        },
        headline={"test accuracy": scores[0]["test accuracy"]},
    )


# ---- data ----------------------------------------------------------------------------------------


def load_digits(config: Config, run: Run) -> tuple[Rows, Rows, Rows, str, bool]:
    """Training, validation and test images as {"x": [rows, 28, 28, 1] in 0..1, "y": digits}.

    The fourth value names what the validation rows are: "validation" or, by the lecture's protocol,
    "test". The fifth says whether the digits are the real ones.

    Raises:
        UserError: a batch would be larger than the training set.
    """
    data = mnist.load(run.source, "mnist", config.twin_rows)
    run.uses(data.provenance)
    train = labelled_images.examples(data.train.image, data.train.label, (28, 28, 1))
    test = labelled_images.examples(data.test.image, data.test.label, (28, 28, 1))
    set_aside = config.validation_rows if config.protocol == "validation" else 0
    train, valid, held_out = splits.hold_out(train, test, set_aside)
    if config.batch_size > len(train["y"]):
        raise UserError(
            f"--batch-size {config.batch_size}: there are {len(train['y'])} images to train on"
        )
    return train, valid, test, held_out, data.provenance.kind != "simulated"


# ---- the train step ------------------------------------------------------------------------------


class State(NamedTuple):
    """Everything that a step changes."""

    params: optax.Params
    """The net's weights and biases."""
    optimizer_state: optax.OptState
    """What Adam remembers: its averages of the gradient and of its square."""
    loss_sum: Float[Array, ""]
    """Sum of the batches' mean losses since the epoch began."""
    accuracy_sum: Float[Array, ""]
    """Sum of the batches' shares of hits since the epoch began."""


def first_state(model: DigitNet, optimizer: optax.GradientTransformation, seed: int) -> State:
    """Random parameters, an optimiser that has seen nothing, no losses yet."""
    image = jnp.zeros((1, 28, 28, 1))  # only its shape is looked at
    params = model.init(jax.random.key(seed), image, train=False)["params"]
    return State(params, optimizer.init(params), jnp.zeros(()), jnp.zeros(()))


def mean_loss(
    params: optax.Params, model: DigitNet, batch: Batch
) -> tuple[Float[Array, ""], Float[Array, "batch 10"]]:
    """The number whose gradient is followed; with it the logits, of which the accuracy is made."""
    logits = model.apply({"params": params}, batch["x"], train=True)
    return cross_entropy(logits, batch).mean(), logits


@partial(jax.jit, static_argnames=("model", "optimizer"), donate_argnames="state")
def train_step(
    model: DigitNet, optimizer: optax.GradientTransformation, state: State, batch: Batch
) -> State:
    """One step of training: a pure function from a state and a batch to the next state.

    `jax.jit` compiles it at the first call, for this model and this optimiser. The old state is
    donated: its memory holds the new one, and it cannot be read any more.
    """
    # forwards and backwards: the loss, and its gradient with respect to every parameter
    value_and_gradient = jax.value_and_grad(mean_loss, has_aux=True)
    (loss, logits), gradient = value_and_gradient(state.params, model, batch)

    # the optimiser makes an update of the gradient, and the update is added
    updates, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.params)
    params = optax.apply_updates(state.params, updates)

    # running metrics, of the parameters as they were before the update
    loss_sum = state.loss_sum + loss
    accuracy_sum = state.accuracy_sum + accuracy(logits, batch).mean()
    return State(params, optimizer_state, loss_sum, accuracy_sum)


def train_by_hand(
    config: Config, data: Rows, seed: int, epochs: int
) -> tuple[optax.Params, dict[str, list[float]]]:
    """The loop around the step: every epoch all rows once, in an order of its own.

    Args:
        config: batch size and learning rate.
        data: training rows; the batch size divides their number.
        seed: of the first parameters and of the order.
        epochs: passes over the rows.

    Returns:
        The trained parameters, and the training loss and accuracy of each epoch.
    """
    model, optimizer = DigitNet(), optim.adam(config.learning_rate)
    state = first_state(model, optimizer, seed)
    history = {"loss": [], "accuracy": []}
    for epoch in range(epochs):
        state = state._replace(loss_sum=jnp.zeros(()), accuracy_sum=jnp.zeros(()))
        batches = epoch_order(seed, epoch, len(data["y"]), config.batch_size)
        for rows in batches:
            batch = {"x": data["x"][rows], "y": data["y"][rows]}
            state = train_step(model, optimizer, state, batch)
        history["loss"].append(float(state.loss_sum / len(batches)))
        history["accuracy"].append(float(state.accuracy_sum / len(batches)))
    return state.params, history


# ---- the same by the engine ----------------------------------------------------------------------


def classifier(model: DigitNet | MLP, config: Config) -> Task:
    """What the engine asks for: the same model, loss, metric and optimiser, as plain functions."""

    def optimizer(hyper):
        return optim.adam(config.learning_rate)

    init, apply = module_functions(model)
    return Task(
        init,
        apply,
        cross_entropy,
        optimizer,
        metrics={"accuracy": accuracy},
        convolves=convolves(model),
    )


def compare_with_engine(config: Config, run: Run, train: Rows) -> Table:
    """Two epochs on the first training rows: by hand, by the engine, and how far they are apart.

    Whole batches, one at least: the loop by hand knows no other.
    """
    batch = config.batch_size
    count = max(batch, min(config.check_rows, len(train["y"])) // batch * batch)
    few = {name: values[:count] for name, values in train.items()}
    seed = int(run.seeds[0])

    params, history = train_by_hand(config, few, seed, epochs=2)
    task = classifier(DigitNet(), config)
    engine = run.fit("check", task, few, seeds=[seed], epochs=2, batch_size=batch)

    title = f"The step written out against the engine's: second epoch on {count:,} images"
    return Table(title, difference_rows(params, history, engine))


# ---- what we see ---------------------------------------------------------------------------------


def difference_rows(
    params: optax.Params, history: dict[str, list[float]], engine: Fitted
) -> list[dict[str, str]]:
    """How far the net trained by hand is from the engine's: weights, last loss, last accuracy.

    Args:
        params: the parameters trained by hand.
        history: the training loss and accuracy by epoch.
        engine: the population of one that the engine trained.
    """
    by_hand, by_engine = jax.tree.leaves(params), jax.tree.leaves(engine.variables["params"])
    apart = [
        np.abs(ours - theirs[0]).max() for ours, theirs in zip(by_hand, by_engine, strict=True)
    ]
    rows = [
        {
            "number": "weights",
            "own step": "-",
            "engine": "-",
            "largest difference": f"{max(apart):.1e}",
        }
    ]
    for name, values in history.items():
        ours, theirs = values[-1], float(engine.history[f"train_{name}"][-1, 0])
        rows.append(
            {
                "number": f"train {name}",
                "own step": f"{ours:.7f}",
                "engine": f"{theirs:.7f}",
                "largest difference": f"{abs(ours - theirs):.1e}",
            }
        )
    return rows


def score_row(name: str, fitted: Fitted, test: Rows) -> dict[str, Array | str | int]:
    """A model's size, and its accuracy and loss on the test rows."""
    return {
        "model": name,
        "parameters": fitted.parameter_count,
        "test accuracy": fitted.predict(accuracy, test).mean(axis=1),
        "test loss": fitted.predict(cross_entropy, test).mean(axis=1),
    }


def lecture_accuracy(config: Config, real: bool) -> Sequence[float]:
    """The lecture's stored test accuracies by epoch; none where its digits or steps are not used.

    Args:
        config: of the lab.
        real: whether the digits are the real ones.
    """
    as_in_lecture = config.batch_size == LECTURE_BATCH and config.learning_rate == LECTURE_RATE
    return LECTURE if real and as_in_lecture else ()


def epoch_rows(
    fitted: Fitted, held_out: str, lecture: Sequence[float]
) -> list[dict[str, Array | float | int]]:
    """The history by epoch, and beside it the lecture's test accuracy as far as it goes."""
    history, rows = fitted.history, []
    for i in range(len(history["train_loss"])):
        rows.append(
            {
                "epoch": i + 1,
                "train accuracy": history["train_accuracy"][i],
                "train loss": history["train_loss"][i],
                f"{held_out} accuracy": history["valid_accuracy"][i],
                f"{held_out} loss": history["valid_loss"][i],
            }
        )
    for row, stored in zip(rows, lecture, strict=False):
        row["lecture's test accuracy"] = stored
    return rows
