"""CIFAR-10: 50,000 + 10,000 colour photographs of 32x32 pixels in ten classes.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009; research use, no licence
stated. Data of lab 010 and of the residual networks. The official binary archive is read member by
member and never extracted. The simulated twin draws coloured shapes: each class is a shape with a
texture, its colour only a hint, on a background of smooth noise.
"""

import tarfile
import zlib
from pathlib import Path

import numpy as np

from datasets import source
from datasets.labelled_images import Images, counts, images, prepared, twin
from datasets.source import DataError, Request

NAME = "CIFAR-10"
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SIZE, CHANNELS = 32, 3
ROWS = {"train": 50_000, "test": 10_000}
ARCHIVE = source.Upstream(
    folder="cifar10",
    filename="cifar-10-binary.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    size=170_052_171,
)
PREPARE = "prepare it with `tfds build cifar10 --file_format=array_record`"
BATCH_ROWS = 10_000  # images in each file of the archive
ROW_BYTES = 1 + CHANNELS * SIZE * SIZE
FILES = {
    "train": tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
    "test": ("cifar-10-batches-bin/test_batch.bin",),
}
MAX_MEMBERS = 100  # the published archive has ten
MAX_MEMBER_BYTES = BATCH_ROWS * ROW_BYTES


def load(request: Request, twin_rows: tuple[int, int] = (50_000, 10_000)) -> Images:
    """The published images where they can be had, else (source "auto") their simulated twin.

    Args:
        request: source and data folder. Local name: cifar10/cifar-10-binary.tar.gz.
        twin_rows: training and test images of the twin; without effect on other data.

    Raises:
        DataError: a file that is damaged or not the one it should be; nothing found under "real"
            or "tfds".
    """
    if request.source == "tfds":
        arrays = _read_tfds(source.tfds_folder(request, "cifar10", PREPARE))
        return prepared(arrays, NAME, CLASSES)
    found = source.Missing("") if request.source == "simulated" else source.find(ARCHIVE, request)
    if isinstance(found, source.Missing):
        train, test = twin_rows
        key = f"cifar10-twin-{train}-{test}"
        return twin(lambda: simulate({"train": train, "test": test}), key, NAME, SHAPES, found)
    arrays = source.cached_arrays(f"cifar10-{found.sha256[:16]}", lambda: read(found.path))
    return images(arrays, CLASSES, source.provenance_of(NAME, [found], counts(arrays)))


def read(path: Path) -> dict[str, np.ndarray]:
    """Both halves out of the archive; nothing is written to disk.

    Returns:
        "train_image", "train_label", "test_image", "test_label", in the archive's order.

    Raises:
        DataError: it is no gzipped tar archive, is damaged, or is not laid out as published.
    """
    wanted = {name for names in FILES.values() for name in names}
    blocks: dict[str, np.ndarray] = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for count, member in enumerate(archive, start=1):
                if count > MAX_MEMBERS or member.size > MAX_MEMBER_BYTES:
                    raise DataError("holds more than the images would", file=path)
                if member.isfile() and member.name in wanted:
                    content = archive.extractfile(member).read(MAX_MEMBER_BYTES)
                    blocks[member.name] = _block(content, path, member.name)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"cannot be read as a tar.gz of images ({error})", file=path) from error
    missing = sorted(wanted - set(blocks))
    if missing:
        raise DataError(f"has no {missing[0]}", file=path)
    arrays = {}
    for half, names in FILES.items():
        rows = np.concatenate([blocks[name] for name in names])
        planes = rows[:, 1:].reshape(-1, CHANNELS, SIZE, SIZE)
        arrays[f"{half}_image"] = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        arrays[f"{half}_label"] = rows[:, 0].astype(np.int32)
    return arrays


def _block(content: bytes, path: Path, name: str) -> np.ndarray:
    """One file of the archive: rows of a label and three planes of pixels."""
    if not content or len(content) % ROW_BYTES:
        problem = f"{name} has {len(content):,} bytes, not a multiple of {ROW_BYTES:,}"
        raise DataError(problem, file=path)
    rows = np.frombuffer(content, np.uint8).reshape(-1, ROW_BYTES)
    if rows[:, 0].max() >= len(CLASSES):
        row = int(np.argmax(rows[:, 0] >= len(CLASSES)))
        raise DataError(f"{name}: label {rows[row, 0]} of image {row} is no class", file=path)
    return rows


