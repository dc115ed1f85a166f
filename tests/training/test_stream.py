"""Training rows from disk: the same bits as from memory, in the order promised, none read twice."""

import json
import os
import socket
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

from datasets.shards import NumpyShards
from jaxdl.errors import Interrupted, UserError
from jaxdl.training import Streamed, fit, parallel
from jaxdl.training import step as programs
from jaxdl.training.callback import Silent
from jaxdl.training.checkpoint import Checkpoints
from jaxdl.training.stream import Ahead
from tests import tasks
from tests.conftest import ROOT

FIT = {"epochs": 3, "batch_size": 12}


class InMemory:
    """Arrays as a source of rows, which notes what is read."""

    def __init__(self, arrays):
        self.arrays, self.asked = arrays, []

    @property
    def kinds(self):
        return {k: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for k, x in self.arrays.items()}

    def __len__(self):
        return len(next(iter(self.arrays.values())))

    def read(self, start, stop):
        self.asked.append((start, stop))
        return {name: x[start:stop] for name, x in self.arrays.items()}

    def digest(self):
        return "some rows"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("jaxdl.training.stream.CHUNK_BYTES", 12 * 20 * 3)  # three steps


@pytest.fixture(params=["scan", "loop"])
def either_program(request, monkeypatch):
    monkeypatch.setattr(programs, "prefers_scan", lambda *_: request.param == "scan")


def streamed(rows, parts=1):
    return Streamed(InMemory(rows), block_rows=5, group_rows=20, parts=parts)


def order_of(stream, seed, epoch, batch_size):
    """Row numbers of each batch of an epoch, as `batch_order.epoch_order` gives them."""
    own, steps = batch_size // stream.parts, stream.steps(batch_size)
    columns = []
    for part in range(stream.parts):
        rows = []
        for group in stream.groups(part, seed, epoch):
            rows += np.concatenate([np.arange(*b) for b in group.blocks])[group.shuffle].tolist()
        columns.append(np.resize(rows, steps * own).reshape(steps, own))
    return np.concatenate(columns, axis=1).astype(np.int32)


def in_the_order_of(stream, monkeypatch):
    """From now on, rows in memory are trained on in the order of a stream's first seed."""

    def order(seed, epoch, rows, batch_size):
        return order_of(stream, 0, epoch, batch_size)

    monkeypatch.setattr("jaxdl.training.batch_order.epoch_order", order)
    monkeypatch.setattr(
        "jaxdl.training.batch_order.padding_mask", lambda rows, size: stream.mask(size)
    )


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_order_holds_every_row_once_and_depends_on_seed_and_epoch_only(rows, parts):
    stream = streamed(rows, parts)
    order, mask = order_of(stream, 7, 2, 12), stream.mask(12)
    assert order.shape == mask.shape == (stream.steps(12), 12)
    assert sorted(order[mask]) == list(range(103))
    assert (order == order_of(streamed(rows, parts), 7, 2, 12)).all()
    assert (order[mask] != order_of(stream, 7, 3, 12)[mask]).mean() > 0.8
    assert (order[mask] != order_of(stream, 8, 2, 12)[mask]).mean() > 0.8
    # rows are not left beside their neighbours
    assert (np.diff(order[mask]) == 1).mean() < 0.2
    own = 12 // parts
    for part in range(parts):
        first, end = stream.part(part)
        columns = order[:, part * own : (part + 1) * own]
        assert ((columns >= first) & (columns < end)).all()


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("first_step", [0, 1, 4, 8])
def test_chunks_are_the_batches_of_the_order(rows, parts, first_step):
    stream = streamed(rows, parts)
    chunks = list(stream.chunks(0, 1, 12, first_step))
    assert all(len(chunk["x"]) == 3 for chunk in chunks[:-1])
    seen = np.concatenate([chunk["x"] for chunk in chunks])
    expected = rows["x"][order_of(stream, 0, 1, 12)][first_step:]
    mask = stream.mask(12)[first_step:]
    assert seen.shape == expected.shape
    np.testing.assert_array_equal(seen[mask], expected[mask])


def test_a_part_that_ends_a_step_earlier_is_filled_up(rows):
    few = {"x": rows["x"][:97]}  # parts of 48 and 49 rows, six of each in a batch
    stream = streamed(few, 2)
    assert stream.steps(12) == 9
    for first_step in (0, 8):
        seen = np.concatenate([c["x"] for c in stream.chunks(0, 0, 12, first_step)])
        mask = stream.mask(12)[first_step:]
        expected = few["x"][order_of(stream, 0, 0, 12)][first_step:]
        np.testing.assert_array_equal(seen[mask], expected[mask])
    assert mask.sum() == 1


