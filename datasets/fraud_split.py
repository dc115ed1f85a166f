"""From transactions to parts of a table: the columns and splits of labs 160 and 165.

Rows keep their numbers in the file through every step, resampling included, and no split returns
parts that share one: a row that is trained on and tested on is a leak, whatever made it so.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from datasets.fraud import Transactions, prevalence_weights
from datasets.source import DataError
from datasets.splits import refuse_shared_rows

COLUMNS = ("hour", *(f"V{i}" for i in range(1, 29)), "log_amount")


@dataclass(frozen=True)
class Half:
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


def raw_rows(data: Transactions, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n 30"]:
    """Time, V1..V28, Amount of the rows with these numbers, as a file has them."""
    return np.column_stack([data.time[rows], data.v[rows], data.amount[rows]])


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
    train, test = (_part(data, x, scaler, rows) for rows in (first, second))
    refuse_shared_rows(train.rows, test.rows)
    return train, test, scaler


class Parts(NamedTuple):
    """A split with a validation part; `scaler` made the columns of all three."""

    fit: Half
    valid: Half
    test: Half
    scaler: Scaler


def split_three(
    data: Transactions, how: Literal["random", "temporal"], valid_share: float = 0.25
) -> Parts:
    """`split_halves` with part of the training half set aside for choices and thresholds.

    The test half is the same. The validation part is drawn at random (seed 0) from the training
    half under both splits: two days show the time of day but once or twice, so a slice of the
    evening would calibrate for evenings only. The scaler sees the normal rows of the fit part: the
    huge values of frauds, which the lab lets into it, shrink the columns that show fraud best.

    Raises:
        DataError: a part without normal rows or without fraud.
    """
    train, test, _ = split_halves(data, how)
    shuffled = np.random.default_rng(0).permutation(train.rows)
    valid, fit = np.split(shuffled, [round(valid_share * len(shuffled))])
    x = columns(data)
    normal = x[fit[data.label[fit] == 0]]
    for rows in (fit, valid, test.rows):
        if len(set(data.label[rows].tolist())) < 2:
            problem = f"the {how} split leaves a part of {len(rows)} rows without normal rows or "
            raise DataError(problem + "without fraud: give a file with more rows")
    spread = normal.std(axis=0)
    scaler = Scaler(normal.mean(axis=0), np.where(spread > 0, spread, 1.0))
    parts = [_part(data, x, scaler, rows) for rows in (fit, valid, test.rows)]
    refuse_shared_rows(*(part.rows for part in parts))
    return Parts(*parts, scaler)


def row_weights(label: Int[np.ndarray, " n"], prevalence: float | None) -> Float[np.ndarray, " n"]:
    """What each row stands for: one transaction, or `prevalence_weights` where a share is given."""
    return np.ones(len(label)) if prevalence is None else prevalence_weights(label, prevalence)


def training_half(parts: Parts) -> Half:
    """Fit and validation part together, for a method that sets rows aside by itself."""
    both = (parts.fit, parts.valid)
    return Half(*(np.concatenate([getattr(p, f) for p in both]) for f in ("x", "label", "rows")))


def thinned(part: Half, normals: int) -> Half:
    """All frauds and at most so many normal rows (drawn with seed 0), in the part's order."""
    normal = np.random.default_rng(0).permutation(np.flatnonzero(part.label == 0))[:normals]
    kept = np.sort(np.concatenate([normal, np.flatnonzero(part.label == 1)]))
    return Half(part.x[kept], part.label[kept], part.rows[kept])


class LabelFree(NamedTuple):
    """Rows for a detector that never trains on fraud; `normal` are `fit` and more of their kind."""

    fit: Float[np.ndarray, "n 30"]
    valid: Half
    normal: Float[np.ndarray, "m 30"]
    normal_rows: Int[np.ndarray, " m"]


def label_free(parts: Parts) -> LabelFree:
    """The training half as a method without labels uses it.

    Returns:
        `fit`: normal rows to train candidates on; `valid`: the validation part with the frauds of
        the fit part added, as no candidate has seen them; `normal`: all normal rows of the training
        half, for the candidate that was chosen.
    """
    unused = parts.fit.label == 1
    both = [(parts.valid, slice(None)), (parts.fit, unused)]
    x, label, rows = (
        np.concatenate([getattr(part, name)[which] for part, which in both])
        for name in ("x", "label", "rows")
    )
    normal = np.concatenate([parts.fit.normal, parts.valid.normal])
    known = [part.rows[part.label == 0] for part in (parts.fit, parts.valid)]
    return LabelFree(parts.fit.normal, Half(x, label, rows), normal, np.concatenate(known))


def _part(data: Transactions, x: np.ndarray, scaler: Scaler, rows: np.ndarray) -> Half:
    return Half(scaler(x[rows]), data.label[rows].astype(np.int32), rows)


def resample(part: Half, how: Literal["over", "under"], fraud_share: float, seed: int) -> Half:
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
    chosen = rng.permutation(chosen)
    return Half(part.x[chosen], part.label[chosen], part.rows[chosen])
