"""Pictures of one's own: how they are resized and split, what is left out, refusals of one line."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from datasets import user_images
from datasets.source import DataError, Request


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))


def painted(folder, count, colour, size=(40, 30), suffix="png"):
    """`count` pictures, each with a level of its own in one channel."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        level = np.zeros((size[1], size[0], 3), np.uint8)
        level[..., colour] = 100 + i
        Image.fromarray(level).save(folder / f"{i:03d}.{suffix}")
    return folder


def two_classes(top, cats=20, dogs=10):
    painted(top / "cat", cats, 0)
    painted(top / "dog", dogs, 2, size=(33, 70), suffix="bmp")
    return top


def load(folder, **choice):
    return user_images.load(Request(), folder, 8, True, **choice)


def test_the_shorter_side_is_scaled_and_the_middle_kept():
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:, :32] = 255  # cut off: only columns 32 to 96 are the middle
    picture[:32, 32:96] = (10, 20, 30)
    found = user_images.square(picture, 32, colour=True)
    assert found.shape == (32, 32, 3)
    left = found[:12, 3:-3].astype(int) - (10, 20, 30)
    assert np.abs(left).max() <= 1  # the edges ring a little
    assert found[20:, 3:].max() <= 1
    tall = user_images.square(picture.transpose(1, 0, 2).copy(), 32, colour=False)
    assert tall.shape == (32, 32)
    assert tall[10, 5] == round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)
    assert tall[10, 25] == 0


def test_a_split_by_share_takes_as_much_of_each_class(tmp_path):
    found = load(two_classes(tmp_path / "own"), test_share=0.3, seed=3)
    data = found.images
    assert data.classes == ("cat", "dog")
    assert np.bincount(data.train.label).tolist() == [14, 7]
    assert np.bincount(data.test.label).tolist() == [6, 3]
    # labels belong to their pictures: cats are red, dogs are blue
    for half in (data.train, data.test):
        assert (half.image[..., 0].max(axis=(1, 2)) > 0).tolist() == (half.label == 0).tolist()
    assert data.provenance.kind == "user file"
    assert "21 + 9 images of 8x8x3, 2 classes" in data.provenance.line()
    said = "\n".join(found.remarks)
    assert "30% of each class is tested on, drawn with seed 3" in said
    assert "classes: cat 20, dog 10; the largest has 2.0 times the smallest" in said
    again = load(tmp_path / "own", test_share=0.3, seed=3).images
    np.testing.assert_array_equal(again.test.image, data.test.image)
    other = load(tmp_path / "own", test_share=0.3, seed=4).images
    assert (other.test.image != data.test.image).any()
    assert user_images.largest_class_share(data) == pytest.approx(6 / 9)
    assert user_images.class_rows(data)[1] == {
        "class": "dog", "training": 7, "test": 3, "share": pytest.approx(1 / 3),
    }  # fmt: skip


def test_folders_train_and_test_decide(tmp_path):
    two_classes(tmp_path / "train", cats=12, dogs=11)
    two_classes(tmp_path / "test", cats=14, dogs=13)
    found = load(tmp_path)
    # byte for byte the same pictures stand in both folders: they are learnt, not tested on
    assert np.bincount(found.images.train.label).tolist() == [12, 11]
    assert np.bincount(found.images.test.label).tolist() == [2, 2]
    said = "\n".join(found.remarks)
    assert "split by folders train and test" in said
    assert "left out: 23 files that are copies of others (test/cat/000.png" in said


def test_files_that_cannot_be_read_are_named_and_left_out(tmp_path):
    folder = two_classes(tmp_path / "own")
    whole = (folder / "cat" / "000.png").read_bytes()
    (folder / "cat" / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "dog" / "notes.txt").write_text("my dogs")
    (folder / "dog" / ".hidden").write_text("x")
    (folder / "dog" / "Thumbs.db").write_text("x")
    for _ in range(2):  # read, then from the cache
        found = load(folder)
        said = "\n".join(found.remarks)
        assert "left out: 2 files that cannot be read (cat/half.png, dog/notes.txt)" in said
        assert len(found.images.train.label) + len(found.images.test.label) == 30
    for i in range(8):
        (folder / "dog" / f"page{i}.txt").write_text(f"page {i}")
    with pytest.raises(DataError, match=r"10 of 40 files are no pictures.*more than 20%"):
        load(folder)


