"""What finished runs of the picture labs say of pictures: their own test images come out the same.

The runs are on simulated twins. Test images are written as PNG, which loses nothing.
"""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from datasets import cifar10, mnist
from datasets.source import Request
from experiments import resnet
from jaxdl.cli.launcher import main


@pytest.fixture
def predicted(quick_run, tmp_path, capsys):
    """`predicted(lab, images)`: rows of predictions.csv, and what was printed."""

    def predict(lab, images):
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{i:04d}.png")
        output = tmp_path / "out"
        run = quick_run(lab).folder
        assert main(["--predict", str(run), str(folder), "--output", str(output)]) == 0
        with (output / "predictions.csv").open(encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        assert [row["picture"] for row in rows] == sorted(map(str, folder.iterdir()))
        (figure,) = (output / "figures").iterdir()
        with Image.open(figure) as picture:
            assert min(picture.size) > 100
        return rows, capsys.readouterr().out

    return predict


def test_resnet(quick_run, predicted):
    table = quick_run("resnet").results.tables[0]
    data = cifar10.load(Request("simulated"), (800, 200))
    rows, out = predicted("resnet", data.test.image)
    right = [row["class"] == data.classes[k] for row, k in zip(rows, data.test.label, strict=True)]
    accuracy = {row["net"]: row["test accuracy"] for row in table.rows}
    # the quick preset has one depth, with and without shortcuts
    best = max(
        (row for row in table.rows if row["net"] in ("residual, 8 layers", "plain, 8 layers")),
        key=lambda row: row["validation accuracy"].mean(),
    )["net"]
    assert f"judged by {best}, mean of 1 seeds" in " ".join(out.split())
    assert np.mean(right) == pytest.approx(accuracy[best][0])
    for row in rows:
        likely = [float(row[f"{place}probability"]) for place in ("", "second ", "third ")]
        assert likely == sorted(likely, reverse=True)
        assert sum(likely) <= 1 + 1e-6


def test_the_deep_net_with_the_highest_last_validation_accuracy_is_asked(monkeypatch):
    accuracy = {  # [epochs, seeds]; a higher one on the way counts for nothing
        "identity_8": [[0.9, 0.9], [0.2, 0.4]],
        "false_8": [[0.1, 0.1], [0.3, 0.5]],
        "identity_20": [[0.5, 0.5], [0.6, 0.0]],
    }

    def trained(config, run, data, name, task):
        last = accuracy.get(name, [[0.0, 0.0], [0.0, 0.0]])
        return SimpleNamespace(history={"valid_accuracy": np.array(last)})

    monkeypatch.setattr(resnet, "deep_net", lambda *_: None)
    monkeypatch.setattr(resnet, "train", trained)
    name, fitted = resnet.most_accurate_net(resnet.Config(depths=(8, 20)), None, None)
    assert name == "plain, 8 layers"
    assert fitted.history["valid_accuracy"].tolist() == accuracy["false_8"]


def digits_and_noise():
    """The test images of the twin, and one picture of noise, as bright as the brightest of them."""
    digits = mnist.load(Request("simulated"), "fashion_mnist", 1200).test.image
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28)).astype(np.uint8)
    return digits, noise


def test_mnist_autoencoder(quick_run, predicted):
    digits, noise = digits_and_noise()
    rows, out = predicted("mnist_autoencoder", np.concatenate([digits, noise]))
    *of_digits, of_noise = rows
    table = quick_run("mnist_autoencoder").results.tables[0]
    stated = {row["model"]: row["test MSE"] for row in table.rows}["convolutional"]
    error = np.array([float(row["MSE"]) for row in of_digits])
    assert error.mean() == pytest.approx(stated[0], rel=1e-4)
    percentile = np.array([float(row["percentile among test images"]) for row in of_digits])
    assert percentile.mean() == pytest.approx(50)
    assert (np.diff(percentile[np.argsort(error)]) >= 0).all()
    assert float(of_noise["percentile among test images"]) == 100
    assert "reconstructed by convolutional" in " ".join(out.split())


def test_mnist_vae(quick_run, predicted):
    digits = mnist.load(Request("simulated"), "mnist", 1200).test.image
    _, noise = digits_and_noise()
    rows, _ = predicted("mnist_vae", np.concatenate([digits, noise]))
    *of_digits, of_noise = rows
    stated = quick_run("mnist_vae").results.tables[0].rows[0]["-ELBO"]
    bound = np.array([float(row["-ELBO"]) for row in of_digits])
    # grey pixels are drawn anew, by another seed than the test images'
    assert bound.mean() == pytest.approx(stated[0], rel=0.03)
    for row in of_digits:
        both = float(row["reconstruction"]) + float(row["KL"])
        assert float(row["-ELBO"]) == pytest.approx(both, rel=1e-5)
    percentile = [float(row["percentile among test images"]) for row in of_digits]
    assert np.mean(percentile) == pytest.approx(50, abs=5)
    assert float(of_noise["percentile among test images"]) == 100


@pytest.mark.parametrize("lab", ["mnist_autoencoder", "mnist_vae"])
def test_dark_digits_on_white_are_pointed_out(lab, predicted):
    name = "mnist" if lab == "mnist_vae" else "fashion_mnist"
    digits = mnist.load(Request("simulated"), name, 1200).test.image[:3]
    _, out = predicted(lab, 255 - digits)
    assert "3 of 3 pictures are brighter than 99% of the test images" in out


@pytest.mark.parametrize("lab", ["resnet", "mnist_autoencoder", "mnist_vae"])
def test_a_picture_that_cannot_be_read_is_told_in_one_line(lab, quick_run, tmp_path, capsys):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG and no more")
    for name, told in ((str(broken), "broken.png"), ("none.png", "none.png: does not exist")):
        words = ["--predict", str(quick_run(lab).folder), name, "--output", str(tmp_path / "o")]
        assert main(words) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ")
        assert told in error
        assert not (tmp_path / "o").exists()
