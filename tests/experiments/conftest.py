"""The quick preset of each lab, run once and shared by all tests that look at it."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from jaxdl.cli.launcher import launch
from jaxdl.report import Results


@dataclass(frozen=True)
class QuickRun:
    """A finished run of a lab's quick preset.

    Attributes:
        results: what the lab handed back.
        folder: the run folder; tests must not write into it.
        printed: what a user saw on standard output.
    """

    results: Results
    folder: Path
    printed: str


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory) -> Callable[[str], QuickRun]:
    """`quick_run(lab)`: the run of this lab's quick preset on simulated or bundled data, seed 0."""
    finished: dict[str, QuickRun] = {}

    def run(lab: str) -> QuickRun:
        if lab not in finished:
            folder = tmp_path_factory.mktemp(lab) / "run"
            options = ["--preset", "quick", "--source", "simulated", "--workdir", str(folder)]
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                (results,) = launch([f"experiments/{lab}.py", *options])
            finished[lab] = QuickRun(results, folder, printed.getvalue())
        return finished[lab]

    return run
