"""The options of a finished run: what an evaluation takes from it, and from the command line."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from jaxdl.cli.options import RunOptions
from jaxdl.cli.stored import config_of_run
from jaxdl.errors import UserError


@dataclass(frozen=True)
class Config:
    epochs: int = 30
    widths: tuple[int, ...] = (3, 2)
    csv: Path | None = None
    gained: float = 0.5


LAB = SimpleNamespace(Config=Config, PRESETS={"quick": Config(epochs=3, gained=0.1)})


@pytest.fixture
def stored(tmp_path):
    """A run made before the lab had the field `gained`."""
    options = {"epochs": 5, "widths": [7, 4], "csv": "/then/rows.csv", "removed": 1}
    run = {"lab": "x", "preset": "default", "seed": 3, "seeds": 2, "source": "auto"}
    (tmp_path / "config.json").write_text(json.dumps({**run, "options": options}))
    return RunOptions(eval=tmp_path)


def test_an_older_run_takes_the_default_of_a_field_it_did_not_have(stored):
    config, found = config_of_run(LAB, "x", stored, Config())
    assert config == Config(5, (7, 4), Path("/then/rows.csv"), 0.5)
    assert (found["seed"], found["seeds"]) == (3, 2)
    assert "gained" not in found["options"]  # the identity of its checkpoints


def test_a_file_may_have_moved_and_numbers_may_be_repeated(stored):
    given = Config(epochs=5, csv=Path("/now/rows.csv"), gained=0.5)
    assert config_of_run(LAB, "x", stored, given)[0].csv == Path("/now/rows.csv")


@pytest.mark.parametrize("given", [{"epochs": 6}, {"widths": (7,)}, {"gained": 0.25}])
def test_another_number_is_refused(stored, given):
    with pytest.raises(UserError, match=f"leave --{next(iter(given))} out"):
        config_of_run(LAB, "x", stored, Config(**given))


def test_a_run_of_another_lab_is_refused(stored):
    with pytest.raises(UserError, match="is a run of x, not of y"):
        config_of_run(LAB, "y", stored, Config())
