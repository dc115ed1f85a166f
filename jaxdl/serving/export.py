"""Export a fitted detector: raw columns in, score and decision out, in one verified file.

A `Detector` that is exportable is a pair of array programs of features. `build` puts the columns'
own arithmetic in front of it (`Columns` of a known data set, or the `Encoder` of any table) and the
threshold behind it, traces both to StableHLO for CPU, GPU and TPU with any number of rows, compares
what comes out with what the trainer computed, and packs it with everything a reader must know
(`jaxdl.serving.scorer_file` has the format).

Why bits can agree at all: each row is scored by itself, but a matrix product of few rows is summed
in another order than one of many. `build` therefore finds the smallest block of rows that gives the
trainer's bits and writes it into the file; the reader pads shorter calls to it.
"""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jaxtyping import Array, Float, Float64, Int

import jaxdl
from jaxdl.anomaly.detector import Detector, opaque
from jaxdl.anomaly.thresholds import Threshold
from jaxdl.precision import double_precision
from jaxdl.serving import scorer_file
from jaxdl.tables.encode import Encoder

GOLDEN_ROWS = 64
NORMAL_ROWS = 1024  # kept in the file for an alert to be compared with
# A GPU may have trained with products of ten bits; scores of another model differ by far more.
TRAINER_TOLERANCE = 0.02
BLOCKS = (scorer_file.FEW_ROWS, 256, 512, 1024, 2048, scorer_file.LARGEST_BLOCK)

RawRows = Float64[np.ndarray | Array, "batch columns"]
Features = Float[Array, "batch features"]
ColumnFunction = Callable[[Float64[Array, " batch"]], Float64[Array, " batch"]]


@dataclass(frozen=True)
class Columns:
    """What a raw table holds and what becomes of it.

    Attributes:
        names: raw columns in order.
        features: what they are called once transformed.
        mean, sd: of each feature over the training rows, to standardise with.
        transforms: raw column -> function of its float64 values. The other columns are rounded to
            float32 first, as data sets store them.
        nonnegative: raw columns in which a negative value is a fault.
    """

    names: tuple[str, ...]
    features: tuple[str, ...]
    mean: Float64[np.ndarray, " features"]
    sd: Float64[np.ndarray, " features"]
    transforms: Mapping[str, ColumnFunction] = field(default_factory=dict)
    nonnegative: tuple[str, ...] = ()

    def standardise(self, rows: RawRows) -> Features:
        """Raw rows to what the detector was trained on; float64 inside, float32 out."""
        x = self.transform(rows)
        return ((x - np.asarray(self.mean)) / np.asarray(self.sd)).astype(jnp.float32)

    def transform(self, rows: RawRows) -> Float64[Array, "batch features"]:
        """Raw rows to features in their own units."""
        columns = []
        for i, name in enumerate(self.names):
            if name in self.transforms:
                columns.append(self.transforms[name](rows[:, i]))
            else:  # to float32 and back
                columns.append(jax.lax.reduce_precision(rows[:, i], 8, 23))
        return jnp.stack(columns, axis=1)


@dataclass(frozen=True)
class _Front:
    """What stands between a raw row and a detector, whatever it was made from.

    Attributes:
        names, nonnegative: raw columns, and those of them in which a negative value is a fault.
        features: what the explanation speaks of.
        detector_features: how many features the detector sees.
        standardise: raw rows -> float32 features of the detector.
        parts: what each detector feature adds to the score -> the same for `features`.
        shown: raw rows -> what a reader is shown of a normal row, in the columns of `features`.
        schema: of the table as plain JSON; None where every raw column is a number.
    """

    names: tuple[str, ...]
    nonnegative: tuple[str, ...]
    features: tuple[str, ...]
    detector_features: int
    standardise: Callable[[RawRows], Features]
    parts: Callable[[Features], Features]
    shown: Callable[[RawRows], Any]
    schema: dict[str, Any] | None = None


