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

from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.decomposition import PCA

from datasets import images, mnist
from jaxdl import atlas as at
from jaxdl import atlas_figures as pictures
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


def components(config: Config, half: images.Half):
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
    maps = {"gradients": pictures.gradient_map, "gradients_theory": pictures.theory_map}
    maps |= {"accuracy": pictures.accuracy_map, "theory_scatter": pictures.theory_scatter}
    return Results(
        tables=[
            Table(plain, at.plain_rows(shown)),
            Table("Theory against measurement before training, all depths", at.theory_rows(atlas)),
            Table(f"Share of the 25 nets that learn; {split}", at.trained_rows(atlas)),
            Table(f"Deepest nets that learn, any initial scale; {split}", at.deepest_rows(atlas)),
            Table(f"What tells which nets learn; {split}", at.foresight_rows(atlas)),
        ],
        figures={
            "functions_and_slopes": pictures.functions_and_slopes,
            **{name: partial(draw, atlas) for name, draw in maps.items()},
            "gradients_by_layer": partial(pictures.profiles, shown),
            "activations": partial(
                pictures.activation_histograms,
                *(valid["x"], int(run.seeds[0]), shown.layers, config.wide),
            ),
        },
        headline={"learn": np.mean([at.learnt(depth).mean(axis=0) for depth in atlas], axis=0)},
    )