def _read_tfds(folder: Path) -> dict[str, np.ndarray]:
    arrays = {}
    for half in ("train", "test"):
        columns = source.read_tfds(folder, ("image", "label"), half)
        arrays[f"{half}_image"] = np.stack(columns["image"]).astype(np.uint8)
        arrays[f"{half}_label"] = np.asarray(columns["label"], np.int32)
    return arrays


# ---- the simulated twin -------------------------------------------------------------------

SHAPES = (
    "disc", "ring", "square", "frame", "triangle", "cross", "stripes", "grid", "two discs", "bar",
)  # fmt: skip


def simulate(rows: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Coloured shapes on smooth noise, one kind for each class.

    Place, size, turn, colour and light vary from image to image, pixels carry noise, and one image
    in twelve shows the shape of another class than its label says, which bounds the accuracy. The
    hue leans to the class, so that a linear model on pixels finds something, but not much.

    Args:
        rows: half ("train", "test") -> number of images.
        seed: draws the images.
    """
    arrays = {}
    for number, (half, count) in enumerate(rows.items()):
        rng = np.random.Generator(np.random.PCG64([seed, number]))
        label = rng.permutation(np.arange(count) % len(SHAPES)).astype(np.int32)
        image = np.empty((count, SIZE, SIZE, CHANNELS), np.uint8)
        for start in range(0, count, 2_000):
            part = slice(start, start + 2_000)
            image[part] = _draw(rng, label[part])
        arrays |= {f"{half}_image": image, f"{half}_label": label}
    return arrays


def _draw(rng: np.random.Generator, label: np.ndarray) -> np.ndarray:
    n = len(label)

    def uniform(low, high):
        return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)

    shown = np.where(rng.random(n) < 1 / 12, rng.integers(0, len(SHAPES), n), label)
    axis = np.linspace(-1, 1, SIZE, dtype=np.float32)
    x, y = axis - uniform(-0.3, 0.3), axis[:, None] - uniform(-0.3, 0.3)
    turn, size = uniform(-0.5, 0.5), uniform(0.45, 0.75)
    u = (np.cos(turn) * x + np.sin(turn) * y) / size
    v = (np.cos(turn) * y - np.sin(turn) * x) / size
    inside = np.zeros((n, SIZE, SIZE), bool)
    for each in range(len(SHAPES)):
        rows = shown == each
        inside[rows] = _shape(each, u[rows], v[rows])

    hue = (label / len(SHAPES) + rng.normal(0, 0.25, n))[:, None] + np.array([0, 1 / 3, 2 / 3])
    colour = 0.5 + 0.4 * np.cos(2 * np.pi * hue)
    coarse = rng.normal(0, 1, (n, 4, 4, CHANNELS))
    ground = 0.45 + 0.12 * coarse.repeat(SIZE // 4, axis=1).repeat(SIZE // 4, axis=2)
    for along in (1, 2):  # blurred, so that no edge but the shape's is sharp
        ground = (ground + np.roll(ground, 3, along) + np.roll(ground, -3, along)) / 3
    light = uniform(0.6, 1.2)[..., None]
    picture = np.where(inside[..., None], colour[:, None, None], ground) * light
    picture += rng.normal(0, 0.08, picture.shape)
    return (picture * 255).clip(0, 255).astype(np.uint8)


def _shape(kind: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which points, in the shape's own coordinates, belong to it."""
    radius, box = np.hypot(u, v), np.maximum(np.abs(u), np.abs(v))
    shapes = (
        lambda: radius < 1,
        lambda: (radius < 1) & (radius > 0.55),
        lambda: box < 0.9,
        lambda: (box < 0.95) & (box > 0.55),
        lambda: (v < 0.8) & (v > 2 * np.abs(u) - 1),
        lambda: (np.minimum(np.abs(u), np.abs(v)) < 0.28) & (box < 1),
        lambda: (box < 1) & (np.sin(9 * u) > 0),
        lambda: (box < 1) & ((np.sin(9 * u) > 0) ^ (np.sin(9 * v) > 0)),
        lambda: np.hypot(np.abs(u) - 0.55, v) < 0.42,
        lambda: (np.abs(v) < 0.3) & (np.abs(u) < 1.1),
    )
    return shapes[kind]()
