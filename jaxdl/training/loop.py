"""The fit loop: epochs in pieces, validation, early stopping, checkpoints, a clean stop.

A fit may be stopped or killed between any two pieces and continues from its checkpoint with the
same bits as if nothing had happened: everything it needs is in `FitState`, and the order of rows
is a function of (seed, epoch).
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxdl.errors import Interrupted, NotFinite, UserError
from jaxdl.training import batch_order, parallel
from jaxdl.training import step as programs
from jaxdl.training.callback import Silent, Watcher
from jaxdl.training.checkpoint import Checkpoints
from jaxdl.training.data import check_data, row_bytes
from jaxdl.training.evaluate import Evaluator
from jaxdl.training.fitted import Fitted
from jaxdl.training.state import FitState, Selection, TrainState, hyper_arrays, init_member
from jaxdl.training.stream import Ahead, Streamed
from jaxdl.training.task import Task

SAVE_EVERY_SECONDS = 10.0
SAVE_SHARE = 20  # a slow disk may take one part in so many of the time
SCAN_BYTES = 64 << 20  # rows gathered at once for one program of many steps
SCAN_STEPS = 2048
# an accelerator waits for the host between two programs, so an epoch should be one of them
ACCELERATOR_SCAN_BYTES = 2 << 30
ACCELERATOR_SCAN_STEPS = 16_384
PIECE_SECONDS = 0.3  # how long single steps run before the host looks up


def fit(
    task: Task,
    train: Mapping[str, np.ndarray] | Streamed,
    valid: Mapping[str, np.ndarray] | None = None,
    *,
    seeds: Sequence[int] | Int[np.ndarray, " seeds"],
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
        train, valid: host arrays with equal first axes; put on the devices once. Training rows may
            be streamed from disk instead.
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
        NotFinite: a training loss, a validation loss or the monitored value became NaN or
            infinite; the last good checkpoint stays.
        Interrupted: the watcher asked to stop; the state has been saved.
        CheckpointError: the state cannot be written or read.
        UserError: the rows hold no numbers or there are none (`jaxdl.training.data.check_data`,
            `Streamed.check`), there
            is nothing named `monitor`, the batch does not divide by the devices, or `train_allowed`
            is False and the checkpoint is missing or unfinished.
    """
    watcher = watcher or Silent()
    try:
        loop = _Loop(
            task=task,
            train=train,
            valid=valid,
            seeds=np.asarray(seeds, np.int32),
            epochs=epochs,
            batch_size=batch_size,
            patience=patience,
            monitor=monitor,
            checkpoints=checkpoints,
            watcher=watcher,
        )
        fitted = loop.run(train_allowed)
    finally:
        watcher.close()
    signum = parallel.agree(watcher.stop_signal())
    if signum:  # asked for after the last piece: the fit is whole and saved, but the run must stop
        raise Interrupted(signum, loop.saved_step)
    return fitted


class _Group(NamedTuple):
    """Members that are trained together, in one call of the program.

    Attributes:
        members: which of the population.
        hyper: their hyper-parameters.
        train, selection: their states, seed axis in front.
    """

    members: slice
    hyper: dict[str, Float[Array, " seeds"]]
    train: TrainState
    selection: Selection | None

    @property
    def active(self) -> Array | None:
        """Which members still train; None where all do to the end."""
        return None if self.selection is None else self.selection.active


def _scan_limits(step_bytes: int) -> tuple[int, int]:
    """How many steps one program may hold: by the memory of their rows, and by patience.

    Args:
        step_bytes: of the rows of one step.
    """
    if jax.default_backend() == "cpu":
        return SCAN_BYTES // step_bytes, SCAN_STEPS
    return ACCELERATOR_SCAN_BYTES // step_bytes, ACCELERATOR_SCAN_STEPS


