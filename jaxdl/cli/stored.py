"""The options of a finished run, for its evaluation."""

import dataclasses
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxdl.cli.options import RunOptions
from jaxdl.errors import UserError
from jaxdl.runs.folder import read_config

# Options of the command line that an evaluation takes from the run, or that would write.
_FIXED = ("seed", "seeds", "source", "precision", "workdir", "fresh", "tensorboard", "record")


def plain(config: Any) -> dict[str, Any]:
    """A Config as JSON gives it back: paths as text, tuples as lists."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return json.loads(json.dumps(values, default=lambda path: str(Path(path).resolve())))


def config_of_run(
    module: ModuleType, lab: str, options: RunOptions, given: Any
) -> tuple[Any, dict[str, Any]]:
    """The Config that a finished run was trained with. Files may have moved, numbers may not.

    Args:
        module: the lab.
        lab: its name.
        options: of the command line; `options.eval` is the run folder.
        given: the lab's Config as the command line says it.

    Returns:
        The run's Config, in which fields that the lab did not have then have their defaults, and
        what its config.json holds.

    Raises:
        UserError: the run is of another lab, its config.json is damaged, or a number was given
            that differs from the run's.
    """
    stored = read_config(options.eval)
    if stored["lab"] != lab:
        raise UserError(f"{options.eval} is a run of {stored['lab']}, not of {lab}")
    given_run, usual = dataclasses.asdict(options), dataclasses.asdict(RunOptions())
    for name in _FIXED:
        if given_run[name] != usual[name] and given_run[name] != stored.get(name):
            raise UserError(f"--eval takes everything from {options.eval}; leave --{name} out")
    default = module.Config()
    unchanged = {"default": default, **getattr(module, "PRESETS", {})}[options.preset]
    given_values, default_values, values = plain(given), plain(default), {}
    for field in dataclasses.fields(module.Config):
        name = field.name
        of_run = stored["options"].get(name, default_values[name])
        typed = getattr(given, name) != getattr(unchanged, name)
        if typed and given_values[name] != of_run:
            if not _is_file(field, given):
                raise UserError(
                    f"--eval takes the options from {options.eval}/config.json ({name} is {of_run} "
                    f"there); leave --{name.replace('_', '-')} out"
                )
            values[name] = getattr(given, name)
        elif name in stored["options"]:  # else the lab has gained it since: the default stays
            values[name] = _from_json(of_run, _is_file(field, given))
    return module.Config(**values), stored


def _is_file(field: dataclasses.Field, given: Any) -> bool:
    return isinstance(getattr(given, field.name), Path) or "Path" in str(field.type)


def _from_json(value: Any, is_file: bool) -> Any:
    if is_file and value is not None:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
