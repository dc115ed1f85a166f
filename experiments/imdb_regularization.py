"""Lab 040 - overfitting and regularisation on film reviews (과적합과 규제: IMDB)

Multi-hot reviews of the 10,000 most frequent words, two ReLU layers of 4, 8 or 64 units, one logit,
twenty epochs: every size learns the training reviews by heart. Against that: L1, L1 as a proximal
step, L2, elastic net, dropout, L2 with dropout, early stopping; methods x seeds are one population.

    python run.py experiments/imdb_regularization.py --seeds 10
    python run.py experiments/imdb_regularization.py --protocol lecture --seeds 10
    python run.py experiments/imdb_regularization.py --sizes 4 16 512

Protocol "validation": a fifth of the training reviews, of films of their own, decides when to stop
and what to choose; the test reviews are read once. Protocol "lecture" is the notebook's: all 25,000
training reviews, the test reviews as validation curve, three methods. Cross-entropy is always
without the penalty. The lecture's stored run (one seed, last epoch, sizes 8 / 4 / 64): test
accuracy 0.855 / 0.866 / 0.856 without, 0.861 / 0.867 / 0.861 with L2, 0.877 / 0.881 / 0.870 with
dropout. Ours: docs/results.md. Runtime on two CPU cores: ten seeds ten minutes a protocol.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Float

from datasets import imdb, splits
from jaxdl import optim
from jaxdl.figures.base import COLOURS, subplots
from jaxdl.models.text import BagMLP
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.text import bag_of_words, sentiment_task
from jaxdl.text.sentiment_task import hidden_kernel
from jaxdl.training import Fitted, population

ON_WEIGHTS = ("none", "L1", "L1, proximal", "L2", "elastic net")
STOPPED = {
    "none": "early stopping",
    "L1, proximal": "L1, proximal, stopped",
    "L2 + dropout": "L2 + dropout, stopped",
}
WORDS_SHOWN = 12


@dataclass(frozen=True)
class Config:
    protocol: Literal["validation", "lecture"] = "validation"
    """validation: chosen on films set aside; lecture: the test half is the validation curve."""
    sizes: tuple[int, ...] = (4, 8, 64)
    """Units of both hidden layers; older editions of the lab: 4 16 512."""
    l1: float = 1e-4
    """Strength of L1: factor of sum|w| over the hidden kernels."""
    l2: float = 1e-3
    """Strength of L2: factor of sum(w ** 2)."""
    proximal: float = 0.2
    """Strength of L1 as a soft threshold after Adam's step; not on the scale of `l1`."""
    dropout: float = 0.5
    """Share of the hidden units dropped."""
    patience: int = 3
    """Epochs without a lower validation cross-entropy before early stopping stops."""
    epochs: int = 20
    """Passes over the training reviews."""
    batch_size: int = 512
    """Reviews in a step."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    num_words: int = 10_000
    """Vocabulary, with the four special numbers."""
    validation_share: float = 0.2
    """Part of the training reviews that is set aside (protocol "validation")."""
    twin_rows: int = imdb.ROWS
    """Reviews in each half of the simulated twin, where no real file is found."""


PRESETS = {"quick": Config(sizes=(8,), epochs=8, num_words=2000, twin_rows=2000, batch_size=64)}


def methods_of(config: Config) -> dict[str, dict[str, float]]:
    """The strengths of each method; the elastic net takes half of both."""
    methods = {
        "none": {},
        "L1": {"l1": config.l1},
        "L1, proximal": {"proximal": config.proximal},
        "L2": {"l2": config.l2},
        "elastic net": {"l1": config.l1 / 2, "l2": config.l2 / 2},
        "dropout": {"dropout": config.dropout},
        "L2 + dropout": {"l2": config.l2, "dropout": config.dropout},
    }
    if config.protocol == "lecture":
        return {name: methods[name] for name in ("none", "L2", "dropout")}
    return methods


def fits(config: Config, run: Run, size: int, train, valid) -> Iterator[tuple[Fitted, list[str]]]:
    """All methods to the last epoch, then some that early stopping cuts; with their names."""
    methods, model = methods_of(config), BagMLP(config.num_words, (size, size))
    parts = [("", methods, None)]
    if config.protocol == "validation":
        stopped = {name: methods[whole] for whole, name in STOPPED.items()}
        parts.append(("_stopped", stopped, config.patience))
    for suffix, chosen, patience in parts:
        hyper, seeds = sentiment_task.population(chosen, run.seeds)
        task = sentiment_task.sentiment_task(model, hyper, config.learning_rate)
        shape = {"epochs": config.epochs, "batch_size": config.batch_size, "patience": patience}
        yield run.fit(f"units_{size}{suffix}", task, train, valid, seeds=seeds, **shape), [*chosen]


def main(config: Config, run: Run) -> Results:
    data = imdb.load(run.source, config.num_words, config.twin_rows)
    run.uses(data.provenance)
    train, test = (
        bag_of_words.examples(half.tokens, half.starts, half.label, config.num_words)
        for half in (data.train, data.test)
    )
    lecture, valid, held = config.protocol == "lecture", test, "test"
    if not lecture:
        rest, chosen = splits.split_by_group(data.train.film, config.validation_share)
        train, valid = ({k: v[rows] for k, v in train.items()} for rows in (rest, chosen))
        held = "validation"

    methods = methods_of(config)
    rows, groups, effects = [], {}, {}
    for size in config.sizes:
        for fitted, names in fits(config, run, size, train, valid):
            if not lecture:
                tested = population.split_members(
                    fitted.predict(sentiment_task.judged, test), names
                )
            for name, group in population.by_method(fitted, names).items():
                groups[name, size] = group
                rows.append({"method": name, "units": size} | learning_row(group, held))
                if not lecture:
                    rows[-1] |= sentiment_task.test_columns(tested[name], test["y"])
            if size == max(config.sizes) and names == list(methods):
                effects = population.split_members(word_effects(fitted, config.num_words), names)

    split = f"{len(train['y']):,} training, {len(valid['y']):,} {held} reviews"
    tables = [Table(f"Regularisers on multi-hot reviews; {split}", rows)]
    best = max(range(len(rows)), key=lambda i: rows[i][f"{held} accuracy"].mean())
    if not lecture:
        columns = ("method", "units", "validation accuracy", "test accuracy", "vote of the seeds")
        title = f"Chosen by validation accuracy; {len(test['y']):,} test reviews"
        tables.append(Table(title, [{key: rows[best][key] for key in columns}]))
    shown = [name for name in ON_WEIGHTS if name in methods]
    strongest = {m: strongest_words(effects[m], data.words, WORDS_SHOWN) for m in shown}
    kernels = {m: kernel_of_words(groups[m, max(config.sizes)]) for m in shown}
    tables += weight_tables(groups, strongest, config.epochs, split)
    figures = {
        "learning_curves": partial(size_curves, groups, methods, STOPPED, held),
        "weights": partial(weight_histograms, kernels),
        "zeros": partial(zeros_by_threshold, kernels, NEAR_ZERO),
        "words": partial(draw_word_effects, strongest),
        "norm_balls": norm_balls,
    }
    return Results(tables, figures, {"test accuracy": rows[best]["test accuracy"]})


NEAR_ZERO = 1e-3


def learning_row(fitted: Fitted, valid_name: str) -> dict[str, Array]:
    """Columns of a table: the epoch whose weights are kept, what they reach, what was reached.

    Args:
        fitted: one method, its seeds.
        valid_name: what the validation curve was measured on ("validation" or "test").
    """
    kept = fitted.best_epoch - 1, np.arange(len(fitted.seeds))
    loss, accuracy = (fitted.history[f"valid_{name}"] for name in ("loss", "accuracy"))
    return {
        "epoch": fitted.best_epoch,
        "train cross-entropy": fitted.history["train_loss"][kept],
        "train accuracy": fitted.history["train_accuracy"][kept],
        "penalty": penalties(fitted),
        "weight norm": weight_norms(fitted),
        f"{valid_name} cross-entropy": loss[kept],
        f"{valid_name} accuracy": accuracy[kept],
        f"lowest {valid_name} cross-entropy": np.nanmin(loss, axis=0),
        "in epoch": np.nanargmin(loss, axis=0) + 1,
        f"highest {valid_name} accuracy": np.nanmax(accuracy, axis=0),
    }


def penalties(fitted: Fitted) -> Float[np.ndarray, " seeds"]:
    """What L1 and L2 would add to each member's loss: `l1 * sum|w| + l2 * sum(w ** 2)`."""
    members = len(fitted.seeds)
    l1, l2 = (np.broadcast_to(fitted.task.hyper[name], members) for name in ("l1", "l2"))
    penalty = jax.vmap(lambda params, l1, l2: optim.penalty(params, l1, l2, hidden_kernel))
    return np.asarray(penalty(fitted.variables["params"], l1.astype("f4"), l2.astype("f4")))


