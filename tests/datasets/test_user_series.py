"""A series of one's own on an even clock: the stated rule, and refusals of one line."""

import gzip
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets import user_series
from datasets.source import DataError, Request
from jaxdl.stamps import SeriesColumns

START = datetime(2025, 3, 20)


def written(tmp_path, seconds, values=None, name="own.csv"):
    values = range(len(seconds)) if values is None else values
    rows = [f"{START + timedelta(seconds=s)},{v}" for s, v in zip(seconds, values, strict=True)]
    path = tmp_path / name
    text = "\n".join(["timestamp,value", *rows]).encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    return path


def load(path, **choice):
    return user_series.load(Request(), path, SeriesColumns(**choice))


def test_an_even_series(tmp_path):
    series = load(written(tmp_path, range(0, 3000, 300), name="own.csv.gz"))
    assert (series.name, series.columns) == ("own", ("value",))
    assert series.step == timedelta(minutes=5)
    assert series.tick.tolist() == list(range(10))
    assert series.time[3] == np.datetime64("2025-03-20T00:15")
    assert "10 rows, value, every 300 s" in series.provenance.line()
    assert series.provenance.kind == "user file"
    even = series.for_windows()
    assert (even.filled, even.gaps) == (0, 0)
    assert even.value[:, 0].tolist() == list(range(10))


def test_the_stated_rule_for_uneven_stamps(tmp_path):
    #           a row 10 s behind, 2 missing ticks, an empty cell, a gap of 7 ticks
    seconds = [0, 300, 310, 610, 1510, 1800, 2100, 2100 + 8 * 300, 2100 + 9 * 300]
    values = [0, 1, 99, 2, 5, "", 7, 20, 21]
    series = load(written(tmp_path, seconds, values))
    assert series.tick.tolist() == [0, 1, 2, 5, 6, 7, 15, 16]
    said = "\n".join(series.remarks)
    assert "step 300 s (median of the differences; 4 differ from it)" in said
    assert "1 rows less than half a step behind the one before are left out" in said
    assert "9 ticks have no row" in said
    assert "filled along a line (2 ticks), longer ones are gaps that no window crosses (1" in said
    assert "1 rows have an empty cell" in said
    even = series.for_windows()
    assert (even.filled, even.gaps) == (3, 1)
    expected = [0, 1, 2, 3, 4, 5, 6, 7, np.nan, 20, 21]
    np.testing.assert_allclose(even.value[:, 0], expected)
    assert even.is_row.sum() == 7
    assert even.time[-1] == series.time[-1]
    assert even.time[3] == np.datetime64(START + timedelta(seconds=910))
    assert (np.diff(even.time) > np.timedelta64(0)).all()


def test_only_runs_longer_than_the_most_are_gaps(tmp_path):
    most = user_series.MOST_FILLED
    for missing, gaps in ((most, 0), (most + 1, 1)):
        seconds = [0, 300, 600, 900, 1200 + 300 * missing]
        even = load(written(tmp_path, seconds)).for_windows()
        assert even.gaps == gaps
        assert even.filled == (0 if gaps else missing)


def test_rows_are_sorted_and_it_is_said(tmp_path):
    series = load(written(tmp_path, range(86400 * 9, 0, -86400)))
    assert series.value[:, 0].tolist() == list(range(8, -1, -1))
    assert "8 rows went back in time" in " ".join(series.remarks)


def test_clocks_that_were_set_back_ask_for_the_zone(tmp_path):
    hours = [0, 0.5, 1, 1.5, 2, 2.5, 2, 2.5, 3, 3.5]
    path = written(tmp_path, [int(3600 * h) for h in hours])
    path.write_text(path.read_text().replace("2025-03-20", "2025-10-26"))
    with pytest.raises(DataError, match=r"row 8, column timestamp: .*--timezone Europe/Berlin"):
        load(path)
    series = load(path, timezone="Europe/Berlin")
    assert series.tick.tolist() == list(range(10))
    assert series.time[0] == np.datetime64("2025-10-25T22:00")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ([0, 300], "has 2 rows"),
        ([0, 0, 0], "all time stamps are the same"),
        ([0, 0, 300, 300, 600, 600], "3 of 6 rows repeat the time of another one"),
    ],
)
def test_what_has_no_clock_is_refused(tmp_path, seconds, words):
    with pytest.raises(DataError, match=words) as error:
        load(written(tmp_path, seconds))
    assert "\n" not in str(error.value)


def test_a_file_and_another_source_do_not_go_together(tmp_path):
    path = written(tmp_path, range(5))
    with pytest.raises(DataError, match="leave --source simulated out"):
        user_series.load(Request("simulated"), path)
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "absent.csv")


def test_two_columns_that_are_never_there_together_have_no_windows(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "t,a,b\n" + "".join(f"2025-01-0{i},{i},\n" for i in range(1, 5)) + "2025-01-05,,1\n"
    )
    series = load(path)
    assert series.columns == ("a", "b")
    with pytest.raises(DataError, match="name fewer columns with --value"):
        series.for_windows()


def test_a_folder_of_parquet_parts_is_one_series(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    stamps = np.datetime64("2024-01-01", "s") + 300 * np.arange(20)
    for part, rows in enumerate((slice(0, 12), slice(12, 20))):
        columns = {"timestamp": stamps[rows], "value": np.arange(20.0)[rows]}
        pq.write_table(pa.table(columns), folder / f"part-{part}.parquet")
    series = load(folder)
    assert series.value[:, 0].tolist() == list(range(20))
    assert series.step == timedelta(minutes=5)
    assert len(series.provenance.sha256) == 64
