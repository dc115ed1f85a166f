"""What the README tells a newcomer to do works."""

import re
from pathlib import Path

import pytest

from jaxdl.cli import labs, launcher

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "README.ko.md", "docs/labs.md")


def test_the_lab_of_the_readme_runs_and_evaluates(tmp_path, monkeypatch, capsys):
    program = re.search(r"```python\n(.+?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "my_lab.py").write_text(program[1], "utf-8")
    monkeypatch.setattr(labs, "EXPERIMENTS", tmp_path)
    assert "my_lab.py" in labs.list_labs()
    folder = str(tmp_path / "run")
    results = launcher.launch(["my_lab", "--seeds", "2", "--hidden", "64", "--workdir", folder])[0]
    accuracy = {row["model"]: row["test accuracy"] for row in results.tables[0].rows}
    assert accuracy["net"].shape == (2,)
    assert results.headline["test accuracy"] is accuracy["net"]
    assert accuracy["net"].min() > 0.8 > accuracy["untrained"].max()
    assert (tmp_path / "run" / "figures" / "loss.png").exists()
    launcher.launch(["--eval", folder])
    assert "identical to its results.json" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
def test_every_lab_is_named_and_every_name_is_a_lab(page):
    text = (ROOT / page).read_text("utf-8")
    labs = {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")}
    missing = {lab for lab in labs if not re.search(rf"\b{lab}\b", text)}
    assert not missing
    named = set(re.findall(r"experiments/([a-z]\w*)\.py", text, re.ASCII)) - {"my_lab"}
    assert named <= labs


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_sections(page):
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, section = target.partition("#")
        path = (ROOT / page).parent / name
        assert path.exists(), target
        if section:
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert section in [heading.lower().replace(" ", "-") for heading in headings], target
