"""The fit loop: epochs in pieces, validation, early stopping, checkpoints, a clean stop.

A fit may be stopped or killed between any two pieces and continues from its checkpoint with the
same bits as if nothing had happened: everything it needs is in `FitState`, and the order of rows
is a function of (seed, epoch).
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl.errors import Interrupted, NotFinite, UserError
from jaxdl.training import batch_order, parallel
from jaxdl.training import step as programs
from jaxdl.training.callback import Silent, Watcher
from jaxdl.training.checkpoint import Checkpoints
from jaxdl.training.evaluate import Evaluator, predict
from jaxdl.training.state import FitState, Selection, TrainState, hyper_arrays, init_member
from jaxdl.training.task import Task, parameter_count

SAVE_EVERY_SECONDS = 10.0
SCAN_BYTES = 64 << 20  # rows gathered at once for one program of many steps
SCAN_STEPS = 2048
PIECE_SECONDS = 0.3  # how long single steps run before the host looks up


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
    variables: dict[str, Any]
    history: dict[str, Float[np.ndarray, "epochs seeds"]]
    seeds: np.ndarray
    best_epoch: np.ndarray
    restored: bool

    def predict(self, function: Callable, data: Mapping[str, np.ndarray]) -> Any:
        """`function(outputs, batch)` for every row and member.

        Args:
            function: maps the task's outputs and the batch to per-example arrays [batch, ...].
            data: arrays [rows, ...] on the host, any number of rows.

        Returns:
            The same tree as `function` returns, as NumPy arrays [seeds, rows, ...].
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
        """The population of one member, for pictures and for what is costly."""
        return self.members(slice(index, index + 1))

    @property
    def parameter_count(self) -> int:
        """Trained numbers in one member."""
        return parameter_count(self.variables) // len(self.seeds)


def fit(
    task: Task,
    train: Mapping[str, np.ndarray],
    valid: Mapping[str, np.ndarray] | None = None,
    *,
    seeds: np.ndarray,
    epochs: int,
    batch_size: int,
    patience: int | None = None,
    monitor: str = "valid_loss",
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
    train_allowed: bool = True,
) -> Fitted:
    """Train a population of `len(seeds)` members on the same rows, or go on where it stopped.

    Args:
        task: pure functions of one member.
        train, valid: host arrays with equal first axes; put on the devices once.
        seeds: one integer for each member: initialisation, row order, dropout.
        epochs: passes over `train`; 0 gives the untrained population.
        batch_size: rows in a step. The last, shorter batch is padded and masked, never dropped.
        patience: stop a member after so many epochs without a lower `monitor` and give back its
            best weights; None trains all epochs and gives back the last.
        monitor: the name in the history that early stopping lowers.
        checkpoints: where the state is kept; None keeps nothing.
        watcher: is told of progress and may ask to stop.
        train_allowed: False refuses to train (evaluation of a finished run).

    Returns:
        The trained population.

    Raises:
        NotFinite: a loss became NaN or infinite; the last good checkpoint stays.
        Interrupted: the watcher asked to stop; the state has been saved.
        UserError: the batch does not divide by the devices, or `train_allowed` is False and the
            checkpoint is missing or unfinished.
    """
    loop = _Loop(task, train, valid, np.asarray(seeds, np.int32), epochs, batch_size)
    loop.patience, loop.monitor = patience, monitor
    loop.checkpoints, loop.watcher = checkpoints, watcher or Silent()
    try:
        return loop.run(train_allowed)
    finally:
        loop.watcher.close()
        if checkpoints is not None:
            checkpoints.close()


