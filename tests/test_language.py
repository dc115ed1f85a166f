"""Translations: whole, by parts, with their numbers; what is not known stays."""

import string

import pytest

from jaxdl.korean import ENDINGS, KOREAN, NAMES_IN_DATA
from jaxdl.language import language_of, romanised, speaking, spoken, translate, translate_cell


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("loss", "손실"),
        ("recall at precision 0.5", "정밀도 0.5에서의 재현율"),
        ("18 of 2,511 rows are frauds", "2,511행 가운데 사기 18건"),
        ("A-1 multi-layer perceptron: 351 parameters", "A-1 다층 퍼셉트론: 파라미터 351개"),
        ("30-27-30 denoising train", "30-27-30 잡음 제거 학습"),
        ("normal (1,234)", "정상 (1,234)"),
        (
            "Ranking; random 50/50 split; test part 10 rows, 3 frauds",
            "점수 순위; 무작위 50/50 분할; 테스트 부분 10행, 사기 3건",
        ),
        ("net\nuntrained", "신경망\n학습 안 함"),
        ("whatever a lab says", "whatever a lab says"),
        ("in training and in the test", "in training and in the test"),
        ("1e-3", "1e-3"),
        ("", ""),
        ("{}", "{}"),
        ("score {x} of {}", "score {x} of {}"),
    ],
)
def test_translations(english, korean):
    with speaking("ko"):
        assert translate(english) == korean
    assert translate(english) == english


def test_as_many_numbers_as_in_the_english_each_once():
    for english, korean in KOREAN.items():
        places = [name for _, name, _, _ in string.Formatter().parse(korean) if name is not None]
        count = english.count("{}")
        assert len(places) == count, english
        if any(places):
            assert sorted(places) == [str(i) for i in range(count)], english


def test_every_ending_has_a_korean_one():
    assert all(
        english.startswith(" ") and korean.startswith(" ") for english, korean in ENDINGS.items()
    )


def test_the_warning_of_a_leak_is_known_as_it_is_written():
    from jaxdl.anomaly.leaks import CorrelationLeak

    fields = dict.fromkeys(CorrelationLeak._fields, 0) | {"uncorrelated": 378, "revealed": 296}
    warning = CorrelationLeak(**(fields | {"cosine": 0.99})).warning()
    with speaking("ko"):
        assert "열 쌍 378개 가운데 296개" in translate(warning)


def test_names_of_somebodys_columns_are_kept_in_cells():
    with speaking("ko"):
        for name in NAMES_IN_DATA:
            assert translate_cell(name) == name
        assert translate_cell("random score") == "무작위 점수"


def test_further_words_last_as_long_as_they_are_spoken():
    with speaking("ko", {"my lab": "내 실습"}):
        with speaking("ko"):
            assert translate("my lab") == "내 실습"
        with speaking("en"):
            assert translate("my lab") == "my lab"
    with speaking("ko"):
        assert translate("my lab") == "my lab"
    assert spoken() == "en"


@pytest.mark.parametrize(
    ("option", "environment", "language"),
    [
        (None, {}, "en"),
        ("auto", {"LANG": "ko_KR.UTF-8"}, "ko"),
        ("auto", {"LANG": "ko"}, "ko"),
        ("auto", {"LANG": "en_US.UTF-8"}, "en"),
        ("auto", {"LC_MESSAGES": "en_US.UTF-8", "LANG": "ko_KR.UTF-8"}, "en"),
        ("auto", {"LC_ALL": "", "LANG": "ko_KR.eucKR"}, "ko"),
        ("ko", {"LANG": "en_US.UTF-8"}, "ko"),
        ("en", {"LANG": "ko_KR.UTF-8"}, "en"),
        ("auto", {"LANG": "kok_IN"}, "en"),
    ],
)
def test_which_language(option, environment, language):
    assert language_of(option, environment) == language


def test_hangul_in_latin_letters():
    assert romanised("서울 A/B 1") == "seoul A/B 1"
    assert romanised("plain") == "plain"
