"""Pictures of one's own: a folder with a sub-folder for each class.

    cats_and_dogs/cat/*.jpg, cats_and_dogs/dog/*.png          split by share, class by class
    cats_and_dogs/train/cat/*.jpg, cats_and_dogs/test/cat/... split by these two folders

Every picture becomes a square by one rule: its shorter side is scaled to the size asked for and the
middle of the longer side is kept. Copies of a file, byte for byte, count once, so that no picture
is learnt and tested on. Files that cannot be read are named and left out.
"""

import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps

from datasets import cifar10, download, mnist, pictures, source, splits
from datasets.labelled_images import Arrays, ImageRows, Images, counts, images
from datasets.source import DataError, Provenance, Request
from jaxdl.errors import UserError, refuse_without
from jaxdl.hashing import digest

MAX_FILES = 50_000
MAX_CLASSES = 1_000
MAX_NAMED = 2_000  # pictures to be judged in one call
MOST_UNREADABLE = 0.2  # share of the files; from here on something else is wrong
NAMED = 3  # files of a kind that are named in a line
TEST_SHARE = 0.2  # part of each class that is tested on, unless another is asked for
FEWEST_DIGITS = 80  # grey pictures to train on; PCA needs more than it has components
BRIGHTER_THAN = 0.99  # of the test images: from here on a picture looks inverted
FEWEST = 10  # pictures of a class to train on and, where they are split by share, to test on
TRAIN, TEST = "train", "test"
NO_PICTURES = ("thumbs.db", "desktop.ini", "__macosx")  # what systems leave in folders


@dataclass(frozen=True)
class UserImages:
    """One's own pictures, and what is to be said about them.

    Attributes:
        images: training and test images, classes and provenance.
        remarks: lines to print: how they were read and split, what was left out.
    """

    images: Images
    remarks: tuple[str, ...]


class _File(NamedTuple):
    path: Path
    label: int
    half: Literal["train", "test", ""]  # "" where the folders do not say


def load(
    request: Request,
    folder: Path,
    size: int,
    colour: bool,
    *,
    fewest_classes: int = 2,
    test_share: float = TEST_SHARE,
    seed: int = 0,
) -> UserImages:
    """The pictures of a folder as squares of `size` pixels.

    Args:
        request: a source other than "auto" does not go with a folder.
        folder: a sub-folder for each class, or two, train and test, that hold these.
        size: side of the squares.
        colour: three channels; else one of grey.
        fewest_classes: how many there must be at least.
        test_share: part of each class that is tested on, where folders do not say which.
        seed: of that choice.

    Raises:
        DataError: no such folder, not sorted by class, too few or too many pictures, too many that
            cannot be read.
    """
    if request.source != "auto":
        raise DataError(f"--images is the source of the data: leave --source {request.source} out")
    if not 0 < test_share < 1:
        raise DataError(f"--test-share {test_share}: must lie between 0 and 1")
    classes, files = _files_by_class(folder)
    if len(classes) < fewest_classes:
        raise DataError(
            f"holds {len(classes)} folder(s) with pictures, {fewest_classes} are needed: a "
            "sub-folder for each class",
            file=folder,
        )
    files, sums, copies = _without_copies(files)
    pixels, problems = _read_all(files, sums, size, colour)
    unreadable = [file.path for file, problem in zip(files, problems, strict=True) if problem]
    if len(unreadable) > MOST_UNREADABLE * len(files):
        first = next(problem for problem in problems if problem)
        raise DataError(
            f"{len(unreadable):,} of {len(files):,} files are no pictures that can be read, more "
            f"than {MOST_UNREADABLE:.0%} ({first})",
            file=folder,
        )
    good = np.array([not problem for problem in problems])
    kept = [file for file, is_good in zip(files, good, strict=True) if is_good]
    label = np.array([file.label for file in kept], np.int32)
    train, test, how = _split(folder, classes, kept, label, test_share, seed)
    pixels = pixels[good]
    arrays = {
        "train_image": pixels[train],
        "train_label": label[train],
        "test_image": pixels[test],
        "test_label": label[test],
    }
    remarks = [
        f"pictures: shorter side scaled to {size} pixels, middle of the longer side kept; {how}",
        *_left_out(folder, "cannot be read", unreadable),
        *_left_out(folder, "are copies of others", copies),
        _balance(classes, arrays),
    ]
    detail = f"{counts(arrays)}, {len(classes)} classes"
    provenance = Provenance(
        folder.resolve().name, "user file", _sum_of(folder, files, sums), detail
    )
    return UserImages(images(arrays, classes, provenance), tuple(remarks))


class DigitImages(NamedTuple):
    """Grey pictures the size of MNIST's.

    Attributes:
        images: of the set, or one's own.
        valid_rows: how many of the last training ones are for validation.
        remarks: on one's own.
    """

    images: Images
    valid_rows: int
    remarks: Sequence[str]


