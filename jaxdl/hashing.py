"""One digest for JSON values, one for arrays, one for named arrays."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def digest(value: Any) -> str:
    """sha256 of a JSON value, the same for the same content.

    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def array_digest(array: ArrayLike) -> str:
    """sha256 of an array's bytes, shape and dtype.

    >>> array_digest(np.zeros(2)) == array_digest(np.zeros((2, 1)))
    False
    """
    array = np.asarray(array)
    found = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return found.hexdigest()


def arrays_digest(arrays: Mapping[str, ArrayLike]) -> str:
    """sha256 of named arrays, whatever their order.

    >>> arrays_digest({"x": [1], "y": [2]}) == arrays_digest({"y": [2], "x": [1]})
    True
    """
    return digest({name: array_digest(array) for name, array in arrays.items()})
