"""Columns of a stream of payments: of each payment, and of what its account did before it."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

DAY, HOUR = 86_400.0, 3600.0
PLAIN = ("away", "incoming", "new partner", "own address", "hour of day")


def history(stream: Any) -> dict[str, Num[np.ndarray, " n"]]:
    """Columns of each payment, from it and from what was known before it.

    Args:
        stream: payments in order of time, as columns: `time` and `opened` in seconds, `account`,
            `partner`, `address`, `region` and `home` as numbers, `incoming`, `amount` in euro.
    """
    n = len(stream.time)
    order = np.lexsort((stream.time, stream.account))
    same = np.concatenate([[False], np.diff(stream.account[order]) == 0])
    log_amount = np.log1p(stream.amount)[order]
    start = np.maximum.accumulate(np.where(same, 0, np.arange(n)))
    sums = np.concatenate([[0.0], np.cumsum(log_amount)])
    before = np.arange(n) - start
    # the mean of the account's earlier payments; one payment's worth of the common mean before any
    mean = (sums[:-1] - sums[start] + log_amount.mean()) / (before + 1)
    gap = np.where(same, np.diff(stream.time[order], prepend=0.0), 30 * DAY)
    usual, since = np.empty(n), np.empty(n)
    usual[order], since[order] = np.exp(log_amount - mean), gap
    return {
        "away": (stream.region != stream.home).astype(float),
        "times usual amount": usual,
        "payments in an hour": count_before(stream.time, stream.account, HOUR),
        "incoming": stream.incoming.astype(float),
        "new partner": first_seen(stream.account, stream.partner).astype(float),
        "amount": stream.amount,
        "account age in days": (stream.time - stream.opened) / DAY,
        "accounts at address in an hour": distinct_before(
            stream.time, stream.address, stream.account, HOUR
        ),
        "own address": (stream.address == stream.account).astype(float),
        "hour of day": stream.time % DAY / HOUR,
        "hours since the last payment": since / HOUR,
    }


def as_inputs(columns: dict[str, Num[np.ndarray, " n"]]) -> Float[np.ndarray, "n columns"]:
    """What detectors get: logarithms of whatever is a count, a time or an amount."""
    return np.column_stack([v if k in PLAIN else np.log1p(v) for k, v in columns.items()])


def count_before(
    time: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"], window: float
) -> Int[np.ndarray, " n"]:
    """Events of the same group in the last `window` seconds, the event itself included.

    Args:
        time: not falling.
        group: an account or an address, say.
    """
    order = np.lexsort((time, group))
    place = group[order].astype(np.int64)
    _, place = np.unique(place, return_inverse=True)
    # one increasing axis for all groups, so that one search serves them all
    stretch = float(time[-1] - time[0]) + 2 * window + 1.0
    axis = place * stretch + (time[order] - time[0])
    first = np.searchsorted(axis, axis - window, side="left")
    counts = np.empty(len(time), np.int64)
    counts[order] = np.arange(len(time)) - first + 1
    return counts


def distinct_before(
    time: Float[np.ndarray, " n"],
    group: Int[np.ndarray, " n"],
    value: Int[np.ndarray, " n"],
    window: float,
) -> Int[np.ndarray, " n"]:
    """Distinct values of a group in the last `window` seconds: accounts behind one address, say.

    Args:
        time: not falling.
    """
    counts = np.ones(len(time), np.int64)
    order = np.lexsort((time, group))
    edges = np.flatnonzero(np.diff(group[order])) + 1
    for rows in np.split(order, edges):
        if len(rows) < 2 or (value[rows] == value[rows[0]]).all():
            continue
        first = np.searchsorted(time[rows], time[rows] - window, side="left")
        counts[rows] = [
            len(set(value[rows[start : i + 1]].tolist())) for i, start in enumerate(first)
        ]
    return counts


def first_seen(
    group: Int[np.ndarray, " n"], value: Int[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """True at the first event, in the given order, of each pair of group and value."""
    pairs = np.stack([group, value], axis=1)
    _, index = np.unique(pairs, axis=0, return_index=True)
    new = np.zeros(len(group), bool)
    new[index] = True
    return new
