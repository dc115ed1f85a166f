"""Padding: rows that only fill a batch up count for nothing, in batch statistics neither."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import losses
from jaxdl.diagnostics import probes
from jaxdl.models import traced_mlp
from jaxdl.models.batch_norm_mlp import NormedMLP
from jaxdl.models.resnet import ResNet
from jaxdl.training import Task, batch_order, fit, module_functions
from jaxdl.training.state import init_member
from jaxdl.training.step import train_step
from jaxdl.training.task import ROW_MASK, row_mask
from tests import tasks

BATCH = 32
IMAGES, ROWS = (8, 8, 3), (7,)


def classify(module, learning_rate=0.1) -> Task:
    return Task(
        *module_functions(module),
        loss=lambda outputs, batch, hyper: losses.softmax_cross_entropy(outputs, batch["y"]),
        optimizer=lambda hyper: optax.sgd(learning_rate),
        convolves=isinstance(module, ResNet),
    )


def traced() -> Task:
    """A deep net that normalises by the batch at hand, in evaluation too."""
    setting = traced_mlp.setting("relu", "he", "batch", "shortcut")

    def init(key, batch):
        return {"params": traced_mlp.init(key, 2, 7, 9, 3)}

    def apply(variables, batch, key, train, hyper):
        mask = row_mask(batch)
        return traced_mlp.apply(variables["params"], batch["x"], setting, mask=mask)[0], {}

    return dataclasses.replace(classify(NormedMLP()), init=init, apply=apply)


NETS = {
    "convolution": (tasks.classifier(dropout=0.0), IMAGES),
    "resnet": (classify(ResNet(1, "projection", (4, 6, 8), classes=3)), IMAGES),
    "norm in front": (classify(NormedMLP("before", 7, (6, 5), 3)), ROWS),
    "norm behind": (classify(NormedMLP("after", 7, (6, 5), 3)), ROWS),
    "traced, batch": (traced(), ROWS),
    "traced loss": (probes.trace_loss(classify(NormedMLP("before", 7, (6, 5), 3)), 2), ROWS),
}


def made(count, shape, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(count, *shape)).astype(np.float32),
        "y": rng.integers(0, 3, count).astype(np.int32),
    }


@pytest.mark.parametrize("real", [1, 5])
@pytest.mark.parametrize("net", NETS)
def test_a_padded_step_is_the_step_on_the_real_rows(net, real):
    """Weights (and so gradients), batch statistics, running sums: all as without padding."""
    task, shape = NETS[net]
    batch = made(BATCH, shape)
    batch["x"][real:] *= 30  # padding of any kind: other rows than the engine takes
    batch = {name: jnp.asarray(values) for name, values in batch.items()}
    mask = jnp.arange(BATCH) < real
    hyper = {name: jnp.float32(value) for name, value in task.hyper.items()}
    state = init_member(task, batch, jnp.int32(3), hyper)

    padded = jax.jit(lambda s: train_step(task, s, {**batch, ROW_MASK: mask}, mask, hyper))(state)
    own = {name: values[:real] for name, values in batch.items()}
    alone = jax.jit(lambda s: train_step(task, s, own, jnp.ones(real, bool), hyper))(state)
    if real > 1:  # one row normalised by itself is 0, and may have nothing to learn from
        assert not tasks.same(alone.params, state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5), padded, alone)


@pytest.mark.parametrize("net", NETS)
def test_one_row_in_the_last_batch_leaves_everything_finite(net):
    """Its variance is 0; the rows that fill the batch up are copies of it."""
    task, shape = NETS[net]
    fitted = fit(task, made(BATCH + 1, shape), seeds=[0], epochs=3, batch_size=BATCH)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fitted.variables))
    assert np.isfinite(fitted.history["train_loss"]).all()


def test_running_statistics_are_those_of_numpy():
    """Two steps, of 32 rows and of 1, on weights that stand still."""
    task = classify(NormedMLP("before", 7, (6,), 3), learning_rate=0.0)
    data = made(BATCH + 1, ROWS)
    fitted = fit(task, data, seeds=[5], epochs=1, batch_size=BATCH)
    layer = jax.tree.map(lambda w: np.asarray(w[0]), fitted.variables["params"]["hidden_0"])
    order = batch_order.epoch_order(5, 0, BATCH + 1, BATCH)
    mean, variance = np.zeros(6), np.ones(6)
    for rows in (order[0], order[1][:1]):
        z = data["x"][rows] @ layer["kernel"] + layer["bias"]
        mean = 0.9 * mean + 0.1 * z.mean(axis=0)
        variance = 0.9 * variance + 0.1 * z.var(axis=0)
    found = fitted.variables["batch_stats"]["norms_0"]
    np.testing.assert_allclose(found["mean"][0], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["var"][0], variance, rtol=1e-5, atol=1e-6)


def test_evaluation_by_batch_statistics_leaves_padding_out(monkeypatch):
    """70 rows in batches of 64: the second batch is 6 rows and 58 copies of the last."""
    monkeypatch.setattr("jaxdl.training.evaluate.BATCH_BYTES", 1)
    task, data = traced(), made(70, ROWS)
    fitted = fit(task, data, data, seeds=[0], epochs=1, batch_size=10)
    both = [
        fitted.predict(lambda outputs, batch: outputs, {k: v[part] for k, v in data.items()})[0]
        for part in (slice(0, 64), slice(64, 70))
    ]
    logits = fitted.predict(lambda outputs, batch: outputs, data)[0]
    np.testing.assert_allclose(logits, np.concatenate(both), rtol=1e-4, atol=1e-5)
    loss = losses.softmax_cross_entropy(jnp.asarray(logits), jnp.asarray(data["y"])).mean()
    np.testing.assert_allclose(fitted.history["valid_loss"][0, 0], loss, rtol=1e-5)


def test_padding_is_made_of_the_batchs_own_rows():
    order = batch_order.epoch_order(7, 2, 103, 16)
    mask = batch_order.padding_mask(103, 16)
    assert mask[:-1].all()
    assert mask[-1].sum() == 7
    assert set(order[-1]) == set(order[-1][mask[-1]])


def test_a_fit_without_padding_hands_no_mask_to_the_model():
    """What is not needed is not computed: the program stays what it was."""
    seen = []

    def loss(outputs, batch, hyper):
        seen.append(ROW_MASK in batch)
        return losses.softmax_cross_entropy(outputs, batch["y"])

    task = Task(*module_functions(NormedMLP("none", 7, (3,), 3)), loss, lambda hyper: optax.sgd(1))
    for count in (BATCH, BATCH + 1):
        data = made(count, ROWS)
        fit(task, data, data, seeds=[0], epochs=1, batch_size=BATCH)
    assert seen == [False, False, True, False]  # a step, evaluation of 32 rows; the same with 33