class _Loop:
    """The moving parts of one fit. The state itself is the immutable pytrees it holds."""

    patience: int | None
    monitor: str
    checkpoints: Checkpoints | None
    watcher: Watcher

    def __init__(self, task, train, valid, seeds, epochs, batch_size):
        self.task, self.seeds, self.epochs = task, seeds, epochs
        self.rows = _check_rows(train, "train")
        self.batch_size = batch_size
        if batch_size % jax.device_count():
            raise UserError(
                f"batch size {batch_size} does not divide by {jax.device_count()} devices"
            )
        self.steps = batch_order.steps_per_epoch(self.rows, batch_size)
        self.mask = batch_order.padding_mask(self.rows, batch_size)
        self.train, self.valid = dict(train), None if valid is None else dict(valid)
        self.hyper = hyper_arrays(task, len(seeds))
        self.history: dict[str, np.ndarray] = {}
        self.last_save = time.monotonic()
        self.saved_step = -1
        self.piece = 1

    # ---- start, restore -------------------------------------------------------------------

    def run(self, train_allowed: bool) -> Fitted:
        abstract = jax.eval_shape(self._initial)
        found = self.checkpoints.restore(abstract) if self.checkpoints else None
        if found is None and not train_allowed and self.epochs:
            raise UserError("there is no checkpoint to evaluate; run the lab without --eval first")
        state = found[1] if found else jax.jit(self._initial, out_shardings=parallel.replicated())()
        if found:
            self.saved_step = found[0]
        self.history = {name: np.array(curve) for name, curve in state.history.items()}
        if int(state.done):
            return self._fitted(state, restored=found is not None)
        if not train_allowed:
            raise UserError("the run is unfinished; continue it before you evaluate it")
        return self._fitted(self._train(state), restored=False)

    def _initial(self) -> FitState:
        """The population before the first step."""
        example = {name: jnp.zeros((1, *x.shape[1:]), x.dtype) for name, x in self.train.items()}
        start = jax.vmap(lambda seed, hyper: init_member(self.task, example, seed, hyper))
        train = start(jnp.asarray(self.seeds), {k: jnp.asarray(v) for k, v in self.hyper.items()})
        members = len(self.seeds)
        selection = None
        if self.patience is not None:
            selection = Selection(
                params=train.params,
                model_state=train.model_state,
                value=jnp.full(members, jnp.inf),
                epoch=jnp.zeros(members, jnp.int32),
                active=jnp.ones(members, bool),
            )
        splits = ["train"] + (["valid"] if self.valid is not None else [])
        names = [f"{split}_{name}" for split in splits for name in ("loss", *self.task.metrics)]
        history = {name: jnp.full((self.epochs, members), jnp.nan) for name in names}
        return FitState(train, selection, history, jnp.int32(self.epochs == 0))

    def _fitted(self, state: FitState, restored: bool) -> Fitted:
        kept = state.selection or state.train
        epoch = state.selection.epoch if state.selection else np.full(len(self.seeds), self.epochs)
        return Fitted(
            task=self.task,
            variables={"params": kept.params, **kept.model_state},
            history=self.history,
            seeds=self.seeds,
            best_epoch=np.asarray(epoch),
            restored=restored,
        )

    # ---- training -------------------------------------------------------------------------

    def _train(self, state: FitState) -> FitState:
        self.data = parallel.replicate(self.train)
        self.evaluator = Evaluator(self.task, self.valid, self.seeds) if self.valid else None
        lanes = self.lanes = programs.lanes_of(self.task, len(self.seeds))
        trains = [_cut(state.train, lane) for lane in lanes]
        selections = [_cut(state.selection, lane) for lane in lanes]
        member_params = _cut(state.train.params, slice(0, 1))
        width = lanes[0].stop - lanes[0].start
        self.scan = programs.prefers_scan(self.task, member_params, self.batch_size * width)
        self._compile(trains[0], selections[0], width)
        step = int(np.asarray(state.train.step)[0])
        self.watcher.start(self.epochs, self.rows, self._rows_seen(step), self.compile_seconds)
        for epoch in range(step // self.steps, self.epochs):
            began = time.monotonic()
            trains = self._epoch(epoch, step % self.steps, trains, selections)
            step = (epoch + 1) * self.steps
            trained = time.monotonic()
            trains, selections, done = self._close_epoch(epoch, trains, selections)
            timing = {
                "train_seconds": trained - began,
                "valid_seconds": time.monotonic() - trained,
                "compile_seconds": self.compile_seconds,
            }
            metrics = {name: curve[epoch] for name, curve in self.history.items()}
            self.watcher.epoch(epoch, metrics, timing)
            self._maybe_save(step, trains, selections, done)
            if done:
                break
        return self._join(trains, selections, done=True)

    def _compile(self, train: TrainState, selection: Selection | None, width: int) -> None:
        """Build the one program that this fit runs, ahead of time, and note how long it took."""
        began = time.monotonic()
        row_bytes = sum(x.nbytes // max(len(x), 1) for x in self.train.values())
        per_step = max(1, row_bytes * self.batch_size * width)
        self.scan_length = max(1, min(self.steps, SCAN_STEPS, SCAN_BYTES // per_step))
        length = self.scan_length if self.scan else self.steps
        program = programs.scan_steps if self.scan else programs.one_step
        jitted = jax.jit(
            partial(program, self.task), donate_argnums=0, out_shardings=parallel.replicated()
        )
        order = jnp.zeros((width, length, self.batch_size), jnp.int32)
        mask = jnp.zeros((length, self.batch_size), bool)
        hyper = {name: jnp.asarray(value[:width]) for name, value in self.hyper.items()}
        active = None if selection is None else selection.active
        order, mask, hyper = parallel.replicate((order, mask, hyper))
        lowered = jitted.lower(train, self.data, order, mask, np.int32(0), hyper, active)
        self.program = lowered.compile()
        self.lane_hyper = [
            parallel.replicate({name: value[lane] for name, value in self.hyper.items()})
            for lane in self.lanes
        ]
        self.compile_seconds = time.monotonic() - began

    def _epoch(self, epoch, offset, trains, selections) -> list[TrainState]:
        """All steps of one epoch from `offset` on, in pieces."""
        order = np.stack(
            [
                batch_order.epoch_order(int(seed), epoch, self.rows, self.batch_size)
                for seed in self.seeds
            ]
        )
        orders = None if self.scan else [parallel.replicate(order[lane]) for lane in self.lanes]
        mask = None if self.scan else parallel.replicate(self.mask)
        while offset < self.steps:
            began = time.monotonic()
            if self.scan:
                count = min(self.scan_length, self.steps - offset)
                trains = self._scan_piece(order, offset, count, trains, selections)
            else:
                count = min(self.piece, self.steps - offset)
                trains = self._loop_piece(orders, mask, offset, count, trains, selections)
            offset += count
            self._check_finite(trains, epoch)
            self._adapt(count, time.monotonic() - began)
            self.watcher.advance(int(self.mask[offset - count : offset].sum()))
            if offset < self.steps:
                self._maybe_save(epoch * self.steps + offset, trains, selections, done=False)
        return trains

    def _scan_piece(self, order, offset, count, trains, selections):
        # the program has a fixed length: a shorter piece is filled up with rows that are not used
        end = offset + count
        fill = ((0, 0), (0, self.scan_length - count), (0, 0))
        mask = parallel.replicate(np.pad(self.mask[offset:end], fill[1:]))
        pieces = [np.pad(order[lane, offset:end], fill) for lane in self.lanes]
        return [
            self.program(
                train, self.data, parallel.replicate(piece), mask, np.int32(count), h, _on(s)
            )
            for train, piece, h, s in zip(trains, pieces, self.lane_hyper, selections, strict=True)
        ]

    def _loop_piece(self, orders, mask, offset, count, trains, selections):
        trains = list(trains)
        for lane, (order, hyper) in enumerate(zip(orders, self.lane_hyper, strict=True)):
            train, active = trains[lane], _on(selections[lane])
            for index in range(offset, offset + count):
                train = self.program(train, self.data, order, mask, np.int32(index), hyper, active)
            trains[lane] = train
        return trains

    def _adapt(self, count: int, seconds: float) -> None:
        """Single steps come in pieces of about PIECE_SECONDS, so that a stop is quick."""
        if not self.scan and count == self.piece:
            proposal = int(np.clip(count * PIECE_SECONDS / max(seconds, 1e-6), 1, 2 * count + 1))
            self.piece = parallel.agree(proposal)

    def _check_finite(self, trains, epoch: int) -> None:
        bad = np.concatenate([np.asarray(train.bad_step) for train in trains])
        if (bad >= 0).any():
            member = int(np.argmax(bad >= 0))
            raise NotFinite(
                f"the loss of seed {self.seeds[member]} is not finite at step {bad[member]} "
                f"(epoch {epoch + 1}); last good checkpoint: "
                f"{'none' if self.saved_step < 0 else f'step {self.saved_step}'}. "
                "Try a smaller learning rate or clip the gradient."
            )

    def _close_epoch(self, epoch, trains, selections):
        """Averages, validation, early stopping; returns the new states and whether to stop."""
        totals = [jax.device_get(train.totals) for train in trains]
        joined = {name: np.concatenate([t[name] for t in totals]) for name in totals[0]}
        weight = joined.pop("weight")
        with np.errstate(invalid="ignore"):  # 0 / 0: a member that has stopped saw no row
            for name, value in joined.items():
                self.history[f"train_{name}"][epoch] = value / weight
        if self.evaluator is not None:
            variables = [{"params": t.params, **t.model_state} for t in trains]
            for name, value in self.evaluator(variables).items():
                self.history[f"valid_{name}"][epoch] = value
        trains = [t.replace(totals=jax.tree.map(jnp.zeros_like, t.totals)) for t in trains]
        if self.patience is None:
            return trains, selections, epoch + 1 == self.epochs
        value = self.history[self.monitor][epoch]
        chosen = [
            _select(selection, train, parallel.replicate(value[lane]), epoch + 1, self.patience)
            for selection, train, lane in zip(selections, trains, self.lanes, strict=True)
        ]
        stopped = not any(np.asarray(s.active).any() for s in chosen)
        return trains, chosen, stopped or epoch + 1 == self.epochs

    # ---- checkpoints ----------------------------------------------------------------------

    def _maybe_save(self, step, trains, selections, done: bool) -> None:
        """Save when the fit ends, when time is up, or when asked to stop; then stop."""
        due = time.monotonic() - self.last_save > SAVE_EVERY_SECONDS
        signum = self.watcher.stop_signal()
        wish = parallel.agree(signum if signum and not done else int(due))
        if self.checkpoints is not None and (done or wish):
            began = time.monotonic()
            self.checkpoints.save(step, self._join(trains, selections, done))
            self.saved_step = step
            # a slow disk must not eat the run: at most a twentieth of the time goes into saving
            ended = time.monotonic()
            self.last_save = ended + max(0.0, 20 * (ended - began) - SAVE_EVERY_SECONDS)
        if wish > 1:
            raise Interrupted(wish, self.saved_step)

    def _join(self, trains, selections, done: bool) -> FitState:
        train = _stack(trains)
        selection = None if selections[0] is None else _stack(selections)
        history, finished = parallel.replicate((self.history, np.int32(done)))
        return FitState(train, selection, history, finished)

    def _rows_seen(self, step: int) -> int:
        epoch, offset = divmod(step, self.steps)
        return epoch * self.rows + int(self.mask[:offset].sum())


@partial(jax.jit, static_argnames=("patience",))
def _select(selection: Selection, train: TrainState, value, epoch, patience: int) -> Selection:
    """Keep the member's weights where the monitored value is its lowest so far."""
    better = selection.active & (value < selection.value)

    def keep(new, old):
        return jnp.where(better.reshape(better.shape + (1,) * (new.ndim - 1)), new, old)

    best_epoch = jnp.where(better, epoch, selection.epoch)
    return Selection(
        params=jax.tree.map(keep, train.params, selection.params),
        model_state=jax.tree.map(keep, train.model_state, selection.model_state),
        value=jnp.where(better, value, selection.value),
        epoch=best_epoch,
        active=selection.active & (epoch - best_epoch < patience),
    )


def _on(selection: Selection | None):
    return None if selection is None else selection.active


def _cut(tree: Any, lane: slice) -> Any:
    return jax.tree.map(lambda x: x[lane], tree)


def _stack(trees: list[Any]) -> Any:
    if len(trees) == 1:
        return trees[0]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def _check_rows(data: Mapping[str, np.ndarray], name: str) -> int:
    rows = {len(x) for x in data.values()}
    if len(rows) != 1 or 0 in rows:
        raise ValueError(f"{name} arrays must have the same, positive number of rows: {rows}")
    return rows.pop()
