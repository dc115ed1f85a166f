"""The run folder: its lock, whose run it holds, what --fresh removes, and damaged records."""

import contextlib
import json

import numpy as np
import pytest

from jaxdl.errors import UserError
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.runs.folder import RunFolder
from jaxdl.runs.stored import read_run

CONFIG = {
    "lab": "x",
    "preset": "quick",
    "seed": 0,
    "seeds": 2,
    "source": "auto",
    "options": {"epochs": 3},
}


def finish(path, results, evaluating=False, fresh=False):
    """A run of a lab that gives `results` without training anything."""
    with contextlib.closing(RunFolder(path, evaluating)) as folder:
        if not evaluating:
            folder.open(CONFIG, fresh)
        run = Run(folder, "x", "X", CONFIG, "python run.py x", None)
        run.data.append({"kind": "simulated"})
        run.finish(results)
    return path


def names(path):
    return {each.name for each in path.iterdir()}


def test_files_of_a_lab_are_made_from_the_runs_origin(tmp_path):
    told = []
    results = Results([], files={"scorer.jaxdl": lambda origin: told.append(origin) or b"bytes"})
    path = finish(tmp_path / "run", results)
    assert (path / "scorer.jaxdl").read_bytes() == b"bytes"
    assert told[0]["simulated"] is True
    assert (told[0]["lab"], told[0]["n_seeds"]) == ("x", 2)
    assert json.loads((path / "results.json").read_text())["files"] == ["scorer.jaxdl"]


def test_a_run_keeps_its_headline(tmp_path):
    results = Results([], headline={"AUPRC": np.array([0.5, 0.25]), "rule": "sd"})
    path = finish(tmp_path / "run", results)
    assert read_run(path).results["headline"] == {"AUPRC": [0.5, 0.25], "rule": "sd"}


def test_an_evaluation_writes_nothing(tmp_path):
    path = finish(tmp_path / "run", Results([], files={"scorer.jaxdl": lambda origin: b"one"}))
    before = {each: each.stat().st_mtime_ns for each in path.rglob("*")}
    finish(path, Results([], files={"scorer.jaxdl": lambda origin: b"two"}), evaluating=True)
    assert {each: each.stat().st_mtime_ns for each in path.rglob("*")} == before


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "../x", "/x", ".x", "x\0", "config.json", "figures", "report.html"],
)
def test_a_lab_cannot_name_its_file_like_a_record_or_place_it_elsewhere(tmp_path, name):
    with pytest.raises(ValueError, match="cannot name a file"):
        finish(tmp_path / "run", Results([], files={name: lambda origin: b""}))
    assert not (tmp_path / "run" / "results.json").exists()


def test_fresh_removes_what_a_run_wrote_and_nothing_else(tmp_path):
    path = finish(tmp_path / "run", Results([], files={"a.bin": lambda origin: b""}))
    (path / "mine.txt").write_text("mine")
    (path / "checkpoints").mkdir()
    finish(path, Results([]), fresh=True)
    assert not {"a.bin", "checkpoints"} & names(path)
    assert (path / "mine.txt").read_text() == "mine"


def test_fresh_removes_the_scorer_of_runs_that_did_not_name_their_files(tmp_path):
    path = finish(tmp_path / "run", Results([]))
    record = json.loads((path / "results.json").read_text())
    del record["files"]
    (path / "results.json").write_text(json.dumps(record))
    (path / "scorer.jaxdl").write_text("old")
    finish(path, Results([]), fresh=True)
    assert not (path / "scorer.jaxdl").exists()


@pytest.mark.parametrize("named", [["../victim"], ["mine/../../victim"], [3], "victim", None])
def test_a_changed_results_file_does_not_lead_fresh_astray(tmp_path, named):
    (tmp_path / "victim").write_text("")
    path = finish(tmp_path / "run", Results([]))
    (path / "results.json").write_text(json.dumps({"files": named}))
    finish(path, Results([]), fresh=True)
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize("content", ["[]", "null", "{}", "", '{"lab": "x"}', "5"])
def test_a_damaged_configuration_is_one_line_and_fresh_helps(tmp_path, content):
    path = finish(tmp_path / "run", Results([]))
    (path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json is damaged.*--fresh") as error:
        finish(path, Results([]))
    assert "\n" not in str(error.value)
    finish(path, Results([]), fresh=True)
    assert json.loads((path / "config.json").read_text()) == CONFIG


@pytest.mark.parametrize("name", ["results.json", "environment.json", "data.json"])
@pytest.mark.parametrize("content", ["[]", "null", "{}", "", '{"timing": 3}'])
def test_other_damaged_records_are_written_again(tmp_path, name, content):
    path = finish(tmp_path / "run", Results([Table("t", [{"a": 1}])]))
    (path / name).write_text(content)
    finish(path, Results([Table("t", [{"a": 1}])]))
    record = json.loads((path / "results.json").read_text())
    assert record["tables"] == [{"title": "t", "rows": [{"a": 1}]}]
    assert record["timing"]["run_seconds"] > 0
    assert record["timing"]["cpu_seconds"] > 0


def test_a_repeated_run_keeps_what_the_first_one_took(tmp_path):
    path = finish(tmp_path / "run", Results([]))
    record = json.loads((path / "results.json").read_text())
    record["timing"] = {"net": {"train_seconds": 7.0}, "run_seconds": 9.0}
    (path / "results.json").write_text(json.dumps(record))
    finish(path, Results([]))
    assert json.loads((path / "results.json").read_text())["timing"] == record["timing"]


def test_other_options_are_told_and_refused(tmp_path):
    path = finish(tmp_path / "run", Results([]))
    folder = RunFolder(path)
    with pytest.raises(UserError, match=r"other options \(epochs 3 there, 4 here\)"):
        folder.open(CONFIG | {"options": {"epochs": 4}}, fresh=False)
    folder.close()


def test_two_runs_do_not_share_a_folder(tmp_path):
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    first.open(CONFIG, fresh=False)
    with pytest.raises(UserError, match="is in use by process"):
        second.open(CONFIG, fresh=False)
    second.close()
    first.close()
    second.open(CONFIG, fresh=False)
    second.close()


@pytest.mark.parametrize("place", ["x" * 300, "file/run"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, place):
    (tmp_path / "file").write_text("")
    folder = RunFolder(tmp_path / place)
    with pytest.raises(UserError, match="cannot write to") as error:
        folder.open(CONFIG, fresh=False)
    folder.close()
    assert "\n" not in str(error.value)


def test_an_abandoned_run_removes_only_a_folder_that_it_made(tmp_path):
    (tmp_path / "mine").mkdir()
    for path, stays in ((tmp_path / "new", False), (tmp_path / "mine", True)):
        folder = RunFolder(path)
        folder.open(CONFIG, fresh=False)
        folder.abandon()
        folder.close()
        assert path.exists() == stays
    folder = RunFolder(tmp_path / "trained")
    folder.open(CONFIG, fresh=False)
    (tmp_path / "trained" / "checkpoints").mkdir()
    folder.abandon()
    folder.close()
    assert (tmp_path / "trained").exists()
