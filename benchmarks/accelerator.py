"""What an accelerator makes of the labs: one command for a GPU or TPU, done within eight minutes.

    python benchmarks/accelerator.py [--only speedrun epochs] [--rounds 3]
        [--budget 480] [--record docs/benchmarks.md]

Sections, in this order; one for which no time is left is left out and named:

- speedrun: the published setting of `experiments/cifar_speedrun.py`, bfloat16: seconds of a
  training without compilation and test accuracy, and the same training in PyTorch (eager,
  channels last, bfloat16).
- epochs: one epoch of each net for which there is an epoch benchmark, beside PyTorch where it is
  installed; and of the variational autoencoder.
- populations: the fraud autoencoder with 1, 8, 32 and 128 seeds at once, seconds for each seed.
- resnet: ResNet-20 by the whole published recipe of `experiments/resnet.py`, bfloat16.
- scorer: rows per second of an exported scorer file.

float32 products and convolutions are those of each library's defaults, which on a GPU round inputs
to TF32 (JAX everywhere, PyTorch in convolutions). `--shrink 100` trains on a hundredth of the rows,
to try the command where no accelerator is.
"""

import dataclasses
import importlib
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from cifar_speedrun import NoFolder
from harness import build, markdown, measure, options, publish, second_epoch

from jaxdl.training import Fitted, Task, fit, parallel
from jaxdl.training.batch_order import epochs_for, steps_per_epoch
from jaxdl.training.callback import Silent

TITLE = "Accelerator"
# a section starts only where so many seconds are left
NEEDS = {"speedrun": 120, "epochs": 90, "populations": 40, "resnet": 130, "scorer": 15}


class Seconds(Silent):
    """Seconds of each epoch and of compilation."""

    def __init__(self):
        self.epochs: list[float] = []
        self.compile_seconds = 0.0

    def start(self, epochs, rows, seen, compile_seconds):
        self.compile_seconds = compile_seconds

    def epoch(self, epoch, metrics, timing):
        self.epochs.append(timing["train_seconds"])


def torch_device() -> str:
    """PyTorch's name of the device that JAX computes on.

    Raises:
        ImportError: it is not installed, or has no such device.
    """
    import torch

    if jax.default_backend() == "gpu":
        if not torch.cuda.is_available():
            raise ImportError("PyTorch sees no GPU")
        return "cuda"
    if jax.default_backend() == "cpu":
        return "cpu"
    raise ImportError("PyTorch is not timed here")


def device_name() -> str:
    """What the numbers were measured on."""
    name = jax.devices()[0].device_kind
    versions = [f"jax {jax.__version__}"]
    try:
        import torch

        versions.append(f"PyTorch {torch.__version__}")
    except ImportError:
        pass
    return f"{jax.device_count()} x {name}, {', '.join(versions)}"


def trained(
    task: Task, data: Any, seeds: Any, epochs: int, batch_size: int
) -> tuple[Fitted, Seconds]:
    """A population and the time that it took."""
    watcher = Seconds()
    members = np.asarray(seeds)
    fitted = fit(
        task,
        data,
        seeds=members,
        epochs=epochs,
        batch_size=batch_size,
        watcher=watcher,
    )
    return fitted, watcher


# ---- sections ------------------------------------------------------------------------------------


