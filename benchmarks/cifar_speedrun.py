"""The speed-run net of `experiments/cifar_speedrun.py` beside the same training in PyTorch.

    python benchmarks/cifar_speedrun.py [--epochs 4] [--seeds 3] [--record docs/benchmarks.md]

Agreement: both start from the same weights and see the same pictures in the same order, changed in
the same way, in float32 and without `--preset full`'s size. The table shows how far the losses of
the first 20 steps are apart, and the accuracy on images set aside after each epoch. Chaos takes
over in the end: rounding differs, and steps are large. `accelerator.py` times the two in full.
"""

import importlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from harness import first_state, machine, options, publish

from datasets import cifar10
from datasets.source import Request
from jaxdl.training import batch_order, step
from jaxdl.training.state import TrainState

lab = importlib.import_module("experiments.cifar_speedrun")
FIRST_STEPS = 20
LOGIT_SCALE = 1 / 9


class NoFolder:
    """What the lab's `load_images` asks of a run."""

    source = Request("auto")

    def uses(self, provenance: Any) -> None:
        print(provenance.line())


# ---- the reference -------------------------------------------------------------------------------


def torch_net(variables: Any, widths: tuple[int, ...], device: str = "cpu", half: bool = False):
    """The net but for the scale of its logits, with one member's weights copied into it.

    Args:
        variables: of one member of the lab's task.
        widths: channels of the blocks.
        device: of PyTorch.
        half: bfloat16 weights of convolutions, as the published code has them (float16 there).
    """
    import torch
    from torch import nn

    params = variables["params"]

    def convolution(kernel, padding, bias=None):
        rows, columns, inputs, outputs = kernel.shape
        layer = nn.Conv2d(inputs, outputs, (rows, columns), padding=padding, bias=bias is not None)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.asarray(kernel).transpose(3, 2, 0, 1).copy()))
            if bias is not None:
                layer.bias.copy_(torch.from_numpy(np.array(bias)))
        return layer

    first = convolution(variables["whitening"]["kernel"], 0, params["whitening_bias"])
    first.weight.requires_grad_(False)
    layers = [first, nn.GELU()]
    for block, width in enumerate(widths):
        for number in range(2):
            layers.append(convolution(params[f"conv_{block}_{number}"]["kernel"], 1))
            if number == 0:
                layers.append(nn.MaxPool2d(2))
            norm = nn.BatchNorm2d(width, eps=1e-12, momentum=0.4)
            norm.weight.requires_grad_(False)
            layers += [norm, nn.GELU()]
    dense = nn.Linear(widths[-1], 10, bias=False)
    with torch.no_grad():
        dense.weight.copy_(torch.from_numpy(np.asarray(params["Dense_0"]["kernel"]).T.copy()))
    net = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), dense)
    net = net.to(device)
    if half:
        net = net.to(torch.bfloat16)
        for layer in net:
            if isinstance(layer, nn.BatchNorm2d):
                layer.float()
    return net.to(memory_format=torch.channels_last)


