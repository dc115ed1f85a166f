"""A run's folder: its records, what machine it ran on, and which options it belongs to."""

import importlib.metadata
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError
from jaxdl.training import parallel

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn")
RECORDS = (
    "config.json",
    "environment.json",
    "data.json",
    "results.json",
    "report.html",
)
LOGS = ("metrics.jsonl", "timing.jsonl")
FOLDERS = ("checkpoints", "figures", "tensorboard")


def is_free_name(name: str) -> bool:
    """Whether a lab may give a file of the run folder this name: a plain one, not taken."""
    plain = Path(name).name == name and not name.startswith(".") and "\0" not in name
    return plain and name not in (*RECORDS, *LOGS, *FOLDERS)


def environment() -> dict[str, Any]:
    """Versions, devices and, inside a git checkout, the commit."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        **parallel.describe(),
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip() or None


def read_json(path: Path) -> Any:
    """A JSON file of a run folder.

    Raises:
        UserError: it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; is {path.parent} a run folder?") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def config_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Which options differ, as "epochs 30 there, 5 here"."""
    flat_old = {**{k: v for k, v in old.items() if k != "options"}, **old.get("options", {})}
    flat_new = {**{k: v for k, v in new.items() if k != "options"}, **new["options"]}
    return [
        f"{name} {flat_old.get(name)} there, {flat_new.get(name)} here"
        for name in dict.fromkeys([*flat_old, *flat_new])
        if flat_old.get(name) != flat_new.get(name)
    ]
