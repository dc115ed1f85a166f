"""Mixed precision: what is rounded to 16 bits and what is not, and that it means the same."""

import dataclasses
import json
import re
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import losses
from jaxdl.anomaly import detectors
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError
from jaxdl.models.layers import dropout
from jaxdl.models.lstm import LSTM
from jaxdl.models.resnet import ResNet
from jaxdl.models.whitened_cnn import WhitenedCNN
from jaxdl.training import Task, fit, module_functions
from jaxdl.training import step as programs
from jaxdl.training.state import init_member
from jaxdl.training.task import floats_as, forward
from jaxdl.vision.classification_task import image_task
from tests import tasks
from tests.conftest import ROOT

TINY_LAB = "experiments/tiny.py"


class Recurrent(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return LSTM(4)(x)


def half(task: Task) -> Task:
    return dataclasses.replace(task, precision="bfloat16")


@pytest.fixture(scope="module")
def pictures():
    """64 pictures of three classes, each bright in another part."""
    rng = np.random.default_rng(0)
    y = np.arange(64, dtype=np.int32) % 3
    x = rng.normal(size=(64, 6, 6, 2))
    x[np.arange(64), y * 2] += 1.5
    return {"x": x.astype(np.float32), "y": y}


def operand_types(task, batch):
    """Element types of the operands of all products and convolutions in a train step."""
    rows = {name: jnp.asarray(x) for name, x in batch.items()}
    state = init_member(task, rows, jnp.int32(0), {})
    step = partial(programs.train_step, task, hyper={})
    text = jax.jit(step).lower(state, rows, jnp.ones(len(rows["x"]), bool)).as_text()
    found = re.findall(r"stablehlo\.(?:dot_general|convolution).*?: \(tensor<(.*?)>", text)
    assert found
    return {kind.rsplit("x", 1)[-1] for kind in found}


def test_products_and_convolutions_take_sixteen_bits(pictures):
    task = tasks.classifier()
    assert operand_types(task, pictures) == {"f32"}
    assert operand_types(half(task), pictures) == {"bf16"}


@pytest.mark.parametrize(
    "module", [ResNet(1, widths=(4, 6, 8)), WhitenedCNN((4, 6, 8))], ids=["resnet", "whitened"]
)
def test_bytes_that_a_task_makes_numbers_of_are_rounded_too(module):
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    batch = {"x": images, "y": np.arange(4, dtype=np.int32)}
    task = image_task(module, lambda hyper: optax.sgd(0.1))
    assert operand_types(half(task), batch) == {"bf16"}


def test_a_recurrent_net_runs_in_sixteen_bits():
    init, apply = module_functions(Recurrent())
    x = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    task = Task(init, apply, lambda out, batch, hyper: out.sum(1), lambda hyper: optax.sgd(0.1))
    variables = init(jax.random.key(0), {"x": x})
    full, _ = forward(task, variables, {"x": x}, jax.random.key(0), False, {})
    rounded, _ = forward(half(task), variables, {"x": x}, jax.random.key(0), False, {})
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, full, atol=0.02)
    assert (np.asarray(rounded) != np.asarray(full)).any()


def test_weights_optimiser_statistics_and_losses_stay_in_full(pictures):
    task = half(tasks.classifier())
    seen = []

    def loss(outputs, batch, hyper=None):
        seen.append((outputs.dtype, batch["x"].dtype))
        return losses.softmax_cross_entropy(outputs, batch["y"])

    task = dataclasses.replace(task, loss=loss)
    rows = {name: jnp.asarray(x) for name, x in pictures.items()}
    state = init_member(task, rows, jnp.int32(0), {})
    new = jax.jit(partial(programs.train_step, task, hyper={}))(state, rows, jnp.ones(64, bool))
    kinds = {leaf.dtype for leaf in jax.tree.leaves((new.params, new.model_state, new.totals))}
    assert kinds == {jnp.dtype("float32")}
    floats = [leaf for leaf in jax.tree.leaves(new.opt_state) if leaf.dtype != jnp.int32]
    assert {leaf.dtype for leaf in floats} == {jnp.dtype("float32")}
    assert set(seen) == {(jnp.dtype("float32"), jnp.dtype("float32"))}


