"""The atlas of gradients: every combination of activation, initial scale, normalisation, shortcut.

One depth is one population (combinations x seeds) and so one program each to train, to measure and
to predict; what differs between its members are numbers (`jaxdl.models.traced_mlp.Setting`).
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxdl import losses
from jaxdl.diagnostics import mean_field, probes
from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import Setting
from jaxdl.training import Task
from jaxdl.training.population import cross
from jaxdl.training.task import row_mask

AXES = (traced_mlp.ACTIVATIONS, traced_mlp.INITIALISERS, traced_mlp.NORMS, ("plain", "shortcut"))
COMBINATIONS = tuple(
    Setting(*each) for each in itertools.product(*(range(len(axis)) for axis in AXES))
)


MEMBERS_AT_ONCE = 50  # that are measured together: all layers' values are kept


def names(setting: Setting) -> tuple[str, str, str, str]:
    """("relu", "he", "batch", "shortcut"), say."""
    return tuple(axis[int(i)] for axis, i in zip(AXES, setting, strict=True))


def population(
    combinations: Sequence[Setting], seeds: Sequence[int]
) -> tuple[dict[str, Float[np.ndarray, " members"]], np.ndarray]:
    """Settings as `Task.hyper`, and seeds; one combination after the other, each with all seeds."""
    columns = np.array(combinations, np.float32).T
    return cross(dict(zip(Setting._fields, columns, strict=True)), len(combinations), seeds)


def by_combination(values: Any, combinations: int) -> Any:
    """[members, ...] -> [combinations, seeds, ...], for every array of a tree."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(combinations, -1, *x.shape[1:]), values)


def task(
    hyper: Mapping[str, Array], blocks: int, wide: int, classes: int, learning_rate: float
) -> Task:
    """Classify {"x": [rows, narrow], "y": class} by plain gradient descent, clipped to norm 1.

    Descent shows what a gradient's size does, which Adam would hide; clipping keeps the exploding
    corner of the atlas finite, as one would in practice.

    Args:
        hyper: the members' settings, from `population`.
        blocks: half the number of hidden layers.
        wide: units of the wide layers; the narrow ones are as many as the columns of x.
        classes: of y.
        learning_rate: step size for the real weights.
    """

    def init(key, batch):
        return {"params": traced_mlp.init(key, blocks, batch["x"].shape[1], wide, classes)}

    def apply(variables, batch, key, train, hyper):
        setting, mask = Setting(**hyper), row_mask(batch)
        return traced_mlp.apply(variables["params"], batch["x"], setting, mask=mask)[0], {}

    def in_units(hyper):
        # parameters are weights / scale, so their gradient is scale times the weights' gradient,
        # and their step is the weights' step / scale
        def divide(tree, params):
            narrow = params["stem"].shape[0]
            first, second = traced_mlp.weight_scales(hyper["initialiser"], narrow, wide)
            return {**tree, "first": tree["first"] / first, "second": tree["second"] / second}

        return optax.stateless(divide)

    def optimizer(hyper):
        descent = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(learning_rate))
        return optax.chain(in_units(hyper), descent, in_units(hyper))

    return Task(
        init,
        apply,
        lambda outputs, batch, hyper: losses.softmax_cross_entropy(outputs, batch["y"]),
        optimizer,
        {"accuracy": lambda outputs, batch: losses.accuracy(outputs, batch["y"])},
        hyper,
    )


class Measured(NamedTuple):
    """What one net shows on a batch; layers and states from the input on.

    Attributes:
        signal: log10 of the root mean square gradient that arrives at each state.
        weights: log10 of the norm of each layer's weight gradient.
        examples: log10 of the norm of what single examples add to it: their 10 %, 50 % and 90 %
            quantiles.
        mean, sd, flat: of the activations (`probes.activation_statistics`).
    """

    signal: Float[Array, " states"]
    weights: Float[Array, " layers"]
    examples: Float[Array, "layers 3"]
    mean: Float[Array, " layers"]
    sd: Float[Array, " layers"]
    flat: Float[Array, " layers"]


def measure_one(
    params: Any, setting: Setting, x: Float[Array, "batch narrow"], y: Array
) -> Measured:
    """One backward pass through one net gives all of `Measured`."""

    def mean_loss(taps):
        logits, trace = traced_mlp.apply(params, x, setting, taps)
        return losses.softmax_cross_entropy(logits, y).mean(), trace

    deltas, trace = jax.grad(mean_loss, has_aux=True)(traced_mlp.zero_taps(params, len(x)))
    states = jnp.concatenate([deltas.start[None], deltas.states])
    outer = _layer(trace.outer_seen, trace.outer_value, deltas.inside, setting)
    inner = _layer(trace.inner_seen, trace.inner_value, deltas.states, setting)
    # layers in the order in which they are passed: into the wide, back into the narrow, ...
    both = jax.tree.map(lambda a, b: jnp.stack([a, b], 1).reshape(-1, *a.shape[1:]), outer, inner)
    return Measured(_log_norm(states, (1, 2)) - 0.5 * jnp.log10(states[0].size), *both)


