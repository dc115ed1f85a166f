"""A detector to begin with: any numeric table in its own units, no setting to choose.

>>> rows = np.random.default_rng(0).normal(size=(500, 3)) * [1, 1000, 0.01] + [5, 0, 70]
>>> detector = default_detector(rows)
>>> odd = np.array([[5.0, 9000.0, 70.0]])
>>> bool(detector.score(odd)[0] > detector.score(rows).max())
True
>>> int(detector.contributions(odd)[0].argmax())  # the column that made it
1
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Int

from jaxdl.anomaly.detector import ADDITIVE, Detector, Rows, check_finite_rows
from jaxdl.precision import double_precision
from jaxdl.scaling import usable_spread

# What fitting looks at. More rows, or more numbers, are drawn from.
FITTED_ROWS = 20_000
FITTED_NUMBERS = 4_000_000
CALIBRATION_ROWS = 1_024
NEAR_ROWS = 2_500
NEAR_ROWS_OF_MANY = 1_024  # of more rows than are fitted on: scoring is faster
BULK_ROWS = 512
COORDINATES = 256

# The constants of the score; `default_detector` says why.
LINEAR = 3.0
LEAST_QUARTILE = 0.1
CENTRE_TRIMMED = 0.1
ROUNDS = 3
RIDGE = 0.1
NEIGHBOURS = 5
NEAR_TRIMMED = 0.01
BULK_TRIMMED = 0.2
BULK_SHARE = 0.1

QUARTILES_OF_A_NORMAL = 1.349  # from the lower to the upper one, in standard deviations
# Squared distance over squared length below which a row and a stored row are taken for the same:
# far above the rounding of the stored ones to float32, far below any difference that matters.
SAME = 1e-12


class Default(NamedTuple):
    """What scoring needs. Stored rows are scaled and whitened: [rows, c], c coordinates.

    Attributes:
        column: the columns that vary.
        middle, spread: of each of them.
        basis: principal directions of wide tables; None where every column is a coordinate.
        mean, whitening: of the coordinates of the bulk.
        colouring: inverse of `whitening`.
        near: rows to be near to.
        bulk: rows of the bulk.
        near_rank, bulk_rank: zeros, as many as neighbours count. Their number is a length, not a
            number, because it shapes arrays.
        unit: mean distance to the neighbours in `near`, and to those in `bulk`.
    """

    column: Int[Array, " kept"]
    middle: Float[Array, " kept"]
    spread: Float[Array, " kept"]
    basis: Float[Array, "kept directions"] | None
    mean: Float[Array, " c"]
    whitening: Float[Array, "c c"]
    colouring: Float[Array, "c c"]
    near: Float[Array, "m c"]
    bulk: Float[Array, "b c"]
    near_rank: Int[Array, " k"]
    bulk_rank: Int[Array, " j"]
    unit: Float[Array, "2"]


def default_detector(
    x: Rows, *, key: Array | None = None, contamination: float | None = None
) -> Detector:
    """Distance to the nearest rows plus distance to the bulk of the rows, in whitened columns.

    1. Each column in units of its median and quartiles; values beyond 3 are drawn in, so that heavy
       tails do not decide alone. Columns that do not vary are left out.
    2. Mean and covariance of the bulk: of the half nearest to the medians, then three times of the
       90 % nearest by Mahalanobis distance, with a ridge of 0.1 of the mean variance. Distances are
       then Mahalanobis distances. Without that start a heap of anomalies hides itself.
    3. The mean distance to the 5 nearest rows finds what is odd beside its neighbours; a row that
       was learned from is not its own neighbour. Of tables with more than 20,000 rows 1,024 are
       kept to be near to, none of them of the 1 % farthest from the centre: a few anomalies among
       those kept would hide their like, in one draw and not in the next. (The whole credit-card
       file, 8 draws, rows for choosing: average precision 0.210 ± 0.012 instead of 0.213 ± 0.077 by
       time, 0.555 ± 0.014 instead of 0.550 ± 0.033 at random.)
    4. The mean distance to the nearest tenth of (at most 512 of) the 80 % of the rows nearest to
       the centre finds anomalies that are neighbours of one another.
    5. The score is the sum, each over its mean among the rows learned from.

    Chosen on one half of 60 tables (of R, of KEEL, invented; none of ADBench). Mean AUROC / average
    precision on the other half, fitted on all rows and scoring them, then fitted on normal rows
    only: this 0.811 / 0.433, 0.861 / 0.645; PyOD's kNN 0.803 / 0.393, 0.866 / 0.662; PyOD's
    isolation forest 0.787 / 0.380, 0.816 / 0.543. Where the rows are known to be normal, say so
    with `contamination=0.0`: nothing is then trimmed, which gives 0.874 / 0.684 on normal rows. (On
    the half for choosing 0.865 / 0.668 instead of 0.865 / 0.654; fewer or more neighbours, another
    ridge, unwhitened or local distances were no better. It was the second look at the other half.)

    Args:
        x: rows in their own units, normal rows alone or with anomalies among them.
        key: draws rows, where there are more than are kept; None: `jax.random.key(0)`.
        contamination: share of anomalies in `x` where it is known: that many are then left out of
            centre and bulk; 0.0 for rows that are known to be normal.

    Raises:
        ValueError: fewer than 3 rows, no column, rows that are not finite, or a contamination that
            is not at least 0 and below 0.5.
    """
    if contamination is not None and not 0 <= contamination < 0.5:
        raise ValueError(f"contamination must be at least 0 and below 0.5, not {contamination}")
    rows = check_finite_rows(x).astype(np.float64)
    if len(rows) < 3 or not rows.shape[1]:
        raise ValueError(f"{len(rows)} rows of {rows.shape[1]} columns are too few to learn from")
    rng = _generator(key)
    few = _drawn(rows, min(FITTED_ROWS, FITTED_NUMBERS // rows.shape[1]), rng)
    with double_precision():
        params = _fit(few, len(few) < len(rows), contamination, rng)
        known = jnp.asarray(_drawn(few, CALIBRATION_ROWS, rng))
        usual = jnp.stack([part.mean() for part in jax.jit(_distances)(params, known)])
        params = params._replace(unit=jnp.where(usual > 0, usual, 1.0))
    name = f"default: nearest rows and bulk, {len(params.near):,} rows"
    return Detector(name, rows.mean(axis=0), params, _score, _parts, ADDITIVE)


def default_detectors(
    x: Rows, seeds: Sequence[int] | Int[np.ndarray, " seeds"], contamination: float | None = None
) -> list[Detector]:
    """`default_detector` once for each seed; on few rows, where nothing is drawn, all are equal.

    Args:
        x, contamination: see there.
        seeds: of the keys.
    """
    return [
        default_detector(x, key=jax.random.key(int(seed)), contamination=contamination)
        for seed in seeds
    ]


# ---- fitting, in NumPy ---------------------------------------------------------------------------


def _fit(
    few: Rows, of_many: bool, contamination: float | None, rng: np.random.Generator
) -> Default:
    """Everything but the units of the two distances; `of_many`: there are more rows than these."""
    column, middle, spread = _scales(few)
    scales = jnp.asarray(middle), jnp.asarray(spread)
    scaled = _scaled(jnp.asarray(few[:, column]), *scales)
    basis = _basis(np.asarray(scaled), rng)
    coordinates = np.asarray(_coordinates(scaled, basis))
    centre_trimmed = CENTRE_TRIMMED if contamination is None else contamination
    bulk_trimmed = BULK_TRIMMED if contamination is None else contamination
    mean, factor, distance = _whiten(coordinates, _central_half(scaled), centre_trimmed)
    whitening = np.linalg.inv(factor).T
    white = (coordinates - mean) @ whitening
    if of_many:
        near_trimmed = NEAR_TRIMMED if contamination is None else contamination
        central = white[distance <= np.quantile(distance, 1 - near_trimmed)]
        near = _drawn(central, NEAR_ROWS_OF_MANY, rng)
    else:
        near = _drawn(white, NEAR_ROWS, rng)
    bulk = _drawn(white[distance <= np.quantile(distance, 1 - bulk_trimmed)], BULK_ROWS, rng)
    # a row is not its own neighbour, so that there must be one more
    nearest = min(NEIGHBOURS, len(near) - 1)
    of_bulk = min(max(NEIGHBOURS, round(BULK_SHARE * len(bulk))), len(bulk) - 1)
    return Default(
        jnp.asarray(column),
        *scales,
        basis,
        jnp.asarray(mean),
        jnp.asarray(whitening),
        jnp.asarray(factor.T),
        jnp.asarray(near, jnp.float32),
        jnp.asarray(bulk, jnp.float32),
        jnp.zeros(nearest, jnp.int32),
        jnp.zeros(of_bulk, jnp.int32),
        jnp.ones(2),
    )


def _generator(key: Array | None) -> np.random.Generator:
    """NumPy's generator, seeded by a key of JAX."""
    return np.random.default_rng(
        np.asarray(jax.random.key_data(jax.random.key(0) if key is None else key))
    )


