"""Finished runs as they lie on disk, read for an overview or a comparison. Nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.errors import UserError
from jaxdl.files import read_object
from jaxdl.report.table import Cell
from jaxdl.runs.folder import read_config

LARGEST_RECORD = 64 << 20  # bytes of a results.json; those of the labs have some kilobytes


@dataclass(frozen=True)
class StoredRun:
    """A finished run.

    Attributes:
        folder: where it lies.
        config: its config.json: lab, preset, seed, seeds, source, options.
        results: its results.json.
        machine: its environment.json; empty where that is missing or damaged.
    """

    folder: Path
    config: Mapping[str, Any]
    results: Mapping[str, Any]
    machine: Mapping[str, Any]

    @property
    def lab(self) -> str:
        return self.config["lab"]

    @property
    def options(self) -> dict[str, Any]:
        """Everything that was chosen for the run: preset, seeds, source, and the lab's options."""
        common = {name: self.config[name] for name in ("preset", "seed", "seeds", "source")}
        precision = self.config.get("precision", "float32")
        return {**common, "precision": precision, **self.config["options"]}

    @property
    def data_lines(self) -> list[str]:
        """Which data: name, kind and the beginning of the hash, a line for each set."""
        lines = []
        for entry in self.results.get("data", []):
            if isinstance(entry, dict):
                kind = {"simulated": "simulated twin"}.get(entry.get("kind"), entry.get("kind"))
                digest = str(entry.get("sha256", ""))[:8]
                lines.append(f"{entry.get('name')}, {kind} ({digest})")
        return lines

    @property
    def seconds(self) -> float | None:
        """How long the run took, where it says so."""
        timing = self.results.get("timing")
        found = timing.get("run_seconds") if isinstance(timing, dict) else None
        return found if isinstance(found, int | float) else None

    @property
    def headline(self) -> dict[str, Cell]:
        """The lab's few numbers; of runs that did not store them, the first row of numbers."""
        stored = self.results.get("headline")
        if isinstance(stored, dict):
            return {str(name): cell_of(value) for name, value in stored.items()}
        for row in _rows(self.results["tables"][:1])[:1]:
            numbers = {name: cell_of(value) for name, value in row.items()}
            numeric = [name for name, value in numbers.items() if isinstance(value, np.ndarray)]
            return {name: numbers[name] for name in numeric[:3]}
        return {}


def read_run(folder: Path) -> StoredRun:
    """A finished run.

    Raises:
        UserError: the folder holds no finished run, or a damaged one.
    """
    record = folder / "results.json"
    if not record.exists():
        raise UserError(f"{folder} holds no finished run (no results.json)")
    if record.stat().st_size > LARGEST_RECORD:
        raise UserError(f"{record} has more than {LARGEST_RECORD >> 20} MiB")
    config = read_config(folder)
    results = read_object(record, lab=str, title=str, tables=list)
    try:
        machine = read_object(folder / "environment.json")
    except UserError:
        machine = {}
    return StoredRun(folder, config, results, machine)


def option_name(name: str) -> str:
    """A field of the options as it is typed.

    >>> option_name("learning_rate")
    '--learning-rate'
    """
    return f"--{name.replace('_', '-')}"


def cell_of(value: Any) -> Cell:
    """A cell of a stored table as `jaxdl.report.Table` takes it: numbers as arrays over seeds."""
    if isinstance(value, bool) or value is None:
        return value if value is None else str(value)
    values = value if isinstance(value, list) else [value]
    if values and all(isinstance(x, int | float) and not isinstance(x, bool) for x in values):
        return np.asarray(values)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _rows(tables: list[Any]) -> list[dict[str, Any]]:
    """The rows of stored tables, those that are none left out."""
    return [
        row
        for table in tables
        if isinstance(table, dict) and isinstance(table.get("rows"), list)
        for row in table["rows"]
        if isinstance(row, dict)
    ]
