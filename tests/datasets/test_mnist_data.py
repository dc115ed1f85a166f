"""MNIST and Fashion-MNIST: the IDX parser and its refusals, the twins, the published files."""

import gzip
import struct

import numpy as np
import pytest

from datasets import mnist
from datasets.source import DataError, Request, sha256_of


def idx(path, axes, content, kind=0x08):
    header = bytes([0, 0, kind, len(axes)]) + struct.pack(f">{len(axes)}I", *axes)
    path.write_bytes(gzip.compress(header + bytes(content)))
    return path


def folder_of(tmp_path, images, labels):
    """A data folder of user files: what SHA256SUMS lists is taken as a local mirror."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    train_x, train_y, test_x, test_y = (
        folder / upstream.filename for upstream in mnist.upstreams("mnist")
    )
    for x, y in ((train_x, train_y), (test_x, test_y)):
        idx(x, (len(images), 28, 28), images.tobytes())
        idx(y, (len(labels),), labels.tobytes())
    sums = [f"{sha256_of(path)}  {path.name}\n" for path in sorted(folder.glob("*.gz"))]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return Request("real", tmp_path)


def test_pixels_and_labels_come_back(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    labels = np.array([9, 0, 4], np.uint8)
    data = mnist.load(folder_of(tmp_path, images, labels), "mnist")
    np.testing.assert_array_equal(data.train.image, images)
    np.testing.assert_array_equal(data.test.label, labels)
    assert data.provenance.kind == "local mirror"
    assert data.classes[9] == "9"


@pytest.mark.parametrize(
    ("axes", "content", "kind", "problem"),
    [
        ((2, 28, 28), 2 * 784 - 1, 0x08, "fewer bytes"),
        ((2, 28, 28), 2 * 784 + 1, 0x08, "more bytes"),
        ((2, 28, 28), 2 * 784, 0x0D, "no IDX file of unsigned bytes"),
        ((2,), 2, 0x08, "with 3 axes"),
        ((2, 27, 28), 2 * 27 * 28, 0x08, "2 x 27 x 28 entries, not rows x 28 x 28"),
        ((0, 28, 28), 0, 0x08, "0 x 28 x 28"),
        ((2**31, 28, 28), 784, 0x08, "2147483648 x 28 x 28"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, axes, content, kind, problem):
    path = idx(tmp_path / "x.gz", axes, bytes(content), kind)
    with pytest.raises(DataError, match=problem) as caught:
        mnist.read_idx(path, (28, 28))
    assert "x.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_gzipped_or_cut_short_are_refused(tmp_path):
    whole = idx(tmp_path / "whole.gz", (50, 28, 28), np.random.default_rng(0).bytes(50 * 784))
    cut = tmp_path / "cut.gz"
    cut.write_bytes(whole.read_bytes()[:5000])
    flipped = bytearray(whole.read_bytes())
    flipped[3000] ^= 0xFF
    broken = tmp_path / "broken.gz"
    broken.write_bytes(flipped)
    plain = tmp_path / "plain.gz"
    plain.write_bytes(b"no gzip")
    for path in (cut, broken, plain, tmp_path / "absent.gz"):
        with pytest.raises(DataError, match="cannot be read as a gzipped IDX file"):
            mnist.read_idx(path, (28, 28))


def test_labels_must_fit_the_images(tmp_path):
    images = np.zeros((3, 28, 28), np.uint8)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=r"has the label 10"):
        mnist.load(folder_of(tmp_path / "a", images, np.array([1, 10, 2], np.uint8)), "mnist")
    with pytest.raises(DataError, match="has 2 labels, but there are 3 images"):
        mnist.load(folder_of(tmp_path / "b", images, np.array([1, 2], np.uint8)), "mnist")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_twin_repeats_and_can_be_learnt(name):
    from sklearn.neighbors import KNeighborsClassifier

    arrays = mnist.simulate(name, 1200)
    again = mnist.simulate(name, 1200)
    for key, value in arrays.items():
        np.testing.assert_array_equal(value, again[key])
    assert arrays["train_image"].shape == (1200, 28, 28)
    assert arrays["test_image"].shape == (200, 28, 28)
    assert arrays["train_image"].dtype == np.uint8
    assert (np.bincount(arrays["test_label"]) == 20).all()
    flat = {half: arrays[f"{half}_image"].reshape(-1, 784) for half in ("train", "test")}
    model = KNeighborsClassifier(1).fit(flat["train"], arrays["train_label"])
    score = model.score(flat["test"], arrays["test_label"])
    assert 0.6 < score < 1.0  # neither noise nor trivial
    with pytest.raises(DataError, match="at least 60"):
        mnist.simulate(name, 59)


def test_twin_says_that_it_is_one():
    data = mnist.load(Request("simulated"), "fashion_mnist", twin_rows=60)
    assert data.provenance.kind == "simulated"
    assert "simulated twin" in data.provenance.line()
    assert len(data.test.label) == 10


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "mean"), [("mnist", 33.3184), ("fashion_mnist", 72.9404)])
def test_published_files(real_data, name, mean):
    data = mnist.load(Request("real", real_data), name)
    assert data.provenance.kind == "real"
    assert data.train.image.shape == (60_000, 28, 28)
    assert data.test.image.shape == (10_000, 28, 28)
    assert data.train.image.mean() == pytest.approx(mean, abs=1e-4)
    if name == "fashion_mnist":
        assert (np.bincount(data.test.label) == 1000).all()