def _drawn(rows: Rows, most: int, rng: np.random.Generator) -> Float[np.ndarray, "few features"]:
    """The rows, or `most` of them drawn without replacement where there are more."""
    return rows if len(rows) <= most else rows[rng.choice(len(rows), most, replace=False)]


def _scales(
    x: Float64[np.ndarray, "n features"],
) -> tuple[Int[np.ndarray, " kept"], Float64[np.ndarray, " kept"], Float64[np.ndarray, " kept"]]:
    """Which columns vary; the median of each, and the deviation of a normal with its quartiles.

    Where most values of a column are equal, or nearly, the quartiles say nothing of how far the
    others lie from them: the standard deviation is then taken.
    """
    deviation = x.std(axis=0)
    varies = (deviation > 0) & (usable_spread(deviation, np.abs(x).max(axis=0)) == deviation)
    column = np.flatnonzero(varies) if varies.any() else np.arange(1)
    low, middle, high = np.quantile(x[:, column], [0.25, 0.5, 0.75], axis=0)
    quartiles = (high - low) / QUARTILES_OF_A_NORMAL
    deviation = np.where(varies, deviation, 1.0)[column]
    spread = np.where(quartiles > LEAST_QUARTILE * deviation, quartiles, deviation)
    return column, middle, spread


