"""From transactions to two halves of a table: the columns and splits of labs 160 and 165."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from datasets.fraud import Transactions

COLUMNS = ("hour", *(f"V{i}" for i in range(1, 29)), "log_amount")


@dataclass(frozen=True)
class Half:
    """Rows of one side of the split.

    Attributes:
        x: standardised columns, in the order of `COLUMNS`.
        label: 1 = fraud.
        rows: row numbers in the file.
    """

    x: Float[np.ndarray, "n 30"]
    label: Int[np.ndarray, " n"]
    rows: Int[np.ndarray, " n"]

    @property
    def normal(self) -> Float[np.ndarray, "m 30"]:
        """The rows that are not fraud."""
        return self.x[self.label == 0]


@dataclass(frozen=True)
class Scaler:
    """Column means and standard deviations of the training half."""

    mean: Float[np.ndarray, " 30"]
    sd: Float[np.ndarray, " 30"]

    def __call__(self, x: Float[np.ndarray, "n 30"]) -> Float[np.ndarray, "n 30"]:
        return ((x - self.mean) / self.sd).astype(np.float32)


def columns(data: Transactions) -> Float[np.ndarray, "n 30"]:
    """Hour of day (seconds / 3600 mod 24), V1..V28, ln(Amount + 1): lab 160's pre-processing."""
    hour = data.time / 3600.0 % 24.0
    return np.column_stack([hour, data.v.astype(np.float64), np.log1p(data.amount)])


def split_halves(
    data: Transactions, how: Literal["random", "temporal"]
) -> tuple[Half, Half, Scaler]:
    """Train and test half of the transactions, standardised by the training half.

    Args:
        data: the transactions.
        how: "random" is the lecture's split (scikit-learn, 50/50, seed 0, not stratified);
            "temporal" trains on the earlier half of the time and tests on the later.

    Returns:
        (train, test, scaler). As in the lab the scaler sees the whole training half.
    """
    everything = np.arange(len(data.label))
    if how == "random":
        from sklearn.model_selection import train_test_split

        first, second = train_test_split(everything, test_size=0.5, random_state=0)
    else:
        in_time = np.argsort(data.time, kind="stable")
        first, second = np.split(in_time, [len(in_time) // 2])
    x = columns(data)
    scaler = Scaler(x[first].mean(axis=0), x[first].std(axis=0))
    halves = [
        Half(scaler(x[rows]), data.label[rows].astype(np.int32), rows) for rows in (first, second)
    ]
    return halves[0], halves[1], scaler