def speedrun(shrink: int, rounds: int, seeds: int) -> str:
    """Seconds and accuracy of the speed run, ours and PyTorch's."""
    lab = importlib.import_module("experiments.cifar_speedrun")
    full = lab.PRESETS["full"]
    config = full
    if shrink > 1:
        config = dataclasses.replace(
            full, train_rows=full.train_rows // shrink, batch_size=100, epochs=2, widths=(8, 8, 8)
        )
    data = lab.load_images(config, NoFolder())
    filters = lab.whitening_filters(data.train["x"][: lab.WHITENED_IMAGES])
    task = lab.speedrun_task(config, data, filters)
    task = dataclasses.replace(task, precision="bfloat16")
    shape = config.epochs, config.batch_size

    fitted, first = trained(task, data.train, range(seeds), *shape)
    began = time.perf_counter()
    by_views = lab.test_by_views(fitted, data.test)
    found = {name: by_views[name] for name in ("one view", "six views")}
    judged = time.perf_counter() - began
    training = sum(first.epochs) / seeds
    lines = [
        f"| | n | training, s | compilation, s | {' | '.join(found)} |",
        "|---|---:|---:|---:|" + "---:|" * len(found),
    ]
    cells = [f"{x.mean():.4f} ± {x.std(ddof=1) if len(x) > 1 else 0:.4f}" for x in found.values()]
    lines.append(
        f"| jaxdl, bfloat16 | {seeds} | {training:.2f} | {first.compile_seconds:.1f} | "
        f"{' | '.join(cells)} |"
    )
    print("\n".join(lines), f"\n{judged:.1f} s for the tests, compilation included", flush=True)
    try:
        lines.append(torch_speedrun(config, data, task, rounds))
    except ImportError as error:
        print(f"left out: PyTorch ({error})")
    return (
        f"**{len(data.train['y']):,} images, {config.epochs} epochs of batches of "
        f"{config.batch_size}**\n\n" + "\n".join(lines)
    )


def torch_speedrun(config: Any, data: Any, task: Task, rounds: int) -> str:
    """A line of the table: the same training in PyTorch, data and augmentation on the device."""
    import torch
    from cifar_speedrun import TorchTraining, torch_net

    torch.backends.cudnn.benchmark = True
    device, rows = torch_device(), len(data.train["y"])
    held = {name: jax.numpy.asarray(x[:1]) for name, x in data.train.items()}

    def standardised(images):
        x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
        mean, deviation = (torch.from_numpy(v).to(device) for v in (data.mean, data.deviation))
        x = (x - mean[:, None, None]) / deviation[:, None, None]
        return x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)

    images, test = standardised(data.train["x"]), standardised(data.test["x"])
    label = torch.from_numpy(data.train["y"].astype(np.int64)).to(device)
    test_label = torch.from_numpy(data.test["y"].astype(np.int64)).to(device)

    def shifted(x, reach):
        padded = torch.nn.functional.pad(x, (reach,) * 4, "reflect")
        corner = torch.randint(0, 2 * reach + 1, (len(x), 2), device=device)
        moved = torch.empty_like(x)
        for i in range(2 * reach + 1):
            for j in range(2 * reach + 1):
                here = (corner[:, 0] == i) & (corner[:, 1] == j)
                moved[here] = padded[here, :, i : i + 32, j : j + 32]
        return moved

    def run(seed, variables):
        torch.manual_seed(seed)
        training = TorchTraining(torch_net(variables, config.widths, device, True), config, rows)
        mirror = torch.rand(rows, device=device) < 0.5
        for _ in range(config.epochs):
            flipped = torch.where(mirror[:, None, None, None], images.flip(-1), images)
            seen, mirror = shifted(flipped, config.shift), ~mirror
            for index in torch.randperm(rows, device=device).split(config.batch_size):
                training.step(seen[index], label[index])
        return training

    seconds, accuracy = [], []
    for seed in range(rounds + 1):
        variables = jax.device_get(task.init(jax.random.key(seed), held))
        began = time.perf_counter()
        training = run(seed, variables)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
        accuracy.append(training.accuracy(test, test_label))
    # the first warms up
    seconds, accuracy = seconds[1:], np.array(accuracy[1:])
    spread = accuracy.std(ddof=1) if len(accuracy) > 1 else 0.0
    return (
        f"| PyTorch, eager, bfloat16 | {rounds} | {statistics.median(seconds):.2f} | - | "
        f"{accuracy.mean():.4f} ± {spread:.4f} | - |"
    )


