"""What the labs recorded is told in Korean: titles, headings, cells, notes and data lines."""

import re

import pytest

from jaxdl.korean import COLUMNS_OF_NAMES
from jaxdl.language import speaking, translate, translate_cell, translate_message
from jaxdl.report.markdown import sections
from tests.conftest import LABS as ALL_LABS
from tests.conftest import ROOT

RECORDED = sections(ROOT / "docs" / "results.md")
LABS = sorted({key.rpartition("-")[0] for key in RECORDED} & set(ALL_LABS))
# names of activations, options and formulas, colours, series and files
KEPT = r"""leaky|relu|gelu|tanh|sigmoid|glorot|lecun|log10|sqrt\(|scikit-learn|nats?
    |\#[0-9a-f]{6}|\w+/\w\S+|real[A-Z]\w+|\w+\.(?:csv|py|jpg)|[a-z]+_\w+|seed(?=\ [0-9])
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
