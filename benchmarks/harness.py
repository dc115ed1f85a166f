"""How every benchmark here measures: peers side by side in one process, rounds interleaved.

A peer is a function that runs one unit of work (an epoch, a batch) and returns its seconds. Peers
take turns, so a busy moment of the machine hits all of them; the table gives medians and, for the
ratio to the first peer, the median and range over rounds. A peer that is not installed is left out
and named.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.report.markdown import record_section

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # labs and data sets are not installed

Peer = Callable[[], float]
MEANING = {
    "rounds": "timed rounds",
    "seeds": "population trained by jaxdl",
    "batch_size": "rows in a step",
}


def options(doc: str, rounds: int = 5, **numbers: int) -> argparse.ArgumentParser:
    """The options of a benchmark: --rounds, --record, and a whole number for each of `numbers`.

    Args:
        doc: the module's docstring; its first line is the description.
        rounds: default of --rounds.
        numbers: default by name; `batch_size` becomes --batch-size.
    """
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    for name, default in {**numbers, "rounds": rounds}.items():
        text = f"{MEANING.get(name, name)} (%(default)s)"
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help=text)
    parser.add_argument("--record", type=Path, help="Markdown document to put the tables into")
    return parser


def build(makers: Mapping[str, Callable[[], Peer]]) -> dict[str, Peer]:
    """Build each peer (compile, warm up); one whose package is missing is named and dropped.

    Name PyTorch in front of Keras: with TensorFlow there already, importing PyTorch's compiler ends
    some processes (both bring an LLVM).
    """
    peers = {}
    for name, make in makers.items():
        try:
            peers[name] = make()
        except ImportError as error:
            print(f"left out: {name} ({error})")
    return peers


def timed(work: Callable[[], object]) -> Peer:
    """A peer out of one unit of work, which runs once here so that no round pays for a warm-up."""

    def run() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    run()
    return run


def second_epoch(task: Any, data: Mapping[str, Any], seeds: Any, batch_size: int) -> Peer:
    """A peer that trains a population for two epochs and gives the seconds of the second one.

    The first pays for compiling. The arguments are those of `jaxdl.training.fit`.
    """
    from jaxdl.training import fit, parallel
    from jaxdl.training.callback import Silent

    class Seconds(Silent):
        def __init__(self):
            self.epochs = []

        def epoch(self, epoch, metrics, timing):
            self.epochs.append(timing["train_seconds"])

    parallel.keep_large_buffers()

    def run() -> float:
        watcher, members = Seconds(), np.asarray(seeds)
        fit(task, data, seeds=members, epochs=2, batch_size=batch_size, watcher=watcher)
        return watcher.epochs[1]

    return run


def first_state(task: Any, batch: Mapping[str, Any], seed: int = 0) -> Any:
    """The `TrainState` of one member before the first step, compiled as `fit` does it."""
    import jax
    import jax.numpy as jnp

    from jaxdl.training import parallel
    from jaxdl.training.state import init_member

    start = jax.jit(
        lambda: init_member(task, batch, jnp.int32(seed), {}),
        compiler_options=parallel.quick_compilation(),
    )
    return start()


def single_steps(task: Any, data: Mapping[str, Any], batch_size: int) -> tuple[Peer, float]:
    """A peer that trains for an epoch step by step, as convolutions do on a CPU.

    Args:
        task, data, batch_size: as those of `jaxdl.training.fit`; one member.

    Returns:
        The peer, and the seconds that its step took to compile.
    """
    import jax
    import jax.numpy as jnp

    from jaxdl.training import batch_order, parallel, step

    parallel.keep_large_buffers()
    held = jax.tree.map(jnp.asarray, data)
    state = jax.tree.map(lambda x: x[None], first_state(task, held))
    rows = len(next(iter(data.values())))
    mask = jnp.asarray(batch_order.padding_mask(rows, batch_size))

    def new_order():
        return jnp.asarray(batch_order.epoch_order(0, 0, rows, batch_size))[None]

    def one(state, held, batches, mask, index):
        return step.one_step(task, state, held, batches, mask, index, hyper={}, active=None)

    began = time.perf_counter()
    lowered = jax.jit(one, donate_argnums=0).lower(state, held, new_order(), mask, np.int32(0))
    program = lowered.compile()
    seconds = time.perf_counter() - began

    def epoch():
        nonlocal state
        batches = new_order()
        for index in range(batches.shape[1]):
            state = program(state, held, batches, mask, np.int32(index))
        jax.block_until_ready(state)

    return timed(epoch), seconds


def torch_epochs(
    model: Any, loss: Callable[[Any], Any], rows: int, batch_size: int, device: str = "cpu"
) -> Peer:
    """A peer that trains a PyTorch model for an epoch with fused Adam, rows in a new order.

    Args:
        model: a `torch.nn.Module`, on the device.
        loss: of the rows with these numbers (a tensor), as a scalar tensor.
        rows: how many there are.
        batch_size: of one step.
        device: of PyTorch, where model and rows are.
    """
    import torch

    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def epoch():
        for index in torch.randperm(rows, device=device).split(batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss(index).backward()
            optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()

    return timed(epoch)


def measure(peers: Mapping[str, Peer], rounds: int) -> dict[str, list[float]]:
    """Seconds of each peer in each round, peers interleaved."""
    seconds = {name: [] for name in peers}
    for _ in range(rounds):
        for name, run in peers.items():
            seconds[name].append(run())
    return seconds


def markdown(title: str, seconds: Mapping[str, list[float]], unit: str = "s") -> str:
    """A table of medians and of the ratio to the first peer (how many times it is faster)."""
    first = next(iter(seconds.values()))
    lines = [
        f"**{title}** ({len(first)} interleaved rounds, {machine()})",
        "",
        f"| | median {unit} | first is faster by (median, range) |",
        "|---|---:|---:|",
    ]
    for name, values in seconds.items():
        ratios = [other / own for other, own in zip(values, first, strict=True)]
        ratio = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        own = "-" if values is first else ratio
        lines.append(f"| {name} | {statistics.median(values):.4g} | {own} |")
    return "\n".join(lines)


def publish(path: Path | None, key: str, title: str, table: str, command: str) -> None:
    """Print the table and, if asked, put it into a Markdown document under its key.

    A section belongs to a version of JAX: those of two versions stand one after the other.
    """
    print(table)
    if path is not None:
        jax = jax_version()
        body = f"`{command}` ({time.strftime('%Y-%m-%d')})\n\n{table}"
        record_section(path, f"{key} ({jax})", f"{title} ({jax})", body)


def jax_version() -> str:
    """As "jax 0.10": the releases in between do not change what is measured here."""
    return "jax " + ".".join(version("jax").split(".")[:2])


def machine() -> str:
    """What the numbers were measured on."""
    return (
        f"{os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}, "
        f"{jax_version()}"
    )
