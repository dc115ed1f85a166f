"""Credit-card transactions of two days in September 2013 (ULB Machine Learning Group).

284,807 rows, 492 of them fraud (0.173 %): Time in seconds, V1..V28 (principal components of
undisclosed features), Amount in euro, Class. Dal Pozzolo et al., "Calibrating probability with
undersampling for unbalanced classification", 2015; Database Contents Licence 1.0. Data of lab 160.
"""

import csv as csv_module
import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int8, Integer

from datasets import download, source
from datasets.source import DataError, Provenance, Request

NAME = "credit-card fraud"
ROWS, FRAUDS = 284_807, 492
COLUMNS = ("Time", *(f"V{i}" for i in range(1, 29)), "Amount", "Class")
# The address publishes no sum. This is the one that public records of the file agree on (its md5
# is e90efcb83d69faf99fcab8b0255024de, as in Zenodo record 7395559); rows and frauds are counted
# besides, so that the record never rests on the sum alone.
UPSTREAM = source.Upstream(
    folder="creditcard",
    filename="creditcard.csv",
    url="https://storage.googleapis.com/download.tensorflow.org/data/creditcard.csv",
    sha256="76274b691b16a6c49d3f159c883398e03ccd6d1ee12d9d8ee38f4b4b98551a89",
    size=150_828_752,
)
MAX_LINE_BYTES = 4096  # the published lines have about 530
MAX_ROWS = 2_000_000
NO_TEXT = b"\0\x1c\x1d\x1e\x1f"  # NumPy reads the last four as blanks, `float` does not
LARGEST_CELL = 1e18  # its square still fits float32, in which errors are squared
OTHER_TABLES = "; experiments/table_anomalies.py takes any other table"


@dataclass(frozen=True)
class Transactions:
    """Transactions in the order of the file; `label` 1 is fraud."""

    time: Float64[np.ndarray, " n"]  # seconds since the first transaction
    v: Float32[np.ndarray, "n 28"]
    amount: Float64[np.ndarray, " n"]  # euro
    label: Int8[np.ndarray, " n"]
    provenance: Provenance


def load(request: Request, csv: Path | None = None, twin_rows: int = ROWS) -> Transactions:
    """The published file where it can be had, else (source "auto") its simulated twin.

    Args:
        request: source and data folder. The local name is creditcard/creditcard.csv.
        csv: the user's own file with the columns Time, V1..V28, Amount, Class; wins over
            the published one.
        twin_rows: size of the twin, for quick runs; without effect on other data.

    Raises:
        DataError: a file that is damaged, malformed or not the one it should be, naming row and
            column; nothing found under "real" or "tfds"; a csv beside another source.
    """
    if csv is not None:
        return _load_user_file(csv, request)
    if request.source == "tfds":
        return _load_tfds(request)
    found = source.Missing("") if request.source == "simulated" else source.find(UPSTREAM, request)
    if isinstance(found, source.Missing):
        arrays = source.cached_arrays(f"creditcard-twin-2-{twin_rows}", lambda: simulate(twin_rows))
        provenance = source.provenance_of_twin(NAME, arrays, _counts(arrays), found)
        return Transactions(**arrays, provenance=provenance)
    arrays = source.cached_arrays(f"creditcard-{found.sha256[:16]}", lambda: parse(found.path))
    if (len(arrays["label"]), np.count_nonzero(arrays["label"])) != (ROWS, FRAUDS):
        problem = f"has {_counts(arrays)}, not {ROWS:,} and {FRAUDS}: use --csv for another file"
        raise DataError(problem, file=found.path)
    return Transactions(**arrays, provenance=source.provenance_of(NAME, [found], _counts(arrays)))


