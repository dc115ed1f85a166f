"""Scoring with an isolation forest: the array program beside scikit-learn.

    python benchmarks/isolation_forest.py [--rounds 7] [--record docs/benchmarks.md]

The scores are the same to float32 (tests/test_isolation_forest.py); compilation is not timed.
"""

import time

import jax
import numpy as np
from harness import markdown, measure, options, publish
from sklearn.ensemble import IsolationForest

from jaxdl.anomaly.isolation_forest import from_sklearn, isolation_score

CASES = ((1, 30, 100), (5160, 2, 500), (100_000, 30, 100))


def timer(work):
    """A peer out of a function, warmed up; milliseconds."""
    jax.block_until_ready(work())

    def run():
        began = time.perf_counter()
        jax.block_until_ready(work())
        return 1e3 * (time.perf_counter() - began)

    return run


def case(n: int, features: int, trees: int, rounds: int) -> str:
    x = np.random.default_rng(0).normal(size=(max(n, 5000), features)).astype(np.float32)
    fitted = IsolationForest(n_estimators=trees, random_state=0).fit(x[:5000])
    rows, forest, scorer = x[:n], from_sklearn(fitted), jax.jit(isolation_score)
    peers = {
        "this project": timer(lambda: scorer(forest, rows)),
        "scikit-learn": timer(lambda: fitted.score_samples(rows)),
    }
    title = f"{n:,} rows of {features} features, {trees} trees"
    return markdown(title, measure(peers, rounds), "ms")


def main() -> None:
    args = options(__doc__, rounds=7).parse_args()
    tables = "\n\n".join(case(*sizes, args.rounds) for sizes in CASES)
    command = "python benchmarks/isolation_forest.py"
    publish(args.record, "isolation_forest", "Isolation forest", tables, command)


if __name__ == "__main__":
    main()
