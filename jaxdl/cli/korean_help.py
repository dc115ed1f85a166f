"""The options that every lab has, explained in Korean."""

import contextlib
import dataclasses
import io
import re
import sys
from collections.abc import Iterator
from typing import Annotated, Any

from jaxdl.language import spoken, width_of

ABOUT = "모든 실습에 있는 옵션입니다."

HELP = {
    "preset": "quick: 전체 과정을 1분 안에; full: 논문이나 강의에 발표된 설정 (있는 실습만).",
    "seed": "첫 번째 모델의 시드.",
    "seeds": "함께 학습할 시드의 수. 표에는 평균 ± 표준편차가 나옵니다.",
    "workdir": "실행 폴더. 같은 폴더로 다시 실행하면 이어집니다. 기본값: 옵션으로 정해지는 "
    "runs/LAB-HASH.",
    "source": "데이터를 찾는 곳. auto: 내 폴더, 캐시, 내려받기 순서이고, 없으면 모의 데이터.",
    "data_dir": "원본 파일이 있는 폴더. 기본값: $JAXDL_DATA.",
    "eval": "끝난 실행 폴더를 평가합니다. 같은 표가 나오고, 학습하거나 쓰지 않습니다.",
    "fresh": "실행 폴더에 있던 것을 지우고 처음부터 시작합니다.",
    "device": "cpu, gpu, tpu, 또는 cpu:8 (가상 장치 여덟 개). 기본값: 가장 좋은 장치.",
    "precision": "신경망 계산의 정밀도. bfloat16은 가속기용이고, 가중치와 손실은 float32 "
    "그대로입니다.",
    "multihost": "여러 컴퓨터로 된 클러스터에 참여합니다 (Slurm, GKE, Cloud TPU 등).",
    "compile_cache": "컴파일한 프로그램을 캐시 폴더에 두어 다음 실행을 빠르게 합니다.",
    "tensorboard": "곡선을 TensorBoard 형식으로도 저장합니다 (추가 설치: tensorboard).",
    "record": "표를 이 Markdown 파일에 넣고, 이 실습의 절을 바꿉니다.",
    "language": "표, 보고서, 그림, 도움말의 언어. auto: 로캘을 따름 (LANG=ko_KR.UTF-8이면 한국어).",
    "debug": "오류의 전체 추적 내용을 보여 줍니다.",
}


# tyro takes every letter for one column of the terminal, and Hangul takes two: behind each wide
# letter stands this one, which takes none, until all lines are broken and framed.
FILLER = "\u2060"


def in_korean(options: type) -> Any:
    """A dataclass of options with its help in Korean; fields, types and defaults are the same.

    Print its help inside `unfilled`.

    Args:
        options: the dataclass; fields that are not explained here keep their English words.
    """
    from tyro.conf import arg

    fields = []
    for field in dataclasses.fields(options):
        kind: Any = field.type
        if field.name in HELP:
            kind = Annotated[kind, arg(help=filled(HELP[field.name]))]
        fields.append((field.name, kind, dataclasses.field(default=field.default)))
    return dataclasses.make_dataclass(
        options.__name__,
        fields,
        bases=(options,),
        namespace={"__doc__": filled(ABOUT)},
        frozen=True,
    )


# What tyro says by itself: headings of frames, the line that explains --help, the first word
FRAMES = {"options": "옵션", "run options": "공통 옵션", "lab options": "실습 옵션"}
ABOUT_HELP = ("show this help message and exit", "이 도움말을 보여 줍니다")


def own_words_in_korean(text: str) -> str:
    """A help with tyro's own words in Korean; every line stays as wide as it was."""
    for english, korean in FRAMES.items():

        def heading(found: re.Match, korean: str = korean) -> str:
            before, title, fill = found.groups()
            return before + korean + fill + fill[-1] * (width_of(title) - width_of(korean))

        # in a frame, or with spaces behind where a terminal cannot show one
        text = re.sub(f"^(╭─ | )({english})( ─| (?= *$))", heading, text, flags=re.MULTILINE)
    english, korean = ABOUT_HELP
    text = text.replace(english, korean + " " * (width_of(english) - width_of(korean)))
    return re.sub("^usage:", "사용법:", text, flags=re.MULTILINE)


def filled(text: str) -> str:
    """A text of which tyro takes as many letters as it has columns of the terminal."""
    return "".join(letter + FILLER * (width_of(letter) - 1) for letter in text)


@contextlib.contextmanager
def unfilled() -> Iterator[None]:
    """What is printed while it lasts is printed at its end, without the letters that fill up."""
    if spoken() == "en":
        yield
        return
    # frames are drawn only for a stream that says which letters it can show
    box = io.TextIOWrapper(
        io.BytesIO(), getattr(sys.stdout, "encoding", None) or "utf-8", "replace"
    )
    try:
        with contextlib.redirect_stdout(box):
            yield
    finally:
        box.seek(0)
        sys.stdout.write(own_words_in_korean(box.read().replace(FILLER, "")))
