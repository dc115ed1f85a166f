"""Translations: whole, by parts, with their numbers; what is not known stays."""

import re
import string

import pytest

from jaxdl.korean import COLUMNS_OF_NAMES, ENDINGS, KOREAN, NAMES_IN_DATA, SENTENCES
from jaxdl.language import language_of, romanised, speaking, spoken, translate, translate_cell
from jaxdl.report import Table


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


def test_as_many_parts_as_in_the_english_sentence_each_once():
    for english, korean in SENTENCES.items():
        places = [name for _, name, _, _ in string.Formatter().parse(korean) if name is not None]
        count = len(re.findall(r"\{=?\}", english))
        assert len(places) == count, english
        assert sorted(places) in (sorted(map(str, range(count))), [""] * count), english


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        (
            "Promised false-alarm rates of 2.0%, 0.5% were NOT kept: there were more.",
            "약속한 오경보율 2.0%, 0.5%는 지키지 못했습니다. 오경보가 더 많았습니다.",
        ),
        (
            "In short: learnt from 12 rows by autoencoder. 3 of them are among the 10 anomalies.",
            "요약: 12행을 배웠습니다. 탐지기: 오토인코더. 그중 3건은 이상 10개에 듭니다.",
        ),
        # a name of a file or a column is kept, even if it is a word that we know
        ("time: column step; values: error, loss", "시각: step 열; 값: error, loss"),
        ("left out of loss.csv, no numbers: name", "loss.csv에서 뺀 열, 숫자 아님: name"),
        # all sentences or none
        (
            "K-means finds as many clusters as it is told to. Nobody has translated this.",
            "K-means finds as many clusters as it is told to. Nobody has translated this.",
        ),
        ("Run again with --detector knn.", "--detector knn 옵션으로 다시 실행해 보세요."),
        ("least cost, 100 missed, 5 an alert", "최소 비용, 놓치면 100, 알림당 5"),
        # the comma behind a number is not part of it
        (
            "Where the gap statistic says 1, they cut one cloud into pieces.",
            "간격 통계량의 답이 1이면 한 덩어리를 여러 조각으로 나눈 것입니다.",
        ),
        (
            "Scores of the later rows in the order in which they happened; what lies above the\n"
            "line is flagged by the rule that decides.",
            "일어난 순서로 본 나중 행의 점수. 선 위에 있으면 정해진 규칙이\n경보를 냅니다.",
        ),
    ],
)
def test_sentences(english, korean):
    with speaking("ko"):
        assert translate(english) == korean
    assert translate(english) == english


def test_a_cell_is_told_by_the_heading_of_its_column():
    with speaking("ko"):
        assert translate_cell("kept", "promise") == "지킴"
        assert translate_cell("kept", "predicted") == "정상 판정"
        assert translate_cell("number", "is a") == "숫자"
        for heading in COLUMNS_OF_NAMES:
            assert translate_cell("loss", heading) == "loss"
        table = Table("", [{"column": "loss", "is a": "number"}])
        assert table.text().split()[-2:] == ["loss", "숫자"]
        assert "<td>loss</td>" in re.sub(' class="[^"]*"', "", table.html())
    assert translate_cell("kept", "promise") == "kept"
