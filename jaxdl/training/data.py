"""What may be trained on, evaluated or predicted: named arrays of numbers, a row an example."""

from collections.abc import Mapping

import numpy as np

from jaxdl.errors import UserError
from jaxdl.training.task import ROW_MASK

KINDS = "iuf"  # NumPy's letters of the integer, unsigned and floating dtypes
LARGEST_INTEGER = np.iinfo(np.int32).max  # JAX's integers have 32 bits


def check_data(data: Mapping[str, np.ndarray], name: str) -> int:
    """The number of rows of `data`, once it is clear that a model can take them.

    Arrays hold integers or real numbers. Truth values are refused, for whether they are labels, a
    mask or numbers only who made them can say: `x.astype(np.float32)` or `x.astype(np.int32)` does.

    Args:
        data: arrays [rows, ...] on the host.
        name: what the message calls them: "train", "valid", "predict".

    Raises:
        UserError: there is no array or no row, the arrays differ in their number of rows, or an
            array does not hold numbers that fit into 32 bits.

    >>> check_data({"x": np.zeros((3, 2)), "y": np.zeros(3)}, "train")
    3
    >>> check_data({"x": np.array(["a", "b"])}, "train")
    Traceback (most recent call last):
    jaxdl.errors.UserError: train: 'x' holds <U1, not numbers; convert it with .astype first
    """
    if not data:
        raise UserError(f"{name}: there is no array; give at least one, {{'x': rows}} say")
    check_types({key: np.asarray(values).dtype for key, values in data.items()}, name)
    rows = {}
    for key, values in data.items():
        shape = np.shape(values)
        if not shape:
            raise UserError(f"{name}: {key!r} is a single number; an array needs a row an example")
        rows[key] = shape[0]
        check_integers(values, f"{name}: {key!r}")
    if len(set(rows.values())) != 1:
        raise UserError(f"{name}: the arrays differ in their number of rows: {rows}")
    count = next(iter(rows.values()))
    if not count:
        raise UserError(f"{name}: there are no rows; leave the call out or give at least one row")
    return count


def check_types(types: Mapping[str, np.dtype], name: str) -> None:
    """Refuse an array that holds no numbers, or that has the name of the engine's mask.

    Raises:
        UserError: there is one; the message begins with `name`.
    """
    if ROW_MASK in types:
        raise UserError(f"{name}: {ROW_MASK!r} is what the engine calls its own; rename the array")
    for key, dtype in types.items():
        if dtype.kind not in KINDS and dtype.name != "bfloat16":
            raise UserError(
                f"{name}: {key!r} holds {dtype}, not numbers; convert it with .astype first"
            )


def check_integers(values: np.ndarray, name: str) -> None:
    """Refuse integers that JAX could not hold.

    Raises:
        UserError: one does not fit into 32 bits; the message begins with `name`.
    """
    dtype = np.asarray(values).dtype
    if dtype.kind in "iu" and dtype.itemsize > 4 and np.size(values):
        largest = max(int(np.max(values)), -int(np.min(values)))
        if largest > LARGEST_INTEGER:
            raise UserError(f"{name} holds {largest}, which does not fit into 32 bits")


def row_bytes(data: Mapping[str, np.ndarray]) -> int:
    """Bytes of one row of all arrays together; at least 1."""
    return max(1, sum(x.nbytes // max(len(x), 1) for x in data.values()))
