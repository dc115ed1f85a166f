"""Time stamps as people write them, and the even clock that a series is put on.

A stamp becomes UTC without a zone, to the microsecond. One without a zone is taken for UTC unless
a time zone is named; then it is a local time there, and the hour that the clocks repeat in autumn
is told apart by the order of the rows.

The rule of the clock, the same for files and for live series: the step is the median of the
differences between stamps. A row stands as many ticks behind the one before it as the difference of
their stamps says, to the nearest; one less than half a step behind is left out; ticks without a row
are missing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from jaxdl.errors import UserError

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
LEAST_STEP, MOST_STEP = timedelta(milliseconds=1), timedelta(days=31)
# Nine digits and more: eight are a date, 20200131
EPOCH_NUMBER = re.compile(r"[+-]?\d{9,20}(\.\d{1,20})?", re.ASCII)
# 20/03/2025 14:05, 3/20/2025 2:05 PM, 20.03.2025, 2025/3/20 9:05:00.5
LOOSE = re.compile(
    r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*([AaPp][Mm])?\s*"
    r"(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
NAMED_UTC = re.compile(r"\s*(UTC|GMT)$")
# Whole parts of a day that a step near them is meant to be, in seconds
USUAL = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30]
USUAL_STEPS = [
    timedelta(seconds=count * unit)
    for unit, counts in (
        (0.001, [1, 2, 5, 10, 20, 50]),
        (0.1, [1, 2, 5]),
        (1, USUAL),
        (60, USUAL),
        (3600, [1, 2, 3, 4, 6, 8, 12]),
        (86400, [1, 7]),
    )
    for count in counts
]


# What people call the columns of a series; compared in small letters
TIME_NAMES = (
    "timestamp",
    "time",
    "datetime",
    "date_time",
    "date",
    "ds",
    "ts",
    "when",
    "time_stamp",
    "created_at",
    "시각",
    "시간",
    "일시",
    "날짜",
)
VALUE_NAMES = ("value", "y", "값")
# of a label or a part, never a measurement
NO_VALUES = ("label", "labels", "is_anomaly", "anomaly", "class", "split")


@dataclass(frozen=True)
class SeriesColumns:
    """Which columns of a table are the series, and how its stamps are read.

    Attributes:
        time: name of the column of time stamps; None: it is found.
        values: names of the columns of values; none: they are found.
        day_first: 3/4/2025 is the third of April.
        timezone: of stamps that name none, such as "Europe/Berlin"; None: UTC.
    """

    time: str | None = None
    values: tuple[str, ...] = ()
    day_first: bool = False
    timezone: str | None = None


ALL_FOUND = SeriesColumns()


# ---- one stamp -----------------------------------------------------------------------------------


def parse_stamp(text: str, day_first: bool = False) -> datetime:
    """A time stamp; with a zone as UTC without one, without a zone as it stands.

    ISO 8601 with a blank or T, with or without Z or an offset. Or a number of nine digits and more,
    since 1970: seconds below 10^11 (the year 5138), milliseconds below 10^14, microseconds below
    10^17, nanoseconds above. Or 2025/3/20, 20.03.2025, and 3/20/2025 or 20/3/2025, with a time
    behind it or not.

    >>> parse_stamp("2020-01-31T09:30:00.5+02:00")
    datetime.datetime(2020, 1, 31, 7, 30, 0, 500000)
    >>> parse_stamp("31/01/2020 9:30", day_first=True)
    datetime.datetime(2020, 1, 31, 9, 30)

    Args:
        text: the stamp.
        day_first: 3/4/2025 is the third of April.

    Raises:
        ValueError: it is none of these.
        OverflowError: it lies outside the years 1 to 9999.
    """
    time = _parse(text, day_first)
    return time if time.tzinfo is None else _without_zone(time)


def _parse(text: str, day_first: bool) -> datetime:
    """`parse_stamp`, with the zone that the stamp names."""
    if EPOCH_NUMBER.fullmatch(text):
        return from_epoch(text).replace(tzinfo=UTC)
    if not text.isascii():
        raise ValueError("not a time stamp")
    text = NAMED_UTC.sub("Z", text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _loose(text, day_first)


def _without_zone(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None)


def from_epoch(text: str) -> datetime:
    """A number since 1970; its size tells the unit, see `parse_stamp`.

    Raises:
        OverflowError: it lies outside the years 1 to 9999.
    """
    count = Decimal(text)
    for limit, microseconds in ((11, Decimal(10**6)), (14, Decimal(1000)), (17, Decimal(1))):
        if abs(count) < 10**limit:
            return EPOCH + timedelta(microseconds=round(count * microseconds))
    return EPOCH + timedelta(microseconds=round(count / 1000))


def _loose(text: str, day_first: bool) -> datetime:
    """Dates that are not ISO 8601."""
    found = LOOSE.fullmatch(text)
    if found is None:
        raise ValueError("not a time stamp")
    first, sign, second, third, hour, minute, seconds, fraction, half, zone = found.groups()
    if len(first) == 4:
        year, month, day = first, second, third
    elif sign == "." or day_first:
        day, month, year = first, second, third
    else:
        month, day, year = first, second, third
    if len(year) != 4 or max(len(month), len(day)) > 2:
        raise ValueError("not a time stamp")
    of_day = int(hour or 0)
    if half:
        if not 1 <= of_day <= 12:
            raise ValueError("not a time stamp")
        of_day = of_day % 12 + 12 * (half.lower() == "pm")
    time = datetime(
        int(year),
        int(month),
        int(day),
        of_day,
        int(minute or 0),
        int(seconds or 0),
        int((fraction or "0").ljust(6, "0")[:6]),
    )
    if not zone:
        return time
    return datetime.fromisoformat(f"{time.isoformat()}{zone}")


# ---- the stamps of a series ----------------------------------------------------------------------


class StampReader:
    """Stamps of one series, in order, as UTC.

    Args:
        day_first: 3/4/2025 is the third of April.
        timezone: of the stamps that name none, such as "Europe/Berlin"; None: UTC.

    Raises:
        UserError: there is no such time zone.
    """

    def __init__(self, day_first: bool = False, timezone: str | None = None):
        self.day_first = day_first
        self.zone = None if timezone is None else named_zone(timezone)
        self._last: datetime | None = None

    def read(self, text: str) -> datetime:
        """The next stamp; see `parse_stamp` for its errors."""
        time = _parse(text, self.day_first)
        if time.tzinfo is None:
            return self.local(time)
        self._last = _without_zone(time)
        return self._last

    def after(self, time: datetime | None) -> None:
        """Say which stamp was the last one, where a series goes on."""
        self._last = time

    def local(self, time: datetime) -> datetime:
        """A local time of the zone as UTC; the second of two equal hours where the first is over.

        Raises:
            OverflowError: it lies outside the years 1 to 9999.
        """
        if self.zone is None:
            utc = time
        else:
            utc = _to_utc(time, self.zone, fold=0)
            if self._last is not None and utc <= self._last:
                later = _to_utc(time, self.zone, fold=1)
                utc = later if later > self._last else utc
        self._last = utc
        return utc


def _to_utc(time: datetime, zone: ZoneInfo, fold: int) -> datetime:
    return _without_zone(time.replace(tzinfo=zone, fold=fold))


def named_zone(name: str) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        UserError: there is no such time zone on this machine.
    """
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise UserError(
            f"--timezone {name[:60]!r} is not known here: give a name such as Europe/Berlin, "
            "Asia/Seoul or UTC"
        ) from error


