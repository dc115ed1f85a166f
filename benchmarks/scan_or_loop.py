"""Many steps in one program, or one step at a time? What `prefers_scan` is based on.

    python benchmarks/scan_or_loop.py [--rounds 3]

The fraud autoencoder 30-14-7-7-30 on 227,451 rows, several batch sizes and populations. In one
program the members of a population train together; single steps take one member after the other,
as the engine does where a step is large.
"""

import itertools

from fraud_epoch import COLUMNS, ROWS, WIDTHS, jaxdl_peer, rows
from harness import markdown, measure, options, publish

from jaxdl.training import step

SIZES = ((32, 1), (128, 1), (256, 1), (2048, 1), (32, 8), (128, 8), (256, 8), (2048, 8))


def forced(peer, scan):
    """The peer with the choice taken away from the engine."""

    def run():
        own, step.prefers_scan = step.prefers_scan, lambda *_: scan
        try:
            return peer()
        finally:
            step.prefers_scan = own

    return run


def main() -> None:
    args = options(__doc__, rounds=3).parse_args()
    x, tables = rows(), []
    widths = (COLUMNS, *WIDTHS, COLUMNS)
    weights = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    for batch_size, seeds in SIZES:
        peer = jaxdl_peer(x, batch_size, seeds)
        peers = {
            "many steps in one program": forced(peer, True),
            "single steps": forced(peer, False),
        }
        flop = 6 * weights * batch_size * seeds / 1e6
        title = f"{ROWS:,} rows, batch {batch_size}, {seeds} seeds, {flop:.1f} Mflop a step"
        tables.append(markdown(title, measure(peers, args.rounds), "s per epoch"))
    command = "python benchmarks/scan_or_loop.py"
    publish(
        args.record, "scan_or_loop", "One program or single steps", "\n\n".join(tables), command
    )


if __name__ == "__main__":
    main()
