"""The overview of all runs of a folder."""

import re

import pytest

from jaxdl.errors import UserError
from jaxdl.language import speaking
from jaxdl.runs.index import find_runs, refresh_index, write_index
from jaxdl.runs.stored import read_run
from tests.runs.stored_runs import change, store_run


def cells(page: str) -> list[list[str]]:
    """The text of every row of every table."""
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [
        [re.sub("<[^>]+>", " ", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t", row)]
        for row in rows
    ]


def test_runs_of_a_lab_stand_side_by_side_with_what_differs(tmp_path):
    store_run(tmp_path / "a run", (0.2, 0.3), epochs=3)
    store_run(tmp_path / "b", (0.5, 0.7), epochs=9, kind="simulated")
    store_run(tmp_path / "several" / "clustering", lab="clustering")
    page = write_index(tmp_path).read_text("utf-8")
    header, *rows = (row for row in cells(page) if "--epochs" in row or len(row) == 9)
    assert header[:6] == ["run", "AUPRC", "data", "picture", "preset", "seeds"]
    assert "--widths" not in header  # the same in both
    by_run = {row[0]: row for row in rows}
    assert by_run["a run"][1:3] == ["0.250 ± 0.071", "payments, real (abababab)"]
    assert by_run["a run"][header.index("--epochs")] == "3"
    assert by_run["b"][1] == "0.600 ± 0.141"
    assert by_run["b"][header.index("--epochs")] == "9"
    assert by_run["b"][header.index("seconds")] == "12"
    assert 'href="a%20run/report.html"' in page
    assert 'src="a%20run/figures/errors.png"' in page
    assert 'href="several/clustering/report.html"' in page
    assert page.count('class="simulated"') == 1
    assert "<script" not in page


def test_a_run_that_stored_no_headline_shows_the_first_numbers(tmp_path):
    folder = store_run(tmp_path / "old", (0.2, 0.4))
    change(folder, "results.json", headline=None)
    assert {k: v.tolist() for k, v in read_run(folder).headline.items()} == {
        "AUPRC": [0.2, 0.4],
        "rows": [100],
    }


def test_damaged_and_unfinished_runs_are_named_or_left_out(tmp_path):
    store_run(tmp_path / "good")
    store_run(tmp_path / "torn")
    (tmp_path / "torn" / "results.json").write_text("{", "utf-8")
    store_run(tmp_path / "unfinished")
    (tmp_path / "unfinished" / "results.json").unlink()
    runs, problems = find_runs(tmp_path)
    assert [run.folder.name for run in runs] == ["good"]
    assert len(problems) == 1
    assert "torn/results.json is damaged" in problems[0]
    assert "torn/results.json is damaged" in write_index(tmp_path).read_text("utf-8")


def test_text_from_runs_is_escaped(tmp_path):
    hostile = "<img src=x onerror=alert(1)>"
    folder = store_run(tmp_path / "x&y", (0.1, 0.2), note=hostile)
    store_run(tmp_path / "z", note="plain")
    change(folder, "results.json", title=hostile, headline={hostile: hostile})
    page = write_index(tmp_path).read_text("utf-8")
    assert "<img src=x" not in page
    assert "x&amp;y" in page
    assert page.count("&lt;img src=x") == 4  # option, title, name and value of the headline


@pytest.mark.parametrize("headline", [{"a": [1, "x"]}, {"a": {"b": 1}}, {"a": [[1]]}, {"a": True}])
def test_a_headline_of_any_json_is_shown(tmp_path, headline):
    folder = store_run(tmp_path / "odd")
    change(folder, "results.json", headline=headline)
    assert "odd" in write_index(tmp_path).read_text("utf-8")


def test_another_page_of_that_name_stays(tmp_path):
    (tmp_path / "index.html").write_text("my homepage", "utf-8")
    with pytest.raises(UserError, match="stays as it is"):
        write_index(tmp_path)
    refresh_index(store_run(tmp_path / "run"))
    assert (tmp_path / "index.html").read_text("utf-8") == "my homepage"
    with pytest.raises(UserError, match="not a folder"):
        write_index(tmp_path / "nowhere")


def test_a_run_refreshes_the_overview_of_runs_and_no_other_folder(tmp_path):
    elsewhere = store_run(tmp_path / "elsewhere" / "run")
    refresh_index(elsewhere)
    assert not (elsewhere.parent / "index.html").exists()
    write_index(elsewhere.parent)  # asked for once, it is kept up to date
    refresh_index(store_run(elsewhere.parent / "second"))
    assert "second/report.html" in (elsewhere.parent / "index.html").read_text("utf-8")
    usual = store_run(tmp_path / "runs" / "run")
    refresh_index(usual)
    assert "run/report.html" in (usual.parent / "index.html").read_text("utf-8")


def test_in_korean(tmp_path):
    store_run(tmp_path / "run")
    with speaking("ko", {"The lab fraud_ae": "비정상 거래 탐지"}):
        page = write_index(tmp_path).read_text("utf-8")
    assert '<html lang="ko">' in page
    assert "비정상 거래 탐지" in page
    assert "finished runs" not in page


def test_names_and_values_of_options_are_never_translated(tmp_path):
    for name, split in (("a", "random"), ("b", "temporal")):
        store_run(tmp_path / name, split=split)
    with speaking("ko"):
        page = write_index(tmp_path).read_text("utf-8")
    assert '<th class="left">--split</th>' in page
    assert ">random<" in page
