"""The quick preset of each lab, run once and shared by all tests that look at it."""

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxdl.cli.launcher import launch
from jaxdl.report import Results
from jaxdl.runs import run as runs
from jaxdl.training import Task


@dataclass(frozen=True)
class Asked:
    """What a lab asked `run.fit` for.

    Attributes:
        task: what is trained.
        train: shape and type of each array of the training rows.
        batch_size: rows in a step.
        seeds: the members' seeds.
    """

    task: Task
    train: Mapping[str, jax.ShapeDtypeStruct]
    batch_size: int
    seeds: Sequence[int]


@dataclass(frozen=True)
class QuickRun:
    """A finished run of a lab's quick preset.

    Attributes:
        results: what the lab handed back.
        folder: the run folder; tests must not write into it.
        printed: what a user saw on standard output.
        fits: what it trained, in order.
    """

    results: Results
    folder: Path
    printed: str
    fits: Sequence[Asked]


@contextlib.contextmanager
def fits_noted():
    """Inside, every fit that trains is also put into the list that this gives."""
    noted, real = [], runs.fit

    def fit(task, train, valid=None, **settings):
        if settings["epochs"]:
            kinds = {k: jax.ShapeDtypeStruct(np.shape(x), x.dtype) for k, x in train.items()}
            noted.append(Asked(task, kinds, settings["batch_size"], settings["seeds"]))
        return real(task, train, valid, **settings)

    runs.fit = fit
    try:
        yield noted
    finally:
        runs.fit = real


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory) -> Callable[[str], QuickRun]:
    """`quick_run(lab)`: the run of this lab's quick preset on simulated or bundled data, seed 0."""
    finished: dict[str, QuickRun] = {}

    def run(lab: str) -> QuickRun:
        if lab not in finished:
            folder = tmp_path_factory.mktemp(lab) / "run"
            options = ["--preset", "quick", "--source", "simulated", "--workdir", str(folder)]
            with contextlib.redirect_stdout(io.StringIO()) as printed, fits_noted() as fits:
                (results,) = launch([f"experiments/{lab}.py", *options])
            finished[lab] = QuickRun(results, folder, printed.getvalue(), fits)
        return finished[lab]

    return run
