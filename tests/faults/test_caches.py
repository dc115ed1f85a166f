"""Caches that others could have written to: refused, or told in one line."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets import source
from tests.conftest import ROOT
from tests.runs_in_processes import TINY

pytestmark = pytest.mark.faults


def open_to_all(folder, outside):
    folder.mkdir(parents=True)
    folder.chmod(0o777)


def a_link(folder, outside):
    folder.parent.mkdir(parents=True, exist_ok=True)
    outside.mkdir()
    folder.symlink_to(outside)


@pytest.mark.parametrize("trouble", [open_to_all, a_link])
def test_c1_compiled_programs_of_others_are_not_read(tmp_path, tally, trouble):
    tally.item = f"C1 compile cache: {trouble.__name__.replace('_', ' ')}"
    trouble(tmp_path / "cache" / "compiled", tmp_path / "outside")
    environment = {name: value for name, value in os.environ.items() if "_CACHE" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "tests.child", "{}", *TINY, "--workdir", str(tmp_path / "run")],
        cwd=ROOT,
        env={**environment, "JAXDL_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    tally.check(done.returncode == 0, done.stderr)
    told = [line for line in done.stderr.splitlines() if "compiled programs are not kept" in line]
    tally.check(len(told) == 1, done.stderr)
    kept = [path for path in tmp_path.rglob("*cache*") if path.is_file()]
    tally.check(not kept, kept)


def poisoned(folder, name):
    """Another array under the name of a cached one, with its right sum beside it."""
    (path,) = (folder / "arrays").glob(f"{name}@*.npz")
    buffer = io.BytesIO()
    np.savez(buffer, x=np.full(3, 666.0))
    path.write_bytes(buffer.getvalue())
    beside = Path(f"{path}.sha256")
    beside.write_text(hashlib.sha256(buffer.getvalue()).hexdigest())


def build():
    """What is cached below."""
    return {"x": np.arange(3.0)}


@pytest.mark.parametrize("trouble", [open_to_all, a_link])
def test_c2_arrays_that_others_may_have_written_are_not_read(
    tmp_path, tally, monkeypatch, capsys, trouble
):
    tally.item = f"C2 data cache: {trouble.__name__.replace('_', ' ')}"
    trouble(tmp_path / "cache" / "arrays", tmp_path / "outside")
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))
    source.cached_arrays("points", build)
    if list((tmp_path / "cache" / "arrays").glob("points@*")):
        poisoned(tmp_path / "cache", "points")
    found = source.cached_arrays("points", build)["x"].tolist()
    told = capsys.readouterr().err
    tally.check(found == [0, 1, 2], found)
    tally.check(told.count("prepared data are not kept: ") == 1, told)
    tally.check(told.count("\n") == 1, told)
