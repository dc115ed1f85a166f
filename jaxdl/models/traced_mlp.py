"""Deep nets that differ in numbers only, so that a whole atlas of them trains as one population.

Activation function, initial scale, normalisation and shortcut are numbers (`Setting`), which may be
traced and may differ between the members of a vmapped population. Blocks of two layers, narrow ->
wide -> narrow, as in He et al., "Identity mappings in deep residual networks" (2016), with the
activation in front:

    h + wide_to_narrow(f(norm(narrow_to_wide(f(norm(h))))))        with the shortcut
        wide_to_narrow(f(norm(narrow_to_wide(f(norm(h))))))        without

Two widths, because in a net of one width LeCun's and Glorot's initial scales are the same number.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky relu", "gelu")
INITIALISERS = ("glorot", "he", "lecun", "too small", "too large")
NORMS = ("none", "batch", "layer")
EPSILON = 1e-5

# f(x) = a t + b + c x (1 + t) + d max(x, s x) with t = tanh(k x + l x ** 3); columns k l a b c d s.
# GELU in its tanh form: Hendrycks and Gimpel, "Gaussian error linear units" (2016).
_GELU = (2 / jnp.pi) ** 0.5
COEFFICIENTS = jnp.array(
    [
        [0.5, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0],
        [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.01],
        [_GELU, 0.044715 * _GELU, 0.0, 0.0, 0.5, 0.0, 0.0],
    ]
)


class Setting(NamedTuple):
    """One member of the atlas: indices into the tuples above, and 0 or 1 for the shortcut."""

    activation: Any
    initialiser: Any
    norm: Any
    shortcut: Any


def activate(x: Float[Array, "..."], activation: Any) -> Float[Array, "..."]:
    """The activation function of this index, element by element."""
    k, cubic, a, b, c, d, slope = COEFFICIENTS[jnp.asarray(activation, jnp.int32)]
    # beyond 20 tanh is 1 in float32, and the cube of a large number must not overflow
    bounded = jnp.clip(x, -20.0, 20.0)
    t = jnp.tanh(k * bounded + cubic * bounded**3)
    return a * t + b + c * x * (1 + t) + d * jnp.maximum(x, slope * x)


def slope(x: Float[Array, "..."], activation: Any) -> Float[Array, "..."]:
    """Derivative of `activate`."""
    return jax.jvp(lambda x: activate(x, activation), (x,), (jnp.ones_like(x),))[1]


def weight_scales(initialiser: Any, narrow: int, wide: int) -> tuple[Array, Array]:
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
    x: Float[Array, "batch units"], norm: Any, mask: Bool[Array, " batch"] | None = None
) -> Float[Array, "batch units"]:
    """Nothing, zero mean and unit variance of each unit over the batch, or of each row.

    Args:
        x: states of a layer.
        norm: index into `NORMS`.
        mask: the real rows of a padded batch, over which the batch's statistics are taken.
    """
    batch, layer = jnp.asarray(norm) == 1, jnp.asarray(norm) == 2
    real = None if mask is None else mask[:, None]
    batch_mean = x.mean(axis=0, keepdims=True, where=real)
    batch_variance = x.var(axis=0, keepdims=True, where=real)
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


def weights(params: Any, setting: Setting) -> tuple[Array, Array]:
    """Real kernels of the blocks, [blocks, narrow, wide] and [blocks, wide, narrow]."""
    narrow = params["stem"].shape[0]
    blocks, size = params["first"].shape
    first, second = weight_scales(setting.initialiser, narrow, size // narrow)
    return (
        first * params["first"].reshape(blocks, narrow, -1),
        second * params["second"].reshape(blocks, -1, narrow),
    )


class Taps(NamedTuple):
    """Added to what the layers give; the gradient with respect to zeros is what arrives there.

    `start` is the state in front of the first block; `inside` is behind the layers into the wide,
    `states` behind those back into the narrow (the change of the state, or the state itself).
    """

    start: Float[Array, "batch narrow"]
    inside: Float[Array, "blocks batch wide"]
    states: Float[Array, "blocks batch narrow"]


class Trace(NamedTuple):
    """What the layers into the wide (`outer`) and back into the narrow (`inner`) were given.

    `seen` is what the activation function got, `value` its value and so the layer's input.
    """

    outer_seen: Float[Array, "blocks batch narrow"]
    outer_value: Float[Array, "blocks batch narrow"]
    inner_seen: Float[Array, "blocks batch wide"]
    inner_value: Float[Array, "blocks batch wide"]


def zero_taps(params: Any, batch: int) -> Taps:
    """Taps that change nothing, for `batch` rows."""
    narrow = params["stem"].shape[0]
    blocks, size = params["first"].shape
    return Taps(
        jnp.zeros((batch, narrow)),
        jnp.zeros((blocks, batch, size // narrow)),
        jnp.zeros((blocks, batch, narrow)),
    )


def apply(
    params: Any,
    x: Float[Array, "batch narrow"],
    setting: Setting,
    taps: Taps | None = None,
    mask: Bool[Array, " batch"] | None = None,
) -> tuple[Float[Array, "batch classes"], Trace]:
    """Logits, and what went through the layers.

    Batch normalisation always uses the batch at hand.

    Args:
        params: as `init` makes them.
        x: rows of variance 1 in each column.
        setting: which net.
        taps: see `Taps`.
        mask: the real rows of a padded batch.
    """
    start, *inner_taps = (0.0, None, None) if taps is None else taps

    def block(h, layers):
        first, second, inside_tap, state_tap = layers
        outer_seen = normalise(h, setting.norm, mask)
        outer_value = activate(outer_seen, setting.activation)
        z = outer_value @ first + (0.0 if inside_tap is None else inside_tap)
        inner_seen = normalise(z, setting.norm, mask)
        inner_value = activate(inner_seen, setting.activation)
        h = setting.shortcut * h + inner_value @ second
        h = h + (0.0 if state_tap is None else state_tap)
        return h, Trace(outer_seen, outer_value, inner_seen, inner_value)

    layers = (*weights(params, setting), *inner_taps)
    # what a block computes is computed again on the way back: memory is what a population lacks
    h, trace = jax.lax.scan(jax.checkpoint(block), x @ params["stem"] + start, layers)
    last = activate(normalise(h, setting.norm, mask), setting.activation)
    return last @ params["head"], trace