def prevalence_weights(
    label: Integer[np.ndarray, " n"], prevalence: float | None
) -> Float64[np.ndarray, " n"]:
    """Row weights that give a sample of another composition the fraud rate `prevalence`.

    A fraud weighs 1, a normal row w = frauds (1 - p) / (p normals), so that the weighted rate
    frauds / (frauds + w normals) is p. Pass them as `sample_weight` to precision and AUPRC and
    sum them for alert counts. Where no prevalence is given (None), every row stands for itself.

    Raises:
        DataError: prevalence outside (0, 1), or a label without frauds or without normal rows.

    >>> prevalence_weights(np.array([0, 1]), 0.01)
    array([99.,  1.])
    """
    if prevalence is None:
        return np.ones(len(label))
    if not 0 < prevalence < 1:
        raise DataError(f"prevalence must lie between 0 and 1, not {prevalence}")
    fraud = np.asarray(label) == 1
    frauds = np.count_nonzero(fraud)
    normals = fraud.size - frauds
    if not frauds or not normals:
        raise DataError(f"{frauds} frauds and {normals} normal rows: weights need some of both")
    return np.where(fraud, 1.0, frauds * (1 - prevalence) / (prevalence * normals))


def parse(path: Path) -> dict[str, np.ndarray]:
    """Read a transactions CSV into time [n], v [n, 28], amount [n] and label [n].

    The header names exactly Time, V1..V28, Amount, Class in any order, quoted or not. A further
    column is refused: ignoring it would hide rows whose cells have shifted. Blank lines are
    skipped; a byte-order mark and any line ending are fine. Time and Amount are not negative.

    Raises:
        DataError: names file, row (line number; the header is 1) and column of the first fault.
    """
    data = _read_text(path)
    header, _, body = data.partition(b"\n")
    names = _header_names(path, header.decode("ascii"))
    if not body.strip():
        raise DataError("has a header but no rows", file=path)
    arrays = None
    try:
        lines = io.TextIOWrapper(io.BytesIO(body), encoding="ascii")
        table = np.loadtxt(lines, delimiter=",", quotechar='"', comments=None, ndmin=2)
        if table.shape[1] == len(names):
            arrays = _arrays(table[:, [names.index(name) for name in COLUMNS]])
    except ValueError:  # the slow pass says where
        pass
    if arrays is None:
        raise _first_fault(path, data.decode("ascii"), names)
    return arrays


