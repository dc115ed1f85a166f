"""Checkpoints: Orbax writes and reads the arrays, this file sees that they are the right ones.

Orbax loads flipped bytes and other dtypes without a word. So every checkpoint carries the path,
shape, dtype and sha256 of each leaf together with what it belongs to (configuration and data),
every file has a sha256 beside it, and all of it is compared at load. A damaged checkpoint is never
loaded: the newest good one is, loudly.

A checkpoint is a folder named after its step. It is made under another name and renamed when it is
whole, and renamed again before it is deleted, so that a kill at any time leaves no half a one under
the name of a step.
"""

import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from jaxdl.errors import CheckpointError
from jaxdl.hashing import array_digest, digest
from jaxdl.training import parallel

FORMAT = 1
SUMS = "SHA256SUMS"
ITEM = "fit"
FULL = os.strerror(errno.ENOSPC)
ROOM_FOR_FILES, ROOM_FOR_LEAF = 48 << 10, 2 << 10  # bytes beside the numbers; measured, rounded up
UNFINISHED, DOOMED = ".unfinished", ".doomed"  # behind the step in a folder's name

# Orbax reports each leaf it cannot read through absl's root logger, before the error that we show.
logging.getLogger("absl").setLevel(logging.CRITICAL)


def describe_leaves(tree: Any, with_digest: bool) -> dict[str, dict[str, Any]]:
    """Path -> shape and dtype (and sha256) of every leaf of a tree of arrays or abstract arrays."""
    leaves = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        entry = {"shape": list(leaf.shape), "dtype": np.dtype(leaf.dtype).name}
        if with_digest:
            entry["sha256"] = array_digest(jax.device_get(leaf))
        leaves[jax.tree_util.keystr(path)] = entry
    return leaves


class Checkpoints:
    """The checkpoints of one fit: restore the newest good one, then save.

    Args:
        folder: where the steps are kept, one sub-folder each.
        identity: what the checkpoints belong to, as JSON (configuration hash, data hash). A
            checkpoint of another identity is refused.
        keep: how many of the newest good checkpoints stay; two, so that one may be damaged.
        warn: called with one line when a damaged checkpoint is passed over.
    """

    def __init__(
        self,
        folder: Path,
        identity: dict[str, str],
        keep: int = 2,
        warn: Callable[[str], None] = print,
    ):
        self.folder = Path(folder).absolute()
        self.identity = identity
        self.keep = keep
        self.warn = warn
        self._trusted: list[int] = []  # steps to keep, the newest last

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first."""
        if not self.folder.is_dir():
            return []
        names = [p.name for p in self.folder.iterdir() if p.is_dir()]
        return sorted(int(name) for name in names if re.fullmatch(r"\d+", name))

    def tidy(self) -> None:
        """Delete what a killed process left half made or half deleted."""
        if parallel.is_main():
            for folder in self.folder.glob("[0-9]*.*"):
                shutil.rmtree(folder, ignore_errors=True)

    def save(self, step: int, state: Any) -> None:
        """Write `state` (a tree of arrays) as `step`, and delete what is not to be kept.

        Raises:
            CheckpointError: it could not be written (the disk is full, say). Earlier checkpoints
                are as they were.
        """
        manifest = {
            "format": FORMAT,
            "step": step,
            "identity": self.identity,
            "leaves": describe_leaves(state, with_digest=True),
        }
        manifest["sha256"] = digest(manifest)
        unfinished = self.folder / f"{step}{UNFINISHED}"
        try:
            if parallel.is_main():
                self.folder.mkdir(parents=True, exist_ok=True)
            parallel.barrier("checkpoint")
            self._check_room(state)
            ocp.save_checkpointables(
                unfinished, {ITEM: state}, overwrite=True, custom_metadata=manifest
            )
            if parallel.is_main():
                sums = "".join(f"{line}\n" for line in sums_of(unfinished))
                (unfinished / SUMS).write_text(sums, encoding="utf-8")
                self._delete(step)  # a damaged one of this step
                unfinished.rename(self.folder / str(step))
        except Exception as error:  # TensorStore and Orbax raise many types for a full disk
            self.tidy()
            raise CheckpointError(
                f"cannot write a checkpoint to {self.folder} ({_cause(error)}); what was saved "
                "before is intact: the same command continues from there"
            ) from error
        self._trusted = [*(s for s in self._trusted if s != step), step][-self.keep :]
        if parallel.is_main():
            for other in set(self.steps()) - set(self._trusted):
                self._delete(other)
        parallel.barrier("saved")

    def restore(self, abstract: Any) -> tuple[int, Any] | None:
        """The newest good checkpoint, or None where there is none at all.

        Args:
            abstract: tree of `jax.ShapeDtypeStruct`; the arrays are put on all present devices,
                whatever devices they were saved from.

        Returns:
            (step, state).

        Raises:
            CheckpointError: checkpoints exist but each is damaged, or one belongs to another
                configuration, model or data set.
        """
        damaged = []
        for step in reversed(self.steps()):
            try:
                state = self._load(step, abstract)
                self._trusted = [older for older in self.steps() if older <= step]
                return step, state
            except _Damaged as error:
                damaged.append(step)
                self.warn(f"WARNING: checkpoint {self.folder.name}/{step} is damaged ({error})")
        if damaged:
            raise CheckpointError(
                f"every checkpoint in {self.folder} is damaged (steps {damaged}); "
                "train again with --fresh (and without --eval)"
            )
        return None

    def _check_room(self, state: Any) -> None:
        """Ask for the room before anything is written.

        TensorStore writes in threads of its own, which go on after the first error and fill the
        screen with theirs. What is asked for is without compression, and so more than is needed.

        Raises:
            OSError: the disk has too little room.
        """
        leaves = jax.tree.leaves(state)
        needed = ROOM_FOR_FILES + sum(leaf.nbytes + ROOM_FOR_LEAF for leaf in leaves)
        free = shutil.disk_usage(self.folder).free
        if parallel.agree(int(free < needed)):
            raise OSError(f"{FULL}: {needed:,} bytes are needed, {free:,} are free")

    def _delete(self, step: int) -> None:
        """Delete a step, if it is there; never half of it under its name."""
        folder, doomed = self.folder / str(step), self.folder / f"{step}{DOOMED}"
        if folder.exists():
            shutil.rmtree(doomed, ignore_errors=True)
            folder.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def _load(self, step: int, abstract: Any) -> Any:
        folder = self.folder / str(step)
        check_sums(folder)
        manifest = _read_manifest(folder)
        if manifest["step"] != step:
            raise _Damaged(f"it is a copy of step {manifest['step']}")
        if manifest["identity"] != self.identity:
            changed = [k for k, v in self.identity.items() if manifest["identity"].get(k) != v]
            raise CheckpointError(
                f"checkpoint {folder} was made with another {' and '.join(changed)}; "
                "use --fresh to train again, or another --workdir"
            )
        _compare_structure(folder, manifest["leaves"], describe_leaves(abstract, with_digest=False))
        sharding = parallel.replicated()
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), abstract
        )
        try:
            state = ocp.load_checkpointables(folder, {ITEM: target})[ITEM]
        except Exception as error:  # TensorStore and Orbax raise many types for damaged files
            raise _Damaged(_cause(error)) from error
        found = describe_leaves(state, with_digest=True)
        for path, entry in manifest["leaves"].items():
            if found[path] != entry:
                raise _Damaged(f"leaf {path} differs from its sha256")
        return state


class _Damaged(Exception):
    """This checkpoint cannot be trusted; an older one may do."""


def sums_of(folder: Path) -> list[str]:
    """A line for every file of a checkpoint: its sha256 and its name, as `sha256sum` writes it."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    return [f"{_file_digest(p)}  {p.relative_to(folder).as_posix()}" for p in files]


