"""Deep nets that differ in numbers only, so that many kinds of them train as one population.

Activation function, initial scale, normalisation and shortcut are numbers (`Setting`), which may be
traced and may differ between the members of a vmapped population. Blocks of two layers, narrow ->
wide -> narrow, as in He et al., "Identity mappings in deep residual networks" (2016), with the
activation in front:

    h + wide_to_narrow(f(norm(narrow_to_wide(f(norm(h))))))        with the shortcut
        wide_to_narrow(f(norm(narrow_to_wide(f(norm(h))))))        without

Two widths, because in a net of one width LeCun's and Glorot's initial scales are the same number.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky relu", "gelu")
INITIALISERS = ("glorot", "he", "lecun", "too small", "too large")
NORMS = ("none", "batch", "layer")
SHORTCUTS = ("plain", "shortcut")
EPSILON = 1e-5

Number = int | float | Array  # a Python number, or one that is traced
Params = Mapping[str, Float[Array, "..."]]

# Every activation function is a line of this table in one formula, so that its index may be traced:
# f(x) = a t + b + c x (1 + t) + d max(x, s x) with t = tanh(k x + l x ** 3).
# GELU in its tanh form: Hendrycks and Gimpel, "Gaussian error linear units" (2016).
_GELU = (2 / jnp.pi) ** 0.5
COEFFICIENTS = jnp.array(
    [
        # k, l, a, b, c, d, s
        [0.5, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0],  # sigmoid: (1 + tanh(x / 2)) / 2
        [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],  # tanh
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],  # relu: max(x, 0)
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.01],  # leaky relu: max(x, x / 100)
        [_GELU, 0.044715 * _GELU, 0.0, 0.0, 0.5, 0.0, 0.0],  # gelu: x (1 + t) / 2
    ]
)


class Setting(NamedTuple):
    """Which net: indices into `ACTIVATIONS`, `INITIALISERS`, `NORMS` and `SHORTCUTS`."""

    activation: Number
    initialiser: Number
    norm: Number
    shortcut: Number


def setting(
    activation: str, initialiser: str, norm: str = "none", shortcut: str = "plain"
) -> Setting:
    """The setting with these names.

    >>> setting("relu", "he", norm="batch")
    Setting(activation=2, initialiser=1, norm=1, shortcut=0)
    """
    return Setting(
        ACTIVATIONS.index(activation),
        INITIALISERS.index(initialiser),
        NORMS.index(norm),
        SHORTCUTS.index(shortcut),
    )


def activate(x: Float[Array, "..."], activation: Number) -> Float[Array, "..."]:
    """The activation function of this index, element by element.

    >>> activate(jnp.array([-1.0, 2.0]), ACTIVATIONS.index("relu")).tolist()
    [0.0, 2.0]
    """
    k, cubic, a, b, c, d, leak = COEFFICIENTS[jnp.asarray(activation, jnp.int32)]
    # beyond 20 tanh is 1 in float32, and the cube of a large number must not overflow
    bounded = jnp.clip(x, -20.0, 20.0)
    t = jnp.tanh(k * bounded + cubic * bounded**3)
    return a * t + b + c * x * (1 + t) + d * jnp.maximum(x, leak * x)


def slope(x: Float[Array, "..."], activation: Number) -> Float[Array, "..."]:
    """Derivative of `activate`."""
    return jax.jvp(lambda x: activate(x, activation), (x,), (jnp.ones_like(x),))[1]


def weight_scales(initialiser: Number, narrow: int, wide: int) -> tuple[Array, Array]:
    """Initial standard deviations of the kernels narrow -> wide and wide -> narrow.

    Variances: Glorot 2 / (in + out), He 2 / in, LeCun 1 / in; too small and too large are a
    quarter of LeCun's and four times as much.
    """
    both = 2 / (narrow + wide)
    factors = (2.0, 1.0, 0.25, 4.0)
    variances = jnp.array([(both, both), *((factor / narrow, factor / wide) for factor in factors)])
    scales = jnp.sqrt(variances)[jnp.asarray(initialiser, jnp.int32)]
    return scales[..., 0], scales[..., 1]


def normalise(
    x: Float[Array, "batch units"], norm: Number, mask: Bool[Array, " batch"] | None = None
) -> Float[Array, "batch units"]:
    """Nothing, zero mean and unit variance of each unit over the batch, or of each row.

    Args:
        x: states of a layer.
        norm: index into `NORMS`.
        mask: the real rows of a padded batch, over which the batch's statistics are taken.
    """
    batch, layer = jnp.asarray(norm) == 1, jnp.asarray(norm) == 2
    real = None if mask is None else mask[:, None]
    batch_mean = jnp.mean(x, axis=0, keepdims=True, where=real)
    batch_variance = jnp.var(x, axis=0, keepdims=True, where=real)
    mean = batch * batch_mean + layer * x.mean(axis=1, keepdims=True)
    variance = batch * batch_variance + layer * x.var(axis=1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(jnp.where(batch | layer, variance + EPSILON, 1.0))


def init(
    key: PRNGKeyArray, blocks: int, narrow: int, wide: int, classes: int
) -> dict[str, Float[Array, "..."]]:
    """Parameters, normally distributed.

    Kernels of the blocks are kept in units of their initial deviation (`weights` gives the real
    ones), so that nets of all initial scales start from one draw. Each is kept as one row.
    """
    first, second, stem, head = jax.random.split(key, 4)
    return {
        "first": jax.random.normal(first, (blocks, narrow * wide)),
        "second": jax.random.normal(second, (blocks, wide * narrow)),
        "stem": jax.random.normal(stem, (narrow, narrow)) / narrow**0.5,
        "head": jax.random.normal(head, (narrow, classes)) / narrow**0.5,
    }


def weights(params: Params, setting: Setting) -> tuple[Array, Array]:
    """Real kernels of the blocks, [blocks, narrow, wide] and [blocks, wide, narrow]."""
    narrow = params["stem"].shape[0]
    blocks, size = params["first"].shape
    first, second = weight_scales(setting.initialiser, narrow, size // narrow)
    return (
        first * params["first"].reshape(blocks, narrow, -1),
        second * params["second"].reshape(blocks, -1, narrow),
    )


class Perturbations(NamedTuple):
    """Zeros added to what the layers give; the gradient with respect to them is what arrives there.

    Attributes:
        start: added to the state in front of the first block.
        inside: added behind the layers narrow -> wide.
        states: added behind the layers wide -> narrow, to the state that a block hands on.
    """

    start: Float[Array, "batch narrow"]
    inside: Float[Array, "blocks batch wide"]
    states: Float[Array, "blocks batch narrow"]


class Trace(NamedTuple):
    """What went through the layers narrow -> wide (`outer`) and wide -> narrow (`inner`).

    `seen` is what the activation function got, `value` its value and so the layer's input.
    """

    outer_seen: Float[Array, "blocks batch narrow"]
    outer_value: Float[Array, "blocks batch narrow"]
    inner_seen: Float[Array, "blocks batch wide"]
    inner_value: Float[Array, "blocks batch wide"]


def zero_perturbations(params: Params, batch: int) -> Perturbations:
    """The perturbations of a net for `batch` rows."""
    narrow = params["stem"].shape[0]
    blocks, size = params["first"].shape
    return Perturbations(
        jnp.zeros((batch, narrow)),
        jnp.zeros((blocks, batch, size // narrow)),
        jnp.zeros((blocks, batch, narrow)),
    )


def apply(
    params: Params,
    x: Float[Array, "batch narrow"],
    setting: Setting,
    perturbations: Perturbations | None = None,
    mask: Bool[Array, " batch"] | None = None,
) -> tuple[Float[Array, "batch classes"], Trace]:
    """Logits, and what went through the layers.

    Batch normalisation always uses the batch at hand.

    Args:
        params: as `init` makes them.
        x: rows of variance 1 in each column.
        setting: which net.
        perturbations: zeros to take the gradient with respect to; None in training.
        mask: the real rows of a padded batch.
    """
    start, inside, states = perturbations or (0.0, None, None)

    def block(state, layers):
        first, second, inside, change = layers
        outer_seen = normalise(state, setting.norm, mask)
        outer_value = activate(outer_seen, setting.activation)
        hidden = outer_value @ first + (0.0 if inside is None else inside)
        inner_seen = normalise(hidden, setting.norm, mask)
        inner_value = activate(inner_seen, setting.activation)
        state = setting.shortcut * state + inner_value @ second
        state = state + (0.0 if change is None else change)
        return state, Trace(outer_seen, outer_value, inner_seen, inner_value)

    layers = (*weights(params, setting), inside, states)
    # what a block computes is computed again on the way back: memory is what a population lacks
    last, trace = jax.lax.scan(jax.checkpoint(block), x @ params["stem"] + start, layers)
    last = activate(normalise(last, setting.norm, mask), setting.activation)
    return last @ params["head"], trace