def test_what_was_seen_is_not_read_again(rows):
    stream = streamed(rows)
    list(stream.chunks(0, 0, 12))
    everything = len(stream.source.asked)
    stream.source.asked.clear()
    list(stream.chunks(0, 0, 12, first_step=6))  # 72 rows: three groups of 20, and some
    assert len(stream.source.asked) == everything - 3 * 4
    assert max(stop - start for start, stop in stream.source.asked) == 5


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_streamed_training_is_training_in_memory_bit_for_bit(
    rows, either_program, monkeypatch, parts, seeds
):
    stream = streamed(rows, parts)
    task = tasks.autoencoder(noise=0.1)
    from_disk = fit(task, stream, rows, seeds=seeds, **FIT)
    in_the_order_of(stream, monkeypatch)
    from_memory = fit(task, rows, rows, seeds=seeds, **FIT)
    assert tasks.same(from_disk.variables, from_memory.variables)
    assert tasks.same(from_disk.history, from_memory.history)


def test_batch_statistics_leave_padding_out(monkeypatch):
    rng = np.random.default_rng(0)
    pictures = {
        "x": rng.normal(size=(50, 6, 6, 2)).astype(np.float32),
        "y": (np.arange(50) % 3).astype(np.int32),
    }
    stream = Streamed(InMemory(pictures), block_rows=7, group_rows=21)
    from_disk = fit(tasks.classifier(), stream, seeds=[0], epochs=2, batch_size=16)
    in_the_order_of(stream, monkeypatch)
    from_memory = fit(tasks.classifier(), pictures, seeds=[0], epochs=2, batch_size=16)
    assert tasks.same(from_disk.variables, from_memory.variables)


class StopAfter(Silent):
    def __init__(self, looks):
        self.looks = looks

    def stop_signal(self):
        self.looks -= 1
        return 2 if self.looks < 0 else 0


@pytest.mark.parametrize("looks", [0, 2, 5])
def test_a_stopped_fit_goes_on_with_the_same_bits(rows, either_program, tmp_path, looks):
    whole = fit(tasks.autoencoder(noise=0.1), streamed(rows), rows, seeds=[3, 4], **FIT)
    checkpoints = Checkpoints(tmp_path / "fit", {"data": streamed(rows).digest()})
    settings = {**FIT, "seeds": [3, 4], "checkpoints": checkpoints}
    with pytest.raises(Interrupted):
        fit(
            tasks.autoencoder(noise=0.1), streamed(rows), rows, watcher=StopAfter(looks), **settings
        )
    stream = streamed(rows)
    again = fit(tasks.autoencoder(noise=0.1), stream, rows, **settings)
    assert tasks.same(again.variables, whole.variables)
    assert tasks.same(again.history, whole.history)
    blocks = -(-103 // 5)
    assert len(stream.source.asked) <= 3 * blocks
    if looks:  # it has come to the second group of blocks
        assert len(stream.source.asked) < 3 * blocks


def test_a_stop_does_not_wait_for_the_end_of_a_chunk(rows, monkeypatch, tmp_path):
    monkeypatch.setattr(programs, "prefers_scan", lambda *_: False)
    monkeypatch.setattr("jaxdl.training.stream.CHUNK_BYTES", 1 << 20)
    monkeypatch.setattr("jaxdl.training.loop.PIECE_SECONDS", 0.0)
    checkpoints = Checkpoints(tmp_path / "fit", {"data": "rows"})
    with pytest.raises(Interrupted) as stopped:
        fit(
            tasks.autoencoder(), streamed(rows), seeds=[0], checkpoints=checkpoints,
            watcher=StopAfter(2), **FIT,
        )  # fmt: skip
    assert stopped.value.saved_step == 3  # of nine in the chunk
    assert streamed(rows).chunk_steps(12) == 9


def test_numbers_of_64_bits_are_taken_as_32(rows):
    wide = {"x": rows["x"].astype(np.float64), "y": np.arange(103)}
    losses = [
        fit(tasks.autoencoder(), streamed(data), seeds=[0], **FIT).history["train_loss"]
        for data in (rows, wide)
    ]
    np.testing.assert_array_equal(*losses)


def test_integers_beyond_32_bits_are_refused(rows):
    many = {**rows, "y": np.full(103, 2**32 + 1)}
    with pytest.raises(UserError, match="'y' holds 4294967297, which does not fit into 32 bits"):
        fit(tasks.autoencoder(), streamed(many), seeds=[0], **FIT)


def test_a_row_that_cannot_be_read_stops_the_fit_with_its_error(rows):
    class Broken(InMemory):
        def read(self, start, stop):
            if len(self.asked) > 8:
                raise UserError("rows.npy: ends before its last row")
            return super().read(start, stop)

    before = threading.active_count()
    with pytest.raises(UserError, match="ends before its last row"):
        fit(tasks.autoencoder(), Streamed(Broken(rows), 5, 20), seeds=[0], **FIT)
    assert threading.active_count() == before


def test_a_reader_that_is_left_early_ends():
    before = threading.active_count()
    with Ahead(iter(range(1000)), most=2) as numbers:
        assert [n for n, _ in zip(numbers, range(5), strict=False)][:5] == list(range(5))
    assert threading.active_count() == before


def test_a_process_reads_its_own_parts_only(rows, monkeypatch):
    whole = np.concatenate([c["x"] for c in streamed(rows, 4).chunks(0, 0, 12)])
    shares = []
    for rank in range(2):
        monkeypatch.setattr(jax, "process_count", lambda: 2)
        monkeypatch.setattr(jax, "process_index", lambda rank=rank: rank)
        stream = streamed(rows, 4)
        shares.append(np.concatenate([c["x"] for c in stream.chunks(0, 0, 12)]))
        first, end = stream.part(2 * rank)[0], stream.part(2 * rank + 1)[1]
        assert all(first <= start and stop <= end for start, stop in stream.source.asked)
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": 5}, "does not divide by 5 parts"),
        ({"parts": 200}, "nothing to train on"),
        ({"source": InMemory({"x": np.array(["a", "b"])})}, "not numbers"),
        ({"source": InMemory({"row_mask": np.zeros((9, 1), np.float32)})}, "the engine calls"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(rows, change, message):
    settings = {"source": InMemory(rows), "block_rows": 5, "group_rows": 20, **change}
    with pytest.raises(UserError, match=message):
        fit(tasks.autoencoder(), Streamed(**settings), seeds=[0], **FIT)


def test_parts_must_suit_the_processes(rows, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match="3 parts cannot be shared by 2 processes"):
        streamed(rows, 3).check(12)


def test_the_digest_knows_the_order(rows):
    digests = {
        Streamed(InMemory(rows), *shape).digest()
        for shape in ((5, 20), (4, 20), (5, 40), (5, 20, 2))
    }
    assert len(digests) == 4


# ---- two processes -------------------------------------------------------------------------------

PROGRAM = """
import json, sys
from pathlib import Path
from jaxdl.training import parallel
multihost = len(sys.argv) > 2
parallel.start("cpu", multihost)
import jax, numpy as np
from datasets.shards import NumpyShards
from jaxdl.training import Streamed, fit
from tests import tasks

class Counting(NumpyShards):
    rows = 0
    def read(self, start, stop):
        Counting.rows += stop - start
        return super().read(start, stop)

stream = Streamed(Counting(Path(sys.argv[1])), block_rows=16, group_rows=64, parts=2)
fitted = fit(tasks.autoencoder(), stream, seeds=[0], epochs=2, batch_size=32)
losses = np.asarray(fitted.history["train_loss"])[:, 0].tolist()
print(json.dumps({"losses": losses, "rows": Counting.rows}))
"""


def test_two_processes_with_halves_agree_with_one(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(3):
        x = rng.normal(size=(200, 5)).astype(np.float32)
        np.save(tmp_path / f"x-{number:05}.npy", x)
    assert len(NumpyShards(tmp_path)) == 600
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2"}

    def start(*words, **environment):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), *words]
        return subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
        )

    processes = [start(), *[start("two", JAX_PROCESS_ID=str(i), **cluster) for i in range(2)]]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    one, *halves = [json.loads(output.splitlines()[-1]) for output in outputs]
    assert one["rows"] == 2 * 600
    assert [half["rows"] for half in halves] == [600, 600]
    for half in halves:
        np.testing.assert_allclose(half["losses"], one["losses"], rtol=1e-5)