def _basis(
    scaled: Float64[np.ndarray, "n kept"], rng: np.random.Generator
) -> Float[Array, "kept directions"] | None:
    """The first principal directions of a table with more than `COORDINATES` columns."""
    from sklearn.utils.extmath import randomized_svd

    if scaled.shape[1] <= COORDINATES:
        return None
    few = scaled[: 4 * COORDINATES]
    count, seed = min(COORDINATES, len(few) - 1), int(rng.integers(2**31))
    _, _, directions = randomized_svd(few - few.mean(axis=0), count, random_state=seed)
    return jnp.asarray(directions.T, jnp.float32)


def _central_half(scaled: Float[Array, "n kept"]) -> Bool[np.ndarray, " n"]:
    """The rows whose scaled values are nearest to the medians, which are 0."""
    away = np.abs(np.asarray(scaled)).sum(axis=1)
    return away <= np.median(away)


def _whiten(
    x: Float64[np.ndarray, "n c"], kept: Bool[np.ndarray, " n"], trimmed: float
) -> tuple[Float64[np.ndarray, " c"], Float64[np.ndarray, "c c"], Float64[np.ndarray, " n"]]:
    """Mean and covariance of the bulk, and how far each row is from it.

    After FastMCD (Rousseeuw and Van Driessen 1999): mean and covariance of the rows kept, then the
    rows nearest by Mahalanobis distance are those to keep.

    Args:
        x: coordinates.
        kept: the rows to start with.
        trimmed: share of the rows left out in the end.

    Returns:
        Mean; Cholesky factor of the covariance with its ridge; squared distances.
    """
    identity = np.eye(x.shape[1])
    for _ in range(ROUNDS):
        mean = x[kept].mean(axis=0)
        centred = x[kept] - mean
        covariance = centred.T @ centred / len(centred)
        variance = np.trace(covariance) / len(covariance)
        factor = np.linalg.cholesky(covariance + RIDGE * (variance or 1.0) * identity)
        distance = np.square((x - mean) @ np.linalg.inv(factor).T).sum(axis=1)
        kept = distance <= np.quantile(distance, 1 - trimmed)
    return mean, factor, distance


# ---- scoring, array programs ---------------------------------------------------------------------


def _scaled(
    x: Float[Array, "n kept"], middle: Float[Array, " kept"], spread: Float[Array, " kept"]
) -> Float[Array, "n kept"]:
    """In units of the spread; beyond `LINEAR` of them, the logarithm of the excess is added."""
    z = (x - middle) / spread
    excess = jnp.log1p(jnp.maximum(jnp.abs(z) - LINEAR, 0.0))
    return jnp.clip(z, -LINEAR, LINEAR) + jnp.sign(z) * excess


def _coordinates(
    scaled: Float[Array, "n kept"], basis: Float[Array, "kept directions"] | None
) -> Float[Array, "n c"]:
    """The scaled columns; of wide tables, scores on the basis and the distance to its span."""
    if basis is None:
        return scaled
    along = scaled @ basis
    outside = jnp.square(scaled - along @ basis.T).sum(axis=1, keepdims=True)
    return jnp.concatenate([along, jnp.sqrt(outside)], axis=1)


