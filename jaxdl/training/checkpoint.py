"""Checkpoints: Orbax writes and reads the arrays, this file sees that they are the right ones.

Orbax's writes are atomic, but it loads flipped bytes and other dtypes without a word, and it may
skip a save. So every checkpoint carries the path, shape, dtype and sha256 of each leaf together
with what it belongs to (configuration and data), every file has a sha256 beside it, and all of it
is compared at load. A damaged checkpoint is never loaded: the newest good one is, loudly.
"""

import hashlib
import logging
import re
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
    """The checkpoints of one fit: save, and restore the newest good one.

    Args:
        folder: where the steps are kept, one sub-folder each.
        identity: what the checkpoints belong to, as JSON (configuration hash, data hash). A
            checkpoint of another identity is refused.
        keep: how many of the newest checkpoints stay; two, so that one may be damaged.
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
        self._writer: ocp.training.Checkpointer | None = None

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first; temporary folders do not count."""
        if not self.folder.is_dir():
            return []
        names = [p.name for p in self.folder.iterdir() if p.is_dir()]
        return sorted(int(name) for name in names if re.fullmatch(r"\d+", name))

    def save(self, step: int, state: Any) -> None:
        """Write `state` (a tree of arrays) as `step` and wait until it is on disk.

        Raises:
            CheckpointError: it could not be written (the disk is full, say).
        """
        manifest = {
            "format": FORMAT,
            "step": step,
            "identity": self.identity,
            "leaves": describe_leaves(state, with_digest=True),
        }
        manifest["sha256"] = digest(manifest)
        try:
            if self._writer is None:
                self._writer = self._open_writer()
            # force and the checked return value: Orbax's policies may skip a save without a word
            saved = self._writer.save_checkpointables(
                step, {ITEM: state}, force=True, overwrite=True, custom_metadata=manifest
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"cannot write a checkpoint to {self.folder}: {_cause(error)}"
            ) from error
        if not saved:
            raise CheckpointError(f"Orbax skipped the checkpoint of step {step} in {self.folder}")
        if parallel.is_main():
            write_sums(self.folder / str(step))
        parallel.barrier("checkpoint")

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
                return step, self._load(step, abstract)
            except _Damaged as error:
                damaged.append(step)
                self.warn(f"WARNING: checkpoint {self.folder.name}/{step} is damaged ({error})")
        if damaged:
            raise CheckpointError(
                f"every checkpoint in {self.folder} is damaged (steps {damaged}); "
                "train again with --fresh (and without --eval)"
            )
        return None

    def close(self) -> None:
        """Let go of Orbax's threads."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open_writer(self) -> ocp.training.Checkpointer:
        training = ocp.training
        return training.Checkpointer(
            self.folder,
            save_decision_policy=training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=training.preservation_policies.LatestN(self.keep),
            cleanup_tmp_directories=True,
        )

    def _load(self, step: int, abstract: Any) -> Any:
        folder = self.folder / str(step)
        check_sums(folder)
        manifest = _read_manifest(folder)
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


def write_sums(folder: Path) -> None:
    """Write the sha256 of every file of a finished checkpoint beside them."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    lines = [f"{_file_digest(p)}  {p.relative_to(folder).as_posix()}\n" for p in files]
    temporary = folder / f".{SUMS}.tmp"
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(folder / SUMS)


def check_sums(folder: Path) -> None:
    """Compare every file with its sum. A kill may have come between the checkpoint and its sums:
    then there are none, and the digests of the leaves decide alone."""
    path = folder / SUMS
    if not path.exists():
        return
    try:
        listed = dict(
            reversed(line.split("  ", 1)) for line in path.read_text("utf-8").splitlines()
        )
    except ValueError as error:
        raise _Damaged(f"{SUMS} is not readable") from error
    present = {
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.endswith(("." + SUMS + ".tmp", SUMS))
    }
    if present != set(listed):
        raise _Damaged(f"files differ from {SUMS}: {sorted(present ^ set(listed))[:3]}")
    for name, expected in listed.items():
        if _file_digest(folder / name) != expected:
            raise _Damaged(f"file {name} differs from its sha256")


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
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
