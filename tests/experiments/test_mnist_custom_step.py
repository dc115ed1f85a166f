"""Lab 030: the step written out in the experiment is the engine's step; the lab runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import labelled_images, mnist, splits
from jaxdl.cli import launcher
from jaxdl.models.cnn import DigitNet
from jaxdl.training import fit, parameter_count

LAB = "experiments/mnist_custom_step.py"


@pytest.fixture(scope="module")
def lab():
    return launcher.load_lab(launcher.find_lab(LAB))


def test_net_has_the_lectures_parameters():
    image = jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.float32)
    shapes = jax.eval_shape(lambda x: DigitNet().init(jax.random.key(0), x, False), image)
    assert parameter_count(shapes) == 320 + 2_769_024 + 1_290 == 2_770_634


def test_open_step_is_the_engines(lab):
    arrays = mnist.simulate("mnist", 96)
    data = labelled_images.examples(arrays["train_image"], arrays["train_label"], (28, 28, 1))
    config = lab.Config(batch_size=16)
    params, curve = lab.open_loop(config, data, seed=3, epochs=2)
    task = lab.task_of(DigitNet(), config)
    engine = fit(task, data, seeds=np.array([3]), epochs=2, batch_size=16)
    for ours, theirs in zip(
        jax.tree.leaves(params), jax.tree.leaves(engine.variables["params"]), strict=True
    ):
        np.testing.assert_allclose(ours, theirs[0], rtol=0, atol=1e-6)
    for column, name in enumerate(("loss", "accuracy")):
        theirs = engine.history[f"train_{name}"][:, 0]
        np.testing.assert_allclose(curve[:, column], theirs, rtol=1e-5)
    assert curve[1, 0] < curve[0, 0]


def test_last_rows_are_set_aside():
    train, test = {"x": np.arange(10)}, {"x": np.arange(20, 24)}
    kept, valid, held = splits.hold_out(train, test, 3)
    assert (kept["x"].tolist(), valid["x"].tolist(), held) == ([*range(7)], [7, 8, 9], "validation")
    assert splits.hold_out(train, test, 0) == (train, test, "test")


def test_lab_runs_and_evaluates_to_the_same_tables(tmp_path, capsys):
    command = [LAB, "--preset", "quick", "--source", "simulated", "--epochs", "1"]
    results = launcher.launch([*command, "--workdir", str(tmp_path / "run")])[0]
    check, models, epochs = results.tables
    assert all(float(row["largest difference"]) < 1e-5 for row in check.rows)
    accuracy = {row["model"]: float(row["test accuracy"][0]) for row in models.rows}
    assert accuracy["convolutional net"] > 0.6
    assert accuracy["logistic regression"] > accuracy["untrained net"] + 0.2
    assert "validation accuracy" in epochs.columns
    assert {p.stem for p in (tmp_path / "run" / "figures").iterdir()} == {"loss", "accuracy"}
    launcher.launch(["--eval", str(tmp_path / "run")])
    assert "identical to its results.json" in capsys.readouterr().out
