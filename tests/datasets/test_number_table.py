"""Columns of numbers of somebody's table: which count, and what is refused in one line."""

import numpy as np
import pytest

from datasets import number_table
from datasets.source import DataError, Request

ROWS = "".join(f"{100 + i};name {i};{i % 7},5;{i * i % 11};7;\n" for i in range(40))


@pytest.fixture
def table(tmp_path):
    """A German table: semicolons and decimal commas, an identifier, text, a constant, a blank."""
    path = tmp_path / "table.csv"
    path.write_text("id;who;a;b;same;empty\n" + ROWS + "200;x;;3;7;\n")
    return path


def test_numbers_are_kept_and_all_else_is_named(table):
    found = number_table.load(Request(), table)
    assert found.columns == ("a", "b")
    assert found.x.shape == (40, 2)
    assert found.x[2].tolist() == [2.5, 4.0]
    assert found.row.tolist() == list(range(2, 42))
    assert found.remarks == (
        "left out of table.csv, identifiers: id",
        "left out of table.csv, no numbers: who",
        "left out of table.csv, do not vary: same",
        "left out of table.csv, hold nothing: empty",
        "left out of table.csv: 1 rows with a blank",
    )
    assert found.provenance.kind == "user file"
    scaled = number_table.scale_of(found.x)(found.x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), 1)


def test_a_label_is_no_feature_and_may_be_blank(table):
    lines = table.read_text().splitlines()
    labelled = [f"{lines[0]};kind"] + [f"{line};{'yes' if i < 3 else ''}" for i, line in
                                       enumerate(lines[1:])]  # fmt: skip
    table.write_text("\n".join(labelled))
    found = number_table.load(Request(), table, label="kind")
    assert found.columns == ("a", "b")
    assert found.label == ("yes",) * 3 + ("",) * 37


@pytest.mark.parametrize(
    ("header", "row", "told"),
    [
        ("a;c", "1;2", "lacks 1 of the 2 columns that were learnt: b; it has a, c"),
        ("b;a", "1;two", "row 2, column a: 'two' is no number"),
        ("b;a", "1;1\n;2\n;3", "row 3, column b: holds nothing (and 1 more)"),
    ],
)
def test_rows_to_be_judged_need_a_number_in_every_learnt_column(header, row, told, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(f"{header}\n{row}\n")
    with pytest.raises(DataError) as error:
        number_table.named([str(path)], ["a", "b"])
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_columns_are_found_by_name_in_any_order(tmp_path):
    paths = [tmp_path / "one.csv", tmp_path / "two.csv"]
    paths[0].write_text("b,more,a\n1,x,2\n3,y,4\n")
    paths[1].write_text("a,b\n5,6\n")
    found = number_table.named([str(path) for path in paths], ["a", "b"])
    assert found.x.tolist() == [[2, 1], [4, 3], [5, 6]]
    assert found.place == ["one.csv, row 2", "one.csv, row 3", "two.csv, row 2"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\n" + "1\n2\n" * 20, "has 1 columns of numbers, at least 2 are needed"),
        ("a,b\n1,2\n2,1\n", "has 2 rows without a blank, at least 20 are needed"),
        ("a,b\n" + "1,2\n2,1\n" * 20 + "x,3\n", "row 42, column a: 'x' is no number"),
    ],
)
def test_tables_that_nothing_can_be_learnt_from(text, told, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        number_table.load(Request(), path)
    assert told in str(error.value)


def test_a_label_that_the_table_does_not_have(table):
    with pytest.raises(DataError, match="has no column 'kind'; there are id, who"):
        number_table.load(Request(), table, label="kind")


def test_mostly_blank_columns_are_left_out_by_name_not_the_rows(tmp_path):
    path = tmp_path / "table.csv"
    rows = [f"{i % 7},{i * i % 11},{i if i in (50, 120, 200) else ''}" for i in range(300)]
    path.write_text("a,b,rare\n" + "\n".join(rows))
    found = number_table.load(Request(), path)
    assert found.columns == ("a", "b")
    assert found.x.shape == (300, 2)
    assert found.remarks == ("left out of table.csv, mostly blank: rare",)


def test_columns_that_cost_nearly_all_rows_are_named(tmp_path):
    path = tmp_path / "table.csv"
    # each of c, d and e is blank in two fifths of the rows, together in nearly all
    blank = {"c": (0, 1), "d": (2, 3), "e": (4, 0)}
    lines = ["a,b,c,d,e"]
    for i in range(60):
        cells = ["" if i % 5 in blank[name] else str(i * i % 13) for name in "cde"]
        lines.append(",".join([str(i % 7), str(i % 11), *cells]))
    path.write_text("\n".join(lines))
    told = (
        "has 0 rows without a blank, at least 20 are needed; blanks are in c (24), d (24), e (24)"
    )
    with pytest.raises(DataError) as error:
        number_table.load(Request(), path)
    assert told in str(error.value)
