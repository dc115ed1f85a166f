"""NAB series: published files row by row, own files with clear errors, simulated twins."""

import numpy as np
import pytest

from datasets import nab
from datasets.source import DataError, Request

TAXI = "realKnownCause/nyc_taxi"
JUMP = "artificialWithAnomaly/art_daily_jumpsup"
SIMULATED = Request("simulated")


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "own.csv"
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


def own(path):
    return nab.load(SIMULATED, "", path)


@pytest.mark.parametrize("name", nab.twins())
def test_twins_look_like_the_real_series_and_never_change(name):
    first, again = nab.load(SIMULATED, name), nab.load(SIMULATED, name)
    assert first.provenance.kind == "simulated"
    assert "simulated" in first.provenance.line()
    assert first.provenance.sha256 == again.provenance.sha256
    assert len(first.value) == (10_320 if name == TAXI else 4_032)
    assert first.step_seconds == (1800 if name == TAXI else 300)
    assert first.time.dtype == "datetime64[s]"
    assert (np.diff(first.time).astype(int) == first.step_seconds).all()
    assert np.isfinite(first.value).all()
    share = first.in_window().mean()
    assert share == 0 if "NoAnomaly" in name else 0.09 < share < 0.11


def test_the_jump_of_the_twin_is_the_labelled_block():
    series = nab.load(SIMULATED, JUMP)
    high = series.time[series.value > 100]
    assert len(high) == 108
    assert str(high[0]) == "2014-04-11T09:00:00"
    assert str(high[-1]) == "2014-04-11T17:55:00"
    assert series.labels == [np.datetime64("2014-04-11T09:00:00")]


@pytest.mark.real_data
def test_real_series_row_by_row(real_data):
    def real(name):
        return nab.load(Request("real", real_data), name)

    series = real(TAXI)
    assert (len(series.value), len(series.labels), len(series.windows)) == (10_320, 5, 5)
    assert series.value[:3].tolist() == [10844, 8127, 6210]
    assert series.in_window().sum() == 5 * 207
    quiet, jump = real("artificialNoAnomaly/art_daily_small_noise"), real(JUMP)
    assert quiet.value.mean() == pytest.approx(42.438353, abs=1e-6)
    assert quiet.value.std(ddof=1) == pytest.approx(28.077122, abs=1e-6)
    assert (jump.value > 100).sum() == 108
    # rows that repeat an hour, or go back, are NAB's and stay
    assert (np.diff(real("realKnownCause/machine_temperature_system_failure").time) < 0).any()


def test_own_file_may_be_uneven_and_says_so(tmp_path):
    rows = "\ufeffvalue,timestamp\r\n1,2020-01-01\r\n2,2020-01-01T00:05:00Z\r\n\r\n"
    rows += "3,2020-01-01 00:20\r\n4,2020-01-01 01:25:00+01:00\r\n"
    series = own(write(tmp_path, rows))
    assert series.value.tolist() == [1, 2, 3, 4]
    assert str(series.time[-1]) == "2020-01-01T00:25:00"
    assert series.step_seconds == 300
    assert series.provenance.kind == "user file"
    assert "1 steps of another length" in series.provenance.detail
    assert series.labels == series.windows == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,value\n", ["row 1", "timestamp"]),
        ("", ["row 1", "timestamp"]),
        ("timestamp,value\n2020-01-01,1\n", ["fewer than two rows"]),
        ("timestamp,value\n2020-01-01,\n", ["row 2", "column value", "missing"]),
        ("timestamp,value\n2020-01-01,nan\n", ["row 2", "column value", "finite"]),
        ("timestamp,value\n2020-01-01,1e999\n", ["row 2", "column value"]),
        ("timestamp,value\n2020-01-01,x\n", ["row 2", "column value"]),
        ("timestamp,value\nyesterday,1\n", ["row 2", "column timestamp", "yesterday"]),
        ("timestamp,value\n2020-01-01,1,2\n", ["row 2", "3 fields"]),
        ("timestamp,value\n2020-01-02,1\n2020-01-01,2\n", ["row 3", "earlier"]),
        ("timestamp,value\n2020-01-01,1\n2020-01-01,2\n", ["row 3", "repeats"]),
        (b"timestamp,value\n\xff\xfe,1\n", ["UTF-8"]),
    ],
)
def test_bad_own_files_name_the_place(tmp_path, text, words):
    with pytest.raises(DataError) as error:
        own(write(tmp_path, text))
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in ["own.csv", *words])


def test_other_refusals(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        own(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="twins"):
        nab.load(SIMULATED, "realTweets/Twitter_volume_AAPL")
    with pytest.raises(DataError, match="not a NAB name"):
        nab.load(Request(), "../../etc/passwd")
    with pytest.raises(DataError, match="TensorFlow Datasets"):
        nab.load(Request("tfds"), TAXI)


def test_a_local_file_must_have_the_published_sum(tmp_path):
    for name in ("labels/combined_labels.json", "labels/combined_windows.json"):
        path = tmp_path / "nab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with pytest.raises(DataError, match="sha256"):
        nab.load(Request("real", tmp_path), TAXI)
