"""A first run as one waits for it: from the start of Python to a trained net and its predictions.

    python benchmarks/first_run.py [--rounds 3] [--only import fraud stacked notebook labs]

Every measurement is a process of its own: it imports its library, builds a net, trains it for a
short while on invented rows and predicts them once. jaxdl stands there twice, with no compiled
programs and with those that an earlier process left, as `run.py` keeps them. "import" does nothing
else. "labs" are whole labs at their quick preset, report and figures included; peers have none.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness import machine, markdown, options, publish

ROOT = Path(__file__).resolve().parents[1]
LABS = ("fraud_ae", "cifar_cnn", "mnist_autoencoder", "imdb_regularization", "nab_conv1d_ae")


class Net(NamedTuple):
    """A net and how long it is trained.

    Attributes:
        title: in words.
        widths: of the dense layers, from the inputs to the outputs; for a convolutional net of its
            convolutions.
        rows, batch_size, epochs: of the training.
        images: whether it is the convolutional one, which tells ten classes apart; else it is an
            autoencoder with mean squared error.
    """

    title: str
    widths: tuple[int, ...]
    rows: int
    batch_size: int
    epochs: int
    images: bool = False


NETS = {
    "fraud": Net("fraud autoencoder 30-14-7-7-30", (30, 14, 7, 7, 30), 20_000, 32, 5),
    "stacked": Net("autoencoder 784-128-64-32-64-128-784", (784, 128, 64, 32, 64, 128, 784), 10_000,
                   256, 5),
    "notebook": Net("notebook net of lab 010", (32, 64, 128), 2_000, 32, 2, images=True),
}  # fmt: skip


def rows_of(net: Net) -> tuple[np.ndarray, np.ndarray]:
    """Invented inputs, and classes where there are any: the time does not depend on them."""
    rng = np.random.default_rng(0)
    if net.images:
        x = rng.random((net.rows, 32, 32, 3), np.float32)
    else:
        x = rng.random((net.rows, net.widths[0]), np.float32)
    return x, rng.integers(0, 10, net.rows).astype(np.int32)


# ---- what a process does -------------------------------------------------------------------------


def train_jaxdl(net: Net) -> None:
    from jaxdl import losses, optim
    from jaxdl.models.cnn import notebook_net
    from jaxdl.models.mlp import MLP
    from jaxdl.training import Task, fit, module_functions, parallel

    parallel.keep_large_buffers()
    x, y = rows_of(net)
    data = {"x": x, "y": y}
    init, apply = module_functions(notebook_net() if net.images else MLP(net.widths[1:]))

    def loss(out, batch, hyper):
        if net.images:
            return losses.softmax_cross_entropy(out, batch["y"])
        return losses.mse(out, batch["x"])

    task = Task(init, apply, loss, lambda hyper: optim.adam(1e-3), convolves=net.images)
    fitted = fit(task, data, seeds=[0], epochs=net.epochs, batch_size=net.batch_size)
    fitted.predict(lambda out, batch: out, data)


def train_keras(net: Net) -> None:
    import keras

    x, y = rows_of(net)
    if net.images:
        layers = []
        for width in net.widths:
            layers += [
                keras.layers.Conv2D(width, 3, padding="same", activation="relu"),
                keras.layers.MaxPooling2D(),
            ]
        layers += [keras.layers.Flatten(), keras.layers.Dense(128, "relu"), keras.layers.Dense(10)]
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        layers = [keras.layers.Dense(width, "relu") for width in net.widths[1:-1]]
        layers.append(keras.layers.Dense(net.widths[-1]))
        loss, y = "mse", x
    model = keras.Sequential([keras.Input(x.shape[1:]), *layers])
    model.compile("adam", loss)
    model.fit(x, y, batch_size=net.batch_size, epochs=net.epochs, verbose=0)
    model.predict(x, batch_size=1024, verbose=0)


def train_torch(net: Net) -> None:
    import torch
    from torch import nn

    values, classes = rows_of(net)
    x, y = torch.from_numpy(values), torch.from_numpy(classes).long()
    layers = []
    if net.images:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        for before, after in itertools.pairwise((3, *net.widths)):
            layers += [nn.Conv2d(before, after, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, 10)]
    else:
        for before, after in itertools.pairwise(net.widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        layers.pop()
    model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    for _ in range(net.epochs):
        for index in torch.randperm(len(x)).split(net.batch_size):
            optimizer.zero_grad(set_to_none=True)
            out = model(x[index])
            if net.images:
                loss = nn.functional.cross_entropy(out, y[index])
            else:
                loss = nn.functional.mse_loss(out, x[index])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        for part in x.split(1024):
            model(part)


TRAIN = {"jaxdl": train_jaxdl, "Keras": train_keras, "PyTorch": train_torch}
IMPORTS = {"jaxdl": "jaxdl.training", "Keras": "keras", "PyTorch": "torch"}


# ---- whole processes -----------------------------------------------------------------------------


def seconds_of(command: list[str], cache: Path | None = None) -> float:
    """Wall-clock seconds of a process.

    Args:
        command: its words.
        cache: folder of JAX's compiled programs; None where the process keeps its own or none.
    """
    setting = os.environ | {
        "PYTHONPATH": str(ROOT),
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if cache is not None:
        setting["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        setting["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        setting["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    began = time.perf_counter()
    subprocess.run(command, check=True, env=setting, capture_output=True)
    return time.perf_counter() - began


def installed(peers: tuple[str, ...] = tuple(TRAIN)) -> list[str]:
    """Those that can be imported; the others are named."""
    found = []
    for peer in peers:
        try:
            seconds_of([sys.executable, "-c", f"import {IMPORTS[peer]}"])
        except subprocess.CalledProcessError:
            print(f"left out: {peer}")
        else:
            found.append(peer)
    return found


def import_times(peers: list[str], rounds: int) -> str:
    seconds = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            seconds[peer].append(seconds_of([sys.executable, "-c", f"import {IMPORTS[peer]}"]))
    return markdown("The import alone, seconds", seconds)


def training_times(name: str, peers: list[str], rounds: int) -> str:
    net = NETS[name]
    seconds: dict[str, list[float]] = {"jaxdl, nothing compiled": [], "jaxdl, second run": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            cache = Path(folder) / str(number)
            for peer in peers:
                command = [sys.executable, __file__, "--train", peer, name]
                if peer == "jaxdl":
                    for state in ("nothing compiled", "second run"):
                        seconds[f"jaxdl, {state}"].append(seconds_of(command, cache))
                else:
                    seconds.setdefault(peer, []).append(seconds_of(command))
    size = f"{net.rows:,} rows, batch {net.batch_size}, {net.epochs} epochs"
    return markdown(f"{net.title}, {size}, seconds of the process", seconds)


def lab_times(rounds: int) -> str:
    lines = [
        f"**Whole labs, `--preset quick --source simulated`, seconds** ({rounds} rounds, "
        f"{machine()})",
        "",
        "| lab | nothing compiled, median | second run, median |",
        "|---|---:|---:|",
    ]
    for lab in LABS:
        seconds: dict[str, list[float]] = {"first": [], "second": []}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                for state in seconds:
                    command = [sys.executable, str(ROOT / "run.py"), f"experiments/{lab}.py"]
                    command += ["--preset", "quick", "--source", "simulated"]
                    command += ["--workdir", str(Path(folder) / "run")]
                    seconds[state].append(seconds_of(command, Path(folder) / "programs"))
                    shutil.rmtree(Path(folder) / "run")
        medians = [f"{np.median(values):.1f}" for values in seconds.values()]
        lines.append(f"| {lab} | {' | '.join(medians)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--train"]:
        peer, name = sys.argv[2:]
        TRAIN[peer](NETS[name])
        return
    parser = options(__doc__, rounds=3)
    parts = ["import", *NETS, "labs"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="these alone")
    args = parser.parse_args()
    peers = installed()
    tables = []
    for part in args.only:
        if part == "import":
            tables.append(import_times(peers, args.rounds))
        elif part == "labs":
            tables.append(lab_times(args.rounds))
        else:
            tables.append(training_times(part, peers, args.rounds))
        print(f"\n{tables[-1]}\n", flush=True)
    command = f"python benchmarks/first_run.py --rounds {args.rounds}"
    if args.only != parts:
        command += f" --only {' '.join(args.only)}"
    publish(args.record, "first_run", "First runs, whole processes", "\n\n".join(tables), command)


if __name__ == "__main__":
    main()
