"""Training rows that stay on disk: read in blocks and shuffled in groups of them, a little ahead.

A full shuffle reads every row from another place, which a disk answers slowly. So the rows are cut
into blocks of neighbours; each epoch takes the blocks in a new order, some of them at a time, and
shuffles the rows of these. The order is a pure function of (seed, epoch): what a step sees depends
on nothing else, and a resumed fit skips what it has seen without reading it.

Several processes share the work by parts. The rows are cut into as many parts as asked for, every
batch takes equally many rows of each, and a process reads only its own parts: the same training as
one process that reads them all.
"""

import math
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import jax
import numpy as np
from jaxtyping import Bool, Int

from jaxdl.errors import UserError
from jaxdl.hashing import digest
from jaxdl.training.data import check_integers, check_types
from jaxdl.training.parallel import mesh

BLOCK_BYTES = 1 << 20
GROUP_BYTES = 64 << 20
CHUNK_BYTES = 16 << 20  # what goes to the devices at a time
CHUNK_STEPS = 2048  # a stop waits for the end of a chunk
CHUNKS_AHEAD = 2
CACHE_LINE = 64  # bytes
Item = TypeVar("Item")


class RowSource(Protocol):
    """Rows on disk, as `datasets.shards` opens them.

    `kinds` gives the shape and type of each array of one row; `read` the rows from one number to
    another (exclusive), as named arrays; `digest` a checksum of what is read.
    """

    @property
    def kinds(self) -> Mapping[str, jax.ShapeDtypeStruct]: ...
    def __len__(self) -> int: ...
    def read(self, start: int, stop: int) -> Mapping[str, np.ndarray]: ...
    def digest(self) -> str: ...


class BlockGroup(NamedTuple):
    """Blocks that are in memory together.

    Attributes:
        blocks: first row and end of each.
        shuffle: the order of their rows, counted through the blocks one after the other.
    """

    blocks: list[tuple[int, int]]
    shuffle: Int[np.ndarray, " rows"]


