"""A kill, a signal and a full disk: the same command continues to the same bits.

One example of each, of one tiny net; the whole programme is `python -m pytest -m faults`.
"""

import json
import shutil
import signal
import subprocess

import pytest

from tests.runs_in_processes import (
    finish,
    leftovers,
    outcome,
    start,
    wait_for,
    wait_for_training,
)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "whole"
    finish(folder)
    return outcome(folder)


def test_a_kill_in_the_middle_of_a_save_changes_nothing(uninterrupted, tmp_path):
    folder = tmp_path / "killed"
    process = start(folder)
    assert wait_for_training(process, folder)
    assert wait_for(process, folder, "checkpoints/*/*.*")  # half made or half deleted
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    out = finish(folder)
    assert "continuing in epoch" in out
    assert "damaged" not in out
    assert outcome(folder) == uninterrupted
    assert not leftovers(folder)


def test_sigterm_saves_and_the_same_command_continues(uninterrupted, tmp_path):
    folder = tmp_path / "stopped"
    process = start(folder, save_every=1e9, stop_in_epoch=3, fit="autoencoder")
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 143, out
    assert "state saved at step 384" in out
    assert "Traceback" not in out
    before = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    (folder / "timing.jsonl").write_text(
        "".join(
            json.dumps(entry | {"run_seconds": 5000.0, "cpu_seconds": 7000.0}) + "\n"
            for entry in before
        )
    )
    out = finish(folder)
    assert "continuing in epoch 4" in out
    assert outcome(folder) == uninterrupted

    # the seconds are those of both processes
    timing = json.loads((folder / "results.json").read_text())["timing"]
    assert 5000 < timing["run_seconds"] < 6000
    assert 7000 < timing["cpu_seconds"] < 8000
    logged = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    own = [entry for entry in logged if entry["fit"] == "autoencoder"]
    trained = timing["autoencoder"]["train_seconds"]
    assert trained == pytest.approx(sum(entry["train_seconds"] for entry in own))
    assert timing["autoencoder"]["total_seconds"] > trained
    assert own[-1]["run_seconds"] > 5000


def test_a_full_disk_is_one_line_and_the_run_goes_on_elsewhere(uninterrupted, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        process = start(disk / "run")
        out, _ = process.communicate(timeout=600)
        saved = sorted(path.name for path in (disk / "run" / "checkpoints").glob("*/*"))
        shutil.copytree(disk / "run", tmp_path / "moved")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert process.returncode == 2, out
    errors = [line for line in out.splitlines() if "No space left" in line]
    assert errors == out.splitlines()[-1:], out
    assert errors[0].startswith("error: ")
    assert saved == ["128", "64"]  # there is no room for a third before the oldest is deleted
    assert "what was saved before is intact" in errors[0]
    out = finish(tmp_path / "moved")
    assert "continuing in epoch" in out
    assert outcome(tmp_path / "moved") == uninterrupted