# ---- the clock -----------------------------------------------------------------------------------


def typical_step(
    times: Sequence[datetime], least: timedelta = LEAST_STEP, most: timedelta = MOST_STEP
) -> timedelta | None:
    """The median of the differences between stamps that follow each other, of those above 0.

    One within a hundredth of a usual step (a second, five minutes, an hour) is that step, and one
    outside `least` to `most` the nearer of both.

    Returns:
        None where no stamp is later than the one before.
    """
    apart = [(late - early) // MICROSECOND for early, late in pairwise(times)]
    apart = [microseconds for microseconds in apart if microseconds > 0]
    if not apart:
        return None
    found = timedelta(microseconds=median(apart))
    nearest = min(USUAL_STEPS, key=lambda usual: abs(usual - found))
    if abs(nearest - found) <= nearest / 100:
        return nearest
    return min(max(found, least), most)


def steps_between(first: datetime, second: datetime, step: timedelta) -> int:
    """How many ticks the second stamp lies behind the first, to the nearest."""
    return round((second - first) / step)


def ticks_of(times: Sequence[datetime], step: timedelta) -> list[int | None]:
    """The tick of each row, counted from the first row; None for a row that is left out.

    >>> minutes = [datetime(2020, 1, 1, 0, m) for m in (0, 5, 6, 11, 24)]
    >>> ticks_of(minutes, timedelta(minutes=5))
    [0, 1, None, 2, 5]

    Args:
        times: rising.
        step: of the clock.
    """
    ticks: list[int | None] = []
    last, tick = None, 0
    for time in times:
        ahead = 0 if last is None else steps_between(last, time, step)
        if last is not None and ahead < 1:
            ticks.append(None)
            continue
        tick, last = tick + ahead, time
        ticks.append(tick)
    return ticks


def rows_of_a_day(step: timedelta) -> int:
    """Events in a day, to the nearest, and at least 1."""
    return max(1, round(timedelta(days=1) / step))


MOST_ROWS = 2**30  # int32 counts them


def bounded(missing: int, rows: int, day: int) -> int:
    """Missing ticks, or fewer by whole weeks where the count of rows would not fit its type.

    Args:
        missing: how many ticks are without a row.
        rows: ticks before them.
        day: ticks in a day.
    """
    return missing if rows + missing < MOST_ROWS else missing % (7 * day)
