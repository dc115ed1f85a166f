"""What holds for every lab: it runs, reports, evaluates to the same tables; its page is right."""

import html
import json
import re
import shlex

import numpy as np
import pytest

from jaxdl.cli import labs, launcher, options
from tests.conftest import LABS, ROOT

COMMAND = re.compile(r"python run\.py (experiments/\S+\.py.*)")


def commands_in(text: str) -> list[str]:
    """Commands of a text that name a lab; remarks in brackets behind them are cut off."""
    return [re.split(r"`|  +\(|  +#", match[1])[0] for match in COMMAND.finditer(text)]


def parsed(command: str):
    """(name of the lab, its options as typed by the command line)."""
    path, *words = shlex.split(command)
    lab = labs.find_lab(path)
    return lab.stem, options.parse(labs.load_lab(lab), lab.stem, words)


@pytest.mark.parametrize("lab", LABS)
def test_quick_preset_shows_and_stores_its_results(lab, quick_run):
    run = quick_run(lab)
    first, *_ = run.printed.splitlines()
    record = json.loads((run.folder / "results.json").read_text("utf-8"))
    page = (run.folder / "report.html").read_text("utf-8")

    assert first.startswith("data: ")
    assert ("simulated" in first) == (record["data"][0]["kind"] == "simulated")
    assert record["simulated"] == any(entry["kind"] == "simulated" for entry in record["data"])
    assert html.escape(first) in page

    tables = run.results.tables
    assert tables
    assert all(table.rows and table.title for table in tables)
    assert [table["title"] for table in record["tables"]] == [table.title for table in tables]
    for table in tables:
        assert table.title in run.printed

    assert run.results.headline
    for name, value in run.results.headline.items():
        assert np.isfinite(np.asarray(value, float)).all(), name

    drawn = {path.stem for path in (run.folder / "figures").glob("*.png")}
    assert drawn == set(run.results.figures)
    assert page.count("<img ") == len(drawn)


@pytest.mark.parametrize("lab", LABS)
def test_evaluation_prints_the_same_tables_and_writes_nothing(lab, quick_run, capsys):
    folder = quick_run(lab).folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    (again,) = launcher.launch(["--eval", str(folder)])
    assert "identical to its results.json" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert after == before
    record = json.loads((folder / "results.json").read_text("utf-8"))
    stored = json.loads(json.dumps([table.record() for table in again.tables]))
    assert stored == record["tables"]


@pytest.mark.parametrize("lab", LABS)
def test_documented_commands_can_be_typed(lab):
    module = labs.load_lab(labs.find_lab(lab))
    found = [command for command in commands_in(module.__doc__) if "..." not in command]
    assert found, "a lab's docstring shows its command"
    for command in found:
        assert parsed(command)[0] == lab


@pytest.mark.parametrize("lab", LABS)
def test_help_explains_every_option(lab, capsys):
    module = labs.load_lab(labs.find_lab(lab))
    with pytest.raises(SystemExit) as stop:
        options.parse(module, lab, ["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for name in module.Config.__dataclass_fields__:
        option = name.replace("_", "-")  # what is on by default is shown by how to turn it off
        assert f"--{option}" in shown or f"--no-{option}" in shown


def test_recorded_commands_can_be_typed():
    recorded = commands_in((ROOT / "docs" / "results.md").read_text("utf-8"))
    assert len(recorded) > 20
    for command in recorded:
        parsed(command)
