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

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from datasets import imdb
from jaxdl import bags, sentiment
from jaxdl import regularisation as reg
from jaxdl import regularisation_figures as pictures
from jaxdl.models.text import BagMLP
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted

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
        hyper, seeds = reg.population(chosen, run.seeds)
        task = sentiment.sentiment_task(model, hyper, config.learning_rate)
        shape = {"epochs": config.epochs, "batch_size": config.batch_size, "patience": patience}
        yield run.fit(f"units_{size}{suffix}", task, train, valid, seeds=seeds, **shape), [*chosen]


def main(config: Config, run: Run) -> Results:
    data = imdb.load(run.source, config.num_words, config.twin_rows)
    run.uses(data.provenance)
    train, test = (
        bags.examples(half.tokens, half.starts, half.label, config.num_words)
        for half in (data.train, data.test)
    )
    lecture, valid, held = config.protocol == "lecture", test, "test"
    if not lecture:
        rest, chosen = imdb.split_by_film(data.train, config.validation_share)
        train, valid = ({k: v[rows] for k, v in train.items()} for rows in (rest, chosen))
        held = "validation"

    methods = methods_of(config)
    rows, groups, effects = [], {}, {}
    for size in config.sizes:
        for fitted, names in fits(config, run, size, train, valid):
            if not lecture:
                tested = reg.split_members(fitted.predict(sentiment.judged, test), names)
            for name, group in reg.by_method(fitted, names).items():
                groups[name, size] = group
                rows.append({"method": name, "units": size} | reg.learning_row(group, held))
                if not lecture:
                    rows[-1] |= sentiment.test_columns(tested[name], test["y"])
            if size == max(config.sizes) and names == list(methods):
                effects = reg.split_members(reg.word_effects(fitted, config.num_words), names)

    split = f"{len(train['y']):,} training, {len(valid['y']):,} {held} reviews"
    tables = [Table(f"Regularisers on multi-hot reviews; {split}", rows)]
    best = max(range(len(rows)), key=lambda i: rows[i][f"{held} accuracy"].mean())
    if not lecture:
        columns = ("method", "units", "validation accuracy", "test accuracy", "vote of the seeds")
        title = f"Chosen by validation accuracy; {len(test['y']):,} test reviews"
        tables.append(Table(title, [{key: rows[best][key] for key in columns}]))
    shown = [name for name in ON_WEIGHTS if name in methods]
    strongest = {m: reg.strongest_words(effects[m], data.words, WORDS_SHOWN) for m in shown}
    kernels = {m: reg.kernel_of_words(groups[m, max(config.sizes)]) for m in shown}
    tables += reg.weight_tables(groups, strongest, config.epochs, split)
    figures = {
        "learning_curves": partial(pictures.size_curves, groups, methods, STOPPED, held),
        "weights": partial(pictures.weight_histograms, kernels),
        "zeros": partial(pictures.zeros_by_threshold, kernels, reg.NEAR_ZERO),
        "words": partial(pictures.draw_word_effects, strongest),
        "norm_balls": pictures.norm_balls,
    }
    return Results(tables, figures, {"test accuracy": rows[best]["test accuracy"]})
