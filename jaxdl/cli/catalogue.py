"""The labs by chapter of the course: what each teaches, in English and Korean, and its run time.

What a lab teaches is kept here, and nowhere else; its title and its run time are read from its
docstring. A lab that is not here, one of a student's own, is listed under the last heading.
"""

import ast
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jaxdl.language import spoken, translate

KOREAN_TEXTS = Path(__file__).resolve().parents[2] / "docs" / "labs.ko.md"


class Lesson(NamedTuple):
    """What a lab teaches, in a line, and its Korean title."""

    teaches: str
    korean_title: str
    korean: str


@dataclass(frozen=True)
class Chapter:
    """A chapter of the course, with its labs in the order in which they are taught."""

    title: str
    korean: str
    labs: Mapping[str, Lesson]


CHAPTERS = (
    Chapter(
        "Models as functions",
        "신경망 모델 만들기",
        {
            "cifar_cnn": Lesson(
                "why an image shifted and mirrored anew each epoch stops overfitting",
                "Sequential 모델과 데이터 증강 (CIFAR-10)",
                "에포크마다 이미지를 새로 옮기고 뒤집으면 왜 과적합이 줄어드는가",
            ),
            "cifar_speedrun": Lesson(
                "94 % in seconds on an accelerator, and what each part of the recipe gives",
                "몇 초 만에 94 % (CIFAR-10)",
                "가속기에서 몇 초 만에 94 %, 레시피의 부분마다 얼마나 돕는가",
            ),
            "functional_models": Lesson(
                "seven model graphs: shared inputs, shared layers, several outputs",
                "함수형 API: 일곱 가지 모델 구조",
                "공유 입력, 공유 층, 다중 입력과 출력을 그래프 일곱 개로",
            ),
            "mnist_custom_step": Lesson(
                "loss, gradient and update written out, equal to the engine's numbers",
                "사용자 정의 학습 단계 (MNIST)",
                "손실, 기울기, 갱신을 풀어 쓰고 엔진과 같은 숫자인지 확인",
            ),
        },
    ),
    Chapter(
        "Training deep nets",
        "깊은 신경망 학습",
        {
            "vanishing_gradient": Lesson(
                "which activation, initial scale and normalisation let gradients through",
                "기울기 소실",
                "어떤 활성화 함수, 초기값, 정규화에서 기울기가 앞층까지 가는가",
            ),
            "batch_norm": Lesson(
                "batch normalisation's three promises, each tested with numbers",
                "배치 정규화",
                "배치 정규화의 세 가지 약속을 숫자로 시험",
            ),
            "resnet": Lesson(
                "the same depth with and without shortcuts",
                "ResNet: 잔차 연결",
                "같은 깊이에서 지름길(잔차 연결)이 있을 때와 없을 때",
            ),
        },
    ),
    Chapter(
        "Overfitting and regularisation",
        "과적합과 규제",
        {
            "imdb_regularization": Lesson(
                "L1, L2, elastic net, dropout and early stopping, and what each leaves",
                "과적합과 규제 (IMDB 영화평)",
                "L1, L2, 엘라스틱넷, 드롭아웃, 조기 종료가 각각 남기는 것",
            ),
            "imdb_sequence": Lesson(
                "does reading in order help? word pairs, 1D-CNN, GRU, LSTM",
                "순서대로 읽는 모델 (IMDB 영화평)",
                "순서대로 읽으면 나아지는가: 단어 쌍, 1D-CNN, GRU, LSTM",
            ),
            "nsmc_reviews": Lesson(
                "why words between spaces fail in Korean and n-grams of letters do not",
                "한국어 영화평: 단어, 글자, 자모 (NSMC)",
                "한국어에서 띄어쓰기 단위 단어는 왜 실패하고 글자 n-그램은 왜 되는가",
            ),
        },
    ),
    Chapter(
        "Clusters",
        "군집화",
        {
            "clustering": Lesson(
                "which method suits which shape, and how many clusters there are",
                "군집화와 군집 수 정하기",
                "어떤 모양에 어떤 방법이 맞고, 군집은 몇 개인가",
            ),
            "image_segmentation": Lesson(
                "colours are points in space: an image painted with k colours",
                "K-평균 이미지 분할",
                "색은 공간의 점: 이미지를 k개의 색으로 칠하기",
            ),
            "semi_supervised": Lesson(
                "fifty labels, spent well, are nearly enough for all digits",
                "군집화를 이용한 준지도 학습",
                "라벨 50개를 잘 골라 퍼뜨리면 숫자 전체를 거의 맞힌다",
            ),
        },
    ),
    Chapter(
        "Outliers",
        "이상치 탐지",
        {
            "taxi_isolation_forest": Lesson(
                "random cuts isolate what is strange, once the week is taken out",
                "고립 숲 (뉴욕 택시 승객 수)",
                "무작위 분할이 이상한 날을 고립시킨다, 요일 효과를 뺀 뒤라면",
            ),
            "outliers": Lesson(
                "eight detectors, and for each the data on which it fails",
                "이상치의 종류와 탐지 기법",
                "탐지기 여덟 개와, 각각이 실패하는 데이터",
            ),
        },
    ),
    Chapter(
        "Autoencoders",
        "오토인코더",
        {
            "first_autoencoder": Lesson(
                "a linear autoencoder finds PCA's plane; a bent one goes below its error",
                "첫 오토인코더",
                "선형 오토인코더는 PCA의 평면을 찾고, 비선형은 그보다 오차가 작다",
            ),
            "pca_autoencoder": Lesson(
                "how much of a digit survives a code of 2, 8 or 16 numbers",
                "PCA와 오토인코더 비교 (숫자 이미지)",
                "숫자 2, 8, 16개짜리 코드에 이미지가 얼마나 남는가",
            ),
            "mnist_autoencoder": Lesson(
                "simple, stacked and convolutional at the same width of the code",
                "단순, 적층, 합성곱 오토인코더",
                "같은 코드 너비에서 단순, 적층, 합성곱 오토인코더 비교",
            ),
            "mnist_promises": Lesson(
                "compression, noise, search, generation, pre-training: what holds?",
                "오토인코더 활용",
                "압축, 잡음 제거, 검색, 생성, 사전 학습: 정말 잘되는가",
            ),
            "mnist_vae": Lesson(
                "a code that is a distribution, and how tight its bound is",
                "변분 오토인코더",
                "확률 분포인 코드, 그리고 하한(ELBO)이 얼마나 빡빡한가",
            ),
        },
    ),
    Chapter(
        "Fraud",
        "비정상 거래 탐지",
        {
            "fraud_ae": Lesson(
                "what an autoencoder copies badly is suspect; PCA stands beside it",
                "비정상 거래 탐지: 재구성 오차",
                "잘 복원되지 않는 거래를 의심하기, PCA와 나란히",
            ),
            "fraud_variants": Lesson(
                "wider codes, noise, ensembles, and why a row was flagged",
                "오토인코더 개선: 폭, 잡음, 앙상블",
                "넓은 코드, 잡음, 앙상블, 그리고 경보의 이유",
            ),
            "fraud_vae": Lesson(
                "is a variational autoencoder better than a plain one?",
                "변분 오토인코더로 비정상 거래 탐지",
                "변분 오토인코더가 보통 오토인코더보다 나은가",
            ),
            "fraud_features": Lesson(
                "method 2: an encoder before SVM, KNN and DNN, with few labels",
                "방법 2: 특징 추출기 + SVM / KNN / DNN",
                "라벨이 적을 때 인코더를 앞에 두면 도움이 되는가",
            ),
            "fraud_thresholds": Lesson(
                "which threshold keeps its false-alarm promise a day later",
                "탐지 임계값 보정",
                "어떤 임계값이 하루 뒤에도 오경보율 약속을 지키는가",
            ),
            "fraud_detectors": Lesson(
                "all detectors in one table, and the resampling leak",
                "비정상 탐지 기법 비교",
                "모든 탐지기를 표 하나에, 그리고 과표집으로 인한 데이터 누출",
            ),
            "fraud_leak": Lesson(
                "who learns from normal rows only has used the labels, shown and taken away",
                "데이터 누출",
                "정상 거래만으로 학습해도 라벨을 쓴 것이다: 누출을 보이고 없애 보기",
            ),
            "fraud_rules": Lesson(
                "what written rules catch, and what they cannot know",
                "규칙 기반 탐지",
                "규칙이 잡는 것과 알 수 없는 것",
            ),
            "table_anomalies": Lesson(
                "any table of your own: columns, thresholds with promises, alerts",
                "내 표에서 비정상 찾기",
                "내 표 아무거나: 열 해석, 약속이 있는 임계값, 이유가 붙은 알림",
            ),
        },
    ),
    Chapter(
        "Time series",
        "시계열 이상 탐지",
        {
            "nab_conv1d_ae": Lesson(
                "windows of a day through a Conv1D autoencoder: a block of 108 points",
                "Conv1D 오토인코더 (NAB)",
                "하루 길이의 창을 복원해 이상 구간 108개 지점 찾기",
            ),
            "heartbeats": Lesson(
                "short windows: a net whose middle is wider than the window copies anything",
                "심박: 짧은 창의 오토인코더",
                "짧은 창: 가운데가 창보다 넓은 신경망은 무엇이든 베낀다",
            ),
            "nab_benchmark": Lesson(
                "alarms while it happens, one configuration for 35 series",
                "시계열 실시간 탐지 벤치마크 (NAB)",
                "일이 벌어지는 동안 경보를: 시계열 35개에 설정 하나",
            ),
        },
    ),
)
LONGEST_RUNTIME = 34  # letters; of a longer one the last condition is left out
OTHER = ("Further labs", "그 밖의 실습")


