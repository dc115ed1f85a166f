"""An evaluation says whether its tables are the run's, and what that means on other devices."""

import json

import numpy as np
import pytest

from jaxdl.errors import Irreproducible, UserError
from jaxdl.report import Table
from jaxdl.runs.environment import environment
from jaxdl.runs.evaluation import verdict


def tables(score=0.5, rows=1000, name="a"):
    return [
        Table("T", [{"model": name, "AUPRC": np.array([score, 0.25])}, {"model": "b"}]),
        Table("U", [{"rows": rows, "missing": None, "undefined": float("nan")}]),
    ]


@pytest.fixture
def folder(tmp_path):
    """A finished run on this machine."""
    record = {"tables": [table.record() for table in tables()]}
    (tmp_path / "results.json").write_text(json.dumps(record))
    (tmp_path / "environment.json").write_text(json.dumps(environment()))
    return tmp_path


def made_on_another_machine(folder):
    changed = environment() | {"devices": ["TPU v4"] * 8}
    (folder / "environment.json").write_text(json.dumps(changed))


def test_the_same_tables_are_identical(folder):
    assert "identical to its results.json" in verdict(folder, tables())


@pytest.mark.parametrize("other", [{"score": 0.5 + 1e-9}, {"rows": 1001}, {"name": "c"}])
def test_on_the_same_machine_no_difference_is_small(folder, other):
    with pytest.raises(Irreproducible, match="DIFFER"):
        verdict(folder, tables(**other))


def test_a_difference_names_its_place_and_both_values(folder):
    with pytest.raises(Irreproducible, match=r"tables 1, rows 1, AUPRC 1: 0\.5 there, 0\.75 here"):
        verdict(folder, tables(score=0.75))


def test_on_other_devices_the_last_digits_may_differ(folder):
    made_on_another_machine(folder)
    said = verdict(folder, tables(score=0.5 * (1 + 5e-4), rows=1001))
    assert "8 x TPU v4" in said
    assert "within 0.001 of each number" in said


@pytest.mark.parametrize("other", [{"score": 0.5 * (1 + 5e-3)}, {"rows": 1002}, {"name": "c"}])
def test_on_other_devices_a_real_difference_is_one(folder, other):
    made_on_another_machine(folder)
    with pytest.raises(Irreproducible, match="DIFFER"):
        verdict(folder, tables(**other))


@pytest.mark.parametrize("other", [tables()[:1], [*tables(), *tables()]])
def test_a_table_less_or_more_is_a_difference(folder, other):
    made_on_another_machine(folder)
    with pytest.raises(Irreproducible, match="DIFFER"):
        verdict(folder, other)


def test_where_the_machine_is_not_known_nothing_is_forgiven(folder):
    (folder / "environment.json").write_text("[]")
    assert "identical" in verdict(folder, tables())
    with pytest.raises(Irreproducible):
        verdict(folder, tables(score=0.5 + 1e-9))


@pytest.mark.parametrize("content", ["{}", "[]", "null", "", '{"tables": 3}', "\xff"])
def test_damaged_results_are_one_line(folder, content):
    (folder / "results.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"results\.json is damaged") as error:
        verdict(folder, tables())
    assert "\n" not in str(error.value)
