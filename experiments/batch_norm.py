"""Batch normalisation, with and without (배치 정규화)

The deck's experiment (slide 30): MNIST, 784-100-100-10 with sigmoids, Adam at the large rate 0.1,
batches of 2,000, five epochs. Three nets: without batch normalisation (89,610 parameters), with it
behind the sigmoid as in the deck's source (90,010), and with it in front, where the paper has it.
Then the slide's three claims, each with numbers over seeds: dropout is not needed, larger learning
rates are possible, biases are not needed. All learning rates and seeds of one net train at once.

    python run.py experiments/batch_norm.py --seeds 10
    python run.py experiments/batch_norm.py --protocol lecture --seeds 5

Protocol "validation": the last 10,000 training images are set aside, and rates are chosen on them.
The test accuracy is that of the nets chosen; nothing is chosen by test images, and one figure shows
what they make of the units. Protocol "lecture": all 60,000 are trained on and the test images are
the validation curve, as in the slide.
Differences over seeds are judged by a t test at the 5 % level. The best of several dropouts is
picked on the images that it is judged on, so its level is divided by their number (Bonferroni).

Reference: read off the slide, validation accuracy by epoch: 23, 42.5, 67, 85.5, 91 % without and
90.5, 93, 93.8, 93.9, 94.2 % with (n = 1), beside ours where rate and batch are the slide's and the
digits are the real ones. Expected: docs/results.md.
Runtime: a quarter of an hour for ten seeds on one CPU core.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.stats import t

from datasets import labelled_images, mnist, splits
from datasets.splits import Rows
from jaxdl import optim
from jaxdl.diagnostics.probes import TRACE, trace_loss
from jaxdl.errors import UserError
from jaxdl.figures.base import COLOURS, Figure, subplots
from jaxdl.figures.curves import curves_over_seeds
from jaxdl.models.batch_norm_mlp import NormedMLP
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task
from jaxdl.training.batch_order import steps_per_epoch
from jaxdl.training.population import by_method, cross
from jaxdl.training.task import Variables, row_mask
from jaxdl.vision.classification_task import accuracy, cross_entropy

NETS = {
    "no BN": NormedMLP("none"),
    "BN behind": NormedMLP("after"),
    "BN in front": NormedMLP("before"),
}
LINEAR = NormedMLP(widths=())
SLIDE = {"no BN": (0.23, 0.425, 0.67, 0.855, 0.91), "BN behind": (0.905, 0.93, 0.938, 0.939, 0.942)}
SLIDE_RATE, SLIDE_BATCH = 0.1, 2000
SLIDE_ACTIVATIONS = (1.0, 3.0, 5.1, 7.5, 9.0)
SHOWN = 1000  # images whose activations are drawn and whose logits are compared
BIAS_CHANGE = 3.0  # what is added to the hidden biases, to see what they do
LEVEL = 0.05  # of the tests of differences
NEAR_BEST = 0.01  # a learning rate is usable where the mean accuracy is so close to the best one

BySeed = Float[np.ndarray, " seeds"]


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


def main(config: Config, run: Run) -> Results:
    if config.learning_rate not in config.learning_rates:
        rates = ", ".join(f"{rate:g}" for rate in config.learning_rates)
        raise UserError(
            f"--learning-rate {config.learning_rate:g} is not among the sweep's {rates}"
        )
    none, *shares = config.dropouts
    if none != 0 or not shares or max(shares) >= 1:
        raise UserError("--dropouts: give 0 first, to compare with, then shares below 1")
    data = load_digits(config, run)
    few = {name: values[: config.few_rows] for name, values in data.train.items()}

    # every net at every learning rate, and the rate that is best for each
    sweeps = rate_sweeps(config, run, data)
    accuracies = {net: final_accuracies(sweep) for net, sweep in sweeps.items()}
    best_rates = {net: best_rate(by_rate) for net, by_rate in accuracies.items()}
    at_best_rate = {net: sweep[best_rates[net]] for net, sweep in sweeps.items()}

    # at that rate, on few images: as they are, with dropout, without biases
    variants = train_variants(config, run, few, data.valid, best_rates)
    bias_row = {
        net: bias_effect(model, at_best_rate[net].variables, data.train["x"][:SHOWN], BIAS_CHANGE)
        for net, model in NETS.items()
    }

    # the slide's figures: one large rate for all
    at_slide_rate = {net: sweeps[net][config.learning_rate] for net in NETS}
    by_epoch = {net: fitted.history["valid_accuracy"] for net, fitted in at_slide_rate.items()}
    by_step = {net: fitted.variables[TRACE]["loss"] for net, fitted in at_slide_rate.items()}
    inputs = sigmoid_inputs(at_slide_rate, data.test["x"])

    slide = slide_accuracy(config, data)
    held_out, adam = data.held_out, f"Adam {config.learning_rate:g}"
    sizes = f"{len(data.train['y']):,} training, {len(data.valid['y']):,} {held_out} images"
    on_few = f"{len(few['y']):,} training images, {config.few_epochs} epochs"
    tables = {
        f"{adam}, {held_out} accuracy by epoch; {sizes}": epoch_rows(by_epoch, slide),
        f"{held_out} accuracy after {config.epochs} epochs; {sizes}": rate_rows(accuracies),
        f"Best rate by {held_out} accuracy; {sizes}": chosen_rows(at_best_rate, best_rates, data),
        f"Variants at the best rate; {on_few}": variant_rows(variants, few, held_out),
        "Largest change of a logit, in training, when all hidden biases grow by 3": [bias_row],
        f"Claims; paired differences ± standard error, t test at the {LEVEL:.0%} level": claim_rows(
            accuracies, variants
        ),
    }
    figures = {
        "loss_by_iteration": partial(draw_loss_by_iteration, by_step),
        "accuracy_by_epoch": partial(draw_accuracy_by_epoch, by_epoch, slide, held_out),
        "learning_rates": partial(draw_learning_rates, accuracies, held_out),
        "activations": partial(draw_sigmoid_inputs, inputs),
        "slopes": draw_standardised_slopes,
    }
    return Results(
        tables=[Table(title, rows, digits=4) for title, rows in tables.items()],
        figures=figures,
        headline={f"{held_out} accuracy, {net}": curve[-1] for net, curve in by_epoch.items()},
    )


# ---- data ----------------------------------------------------------------------------------------


class Digits(NamedTuple):
    """Rows {"x": [rows, 784] in 0..1, "y": digits}.

    Attributes:
        train, valid, test: the rows.
        held_out: what the validation rows are: in the lecture's protocol the test rows, else the
            last training rows.
        real: whether the digits are the real ones.
    """

    train: Rows
    valid: Rows
    test: Rows
    held_out: str
    real: bool


def load_digits(config: Config, run: Run) -> Digits:
    """MNIST as vectors, split as the protocol says."""
    data = mnist.load(run.source, "mnist", config.twin_rows)
    run.uses(data.provenance)
    train = labelled_images.examples(data.train.image, data.train.label, (784,))
    test = labelled_images.examples(data.test.image, data.test.label, (784,))
    set_aside = config.validation_rows if config.protocol == "validation" else 0
    train, valid, held_out = splits.hold_out(train, test, set_aside)
    return Digits(train, valid, test, held_out, data.provenance.kind != "simulated")


# ---- model ---------------------------------------------------------------------------------------


def classifier(
    model: NormedMLP,
    learning_rate: float | Float[np.ndarray, " members"],
    dropout: float | Float[np.ndarray, " members"] = 0.0,
    bias: float | Float[np.ndarray, " members"] = 1.0,
) -> Task:
    """Cross-entropy of {"x": rows, "y": labels}, Adam.

    Args:
        model: with or without batch normalisation.
        learning_rate: a number, or one for each member of the population.
        dropout: share of hidden units that are dropped.
        bias: factor of the hidden layers' biases: 1, or 0 for a net without them.
    """

    def init(key, batch):
        return model.init(key, batch["x"], False)

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

    def optimizer(hyper):
        return optim.adam(hyper["learning_rate"])

    rates, shares, factors = np.broadcast_arrays(learning_rate, dropout, bias)
    return Task(
        init,
        apply,
        cross_entropy,
        optimizer,
        metrics={"accuracy": accuracy},
        hyper={"learning_rate": rates, "dropout": shares, "bias": factors},
    )


def scale_biases(params: Mapping[str, Any], factor: float | Float[Array, ""]) -> dict[str, Any]:
    """The parameters with the hidden layers' biases times `factor`; 0 is a net without them."""
    return {
        layer: values | {"bias": factor * values["bias"]} if is_hidden(layer) else values
        for layer, values in params.items()
    }