def kernel_of_words(fitted: Fitted) -> Float[np.ndarray, "seeds vocabulary units"]:
    """The first layer's kernel, one row for each word."""
    return np.asarray(fitted.variables["params"]["hidden_0"]["kernel"])


def weight_norms(fitted: Fitted) -> Float[np.ndarray, " seeds"]:
    """Euclidean norm of all penalised weights of each member."""
    norm = jax.vmap(lambda params: optim.penalty(params, 0.0, 1.0, hidden_kernel))
    return np.sqrt(np.asarray(norm(fitted.variables["params"])))


def word_effects(fitted: Fitted, vocabulary: int) -> Float[np.ndarray, "seeds vocabulary"]:
    """By how much a text of this one word is more positive than an empty text, in logits."""
    alone = np.arange(vocabulary + 1, dtype=np.uint32)[:, None]  # the last one is the empty text
    logits = fitted.predict(lambda outputs, batch: outputs, {"x": alone})
    return logits[:, :-1] - logits[:, -1:]


def strongest_words(
    effects: Float[np.ndarray, "seeds vocabulary"], words: Sequence[str], count: int
) -> dict[str, float]:
    """The `count` most negative and `count` most positive words with their mean effect."""
    mean = effects.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    return {words[i]: float(mean[i]) for i in (*order[:count], *order[::-1][:count])}


