"""MNIST and Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28 pixels in ten classes.

MNIST: LeCun, Cortes and Burges (CC BY-SA 3.0). Fashion-MNIST: Xiao, Rasul and Vollgraf, 2017 (MIT).
Data of lab 460. Both come as gzipped IDX files: a big-endian header (0, 0, type, number of axes,
then the length of each axis) and the bytes. Each has a simulated twin: jittered strokes in the
place of digits, filled and striped outlines in the place of clothes.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from datasets import source
from datasets.labelled_images import Images, counts, images, prepared, twin
from datasets.source import DataError, Request, Upstream

Name = Literal["mnist", "fashion_mnist"]
ROWS = 60_000  # the published training images; there are a sixth as many test images
SIDE = 28
MAX_ROWS = 1_000_000
UNSIGNED_BYTES = 0x08
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
}
FOLDERS = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}
# (file, sha256, bytes) in the order training images, training labels, test images, test labels
PUBLISHED = {
    "mnist": (
        (
            "train-images-idx3-ubyte.gz",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            9_912_422,
        ),
        (
            "train-labels-idx1-ubyte.gz",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            28_881,
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            1_648_877,
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            4_542,
        ),
    ),
    "fashion_mnist": (
        (
            "train-images-idx3-ubyte.gz",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            26_421_880,
        ),
        (
            "train-labels-idx1-ubyte.gz",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            29_515,
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            4_422_102,
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            5_148,
        ),
    ),
}

# Where the twin's strokes turn, in a box 4 wide and 6 high; a blank lifts the pen.
STROKES = (
    "1030 3041 4145 4536 3616 1605 0501 0110",
    "1120 2026 1636",
    "0110 1030 3041 4142 4206 0646",
    "0010 1030 3041 4132 3213 3244 4445 4536 3606",
    "3604 0430 3036 0444",
    "4000 0003 0333 3344 4445 4536 3606",
    "3010 1002 0205 0516 1636 3645 4544 4433 3303",
    "0040 4041 4116 1333",
    "1030 3041 4132 3212 1201 0110 1204 0405 0516 1636 3645 4544 4432",
    "4130 3010 1001 0102 0213 1343 4130 4146 4626",
)


def load(request: Request, name: Name = "mnist", twin_rows: int = ROWS) -> Images:
    """The published images where they can be had, else (source "auto") their simulated twin.

    Args:
        request: source and data folder. Local names: mnist/train-images-idx3-ubyte.gz and the
            three others, and the same in fashion_mnist/.
        name: which of the two.
        twin_rows: training images of the twin (a sixth as many to test on), for quick runs;
            without effect on other data.

    Raises:
        DataError: a file that is damaged or not the one it should be; nothing found under "real"
            or "tfds"; fewer than 60 twin rows.
    """
    if request.source == "tfds":
        how = f"prepare it with `tfds build {name} --file_format=array_record`"
        arrays = _read_tfds(source.tfds_folder(request, name, how))
        return prepared(arrays, TITLES[name], CLASSES[name])
    found = source.Missing("")
    if request.source != "simulated":
        found = source.find_all(upstreams(name), request)
    if isinstance(found, source.Missing):
        key = f"{name}-twin-{twin_rows}"
        return twin(lambda: simulate(name, twin_rows), key, TITLES[name], CLASSES[name], found)
    arrays = {}
    for half, image, label in (("train", *found[:2]), ("test", *found[2:])):
        arrays[f"{half}_image"] = read_idx(image.path, (SIDE, SIDE))
        arrays[f"{half}_label"] = read_idx(label.path, ())
        if len(arrays[f"{half}_image"]) != len(arrays[f"{half}_label"]):
            problem = f"has {len(arrays[f'{half}_label']):,} labels, but there are "
            problem += f"{len(arrays[f'{half}_image']):,} images"
            raise DataError(problem, file=label.path)
        wrong = np.flatnonzero(arrays[f"{half}_label"] >= len(CLASSES[name]))
        if wrong.size:
            label_value = arrays[f"{half}_label"][wrong[0]]
            raise DataError(f"has the label {label_value}", file=label.path, row=int(wrong[0]) + 1)
    provenance = source.provenance_of(TITLES[name], found, counts(arrays))
    return images(arrays, CLASSES[name], provenance)


def upstreams(name: Name) -> list[Upstream]:
    """The four published files of one of the two data sets."""
    return [
        Upstream(folder=name, filename=file, url=FOLDERS[name] + file, sha256=digest, size=size)
        for file, digest, size in PUBLISHED[name]
    ]


def read_idx(path: Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, " rows *shape"]:
    """A gzipped IDX file of unsigned bytes.

    Args:
        path: the file.
        shape: of one row; () for labels.

    Raises:
        DataError: it is not gzipped, damaged, of another type or shape, has no rows or more than
            a million, or holds fewer or more bytes than its header says.
    """
    axes = 1 + len(shape)
    try:
        with gzip.open(path) as file:
            header = file.read(4 + 4 * axes)
            if len(header) < 4 + 4 * axes or header[:4] != bytes([0, 0, UNSIGNED_BYTES, axes]):
                problem = f"is no IDX file of unsigned bytes with {axes} axes"
                raise DataError(problem, file=path)
            rows, *lengths = (int(n) for n in np.frombuffer(header, ">u4", offset=4))
            if tuple(lengths) != shape or not 0 < rows <= MAX_ROWS:
                expected = " x ".join(map(str, ("rows", *shape)))
                problem = f"has {' x '.join(map(str, (rows, *lengths)))} entries, not {expected}"
                raise DataError(problem, file=path)
            size = rows * math.prod(shape)
            content = file.read(size)
            if len(content) != size or file.read(1):
                relation = "more" if len(content) == size else "fewer"
                raise DataError(f"holds {relation} bytes than its header says", file=path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read as a gzipped IDX file ({error})", file=path) from error
    return np.frombuffer(content, np.uint8).reshape(rows, *shape)


def simulate(name: Name = "mnist", rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    """The simulated twin: ten drawings, each shifted, turned, sheared, bent and of its own width.

    Args:
        name: "mnist" draws bright strokes; "fashion_mnist" broad ones, which run into one another
            to a filled outline, with stripes and a grey level of their own.
        rows: training images; a sixth as many test images are drawn from the same source.
        seed: of the draw.

    Raises:
        DataError: fewer than 60 rows, which would leave a class without test images.
    """
    if rows < 60:
        raise DataError(f"the twin needs at least 60 training images, not {rows}")
    rng = np.random.Generator(np.random.PCG64([seed, len(name)]))
    arrays = {}
    for half, count in (("train", rows), ("test", rows // 6)):
        label = rng.permutation(np.arange(count) % 10).astype(np.uint8)
        blocks = np.array_split(label, -(-count // 100))  # of a size that stays in a core's cache
        arrays[f"{half}_image"] = np.concatenate([_draw(name, block, rng) for block in blocks])
        arrays[f"{half}_label"] = label
    return arrays


def _draw(name: Name, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One image per label: how far each pixel is from the nearest stroke decides its grey."""
    rows = len(label)
    corners = _corners()[label] + rng.normal(0, 0.13, (rows, 7 * 5, 2)).astype(np.float32)
    turn, shear = rng.normal(0, 0.2, rows), rng.normal(0, 0.3, rows)
    high, wide = rng.uniform(7, 10.5, rows), rng.uniform(4, 8, rows)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.stack([wide * cos, -high * sin, wide * (sin + shear), high * cos], axis=-1)
    matrix = matrix.reshape(rows, 2, 2).transpose(0, 2, 1).astype(np.float32)
    centre = rng.normal(13.5, 1.0, (rows, 1, 2)).astype(np.float32)
    corners = corners @ matrix + centre

    cloth = name == "fashion_mnist"
    width = rng.uniform(*((1.8, 3.0) if cloth else (0.8, 1.8)), rows).astype(np.float32)
    grid = np.arange(SIDE, dtype=np.float32)
    nearest = np.full((rows, SIDE, SIDE), np.inf, np.float32)
    for stroke in range(max(len(strokes.split()) for strokes in STROKES)):
        ends = _ENDS[label, stroke]
        start = np.take_along_axis(corners, ends[:, :1, None], axis=1)[:, 0]
        along = np.take_along_axis(corners, ends[:, 1:, None], axis=1)[:, 0] - start
        dx = grid[None, None, :] - start[:, 0, None, None]
        dy = grid[None, :, None] - start[:, 1, None, None]
        ax, ay = along[:, 0, None, None], along[:, 1, None, None]
        share = np.clip((dx * ax + dy * ay) / (ax * ax + ay * ay + 1e-6), 0, 1)
        dx, dy = dx - share * ax, dy - share * ay
        nearest = np.minimum(nearest, dx * dx + dy * dy)
    ink = np.clip(width[:, None, None] + 0.5 - np.sqrt(nearest), 0, 1)
    if cloth:
        pitch, phase = rng.uniform(2.5, 6, rows), rng.uniform(0, 2 * np.pi, rows)
        stripes = np.cos(2 * np.pi * grid / pitch[:, None] + phase[:, None]).astype(np.float32)
        depth = rng.uniform(0, 0.3, rows) * (label % 2 + 0.3)
        level = rng.uniform(0.45, 1, rows)
        weave = (1 - depth[:, None] * (0.5 + 0.5 * stripes)) * level[:, None]
        ink = ink * weave[:, :, None].astype(np.float32)
    return np.round(255 * ink).astype(np.uint8)


