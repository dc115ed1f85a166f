"""Gradient transforms that optax lacks: penalties, a proximal L1 step, Keras's Adam, lookahead.

Chain them in front of an optimiser, so that nothing hides inside a model:

    optax.chain(elastic_net(l1=1e-5, l2=1e-4), adam(learning_rate))

Everything else (clipping by global norm, schedules, momentum) is used from optax as it is.
Strengths and learning rates are only ever multiplied, so they may be traced and may differ between
the members of a vmapped population.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

Strength = float | Float[Array, ""]
Where = Callable[[tuple[str, ...]], bool]


def is_kernel(names: tuple[str, ...]) -> bool:
    """True for the weights of dense, convolution and recurrent layers.

    Biases, normalisation scales and embeddings are left alone, as by Keras's `kernel_regularizer`.
    """
    return names[-1] == "kernel"


def _names(path: tuple) -> tuple[str, ...]:
    """('Dense_0', 'kernel') from a tree path, whatever kind of container made it."""
    return tuple(jax.tree_util.keystr((entry,), simple=True) for entry in path)


def _chosen(params: Any, where: Where) -> Any:
    """A tree of Python booleans: which leaves `where` picks.

    Raises:
        ValueError: it picks none, so that the penalty would silently do nothing.
    """
    chosen = jax.tree_util.tree_map_with_path(lambda path, _: bool(where(_names(path))), params)
    if not any(jax.tree.leaves(chosen)):
        raise ValueError("the penalty applies to no parameter: check `where` against leaf names")
    return chosen


def elastic_net(
    l1: Strength, l2: Strength, where: Where = is_kernel
) -> optax.GradientTransformation:
    """Adds the gradient of `l1 * sum|w| + l2 * sum(w ** 2)` to the gradients of kernels.

    Keras's convention: no factor 1/2, so the L2 part is `2 * l2 * w`. The subgradient of |w| at 0
    is taken as 0. Because this enters before the optimiser, Adam rescales it with the rest (this is
    the penalty of lab 040, not AdamW's decoupled decay, which is `optax.add_decayed_weights`).

    Args:
        l1, l2: strengths.
        where: takes a parameter's path, such as ('Dense_0', 'kernel'); True where it is penalised.

    Raises:
        ValueError: at the first update, if `where` picks no parameter or params were not passed.
    """

    def add(grads, params):
        if params is None:
            raise ValueError("a penalty needs the parameters: call update(grads, state, params)")
        return jax.tree.map(
            lambda g, w, chosen: g + l1 * jnp.sign(w) + 2 * l2 * w if chosen else g,
            grads,
            params,
            _chosen(params, where),
        )

    return optax.stateless(add)


def l1(strength: Strength, where: Where = is_kernel) -> optax.GradientTransformation:
    """Adds the subgradient of `strength * sum|w|` for kernels; see `elastic_net`."""
    return elastic_net(l1=strength, l2=0.0, where=where)


def l2(strength: Strength, where: Where = is_kernel) -> optax.GradientTransformation:
    """Adds the gradient of `strength * sum(w ** 2)` for kernels; see `elastic_net`."""
    return elastic_net(l1=0.0, l2=strength, where=where)


def penalty(
    params: Any, l1: Strength = 0.0, l2: Strength = 0.0, where: Where = is_kernel
) -> Float[Array, ""]:
    """`l1 * sum|w| + l2 * sum(w ** 2)` over kernels: what to report beside the data loss.

    Raises:
        ValueError: `where` picks no parameter.
    """
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(_chosen(params, where)), strict=True)
    terms = [l1 * jnp.abs(w).sum() + l2 * jnp.square(w).sum() for w, chosen in pairs if chosen]
    return jnp.stack(terms).sum()


class SoftThresholdState(NamedTuple):
    """`count`: steps done, for a learning-rate schedule."""

    count: Array


def soft_threshold(
    strength: Strength,
    learning_rate: Strength | optax.Schedule,
    where: Where = is_kernel,
) -> optax.GradientTransformation:
    """L1 as a proximal step: after the update, kernels shrink by `learning_rate * strength`, to 0.

    Must be the last transform of a chain. It turns the update u of a weight w into
    `prox(w + u) - w`, with `prox(z) = sign(z) * max(|z| - learning_rate * strength, 0)`, so that
    small weights become exactly 0, which adding a subgradient never achieves. With plain gradient
    descent this is ISTA (Daubechies, Defrise and De Mol, 2004); after Adam it is a decoupled
    shrinkage with the same step for every weight.

    Args:
        strength: factor of `sum|w|`.
        learning_rate: the number or the optax schedule that the optimiser in front uses.
        where: as in `elastic_net`.

    Raises:
        ValueError: at the first update, if `where` picks no parameter or params were not passed.
    """

    def init(params):
        del params
        return SoftThresholdState(jnp.zeros((), jnp.int32))

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("soft_threshold needs the parameters: call update(u, state, params)")
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        shrink = rate * strength

        def prox(u, w, chosen):
            if not chosen:
                return u
            z = w + u
            return jnp.sign(z) * jnp.maximum(jnp.abs(z) - shrink, 0.0) - w

        updates = jax.tree.map(prox, updates, params, _chosen(params, where))
        return updates, SoftThresholdState(optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)


def scale_by_keras_adam(
    b1: Strength = 0.9, b2: Strength = 0.999, epsilon: Strength = 1e-7
) -> optax.GradientTransformation:
    """Adam's direction with epsilon where Keras has it: beside the uncorrected second moment.

    Keras follows the last paragraph of section 2 in Kingma and Ba, "Adam" (2014): it corrects the
    bias in the step length and divides by `sqrt(v) + epsilon`; optax corrects v first. The two
    differ while v is small against epsilon: for rare inputs, in the first steps.
    """

    def update(grads, state, params=None):
        del params
        count = optax.safe_increment(state.count)
        mu = jax.tree.map(lambda m, g: m + (1 - b1) * (g - m), state.mu, grads)
        nu = jax.tree.map(lambda v, g: v + (1 - b2) * (jnp.square(g) - v), state.nu, grads)
        step = count.astype(jnp.float32)
        correction = jnp.sqrt(1 - b2**step) / (1 - b1**step)
        updates = jax.tree.map(lambda m, v: correction * m / (jnp.sqrt(v) + epsilon), mu, nu)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


def adam(
    learning_rate: Strength | optax.Schedule = 1e-3,
    b1: Strength = 0.9,
    b2: Strength = 0.999,
    epsilon: Strength = 1e-7,
) -> optax.GradientTransformation:
    """What "adam" means in Keras, and so in the labs: its defaults and its place for epsilon.

    `optax.flatten(adam(...))` treats all leaves as one vector. On a CPU it saves part of the
    optimiser's time in a network of a few hundred weights, and costs more than it saves in larger
    ones, so it is not the default.
    """
    return optax.chain(
        scale_by_keras_adam(b1, b2, epsilon), optax.scale_by_learning_rate(learning_rate)
    )


def cosine(peak: float, epochs: int, rows: int, batch_size: int) -> optax.Schedule:
    """A learning rate that rises over the first twentieth of the steps and falls to 0 at the end.

    Args:
        peak: the highest rate.
        epochs, rows, batch_size: of the fit; they give the number of steps.
    """
    # a fit refuses batches of no rows, and says so; this only has to let it
    steps = max(epochs * -(-rows // max(batch_size, 1)), 1)
    return optax.warmup_cosine_decay_schedule(0.0, peak, max(steps // 20, 1), max(steps, 2))


def triangle(peak: float, steps: int, at: float, first: float, last: float) -> optax.Schedule:
    """A rate that rises on a straight line to its peak, and falls on another one to the end.

    Args:
        peak: the highest rate.
        steps: of the whole training.
        at: where the peak is, as a share of the steps.
        first, last: the rates at the first step and behind the last, as shares of the peak.

    >>> rate = triangle(10.0, steps=100, at=0.2, first=0.5, last=0.0)
    >>> [float(rate(step)) for step in (0, 10, 20, 60, 100)]
    [5.0, 7.5, 10.0, 5.0, 0.0]
    """
    places = jnp.array([0.0, at * steps, steps])
    values = peak * jnp.array([first, 1.0, last])

    def rate(count):
        return jnp.interp(jnp.asarray(count, jnp.float32), places, values)

    return rate


class LookaheadState(NamedTuple):
    """`slow`: the averaged weights; `count`: steps done."""

    slow: Any
    count: Array


def lookahead(
    keep: float | Float[Array, ""] | optax.Schedule, every: int
) -> optax.GradientTransformation:
    """Every few steps the weights are pulled to an average of themselves, and go on from there.

    Zhang et al., "Lookahead optimizer: k steps forward, 1 step back" (2019). Must be the last
    transform of a chain. `optax.lookahead` does the same with a pair of weights in the place of the
    parameters; here the slow ones are the transform's own state, so that models see nothing of it,
    and `keep` may change over the training.

    Args:
        keep: how much of the slow weights stays when they meet the fast ones: 0 switches the
            averaging off, 1 would stand still. A schedule is asked with the number of steps done.
        every: steps from one meeting to the next.
    """

    def init(params):
        return LookaheadState(params, jnp.zeros((), jnp.int32))

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("lookahead needs the parameters: call update(u, state, params)")
        count = optax.safe_increment(state.count)
        share = keep(count) if callable(keep) else keep
        meet = count % every == 0

        def met(slow, w, u):
            return jnp.where(meet, share * slow + (1 - share) * (w + u), slow)

        slow = jax.tree.map(met, state.slow, params, updates)
        updates = jax.tree.map(
            lambda slow, w, u: jnp.where(meet, slow - w, u), slow, params, updates
        )
        return updates, LookaheadState(slow, count)

    return optax.GradientTransformation(init, update)