def shift_biases(params: Mapping[str, Any], change: float) -> dict[str, Any]:
    """The parameters with `change` added to the hidden layers' biases."""
    return {
        layer: values | {"bias": values["bias"] + change} if is_hidden(layer) else values
        for layer, values in params.items()
    }


def is_hidden(layer: str) -> bool:
    """Whether a layer of this name is a hidden dense layer: not the output, no normalisation."""
    return layer.startswith("hidden")


# ---- training ------------------------------------------------------------------------------------


def rate_sweeps(config: Config, run: Run, data: Digits) -> dict[str, dict[float, Fitted]]:
    """Net -> learning rate -> its seeds; the three nets, and a linear model as a baseline.

    All rates and seeds of a net are one population.
    """
    rates = np.asarray(config.learning_rates, np.float32)
    hyper, seeds = cross({"learning_rate": rates}, len(rates), run.seeds)
    steps = config.epochs * steps_per_epoch(len(data.train["y"]), config.batch_size)
    sweeps = {}
    for net, model in (NETS | {"linear": LINEAR}).items():
        fitted = run.fit(
            f"rates-{net.replace(' ', '-')}",
            trace_loss(classifier(model, hyper["learning_rate"]), steps),
            data.train,
            data.valid,
            seeds=seeds,
            epochs=config.epochs,
            batch_size=config.batch_size,
        )
        sweeps[net] = by_method(fitted, config.learning_rates)
    return sweeps