def test_a_chunk_reaches_a_cpu_without_a_copy(monkeypatch):
    monkeypatch.setattr("jaxdl.training.stream.CHUNK_BYTES", 12 * 80 * 3)
    rows = {"x": np.random.default_rng(0).normal(size=(160, 20)).astype(np.float32)}
    stream = Streamed(InMemory(rows), block_rows=5, group_rows=80)
    chunks = list(stream.chunks(0, 0, 12))
    for chunk in chunks[:2]:  # of one group; 2,880 bytes each, 45 cache lines
        on_device = parallel.put_batches(chunk)["x"]
        shard = on_device.addressable_shards[0].data
        assert shard.unsafe_buffer_pointer() == chunk["x"].ctypes.data
    # the third takes 8 rows of the first group and 28 of the second
    assert [len(chunk["x"]) for chunk in chunks] == [3, 3, 3, 3, 2]
    start = chunks[0]["x"].ctypes.data
    assert chunks[1]["x"].ctypes.data == start + 2880


@pytest.mark.parametrize("group_rows", [5, 20, 35, 1000])
def test_chunks_and_groups_of_any_size_give_the_same_kinds_of_batches(group_rows):
    rows = {"x": np.arange(161, dtype=np.int32), "y": np.arange(161, dtype=np.int32) % 7}
    stream = Streamed(InMemory(rows), block_rows=5, group_rows=group_rows)
    expected = order_of(stream, 3, 1, 12)
    for first in (0, 1, 7, 13):
        chunks = list(stream.chunks(3, 1, 12, first))
        seen = np.concatenate([chunk["x"] for chunk in chunks])
        real = stream.mask(12, first)
        np.testing.assert_array_equal(seen[real], expected[first:][real])
        labels = np.concatenate([chunk["y"] for chunk in chunks])
        np.testing.assert_array_equal(labels, seen % 7)
