"""Items whose faults the normal suite tries already: its tests are run and counted here."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.faults.conftest import times

pytestmark = pytest.mark.faults

SUITES = {
    "F12 tables: fuzzed cells, rows, headers, encodings": (
        ["tests/datasets/test_fraud_data.py", "tests/serving/test_score.py"],
        "fuzz or mutation or bad_cell or bad_file",
    ),
    "F13 archives: cut, flipped, links, bombs, foreign members": (
        ["tests/datasets/test_imdb_data.py", "tests/datasets/test_cifar_data.py"]
        + ["tests/datasets/test_mnist_data.py"],
        "archive or refused",
    ),
    "F14 a download server that lies, drips, cuts and redirects": (
        ["tests/datasets/test_source.py"],
        "server or passing or redirect or connection or sum or cap",
    ),
    "F15 a poisoned cache": (
        ["tests/datasets/test_source.py"],
        "poisoned or damaged or unverified or pickle",
    ),
    "F16 a loss or metric that is not finite": (["tests/training/test_training.py"], "finite"),
    "F17 scorer files: cuts, flips, foreign programs, values out of range": (
        ["tests/serving/test_export.py"],
        "flipped or wrong_file or foreign or finite or sum",
    ),
}


@pytest.mark.parametrize("item", SUITES)
def test_f12_to_f17(item, tally):
    tally.item = f"{item} (tests of the normal suite)"
    files, names = SUITES[item]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", names]
    for seed in range(times(1, 20)):
        done = subprocess.run(
            [*command, *(["--hypothesis-seed", str(seed)] if "F12" in item else [])],
            cwd=ROOT,
            env={key: value for key, value in os.environ.items() if "PYTEST_XDIST" not in key},
            capture_output=True,
            text=True,
        )
        ends = re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1])
        for count, how in ends:
            for _ in range(int(count)):
                tally.check(how == "passed", done.stdout[-1500:])