def simulate(rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    """The simulated twin: columns, rate and difficulty of the published file, but no row of it.

    Normal rows lie near a curved four-dimensional surface (random tanh features), with bursts of
    Pareto scale in the columns that have heavy tails. Frauds are such rows pushed along the
    published class means by a severity, which is next to nothing for nearly a quarter, so that part
    of them hides. V1..V28 are then made uncorrelated, as principal components are, and get the
    published standard deviations. The surface is always the same; `seed` draws the rows.

    Returns:
        time [rows] sorted, v [rows, 28], amount [rows], label [rows]: the same for the same
        arguments on the same NumPy and kind of processor.
    """
    if rows < 1000:
        raise DataError(f"a twin needs 1,000 rows or more, not {rows}")
    world = np.random.Generator(np.random.PCG64(20130901))
    mixing, bias = 0.7 * world.standard_normal((4, 24)), world.standard_normal(24)
    readout = world.standard_normal((24, 28))
    mean_push = (_severities(world, 20_000)[:, None] ** _GROWTH).mean(0)

    rng = np.random.Generator(np.random.PCG64(seed))
    frauds = max(1, round(rows * FRAUDS / ROWS))
    label = np.zeros(rows, np.int8)
    label[rng.choice(rows, frauds, replace=False)] = 1
    hour = rng.choice(48, rows, p=np.tile(_HOURLY / _HOURLY.sum() / 2, 2))
    steady = (label == 1) & (rng.random(rows) < 0.5)  # fraud follows the day only half as much
    hour[steady] = rng.integers(0, 48, np.count_nonzero(steady))
    time = np.floor(3600.0 * (hour + rng.random(rows)))
    order = np.argsort(time, kind="stable")
    time, label = time[order], label[order]
    fraud = label == 1

    surface = np.tanh(rng.standard_normal((rows, 4)) @ mixing + bias) @ readout
    x = math.sqrt(0.85) * _standard(surface) + math.sqrt(0.15) * rng.standard_normal((rows, 28))
    for column, drift in _DRIFTS.items():
        trend = drift * math.sqrt(12) * (time / 172_800 - 0.5)
        x[:, column] = math.sqrt(1 - drift**2) * x[:, column] + trend
    x = _standard(np.sinh(np.arcsinh(x) + _SKEW))
    scale = np.exp(0.4 * rng.standard_normal(rows))
    burst = rng.random(rows) < 0.047
    scale[burst] *= np.minimum(2 / np.sqrt(rng.random(np.count_nonzero(burst))), 24)
    x *= 1 + _TAIL * (scale[:, None] - 1)
    x *= 0.85 / (1.4826 * np.median(np.abs(x), axis=0))

    severity = _severities(rng, frauds)[:, None]
    wander = _SPREAD * np.minimum(severity, 1.5) * rng.standard_normal((frauds, 28))
    x[fraud] += _SHIFT * severity**_GROWTH / mean_push + wander
    x = _standard(x)
    eigenvalues, axes = np.linalg.eigh(x.T @ x / rows)
    x = _standard(x @ (axes / np.sqrt(eigenvalues)) @ axes.T)  # whitening that moves x the least

    columns, loads = np.array(list(_AMOUNT_LOADS)), np.array(list(_AMOUNT_LOADS.values()))
    log_amount = np.clip(x[:, columns], -4, 4) @ loads
    log_amount += math.sqrt(1 - (loads**2).sum()) * rng.standard_normal(rows)
    log_amount = np.where(fraud, 2.4 + 2.2 * rng.standard_normal(rows), 3.2 + 1.65 * log_amount)
    amount = np.round(np.expm1(np.clip(log_amount, 0, 10.1)), 2)
    return {"time": time, "v": (x * _SD).astype(np.float32), "amount": amount, "label": label}


# For the twin. One value a column, V1..V28, in units of the column's standard deviation unless
# said otherwise; rounded summaries of the published file, no single row.
_SD = np.array(  # of the whole file, in its own units
    [1.96, 1.65, 1.52, 1.42, 1.38, 1.33, 1.24, 1.19, 1.10, 1.09, 1.02, 1.00, 1.00, 0.96]
    + [0.92, 0.88, 0.85, 0.84, 0.81, 0.77, 0.73, 0.73, 0.61, 0.61, 0.52, 0.48, 0.40, 0.33]
)
_SHIFT = np.array(  # mean of fraud
    [-2.6, 2.3, -5.1, 3.3, -2.4, -1.1, -4.9, 0.5, -2.4, -5.4, 3.7, -5.8, -0.1, -7.5]
    + [-0.1, -4.9, -8.6, -2.7, 0.9, 0.5, 1.0, 0.0, -0.1, -0.2, 0.1, 0.1, 0.4, 0.2]
)
_GROWTH = np.array(  # power of the severity in the shift: V14 saturates, V1 grows last
    [2.0, 1.8, 1.5, 0.7, 1.9, 1.0, 1.7, 1.0, 1.0, 1.1, 0.7, 0.8, 1.0, 0.6]
    + [1.0, 1.0, 1.1, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
)
_SPREAD = np.array(  # of fraud around its shift, at severity 1
    [1.0, 1.0, 1.2, 1.2, 1.2, 1.2, 1.8, 4.8, 1.2, 1.4, 1.0, 1.2, 0.4, 1.8]
    + [0.4, 1.4, 2.4, 1.2, 1.8, 1.8, 4.8, 1.8, 2.4, 0.2, 1.2, 0.2, 3.6, 1.8]
)
_TAIL = np.array(  # how much of a row's burst a column takes, 0..1
    [0.8, 0.9, 0.6, 0.1, 0.8, 0.4, 0.9, 1.0, 0.25, 0.7, 0.1, 0.4, 0.0, 0.6]
    + [0.0, 0.4, 0.5, 0.3, 0.1, 1.0, 1.0, 0.2, 1.0, 0.0, 0.2, 0.0, 1.0, 1.0]
)
_SKEW = np.array(
    [-0.5, -0.3, -0.4, 0.1, 0.0, 0.35, 0.0, -0.3, 0.1, 0.2, 0.0, -0.4, 0.0, -0.1]
    + [-0.15, -0.2, 0.1, -0.1, 0.0, 0.1, 0.1, -0.1, -0.1, -0.2, -0.2, 0.2, -0.1, -0.1]
)
_HOURLY = np.array(  # transactions of hour 0..23, relative to noon
    [0.45, 0.25, 0.2, 0.2, 0.13, 0.18, 0.25, 0.45, 0.6, 0.95, 1.0, 1.0]
    + [0.98, 0.95, 0.98, 0.97, 0.96, 0.97, 1.02, 0.92, 1.0, 1.03, 0.9, 0.62]
)
_DRIFTS = {2: -0.4, 10: -0.25, 11: 0.25, 24: -0.23}  # correlation of a column with time
_AMOUNT_LOADS = {1: -0.45, 4: -0.3, 5: 0.17, 6: 0.1, 7: -0.08, 19: 0.14}  # with log amount


def _severities(rng: np.random.Generator, count: int) -> np.ndarray:
    hidden = rng.random(count) < 0.23
    return np.where(hidden, 0.04 * rng.random(count), 0.2 + 2.6 * rng.beta(1, 2, count))


def _standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)) / x.std(0)