def test_a_picture_that_unpacks_to_too_many_pixels_is_left_out(tmp_path, monkeypatch):
    folder = two_classes(tmp_path / "own")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 30)  # cats just pass, dogs do not
    with pytest.raises(DataError, match=r"10 of 30 files.*too many pixels"):
        load(folder)


def test_korean_names_are_one_letter_a_syllable(tmp_path):
    painted(tmp_path / unicodedata.normalize("NFD", "고양이"), 10, 0)
    painted(tmp_path / "강아지", 10, 1)
    assert load(tmp_path).images.classes == ("강아지", "고양이")


def test_grey_of_one_class(tmp_path):
    painted(tmp_path / "digits", 10, 1)
    found = user_images.load(Request(), tmp_path, 28, False, fewest_classes=1)
    assert found.images.train.image.shape == (8, 28, 28)
    assert set(found.images.train.image[:, 0, 0]) <= {round(0.587 * (100 + i)) for i in range(10)}


def test_a_share_too_small_for_the_smallest_class_is_raised():
    label = np.array([0] * 40 + [1] * 8)
    share = user_images.share_with_every_class(label, 0.01)
    assert round(share * 8) == 1
    assert user_images.share_with_every_class(label, 0.25) == 0.25


def test_shuffled_pictures_keep_their_labels(tmp_path):
    data = load(two_classes(tmp_path / "own")).images
    mixed = user_images.shuffled(data, 0)
    assert mixed.train.label.tolist() != data.train.label.tolist()
    assert sorted(mixed.train.label) == sorted(data.train.label)
    red = mixed.train.image[..., 0].max(axis=(1, 2)) > 0
    assert red.tolist() == (mixed.train.label == 0).tolist()


def test_the_last_pictures_in_colour_are_of_all_classes(tmp_path):
    """A lab that leaves out a remnant of a batch must not leave out a class."""
    folder = two_classes(tmp_path / "own")
    found = user_images.load_or_cifar10(Request(), folder, twin_rows=(10, 10)).images
    in_order = user_images.load(Request(), folder, 32, True).images
    assert sorted(found.train.label) == in_order.train.label.tolist()
    assert set(found.train.label[-6:]) == {0, 1}
    assert set(in_order.train.label[-6:]) == {1}
    assert found.provenance == in_order.provenance


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda top: None, "does not exist"),
        (lambda top: top.write_text("x"), "is no folder"),
        (lambda top: top.mkdir(), "holds 0 folder"),
        (lambda top: painted(top / "cat", 10, 0), "holds 1 folder"),
        (lambda top: two_classes(top, dogs=9), "class dog has 9 pictures to train on"),
        (lambda top: (two_classes(top), (top / "empty").mkdir()), "class empty has no pictures"),
        (lambda top: (two_classes(top), (top / "train").mkdir()), "either train and test and"),
        (
            lambda top: (two_classes(top / "train"), painted(top / "test" / "cat", 3, 1)),
            "dog: a class must stand in train and in test",
        ),
    ],
)
def test_refusals(tmp_path, made, told):
    top = tmp_path / "own"
    made(top)
    with pytest.raises(DataError, match=told) as error:
        load(top)
    assert "\n" not in str(error.value)
    assert str(top) in str(error.value)


def test_other_refusals(tmp_path, monkeypatch):
    folder = two_classes(tmp_path / "own")
    with pytest.raises(DataError, match=r"--test-share 1\.5"):
        load(folder, test_share=1.5)
    with pytest.raises(DataError, match="leave --source simulated out"):
        user_images.load(Request("simulated"), folder, 8, True)
    monkeypatch.setattr(user_images, "MAX_FILES", 12)
    with pytest.raises(DataError, match="more than 12 files"):
        load(folder)
