"""What a fit gives back: a trained population."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxdl.training.evaluate import predict
from jaxdl.training.task import Task, Variables, parameter_count


@dataclass(frozen=True)
class Fitted:
    """A trained population.

    Attributes:
        task: what was trained.
        variables: parameters and model state, seed axis in front; the best epoch's with patience.
        history: "train_loss", "valid_loss", "train_<metric>", ... -> [epochs, seeds]; NaN rows
            are epochs that early stopping saved.
        seeds: the members' seeds.
        best_epoch: for each member the epoch its weights are of, counted from 1.
        restored: nothing was trained, a finished checkpoint was read.
    """

    task: Task
    variables: Variables
    history: dict[str, Float[np.ndarray, "epochs seeds"]]
    seeds: Int[np.ndarray, " seeds"]
    best_epoch: Int[np.ndarray, " seeds"]
    restored: bool

    @property
    def parameter_count(self) -> int:
        """Trained numbers in one member."""
        return parameter_count(self.variables) // len(self.seeds)

    def predict(self, function: Callable[..., Any], data: Mapping[str, np.ndarray]) -> Any:
        """`function(outputs, batch)` for every row and member.

        Args:
            function: maps the task's outputs and the batch to per-example arrays [batch, ...].
            data: arrays [rows, ...] on the host, any positive number of rows.

        Returns:
            The same tree as `function` returns, as NumPy arrays [seeds, rows, ...].

        Raises:
            UserError: the arrays hold no numbers or no rows (`jaxdl.training.data.check_data`).
        """
        return predict(self.task, self.variables, self.seeds, function, data)

    def members(self, own: slice) -> "Fitted":
        """Some members of the population as a population of their own."""
        hyper = {k: v[own] if np.ndim(v) else v for k, v in self.task.hyper.items()}
        return dataclasses.replace(
            self,
            task=dataclasses.replace(self.task, hyper=hyper),
            variables=jax.tree.map(lambda x: x[own], self.variables),
            history={name: curve[:, own] for name, curve in self.history.items()},
            seeds=self.seeds[own],
            best_epoch=self.best_epoch[own],
        )

    def member(self, index: int) -> "Fitted":
        """The population of one member, for pictures and for what is costly.

        Raises:
            IndexError: there is no such member.
        """
        if not 0 <= index < len(self.seeds):
            raise IndexError(f"member {index} of a population of {len(self.seeds)}")
        return self.members(slice(index, index + 1))
