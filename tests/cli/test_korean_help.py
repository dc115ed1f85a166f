"""`--help` in Korean: every common option, the same options, frames that fit."""

import dataclasses

import pytest

from jaxdl.cli import launcher
from jaxdl.cli.korean_help import FILLER, HELP, in_korean
from jaxdl.cli.options import RunOptions
from jaxdl.language import width_of


def test_every_common_option_is_explained():
    assert set(HELP) == {field.name for field in dataclasses.fields(RunOptions)}


def test_the_options_are_the_same_ones():
    korean = in_korean(RunOptions)
    assert dataclasses.asdict(korean()) == dataclasses.asdict(RunOptions())
    assert isinstance(korean(seeds=3), RunOptions)


def test_help_is_korean_and_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        launcher.main(["fraud_ae", "--help", "--language", "ko"])
    assert stop.value.code in (0, None)
    out = capsys.readouterr().out
    assert FILLER not in out
    for words in ("비정상 거래 탐지: 재구성 오차", "함께 학습할 시드의 수", "--epochs INT"):
        assert words in out
    options = out[out.index("모든 실습에 있는 옵션입니다.") :]
    assert max(map(width_of, options.splitlines())) <= 80


def test_options_are_read_the_same_in_korean(capsys):
    assert launcher.main(["fraud_ae", "--epoks", "3", "--language", "ko"]) == 2
    assert "did you mean --epochs?" in capsys.readouterr().err
