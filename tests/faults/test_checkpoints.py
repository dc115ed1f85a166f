"""Damaged, foreign and moved checkpoints: never loaded silently."""

import contextlib
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxdl.errors import CheckpointError
from jaxdl.training import checkpoint
from jaxdl.training.checkpoint import SUMS, Checkpoints
from tests import tasks
from tests.conftest import ROOT
from tests.faults.conftest import times

pytestmark = pytest.mark.faults

RNG = np.random.default_rng(0)
STATE = {
    "w": RNG.normal(size=(64, 64)).astype(np.float32),
    "n": np.int32(7),
    "deep": {"flag": np.array([True, False])},
}
OLDER = {**STATE, "n": np.int32(6)}
ABSTRACT = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), STATE)
IDENTITY = {"configuration": "c", "data": "d"}


@pytest.fixture
def saved(tmp_path):
    store = Checkpoints(tmp_path / "fit", IDENTITY)
    store.save(1, jax.device_put(OLDER))
    store.save(2, jax.device_put(STATE))
    return tmp_path / "fit"


def restored(folder):
    """(step, state, warnings)."""
    warnings = []
    step, state = Checkpoints(folder, IDENTITY, warn=warnings.append).restore(ABSTRACT)
    return step, state, warnings


def fell_back(folder):
    """The older one was loaded to the bit, and the damage told in one line."""
    step, state, warnings = restored(folder)
    told = len(warnings) == 1 and "damaged" in warnings[0]
    return step == 1 and tasks.same(state, OLDER) and told


def damages(good, other):
    """Name -> content of a damaged file; None: it is deleted."""
    yield "deleted", None
    yield "empty", b""
    for percent in (25, 50, 90, 99):
        yield f"cut at {percent} %", good[: len(good) * percent // 100]
    yield "zeros", bytes(len(good))
    yield "another file's content", other
    flips = times(6, 64)
    for part in range(flips):
        low = len(good) * part // flips
        bad = bytearray(good)
        bad[RNG.integers(low, max(low + 1, len(good) * (part + 1) // flips))] ^= 1 << RNG.integers(
            8
        )
        yield f"a bit flipped in part {part} of {flips}", bytes(bad)


def test_f7_every_file_damaged_in_every_way(saved, tally):
    tally.item = "F7 files of a checkpoint: deleted, emptied, cut, zeroed, swapped, bits flipped"
    files = sorted(p for p in (saved / "2").rglob("*") if p.is_file() and p.stat().st_size)
    for number, path in enumerate(files):
        good, other = path.read_bytes(), files[number - 1].read_bytes()
        for what, content in damages(good, other):
            if content == good or (path.name == SUMS and what == "deleted"):
                continue  # without sums the digests of the leaves decide
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
            tally.check(fell_back(saved), f"{path.name} {what}")
            path.write_bytes(good)
    assert restored(saved)[0] == 2


def test_f20_without_digests_flips_are_loaded(saved, tally, monkeypatch):
    """Orbax alone lets flipped numbers pass: the digests are what holds in the item above."""
    tally.item = "F20 checkpoints without digests: flips in the largest file that are then loaded"
    monkeypatch.setattr(checkpoint, "check_sums", lambda folder: None)
    monkeypatch.setattr(checkpoint, "array_digest", lambda array: "0" * 64)
    store = Checkpoints(saved, IDENTITY)
    store.save(3, jax.device_put(STATE))
    payload = max((saved / "3").rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
    good, loaded = payload.read_bytes(), 0
    for position in range(0, len(good), len(good) // 24):
        bad = bytearray(good)
        bad[position] ^= 1
        payload.write_bytes(bytes(bad))
        with contextlib.suppress(CheckpointError):  # Orbax itself has noticed
            _, state = Checkpoints(saved, IDENTITY, warn=lambda _: None).restore(ABSTRACT)
            loaded += not tasks.same(state, STATE)
    tally.check(loaded > 0, "none was loaded: the item above proves nothing")


FOREIGN = {
    "another shape": {**ABSTRACT, "w": jax.ShapeDtypeStruct((64, 63), np.float32)},
    "another dtype": {**ABSTRACT, "w": jax.ShapeDtypeStruct((64, 64), np.float16)},
    "a leaf more": {**ABSTRACT, "v": jax.ShapeDtypeStruct((1,), np.float32)},
    "a leaf less": {key: ABSTRACT[key] for key in ("w", "n")},
    "another name": {"u": ABSTRACT["w"], "n": ABSTRACT["n"], "deep": ABSTRACT["deep"]},
}


def test_f8_a_foreign_checkpoint_is_refused_in_one_line(saved, tally):
    tally.item = "F8 checkpoints of another model, configuration, data set or format"

    def refused(identity, abstract, what):
        try:
            Checkpoints(saved, identity, warn=lambda _: None).restore(abstract)
        except CheckpointError as error:
            tally.check("\n" not in str(error), error)
        else:
            tally.check(False, f"{what} was loaded")

    for what, abstract in FOREIGN.items():
        refused(IDENTITY, abstract, what)
    for key in IDENTITY:
        refused({**IDENTITY, key: "other"}, ABSTRACT, key)
    tally.check(Checkpoints(saved / "none", IDENTITY).restore(ABSTRACT) is None, "empty folder")
    shutil.copytree(saved / "1", saved / "9")  # a copy is not a later step
    tally.check(restored(saved)[0] == 2, "a copy was taken for a later step")


DEVICES = """
import sys
from pathlib import Path
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxdl.training import parallel
from jaxdl.training.checkpoint import Checkpoints
from tests.faults.test_checkpoints import ABSTRACT, IDENTITY, STATE
from tests import tasks
count, folder = int(sys.argv[1]), Path(sys.argv[2])
assert jax.device_count() == count
for other in sys.argv[3].split(","):
    if other == "save":
        state = jax.device_put(STATE, parallel.replicated())
        Checkpoints(folder / str(count), IDENTITY).save(1, state)
    else:
        step, state = Checkpoints(folder / other, IDENTITY).restore(ABSTRACT)
        print(other, count, step == 1 and tasks.same(state, STATE))
"""


def test_f9_any_number_of_devices_reads_what_any_other_saved(tmp_path, tally):
    tally.item = "F9 saved on 1, 2, 4 or 8 simulated devices, restored on 1, 2, 4 or 8"
    for doing in ("save", "1,2,4,8"):
        for count in (1, 2, 4, 8):
            flags = f"--xla_force_host_platform_device_count={count}"
            done = subprocess.run(
                [sys.executable, "-c", DEVICES, str(count), str(tmp_path), doing],
                cwd=ROOT,
                env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            for line in done.stdout.splitlines():
                tally.check(line.endswith("True"), line)
    assert tally.tried == 16
