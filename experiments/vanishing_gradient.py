"""Lab 030 - an atlas of vanishing gradients (기울기 소실: 활성화, 초기값, 정규화, 지름길)

Five activation functions x five initial scales x no, batch or layer normalisation x plain nets or
shortcuts = 150 nets, at depths from 2 to 50, each with every seed: how large is the gradient that
arrives at the first layer, before and after some steps of gradient descent, and does the net learn
at all? Beside every measurement stands what mean-field theory says without looking at a net. All
nets of one depth are one population: one program trains them, one measures them, one predicts.

    python run.py experiments/vanishing_gradient.py --seeds 3

Data: MNIST, reduced to 24 whitened principal components (fitted on the training rows used), so that
the input has the variance the theory assumes. Plain gradient descent with the norm clipped at 1;
nothing is chosen, so the validation rows (the last training images) are read once and the test
images not at all. A net "learns" when it names at least half of them; guessing names a tenth.

The deck (slides 22-25): the sigmoid's slope is at most 1/4, so early layers hardly move; ReLU,
careful initial values, batch normalisation and residual nets help. It stores no numbers.
Ours: docs/results.md. Runtime: about 2 minutes a seed on one CPU core.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from datasets import labelled_images, mnist
from jaxdl.diagnostics import signal_propagation as at
from jaxdl.diagnostics.signal_propagation import AXES, COMBINATIONS, Depth, chosen, kinds, names
from jaxdl.figures.base import COLOURS, subplots
from jaxdl.models import traced_mlp
from jaxdl.report import Results, Table
from jaxdl.runs import Run


@dataclass(frozen=True)
class Config:
    depths: tuple[int, ...] = (2, 6, 12, 24, 50)
    """Hidden layers; even numbers, for a block has two."""
    narrow: int = 24
    """Units of every second layer, and principal components that go in."""
    wide: int = 48
    """Units of the layers between."""
    train_rows: int = 3200
    """Images to train on."""
    valid_rows: int = 512
    """Images held out."""
    probe_rows: int = 64
    """Held-out images on which gradients are measured."""
    epochs: int = 2
    """Passes; 100 steps each with the other numbers as they are."""
    batch_size: int = 32
    """Images in a step; divides `train_rows`."""
    learning_rate: float = 0.1
    """Step size."""
    shown: int = 12
    """The depth whose nets the tables and figures show one by one."""
    twin_rows: int = 6000
    """Training images of the simulated twin, where no real file is found."""


PRESETS = {
    "quick": Config(depths=(2, 12), train_rows=640, valid_rows=128, epochs=2, twin_rows=1200)
}


def components(config: Config, half: labelled_images.ImageRows):
    """Training and held-out rows as whitened principal components."""
    x = half.image.reshape(len(half.image), -1).astype(np.float32) / 255
    y = half.label.astype(np.int32)
    train, valid = slice(0, config.train_rows), slice(len(y) - config.valid_rows, len(y))
    pca = PCA(config.narrow, whiten=True, svd_solver="full").fit(x[train])
    rows = {"x": pca.transform(x).astype(np.float32), "y": y}
    return tuple({name: values[part] for name, values in rows.items()} for part in (train, valid))


def explore(config: Config, run: Run, layers: int, train, valid) -> at.Depth:
    """Train, measure and predict all combinations at one depth."""
    hyper, seeds = at.population(at.COMBINATIONS, run.seeds)
    task = at.task(hyper, layers // 2, config.wide, 10, config.learning_rate)
    fit = partial(run.fit, train=train, seeds=seeds, batch_size=config.batch_size)
    start = fit(f"start-{layers}", task, epochs=0).variables["params"]
    fitted = fit(f"depth-{layers}", task, valid=valid, epochs=config.epochs)
    end = fitted.variables["params"]
    batch = {name: values[: config.probe_rows] for name, values in valid.items()}
    of = partial(at.by_combination, combinations=len(at.COMBINATIONS))
    return at.Depth(
        layers=layers,
        start=at.measure(start, hyper, batch, len(at.COMBINATIONS)),
        end=at.measure(end, hyper, batch, len(at.COMBINATIONS)),
        theory=at.predict(at.COMBINATIONS, layers // 2, config.narrow, config.wide),
        loss=of(fitted.history["valid_loss"][-1]),
        accuracy=of(fitted.history["valid_accuracy"][-1]),
        moved=of(at.weight_change(end, start)),
    )


def main(config: Config, run: Run) -> Results:
    data = mnist.load(run.source, "mnist", config.twin_rows)
    run.uses(data.provenance)
    train, valid = components(config, data.train)
    atlas = [explore(config, run, layers, train, valid) for layers in config.depths]
    shown = next((depth for depth in atlas if depth.layers == config.shown), atlas[-1])

    steps = config.epochs * -(-len(train["y"]) // config.batch_size)
    split = f"{len(train['y']):,} training, {len(valid['y']):,} held-out images, {steps} steps"
    plain = f"Plain nets of {shown.layers} layers without normalisation; {split}"
    maps = {"gradients": gradient_map, "gradients_theory": theory_map}
    maps |= {"accuracy": accuracy_map, "theory_scatter": theory_scatter}
    return Results(
        tables=[
            Table(plain, plain_rows(shown)),
            Table("Theory against measurement before training, all depths", theory_rows(atlas)),
            Table(f"Share of the 25 nets that learn; {split}", trained_rows(atlas)),
            Table(f"Deepest nets that learn, any initial scale; {split}", deepest_rows(atlas)),
            Table(f"What tells which nets learn; {split}", foresight_rows(atlas)),
        ],
        figures={
            "functions_and_slopes": functions_and_slopes,
            **{name: partial(draw, atlas) for name, draw in maps.items()},
            "gradients_by_layer": partial(profiles, shown),
            "activations": partial(
                activation_histograms,
                *(valid["x"], int(run.seeds[0]), shown.layers, config.wide),
            ),
        },
        headline={"learn": np.mean([learnt(depth).mean(axis=0) for depth in atlas], axis=0)},
    )


DECADES = 8  # where the colours of the gradient maps end


def heat_maps(
    atlas: Sequence[at.Depth], value: Callable[[at.Depth], Any], label: str, low: float, high: float
) -> Any:
    """A panel for each normalisation and shortcut: activation and initial scale against depth.

    Args:
        atlas: the depths, columns of the panels.
        value: [combinations, seeds] of a depth; the mean over seeds is drawn and written.
        label: of the colour bar.
        low, high: ends of the colours; a diverging map where they are opposite.
    """
    figure, axes = subplots(2, 3, width=4.3, height=6.2)
    colours = "RdBu" if low == -high else "viridis"
    columns = np.stack([value(depth).mean(axis=1) for depth in atlas], axis=1)
    rows = [f"{f}, {i}" for f in at.AXES[0] for i in at.AXES[1]]
    for axis, (norm, shortcut) in zip(axes.flat, at.kinds(), strict=True):
        values = columns[at.chosen(norm=norm, shortcut=shortcut)]
        image = axis.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
        for (i, j), number in np.ndenumerate(values):
            strong = (number - low) / (high - low)
            dark = abs(strong - 0.5) > 0.35 if low == -high else strong < 0.6
            text = f"{np.clip(number, -99, 99):.1f}"
            colour = "white" if dark else "black"
            axis.text(j, i, text, ha="center", va="center", fontsize=6, color=colour)
        axis.set_title(f"{shortcut}, {'no' if norm == 'none' else norm} norm", fontsize=10)
        axis.set_xticks(range(len(atlas)), [d.layers for d in atlas])
        axis.set_yticks(range(len(rows)), rows if axis in axes[:, 0] else [], fontsize=7)
    for axis in axes[1]:
        axis.set_xlabel("hidden layers")
    figure.colorbar(image, ax=axes, label=label, shrink=0.5, extend="both")
    return figure


def gradient_map(atlas: Sequence[at.Depth]) -> Any:
    """Measured log10 of the gradient at the first state over that at the last, at the start."""
    label = "log10 (gradient at the first / at the last state), start"
    return heat_maps(atlas, lambda depth: depth.ratio, label, -DECADES, DECADES)


def theory_map(atlas: Sequence[at.Depth]) -> Any:
    """The same as predicted."""
    label = "log10 (gradient at the first / at the last state), theory"
    return heat_maps(atlas, lambda depth: depth.theory[:, :1], label, -DECADES, DECADES)


def accuracy_map(atlas: Sequence[at.Depth]) -> Any:
    """Validation accuracy after training."""
    label = "validation accuracy after training"
    return heat_maps(atlas, lambda depth: depth.accuracy, label, 0.1, 1.0)


def profiles(depth: at.Depth, initialiser: str = "he") -> Any:
    """Weight gradient by layer, plain net on top, shortcut below; a panel for each normalisation.

    The band holds the middle 80 % of single examples at the start; dotted: the batch's gradient
    after training.
    """
    figure, axes = subplots(2, 3, width=4.2, height=3.2)
    layers = np.arange(1, depth.layers + 1)
    for axis, (norm, shortcut) in zip(axes.flat, at.kinds(), strict=True):
        for colour, activation in zip(COLOURS, at.AXES[0], strict=False):
            wanted = {"norm": norm, "shortcut": shortcut, "activation": activation}
            i = int(np.flatnonzero(at.chosen(initialiser=initialiser, **wanted))[0])
            low, middle, high = depth.start.examples[i].mean(axis=0).T
            axis.fill_between(layers, low, high, color=colour, alpha=0.15, lw=0)
            axis.plot(layers, middle, color=colour, label=activation)
            axis.plot(layers, depth.end.weights[i].mean(axis=0), ":", color=colour)
        axis.set_ylim(max(axis.get_ylim()[0], -16), None)
        axis.set_title(f"{shortcut}, {'no' if norm == 'none' else norm} norm", fontsize=10)
        axis.grid(alpha=0.3)
    for axis in axes[1]:
        axis.set_xlabel("layer, from the input")
    for axis in axes[:, 0]:
        axis.set_ylabel("log10 of a weight gradient's norm")
    axes[0, 0].legend(fontsize=7)
    return figure


def theory_scatter(atlas: Sequence[at.Depth]) -> Any:
    """Every net of the atlas: predicted against measured gradient ratio."""
    figure, axes = subplots(2, 3, width=3.6, height=3.2)
    for axis, (norm, shortcut) in zip(axes.flat, at.kinds(), strict=True):
        mask = at.chosen(norm=norm, shortcut=shortcut)
        for colour, depth in zip(COLOURS, atlas, strict=False):
            theory = np.repeat(depth.theory[mask, :1], depth.ratio.shape[1], axis=1)
            label = f"{depth.layers} layers"
            axis.plot(theory, depth.ratio[mask], ".", color=colour, ms=4)
            axis.plot([], [], ".", color=colour, label=label)
        low, high = axis.get_xlim()
        low = max(low, -30)
        axis.plot([low, high], [low, high], color="0.5", lw=0.8)
        margin = 0.15 * (high - low)
        axis.set(xlim=(low, high), ylim=(low - margin, high + margin))
        axis.set_title(f"{shortcut}, {'no' if norm == 'none' else norm} norm", fontsize=10)
        axis.grid(alpha=0.3)
    axes[1, 1].set_xlabel("log10 gradient ratio, theory")
    axes[1, 0].set_ylabel("measured at the start")
    axes[0, 0].legend(fontsize=7)
    return figure


def activation_histograms(
    x: Float[np.ndarray, "batch narrow"], seed: int, layers: int, wide: int
) -> Any:
    """Activations of some plain nets before training: a row for each net, panels by layer.

    Args:
        x, seed, layers, wide: see `atlas.activations_at_start`.
    """
    values = at.activations_at_start(x, seed, layers, wide)
    columns = len(next(iter(values.values())))
    figure, axes = subplots(len(values), columns, width=2.3, height=1.7)
    for line, colour, (name, layers) in zip(axes, COLOURS, values.items(), strict=False):
        for axis, (layer, x) in zip(line, layers.items(), strict=True):
            axis.hist(x.reshape(-1), 50, color=colour, density=True)
            axis.set_title(f"layer {layer}: {x.mean():.2g} ± {x.std():.2g}", fontsize=8)
            axis.set_yticks([])
            axis.tick_params(labelsize=6)
            axis.locator_params(axis="x", nbins=3)
            axis.ticklabel_format(axis="x", scilimits=(-2, 3))
            axis.xaxis.get_offset_text().set_fontsize(6)
        line[0].set_ylabel(name, fontsize=8)
    return figure


def functions_and_slopes() -> Any:
    """Slide 24: sigmoid on -10..10, tanh and ReLU on -3..3, each with its slope; all on -2..2."""
    figure, axes = subplots(1, 4, width=3.2, height=2.8)
    limits = {"sigmoid": 10, "tanh": 3, "relu": 3}
    for axis, colour, (name, limit) in zip(axes, COLOURS, limits.items(), strict=False):
        number = traced_mlp.ACTIVATIONS.index(name)
        x = jnp.linspace(-limit, limit, 401)
        slopes = jax.vmap(jax.grad(lambda x, number=number: traced_mlp.activate(x, number)))(x)
        axis.plot(x, traced_mlp.activate(x, number), color=colour, label=name)
        axis.plot(x, slopes, "--", color="0.3", label=f"slope, at most {slopes.max():.2f}")
        near = jnp.linspace(-2, 2, 401)
        axes[3].plot(near, traced_mlp.activate(near, number), color=colour, label=name)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    axes[3].set_title("together")
    return figure


LEARNT = 0.5  # a net whose validation accuracy reaches this counts as trained; chance is 0.1


def theory_rows(atlas: Sequence[Depth]) -> list[dict[str, Any]]:
    """Theory against measurement over all depths, one row for each normalisation and shortcut.

    Combinations whose gradient float32 does not hold any more are left out and counted.
    """
    rows = []
    for norm, shortcut in kinds():
        mask = chosen(norm=norm, shortcut=shortcut)
        theory = np.concatenate([d.theory[mask, 0] for d in atlas])
        found = np.concatenate([d.ratio[mask].mean(axis=1) for d in atlas])
        kept = theory > -30
        apart = np.abs(theory - found)[kept]
        rows.append(
            {
                "normalisation": norm,
                "net": shortcut,
                "nets": int(kept.sum()),
                "left out": int((~kept).sum()),
                "correlation": float(np.corrcoef(theory[kept], found[kept])[0, 1]),
                "median error, decades": float(np.median(apart)),
                "95 % below": float(np.quantile(apart, 0.95)),
            }
        )
    return rows


def plain_rows(depth: Depth) -> list[dict[str, Any]]:
    """Plain nets of one depth without normalisation: theory, measurement, what became of them."""
    rows = []
    for i in np.flatnonzero(chosen(norm="none", shortcut="plain")):
        activation, initialiser, _, _ = names(COMBINATIONS[i])
        rows.append(
            {
                "activation": activation,
                "initialiser": initialiser,
                "chi, theory": float(10 ** (2 * depth.theory[i, 0] / depth.layers)),
                "log10 gradient ratio, theory": float(np.round(depth.theory[i, 0], 4)),
                "measured": depth.ratio[i],
                "after training": depth.end.signal[i, :, 0] - depth.end.signal[i, :, -1],
                "log10 of the first kernel's move": _log(depth.moved[i, :, 0]),
                "of the last one's": _log(depth.moved[i, :, -1]),
                "validation accuracy": depth.accuracy[i],
            }
        )
    return rows


def _log(x: Array) -> Array:
    return np.log10(np.maximum(x, 1e-12))


def trained_rows(atlas: Sequence[Depth]) -> list[dict[str, Any]]:
    """Share of (activation, initialiser) that learn, by remedy and depth."""
    rows = []
    for norm, shortcut in kinds():
        mask = chosen(norm=norm, shortcut=shortcut)
        row = {"normalisation": norm, "net": shortcut}
        rows.append(row | {f"{d.layers} layers": learnt(d)[mask].mean(axis=0) for d in atlas})
    return rows


def learnt(depth: Depth) -> Float[np.ndarray, "combinations seeds"]:
    """1 for a net whose validation accuracy reaches `LEARNT`, else 0."""
    return (depth.accuracy >= LEARNT).astype(np.float64)


def deepest_rows(atlas: Sequence[Depth]) -> list[dict[str, Any]]:
    """For each activation the deepest nets that learn with most seeds, over all initial scales."""
    rows = []
    for activation in AXES[0]:
        row = {"activation": activation}
        for norm, shortcut in kinds():
            mask = chosen(activation=activation, norm=norm, shortcut=shortcut)
            deep_enough = [d.layers for d in atlas if (learnt(d)[mask].mean(axis=1) > 0.5).any()]
            remedy = {"none": "no norm"}.get(norm, f"{norm} norm")
            row[f"{shortcut}, {remedy}"] = max(deep_enough, default=0)
        rows.append(row)
    return rows


def foresight_rows(atlas: Sequence[Depth]) -> list[dict[str, Any]]:
    """How well numbers known before training tell which nets will learn: areas under the ROC curve.

    Depth alone is the weak baseline.
    """
    truth = np.concatenate([learnt(d).reshape(-1) for d in atlas])
    shape = [d.accuracy.shape for d in atlas]
    scores = {
        "depth alone": [np.full(s, -d.layers) for d, s in zip(atlas, shape, strict=True)],
        "theory: distance of the gradient ratio from 1": [
            np.broadcast_to(-np.abs(d.theory[:, :1]), s) for d, s in zip(atlas, shape, strict=True)
        ],
        "measured: distance of the gradient ratio from 1": [-np.abs(d.ratio) for d in atlas],
        "measured: smallest share of living activations": [
            1 - d.start.flat.max(axis=-1) for d in atlas
        ],
    }
    rows = []
    for name, values in scores.items():
        flat = np.concatenate([np.asarray(v, np.float64).reshape(-1) for v in values])
        area = roc_auc_score(truth, flat) if 0 < truth.sum() < len(truth) else float("nan")
        rows.append({"known before training": name, "area under the ROC curve": float(area)})
    return rows
