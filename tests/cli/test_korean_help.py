"""`--help` in Korean: every common option, the same options, frames that fit."""

import dataclasses
import re

import pytest

from jaxdl.cli import launcher
from jaxdl.cli.catalogue import CHAPTERS, KOREAN_TEXTS, korean_text
from jaxdl.cli.korean_help import FILLER, HELP, in_korean, own_words_in_korean
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


@pytest.mark.parametrize("lab", [lab for chapter in CHAPTERS for lab in chapter.labs])
def test_no_sentence_of_the_help_is_english(lab, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        launcher.main([lab, "--help", "--language", "ko"])
    out = capsys.readouterr().out
    assert f"python run.py experiments/{lab}.py" in out
    for kept in (r"^ *python run\.py .*", r"\{[^}]*\}", r"\(기본값:[^)]*\)"):
        out = re.sub(kept, "", out, flags=re.MULTILINE)
    assert not re.findall(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}|\w+ options", out)


@pytest.mark.parametrize("lines", ["╭─ lab options ──╮", " options         ", " run options     "])
def test_headings_of_the_help_keep_their_width(lines):
    told = own_words_in_korean(lines)
    assert "옵션" in told
    assert "options" not in told
    assert width_of(told) == width_of(lines)


def test_every_lab_is_written_about_in_korean():
    document = KOREAN_TEXTS.read_text("utf-8")
    for chapter in CHAPTERS:
        for lab in chapter.labs:
            text = korean_text(lab, document)
            assert re.search("[가-힣]{2}", text), lab
            assert "연습 문제" not in text
            assert not re.search(r"\]\(|\*", text), lab
    assert korean_text("no_such_lab", document) == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--epoks", "3"], "모르는 옵션 --epoks. --epochs인가요?"),
        (["--epochs", "three"], "--epochs: 정수가 아닙니다: 'three'"),
        (["--learning-rate", "x"], "--learning-rate: 숫자가 아닙니다: 'x'"),
        (["--seeds"], "'--seeds': 값이 1개 필요합니다"),
        (["--precision", "half"], "고를 수 있는 값: 'float32', 'bfloat16'"),
        (["--epochs", "0"], "--epochs 0: 1 이상이어야 합니다"),
    ],
)
def test_mistakes_in_options_are_told_in_korean(words, told, capsys):
    assert launcher.main(["fraud_ae", *words, "--language", "ko"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("오류: ")
    assert told in line


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