@dataclass(frozen=True)
class Streamed:
    """Rows for `fit` that are read while it trains.

    The members of a population see the same rows in the same order, that of the first seed.

    Attributes:
        source: where they are read.
        block_rows: neighbours that are read together; 0: as many as take about a MiB.
        group_rows: rows that are shuffled together; 0: as many as take about 64 MiB.
        parts: of which every batch takes equally many rows; a multiple of the processes.
    """

    source: RowSource
    block_rows: int = 0
    group_rows: int = 0
    parts: int = 1

    def digest(self) -> str:
        """A checksum of the rows and of the order in which an epoch takes them."""
        order = [self.rows_in_block, self.rows_in_group, self.parts]
        return digest([self.source.digest(), order])

    # ---- sizes ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.source)

    @property
    def kinds(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and type of each array of one row, as a device holds it: 32 bits at most."""
        return {
            name: jax.ShapeDtypeStruct(kind.shape, jax.dtypes.canonicalize_dtype(kind.dtype))
            for name, kind in self.source.kinds.items()
        }

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of all arrays together; at least 1."""
        kinds = self.source.kinds.values()
        return max(1, sum(int(np.prod(k.shape)) * np.dtype(k.dtype).itemsize for k in kinds))

    @property
    def rows_in_block(self) -> int:
        """Neighbours that are read together."""
        return self.block_rows or max(1, BLOCK_BYTES // self.row_bytes)

    @property
    def rows_in_group(self) -> int:
        """Rows that are shuffled together."""
        return self.group_rows or max(1, GROUP_BYTES // self.row_bytes)

    def check(self, batch_size: int) -> int:
        """The number of rows, once it is clear that a model can take them.

        Raises:
            UserError: there is no row, an array holds no numbers or has the engine's own name, the
                parts do not divide the batch, or the processes the parts.
        """
        kinds = self.source.kinds.items()
        check_types({name: np.dtype(kind.dtype) for name, kind in kinds}, "train")
        if len(self) < self.parts or not self.source.kinds:
            raise UserError(f"train: {len(self)} rows in {self.parts} parts: nothing to train on")
        if batch_size % self.parts:
            raise UserError(f"batch size {batch_size} does not divide by {self.parts} parts")
        if self.parts % jax.process_count():
            raise UserError(
                f"{self.parts} parts cannot be shared by {jax.process_count()} processes"
            )
        owners = [device.process_index for device in mesh().devices.flat]
        if owners != sorted(owners):
            raise UserError("rows cannot be streamed here: the devices of a process lie apart")
        return len(self)

    def part(self, number: int) -> tuple[int, int]:
        """First row and end of a part; parts differ by at most one row."""
        return tuple(len(self) * (number + i) // self.parts for i in (0, 1))

    def steps(self, batch_size: int) -> int:
        """Batches that cover all rows; the last may be padded."""
        own = batch_size // self.parts
        return max(-(-(stop - start) // own) for start, stop in map(self.part, range(self.parts)))

    def mask(
        self, batch_size: int, first: int = 0, end: int | None = None
    ) -> Bool[np.ndarray, "steps batch"]:
        """True where a batch holds a real row, False where it is padding.

        Args:
            batch_size: rows in a step.
            first, end: of which steps; all by default.
        """
        own, end = batch_size // self.parts, self.steps(batch_size) if end is None else end
        sizes = [stop - start for start, stop in map(self.part, range(self.parts))]
        places = np.arange(first * own, end * own).reshape(-1, own)
        return np.concatenate([places < size for size in sizes], axis=1)

    # ---- order ------------------------------------------------------------------------------

    def groups(self, part: int, seed: int, epoch: int) -> Iterator[BlockGroup]:
        """The groups of blocks of a part in the order of an epoch."""
        rows = self.rows_in_block
        together = max(1, self.rows_in_group // rows)
        first, end = self.part(part)
        starts = np.arange(first, end, rows)
        generator = np.random.Generator(
            np.random.Philox(np.random.SeedSequence([seed, epoch, part]))
        )
        starts = generator.permutation(starts)
        for i in range(0, len(starts), together):
            blocks = [(int(s), int(min(s + rows, end))) for s in starts[i : i + together]]
            size = sum(stop - start for start, stop in blocks)
            yield BlockGroup(blocks, generator.permutation(size))

    # ---- batches ----------------------------------------------------------------------------

    def chunk_steps(self, batch_size: int) -> int:
        """Steps whose rows go to the devices at a time."""
        fitting = CHUNK_BYTES // (self.row_bytes * batch_size)
        return max(1, min(self.steps(batch_size), CHUNK_STEPS, fitting))

    def chunks(
        self, seed: int, epoch: int, batch_size: int, first_step: int = 0
    ) -> Iterator[dict[str, np.ndarray]]:
        """This process's share of the batches of an epoch, some steps at a time.

        Args:
            seed, epoch: of the order.
            batch_size: rows in a step, of all processes together.
            first_step: where to begin; earlier rows are not read.

        Yields:
            Arrays [steps, own rows of a batch, ...]; the last may hold fewer steps.
        """
        own = self.parts // jax.process_count()
        parts = range(jax.process_index() * own, (jax.process_index() + 1) * own)
        each = [self._part_chunks(part, seed, epoch, batch_size, first_step) for part in parts]
        for chunks in zip(*each, strict=True):
            yield {
                name: np.concatenate([chunk[name] for chunk in chunks], axis=1)
                if len(chunks) > 1
                else chunks[0][name]
                for name in chunks[0]
            }

    def _part_chunks(
        self, part: int, seed: int, epoch: int, batch_size: int, first_step: int
    ) -> Iterator[dict[str, np.ndarray]]:
        own = batch_size // self.parts
        left = self.steps(batch_size) - first_step
        wanted = self.chunk_steps(batch_size) * own
        skipped = first_step * own
        rest: dict[str, np.ndarray] = {}  # of the groups before, fewer rows than a chunk
        together: list[BlockGroup] = []  # as many groups as fill a chunk
        have = 0  # rows of both
        for group in self.groups(part, seed, epoch):
            if not together and skipped >= len(group.shuffle):
                skipped -= len(group.shuffle)
                continue
            together.append(group)
            have += len(group.shuffle)
            if have - skipped < wanted:
                continue
            rows = {name: x[skipped:] for name, x in self._read(together, rest).items()}
            have, skipped, together = have - skipped, 0, []
            whole = have - have % wanted
            for first in range(0, whole, wanted):
                left -= wanted // own
                yield {
                    name: x[first : first + wanted].reshape(wanted // own, own, *x.shape[1:])
                    for name, x in rows.items()
                }
            rest, have = {name: x[whole:] for name, x in rows.items()}, have - whole
        if left:
            if have:
                rows = {name: x[skipped:] for name, x in self._read(together, rest).items()}
            else:  # another part has a row more: any row serves as padding
                first, _ = self.part(part)
                rows = dict(self.source.read(first, first + 1))
            yield {
                name: _padded(x, left * own, own).reshape(left, own, *x.shape[1:])
                for name, x in rows.items()
            }

    def _read(
        self, groups: Sequence[BlockGroup], rest: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """`rest`, and behind it the rows of each group in their shuffled order.

        One block at a time is held beside them.
        """
        first = len(next(iter(rest.values()))) if rest else 0
        size = first + sum(len(group.shuffle) for group in groups)
        rows = {
            name: _aligned((size, *kind.shape), np.dtype(kind.dtype))
            for name, kind in self.source.kinds.items()
        }
        for name, x in rest.items():
            rows[name][:first] = x
        for group in groups:
            place = np.empty(len(group.shuffle), np.int64)
            place[group.shuffle] = first + np.arange(len(group.shuffle))
            first += len(group.shuffle)
            done = 0
            for start, stop in group.blocks:
                own = place[done : done + stop - start]
                for name, x in self.source.read(start, stop).items():
                    check_integers(x, f"train: {name!r}")
                    rows[name][own] = x
                done += stop - start
        return rows


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array that begins at a cache line.

    On a CPU JAX takes what begins there, and has a type of its own, as it lies; all else is copied.
    So do the chunks whose size is a multiple of a cache line.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + CACHE_LINE, np.uint8)
    first = -memory.ctypes.data % CACHE_LINE
    return memory[first : first + size].view(dtype).reshape(shape)


def _padded(rows: np.ndarray, size: int, batch: int) -> np.ndarray:
    """The rows and, behind them, the last of them again, up to `size`.

    Rows that are in a batch anyway cannot overflow where the real ones do not.
    """
    missing = size - len(rows)
    if not missing:
        return rows
    last = rows[-(len(rows) % batch or batch) :]
    return np.concatenate([rows, np.resize(last, (missing, *rows.shape[1:]))])


class Ahead(Generic[Item]):
    """Goes through an iterator in a thread of its own, a few items ahead.

    Use it as a context: the thread ends with it, whether all was taken or not. An error in the
    iterator is raised where its item would have come.
    """

    def __init__(self, items: Iterator[Item], most: int = CHUNKS_AHEAD):
        self._items = items
        self._ready: queue.Queue = queue.Queue(maxsize=most)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Ahead[Item]":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        while self._thread.is_alive():  # it may wait for room
            try:
                self._ready.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        while True:
            item, error, ended = self._ready.get()
            if error is not None:
                raise error
            if ended:
                return
            yield item

    def _work(self) -> None:
        try:
            for item in self._items:
                self._hand_over((item, None, False))
                if self._stop.is_set():
                    return
            self._hand_over((None, None, True))
        except Exception as error:  # told to who waits for the item
            self._hand_over((None, error, True))

    def _hand_over(self, item: tuple) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue
