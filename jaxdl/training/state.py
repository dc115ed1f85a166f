"""What a fit carries from step to step.

A state is that of one member, as `train_step` sees it, or of a population: then every leaf has an
axis of seeds in front.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxdl.training.task import Batch, Task


@flax.struct.dataclass
class TrainState:
    """A member, or a population, in training; a pytree.

    Attributes:
        step: optimiser steps done; equal for all members.
        seed: the member's seed; a step's key is `fold_in(key(seed), step)`: no key is saved.
        params, model_state, opt_state: as `Task` makes them.
        totals: sums over the current epoch of the loss, each metric and the row weights.
        bad_step: first step at which the loss was not finite, -1 while all is well.
    """

    step: Int[Array, "*seeds"]
    seed: Int[Array, "*seeds"]
    params: Any
    model_state: Any
    opt_state: Any
    totals: dict[str, Float[Array, "*seeds"]]
    bad_step: Int[Array, "*seeds"]


@flax.struct.dataclass
class Selection:
    """Early stopping with the best weights kept, for each member by itself.

    Attributes:
        params, model_state: the best so far.
        value: the lowest monitored value so far; `epoch`: the epoch it was seen in.
        active: False once a member has waited longer than the patience; it then stands still.
    """

    params: Any
    model_state: Any
    value: Float[Array, "*seeds"]
    epoch: Int[Array, "*seeds"]
    active: Bool[Array, "*seeds"]


@flax.struct.dataclass
class FitState:
    """All that a checkpoint holds: the population, the selection (if any), and the curves so far.

    `history` maps "train_loss", "valid_loss", ... to arrays [epochs, seeds]; rows that lie ahead
    are NaN. `done` is 1 once nothing is left to train.
    """

    train: TrainState
    selection: Selection | None
    history: dict[str, Float[Array, "epochs seeds"]]
    done: Int[Array, ""]


def zero_totals(task: Task) -> dict[str, Array]:
    """The sums of one member at the start of an epoch."""
    return {name: jnp.zeros((), jnp.float32) for name in ("loss", "weight", *task.metrics)}


def init_member(
    task: Task, batch: Batch, seed: Int[Array, ""], hyper: dict[str, Array]
) -> TrainState:
    """The state of one member before the first step; vmap it over seeds."""
    variables = task.init(jax.random.key(seed), batch)
    model_state = {name: value for name, value in variables.items() if name != "params"}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        seed=jnp.asarray(seed, jnp.int32),
        params=variables["params"],
        model_state=model_state,
        opt_state=task.optimizer(hyper).init(variables["params"]),
        totals=zero_totals(task),
        bad_step=jnp.full((), -1, jnp.int32),
    )


def hyper_arrays(task: Task, seeds: int) -> dict[str, np.ndarray]:
    """Each hyper-parameter as a float32 array [seeds].

    Raises:
        ValueError: an array's length is not the number of seeds.
    """
    arrays = {}
    for name, value in task.hyper.items():
        value = np.asarray(value, np.float32)
        if value.shape not in ((), (seeds,)):
            raise ValueError(f"hyper {name!r} has shape {value.shape}; expected () or ({seeds},)")
        arrays[name] = np.broadcast_to(value, (seeds,))
    return arrays
