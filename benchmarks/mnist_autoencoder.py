"""One epoch of lab 460's stacked autoencoder on 60,000 images: jaxdl, Keras, PyTorch.

    python benchmarks/mnist_autoencoder.py [--batch-size 256] [--rounds 5] [--seeds 1]

784-128-64-32-64-128-784, ReLU, binary cross-entropy, Adam 1e-3, shuffled each epoch, every row
used; times of training only, after one warm-up epoch. Images are the simulated twin's: speed does
not depend on the pixels. jaxdl keeps bytes and turns a batch into numbers inside the step; Keras
and PyTorch get float32, as the course's notebook gives it.
"""

import dataclasses
import os
from itertools import pairwise

import numpy as np
from harness import build, markdown, measure, options, publish, second_epoch, timed, torch_epochs

WIDTHS, PIXELS = (128, 64, 32), 784


def jaxdl_peer(images, batch_size, seeds):
    from jaxdl.models.autoencoder import DenseAutoencoder
    from jaxdl.vision import autoencoder_task

    task = autoencoder_task.reconstruction_task(
        DenseAutoencoder(PIXELS, WIDTHS), autoencoder_task.cross_entropy, 1e-3
    )
    task = dataclasses.replace(task, metrics={})  # the peers compute the loss alone

    return second_epoch(task, {"x": images}, range(seeds), batch_size)


def keras_peer(images, batch_size):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    x = images.astype(np.float32) / 255
    widths = [*WIDTHS, *WIDTHS[-2::-1]]
    hidden = [keras.layers.Dense(width, activation="relu") for width in widths]
    output = keras.layers.Dense(PIXELS, activation="sigmoid")
    model = keras.Sequential([keras.Input((PIXELS,)), *hidden, output])
    model.compile("adam", "binary_crossentropy")
    return timed(lambda: model.fit(x, x, batch_size=batch_size, epochs=1, verbose=0))


def torch_peer(images, batch_size, device="cpu"):
    import torch

    x = torch.from_numpy(images.astype(np.float32) / 255).to(device)
    widths = [PIXELS, *WIDTHS, *WIDTHS[-2::-1]]
    layers = []
    for before, after in pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], PIXELS)).to(device)

    def loss(index):
        batch = x[index]
        return torch.nn.functional.binary_cross_entropy_with_logits(model(batch), batch)

    return torch_epochs(model, loss, len(x), batch_size, device)


def main() -> None:
    args = options(__doc__, batch_size=256, rows=60_000, seeds=1).parse_args()
    from datasets import mnist
    from datasets.source import Request

    data = mnist.load(Request("simulated"), "fashion_mnist", args.rows)
    images = data.train.image.reshape(args.rows, PIXELS)
    own = "jaxdl" if args.seeds == 1 else f"jaxdl, {args.seeds} seeds at once"
    peers = build(
        {
            own: lambda: jaxdl_peer(images, args.batch_size, args.seeds),
            "PyTorch": lambda: torch_peer(images, args.batch_size),
            f"Keras, {os.environ.get('KERAS_BACKEND', 'tensorflow')}": lambda: keras_peer(
                images, args.batch_size
            ),
        }
    )
    title = (
        f"autoencoder 784-128-64-32-64-128-784, {args.rows:,} simulated images, "
        f"batch {args.batch_size}, seconds per epoch"
    )
    command = f"python benchmarks/mnist_autoencoder.py --batch-size {args.batch_size}"
    if args.seeds > 1:
        command += f" --seeds {args.seeds}"
    table = markdown(title, measure(peers, args.rounds))
    publish(
        args.record, command.partition("/")[2], "Stacked autoencoder: one epoch", table, command
    )


if __name__ == "__main__":
    main()