def lesson_of(lab: str) -> Lesson | None:
    """What a lab teaches; None for a lab that the course does not have."""
    return next((chapter.labs[lab] for chapter in CHAPTERS if lab in chapter.labs), None)


def described(lab: str, docstring: str) -> str:
    """What `--help` says above the options: the docstring, or in Korean the course's text."""
    lesson = lesson_of(lab)
    if spoken() == "en" or lesson is None:
        return docstring
    takes = translate(runtime(docstring))
    above = f"{lesson.korean_title}\n\n{lesson.korean}.\n걸리는 시간: {takes}"
    commands = "\n".join(re.findall(r"^    python run\.py .+", docstring, re.MULTILINE))
    told = korean_text(lab, KOREAN_TEXTS.read_text("utf-8") if KOREAN_TEXTS.exists() else "")
    where = (
        f"연습 문제: docs/labs.ko.md. 프로토콜과 참고 문헌: experiments/{lab}.py의 첫머리(영어)."
    )
    return "\n\n".join(filter(None, [above, commands, told, where]))


def korean_text(lab: str, document: str) -> str:
    """The paragraphs about a lab without its exercises; empty where it is not written about.

    Args:
        lab: named in the commands below a heading.
        document: Markdown, a section for some labs.
    """
    for section in re.split(r"^## ", document, flags=re.MULTILINE)[1:]:
        _, commands, *paragraphs = section.split("\n\n")
        if f"{lab}.py" in commands:
            kept = itertools.takewhile(lambda text: not text.startswith("**"), paragraphs)
            plain = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", "\n\n".join(kept))
            return re.sub(r"\*([^*\n]+)\*", r"\1", plain).strip()
    return ""