def sparsity(fitted: Fitted) -> dict[str, Array]:
    """Shares of the first layer's weights that are exactly 0 and nearly 0, and words that are left.

    A word is left where one of its weights is not 0.
    """
    kernel = kernel_of_words(fitted)
    return {
        "exact zeros": (kernel == 0).mean(axis=(1, 2)),
        f"|w| < {NEAR_ZERO:g}": (np.abs(kernel) < NEAR_ZERO).mean(axis=(1, 2)),
        "words left": (kernel != 0).any(axis=2).sum(axis=1),
    }


def weight_tables(
    groups: Mapping[tuple[str, int], Fitted],
    strongest: Mapping[str, Mapping[str, float]],
    epochs: int,
    split: str,
) -> list[Table]:
    """What is left of the first layer's weights, and the words that say most.

    Args:
        groups: (method, units) -> the method's members.
        strongest: method -> `strongest_words` of its largest size; these methods are shown.
        epochs, split: for the titles.
    """
    largest = max(units for _, units in groups)
    zeros = [
        {"method": name, "units": units} | sparsity(group)
        for (name, units), group in groups.items()
        if name in strongest
    ]
    words = [
        {
            "method": name,
            "against": ", ".join(word for word, effect in effects.items() if effect < 0),
            "for": ", ".join(word for word, effect in effects.items() if effect > 0),
        }
        for name, effects in strongest.items()
    ]
    title = "Words that move the logit most, mean of the seeds"
    return [
        Table(f"Weights of the first layer after {epochs} epochs; {split}", zeros),
        Table(f"{title}; {largest} units, {epochs} epochs", words),
    ]