class _Loop:
    """One fit on its way.

    The states of its members are immutable: they go from method to method as a list of `_Group`.
    What the object itself changes is the history, the time of the last save, and how many single
    steps make a piece.
    """

    def __init__(
        self,
        task: Task,
        train: Mapping[str, np.ndarray] | Streamed,
        valid: Mapping[str, np.ndarray] | None,
        seeds: Int[np.ndarray, " seeds"],
        epochs: int,
        batch_size: int,
        patience: int | None,
        monitor: str,
        checkpoints: Checkpoints | None,
        watcher: Watcher,
    ):
        self.stream = train if isinstance(train, Streamed) else None
        if self.stream is None:
            self.rows = check_data(train, "train")
        else:
            self.rows = self.stream.check(batch_size)
        if valid is not None:
            check_data(valid, "valid")
        if batch_size % jax.device_count():
            raise UserError(
                f"batch size {batch_size} does not divide by {jax.device_count()} devices"
            )
        self.task, self.valid, self.seeds = task, valid, seeds
        self.train = {} if self.stream is not None else dict(train)
        self.epochs, self.batch_size = epochs, batch_size
        self.patience, self.monitor = patience, monitor
        self.checkpoints, self.watcher = checkpoints, watcher
        parts = ["train"] if valid is None else ["train", "valid"]
        names = [f"{part}_{name}" for part in parts for name in ("loss", *task.metrics)]
        self.curves = sorted(names)  # in the history, whether it is new or restored
        if patience is not None and monitor not in names:
            raise UserError(f"there is no {monitor!r} to monitor; there are {', '.join(names)}")
        self.hyper = hyper_arrays(task, len(seeds))
        if self.stream is None:
            self.steps = batch_order.steps_per_epoch(self.rows, batch_size)
            self.mask = batch_order.padding_mask(self.rows, batch_size)
        else:
            self.steps = self.stream.steps(batch_size)
        self.history: dict[str, np.ndarray] = {}
        self.saved_step = -1
        self.next_save = time.monotonic() + SAVE_EVERY_SECONDS
        self.piece = 1

    # ---- start and end --------------------------------------------------------------------------

    def run(self, train_allowed: bool) -> Fitted:
        """Restore what is there, train what is left."""
        if self.checkpoints is not None and train_allowed:
            self.checkpoints.tidy()
        abstract = jax.eval_shape(self._initial_state)
        found = None if self.checkpoints is None else self.checkpoints.restore(abstract)
        if found is not None:
            self.saved_step, state = found
        elif train_allowed or not self.epochs:
            start = jax.jit(
                self._initial_state,
                out_shardings=parallel.replicated(),
                compiler_options=parallel.quick_compilation(),
            )
            state = start()
        else:
            raise UserError("there is no checkpoint to evaluate; run the lab without --eval first")
        self.history = {name: np.array(state.history[name]) for name in self.curves}
        if int(state.done):
            return self._fitted(state, restored=found is not None)
        if not train_allowed:
            raise UserError("the run is unfinished; continue it before you evaluate it")
        return self._fitted(self._train(state), restored=False)

    def _initial_state(self) -> FitState:
        """The population before the first step."""
        if self.stream is None:
            kinds = {name: (x.shape[1:], x.dtype) for name, x in self.train.items()}
        else:
            kinds = {name: (x.shape, x.dtype) for name, x in self.stream.kinds.items()}
        example = {name: jnp.zeros((1, *shape), dtype) for name, (shape, dtype) in kinds.items()}
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
        history = {name: jnp.full((self.epochs, members), jnp.nan) for name in self.curves}
        return FitState(train, selection, history, jnp.int32(self.epochs == 0))

    def _fitted(self, state: FitState, restored: bool) -> Fitted:
        """What is given back: the last weights, or the best ones with early stopping."""
        if state.selection is None:
            kept, best_epoch = state.train, np.full(len(self.seeds), self.epochs)
        else:
            kept, best_epoch = state.selection, np.asarray(state.selection.epoch)
            if self.epochs and (best_epoch == 0).any():
                member = int(np.argmax(best_epoch == 0))
                self._stop_not_finite(self.monitor, member, "in any epoch")
        return Fitted(
            task=self.task,
            variables={"params": kept.params, **kept.model_state},
            history=self.history,
            seeds=self.seeds,
            best_epoch=best_epoch,
            restored=restored,
        )

    # ---- epochs ---------------------------------------------------------------------------------

    def _train(self, state: FitState) -> FitState:
        """All epochs from where `state` stands."""
        self.data = parallel.replicate(self.train)
        self.evaluator = Evaluator(self.task, self.valid, self.seeds) if self.valid else None
        groups = self._divide(state)
        self._compile(groups[0])
        step = int(np.asarray(state.train.step)[0])
        self.watcher.start(self.epochs, self.rows, self._rows_seen(step), self.compile_seconds)
        for epoch in range(step // self.steps, self.epochs):
            began = time.monotonic()
            groups = self._train_epoch(epoch, step % self.steps, groups)
            step = (epoch + 1) * self.steps
            trained = time.monotonic()
            groups = self._close_epoch(epoch, groups)
            timing = {
                "train_seconds": trained - began,
                "valid_seconds": time.monotonic() - trained,
                "compile_seconds": self.compile_seconds,
            }
            metrics = {name: curve[epoch] for name, curve in self.history.items()}
            self.watcher.epoch(epoch, metrics, timing)
            if not _any_active(groups):
                break
            if epoch + 1 < self.epochs:
                self._look_up(step, groups)
        state = self._state(groups, done=True)
        self._save(step, state)
        return state

    def _divide(self, state: FitState) -> list[_Group]:
        """The population as groups that are trained one after the other."""
        groups = []
        params = jax.tree.map(lambda x: x[:1], state.train.params)
        for members in programs.training_groups(
            self.task, params, self.batch_size, len(self.seeds)
        ):

            def part(tree: Any, members: slice = members) -> Any:
                return jax.tree.map(lambda x: x[members], tree)

            hyper = parallel.replicate({k: v[members] for k, v in self.hyper.items()})
            groups.append(_Group(members, hyper, part(state.train), part(state.selection)))
        return groups

    def _compile(self, group: _Group) -> None:
        """Build the one program that this fit runs, ahead of time, and note how long it took."""
        began = time.monotonic()
        width = len(group.train.step)
        rows_a_step = self.batch_size * width
        member = jax.tree.map(lambda x: x[:1], group.train.params)
        self.scan = programs.prefers_scan(self.task, member, rows_a_step)
        if self.stream is not None:
            self._compile_streamed(group, self.stream)
            self.compile_seconds = time.monotonic() - began
            return
        fitting, most = _scan_limits(row_bytes(self.train) * rows_a_step)
        self.scan_length = max(1, min(self.steps, most, fitting))
        length = self.scan_length if self.scan else self.steps
        program = programs.scan_steps if self.scan else programs.one_step
        jitted = jax.jit(
            partial(program, self.task), donate_argnums=0, out_shardings=parallel.replicated()
        )
        order = jnp.zeros((width, length, self.batch_size), jnp.int32)
        mask = jnp.zeros((length, self.batch_size), bool)
        order, mask = parallel.replicate((order, mask))
        lowered = jitted.lower(
            group.train, self.data, order, mask, np.int32(0), group.hyper, group.active
        )
        self.program = lowered.compile()
        self.compile_seconds = time.monotonic() - began

    def _compile_streamed(self, group: _Group, stream: Streamed) -> None:
        """The program for batches that come from the host, some steps at a time."""
        self.scan_length = stream.chunk_steps(self.batch_size)
        program = programs.scan_batches if self.scan else programs.one_batch
        # padding stands in the last step only
        padded = not stream.mask(self.batch_size, self.steps - 1).all()
        program = partial(program, self.task, padded=padded)
        jitted = jax.jit(program, donate_argnums=0, out_shardings=parallel.replicated())
        shape = self.scan_length, self.batch_size
        split = parallel.batches_split()
        batches = {
            name: jax.ShapeDtypeStruct((*shape, *kind.shape), kind.dtype, sharding=split)
            for name, kind in stream.kinds.items()
        }
        mask = parallel.replicate(jnp.zeros(shape, bool))
        lowered = jitted.lower(group.train, batches, mask, np.int32(0), group.hyper, group.active)
        self.program = lowered.compile()

    def _train_streamed_epoch(
        self, epoch: int, offset: int, groups: list[_Group], stream: Streamed
    ) -> list[_Group]:
        """All steps of one epoch from step `offset` on, chunk by chunk as they are read."""
        with Ahead(self._streamed_batches(stream, epoch, offset)) as chunks:
            for batches, mask, real in chunks:
                done, count = 0, len(real)
                while done < count:
                    began = time.monotonic()
                    # many steps in one program begin with the first of the chunk
                    end = count if self.scan else min(done + self.piece, count)
                    groups = [self._on_batches(group, batches, mask, done, end) for group in groups]
                    self._check_losses(epoch, groups)
                    self._adapt_piece(end - done, time.monotonic() - began)
                    self.watcher.advance(int(real[done:end].sum()))
                    done = end
                    if offset + done < self.steps:
                        self._look_up(epoch * self.steps + offset + done, groups)
                offset += count
        return groups

    def _streamed_batches(
        self, stream: Streamed, epoch: int, offset: int
    ) -> Iterator[tuple[dict[str, Array], Array, Bool[np.ndarray, "count batch"]]]:
        """Batches on the devices and which of their rows are real, there and here.

        Those on the devices are filled up to the fixed number of steps of the program.
        """
        for chunk in stream.chunks(int(self.seeds[0]), epoch, self.batch_size, offset):
            count = len(next(iter(chunk.values())))
            missing = self.scan_length - count
            real = stream.mask(self.batch_size, offset, offset + count)
            mask = parallel.replicate(np.pad(real, ((0, missing), (0, 0))))
            if missing:
                chunk = {
                    name: np.pad(x, ((0, missing), *[(0, 0)] * (x.ndim - 1)))
                    for name, x in chunk.items()
                }
            yield parallel.put_batches(chunk), mask, real
            offset += count

    def _on_batches(
        self, group: _Group, batches: dict[str, Array], mask: Array, first: int, end: int
    ) -> _Group:
        """A group after the batches with these numbers."""
        train = group.train
        # the program of many steps is told their number, that of one step which it is
        for number in [end] if self.scan else range(first, end):
            train = self.program(train, batches, mask, np.int32(number), group.hyper, group.active)
        return group._replace(train=train)

    def _train_epoch(self, epoch: int, offset: int, groups: list[_Group]) -> list[_Group]:
        """All steps of one epoch from step `offset` on, in pieces."""
        if self.stream is not None:
            return self._train_streamed_epoch(epoch, offset, groups, self.stream)
        order = np.stack(
            [
                batch_order.epoch_order(int(seed), epoch, self.rows, self.batch_size)
                for seed in self.seeds
            ]
        )
        if not self.scan:
            orders = [parallel.replicate(order[group.members]) for group in groups]
            mask = parallel.replicate(self.mask)
        while offset < self.steps:
            began = time.monotonic()
            if self.scan:
                end = min(offset + self.scan_length, self.steps)
                groups = self._scan(order[:, offset:end], self.mask[offset:end], groups)
            else:
                end = min(offset + self.piece, self.steps)
                groups = self._single_steps(orders, mask, range(offset, end), groups)
            self._check_losses(epoch, groups)
            self._adapt_piece(end - offset, time.monotonic() - began)
            self.watcher.advance(int(self.mask[offset:end].sum()))
            offset = end
            if offset < self.steps:
                self._look_up(epoch * self.steps + offset, groups)
        return groups

    def _scan(
        self,
        order: Int[np.ndarray, "seeds count batch"],
        mask: Bool[np.ndarray, "count batch"],
        groups: list[_Group],
    ) -> list[_Group]:
        """The steps of `order` in one call for each group."""
        count = len(mask)
        # the program has a fixed length: a shorter piece is filled up with steps that are not done
        missing = self.scan_length - count
        order = np.pad(order, ((0, 0), (0, missing), (0, 0)))
        mask = parallel.replicate(np.pad(mask, ((0, missing), (0, 0))))
        trained = []
        for group in groups:
            own = parallel.replicate(order[group.members])
            train = self.program(
                group.train, self.data, own, mask, np.int32(count), group.hyper, group.active
            )
            trained.append(group._replace(train=train))
        return trained

    def _single_steps(
        self, orders: list[Array], mask: Array, steps: range, groups: list[_Group]
    ) -> list[_Group]:
        """The steps of an epoch with these numbers, one call for each step and group."""
        trained = []
        for group, order in zip(groups, orders, strict=True):
            train = group.train
            for step in steps:
                train = self.program(
                    train, self.data, order, mask, np.int32(step), group.hyper, group.active
                )
            trained.append(group._replace(train=train))
        return trained

    def _adapt_piece(self, count: int, seconds: float) -> None:
        """Single steps come in pieces of about PIECE_SECONDS, so that a stop is quick."""
        if not self.scan and count == self.piece:
            proposal = int(np.clip(count * PIECE_SECONDS / max(seconds, 1e-6), 1, 2 * count + 1))
            self.piece = parallel.agree(proposal)

    def _close_epoch(self, epoch: int, groups: list[_Group]) -> list[_Group]:
        """Write the epoch's means into the history, validate, and stop members early."""
        totals = [jax.device_get(group.train.totals) for group in groups]
        sums = {name: np.concatenate([t[name] for t in totals]) for name in totals[0]}
        weight = sums.pop("weight")
        with np.errstate(invalid="ignore"):  # 0 / 0: a member that has stopped saw no row
            for name, value in sums.items():
                self.history[f"train_{name}"][epoch] = value / weight
        if self.evaluator is not None:
            variables = [{"params": g.train.params, **g.train.model_state} for g in groups]
            for name, value in self.evaluator(variables).items():
                self.history[f"valid_{name}"][epoch] = value
        self._check_metrics(epoch, groups)
        return [self._next_epoch(epoch, group) for group in groups]

    def _next_epoch(self, epoch: int, group: _Group) -> _Group:
        """The group with empty sums, and the best of its weights so far."""
        train = group.train
        totals = jax.tree.map(jnp.zeros_like, train.totals)
        train = dataclasses.replace(train, totals=totals)
        if group.selection is None:
            return group._replace(train=train)
        value = parallel.replicate(self.history[self.monitor][epoch][group.members])
        selection = _select(group.selection, train, value, epoch + 1, self.patience)
        return group._replace(train=train, selection=selection)

    # ---- what must not go on --------------------------------------------------------------------

    def _check_losses(self, epoch: int, groups: list[_Group]) -> None:
        """Stop on the first training loss that is not finite."""
        bad = np.concatenate([np.asarray(group.train.bad_step) for group in groups])
        if (bad >= 0).any():
            member = int(np.argmax(bad >= 0))
            self._stop_not_finite("the loss", member, f"at step {bad[member]} (epoch {epoch + 1})")

    def _check_metrics(self, epoch: int, groups: list[_Group]) -> None:
        """Stop on a validation loss, or a monitored value, that is not finite."""
        active = np.ones(len(self.seeds), bool)
        watched = {"valid_loss"} & set(self.curves)
        if self.patience is not None:
            active = np.concatenate([np.asarray(group.active) for group in groups])
            watched |= {self.monitor}
        for name in sorted(watched):
            bad = active & ~np.isfinite(self.history[name][epoch])
            if bad.any():
                self._stop_not_finite(name, int(np.argmax(bad)), f"after epoch {epoch + 1}")

    def _stop_not_finite(self, what: str, member: int, when: str) -> None:
        good = "none" if self.saved_step < 0 else f"step {self.saved_step}"
        raise NotFinite(
            f"{what} of seed {self.seeds[member]} is not finite {when}; last good checkpoint: "
            f"{good}. Try a smaller learning rate or clip the gradient; or the data hold NaN, or a "
            "label outside its classes."
        )

    # ---- checkpoints ----------------------------------------------------------------------------

    def _look_up(self, step: int, groups: list[_Group]) -> None:
        """Between two pieces: save when time is up or when asked to stop; then stop."""
        due = time.monotonic() > self.next_save
        wish = parallel.agree(self.watcher.stop_signal() or int(due))
        if wish and self.checkpoints is not None:
            self._save(step, self._state(groups, done=False))
        if wish > 1:
            raise Interrupted(wish, self.saved_step)

    def _save(self, step: int, state: FitState) -> None:
        if self.checkpoints is None:
            return
        began = time.monotonic()
        self.checkpoints.save(step, state)
        self.saved_step = step
        ended = time.monotonic()
        self.next_save = ended + max(SAVE_EVERY_SECONDS, SAVE_SHARE * (ended - began))

    def _state(self, groups: list[_Group], done: bool) -> FitState:
        """The whole population again, as a checkpoint holds it."""
        train = _joined([group.train for group in groups])
        selection = None
        if self.patience is not None:
            selection = _joined([group.selection for group in groups])
        history, finished = parallel.replicate((self.history, np.int32(done)))
        return FitState(train, selection, history, finished)

    def _rows_seen(self, step: int) -> int:
        epoch, offset = divmod(step, self.steps)
        if self.stream is None:
            return epoch * self.rows + int(self.mask[:offset].sum())
        # an epoch that has begun has not come to its padding
        return epoch * self.rows + min(offset * self.batch_size, self.rows)


@partial(jax.jit, static_argnames=("patience",))
def _select(
    selection: Selection,
    train: TrainState,
    value: Float[Array, " seeds"],
    epoch: Int[Array, ""] | int,
    patience: int,
) -> Selection:
    """Keep the member's weights where the monitored value is lower than ever before.

    Keras's rule: a value equal to the best is no improvement.
    """
    better = selection.active & (value < selection.value)

    def keep(new: Array, old: Array) -> Array:
        return jnp.where(better.reshape(better.shape + (1,) * (new.ndim - 1)), new, old)

    best_epoch = jnp.where(better, epoch, selection.epoch)
    return Selection(
        params=jax.tree.map(keep, train.params, selection.params),
        model_state=jax.tree.map(keep, train.model_state, selection.model_state),
        value=jnp.where(better, value, selection.value),
        epoch=best_epoch,
        active=selection.active & (epoch - best_epoch < patience),
    )


def _any_active(groups: list[_Group]) -> bool:
    """Whether a member still trains."""
    return any(group.active is None or np.asarray(group.active).any() for group in groups)


def _joined(trees: list[Any]) -> Any:
    """Trees of the groups as one tree, along the seed axis."""
    if len(trees) == 1:
        return trees[0]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)