def train_variants(
    config: Config, run: Run, few: Rows, valid: Rows, rates: Mapping[str, float]
) -> dict[str, dict[str, Fitted]]:
    """Net -> variant -> its seeds: the nets as they are, with dropout, without biases.

    Args:
        config, run: of the lab.
        few: what is trained on: few enough images to be learnt by heart.
        valid: the validation rows.
        rates: learning rate of each net.
    """
    _, *shares = config.dropouts
    variants = ["as it is", *(f"dropout {share:g}" for share in shares), "without biases"]
    settings = {
        "dropout": np.float32([0.0, *shares, 0.0]),
        "bias": np.float32([1.0, *(1.0 for _ in shares), 0.0]),
    }
    hyper, seeds = cross(settings, len(variants), run.seeds)
    fits = {}
    for net, model in NETS.items():
        fitted = run.fit(
            f"variants-{net.replace(' ', '-')}",
            classifier(model, rates[net], hyper["dropout"], hyper["bias"]),
            few,
            valid,
            seeds=seeds,
            epochs=config.few_epochs,
            batch_size=config.few_batch,
        )
        fits[net] = by_method(fitted, variants)
    return fits


# ---- inside the nets -----------------------------------------------------------------------------


def sigmoid_inputs(
    fits: Mapping[str, Fitted], x: Float[np.ndarray, "rows 784"]
) -> dict[int, dict[str, Float[np.ndarray, "seeds rows units"]]]:
    """Number of images -> net -> what the sigmoids of the second hidden layer get.

    One image, as in the deck, and many.
    """
    inputs = {}
    for rows in (1, SHOWN):
        inputs[rows] = {
            net: preactivations(model, fits[net].variables, x[:rows], layer=1)
            for net, model in NETS.items()
        }
    return inputs


def preactivations(
    model: NormedMLP, variables: Variables, x: Float[np.ndarray, "rows inputs"], layer: int
) -> Float[np.ndarray, "seeds rows units"]:
    """What the sigmoids of one hidden layer get in evaluation mode, for every member."""

    images = jnp.asarray(x)

    def member(variables):
        return model.apply(variables, images, method="preactivations")[layer]

    return np.asarray(jax.jit(jax.vmap(member))(model_variables(variables)))


def bias_effect(
    model: NormedMLP, variables: Variables, x: Float[np.ndarray, "rows inputs"], change: float
) -> BySeed:
    """Largest change of a logit, in training mode, when all hidden biases grow by `change`.

    Batch normalisation right behind a layer takes its bias out again: what is left is rounding.
    """

    images = jnp.asarray(x)

    def logits(variables):
        mutable = [name for name in variables if name != "params"]
        rngs = {"dropout": jax.random.key(0)}
        return model.apply(variables, images, True, 0.0, rngs=rngs, mutable=mutable)[0]

    def member(variables):
        shifted = {**variables, "params": shift_biases(variables["params"], change)}
        return jnp.abs(logits(shifted) - logits(variables)).max()

    return np.asarray(jax.jit(jax.vmap(member))(model_variables(variables)))


def model_variables(variables: Variables) -> dict[str, Any]:
    """What the model itself knows: without the trace of losses that training keeps beside it."""
    return {name: values for name, values in variables.items() if name != TRACE}


# ---- choosing and judging ------------------------------------------------------------------------


def final_accuracy(fitted: Fitted) -> BySeed:
    """Accuracy on the validation rows after the last epoch."""
    return fitted.history["valid_accuracy"][-1]


