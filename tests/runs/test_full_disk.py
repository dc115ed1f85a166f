"""A full disk is one line and status 2, whatever write meets it, and the same command continues."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

LAB = ["experiments/fraud_ae.py", "--preset", "quick", "--source", "simulated"]
SMALL = ["--twin-rows", "4000", "--epochs", "2"]
# Kilobytes, so that each kind of write is the one that fails: configuration, data record and logs,
# checkpoint, results, figures, report, the lab's own file.
SIZES = (4, 16, 40, 80, 200, 300, 500)


def run(folder, *options):
    return subprocess.run(
        [sys.executable, "run.py", *LAB, *SMALL, "--workdir", str(folder), *options],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def disk(tmp_path):
    """Makes a file system of so many kilobytes; skips where this user may not."""
    mounted = []

    def make(kilobytes):
        place = tmp_path / f"disk{kilobytes}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small file system is not allowed here")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


def is_one_line(done):
    return (
        done.returncode == 2
        and done.stderr.startswith("error: ")
        and done.stderr.count("\n") == 1
        and "No space left on device" in done.stderr
    )


@pytest.mark.slow
def test_every_write_of_a_run_may_meet_it_and_the_run_goes_on_elsewhere(disk, tmp_path):
    told = set()
    for kilobytes in SIZES:
        place = disk(kilobytes)
        done = run(place / "run")
        assert is_one_line(done), (kilobytes, done.stderr)
        told.add(done.stderr.split("cannot")[0].rsplit("/", 1)[-1].strip())
        assert not list((place / "run").glob(".*.tmp"))
    assert len(told) >= 5, told  # the sizes meet different writes
    shutil.copytree(place / "run", tmp_path / "moved")
    done = run(tmp_path / "moved")
    assert done.returncode == 0, done.stderr
    whole = run(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    tables = [
        json.loads((tmp_path / name / "results.json").read_text())["tables"]
        for name in ("moved", "whole")
    ]
    assert tables[0] == tables[1]


def test_a_document_that_does_not_fit_stays_as_it_was(disk, tmp_path):
    document = disk(40) / "results.md"
    document.write_text("# Results\n")
    (document.parent / "filler").write_bytes(b"x" * 32_000)
    done = run(tmp_path / "run", "--record", str(document))
    assert is_one_line(done), done.stderr
    assert document.read_text() == "# Results\n"
    (document.parent / "filler").unlink()
    again = run(tmp_path / "run", "--record", str(tmp_path / "results.md"))
    assert again.returncode == 0, again.stderr
    assert "AUPRC" in (tmp_path / "results.md").read_text()
