"""A scorer in one file: read, check, score. Needs JAX and NumPy, nothing of the training side.

The file holds two StableHLO programs (score with decision, explanation), from raw columns to
numbers, a third one (nearest normal row) where it was made with normal rows, and what must be known
beside them. A file of any table (made with an encoder) also holds the table's schema, and its raw
rows are codes: numbers, places of categories, seconds of dates, NaN where a cell is missing. The
layout is made to be read without trust in it:

    jaxdl-scorer 1 <sha256 of all bytes after this line>
    {"columns": [...], "threshold": {...}, "parts": [{"name": ..., "bytes": ...}, ...], ...}
    <the parts, one after the other: programs, little-endian arrays>

The sum finds damage, not malice: whoever can replace the file can replace the sum. Compare it with
one that came another way (`load(path, sha256=...)`) where that matters. Nothing is unpickled and
no code runs but array programs, of which those that call out of StableHLO or do not end are refused
(`jaxdl.serving.vetting`).

`jaxdl.serving.export` writes such files; `python -m jaxdl.score` applies them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import export

from jaxdl.errors import UserError
from jaxdl.precision import double_precision
from jaxdl.serving import vetting

if TYPE_CHECKING:  # the scoring side needs only JAX and NumPy
    from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64

    from jaxdl.tables.schema import Schema

MAGIC = b"jaxdl-scorer 1 "
FILE_NAME = "scorer.jaxdl"
PLATFORMS = ("cpu", "cuda", "tpu")
MAX_BYTES = 512 << 20
MAX_HEADER = 16 << 20  # a table's categories stand in it
MAX_COLUMNS = 4096
# Rows in one call: many enough to be worth it, few enough to stay in the cache.
LARGEST_BLOCK = 8192
EXPLAINED_BLOCK = 512  # explaining takes as many scores of a row as it has columns
FEW_ROWS = 64  # in a call for one or a few rows, unless the trainer's bits take more of them
MAX_PARTS = 16
PROGRAMS = ("score", "explain")
STORED = ("calibration", "golden_rows", "golden_scores")
# A program and two arrays, or none; the codes are those of a table with a schema.
NEAREST = ("nearest", "normal_values", "normal_numbers")
NEAREST_OF_TABLE = ("nearest", "normal_codes", "normal_numbers")
ARRAYS = {
    "calibration": "<f4",
    "golden_rows": "<f8",
    "golden_scores": "<f4",
    "normal_values": "<f4",
    "normal_codes": "<f8",  # seconds since 1970 do not fit float32
    "normal_numbers": "<i8",
}
OUTPUTS = {
    "score": ("float32", "bool"),
    "explain": ("float32",),
    "nearest": ("int32", "float32"),
}
# Compilers and processors differ in the order of their sums; a wrong program differs by far more.
GOLDEN_TOLERANCE = 1e-3
FIRST_CALL_SECONDS = 120.0  # to compile a program and run it once; a large one takes ten
MAX_NAME = 200  # of a column that a user named
KINDS = ("number", "category", "date", "left out")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ .-]{0,63}")


class ArtifactError(UserError):
    """A scorer file is damaged, or of another kind than this program reads."""


def prefer_latency() -> None:
    """Run programs in the thread that asks. Call before anything touches a device.

    JAX hands CPU programs to another thread; on a busy machine the wait for it is most of the time
    of one row (p99 of milliseconds instead of a tenth of one).
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def pack(metadata: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    """The bytes of a scorer file; the same for the same arguments."""
    listed = [{"name": name, "bytes": len(data)} for name, data in parts.items()]
    header = json.dumps({**metadata, "parts": listed}, allow_nan=False, ensure_ascii=True)
    body = b"".join([header.encode("ascii"), b"\n", *parts.values()])
    return MAGIC + hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, bytes], str]:
    """Metadata, parts and sha256 of a scorer file.

    Raises:
        ArtifactError: one byte is not as it was written.
    """
    first, _, body = data[: len(MAGIC) + 65].partition(b"\n")
    body = data[len(first) + 1 :]
    if not first.startswith(MAGIC):
        if first.startswith(MAGIC.split(b" ")[0]):
            raise ArtifactError("has another format version; export it again with this program")
        raise ArtifactError("is not a scorer file")
    digest = hashlib.sha256(body).hexdigest()
    if first[len(MAGIC) :] != digest.encode("ascii"):
        raise ArtifactError("is damaged or was changed: its content differs from its sha256")
    header, newline, rest = body[:MAX_HEADER].partition(b"\n")
    try:
        metadata = json.loads(header, parse_constant=_refuse_constant) if newline else None
        listed = [(part["name"], part["bytes"]) for part in metadata.pop("parts")[:MAX_PARTS]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ArtifactError("has no readable header") from error
    rest = body[len(header) + 1 :]
    required = [*PROGRAMS, *STORED]
    names = [name for name, _ in listed]
    sizes = [size for _, size in listed]
    whole = all(type(size) is int and size >= 0 for size in sizes) and sum(sizes) == len(rest)
    known = ((), NEAREST, NEAREST_OF_TABLE)
    if sorted(names, key=str) not in [sorted([*required, *more]) for more in known] or not whole:
        raise ArtifactError(f"does not hold exactly the parts {', '.join(required)}")
    ends = np.cumsum(sizes).tolist()
    pieces = [rest[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return metadata, dict(zip(names, pieces, strict=True)), digest


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} in a header")


@dataclass(frozen=True)
class Scorer:
    """A loaded and checked scorer: `score`, `explain`, `p_values` and `nearest`.

    Attributes:
        columns: raw columns in the order that `score` wants them; of a table with a schema, its
            used columns, and their codes are what `score` wants.
        features: names of what `explain` attributes the score to.
        nonnegative: raw columns that may not be negative.
        threshold: the record of the decision rule; a row is flagged when score > value.
        calibration: sorted scores of the normal rows that p-values compare with.
        block: fewest rows in one call that give the trainer's bits; shorter calls are padded.
        many_rows: every call is a large one, so that no program for a few rows is compiled.
        metadata: everything else that the file says of itself.
        sha256: of the file's content.
        exact: the stored golden rows gave the stored scores to the bit on this machine.
        normal_values, normal_numbers: features (or codes, float64) and row numbers of the normal
            rows that `nearest` chooses from; none where the file was made without.
    """

    columns: tuple[str, ...]
    features: tuple[str, ...]
    nonnegative: tuple[str, ...]
    threshold: Mapping[str, Any]
    calibration: Float32[np.ndarray, " n"]
    block: int
    many_rows: bool
    metadata: Mapping[str, Any]
    sha256: str
    exact: bool
    programs: Mapping[str, Any] = field(repr=False)
    normal_values: Float[np.ndarray, "m features"] = field(repr=False)
    normal_numbers: Int64[np.ndarray, " m"] = field(repr=False)

    @property
    def schema(self) -> Schema | None:
        """What the columns of the table are; None where every raw column is a number.

        Needs pyarrow, as `jaxdl.tables` does.
        """
        if "schema" not in self.metadata:
            return None
        from jaxdl.tables.schema import Schema

        return Schema.from_json(self.metadata["schema"])

    @property
    def has_schema(self) -> bool:
        """Whether rows are codes of a table with a schema, in which NaN is a missing cell."""
        return "schema" in self.metadata

    def score(
        self, rows: Float64[np.ndarray, "n columns"]
    ) -> tuple[Float32[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Score (higher is worse) and decision of each raw row.

        Raises:
            ValueError: the shape does not fit, or a value is not finite (NaN is the code of a
                missing cell where the scorer has a schema).
        """
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.columns):
            raise ValueError(f"rows have shape {rows.shape}, not [n, {len(self.columns)}]")
        if not _may_be_raw(rows, self.has_schema):
            raise ValueError("a value is not finite")
        scores, flags = self._in_blocks("score", rows)
        return scores, flags

    def explain(self, rows: Float64[np.ndarray, "n columns"]) -> Float32[np.ndarray, "n features"]:
        """How much each feature adds to each row's score (`metadata["explanation"]` says how)."""
        rows = np.asarray(rows, np.float64)
        (parts,) = self._in_blocks("explain", rows)
        return parts

    def nearest(
        self, rows: Float64[np.ndarray, "n columns"]
    ) -> tuple[Int32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """Which of the stored normal rows is most like each row, and how far it is.

        Returns:
            Index into `normal_values` and `normal_numbers`; Euclidean distance of the standardised
            features.

        Raises:
            ValueError: the file was made without normal rows.
        """
        if "nearest" not in self.programs:
            raise ValueError("the scorer holds no normal rows")
        rows = np.asarray(rows, np.float64)
        index, distance = self._in_blocks("nearest", rows)
        if index.size and not 0 <= index.min() <= index.max() < len(self.normal_numbers):
            raise ArtifactError("holds a program (nearest) that names rows it does not hold")
        return index, distance

    def _in_blocks(self, name: str, rows: np.ndarray) -> list[np.ndarray]:
        """Outputs of the program of this name for any number of rows."""
        if name == "score":
            few, largest = max(self.block, FEW_ROWS), LARGEST_BLOCK
        else:
            few, largest = FEW_ROWS, EXPLAINED_BLOCK
        if self.many_rows:
            few = largest
        return in_blocks(self.programs[name], rows, few, largest)

    def p_values(self, scores: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """Conformal p-value of "like the calibration rows": (1 + #{calibration >= s}) / (n + 1).

        Vovk et al. (2005); the same numbers as `thresholds.conformal_p_values`.
        """
        below = np.searchsorted(self.calibration, scores, side="left")
        return (1 + self.calibration.size - below) / (self.calibration.size + 1)


def _may_be_raw(rows: np.ndarray, may_lack_cells: bool) -> bool:
    """Whether all values are finite, or NaN where cells may be missing."""
    good = np.isfinite(rows)
    return bool((good | np.isnan(rows)).all() if may_lack_cells else good.all())


def in_blocks(program: Any, rows: np.ndarray, few: int, largest: int) -> list[np.ndarray]:
    """The outputs for any number of rows through calls of only two sizes, hence two programs."""
    pending = []
    for start in range(0, max(len(rows), 1), largest):
        piece = rows[start : start + largest]
        size = few if len(piece) <= few else largest
        if len(piece) < size:
            padded = np.zeros((size, rows.shape[1]))
            padded[: len(piece)] = piece
            pending.append((program.dispatch(padded), len(piece)))
        else:
            pending.append((program.dispatch(piece), size))
    columns = zip(*[[np.asarray(out)[:n] for out in outs] for outs, n in pending], strict=True)
    return [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in columns]


class Program:
    """One StableHLO program, compiled once for each number of rows.

    The first call with a number of rows has `FIRST_CALL_SECONDS` and `vetting.MAX_MEMORY`.
    """

    def __init__(self, exported: Any, name: str = ""):
        self.call = jax.jit(exported.call)
        self.name = name
        self.compiled: dict[int, Any] = {}

    def dispatch(self, rows: Float64[np.ndarray, "n columns"]) -> Sequence[Any]:
        """Start the program; the outputs may still be on their way.

        Raises:
            ArtifactError: the program cannot be run here.
        """
        compiled = self.compiled.get(len(rows))
        if compiled is None:
            return self._first_call(rows)
        with double_precision():
            return compiled(rows)

    def _first_call(self, rows: np.ndarray) -> Sequence[Any]:
        def compile_and_run():
            with double_precision():
                shape = jax.ShapeDtypeStruct(rows.shape, np.float64)
                compiled = self.call.lower(shape).compile()
                vetting.check_memory(compiled)
                return compiled, jax.block_until_ready(compiled(rows))

        try:
            compiled, found = vetting.within(FIRST_CALL_SECONDS, compile_and_run)
        except vetting.UnfitProgram as error:
            raise ArtifactError(f"holds a program ({self.name}) that {error}: refused") from error
        except Exception as error:  # JAX and XLA raise many types
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ArtifactError(
                f"holds a program ({self.name}) that does not run here ({first[:120]})"
            ) from error
        self.compiled[len(rows)] = compiled
        return found


def load(path: str | Path, sha256: str | None = None, *, many_rows: bool = False) -> Scorer:
    """Read a scorer file (or the one in a run folder), check its sum, and try its golden rows.

    Args:
        path: of the file, or of the run folder that holds it.
        sha256: refuse the file unless this is its sum.
        many_rows: thousands will be scored, so the program for few of them is not compiled.

    Raises:
        ArtifactError: missing, damaged, changed, or of no use on this machine; one line.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
        if not path.exists():
            raise ArtifactError(
                f"{path.parent} holds no {FILE_NAME}: run a lab that exports its detector first"
            )
    try:
        return loads(_content(path), sha256, many_rows=many_rows)
    except ArtifactError as error:
        raise ArtifactError(f"{path} {error}") from error


def _content(path: Path) -> bytes:
    """The bytes of a plain file, and not more of them than a scorer file can have.

    Raises:
        ArtifactError: it is a folder, a pipe or a device, or cannot be read.
    """
    try:
        # a pipe that nobody writes to would otherwise be waited for
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ArtifactError("is no plain file")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:  # os.fdopen refuses a folder
        raise ArtifactError(f"cannot be read ({error.strerror})") from error
    if len(data) > MAX_BYTES:
        raise ArtifactError(f"has more than {MAX_BYTES:,} bytes")
    return data


def loads(data: bytes, sha256: str | None = None, *, many_rows: bool = False) -> Scorer:
    """`load` from bytes."""
    metadata, parts, digest = unpack(data)
    if sha256 is not None and sha256.strip().lower() != digest:
        raise ArtifactError(f"has the sha256 {digest}, not {sha256}")
    columns, features, nonnegative = _check_metadata(metadata)
    arrays = _arrays(parts, metadata, len(columns), len(features))
    programs = {
        name: Program(_deserialize(parts[name], name, len(columns), len(features)), name)
        for name in (*PROGRAMS, "nearest")
        if name in parts
    }
    scorer = Scorer(
        columns=columns,
        features=features,
        nonnegative=nonnegative,
        threshold=metadata["threshold"],
        calibration=arrays["calibration"],
        block=metadata["block"],
        many_rows=many_rows,
        metadata=metadata,
        sha256=digest,
        exact=False,
        programs=programs,
        normal_values=arrays["normal_codes" if "schema" in metadata else "normal_values"],
        normal_numbers=arrays["normal_numbers"],
    )
    golden = arrays["golden_scores"]
    found, _ = scorer.score(arrays["golden_rows"])
    scale = np.maximum(np.abs(golden), np.median(np.abs(golden)))
    if not (np.abs(found - golden) <= GOLDEN_TOLERANCE * scale).all():
        raise ArtifactError(
            "gives other scores for its golden rows on this machine than where it was made; "
            f"do not use it here (jax {jax.__version__}, made with "
            f"{metadata['versions'].get('jax')})"
        )
    object.__setattr__(scorer, "exact", bool(np.array_equal(found, golden)))
    return scorer


def _arrays(
    parts: Mapping[str, bytes], metadata: Mapping[str, Any], columns: int, features: int
) -> dict[str, np.ndarray]:
    """The stored arrays in their shapes, empty ones where the file holds no normal rows."""
    of_table = "schema" in metadata
    shown, other = "normal_values", "normal_codes"
    if of_table:
        shown, other = other, shown
    if other in parts:
        raise ArtifactError(f"holds {other}, which do not go with its header")
    try:
        arrays = {
            name: np.frombuffer(parts.get(name, b""), dtype) for name, dtype in ARRAYS.items()
        }
        arrays["golden_rows"] = arrays["golden_rows"].reshape(-1, columns)
        arrays[shown] = arrays[shown].reshape(-1, features)
    except ValueError as error:
        raise ArtifactError("holds arrays that do not fit each other") from error
    pairs = (("golden_rows", "golden_scores"), (shown, "normal_numbers"))
    if any(len(arrays[one]) != len(arrays[two]) for one, two in pairs):
        raise ArtifactError("holds arrays that do not fit each other")
    raw = ("golden_rows", "normal_codes")  # may lack cells
    sound = all(
        array.size and _may_be_raw(array, of_table and name in raw)
        for name, array in arrays.items()
        if name in parts
    )
    if not sound or (np.diff(arrays["calibration"]) < 0).any():
        raise ArtifactError("holds arrays that are empty, not finite or not sorted")
    return arrays


def _check_schema(schema: Any, columns: Sequence[str]) -> None:
    """Whether a header's schema is one, and of these columns; `Schema.from_json` is not asked,
    since it needs pyarrow."""
    listed = schema["columns"]
    for column in listed:
        good = column["kind"] in KINDS and isinstance(column["unit"], str)
        good = good and _is_name(column["name"]) and isinstance(column["categories"], list)
        if not good or not all(isinstance(word, str) for word in column["categories"]):
            raise TypeError("schema")
    used = [column["name"] for column in listed if column["kind"] != "left out"]
    words = [schema[key] for key in ("label", "positive", "time")]
    good = used == list(columns) and schema["decimal"] in (".", ",")
    if not good or not all(isinstance(word, str) for word in words):
        raise TypeError("schema")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _check_metadata(metadata: Any) -> tuple[tuple[str, ...], ...]:
    of_table = "schema" in metadata

    def names(key):
        value = metadata[key]
        good = isinstance(value, list) and 0 <= len(value) <= MAX_COLUMNS
        good = good and all(
            _is_name(v) if of_table else isinstance(v, str) and NAME.fullmatch(v) for v in value
        )
        if not good or len(set(value)) != len(value):
            raise TypeError(key)
        return tuple(value)

    try:
        columns, features, nonnegative = map(names, ("columns", "features", "nonnegative"))
        value, block = metadata["threshold"]["value"], metadata["block"]
        texts = [metadata[key] for key in ("detector", "explanation", "calibrated_on")]
        good = columns and features and set(nonnegative) <= set(columns)
        good = good and type(block) is int and 1 <= block <= LARGEST_BLOCK
        good = good and type(value) in (int, float) and _is_finite(value)
        good = good and all(isinstance(text, str) for text in texts)
        good = good and all(isinstance(metadata[k], dict) for k in ("versions", "provenance"))
        if of_table:
            _check_schema(metadata["schema"], columns)
            good = good and features == columns and not nonnegative
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"has a header without a proper {error}") from error
    if not good:
        raise ArtifactError("has a header that contradicts itself")
    return columns, features, nonnegative


def _deserialize(data: bytes, name: str, columns: int, features: int) -> Any:
    try:
        exported = export.deserialize(bytearray(data))
        vetting.check_program(str(exported.mlir_module()))
    except vetting.UnfitProgram as error:
        raise ArtifactError(f"holds a program ({name}) that {error}: refused") from error
    except Exception as error:  # flatbuffers and MLIR raise many types
        raise ArtifactError(
            f"holds a program ({name}) that jax {jax.__version__} cannot read"
        ) from error
    inputs, outputs = exported.in_avals, exported.out_avals
    fits = (
        exported.nr_devices == 1
        and len(inputs) == 1
        and inputs[0].ndim == 2
        and inputs[0].shape[1] == columns
    )
    fits = fits and inputs[0].dtype == np.float64
    fits = fits and tuple(out.dtype.name for out in outputs) == OUTPUTS[name]
    # the same number of rows, known or not, goes in and comes out
    shape = (inputs[0].shape[0], features)[: 2 if name == "explain" else 1] if fits else ()
    if not fits or any(out.shape != shape for out in outputs):
        raise ArtifactError(f"holds a program ({name}) of another shape than its header says")
    if jax.default_backend() not in _aliases(exported.platforms):
        raise ArtifactError(f"was made for {', '.join(exported.platforms)}, not for this device")
    return exported


def _aliases(platforms: Sequence[str]) -> set[str]:
    return {*platforms, *(["gpu"] if "cuda" in platforms else [])}