def final_accuracies(sweep: Mapping[float, Fitted]) -> dict[float, BySeed]:
    """Learning rate -> accuracy on the validation rows after the last epoch."""
    return {rate: final_accuracy(fitted) for rate, fitted in sweep.items()}


def best_rate(accuracies: Mapping[float, BySeed]) -> float:
    """The learning rate whose mean over seeds is best."""
    return max(accuracies, key=lambda rate: accuracies[rate].mean())


def usable_rates(accuracies: Mapping[float, BySeed]) -> list[float]:
    """The learning rates whose mean lies within one percentage point of the best mean."""
    best = accuracies[best_rate(accuracies)].mean()
    return [rate for rate, by_seed in accuracies.items() if by_seed.mean() >= best - NEAR_BEST]


def verdict(gain: BySeed, tried: int = 1) -> str:
    """A paired difference over seeds in percentage points, and whether it is there at all.

    Args:
        gain: the difference for each seed.
        tried: of so many differences this is the largest: the level of the t test is divided by
            their number.
    """
    mean = 100 * gain.mean()
    if len(gain) < 2:
        return f"{mean:+.2f} points (one seed: no verdict)"
    error = 100 * gain.std(ddof=1) / np.sqrt(len(gain))
    needed = error * t.ppf(1 - LEVEL / tried / 2, len(gain) - 1)
    sign = "helps" if mean > 0 else "hurts"
    return f"{mean:+.2f} ± {error:.2f} points: {sign if abs(mean) > needed else 'no difference'}"


def claim_rows(
    accuracies: Mapping[str, Mapping[float, BySeed]], variants: Mapping[str, Mapping[str, Fitted]]
) -> list[dict[str, str]]:
    """The slide's three claims, a row each, a column for each net.

    Args:
        accuracies: net -> learning rate -> accuracy of its seeds.
        variants: net -> variant -> members: first as it is, last without biases, dropout between.
    """
    tried = len(next(iter(variants.values()))) - 2
    level = f"level {LEVEL:.0%} / {tried}"
    dropout = {"claim": f"no dropout needed: what the best of {tried} dropouts adds ({level})"}
    rates = {"claim": "larger learning rates: those within a point of the best"}
    biases = {"claim": "no bias needed: what leaving biases out adds"}
    for net, fits in variants.items():
        plain, *dropped, unbiased = (final_accuracy(fitted) for fitted in fits.values())
        dropout[net] = verdict(max(dropped, key=np.mean) - plain, tried)
        usable = usable_rates(accuracies[net])
        rates[net] = f"{min(usable):g} .. {max(usable):g}"
        biases[net] = verdict(unbiased - plain)
    return [dropout, rates, biases]


# ---- tables --------------------------------------------------------------------------------------


def slide_accuracy(config: Config, data: Digits) -> Mapping[str, Sequence[float]]:
    """Net -> accuracy by epoch on the slide; none where other digits, rates or batches are used."""
    as_in_slide = config.learning_rate == SLIDE_RATE and config.batch_size == SLIDE_BATCH
    return SLIDE if data.real and as_in_slide else {}


