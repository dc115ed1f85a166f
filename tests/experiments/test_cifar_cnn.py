"""Lab 010 in both protocols: whose weights are kept, what is counted, which figures there are."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments import cifar_cnn as lab
from jaxdl.cli.launcher import launch

LAB = ["experiments/cifar_cnn.py", "--preset", "quick", "--source", "simulated"]
FEW = ["--epochs", "2", "--twin-rows", "320", "80"]


def test_validation_protocol_keeps_the_epoch_of_the_lowest_loss(quick_run):
    run = quick_run("cifar_cnn")
    table = run.results.tables[0]
    assert "430 training, 50 validation images" in table.title
    rows = {(row["model"], row["augmentation"]): row for row in table.rows}
    assert rows["linear, on pixels", "none"]["parameters"] == 30_730
    assert rows["notebook", "none"]["parameters"] == 356_810
    assert rows["notebook", "none"]["train loss"] != rows["notebook", "lecture"]["train loss"]
    lines = (run.folder / "metrics.jsonl").read_text("utf-8").splitlines()
    log = [json.loads(line) for line in lines]
    for name in ("none", "lecture"):
        row = rows["notebook", name]
        assert (row["epoch"] == row["lowest validation loss in epoch"]).all()
        losses = [e["train_loss"][0] for e in log if e["fit"] == f"notebook_{name}"]
        assert losses[1] < losses[0]
    assert set(run.results.headline) == {"notebook, none", "notebook, lecture"}
    assert set(run.results.figures) == {
        "images", "images_lecture", "notebook_loss", "notebook_confusion", "notebook_right_wrong",
    }  # fmt: skip


def test_lecture_protocol_takes_the_last_epoch_and_the_test_curve(tmp_path):
    options = ["--protocol", "lecture", "--augmentations", "none"]
    result = launch([*LAB, *FEW, *options, "--workdir", str(tmp_path / "run")])[0]
    table = result.tables[0]
    assert "320 training, 80 test images" in table.title
    row = table.rows[1]
    assert (row["model"], row["augmentation"]) == ("notebook", "none")
    assert row["epoch"].tolist() == [2]
    # the curve's last value and the prediction are of the same weights and rows
    if row["in epoch"][0] == 2:
        assert row["best test accuracy"][0] == pytest.approx(row["test accuracy"][0])
    assert np.all(row["best test accuracy"] >= row["test accuracy"] - 1e-6)
    assert not result.notes  # the stored runs are of real photographs


def test_stored_runs_are_compared_on_real_photographs_and_by_the_lectures_recipe_only():
    real = lab.Photographs({}, {}, {}, "test", (), simulated=False)
    accuracy = np.array([0.78, 0.80])
    lecture = lab.Config(protocol="lecture")

    def notes(net, ranges, config=lecture, data=real):
        return lab.stored_run_note(net, ranges, accuracy, config, data)

    (note,) = notes("notebook", "lecture")
    assert "0.7897" in note
    assert note.endswith("reached.")
    assert notes("slide", "lecture")[0].endswith("missed.")
    assert not notes("slide", "deck")
    assert not notes("notebook", "none", data=real._replace(simulated=True))
    for changed in ({"protocol": "validation"}, {"epochs": 17}, {"views": 2}, {"smoothing": 0.1}):
        assert not notes("slide", "lecture", replace(lecture, **changed))


def test_pictures_are_sorted_into_right_and_wrong(monkeypatch):
    drawn = {}

    def grid(images, titles, columns, colours):
        drawn.update(images=images, titles=titles, colours=colours)

    monkeypatch.setattr(lab, "image_grid", grid)
    images = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    lab.right_and_wrong(images, np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), ("cat", "dog"))
    assert drawn["images"][:, 0, 0, 0].tolist() == [0, 3, 1, 2]
    assert drawn["titles"] == ["cat", "dog", "cat\n(dog)", "dog\n(cat)"]
    assert drawn["colours"] == ["green", "green", "red", "red"]


@pytest.mark.parametrize("count", [2, 6])
def test_logits_outside_training_are_the_weighted_mean_of_the_views(count):
    data = lab.Photographs({"y": np.zeros(4)}, {}, {}, "test", (), simulated=True)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    one, several = (
        lab.classifier(lab.notebook_net(), lab.Config(views=n), data) for n in (1, count)
    )
    batch = {"x": images, "y": np.zeros(4, np.int32)}
    variables = one.init(jax.random.key(0), batch)

    def logits(task, images, train=False):
        return task.apply(variables, {**batch, "x": images}, jax.random.key(1), train, {})[0]

    expected = sum(
        weight * logits(one, image)
        for image, weight in lab.augmentation.views(jax.numpy.asarray(images), count)
    )
    found = logits(several, images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - logits(one, images)).max() > 1e-3
    np.testing.assert_array_equal(logits(several, images, True), logits(one, images, True))


def test_the_schedule_ends_at_zero():
    """Six steps of a cosine move the weights less than six of its highest rate, the last hardly."""
    data = lab.Photographs({"y": np.zeros(96)}, {}, {}, "test", (), simulated=True)
    config = lab.Config(schedule="cosine", epochs=2, batch_size=32, learning_rate=0.1)
    optimizer = lab.classifier(lab.notebook_net(), config, data).optimizer({})
    weight, sizes = np.float32(0.0), []
    state = optimizer.init(weight)
    for _ in range(7):
        update, state = optimizer.update(np.float32(1.0), state, weight)
        sizes.append(abs(float(update)))
    assert max(sizes) == pytest.approx(0.1, rel=1e-3)
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert sizes[6] == 0.0
