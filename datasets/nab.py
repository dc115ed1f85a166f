"""Time series of the Numenta Anomaly Benchmark (NAB v1.1, MIT licence), or your own CSV file.

Source: https://github.com/numenta/NAB (Lavin and Ahmad 2015; Ahmad et al. 2017). A series is named
as there, without suffix: `realKnownCause/nyc_taxi`. Published files are taken row by row as they
are, because NAB scores rows: some repeat rows where the clocks changed, one goes back 55 minutes.
Your own file has the columns `timestamp` and `value`; rows may be unevenly spaced, but a missing
value and a time stamp that is repeated or out of order are refused, with the row.

Six series have a simulated twin: five days with a plateau from 9 to 18 h, and the taxi passengers.
"""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from datasets.nab_checksums import LABELS_SHA256, SHA256, WINDOWS_SHA256
from datasets.source import (
    DataError,
    Missing,
    Provenance,
    Request,
    Upstream,
    find_all,
    provenance_of,
)
from jaxdl.errors import nearest
from jaxdl.hashing import arrays_digest

URL = "https://raw.githubusercontent.com/numenta/NAB/master/"
MAX_BYTES = 256 * 1024 * 1024
TIMES = "datetime64[s]"


@dataclass(frozen=True)
class Series:
    """One time series.

    Attributes:
        name: NAB's name without suffix, or the stem of the user's file.
        time: datetime64[s], shape [n]. Rises strictly, except in NAB files named above.
        value: float64, shape [n], finite.
        labels: time stamps that people marked as anomalous.
        windows: (first, last) time stamp of each of NAB's scoring windows; both belong to it.
        provenance: where the bytes came from.
    """

    name: str
    time: np.ndarray
    value: np.ndarray
    labels: list[np.datetime64]
    windows: list[tuple[np.datetime64, np.datetime64]]
    provenance: Provenance

    @property
    def step_seconds(self) -> int:
        """The usual distance of two rows: the median, in seconds (at least 1)."""
        return max(int(np.median(np.diff(self.time).astype(np.int64))), 1)

    def in_window(self) -> np.ndarray:
        """bool [n]: which rows lie in a scoring window."""
        inside = np.zeros(len(self.time), bool)
        for first, last in self.windows:
            inside |= (self.time >= first) & (self.time <= last)
        return inside


def load(request: Request, name: str, series_file: Path | None = None) -> Series:
    """A NAB series by name, its simulated twin, or a file of the user.

    Args:
        request: where to look.
        name: such as "realKnownCause/nyc_taxi"; not used with `series_file`.
        series_file: CSV file with the columns `timestamp` and `value`. It has no labels.

    Raises:
        DataError: an unknown name, no bytes and no twin, or a file that cannot be used.
    """
    if series_file is not None:
        return _load_user_file(series_file)
    if request.source == "tfds":
        raise DataError("NAB is not in TensorFlow Datasets; use --source auto, real or simulated")
    if not re.fullmatch(r"\w+/[\w.-]+", name, re.ASCII):
        raise DataError(f"{name!r} is not a NAB name such as realKnownCause/nyc_taxi")
    if request.source == "simulated":
        return _simulated(name, "asked for")
    found = find_all([_labels(), _windows(), _series(name)] if name in SHA256 else [], request)
    if name not in SHA256:
        found = _find_by_label_file(name, request)
    if isinstance(found, Missing):
        return _simulated(name, found.reason)
    labels, windows, series = found
    time, value = _parse(series.path, published=True)
    return Series(
        name,
        time,
        value,
        [_stamp(text) for text in _entry(labels.path, name)],
        [(_stamp(first), _stamp(last)) for first, last in _entry(windows.path, name)],
        provenance_of(f"NAB {name}", found, f"{len(value):,} rows"),
    )


def twins() -> tuple[str, ...]:
    """Names of the series that have a simulated twin."""
    return tuple(_TWINS)


def _series(name: str) -> Upstream:
    path = f"data/{name}.csv"
    return Upstream("nab", path, URL + path, SHA256.get(name))


def _labels() -> Upstream:
    path = "labels/combined_labels.json"
    return Upstream("nab", path, URL + path, LABELS_SHA256)


def _windows() -> Upstream:
    path = "labels/combined_windows.json"
    return Upstream("nab", path, URL + path, WINDOWS_SHA256)


def _find_by_label_file(name: str, request: Request):
    """A series without a known sum: NAB's label file has to name it before it is fetched."""
    known = find_all([_labels(), _windows()], request)
    if isinstance(known, Missing):
        return known
    names = [key.removesuffix(".csv") for key in _read_json(known[0].path)]
    if name not in names:
        stems = {each.rpartition("/")[2]: each for each in names}
        near = nearest(name.rpartition("/")[2], stems)
        hint = f"did you mean {stems[near]}?" if near else "see labels/combined_labels.json of NAB"
        raise DataError(f"NAB has no series {name}; {hint}")
    series = find_all([_series(name)], request)
    return series if isinstance(series, Missing) else [*known, *series]


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"is not JSON ({error})", file=path) from error


