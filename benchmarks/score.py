"""An exported fraud autoencoder 30-14-7-7-30: time to answer one row, and rows per second.

    python benchmarks/score.py [--rows 524288] [--rounds 5] [--calls 1000] [--file-rows 1000000]

Every peer does the whole job: raw float64 columns, hour of day and log amount, standardise, model,
mean squared error, decision. The first peer is a scorer file, used as `python -m jaxdl.score` does;
"ensemble" is ten such models in one file. The others do the columns in NumPy, as one would who has
a trained model of that library; scikit-learn's autoencoder is an MLPRegressor with the same weights
and its isolation forest has the same trees as ours. Peers take turns, so a busy moment of the
machine hits all of them; a slow one gets fewer calls. The command is timed apart, file to file.
"""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from harness import build, machine, markdown, measure, options, publish, timed

WIDTHS = (30, 14, 7, 7, 30)
LIMIT = 3.0
FILE_COLUMNS = 20


def raw_rows(rows: int) -> np.ndarray:
    """Time, V1..V28, Amount of as many invented transactions."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=(rows, 28)).astype(np.float32)
    return np.column_stack([rng.integers(0, 172_800, rows), v, rng.gamma(1, 90, rows).round(2)])


def weights(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of each layer; the time does not depend on their values."""
    rng = np.random.default_rng(seed)
    pairs = itertools.pairwise(WIDTHS)
    return [
        ((rng.normal(size=pair) / np.sqrt(pair[0])).astype(np.float32), np.zeros(pair[1], "f"))
        for pair in pairs
    ]


MEAN, SD = np.array([12.0, *[0.0] * 28, 3.9]), np.array([7.0, *[1.0] * 28, 1.1])


def prepared(raw: np.ndarray) -> np.ndarray:
    """The columns' arithmetic in NumPy."""
    x = raw.copy()
    x[:, 0] = raw[:, 0] / 3600.0 % 24.0
    x[:, 29] = np.log1p(raw[:, 29])
    return ((x - MEAN) / SD).astype(np.float32)


