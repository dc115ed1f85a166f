"""The labs of pictures on a folder of one's own."""

import numpy as np
import pytest
from PIL import Image

from jaxdl.cli.launcher import launch
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


def test_cifar_cnn(own_pictures, tmp_path):
    options = ["--augmentations", "none", "--batch-size", "8", "--split-seed", "1"]
    results = trained("cifar_cnn", own_pictures, tmp_path / "run", *options)
    table, counts = results.tables
    assert table.title.startswith(f"{own_pictures.name}, protocol validation: 86 training, 10 ")
    rows = {row["model"]: row for row in table.rows}
    assert rows["the largest class, always"]["test accuracy"] == pytest.approx(20 / 24)
    assert rows["notebook"]["parameters"] == 356_810 - 8 * 129  # two classes for ten
    assert rows["notebook"]["test accuracy"] > 0.9  # more than the largest class
    assert [row["training"] for row in counts.rows] == [80, 16]
    told_of_pictures(results)
    launch(["--eval", str(tmp_path / "run")])


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
    options = ["--models", "simple-32", "--epochs", "2"]
    results = trained("mnist_autoencoder", own_pictures, tmp_path / "run", *options)
    assert "24 test images; better protocol: 77 to train on, 19 to " in results.tables[0].title
    told_of_pictures(results)


def test_mnist_vae(own_pictures, tmp_path):
    results = trained("mnist_vae", own_pictures, tmp_path / "run", "--epochs", "2")
    assert f"{own_pictures.name}, static binarisation (24 test images" in results.tables[0].title
    told_of_pictures(results)
    assert (tmp_path / "run" / "figures" / "copies.png").is_file()


def test_an_autoencoder_needs_more_than_a_handful(own_pictures, tmp_path):
    with pytest.raises(UserError, match="pictures to train on, at least 80 are needed"):
        trained("mnist_vae", own_pictures, tmp_path / "run", "--test-share", "0.5")
    assert not (tmp_path / "run").exists()
