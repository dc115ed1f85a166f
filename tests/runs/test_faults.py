"""kill -9, SIGTERM and Ctrl-C at any moment: the same command continues to the same bits."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import ROOT

LAB = ["experiments/fraud_ae.py", "--source", "simulated", "--twin-rows", "4000"]
LONG = ["--epochs", "40", "--batch-size", "16", "--seeds", "2"]

# The engine saves every ten seconds; here after every piece, so that kills meet saves.
PROGRAM = """
import sys
from jaxdl.training import loop
loop.SAVE_EVERY_SECONDS = float(sys.argv[1])
loop.SCAN_STEPS = 64
from jaxdl.cli import main
sys.exit(main(sys.argv[2:]))
"""


def start(folder, save_every=0.0):
    command = [sys.executable, "-c", PROGRAM, str(save_every), *LAB, *LONG]
    return subprocess.Popen(
        [*command, "--workdir", str(folder)],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcome(folder):
    """Everything that must not depend on kills: curves, tables, and the final checkpoint."""
    metrics = hashlib.sha256((folder / "metrics.jsonl").read_bytes()).hexdigest()
    tables = json.loads((folder / "results.json").read_text())["tables"]
    checkpoints = folder / "checkpoints" / "autoencoder"
    last = max(int(p.name) for p in checkpoints.iterdir())
    manifest = json.loads((checkpoints / str(last) / "_CHECKPOINT_METADATA").read_text())
    return metrics, tables, last, manifest["custom_metadata"]["leaves"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "whole"
    process = start(folder, save_every=1e9)
    began = time.monotonic()
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return outcome(folder), time.monotonic() - began


def wait_for_training(folder, process):
    """Until the first checkpoint is there."""
    while process.poll() is None and not list(folder.glob("checkpoints/autoencoder/[0-9]*")):
        time.sleep(0.02)


@pytest.mark.slow
def test_ten_kills_change_nothing(uninterrupted, tmp_path):
    """Ten kill -9 of one run: half at random moments, half the moment a save is under way."""
    expected, _ = uninterrupted
    folder, rng, kills = tmp_path / "killed", np.random.default_rng(0), 0
    while kills < 10:
        process = start(folder)
        if kills % 2:
            wait_for_training(folder, process)
            while process.poll() is None and not list(folder.glob("checkpoints/*/*tmp*")):
                pass
        else:
            wait_for_training(folder, process)
            time.sleep(rng.uniform(0, 0.5))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills += 1
    assert kills >= 5  # a fast machine may finish before the tenth
    process = start(folder, save_every=1e9)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert "damaged" not in out
    assert outcome(folder) == expected
    assert not list(folder.glob("checkpoints/*/*tmp*"))


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_continues(uninterrupted, tmp_path, signum, status):
    folder = tmp_path / "stopped"
    process = start(folder, save_every=0.0)
    wait_for_training(folder, process)
    process.send_signal(signum)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == status, out
    assert "state saved at step" in out
    assert "Traceback" not in out
    process = start(folder, save_every=1e9)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert "continuing in epoch" in out
    assert outcome(folder) == uninterrupted[0]


def test_a_fit_that_falls_back_leaves_the_log_in_order(tmp_path):
    """Behind it stand the lines of fits that are finished."""
    folder = tmp_path / "run"
    lab = ["experiments/first_autoencoder.py", "--epochs", "4", "--long-epochs", "6"]
    command = [sys.executable, "-c", PROGRAM, "0", *lab, "--workdir", str(folder)]
    first = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    before = (folder / "metrics.jsonl").read_bytes()
    assert len({json.loads(line)["fit"] for line in before.splitlines()}) > 1
    fit = json.loads(before.splitlines()[0])["fit"]
    steps = sorted(map(int, (p.name for p in (folder / "checkpoints" / fit).iterdir())))
    assert len(steps) == 2
    newest = max(
        (p for p in (folder / "checkpoints" / fit / str(steps[1])).rglob("*") if p.is_file()),
        key=lambda path: path.stat().st_size,
    )
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    again = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert f"{fit}/{steps[1]} is damaged" in again.stdout
    assert (folder / "metrics.jsonl").read_bytes() == before
