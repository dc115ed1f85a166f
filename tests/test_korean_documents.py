"""What the labs recorded is told in Korean: titles, headings, cells, notes and data lines."""

import ast
import re

import pytest

from jaxdl.korean import COLUMNS_OF_NAMES
from jaxdl.language import speaking, translate, translate_cell, translate_message
from jaxdl.report.markdown import sections
from tests.conftest import LABS as ALL_LABS
from tests.conftest import ROOT

RECORDED = sections(ROOT / "docs" / "results.md")
LABS = sorted({key.rpartition("-")[0] for key in RECORDED} & set(ALL_LABS))
# names of activations, options and formulas, colours, series and files, a node of a graph
KEPT = r"""leaky|relu|gelu|tanh|sigmoid|glorot|lecun|log10|sqrt\(|scikit-learn|nats?
    |\#[0-9a-f]{6}|\w+/\w\S+|real[A-Z]\w+|\w+\.(?:csv|py|jpg)|[a-z]+_\w+|seed(?=\ [0-9])
    |short(?=\ 없이)
    |python\ -m\ [\w.]+\ RUN\ [\w.\ -]+|--[a-z-]+(?:\ [a-z]+)?|`[^`]*`"""
WORD = r"(?<![A-Za-z])[a-z]{3,}"
# Words of reviews, and the nodes of a graph, which are named as in its figure and its program.
NAMES = {
    "imdb_regularization": {"against", "for"},
    "functional_models": {"output", "its output", "layer", "name", "reads", "blanked"},
}


def english_in(text):
    return re.findall(WORD, re.sub(KEPT, "", text, flags=re.VERBOSE))


def cells_of(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def told(text, names):
    """Everything in a section in Korean: (English, Korean)."""
    for part in text.strip().split("\n\n"):
        if part.startswith("data: "):
            yield part, re.sub("sha256.*", "", translate_message(part))
        elif part.startswith("**"):
            yield part, translate(part.strip("*"))
        elif part.startswith("|"):
            head, _, *rows = map(cells_of, part.splitlines())
            yield from ((name, translate(name)) for name in head)
            for row in rows:
                for name, cell in zip(head, row, strict=True):
                    if name not in COLUMNS_OF_NAMES | names:
                        yield cell, translate_cell(cell, name)
        elif not part.startswith(("##", "`", "![", "n = ")):
            yield part, translate(part)


@pytest.mark.parametrize("lab", LABS)
def test_what_a_lab_recorded_is_told_in_korean(lab):
    left = {}
    with speaking("ko"):
        for key, text in RECORDED.items():
            if key.rpartition("-")[0] == lab:
                left |= {
                    english: korean
                    for english, korean in told(text, NAMES.get(lab, set()))
                    if english_in(korean)
                }
    assert not left


def test_words_are_found_and_names_are_not():
    assert english_in("학습 rows") == ["rows"]
    assert not english_in("relu, log10, `python run.py`, --seeds, china.jpg, #05aa32, Adam")


def text_of(node):
    """A text in the source, 7 for the parts that are not written there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [text_of(part) if isinstance(part, ast.Constant) else "7" for part in node.values]
        return "".join(parts)
    return ""


def names_in(program, of):
    """Keys of the dictionaries that a lab hands over, or fills, under this name."""
    for node in ast.walk(ast.parse(program)):
        given = None
        if isinstance(node, ast.keyword) and node.arg == of:
            given = node.value
        elif isinstance(node, ast.Assign | ast.AugAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Subscript) and ast.unparse(target.value) == of:
                yield text_of(target.slice)
            elif ast.unparse(target) == of:
                given = node.value
        if given is not None:
            for part in ast.walk(given):
                if isinstance(part, ast.Dict):
                    yield from (text_of(key) for key in part.keys)


@pytest.mark.parametrize("lab", ALL_LABS)
def test_names_of_figures_and_headlines_are_korean(lab):
    program = (ROOT / "experiments" / f"{lab}.py").read_text("utf-8")
    names = [name.replace("_", " ") for name in names_in(program, "figures")]
    names += names_in(program, "headline")
    with speaking("ko"):
        assert not [name for name in names if english_in(translate(name))]


def test_names_are_found():
    program = (
        'headline = {f"{x}, rate": 1}\nheadline["b"] = 2\nf(headline={"c": 3} | d)\ne = {"f": 1}'
    )
    assert list(names_in(program, "headline")) == ["7, rate", "b", "c"]