def _layer(seen, value, delta, setting):
    gradient = jnp.einsum("kbi,kbo->kio", _unit(value), _unit(delta))
    # the factors that `_unit` took out, so that nothing under- or overflows on the way
    sizes = _log_size(value) + _log_size(delta)
    examples = probes.dense_gradient_norms(_unit(value), _unit(delta)) * len(delta[0])
    spread = jnp.log10(jnp.quantile(examples, jnp.array([0.1, 0.5, 0.9]), axis=1).T + 1e-37)
    stats = probes.activation_statistics(value, traced_mlp.slope(seen, setting.activation))
    weights = _log_norm(gradient, (1, 2)) + sizes
    return weights, spread + sizes[:, None], stats["mean"], stats["sd"], stats["flat"]


def _log_size(x: Array) -> Array:
    return jnp.log10(jnp.maximum(jnp.abs(x).max(axis=(1, 2)), 1e-37))


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.abs(x).max(axis=(1, 2), keepdims=True), 1e-37)


def _log_norm(x: Array, axes: tuple[int, ...]) -> Array:
    squares = jnp.square(_unit(x)).sum(axis=axes)
    return _log_size(x) + 0.5 * jnp.log10(jnp.maximum(squares, 1e-37))


@jax.jit
def _measure_all(params: Any, hyper: Mapping[str, Array], x: Array, y: Array) -> Measured:
    def one(member):
        return measure_one(member[0], Setting(**member[1]), x, y)

    return jax.lax.map(one, (params, dict(hyper)), batch_size=MEMBERS_AT_ONCE)


def measure(
    params: Any, hyper: Mapping[str, Array], batch: Mapping[str, np.ndarray], combinations: int
) -> Measured:
    """`measure_one` for every member; arrays [combinations, seeds, ...]."""
    return by_combination(_measure_all(params, hyper, batch["x"], batch["y"]), combinations)


@partial(jax.jit, static_argnames=("blocks", "narrow", "wide"))
def _predict(settings: Setting, blocks: int, narrow: int, wide: int) -> Array:
    return jax.vmap(lambda s: mean_field.gradient_profile(s, blocks, narrow, wide))(settings)


def predict(
    combinations: Sequence[Setting], blocks: int, narrow: int, wide: int
) -> Float[np.ndarray, "combinations states"]:
    """Theory's gradient profile of every combination, log10, relative to the last state."""
    settings = Setting(*np.array(combinations, np.int32).T)
    return np.asarray(_predict(settings, blocks, narrow, wide))


def activations_at_start(
    x: Float[np.ndarray, "batch narrow"], seed: int, layers: int, wide: int
) -> dict[str, dict[int, np.ndarray]]:
    """Activations of six plain nets and six layers, for their histograms: net -> layer -> values.

    Args:
        x: rows.
        seed: of the draw of weights, the same as in the atlas.
        layers, wide: sizes of the nets.
    """
    params = traced_mlp.init(jax.random.key(seed), layers // 2, x.shape[1], wide, 10)
    picked = np.unique(np.linspace(0, layers - 1, 6).astype(int))
    shown = (
        ("sigmoid", "glorot", "none"),
        ("sigmoid", "glorot", "batch"),
        ("tanh", "glorot", "none"),
        ("tanh", "too large", "none"),
        ("relu", "too small", "none"),
        ("relu", "he", "none"),
    )
    values = {}
    for activation, initialiser, norm in shown:
        mask = chosen(activation=activation, initialiser=initialiser, norm=norm, shortcut="plain")
        setting = COMBINATIONS[int(np.flatnonzero(mask)[0])]
        trace = traced_mlp.apply(params, jnp.asarray(x), setting)[1]
        every = [v for pair in zip(trace.outer_value, trace.inner_value, strict=True) for v in pair]
        name = ", ".join((activation, initialiser) + ((norm,) if norm != "none" else ()))
        values[name] = {int(i) + 1: np.asarray(every[i]) for i in picked}
    return values


@jax.jit
def weight_change(params: Any, start: Any) -> Float[Array, "members layers"]:
    """How far each layer's kernel has moved, relative to its norm at the start."""

    def moved(name):
        change = jnp.linalg.norm(params[name] - start[name], axis=-1)
        return change / jnp.linalg.norm(start[name], axis=-1)

    both = jnp.stack([moved("first"), moved("second")], axis=-1)
    return both.reshape(len(both), -1)


class Depth(NamedTuple):
    """All that is known of one depth; arrays [combinations, seeds, ...] but for `theory`.

    Attributes:
        layers: hidden layers.
        start, end: measured before and after training.
        theory: predicted profile, [combinations, states].
        loss, accuracy: on validation rows after training.
        moved: relative change of each layer's kernel.
    """

    layers: int
    start: Measured
    end: Measured
    theory: Float[np.ndarray, "combinations states"]
    loss: Float[np.ndarray, "combinations seeds"]
    accuracy: Float[np.ndarray, "combinations seeds"]
    moved: Float[np.ndarray, "combinations seeds layers"]

    @property
    def ratio(self) -> Float[np.ndarray, "combinations seeds"]:
        """log10 of the gradient at the first state over that at the last, at the start."""
        return self.start.signal[..., 0] - self.start.signal[..., -1]


def chosen(**wanted: str) -> np.ndarray:
    """Mask of the combinations with these names: chosen(norm="none", activation="relu"), say."""
    mask = [
        all(dict(zip(Setting._fields, names(s), strict=True))[k] == v for k, v in wanted.items())
        for s in COMBINATIONS
    ]
    return np.array(mask)


def kinds() -> list[tuple[str, str]]:
    """(norm, shortcut) in the order of tables and figures."""
    return [(norm, shortcut) for shortcut in AXES[3] for norm in AXES[2]]
