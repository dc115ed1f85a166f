"""From transactions to parts of a table: the columns and splits of labs 160 and 165.

Rows keep their numbers in the file through every step, resampling included, and no split returns
parts that share one: a row that is trained on and tested on is a leak, whatever made it so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from datasets import splits
from datasets.fraud import Transactions
from datasets.source import DataError
from jaxdl.scaling import mean_and_spread

COLUMNS = ("hour", *(f"V{i}" for i in range(1, 29)), "log_amount")
LEAST_NORMAL = len(COLUMNS)  # normal rows to learn from: fewer determine no covariance
How = Literal["random", "temporal"]


@dataclass(frozen=True)
class TransactionRows:
    """Rows of one part of the split.

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

    def take(self, index: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> "TransactionRows":
        """Some of the rows, in the order asked for; a row may be taken more than once."""
        return TransactionRows(self.x[index], self.label[index], self.rows[index])


def joined(parts: Sequence[TransactionRows]) -> TransactionRows:
    """The rows of several parts, one part after the other."""
    return TransactionRows(
        x=np.concatenate([part.x for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        rows=np.concatenate([part.rows for part in parts]),
    )


@dataclass(frozen=True)
class Scaler:
    """Column means and standard deviations of the rows that it was made from."""

    mean: Float[np.ndarray, " 30"]
    sd: Float[np.ndarray, " 30"]

    def __call__(self, x: Float[np.ndarray, "n 30"]) -> Float[np.ndarray, "n 30"]:
        return ((x - self.mean) / self.sd).astype(np.float32)


def columns(data: Transactions) -> Float64[np.ndarray, "n 30"]:
    """Hour of day (seconds / 3600 mod 24), V1..V28, ln(Amount + 1): lab 160's pre-processing."""
    hour = data.time / 3600.0 % 24.0
    return np.column_stack([hour, data.v.astype(np.float64), np.log1p(data.amount)])


def raw_rows(data: Transactions, rows: Int[np.ndarray, " n"]) -> Float64[np.ndarray, "n 30"]:
    """Time, V1..V28, Amount of the rows with these numbers, as a file has them."""
    return np.column_stack([data.time[rows], data.v[rows], data.amount[rows]])


def split_in_two(
    data: Transactions, how: How, test_share: float = 0.5
) -> tuple[TransactionRows, TransactionRows, Scaler]:
    """Training and test part of the transactions, standardised by the training part.

    Args:
        data: the transactions.
        how: "random" is the lecture's split (scikit-learn, seed 0, not stratified); "temporal"
            trains on the earlier rows and tests on the later.
        test_share: share of the rows that are tested; the lecture's is a half.

    Returns:
        (train, test, scaler). As in the lab the scaler sees the whole training part.

    Raises:
        DataError: a part would be empty, or has too few normal rows.
    """
    first, second = _training_and_test_rows(data, how, test_share)
    _refuse_few_normal_rows(how, data.label[first], data.label[second])
    x = columns(data)
    scaler = Scaler(*mean_and_spread(x[first]))
    splits.refuse_shared_rows(first, second)
    return _part(data, x, scaler, first), _part(data, x, scaler, second), scaler


def refuse_parts_without_fraud(how: How, *parts: TransactionRows) -> None:
    """For labs that judge by the frauds of every part.

    Raises:
        DataError: a part has none, so that nothing could be measured.
    """
    if not all(part.label.any() for part in parts):
        raise DataError(
            f"the {how} split leaves a part without any fraud, so nothing can be judged; "
            "experiments/table_anomalies.py learns from a table without labels, too"
        )


class Parts(NamedTuple):
    """A split with a validation part; `scaler` made the columns of all three."""

    fit: TransactionRows
    valid: TransactionRows
    test: TransactionRows
    scaler: Scaler


def split_three(
    data: Transactions, how: How, test_share: float = 0.5, valid_share: float = 0.25
) -> Parts:
    """`split_in_two` with a share of the training part set aside for choices and thresholds.

    The test part is the same. The validation part is drawn at random (seed 0) from the training
    part under both splits: two days show the time of day but once or twice, so a slice of the
    evening would calibrate for evenings only. The scaler sees the normal rows of the fit part: the
    huge values of frauds, which the lab lets into it, shrink the columns that show fraud best.

    Raises:
        DataError: a part without normal rows or without fraud, or with too few to learn from.
    """
    train, test = _training_and_test_rows(data, how, test_share)
    fit, valid = splits.split_at_random(train, valid_share)
    for rows in (fit, valid, test):
        if len(set(data.label[rows].tolist())) < 2:
            problem = f"the {how} split leaves a part of {len(rows)} rows without normal rows or "
            raise DataError(problem + "without fraud: give a file with more rows")
    _refuse_few_normal_rows(how, data.label[fit], data.label[test])
    splits.refuse_shared_rows(fit, valid, test)
    normal_rows = fit[data.label[fit] == 0]
    x = columns(data)
    scaler = Scaler(*mean_and_spread(x[normal_rows]))
    return Parts(*(_part(data, x, scaler, rows) for rows in (fit, valid, test)), scaler)


def training_part(parts: Parts) -> TransactionRows:
    """Fit and validation part together, for a method that sets rows aside by itself."""
    return joined([parts.fit, parts.valid])


def without_labels(
    train: TransactionRows, test: TransactionRows
) -> tuple[Float[np.ndarray, "n 30"], Float[np.ndarray, "m 30"]]:
    """Both parts as somebody has them who knows no label: standardised by all training rows."""
    scaler = Scaler(*mean_and_spread(train.x.astype(np.float64)))
    return scaler(train.x), scaler(test.x)


class LabelFree(NamedTuple):
    """Rows for a detector that never trains on fraud; `normal` are `fit` and more of their kind."""

    fit: Float[np.ndarray, "n 30"]
    valid: TransactionRows
    normal: Float[np.ndarray, "m 30"]
    normal_rows: Int[np.ndarray, " m"]


def label_free(parts: Parts) -> LabelFree:
    """The training part as a method without labels uses it.

    Returns:
        `fit`: normal rows to train candidates on; `valid`: the validation part with the frauds of
        the fit part added, as no candidate has seen them; `normal`: all normal rows of the training
        part, for the candidate that was chosen.
    """
    train = training_part(parts)
    unused = parts.fit.take(parts.fit.label == 1)
    return LabelFree(
        fit=parts.fit.normal,
        valid=joined([parts.valid, unused]),
        normal=train.normal,
        normal_rows=train.rows[train.label == 0],
    )


def thinned(part: TransactionRows, normals: int) -> TransactionRows:
    """All frauds and at most so many normal rows (drawn with seed 0), in the part's order."""
    shuffled = np.random.default_rng(0).permutation(np.flatnonzero(part.label == 0))
    kept = np.concatenate([shuffled[:normals], np.flatnonzero(part.label == 1)])
    return part.take(np.sort(kept))


def resample(
    part: TransactionRows, how: Literal["over", "under"], fraud_share: float, seed: int
) -> TransactionRows:
    """A part with a larger share of fraud: the deck's remedies for imbalance (slide 66).

    Args:
        part: a training part. Resampling a part that is tested on changes its prevalence.
        how: "over" repeats frauds, "under" leaves normal rows out.
        fraud_share: of the rows that come out; more than in `part`, below 1.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    fraud, normal = np.flatnonzero(part.label == 1), np.flatnonzero(part.label == 0)
    if how == "over":
        more = round(len(normal) * fraud_share / (1 - fraud_share)) - len(fraud)
        chosen = np.concatenate([normal, fraud, rng.choice(fraud, max(more, 0))])
    else:
        fewer = round(len(fraud) * (1 - fraud_share) / fraud_share)
        kept = rng.choice(normal, min(fewer, len(normal)), replace=False)
        chosen = np.concatenate([kept, fraud])
    return part.take(rng.permutation(chosen))


def _training_and_test_rows(
    data: Transactions, how: How, test_share: float
) -> tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]]:
    if how == "temporal":
        return splits.split_by_time(data.time, test_share)
    return splits.random_parts(len(data.label), test_share)


def _refuse_few_normal_rows(
    how: How, learnt: Int[np.ndarray, " first"], tested: Int[np.ndarray, " second"]
) -> None:
    """Raises DataError unless the labels of both parts have enough normal rows (0)."""
    to_learn, to_test = int((learnt == 0).sum()), int((tested == 0).sum())
    if to_learn < LEAST_NORMAL or not to_test:
        raise DataError(
            f"the {how} split leaves {to_learn} normal rows to learn from and {to_test} to test: "
            f"{LEAST_NORMAL} and 1 are needed, give a file with more"
        )


def _part(
    data: Transactions, x: Float64[np.ndarray, "n 30"], scaler: Scaler, rows: Int[np.ndarray, " m"]
) -> TransactionRows:
    return TransactionRows(scaler(x[rows]), data.label[rows].astype(np.int32), rows)
