"""One digest for JSON values, one for arrays."""

import hashlib
import json
from typing import Any

import numpy as np


def digest(value: Any) -> str:
    """sha256 of a JSON value, the same for the same content."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def array_digest(array: Any) -> str:
    """sha256 of an array's bytes, shape and dtype."""
    array = np.asarray(array)  # not ascontiguousarray: that turns a scalar into a vector
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()
