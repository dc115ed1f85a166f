"""Lab 040 - overfitting and regularisation on film reviews (과적합과 규제: IMDB)

A network that is large enough learns 25,000 film reviews by heart: its training error goes to 0
while the error on other reviews rises. Four things hold it back, each in its own way: L2 makes all
weights small, L1 makes some of them nothing, dropout lets no unit rely on another one, and early
stopping ends the training in time. The usual gradient of L1 never reaches an exact zero; as a
proximal step (a soft threshold behind Adam's step) it does.

    python run.py experiments/imdb_regularization.py --seeds 10
    python run.py experiments/imdb_regularization.py --protocol lecture --seeds 10
    python run.py experiments/imdb_regularization.py --sizes 4 16 512
    python run.py experiments/imdb_regularization.py --reviews my_reviews.csv
    python run.py --predict RUN "A film that I will not forget" more_texts.txt

Data: IMDB reviews as multi-hot vectors of the 10,000 most frequent words. Model: two ReLU layers of
4, 8 or 64 units, one logit; Adam, twenty epochs. Methods differ in numbers only, so methods x seeds
are one population and train as one program (`jaxdl.text.sentiment_task`).
Protocol "validation": a fifth of the training reviews, of films of their own, decides when to stop
and what to choose; the test reviews are read once. Protocol "lecture" is the notebook's: all 25,000
training reviews, the test reviews as validation curve, three methods. Cross-entropy is always
without the penalty.
Reference: the lecture's stored run (one seed, last epoch, sizes 8 / 4 / 64), test accuracy 0.855 /
0.866 / 0.856 without, 0.861 / 0.867 / 0.861 with L2, 0.877 / 0.881 / 0.870 with dropout. Expected
(n = 10 seeds): 0.853 / 0.860 / 0.857, 0.860 / 0.868 / 0.859, 0.876 / 0.875 / 0.871 in its protocol;
chosen on validation is the proximal L1 step with 8 units and early stopping, 0.887 on the test
reviews (docs/results.md).
Runtime on two CPU cores: ten seeds ten minutes a protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Num

from datasets import imdb, splits, user_reviews
from datasets.user_reviews import UserReviews
from jaxdl import optim
from jaxdl.figures.base import COLOURS, Figure, subplots
from jaxdl.figures.curves import draw_curve
from jaxdl.models.text import BagMLP
from jaxdl.report import Results, Table
from jaxdl.report.table import Cell
from jaxdl.runs import Run
from jaxdl.text import bag_of_words
from jaxdl.text.sentiment_task import (
    Regularisation,
    hidden_kernel,
    judge,
    methods_times_seeds,
    scores_on_test,
    sentiment_task,
)
from jaxdl.training import Fitted
from jaxdl.training.population import by_method, split_members

Reviews = Mapping[str, np.ndarray]  # "x": lists of words, "y": 1 for a positive review
Groups = Mapping[tuple[str, int], Fitted]  # (method, units) -> its seeds
Columns = dict[str, Num[np.ndarray, " seeds"]]  # of a table, a value for each seed

# methods whose weights and words are shown
ON_WEIGHTS = ("none", "L1", "L1, proximal", "L2", "elastic net")
# methods that are also trained with early stopping, and what they are called then
WITH_EARLY_STOPPING = {
    "none": "early stopping",
    "L1, proximal": "L1, proximal, stopped",
    "L2 + dropout": "L2 + dropout, stopped",
}
WORDS_SHOWN = 12  # on each side
NEAR_ZERO = 1e-3  # a weight below it counts as nearly zero


@dataclass(frozen=True)
class Config:
    protocol: Literal["validation", "lecture"] = "validation"
    """validation: chosen on films set aside; lecture: the test half is the validation curve."""
    sizes: tuple[int, ...] = (4, 8, 64)
    """Units of both hidden layers; older editions of the lab: 4 16 512."""
    l1: float = 1e-4
    """Strength of L1: factor of sum|w| over the hidden kernels (protocol "validation")."""
    l2: float = 1e-3
    """Strength of L2: factor of sum(w ** 2)."""
    proximal: float = 0.2
    """Strength of L1 as a soft threshold after Adam's step; not on the scale of `l1` (protocol
    "validation")."""
    dropout: float = 0.5
    """Share of the hidden units dropped."""
    patience: int = 3
    """Epochs without a lower validation cross-entropy before early stopping stops (protocol
    "validation")."""
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
    reviews: Path | None = None
    """A table of one's own texts with a label of two kinds, in place of the film reviews."""
    text: str = ""
    """Its column of texts; found out."""
    label: str = ""
    """Its column of labels, words or numbers; found out."""
    positive: str = ""
    """The label that counts as positive; found out."""
    test_share: float = user_reviews.TEST_SHARE
    """Part of each kind of these texts that is tested on."""
    split_seed: int = field(default=0, metadata={"least": 0})
    """Seed of that choice."""


