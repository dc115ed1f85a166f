"""A time series of one's own, put on an even clock.

A CSV with any usual separator, gzipped or not, or Parquet; one column of time stamps and one or
more of values (`jaxdl.tables.series` says how they are found). What becomes of uneven stamps is one
rule for all (`jaxdl.stamps`): the step is the median of the differences; a row stands on the tick
that its stamp says; one less than half a step behind its neighbour is left out; ticks without a row
are missing. Detectors of single rows see missing ticks as missing. For detectors of windows a run
of at most `MOST_FILLED` missing ticks is filled along a straight line; a longer one is a gap, which
no window crosses.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from datasets.source import DataError, Provenance, Request
from datasets.user_table import sum_of
from jaxdl.errors import UserError, refuse_without
from jaxdl.stamps import ALL_FOUND, MICROSECOND, SeriesColumns, ticks_of, typical_step
from jaxdl.tables.series import SeriesRows, read_rows

MOST_FILLED = 5
MOST_REPEATED = 0.2  # of rows on a tick that is taken: more, and the file holds several series
CLOCK_CHANGE = timedelta(hours=1)
LEAST_ROWS = 3


@dataclass(frozen=True)
class UserSeries:
    """A series on an even clock.

    Attributes:
        name: stem of the file's name.
        columns: names of the values.
        time: datetime64[us], UTC, rising strictly.
        tick: place of each row on the clock, the first 0, rising strictly.
        value: NaN where a cell is empty.
        step: of the clock.
        provenance: where the bytes came from.
        remarks: lines for the user: what was found out about columns and clock, and what was done.
    """

    name: str
    columns: tuple[str, ...]
    time: Shaped[np.ndarray, " n"]
    tick: Int64[np.ndarray, " n"]
    value: Float64[np.ndarray, "n columns"]
    step: timedelta
    provenance: Provenance
    remarks: tuple[str, ...]

    def for_windows(self) -> "EvenSeries":
        """The series with short runs of missing ticks filled, and each gap as one row of NaN.

        Raises:
            DataError: hardly a row has a value in every column.
        """
        if (~np.isnan(self.value).any(axis=1)).sum() < LEAST_ROWS:
            raise DataError(
                f"{self.name}: hardly a row has a value in each of {', '.join(self.columns)}; name "
                "fewer columns with --value"
            )
        return fill(self.time, self.tick, self.value)


@dataclass(frozen=True)
class EvenSeries:
    """A series in which neighbouring rows are neighbouring ticks.

    Attributes:
        time: datetime64[us].
        value: NaN in a row that stands for a gap.
        is_row: rows of the file; the others were filled or are gaps.
    """

    time: Shaped[np.ndarray, " m"]
    value: Float64[np.ndarray, "m columns"]
    is_row: Bool[np.ndarray, " m"]

    @property
    def filled(self) -> int:
        """How many ticks were filled."""
        return int((~self.is_row & ~np.isnan(self.value).any(axis=1)).sum())

    @property
    def gaps(self) -> int:
        """How many gaps no window crosses."""
        return int(np.isnan(self.value).any(axis=1).sum())


def load(request: Request, path: Path, choice: SeriesColumns = ALL_FOUND) -> UserSeries:
    """The user's series.

    Args:
        request: a source other than "auto" does not go with a file.
        path: CSV (.gz) or Parquet.
        choice: which columns, and how the stamps are read.

    Raises:
        DataError: it cannot be read, or has no clock; one line.
    """
    if request.source not in ("auto", "real"):
        raise DataError(f"--series is the source of the data: leave --source {request.source} out")
    path = Path(path).expanduser()
    try:
        rows = read_rows(path, choice)
        return on_clock(rows, path, choice.timezone)
    except DataError:
        raise
    except UserError as error:
        raise DataError(str(error)) from error


def on_clock(rows: SeriesRows, path: Path, timezone: str | None) -> UserSeries:
    """Put rows on an even clock.

    Args:
        rows: as they were read.
        path: of the file.
        timezone: that its stamps were read in.

    Raises:
        DataError: fewer than three rows, stamps that all are the same, that look like clocks that
            were changed, or that repeat too often.
    """
    if len(rows.times) < LEAST_ROWS:
        raise DataError(f"has {len(rows.times)} rows: a series needs {LEAST_ROWS}", file=path)
    remarks = list(rows.remarks)
    times, values = rows.times, rows.values
    back = [i for i in range(1, len(times)) if times[i] < times[i - 1]]
    if back and timezone is None:
        _refuse_changed_clocks(rows, back, path)
    if back:
        order = sorted(range(len(times)), key=times.__getitem__)
        times, values = [times[i] for i in order], values[order]
        remarks.append(
            f"{len(back):,} rows went back in time: all rows were sorted by their stamps"
        )
    step = typical_step(times, least=MICROSECOND, most=timedelta.max)
    if step is None:
        raise DataError("all time stamps are the same", file=path, column=rows.time_column)
    ticks = ticks_of(times, step)
    kept = np.array([tick is not None for tick in ticks])
    left_out = len(kept) - int(kept.sum())
    if left_out > MOST_REPEATED * len(kept):
        raise DataError(
            f"{left_out:,} of {len(kept):,} rows repeat the time of another one: does the file "
            "hold several series? Give one file for each",
            file=path,
            column=rows.time_column,
        )
    tick = np.array([each for each in ticks if each is not None], np.int64)
    time = np.array(times, "datetime64[us]")[kept]
    value = values[kept]
    remarks += clock_remarks(times, tick, step, left_out)
    empty = int(np.isnan(value).any(axis=1).sum())
    if empty:
        remarks.append(f"{empty:,} rows have an empty cell: missing, like a tick without a row")
    detail = f"{len(value):,} rows, {', '.join(rows.columns)}, every {seconds_text(step)}"
    provenance = Provenance(path.name, "user file", sum_of(path), detail)
    name = path.name.partition(".")[0]
    return UserSeries(name, rows.columns, time, tick, value, step, provenance, tuple(remarks))


def _refuse_changed_clocks(rows: SeriesRows, back: list[int], path: Path) -> None:
    """Stamps that go back by an hour, once in half a year, are those of clocks that were changed.

    Raises:
        DataError: they are.
    """
    times = rows.times
    days = max((times[-1] - times[0]).days, 0)
    if len(back) > 1 + days // 170 or any(times[i - 1] - times[i] > CLOCK_CHANGE for i in back):
        return
    first = back[0]
    raise DataError(
        f"{times[first]} comes behind {times[first - 1]}: clocks that were set back? Say where the "
        "stamps come from, such as --timezone Europe/Berlin, or write their offset (+02:00) behind "
        "them",
        file=path,
        row=first + rows.first_line,
        column=rows.time_column,
    )


def clock_remarks(
    times: list[datetime], tick: Int64[np.ndarray, " n"], step: timedelta, left_out: int
) -> list[str]:
    """What a user has to know about step, repeated rows, missing ticks and gaps."""
    apart = np.diff(np.array(times, "datetime64[us]").astype(np.int64))
    other = int((apart != step // MICROSECOND).sum())
    line = f"{times[0]} to {times[-1]} UTC, step {seconds_text(step)} (median of the differences"
    remarks = [f"{line}; {other:,} differ from it)" if other else f"{line}, all are the same)"]
    if left_out:
        remarks.append(
            f"{left_out:,} rows less than half a step behind the one before are left out"
        )
    missing = np.diff(tick) - 1
    if missing.any():
        gaps = missing > MOST_FILLED
        remarks.append(
            f"{missing.sum():,} ticks have no row: missing; for windows runs of at most "
            f"{MOST_FILLED} are filled along a line ({missing[~gaps].sum():,} ticks), longer ones "
            f"are gaps that no window crosses ({gaps.sum():,}"
            + (f", the longest {step * int(missing.max())})" if gaps.any() else ")")
        )
    return remarks


def seconds_text(step: timedelta) -> str:
    """A step in seconds.

    >>> seconds_text(timedelta(minutes=5)), seconds_text(timedelta(milliseconds=100))
    ('300 s', '0.1 s')
    """
    return f"{step.total_seconds():.10g} s"


def fill(
    time: Shaped[np.ndarray, " n"],
    tick: Int64[np.ndarray, " n"],
    value: Float64[np.ndarray, "n columns"],
    most: int = MOST_FILLED,
) -> EvenSeries:
    """Fill short runs of missing ticks and cells, and cut at long ones.

    Args:
        time: of the rows.
        tick: of the rows, rising strictly.
        value: NaN where a cell is missing.
        most: missing ticks in a run that is filled.
    """
    # a row with an empty cell counts as a missing tick
    whole = ~np.isnan(value).any(axis=1)
    time, tick, value = time[whole], tick[whole], value[whole]
    apart = np.diff(tick)
    is_gap = apart > most + 1
    # a gap is shortened to one tick without a row
    short = np.concatenate([[0], np.cumsum(np.where(is_gap, 2, apart))]).astype(np.int64)
    places = np.arange(short[-1] + 1 if len(short) else 0)
    filled = np.stack([np.interp(places, short, column) for column in value.T], axis=1)
    filled[short[:-1][is_gap] + 1] = np.nan
    micros = np.interp(places, short, (time - time[:1]).astype(np.int64))
    is_row = np.isin(places, short)
    return EvenSeries(time[:1] + micros.round().astype("timedelta64[us]"), filled, is_row)


@dataclass(frozen=True)
class SeriesFile:
    """Options of a lab that takes a series of one's own; its Config has them as a base class."""

    series: Path | None = None
    """A time series of your own: CSV (.gz) or Parquet with time stamps and numbers."""
    time: str | None = None
    """Its column of time stamps; found if not said."""
    value: tuple[str, ...] = ()
    """Its columns of values; found if not said: `value` or `y`, else all columns of numbers."""
    day_first: bool = False
    """3/4/2025 in it is the third of April."""
    timezone: str | None = None
    """Of stamps that name none, such as Europe/Berlin; UTC if not said."""

    def load_series(self, request: Request) -> UserSeries | None:
        """The series; None where there is no file.

        Raises:
            DataError: see `load`.
            UserError: an option for the file without the file.
        """
        if self.series is not None:
            choice = SeriesColumns(self.time, tuple(self.value), self.day_first, self.timezone)
            return load(request, self.series, choice)
        options = ("time", "value", "day_first", "timezone")
        refuse_without("series FILE", {name: bool(getattr(self, name)) for name in options})
        return None
