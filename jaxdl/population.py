"""Settings times seeds: several experiments as the members of one vmapped population."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int


def cross(
    columns: Mapping[str, Sequence[float] | Float[np.ndarray, " settings"]],
    settings: int,
    seeds: Sequence[int] | Int[np.ndarray, " seeds"],
) -> tuple[dict[str, Float[np.ndarray, " members"]], Int[np.ndarray, " members"]]:
    """Every setting with every seed, one setting after the other: (`Task.hyper`, seeds).

    `jaxdl.regularisation.split_members` takes such a population apart again.

    Args:
        columns: hyper-parameter -> its value in each setting.
        settings: how many there are; needed where no hyper-parameter differs.
        seeds: of each setting.
    """
    hyper = {name: np.repeat(np.asarray(column), len(seeds)) for name, column in columns.items()}
    return hyper, np.tile(np.asarray(seeds), settings)