PRESETS = {"quick": Config(sizes=(8,), epochs=8, num_words=2000, twin_rows=2000, batch_size=64)}


def main(config: Config, run: Run) -> Results:
    found, config = load_reviews(config, run)
    data = found.reviews
    split = split_reviews(data, config)

    populations = train_all(split, config, run)
    groups: Groups = {}
    for population in populations:
        groups |= population.groups()

    learning = learning_rows(populations, split)
    best = max(learning, key=lambda row: row[f"{split.held_out} accuracy"].mean())

    largest = next(each for each in populations if each.units == max(config.sizes))
    effects = word_effects(largest, config.num_words)
    shown = [method for method in ON_WEIGHTS if method in effects]
    strongest = {name: strongest_words(effects[name], data.words, WORDS_SHOWN) for name in shown}
    kernels = {name: first_kernel(groups[name, largest.units]) for name in shown}

    headline = "test accuracy"
    if split.test is None:  # the lecture's protocol: the test half chose the best
        headline = f"test accuracy, highest of {len(learning)} on the test half"

    tables = [Table(f"Regularisers on multi-hot reviews; {split.sizes()}", learning)]
    if split.test is not None:
        tables.append(choice_table(best, split.test))
    tables.append(sparsity_table(groups, shown, config.epochs, split))
    tables.append(words_table(strongest, largest.units, config.epochs))
    return Results(
        tables,
        figures={
            "learning_curves": partial(draw_learning_curves, groups, config, split.held_out),
            "weights": partial(draw_weight_histograms, kernels),
            "zeros": partial(draw_zeros_by_threshold, kernels),
            "words": partial(draw_word_effects, strongest),
            "norm_balls": draw_norm_balls,
        },
        headline={headline: best["test accuracy"]},
        notes=found.remarks,
    )


def predict(config: Config, run: Run, inputs: Sequence[str]) -> Results:
    """What a finished run says of texts: in words, a line each of a .txt, or a table's column.

    The network with the highest validation accuracy is asked (in the lecture's protocol it is that
    of the test half), and what a word does is the logit that a text loses without it; both are
    means of the seeds.
    """
    texts = user_reviews.texts_named(inputs, config.text)
    found, config = load_reviews(config, run)
    split = split_reviews(found.reviews, config)
    populations = train_all(split, config, run)
    (method, units), fitted = most_accurate(populations)
    asked = sum(len(population.methods) for population in populations)
    chosen = f"The highest accuracy of {asked} on the {split.held_out} reviews chose this network."
    if split.test is None:
        chosen += " How accurate it is on other reviews is not known."

    logits_of = partial(text_logits, config, fitted)
    logits, effects = user_reviews.judge(texts, found.reviews.words, logits_of)
    probability = np.asarray(jax.nn.sigmoid(logits)).mean(axis=0)
    title = f"{len(texts):,} texts, judged by {method}, {units} units, mean of "
    title += f"{len(fitted.seeds)} seeds"
    drawn = {
        f"{i + 1}: {text[:20]}": dict(list(words.items())[:WORDS_SHOWN])
        for i, (text, words) in enumerate(zip(texts, effects, strict=True))
        if words
    }
    first = dict(list(drawn.items())[:4])
    return Results(
        [
            Table(
                title,
                user_reviews.prediction_rows(texts, probability, effects, found.kinds),
                verbatim=True,
            )
        ],
        {"words": partial(draw_word_effects, first)} if first else {},
        notes=[
            chosen,
            "A word's effect is what the text loses without it; unknown words have none.",
        ],
    )