def epoch_rows(
    curves: Mapping[str, Float[np.ndarray, "epochs seeds"]], slide: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """Accuracy of each net by epoch, and what the slide shows."""
    rows = []
    for epoch in range(len(next(iter(curves.values())))):
        row = {"epoch": epoch + 1} | {net: curve[epoch] for net, curve in curves.items()}
        for net, values in slide.items():
            if epoch < len(values):
                row[f"{net}, slide"] = f"{values[epoch]:.3f}"
        rows.append(row)
    return rows


def rate_rows(accuracies: Mapping[str, Mapping[float, BySeed]]) -> list[dict[str, Any]]:
    """Accuracy of each net by learning rate."""
    rates = next(iter(accuracies.values()))
    return [
        {"learning rate": f"{rate:g}"} | {net: values[rate] for net, values in accuracies.items()}
        for rate in rates
    ]


def chosen_rows(
    fits: Mapping[str, Fitted], rates: Mapping[str, float], data: Digits
) -> list[dict[str, Any]]:
    """Each net at its best learning rate; its test accuracy where the rate was not chosen on it."""
    rows = []
    for net, fitted in fits.items():
        row = {
            "net": net,
            "parameters": fitted.parameter_count,
            "learning rate": f"{rates[net]:g}",
            f"{data.held_out} accuracy": final_accuracy(fitted),
        }
        if data.held_out != "test":
            row["test accuracy"] = fitted.predict(accuracy, data.test).mean(axis=1)
        rows.append(row)
    return rows


def variant_rows(
    variants: Mapping[str, Mapping[str, Fitted]], few: Rows, held_out: str
) -> list[dict[str, Any]]:
    """Accuracy on the training rows without dropout, on the validation rows, and the gap."""
    rows = []
    for net, fits in variants.items():
        for variant, fitted in fits.items():
            known = fitted.predict(accuracy, few).mean(axis=1)
            rows.append(
                {
                    "net": net,
                    "variant": variant,
                    "train accuracy": known,
                    f"{held_out} accuracy": final_accuracy(fitted),
                    "gap": known - final_accuracy(fitted),
                }
            )
    return rows


# ---- figures -------------------------------------------------------------------------------------


def draw_loss_by_iteration(losses: Mapping[str, Float[np.ndarray, "seeds steps"]]) -> Figure:
    """Training loss of every step, on a log axis."""
    steps = np.arange(1, next(iter(losses.values())).shape[1] + 1)
    curves = {net: (steps, np.asarray(by_seed).T) for net, by_seed in losses.items()}
    return curves_over_seeds(curves, "iteration", "training loss", log_y=True)


def draw_accuracy_by_epoch(
    accuracies: Mapping[str, Float[np.ndarray, "epochs seeds"]],
    slide: Mapping[str, Sequence[float]],
    held_out: str,
) -> Figure:
    """Accuracy on the held-out images after each epoch; dotted: read off the slide."""
    epochs = np.arange(1, len(next(iter(accuracies.values()))) + 1)
    curves = {net: (epochs, values) for net, values in accuracies.items()}
    known = min(len(epochs), 5)
    dotted = {net: (epochs[:known], np.array(values[:known])) for net, values in slide.items()}
    return curves_over_seeds(curves, "epoch", f"{held_out} accuracy", references=dotted)


def draw_learning_rates(accuracies: Mapping[str, Mapping[float, BySeed]], held_out: str) -> Figure:
    """Accuracy on the held-out images after the last epoch against the learning rate."""
    curves = {
        net: (np.array(list(by_rate)), np.stack(list(by_rate.values())))
        for net, by_rate in accuracies.items()
    }
    return curves_over_seeds(curves, "Adam's learning rate", f"{held_out} accuracy", log_x=True)


def draw_sigmoid_inputs(
    inputs: Mapping[int, Mapping[str, Float[np.ndarray, "seeds rows units"]]],
) -> Figure:
    """Histograms: a row of panels for each number of images, a panel for each net.

    Args:
        inputs: number of images -> net -> what the sigmoids of a layer get.
    """
    figure, axes = subplots(len(inputs), len(NETS), width=3.2, height=2.4)
    for line, (rows, by_net) in zip(axes, inputs.items(), strict=True):
        limit = max(np.quantile(np.abs(values), 0.995) for values in by_net.values())
        bins = np.linspace(-limit, limit, 61)
        for axis, colour, (net, values) in zip(line, COLOURS, by_net.items(), strict=False):
            axis.hist(values.ravel(), bins, color=colour, density=True)
            spread = f"{net}: {values.mean():.1f} ± {values.std():.1f}"
            axis.set_title(f"{spread}\n{rows} test images", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("input of a sigmoid")
    return figure


def standardise(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """What batch normalisation does to the values of one unit: mean 0, population deviation 1."""
    return (x - x.mean()) / x.std()


def draw_standardised_slopes() -> Figure:
    """Slide 29: five activations in the flat tail of the slope, and the same five standardised.

    The slope is the sigmoid's, scaled to 1 at its top.
    """
    figure, axes = subplots(1, 2, width=4.2, height=2.8)
    slope = jax.vmap(jax.grad(lambda z: 4 * jax.nn.sigmoid(z)))
    grid = jnp.linspace(-9.5, 9.5, 400)
    given = jnp.array(SLIDE_ACTIVATIONS)
    panels = {"before": given, "after batch normalisation": standardise(given)}
    for axis, (title, z) in zip(axes, panels.items(), strict=True):
        heights = slope(z)
        axis.plot(grid, slope(grid), color="0.5")
        axis.plot(z, heights, "o", color=COLOURS[1])
        for value, height in zip(z.tolist(), heights.tolist(), strict=True):
            beside = {"xytext": (6, 4), "textcoords": "offset points"}
            axis.annotate(f"{value:.2f}", (value, height), fontsize=7, **beside)
        axis.set(xlabel="z", ylim=(0, 1.25))
        axis.set_title(f"{title}: mean slope {heights.mean():.3f}", fontsize=9)
    axes[0].set_ylabel("slope")
    return figure
