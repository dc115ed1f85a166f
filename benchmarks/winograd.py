"""Training steps with Winograd's convolutions, and with XLA's where they would be: what they give.

    python benchmarks/winograd.py [--steps 8] [--rounds 5]

ResNet-20 on 32x32 photographs in batches of 128, and lab 460's convolutional autoencoder in batches
of 64; random images, Adam 1e-3. Compilation is timed apart: Winograd's way takes longer to compile.
"""

import numpy as np
from harness import machine, markdown, measure, options, publish, single_steps

BATCHES = {"ResNet-20": 128, "convolutional autoencoder of lab 460": 64}


def task_and_data(name: str, rows: int):
    from experiments import mnist_autoencoder as lab
    from jaxdl import optim
    from jaxdl.models.resnet import ResNet, blocks_of
    from jaxdl.vision import autoencoder_task
    from jaxdl.vision.classification_task import image_task

    rng = np.random.default_rng(0)
    if name == "ResNet-20":
        task = image_task(ResNet(blocks_of(20), "identity"), lambda hyper: optim.adam(1e-3))
        images = rng.integers(0, 256, (rows, 32, 32, 3), np.uint8)
        return task, {"x": images, "y": rng.integers(0, 10, rows).astype(np.int32)}
    net = lab.autoencoder("convolutional", lab.Config())
    loss = autoencoder_task.squared_error
    task = autoencoder_task.reconstruction_task(net, loss, 1e-3)
    return task, {"x": rng.integers(0, 256, (rows, 784), np.uint8)}


def peer(name: str, steps: int, in_tiles: bool, compiled: dict[str, float]):
    """Steps of one net; seconds of their compilation go into `compiled`."""
    from jaxdl.models import conv2d

    size = BATCHES[name]
    task, data = task_and_data(name, steps * size)
    least = conv2d.WINOGRAD_CHANNELS
    conv2d.WINOGRAD_CHANNELS = least if in_tiles else 1 << 30  # wider than any layer: none
    try:
        epoch, seconds = single_steps(task, data, size)
    finally:
        conv2d.WINOGRAD_CHANNELS = least
    compiled["Winograd" if in_tiles else "XLA"] = seconds
    return epoch


def main() -> None:
    args = options(__doc__, steps=8).parse_args()
    parts = []
    for name, size in BATCHES.items():
        compiled: dict[str, float] = {}
        peers = {
            "jaxdl": peer(name, args.steps, True, compiled),
            "jaxdl, XLA's convolutions": peer(name, args.steps, False, compiled),
        }
        title = f"{name}, seconds for {args.steps} training steps of batch {size}"
        table = markdown(title, measure(peers, args.rounds))
        seconds = ", ".join(f"{form} {taken:.1f} s" for form, taken in compiled.items())
        parts.append(f"{table}\n\nCompilation, once: {seconds} ({machine()}).")
        print(parts[-1], flush=True)
    command = f"python benchmarks/winograd.py --steps {args.steps}"
    publish(args.record, "winograd", "Winograd's convolutions", "\n\n".join(parts), command)


if __name__ == "__main__":
    main()
