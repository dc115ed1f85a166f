"""Checkpoints: what was saved comes back, and nothing else ever does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxdl.errors import CheckpointError
from jaxdl.hashing import array_digest, digest
from jaxdl.training.checkpoint import SUMS, Checkpoints
from tests import tasks

STATE = {
    "w": np.arange(12, dtype=np.float32).reshape(3, 4),
    "n": np.int32(7),
    "deep": {"flag": np.array([True, False])},
}
ABSTRACT = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), STATE)
IDENTITY = {"configuration": "c", "data": "d"}


def grown(step):
    return jax.tree.map(lambda x: x + x.dtype.type(step), {**STATE, "deep": {}}) | {
        "deep": STATE["deep"]
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Checkpoints of steps 1 and 2; copied by tests that damage them."""
    folder = tmp_path_factory.mktemp("saved") / "fit"
    store = Checkpoints(folder, IDENTITY)
    for step in (0, 1, 2):
        store.save(step, jax.device_put(grown(step)))
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "fit")


def test_the_newest_two_stay_and_come_back_bit_for_bit(saved):
    store = Checkpoints(saved, IDENTITY)
    assert store.steps() == [1, 2]
    step, state = store.restore(ABSTRACT)
    assert step == 2
    assert tasks.same(state, grown(2))


def test_nothing_there_is_none(tmp_path):
    assert Checkpoints(tmp_path / "none", IDENTITY).restore(ABSTRACT) is None


def files_of(folder):
    return sorted(p for p in (folder / "2").rglob("*") if p.is_file() and p.stat().st_size)


def test_a_flipped_byte_in_any_file_is_never_loaded_silently(copy):
    """Every file, several bytes: the older checkpoint is loaded, and the damage is told."""
    rng = np.random.default_rng(0)
    checked = 0
    for path in files_of(copy):
        good = path.read_bytes()
        for position in {0, len(good) - 1, *rng.integers(0, len(good), 3).tolist()}:
            bad = bytearray(good)
            bad[position] ^= 1 << rng.integers(8)
            path.write_bytes(bad)
            warnings = []
            step, state = Checkpoints(copy, IDENTITY, warn=warnings.append).restore(ABSTRACT)
            assert step == 1, f"byte {position} of {path.name} was loaded"
            assert tasks.same(state, grown(1))
            assert len(warnings) == 1
            assert "damaged" in warnings[0]
            checked += 1
        path.write_bytes(good)
    assert checked > 30


