"""A run: what a lab is handed beside its Config - seeds, data records, and the door to training."""

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxdl.errors import NotFinite, UserError
from jaxdl.hashing import array_digest, arrays_digest, digest
from jaxdl.language import translate_message
from jaxdl.report import Results
from jaxdl.report.html import draw_figures, html_report
from jaxdl.report.table import plain_cell
from jaxdl.runs.folder import RunFolder, is_free_name
from jaxdl.runs.metrics_log import RunWatcher, seconds_logged
from jaxdl.runs.progress import StopRequest, say
from jaxdl.training import Fitted, Task, batch_order, fit, parallel
from jaxdl.training.checkpoint import Checkpoints
from jaxdl.training.data import check_data
from jaxdl.training.stream import Streamed


@runtime_checkable
class Request(Protocol):
    """Where data sets look for their bytes, as `datasets.source.Request` says it."""

    @property
    def source(self) -> str: ...


@runtime_checkable
class Provenance(Protocol):
    """Which bytes a result stands on, as `datasets.source.Provenance` says it."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def detail(self) -> str: ...
    def line(self) -> str: ...
    def record(self) -> Mapping[str, Any]: ...


@dataclass
class Run:
    """One run of one lab.

    Attributes:
        folder: the run folder, open unless the run is evaluated.
        lab: name of the experiment file without suffix.
        title: first line of its docstring.
        config: what config.json holds: {"lab", "preset", "seed", "seeds", "source", "options"},
            and "precision" where it is not float32.
        command: repeats the run.
        source: handed to `datasets.*.load` as it is.
        tensorboard: the curves are also written as TensorBoard events.
        stop: where a request to stop arrives.
        data, data_lines: records and first lines of the data used so far.
        timing: fit -> seconds of compilation, of training and in all; "run_seconds" of the run by
            the clock, and "cpu_seconds" that processors worked for it. A run that was stopped and
            continued counts what it took before, up to the last epoch that was logged.
    """

    folder: RunFolder
    lab: str
    title: str
    config: Mapping[str, Any]
    command: str
    source: Request
    tensorboard: bool = False
    stop: StopRequest = field(default_factory=StopRequest)
    data: list[Mapping[str, Any]] = field(default_factory=list, init=False)
    data_lines: list[str] = field(default_factory=list, init=False)
    timing: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self):
        self._began, self._cpu_began = time.monotonic(), _cpu_seconds()
        self._before = seconds_logged(self.folder.path)
        self._fits: list[str] = []  # names, in the order in which the lab asks for them

    # ---- what a lab uses ------------------------------------------------------------------

    @property
    def seeds(self) -> np.ndarray:
        """The members' seeds: `--seed`, `--seed` + 1, ... (`--seeds` of them)."""
        return np.arange(self.config["seed"], self.config["seed"] + self.config["seeds"])

    def only_seed(self) -> int:
        """The seed of what is done once.

        Raises:
            UserError: several were asked for.
        """
        if len(self.seeds) > 1:
            raise UserError(
                f"--seeds {len(self.seeds)}: this is done with one seed, --seed says which"
            )
        return int(self.seeds[0])

    @property
    def evaluating(self) -> bool:
        """Nothing is trained and nothing is written."""
        return self.folder.evaluating

    def say(self, text: str, told: bool = False) -> None:
        """Print a message in the language spoken, in the first process only.

        Args:
            text: in English, or `told` in the language spoken already.
        """
        if parallel.is_main():
            say(text if told else translate_message(text))

    def uses(self, provenance: Provenance) -> None:
        """Record and print which data the run uses; call it right after loading.

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
        self.folder.write_json("data.json", self.data)

    def fit(
        self,
        name: str,
        task: Task,
        train: Mapping[str, np.ndarray] | Streamed,
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
            UserError: `--eval`, and the fit is missing or unfinished; negative epochs, no batch;
                arrays that hold no numbers or no rows.
            NotFinite: a loss or the monitored value is not a finite number.
            ValueError: not exactly one of `epochs` and `steps` is given.
        """
        if (epochs is None) == (steps is None):
            raise ValueError(f"{name}: give either epochs or steps")
        streamed = isinstance(train, Streamed)
        if streamed:
            rows = train.check(max(batch_size, 1))
        else:
            rows = check_data(train, f"{name}, training rows")
        if valid is not None:
            check_data(valid, f"{name}, validation rows")
        if steps is not None and batch_size >= 1:
            epochs = batch_order.epochs_for(steps, rows, batch_size)
        if epochs is None or batch_size < 1 or epochs < 0:
            raise UserError(f"{name}: {epochs} epochs of batches of {batch_size} cannot be trained")
        seeds = self.seeds if seeds is None else np.asarray(seeds)
        if "precision" in self.config:
            task = dataclasses.replace(task, precision=self.config["precision"])
        # epochs, batch size and the like are part of the fit's identity; where data lie is not
        shape = {"fit": name, "epochs": epochs, "batch_size": batch_size, "patience": patience}
        configuration = digest({**self.config, **shape, "fit_seeds": seeds.tolist()})
        hyper = {key: array_digest(value) for key, value in task.hyper.items()}
        rows_of = {"train": {} if streamed else train, "valid": valid or {}}
        content = {f"{part}.{key}": x for part, rows in rows_of.items() for key, x in rows.items()}
        data = arrays_digest(content)
        identity = {
            "configuration": digest([configuration, hyper]),
            "data": digest([data, train.digest()]) if streamed else data,
        }
        checkpoints = Checkpoints(self.folder.path / "checkpoints" / name, identity, warn=self.say)
        if name not in self._fits:
            self._fits.append(name)
        seconds: dict[str, float] = {}
        watcher = RunWatcher(
            name,
            self.stop,
            seconds,
            self.folder.path if parallel.is_main() else None,
            self._fits,
            self.tensorboard,
            self._taken,
        )
        began = time.monotonic()
        try:
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
                watcher=watcher,
                train_allowed=not self.evaluating,
            )
        except NotFinite as error:
            raise NotFinite(f"{name}: {error}") from error
        if fitted.restored:
            self.say(f"{name}: finished before, restored from {self.folder.path}")
        elif epochs:
            total = watcher.seconds_before + time.monotonic() - began
            self.timing[name] = {**seconds, "total_seconds": total}
        return fitted

    def _taken(self) -> dict[str, float]:
        """Seconds of the run so far, those of the processes before this one included."""
        clock, worked = time.monotonic() - self._began, _cpu_seconds() - self._cpu_began
        before = self._before
        return {
            "run_seconds": before["run_seconds"] + clock,
            "cpu_seconds": before["cpu_seconds"] + worked,
        }

    # ---- the end --------------------------------------------------------------------------

    def finish(self, results: Results) -> None:
        """Write results.json, the figures, the report and the lab's further files.

        Raises:
            ValueError: a file's name is not plain, or is that of a record of the run.
            UserError: something cannot be written.
        """
        for name in results.files:
            if not is_free_name(name):
                raise ValueError(f"a lab cannot name a file of its run folder {name!r}")
        if not self.folder.writes:
            return
        self._keep_first_timing()
        if "run_seconds" not in self.timing:
            self.timing |= self._taken()
        record = self.record(results)
        pictures = draw_figures(results.figures)
        names = ("lab", "command", "data", "simulated", "n_seeds")
        origin = {name: record[name] for name in names}
        made = {name: make(origin) for name, make in results.files.items()}
        self.folder.write_json("results.json", record)  # first: it names what --fresh removes
        for name, picture in pictures.items():
            self.folder.write(f"figures/{name}.png", picture)
        records = {
            "configuration": self.config,
            "environment": self.folder.read("environment.json"),
            "timing": self.timing,
        }
        page = html_report(self.title, self.data_lines, self.command, results, pictures, records)
        self.folder.write("report.html", page.encode())
        for name, content in made.items():
            self.folder.write(name, content)

    def record(self, results: Results) -> dict[str, Any]:
        """What results.json holds; the tables in it must come out the same under `--eval`."""
        return {
            "lab": self.lab,
            "title": self.title,
            "command": self.command,
            "data": self.data,
            "simulated": any(entry.get("kind") == "simulated" for entry in self.data),
            "n_seeds": self.config["seeds"],
            "tables": [table.record() for table in results.tables],
            "headline": {name: plain_cell(value) for name, value in results.headline.items()},
            "notes": list(results.notes),
            "files": sorted(results.files),
            "timing": self.timing,
        }

    def _keep_first_timing(self) -> None:
        """A finished run, repeated, restores its fits: what it took to train them stays."""
        if (self.folder.path / "results.json").exists():
            try:
                stored = self.folder.read("results.json", timing=dict)
            except UserError:  # damaged: it is about to be written again
                return
            self.timing = {**stored["timing"], **self.timing}


def _cpu_seconds() -> float:
    """What processors have worked for this process and for its children that have ended."""
    return time.process_time() + sum(os.times()[2:4])
