"""A full disk is one line and status 2, whatever write meets it, and the same command continues."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.faults

LAB = ["experiments/fraud_ae.py", "--preset", "quick", "--source", "simulated"]
SMALL = ["--twin-rows", "4000", "--epochs", "2"]
# Kilobytes, so that each kind of write is the one that fails: configuration, data record and logs,
# checkpoint, results, figures, report, the lab's own file.
SIZES = (4, 16, 40, 80, 120, 200, 300, 500)


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


def tables_of(folder):
    return json.loads((folder / "results.json").read_text())["tables"]


def test_f5_every_write_of_a_run_may_meet_a_full_disk(disk, tmp_path, tally):
    tally.item = f"F5 disks of {', '.join(map(str, SIZES))} kB: one line, and resume elsewhere"
    whole = run(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    told = set()
    for kilobytes in SIZES:
        place = disk(kilobytes)
        done = run(place / "run")
        left = list((place / "run").glob(".*.tmp"))
        tally.check(is_one_line(done) and not left, f"{kilobytes} kB: {done.stderr}")
        told.add(done.stderr.split("cannot")[0].rsplit("/", 1)[-1].strip())
        moved = tmp_path / f"moved{kilobytes}"
        if (place / "run").exists():
            shutil.copytree(place / "run", moved)
        again = run(moved)
        same = again.returncode == 0 and tables_of(moved) == tables_of(tmp_path / "whole")
        tally.check(same, f"resume after {kilobytes} kB: {again.stderr}")
    assert len(told) >= 5, told  # the sizes meet different writes


def test_f5_a_document_that_does_not_fit_stays_as_it_was(disk, tmp_path, tally):
    tally.item = "F5 a full disk under --record: the document stays as it was"
    document = disk(40) / "results.md"
    document.write_text("# Results\n")
    (document.parent / "filler").write_bytes(b"x" * 32_000)
    done = run(tmp_path / "run", "--record", str(document))
    tally.check(is_one_line(done), done.stderr)
    tally.check(document.read_text() == "# Results\n", "it changed")
    (document.parent / "filler").unlink()
    again = run(tmp_path / "run", "--record", str(tmp_path / "results.md"))
    tally.check(again.returncode == 0, again.stderr)
    tally.check("AUPRC" in (tmp_path / "results.md").read_text(), "no table")
