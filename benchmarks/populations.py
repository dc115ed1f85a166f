"""A population of seeds in one program against a Python loop of Keras fits.

    python benchmarks/populations.py [--rows 65536] [--batch-size 32] [--rounds 1]

The fraud autoencoder 30-14-7-7-30, one epoch, for 1, 8 and 32 seeds. Keras trains one model after
the other, as one would who wants a mean and a spread; its first fit, which pays for tracing, is not
counted, and neither is jaxdl's compilation. The loop is run in full.
"""

import os
import statistics

import numpy as np
from fraud_epoch import COLUMNS, jaxdl_peer, keras_peer
from harness import build, machine, options, publish

COUNTS = (1, 8, 32)


def keras_loop(x: np.ndarray, batch_size: int, count: int):
    """A peer that fits one Keras model after the other."""
    epoch = keras_peer(x, batch_size)
    return lambda: sum(epoch() for _ in range(count))


def main() -> None:
    args = options(__doc__, rounds=1, rows=65_536, batch_size=32).parse_args()
    x = np.random.default_rng(0).normal(size=(args.rows, COLUMNS)).astype(np.float32)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    lines = [
        f"**fraud autoencoder, {args.rows:,} rows, batch {args.batch_size}: one epoch of several "
        f"seeds** ({args.rounds} interleaved rounds, {machine()})",
        "",
        f"| seeds | jaxdl, s for each seed | Keras ({backend}), s for each seed | times faster |",
        "|---:|---:|---:|---:|",
    ]
    for count in COUNTS:
        makers = {
            "jaxdl": lambda count=count: jaxdl_peer(x, args.batch_size, count),
            "Keras": lambda count=count: keras_loop(x, args.batch_size, count),
        }
        peers = build(makers)
        rounds = [{name: run() / count for name, run in peers.items()} for _ in range(args.rounds)]
        ours = statistics.median(r["jaxdl"] for r in rounds)
        cells = ["-", "-"]
        if "Keras" in peers:
            theirs = statistics.median(r["Keras"] for r in rounds)
            ratio = statistics.median(r["Keras"] / r["jaxdl"] for r in rounds)
            cells = [f"{theirs:.3f}", f"{ratio:.0f}x"]
        lines.append(f"| {count} | {ours:.4f} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    command = f"python benchmarks/populations.py --rows {args.rows} --batch-size {args.batch_size}"
    publish(args.record, "populations", "Populations", "\n".join(lines), command)


if __name__ == "__main__":
    main()
