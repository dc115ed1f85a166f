"""Tables on a terminal: never wider than it, nothing lost, rows still named."""

import numpy as np
import pytest

from jaxdl.language import speaking, width_of
from jaxdl.report import Table
from jaxdl.report.terminal import Column, key_columns, table_text, wrapped

RNG = np.random.default_rng(0)
NAMES = ["AUPRC", "ROC-AUC", "recall at precision 0.5", "recall at precision 0.8", "precision@100"]
WIDE = Table(
    "Ranking on the test half",
    [
        {"detector": name, **{column: RNG.random(10) for column in NAMES}}
        for name in ("autoencoder", "untrained autoencoder")
    ],
)
LONG = "V14 is -9.1 where -0.2 is usual and so on until the terminal ends and still further on"


def test_a_narrow_table_is_one_part_and_one_line_a_row():
    table = Table("t", [{"model": "net", "error": 0.5}, {"model": "PCA", "error": 0.25}])
    assert table.text().splitlines() == [
        "t",
        "model  error",
        "-----  -----",
        "net    0.500",
        "PCA    0.250",
    ]


@pytest.mark.parametrize("width", [50, 60, 80])
def test_a_wide_table_is_cut_into_named_parts(width):
    text = WIDE.text(width)
    assert max(map(len, text.splitlines())) <= width
    parts = text.split("\n\n")
    assert len(parts) > 1
    for number, part in enumerate(parts, start=1):
        title = " ".join(part.split("-----")[0].split())
        assert title.startswith(f"Ranking on the test half [{number}/{len(parts)}: ")
        assert "untrained autoencoder" in " ".join(part.split())
    for row in WIDE.cells():
        for cell in row[1:]:
            assert text.count(cell) >= 1  # no number is broken


def test_a_terminal_with_room_shows_the_table_whole():
    assert "\n\n" not in WIDE.text(200)
    assert "[1/" not in WIDE.text(200)


def test_long_cells_take_several_lines_of_their_column():
    table = Table("alerts", [{"row": 7, "why": LONG}, {"row": 8, "why": "short"}])
    lines = table.text(50).splitlines()
    assert max(map(len, lines)) <= 50
    assert " ".join(" ".join(lines[3:-1]).split()) == f"7 {LONG}"
    assert lines[-1].split() == ["8", "short"]
    assert all(line.startswith("     ") for line in lines[4:-1])  # under "why", not under "row"


def test_parts_repeat_as_many_columns_as_name_a_row():
    def column(header, *cells, numeric=False):
        return Column(header, cells, numeric)

    data, model = column("data", "a", "a", "b"), column("model", "x", "y", "x")
    number = column("n", "1", "2", "3", numeric=True)
    assert key_columns([data, model, number], 40) == [data, model]
    assert key_columns([column("data", "a", "b", "c"), model, number], 40)[1:] == []
    assert key_columns([number, data], 40) == [number]
    assert key_columns([data, column("model", "x" * 90, "y", "x"), number], 40) == [data]


def test_letters_of_korean_count_two():
    table = Table("t", [{"model": "net", "loss": 0.5}, {"model": "선형", "loss": 0.25}])
    with speaking("ko"):
        lines = table.text().splitlines()
    assert {width_of(line) for line in lines[1:]} == {13}  # 신경망, two spaces, 0.500
    assert "손실" in lines[1]
    assert wrapped("재구성 오차", 7) == ["재구성", "오차"]
    assert wrapped("재구성오차", 7) == ["재구성", "오차"]


def test_one_column_alone_is_shown():
    assert table_text("t", [Column("a", ["1"], True)], 80) == "t\na\n-\n1"
    assert max(map(len, table_text("t", [Column("a", [LONG], False)], 50).splitlines())) <= 50


def test_a_title_stays_whole_where_that_is_asked_for():
    title = "decisions on the later half; " * 4
    table = Table(title, [{"a": 1}])
    assert table.text(60, whole_title=True).splitlines()[0] == title
    assert len(table.text(60).splitlines()[0]) <= 60
    wide = Table(title, WIDE.rows).text(60, whole_title=True)
    assert wide.count(title) == wide.count("[1/") + wide.count("\n\n")
