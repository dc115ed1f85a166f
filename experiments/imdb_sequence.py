"""Lab 040 - what else reads a review: word pairs, 1D-CNN, GRU, LSTM, bidirectional (IMDB)

The multi-hot MLP of `imdb_regularization.py` with the proximal L1 step, the same with the most
frequent pairs of neighbouring words beside the words, both again with naive Bayes's weights and
sums by length (Wang and Manning, 2012), and networks that read the words in order. Each stops early
on training reviews of films set aside; then it is trained again on all training reviews for as many
epochs (the median of its seeds) and meets the test reviews once. A logistic regression on the same
multi-hot vectors stands beside the MLPs. Commands (bags with ten seeds, the others with three):

    python run.py experiments/imdb_sequence.py --models words pairs --seeds 10
    python run.py experiments/imdb_sequence.py --models cnn gru lstm bidirectional --seeds 3

Published: multi-hot MLP 0.890 (lecture, best epoch on the test half), 1D-CNN 0.864, bidirectional
LSTM 0.878 (Keras examples). Ours: docs/results.md. One CPU core: bags 4 minutes, others 15 to 30.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import flax.linen as nn
import numpy as np

from datasets import imdb, splits
from jaxdl.figures.curves import loss_curves
from jaxdl.models.text import BagMLP, TextCNN, TextRNN
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.text import bag_of_words, sentiment_task
from jaxdl.training import Task, parameter_count

Bag = Literal["words", "pairs", "weighted_words", "weighted_pairs"]
Model = Bag | Literal["cnn", "gru", "lstm", "bidirectional"]
BAGS = get_args(Bag)


@dataclass(frozen=True)
class Config:
    models: tuple[Model, ...] = (*BAGS, "cnn", "gru", "lstm", "bidirectional")
    """Which networks to train."""
    pairs: int = 20_000
    """How many pairs of neighbouring words, those in most training reviews."""
    bag_units: int = 16
    """Units of both hidden layers on words and pairs."""
    proximal: float = 0.2
    """Strength of the proximal L1 step on words and pairs."""
    weighted_proximal: float = 0.1
    """The same where words have weights."""
    bag_batch: int = 512
    """Reviews in a step, words and pairs."""
    cnn_length: int = 400
    """Words of a review that the convolution reads: its last ones."""
    rnn_length: int = 200
    """Words of a review that the recurrent networks read: its last ones."""
    sequence_batch: int = 128
    """Reviews in a step, networks that read words in order (half as many for the convolution)."""
    epochs: int = 12
    """Passes over the training reviews at most."""
    patience: int = 2
    """Epochs without a lower validation cross-entropy before it stops."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    num_words: int = 10_000
    """Vocabulary, with the four special numbers."""
    validation_share: float = 0.2
    """Part of the training reviews, of films of their own, that decides when to stop."""
    twin_rows: int = imdb.ROWS
    """Reviews in each half of the simulated twin, where no real file is found."""


PRESETS = {
    "quick": Config(
        models=("pairs", "weighted_words", "cnn"), pairs=300, epochs=6, cnn_length=64,
        num_words=2000, twin_rows=1000, bag_batch=64, bag_units=8,
    )
}  # fmt: skip


def network(name: Model, config: Config, seeds: int, texts: dict[str, np.ndarray]) -> Task:
    """The task of a model; `texts` are those it will learn from."""
    words, rnn = config.num_words, partial(TextRNN, config.num_words)
    if name in BAGS:
        weighted, size = name.startswith("weighted"), columns(name, config)
        strength = config.weighted_proximal if weighted else config.proximal
        hyper, _ = sentiment_task.population({name: {"proximal": strength}}, range(seeds))
        module = BagMLP(size, (config.bag_units, config.bag_units), by_length=weighted)
        weights = bag_of_words.class_weights(texts["x"], texts["y"], size) if weighted else None
        return sentiment_task.sentiment_task(module, hyper, config.learning_rate, weights)
    modules = {
        "cnn": TextCNN(words),
        "gru": rnn(nn.GRUCell),
        "lstm": rnn(nn.OptimizedLSTMCell),
        "bidirectional": rnn(nn.OptimizedLSTMCell, bidirectional=True),
    }
    return sentiment_task.sequence_task(modules[name], config.learning_rate)


def columns(name: Model, config: Config) -> int:
    """Length of a multi-hot vector of words, or of words and pairs."""
    return config.num_words + (config.pairs if name.endswith("pairs") else 0)


def inputs(
    name: Model, config: Config, pairs: np.ndarray | None, half: imdb.ReviewRows
) -> np.ndarray:
    """What a model reads of `half`; pairs are those frequent in the training reviews."""
    if name not in BAGS:
        length = config.cnn_length if name == "cnn" else config.rnn_length
        return bag_of_words.sequences(half.tokens, half.starts, length)
    pairs = pairs if name.endswith("pairs") else None
    return bag_of_words.multi_hot(half.tokens, half.starts, config.num_words, pairs)


def main(config: Config, run: Run) -> Results:
    data = imdb.load(run.source, config.num_words, config.twin_rows)
    run.uses(data.provenance)
    rest, chosen = splits.split_by_group(data.train.film, config.validation_share)
    rows, histories, pairs = [], {}, None
    if {"pairs", "weighted_pairs"} & set(config.models):
        text = (data.train.tokens, data.train.starts, config.num_words)
        pairs = bag_of_words.frequent_pairs(*text, config.pairs, imdb.UNKNOWN)
    for name in config.models:
        read = partial(inputs, name, config, pairs)
        train, test = ({"x": read(h), "y": h.label.astype("f4")} for h in (data.train, data.test))
        part, valid = ({k: v[r] for k, v in train.items()} for r in (rest, chosen))
        task = partial(network, name, config, len(run.seeds))
        few = config.sequence_batch // (2 if name == "cnn" else 1)
        size = {"batch_size": config.bag_batch if name in BAGS else few}
        limits = {"epochs": config.epochs, "patience": config.patience, **size}
        stopped = run.fit(name, task(part), part, valid, **limits)
        histories[name] = stopped.history
        epochs = round(float(np.median(stopped.best_epoch)))
        whole = run.fit(f"{name}_whole", task(train), train, epochs=epochs, **size)
        kept = stopped.best_epoch - 1, np.arange(len(run.seeds))
        rows.append(
            {
                "model": name,
                "parameters": parameter_count(whole.variables) // len(run.seeds),
                "epochs": epochs,
                "validation cross-entropy": stopped.history["valid_loss"][kept],
                "validation accuracy": stopped.history["valid_accuracy"][kept],
            }
            | sentiment_task.test_columns(whole.predict(sentiment_task.judged, test), test["y"])
        )
        if name in ("words", "pairs"):
            linear = bag_of_words.logistic_regression(
                columns(name, config), part, valid, train, test
            )
            rows.append({"model": f"logistic regression, {name}", **linear})
    best = max((r for r in rows if "epochs" in r), key=lambda r: r["validation accuracy"].mean())
    split = f"{len(rest):,} + {len(chosen):,} validation, then all; {len(test['y']):,} test"
    tables = [Table(f"Readers of reviews; {split} reviews", rows)]
    curves = {"loss": partial(loss_curves, histories, ylabel="cross-entropy")}
    return Results(tables, curves, {f"test accuracy ({best['model']})": best["test accuracy"]})
