"""Training rows from disk against rows in memory: rows a second and peak memory.

    python benchmarks/stream.py [--rows 10000000] [--images 200000] [--rounds 3]

A table of 120 columns (float32, 4.8 GB) trains an autoencoder 120-30-120 in batches of 512;
photographs of 96x96 pixels (bytes, 5.5 GB) train a small convolutional net in batches of 128. Both
are invented and written in shards of 64 MB first. Each measurement is a process of its own: one
with all rows in memory, one that streams them and may not take more memory for its data than a
quarter of their size (RLIMIT_DATA, which counts what a process allocates). Each trains for so many
seconds after its first steps. Memory is the peak of the whole process, JAX and its copy of the rows
included.
"""

import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import machine, options, publish

SHARD_BYTES = 64 << 20
COLUMNS, SIDE = 120, 96
SECONDS = 20.0
KINDS = {"table": ((COLUMNS,), np.float32, 512), "images": ((SIDE, SIDE, 3), np.uint8, 128)}


def write(folder: Path, kind: str, rows: int) -> int:
    """Shards of invented rows; gives their bytes."""
    shape, dtype, _ = KINDS[kind]
    rng = np.random.default_rng(0)
    row_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    part_rows = max(1, SHARD_BYTES // row_bytes)
    for number, start in enumerate(range(0, rows, part_rows)):
        size = min(part_rows, rows - start)
        if dtype == np.float32:
            x = rng.standard_normal((size, *shape), np.float32)
        else:
            x = rng.integers(0, 256, (size, *shape), np.uint8)
        np.save(folder / f"x-{number:05}.npy", x)
        np.save(folder / f"y-{number:05}.npy", rng.integers(0, 10, size).astype(np.int32))
    return rows * (row_bytes + 4)


def task_for(kind: str) -> Any:
    from jaxdl import losses, optim
    from jaxdl.models.autoencoder import DenseAutoencoder
    from jaxdl.models.cnn import VGG
    from jaxdl.training import Task, module_functions
    from jaxdl.vision.classification_task import image_task

    def adam(hyper):
        return optim.adam(1e-3)

    if kind == "images":
        return image_task(VGG(widths=(8, 16, 16), hidden=32), adam)
    init, apply = module_functions(DenseAutoencoder(COLUMNS, (30,)))
    return Task(init, apply, lambda out, batch, hyper: losses.mse(out, batch["x"]), adam)


def measured(kind: str, folder: Path, streamed: bool, limit: int) -> dict[str, float]:
    """Rows a second behind the first looks, and peak memory; runs in a process of its own."""
    from datasets.shards import NumpyShards
    from jaxdl.errors import Interrupted
    from jaxdl.training import Streamed, fit, parallel
    from jaxdl.training.callback import Silent

    class Clock(Silent):
        """Counts rows for some seconds after the first ones, then asks to stop."""

        def __init__(self):
            self.rows, self.began = 0, None

        def advance(self, rows):
            if self.began is None:
                self.began = time.perf_counter()
            else:
                self.rows += rows
            self.seconds = time.perf_counter() - self.began

        def stop_signal(self):
            return 2 if self.began is not None and self.seconds > SECONDS else 0

    parallel.keep_large_buffers()
    shards, clock = NumpyShards(folder), Clock()
    if streamed:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        rows: Any = Streamed(shards)
    else:
        rows = {
            name: np.empty((len(shards), *kind.shape), kind.dtype)
            for name, kind in shards.kinds.items()
        }
        for start in range(0, len(shards), 10_000):
            for name, x in shards.read(start, min(start + 10_000, len(shards))).items():
                rows[name][start : start + len(x)] = x
    with contextlib.suppress(Interrupted):
        fit(task_for(kind), rows, seeds=[0], epochs=3, batch_size=KINDS[kind][2], watcher=clock)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"rows_per_second": clock.rows / clock.seconds, "peak": peak}


def in_a_process(kind: str, folder: Path, streamed: bool, limit: int) -> dict[str, float]:
    words = [kind, str(folder), str(int(streamed)), str(limit)]
    command = [sys.executable, __file__, "--measure", *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        kind, folder, streamed, limit = sys.argv[2:]
        found = measured(kind, Path(folder), streamed == "1", int(limit))
        print(json.dumps(found))
        return
    parser = options(__doc__, rounds=3, rows=10_000_000, images=200_000)
    parser.add_argument("--folder", type=Path, help="where the shards are written (default: temp)")
    args = parser.parse_args()
    lines = [
        f"**Rows from disk and rows in memory** ({args.rounds} interleaved rounds, {machine()})",
        "",
        "| | rows | GB | in memory, rows/s | streamed, rows/s | ratio (median, range) | memory: "
        "all rows, GB | streamed, GB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, rows in (("table", args.rows), ("images", args.images)):
        if not rows:
            continue
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            folder = Path(name)
            size = write(folder, kind, rows)
            rounds = [
                [in_a_process(kind, folder, streamed, size // 4) for streamed in (False, True)]
                for _ in range(args.rounds)
            ]
        ratios = [s["rows_per_second"] / m["rows_per_second"] for m, s in rounds]
        speeds = [statistics.median(r[i]["rows_per_second"] for r in rounds) for i in (0, 1)]
        peaks = [max(r[i]["peak"] for r in rounds) / 1e9 for i in (0, 1)]
        lines.append(
            f"| {kind} | {rows:,} | {size / 1e9:.2f} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | "
            f"{peaks[0]:.2f} | {peaks[1]:.2f} |"
        )
        print(lines[-1], flush=True)
    command = f"python benchmarks/stream.py --rows {args.rows} --images {args.images}"
    publish(args.record, "stream", "Rows from disk", "\n".join(lines), command)


if __name__ == "__main__":
    main()
