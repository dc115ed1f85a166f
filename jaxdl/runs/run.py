"""A run: its folder, its records, its fits. What an experiment is handed beside its Config."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.errors import UserError
from jaxdl.hashing import array_digest, digest
from jaxdl.report import Results
from jaxdl.report.html import html_report, save_figures
from jaxdl.runs.folder import (
    FOLDERS,
    LOGS,
    RECORDS,
    config_differences,
    environment,
    is_free_name,
    read_json,
)
from jaxdl.runs.metrics_log import RunWatcher
from jaxdl.runs.progress import StopRequest, say
from jaxdl.training import Fitted, Task, batch_order, fit, parallel
from jaxdl.training.checkpoint import Checkpoints


@dataclass
class Run:
    """One run of one lab.

    Attributes:
        folder: the run folder.
        lab: name of the experiment file without suffix.
        title: first line of its docstring.
        config: what config.json holds: {"lab", "preset", "seed", "seeds", "options"}.
        command: repeats the run.
        source: where data sets look for their bytes; handed to `datasets.*.load` as it is.
        evaluating: nothing is trained and nothing is written.
        tensorboard: the curves are also written as TensorBoard events.
        stop: where a request to stop arrives.
    """

    folder: Path
    lab: str
    title: str
    config: dict[str, Any]
    command: str
    source: Any
    evaluating: bool = False
    tensorboard: bool = False
    stop: StopRequest = field(default_factory=StopRequest)

    def __post_init__(self):
        self.data: list[dict[str, Any]] = []
        self.data_lines: list[str] = []
        self.timing: dict[str, Any] = {}
        self.began = time.monotonic()
        self._lock = None
        self._made = False

    # ---- what experiments use -------------------------------------------------------------

    @property
    def seeds(self) -> np.ndarray:
        """The members' seeds: `--seed`, `--seed` + 1, ... (`--seeds` of them)."""
        return np.arange(self.config["seed"], self.config["seed"] + self.config["seeds"])

    def say(self, line: str) -> None:
        """Print a line, in the first process only."""
        if parallel.is_main():
            say(line)

    def uses(self, provenance: Any) -> None:
        """Record and print which data the run uses; call it right after loading.

        Args:
            provenance: has `line() -> str` and `record() -> dict` (see `datasets.source`).

        Raises:
            UserError: real data were asked for, and there are none behind these.
        """
        if self.source.source == "real" and provenance.kind == "simulated":
            raise UserError(
                f"--source real: {provenance.name} ({provenance.detail}) are made by a formula, "
                "there are no real ones"
            )
        self.data_lines.append(provenance.line())
        self.data.append(provenance.record())
        self.say(provenance.line())
        self._write_json("data.json", self.data)

    def fit(
        self,
        name: str,
        task: Task,
        train: Mapping[str, np.ndarray],
        valid: Mapping[str, np.ndarray] | None = None,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int,
        patience: int | None = None,
        monitor: str = "valid_loss",
        seeds: Sequence[int] | np.ndarray | None = None,
    ) -> Fitted:
        """The only door to training: train, or continue, or restore the fit of this name.

        Args:
            name: of the fit, unique in the run; its checkpoints are in checkpoints/NAME.
            task, train, valid, epochs, batch_size, patience, monitor: see `jaxdl.training.fit`.
            steps: in place of `epochs`: as many whole epochs as give at least so many steps.
            seeds: the members' seeds; `self.seeds` by default.

        Returns:
            The trained population.

        Raises:
            UserError: `--eval`, and the fit is missing or unfinished; negative epochs, no batch.
            ValueError: not exactly one of `epochs` and `steps` is given.
        """
        if (epochs is None) == (steps is None):
            raise ValueError(f"{name}: give either epochs or steps")
        if epochs is None and batch_size >= 1:
            rows = len(next(iter(train.values())))
            epochs = batch_order.epochs_for(steps, rows, batch_size)
        if batch_size < 1 or epochs < 0:
            raise UserError(f"{name}: {epochs} epochs of batches of {batch_size} cannot be trained")
        seeds = self.seeds if seeds is None else np.asarray(seeds)
        # epochs, batch size and the like are part of the fit's identity; where data lie is not
        shape = {"fit": name, "epochs": epochs, "batch_size": batch_size, "patience": patience}
        configuration = digest({**self.config, **shape, "fit_seeds": seeds.tolist()})
        hyper = {key: array_digest(value) for key, value in task.hyper.items()}
        arrays = [("train", train), ("valid", valid or {})]
        content = {f"{split}.{k}": array_digest(v) for split, d in arrays for k, v in d.items()}
        identity = {"configuration": digest([configuration, hyper]), "data": digest(content)}
        checkpoints = Checkpoints(self.folder / "checkpoints" / name, identity, warn=self.say)
        began = time.monotonic()
        fitted = fit(
            task,
            train,
            valid,
            seeds=seeds,
            epochs=epochs,
            batch_size=batch_size,
            patience=patience,
            monitor=monitor,
            checkpoints=checkpoints,
            watcher=RunWatcher(self, name),
            train_allowed=not self.evaluating,
        )
        if fitted.restored:
            self.say(f"{name}: finished before, restored from {self.folder}")
        elif epochs:
            self.timing.setdefault(name, {})["total_seconds"] = time.monotonic() - began
        return fitted

    # ---- the folder -----------------------------------------------------------------------

    def open(self, fresh: bool) -> None:
        """Make and lock the folder, and check that what it holds is this run.

        Raises:
            UserError: the folder cannot be written, is in use, holds something else or holds a run
                with other options.
        """
        self._made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            parallel.barrier("folder")
            if parallel.is_main():
                self._take_lock()
        except OSError as error:
            raise UserError(f"cannot write to {self.folder}: {error.strerror}") from error
        if parallel.is_main():
            if fresh:
                self._clear()
            self._check_config()
            self._write_json("config.json", self.config)
            written = [(self.folder / n).exists() for n in ("environment.json", "results.json")]
            if not all(written):  # a finished run, repeated, keeps the machine that trained it
                self._write_json("environment.json", environment())
        parallel.barrier("opened")

    def _take_lock(self) -> None:
        # the kernel lets go of the lock when the process ends, however it ends
        self._lock = (self.folder / ".lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            raise UserError(f"{self.folder} is in use by process {holder}") from error
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def abandon(self) -> None:
        """Remove the folder again, if this run made it and has not trained anything in it."""
        kept = {"checkpoints", *LOGS} & {path.name for path in self.folder.glob("*")}
        if self._made and not kept and not self.evaluating and parallel.is_main():
            self.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self) -> None:
        """Remove what a run wrote, and only that; a folder of another kind is left alone."""
        if not (self.folder / "config.json").exists():
            return
        files = ["scorer.jaxdl"]  # of runs whose results.json did not yet name its files
        if (self.folder / "results.json").exists():
            files += filter(is_free_name, read_json(self.folder / "results.json").get("files", []))
        for name in (*files, *RECORDS, *LOGS):
            (self.folder / name).unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _check_config(self) -> None:
        path = self.folder / "config.json"
        if not path.exists():
            others = [p.name for p in self.folder.iterdir() if p.name != ".lock"]
            if others:
                raise UserError(
                    f"{self.folder} is not empty and not a run folder (it holds {others[0]}); "
                    "choose another --workdir"
                )
            return
        differences = config_differences(read_json(path), self.config)
        if differences:
            raise UserError(
                f"{self.folder} holds a run with other options ({'; '.join(differences)}); "
                "use --fresh to replace it, or another --workdir"
            )

    def finish(self, results: Results) -> None:
        """Write results.json, the figures, the report and the lab's further files.

        Raises:
            ValueError: a file's name is not plain, or is that of a record of the run.
        """
        if self.evaluating or not parallel.is_main():
            return
        for name in results.files:
            if not is_free_name(name):
                raise ValueError(f"a lab cannot name a file of its run folder {name!r}")
        stored = self.folder / "results.json"
        if stored.exists():  # a finished run, repeated: what it took to train stays
            self.timing = {**read_json(stored)["timing"], **self.timing}
        self.timing.setdefault("run_seconds", time.monotonic() - self.began)
        record = self.results_record(results)
        pictures = save_figures(results, self.folder / "figures")
        records = {
            "configuration": self.config,
            "environment": read_json(self.folder / "environment.json"),
            "timing": self.timing,
        }
        page = html_report(self.title, self.data_lines, self.command, results, pictures, records)
        names = ("lab", "command", "data", "simulated", "n_seeds")
        origin = {name: record[name] for name in names}
        made = {name: make(origin) for name, make in results.files.items()}
        self._write_json("results.json", record)  # first: it names the files that --fresh removes
        self._write("report.html", page.encode())
        for name, content in made.items():
            self._write(name, content)

    def results_record(self, results: Results) -> dict[str, Any]:
        """What results.json holds; the tables in it must come out the same under `--eval`."""
        return {
            "lab": self.lab,
            "title": self.title,
            "command": self.command,
            "data": self.data,
            "simulated": any(entry.get("kind") == "simulated" for entry in self.data),
            "n_seeds": self.config["seeds"],
            "tables": [table.record() for table in results.tables],
            "notes": list(results.notes),
            "files": sorted(results.files),
            "timing": self.timing,
        }

    def _write_json(self, name: str, value: Any) -> None:
        if self.evaluating or not parallel.is_main():
            return
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        self._write(name, text.encode())

    def _write(self, name: str, content: bytes) -> None:
        """A file of the run folder, whole or not at all."""
        temporary = self.folder / f".{name}.tmp"
        temporary.write_bytes(content)
        temporary.replace(self.folder / name)


def fit_in_steps(fit: Callable[..., Fitted], steps: int, batch_size: int) -> Callable[..., Fitted]:
    """`Run.fit` that trains for so many steps, in whole epochs, on files of any size.

    Returns:
        (name, task, rows [n, features], steps=steps) -> the trained population.
    """

    def fitted(name: str, task: Task, rows: np.ndarray, steps: int = steps) -> Fitted:
        return fit(name, task, {"x": rows}, steps=steps, batch_size=batch_size)

    return fitted