# ---- data ----------------------------------------------------------------------------------------


def load_reviews(config: Config, run: Run) -> tuple[UserReviews, Config]:
    """The data, and the options with no larger a vocabulary than texts of one's own have."""
    found = user_reviews.load_or_imdb(
        run.source,
        config.reviews,
        num_words=config.num_words,
        twin_rows=config.twin_rows,
        text=config.text,
        label=config.label,
        positive=config.positive,
        test_share=config.test_share,
        seed=config.split_seed,
    )
    run.uses(found.reviews.provenance)
    if config.reviews is None:
        return found, config
    return found, replace(config, num_words=len(found.reviews.words))


class Split(NamedTuple):
    """Reviews to train on and reviews to judge by.

    Attributes:
        train: reviews that the network learns from.
        valid: those of the dashed curve.
        held_out: what `valid` is, "validation" or "test".
        test: reviews that are read once, at the end; None where `valid` is the test half.
    """

    train: Reviews
    valid: Reviews
    held_out: str
    test: Reviews | None

    def sizes(self) -> str:
        """For the titles of tables."""
        rows = f"{len(self.train['y']):,} training, {len(self.valid['y']):,} {self.held_out}"
        return f"{rows} reviews"


def split_reviews(data: imdb.Reviews, config: Config) -> Split:
    """Multi-hot reviews; "validation" sets training reviews aside, of films of their own."""
    train, test = (
        bag_of_words.examples(half.tokens, half.starts, half.label, config.num_words)
        for half in (data.train, data.test)
    )
    if config.protocol == "lecture":
        return Split(train, test, "test", None)
    rest, chosen = splits.split_by_group(data.train.film, config.validation_share)
    part = {name: rows[rest] for name, rows in train.items()}
    valid = {name: rows[chosen] for name, rows in train.items()}
    return Split(part, valid, "validation", test)


# ---- methods -------------------------------------------------------------------------------------


def methods_of(config: Config) -> dict[str, Regularisation]:
    """Name -> strengths. The elastic net takes half of both penalties."""
    l1, l2, dropout = config.l1, config.l2, config.dropout
    methods = {
        "none": Regularisation(),
        "L1": Regularisation(l1=l1),
        "L1, proximal": Regularisation(proximal=config.proximal),
        "L2": Regularisation(l2=l2),
        "elastic net": Regularisation(l1=l1 / 2, l2=l2 / 2),
        "dropout": Regularisation(dropout=dropout),
        "L2 + dropout": Regularisation(l2=l2, dropout=dropout),
    }
    if config.protocol == "lecture":
        return {name: methods[name] for name in ("none", "L2", "dropout")}
    return methods


# ---- training ------------------------------------------------------------------------------------


class Population(NamedTuple):
    """Networks of one size, methods times seeds, trained as one program."""

    units: int
    methods: tuple[str, ...]
    fitted: Fitted

    def groups(self) -> Groups:
        """The seeds of each method, as fits of their own."""
        found = by_method(self.fitted, self.methods)
        return {(method, self.units): group for method, group in found.items()}


def train_all(split: Split, config: Config, run: Run) -> list[Population]:
    """For each size all methods to the last epoch, then some that early stopping ends."""
    methods = methods_of(config)
    populations = []
    for units in config.sizes:
        populations.append(train(f"units_{units}", units, methods, None, split, config, run))
        if split.test is not None:
            stopped = {name: methods[method] for method, name in WITH_EARLY_STOPPING.items()}
            name = f"units_{units}_stopped"
            populations.append(train(name, units, stopped, config.patience, split, config, run))
    return populations


def train(
    name: str,
    units: int,
    methods: Mapping[str, Regularisation],
    patience: int | None,
    split: Split,
    config: Config,
    run: Run,
) -> Population:
    """Train all methods with all seeds; `patience` None goes to the last epoch."""
    hyper, seeds = methods_times_seeds(methods, run.seeds)
    model = BagMLP(config.num_words, (units, units))
    fitted = run.fit(
        name,
        sentiment_task(model, hyper, config.learning_rate),
        split.train,
        split.valid,
        epochs=config.epochs,
        batch_size=config.batch_size,
        patience=patience,
        seeds=seeds,
    )
    return Population(units, tuple(methods), fitted)


