"""Whether an evaluated run gives the tables that it stored."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxdl.errors import Irreproducible, UserError
from jaxdl.files import read_object
from jaxdl.report import Table
from jaxdl.runs.environment import environment

# Devices and versions differ in the order of their sums, so scores differ in their last digits: by
# 2e-7 of a number at most in the quick runs of all labs, evaluated on four devices instead of one.
# The rest is room for a row that falls to the other side of a threshold.
RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-5
# What decides how sums are taken.
_MACHINE = ("system", "platform", "devices", "processes", "versions")


def verdict(folder: Path, tables: Sequence[Table]) -> str:
    """One line that says how evaluated tables compare with the stored ones.

    Args:
        folder: of the finished run.
        tables: what its lab gives from its checkpoints.

    Returns:
        That they are identical; or, on other devices or versions than the run's, that every number
        is the stored one within the tolerances above.

    Raises:
        Irreproducible: they are neither.
        UserError: the run is not finished, or its results.json is damaged.
    """
    stored = read_object(folder / "results.json", tables=list)["tables"]
    found = json.loads(json.dumps([table.record() for table in tables]))
    differing = list(_differences("tables", stored, found))
    if not differing:
        return f"evaluated {folder}: identical to its results.json; nothing was trained"
    here, there = environment(), _environment_of(folder)
    same_machine = all(there.get(name) == here[name] for name in _MACHINE)
    worst = max(differing, key=lambda each: each.tolerances)
    if not there or same_machine or worst.tolerances > 1:
        raise Irreproducible(
            f"evaluated {folder}: the tables DIFFER from its results.json "
            f"({worst.place}: {worst.stored} there, {worst.found} here)"
        )
    return (
        f"evaluated {folder} on another machine ({_words(here)}) than it was made on "
        f"({_words(there)}): equal to its results.json within {RELATIVE_TOLERANCE:g} of each "
        "number; nothing was trained"
    )


class _Difference(NamedTuple):
    """A value that is not the stored one, and how far off it is, in tolerances."""

    place: str
    stored: Any
    found: Any
    tolerances: float


def _differences(place: str, stored: Any, found: Any) -> Iterator[_Difference]:
    """All places in which two JSON values differ."""
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        for number, (one, other) in enumerate(zip(stored, found, strict=True), start=1):
            yield from _differences(f"{place} {number}", one, other)
    elif isinstance(stored, dict) and isinstance(found, dict) and list(stored) == list(found):
        for key in stored:
            yield from _differences(f"{place}, {key}", stored[key], found[key])
    elif _is_number(stored) and _is_number(found):
        allowed = ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * abs(stored)
        if not (stored == found or (math.isnan(stored) and math.isnan(found))):
            apart = abs(stored - found) / allowed
            yield _Difference(place, stored, found, math.inf if math.isnan(apart) else apart)
    elif stored != found:
        yield _Difference(place, stored, found, math.inf)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _environment_of(folder: Path) -> Mapping[str, Any]:
    try:
        return read_object(folder / "environment.json", devices=list, versions=dict)
    except UserError:  # nothing is known of the machine: no tolerance is given
        return {}


def _words(machine: Mapping[str, Any]) -> str:
    kinds = ", ".join(sorted(set(map(str, machine["devices"]))))
    return f"{len(machine['devices'])} x {kinds}, jax {machine['versions'].get('jax')}"