def _front(columns: Columns | Encoder) -> _Front:
    if isinstance(columns, Columns):
        return _Front(
            columns.names,
            columns.nonnegative,
            columns.features,
            len(columns.features),
            columns.standardise,
            _unchanged,
            columns.transform,
        )

    def encoded(codes: RawRows) -> Features:
        return columns.encode(codes, jnp).astype(jnp.float32)

    return _Front(
        columns.names,
        (),
        columns.names,
        len(columns.features),
        encoded,
        columns.by_column,
        _unchanged,  # the codes: a reader turns them into words and dates again
        columns.schema.to_json(),
    )


def _unchanged(rows: Any) -> Any:
    return rows


class Normal(NamedTuple):
    """Normal rows that an alert can be compared with.

    Attributes:
        rows: raw rows (codes, with an `Encoder`); `build` keeps at most `NORMAL_ROWS` of them,
            drawn with seed 0.
        numbers: of these rows in the table they come from, counted from 1.
    """

    rows: Float64[np.ndarray, "m columns"]
    numbers: Int[np.ndarray, " m"]


def build(
    detector: Detector,
    columns: Columns | Encoder,
    threshold: Threshold,
    provenance: Mapping[str, Any],
    *,
    rows: Float64[np.ndarray, "n columns"],
    reference: Float[np.ndarray, " n"] | None = None,
    calibration: Float[np.ndarray, " m"],
    normal: Normal | None = None,
) -> bytes:
    """The scorer file as bytes, checked against the trainer before it is handed out.

    Args:
        detector: what scores.
        columns: what a raw table holds: the columns of a data set, or the encoder of any table.
            With an encoder a raw row is a row of codes (`jaxdl.tables.schema.column_codes` of the
            encoder's schema, NaN where a cell is missing); explained are the table's own columns.
        threshold: the decision rule; it also says what the calibration scores are of.
        provenance: where model and data come from; plain JSON.
        rows: raw rows, some hundreds; the first 64 go into the file as golden rows.
        reference: the trainer's scores of `rows`; None where the exported functions are themselves
            the only ones there are.
        calibration: scores of normal rows that p-values compare with.
        normal: rows among which `Scorer.nearest` looks for the one most like an alert; None leaves
            that out of the file.

    Raises:
        ValueError: the detector is no array program or of other columns; the exported scores are
            not those of the trainer, or not finite.
    """
    if not detector.exportable:
        raise ValueError(f"{detector.name} is computed outside of JAX and cannot be exported")
    front = _front(columns)
    if len(detector.centre) != front.detector_features:
        raise ValueError(
            f"{detector.name} was fitted on {len(detector.centre)} features, not on the "
            f"{front.detector_features} that the columns make"
        )
    value, params = np.float32(threshold.value), jax.device_get(detector.params)

    def score(raw):
        found = detector.score_rows(opaque(params), front.standardise(raw)).astype(jnp.float32)
        return found, found > value

    def explain(raw):
        parts = detector.explain_rows(opaque(params), front.standardise(raw))
        return (front.parts(parts).astype(jnp.float32),)

    if np.shape(rows)[1:] != (len(front.names),):
        raise ValueError(f"rows have shape {np.shape(rows)}, not [n, {len(front.names)}]")
    rows = np.ascontiguousarray(rows, np.float64)[: scorer_file.LARGEST_BLOCK]
    exported = {
        name: _export(f, rows.shape[1])
        for name, f in zip(scorer_file.PROGRAMS, (score, explain), strict=True)
    }
    if reference is not None:
        reference = np.asarray(reference, np.float32)[: len(rows)]
    block, found = _smallest_block(exported["score"], rows, reference)
    calibration = np.sort(np.asarray(calibration, np.float32))
    if not calibration.size or not np.isfinite(calibration).all():
        raise ValueError("calibration scores must be some and finite")
    agreement = None  # there is nothing to agree with
    if reference is not None:
        apart = float(_apart(found, reference).max())
        agreement = {"rows": len(rows), "to_the_bit": apart == 0, "largest_difference": apart}
    metadata = {
        "detector": detector.name,
        "columns": list(front.names),
        "features": list(front.features),
        "nonnegative": list(front.nonnegative),
        "explanation": detector.reading,
        "threshold": json.loads(threshold.to_json()),
        "calibrated_on": threshold.fitted_on,
        "block": block,
        "equal_to_trainer": agreement,
        "provenance": dict(provenance),
        "versions": {
            "jaxdl": jaxdl.__version__,
            "jax": jax.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "made_on": jax.default_backend(),
    }
    if front.schema is not None:
        metadata["schema"] = front.schema
    arrays = {
        "calibration": calibration,
        "golden_rows": rows[:GOLDEN_ROWS],
        "golden_scores": found[:GOLDEN_ROWS],
    }
    if normal is not None:
        exported["nearest"], kept = _nearest(front, normal)
        arrays |= kept
    parts = {name: bytes(program.serialize()) for name, program in exported.items()}
    parts |= {
        name: array.astype(scorer_file.ARRAYS[name]).tobytes() for name, array in arrays.items()
    }
    data = scorer_file.pack(metadata, parts)
    scorer_file.loads(data)  # what cannot be read back is not handed out
    return data


def _export(function: Callable, columns: int) -> Any:
    """StableHLO for all platforms, any number of rows, without source paths in it."""
    limit = jax.config.jax_traceback_in_locations_limit  # type: ignore[attr-defined]
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        with double_precision(), jax.default_matmul_precision("highest"):
            (batch,) = export.symbolic_shape("batch")
            shape = jax.ShapeDtypeStruct((batch, columns), jnp.float64)
            return export.export(jax.jit(function), platforms=scorer_file.PLATFORMS)(shape)
    finally:
        jax.config.update("jax_traceback_in_locations_limit", limit)


def _nearest(front: _Front, normal: Normal) -> tuple[Any, dict[str, np.ndarray]]:
    """The program that finds the nearest normal row, and what a reader shows of that row."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(normal.rows))[:NORMAL_ROWS])
    rows = np.ascontiguousarray(normal.rows[chosen], np.float64)
    with double_precision():
        values, known = (np.asarray(f(rows)) for f in (front.shown, front.standardise))

    def nearest(raw):
        x, rows = front.standardise(raw), opaque(known)
        # the nearest by |a|^2 - 2ab, its distance by differences, which keep their digits
        index = jnp.argmin(jnp.square(rows).sum(axis=1) - 2 * x @ rows.T, axis=1)
        apart = jnp.sqrt(jnp.square(x - rows[index]).sum(axis=1))
        return index.astype(jnp.int32), apart

    shown = "normal_values" if front.schema is None else "normal_codes"
    kept = {shown: values, "normal_numbers": np.asarray(normal.numbers)[chosen]}
    return _export(nearest, rows.shape[1]), kept


def _apart(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Distance of scores, relative to the score or to a typical one, whichever is larger."""
    scale = np.maximum(np.abs(wanted), np.median(np.abs(wanted)))
    return np.abs(found - wanted) / np.maximum(scale, np.finfo(np.float32).tiny)


def _smallest_block(
    exported: Any, rows: np.ndarray, reference: np.ndarray | None
) -> tuple[int, np.ndarray]:
    """Fewest rows in a call that give the bits of a large call, and the scores so computed.

    These are the reference's bits too, unless the trainer ran on another device or added in another
    order; they are at least close, and a row has but one score.
    """
    program = scorer_file.Program(exported)

    def scores(rows: np.ndarray, block: int) -> np.ndarray:
        return scorer_file.in_blocks(program, rows, block, block)[0]

    largest = scores(rows, scorer_file.LARGEST_BLOCK)
    if not np.isfinite(largest).all():
        raise ValueError("the exported program gives scores that are not finite")
    wanted = largest if reference is None else reference
    apart = _apart(largest, wanted)
    if not (apart <= TRAINER_TOLERANCE).all():
        worst = int(np.argmax(apart))
        raise ValueError(
            f"the exported scores are not the trainer's: row {worst} has {largest[worst]:.6g}, "
            f"the trainer {wanted[worst]:.6g}"
        )
    for block in BLOCKS:
        if np.array_equal(scores(rows, block), largest):
            break
    return block, largest
