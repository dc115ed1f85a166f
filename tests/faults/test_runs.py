"""Kills, signals and shared folders of runs: the same command continues to the same bits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.child import BREAKS
from tests.conftest import ROOT
from tests.faults.conftest import times
from tests.runs_in_processes import (
    finish,
    leftovers,
    outcome,
    start,
    wait_for,
    wait_for_training,
)

pytestmark = pytest.mark.faults

FRAUD = ["experiments/fraud_ae.py", "--source", "simulated", "--twin-rows", "4000"]
NAB = ["experiments/nab_conv1d_ae.py", "--preset", "quick", "--source", "simulated"]
LABS = {
    "tiny": ("tiny", "--epochs", "6"),
    "first_autoencoder": (
        "experiments/first_autoencoder.py",
        *("--epochs", "4", "--long-epochs", "300", "--hidden", "4"),
    ),
    "fraud_ae": (*FRAUD, "--epochs", "4", "--batch-size", "32", "--seeds", "2"),
    "nab_conv1d_ae": (*NAB, "--window", "48"),
}
MOMENTS = {
    "a save begins": "checkpoints/*/*.unfinished",
    "a manifest is written": "checkpoints/*/*.unfinished/_CHECKPOINT_METADATA",
    "the sums are written": "checkpoints/*/*.unfinished/SHA256SUMS",
    "a checkpoint is finished": "checkpoints/*/[0-9]*[0-9]",
    "an old checkpoint is deleted": "checkpoints/*/*.doomed",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Lab -> the outcome of its uninterrupted run, and how long that took; made when asked for."""
    made = {}

    def run(lab):
        if lab not in made:
            folder, began = tmp_path_factory.mktemp("whole") / lab, time.monotonic()
            finish(folder, *LABS[lab])
            made[lab] = outcome(folder), time.monotonic() - began
        return made[lab]

    return run


def kill(process):
    process.kill()
    process.communicate()


def check_continued(tally, folder, expected, what, *lab):
    """Finish a disturbed run and compare everything with the uninterrupted one."""
    out = finish(folder, *lab)
    same = outcome(folder) == expected and "damaged" not in out and not leftovers(folder)
    tally.check(same, f"{what}: {leftovers(folder)} {out[-500:]}")


@pytest.mark.parametrize("lab", LABS)
def test_f1_kills_at_random_moments(whole, tmp_path, tally, lab):
    tally.item = f"F1 kill -9 of {lab} at random moments, then resume"
    rng = np.random.default_rng(0)
    expected, seconds = whole(lab)
    for trial in range(times(2, 50)):
        folder = tmp_path / str(trial)
        process = start(folder, *LABS[lab])
        if trial % 2:
            time.sleep(rng.uniform(0.5, 1) * seconds)
        else:
            wait_for_training(process, folder)
            time.sleep(rng.uniform(0, 0.3 * seconds))
        kill(process)
        check_continued(tally, folder, expected, trial, *LABS[lab])


@pytest.mark.parametrize("moment", MOMENTS)
def test_f2_a_kill_at_a_chosen_moment(whole, tmp_path, tally, moment):
    tally.item = f"F2 kill -9 the moment {moment}"
    expected, _ = whole("tiny")
    met = 0
    for trial in range(times(1, 40)):
        folder = tmp_path / str(trial)
        process = start(folder)
        wait_for_training(process, folder)
        met += wait_for(process, folder, MOMENTS[moment])
        kill(process)
        check_continued(tally, folder, expected, trial)
    assert met, "the moment was never met"


def test_f3_one_run_killed_many_times(whole, tmp_path, tally):
    tally.item = "F3 one run killed again and again"
    expected, _ = whole("tiny")
    rng = np.random.default_rng(0)
    for trial in range(times(1, 20)):
        folder, kills = tmp_path / str(trial), 0
        while kills < 10:
            process = start(folder)
            wait_for_training(process, folder)
            if kills % 2:
                wait_for(process, folder, "checkpoints/*/*.*")
            else:
                time.sleep(rng.uniform(0, 0.3))
            finished = process.poll() is not None  # a fast machine may before the tenth
            kill(process)
            if finished:
                break
            kills += 1
        tally.item = f"F3 one run killed {kills} times, at random and in saves"
        check_continued(tally, folder, expected, f"{kills} kills")
        assert kills >= 2, "it was finished too soon to prove anything"


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_f4_signals_at_random_moments(whole, tmp_path, tally, signum, status):
    tally.item = f"F4 {signal.Signals(signum).name} in training, then resume"
    expected, _ = whole("tiny")
    rng = np.random.default_rng(0)
    for trial in range(times(2, 20)):
        folder = tmp_path / str(trial)
        process = start(folder, save_every=0.0 if trial % 2 else 1e9)
        wait_for(process, folder, "metrics.jsonl" if trial % 2 == 0 else "checkpoints/*/[0-9]*")
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signum)
        out, _ = process.communicate(timeout=60)
        stopped = process.returncode == status and "Traceback" not in out
        finished = process.returncode == 0  # it was quicker
        tally.check(stopped or finished, out[-500:])
        check_continued(tally, folder, expected, trial)


