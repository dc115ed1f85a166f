"""Two runs compared: options, data, machines, and numbers with intervals."""

import numpy as np
import pytest

from jaxdl.errors import UserError
from jaxdl.language import speaking
from jaxdl.runs.compare import DIFFERENCE, comparison, print_comparison, welch
from jaxdl.runs.stored import read_run
from tests.runs.stored_runs import change, store_run


def compared(one, other):
    """Title -> rows of the tables of differences."""
    return {table.title: table.rows for table in comparison(read_run(one), read_run(other))}


def test_what_differs_is_said_and_nothing_else(tmp_path):
    one = store_run(tmp_path / "one", (0.2, 0.3, 0.4))
    other = store_run(tmp_path / "other", (0.5, 0.6, 0.7), epochs=9, kind="simulated")
    change(other, "environment.json", versions={"jax": "0.10"})
    found = compared(one, other)
    assert found["options that differ"] == [{"name": "--epochs", "first": "3", "second": "9"}]
    assert found["data that differ"] == [
        {
            "name": "data 1",
            "first": "payments, real (abababab)",
            "second": "payments, simulated twin (abababab)",
        }
    ]
    assert found["machines and versions that differ"] == [
        {"name": "jax", "first": "0.9", "second": "0.10"}
    ]
    (row,) = found["Ranking"]  # the random score and the numbers of rows are the same
    assert row["row"] == "autoencoder"
    assert row["number"] == "AUPRC"
    assert row["first"] == "0.300 ± 0.100"
    # t of 4 degrees is 2.776; the standard error is sqrt(2 * 0.1**2 / 3) = 0.0816
    assert row[DIFFERENCE] == "+0.300 (+0.073 .. +0.527) *"


def test_names_and_values_of_options_are_never_translated(tmp_path):
    one, other = store_run(tmp_path / "a", split="random"), store_run(tmp_path / "b", split="x")
    with speaking("ko"):
        (table,) = comparison(read_run(one), read_run(other))
        text = table.text()
    assert "다른 옵션" in text
    assert text.splitlines()[-1].split() == ["--split", "random", "x"]
    assert ">random<" in table.html()


def test_counts_differ_by_whole_numbers(tmp_path):
    folders = [store_run(tmp_path / name) for name in "ab"]
    for folder, count in zip(folders, (68, 74), strict=True):
        rows = [{"threshold": "3 sd", "FP": [count], "rate": 0.5, "mean": [count, count + 1]}]
        change(folder, "results.json", tables=[{"title": "T", "rows": rows}])
    found = {row["number"]: row[DIFFERENCE] for row in compared(*folders)["T"]}
    assert found["FP"] == "+6"
    assert found["mean"].startswith("+6.000 (")


def test_the_same_run_twice_has_no_difference(tmp_path, capsys):
    one = store_run(tmp_path / "one")
    assert compared(one, one) == {}
    print_comparison(one, one, 80)
    assert "nothing differs" in capsys.readouterr().out


def test_without_seeds_there_is_no_interval(tmp_path):
    one, other = store_run(tmp_path / "a", (0.5,)), store_run(tmp_path / "b", (0.25,))
    (row,) = compared(one, other)["Ranking"]
    assert row[DIFFERENCE] == "-0.250"


def test_welch_is_scipys_interval():
    from scipy import stats

    rng = np.random.default_rng(0)
    one, other = rng.normal(size=5), rng.normal(1, 3, size=9)
    found = welch(one, other)
    expected = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-9)
    assert welch(np.ones(3), np.full(2, 3.0)) == (2.0, 2.0, 2.0)


def test_rows_of_one_name_are_told_apart(tmp_path):
    folders = [store_run(tmp_path / name) for name in "ab"]
    for folder, second in zip(folders, (2.0, 5.0), strict=True):
        rows = [{"name": "net", "x": 1.0}, {"name": "net", "x": second}, {"x": second}]
        change(folder, "results.json", tables=[{"title": "T", "rows": rows}])
    assert [(row["row"], row[DIFFERENCE]) for row in compared(*folders)["T"]] == [
        ("net #2", "+3.000"),
        ("-", "+3.000"),
    ]


def test_cells_that_are_no_numbers_are_left_alone(tmp_path):
    folders = [store_run(tmp_path / name) for name in "ab"]
    for folder, value in zip(folders, ([1.0, float("nan")], "text"), strict=True):
        rows = [{"name": "net", "x": value, "y": [0.0, float("nan")], "z": None}]
        change(folder, "results.json", tables=[{"title": "T", "rows": rows}, {"rows": 3}, 7])
    assert "T" not in compared(*folders)
    change(folders[1], "results.json", tables=[{"title": "T", "rows": [{"name": "net", "x": 1.0}]}])
    assert compared(*folders)["T"][0][DIFFERENCE] == "-"


def test_reading_changes_nothing_and_a_folder_without_a_run_is_one_line(tmp_path, capsys):
    one, other = store_run(tmp_path / "a"), store_run(tmp_path / "b", (0.9, 0.8, 0.7))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    print_comparison(one, other, 80)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= max(80, len(str(one)) + 8)
    assert "Welch" in out
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(UserError, match="no finished run"):
        print_comparison(one, tmp_path, 80)
