"""Lab 010 runs in both protocols, and its augmentation acts in training only."""

import numpy as np
import pytest

from jaxdl.cli import launch

LAB = ["experiments/cifar_cnn.py", "--preset", "quick", "--source", "simulated"]


def test_lab_runs_and_evaluates_to_the_same_tables(tmp_path, capsys):
    table = launch([*LAB, "--workdir", str(tmp_path / "run")])[0].tables[0]
    assert "900 training, 100 validation images" in table.title
    rows = {(row["model"], row["augmentation"]): row for row in table.rows}
    assert rows["notebook", "none"]["parameters"] == 356_810
    untrained = rows["notebook, untrained", "-"]["test accuracy"].mean()
    for name in ("none", "lecture"):
        row = rows["notebook", name]
        assert row["test accuracy"].mean() > untrained + 0.05
        assert (row["epoch"] == row["lowest validation loss in epoch"]).all()
    assert rows["notebook", "none"]["train loss"] != rows["notebook", "lecture"]["train loss"]
    figures = {path.stem for path in (tmp_path / "run" / "figures").iterdir()}
    assert figures == {
        "images", "images_lecture", "notebook_loss", "notebook_confusion", "notebook_right_wrong",
    }  # fmt: skip
    launch(["--eval", str(tmp_path / "run")])
    assert "identical to its results.json" in capsys.readouterr().out


def test_lecture_protocol_takes_the_last_epoch_and_the_test_curve(tmp_path):
    options = ["--protocol", "lecture", "--augmentations", "none", "--epochs", "2"]
    result = launch([*LAB, *options, "--workdir", str(tmp_path / "run")])[0]
    table = result.tables[0]
    assert "1,000 training, 200 test images" in table.title
    row = table.rows[1]
    assert (row["model"], row["augmentation"]) == ("notebook", "none")
    assert row["epoch"].tolist() == [2]
    # the curve's last value and the prediction are of the same weights and rows
    if row["in epoch"][0] == 2:
        assert row["best test accuracy"][0] == pytest.approx(row["test accuracy"][0])
    assert np.all(row["best test accuracy"] >= row["test accuracy"] - 1e-6)
    assert not result.notes  # the stored runs are of real photographs