class TorchTraining:
    """Loss, optimiser, schedule and lookahead of the recipe, in PyTorch's own terms."""

    def __init__(self, net: Any, config: Any, rows: int):
        import torch

        self.net, self.config = net, config
        self.steps_an_epoch = rows // config.batch_size
        self.steps = config.epochs * self.steps_an_epoch
        self.whitening_bias = net[0].bias
        # what PyTorch calls weight decay is added to the gradient; the loss is summed
        peak = config.learning_rate / lab.EXAMPLES / (1 + 1 / (1 - config.momentum))
        decay = config.weight_decay * config.batch_size / config.learning_rate
        fast = [m.bias for m in net if isinstance(m, torch.nn.BatchNorm2d)]
        others = [
            p for p in net.parameters() if p.requires_grad and all(p is not bias for bias in fast)
        ]
        factor = config.bias_factor
        groups = [
            {"params": fast, "lr": peak * factor, "weight_decay": decay / factor},
            {"params": others, "lr": peak, "weight_decay": decay},
        ]
        self.optimizer = torch.optim.SGD(groups, momentum=config.momentum, nesterov=True)
        shape = [0.2, 1.0, 0.07]
        places = [0, 0.23 * self.steps, self.steps]
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda i: np.interp(i, places, shape)
        )
        self.loss = torch.nn.CrossEntropyLoss(label_smoothing=config.smoothing, reduction="none")
        self.slow = [p.detach().clone() for p in net.parameters()]
        self.done = 0

    def step(self, images: Any, labels: Any) -> Any:
        """One step; gives the loss of each image."""
        import torch

        config = self.config
        self.whitening_bias.requires_grad_(
            self.done < config.whitening_epochs * self.steps_an_epoch
        )
        loss = self.loss(self.net(images).float() * LOGIT_SCALE, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        self.optimizer.step()
        self.scheduler.step()
        self.done += 1
        if self.done % config.lookahead_every == 0:
            keep = 0.95**5 * (self.done / self.steps) ** 3
            with torch.no_grad():
                for slow, fast in zip(self.slow, self.net.parameters(), strict=True):
                    slow.lerp_(fast, 1 - keep)
                    fast.copy_(slow)
        return loss.detach()

    def accuracy(self, images: Any, labels: Any) -> float:
        """Share named rightly, one view each, in evaluation mode."""
        import torch

        self.net.eval()
        with torch.no_grad():
            right = [
                (self.net(x).argmax(1) == y).float().mean()
                for x, y in zip(images.split(1000), labels.split(1000), strict=True)
            ]
        self.net.train()
        return float(torch.stack(right).mean())


# ---- agreement -----------------------------------------------------------------------------------


def agreement(config: Any, data: Any, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train one member both ways.

    Returns:
        Losses [2, steps], accuracies on the validation images [2, epochs] (jaxdl's first).
    """
    import torch

    rows = len(data.train["y"])
    filters = lab.whitening_filters(data.train["x"][: lab.WHITENED_IMAGES])
    task = lab.speedrun_task(config, data, filters)
    held = {name: jnp.asarray(x) for name, x in data.train.items()}
    state = first_state(task, held, seed)
    mask = jnp.ones(config.batch_size, bool)

    @jax.jit
    def advance(state: TrainState, batch: Any):
        new = step.train_step(task, state, batch, mask, {})
        loss = new.totals["loss"] - state.totals["loss"]
        key = jax.random.fold_in(jax.random.key(state.seed), state.step)
        epoch = state.step // (rows // config.batch_size)
        mirror = lab.alternating(state.model_state["flips"]["first"], batch["id"], epoch)
        seen = lab.shifted(key, lab.mirrored_where(batch["x"], mirror), config.shift)
        return new, loss / config.batch_size, seen

    @jax.jit
    def validated(state: TrainState):
        variables = {"params": state.params, **state.model_state}
        logits, _ = task.apply(variables, {"x": data.valid["x"]}, jax.random.key(0), False, {})
        return (logits.argmax(1) == data.valid["y"]).mean()

    def as_torch(images):
        x = (np.asarray(images, np.float32) / 255 - data.mean) / data.deviation
        return torch.from_numpy(x.transpose(0, 3, 1, 2).copy())

    member = {"params": state.params, **state.model_state}
    reference = TorchTraining(torch_net(member, config.widths), config, rows)
    label = torch.from_numpy(data.train["y"].astype(np.int64))
    valid = as_torch(data.valid["x"]), torch.from_numpy(data.valid["y"].astype(np.int64))
    losses, accuracies = [], []
    for epoch in range(config.epochs):
        for index in batch_order.epoch_order(seed, epoch, rows, config.batch_size):
            batch = {name: x[index] for name, x in held.items()}
            state, loss, seen = advance(state, batch)
            theirs = reference.step(as_torch(seen), label[index])
            losses.append((float(loss), float(theirs.mean())))
        accuracies.append((float(validated(state)), reference.accuracy(*valid)))
    return np.array(losses).T, np.array(accuracies).T


def main() -> None:
    parser = options(__doc__, rounds=1, epochs=4, seeds=3)
    args = parser.parse_args()
    config = lab.Config(epochs=args.epochs)
    data = lab.load_images(config, NoFolder())
    began = time.monotonic()
    apart, curves = [], []
    for seed in range(args.seeds):
        losses, accuracies = agreement(config, data, seed)
        apart.append(np.abs(losses[0] / losses[1] - 1)[:FIRST_STEPS].max())
        curves.append(accuracies)
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
    curves = np.stack(curves)
    lines = [
        f"**{cifar10.NAME}, {config.train_rows:,} training images, blocks of {config.widths}, "
        f"batch {config.batch_size}, n = {args.seeds} seeds** ({machine()})",
        "",
        f"Largest relative difference of a loss in the first {FIRST_STEPS} steps: "
        f"{max(apart):.1e} (seeds: {', '.join(f'{value:.1e}' for value in apart)}).",
        "",
        "| validation accuracy after epoch | jaxdl | PyTorch |",
        "|---|---:|---:|",
    ]
    for epoch in range(config.epochs):
        mean, sd = curves[:, :, epoch].mean(axis=0), curves[:, :, epoch].std(axis=0, ddof=1)
        cells = " | ".join(f"{m:.4f} ± {s:.4f}" for m, s in zip(mean, sd, strict=True))
        lines.append(f"| {epoch + 1} | {cells} |")
    command = f"python benchmarks/cifar_speedrun.py --epochs {args.epochs} --seeds {args.seeds}"
    publish(
        args.record,
        command.partition("/")[2],
        "Speed run: the same training in PyTorch",
        "\n".join(lines),
        command,
    )


if __name__ == "__main__":
    main()
