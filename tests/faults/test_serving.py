"""Kills of the live series and of the scorer, damaged state, and memory over many events."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from jaxdl.errors import UserError
from jaxdl.serving import live, live_state, scorer_file
from tests.conftest import ROOT
from tests.faults.conftest import times
from tests.series import stamped, taxi_values

pytestmark = pytest.mark.faults

LIVE = [sys.executable, "-m", "jaxdl.live", "--step-seconds", "1800"]


def test_l1_kills_of_the_live_series(tmp_path, tally):
    """Every answer is that of a series nobody disturbed.

    The row on which a kill falls may have been written down and not answered: then it counts as
    given, and giving it again is answered with an error.
    """
    tally.item = "L1 kill -9 of the live series at random moments: every later answer the same"
    given = stamped(taxi_values()[:2500])
    whole = list(live.Live(live.Options(1800)).answers(given))
    rng = np.random.default_rng(0)
    command = [*LIVE, "--state", str(tmp_path / "state.npz"), "--save-every", "300"]
    answered, kills = 0, 0
    while answered < len(given):
        last = kills == times(8, 200)
        rest = "".join(f"{line}\n" for line in given[answered:])
        (tmp_path / "rest").write_text(rest)
        with (tmp_path / "rest").open() as source:
            process = subprocess.Popen(
                command, stdin=source, stdout=-1, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
            )
            records = [process.stdout.readline()]
            if not last:
                time.sleep(rng.uniform(0, 0.1))
                process.kill()
            records += process.stdout.read().splitlines()
            process.wait()
        records = [json.loads(line) for line in records if line.strip().endswith("}")]
        if records and "error" in records[0] and kills:
            records[0] = whole[answered]
        wrong = [i for i, r in enumerate(records) if r != whole[answered + i]]
        tally.check(not wrong, f"kill {kills}: row {answered}, {wrong[:3]}")
        answered += len(records)
        kills += 1
        if last:
            break
    assert answered == len(given)
    left = {path.name for path in tmp_path.iterdir()} - {"rest"}
    tally.check(left == {"state.npz", ".state.npz.journal"}, left)


def test_l2_memory_stays_flat(tmp_path, tally):
    count = times(100_000, 1_000_000)
    tally.item = f"L2 memory of the live series over {count:,} events: less than 4 MiB more"
    options = live.Options(300, state=tmp_path / "state.npz")
    began, step = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None), timedelta(minutes=5)
    lines = (f"{began + i * step},{i % 288 + i % 7}\n" for i in range(count))
    program, early = live.Live(options), 0
    for row, _ in enumerate(program.answers(lines)):
        if row == 20_000:
            early = resident()
    grown = (resident() - early) / 2**20
    program.close()
    tally.check(grown < 4, f"{grown:.1f} MiB more")
    size = (tmp_path / ".state.npz.journal").stat().st_size
    tally.check(size < 100_000, f"a journal of {size:,} bytes")


def resident():
    """Bytes of memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_l3_flipped_bits_of_the_state(tmp_path, tally):
    tally.item = "L3 bits of the state file flipped, one at a time"
    path = tmp_path / "state.npz"
    program = live.Live(live.Options(1800, state=path))
    list(program.answers(stamped(taxi_values()[:100])))
    program.save()
    program.close()
    good = path.read_bytes()
    for bit in range(0, 8 * len(good), times(5, 1)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        try:
            live_state.unpack(bytes(bad))
        except ValueError as error:
            tally.check("\n" not in str(error), error)
        else:
            tally.check(False, f"bit {bit} was not noticed")


def test_l4_a_full_disk_under_the_live_series(tmp_path, tally):
    tally.item = "L4 a full disk under the live series: one line, and the answers go on elsewhere"
    given = stamped(taxi_values()[:1500])
    whole = list(live.Live(live.Options(1800)).answers(given))
    for kilobytes in (8, 40, 60, 100):
        disk, moved = tmp_path / f"disk{kilobytes}", tmp_path / f"moved{kilobytes}"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small file system is not allowed here")
        records = []
        try:
            program = live.Live(live.Options(1800, state=disk / "state.npz"))
            try:
                for record in program.answers(given):
                    records.append(record)
                program.save()
            except UserError as error:
                one_line = "\n" not in str(error) and "No space left" in str(error)
                tally.check(one_line, error)
            program.close()
            moved.mkdir()
            for path in disk.iterdir():
                (moved / path.name).write_bytes(path.read_bytes())
        finally:
            subprocess.run(["umount", str(disk)], check=True)
        again = live.Live(live.Options(1800, state=moved / "state.npz"))
        records += again.answers(given[len(records) :])
        again.close()
        for record in records:
            record.pop("note", None)
        tally.check(records == whole, f"{kilobytes} kB: other answers")


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    """The folder of a run that exported its detector."""
    folder = tmp_path_factory.mktemp("scorer") / "run"
    command = [sys.executable, "run.py", "experiments/fraud_ae.py", "--preset", "quick"]
    command += ["--source", "simulated", "--twin-rows", "4000", "--epochs", "2"]
    subprocess.run([*command, "--workdir", str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


def test_s1_kills_of_the_scorer_in_the_middle_of_its_output(scorer, tmp_path, tally):
    tally.item = (
        "S1 kill -9 of the scorer in the middle of its output: the old file stays, then all"
    )
    columns = scorer_file.load(scorer).columns
    rows = np.abs(np.random.default_rng(0).normal(size=(60_000, len(columns))))
    table, output = tmp_path / "t.csv", tmp_path / "o.csv"
    np.savetxt(table, rows, "%.4f", ",", header=",".join(columns), comments="")
    command = [sys.executable, "-m", "jaxdl.score", str(scorer), str(table)]
    command += ["--output", str(output)]
    output.write_text("old\n")
    rng = np.random.default_rng(0)
    for trial in range(times(3, 50)):
        process = subprocess.Popen(command, cwd=ROOT, stderr=-1)
        while process.poll() is None and not list(tmp_path.glob(".o.csv.*")):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))
        early = process.poll() is None
        process.kill()
        process.communicate()
        if early:
            tally.check(output.read_text() == "old\n", f"kill {trial} left a part")
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    lines = output.read_text().splitlines()
    tally.check(len(lines) == 60_001 and lines[-1].startswith("60000,"), lines[-1])