# ---- what was learnt -----------------------------------------------------------------------------


def learning_rows(populations: Sequence[Population], split: Split) -> list[dict[str, Cell]]:
    """A row for each size and method, with a value for each seed."""
    rows = []
    for population in populations:
        scores = {}
        if split.test is not None:
            judged = population.fitted.predict(judge, split.test)
            scores = {
                method: scores_on_test(own, split.test["y"])
                for method, own in split_members(judged, population.methods).items()
            }
        for (method, units), group in population.groups().items():
            row = {"method": method, "units": units} | learning_columns(group, split.held_out)
            rows.append(row | scores.get(method, {}))
    return rows


def learning_columns(fitted: Fitted, held_out: str) -> Columns:
    """Columns of a table: the epoch whose weights are kept, what they reach, what was reached.

    Args:
        fitted: one method, its seeds.
        held_out: what the validation curve was measured on ("validation" or "test").
    """
    kept = fitted.best_epoch - 1, np.arange(len(fitted.seeds))
    loss, accuracy = fitted.history["valid_loss"], fitted.history["valid_accuracy"]
    return {
        "epoch": fitted.best_epoch,
        "train cross-entropy": fitted.history["train_loss"][kept],
        "train accuracy": fitted.history["train_accuracy"][kept],
        "penalty": penalties(fitted),
        "weight norm": weight_norms(fitted),
        f"{held_out} cross-entropy": loss[kept],
        f"{held_out} accuracy": accuracy[kept],
        f"lowest {held_out} cross-entropy": np.nanmin(loss, axis=0),
        "in epoch": np.nanargmin(loss, axis=0) + 1,
        f"highest {held_out} accuracy": np.nanmax(accuracy, axis=0),
    }


def penalties(fitted: Fitted) -> Float[np.ndarray, " seeds"]:
    """What L1 and L2 would add to each member's loss: `l1 * sum|w| + l2 * sum(w ** 2)`."""

    def penalty(params, l1, l2):
        return optim.penalty(params, l1, l2, hidden_kernel)

    l1, l2 = (np.asarray(fitted.task.hyper[name], np.float32) for name in ("l1", "l2"))
    return np.asarray(jax.vmap(penalty)(fitted.variables["params"], l1, l2))


def weight_norms(fitted: Fitted) -> Float[np.ndarray, " seeds"]:
    """Euclidean norm of all penalised weights of each member."""

    def sum_of_squares(params):
        return optim.penalty(params, 0.0, 1.0, hidden_kernel)

    return np.sqrt(np.asarray(jax.vmap(sum_of_squares)(fitted.variables["params"])))


def choice_table(best: Mapping[str, Cell], test: Reviews) -> Table:
    """The method and size with the highest validation accuracy, and what it reaches on test."""
    columns = ("method", "units", "validation accuracy", "test accuracy", "vote of the seeds")
    title = f"Chosen by validation accuracy; {len(test['y']):,} test reviews"
    return Table(title, [{column: best[column] for column in columns}])


# ---- which weights and words are left ------------------------------------------------------------


def first_kernel(fitted: Fitted) -> Float[np.ndarray, "seeds vocabulary units"]:
    """The first layer's kernel: a row for each word."""
    return np.asarray(fitted.variables["params"]["hidden_0"]["kernel"])


def sparsity(fitted: Fitted) -> Columns:
    """Shares of the first layer's weights that are exactly 0 and nearly 0, and words that are left.

    A word is left where one of its weights is not 0.
    """
    kernel = first_kernel(fitted)
    return {
        "exact zeros": (kernel == 0).mean(axis=(1, 2)),
        f"|w| < {NEAR_ZERO:g}": (np.abs(kernel) < NEAR_ZERO).mean(axis=(1, 2)),
        "words left": (kernel != 0).any(axis=2).sum(axis=1),
    }


def sparsity_table(groups: Groups, shown: Sequence[str], epochs: int, split: Split) -> Table:
    """A row for each size and shown method."""
    rows = [
        {"method": method, "units": units} | sparsity(group)
        for (method, units), group in groups.items()
        if method in shown
    ]
    return Table(f"Weights of the first layer after {epochs} epochs; {split.sizes()}", rows)


