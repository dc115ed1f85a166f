"""Lines of a live series: what is a header, a time stamp, a value."""

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from jaxdl.serving.cells import number, shown

MOST_CHARACTERS = 4096
LARGEST = float(np.finfo(np.float32).max)
EPOCH = datetime(1970, 1, 1)
# Nine digits and more: eight are a date, 20200131
EPOCH_NUMBER = re.compile(r"[+-]?\d{9,20}(\.\d{1,20})?", re.ASCII)
# Words that begin with a letter and still name no column
NO_NAMES = {"nan", "na", "n/a", "null", "none", "nil", "missing", "inf", "infinity"}


class Event(NamedTuple):
    """One event of a series.

    Attributes:
        time: UTC without a zone; None where the line has no time stamp.
        value: NaN where it is missing.
    """

    time: datetime | None
    value: float


def parse_event(text: str) -> Event:
    """`value` or `timestamp,value`; an empty value or `nan` is a missing one.

    >>> parse_event("2020-01-31T09:30:00.5+02:00,7")
    Event(time=datetime.datetime(2020, 1, 31, 7, 30, 0, 500000), value=7.0)

    Raises:
        ValueError: the line is neither, or too long; one line that says so.
    """
    if len(text) >= MOST_CHARACTERS:
        raise ValueError(f"a line of {MOST_CHARACTERS:,} characters or more; skipped")
    stamp, comma, cell = text.rpartition(",")
    try:
        time = parse_stamp(_bare(stamp)) if comma else None
        value = number(_bare(cell)) if _bare(cell) else math.nan
    except OverflowError:
        raise ValueError(
            f"{shown(text, 60)}: the time lies outside the calendar; skipped"
        ) from None
    except ValueError:
        raise ValueError(
            f"{shown(text, 60)} is not 'value' or 'timestamp,value'; skipped"
        ) from None
    if abs(value) > LARGEST:  # infinity, too; not NaN
        raise ValueError(f"{shown(text, 60)}: the value is out of range; skipped")
    return Event(time, value)


def parse_stamp(text: str) -> datetime:
    """A time stamp as UTC without a zone, to the microsecond.

    ISO 8601 with a blank or T, with or without Z or an offset; without one it is taken for UTC. Or
    a number of nine digits and more, since 1970: seconds below 10^11 (the year 5138), milliseconds
    below 10^14, microseconds below 10^17, nanoseconds above.

    Raises:
        ValueError: it is neither.
        OverflowError: it lies outside the years 1 to 9999.
    """
    if EPOCH_NUMBER.fullmatch(text):
        count = Decimal(text)
        for limit, microseconds in ((11, Decimal(10**6)), (14, Decimal(1000)), (17, Decimal(1))):
            if abs(count) < 10**limit:
                return EPOCH + timedelta(microseconds=round(count * microseconds))
        return EPOCH + timedelta(microseconds=round(count / 1000))
    if not text.isascii():
        raise ValueError(f"{shown(text)} is not a time stamp")
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def is_header(text: str) -> bool:
    """Whether all cells of a line are names: each begins with a letter, and none is a value.

    >>> is_header('timestamp,"CPU 1 (%)"'), is_header("2020-01-31,x"), is_header("inf")
    (True, False, False)
    """
    return all(_is_name(_bare(cell)) for cell in text.split(","))


def _is_name(cell: str) -> bool:
    return cell[:1].isalpha() and cell.lower() not in NO_NAMES


def _bare(cell: str) -> str:
    return cell.strip().strip('"').strip()
