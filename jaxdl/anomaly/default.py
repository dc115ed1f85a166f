"""A detector to begin with: any numeric table in its own units, no setting to choose.

>>> rows = np.random.default_rng(0).normal(size=(500, 3)) * [1, 1000, 0.01] + [5, 0, 70]
>>> detector = default_detector(rows)
>>> odd = np.array([[5.0, 9000.0, 70.0]])
>>> bool(detector.score(odd)[0] > detector.score(rows).max())
True
>>> int(detector.contributions(odd)[0].argmax())  # the column that made it
1
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Float64, Int

from jaxdl.anomaly.detector import ADDITIVE, Detector, Rows, check_finite_rows
from jaxdl.precision import double_precision
from jaxdl.scaling import usable_spread

FITTED_ROWS = 20_000  # scales and covariance are found on at most so many rows
REFERENCE_ROWS = 2_500  # rows to be near to
REFERENCE_NUMBERS = 3_000_000  # and so many numbers in them: 12 MB in a file
CALIBRATION_ROWS = 512
LINEAR = 3.0  # scaled values beyond it are drawn in logarithmically
QUARTILES_OF_A_NORMAL = 1.349  # distance between them, in deviations
TRIMMED = 0.1
TRIMMING_ROUNDS = 3
RIDGE = 0.03
NEIGHBOUR_SHARE = 0.05
FEWEST_NEIGHBOURS = 10
SAME = 1e-12  # squared distance over squared norms below which two rows are taken for one


class Params(NamedTuple):
    """What scoring needs.

    Attributes:
        column: the columns that vary.
        middle, spread: of each of them.
        mean, whitening: of scaled rows, without the most distant ones.
        colouring: inverse of `whitening`.
        reference: scaled and whitened rows to be near to.
        rank: k zeros. The number of neighbours is a length, because it shapes arrays.
        unit: usual distance to the neighbours, and to the mean.
    """

    column: Int[Array, " kept"]
    middle: Float64[Array, " kept"]
    spread: Float64[Array, " kept"]
    mean: Float64[Array, " kept"]
    whitening: Float32[Array, "kept kept"]
    colouring: Float32[Array, "kept kept"]
    reference: Float32[Array, "m kept"]
    rank: Int[Array, " k"]
    unit: Float64[Array, "2"]


def default_detector(
    x: Rows, *, key: Array | None = None, contamination: float | None = None
) -> Detector:
    """Distance to the neighbours and to the centre, in units of the bulk of the rows.

    Args:
        x: rows in their own units, anomalies among them or not.
        key: draws the rows that are kept, where there are many; None: `jax.random.key(0)`.
        contamination: share of anomalies in `x`, if it is known.

    Raises:
        ValueError: fewer than 3 rows, a value that is not finite, or a contamination that is not
            in [0, 0.5).
    """
    if contamination is not None and not 0 <= contamination < 0.5:
        raise ValueError(f"contamination must be at least 0 and below 0.5, not {contamination}")
    rows = check_finite_rows(x).astype(np.float64)
    if len(rows) < 3:
        raise ValueError(f"{len(rows)} rows are too few to fit a detector on")
    seed = jax.random.key_data(jax.random.key(0) if key is None else key)
    rng = np.random.default_rng(np.asarray(seed))
    few = _some(rows, FITTED_ROWS, rng)
    column, middle, spread = _scales(few)
    scaled = np.asarray(_scaled(few[:, column], middle, spread, np))
    mean, factor = _bulk(scaled, TRIMMED if contamination is None else contamination)
    whitening = np.linalg.inv(factor).T
    most = max(3, min(REFERENCE_ROWS, REFERENCE_NUMBERS // len(column)))
    reference = _some(scaled, most, rng)
    k = min(len(reference) - 1, max(FEWEST_NEIGHBOURS, round(NEIGHBOUR_SHARE * len(reference))))
    with double_precision():
        params = Params(
            jnp.asarray(column),
            jnp.asarray(middle),
            jnp.asarray(spread),
            jnp.asarray(mean),
            jnp.asarray(whitening, jnp.float32),
            jnp.asarray(factor.T, jnp.float32),
            jnp.asarray((reference - mean) @ whitening, jnp.float32),
            jnp.zeros(k, jnp.int32),
            jnp.ones(2),
        )
        known = jnp.asarray(_some(few, CALIBRATION_ROWS, rng))
        usual = jax.jit(_distances)(params, known)
        unit = jnp.stack([jnp.median(part) for part in usual])
        params = params._replace(unit=jnp.where(unit > 0, unit, 1.0))
    name = f"default: neighbours and centre, {len(reference):,} rows"
    return Detector(name, rows.mean(axis=0), params, _score, _parts, ADDITIVE)


def _some(rows: Rows, most: int, rng: np.random.Generator) -> Rows:
    """At most so many of the rows, drawn without replacement."""
    return rows if len(rows) <= most else rows[rng.choice(len(rows), most, replace=False)]


def _scales(x: Rows) -> tuple[Int[np.ndarray, " kept"], Rows, Rows]:
    """Columns that vary; their medians; the deviation of a normal with their quartiles.

    Where more than half of a column is one value, or nearly, the quartiles say nothing about how
    far the others are from it: then it is the standard deviation.
    """
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75], axis=0)
    deviation = x.std(axis=0)
    varies = usable_spread(deviation, np.abs(x).max(axis=0)) == deviation
    varies &= deviation > 0
    column = np.flatnonzero(varies) if varies.any() else np.zeros(1, np.int64)
    quartile = (high - low) / QUARTILES_OF_A_NORMAL
    spread = np.where(quartile > 0.1 * deviation, quartile, deviation)
    spread = np.where(varies, spread, 1.0)
    return column, middle[column], spread[column]


def _scaled(x, middle, spread, xp=jnp):
    """In units of the spread; beyond `LINEAR` of them the logarithm of the excess is added."""
    z = (x - middle) / spread
    beyond = xp.maximum(xp.abs(z) - LINEAR, 0.0)
    return xp.clip(z, -LINEAR, LINEAR) + xp.sign(z) * xp.log1p(beyond)


def _bulk(scaled, trimmed):
    """Mean of the bulk and the Cholesky factor of its covariance."""
    kept = np.ones(len(scaled), bool)
    for _ in range(TRIMMING_ROUNDS):
        mean = scaled[kept].mean(axis=0)
        centred = scaled[kept] - mean
        covariance = centred.T @ centred / len(centred)
        variance = np.trace(covariance) / len(covariance)
        covariance += (RIDGE * variance if variance > 0 else 1.0) * np.eye(len(covariance))
        factor = np.linalg.cholesky(covariance)
        distance = np.square(np.linalg.solve(factor, (scaled - mean).T)).sum(axis=0)
        kept = distance <= np.quantile(distance, 1 - trimmed)
    return mean, factor


def _whitened(params, x):
    z = _scaled(x[:, params.column].astype(params.middle.dtype), params.middle, params.spread)
    return (z - params.mean) @ params.whitening.astype(z.dtype)


def _nearest(params, w):
    """Distances to the k nearest reference rows, without the row itself, and which they are."""
    reference = params.reference.astype(w.dtype)
    norm, norms = jnp.square(w).sum(axis=1), jnp.square(reference).sum(axis=1)
    squared = norm[:, None] - 2 * jnp.matmul(w, reference.T, precision="highest") + norms
    # XLA selects fast in float32 only, and sorts whole rows where slices are taken of what it found
    found = jax.lax.top_k(-squared.astype(jnp.float32), len(params.rank) + 1)
    nearness, place = jax.lax.optimization_barrier(found)
    itself = -nearness[:, :1] <= SAME * norm[:, None]
    far = jnp.sqrt(jnp.maximum(-nearness, 0.0)).astype(w.dtype)
    far = jnp.where(itself, far[:, 1:], far[:, :-1])
    return far, jnp.where(itself, place[:, 1:], place[:, :-1])


def _distances(params, x):
    w = _whitened(params, x)
    return _nearest(params, w)[0].mean(axis=1), jnp.sqrt(jnp.square(w).sum(axis=1))


def _score(params: Params, x: Float[Array, "n features"]) -> Float[Array, " n"]:
    near, centre = _distances(params, x)
    return near / params.unit[0] + centre / params.unit[1]


def _parts(params: Params, x: Float[Array, "n features"]) -> Float[Array, "n features"]:
    """Each distance is a quadratic form; deviation times gradient is each column's part of it."""
    w = _whitened(params, x)
    far, place = _nearest(params, w)
    colouring, whitening = (p.astype(w.dtype) for p in (params.colouring, params.whitening))

    def of_difference(difference, distance):
        safe = jnp.where(distance > 0, distance, 1.0)[:, None]
        return (difference @ colouring) * (difference @ whitening.T) / safe

    def add(total, neighbour):
        which, distance = neighbour
        return total + of_difference(w - params.reference[which], distance), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(w), (place.T, far.T))
    centre = jnp.sqrt(jnp.square(w).sum(axis=1))
    kept = total / len(params.rank) / params.unit[0] + of_difference(w, centre) / params.unit[1]
    return jnp.zeros(x.shape, w.dtype).at[:, params.column].set(kept)
