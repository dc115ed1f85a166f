"""The pure train step and the programs made of it.

`train_step(task, state, batch, mask, hyper) -> state` is for one member. `scan_steps` runs many
steps in one program, `one_step` runs one; which is faster depends on the size of a step and on the
device (`benchmarks/scan_or_loop.py` measures it), and `prefers_scan` decides.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxdl.training import parallel
from jaxdl.training.state import TrainState
from jaxdl.training.task import ROW_MASK, Batch, Hyper, Task, forward

# Below this many floating-point operations in a step, a CPU spends more time on dispatch than on
# arithmetic and one program of many steps wins; above it the two are even or, since operations
# inside a loop body run on one core, single steps win.
SCAN_BELOW_FLOP = 6_000_000


def over_members(function: Callable) -> Callable:
    """`jax.vmap` over the seed axis; a population of one runs without it.

    Besides being simpler to compile, that is what lets convolutions train on JAX 0.7, whose vmap
    of a convolution's gradient fails.
    """

    def run(*args):
        if {leaf.shape[0] for leaf in jax.tree.leaves(args)} != {1}:
            return jax.vmap(function)(*args)
        alone = function(*jax.tree.map(lambda x: x[0], args))
        return jax.tree.map(lambda x: x[None], alone)

    return run


def may_be_padded(data: Batch, batch_size: int) -> bool:
    """Whether an epoch over `data` ends with a padded batch. Known while a program is compiled.

    Only then do models get a row mask: without padding nothing is computed that is not needed.
    """
    return next(iter(data.values())).shape[0] % batch_size != 0


def train_step(
    task: Task,
    state: TrainState,
    batch: Batch,
    mask: Bool[Array, " batch"],
    hyper: Hyper,
    active: Bool[Array, ""] | None = None,
) -> TrainState:
    """One optimiser step of one member: the mean loss over the real rows, its gradient, an update.

    Args:
        task: what is trained.
        state: one member (no seed axis).
        batch: arrays [batch, ...], and the mask under `ROW_MASK` where there may be padding.
        mask: which rows are real; the others are padding and count for nothing.
        hyper: this member's hyper-parameters.
        active: False leaves the member as it is (it has stopped early).
    """
    key = jax.random.fold_in(jax.random.key(state.seed), state.step)
    rows = mask.astype(jnp.float32)
    weight = rows.sum()

    def mean_loss(params):
        variables = {"params": params, **state.model_state}
        outputs, changed = forward(task, variables, batch, key, True, hyper)
        loss = task.loss(outputs, batch, hyper)
        return (loss * rows).sum() / weight, (outputs, loss, changed)

    grad_fn = jax.value_and_grad(mean_loss, has_aux=True)
    (mean, (outputs, loss, changed)), grads = grad_fn(state.params)
    updates, opt_state = task.optimizer(hyper).update(grads, state.opt_state, state.params)

    sums = {"loss": (loss * rows).sum(), "weight": weight}
    sums |= {name: (metric(outputs, batch) * rows).sum() for name, metric in task.metrics.items()}
    bad = (state.bad_step < 0) & ~jnp.isfinite(mean)
    new = TrainState(
        step=state.step + 1,
        seed=state.seed,
        params=optax.apply_updates(state.params, updates),
        model_state={**state.model_state, **changed},
        opt_state=opt_state,
        totals=jax.tree.map(jnp.add, state.totals, sums),
        bad_step=jnp.where(bad, state.step, state.bad_step),
    )
    if active is None:
        return new
    frozen = jax.tree.map(lambda after, before: jnp.where(active, after, before), new, state)
    return frozen.replace(step=new.step)


def scan_steps(
    task: Task,
    state: TrainState,
    data: Batch,
    order: Int[Array, "seeds steps batch"],
    mask: Bool[Array, "steps batch"],
    count: Int[Array, ""],
    hyper: Hyper,
    active: Bool[Array, " seeds"] | None,
) -> TrainState:
    """The first `count` steps of `order` for all members, in one program.

    The rows of all steps are gathered at once, which on a CPU beats gathering inside the loop.
    `count` is traced, so that the shorter last piece of an epoch needs no second compilation.
    """

    padded = may_be_padded(data, order.shape[-1])

    def member(state, order, hyper, active):
        batches = jax.tree.map(
            lambda x: x[order.reshape(-1)].reshape(order.shape + x.shape[1:]), dict(data)
        )
        return _scan(task, state, batches, mask, count, hyper, active, padded)

    return over_members(member)(state, order, dict(hyper), active)


def _scan(task, state, batches, mask, count, hyper, active, padded) -> TrainState:
    """The first `count` of the batches [steps, batch, ...] for one member."""

    def body(i, state):
        return _indexed_step(task, state, batches, mask, i, hyper, active, padded)

    return jax.lax.fori_loop(0, count, body, state)


def _indexed_step(task, state, batches, mask, i, hyper, active, padded) -> TrainState:
    """The step on batch number `i` of batches [steps, batch, ...] for one member."""
    batch = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, 0, False), dict(batches))
    rows = jax.lax.dynamic_index_in_dim(mask, i, 0, False)
    if padded:
        batch[ROW_MASK] = rows
    return train_step(task, state, parallel.split_batch(batch), rows, hyper, active)


def scan_batches(
    task: Task,
    state: TrainState,
    batches: Batch,
    mask: Bool[Array, "steps batch"],
    count: Int[Array, ""],
    hyper: Hyper,
    active: Bool[Array, " seeds"] | None,
    padded: bool,
) -> TrainState:
    """The first `count` steps on batches [steps, batch, ...], the same for all members."""

    def member(state, hyper, active):
        return _scan(task, state, batches, mask, count, hyper, active, padded)

    return over_members(member)(state, dict(hyper), active)


def one_batch(
    task: Task,
    state: TrainState,
    batches: Batch,
    mask: Bool[Array, "steps batch"],
    index: Int[Array, ""],
    hyper: Hyper,
    active: Bool[Array, " seeds"] | None,
    padded: bool,
) -> TrainState:
    """Step number `index` on batches [steps, batch, ...], the same for all members."""

    def member(state, hyper, active):
        return _indexed_step(task, state, batches, mask, index, hyper, active, padded)

    return over_members(member)(state, dict(hyper), active)


def one_step(
    task: Task,
    state: TrainState,
    data: Batch,
    order: Int[Array, "seeds steps batch"],
    mask: Bool[Array, "steps batch"],
    index: Int[Array, ""],
    hyper: Hyper,
    active: Bool[Array, " seeds"] | None,
) -> TrainState:
    """Step number `index` of `order` for all members."""
    rows = jax.lax.dynamic_index_in_dim(mask, index, 0, False)
    padded = may_be_padded(data, order.shape[-1])

    def member(state, order, hyper, active):
        chosen = jax.lax.dynamic_index_in_dim(order, index, 0, False)
        batch = jax.tree.map(lambda x: x[chosen], dict(data))
        if padded:
            batch[ROW_MASK] = rows
        return train_step(task, state, parallel.split_batch(batch), rows, hyper, active)

    return over_members(member)(state, order, dict(hyper), active)


def evaluate_batch(
    task: Task,
    variables: Any,
    batch: Batch,
    mask: Bool[Array, " batch"],
    hyper: Hyper,
) -> dict[str, Float[Array, " seeds"]]:
    """Sums over the real rows of one batch of the loss, each metric and the weight, per member.

    Args:
        task: what is evaluated.
        variables: of all members, seed axis in front.
        batch, mask: as in `train_step`.
        hyper: arrays [seeds].
    """
    rows = mask.astype(jnp.float32)
    batch = parallel.split_batch(dict(batch))

    def member(variables, hyper):
        outputs, _ = forward(task, variables, batch, jax.random.key(0), False, hyper)
        sums = {"loss": (task.loss(outputs, batch, hyper) * rows).sum(), "weight": rows.sum()}
        for name, metric in task.metrics.items():
            sums[name] = (metric(outputs, batch) * rows).sum()
        return sums

    return over_members(member)(variables, dict(hyper))


def prefers_scan(task: Task, params: Any, batch_size: int) -> bool:
    """Whether many steps in one program beat single steps on this backend.

    Accelerators always do. On a CPU, convolutions inside a loop body are slow, and dense steps
    above `SCAN_BELOW_FLOP` (two operations a weight forward, four backward) are better alone.

    Args:
        task: says whether the model convolves.
        params: of one member.
        batch_size: rows that a step takes, of all members that are trained together.
    """
    if jax.default_backend() != "cpu":
        return True
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    return not task.convolves and 6 * size * batch_size < SCAN_BELOW_FLOP


def training_groups(task: Task, params: Any, batch_size: int, seeds: int) -> list[slice]:
    """How a population is cut into groups that are trained together.

    Those that `groups_of` keeps together train together only while a member's own step is small. A
    CPU multiplies stacks of large matrices more slowly than the same matrices one after the other:
    seconds for each seed, alone and with eight at once, on two cores: 0.052 and 0.031 for the fraud
    autoencoder in batches of 32, 0.019 and 0.024 in batches of 2,048, 0.076 and 0.132 for the
    stacked autoencoder of lab 460 in batches of 32.

    Args:
        task, batch_size: of the fit.
        params: of one member.
        seeds: members.
    """
    if prefers_scan(task, params, batch_size):
        return groups_of(task, seeds)
    return [slice(i, i + 1) for i in range(seeds)]


def groups_of(task: Task, seeds: int) -> list[slice]:
    """How a population is cut into groups that are vmapped together.

    All members go together, except with convolutions: a vmapped kernel becomes a grouped
    convolution, which is several times slower than the members one after the other.
    """
    if task.convolves and seeds > 1:
        return [slice(i, i + 1) for i in range(seeds)]
    return [slice(0, seeds)]