def _corners() -> np.ndarray:
    """[10, 35, 2]: the same 5 x 7 corner points for every class, x and y from -1 to 1."""
    y, x = np.divmod(np.arange(35), 5)
    points = np.stack([x / 2 - 1, y / 3 - 1], axis=-1).astype(np.float32)
    return np.broadcast_to(points, (10, 35, 2))


def _ends() -> np.ndarray:
    """[10, strokes, 2]: numbers of the corners that each stroke joins; short lists repeat."""
    longest = max(len(strokes.split()) for strokes in STROKES)
    table = []
    for strokes in STROKES:
        pairs = [
            (int(x0) + 5 * int(y0), int(x1) + 5 * int(y1)) for x0, y0, x1, y1 in strokes.split()
        ]
        table.append(pairs + [pairs[-1]] * (longest - len(pairs)))
    return np.array(table)


_ENDS = _ends()


def _read_tfds(folder: Path) -> dict[str, np.ndarray]:
    arrays = {}
    for half in ("train", "test"):
        columns = source.read_tfds(folder, ("image", "label"), half)
        images = np.stack(columns["image"])
        if images.shape[1:] != (SIDE, SIDE, 1) or images.dtype != np.uint8:
            problem = f"has {half} images of {images.shape[1:]} {images.dtype}, not (28, 28, 1)"
            raise DataError(f"{problem} uint8", file=folder)
        arrays[f"{half}_image"] = images[..., 0]
        arrays[f"{half}_label"] = np.array(columns["label"], np.uint8)
    return arrays