@pytest.mark.parametrize("damage", ["delete", "empty", "cut"])
def test_missing_and_cut_files_fall_back(copy, damage):
    for path in files_of(copy):
        if damage == "delete" and path.name == SUMS:
            continue  # without sums the digests of the leaves decide; see the next test
        good = path.read_bytes()
        path.write_bytes(b"" if damage == "empty" else good[: len(good) // 2])
        if damage == "delete":
            path.unlink()
        step, _ = Checkpoints(copy, IDENTITY, warn=lambda _: None).restore(ABSTRACT)
        assert step == 1, f"{damage} {path.name}"
        path.write_bytes(good)


def test_leaf_digests_catch_flips_without_the_sums(tmp_path):
    """A kill between the checkpoint and its sums leaves none; Orbax then loads flipped numbers."""
    state = {"w": np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)}
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
    store = Checkpoints(tmp_path / "fit", IDENTITY, warn=lambda _: None)
    store.save(2, jax.device_put(state))
    (tmp_path / "fit" / "2" / SUMS).unlink()
    assert tasks.same(store.restore(abstract)[1], state)
    payload = max((tmp_path / "fit").rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
    good = payload.read_bytes()
    refused = 0
    for position in range(0, len(good), len(good) // 24):
        bad = bytearray(good)
        bad[position] ^= 1
        payload.write_bytes(bad)
        try:
            assert tasks.same(store.restore(abstract)[1], state)
        except CheckpointError:
            refused += 1
    assert refused > 12


def test_a_changed_manifest_is_not_believed(copy):
    """Without the sums, its own digest guards the identity that the manifest states."""
    (copy / "2" / SUMS).unlink()
    path = copy / "2" / "_CHECKPOINT_METADATA"
    path.write_text(path.read_text().replace('"data": "d"', '"data": "x"'))
    store = Checkpoints(copy, {**IDENTITY, "data": "x"}, warn=lambda _: None)
    with pytest.raises(CheckpointError, match="another data"):  # that of step 1: 2 is passed over
        store.restore(ABSTRACT)


def test_all_damaged_is_an_error_that_says_what_to_do(copy):
    for step in "12":
        (copy / step / SUMS).write_text("nonsense")
    with pytest.raises(CheckpointError, match=r"every checkpoint .* --fresh"):
        Checkpoints(copy, IDENTITY, warn=lambda _: None).restore(ABSTRACT)


@pytest.mark.parametrize(
    ("abstract", "message"),
    [
        ({**ABSTRACT, "w": jax.ShapeDtypeStruct((4, 3), np.float32)}, r"'w'\] is float32\[3, 4\]"),
        ({**ABSTRACT, "w": jax.ShapeDtypeStruct((3, 4), np.float16)}, "expected float16"),
        ({**ABSTRACT, "new": ABSTRACT["n"]}, "missing .*new"),
        ({"w": ABSTRACT["w"]}, "extra .*deep"),
    ],
)
def test_another_model_is_refused_by_leaf(saved, abstract, message):
    with pytest.raises(CheckpointError, match=message):
        Checkpoints(saved, IDENTITY).restore(abstract)


def test_other_data_are_refused(saved):
    with pytest.raises(CheckpointError, match="another data"):
        Checkpoints(saved, {**IDENTITY, "data": "x"}).restore(ABSTRACT)


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "fit").write_text("a file where the folder should be")
    with pytest.raises(CheckpointError, match="cannot write"):
        Checkpoints(tmp_path / "fit", IDENTITY).save(0, jax.device_put(STATE))


def test_what_a_kill_left_behind_is_ignored_and_removed(copy):
    for name in ("3.orbax-checkpoint-tmp", "3.unfinished", "1.doomed"):
        (copy / name).mkdir()
        (copy / name / "file").write_text("half of something")
    store = Checkpoints(copy, IDENTITY)
    assert store.steps() == [1, 2]
    assert store.restore(ABSTRACT)[0] == 2
    store.tidy()
    assert sorted(p.name for p in copy.iterdir()) == ["1", "2"]
    store.save(4, jax.device_put(grown(4)))
    assert sorted(p.name for p in copy.iterdir()) == ["2", "4"]


class Killed(BaseException):
    """Ends a save as a kill would: nothing after it runs."""


@pytest.mark.parametrize("doing", ["rename", "rmtree", "write_text"])
def test_a_kill_at_any_moment_leaves_whole_checkpoints(saved, tmp_path, monkeypatch, doing):
    """Each call that changes the folder, of this kind: killed before it and in the middle of it."""
    for count in range(1, 9):
        folder = shutil.copytree(saved, tmp_path / f"{count}")
        store = Checkpoints(folder, IDENTITY)
        store.restore(ABSTRACT)
        owner = shutil if doing == "rmtree" else Path
        real, calls = getattr(owner, doing), []

        def act(path, *args, real=real, calls=calls, count=count, **options):
            calls.append(path)
            if len(calls) == count:
                if doing == "rmtree":  # half of what was to be deleted is gone
                    victim = next((p for p in Path(path).rglob("*") if p.is_file()), None)
                    if victim is not None:
                        victim.unlink()
                raise Killed
            return real(path, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(owner, doing, act)
            try:
                store.save(3, jax.device_put(grown(3)))
                finished = True
            except Killed:
                finished = False
        after = Checkpoints(folder, IDENTITY, warn=pytest.fail)  # nothing is damaged
        step, state = after.restore(ABSTRACT)
        assert step in (2, 3)
        assert tasks.same(state, grown(step))
        for each in after.steps():
            assert (folder / str(each) / SUMS).exists()
        after.tidy()
        after.save(5, jax.device_put(grown(5)))
        assert sorted(p.name for p in folder.iterdir()) == sorted([str(step), "5"])
        if finished:
            assert len(calls) < count
            break
    else:
        pytest.fail("a save makes more calls than were tried")


def test_a_copied_step_is_not_taken_for_a_later_one(copy):
    shutil.copytree(copy / "1", copy / "999")
    warnings = []
    store = Checkpoints(copy, IDENTITY, warn=warnings.append)
    assert store.restore(ABSTRACT)[0] == 2
    assert "999 is damaged (it is a copy of step 1)" in warnings[0]
    store.save(3, jax.device_put(grown(3)))
    assert store.steps() == [2, 3]  # what was passed over is gone: it is no good to anyone


def test_after_a_damaged_checkpoint_its_step_is_saved_again(copy):
    """Damage, fall back, train on, reach the damaged step: the new one is there, and good."""
    (copy / "2" / SUMS).write_text("nonsense")
    store = Checkpoints(copy, IDENTITY, warn=lambda _: None)
    assert store.restore(ABSTRACT)[0] == 1
    store.save(2, jax.device_put(grown(2)))
    step, state = Checkpoints(copy, IDENTITY, warn=pytest.fail).restore(ABSTRACT)
    assert step == 2
    assert tasks.same(state, grown(2))


@pytest.fixture
def small_disk(tmp_path):
    """Makes a file system of so many KiB; a function that changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def mount(kib):
        how = ["-o", f"{'remount,' if mounted else ''}size={kib}k", "tmpfs", str(folder)]
        done = subprocess.run(["mount", "-t", "tmpfs", *how], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("this user may not mount a file system")
        mounted.append(kib)
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
@pytest.mark.parametrize("kib", [4, 16, 40, 64, 80, 100, 128, 200])
def test_a_full_disk_is_one_line_and_costs_nothing(small_disk, kib):
    """At any size: a typed error, what was saved stays good, and more room lets it go on."""
    folder = small_disk(kib) / "fit"
    store, good = Checkpoints(folder, IDENTITY, keep=9), []

    def fill():
        for step in range(9):
            store.save(step, jax.device_put(grown(step)))
            good.append(step)

    with pytest.raises(CheckpointError) as told:
        fill()
    assert "No space left on device" in str(told.value)
    assert "\n" not in str(told.value)
    found = Checkpoints(folder, IDENTITY, warn=pytest.fail).restore(ABSTRACT)
    assert (found[0] if found else None) == (good[-1] if good else None)
    small_disk(4096)
    store.save(50, jax.device_put(grown(50)))
    step, state = Checkpoints(folder, IDENTITY, warn=pytest.fail).restore(ABSTRACT)
    assert step == 50
    assert tasks.same(state, grown(50))


def test_a_write_that_fails_half_way_leaves_the_earlier_checkpoints(copy, monkeypatch):
    store = Checkpoints(copy, IDENTITY)
    store.restore(ABSTRACT)

    def fails(folder):
        raise OSError(28, "No space left on device", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr("jaxdl.training.checkpoint.sums_of", fails)
        with pytest.raises(CheckpointError, match=r"No space left on device.*same command"):
            store.save(3, jax.device_put(grown(3)))
    assert sorted(p.name for p in copy.iterdir()) == ["1", "2"]
    assert Checkpoints(copy, IDENTITY, warn=pytest.fail).restore(ABSTRACT)[0] == 2


def test_digests_tell_shape_dtype_and_content_apart():
    x = np.zeros(4, np.float32)
    assert array_digest(x) == array_digest(x.copy())
    others = [x.reshape(2, 2), x.astype(np.int32), x + 1]
    assert len({array_digest(y) for y in (x, *others)}) == 4
    assert digest({"a": 1, "b": [2]}) == digest(json.loads('{"b": [2], "a": 1}'))
