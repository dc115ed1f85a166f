"""Lab 010 runs in both protocols, and its augmentation acts in training only."""

import json

import numpy as np
import pytest

from jaxdl.cli.launcher import launch

LAB = ["experiments/cifar_cnn.py", "--preset", "quick", "--source", "simulated"]
FEW = ["--epochs", "2", "--twin-rows", "320", "80"]


def test_lab_runs_and_evaluates_to_the_same_tables(tmp_path, capsys):
    table = launch([*LAB, *FEW, "--workdir", str(tmp_path / "run")])[0].tables[0]
    assert "290 training, 30 validation images" in table.title
    rows = {(row["model"], row["augmentation"]): row for row in table.rows}
    assert rows["notebook", "none"]["parameters"] == 356_810
    assert rows["notebook", "none"]["train loss"] != rows["notebook", "lecture"]["train loss"]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
    log = [json.loads(line) for line in lines]
    for name in ("none", "lecture"):
        row = rows["notebook", name]
        assert (row["epoch"] == row["lowest validation loss in epoch"]).all()
        losses = [e["train_loss"][0] for e in log if e["fit"] == f"notebook_{name}"]
        assert losses[1] < losses[0]
    figures = {path.stem for path in (tmp_path / "run" / "figures").iterdir()}
    assert figures == {
        "images", "images_lecture", "notebook_loss", "notebook_confusion", "notebook_right_wrong",
    }  # fmt: skip
    launch(["--eval", str(tmp_path / "run")])
    assert "identical to its results.json" in capsys.readouterr().out


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
