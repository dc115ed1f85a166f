"""Models as graphs of layers.

A graph is data: named inputs, named nodes (a layer and the names it reads from) and named outputs.
The Flax module, its summary and its drawing (`jaxdl.figures.graphs`) all come from that one
description. Lab 020 has seven such graphs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.models.conv2d import Conv2D, max_pool
from jaxdl.models.layers import glorot
from jaxdl.models.lstm import LSTM

Values = Float[Array, "batch ..."]
Factor = float | Float[Array, ""]


@runtime_checkable
class Layer(Protocol):
    """What a node does; `str(layer)` is how it is listed and drawn."""

    def __call__(self, name: str, *inputs: Values) -> Values:
        """The layer's output; `name` names its parameters."""


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

    def __call__(self, name: str, x: Values) -> Values:
        x = nn.Dense(self.units, kernel_init=glorot, name=name)(x)
        return nn.relu(x) if self.activation == "relu" else x

    def __str__(self) -> str:
        return f"dense {self.units}, {self.activation}"


@dataclass(frozen=True)
class Conv:
    """A convolution of square kernels without padding, and ReLU."""

    filters: int
    size: int

    def __call__(self, name: str, x: Values) -> Values:
        shape = (self.size, self.size)
        return nn.relu(Conv2D(self.filters, shape, padding="VALID", name=name)(x))

    def __str__(self) -> str:
        return f"conv {self.filters} of {self.size}x{self.size}, relu"


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each square; what is left over at the edges is dropped."""

    size: int

    def __call__(self, name: str, x: Values) -> Values:
        del name
        return max_pool(x, self.size)

    def __str__(self) -> str:
        return f"max pool {self.size}x{self.size}"


@dataclass(frozen=True)
class Flatten:
    """One row of numbers for each example."""

    def __call__(self, name: str, x: Values) -> Values:
        del name
        return x.reshape(x.shape[0], -1)

    def __str__(self) -> str:
        return "flatten"


@dataclass(frozen=True)
class Recurrent:
    """An LSTM: its last state, or the state after every step."""

    units: int
    return_sequences: bool = False

    def __call__(self, name: str, x: Values) -> Values:
        return LSTM(self.units, self.return_sequences, name=name)(x)

    def __str__(self) -> str:
        return f"LSTM {self.units}, {'every state' if self.return_sequences else 'last state'}"


@dataclass(frozen=True)
class Concatenate:
    """Side by side."""

    def __call__(self, name: str, *inputs: Values) -> Values:
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
    """The graph as a Flax module; called with a mapping that holds the inputs by name.

    >>> graph = Graph("sum", {"a": (3,)}, chain("a", ("output", Dense(1, "linear"))), ("output",))
    >>> rows = {"a": jnp.ones((4, 3))}
    >>> outputs, _ = FunctionalModel(graph).init_with_output(jax.random.key(0), rows, train=False)
    >>> outputs["output"].shape
    (4,)

    Attributes:
        graph: the model.
    """

    graph: Graph

    @nn.compact
    def values(
        self,
        x: Mapping[str, Values],
        train: bool,
        keep: Mapping[str, Factor] | None = None,
    ) -> dict[str, Values]:
        """The values of all inputs and nodes, by name.

        Args:
            x: the inputs.
            train: changes nothing.
            keep: factors of the values of inputs or nodes; 0 blanks one, to see what hangs on it.
        """
        del train
        factors = {} if keep is None else keep
        known = {}

        def remember(name, value):
            known[name] = value * factors[name] if name in factors else value

        for name in self.graph.inputs:
            remember(name, x[name])
        for node in self.graph.nodes:
            inputs = [known[name] for name in node.inputs]
            remember(node.name, node.layer(node.name, *inputs))
        return known

    def __call__(
        self,
        x: Mapping[str, Values],
        train: bool,
        keep: Mapping[str, Factor] | None = None,
    ) -> dict[str, Values]:
        """The outputs by name, each [batch, ...]; one column becomes [batch]."""
        known = self.values(x, train, keep)
        outputs = {}
        for name in self.graph.outputs:
            value = known[name]
            outputs[name] = value[..., 0] if value.shape[-1] == 1 else value
        return outputs


class SummaryRow(NamedTuple):
    """One input or node; `shape` is of one example."""

    name: str
    layer: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int


def summary(graph: Graph) -> list[SummaryRow]:
    """Every input and node with its output's shape and number of parameters; computes nothing."""
    model = FunctionalModel(graph)
    example = {
        name: jax.ShapeDtypeStruct((1, *shape), jnp.float32) for name, shape in graph.inputs.items()
    }
    values, variables = jax.eval_shape(
        lambda x: model.init_with_output(jax.random.key(0), x, False, method="values"), example
    )
    rows = [SummaryRow(name, "input", (), shape, 0) for name, shape in graph.inputs.items()]
    for name, layer, inputs in graph.nodes:
        parameters = jax.tree.leaves(variables["params"].get(name, {}))
        size = sum(leaf.size for leaf in parameters)
        rows.append(SummaryRow(name, str(layer), inputs, values[name].shape[1:], size))
    return rows


def chain(start: str, *named: tuple[str, Layer]) -> tuple[Node, ...]:
    """Nodes one after the other, the first one reading `start`.

    >>> [(node.name, node.inputs) for node in chain("x", ("a", Dense(2)), ("b", Flatten()))]
    [('a', ('x',)), ('b', ('a',))]
    """
    nodes = []
    before = start
    for name, layer in named:
        nodes.append(Node(name, layer, (before,)))
        before = name
    return tuple(nodes)
