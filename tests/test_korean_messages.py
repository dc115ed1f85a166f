"""Every message of a finished room is told in Korean: mistakes, warnings, what a run says."""

import ast
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from jaxdl.korean_messages import MESSAGES
from jaxdl.language import speaking, translate_message
from jaxdl.runs import Run

ROOT = Path(__file__).parents[1]
TELLERS = {"UserError", "DataError", "CheckpointError", "NotFinite", "Irreproducible", "say"}
PART = "7"  # stands for what is known only when the message is told
# What is not told in Korean yet: the scorer's and the stream's commands, shards for programmers
LEFT = ("jaxdl/serving/", "datasets/shards.py")
FILES = [
    path
    for folder in ("jaxdl", "datasets", "experiments")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not path.relative_to(ROOT).as_posix().startswith(LEFT)
]

Names = Mapping[str, Sequence[tuple[int, ast.expr]]]  # a name -> lines that give it a value


def wordings(node: ast.expr, names: Names) -> list[str]:
    """The texts that an expression may be, `PART` for what is not written in the source."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return joined([wordings(part, names) or [PART] for part in node.values])
    if isinstance(node, ast.FormattedValue):
        return wordings(node.value, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return joined([wordings(side, names) or [PART] for side in (node.left, node.right)])
    if isinstance(node, ast.IfExp):
        return wordings(node.body, names) + wordings(node.orelse, names)
    if isinstance(node, ast.Name):
        before = [pair for pair in names.get(node.id, ()) if pair[0] < node.lineno]
        if before:
            return wordings(max(before, key=lambda pair: pair[0])[1], names)
    return []


def joined(parts: Sequence[Sequence[str]]) -> list[str]:
    texts = [""]
    for part in parts:
        texts = [text + more for text in texts for more in part]
    return texts


def messages(program: str) -> Iterator[str]:
    """What a program may tell in one line."""
    for function in ast.walk(ast.parse(program)):
        if not isinstance(function, ast.FunctionDef):
            continue
        names: dict[str, list[tuple[int, ast.expr]]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.setdefault(node.targets[0].id, []).append((node.lineno, node.value))
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                longer = ast.BinOp(node.target, node.op, node.value)
                names.setdefault(node.target.id, []).append((node.lineno, longer))
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and node.args:
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if called in TELLERS:
                    for text in wordings(node.args[0], names):
                        if re.search("[a-z]{3}", re.sub("--[a-z-]+", "", text)):
                            yield without_endings(" ".join(text.split()))


def without_endings(text: str) -> str:
    """A message without what may follow a word of it, such as " (and 3 more)"."""
    return re.sub(f"(?<=[a-z]){PART}+", "", re.sub(f"{PART}+", PART, text))


def untold(text: str) -> bool:
    """Whether a message stays English, as a whole or for three words and more."""
    with speaking("ko"):
        told = translate_message(text)
    without_code = re.sub("`.+?`|'.+?'|--[a-z-]+", "", told)
    return not re.search("[가-힣]", told) or bool(
        re.search("([a-z]{2,} ){2}[a-z]{2,}", without_code)
    )


def test_messages_are_found_in_the_source():
    program = """
def check(rows, path):
    problem = f"{rows} rows"
    if rows:
        raise UserError(f"{path} has {problem}, " + ("too many" if rows > 3 else "too few"))
    run.say("ab")
"""
    assert list(messages(program)) == ["7 has 7 rows, too many", "7 has 7 rows, too few"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_message_is_told_in_korean(path):
    left = [text for text in messages(path.read_text("utf-8")) if untold(text)]
    assert not left


def test_as_many_parts_as_in_the_english_message_each_once():
    for english, korean in MESSAGES.items():
        places = [name for _, name, _, _ in string.Formatter().parse(korean) if name is not None]
        count = len(re.findall(r"\{=?\}", english))
        assert len(places) == count, english
        assert sorted(places) in (sorted(map(str, range(count))), [""] * count), english


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("--epochs 0: must be at least 1", "--epochs 0: 1 이상이어야 합니다"),
        # what stands in front of a mistake in data: file, row and column
        ("a.csv, row 3: is 'x', not 0 or 1", "a.csv, 3행: 'x'입니다 (0이나 1이어야 함)"),
        ("a.csv, row 3, column fee: there is no time stamp", "a.csv, 3행, fee 열: 시각이 없습니다"),
        (
            "data: Fashion-MNIST, real (60,000 + 10,000 images of 28x28), sha256 ab12",
            "데이터: Fashion-MNIST, 실제 (이미지 60,000 + 10,000장 (28x28)), sha256 ab12",
        ),
        # the name of somebody's file is kept, even if it is a word that we know
        (
            "data: loss, user file (9 + 3 images of 28x28, 2 classes), sha256 ab12",
            "데이터: loss, 내 파일 (이미지 9 + 3장 (28x28), 클래스 2개), sha256 ab12",
        ),
        (
            "net: epoch 2/5, loss train 0.1000, valid 0.2000, 1,234 examples/s",
            "net: 에포크 2/5, 손실 학습 0.1000, 검증 0.2000, 초당 1,234개",
        ),
        ("nobody has translated this", "nobody has translated this"),
    ],
)
def test_messages(english, korean):
    with speaking("ko"):
        assert translate_message(english) == korean
    assert translate_message(english) == english


def test_what_is_told_already_is_printed_as_it_is(capsys):
    told = "--detector mahalanobis 옵션으로 다시 실행해 보세요: 0.51 (95 %)."
    with speaking("ko"):
        Run.say(None, told, told=True)
        Run.say(None, "net: finished before, restored from runs/a")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [told, "net: 이미 끝난 학습을 runs/a에서 불러왔습니다"]
