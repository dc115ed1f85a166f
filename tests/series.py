"""Series that several tests share, and what a live program is given of them."""

from collections.abc import Sequence
from functools import cache

import jax
import numpy as np

from datasets import nab
from datasets.source import Request


@cache
def taxi_twin() -> nab.Series:
    """The simulated twin of NAB's taxi rides: a value in half an hour."""
    return nab.load(Request("simulated"), "realKnownCause/nyc_taxi")


def taxi_values() -> np.ndarray:
    """Its values as the detectors take them."""
    return taxi_twin().value.astype(np.float32)


def same(first, second) -> bool:
    """Whether two pytrees are equal to the bit."""
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, first, second)))


def stamped(values: Sequence[float], seconds: float = 1800, start: str = "2020-01-01") -> list[str]:
    """Lines `timestamp,value` in equal steps."""
    first, step = np.datetime64(start, "us"), np.timedelta64(round(seconds * 1e6), "us")
    return [f"{first + i * step},{value}" for i, value in enumerate(values)]
