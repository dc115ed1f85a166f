"""`--help` in Korean: every common option, the same options, frames that fit."""

import dataclasses
import re

import pytest

from jaxdl.cli import launcher
from jaxdl.cli.catalogue import CHAPTERS
from jaxdl.cli.korean_help import FILLER, HELP, in_korean
from jaxdl.cli.korean_options import LAB_HELP, explanations, lab_in_korean
from jaxdl.cli.labs import EXPERIMENTS, load_lab
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


LABS = [lab for chapter in CHAPTERS for lab in chapter.labs]


@pytest.mark.parametrize("lab", LABS)
def test_every_option_of_every_lab_is_explained(lab):
    config = load_lab(EXPERIMENTS / f"{lab}.py").Config
    explained = explanations(config)
    assert set(explained) == {field.name for field in dataclasses.fields(config)}
    missing = {name for name, english in explained.items() if english not in LAB_HELP}
    assert not missing
    assert dataclasses.asdict(lab_in_korean(config)()) == dataclasses.asdict(config())


def test_explanations_are_korean():
    assert all(re.search("[가-힣]", korean) for korean in LAB_HELP.values())
    for english, korean in LAB_HELP.items():
        for name in ("--", "Adam", "SGD", "DBSCAN", "random:", "lecture:", "auto:", "0:"):
            assert korean.count(name) >= english.count(name), english
