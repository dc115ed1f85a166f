"""The notebook: where it finds the project, and that it runs from the top as in Colab."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "colab.ipynb"
PARTS = ("experiments", "jaxdl", "datasets", "notebooks")

# Before the cell: jaxdl is not installed here, and pip says what it was asked for.
PRELUDE = """
import importlib.metadata, json, pathlib, subprocess, sys

known, run = importlib.metadata.version, subprocess.run

def version(name):
    if name == "jaxdl":
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)

def recorded(command, **settings):
    if "pip" in command:
        asked = pathlib.Path(command[-1]).read_text()
        pathlib.Path("{log}").write_text(json.dumps([command[4:-2], asked]))
    else:
        run(command, **settings)

importlib.metadata.version, subprocess.run = version, recorded
"""


def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def cell(marker: str) -> str:
    """The only code cell with a text in it."""
    found = [c.source for c in notebook().cells if c.cell_type == "code" and marker in c.source]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def set_up(tmp_path):
    """Runs the first cell in a fresh folder: its output, and what pip was asked for."""

    def run(repository: str = "", path: str = ""):
        log = tmp_path / "pip.json"
        source = cell("REPOSITORY").replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}")
        here = tmp_path / "content"
        here.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE.replace("{log}", str(log)) + source],
            cwd=here,
            env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return done, json.loads(log.read_text()) if log.exists() else None

    (tmp_path / "content").mkdir()
    return run


def small_checkout(folder: Path) -> Path:
    """What the cell takes for the project."""
    (folder / "experiments").mkdir(parents=True)
    (folder / "experiments" / "lab.py").write_text("")
    (folder / "run.py").write_text("")
    return folder


def test_without_an_address_it_says_what_to_fill_in_in_both_languages(set_up):
    done, asked = set_up()
    assert done.returncode == 1
    assert asked is None
    for words in (
        "REPOSITORY 칸에",
        "jaxdl*.whl을 올립니다",
        "into the field REPOSITORY",
        "upload",
    ):
        assert words in done.stderr


def test_an_uploaded_wheel_is_installed(set_up, tmp_path):
    (tmp_path / "content" / "jaxdl-1.0-py3-none-any.whl").write_bytes(b"")
    done, (what, _) = set_up()
    assert done.returncode == 0, done.stderr
    assert [Path(word).name for word in what] == ["-q", "jaxdl-1.0-py3-none-any.whl"]


def test_an_uploaded_archive_is_unpacked_and_installed(set_up, tmp_path):
    inside = small_checkout(tmp_path / "made" / "jaxdl-main")
    with zipfile.ZipFile(tmp_path / "content" / "jaxdl-main.zip", "w") as archive:
        for path in inside.rglob("*"):
            archive.write(path, path.relative_to(inside.parent))
    done, (what, _) = set_up()
    assert done.returncode == 0, done.stderr
    assert what == ["-q", "-e", "."]
    assert (tmp_path / "content" / "project" / "jaxdl-main" / "installed.txt").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_an_address_is_cloned(set_up, tmp_path):
    origin = small_checkout(tmp_path / "origin")
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*name, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=origin, check=True)
    done, (what, _) = set_up(repository=f"file://{origin}")
    assert done.returncode == 0, done.stderr
    assert what == ["-q", "-e", "."]
    assert (tmp_path / "content" / "jaxdl" / "installed.txt").exists()


def test_of_a_package_that_is_there_twice_the_version_in_use_is_kept(set_up, tmp_path):
    for place, version in (("first", "3.2.1"), ("second", "3.0.0")):
        folder = tmp_path / place / f"pyparsing_x-{version}.dist-info"
        folder.mkdir(parents=True)
        folder.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: pyparsing_x\nVersion: {version}\n"
        )
    (tmp_path / "content" / "jaxdl-1.0-py3-none-any.whl").write_bytes(b"")
    path = os.pathsep.join(str(tmp_path / place) for place in ("first", "second"))
    done, (_, constraints) = set_up(path=path)
    assert done.returncode == 0, done.stderr
    assert [x for x in constraints.splitlines() if "pyparsing-x" in x] == ["pyparsing-x==3.2.1"]
    names = [line.split("==")[0] for line in constraints.splitlines()]
    assert len(names) == len(set(names))


def test_a_badge_stands_only_where_an_address_is_configured():
    """The one place is the form field: a fork that fills it in may add the badge everywhere."""
    address = re.search(r'^REPOSITORY = "(.*)"', cell("REPOSITORY"), re.MULTILINE)[1]
    pages = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md"), NOTEBOOK]
    for page in pages:
        for link in re.findall(r"https://colab\.research\.google\.com\S*", page.read_text("utf-8")):
            assert address, f"{page.name} has a badge, and no address is configured"
            assert address.removeprefix("https://github.com/").removesuffix(".git") in link


def test_nothing_in_it_needs_a_widget_and_no_output_is_stored():
    for each in notebook().cells:
        assert not each.get("outputs")
        assert "ipywidgets" not in each.source
        assert "files.upload" not in each.source


def executed(tmp_path, monkeypatch, language, left_out=()):
    """The notebook run from the top in a copy of the checkout: text, and number of pictures."""
    # a copy, because a run folder that is there already would be restored and not trained
    for name in PARTS:
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "run.py", tmp_path)
    monkeypatch.setenv("JAXDL_NOTEBOOK_PRESET", "quick")
    monkeypatch.setenv("JAXDL_NOTEBOOK_SOURCE", "simulated")
    monkeypatch.setenv("JAXDL_NOTEBOOK_LANGUAGE", language)
    book = notebook()
    book.cells = [c for c in book.cells if not any(marker in c.source for marker in left_out)]
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(book, timeout=600, kernel_name="python3", resources=resources).execute()
    outputs = [out for c in book.cells for out in c.get("outputs", [])]
    text = "".join(out.get("text", "") for out in outputs)
    return text, sum("image/png" in out.get("data", {}) for out in outputs)


@pytest.mark.slow
def test_notebook_runs_shows_figures_and_evaluates(tmp_path, monkeypatch):
    text, pictures = executed(tmp_path, monkeypatch, "en")
    assert "simulated twin" in text
    assert "identical to its results.json" in text
    assert (tmp_path / "runs" / "notebook-fraud_ae" / "scorer.jaxdl").exists()
    assert pictures > 5
    assert float(re.search(r"AUPRC (0\.\d+)", text)[1]) > 0.8  # the library alone


@pytest.mark.slow
def test_as_on_a_board_of_eight_devices_and_in_korean(tmp_path, monkeypatch):
    """A TPU runtime shows several devices; eight simulated ones take the same path."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    left_out = ['run("cifar_cnn")', "install_korean_font", "load_breast_cancer"]
    text, pictures = executed(tmp_path, monkeypatch, "ko", left_out)
    assert "재현율" in text
    assert "results.json과 똑같습니다" in text
    folder = tmp_path / "runs" / "notebook-fraud_ae"
    assert len(json.loads((folder / "environment.json").read_text())["devices"]) == 8
    assert '<html lang="ko">' in (folder / "report.html").read_text("utf-8")
    assert pictures > 3
