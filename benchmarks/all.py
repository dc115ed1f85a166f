"""Every benchmark, one after the other, into one document: docs/benchmarks.md.

    python benchmarks/all.py [--rounds 5] [--only fraud_epoch score] [--record docs/benchmarks.md]

Run it on a machine that does nothing else. Each benchmark is a process of its own, in which its
peers take turns; one whose packages are missing leaves those peers out and names them. Peers:

    pip install -e ".[peers]"

A section names the version of JAX: run it again in an environment with another one, and the
document has both, one after the other.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# the first wants a GPU or TPU, the last one trains for hours and times nothing
NO_BENCHMARK = ("accelerator", "all", "harness", "reference_runs")
# what else than its defaults a benchmark is asked
FURTHER = {
    "augment": [["--ranges", "lecture"]],
    "cnn_step": [["--net", "notebook", "--batch-size", "32"]],
}


def main() -> int:
    names = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in NO_BENCHMARK)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, help="timed rounds (default: each benchmark's own)")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these alone")
    document = HERE.parent / "docs" / "benchmarks.md"
    parser.add_argument("--record", type=Path, default=document, help="document (%(default)s)")
    args = parser.parse_args()
    failed = []
    for name in args.only:
        for words in [[], *FURTHER.get(name, [])]:
            command = [sys.executable, str(HERE / f"{name}.py"), *words]
            command += ["--rounds", str(args.rounds)] if args.rounds else []
            print(f"\n== {' '.join([name, *words])}", flush=True)
            if subprocess.run([*command, "--record", str(args.record)], check=False).returncode:
                failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
