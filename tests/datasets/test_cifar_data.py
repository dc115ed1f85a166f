"""CIFAR-10: the archive is read in its published layout; the twin can be learned."""

import io
import tarfile

import numpy as np
import pytest

from datasets import cifar10
from datasets.source import DataError, Request


def archive(path, blocks):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in blocks.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def blocks():
    """Two images in each file: the first byte is the label, then red, green and blue planes."""
    rng = np.random.default_rng(0)
    names = [name for half in cifar10.FILES.values() for name in half]
    rows = rng.integers(0, 256, (len(names), 2, cifar10.ROW_BYTES), np.uint8)
    rows[:, :, 0] %= 10
    return {name: rows[i].tobytes() for i, name in enumerate(names)}


def test_planes_become_pixels_in_the_archives_order(tmp_path, blocks):
    extra = {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n", "../evil": b"x"}
    path = archive(tmp_path / "c.tar.gz", dict(reversed(blocks.items())) | extra)
    arrays = cifar10.read(path)
    assert arrays["train_image"].shape == (10, 32, 32, 3)
    assert arrays["test_image"].shape == (2, 32, 32, 3)
    third = blocks["cifar-10-batches-bin/data_batch_2.bin"]  # its first image is the third
    assert arrays["train_label"][2] == third[0]
    for channel in range(3):
        plane = third[1 + 1024 * channel : 1 + 1024 * (channel + 1)]
        assert arrays["train_image"][2, :, :, channel].tobytes() == plane
    assert [path.name for path in tmp_path.iterdir()] == ["c.tar.gz"]


def test_other_archives_are_refused_in_one_line(tmp_path, blocks, monkeypatch):
    first = "cifar-10-batches-bin/data_batch_1.bin"
    cases = {
        "not a multiple of 3,073": blocks | {first: blocks[first][:-1]},
        "data_batch_1.bin: label 200 of image 1 is no class": blocks
        | {first: blocks[first][:3073] + bytes([200]) + blocks[first][3074:]},
        "has no cifar-10-batches-bin/data_batch_1.bin": {
            k: v for k, v in blocks.items() if k != first
        },
        "holds more than the images would": {f"x{i}": b"" for i in range(101)},
    }
    for message, content in cases.items():
        with pytest.raises(DataError, match=message):
            cifar10.read(archive(tmp_path / "c.tar.gz", content))
    whole = archive(tmp_path / "c.tar.gz", blocks)
    whole.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(DataError, match=r"cannot be read as a tar.gz of images"):
        cifar10.read(whole)
    monkeypatch.setattr(cifar10, "MAX_MEMBER_BYTES", 5000)
    with pytest.raises(DataError, match="holds more"):
        cifar10.read(archive(tmp_path / "c.tar.gz", blocks))


def test_twin_is_repeatable_and_shows_its_classes():
    from sklearn.ensemble import ExtraTreesClassifier

    data = cifar10.load(Request("simulated"), (1500, 500))
    assert data.provenance.kind == "simulated"
    assert "1,500 + 500 images" in data.provenance.line()
    again = cifar10.simulate({"train": 1500, "test": 500})
    np.testing.assert_array_equal(data.train.image, again["train_image"])
    assert np.bincount(data.test.label).tolist() == [50] * 10

    def features(images):  # how far each pixel is from the picture's usual colour
        x = images[:, ::2, ::2].astype(np.float32)
        x -= np.median(x, axis=(1, 2), keepdims=True)
        return np.abs(x).max(axis=-1).reshape(len(x), -1)

    trees = ExtraTreesClassifier(100, random_state=0, n_jobs=1)
    trees.fit(features(data.train.image), data.train.label)
    assert trees.score(features(data.test.image), data.test.label) > 0.3


@pytest.mark.real_data
def test_real_images_are_the_published_ones(real_data):
    data = cifar10.load(Request("real", real_data))
    assert data.train.image.shape == (50_000, 32, 32, 3)
    assert data.test.image.shape == (10_000, 32, 32, 3)
    assert np.bincount(data.train.label).tolist() == [5_000] * 10
    assert [data.classes[i] for i in data.train.label[:3]] == ["frog", "truck", "truck"]
    assert [data.classes[i] for i in data.test.label[:3]] == ["cat", "ship", "ship"]
    mean = data.train.image.mean(axis=(0, 1, 2)) / 255  # as quoted everywhere
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=1e-4)