def _entry(path: Path, name: str) -> list:
    entry = _read_json(path).get(f"{name}.csv")
    if not isinstance(entry, list):
        raise DataError(f"has no list for {name}.csv", file=path)
    return entry


def _stamp(text: str) -> np.datetime64:
    return np.datetime64(datetime.fromisoformat(text).replace(microsecond=0), "s")


def _load_user_file(path: Path) -> Series:
    path = Path(path).expanduser()
    time, value = _parse(path, published=False)
    if len(value) < 2:
        raise DataError("has fewer than two rows", file=path)
    step = np.diff(time).astype(np.int64)
    uneven = int((step != np.median(step)).sum())
    detail = f"{path.name}, {len(value):,} rows, every {np.median(step):g} s"
    detail += f", {uneven} steps of another length" if uneven else ""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    provenance = Provenance(path.stem, "user file", digest, detail)
    return Series(path.stem, time, value, [], [], provenance)


def _parse(path: Path, published: bool) -> tuple[np.ndarray, np.ndarray]:
    """Columns `timestamp` and `value`; published files may repeat a time or go back."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"is larger than {MAX_BYTES >> 20} MiB", file=path)
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8 text", file=path) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=path) from error
    rows = csv.reader(io.StringIO(text))
    header = [column.strip().lower() for column in next(rows, [])]
    for column in ("timestamp", "value"):
        if column not in header:
            raise DataError("the first line must name it", file=path, row=1, column=column)
    at, value_at = header.index("timestamp"), header.index("value")
    times: list[datetime] = []
    values: list[float] = []
    try:
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                problem = f"has {len(row)} fields instead of {len(header)}"
                raise DataError(problem, file=path, row=rows.line_num)
            time = _parse_time(row[at], path, rows.line_num)
            if times and not published and time <= times[-1]:
                word = "repeats" if time == times[-1] else "is earlier than"
                raise DataError(
                    f"{row[at]} {word} the time stamp before it; sort the file and keep one row "
                    "for each time",
                    file=path,
                    row=rows.line_num,
                    column="timestamp",
                )
            times.append(time)
            values.append(_parse_value(row[value_at], path, rows.line_num))
    except csv.Error as error:
        raise DataError(str(error), file=path, row=rows.line_num) from error
    return np.array(times, TIMES), np.array(values, np.float64)


def _parse_time(text: str, path: Path, row: int) -> datetime:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        problem = f"{text[:40]!r} is not a time such as 2014-07-01 00:30:00"
        raise DataError(problem, file=path, row=row, column="timestamp") from None
    if time.tzinfo is not None:
        time = time.astimezone(UTC).replace(tzinfo=None)
    return time.replace(microsecond=0)


def _parse_value(text: str, path: Path, row: int) -> float:
    if not text.strip():
        problem = "is missing: leave the whole row out, or fill the value in"
        raise DataError(problem, file=path, row=row, column="value")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{text[:40]!r} is not a finite number", file=path, row=row, column="value")
    return value


def _simulated(name: str, reason: str) -> Series:
    """The twin, with the labels of its model; the same bits every time."""
    if name not in _TWINS:
        twins = ", ".join(_TWINS)
        raise DataError(f"no bytes of NAB {name} ({reason}), and it has no twin; twins: {twins}")
    build, labels, windows = _TWINS[name]
    time, value = build(np.random.default_rng(list(name.encode())))
    sums = arrays_digest({"time": time.astype(np.int64), "value": value})
    provenance = Provenance(f"NAB {name}", "simulated", sums, f"{len(value):,} rows; {reason}")
    spans = [(_stamp(first), _stamp(last)) for first, last in windows]
    return Series(name, time, value, [_stamp(text) for text in labels], spans, provenance)


def _times(first: str, last: str, minutes: int) -> np.ndarray:
    return np.arange(np.datetime64(first, "s"), np.datetime64(last, "s"), minutes * 60)


def _factory_days(
    night: float = 20.0, change: Callable[[np.ndarray], np.ndarray] | None = None
) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """Fourteen days of 288 values: a plateau of 80 from 9 to 18 h, everything within 10 %.

    Args:
        night: level outside working hours.
        change: makes the eleventh day, 2014-04-11, out of a normal one (24 hourly levels).
    """

    def build(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        hours = np.full(24, night)
        hours[9:20] = [68, 77.5, *[79.8] * 7, 0.8 * night + 16, 0.96 * night + 3.2]
        days = np.tile(hours, (14, 1))
        if change is not None:
            days[10] = change(hours)
        level = np.repeat(days.reshape(-1), 12)
        noise = 0.1 * np.maximum(np.abs(level), 10.0) * rng.uniform(-1, 1, level.size)
        return _times("2014-04-01", "2014-04-15", 5), level + noise

    return build


def _jump(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    """Working hours raised or lowered from 09:00 to 17:59, the rest as ever."""

    def change(hours: np.ndarray) -> np.ndarray:
        day = hours.copy()
        day[9:18] *= factor
        return day

    return change


# Thousands of passengers in half an hour, at 0, 2, ... 22 h, from Monday to Sunday.
_TAXI_WEEK = np.array(
    [
        [9.6, 3.4, 2.1, 6.3, 18.1, 16.2, 17.1, 17.7, 14.4, 21.6, 22.3, 19.0],
        [9.6, 3.4, 2.1, 6.3, 18.1, 16.2, 17.1, 17.7, 14.4, 21.6, 22.3, 21.3],
        [12.0, 4.4, 2.6, 6.6, 19.1, 17.0, 18.0, 18.1, 14.7, 21.9, 23.3, 22.8],
        [14.0, 5.9, 3.4, 6.6, 18.4, 16.6, 17.7, 18.0, 14.4, 21.1, 23.4, 23.3],
        [17.4, 7.7, 4.1, 6.4, 17.3, 16.2, 17.5, 18.4, 14.9, 22.0, 23.9, 24.4],
        [23.7, 17.4, 9.7, 3.6, 7.8, 15.1, 19.7, 19.7, 18.0, 22.4, 22.5, 23.3],
        [24.6, 18.6, 10.6, 3.4, 6.2, 13.5, 18.7, 19.1, 17.1, 19.2, 17.0, 15.1],
    ]
)


def _taxi(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Seven months of passengers in half an hour, with a weekly course and seven odd spells."""
    time = _times("2014-07-01", "2015-02-01", 30)
    half_hour = np.arange(time.size) + 48  # since a Monday
    week = np.interp(half_hour % 336, np.arange(0, 340, 4), np.append(_TAXI_WEEK.ravel(), 9.6))
    day = np.repeat(0.05 * rng.standard_normal(time.size // 48), 48)
    wander = 0.03 * np.convolve(rng.standard_normal(time.size + 5), np.ones(6) / 2.4, "valid")
    season = 0.05 * np.sin(2 * np.pi * half_hour / (48 * 200))
    value = 1000 * week * np.exp(day + wander + season + 0.02 * rng.standard_normal(time.size))
    spells = [
        ("2014-07-04 00:00", "2014-07-05 00:00", 0.75),  # two holidays that NAB does not label
        ("2014-09-01 00:00", "2014-09-02 00:00", 0.80),
        ("2014-11-02 01:00", "2014-11-02 02:00", 2.00),  # the hour that the clocks repeat
        ("2014-11-27 00:00", "2014-11-28 00:00", 0.65),
        ("2014-12-24 15:00", "2014-12-26 06:00", 0.55),
        ("2015-01-01 00:00", "2015-01-01 06:00", 2.60),
        ("2015-01-01 06:00", "2015-01-02 00:00", 0.75),
        ("2015-01-26 12:00", "2015-01-28 00:00", 0.25),
    ]
    for first, last, factor in spells:
        inside = (time >= np.datetime64(first)) & (time < np.datetime64(last))
        value[inside] *= factor
    return time, np.round(value)


_JUMP_WINDOW = [("2014-04-10 16:15", "2014-04-12 01:45")]
_TAXI_LABELS = [
    "2014-11-01 19:00",
    "2014-11-27 15:30",
    "2014-12-25 15:00",
    "2015-01-01 01:00",
    "2015-01-27 00:00",
]
_TAXI_WINDOWS = [
    ("2014-10-30 15:30", "2014-11-03 22:30"),
    ("2014-11-25 12:00", "2014-11-29 19:00"),
    ("2014-12-23 11:30", "2014-12-27 18:30"),
    ("2014-12-29 21:30", "2015-01-03 04:30"),
    ("2015-01-24 20:30", "2015-01-29 03:30"),
]
# Name -> generator, NAB's labels, NAB's windows.
_TWINS = {
    "artificialNoAnomaly/art_daily_small_noise": (_factory_days(), [], []),
    "artificialWithAnomaly/art_daily_jumpsup": (
        _factory_days(change=_jump(1.875)),
        ["2014-04-11 09:00"],
        _JUMP_WINDOW,
    ),
    "artificialWithAnomaly/art_daily_jumpsdown": (
        _factory_days(change=_jump(0.5)),
        ["2014-04-11 09:00"],
        _JUMP_WINDOW,
    ),
    "artificialWithAnomaly/art_daily_nojump": (
        _factory_days(change=lambda hours: np.full(24, hours[0])),
        ["2014-04-11 09:00"],
        _JUMP_WINDOW,
    ),
    "artificialWithAnomaly/art_daily_flatmiddle": (
        _factory_days(night=-20.0, change=lambda hours: np.append(np.full(23, 40.0), hours[-1])),
        ["2014-04-11 00:00"],
        [("2014-04-10 07:15", "2014-04-11 16:45")],
    ),
    "realKnownCause/nyc_taxi": (_taxi, _TAXI_LABELS, _TAXI_WINDOWS),
}