def word_effects(
    population: Population, vocabulary: int
) -> dict[str, Float[np.ndarray, "seeds vocabulary"]]:
    """Method -> by how much a text of one word is more positive than an empty text, in logits."""

    def logit(outputs, batch):
        return outputs

    one_word = np.arange(vocabulary + 1, dtype=np.uint32)[:, None]  # the last is the empty text
    logits = population.fitted.predict(logit, {"x": one_word})
    return split_members(logits[:, :-1] - logits[:, -1:], population.methods)


def strongest_words(
    effects: Float[np.ndarray, "seeds vocabulary"], words: Sequence[str], count: int
) -> dict[str, float]:
    """The `count` most negative and `count` most positive words with their mean effect."""
    mean = effects.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    chosen = [*order[:count], *order[::-1][:count]]
    return {words[i]: float(mean[i]) for i in chosen}


def words_table(strongest: Mapping[str, Mapping[str, float]], units: int, epochs: int) -> Table:
    """A row for each method: the words that say most against and for a film."""
    rows = [
        {
            "method": method,
            "against": ", ".join(word for word, effect in effects.items() if effect < 0),
            "for": ", ".join(word for word, effect in effects.items() if effect > 0),
        }
        for method, effects in strongest.items()
    ]
    title = "Words that move the logit most, mean of the seeds"
    return Table(f"{title}; {units} units, {epochs} epochs", rows)


# ---- texts that are asked about ------------------------------------------------------------------


def most_accurate(populations: Sequence[Population]) -> tuple[tuple[str, int], Fitted]:
    """(method, units) and the seeds of the highest mean accuracy on the held-out reviews."""
    groups: Groups = {}
    for population in populations:
        groups |= population.groups()

    def validation_accuracy(key: tuple[str, int]) -> float:
        kept = groups[key].best_epoch - 1, np.arange(len(groups[key].seeds))
        return groups[key].history["valid_accuracy"][kept].mean()

    best = max(groups, key=validation_accuracy)
    return best, groups[best]


def text_logits(
    config: Config, fitted: Fitted, rows: imdb.ReviewRows
) -> Float[np.ndarray, "seeds texts"]:
    """The logit that each member gives to each text; none for no texts."""
    if len(rows.starts) == 1:
        return np.zeros((len(fitted.seeds), 0))

    def logit(outputs, batch):
        return outputs

    words = bag_of_words.multi_hot(rows.tokens, rows.starts, config.num_words)
    return np.asarray(fitted.predict(logit, {"x": words}))


# ---- what we see ---------------------------------------------------------------------------------