def judged(x: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Decision from the reconstruction."""
    return np.square(x - reconstruction).mean(axis=1) > LIMIT


def exported(detector, raw: np.ndarray) -> bytes:
    """A scorer file of a detector."""
    from jaxdl.anomaly.thresholds import Threshold
    from jaxdl.serving import export, transactions

    limit = Threshold("fixed", LIMIT, {}, "nothing, for a benchmark", 1)
    columns = transactions.columns(MEAN, SD)
    return export.build(
        detector, columns, limit, {}, rows=raw[:1024], calibration=np.arange(1000.0)
    )


def autoencoder(members: int):
    """A population of the networks above as a detector."""
    import jax

    from jaxdl.anomaly import detectors, scores

    def apply(variables, batch, key, train, hyper):
        del key, train, hyper
        x = batch["x"]
        for kernel, bias in variables["params"][:-1]:
            x = jax.nn.relu(x @ kernel + bias)
        kernel, bias = variables["params"][-1]
        return x @ kernel + bias, {}

    stacked = jax.tree.map(lambda *x: np.stack(x), *[weights(seed) for seed in range(members)])
    return detectors.population(
        SimpleNamespace(apply=apply, precision="float32"),
        {"params": stacked},
        len(MEAN),
        lambda out, batch: scores.reconstruction_score(batch["x"], out),
        lambda out, batch: scores.reconstruction_contributions(batch["x"], out),
    )


def artifact_peer(members: int, raw: np.ndarray):
    from jaxdl.serving import scorer_file
    from jaxdl.training import parallel

    scorer_file.prefer_latency()
    parallel.keep_large_buffers()
    scorer = scorer_file.loads(exported(autoencoder(members), raw))
    return lambda rows: scorer.score(rows)[1]


def forest_peer(raw: np.ndarray, ours: bool):
    from sklearn.ensemble import IsolationForest

    if not ours:
        fitted = IsolationForest(n_estimators=100, random_state=0).fit(prepared(raw[:5000]))
        return lambda rows: fitted.score_samples(prepared(rows)) < -LIMIT
    from jaxdl.anomaly import detectors
    from jaxdl.serving import scorer_file

    detector = detectors.isolation_forest(prepared(raw[:5000]), seed=0)
    scorer = scorer_file.loads(exported(detector, raw))
    return lambda rows: scorer.score(rows)[1]


def torch_peer():
    import torch

    torch.set_num_threads(os.cpu_count())
    layers = []
    for kernel, bias in weights(0):
        layer = torch.nn.Linear(*kernel.shape)
        layer.load_state_dict({"weight": torch.tensor(kernel.T), "bias": torch.tensor(bias)})
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1]).eval()

    @torch.inference_mode()
    def run(rows):
        x = prepared(rows)
        pieces = [model(piece).numpy() for piece in torch.from_numpy(x).split(8192)]
        return judged(x, np.concatenate(pieces))

    return run


def keras_peer(predict: bool):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    model = keras.Sequential([keras.Input((WIDTHS[0],))])
    for i, width in enumerate(WIDTHS[1:]):
        last = i == len(WIDTHS) - 2
        model.add(keras.layers.Dense(width, activation=None if last else "relu"))
    model.set_weights([array for layer in weights(0) for array in layer])

    def run(rows):
        x = prepared(rows)
        if predict:
            return judged(x, model.predict(x, batch_size=8192, verbose=0))
        return judged(x, np.asarray(model(x)))

    return run


def sklearn_peer():
    from sklearn.neural_network import MLPRegressor

    some = np.random.default_rng(0).normal(size=(64, 30)).astype(np.float32)
    model = MLPRegressor(hidden_layer_sizes=WIDTHS[1:-1]).partial_fit(some, some)
    model.coefs_, model.intercepts_ = map(list, zip(*weights(0), strict=True))

    def run(rows):
        x = prepared(rows)
        return judged(x, model.predict(x))

    return run


def latency(peers: dict, raw: np.ndarray, calls: int) -> str:
    """Table of microseconds for one row; peers take turns in ten rounds."""
    found = {name: [] for name in peers}
    for turn in range(10):
        for name, run in peers.items():
            run(raw[:1])
            began = time.perf_counter()
            run(raw[1:2])
            slow = time.perf_counter() - began > 5e-3
            for i in range(max(1, calls // (100 if slow else 10))):
                row = raw[turn * calls + i : turn * calls + i + 1]
                began = time.perf_counter()
                run(row)
                found[name].append(1e6 * (time.perf_counter() - began))
    first = np.percentile(next(iter(found.values())), 50)
    lines = [
        f"**One row, raw columns to decision** ({machine()})",
        "",
        "| | calls | p50 us | p99 us | p50, times the first |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, values in found.items():
        p50, p99 = np.percentile(values, [50, 99])
        lines.append(f"| {name} | {len(values)} | {p50:,.0f} | {p99:,.0f} | {p50 / first:.1f}x |")
    return "\n".join(lines)


def write_table(path: Path, rows: int) -> None:
    """A CSV of invented numbers in 20 columns."""
    values = np.random.default_rng(0).normal(size=(10_000, FILE_COLUMNS)).astype(np.float32)
    lines = "".join(",".join(f"{value:.7g}" for value in row) + "\n" for row in values)
    with path.open("w") as file:
        file.write(",".join(f"x{i}" for i in range(FILE_COLUMNS)) + "\n")
        for _ in range(rows // len(values)):
            file.write(lines)


def table_scorer() -> bytes:
    """PCA of 20 columns that flags one row in a hundred."""
    from jaxdl.anomaly import detectors, thresholds
    from jaxdl.serving import export

    rows = np.random.default_rng(0).normal(size=(10_000, FILE_COLUMNS)).astype(np.float32)
    names = tuple(f"x{i}" for i in range(FILE_COLUMNS))
    detector = detectors.pca(rows, 5)
    found = detector.score(rows)
    limit = thresholds.Threshold("fixed", float(np.quantile(found, 0.99)), {}, "a benchmark", 1)
    columns = export.Columns(names, names, np.zeros(FILE_COLUMNS), np.ones(FILE_COLUMNS))
    normal = export.Normal(rows.astype(float), np.arange(1, len(rows) + 1))
    return export.build(detector, columns, limit, {}, rows=rows, calibration=found, normal=normal)


def seconds_of(scorer: Path, table: Path, output: Path) -> float:
    """Wall time of the whole command in a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "jaxdl.score", scorer, table, "--output", output]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def files(rows: int) -> str:
    """Rows per second of the command, file to file, with its start and without it."""
    from jaxdl.serving.scorer_file import FILE_NAME

    few = 20_000  # already read, compiled and written as many are
    lines = [
        f"**The command, a CSV of {rows:,} rows and {FILE_COLUMNS} numeric columns to a file**",
        "",
        "| output | s | of it start | rows/s | rows/s behind the start |",
        "|---|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        small, large, scorer = (Path(folder) / name for name in ("s.csv", "l.csv", FILE_NAME))
        write_table(small, few)
        write_table(large, rows)
        scorer.write_bytes(table_scorer())
        for name in ("o.csv", "o.csv.gz", "o.parquet", "o.jsonl"):
            out = Path(folder) / name
            short = statistics.median(seconds_of(scorer, small, out) for _ in range(3))
            long = statistics.median(seconds_of(scorer, large, out) for _ in range(3))
            behind = (rows - few) / (long - short)
            start = short - few / behind
            lines.append(
                f"| {name.removeprefix('o.')} | {long:.1f} | {start:.1f} | {rows / long:,.0f} | "
                f"{behind:,.0f} |"
            )
    return "\n".join(lines)


def main() -> None:
    args = options(__doc__, rows=524_288, calls=1000, file_rows=1_000_000).parse_args()
    raw = raw_rows(max(args.rows, 10 * args.calls + 1000))
    makers = {
        "jaxdl scorer file": lambda: artifact_peer(1, raw),
        "jaxdl scorer file, ensemble of 10": lambda: artifact_peer(10, raw),
        "PyTorch": torch_peer,
        "Keras, model(x)": lambda: keras_peer(False),
        "Keras, predict": lambda: keras_peer(True),
        "scikit-learn MLPRegressor": sklearn_peer,
        "jaxdl scorer file, isolation forest": lambda: forest_peer(raw, True),
        "scikit-learn IsolationForest": lambda: forest_peer(raw, False),
    }
    peers = build(makers)
    parts = [latency(peers, raw, args.calls)]
    networks = {name: run for name, run in peers.items() if "orest" not in name}
    forests = {name: run for name, run in peers.items() if "orest" in name}
    for chosen, rows in ((networks, raw[: args.rows]), (forests, raw[: args.rows // 16])):
        seconds = measure({n: timed(partial(run, rows)) for n, run in chosen.items()}, args.rounds)
        parts.append(markdown(f"{len(rows):,} rows, raw columns to decisions", seconds))
        speeds = [
            f"| {name} | {len(rows) / statistics.median(values):,.0f} |"
            for name, values in seconds.items()
        ]
        parts.append("\n".join(["| | rows/s |", "|---|---:|", *speeds]))
    parts.append(files(args.file_rows))
    command = f"python benchmarks/score.py --rows {args.rows}"
    publish(args.record, "score", "Scoring transactions", "\n\n".join(parts), command)


if __name__ == "__main__":
    main()
