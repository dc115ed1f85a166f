"""Rows in many files of a folder, read a few at a time: NumPy arrays, Parquet, or TFDS.

For `jaxdl.training.Streamed`, which shuffles them while a net trains; nothing here holds more than
what was asked for. Files are taken in the order of their names.
"""

import math
import tokenize
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet

from datasets.source import DataError, sha256_of
from jaxdl.hashing import digest


class NumpyShards:
    """Files NAME-00000.npy, NAME-00001.npy, ...: a part of the rows of the array NAME each.

    Args:
        folder: with the files; every array needs as many rows in each part as the others.

    Raises:
        DataError: there are none, one cannot be read, or the parts do not fit together.
    """

    def __init__(self, folder: Path):
        self._files: dict[str, list[Path]] = {}
        for path in sorted(Path(folder).glob("*-*.npy")):
            self._files.setdefault(path.stem.rpartition("-")[0], []).append(path)
        if not self._files:
            raise DataError("holds no files such as x-00000.npy", file=folder)
        numbers = {
            name: [path.stem.rpartition("-")[2] for path in files]
            for name, files in self._files.items()
        }
        (first_name, first_numbers), *others = numbers.items()
        for name, own in others:
            if own != first_numbers:
                apart = sorted(set(own) ^ set(first_numbers))
                problem = f"{first_name!r} and {name!r} do not have the same parts: {apart[0]}"
                raise DataError(problem, file=folder)
        headers = {name: [_header(path) for path in files] for name, files in self._files.items()}
        self._headers = headers
        self._kinds = {}
        for name, parts in headers.items():
            (_, shape, dtype), *others = parts
            for (_, other, kind), path in zip(others, self._files[name][1:], strict=True):
                if (other[1:], kind) != (shape[1:], dtype):
                    problem = f"holds {kind} rows of shape {other[1:]}, the first part {dtype} "
                    raise DataError(f"{problem}{shape[1:]}", file=path)
            self._kinds[name] = jax.ShapeDtypeStruct(shape[1:], dtype)
        sizes = {name: [shape[0] for _, shape, _ in parts] for name, parts in headers.items()}
        first = next(iter(sizes.values()))
        for name, counts in sizes.items():
            if counts != first:
                raise DataError(f"parts of {name!r} hold other rows than others", file=folder)
        self._ends = list(accumulate(first))

    @property
    def kinds(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shape and type of each array of one row."""
        return self._kinds

    def __len__(self) -> int:
        return self._ends[-1]

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows from `start` to `stop` (exclusive)."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in self._kinds}
        for part, first, last in _pieces(self._ends, start, stop):
            for name, kind in self._kinds.items():
                offset, _, dtype = self._headers[name][part]
                numbers = math.prod(kind.shape)
                with self._files[name][part].open("rb") as file:
                    file.seek(offset + first * numbers * dtype.itemsize)
                    flat = np.fromfile(file, dtype, (last - first) * numbers)
                if flat.size != (last - first) * numbers:
                    raise DataError("ends before its last row", file=self._files[name][part])
                found[name].append(flat.reshape(last - first, *kind.shape))
        return {name: x[0] if len(x) == 1 else np.concatenate(x) for name, x in found.items()}

    def digest(self) -> str:
        """sha256 of all files, names included; reads them once."""
        return _digest([path for name in sorted(self._files) for path in self._files[name]])


class ParquetRows:
    """The numeric columns of Parquet files as {"x": float32 [columns]}, and "y" from a label.

    Blanks are refused.

    Args:
        folder: with the files (or one file).
        label: a column that becomes "y", int32; None: there is none.

    Raises:
        DataError: there is no such file, one cannot be read, a column is missing or holds no
            numbers.
    """

    def __init__(self, folder: Path, label: str | None = None):
        folder = Path(folder)
        self._paths = sorted(folder.glob("*.parquet")) if folder.is_dir() else [folder]
        if not self._paths:
            raise DataError("holds no .parquet file", file=folder)
        self._label = label
        self._groups: list[tuple[Path, int]] = []
        sizes, names = [], None
        for path in self._paths:
            metadata = _opened(path).metadata
            own = metadata.schema.to_arrow_schema()
            if names is None:
                names = [n for n in own.names if n != label]
            self._check(own, path, names)
            if [n for n in own.names if n != label] != names:
                raise DataError("has other columns than the first file", file=path)
            for number in range(metadata.num_row_groups):
                self._groups.append((path, number))
                sizes.append(metadata.row_group(number).num_rows)
        self._names = names or []
        self._ends = list(accumulate(sizes)) or [0]
        self._kept: tuple[int, dict[str, np.ndarray]] | None = None

    def _check(self, schema: pa.Schema, path: Path, names: list[str]) -> None:
        if self._label is not None and self._label not in schema.names:
            raise DataError(f"has no column {self._label!r}", file=path)
        for name in schema.names:
            kind = schema.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise DataError(f"column {name!r} holds {kind}, not numbers", file=path)
        if not names:
            raise DataError("has no column of numbers", file=path)
        if len(set(schema.names)) < len(schema.names):
            raise DataError("has two columns of one name", file=path)

    @property
    def kinds(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shape and type of each array of one row."""
        kinds = {"x": jax.ShapeDtypeStruct((len(self._names),), np.dtype(np.float32))}
        if self._label is not None:
            kinds["y"] = jax.ShapeDtypeStruct((), np.dtype(np.int32))
        return kinds

    def __len__(self) -> int:
        return self._ends[-1]

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows from `start` to `stop` (exclusive); the last row group read is kept."""
        found = []
        for number, first, last in _pieces(self._ends, start, stop):
            rows = self._row_group(number)
            found.append({name: x[first:last] for name, x in rows.items()})
        return {name: np.concatenate([rows[name] for rows in found]) for name in self.kinds}

    def _row_group(self, number: int) -> dict[str, np.ndarray]:
        if self._kept is not None and self._kept[0] == number:
            return self._kept[1]
        path, group = self._groups[number]
        try:
            table = _opened(path).read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot be read ({error})", file=path) from error
        for name in table.column_names:
            if table[name].null_count:
                raise DataError("has blanks; fill them before", file=path, column=name)
        columns = [table[name].to_numpy().astype(np.float32) for name in self._names]
        rows = {"x": np.stack(columns, axis=1)}
        if self._label is not None:
            label = table[self._label].to_numpy()
            with np.errstate(invalid="ignore"):
                rows["y"] = label.astype(np.int32)
            if (rows["y"] != label).any():
                problem = "holds labels that are not whole numbers of 32 bits"
                raise DataError(problem, file=path, column=self._label)
        self._kept = number, rows
        return rows

    def digest(self) -> str:
        """sha256 of all files, names included; reads them once."""
        return _digest(self._paths)


class TfdsRows:
    """Features of a prepared TFDS folder in the array_record format, read without TensorFlow.

    TFDS imports the feature classes that the folder's features.json names, so a folder from a
    stranger is to be treated like a stranger's program.

    Args:
        folder: the one with dataset_info.json.
        features: name of each array -> name of the feature, such as {"x": "image", "y": "label"}.
        split: in TFDS's words, such as "train" or "train[:90%]".

    Raises:
        DataError: TFDS cannot read the folder as array_record, there is no such split or feature,
            or rows of a feature differ in their shape or hold no numbers.
    """

    def __init__(self, folder: Path, features: Mapping[str, str], split: str = "train"):
        self._folder, self._features = Path(folder), dict(features)
        try:
            import tensorflow_datasets as tfds

            self._rows = tfds.builder_from_directory(str(folder)).as_data_source(split=split)
            self._count = len(self._rows)
        except Exception as error:  # TFDS and its readers raise dozens of types, none shared
            problem = f"TFDS cannot read split {split!r} as array_record"
            raise DataError(f"{problem} ({type(error).__name__}: {error})", file=folder) from error
        if not self._count:
            raise DataError(f"split {split!r} holds no rows", file=folder)
        first = self.read(0, 1)
        self._kinds = {
            name: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for name, x in first.items()
        }

    @property
    def kinds(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shape and type of each array of one row."""
        return self._kinds

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows from `start` to `stop` (exclusive)."""
        try:
            rows = self._rows.__getitems__(range(start, stop))
        except Exception as error:  # as above
            problem = f"TFDS cannot read rows {start:,} to {stop:,}"
            raise DataError(
                f"{problem} ({type(error).__name__}: {error})", file=self._folder
            ) from error
        return {name: self._stacked(rows, feature) for name, feature in self._features.items()}

    def _stacked(self, rows: Sequence[Mapping[str, Any]], feature: str) -> np.ndarray:
        try:
            stacked = np.stack([row[feature] for row in rows])
        except KeyError as error:
            problem = f"has no feature {feature!r}, only {', '.join(rows[0])}"
            raise DataError(problem, file=self._folder) from error
        except ValueError as error:
            problem = f"feature {feature!r} differs in shape from row to row ({error})"
            raise DataError(problem, file=self._folder) from error
        if stacked.dtype.kind not in "iufb":
            raise DataError(f"feature {feature!r} holds no numbers", file=self._folder)
        return stacked

    def digest(self) -> str:
        """sha256 of all files of the folder, names included; reads them once."""
        return _digest(sorted(path for path in self._folder.iterdir() if path.is_file()))


def _pieces(ends: list[int], start: int, stop: int) -> list[tuple[int, int, int]]:
    """Where rows lie in parts that end at the given rows: (part, first, end), within each part.

    >>> _pieces([10, 15, 40], 8, 20)
    [(0, 8, 10), (1, 0, 5), (2, 0, 5)]
    """
    found = []
    part = bisect_right(ends, start)
    while start < stop:
        first = ends[part - 1] if part else 0
        last = min(ends[part], stop)
        if last > start:
            found.append((part, start - first, last - first))
        start, part = last, part + 1
    return found


def _header(path: Path) -> tuple[int, tuple[int, ...], np.dtype]:
    """Where the numbers of a .npy file begin, the array's shape and type."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            shape, fortran, dtype = _read_header(file, version)
            offset = file.tell()
    except (ValueError, OSError, SyntaxError, tokenize.TokenError) as error:
        raise DataError(f"is no .npy file ({error})", file=path) from error
    if dtype.hasobject or fortran or not shape or min(shape) < 0:
        raise DataError("holds objects, a single number, or columns behind one another", file=path)
    if offset + math.prod(shape) * dtype.itemsize != path.stat().st_size:
        raise DataError(f"is not as long as its {shape[0]:,} rows", file=path)
    return offset, shape, dtype


def _read_header(
    file: BinaryIO, version: tuple[int, int]
) -> tuple[tuple[int, ...], bool, np.dtype]:
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _opened(path: Path) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"is no Parquet file ({error})", file=path) from error


def _digest(paths: list[Path]) -> str:
    return digest({path.name: sha256_of(path) for path in paths})
