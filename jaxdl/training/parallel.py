"""Devices: the only file that knows how many there are, of what kind, and in how many processes.

One mesh axis, `data`: parameters and data sets are replicated, each batch is split over the
devices, and the compiler inserts the gradient's all-reduce. One device is a mesh of one.
"""

import contextlib
import ctypes
import functools
import os
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from jaxdl.errors import UserError

DEVICE_KINDS = ("cpu", "gpu", "tpu")


def keep_large_buffers() -> None:
    """Ask glibc to keep freed large blocks in the process.

    A fresh 64 MiB output costs 22 ms of page faults on a CPU; a block that malloc kept costs 2 ms.
    Only the main arena can keep such blocks, so that all threads share it. Does nothing where the C
    library has no `mallopt`.
    """
    m_trim_threshold, m_mmap_threshold, m_arena_max, one_gib = -1, -3, -8, 1 << 30
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, one_gib)
        libc.mallopt(m_trim_threshold, one_gib)
        libc.mallopt(m_arena_max, 1)


def quick_compilation() -> dict[str, int] | None:
    """Options of the compiler for a program that runs once; None: the usual ones.

    LLVM spends most of its time on the random numbers of initial weights, where there is nothing to
    gain: those of a ResNet of 20 layers compile in 16 s on a CPU (jax 0.10; 33 s with 0.12), with
    these options in 3 s, and are the same to the bit.
    """
    if jax.default_backend() != "cpu" or jax.config.read("jax_disable_most_optimizations"):
        return None
    return {"xla_backend_optimization_level": 1}


def start(device: str | None = None, multihost: bool = False) -> None:
    """Choose the platform and join the cluster. Call once, before anything touches a device.

    Args:
        device: "cpu", "gpu", "tpu", or "cpu:8" for eight simulated CPUs; None lets JAX choose.
        multihost: call `jax.distributed.initialize()`, which finds Slurm, GKE and Cloud TPU by
            itself. Elsewhere set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    Raises:
        UserError: the device is unknown, absent, or no cluster was found.
    """
    keep_large_buffers()
    if device is not None:
        kind, _, count = device.partition(":")
        if kind not in DEVICE_KINDS or (
            count and (kind != "cpu" or not count.isdigit() or int(count) < 1)
        ):
            raise UserError(
                f"--device {device}: use one of cpu, gpu, tpu, or cpu:N for N simulated"
            )
        jax.config.update("jax_platforms", "cuda,rocm" if kind == "gpu" else kind)
        if count:
            jax.config.update("jax_num_cpu_devices", int(count))
    if multihost:
        by_hand = {}
        if "JAX_NUM_PROCESSES" in os.environ and "JAX_PROCESS_ID" in os.environ:
            by_hand = {
                "num_processes": int(os.environ["JAX_NUM_PROCESSES"]),
                "process_id": int(os.environ["JAX_PROCESS_ID"]),
            }
        try:
            jax.distributed.initialize(**by_hand)
        except (ValueError, RuntimeError) as error:
            raise UserError(f"--multihost found no cluster: {_first_line(error)}") from error
    try:
        jax.devices()
    except RuntimeError as error:
        why = _first_line(error)
        if device == "gpu":
            why = "JAX sees no GPU; is its plug-in there (pip install -e '.[cuda12]')?"
        raise UserError(f"--device {device} is not available: {why}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@functools.cache
def mesh() -> Mesh:
    """All devices of all processes on one axis named `data`."""
    # Auto is written out: since JAX 0.9 the default is Explicit, which Flax Linen cannot trace.
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def replicated() -> NamedSharding:
    """The sharding of everything but batches: a whole copy on each device."""
    return NamedSharding(mesh(), PartitionSpec())


def replicate(tree: Any) -> Any:
    """Put host arrays (the same in every process) on all devices; leaves of any shape."""
    sharding = replicated()
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), tree
    )


def batches_split() -> NamedSharding:
    """The sharding of batches [steps, batch, ...] that come from the host: each batch is split."""
    return NamedSharding(mesh(), PartitionSpec(None, "data"))


def put_batches(batches: dict[str, np.ndarray]) -> dict[str, Array]:
    """Put each process's share [steps, own rows, ...] of some batches on the devices."""
    sharding = batches_split()
    if jax.process_count() == 1:
        return jax.device_put(batches, sharding)
    return {
        name: jax.make_array_from_process_local_data(sharding, x) for name, x in batches.items()
    }


def split_batch(batch: dict[str, Array]) -> dict[str, Array]:
    """Inside jit: split the leading axis of every array over the devices.

    Raises:
        UserError: the batch does not divide by the number of devices.
    """
    count = jax.device_count()
    if count == 1:
        return batch
    rows = next(iter(batch.values())).shape[0]
    if rows % count:
        raise UserError(f"batch size {rows} does not divide by {count} devices")
    sharding = NamedSharding(mesh(), PartitionSpec("data"))
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, sharding), batch)


def is_main() -> bool:
    """Whether this process writes files and prints (process 0)."""
    return jax.process_index() == 0


def agree(flag: int) -> int:
    """The largest flag of all processes, so that they stop or save together."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return int(np.max(multihost_utils.process_allgather(np.int32(flag))))


def barrier(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def describe() -> dict[str, Any]:
    """What the run ran on, for environment.json."""
    return {
        "platform": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "processes": jax.process_count(),
        "cpu_count": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }
