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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from datasets import labelled_images, mnist, splits
from jaxdl import losses, optim
from jaxdl.diagnostics.probes import trace_loss
from jaxdl.figures import curves as pictures
from jaxdl.figures.base import COLOURS, subplots
from jaxdl.models.batch_norm_mlp import NormedMLP
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, parameter_count
from jaxdl.training.batch_order import steps_per_epoch
from jaxdl.training.population import by_method, cross
from jaxdl.training.task import row_mask

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
    rates, seeds = population(config.learning_rates, run.seeds)
    steps = config.epochs * steps_per_epoch(len(train["y"]), config.batch_size)
    shape = {"seeds": seeds, "epochs": config.epochs, "batch_size": config.batch_size}
    fits = {}
    for name, model in (NETS | {"linear": NormedMLP(widths=())}).items():
        task = classifier_task(model, rates, traced_steps=steps)
        fitted = run.fit(f"rates-{name.replace(' ', '-')}", task, train, valid, **shape)
        fits[name] = by_method(fitted, config.learning_rates)
    return fits


def variants(config: Config, run: Run, chosen, few, valid) -> dict[str, dict[str, Fitted]]:
    """The nets on few images, at their best rate: as they are, with dropout, without biases."""
    shares, seeds = population([*config.dropouts, 0.0], run.seeds)
    biases, _ = population([1.0] * len(config.dropouts) + [0.0], run.seeds)
    names = [f"dropout {share:g}" for share in config.dropouts]
    shape = {"seeds": seeds, "epochs": config.few_epochs, "batch_size": config.few_batch}
    fits = {}
    for name, model in NETS.items():
        task = classifier_task(model, chosen[name][0], shares, biases)
        fitted = run.fit(f"variants-{name.replace(' ', '-')}", task, few, valid, **shape)
        fits[name] = by_method(fitted, ["as it is", *names[1:], "without biases"])
    return fits


def main(config: Config, run: Run) -> Results:
    data = mnist.load(run.source, "mnist", config.twin_rows)
    run.uses(data.provenance)
    halves = [labelled_images.examples(h.image, h.label, (784,)) for h in (data.train, data.test)]
    aside = config.validation_rows if config.protocol == "validation" else 0
    (train, valid, held), test = splits.hold_out(*halves, aside), halves[1]
    few = {name: values[: config.few_rows] for name, values in train.items()}

    rates = rate_sweeps(config, run, train, valid)
    accuracy = {n: {r: final(f) for r, f in fits.items()} for n, fits in rates.items()}
    best = {name: best_value(by_rate) for name, by_rate in accuracy.items()}
    chosen = {name: (best[name], by_rate[best[name]]) for name, by_rate in rates.items()}
    varied = variants(config, run, chosen, few, valid)
    slide = {name: rates[name][config.learning_rate] for name in NETS}

    curves = {name: fitted.history["valid_accuracy"] for name, fitted in slide.items()}
    traces = {name: fitted.variables["loss_trace"]["loss"] for name, fitted in slide.items()}
    hidden = {
        f"{rows} test images": {
            name: preactivations(model, slide[name].variables, test["x"][:rows], 1)
            for name, model in NETS.items()
        }
        for rows in (1, SHOWN)
    }
    moved = {
        name: bias_effect(model, chosen[name][1].variables, train["x"][:SHOWN], 3.0)
        for name, model in NETS.items()
    }
    split = f"{len(train['y']):,} training, {len(valid['y']):,} {held} images"
    slide_rate = f"Adam {config.learning_rate:g}"
    on_few = f"{len(few['y']):,} training images, {config.few_epochs} epochs"
    tables = {
        f"{slide_rate}, {held} accuracy by epoch; {split}": epoch_rows(curves, SLIDE),
        f"{held} accuracy after {config.epochs} epochs; {split}": rate_rows(accuracy),
        f"Best rate by {held} accuracy; {split}": chosen_rows(chosen, held, test),
        f"Variants at the best rate; {on_few}": ablation_rows(varied, few, held),
        "Largest change of a logit, in training, when all hidden biases grow by 3": [moved],
        "Claims; paired differences ± standard error": claim_rows(accuracy, varied),
    }
    return Results(
        tables=[Table(title, rows, digits=4) for title, rows in tables.items()],
        figures={
            "loss_by_iteration": partial(pictures.loss_by_step, traces),
            "accuracy_by_epoch": partial(pictures.accuracy_by_epoch, curves, SLIDE),
            "learning_rates": partial(pictures.sweep, accuracy, "Adam's learning rate"),
            "activations": partial(preactivation_histograms, hidden, "input of a sigmoid"),
            "slopes": standardised_slopes,
        },
        headline={f"{held} accuracy, {name}": curve[-1] for name, curve in curves.items()},
    )