def _counts(arrays: dict[str, np.ndarray]) -> str:
    return f"{len(arrays['label']):,} rows, {np.count_nonzero(arrays['label']):,} frauds"


def _load_user_file(path: Path, request: Request) -> Transactions:
    if request.source in ("simulated", "tfds"):
        raise DataError(f"--csv and --source {request.source} exclude each other: give one")
    arrays = parse(path)
    if _in_milliseconds(arrays["time"]):
        problem = "looks like milliseconds: give seconds since the first transaction"
        raise DataError(problem, file=path, column="Time")
    digest, listed = source.sha256_of(path), source.listed_sum(path, path.parent)
    if listed not in (None, digest):
        raise DataError(f"is damaged: SHA256SUMS beside it lists {listed[:12]}", file=path)
    detail = f"{path.name}, {_counts(arrays)}" + (", verified by SHA256SUMS" if listed else "")
    return Transactions(**arrays, provenance=Provenance(NAME, "user file", digest, detail))


def _in_milliseconds(time: Float64[np.ndarray, " n"]) -> bool:
    """Whole thousands only, and so many of them that no clock of seconds shows them by chance."""
    return len(np.unique(time)) >= 20 and bool((time % 1000 == 0).all())


def _load_tfds(request: Request) -> Transactions:
    """A folder of the user's own builder; TFDS stores single precision, Amount included."""
    how = "credit-card fraud is not in the TFDS catalogue; prepare a builder of your own with the "
    how += "features Time, V1..V28, Amount, Class there (array_record), or use --source auto"
    folder = source.tfds_folder(request, "creditcard", how)
    sums = [f"{source.sha256_of(file)}  {file.name}" for file in sorted(folder.iterdir())]
    digest = hashlib.sha256("\n".join(sums).encode()).hexdigest()

    def build() -> dict[str, np.ndarray]:
        columns = source.read_tfds(folder, COLUMNS)
        arrays = _arrays(np.array([columns[name] for name in COLUMNS], np.float64).T)
        if arrays is None:
            problem = "holds a value that is not finite, a negative Time or Amount, or a bad Class"
            raise DataError(problem, file=folder)
        return arrays

    arrays = source.cached_arrays(f"creditcard-tfds-{digest[:16]}", build)
    return Transactions(**arrays, provenance=Provenance(NAME, "tfds", digest, _counts(arrays)))


