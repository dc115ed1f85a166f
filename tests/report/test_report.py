"""Tables, results and documents."""

import shlex

import numpy as np
import pytest

from jaxdl.report import Results, Table, format_cell
from jaxdl.report.html import html_report
from jaxdl.report.markdown import code, escaped, record_section, sections
from jaxdl.report.table import goal_line
from jaxdl.runs.record import repeatable


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("PCA", "PCA"),
        (None, "-"),
        (0.16031, "0.160"),
        (np.array([0.15, 0.17]), "0.160 ± 0.014"),
        (np.float32(np.nan), "-"),
        (0.0, "0.000"),
        (0.00188, "0.0019"),
        (np.array([0.0018, 0.0020]), "0.0019 ± 0.0001"),
        (1234, "1,234"),
        (np.array([1234]), "1,234"),
        (np.array([1000, 2000]), "1,500 ± 707"),
        (np.array([3, 4]), "3.5 ± 0.7"),
        (12345.678, "12,345.678"),
    ],
)
def test_cells(value, text):
    assert format_cell(value, 3) == text


def test_the_same_table_in_three_forms():
    table = Table("T <script>", [{"name": "a|b", "x": np.array([1.0, 2.0])}, {"name": "c"}])
    lines = table.text().splitlines()
    assert lines[0] == "T <script>"
    assert "1.500 ± 0.707" in lines[3]
    page = html_report("L", [], "cmd", Results([table]), {}, {})
    assert page.count("&lt;script&gt;") == 2  # the heading, and its line in the contents
    assert "1.500 ± 0.707" in table.html()
    assert r"a\|b" in table.markdown()
    assert table.record()["rows"][0]["x"] == [1.0, 2.0]


def test_report_is_self_contained_and_marks_simulated_data():
    results = Results([Table("t", [{"a": 1}])], notes=["<b>note"])
    page = html_report("L", ["simulated twin"], "cmd", results, {"f": b"png"}, {"config": {"a": 1}})
    assert 'class="simulated"' in page
    assert "&lt;b&gt;note" in page
    assert "data:image/png;base64,cG5n" in page
    assert "http" not in page
    assert "<script" not in page


def test_sections_are_replaced_by_key_and_sorted(tmp_path):
    path = tmp_path / "docs" / "results.md"
    path.parent.mkdir()
    path.write_text("# Results\n\nintroduction\n")
    record_section(path, "b", "B", "one")
    record_section(path, "a", "A", "two")
    record_section(path, "b", "B", "three")
    text = path.read_text()
    assert text.startswith("# Results\n\nintroduction\n")
    assert text.index("## A") < text.index("## B")
    assert "one" not in text
    assert text.count("<!-- run: b -->") == 1


def test_a_recorded_command_names_no_folder_of_this_machine(monkeypatch):
    monkeypatch.setenv("JAXDL_DATA", "/data/mirror/")
    command = (
        "python run.py experiments/fraud_ae.py --csv /data/mirror/creditcard/a.csv --workdir /w "
        "--record=docs/r.md --compile-cache off --fresh --seeds 3 --csv=/home/me/b.csv"
    )
    assert repeatable(command) == (
        "python run.py experiments/fraud_ae.py --csv $JAXDL_DATA/creditcard/a.csv "
        "--seeds 3 --csv=b.csv"
    )


def test_a_recorded_command_can_be_typed_again(monkeypatch):
    monkeypatch.setenv("JAXDL_DATA", "/data")
    command = "python run.py x.py --variants 'whole recipe' b --csv '/data/my a.csv'"
    kept = repeatable(command)
    assert kept == ("python run.py x.py --variants 'whole recipe' b --csv \"$JAXDL_DATA/my a.csv\"")
    assert shlex.split(kept)[4:6] == ["whole recipe", "b"]


def test_goal_line_says_whether_the_mean_meets_it():
    assert goal_line("MSE", np.array([0.01, 0.02]), 0.015).endswith("0.015: met.")
    assert goal_line("MSE", np.array([0.01, 0.03]), 0.015).endswith("0.015: missed.")


HOSTILE = "<img src=x onerror=alert(1)> ![a](http://b/c.png)\n<!-- end -->"


def test_names_from_data_are_neither_html_nor_links_in_a_document(tmp_path):
    table = Table(HOSTILE, [{HOSTILE: HOSTILE, "x": 1.0}])
    path = tmp_path / "results.md"
    record_section(path, "a", "A", "\n\n".join([escaped(HOSTILE), table.markdown()]))
    text = path.read_text()
    body = sections(path)["a"]
    assert "<img" not in text
    assert "](http" not in text
    assert text.count("<!--") == 2  # begin and end of the section
    assert body.count("&lt;img") == 4
    assert len([line for line in body.splitlines() if line.startswith("|")]) == 3
    record_section(path, "a", "A", "other")
    assert path.read_text().count("<!--") == 2


def test_plain_comparisons_stay_as_they_are():
    assert escaped("age < 2 and amount > 300") == "age < 2 and amount > 300"


@pytest.mark.parametrize(("text", "shown"), [("a b", "`a b`"), ("a`b", "`` a`b ``")])
def test_a_command_is_shown_as_code_whatever_is_in_it(text, shown):
    assert code(text) == shown
