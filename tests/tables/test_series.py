"""Which columns of a table are the series, and clear errors where none are."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from jaxdl.errors import UserError
from jaxdl.stamps import SeriesColumns
from jaxdl.tables.series import read_rows

HOURS = [datetime(2025, 3, 20, hour) for hour in range(4)]


def written(tmp_path, text, name="own.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def lines(header, stamps, *rest):
    return "\n".join(
        [header, *(",".join([s, *more]) for s, *more in zip(stamps, *rest, strict=True))]
    )


STAMPS = [f"2025-03-20 0{hour}:00" for hour in range(4)]
ONE, TWO = list("1234"), list("5678")


def test_columns_are_found(tmp_path):
    rows = read_rows(written(tmp_path, lines("ds,y,label", STAMPS, ONE, TWO)))
    assert (rows.time_column, rows.columns, rows.times) == ("ds", ("y",), HOURS)
    assert rows.values.tolist() == [[1], [2], [3], [4]]
    assert rows.remarks == ("time: column ds; values: y", "left out: label (of 3 columns)")
    rows = read_rows(written(tmp_path, lines("odd,cpu,memory,label", STAMPS, ONE, TWO, ONE)))
    assert (rows.time_column, rows.columns) == ("odd", ("cpu", "memory"))


def test_columns_that_are_named(tmp_path):
    path = written(tmp_path, lines("a,b,c,when", STAMPS, ONE, TWO, STAMPS[::-1]))
    choice = SeriesColumns("a", ("c", "b"))
    rows = read_rows(path, choice)
    assert rows.times == HOURS
    assert rows.values[0].tolist() == [5, 1]
    assert rows.remarks == ()
    for choice, words in (
        (SeriesColumns("wen"), "--time wen: there is no such column; did you mean when"),
        (SeriesColumns("a", ("x",)), "--value x: there is no such column"),
        (SeriesColumns("a", ("a",)), "--value names a column twice, or that of the time"),
        (SeriesColumns("a", ("when",)), "row 2, column when: '2025-03-20 03:00' is not a finite"),
        (SeriesColumns(timezone="Mars/Base"), "--timezone 'Mars/Base' is not known here"),
    ):
        with pytest.raises(UserError, match=words):
            read_rows(path, choice)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n3,4\n", "no column of time stamps among a, b: name it with --time"),
        (lines("time,name", STAMPS, list("abcd")), "no column of numbers beside time"),
        (lines("time,value", [*STAMPS[:3], "soon"], ONE), "row 5, column time: 'soon' is no time"),
        (lines("time,value", [*STAMPS[:3], ""], ONE), "row 5, column time: '' is no time"),
        (lines("time,value", STAMPS, ["1", "inf", "2", "x"]), r"row 3.*'inf' is not.*and 1 more"),
        (lines("time,value", STAMPS, ["1", "1e39", "2", "3"]), "row 3, column value: '1e39'"),
        (lines("time,value", STAMPS, [""] * 4), "column value holds no value"),
        (
            lines("time,value", ["1/4/2025", "13/4/2025"], ONE[:2]),
            r"row 3.*'13/4/2025' is no time stamp; where the day comes first say --day-first",
        ),
        ("time,value\n", "has a header but no rows"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, text, words):
    with pytest.raises(UserError, match=words) as error:
        read_rows(written(tmp_path, text))
    assert "\n" not in str(error.value)
    assert "own.csv" in str(error.value)


def test_empty_cells_are_missing_and_other_forms_are_read(tmp_path):
    path = written(tmp_path, "Zeit;Wert\n20.03.2025 00:00;1,5\n20.03.2025 01:00;\n")
    rows = read_rows(path)
    assert rows.times == HOURS[:2]
    np.testing.assert_array_equal(rows.values, [[1.5], [np.nan]])
    path = written(tmp_path, lines("when,x", ["1/4/2025", "2/4/2025"], ONE[:2]))
    assert read_rows(path).times[0] == datetime(2025, 1, 4)
    assert read_rows(path, SeriesColumns(day_first=True)).times[0] == datetime(2025, 4, 1)
    # numbers that count from the start are seconds
    path = written(tmp_path, lines("time,x", ["0.0", "0.1"], ONE[:2]))
    assert (read_rows(path).times[1] - read_rows(path).times[0]).total_seconds() == 0.1


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_parquet_keeps_its_types(tmp_path, zone):
    stamps = pa.array(HOURS, pa.timestamp("ns", tz=zone))
    path = tmp_path / "own.parquet"
    pyarrow.parquet.write_table(pa.table({"t": stamps, "x": [1.0, None, 3.0, 4.0]}), path)
    rows = read_rows(path)
    assert rows.times == HOURS
    np.testing.assert_array_equal(rows.values[:, 0], [1, np.nan, 3, 4])
    if zone is None:
        local = read_rows(path, SeriesColumns(timezone="Asia/Seoul"))
        assert local.times[0] == datetime(2025, 3, 19, 15)


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_parquet_numbers_since_1970(tmp_path, kind):
    stamps = pa.array([1742428800000, 1742432400000], pa.int64()).cast(kind)
    path = tmp_path / "own.parquet"
    pyarrow.parquet.write_table(pa.table({"ts": stamps, "x": [1, 2]}), path)
    assert read_rows(path).times == HOURS[:2]