@pytest.mark.parametrize("further", [False, True])
def test_f4_sigterm_in_the_last_epoch_of_the_last_fit(whole, tmp_path, tally, further):
    tally.item = f"F4 SIGTERM in the last epoch of the last of {1 + further} fits"
    lab = ("tiny", "--epochs", "6", *(["--further"] if further else []))
    fit = "second" if further else "autoencoder"
    finish(tmp_path / "whole", *lab)
    process = start(tmp_path / "run", *lab, save_every=1e9, stop_in_epoch=6, fit=fit)
    out, _ = process.communicate(timeout=300)
    tally.check(process.returncode == 143, f"status {process.returncode}: {out[-500:]}")
    tally.check("state saved at step 768" in out, out[-500:])
    check_continued(tally, tmp_path / "run", outcome(tmp_path / "whole"), "", *lab)


def test_f4_a_second_signal_ends_at_once(whole, tmp_path, tally):
    tally.item = "F4 a second signal while the first is heeded"
    expected, _ = whole("tiny")
    for trial in range(times(2, 20)):
        folder = tmp_path / str(trial)
        process = start(folder)
        wait_for_training(process, folder)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT if trial % 2 else signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        tally.check(process.returncode in (130, 143, -2, -15), out[-500:])
        check_continued(tally, folder, expected, trial)


def test_f7_a_fit_that_falls_back_leaves_the_log_in_order(tmp_path, tally):
    tally.item = "F7 the newest checkpoint of a finished first fit damaged, then the run repeated"
    lab = ("tiny", "--epochs", "6", "--further")
    folder = tmp_path / "run"
    finish(folder, *lab, save_every=0.0)
    before, expected = (folder / "metrics.jsonl").read_bytes(), outcome(folder)
    steps = sorted(int(path.name) for path in (folder / "checkpoints" / "autoencoder").iterdir())
    newest = folder / "checkpoints" / "autoencoder" / str(steps[-1])
    largest = max(filter(os.path.isfile, newest.rglob("*")), key=os.path.getsize)
    largest.write_bytes(largest.read_bytes()[:-1] + b"?")
    out = finish(folder, *lab, save_every=0.0)
    tally.check(f"autoencoder/{steps[-1]} is damaged" in out, out)
    tally.check((folder / "metrics.jsonl").read_bytes() == before, "the log differs")
    tally.check(outcome(folder) == expected, "the outcome differs")


def test_f18_two_processes_on_one_folder(whole, tmp_path, tally):
    """The second is refused while the first runs or is frozen, and goes on once it is killed."""
    tally.item = "F18 two processes on one run folder: running, frozen by SIGSTOP, killed"
    expected, _ = whole("tiny")
    for trial in range(times(2, 10)):
        folder = tmp_path / str(trial)
        first = start(folder, *LABS["tiny"])
        wait_for_training(first, folder)
        first.send_signal(signal.SIGSTOP)
        second = start(folder)
        out, _ = second.communicate(timeout=60)
        refused = second.returncode == 2 and f"in use by process {first.pid}" in out
        tally.check(refused and out.count("\n") == 1, out[-500:])
        if trial % 2:  # thawed, it goes on as if nothing had been
            first.send_signal(signal.SIGCONT)
            out, _ = first.communicate(timeout=300)
            tally.check(first.returncode == 0 and outcome(folder) == expected, out[-500:])
        kill(first)  # a frozen process can be killed
        check_continued(tally, folder, expected, trial)


ENVIRONMENTS = {
    "another time zone": {"TZ": "Pacific/Kiritimati"},
    "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"},
    "no home": {"HOME": "/nonexistent"},
    "another hash seed": {"PYTHONHASHSEED": "7"},
}


def test_f19_surroundings_change_nothing(whole, tmp_path, tally):
    tally.item = (
        "F19 surroundings: time zone, LANG=C, no home, hash seed, blanks and 한글 in the path"
    )
    expected, _ = whole("tiny")
    for name, environment in ENVIRONMENTS.items():
        finish(tmp_path / name, environment=environment)
        tally.check(outcome(tmp_path / name) == expected, name)
    folder = tmp_path / "a folder 폴더 'quoted' %s"
    process = start(folder)
    wait_for_training(process, folder)
    kill(process)
    check_continued(tally, folder, expected, folder)


def test_f20_a_broken_resume_is_noticed(whole, tmp_path, tally):
    """If these were not told from a sound resume, the items above would prove nothing."""
    tally.item = "F20 resumes broken on purpose, each noticed by the comparison"
    expected, _ = whole("tiny")
    folder = tmp_path / "half"
    process = start(folder)
    wait_for(process, folder, "checkpoints/*/[0-9]*6[0-9]*")
    # in the middle of an epoch of 128 steps
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    steps = sorted(int(path.name) for path in (folder / "checkpoints/autoencoder").iterdir())
    if steps[-1] % 128 == 0:
        shutil.rmtree(folder / "checkpoints/autoencoder" / str(steps[-1]))
    for name in BREAKS:
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        finish(copy, broken=name)
        tally.check(outcome(copy) != expected, f"{name} was not noticed")
    check_continued(tally, folder, expected, "the sound one")


def test_f6_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path, tally):
    tally.item = "F6 a run folder that cannot be: below a file, too long a name, /proc, read-only"
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file" / "run", tmp_path / ("x" * 300), "/proc/run", "/dev/null"]
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(disk)], capture_output=True
    ).returncode
    try:
        for place in [*places, *([disk / "run"] if mounted else [])]:
            command = [sys.executable, "-m", "tests.child", json.dumps({}), *LABS["tiny"]]
            done = subprocess.run(
                [*command, "--workdir", str(place)], cwd=ROOT, capture_output=True, text=True
            )
            one_line = done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
            tally.check(done.returncode == 2 and one_line, f"{place}: {done.stderr[-300:]}")
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)
