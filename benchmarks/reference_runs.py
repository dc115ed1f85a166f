"""The course's nets trained again in Keras, over seeds: how far a stored run is from the next one.

    KERAS_BACKEND=tensorflow python benchmarks/reference_runs.py --only custom_step --seeds 5
    python benchmarks/reference_runs.py --table [--record docs/results.md]

The first command trains with Keras's own layers, initial values, Adam and train step, as the
course's notebooks describe their nets, data and number of epochs, and adds a line of JSON to
docs/reference_runs.jsonl for each net and seed that is not there yet. The second makes the table of
them: the stored run, its repetition in Keras, this project's recorded numbers, and the difference.
Lines of another machine (`--out FILE`) can be added to the file as they are.

On an accelerator the batches of an epoch are one compiled loop over `keras.Model.train_step` (JAX
backend); elsewhere `fit` calls it, as XLA's convolutions are slow in a loop on a CPU. Nets on the
same data train side by side, epoch by epoch: they see the same order of rows, and where images are
augmented the same images, which Keras's `ImageDataGenerator` draws in processes of its own, one
epoch ahead.
"""

import argparse
import contextlib
import functools
import json
import math
import os
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdl.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "docs" / "reference_runs.jsonl"
sys.path.insert(0, str(ROOT))  # labs and data sets are not installed

JUDGED_ROWS = 1000  # rows in a step of evaluation
DRAWN_ROWS = 2500  # images that a process draws at a time
KEY = "1-references"  # of the table in a document


class Data(NamedTuple):
    """Rows to train on and rows that are judged after every epoch."""

    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray


@dataclass(frozen=True)
class Reference:
    """A net of the course and how it is trained there.

    Attributes:
        data: the rows; nets with the same function train side by side.
        build: the compiled Keras model.
        epochs, batch_size: of the course.
        augmented: rows are images, warped anew in every epoch.
        patience: epochs without a lower loss on the held rows after which training stops.
        judge: what else is measured at the end, by name.
    """

    data: Callable[[], Data]
    build: Callable[[], Any]
    epochs: int
    batch_size: int
    augmented: bool = False
    patience: int | None = None
    judge: Callable[[Any], dict[str, float]] | None = None


# ---- data ----------------------------------------------------------------------------------------


def real():
    """The published files, never a simulated twin."""
    from datasets.source import Request

    return Request("real")


@functools.cache
def photographs() -> Data:
    """CIFAR-10, pixels between 0 and 1."""
    from datasets import cifar10

    found = cifar10.load(real())
    train, test = found.train, found.test
    return Data(scaled(train.image), train.label, scaled(test.image), test.label)


