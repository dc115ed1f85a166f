"""Averages and predictions over all rows: padded to whole batches, masked, nothing dropped."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl.training import parallel
from jaxdl.training.data import check_data, row_bytes
from jaxdl.training.state import hyper_arrays
from jaxdl.training.step import evaluate_batch, groups_of, may_be_padded, over_members
from jaxdl.training.task import ROW_MASK, Task, Variables, forward

BATCH_BYTES = 4 << 20


def rows_per_batch(data: Mapping[str, np.ndarray]) -> int:
    """Rows evaluated at once: about 4 MiB of input, a multiple of the number of devices."""
    rows = int(np.clip(BATCH_BYTES // row_bytes(data), 64, 8192))
    rows = min(rows, len(next(iter(data.values()))))
    devices = jax.device_count()
    return -(-rows // devices) * devices


class Evaluator:
    """Mean loss and metrics of a population over a fixed data set, which stays on the devices.

    Args:
        task: what is evaluated.
        data: host arrays [rows, ...].
        seeds: the population's seeds (their number, and the members' hyper-parameters).
    """

    def __init__(self, task: Task, data: Mapping[str, np.ndarray], seeds: np.ndarray):
        self.rows = check_data(data, "valid")
        self.batch = rows_per_batch(data)
        self.data = parallel.replicate(dict(data))
        self.hyper = hyper_arrays(task, len(seeds))
        self.program = jax.jit(partial(self._sums, task), out_shardings=parallel.replicated())

    def _sums(self, task, variables, data, start, hyper):
        index = start + jnp.arange(self.batch)
        batch = jax.tree.map(lambda x: x[jnp.minimum(index, self.rows - 1)], dict(data))
        mask = index < self.rows
        if may_be_padded(data, self.batch):
            batch[ROW_MASK] = mask
        return evaluate_batch(task, variables, batch, mask, hyper)

    def __call__(self, groups: list[Variables]) -> dict[str, Float[np.ndarray, " seeds"]]:
        """Means for each member.

        Args:
            groups: variables of consecutive groups of members (one group: a list of one).
        """
        results, first = [], 0
        for variables in groups:
            members = jax.tree.leaves(variables)[0].shape[0]
            hyper = {k: v[first : first + members] for k, v in self.hyper.items()}
            starts = range(0, self.rows, self.batch)
            parts = [self.program(variables, self.data, np.int32(s), hyper) for s in starts]
            # float64 on the host: the sum over many batches must not depend on their number
            sums = jax.tree.map(lambda *x: np.sum(np.asarray(x, np.float64), 0), *parts)
            weight = sums.pop("weight")
            results.append({name: value / weight for name, value in sums.items()})
            first += members
        return {name: np.concatenate([r[name] for r in results]) for name in results[0]}


def predict(
    task: Task,
    variables: Any,
    seeds: np.ndarray,
    function: Callable[[Any, Mapping[str, Any]], Any],
    data: Mapping[str, np.ndarray],
) -> Any:
    """`function(outputs, batch)` for every row and member, in evaluation mode.

    Args:
        task: gives `apply`.
        variables: parameters and model state, seed axis in front.
        seeds: the members' seeds.
        function: per-example values [batch, ...] from the outputs and the batch; a tree is fine.
        data: host arrays [rows, ...].

    Returns:
        NumPy arrays [seeds, rows, ...], in the tree that `function` returns.
    """
    rows, size = check_data(data, "predict"), rows_per_batch(data)
    padded = may_be_padded(data, size)
    hyper = hyper_arrays(task, len(seeds))

    @partial(jax.jit, out_shardings=parallel.replicated())
    def program(variables, batch, hyper):
        batch = parallel.split_batch(batch)

        def member(variables, hyper):
            outputs, _ = forward(task, variables, batch, jax.random.key(0), False, hyper)
            return function(outputs, batch)

        return over_members(member)(variables, hyper)

    groups = []
    for members in groups_of(task, len(seeds)):
        group = jax.tree.map(lambda x, members=members: x[members], variables)
        group_hyper = {name: value[members] for name, value in hyper.items()}
        parts = []
        for start in range(0, rows, size):
            index = np.minimum(np.arange(start, start + size), rows - 1)
            batch = {name: x[index] for name, x in data.items()}
            if padded:
                batch[ROW_MASK] = np.arange(start, start + size) < rows
            batch = parallel.replicate(batch)
            part = jax.device_get(program(group, batch, group_hyper))
            real = min(size, rows - start)
            parts.append(jax.tree.map(lambda x, real=real: x[:, :real], part))
        groups.append(jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts))
    return jax.tree.map(lambda *x: np.concatenate(x, axis=0), *groups)