def check_sums(folder: Path) -> None:
    """Compare every file with its sum. Where there are no sums the leaves' digests decide alone."""
    path = folder / SUMS
    if not path.exists():
        return
    try:
        stated = path.read_text("utf-8").split("\n")
    except ValueError as error:
        raise _Damaged(f"{SUMS} is not readable") from error
    found = [*sums_of(folder), ""]
    if stated != found:
        line = min(set(stated) ^ set(found), default="")
        raise _Damaged(f"{line[66:] or SUMS} differs from its sha256")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = dict(ocp.checkpointables_metadata(folder).custom_metadata or {})
    except Exception as error:  # as above: many types
        raise _Damaged(_cause(error)) from error
    stated = manifest.pop("sha256", None)
    if stated != digest(manifest):
        raise _Damaged("its manifest is missing or differs from its sha256")
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"checkpoint {folder} has format {manifest['format']}; this program reads {FORMAT}"
        )
    return manifest


def _compare_structure(folder: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    missing = sorted(set(wanted) - set(saved))
    extra = sorted(set(saved) - set(wanted))
    if missing or extra:
        raise CheckpointError(
            f"checkpoint {folder} is of another model: missing {missing[:3]}, extra {extra[:3]}"
        )
    for path, entry in wanted.items():
        kept = {name: saved[path][name] for name in ("shape", "dtype")}
        if kept != entry:
            raise CheckpointError(
                f"checkpoint {folder} is of another model: {path} is {kept['dtype']}{kept['shape']}"
                f", expected {entry['dtype']}{entry['shape']}"
            )


def _cause(error: BaseException) -> str:
    """The first line of the innermost error: Orbax wraps it in thousands of characters."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # TensorStore puts the reason behind a long path
    return FULL if FULL in lines[0][200:] else lines[0][:200]
