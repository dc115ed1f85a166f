"""NAB series: published files row by row, a clone of the repository, simulated twins."""

import hashlib
import json
import re

import numpy as np
import pytest

from datasets import download, nab, source
from datasets.source import DataError, Request

TAXI = "realKnownCause/nyc_taxi"
JUMP = "artificialWithAnomaly/art_daily_jumpsup"
SIMULATED = Request("simulated")


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


def test_other_refusals():
    with pytest.raises(DataError, match="twins"):
        nab.load(SIMULATED, "realTweets/Twitter_volume_AAPL")
    with pytest.raises(DataError, match=r"no series '\.\./\.\./etc/passwd'; names are such as"):
        nab.load(Request(), "../../etc/passwd")
    with pytest.raises(DataError, match="did you mean realKnownCause/nyc_taxi"):
        nab.load(Request(), "realKnownCause/nyc_taxis")
    with pytest.raises(DataError, match="TensorFlow Datasets"):
        nab.load(Request("tfds"), TAXI)


# ---- a clone of the benchmark ------------------------------------------------------------------

OTHER = "realTweets/Twitter_volume_AAPL"


def made_up_clone(folder, monkeypatch, names=(TAXI, JUMP)):
    """A folder laid out as the repository, with sums of its own in the place of the published."""
    windows = [["2020-01-01 00:10:00.000000", "2020-01-01 00:20:00.000000"]]
    labels = {f"{name}.csv": ["2020-01-01 00:15:00"] for name in (TAXI, JUMP, OTHER)}
    files = {
        "README.md": "a clone",
        "labels/combined_labels.json": json.dumps(labels),
        "labels/combined_windows.json": json.dumps(dict.fromkeys(labels, windows)),
        "config/profiles.json": "{}",
    }
    rows = [f"2020-01-01 00:{5 * i:02}:00,{i}.5" for i in range(12)]
    for name in names:
        files[f"data/{name}.csv"] = "\n".join(["timestamp,value", *rows])
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    for name in names:
        monkeypatch.setitem(nab.SHA256, name, sums[f"data/{name}.csv"])
    monkeypatch.setattr(nab, "LABELS_SHA256", sums["labels/combined_labels.json"])
    monkeypatch.setattr(nab, "WINDOWS_SHA256", sums["labels/combined_windows.json"])
    return folder


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No bytes but those of the folder."""

    def unavailable(*arguments):
        raise download.Unavailable("cannot be reached")

    monkeypatch.setattr(source, "_download", unavailable)
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAXDL_DATA", raising=False)


def test_all_58_series_have_a_published_sum():
    assert len(nab.SHA256) == 58
    assert len({*nab.SHA256.values(), nab.LABELS_SHA256, nab.WINDOWS_SHA256}) == 60
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in nab.SHA256.values())


@pytest.mark.parametrize("below", ["", "nab"])
def test_a_clone_works_as_it_is_and_a_part_is_a_part(tmp_path, monkeypatch, no_network, below):
    made_up_clone(tmp_path / "clone" / below, monkeypatch)
    request = Request("auto", tmp_path / "clone")
    series = nab.load(request, JUMP)
    assert series.provenance.kind == "real"
    assert series.value.tolist() == [i + 0.5 for i in range(12)]
    assert series.in_window().nonzero()[0].tolist() == [2, 3, 4]
    assert nab.available(request) == (JUMP, TAXI)
    assert len(nab.available(Request("auto"))) == 58


def test_a_broken_clone_is_an_error_and_not_a_simulated_series(tmp_path, monkeypatch, no_network):
    clone = made_up_clone(tmp_path / "clone", monkeypatch)
    request = Request("auto", clone)
    (clone / f"data/{JUMP}.csv").unlink()
    with pytest.raises(DataError, match=r"no local data/.*jumpsup.*--source simulated"):
        nab.load(request, JUMP)
    (clone / f"data/{TAXI}.csv").write_text("timestamp,value\n")
    with pytest.raises(DataError, match="sha256"):
        nab.load(request, TAXI)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="should hold it"):
        nab.load(Request("auto", tmp_path / "empty"), JUMP)
    monkeypatch.setenv("JAXDL_DATA", str(clone))
    with pytest.raises(DataError, match="should hold it"):
        nab.load(Request("auto"), JUMP)
    # a folder of other data sets, or none, leaves the twin, and the first line says so
    monkeypatch.setenv("JAXDL_DATA", str(tmp_path / "empty"))
    assert "simulated twin" in nab.load(Request("auto"), JUMP).provenance.line()


def test_a_damaged_published_file_is_one_line(tmp_path, monkeypatch, no_network):
    clone = made_up_clone(tmp_path / "clone", monkeypatch)
    text = "timestamp,value\n2020-01-01 00:00:00,x\n"
    (clone / f"data/{TAXI}.csv").write_text(text)
    monkeypatch.setitem(nab.SHA256, TAXI, hashlib.sha256(text.encode()).hexdigest())
    with pytest.raises(DataError, match="is not a series of NAB"):
        nab.load(Request("auto", clone), TAXI)


def test_a_local_file_must_have_the_published_sum(tmp_path):
    for name in ("labels/combined_labels.json", "labels/combined_windows.json"):
        path = tmp_path / "nab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with pytest.raises(DataError, match="sha256"):
        nab.load(Request("real", tmp_path), TAXI)
