"""Batch normalisation, with and without (배치 정규화)

The deck's experiment (slide 30): MNIST, 784-100-100-10 with sigmoids, Adam at the large rate 0.1,
batches of 2,000, five epochs. Three nets: without batch normalisation (89,610 parameters), with it
behind the sigmoid as in the deck's source (90,010), and with it in front, where the paper has it.
Then the slide's three claims, each with numbers over seeds: dropout is not needed, larger learning
rates are possible, biases are not needed. All learning rates and seeds of one net train at once.

    python run.py experiments/batch_norm.py --seeds 5
    python run.py experiments/batch_norm.py --protocol lecture --seeds 5

Protocol "validation": the last 10,000 training images are set aside; rates are chosen on them, the
test images are read once, by the nets chosen. Protocol "lecture": all 60,000 are trained on and the
test images are the validation curve, as in the slide. Read off the slide, validation accuracy by
epoch: 23, 42.5, 67, 85.5, 91 % without and 90.5, 93, 93.8, 93.9, 94.2 % with (n = 1). Ours:
docs/results.md. Runtime: about 10 minutes for five seeds on one CPU core.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from datasets import mnist
from jaxdl import normalisation as norm
from jaxdl import probe_figures as pictures
from jaxdl import protocol
from jaxdl.models.normed import NormedMLP
from jaxdl.regularisation import by_method
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted
from jaxdl.training.order import steps_per_epoch

PLACES = {"no BN": "none", "BN behind": "after", "BN in front": "before"}
NETS = {name: NormedMLP(place) for name, place in PLACES.items()}
SLIDE = {"no BN": (0.23, 0.425, 0.67, 0.855, 0.91), "BN behind": (0.905, 0.93, 0.938, 0.939, 0.942)}
SHOWN = 1000  # test images whose activations are drawn


@dataclass(frozen=True)
class Config:
    protocol: Literal["validation", "lecture"] = "validation"
    """validation: chosen on images set aside; lecture: the test images are the validation curve."""
    validation_rows: int = 10_000
    """Training images set aside (protocol "validation")."""
    epochs: int = 5
    """Passes over the training images."""
    batch_size: int = 2000
    """Images in a step; divides the number of training images."""
    learning_rate: float = 0.1
    """The slide's rate; one of `learning_rates`."""
    learning_rates: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    """The sweep."""
    dropouts: tuple[float, ...] = (0.0, 0.2, 0.5)
    """Shares of hidden units dropped; the first is none."""
    few_rows: int = 5000
    """Training images with dropout or without biases: few enough to be learnt by heart."""
    few_epochs: int = 40
    """Passes over them."""
    few_batch: int = 500
    """Images in a step there."""
    twin_rows: int = mnist.ROWS
    """Training images of the simulated twin, where no real file is found."""


PRESETS = {
    "quick": Config(
        validation_rows=600, epochs=3, batch_size=100, learning_rates=(0.01, 0.1, 1.0),
        dropouts=(0.0, 0.5), few_rows=300, few_epochs=10, few_batch=100, twin_rows=3600,
    )
}  # fmt: skip


def rate_sweeps(config: Config, run: Run, train, valid) -> dict[str, dict[float, Fitted]]:
    """Every learning rate with every seed: a population for each net, and for a linear one."""
    rates, seeds = norm.population(config.learning_rates, run.seeds)
    steps = config.epochs * steps_per_epoch(len(train["y"]), config.batch_size)
    shape = {"seeds": seeds, "epochs": config.epochs, "batch_size": config.batch_size}
    fits = {}
    for name, model in (NETS | {"linear": NormedMLP(widths=())}).items():
        task = norm.classifier_task(model, rates, traced_steps=steps)
        fitted = run.fit(f"rates-{name.replace(' ', '-')}", task, train, valid, **shape)
        fits[name] = by_method(fitted, config.learning_rates)
    return fits


def variants(config: Config, run: Run, chosen, few, valid) -> dict[str, dict[str, Fitted]]:
    """The nets on few images, at their best rate: as they are, with dropout, without biases."""
    shares, seeds = norm.population([*config.dropouts, 0.0], run.seeds)
    biases, _ = norm.population([1.0] * len(config.dropouts) + [0.0], run.seeds)
    names = [f"dropout {share:g}" for share in config.dropouts]
    shape = {"seeds": seeds, "epochs": config.few_epochs, "batch_size": config.few_batch}
    fits = {}
    for name, model in NETS.items():
        task = norm.classifier_task(model, chosen[name][0], shares, biases)
        fitted = run.fit(f"variants-{name.replace(' ', '-')}", task, few, valid, **shape)
        fits[name] = by_method(fitted, ["as it is", *names[1:], "without biases"])
    return fits


def main(config: Config, run: Run) -> Results:
    data = mnist.load(run.source, "mnist", config.twin_rows)
    run.uses(data.provenance)
    halves = [protocol.examples(h.image, h.label, (784,)) for h in (data.train, data.test)]
    aside = config.validation_rows if config.protocol == "validation" else 0
    (train, valid, held), test = protocol.hold_out(*halves, aside), halves[1]
    few = {name: values[: config.few_rows] for name, values in train.items()}

    rates = rate_sweeps(config, run, train, valid)
    accuracy = {n: {r: norm.final(f) for r, f in fits.items()} for n, fits in rates.items()}
    best = {name: norm.best_value(by_rate) for name, by_rate in accuracy.items()}
    chosen = {name: (best[name], by_rate[best[name]]) for name, by_rate in rates.items()}
    varied = variants(config, run, chosen, few, valid)
    slide = {name: rates[name][config.learning_rate] for name in NETS}

    curves = {name: fitted.history["valid_accuracy"] for name, fitted in slide.items()}
    traces = {name: fitted.variables["loss_trace"]["loss"] for name, fitted in slide.items()}
    hidden = {
        f"{rows} test images": {
            name: norm.preactivations(model, slide[name].variables, test["x"][:rows], 1)
            for name, model in NETS.items()
        }
        for rows in (1, SHOWN)
    }
    moved = {
        name: norm.bias_effect(model, chosen[name][1].variables, train["x"][:SHOWN], 3.0)
        for name, model in NETS.items()
    }
    split = f"{len(train['y']):,} training, {len(valid['y']):,} {held} images"
    slide_rate = f"Adam {config.learning_rate:g}"
    on_few = f"{len(few['y']):,} training images, {config.few_epochs} epochs"
    tables = {
        f"{slide_rate}, {held} accuracy by epoch; {split}": norm.epoch_rows(curves, SLIDE),
        f"{held} accuracy after {config.epochs} epochs; {split}": norm.rate_rows(accuracy),
        f"Best rate by {held} accuracy; {split}": norm.chosen_rows(chosen, held, test),
        f"Variants at the best rate; {on_few}": norm.ablation_rows(varied, few, held),
        "Largest change of a logit, in training, when all hidden biases grow by 3": [moved],
        "Claims; paired differences ± standard error": norm.claim_rows(accuracy, varied),
    }
    return Results(
        tables=[Table(title, rows, digits=4) for title, rows in tables.items()],
        figures={
            "loss_by_iteration": partial(pictures.loss_by_step, traces),
            "accuracy_by_epoch": partial(pictures.accuracy_by_epoch, curves, SLIDE),
            "learning_rates": partial(pictures.sweep, accuracy, "Adam's learning rate"),
            "activations": partial(pictures.preactivation_histograms, hidden, "input of a sigmoid"),
            "slopes": pictures.standardised_slopes,
        },
        headline={f"{held} accuracy, {name}": curve[-1] for name, curve in curves.items()},
    )