def scaled(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255


@functools.cache
def digits() -> Data:
    """MNIST with a channel axis, pixels between 0 and 1."""
    from datasets import mnist

    found = mnist.load(real(), "mnist")
    train, test = found.train, found.test
    x, held_x = scaled(train.image)[..., None], scaled(test.image)[..., None]
    return Data(x, train.label, held_x, test.label)


@functools.cache
def flat_digits() -> Data:
    """The same as rows of 784 pixels."""
    data = digits()
    return data._replace(
        x=data.x.reshape(len(data.x), -1), held_x=data.held_x.reshape(len(data.held_x), -1)
    )


@functools.cache
def clothes() -> Data:
    """Fashion-MNIST as rows of 784 pixels, which are also what is to be put out."""
    from datasets import mnist

    found = mnist.load(real(), "fashion_mnist")
    x, held_x = (
        scaled(half.image).reshape(len(half.image), -1) for half in (found.train, found.test)
    )
    return Data(x, x, held_x, held_x)


@functools.cache
def reviews() -> Data:
    """IMDB as multi-hot vectors of 10,000 words, in bytes."""
    from datasets import imdb
    from jaxdl.text import bag_of_words

    def half(rows):
        words = bag_of_words.multi_hot(rows.tokens, rows.starts, 10_000)
        return bag_of_words.sparse_matrix(words, 10_000).astype(np.uint8).toarray(), rows.label[
            :, None
        ]

    found = imdb.load(real(), 10_000)
    return Data(*half(found.train), *half(found.test))


@functools.cache
def transactions():
    """Training and test half of the fraud data, standardised by the whole training half."""
    from datasets import fraud, fraud_split

    train, test, _ = fraud_split.split_in_two(fraud.load(real()), "random")
    return train, test


def normal_transactions() -> Data:
    train, test = transactions()
    return Data(train.normal, train.normal, test.normal, test.normal)


@functools.cache
def machine_days():
    """Windows of both NAB series, standardised by the first, and which test points are wrong."""
    from datasets import nab
    from jaxdl.timeseries import windows

    calm, jump = (
        nab.load(real(), name).value
        for name in (
            "artificialNoAnomaly/art_daily_small_noise",
            "artificialWithAnomaly/art_daily_jumpsup",
        )
    )
    mean, deviation = calm.mean(), calm.std(ddof=1)
    train, test = (windows.sliding((x - mean) / deviation, 288) for x in (calm, jump))
    return train, test, jump > 100


def calm_days() -> Data:
    """The windows of the first series, the last tenth held back."""
    train = machine_days()[0]
    cut = len(train) - math.ceil(0.1 * len(train))
    return Data(train[:cut], train[:cut], train[cut:], train[cut:])


# ---- nets ----------------------------------------------------------------------------------------


def cifar_net(convolutions: int) -> Any:
    """Lab 010: convolutions of 32, 64 and 128 filters, so many in each block."""
    import keras

    layers = [keras.Input((32, 32, 3))]
    for width in (32, 64, 128):
        layers += [
            keras.layers.Conv2D(width, 3, padding="same", activation="relu")
            for _ in range(convolutions)
        ]
        layers.append(keras.layers.MaxPooling2D())
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(128, "relu"),
        keras.layers.Dense(10, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def custom_step_net() -> Any:
    """Lab 030."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(128, "relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")])
    return model


def sigmoid_net(normalised: bool) -> Any:
    """The slide on batch normalisation; its source is in PyTorch, whose initial values it has."""
    import keras

    def dense(units, inputs):
        limit = 1 / math.sqrt(inputs)
        uniform = keras.initializers.RandomUniform
        return keras.layers.Dense(
            units,
            kernel_initializer=uniform(-limit, limit),
            bias_initializer=uniform(-limit, limit),
        )

    layers = [keras.Input((784,))]
    for inputs in (784, 100):
        layers += [dense(100, inputs), keras.layers.Activation("sigmoid")]
        if normalised:
            layers.append(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
    model = keras.Sequential([*layers, dense(10, 100)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = [keras.metrics.SparseCategoricalAccuracy("accuracy")]
    model.compile(keras.optimizers.Adam(0.1, epsilon=1e-8), loss, metrics=metrics)
    return model


def review_net(units: int, l2: float = 0.0, dropout: float = 0.0) -> Any:
    """Lab 040: two hidden layers."""
    import keras

    layers = [keras.Input((10_000,), dtype="uint8"), keras.layers.Rescaling(1.0)]
    for _ in range(2):
        decay = keras.regularizers.L2(l2) if l2 else None
        layers.append(keras.layers.Dense(units, "relu", kernel_regularizer=decay))
        if dropout:
            layers.append(keras.layers.Dropout(dropout))
    model = keras.Sequential([*layers, keras.layers.Dense(1, "sigmoid")])
    metrics = ["accuracy", keras.metrics.BinaryCrossentropy("cross_entropy")]
    model.compile("adam", "binary_crossentropy", metrics=metrics)
    return model


def stacked_autoencoder() -> Any:
    """Lab 460."""
    import keras

    widths = (128, 64, 32, 64, 128)
    layers = [keras.layers.Dense(width, "relu") for width in widths]
    model = keras.Sequential([keras.Input((784,)), *layers, keras.layers.Dense(784, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def fraud_autoencoder() -> Any:
    """Lab 160."""
    import keras

    layers = [keras.Input((30,)), keras.layers.Dense(12, "relu"), keras.layers.Dense(30)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    return model


def window_autoencoder() -> Any:
    """Lab 170."""
    import keras

    stride = {"strides": 2, "padding": "same", "activation": "relu"}
    model = keras.Sequential(
        [
            keras.Input((288, 1)),
            keras.layers.Conv1D(32, 7, **stride),
            keras.layers.Dropout(0.2),
            keras.layers.Conv1D(16, 7, **stride),
            keras.layers.Dropout(0.2),
            keras.layers.Conv1DTranspose(16, 7, **stride),
            keras.layers.Conv1DTranspose(32, 7, **stride),
            keras.layers.Conv1DTranspose(1, 1),
        ]
    )
    model.compile("adam", "mse")
    return model


# ---- what is measured at the end -----------------------------------------------------------------


def fraud_alerts(model: Any) -> dict[str, float]:
    """Lab 160: alerts above mean + 3 standard deviations of the normal training rows' errors."""
    train, test = transactions()

    def row_error(x):
        return np.square(model.predict(x, batch_size=8192, verbose=0) - x).mean(axis=1)

    calm = row_error(train.normal)
    threshold = calm.mean() + 3 * calm.std()
    alert, fraud = row_error(test.x) >= threshold, test.label == 1
    caught = float((alert & fraud).sum())
    return {
        "threshold": float(threshold),
        "precision": caught / max(int(alert.sum()), 1),
        "recall": caught / int(fraud.sum()),
    }


def flagged_days(model: Any) -> dict[str, float]:
    """Lab 170: windows above the largest error in training, and the points that follow."""
    from jaxdl.timeseries import windows

    train, test, wrong = machine_days()

    def window_error(x):
        return np.abs(model.predict(x, batch_size=512, verbose=0) - x).mean(axis=(1, 2))

    threshold = window_error(train).max()
    flags = window_error(test) > threshold
    points = windows.lecture_points(flags, 288)
    return {
        "threshold": float(threshold),
        "windows": float(flags.sum()),
        "points_found": float((points & wrong).sum()),
        "points_false": float((points & ~wrong).sum()),
    }


REFERENCES = {
    "cifar_notebook": Reference(photographs, lambda: cifar_net(1), 16, 32),
    "cifar_notebook_augmented": Reference(photographs, lambda: cifar_net(1), 16, 32, True),
    "cifar_slide": Reference(photographs, lambda: cifar_net(2), 16, 32),
    "cifar_slide_augmented": Reference(photographs, lambda: cifar_net(2), 16, 32, True),
    "custom_step": Reference(digits, custom_step_net, 5, 32),
    "sigmoid": Reference(flat_digits, lambda: sigmoid_net(False), 5, 2000),
    "sigmoid_batch_norm": Reference(flat_digits, lambda: sigmoid_net(True), 5, 2000),
    "imdb_4": Reference(reviews, lambda: review_net(4), 20, 512),
    "imdb_4_dropout": Reference(reviews, lambda: review_net(4, dropout=0.5), 20, 512),
    "imdb_8": Reference(reviews, lambda: review_net(8), 20, 512),
    "imdb_64": Reference(reviews, lambda: review_net(64), 20, 512),
    "imdb_8_l2": Reference(reviews, lambda: review_net(8, l2=1e-3), 20, 512),
    "imdb_8_dropout": Reference(reviews, lambda: review_net(8, dropout=0.5), 20, 512),
    "stacked_autoencoder": Reference(clothes, stacked_autoencoder, 50, 256),
    "fraud_autoencoder": Reference(
        normal_transactions, fraud_autoencoder, 30, 128, judge=fraud_alerts
    ),
    "window_autoencoder": Reference(
        calm_days, window_autoencoder, 50, 128, patience=5, judge=flagged_days
    ),
    # as long as the stored run was trained before its patience ended
    "window_autoencoder_13_epochs": Reference(
        calm_days, window_autoencoder, 13, 128, judge=flagged_days
    ),
}


# ---- training ------------------------------------------------------------------------------------


class CompiledEpochs:
    """Keras's `train_step` and `test_step` on JAX, the batches of an epoch in one compiled loop.

    `fit` calls the same functions from Python, batch by batch.
    """

    def __init__(self, model: Any, held: tuple[np.ndarray, np.ndarray]) -> None:
        import jax

        self.model, self.held = model, jax.device_put(held)
        model.evaluate(held[0][:1], held[1][:1], verbose=0)  # builds the metrics
        model.optimizer.build(model.trainable_variables)
        model.reset_metrics()
        self.state, self.zero_metrics = self._read(), self._metrics()

        def over_batches(keras_step):
            """A program of Keras's step for each of these batches, one after the other."""

            def run(state, x, y, batches):
                def step(state, rows):
                    logs, state = keras_step(state, (x[rows], y[rows]))
                    return state, logs

                state, logs = jax.lax.scan(step, state, batches)
                return state, {name: values[-1] for name, values in logs.items()}

            return jax.jit(run)

        self._learn, self._judge = over_batches(model.train_step), over_batches(model.test_step)

    def _metrics(self) -> list[Any]:
        return [variable.value for variable in self.model.metrics_variables]

    def _read(self) -> tuple[list[Any], ...]:
        model = self.model
        return tuple(
            [variable.value for variable in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
            )
        )

    def learn(self, x: Any, y: Any, order: np.ndarray, batch_size: int) -> dict[str, float]:
        """An epoch over the rows in this order; the training metrics that `fit` would print."""
        state, logs = (*self.state, self.zero_metrics), {}
        for batches in in_batches(order, batch_size):
            state, logs = self._learn(state, x, y, batches)
        self.state = state[:3]
        return numbers(logs)

    def judge(self) -> dict[str, float]:
        """The metrics of the held rows."""
        state, logs = (*self.state[:2], self.zero_metrics), {}
        for batches in in_batches(np.arange(len(self.held[0])), JUDGED_ROWS):
            state, logs = self._judge(state, *self.held, batches)
        return numbers(logs)

    def trained(self) -> Any:
        """The model with the weights as they are now."""
        model = self.model
        variables = model.trainable_variables, model.non_trainable_variables
        for kind, values in zip(variables, self.state[:2], strict=True):
            for variable, value in zip(kind, values, strict=True):
                variable.assign(value)
        return model


class FittedEpochs:
    """The same by `fit` and `evaluate`, for every backend."""

    def __init__(self, model: Any, held: tuple[np.ndarray, np.ndarray]) -> None:
        self.model, self.held = model, held

    def learn(self, x: Any, y: Any, order: np.ndarray, batch_size: int) -> dict[str, float]:
        rows = {"batch_size": batch_size, "shuffle": False}
        history = self.model.fit(x[order], y[order], epochs=1, verbose=0, **rows).history
        return {name: values[-1] for name, values in history.items()}

    def judge(self) -> dict[str, float]:
        return self.model.evaluate(*self.held, batch_size=JUDGED_ROWS, verbose=0, return_dict=True)

    def trained(self) -> Any:
        return self.model


def in_batches(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Row numbers [steps, batch_size], then those of a last smaller batch, where there is one."""
    whole = len(order) // batch_size * batch_size
    if whole:
        yield order[:whole].reshape(-1, batch_size)
    if whole < len(order):
        yield order[None, whole:]


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}


class Drawing:
    """Augmented images of each epoch, drawn ahead by processes that do nothing else."""

    def __init__(self, images: np.ndarray, seed: int, epochs: int, workers: int) -> None:
        self.rows, self.seed, self.epochs = len(images), seed, epochs
        context = get_context("spawn")
        self.pool = ProcessPoolExecutor(workers, context, _start_drawing, (images,))
        self.waiting = {0: self._order(0), 1: self._order(1)}

    def _order(self, epoch: int) -> list[Any]:
        if epoch >= self.epochs:
            return []
        order = epoch_order(self.seed, epoch, self.rows)
        parts = [order[start : start + DRAWN_ROWS] for start in range(0, self.rows, DRAWN_ROWS)]
        return [
            self.pool.submit(_draw, part, (self.seed, epoch, number))
            for number, part in enumerate(parts)
        ]

    def epoch(self, epoch: int) -> np.ndarray:
        """The images of an epoch, in its order."""
        drawn = np.concatenate([part.result() for part in self.waiting.pop(epoch)])
        self.waiting[epoch + 2] = self._order(epoch + 2)
        return drawn

    def __enter__(self) -> "Drawing":
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown(cancel_futures=True)


_images: np.ndarray


def _start_drawing(images: np.ndarray) -> None:
    global _images
    os.environ["KERAS_BACKEND"] = "numpy"  # these processes need no device
    _images = images


def _draw(rows: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """Those images after one draw each: flips, shifts of up to a tenth, edges repeated."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(
        width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True
    )
    drawn = int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)
    flow = generator.flow(_images[rows], batch_size=len(rows), shuffle=False, seed=drawn)
    return next(flow)


def epoch_order(seed: int, epoch: int, rows: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(rows)


def train(names: Sequence[str], seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train nets on the same data side by side with one seed; a record for each."""
    import keras

    backend = keras.backend.backend()
    chosen = {name: REFERENCES[name] for name in names}
    first = next(iter(chosen.values()))
    data = Data(*(rows[: options.limit_rows] for rows in first.data()))
    epochs = {
        name: min(reference.epochs, options.epochs or reference.epochs)
        for name, reference in chosen.items()
    }
    longest = max(epochs.values())
    began = time.perf_counter()
    put, kind, device = np.asarray, FittedEpochs, "cpu"
    if backend == "jax":
        import jax

        # TF32 would round what the course's devices did not
        jax.config.update("jax_default_matmul_precision", "highest")
        device = jax.devices()[0].device_kind
        if options.loop == "compiled" or (options.loop is None and device != "cpu"):
            put, kind = jax.device_put, CompiledEpochs
    held, trainers = (data.held_x, data.held_y), {}
    for name, reference in chosen.items():
        keras.utils.set_random_seed(seed)
        trainers[name] = kind(reference.build(), held)
    x, y = put(data.x), put(data.y)
    history: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    with contextlib.ExitStack() as stack:
        drawing = None
        if any(reference.augmented for reference in chosen.values()):
            drawing = stack.enter_context(Drawing(data.x, seed, longest, options.workers))
        for epoch in range(longest):
            order = epoch_order(seed, epoch, len(data.x))
            drawn = put(drawing.epoch(epoch)) if drawing else None
            for name, reference in chosen.items():
                if epoch >= epochs[name] or has_stopped(history[name], reference.patience):
                    continue
                trainer, size = trainers[name], reference.batch_size
                if reference.augmented:
                    metrics = trainer.learn(drawn, put(data.y[order]), np.arange(len(order)), size)
                else:
                    metrics = trainer.learn(x, y, order, size)
                judged = {f"held_{key}": value for key, value in trainer.judge().items()}
                history[name].append(metrics | judged)
    records = []
    for name, reference in chosen.items():
        measured = history[name][-1] | {"epochs": len(history[name])}
        if reference.judge:
            measured |= reference.judge(trainers[name].trained())
        records.append(
            {
                "net": name,
                "seed": seed,
                "measured": {key: round(value, 6) for key, value in measured.items()},
                "whole": options.limit_rows is None and options.epochs is None,
                "machine": f"Keras {keras.__version__}, {backend} backend, {device}",
                "seconds": round(time.perf_counter() - began, 1),
                "command": options.command,
            }
        )
    return records


def has_stopped(history: Sequence[Mapping[str, float]], patience: int | None) -> bool:
    """Whether the loss on the held rows has not fallen for so many epochs (Keras's EarlyStopping).

    >>> has_stopped([{"held_loss": 2.0}, {"held_loss": 1.0}, {"held_loss": 1.5}], patience=1)
    True
    """
    if patience is None or not history:
        return False
    losses = [epoch["held_loss"] for epoch in history]
    return len(losses) - 1 - losses.index(min(losses)) >= patience


def still_to_train(
    nets: Sequence[str], seeds: Sequence[int], found: Sequence[Mapping[str, Any]]
) -> list[tuple[list[str], int]]:
    """Nets on the same data with a seed each, without those whose records are there."""
    groups: dict[Any, list[str]] = {}
    for name in nets:
        groups.setdefault(REFERENCES[name].data, []).append(name)
    there = {(record["net"], record["seed"]) for record in found}
    jobs = []
    for names in groups.values():
        for seed in seeds:
            missing = [name for name in names if (name, seed) not in there]
            if missing:
                jobs.append((missing, seed))
    return jobs


def train_all(options: argparse.Namespace) -> None:
    """Every group of nets with every seed, so many processes side by side, within the time."""
    found = read_records(options.out) if options.out.exists() else []
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    jobs = still_to_train(options.only, seeds, found)
    began, running, left_out = time.monotonic(), set(), []
    context = get_context("spawn")
    with ProcessPoolExecutor(options.processes, context) as pool:
        while jobs or running:
            while jobs and len(running) < options.processes:
                names, seed = jobs.pop(0)
                if options.seconds and time.monotonic() - began > options.seconds:
                    left_out.append(f"{', '.join(names)}: seed {seed}")
                    continue
                running.add(pool.submit(train, names, seed, options))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for record in (record for job in done for record in job.result()):
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
                shown = ", ".join(f"{k} {v:.4g}" for k, v in record["measured"].items())
                print(f"{record['net']}, seed {record['seed']}, {record['seconds']} s: {shown}")
                sys.stdout.flush()
    for line in left_out:
        print(f"left out, no time: {line}")


# ---- the table -----------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """A line of the table.

    Attributes:
        net, measure: of the records.
        what: it is called.
        stored: the course's number, n = 1.
        words: that the recorded command of ours has among its own; none: we have no such number.
        table, where, column: of our number there, as in a line of the summary.
        remark: how our training differs, where it does.
    """

    net: str
    measure: str
    what: str
    stored: float
    words: tuple[str, ...]
    table: str
    where: Mapping[str, str]
    column: str
    remark: str = ""


def cifar_line(net: str, augmentation: str, stored: float) -> Comparison:
    name = f"cifar_{net}" + ("_augmented" if augmentation == "lecture" else "")
    what = f"010, {net}'s net, {'with' if augmentation == 'lecture' else 'without'} augmentation"
    what += ": test accuracy"
    words, table = ("experiments/cifar_cnn.py",), "CIFAR-10, protocol lecture"
    where = {"model": net, "augmentation": augmentation}
    return Comparison(name, "held_accuracy", what, stored, words, table, where, "test accuracy")


def imdb_line(method: str, units: int, stored: float, entropy: bool = False) -> Comparison:
    name = f"imdb_{units}" + ("" if method == "none" else f"_{method.lower()}")
    words = ("experiments/imdb_regularization.py", "--protocol lecture")
    measure, column = "held_accuracy", "test accuracy"
    if entropy:
        measure, column = "held_cross_entropy", "test cross-entropy"
    what = f"040, {units} units, {'no penalty' if method == 'none' else method}: {column}"
    where = {"method": method, "units": str(units)}
    return Comparison(name, measure, what, stored, words, "Regularisers", where, column)


def fraud_line(measure: str, stored: float) -> Comparison:
    what = f"160, {measure} at mean + 3 standard deviations"
    words = ("experiments/fraud_ae.py", "--source real")
    table = "Autoencoder decisions; random 50/50"
    where, column = {"threshold": "mean + 3 sd"}, "value" if measure == "threshold" else measure
    return Comparison("fraud_autoencoder", measure, what, stored, words, table, where, column)


def window_line(measure: str, column: str, stored: float, epochs: int | None = None) -> Comparison:
    where, what = {"protocol": "published, MAE"}, f"170, {column}"
    if epochs is not None:
        net = f"window_autoencoder_{epochs}_epochs"
        return Comparison(net, measure, f"{what} after {epochs} epochs", stored, (), "", {}, "")
    words = ("experiments/nab_conv1d_ae.py",)
    remark = (
        "ours ends after 25 epochs at most, with the weights of the lowest validation loss; the "
        "course allows 50 and keeps the last ones. Its stored run stopped after 13, on a plateau "
        "of the validation loss that other runs get past"
    )
    return Comparison(
        "window_autoencoder", measure, what, stored, words, "Flagged", where, column, remark
    )


def slide_line(net: str, column: str, stored: float) -> Comparison:
    words, table = ("experiments/batch_norm.py", "--protocol lecture"), "Adam 0.1, test accuracy"
    what = f"batch normalisation, {column}: test accuracy after 5 epochs"
    remark = "Adam's epsilon is 1e-7 in ours, 1e-8 in the reference, as in PyTorch"
    where = {"epoch": "5"}
    return Comparison(net, "held_accuracy", what, stored, words, table, where, column, remark)


COMPARISONS = (
    cifar_line("notebook", "none", 0.7229),
    cifar_line("notebook", "lecture", 0.7897),
    cifar_line("slide", "none", 0.7528),
    cifar_line("slide", "lecture", 0.8046),
    Comparison(
        "custom_step",
        "held_accuracy",
        "030: test accuracy after 5 epochs",
        0.9824,
        ("experiments/mnist_custom_step.py", "--protocol lecture"),
        "After 5 epochs",
        {"model": "convolutional net"},
        "test accuracy",
    ),
    slide_line("sigmoid", "no BN", 0.91),
    slide_line("sigmoid_batch_norm", "BN behind", 0.942),
    imdb_line("none", 4, 0.8657),
    imdb_line("dropout", 4, 0.8812),
    imdb_line("none", 8, 0.8546),
    imdb_line("none", 64, 0.8563),
    imdb_line("L2", 8, 0.8614),
    imdb_line("dropout", 8, 0.8772),
    imdb_line("none", 8, 0.6754, entropy=True),
    imdb_line("L2", 8, 0.4263, entropy=True),
    imdb_line("dropout", 8, 0.4055, entropy=True),
    Comparison(
        "stacked_autoencoder",
        "held_loss",
        "460, stacked autoencoder: test cross-entropy",
        0.2765,
        ("experiments/mnist_autoencoder.py",),
        "Fashion-MNIST",
        {"model": "stacked", "protocol": "lecture"},
        "test BCE",
    ),
    fraud_line("threshold", 6.319),
    fraud_line("precision", 0.1563),
    fraud_line("recall", 0.5885),
    window_line("threshold", "threshold", 0.1495),
    window_line("threshold", "threshold", 0.1495, epochs=13),
    window_line("windows", "windows flagged", 393),
    window_line("windows", "windows flagged", 393, epochs=13),
    window_line("points_found", "points found", 107),
)


class Spread(NamedTuple):
    """Mean and standard deviation (nan for one number) of n numbers, and decimals to show."""

    mean: float
    deviation: float
    n: int
    decimals: int

    def __str__(self) -> str:
        deviation = ""
        if not math.isnan(self.deviation):
            deviation = f" ± {self.deviation:.{self.decimals}f}"
        return f"{self.mean:.{self.decimals}f}{deviation} ({self.n})"


def spread(values: Sequence[float]) -> Spread:
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    mean = statistics.mean(values)
    return Spread(mean, deviation, len(values), 1 if abs(mean) >= 20 else 4)


def ours(comparison: Comparison, recorded: Sequence[Any]) -> Spread | None:
    """This project's number, from the recorded section of most seeds that has it.

    Raises:
        UserError: a section has the row, but not the column.
    """
    from jaxdl.runs import summary

    if not comparison.words:
        return None
    wanted = set(summary.words_of(" ".join(comparison.words)))
    fitting = [section for section in recorded if wanted <= set(section.words)]
    for section in sorted(fitting, key=lambda section: -int(section.seeds)):
        entry = {
            "what": comparison.what,
            "command": shlex.join(section.words),
            "column": comparison.column,
            "table": comparison.table,
            "where": comparison.where,
        }
        try:
            cell = summary.cell(entry, section)
        except summary.NoSuchRow:  # that run left it out
            continue
        mean, deviation = summary.mean_and_deviation(cell)
        decimals = len(cell.partition(" ± ")[0].partition(".")[2])
        return Spread(mean, deviation, int(section.seeds), decimals)
    return None


def difference(a: Spread, b: Spread) -> tuple[float, float]:
    """Mean of a less mean of b, and half the width of Welch's 95 % interval of it.

    The half width is nan where one of them is a single number or neither varies.
    """
    from scipy.stats import t

    gap = a.mean - b.mean
    if min(a.n, b.n) < 2:
        return gap, math.nan
    parts = [s.deviation**2 / s.n for s in (a, b)]
    if not sum(parts):
        return gap, math.nan
    freedom = sum(parts) ** 2 / sum(p**2 / (s.n - 1) for p, s in zip(parts, (a, b), strict=True))
    return gap, float(t.ppf(0.975, freedom)) * math.sqrt(sum(parts))


def table(records: Sequence[Mapping[str, Any]], recorded: Sequence[Any]) -> str:
    """The Markdown table; a net that nobody has trained again has no line."""
    lines = [
        "| | stored run | again in Keras, mean ± sd (n) | ours, mean ± sd (n) | "
        "ours - Keras, 95 % interval |",
        "|---|---:|---:|---:|---|",
    ]
    remarks: dict[str, int] = {}
    for comparison in COMPARISONS:
        found = {
            record["seed"]: record["measured"][comparison.measure]
            for record in records
            if record["net"] == comparison.net
        }
        if not found:
            continue
        again, own, gap = spread(list(found.values())), ours(comparison, recorded), "-"
        if own is not None:
            mean, half = difference(own, again)
            digits = min(again.decimals, own.decimals)  # ours is read as it was recorded
            gap = f"{mean:+.{digits}f}"
            if not math.isnan(half):
                gap += f" ({mean - half:+.{digits}f} .. {mean + half:+.{digits}f})"
        note = ""
        if comparison.remark:
            note = f" [{remarks.setdefault(comparison.remark, len(remarks) + 1)}]"
        lines.append(
            f"| {comparison.what}{note} | {comparison.stored:g} | {again} | {own or '-'} | {gap} |"
        )
    notes = [f"[{number}] {remark}." for remark, number in remarks.items()]
    return "\n".join([*lines, "", *notes]).rstrip()


def read_records(path: Path) -> list[dict[str, Any]]:
    """Records of whole trainings; those on part of the rows or epochs are left out and named."""
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    for record in records:
        if not record["whole"]:
            print(f"left out, not the whole training: {record['net']}, seed {record['seed']}")
    return [record for record in records if record["whole"]]


def refuse_lost_lines(old: str, records: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Keep a table whose nets are not all among the records.

    Raises:
        UserError: the document's table has a line of a net without a record.
    """
    trained, lost = {record["net"] for record in records}, []
    for comparison in COMPARISONS:
        # its name may be the beginning of another line's
        in_table = re.search(rf"^\| {re.escape(comparison.what)} (\[\d+\] )?\|", old, re.MULTILINE)
        if in_table and comparison.net not in [*trained, *lost]:
            lost.append(comparison.net)
    if lost:
        raise UserError(f"{file} has no record of {', '.join(lost)}: train these first")


def publish(options: argparse.Namespace) -> None:
    """Print the table and, if asked, put it into the document."""
    from jaxdl.report.markdown import code, record_section, sections
    from jaxdl.runs import summary

    document = options.record or ROOT / "docs" / "results.md"
    recorded = [found for found in map(summary.parse, sections(document).values()) if found]
    records = read_records(options.out)
    if not records:
        raise UserError(f"{options.out} holds no record of a whole training")
    shown = table(records, recorded)
    print(shown)
    if options.record:
        refuse_lost_lines(sections(document).get(KEY, ""), records, options.out)
        commands = dict.fromkeys(code(record["command"]) for record in records)
        machines = dict.fromkeys(record["machine"] for record in records)
        about = (
            "A stored run is one draw. Here the course's nets are trained again in Keras by its "
            "own protocol, a seed each, beside the numbers recorded below. Intervals are Welch's; "
            "one that holds 0 does not show a difference. From Keras's own weights, with the rows "
            "in the same order, eight of these nets of ours take Keras's path "
            "(tests/test_keras_paths.py)."
        )
        text = [about, *commands, f"{'; '.join(machines)}; {time.strftime('%Y-%m-%d')}", shown]
        title = "The references, trained again"
        record_section(options.record, KEY, title, "\n\n".join(text))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = list(REFERENCES)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="nets to train")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="trainings side by side")
    parser.add_argument("--workers", type=int, help="processes that draw images, each training")
    parser.add_argument("--seconds", type=float, help="start no further seed after so long")
    loops = ("compiled", "fit")
    parser.add_argument("--loop", choices=loops, help="default: compiled where it is fast")
    parser.add_argument("--epochs", type=int, help="at most, for a trial")
    parser.add_argument("--limit-rows", type=int, help="of each part of the data, for a trial")
    parser.add_argument("--out", type=Path, default=RECORDS, help="file of records (%(default)s)")
    parser.add_argument("--table", action="store_true", help="train nothing: show the table")
    parser.add_argument("--record", type=Path, help="Markdown document to put the table into")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    options.workers = options.workers or max((cores - 1) // options.processes, 1)
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several on one GPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    words = ["--only", *options.only, "--seeds", str(options.seeds)]
    words += ["--first-seed", str(options.first_seed)] if options.first_seed else []
    backend = f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}"
    options.command = f"{backend} python benchmarks/reference_runs.py {shlex.join(words)}"
    try:
        if options.loop == "compiled" and os.environ["KERAS_BACKEND"] != "jax":
            raise UserError("--loop compiled needs KERAS_BACKEND=jax")
        if options.table or options.record:
            publish(options)
        else:
            train_all(options)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
