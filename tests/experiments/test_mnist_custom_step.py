"""Lab 030: the step written out in the experiment is the engine's step; the lab runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import labelled_images, mnist
from experiments import mnist_custom_step as lab
from jaxdl import optim
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError
from jaxdl.models.cnn import DigitNet
from jaxdl.training import fit, parameter_count


@pytest.fixture(scope="module")
def digits():
    """96 simulated digits: six batches of 16."""
    arrays = mnist.simulate("mnist", 96)
    return labelled_images.examples(arrays["train_image"], arrays["train_label"], (28, 28, 1))


def test_net_has_the_lectures_parameters():
    image = jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.float32)
    shapes = jax.eval_shape(lambda x: DigitNet().init(jax.random.key(0), x, False), image)
    assert parameter_count(shapes) == 320 + 2_769_024 + 1_290 == 2_770_634


def test_step_by_hand_is_the_engines(digits):
    config = lab.Config(batch_size=16)
    params, history = lab.train_by_hand(config, digits, seed=3, epochs=2)
    task = lab.classifier(DigitNet(), config)
    engine = fit(task, digits, seeds=np.array([3]), epochs=2, batch_size=16)
    for ours, theirs in zip(
        jax.tree.leaves(params), jax.tree.leaves(engine.variables["params"]), strict=True
    ):
        np.testing.assert_allclose(ours, theirs[0], rtol=0, atol=1e-6)
    for name in ("loss", "accuracy"):
        theirs = engine.history[f"train_{name}"][:, 0]
        np.testing.assert_allclose(history[name], theirs, rtol=1e-5)
    assert history["loss"][1] < history["loss"][0]


def test_a_step_counts_the_loss_before_its_update(digits):
    model, optimizer = DigitNet(), optim.adam(1e-3)
    batch = {name: jnp.asarray(values[:16]) for name, values in digits.items()}
    state = lab.first_state(model, optimizer, seed=0)
    before, logits = lab.mean_loss(state.params, model, batch)
    hits = np.mean(np.asarray(logits).argmax(axis=1) == batch["y"])
    state = lab.train_step(model, optimizer, state, batch)
    assert float(state.loss_sum) == pytest.approx(float(before), rel=1e-5)
    assert float(state.accuracy_sum) == pytest.approx(hits)
    assert float(lab.mean_loss(state.params, model, batch)[0]) < float(before)


def test_lab_compares_both_steps_and_beats_the_baselines(quick_run):
    check, models, epochs = quick_run("mnist_custom_step").results.tables
    assert [row["number"] for row in check.rows] == ["weights", "train loss", "train accuracy"]
    assert all(float(row["largest difference"]) < 1e-5 for row in check.rows)
    accuracy = {row["model"]: float(row["test accuracy"][0]) for row in models.rows}
    assert accuracy["convolutional net"] > 0.6
    assert accuracy["logistic regression"] > accuracy["untrained net"] + 0.2
    assert [row["parameters"] for row in models.rows] == [2_770_634, 7_850, 2_770_634]
    assert "validation accuracy" in epochs.columns
    assert "lecture's test accuracy" not in epochs.columns  # simulated digits are not its own


def test_the_lecture_stands_beside_its_own_digits_rate_and_batch_only():
    assert lab.lecture_accuracy(lab.Config(), real=True) == lab.LECTURE
    assert not lab.lecture_accuracy(lab.Config(), real=False)
    assert not lab.lecture_accuracy(lab.Config(batch_size=64), real=True)
    assert not lab.lecture_accuracy(lab.Config(learning_rate=1e-2), real=True)


@pytest.mark.parametrize(
    ("batch", "check_rows", "count"), [(16, 40, 32), (32, 8, 32), (40, 999, 80)]
)
def test_the_steps_are_compared_on_whole_batches_and_the_title_counts_them(
    batch, check_rows, count, digits, monkeypatch
):
    seen = []

    class NoRun:
        seeds = (0,)

        def fit(self, name, task, rows, **settings):
            seen.append(len(rows["y"]))

    monkeypatch.setattr(lab, "train_by_hand", lambda config, few, seed, epochs: (None, None))
    monkeypatch.setattr(lab, "difference_rows", lambda *found: [])
    config = lab.Config(batch_size=batch, check_rows=check_rows)
    table = lab.compare_with_engine(config, NoRun(), digits)
    assert seen == [count]
    assert table.title.endswith(f"on {count} images")


def test_a_batch_larger_than_the_training_set_is_refused(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--batch-size", "2000"]
    with pytest.raises(UserError, match="--batch-size 2000: there are 1500 images to train on"):
        launch(["mnist_custom_step", "--workdir", str(tmp_path / "run"), *options])
