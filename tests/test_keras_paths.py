"""From Keras's own weights and in the same order of rows, our nets take the path of Keras's nets.

They want Keras, which the extra `peers` installs.
"""

import dataclasses
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import batch_norm, cifar_cnn, fraud_ae, mnist_custom_step
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.text import BagMLP
from jaxdl.text import bag_of_words
from jaxdl.text.sentiment_task import Regularisation, methods_times_seeds, sentiment_task
from jaxdl.training import Task, fit
from jaxdl.training.batch_order import epoch_order
from jaxdl.vision.autoencoder_task import cross_entropy, reconstruction_task

SEED, EPOCHS, BATCH = 3, 4, 32
CALM_RATE = 0.01  # by the slide's 0.1 the last bits of a sum decide where the path goes
NEAR = 0.003  # of what the loss moves by
TAUGHT, HELD = 150, 40  # rows; the last batch is a short one


class Ours(NamedTuple):
    """One of our nets, and rows for it and for Keras's.

    Attributes:
        task: the net, its loss and its optimiser.
        layers: those that have weights, in Keras's order.
        data: rows as ours takes them.
        x, y: the same rows as Keras takes them, and their answers.
    """

    task: Task
    layers: list[str]
    data: dict[str, Any]
    x: np.ndarray
    y: np.ndarray


def pictures(*shape):
    """Noisy pictures of ten patterns as bytes, which pattern it is, and the pixels in 0..1."""
    rng = np.random.default_rng(0)
    patterns, y = rng.random((10, *shape)), rng.integers(0, 10, TAUGHT + HELD)
    x = np.uint8(255 * (0.7 * patterns[y] + 0.3 * rng.random((len(y), *shape))))
    return x, y, x.astype(np.float32) / 255


def photographs():
    config = cifar_cnn.Config(protocol="lecture")
    net, data = cifar_cnn.NETS["notebook"](), SimpleNamespace(train={"y": np.zeros(TAUGHT)})
    layers = ["Conv_0", "Conv_1", "Conv_2", "Dense_0", "Dense_1"]
    x, y, scaled = pictures(32, 32, 3)
    return Ours(cifar_cnn.classifier(net, config, data), layers, {"x": x, "y": y}, scaled, y)


def digits():
    config, net = mnist_custom_step.Config(), mnist_custom_step.DigitNet()
    _, y, scaled = pictures(28, 28, 1)
    layers = ["conv", "hidden", "output"]
    task = mnist_custom_step.classifier(net, config)
    return Ours(task, layers, {"x": scaled, "y": y}, scaled, y)


def slide(name):
    _, y, scaled = pictures(784)
    layers = ["hidden_0", "hidden_1", "output"]
    if name == "BN behind":
        layers = ["hidden_0", "norms_0", "hidden_1", "norms_1", "output"]
    task = batch_norm.classifier(batch_norm.NETS[name], learning_rate=CALM_RATE)
    return Ours(task, layers, {"x": scaled, "y": y}, scaled, y)


def reviews(method):
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 60, TAUGHT + HELD)
    y = rng.integers(0, 2, len(lengths))
    tokens = rng.integers(0, 200, lengths.sum()) + 100 * np.repeat(y, lengths)
    starts = np.append(0, np.cumsum(lengths))
    hyper, _ = methods_times_seeds({"one": method}, [SEED])
    task = sentiment_task(BagMLP(10_000, (8, 8)), hyper, learning_rate=1e-3)
    data = bag_of_words.examples(tokens, starts, y, 10_000)
    x = bag_of_words.sparse_matrix(data["x"], 10_000).astype(np.uint8).toarray()
    return Ours(task, ["hidden_0", "hidden_1", "output"], data, x, y[:, None])


def clothes():
    _, _, scaled = pictures(784)
    net = DenseAutoencoder(784, (128, 64, 32))
    layers = [f"{half}_{i}" for half in ("encoder", "decoder") for i in range(3)]
    task = reconstruction_task(net, cross_entropy, 1e-3)
    return Ours(task, layers, {"x": scaled}, scaled, scaled)


def transactions():
    x = np.random.default_rng(0).normal(size=(TAUGHT + HELD, 30)).astype(np.float32)
    task = fraud_ae.autoencoder_task(fraud_ae.Config(), 30, (12,))
    return Ours(task, ["encoder_0", "decoder_0"], {"x": x}, x, x)


NETS = {  # name of the reference -> makes ours
    "cifar_notebook": photographs,
    "custom_step": digits,
    "sigmoid": partial(slide, "no BN"),
    "sigmoid_batch_norm": partial(slide, "BN behind"),
    "imdb_8": partial(reviews, Regularisation()),
    "imdb_8_l2": partial(reviews, Regularisation(l2=1e-3)),
    "stacked_autoencoder": clothes,
    "fraud_autoencoder": transactions,
}


def from_keras(layers, weights):
    """Keras's list of weights as our variables."""
    weights = iter(weights)
    params, statistics = {}, {}
    for layer in layers:
        norm = layer.startswith("norms")
        names = ("scale", "bias") if norm else ("kernel", "bias")
        params[layer] = {name: jnp.asarray(next(weights)) for name in names}
        if norm:
            statistics[layer] = {name: jnp.asarray(next(weights)) for name in ("mean", "var")}
    assert next(weights, None) is None
    return {"params": params} | ({"batch_stats": statistics} if statistics else {})


def losses_of_both(reference_runs, name, reference):
    """Losses on held rows after every epoch: of our net `name`, and of Keras's `reference`."""
    keras = pytest.importorskip("keras")
    task, layers, data, x, y = NETS[name]()
    keras.utils.set_random_seed(SEED)
    model = reference_runs.REFERENCES[reference].build()
    if name.startswith("sigmoid"):
        model.optimizer.learning_rate = CALM_RATE
        model.optimizer.epsilon = 1e-7  # ours; the slide's is PyTorch's 1e-8
    first = from_keras(layers, model.get_weights())
    ours = fit(
        dataclasses.replace(task, init=lambda key, batch: first),
        {column: rows[:TAUGHT] for column, rows in data.items()},
        {column: rows[TAUGHT:] for column, rows in data.items()},
        seeds=[SEED],
        epochs=EPOCHS,
        batch_size=BATCH,
    )
    losses = []
    for epoch in range(EPOCHS):
        order = epoch_order(SEED, epoch, TAUGHT, BATCH).ravel()[:TAUGHT]
        for start in range(0, TAUGHT, BATCH):
            rows = order[start : start + BATCH]
            model.train_on_batch(x[rows], y[rows])
        held = model.evaluate(x[TAUGHT:], y[TAUGHT:], verbose=0, return_dict=True)
        losses.append(held.get("cross_entropy", held["loss"]))  # without penalties
    return ours.history["valid_loss"][:, 0], np.array(losses)


@pytest.mark.parametrize("name", list(NETS))
def test_from_the_same_weights_the_losses_are_keras_s(name, reference_runs):
    ours, keras_s = losses_of_both(reference_runs, name, reference=name)
    moved = np.ptp(keras_s)
    assert moved > 0.01
    np.testing.assert_allclose(ours, keras_s, atol=NEAR * moved, rtol=0)


def test_another_net_takes_another_path(reference_runs):
    ours, keras_s = losses_of_both(reference_runs, "imdb_8", reference="imdb_8_l2")
    assert np.abs(ours - keras_s).max() > 2 * NEAR * np.ptp(keras_s)
