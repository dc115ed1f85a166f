"""Runs in processes of their own, to be killed, stopped and continued."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

TINY = ("tiny", "--epochs", "6")


def start(folder: Path, *lab: str, environment: dict[str, str] | None = None, **asked: Any):
    """A process that runs a lab; see `tests.child` for what may be asked of it.

    Args:
        folder: of the run.
        lab: with its options; by default the tiny one.
        environment: more of it.
        asked: `save_every`, `stop_in_epoch` and `fit`, `broken`.
    """
    command = [sys.executable, "-m", "tests.child", json.dumps(asked), *(lab or TINY)]
    return subprocess.Popen(
        [*command, "--workdir", str(folder)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(folder: Path, *lab: str, environment: dict[str, str] | None = None, **asked: Any) -> str:
    """What a run prints that nobody disturbs, which seldom saves."""
    process = start(folder, *lab, environment=environment, **{"save_every": 1e9, **asked})
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    return out


def outcome(folder: Path) -> tuple:
    """Everything that must not depend on kills: curves, tables, and the final checkpoints."""
    metrics = hashlib.sha256((folder / "metrics.jsonl").read_bytes()).hexdigest()
    tables = json.loads((folder / "results.json").read_text())["tables"]
    last = {}
    for fit in sorted((folder / "checkpoints").iterdir()):
        step = max(int(path.name) for path in fit.iterdir())
        manifest = json.loads((fit / str(step) / "_CHECKPOINT_METADATA").read_text())
        last[fit.name] = step, manifest["custom_metadata"]["leaves"]
    return metrics, tables, last


def wait_for(process: subprocess.Popen, folder: Path, pattern: str, pause: float = 0.0) -> bool:
    """Wait until something of this pattern is in the folder; False where the process ended first.

    Args:
        process: whose doing is watched.
        folder: of the run.
        pattern: of `Path.glob`.
        pause: between two looks, seconds; 0 meets things that are there for a moment only.
    """
    while process.poll() is None:
        if next(folder.glob(pattern), None) is not None:
            return True
        time.sleep(pause)
    return False


def wait_for_training(process: subprocess.Popen, folder: Path) -> bool:
    """Until the first checkpoint is there."""
    return wait_for(process, folder, "checkpoints/*/[0-9]*[0-9]", pause=0.02)


def leftovers(folder: Path) -> list[str]:
    """Files and folders that only an unfinished write should have."""
    suffixes = (".tmp", ".part", ".unfinished", ".doomed")
    return [path.name for path in folder.rglob("*") if path.name.endswith(suffixes)]