def size_curves(
    groups: Mapping[tuple[str, int], Fitted],
    methods: Sequence[str],
    stopped: Mapping[str, str],
    dashed: str,
) -> Any:
    """Cross-entropy by epoch: a panel for each method, a colour for each size, train solid.

    Args:
        groups: (method, units) -> its members.
        methods: those that were trained to the last epoch, a panel each.
        stopped: method -> name of the same method with early stopping, if it is among the groups;
            a triangle marks the mean epoch whose weights it keeps.
        dashed: what the dashed curve is measured on.
    """
    columns = min(4, len(methods))
    figure, axes = subplots(-(-len(methods) // columns), columns, width=3.4, height=3.0)
    axes = np.atleast_1d(axes).reshape(-1)
    sizes = list(dict.fromkeys(size for _, size in groups))
    for axis, method in zip(axes, methods, strict=False):
        for colour, size in zip(COLOURS, sizes, strict=False):
            for split, style in (("train", "-"), ("valid", "--")):
                curve = groups[method, size].history[f"{split}_loss"]
                mean, sd = curve.mean(axis=1), curve.std(axis=1)
                epochs = np.arange(1, len(mean) + 1)
                label = str(size) if split == "train" else None
                axis.plot(epochs, mean, style, color=colour, label=label)
                axis.fill_between(epochs, mean - sd, mean + sd, color=colour, alpha=0.15, lw=0)
            early = groups.get((stopped.get(method, ""), size))
            if early is not None:
                epoch = early.best_epoch.mean()
                axis.plot(epoch, np.interp(epoch, epochs, mean), "v", color=colour, ms=8, mec="k")
        axis.set(title=method, xlabel="epoch", ylim=(0, 1.2))
        axis.grid(alpha=0.3)
    for axis in axes[len(methods) :]:
        axis.set_axis_off()
    axes[0].set_ylabel(f"cross-entropy (train solid, {dashed} dashed)")
    axes[0].legend(title="hidden units", fontsize=8)
    return figure


def weight_histograms(weights: Mapping[str, Float[np.ndarray, "..."]]) -> Any:
    """Histogram of a layer's weights by method, counts on a log axis, exact zeros in the title."""
    figure, axes = subplots(1, len(weights), width=2.6, height=2.8)
    limit = max(np.quantile(np.abs(w), 0.999) for w in weights.values())
    weights = {method: w.reshape(-1) for method, w in weights.items()}
    bins = np.linspace(-limit, limit, 82)  # an odd number of bins: one of them is around 0
    for axis, colour, (method, w) in zip(
        np.atleast_1d(axes), COLOURS, weights.items(), strict=False
    ):
        axis.hist(w, bins, color=colour)
        axis.set(title=f"{method}\n{np.mean(w == 0):.1%} exactly 0", xlabel="weight", yscale="log")
        axis.title.set_fontsize(9)
        axis.set_ylim(1, max(len(w) for w in weights.values()))
    np.atleast_1d(axes)[0].set_ylabel("weights of the first layer")
    return figure


def zeros_by_threshold(kernels: Mapping[str, Float[np.ndarray, "..."]], near: float) -> Any:
    """Share of weights that are at most so large, by method: a step at the left means real zeros.

    Args:
        kernels: method -> weights.
        near: the threshold below which a weight counts as nearly zero, drawn as a line.
    """
    figure, axes = subplots(width=6)
    grid = np.geomspace(1e-7, 1, 200)
    for colour, (method, w) in zip(COLOURS, kernels.items(), strict=False):
        ordered = np.sort(np.abs(w), axis=None)
        axes.plot(
            grid, np.searchsorted(ordered, grid, "right") / w.size, color=colour, label=method
        )
    axes.axvline(near, color="0.5", ls=":")
    axes.set(
        xscale="log", xlabel="threshold t", ylabel="share of weights with |w| <= t", ylim=(0, 1)
    )
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure


def draw_word_effects(effects: Mapping[str, Mapping[str, float]]) -> Any:
    """Bars of the strongest words by method: green speaks for, red against a positive review.

    Args:
        effects: method -> word -> effect in logits, strongest first.
    """
    figure, axes = subplots(1, len(effects), width=3.0, height=4.6)
    for axis, (method, words) in zip(np.atleast_1d(axes), effects.items(), strict=True):
        ordered = sorted(words.items(), key=lambda item: item[1])
        values = np.array([value for _, value in ordered])
        axis.barh(range(len(ordered)), values, color=np.where(values > 0, COLOURS[2], COLOURS[1]))
        axis.set_yticks(range(len(ordered)), [word for word, _ in ordered], fontsize=7)
        axis.set(title=method, xlabel="effect on the logit")
    return figure


def norm_balls() -> Any:
    """Why L1 gives zeros: the first point of the ball that the loss's ellipses touch.

    The deck's picture with a quadratic loss, its minimum constrained to |w|_1 <= 1 (left), to
    |w|_2 <= 1 (middle) and to their elastic-net mean (right); found on a fine grid.
    """
    centre, curvature = np.array([1.25, 0.75]), np.array([[2.0, 0.6], [0.6, 0.9]])
    axis_values = np.linspace(-1.6, 1.9, 701)
    x, y = np.meshgrid(axis_values, axis_values)
    away = np.stack([x - centre[0], y - centre[1]])
    loss = 0.5 * np.einsum("iab,ij,jab->ab", away, curvature, away)
    one, two = np.abs(x) + np.abs(y), x**2 + y**2
    balls = {"L1": one, "L2": two, "elastic net": 0.5 * one + 0.5 * two}
    figure, axes = subplots(1, len(balls), width=3.4, height=3.6)
    for axis, (name, size) in zip(axes, balls.items(), strict=True):
        best = np.unravel_index(np.where(size <= 1 + 1e-9, loss, np.inf).argmin(), loss.shape)
        w = x[best], y[best]
        axis.contourf(x, y, size, levels=[0, 1], colors=[COLOURS[0]], alpha=0.35)
        levels = np.sort([*(loss[best] * np.array([0.3, 0.6, 1.0])), 1.6 * loss[best]])
        axis.contour(x, y, loss, levels=levels, colors="0.35", linewidths=0.8)
        axis.plot(*centre, "k+", ms=9)
        axis.plot(*w, "o", color=COLOURS[1])
        axis.axhline(0, color="0.6", lw=0.6)
        axis.axvline(0, color="0.6", lw=0.6)
        axis.set(title=f"{name}: w = ({w[0]:.2f}, {w[1]:.2f})", aspect="equal")
    return figure