NEAR_BEST = 0.01

BySeed = Float[np.ndarray, " seeds"]


def population(
    values: Sequence[float], seeds: Sequence[int]
) -> tuple[Float[np.ndarray, " members"], np.ndarray]:
    """Every value with every seed, one value after the other: (values, seeds) of the members."""
    hyper, members = cross({"value": np.asarray(values, np.float32)}, len(values), seeds)
    return hyper["value"], members


def scale_biases(params: Any, factor: Any) -> Any:
    """The hidden layers' biases times `factor`; 0 is a net without them."""
    return {
        layer: values | {"bias": factor * values["bias"]} if layer.startswith("hidden") else values
        for layer, values in params.items()
    }


def classifier_task(
    model: NormedMLP,
    learning_rate: Any,
    dropout: Any = 0.0,
    bias: Any = 1.0,
    traced_steps: int = 0,
) -> Task:
    """Cross-entropy of {"x": rows, "y": labels}, Adam.

    Args:
        model: with or without batch normalisation.
        learning_rate, dropout: a number, or one for each member.
        bias: 1, or 0 for a net (or member) whose hidden layers have none.
        traced_steps: keep the loss of so many steps (`probes.trace_loss`).
    """

    def apply(variables, batch, key, train, hyper):
        variables = {**variables, "params": scale_biases(variables["params"], hyper["bias"])}
        if not train:
            return model.apply(variables, batch["x"], False), {}
        outputs, changed = model.apply(
            variables,
            batch["x"],
            True,
            hyper["dropout"],
            row_mask(batch),
            rngs={"dropout": key},
            mutable=[name for name in variables if name != "params"],
        )
        return outputs, dict(changed)

    rates, shares, factors = np.broadcast_arrays(learning_rate, dropout, bias)
    task = Task(
        init=lambda key, batch: model.init(key, batch["x"], False),
        apply=apply,
        loss=lambda outputs, batch, hyper: losses.softmax_cross_entropy(outputs, batch["y"]),
        optimizer=lambda hyper: optim.adam(hyper["learning_rate"]),
        metrics={"accuracy": lambda outputs, batch: losses.accuracy(outputs, batch["y"])},
        hyper={"learning_rate": rates, "dropout": shares, "bias": factors},
    )
    return trace_loss(task, traced_steps) if traced_steps else task


def _kept(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: variables[name] for name in ("params", "batch_stats") if name in variables}


def preactivations(
    model: NormedMLP, variables: Mapping[str, Any], x: Float[np.ndarray, "rows inputs"], layer: int
) -> Float[np.ndarray, "seeds rows units"]:
    """What the sigmoids of one hidden layer get in evaluation mode, for every member."""

    def member(variables):
        return model.apply(variables, x, method="preactivations")[layer]

    return np.asarray(jax.jit(jax.vmap(member))(_kept(variables)))


