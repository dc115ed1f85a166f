"""Models as graphs of layers: the seven topologies of lab 020, and what any such graph can tell.

A graph is data: named inputs, named nodes (a layer and the names it reads from) and named outputs.
The Flax module, the summary and the drawing all come from that one description.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxdl.models.conv2d import Conv2D, max_pool
from jaxdl.models.layers import glorot
from jaxdl.models.lstm import LSTM


class Layer(Protocol):
    """What a node does; `str(layer)` is how it is listed and drawn."""

    def __call__(self, name: str, *inputs: Array) -> Array: ...


@dataclass(frozen=True)
class Dense:
    """A dense layer on the last axis: of a series, one that all its steps share.

    Attributes:
        units: columns out.
        activation: "relu", "linear", or "sigmoid", whose output here is the logit: the sigmoid is
            part of the loss, where it loses no precision.
    """

    units: int
    activation: str = "relu"

    def __call__(self, name: str, x: Array) -> Array:
        x = nn.Dense(self.units, kernel_init=glorot, name=name)(x)
        return nn.relu(x) if self.activation == "relu" else x

    def __str__(self) -> str:
        return f"dense {self.units}, {self.activation}"


@dataclass(frozen=True)
class Conv:
    """A convolution of square kernels without padding, and ReLU."""

    filters: int
    size: int

    def __call__(self, name: str, x: Array) -> Array:
        shape = (self.size, self.size)
        return nn.relu(Conv2D(self.filters, shape, padding="VALID", name=name)(x))

    def __str__(self) -> str:
        return f"conv {self.filters} of {self.size}x{self.size}, relu"


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each square; what is left over at the edges is dropped."""

    size: int

    def __call__(self, name: str, x: Array) -> Array:
        del name
        return max_pool(x, self.size)

    def __str__(self) -> str:
        return f"max pool {self.size}x{self.size}"


@dataclass(frozen=True)
class Flatten:
    """One row of numbers for each example."""

    def __call__(self, name: str, x: Array) -> Array:
        del name
        return x.reshape(x.shape[0], -1)

    def __str__(self) -> str:
        return "flatten"


@dataclass(frozen=True)
class Recurrent:
    """An LSTM: its last state, or the state after every step."""

    units: int
    return_sequences: bool = False

    def __call__(self, name: str, x: Array) -> Array:
        return LSTM(self.units, self.return_sequences, name=name)(x)

    def __str__(self) -> str:
        return f"LSTM {self.units}, {'every state' if self.return_sequences else 'last state'}"


@dataclass(frozen=True)
class Concatenate:
    """Side by side."""

    def __call__(self, name: str, *inputs: Array) -> Array:
        del name
        return jnp.concatenate(inputs, axis=-1)

    def __str__(self) -> str:
        return "concatenate"


class Node(NamedTuple):
    """A layer with a name and the names of what it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A model as data.

    Attributes:
        title: what the lecture calls it.
        inputs: name -> shape of one example.
        nodes: in an order in which each can be computed.
        outputs: names of nodes.
    """

    title: str
    inputs: Mapping[str, tuple[int, ...]]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]


class FunctionalModel(nn.Module):
    """The graph as a Flax module; called with a mapping that holds the inputs by name."""

    graph: Graph

    @nn.compact
    def values(
        self, x: Mapping[str, Array], train: bool, keep: Mapping[str, Any] | None = None
    ) -> dict[str, Array]:
        """The values of all inputs and nodes, by name.

        Args:
            x: the inputs.
            train: changes nothing.
            keep: factors of the values of inputs or nodes; 0 blanks one, to see what hangs on it.
        """
        del train
        known = self._kept({name: x[name] for name in self.graph.inputs}, keep)
        for name, layer, inputs in self.graph.nodes:
            value = layer(name, *(known[each] for each in inputs))
            known |= self._kept({name: value}, keep)
        return known

    def __call__(
        self, x: Mapping[str, Array], train: bool, keep: Mapping[str, Any] | None = None
    ) -> dict[str, Array]:
        """The outputs by name, each [batch, ...]; one column becomes [batch]."""
        known = self.values(x, train, keep)
        outputs = {name: known[name] for name in self.graph.outputs}
        return {k: v[..., 0] if v.shape[-1] == 1 else v for k, v in outputs.items()}

    def _kept(self, values: dict[str, Array], keep: Mapping[str, Any] | None) -> dict[str, Array]:
        return {k: v * keep[k] if k in (keep or {}) else v for k, v in values.items()}


class SummaryRow(NamedTuple):
    """One input or node; `shape` is of one example."""

    name: str
    layer: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int


def summary(graph: Graph) -> list[SummaryRow]:
    """Every input and node with its output's shape and number of parameters; computes nothing."""
    batch = {name: jax.ShapeDtypeStruct((1, *s), jnp.float32) for name, s in graph.inputs.items()}
    model = FunctionalModel(graph)
    values, variables = jax.eval_shape(
        lambda x: model.init_with_output(jax.random.key(0), x, False, method="values"), batch
    )
    params = variables["params"]
    rows = [SummaryRow(name, "input", (), shape, 0) for name, shape in graph.inputs.items()]
    for name, layer, inputs in graph.nodes:
        size = sum(leaf.size for leaf in jax.tree.leaves(params.get(name, {})))
        rows.append(SummaryRow(name, str(layer), inputs, values[name].shape[1:], size))
    return rows


def chain(start: str, *named: tuple[str, Layer]) -> tuple[Node, ...]:
    """Nodes one after the other, the first one reading `start`."""
    names = [start, *(name for name, _ in named)]
    return tuple(Node(name, layer, (names[i],)) for i, (name, layer) in enumerate(named))
