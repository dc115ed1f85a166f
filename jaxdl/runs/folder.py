"""A run's folder: its lock, the options it belongs to, and records written whole or not at all."""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError
from jaxdl.files import read_object, write_whole
from jaxdl.runs.environment import environment
from jaxdl.training import parallel

RECORDS = ("config.json", "environment.json", "data.json", "results.json", "report.html")
TIMING = "timing.jsonl"
LOGS = ("metrics.jsonl", TIMING)
FOLDERS = ("checkpoints", "figures", "tensorboard")
# Written by runs whose results.json did not yet name their further files.
OLD_FILES = ("scorer.jaxdl",)


class RunFolder:
    """The folder of one run.

    Only the first of several processes writes, and none does in the folder of a finished run that
    is evaluated.

    Args:
        path: where it is.
        evaluating: nothing in it may change.
    """

    def __init__(self, path: Path, evaluating: bool = False):
        self.path = path
        self.evaluating = evaluating
        self._lock: int | None = None
        self._made = False

    @property
    def writes(self) -> bool:
        """Whether this process writes into the folder."""
        return not self.evaluating and parallel.is_main()

    # ---- open and close -------------------------------------------------------------------

    def open(self, config: Mapping[str, Any], fresh: bool) -> None:
        """Make and lock the folder, and check that what it holds is this run.

        Args:
            config: what config.json holds; see `jaxdl.runs.Run`.
            fresh: remove what an earlier run left.

        Raises:
            UserError: the folder cannot be written, is in use, holds something else or holds a run
                with other options.
        """
        try:
            self._made = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            parallel.barrier("folder")
            if parallel.is_main():
                self._take_lock()
        except OSError as error:
            raise UserError(f"cannot write to {self.path}: {error.strerror or error}") from error
        if parallel.is_main():
            if fresh and (self.path / "config.json").exists():
                self._clear()
            else:
                self._check_config(config)
            self.write_json("config.json", config)
            # a finished run, repeated, keeps the machine that trained it
            if not all(self._has(name) for name in ("environment.json", "results.json")):
                self.write_json("environment.json", environment())
        parallel.barrier("opened")

    def _take_lock(self) -> None:
        # the kernel lets go of the lock when the process ends, however it ends
        self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._lock, 20).decode("ascii", "replace").strip() or "unknown"
            raise UserError(f"{self.path} is in use by process {holder}") from error
        os.truncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def abandon(self) -> None:
        """Remove the folder again, if this run made it and has not trained anything in it."""
        if self._made and self.writes:
            kept = {"checkpoints", *LOGS} & {path.name for path in self.path.glob("*")}
            if not kept:
                self.close()
                shutil.rmtree(self.path, ignore_errors=True)

    # ---- what it holds --------------------------------------------------------------------

    def write(self, name: str, content: bytes) -> None:
        """A file of the folder, whole or not at all.

        Raises:
            UserError: it cannot be written.
        """
        if self.writes:
            write_whole(self.path / name, content)

    def write_json(self, name: str, value: Any) -> None:
        """A JSON file of the folder, whole or not at all.

        Raises:
            UserError: it cannot be written.
        """
        self.write(name, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())

    def read(self, name: str, **needed: type) -> dict[str, Any]:
        """The object in a JSON file of the folder; see `jaxdl.files.read_object`."""
        return read_object(self.path / name, **needed)

    def _has(self, name: str) -> bool:
        """Whether there is such a record, undamaged."""
        try:
            self.read(name)
        except UserError:
            return False
        return True

    def _clear(self) -> None:
        """Remove what a run wrote, and only that."""
        files = [*OLD_FILES, *_files_named_in(self.path / "results.json"), *RECORDS, *LOGS]
        try:
            for name in files:
                (self.path / name).unlink(missing_ok=True)
            for name in FOLDERS:
                if (self.path / name).exists():
                    shutil.rmtree(self.path / name)
        except OSError as error:
            raise UserError(f"cannot empty {self.path}: {error.strerror or error}") from error

    def _check_config(self, config: Mapping[str, Any]) -> None:
        if not (self.path / "config.json").exists():
            others = [path.name for path in self.path.iterdir() if path.name != ".lock"]
            if others:
                raise UserError(
                    f"{self.path} is not empty and not a run folder (it holds {others[0]}); "
                    "choose another --workdir"
                )
            return
        try:
            stored = read_config(self.path)
        except UserError as error:
            raise UserError(f"{error}; use --fresh to replace the run") from error
        differences = config_differences(stored, config)
        if differences:
            raise UserError(
                f"{self.path} holds a run with other options ({'; '.join(differences)}); "
                "use --fresh to replace it, or another --workdir"
            )


def is_free_name(name: str) -> bool:
    """Whether a lab may give a file of the run folder this name: a plain one, not taken.

    >>> is_free_name("scorer.jaxdl"), is_free_name("config.json"), is_free_name("../x")
    (True, False, False)
    """
    plain = Path(name).name == name and not name.startswith(".") and "\0" not in name
    return plain and name != "" and name not in (*RECORDS, *LOGS, *FOLDERS)


def read_config(folder: Path) -> dict[str, Any]:
    """What a run folder's config.json says.

    Raises:
        UserError: it is missing or damaged.
    """
    needed = {"lab": str, "preset": str, "seed": int, "seeds": int, "source": str, "options": dict}
    return read_object(folder / "config.json", **needed)


def config_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Which options differ, as "epochs 30 there, 5 here"."""
    flat_old = {**{k: v for k, v in old.items() if k != "options"}, **old["options"]}
    flat_new = {**{k: v for k, v in new.items() if k != "options"}, **new["options"]}
    return [
        f"{name} {flat_old.get(name)} there, {flat_new.get(name)} here"
        for name in dict.fromkeys([*flat_old, *flat_new])
        if flat_old.get(name) != flat_new.get(name)
    ]


def _files_named_in(path: Path) -> list[str]:
    """The lab's own files that a results.json names; none where it cannot be read."""
    try:
        named = read_object(path, files=list)["files"]
    except UserError:
        return []
    return [name for name in named if isinstance(name, str) and is_free_name(name)]
