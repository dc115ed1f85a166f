"""Labs are found in the checkout, and their `datasets` is ours whatever else has the name."""

import os
import subprocess
import sys

import pytest

from jaxdl.cli import labs, launcher
from jaxdl.errors import UserError
from tests.conftest import ROOT

LAB = '''"""A lab - that uses our data sets

python run.py experiments/tiny.py
"""

from dataclasses import dataclass

from datasets import toy
from datasets.source import Provenance
from jaxdl.report import Results, Table


@dataclass(frozen=True)
class Config:
    rows: int = 5
    """Rows."""


PRESETS = {"quick": Config()}


def main(config, run):
    run.uses(Provenance("points", "simulated", "0" * 64, "made up", False))
    return Results([Table("t", [{"rows": len(toy.lecture_points(config.rows))}])])
'''

# Another package of the name, which imports a part of itself only when it is used.
OTHER = {
    "__init__.py": "from datasets import arrow\ndef load(): from datasets.late import x; return x",
    "arrow.py": "",
    "late.py": "x = 'theirs'",
    "source.py": "raise ImportError('a module of theirs was taken for ours')",
}

PROGRAM = """
import sys
from pathlib import Path
from jaxdl.cli import labs, launch

labs.EXPERIMENTS = Path(sys.argv[1])

def run():
    (results,) = launch(["tiny", "--workdir", sys.argv[2], "--fresh"])
    assert results.tables[0].rows == [{"rows": 5}]

def theirs():
    import datasets
    assert "other" in datasets.__file__, datasets.__file__
    assert datasets.load() == "theirs"
"""


@pytest.mark.parametrize("order", [("theirs", "run"), ("run", "theirs")])
def test_another_package_named_datasets_may_be_imported_before_or_after(tmp_path, order):
    other, experiments = tmp_path / "other" / "datasets", tmp_path / "experiments"
    other.mkdir(parents=True)
    for name, text in OTHER.items():
        (other / name).write_text(text)
    experiments.mkdir()
    (experiments / "tiny.py").write_text(LAB)
    calls = [*order, *order]  # the second time, both are known
    program = PROGRAM + "".join(f"{name}()\n" for name in calls)
    path = os.pathsep.join([str(other.parent), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", program, str(experiments), str(tmp_path / "run")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "JAXDL_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_where_the_name_is_ours_anyway_nothing_is_exchanged():
    import datasets

    path = list(sys.path)
    with labs.own_datasets():
        assert sys.modules["datasets"] is datasets
        assert sys.path == path
    assert sys.modules["datasets"] is datasets


def test_an_error_in_a_lab_leaves_the_other_package_in_place(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("datasets.")]:
        monkeypatch.delitem(sys.modules, name)  # other tests may have imported ours
    other = type(sys)("datasets")
    other.__file__ = "/elsewhere/datasets/__init__.py"
    monkeypatch.setitem(sys.modules, "datasets", other)
    path = list(sys.path)
    with pytest.raises(UserError, match="no rows"), labs.own_datasets():
        _use_our_datasets()
    assert sys.modules["datasets"] is other
    assert "datasets.source" not in sys.modules
    assert sys.path == path


def _use_our_datasets():
    from datasets import source

    assert source.__file__.startswith(str(ROOT))
    raise source.DataError("no rows")


@pytest.fixture
def installed_alone(tmp_path, monkeypatch):
    """As if only the package were installed, without the checkout around it."""
    monkeypatch.setattr(labs, "ROOT", tmp_path)
    monkeypatch.setattr(labs, "EXPERIMENTS", tmp_path / "experiments")


@pytest.mark.parametrize("argv", [(), ("--help",), ("experiments/fraud_ae.py",), ("fraud_ae",)])
def test_without_a_checkout_one_line_says_what_to_do(installed_alone, capsys, argv):
    assert launcher.main(list(argv)) == 2
    told = capsys.readouterr().err
    assert "get a checkout of the project" in told
    assert told.count("\n") == 1


def test_a_folder_of_another_program_is_not_taken_for_the_labs(installed_alone, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "fraud_ae.py").write_text("raise SystemError('was run')")
    with pytest.raises(UserError, match="without its labs"):
        labs.find_lab("fraud_ae")


def test_only_the_package_is_installed():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["setuptools"]["packages"]["find"]["include"] == ["jaxdl*"]
