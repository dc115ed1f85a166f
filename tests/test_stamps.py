"""Time stamps of every usual form, and the clock that a series is put on."""

from datetime import datetime, timedelta

import pytest

from jaxdl import stamps
from jaxdl.errors import UserError

MORNING = datetime(2025, 3, 4, 9, 30)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-03-04 09:30:00", MORNING),
        ("2025-03-04T09:30:00Z", MORNING),
        ("2025-03-04 09:30 UTC", MORNING),
        ("2025-03-04T18:30:00+09:00", MORNING),
        ("2025-03-04T09:30:00.000001", MORNING + timedelta(microseconds=1)),
        ("20250304T093000", MORNING),
        ("2025/3/4 9:30", MORNING),
        ("4.3.2025 09:30", MORNING),
        ("3/4/2025 9:30 AM", MORNING),
        ("3/4/2025 09:30:00.25", MORNING + timedelta(milliseconds=250)),
        ("3/4/2025 9:30 pm", MORNING + timedelta(hours=12)),
        ("3/4/2025 12:30 AM", MORNING - timedelta(hours=9)),
        ("3/4/2025 9:30+02:00", MORNING - timedelta(hours=2)),
        ("1741080600", MORNING),
        ("1741080600000", MORNING),
        ("1741080600000000", MORNING),
        ("1741080600000000000", MORNING),
        ("1741080600.5", MORNING + timedelta(milliseconds=500)),
        ("2025-03-04", datetime(2025, 3, 4)),
    ],
)
def test_stamps_of_every_form(text, time):
    assert stamps.parse_stamp(text) == time


@pytest.mark.parametrize(
    "text",
    ["", "x", "7", "13/4/2025", "3/4/25", "2025-3-4-5", "25:00", "3/4/2025 13:00 PM", "２０"],
)
def test_what_is_no_stamp(text):
    with pytest.raises(ValueError, match=r".|"):
        stamps.parse_stamp(text)


def test_the_day_comes_first_where_it_is_said():
    assert stamps.parse_stamp("3/4/2025", day_first=True) == datetime(2025, 4, 3)
    assert stamps.parse_stamp("13/4/2025 00:05", day_first=True) == datetime(2025, 4, 13, 0, 5)
    assert stamps.parse_stamp("2025-03-04", day_first=True) == datetime(2025, 3, 4)


def test_a_local_hour_that_comes_twice_is_told_by_the_order():
    reader = stamps.StampReader(timezone="Europe/Berlin")
    read = [reader.read(f"2025-10-26 {t}") for t in ("01:30", "02:00", "02:30", "02:00", "02:30")]
    first = datetime(2025, 10, 25, 23, 30)
    assert read == [first + timedelta(minutes=30 * i) for i in range(5)]
    assert reader.read("2025-10-26T03:00:00+01:00") == datetime(2025, 10, 26, 2)
    assert reader.read("1761444000") == datetime(2025, 10, 26, 2)  # an offset is its own


def test_an_unknown_zone_is_one_line():
    for name in ("Berlin", "../../etc/passwd", "", "/etc/localtime"):
        with pytest.raises(UserError, match=r"--timezone .* is not known here: give a name such"):
            stamps.StampReader(timezone=name)


@pytest.mark.parametrize(
    ("seconds", "step_seconds"),
    [
        ([300] * 5, 300),
        ([301, 299.5, 300.2, 298.9, 300.4, 900], 300),  # jitter and a gap
        ([300, 1, 300, 2, 300], 300),
        ([3600, 7200, 3600, -60, 3600], 3600),
        ([7], 7),
        ([0.1] * 10, 0.1),
        ([0.001] * 10, 0.001),
        ([604800], 604800),
        ([1e-5], 0.001),
        ([1e8], 31 * 86400),
    ],
)
def test_the_step_is_the_median_of_the_differences(seconds, step_seconds):
    times = [datetime(2020, 1, 1)]
    for difference in seconds:
        times.append(times[-1] + timedelta(seconds=difference))
    assert stamps.typical_step(times).total_seconds() == step_seconds
    assert stamps.typical_step(times[:1]) is None


def test_rows_stand_on_the_tick_of_their_stamp():
    seconds = [0, 290, 600, 1500, 1510, 1810, 1790 + 300 * 100]
    times = [datetime(2020, 1, 1) + timedelta(seconds=each) for each in seconds]
    assert stamps.ticks_of(times, timedelta(seconds=300)) == [0, 1, 2, 5, None, 6, 106]
