"""Columns of a stream of payments: of each payment, and of what its account did before it."""

from typing import Any

import numpy as np
from jaxtyping import Float, Num

from jaxdl.anomaly.rules import count_before, distinct_before, first_seen

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
