"""The contract of every detector, deep or classical.

A detector is fitted once and then scores rows, each by itself: `score(x)` is higher for worse, and
`contributions(x)` says which columns made the score. What fitting found and what is computed with
it are kept apart (`params` and pure functions of `(params, rows)`), so that a detector whose
functions are array programs can be jitted, moved to an accelerator and exported with its threshold
in one file. The constructors are in `jaxdl.anomaly.detectors`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxdl.anomaly.metrics import MemberScores, Scores
from jaxdl.precision import double_precision

Rows = Float[np.ndarray, "n features"]
ScoreFunction = Callable[[Any, Float[Array, "n features"]], Float[Array, " n"]]
PartsFunction = Callable[[Any, Float[Array, "n features"]], Float[Array, "n features"]]

# Rows in one call of an array program: what a call needs beside them grows with their number.
BLOCK = 8192

ADDITIVE = "parts of the score; they add up to it"
SHIFTED = "parts of the score; they add up to it but for a constant"
OCCLUSION = "fall of the score when the feature is set to its training mean"


@dataclass(frozen=True, eq=False)
class Detector:
    """A fitted detector.

    Attributes:
        name: what it is, in words.
        centre: mean of each column of the rows it was fitted on.
        params: what fitting found. A tree of arrays, or a fitted scikit-learn model.
        score_rows: (params, rows) -> scores, higher is worse.
        parts_of_rows: (params, rows) -> what each column adds to the score. None: occlusion, which
            needs nothing but scores.
        reading: how contributions are to be read; one of `ADDITIVE`, `SHIFTED`, `OCCLUSION`.
        exportable: `params` are arrays and the functions are array programs of JAX, which
            `jaxdl.serving.export` can write into a file. Others compute with NumPy.
    """

    name: str
    centre: Float[np.ndarray, " features"]
    params: Any
    score_rows: ScoreFunction | Callable[[Any, Rows], Scores]
    parts_of_rows: PartsFunction | Callable[[Any, Rows], Rows] | None = None
    reading: str = OCCLUSION
    exportable: bool = True

    def score(self, x: Rows) -> Scores:
        """Score of each row, higher is worse.

        Raises:
            ValueError: another number of columns than it was fitted on, or a value is NaN or
                infinite.
        """
        x = check_finite_rows(x, len(self.centre))
        if self.exportable:
            return _in_blocks(self.score_rows, self.params, x.astype(self.centre.dtype))
        return np.asarray(self.score_rows(self.params, x))

    def contributions(self, x: Rows) -> Rows:
        """What each column adds to each row's score; `reading` says in which sense.

        Raises:
            ValueError: see `score`.
        """
        x = check_finite_rows(x, len(self.centre))
        if self.exportable:
            return _in_blocks(self.explain_rows, self.params, x)
        if self.parts_of_rows is not None:
            return np.asarray(self.parts_of_rows(self.params, x))
        whole, parts = self.score(x), np.empty(x.shape)
        for column, mean in enumerate(self.centre):
            without = x.copy()
            without[:, column] = mean
            parts[:, column] = whole - self.score(without)
        return parts

    def explain_rows(
        self, params: Any, x: Float[Array, "n features"]
    ) -> Float[Array, "n features"]:
        """`contributions` as an array program of `(params, rows)`; of exportable detectors only."""
        if self.parts_of_rows is not None:
            return self.parts_of_rows(params, x)
        whole = self.score_rows(params, x)
        centre = jnp.asarray(self.centre, x.dtype)

        def fall_without(kept):
            return whole - self.score_rows(params, jnp.where(kept, x, centre))

        # one column after the other: all at once would take features times the memory
        return jax.lax.map(fall_without, ~np.eye(x.shape[1], dtype=bool)).T


def check_finite_rows(x: ArrayLike, features: int | None = None) -> Rows:
    """Rows as a floating-point array [n, features].

    Raises:
        ValueError: not two-dimensional, not `features` columns, or a value is NaN or infinite.
    """
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(np.float64)
    if x.ndim != 2 or (features is not None and x.shape[1] != features):
        raise ValueError(f"rows have shape {x.shape}, not [n, {features or 'features'}]")
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"row {row}, column {column} is {x[row, column]}: rows must be finite")
    return x


def score_members(members: Sequence[Detector], x: Rows) -> MemberScores:
    """Scores by detectors that differ in their seed, one row for each; or by a single one."""
    return np.stack([member.score(x) for member in members])


def opaque(params: Any) -> Any:
    """Fitted arrays that the compiler may not compute with ahead of time.

    It would, where it knows them, and a product with a reciprocal is not the trainer's division.
    """
    return jax.lax.optimization_barrier(jax.tree.map(jnp.asarray, params))


def _in_blocks(program: Callable[[Any, Array], Array], params: Any, x: Rows) -> np.ndarray:
    """An array program over any number of rows."""
    compiled = jax.jit(program)
    blocks = [x[start : start + BLOCK] for start in range(0, max(len(x), 1), BLOCK)]
    with double_precision():
        return np.concatenate([np.asarray(compiled(params, block)) for block in blocks])