def epochs(shrink: int, rounds: int, seeds: int) -> str:
    """One epoch of the nets that have an epoch benchmark, and of the variational autoencoder."""
    del seeds
    cnn = importlib.import_module("cnn_step")
    fraud = importlib.import_module("fraud_epoch")
    imdb = importlib.import_module("imdb_epoch")
    digits = importlib.import_module("mnist_autoencoder")
    vae_lab = importlib.import_module("experiments.mnist_vae")
    from jaxdl import optim
    from jaxdl.models import cnn as nets
    from jaxdl.vision import classification_task

    rng = np.random.default_rng(0)
    photographs = cnn.random_images(50_000 // shrink)
    grey = rng.integers(0, 256, (60_000 // shrink, digits.PIXELS), np.uint8)
    transactions = fraud.rows()[: fraud.ROWS // shrink]
    reviews = {name: x[: imdb.ROWS // shrink] for name, x in imdb.reviews().items()}

    def photo_task(net, precision="float32"):
        task = classification_task.image_task(net, lambda hyper: optim.adam(1e-3))
        return dataclasses.replace(task, precision=precision)

    def vae_peer():
        config = vae_lab.Config()
        model = vae_lab.vae(config, config.latent)
        warm_up = config.warm_up * steps_per_epoch(len(grey), config.batch_size)
        task = vae_lab.vae_task(model, config.beta, warm_up, config.learning_rate)
        return second_epoch(task, {"x": (grey > 127).astype(np.uint8)}, [0], config.batch_size)

    groups: dict[str, dict[str, Callable[[], Any]]] = {}
    for name, size in (("notebook", 32), ("slide", 128)):
        net, count = getattr(nets, f"{name}_net"), cnn.CONVOLUTIONS[name]
        groups[f"{name} net of lab 010, 50,000 images, batch {size}"] = {
            "jaxdl": lambda net=net, size=size: second_epoch(
                photo_task(net()), photographs, [0], size
            ),
            "jaxdl, bfloat16": lambda net=net, size=size: second_epoch(
                photo_task(net(), "bfloat16"), photographs, [0], size
            ),
            "PyTorch, channels last": lambda count=count, size=size: cnn.torch_peer(
                photographs, count, size, torch_device()
            ),
        }
    groups[f"fraud autoencoder, {fraud.ROWS:,} rows, batch 32"] = {
        "jaxdl": lambda: fraud.jaxdl_peer(transactions, 32, 1),
        "PyTorch": lambda: fraud.torch_peer(transactions, 32, 1, torch_device()),
    }
    groups["stacked autoencoder, 60,000 images, batch 256"] = {
        "jaxdl": lambda: digits.jaxdl_peer(grey, 256, 1),
        "PyTorch": lambda: digits.torch_peer(grey, 256, torch_device()),
    }
    groups["multi-hot MLP, 25,000 reviews, batch 512"] = {
        "jaxdl": lambda: imdb.jaxdl_peer(reviews, 16, 512, 1),
        "PyTorch, EmbeddingBag": lambda: imdb.torch_peer(reviews, None, 16, 512, torch_device()),
    }
    groups["variational autoencoder, 60,000 images, batch 128"] = {"jaxdl": vae_peer}
    tables = []
    for title, makers in groups.items():
        seconds = measure(build(makers), rounds)
        tables.append(markdown(f"{title}, seconds per epoch", seconds))
        print(tables[-1], flush=True)
    return "\n\n".join(tables)


def populations(shrink: int, rounds: int, seeds: int) -> str:
    """Seconds of an epoch for each seed, for populations of several sizes."""
    del seeds
    fraud = importlib.import_module("fraud_epoch")
    x = fraud.rows()[: fraud.ROWS // shrink]
    lines = [
        f"**fraud autoencoder, {len(x):,} rows, batch 32: one epoch of a population** "
        f"(medians of {rounds} rounds)",
        "",
        "| seeds | s | s for each seed | one seed's time, times |",
        "|---:|---:|---:|---:|",
    ]
    alone = 0.0
    for count in (1, 8, 32, 128):
        peer = fraud.jaxdl_peer(x, 32, count)
        taken = statistics.median(peer() for _ in range(rounds))
        alone = alone or taken
        lines.append(f"| {count} | {taken:.3f} | {taken / count:.4f} | {taken / alone:.2f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def resnet(shrink: int, rounds: int, seeds: int) -> str:
    """ResNet-20 by the whole recipe: minutes and test error."""
    del rounds, seeds
    lab = importlib.import_module("experiments.resnet")
    config = dataclasses.replace(lab.PRESETS["full"], depths=(20,))
    if shrink > 1:
        config = dataclasses.replace(config, train_rows=256, steps=4)
    data = lab.load_images(config, NoFolder())
    task = lab.deep_net(config, data, 20, "identity")
    task = dataclasses.replace(task, precision="bfloat16")
    rows = len(data.train["y"])
    passes = epochs_for(config.steps, rows, config.batch_size)
    fitted, seconds = trained(task, data.train, [0], passes, config.batch_size)
    accuracy = lab.test_accuracy(fitted, data.test)[0]
    steps = passes * steps_per_epoch(rows, config.batch_size)
    speed = rows * passes / sum(seconds.epochs)
    lines = [
        f"**ResNet-20, {rows:,} images, batch {config.batch_size}, bfloat16**",
        "",
        "| steps | training, s | compilation, s | images/s | test error, n = 1 | published |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {steps:,} | {sum(seconds.epochs):.1f} | {seconds.compile_seconds:.1f} | {speed:,.0f} | "
        f"{100 * (1 - accuracy):.2f} % | 8.75 % |",
    ]
    return "\n".join(lines)


def scorer(shrink: int, rounds: int, seeds: int) -> str:
    """Rows per second of a scorer file, raw columns to decisions."""
    del seeds
    score = importlib.import_module("score")
    raw = score.raw_rows((1 << 21) // shrink)
    lines = [
        f"**Scorer files, {len(raw):,} rows, raw columns to decisions** (medians of {rounds})",
        "",
        "| | rows/s |",
        "|---|---:|",
    ]
    for name, members in (("one network", 1), ("ensemble of ten", 10)):
        judge = score.artifact_peer(members, raw)
        judge(raw)
        seconds = []
        for _ in range(rounds):
            began = time.perf_counter()
            judge(raw)
            seconds.append(time.perf_counter() - began)
        lines.append(f"| {name} | {len(raw) / statistics.median(seconds):,.0f} |")
    return "\n".join(lines)


SECTIONS = {
    "speedrun": speedrun,
    "epochs": epochs,
    "populations": populations,
    "resnet": resnet,
    "scorer": scorer,
}


def main() -> None:
    parser = options(__doc__, rounds=3, seeds=20, budget=480, shrink=1)
    parser.add_argument("--only", nargs="+", choices=sorted(SECTIONS), default=list(SECTIONS))
    args = parser.parse_args()
    parallel.keep_large_buffers()
    # every round makes its programs anew: they are compiled once
    compiled = tempfile.TemporaryDirectory()
    jax.config.update("jax_compilation_cache_dir", compiled.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    began = time.monotonic()
    print(device_name(), flush=True)
    left_out = []
    for name in args.only:
        left = args.budget - (time.monotonic() - began)
        if left < NEEDS[name] and args.shrink == 1:
            left_out.append(name)
            continue
        print(f"\n== {name}, {left:.0f} s left", flush=True)
        try:
            table = SECTIONS[name](args.shrink, args.rounds, args.seeds)
        except Exception:  # the other sections are worth having
            traceback.print_exc()
            left_out.append(name)
            continue
        command = f"python benchmarks/accelerator.py --only {name} --rounds {args.rounds}"
        command += f" --seeds {args.seeds}" if name == "speedrun" else ""
        command += f" --shrink {args.shrink}" if args.shrink > 1 else ""
        text = f"{device_name()}\n\n{table}"
        publish(args.record, f"accelerator-{name}", f"{TITLE}: {name}", text, command)
    if left_out:
        print(f"left out: {', '.join(left_out)}")
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