def _read_text(path: Path) -> bytes:
    """ASCII bytes of a file within the caps, without byte-order mark, lines ending in \\n."""
    try:
        if path.stat().st_size > download.MAX_BYTES:
            raise DataError(f"has more than {download.MAX_BYTES:,} bytes", file=path)
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=path) from error
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    octets = np.frombuffer(data, np.uint8)
    if not data.strip():
        raise DataError("is empty", file=path)
    if not data.isascii() or any(octet in data for octet in NO_TEXT):
        place = int(np.argmax((octets > 127) | np.isin(octets, list(NO_TEXT))))
        problem = f"byte 0x{octets[place]:02x} is no part of a number: save the file as plain UTF-8"
        raise DataError(problem, file=path, row=data.count(b"\n", 0, place) + 1)
    ends = np.flatnonzero(octets == 10)
    lengths = np.diff(ends, prepend=-1, append=len(data)) - 1
    if lengths.max() > MAX_LINE_BYTES:
        problem = f"has more than {MAX_LINE_BYTES:,} bytes in one line"
        raise DataError(problem, file=path, row=int(lengths.argmax()) + 1)
    if len(lengths) > MAX_ROWS:
        raise DataError(f"has more than {MAX_ROWS:,} rows", file=path)
    return data


def _header_names(path: Path, header: str) -> list[str]:
    names = [name.strip() for name in next(csv_module.reader([header]), [])]
    for name in (*COLUMNS, *names):
        if name not in names:
            fault = "is missing from the header"
            if ";" in header or "\t" in header:
                fault += ", whose names must be separated by commas"
        elif names.count(name) > 1:
            fault = "stands twice in the header"
        elif name not in COLUMNS:
            fault = "is not one of Time, V1..V28, Amount, Class: remove it"
        else:
            continue
        raise DataError(fault + OTHER_TABLES, file=path, row=1, column=repr(name[:40]))
    return names


def _arrays(table: Float64[np.ndarray, "n 31"]) -> dict[str, np.ndarray] | None:
    """Columns of a table in the order of COLUMNS, or None if a cell holds what it must not."""
    time, v, amount, label = table[:, 0], table[:, 1:29], table[:, 29], table[:, 30]
    fine = np.isfinite(time).all() and np.isfinite(amount).all()
    fine = fine and (np.abs(table) <= LARGEST_CELL).all()  # false for NaN as well
    if not (fine and time.min() >= 0 and amount.min() >= 0 and np.isin(label, (0, 1)).all()):
        return None
    return {
        "time": time.copy(),
        "v": v.astype(np.float32),
        "amount": amount.copy(),
        "label": label.astype(np.int8),
    }


def _first_fault(path: Path, text: str, names: list[str]) -> DataError:
    rows = csv_module.reader(io.StringIO(text), strict=True)
    row = 1
    try:
        next(rows)
        while True:
            row = rows.line_num + 1
            cells = next(rows)
            if cells and len(cells) != len(names):
                problem = f"has {len(cells)} cells instead of {len(names)}"
                return DataError(problem, file=path, row=row)
            for name, cell in zip(names, cells, strict=False):  # a blank line has no cells
                problem = _cell_problem(name, cell)
                if problem:
                    return DataError(f"{cell[:40]!r} {problem}", file=path, row=row, column=name)
    except StopIteration:
        return DataError("cannot be read as a table of numbers", file=path)
    except csv_module.Error as error:
        return DataError(f"is no CSV ({error})", file=path, row=row)


def _cell_problem(name: str, cell: str) -> str | None:
    try:
        value = float(cell.replace("_", "?"))  # float() takes 1_000, the fast pass does not
    except ValueError:
        return "is not a number" + OTHER_TABLES
    if not math.isfinite(value):
        return "is not finite"
    if abs(value) > LARGEST_CELL:
        return f"is out of range: nothing beyond {LARGEST_CELL:g} is taken for a measured value"
    if name in ("Time", "Amount") and value < 0:
        return "is negative"
    if name == "Class" and value not in (0, 1):
        return "is neither 0 nor 1"
    return None