def test_small_updates_are_not_lost(pictures):
    # 1 + 1e-4 is 1 in bfloat16: a thousand such steps would leave a weight where it was
    def apply(variables, batch, key, train, hyper):
        return variables["params"]["w"] * jnp.ones_like(batch["x"]), {}

    task = Task(
        lambda key, batch: {"params": {"w": jnp.ones(())}},
        apply,
        lambda outputs, batch, hyper: outputs,
        lambda hyper: optax.sgd(1e-4),
        precision="bfloat16",
    )
    rows = {"x": np.ones(8, np.float32)}
    fitted = fit(task, rows, seeds=[0], epochs=100, batch_size=8)
    np.testing.assert_allclose(fitted.variables["params"]["w"], 1 - 100e-4, rtol=1e-5)


def test_training_means_the_same(pictures, rows):
    for task, data in ((tasks.autoencoder(), rows), (tasks.classifier(0.0), pictures)):
        full, rounded = (
            fit(each, data, data, seeds=[0, 1], epochs=12, batch_size=16)
            for each in (task, half(task))
        )
        start, end = full.history["valid_loss"][0], full.history["valid_loss"][-1]
        assert (end < start).all()
        difference = np.abs(rounded.history["valid_loss"][-1] - end)
        assert (difference < 0.1 * (start - end)).all()
        assert (difference > 0).any()  # it was computed in another precision


def test_predictions_use_the_tasks_precision(rows):
    task = tasks.autoencoder()
    fitted = fit(task, rows, seeds=[0], epochs=1, batch_size=16)
    rounded = dataclasses.replace(fitted, task=half(task))
    full, short = (f.predict(lambda out, batch: out, rows) for f in (fitted, rounded))
    assert short.dtype == np.float32
    np.testing.assert_allclose(short, full, atol=0.05)
    assert (short != full).any()


def test_a_scorer_computes_as_its_run_did(rows):
    fitted = fit(half(tasks.autoencoder()), rows, seeds=[0, 1], epochs=2, batch_size=16)

    def error(outputs, batch):
        return losses.mse(outputs, batch["x"])

    detector = detectors.population(fitted.task, fitted.variables, 5, error)
    by_fit = fitted.predict(error, rows).mean(axis=0)
    np.testing.assert_allclose(detector.score(rows["x"]), by_fit, rtol=1e-5)


def test_dropout_with_a_traced_rate_keeps_the_type():
    x = jnp.ones((4, 4), jnp.bfloat16)
    dropped = jax.jit(lambda rate: dropout(x, rate, jax.random.key(0)))(0.5)
    assert dropped.dtype == jnp.bfloat16


def test_only_real_numbers_are_rounded():
    tree = {"x": jnp.ones(2), "y": jnp.arange(2), "mask": jnp.ones(2, bool), "key": np.uint8([3])}
    kinds = {name: str(x.dtype) for name, x in floats_as(tree, jnp.bfloat16).items()}
    assert kinds == {"x": "bfloat16", "y": "int32", "mask": "bool", "key": "uint8"}


def test_the_option_reaches_the_fits_and_the_evaluation(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jaxdl.cli.labs.EXPERIMENTS", ROOT / "tests" / "tiny_lab")
    plain, short = tmp_path / "plain", tmp_path / "short"
    launch([TINY_LAB, "--workdir", str(plain)])
    launch([TINY_LAB, "--workdir", str(short), "--precision", "bfloat16"])
    assert "precision" not in json.loads((plain / "config.json").read_text())
    assert json.loads((short / "config.json").read_text())["precision"] == "bfloat16"
    curves = [
        json.loads((f / "metrics.jsonl").read_text().splitlines()[-1]) for f in (plain, short)
    ]
    assert curves[0]["train_loss"] != curves[1]["train_loss"]
    capsys.readouterr()
    launch(["--eval", str(short)])
    assert "identical" in capsys.readouterr().out
    with pytest.raises(UserError, match="leave --precision out"):
        launch(["--eval", str(plain), "--precision", "bfloat16"])
