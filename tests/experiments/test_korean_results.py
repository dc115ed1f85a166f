"""What the labs say is Korean where Korean is spoken: titles, headings, cells and notes."""

import re

import pytest

from jaxdl.korean import COLUMNS_OF_NAMES
from jaxdl.language import speaking, translate, translate_cell

LABS = (
    "cifar_speedrun",
    "fraud_features",
    "fraud_leak",
    "fraud_thresholds",
    "nab_conv1d_ae",
    "nsmc_reviews",
    "table_anomalies",
)
# commands and their options, names of files
KEPT = r"python -m [\w.]+ RUN [\w. -]+|--[a-z-]+( [a-z]+)?|\w+\.(csv|py)|\w+_\w+"


def english_in(text: str) -> list[str]:
    """Words of three and more small letters that are left in a text."""
    return re.findall("[a-z]{3,}", re.sub(KEPT, "", text))


@pytest.mark.parametrize("lab", LABS)
def test_nothing_stays_english(lab, quick_run):
    results = quick_run(lab).results
    with speaking("ko"):
        told = [translate(note) for note in results.notes]
        for table in results.tables:
            told += [translate(table.title), *map(translate, table.columns)]
            if not table.verbatim:
                told += [
                    translate_cell(cell, column)
                    for row in table.cells()
                    for column, cell in zip(table.columns, row, strict=True)
                    if column not in COLUMNS_OF_NAMES
                ]
    assert not {text: english_in(text) for text in told if english_in(text)}