def bias_effect(
    model: NormedMLP, variables: Mapping[str, Any], x: Float[np.ndarray, "rows inputs"], by: float
) -> BySeed:
    """Largest change of a logit, in training mode, when all hidden biases grow by `by`.

    Batch normalisation right behind a layer takes its bias out again: what is left is rounding.
    """

    def logits(variables):
        mutable = [name for name in variables if name != "params"]
        rngs = {"dropout": jax.random.key(0)}
        return model.apply(variables, x, True, 0.0, rngs=rngs, mutable=mutable)[0]

    def change(variables):
        params = {
            layer: values | {"bias": values["bias"] + by * layer.startswith("hidden")}
            for layer, values in variables["params"].items()
        }
        return jnp.abs(logits({**variables, "params": params}) - logits(variables)).max()

    return np.asarray(jax.jit(jax.vmap(change))(_kept(variables)))


def final(fitted: Fitted, split: str = "valid") -> BySeed:
    """Accuracy after the last epoch."""
    return fitted.history[f"{split}_accuracy"][-1]


def best_value(accuracy: Mapping[float, BySeed]) -> float:
    """The value whose members are best on the mean."""
    return max(accuracy, key=lambda value: accuracy[value].mean())


def usable(accuracy: Mapping[float, BySeed]) -> list[float]:
    """The values whose mean lies within one percentage point of the best mean."""
    best = accuracy[best_value(accuracy)].mean()
    return [value for value, seeds in accuracy.items() if seeds.mean() >= best - NEAR_BEST]


def verdict(gain: BySeed) -> str:
    """A paired difference over seeds in percentage points, and whether it is there at all.

    A difference counts when its mean exceeds two standard errors.
    """
    mean = 100 * gain.mean()
    if len(gain) < 2:
        return f"{mean:+.2f} points (one seed: no verdict)"
    error = 100 * gain.std(ddof=1) / np.sqrt(len(gain))
    sign = "helps" if mean > 0 else "hurts"
    return f"{mean:+.2f} ± {error:.2f} points: {sign if abs(mean) > 2 * error else 'no difference'}"


