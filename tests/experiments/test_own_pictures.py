"""The labs of pictures on a folder of one's own, and what a run says of further ones."""

import csv

import numpy as np
import pytest
from PIL import Image

from jaxdl.cli.launcher import launch, main
from jaxdl.errors import UserError


@pytest.fixture(scope="module")
def own_pictures(tmp_path_factory):
    """A hundred bright pictures of the class day, twenty dark ones of the class 밤."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for name, level, count in (("day", 200, 100), ("밤", 40, 20)):
        (folder / name).mkdir()
        for i in range(count):
            pixels = rng.integers(level - 20, level + 20, (40, 48, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03d}.png")
    (folder / "day" / "notes.txt").write_text("of June")
    return folder


def trained(lab, own_pictures, folder, *more):
    words = [f"experiments/{lab}.py", "--preset", "quick", "--images", str(own_pictures)]
    return launch([*words, "--workdir", str(folder), *more])[0]


def told_of_pictures(results):
    said = "\n".join(results.notes)
    assert "left out: 1 files that cannot be read (day/notes.txt)" in said
    assert "classes: day 100, 밤 20; the largest has 5.0 times the smallest" in said


@pytest.fixture(scope="module")
def cifar_run(own_pictures, tmp_path_factory):
    """(results, run folder) of the small net."""
    folder = tmp_path_factory.mktemp("cifar") / "run"
    options = ["--augmentations", "none", "--batch-size", "8", "--epochs", "5"]
    return trained("cifar_cnn", own_pictures, folder, *options), folder


def test_cifar_cnn(own_pictures, cifar_run):
    results, folder = cifar_run
    table, counts = results.tables
    assert table.title.startswith(f"{own_pictures.name}, protocol validation: 86 training, 10 ")
    rows = {row["model"]: row for row in table.rows}
    assert rows["the largest class, always"]["test accuracy"] == pytest.approx(20 / 24)
    assert rows["notebook"]["parameters"] == 356_810 - 8 * 129  # two classes for ten
    assert rows["notebook"]["test accuracy"] > 0.9  # more than the largest class
    assert [row["training"] for row in counts.rows] == [80, 16]
    told_of_pictures(results)
    launch(["--eval", str(folder)])


def test_a_finished_run_predicts(own_pictures, cifar_run, tmp_path, capsys):
    _, folder = cifar_run
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    asked = [
        own_pictures / "밤",
        own_pictures / "day" / "000.png",
        own_pictures / "day" / "001.png",
    ]
    output = tmp_path / "out"
    for _ in range(2):  # earlier predictions are replaced
        words = ["--predict", str(folder), *map(str, asked), "--output", str(output)]
        assert main(words) == 0
    assert f"written to {output}: predictions.csv" in capsys.readouterr().out
    with (output / "predictions.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows[-2:]] == [str(path) for path in asked[1:]]
    assert len(rows) == 22
    assert [row["class"] for row in rows[-2:]] == ["day", "day"]
    right = [row["class"] == ("밤" if "밤" in row["picture"] else "day") for row in rows]
    assert sum(right) >= 18  # always naming the largest class is right twice
    for row in rows:
        first, second = float(row["probability"]), float(row["second probability"])
        assert first >= second
        assert first + second == pytest.approx(1, abs=1e-5)
    assert (output / "figures" / "pictures.png").is_file()
    assert "밤" in (output / "report.html").read_text("utf-8")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_cannot_be_judged_is_told_in_one_line(own_pictures, cifar_run, tmp_path, capsys):
    _, folder = cifar_run
    for name, told in (
        ("none.jpg", "none.jpg: does not exist"),
        (str(own_pictures / "day" / "notes.txt"), "is no picture that can be read"),
        (str(tmp_path), "holds no picture"),
    ):
        words = ["--predict", str(folder), name, "--output", str(tmp_path / "out")]
        assert main(words) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ")
        assert told in error
        assert not (tmp_path / "out").exists()


def test_resnet(own_pictures, tmp_path):
    results = trained("resnet", own_pictures, tmp_path / "run", "--shortcut", "identity")
    table, counts = results.tables
    assert table.title.startswith(f"{own_pictures.name} at 8x8: 64 training, ")
    rows = {row["net"]: row for row in table.rows}
    assert rows["the largest class, always"]["test accuracy"] == pytest.approx(20 / 24)
    assert rows["linear, on pixels"]["parameters"] == (8 * 8 * 3 + 1) * 2
    assert len(counts.rows) == 2
    told_of_pictures(results)


def test_mnist_autoencoder(own_pictures, tmp_path):
    options = ["--models", "stacked-mse", "--better-epochs", "2"]
    results = trained("mnist_autoencoder", own_pictures, tmp_path / "run", *options)
    assert "24 test images; better protocol: 77 to train on, 19 to " in results.tables[0].title
    told_of_pictures(results)


def test_mnist_vae(own_pictures, tmp_path):
    results = trained("mnist_vae", own_pictures, tmp_path / "run", "--epochs", "3")
    assert f"{own_pictures.name}, static binarisation (24 test images" in results.tables[0].title
    told_of_pictures(results)
    assert (tmp_path / "run" / "figures" / "copies.png").is_file()


def test_an_autoencoder_needs_more_than_a_handful(own_pictures, tmp_path):
    with pytest.raises(UserError, match="pictures to train on, at least 80 are needed"):
        trained("mnist_vae", own_pictures, tmp_path / "run", "--test-share", "0.5")
    assert not (tmp_path / "run").exists()
