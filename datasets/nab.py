"""Time series of the Numenta Anomaly Benchmark (NAB v1.1, MIT licence).

Source: https://github.com/numenta/NAB (Lavin and Ahmad 2015; Ahmad et al. 2017). A series is named
as there, without suffix: `realKnownCause/nyc_taxi`. Published files are taken row by row as they
are, because NAB scores rows: some repeat rows where the clocks changed, one goes back 55 minutes.
`--data-dir` may be a clone of the repository, or a part of one: series that are not there are not
asked for, and their labels do not matter. A series of one's own is the business of
`datasets.user_series`.

Six series have a simulated twin: five days with a plateau from 9 to 18 h, and the taxi passengers.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
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

REPOSITORY = "https://github.com/numenta/NAB"
URL = "https://raw.githubusercontent.com/numenta/NAB/master/"
TIMES = "datetime64[s]"


@dataclass(frozen=True)
class Series:
    """One time series.

    Attributes:
        name: NAB's name without suffix.
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


def load(request: Request, name: str) -> Series:
    """A NAB series by name, or its simulated twin.

    Args:
        request: where to look.
        name: such as "realKnownCause/nyc_taxi".

    Raises:
        DataError: an unknown name, no bytes and no twin, a file that cannot be used, or a data
            folder in which the series should be and is not.
    """
    if request.source == "tfds":
        raise DataError("NAB is not in TensorFlow Datasets; use --source auto, real or simulated")
    if name not in SHA256:
        raise DataError(f"NAB has no series {name[:80]!r}; {_hint(name)}")
    if request.source == "simulated":
        return _simulated(name, "asked for")
    found = find_all([_labels(), _windows(), _series(name)], request)
    if isinstance(found, Missing):
        _refuse_a_broken_folder(request, found)
        return _simulated(name, found.reason)
    labels, windows, series = found
    time, value = _parse(series.path)
    return Series(
        name,
        time,
        value,
        [_stamp(text) for text in _entry(labels.path, name)],
        [(_stamp(first), _stamp(last)) for first, last in _entry(windows.path, name)],
        provenance_of(f"NAB {name}", found, f"{len(value):,} rows"),
    )


def available(request: Request) -> tuple[str, ...]:
    """Names of the series that the data folder holds; of all where there is no such folder.

    A folder may hold a part of the benchmark; a folder without any leaves all to be fetched.
    """
    held = [name for name in SHA256 if _in_folder(request, f"data/{name}.csv")]
    return tuple(held or SHA256)


def _in_folder(request: Request, filename: str) -> bool:
    folder = request.folder()
    return folder is not None and any((folder / top / filename).exists() for top in ("nab", "."))


def _refuse_a_broken_folder(request: Request, found: Missing) -> None:
    """Real data that should be there are not replaced by simulated ones without being asked.

    Raises:
        DataError: `--data-dir` was given, or the folder of `$JAXDL_DATA` holds parts of NAB.
    """
    begun = _in_folder(request, "nab") or _in_folder(request, _labels().filename)
    if request.data_dir is not None or begun:
        raise DataError(
            f"{found.reason}; {request.folder()} should hold it, as a clone of {REPOSITORY} does; "
            "--source simulated takes the simulated twin"
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


def _hint(name: str) -> str:
    stems = {each.rpartition("/")[2]: each for each in SHA256}
    near = nearest(name.rpartition("/")[2], stems)
    return f"did you mean {stems[near]}?" if near else "names are such as realKnownCause/nyc_taxi"


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


def _parse(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Columns `timestamp` and `value` of a published file, row by row."""
    try:
        rows = csv.reader(io.StringIO(path.read_text("utf-8-sig")))
        next(rows)
        pairs = [(datetime.fromisoformat(stamp), float(value)) for stamp, value in rows]
    except (OSError, ValueError, StopIteration, csv.Error) as error:
        raise DataError(f"is not a series of NAB ({error})", file=path) from error
    times = [time.replace(microsecond=0) for time, _ in pairs]
    return np.array(times, TIMES), np.array([value for _, value in pairs], np.float64)


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
