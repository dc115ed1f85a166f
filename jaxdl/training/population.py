"""Settings times seeds: several experiments as the members of one vmapped population."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxdl.training.fitted import Fitted


def cross(
    columns: Mapping[str, Sequence[float] | Float[np.ndarray, " settings"]],
    settings: int,
    seeds: Sequence[int] | Int[np.ndarray, " seeds"],
) -> tuple[dict[str, Float[np.ndarray, " members"]], Int[np.ndarray, " members"]]:
    """Every setting with every seed, one setting after the other: (`Task.hyper`, seeds).

    `jaxdl.training.population.split_members` takes such a population apart again.

    Args:
        columns: hyper-parameter -> its value in each setting.
        settings: how many there are; needed where no hyper-parameter differs.
        seeds: of each setting.
    """
    hyper = {name: np.repeat(np.asarray(column), len(seeds)) for name, column in columns.items()}
    return hyper, np.tile(np.asarray(seeds), settings)


def split_members(tree: Any, methods: Sequence[str]) -> dict[str, Any]:
    """Method -> its part of arrays [methods * seeds, ...], laid out as by `population`."""
    members = len(jax.tree.leaves(tree)[0]) // len(methods)
    return {
        name: jax.tree.map(lambda x, i=i: x[i * members : (i + 1) * members], tree)
        for i, name in enumerate(methods)
    }


def by_method(fitted: Fitted, methods: Sequence[str]) -> dict[str, Fitted]:
    """The members of each method, as fits of their own; the members laid out as by `cross`."""
    each = len(fitted.seeds) // len(methods)
    return {name: fitted.members(slice(i * each, (i + 1) * each)) for i, name in enumerate(methods)}