def draw_learning_curves(groups: Groups, config: Config, held_out: str) -> Figure:
    """Cross-entropy by epoch: a panel for each method, a colour for each size, train solid.

    Where the method was also trained with early stopping, a triangle marks the mean epoch whose
    weights are kept then.
    """
    methods = list(methods_of(config))
    columns = min(4, len(methods))
    figure, axes = subplots(-(-len(methods) // columns), columns, width=3.4, height=3.0)
    axes = np.atleast_1d(axes).reshape(-1)
    for axis, method in zip(axes, methods, strict=False):
        for colour, units in zip(COLOURS, config.sizes, strict=False):
            history = groups[method, units].history
            epochs = np.arange(1, len(history["train_loss"]) + 1)
            draw_curve(axis, epochs, history["train_loss"], color=colour, label=str(units))
            draw_curve(axis, epochs, history["valid_loss"], color=colour, ls="--")
            stopped = groups.get((WITH_EARLY_STOPPING.get(method, ""), units))
            if stopped is not None:
                epoch = stopped.best_epoch.mean()
                loss = np.interp(epoch, epochs, history["valid_loss"].mean(axis=1))
                axis.plot(epoch, loss, "v", color=colour, ms=8, mec="k")
        axis.set(title=method, xlabel="epoch", ylim=(0, 1.2))
        axis.grid(alpha=0.3)
    for axis in axes[len(methods) :]:
        axis.set_axis_off()
    for axis in axes[::columns]:
        axis.set_ylabel("cross-entropy")
    for style, meaning in (("-", "train"), ("--", held_out), ("v", "kept by early stopping")):
        axes[0].plot([], [], style, color="0.5", label=meaning)
    entries = axes[0].get_legend_handles_labels()
    figure.legend(*entries, title="colours: hidden units", loc="outside right upper", fontsize=8)
    return figure


def draw_weight_histograms(kernels: Mapping[str, Float[np.ndarray, "..."]]) -> Figure:
    """Histogram of the first layer's weights by method, counts on a log axis."""
    figure, axes = subplots(1, len(kernels), width=2.6, height=2.8)
    limit = max(np.quantile(np.abs(kernel), 0.999) for kernel in kernels.values())
    bins = np.linspace(-limit, limit, 82)  # an odd number of bins: one of them is around 0
    panels = zip(np.atleast_1d(axes), COLOURS, kernels.items(), strict=False)
    for axis, colour, (method, kernel) in panels:
        weights = kernel.reshape(-1)
        axis.hist(weights, bins, color=colour)
        zeros = f"{np.mean(weights == 0):.1%} exactly 0"
        axis.set(title=f"{method}\n{zeros}", xlabel="weight", yscale="log")
        axis.title.set_fontsize(9)
        axis.set_ylim(1, len(weights))
    np.atleast_1d(axes)[0].set_ylabel("weights of the first layer")
    return figure


def draw_zeros_by_threshold(kernels: Mapping[str, Float[np.ndarray, "..."]]) -> Figure:
    """Share of weights that are at most so large, by method: a step at the left means real zeros.

    The dotted line is where a weight counts as nearly zero.
    """
    figure, axes = subplots(width=6)
    thresholds = np.geomspace(1e-7, 1, 200)
    for colour, (method, kernel) in zip(COLOURS, kernels.items(), strict=False):
        ordered = np.sort(np.abs(kernel), axis=None)
        share = np.searchsorted(ordered, thresholds, "right") / kernel.size
        axes.plot(thresholds, share, color=colour, label=method)
    axes.axvline(NEAR_ZERO, color="0.5", ls=":")
    axes.set(
        xscale="log", xlabel="threshold t", ylabel="share of weights with |w| <= t", ylim=(0, 1)
    )
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure


def draw_word_effects(effects: Mapping[str, Mapping[str, float]]) -> Figure:
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


def draw_norm_balls() -> Figure:
    """Why L1 gives zeros: the first point of the ball that the loss's ellipses touch.

    The deck's picture with a quadratic loss, its minimum constrained to |w|_1 <= 1 (left), to
    |w|_2^2 <= 1 (middle) and to the mean of both (right); found on a fine grid.
    """
    centre = np.array([1.25, 0.75])
    curvature = np.array([[2.0, 0.6], [0.6, 0.9]])
    axis_values = np.linspace(-1.6, 1.9, 701)
    x, y = np.meshgrid(axis_values, axis_values)
    away = np.stack([x - centre[0], y - centre[1]])
    loss = 0.5 * np.einsum("iab,ij,jab->ab", away, curvature, away)
    l1, l2 = np.abs(x) + np.abs(y), x**2 + y**2
    balls = {"L1": l1, "L2": l2, "elastic net": 0.5 * l1 + 0.5 * l2}
    figure, axes = subplots(1, len(balls), width=3.4, height=3.6)
    for axis, (name, norm) in zip(axes, balls.items(), strict=True):
        inside = norm <= 1 + 1e-9
        best = np.unravel_index(np.where(inside, loss, np.inf).argmin(), loss.shape)
        w = x[best], y[best]
        axis.contourf(x, y, norm, levels=[0, 1], colors=[COLOURS[0]], alpha=0.35)
        levels = loss[best] * np.array([0.3, 0.6, 1.0, 1.6])
        axis.contour(x, y, loss, levels=levels, colors="0.35", linewidths=0.8)
        axis.plot(*centre, "k+", ms=9)
        axis.plot(*w, "o", color=COLOURS[1])
        axis.axhline(0, color="0.6", lw=0.6)
        axis.axvline(0, color="0.6", lw=0.6)
        axis.set(title=f"{name}: w = ({w[0]:.2f}, {w[1]:.2f})", aspect="equal")
    return figure