def load_or_mnist(
    request: Request,
    folder: Path | None,
    *,
    data: mnist.Name,
    twin_rows: int,
    valid_rows: int,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    fewest: int = FEWEST_DIGITS,
) -> DigitImages:
    """Pictures of a folder, grey and in random order, or a set of `datasets.mnist`.

    Args:
        request: of both.
        folder: of pictures, or None.
        data, twin_rows: see `mnist.load`.
        valid_rows: of the last training ones; of one's own at most a fifth.
        test_share, seed: see `load`; the seed draws the order, too.
        fewest: pictures of one's own to train on.

    Raises:
        DataError: see `load` and `mnist.load`, or too few pictures of one's own.
        UserError: no folder, but a share or a seed of its split.
    """
    if folder is None:
        _refuse_without_folder(test_share, seed)
        return DigitImages(mnist.load(request, data, twin_rows), valid_rows, ())
    found = load(
        request,
        folder,
        mnist.SIDE,
        colour=False,
        fewest_classes=1,
        test_share=test_share,
        seed=seed,
    )
    rows = len(found.images.train.label)
    if rows < fewest:
        problem = f"{rows} pictures to train on, at least {fewest} are needed"
        raise DataError(f"{folder} has {problem}")
    own = shuffled(found.images, seed)
    return DigitImages(own, min(valid_rows, rows // 5), found.remarks)


def load_or_cifar10(
    request: Request,
    folder: Path | None,
    *,
    twin_rows: tuple[int, int],
    test_share: float = TEST_SHARE,
    seed: int = 0,
) -> UserImages:
    """Pictures of a folder, in colour and in random order, or CIFAR-10.

    Args:
        request: of both.
        folder: of pictures, or None.
        twin_rows: see `cifar10.load`.
        test_share, seed: see `load`; the seed draws the order, too.

    Raises:
        DataError: see `load` and `cifar10.load`.
        UserError: no folder, but a share or a seed of its split.
    """
    if folder is None:
        _refuse_without_folder(test_share, seed)
        return UserImages(cifar10.load(request, twin_rows), ())
    found = load(request, folder, cifar10.SIZE, colour=True, test_share=test_share, seed=seed)
    return replace(found, images=shuffled(found.images, seed))


def _refuse_without_folder(test_share: float, seed: int) -> None:
    given = {"test_share": test_share != TEST_SHARE, "split_seed": seed != 0}
    refuse_without("images FOLDER", given)


def square(
    picture: UInt8[np.ndarray, "rows columns 3"], size: int, colour: bool
) -> UInt8[np.ndarray, "{size} {size} *channels"]:
    """A picture by the rule: shorter side scaled to `size`, the middle of the longer one kept.

    Grey is 0.299 red + 0.587 green + 0.114 blue (ITU-R 601).

    >>> wide = np.zeros((2, 6, 3), np.uint8)
    >>> wide[:, 2:4] = 255
    >>> square(wide, 2, colour=False).tolist()
    [[255, 255], [255, 255]]
    """
    whole = Image.fromarray(picture)
    fitted = ImageOps.fit(whole, (size, size), Image.Resampling.LANCZOS)
    return np.array(fitted if colour else fitted.convert("L"))


def read_square(path: Path, size: int, colour: bool) -> UInt8[np.ndarray, "size size *channels"]:
    """A picture file as a square; see `square`.

    Raises:
        UserError: it is no picture, is broken or has too many pixels; names the file.
    """
    with warnings.catch_warnings():
        # Pillow warns of a picture that unpacks to very many pixels: here that is an error
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        try:
            return square(pictures.read(path), size, colour)
        except Image.DecompressionBombWarning as error:
            raise UserError(f"{path} has too many pixels ({error})") from error


class NamedPictures(NamedTuple):
    """Pictures to be judged, in the order in which they were named.

    Attributes:
        names: files as they were named; of a folder those below it.
        pixels: the pictures as squares.
        remarks: lines to print: what was left out.
    """

    names: list[str]
    pixels: UInt8[np.ndarray, "files size size *channels"]
    remarks: list[str]


def named(inputs: Sequence[str], size: int, colour: bool) -> NamedPictures:
    """Pictures by file or by folder, as squares.

    Raises:
        DataError: a file or folder that is not there, a named file that is no picture, a folder
            without any, or more than `MAX_NAMED` files.
    """
    names: list[str] = []
    squares, unreadable = [], []
    for given in inputs:
        path = Path(given)
        if not path.exists():
            raise DataError("does not exist: name pictures or folders of them", file=path)
        files = files_below(path) if path.is_dir() else [path]
        if len(names) + len(files) > MAX_NAMED:
            raise DataError(f"at most {MAX_NAMED:,} pictures are judged at once", file=path)
        before = len(names)
        for file in files:
            try:
                squares.append(read_square(file, size, colour))
            except UserError as error:
                if not path.is_dir():
                    raise DataError(str(error)) from error
                unreadable.append(file)
            else:
                names.append(str(file))
        if len(names) == before:
            raise DataError("holds no picture that can be read", file=path)
    return NamedPictures(names, np.stack(squares), _left_out(None, "cannot be read", unreadable))


def brightness_notes(
    pictures: UInt8[np.ndarray, "files size size"], learnt: UInt8[np.ndarray, "rows size size"]
) -> list[str]:
    """A sentence where named grey pictures are far brighter than those of the learnt kind.

    Digits are light on black in the published sets, and dark on white on paper: nets that have
    learnt the former copy the latter badly, whatever the digit.
    """
    brightest = np.quantile(learnt.mean(axis=(1, 2)), BRIGHTER_THAN)
    brighter = int((pictures.mean(axis=(1, 2)) > brightest).sum())
    if not brighter:
        return []
    return [
        f"{brighter:,} of {len(pictures):,} pictures are brighter than {BRIGHTER_THAN:.0%} of the "
        "test images. Where the run has learnt light figures on black, invert dark ones on white."
    ]


def files_below(folder: Path) -> list[Path]:
    """All files below a folder by name, without hidden ones and what systems leave behind.

    Raises:
        DataError: there are more than `MAX_FILES`, or it cannot be read.
    """
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot be read ({error.strerror})", file=folder) from error

    for top, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(filter(_is_shown, folders))
        found += [Path(top, name) for name in sorted(filter(_is_shown, names))]
        if len(found) > MAX_FILES:
            raise DataError(f"holds more than {MAX_FILES:,} files", file=folder)
    return found


def share_with_every_class(label: Int[np.ndarray, " rows"], share: float) -> float:
    """The share asked for, or the least that takes a row of each class.

    >>> share_with_every_class(np.array([0] * 50 + [1] * 5), 0.02)
    0.12
    """
    smallest = int(np.unique(label, return_counts=True)[1].min())
    return max(share, 0.6 / smallest)


def shuffled(data: Images, seed: int) -> Images:
    """Training and test rows in random order, so that the last or first ones are of all classes."""
    rng = np.random.Generator(np.random.PCG64(seed))
    halves = []
    for half in (data.train, data.test):
        order = rng.permutation(len(half.label))
        halves.append(ImageRows(half.image[order], half.label[order]))
    return replace(data, train=halves[0], test=halves[1])


def class_rows(data: Images) -> list[dict[str, str | int | float]]:
    """Rows of a table: how many pictures of each class there are."""
    rows = []
    for k, name in enumerate(data.classes):
        train, test = ((half.label == k).sum() for half in (data.train, data.test))
        share = (train + test) / (len(data.train.label) + len(data.test.label))
        rows.append({"class": name, "training": int(train), "test": int(test), "share": share})
    return rows


def largest_class_share(data: Images) -> float:
    """Test accuracy of always naming the class with most training pictures."""
    largest = np.bincount(data.train.label).argmax()
    return float((data.test.label == largest).mean())


# ---- files ---------------------------------------------------------------------------------------


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in NO_PICTURES


def _sub_folders(folder: Path) -> dict[str, Path]:
    """Name -> sub-folder; Hangul as one letter a syllable, whatever the file system makes of it."""
    try:
        found = sorted(path for path in folder.iterdir() if path.is_dir() and _is_shown(path.name))
    except FileNotFoundError:
        raise DataError("does not exist: a folder of pictures is needed", file=folder) from None
    except NotADirectoryError:
        raise DataError("is no folder: name the one that holds the classes", file=folder) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=folder) from error
    return {_class_name(path): path for path in found}


def _class_name(folder: Path) -> str:
    text = os.fsencode(folder.name).decode("utf-8", "replace")
    return unicodedata.normalize("NFC", text)


def _files_by_class(folder: Path) -> tuple[tuple[str, ...], list[_File]]:
    """Names of the classes, and all files with their class."""
    folders = _sub_folders(folder)
    if not {TRAIN, TEST} & set(folders):
        halves = {"": folders}
    elif set(folders) == {TRAIN, TEST}:
        halves = {half: _sub_folders(path) for half, path in folders.items()}
        alone = set(halves[TRAIN]) ^ set(halves[TEST])
        if alone:
            raise DataError(
                f"{', '.join(sorted(alone)[:NAMED])}: a class must stand in train and in test",
                file=folder,
            )
    else:
        named = ", ".join(list(folders)[:NAMED])
        raise DataError(
            f"holds {named}: either train and test and nothing else, or a folder for each class",
            file=folder,
        )
    names = tuple(sorted(next(iter(halves.values()))))
    if len(names) > MAX_CLASSES:
        raise DataError(f"holds {len(names):,} classes, at most {MAX_CLASSES:,}", file=folder)
    files = [
        _File(path, label, half)
        for half in sorted(halves, reverse=True)  # train before test
        for label, name in enumerate(names)
        for path in files_below(halves[half][name])
    ]
    if len(files) > MAX_FILES:
        raise DataError(f"holds more than {MAX_FILES:,} files", file=folder)
    empty = [name for k, name in enumerate(names) if all(file.label != k for file in files)]
    if empty:
        raise DataError(f"class {empty[0]} has no pictures", file=folder)
    return names, files


def _without_copies(files: Sequence[_File]) -> tuple[list[_File], list[str], list[Path]]:
    """The files without those that are byte for byte an earlier one, their sums, the copies."""
    kept, sums, copies = [], [], []
    seen: set[str] = set()
    for file in files:
        try:
            found = source.sha256_of(file.path)
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", file=file.path) from error
        if found in seen:
            copies.append(file.path)
        else:
            seen.add(found)
            kept.append(file)
            sums.append(found)
    return kept, sums, copies


def _read_all(
    files: Sequence[_File], sums: Sequence[str], size: int, colour: bool
) -> tuple[UInt8[np.ndarray, "files size size *channels"], list[str]]:
    """Squares of all files, and for each why it could not be read ("" where it could).

    Kept in the cache under the files' bytes: large photographs take their time.
    """

    def read() -> Arrays:
        squares = np.zeros((len(files), size, size, *([3] if colour else [])), np.uint8)
        problems = []
        with download.progress("pictures", len(files), "files") as bar:
            for i, file in enumerate(files):
                problem = ""
                try:
                    squares[i] = read_square(file.path, size, colour)
                except UserError as error:
                    problem = " ".join(str(error).split())[:500]
                problems.append(problem)
                bar.update()
        told = np.frombuffer("\n".join(problems).encode("utf-8", "replace"), np.uint8)
        return {"squares": squares, "problems": told}

    key = digest([list(sums), [str(file.path) for file in files], size, colour])[:32]
    found = source.cached_arrays(f"user-images-{key}", read)
    problems = found["problems"].tobytes().decode("utf-8", "replace").split("\n")
    return found["squares"], problems


def _sum_of(folder: Path, files: Sequence[_File], sums: Sequence[str]) -> str:
    """sha256 of the pictures with their places below the folder."""
    places = [file.path.relative_to(folder).as_posix() for file in files]
    return digest([list(pair) for pair in zip(places, sums, strict=True)])


# ---- split ---------------------------------------------------------------------------------------


def _split(
    folder: Path,
    classes: Sequence[str],
    files: Sequence[_File],
    label: Int[np.ndarray, " rows"],
    share: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, str]:
    """Row numbers to train and to test on, and how they were chosen."""
    by_folder = bool(files) and files[0].half != ""
    in_test = np.array([file.half == TEST for file in files])
    for k, name in enumerate(classes):
        learnt = int(((label == k) & ~in_test).sum())
        tested = int(((label == k) & in_test).sum())
        if learnt < FEWEST or (by_folder and not tested):
            place = "to train on" if learnt < FEWEST else "to test on"
            raise DataError(
                f"class {name} has {learnt if learnt < FEWEST else tested} pictures {place} that "
                f"can be read, at least {FEWEST if learnt < FEWEST else 1} are needed",
                file=folder,
            )
    if by_folder:
        return np.flatnonzero(~in_test), np.flatnonzero(in_test), "split by folders train and test"
    train, test = splits.split_by_class(label, share, seed)
    return train, test, f"{share:.0%} of each class is tested on, drawn with seed {seed}"


# ---- what is said --------------------------------------------------------------------------------


def _left_out(folder: Path | None, why: str, paths: Sequence[Path]) -> list[str]:
    """A line that names the first of the files left out; none where none was."""
    if not paths:
        return []
    first = [path if folder is None else path.relative_to(folder) for path in paths[:NAMED]]
    named = ", ".join(path.as_posix() for path in first)
    more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    return [f"left out: {len(paths):,} files that {why} ({named}{more})"]


def _balance(classes: Sequence[str], arrays: Arrays) -> str:
    """A line that counts the classes; long lists are cut to the largest and the smallest."""
    label = np.concatenate([arrays["train_label"], arrays["test_label"]])
    ordered = Counter(label.tolist()).most_common()
    told = [f"{classes[k]} {count:,}" for k, count in ordered]
    if len(told) > 12:
        told = [*told[:6], "...", *told[-5:]]
    ratio = ordered[0][1] / ordered[-1][1]
    return f"classes: {', '.join(told)}; the largest has {ratio:.1f} times the smallest"
