"""The logs of a run: whole or not at all, and in the order of an uninterrupted run."""

import json

import pytest

from jaxdl.errors import UserError
from jaxdl.runs.metrics_log import EpochLog

FITS = {"first": 4, "second": 3}  # how many epochs each trains


def line(fit, epoch):
    return json.dumps({"fit": fit, "epoch": epoch, "train_loss": [epoch / 7]})


def train(log, fit, asked, seen=0):
    """A fit that continues behind `seen` epochs, as `RunWatcher` tells the log of it."""
    order = [*asked, fit]
    log.begin(fit, seen, order)
    for epoch in range(seen + 1, FITS[fit] + 1):
        log.append(fit, epoch, {"train_loss": [epoch / 7]})
    log.arrange(order)


@pytest.fixture
def log(tmp_path):
    """The log of an uninterrupted run of both fits."""
    log = EpochLog(tmp_path / "metrics.jsonl")
    train(log, "first", [])
    train(log, "second", ["first"])
    return log


@pytest.fixture
def whole(log):
    content = log.path.read_bytes()
    lines = [line(fit, epoch) for fit, n in FITS.items() for epoch in range(1, n + 1)]
    assert content.decode().splitlines() == lines
    return content


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_fit_behind_which_others_stand_comes_back_to_its_place(log, whole, seen):
    train(log, "first", [], seen)  # its newest checkpoint was damaged: it falls back
    assert log.path.read_bytes() == whole
    train(log, "second", ["first"], seen)
    assert log.path.read_bytes() == whole


def test_a_kill_between_two_lines_loses_nothing_of_the_other_fits(log, whole):
    log.begin("first", 2, ["first"])
    log.append("first", 3, {"train_loss": [3 / 7]})
    kept = log.path.read_text().splitlines()  # here it is killed
    others = [line("second", epoch) for epoch in (1, 2, 3)]
    assert sorted(kept) == sorted([*whole.decode().splitlines()[:3], *others])
    train(log, "first", [], 3)
    assert log.path.read_bytes() == whole


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xfe",
        b"5",
        b"null",
        b"[]",
        b'"first"',
        b"{}",
        b'{"fit": "first"}',
        b'{"fit": "first", "epoch": "x"}',
        b'{"fit": "first", "epoch": 1, "train_lo',
        b"[" * 100_000,
        b"",
    ],
    ids=lambda bad: repr(bad[:20]),
)
def test_a_bad_line_is_left_out_and_blocks_nothing(log, whole, bad):
    before, after = whole.split(b"\n", 1)
    log.path.write_bytes(b"\n".join([bad, before, bad, after]) + bad)
    train(log, "first", [], 2)
    train(log, "second", ["first"], 1)
    assert log.path.read_bytes() == whole


def test_the_file_is_rewritten_in_one_move(log, whole, monkeypatch):
    """Whatever happens while the new content is written, the old file stays whole."""

    def full(path, content):
        assert log.path.read_bytes() == whole
        raise UserError("no room")

    monkeypatch.setattr("jaxdl.runs.metrics_log.write_whole", full)
    with pytest.raises(UserError, match="no room"):
        log.begin("first", 1, ["first"])
    assert log.path.read_bytes() == whole


def test_an_unreadable_log_is_one_line(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    log = EpochLog(tmp_path / "metrics.jsonl")
    with pytest.raises(UserError, match="cannot be read"):
        log.begin("first", 0, ["first"])
    with pytest.raises(UserError, match="cannot be written"):
        log.append("first", 1, {})
