"""How time and memory grow with the rows: the fraud autoencoder and the default detector.

    python benchmarks/fraud_scale.py [--largest 100] [--rounds 2] [--record docs/benchmarks.md]

The simulated twin of the credit-card transactions (284,807 rows x 30 columns, float32), and 10 and
100 times as many rows: copies of it with fresh noise of a hundredth of a standard deviation. Each
size is measured in a process of its own, so that its peak memory is its own: one epoch of lab 160's
30-12-30 net in batches of 128, after one that pays for compiling; scoring every row; fitting the
default detector and scoring every row with it. The rows themselves are part of the memory.
"""

import multiprocessing
import resource
import time
from typing import Any

import numpy as np
from harness import machine, options, publish

from datasets import fraud
from datasets.fraud_split import columns
from datasets.source import Request
from jaxdl.scaling import mean_and_spread

BATCH_SIZE = 128


def rows_of(factor: int) -> np.ndarray:
    """The twin's standardised rows, `factor` times, with a little noise."""
    table = columns(fraud.load(Request("simulated")))
    mean, spread = mean_and_spread(table)
    once = ((table - mean) / spread).astype(np.float32)
    x = np.empty((factor * len(once), once.shape[1]), np.float32)
    rng = np.random.default_rng(0)
    for copy in range(factor):
        noise = 0.01 * rng.standard_normal(once.shape, np.float32)
        np.add(once, noise, out=x[copy * len(once) : (copy + 1) * len(once)])
    return x


def measure_size(factor: int, rounds: int) -> dict[str, Any]:
    """Seconds and peak memory of one size; runs in a process of its own."""
    from jaxdl import losses, optim
    from jaxdl.anomaly import default_detector
    from jaxdl.models.autoencoder import DenseAutoencoder
    from jaxdl.training import Task, fit, module_functions
    from jaxdl.training.callback import Silent

    class Seconds(Silent):
        def __init__(self):
            self.epochs = []

        def epoch(self, epoch, metrics, timing):
            self.epochs.append(timing["train_seconds"])

    def copy_error(outputs, batch, hyper=None):
        return losses.mse(outputs, batch["x"])

    x = rows_of(factor)
    task = Task(
        *module_functions(DenseAutoencoder(x.shape[1], (12,))),
        copy_error,
        lambda hyper: optim.adam(),
    )
    watcher = Seconds()
    fitted = fit(
        task,
        {"x": x},
        seeds=np.arange(1),
        epochs=1 + rounds,
        batch_size=BATCH_SIZE,
        watcher=watcher,
    )
    epoch = float(np.median(watcher.epochs[1:]))

    fitted.predict(copy_error, {"x": x[:100_000]})  # compiles
    scoring = seconds_of(lambda: fitted.predict(copy_error, {"x": x}))

    began = time.perf_counter()
    default = default_detector(x)
    fitting = time.perf_counter() - began
    default.score(x[:100_000])
    default_scoring = seconds_of(lambda: default.score(x))
    return {
        "rows": f"{len(x):,}",
        "data, GB": x.nbytes / 1e9,
        "epoch, s": epoch,
        "rows/s trained": f"{len(x) / epoch:,.0f}",
        "scoring, s": scoring,
        "rows/s scored": f"{len(x) / scoring:,.0f}",
        "default detector, fit, s": fitting,
        "scoring by it, s": default_scoring,
        "peak memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def seconds_of(work) -> float:
    """Wall clock of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    args = options(__doc__, rounds=2, largest=100).parse_args()
    found = []
    for factor in (1, 10, 100):
        if factor <= args.largest:
            # a new process: peak memory never falls in one
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found.append(pool.apply(measure_size, (factor, args.rounds)))
            print(found[-1], flush=True)
    names = list(found[0])
    lines = [f"**Growing rows** ({machine()})", "", f"| {' | '.join(names)} |"]
    lines.append("|" + "---:|" * len(names))
    for row in found:
        cells = (cell if isinstance(cell, str) else f"{cell:.3g}" for cell in row.values())
        lines.append(f"| {' | '.join(cells)} |")
    title = "Fraud: time and memory against the number of rows"
    command = f"python benchmarks/fraud_scale.py --largest {args.largest}"
    publish(args.record, "fraud_scale", title, "\n".join(lines), command)


if __name__ == "__main__":
    main()
