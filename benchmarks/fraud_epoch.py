"""One epoch of the fraud autoencoder 30-14-7-7-30 on 227,451 rows: jaxdl, PyTorch, Keras.

    python benchmarks/fraud_epoch.py [--batch-size 32] [--rounds 5] [--seeds 1]

Adam 1e-3, mean squared error, shuffled each epoch, every row used; times of training only, after
one warm-up epoch (compilation apart). PyTorch uses its fused Adam and gathers from one tensor;
Keras uses `fit` on arrays in memory, as the course's notebook does.
"""

import os

import numpy as np
from harness import build, markdown, measure, options, publish, second_epoch, timed, torch_epochs

ROWS, COLUMNS, WIDTHS = 227_451, 30, (14, 7, 7)


def rows() -> np.ndarray:
    """Standard normal rows: the time of an epoch does not depend on their values."""
    return np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype(np.float32)


def jaxdl_peer(x, batch_size, seeds):
    from jaxdl import losses, optim
    from jaxdl.models.mlp import MLP
    from jaxdl.training import Task, module_functions

    init, apply = module_functions(MLP((*WIDTHS, COLUMNS)))
    task = Task(
        init,
        apply,
        lambda out, batch, hyper: losses.mse(out, batch["x"]),
        lambda hyper: optim.adam(),
    )

    return second_epoch(task, {"x": x}, range(seeds), batch_size)


def torch_peer(x, batch_size, threads=1, device="cpu"):
    import torch

    layers, width = [], COLUMNS
    for out in WIDTHS:
        layers += [torch.nn.Linear(width, out), torch.nn.ReLU()]
        width = out
    model = torch.nn.Sequential(*layers, torch.nn.Linear(width, COLUMNS)).to(device)
    data = torch.from_numpy(x).to(device)

    def loss(index):
        batch = data[index]
        return torch.nn.functional.mse_loss(model(batch), batch)

    epoch = torch_epochs(model, loss, len(data), batch_size, device)

    def run():
        torch.set_num_threads(threads)
        return epoch()

    return run


def keras_peer(x, batch_size):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    inputs = keras.Input((COLUMNS,))
    hidden = inputs
    for width in WIDTHS:
        hidden = keras.layers.Dense(width, "relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(COLUMNS)(hidden))
    model.compile("adam", "mse")

    return timed(lambda: model.fit(x, x, batch_size=batch_size, epochs=1, verbose=0))


def main() -> None:
    args = options(__doc__, batch_size=32, seeds=1).parse_args()
    x = rows()
    own = "jaxdl" if args.seeds == 1 else f"jaxdl, {args.seeds} seeds at once"
    peers = build(
        {
            own: lambda: jaxdl_peer(x, args.batch_size, args.seeds),
            # for steps this small threads cost more than they give: PyTorch is shown both ways
            "PyTorch, 1 thread": lambda: torch_peer(x, args.batch_size, 1),
            f"PyTorch, {os.cpu_count()} threads": lambda: torch_peer(
                x, args.batch_size, os.cpu_count()
            ),
            f"Keras, {os.environ.get('KERAS_BACKEND', 'tensorflow')}": lambda: keras_peer(
                x, args.batch_size
            ),
        }
    )
    title = f"fraud autoencoder, {ROWS:,} rows, batch {args.batch_size}, seconds per epoch"
    table = markdown(title, measure(peers, args.rounds))
    command = f"python benchmarks/fraud_epoch.py --batch-size {args.batch_size}"
    if args.seeds > 1:
        command += f" --seeds {args.seeds}"
    publish(args.record, command.partition("/")[2], "Fraud autoencoder: one epoch", table, command)


if __name__ == "__main__":
    main()