def korean_titles(files: Sequence[Path]) -> dict[str, str]:
    """Title of each lab, as its docstring has it -> its Korean title.

    Args:
        files: of the labs.
    """
    titles = {}
    for path in files:
        lesson, title = lesson_of(path.stem), docstring_of(path).split("\n")[0]
        if lesson is not None and title:
            titles[title] = lesson.korean_title
    return titles


def listing(files: Sequence[Path]) -> str:
    """The labs by chapter, each with its run time and what it teaches; imports none of them.

    Args:
        files: of the labs.
    """
    by_name = {path.stem: path for path in files}
    korean = spoken() == "ko"
    lines: list[str] = []
    for chapter in CHAPTERS:
        here = [name for name in chapter.labs if name in by_name]
        if here:
            lines += ["", chapter.korean if korean else chapter.title]
        for name in here:
            lines += _lab_lines(by_name.pop(name), chapter.labs[name])
    if by_name:
        lines += ["", OTHER[korean]]
        for path in by_name.values():
            lines += _lab_lines(path, None)
    return "\n".join([*lines[1:], ""])


def _lab_lines(path: Path, lesson: Lesson | None) -> list[str]:
    docstring = docstring_of(path)
    if lesson is None:
        teaches = docstring.split("\n")[0]
    elif spoken() == "ko":
        teaches = lesson.korean
    else:
        teaches = lesson.teaches
    number = re.search(r"\b[Ll]ab (\d{3})\b", docstring.split("\n")[0])
    facts = [f"Lab {number[1]}"] if number and lesson else []
    facts += filter(None, [translate(runtime(docstring))])
    return [f"  experiments/{path.name:24} {', '.join(facts)}".rstrip(), f"      {teaches}"]


def docstring_of(path: Path) -> str:
    """The docstring of a lab, without importing it; empty where it has none, or is no Python."""
    try:
        return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    except (SyntaxError, ValueError):
        return ""


def runtime(docstring: str) -> str:
    """The run time that a docstring states, its first part, with numbers as digits.

    >>> runtime("Title\\n\\nRuntime on two CPU cores: about a minute for ten seeds. Numbers: x.")
    '1 min for 10 seeds'
    >>> runtime("Runtime: 20 minutes, one CPU core.")
    '20 min'
    """
    found = re.search(r"Runtime[^:]*: (.+?)(?:[;.]|\Z)", docstring, re.DOTALL)
    if found is None:
        return ""
    text = " ".join(found[1].split())
    text = re.sub(r" on (one|two)( busy)? CPU cores?\b| \([^)]*\)|\babout ", "", text)
    text = re.sub(r" for the \w+'s nets", "", text)
    for pattern, digits in _WORDS:
        text = re.sub(pattern, digits, text)
    text = text.split(", ")[0].strip()
    return text if len(text) <= LONGEST_RUNTIME else text.rpartition(" for ")[0]


_WORDS = (
    (r"\bhalf a minute\b", "30 s"),
    (r"\ba quarter of an hour\b", "15 min"),
    (r"\bunder a minute\b", "under 1 min"),
    (r"\bsome minutes\b", "some min"),
    (r"\b(?:a|one) minute\b", "1 min"),
    (r"\bminutes?\b", "min"),
    (r"\bone\b", "1"),
    (r"\btwo\b", "2"),
    (r"\bthree\b", "3"),
    (r"\bfive\b", "5"),
    (r"\bten\b", "10"),
    (r"\btwenty\b", "20"),
    (r"\b(?:for each|per|an|a) (?=epoch|seed|protocol)", "per "),
    (r"\bwith (?=\d+ seeds)", "for "),
)
