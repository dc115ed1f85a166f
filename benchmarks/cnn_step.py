"""Training steps of lab 010's nets: jaxdl, the same net in textbook JAX, Keras, PyTorch.

    python benchmarks/cnn_step.py [--net slide] [--batch-size 128] [--steps 8] [--rounds 5]

Cross-entropy, Adam 1e-3, random images, a shuffled order; times of training only. "Textbook" JAX is
`nn.Conv` and `nn.max_pool` in the same jitted step. Keras runs `fit`; PyTorch runs channels last.
"""

import os

import numpy as np
from harness import build, markdown, measure, options, publish, single_steps, timed, torch_epochs

WIDTHS, HIDDEN, CLASSES = (32, 64, 128), 128, 10
CONVOLUTIONS = {"notebook": 1, "slide": 2}


def random_images(rows: int) -> dict[str, np.ndarray]:
    """Bytes without meaning: the time does not depend on what they show."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (rows, 32, 32, 3), np.uint8)
    return {"x": images, "y": rng.integers(0, CLASSES, rows).astype(np.int32)}


def jax_peer(module, data, batch_size):
    from jaxdl import optim
    from jaxdl.vision import classification_task

    task = classification_task.image_task(module, lambda hyper: optim.adam(1e-3))
    return single_steps(task, data, batch_size)[0]


def textbook_net(convolutions):
    """The net as Flax's examples would write it."""
    import flax.linen as nn

    class Textbook(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            for width in WIDTHS:
                for _ in range(convolutions):
                    x = nn.relu(nn.Conv(width, (3, 3))(x))
                x = nn.max_pool(x, (2, 2), (2, 2))
            x = nn.relu(nn.Dense(HIDDEN)(x.reshape(x.shape[0], -1)))
            return nn.Dense(CLASSES)(x)

    return Textbook()


def keras_peer(data, convolutions, batch_size):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    layers = [keras.Input((32, 32, 3))]
    for width in WIDTHS:
        layers += [
            keras.layers.Conv2D(width, 3, padding="same", activation="relu")
            for _ in range(convolutions)
        ]
        layers.append(keras.layers.MaxPooling2D())
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(HIDDEN, "relu"),
        keras.layers.Dense(CLASSES, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    images = data["x"].astype(np.float32) / 255
    return timed(lambda: model.fit(images, data["y"], batch_size=batch_size, verbose=0))


def torch_peer(data, convolutions, batch_size, device="cpu"):
    import torch

    layers, channels = [], 3
    for width in WIDTHS:
        for _ in range(convolutions):
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.ReLU()]
            channels = width
        layers.append(torch.nn.MaxPool2d(2))
    layers += [torch.nn.Flatten(), torch.nn.Linear(16 * channels, HIDDEN), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(HIDDEN, CLASSES))
    model = model.to(device, memory_format=torch.channels_last)
    # as bytes, rescaled in the step: what jaxdl does
    images = torch.from_numpy(data["x"]).to(device).permute(0, 3, 1, 2)
    labels = torch.from_numpy(data["y"]).to(device).long()

    def loss(index):
        batch = images[index].float().div(255).to(memory_format=torch.channels_last)
        return torch.nn.functional.cross_entropy(model(batch), labels[index])

    return torch_epochs(model, loss, len(labels), batch_size, device)


def main() -> None:
    parser = options(__doc__, batch_size=128, steps=8)
    parser.add_argument("--net", choices=sorted(CONVOLUTIONS), default="slide")
    args = parser.parse_args()
    from jaxdl.models import cnn

    data = random_images(args.batch_size * args.steps)
    own, count, size = getattr(cnn, f"{args.net}_net"), CONVOLUTIONS[args.net], args.batch_size
    peers = build(
        {
            "jaxdl": lambda: jax_peer(own(), data, size),
            "textbook JAX": lambda: jax_peer(textbook_net(count), data, size),
            # before Keras: TensorFlow 2.21 and PyTorch 2.14 crash if they are loaded the other way
            "PyTorch, channels last": lambda: torch_peer(data, count, size),
            f"Keras, {os.environ.get('KERAS_BACKEND', 'tensorflow')}": lambda: keras_peer(
                data, count, size
            ),
        }
    )
    title = (
        f"{args.net} net of lab 010 on 32x32x3 images, seconds for {args.steps} training steps of "
        f"batch {size}"
    )
    command = f"python benchmarks/cnn_step.py --net {args.net} --batch-size {size}"
    command += f" --steps {args.steps}"
    table = markdown(title, measure(peers, args.rounds))
    publish(args.record, command.partition("/")[2], "CIFAR-10 CNN: training steps", table, command)


if __name__ == "__main__":
    main()