def _scaled_columns(params: Default, x: Float[Array, "n features"]) -> Float[Array, "n kept"]:
    kept = x[:, params.column].astype(params.middle.dtype)
    return _scaled(kept, params.middle, params.spread)


def _outside(params: Default, x: Float[Array, "n features"]) -> Float[Array, "n kept"]:
    """Each column's share of the squared distance to the span of the basis."""
    scaled = _scaled_columns(params, x)
    if params.basis is None:
        return jnp.zeros_like(scaled)
    square = jnp.square(scaled - scaled @ params.basis @ params.basis.T)
    return square / jnp.maximum(square.sum(axis=1, keepdims=True), 1e-30)


def _whitened(params: Default, x: Float[Array, "n features"]) -> Float[Array, "n c"]:
    coordinates = _coordinates(_scaled_columns(params, x), params.basis)
    return (coordinates - params.mean) @ params.whitening


def _nearest_others(
    stored: Float[Array, "m c"], rank: Int[Array, " k"], white: Float[Array, "n c"]
) -> tuple[Float[Array, "n k"], Int[Array, "n k"]]:
    """Distances to the k nearest stored rows, without the row itself, and which they are.

    One stored row at distance 0 is taken for the row itself, as in
    `jaxdl.anomaly.nearest_neighbours.nearest_others`. Products are float64, so that squares may be
    subtracted.
    """
    stored = stored.astype(white.dtype)
    length, lengths = jnp.square(white).sum(axis=1), jnp.square(stored).sum(axis=1)
    product = jnp.matmul(white, stored.T, precision="highest")
    squared = length[:, None] - 2 * product + lengths
    # XLA selects in float32 only, and sorts whole rows where what it finds is sliced at once
    found = jax.lax.top_k(-squared.astype(jnp.float32), len(rank) + 1)
    nearness, index = jax.lax.optimization_barrier(found)
    itself = -nearness[:, :1] <= SAME * length[:, None]
    far = jnp.sqrt(jnp.maximum(-nearness, 0.0)).astype(white.dtype)
    return (
        jnp.where(itself, far[:, 1:], far[:, :-1]),
        jnp.where(itself, index[:, 1:], index[:, :-1]),
    )


def _distances(
    params: Default, x: Float[Array, "n features"]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Mean distance to the nearest rows, and to the nearest rows of the bulk."""
    white = _whitened(params, x)
    near, _ = _nearest_others(params.near, params.near_rank, white)
    bulk, _ = _nearest_others(params.bulk, params.bulk_rank, white)
    return near.mean(axis=1), bulk.mean(axis=1)


def _score(params: Default, x: Float[Array, "n features"]) -> Float[Array, " n"]:
    near, bulk = _distances(params, x)
    return near / params.unit[0] + bulk / params.unit[1]


def _parts(params: Default, x: Float[Array, "n features"]) -> Float[Array, "n features"]:
    """Each column's part of the score.

    A distance is a quadratic form of differences over itself. As in
    `jaxdl.anomaly.scores.mahalanobis_contributions`, a column's part of the form is its difference
    times half the gradient.
    """
    white = _whitened(params, x)
    near = _parts_of_distance(params, params.near, params.near_rank, white, x)
    bulk = _parts_of_distance(params, params.bulk, params.bulk_rank, white, x)
    kept = near / params.unit[0] + bulk / params.unit[1]
    return jnp.zeros(x.shape, kept.dtype).at[:, params.column].set(kept)


def _parts_of_distance(
    params: Default,
    stored: Float[Array, "m c"],
    rank: Int[Array, " k"],
    white: Float[Array, "n c"],
    x: Float[Array, "n features"],
) -> Float[Array, "n kept"]:
    """Each varying column's part of the mean distance to the k nearest stored rows."""
    far, index = _nearest_others(stored, rank, white)
    known = stored.astype(white.dtype)
    outside = _outside(params, x)

    def add(total, neighbour):
        which, distance = neighbour
        difference = white - known[which]
        change, gradient = difference @ params.colouring, difference @ params.whitening.T
        usable = jnp.where(distance > 0, distance, 1.0)[:, None]
        form = change * gradient
        if params.basis is not None:
            along = (change[:, :-1] @ params.basis.T) * (gradient[:, :-1] @ params.basis.T)
            form = along + form[:, -1:] * outside
        return total + form / usable, None

    total, _ = jax.lax.scan(add, jnp.zeros_like(outside), (index.T, far.T))
    return total / len(rank)