def epoch_rows(
    curves: Mapping[str, Float[np.ndarray, "epochs seeds"]], slide: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """Rows of a table: accuracy of each net by epoch, and what the slide shows."""
    epochs = len(next(iter(curves.values())))
    return [
        {"epoch": i + 1}
        | {name: curve[i] for name, curve in curves.items()}
        | {f"{name}, slide": f"{curve[i]:.3f}" for name, curve in slide.items() if i < len(curve)}
        for i in range(epochs)
    ]


def rate_rows(accuracy: Mapping[str, Mapping[float, BySeed]]) -> list[dict[str, Any]]:
    """Rows of a table: a learning rate, and the accuracy of each net."""
    return [
        {"learning rate": f"{rate:g}"} | {name: values[rate] for name, values in accuracy.items()}
        for rate in next(iter(accuracy.values()))
    ]


def chosen_rows(
    chosen: Mapping[str, tuple[float, Fitted]], held: str, test: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Rows of a table: each net at its best learning rate; test accuracy where it was not used.

    Args:
        chosen: net -> learning rate and members.
        held: what the rate was chosen on; with "test" there is no test accuracy to report.
        test: the test rows.
    """
    rows = []
    for name, (rate, fitted) in chosen.items():
        size = parameter_count(fitted.variables) // len(fitted.seeds)
        row = {"net": name, "parameters": size, "learning rate": f"{rate:g}"}
        row[f"{held} accuracy"] = final(fitted)
        if held != "test":
            hits = fitted.predict(fitted.task.metrics["accuracy"], test)
            row["test accuracy"] = hits.mean(axis=1)
        rows.append(row)
    return rows


def ablation_rows(
    fits: Mapping[str, Mapping[str, Fitted]], train: Mapping[str, np.ndarray], held: str
) -> list[dict[str, Any]]:
    """Rows of a table: accuracy on the training rows without dropout, on held-out rows, the gap.

    Args:
        fits: net -> variant -> members.
        train: what they were trained on.
        held: name of the validation rows.
    """
    rows = []
    for name, variants in fits.items():
        for variant, fitted in variants.items():
            known = fitted.predict(fitted.task.metrics["accuracy"], train).mean(axis=1)
            row = {"net": name, "variant": variant, "train accuracy": known}
            rows.append(row | {f"{held} accuracy": final(fitted), "gap": known - final(fitted)})
    return rows


def claim_rows(
    accuracy: Mapping[str, Mapping[float, BySeed]], variants: Mapping[str, Mapping[str, Fitted]]
) -> list[dict[str, str]]:
    """The slide's three claims, a row each, a column for each net.

    Args:
        accuracy: net -> learning rate -> accuracy of its seeds.
        variants: net -> variant -> members: first as it is, last without biases, dropout between.
    """
    gain = {"claim": "no dropout needed: what the best dropout adds"}
    rate = {"claim": "larger learning rates: those within a point of the best"}
    bias = {"claim": "no bias needed: what leaving biases out adds"}
    for name, fits in variants.items():
        plain, *dropped, unbiased = (final(fitted) for fitted in fits.values())
        gain[name] = verdict(max(dropped, key=np.mean) - plain)
        good = usable(accuracy[name])
        rate[name] = f"{min(good):g} .. {max(good):g}"
        bias[name] = verdict(unbiased - plain)
    return [gain, rate, bias]


def standardise(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """What batch normalisation does to the values of one unit: mean 0, population deviation 1."""
    return (x - x.mean()) / x.std()


SLIDE_ACTIVATIONS = (1.0, 3.0, 5.1, 7.5, 9.0)


def preactivation_histograms(
    rows: Mapping[str, Mapping[str, Float[np.ndarray, "..."]]], xlabel: str
) -> Any:
    """A row of panels for each kind of data, a panel for each net, on one axis of values.

    Args:
        rows: what was looked at -> net -> values.
    """
    nets = list(next(iter(rows.values())))
    figure, axes = subplots(len(rows), len(nets), width=3.2, height=2.4)
    for line, (title, values) in zip(np.atleast_2d(axes), rows.items(), strict=True):
        limit = max(np.quantile(np.abs(v), 0.995) for v in values.values())
        bins = np.linspace(-limit, limit, 61)
        for axis, colour, name in zip(line, COLOURS, nets, strict=False):
            v = values[name].reshape(-1)
            axis.hist(v, bins, color=colour, density=True)
            axis.set_title(f"{name}: {v.mean():.1f} ± {v.std():.1f}\n{title}", fontsize=9)
    for axis in np.atleast_2d(axes)[-1]:
        axis.set_xlabel(xlabel)
    return figure


def standardised_slopes() -> Any:
    """Slide 29: five activations in the flat tail of the slope, and the same five standardised.

    The slope is the sigmoid's, scaled to 1 at its top.
    """
    figure, axes = subplots(1, 2, width=4.2, height=2.8)
    given = jnp.array(SLIDE_ACTIVATIONS)
    grid = np.linspace(-9.5, 9.5, 400)
    slope = jax.vmap(jax.grad(lambda z: 4 * jax.nn.sigmoid(z)))
    panels = {"before": given, "after batch normalisation": standardise(given)}
    for axis, (title, z) in zip(axes, panels.items(), strict=True):
        axis.plot(grid, slope(jnp.asarray(grid)), color="0.5")
        axis.plot(z, slope(z), "o", color=COLOURS[1])
        heights = slope(z)
        for value, height in zip(z.tolist(), heights.tolist(), strict=True):
            place = {"xytext": (6, 4), "textcoords": "offset points"}
            axis.annotate(f"{value:.2f}", (value, height), fontsize=7, **place)
        axis.set(title=f"{title}: mean slope {heights.mean():.3f}", xlabel="z", ylim=(0, 1.25))
        axis.title.set_fontsize(9)
    axes[0].set_ylabel("slope")
    return figure
