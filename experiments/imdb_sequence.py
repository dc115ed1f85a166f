"""Lab 040 - what else reads a review: word pairs, 1D-CNN, GRU, LSTM, bidirectional (IMDB)

A bag of words forgets the order: "not good" and "good, not" are the same to it. Two ways to keep
some of it are compared. Bags: the multi-hot MLP of `imdb_regularization.py` with the proximal L1
step, the same with the most frequent pairs of neighbouring words beside the words, both with naive
Bayes's weights and each sum divided by the root of its number of words, and these with the last 4
and 16 words of a review, where it often says what it thinks, counted apart, and with pairs that
have a word between them. Networks that read the words in order: a convolution over neighbouring
words, GRU, LSTM, and an LSTM in both directions.

    python run.py experiments/imdb_sequence.py --models words pairs --seeds 10
    python run.py experiments/imdb_sequence.py --models cnn gru lstm bidirectional --seeds 3
    python run.py experiments/imdb_sequence.py --reviews my_reviews.csv
    python run.py --predict RUN "A film that I will not forget" more_texts.txt

Protocol: each bag stops early on training reviews of films set aside; then it is trained again on
all training reviews for as many epochs (the median of its seeds) and meets the test reviews once. A
logistic regression on the same multi-hot vectors stands beside `words` and `pairs`. The networks
train for four epochs: the step size rises for a twentieth of the steps, then falls to 0; half of
the words, drawn anew in each step, are left out, and beside its embedding each word has a number
that starts at naive Bayes's log-count ratio. All this was chosen on the same reviews set aside.
Published: multi-hot MLP 0.890 (lecture, best epoch on the test half), 1D-CNN 0.864, bidirectional
LSTM 0.878 (Keras examples). Expected (docs/results.md): weighted words 0.889, with the ending
0.897; weighted words and pairs 0.910, with the ending 0.916 (n = 10 seeds); 1D-CNN 0.890,
bidirectional LSTM 0.887 (n = 5).
Runtime on one CPU core: all bags ten minutes for ten seeds; a network 4 to 5 minutes for each seed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt
from sklearn.linear_model import LogisticRegression

from datasets import imdb, splits, user_reviews
from datasets.user_reviews import UserReviews
from jaxdl import optim
from jaxdl.figures.curves import loss_curves
from jaxdl.models.text import BagMLP, GRUCell, LSTMCell, TextCNN, TextRNN
from jaxdl.report import Results, Table
from jaxdl.report.table import Cell
from jaxdl.runs import Run
from jaxdl.text import bag_of_words, ngrams, sentiment_task
from jaxdl.text.bag_of_words import log_count_ratio, naive_bayes_weights
from jaxdl.text.sentiment_task import Regularisation
from jaxdl.training import Fitted, Task

Bag = Literal["words", "pairs", "weighted_words", "weighted_pairs", "ending_words", "ending_pairs"]
Network = Literal["cnn", "gru", "lstm", "bidirectional"]
Model = Bag | Network
BAGS = get_args(Bag)
WITH_PAIRS = ("pairs", "weighted_pairs", "ending_pairs")
WITH_ENDING = ("ending_words", "ending_pairs")
WITH_WEIGHTS = ("weighted_words", "weighted_pairs", *WITH_ENDING)

Examples = Mapping[str, np.ndarray]  # "x": what the model reads, "y": 1 for a positive review
Pairs = Int[np.ndarray, " pairs"]  # from `bag_of_words.frequent_pairs`


@dataclass(frozen=True)
class Config:
    models: tuple[Model, ...] = (*BAGS, "cnn", "gru", "lstm", "bidirectional")
    """Which models to train."""
    pairs: int = 20_000
    """How many pairs of neighbouring words, those in most training reviews."""
    endings: tuple[int, ...] = (4, 16)
    """So many words at the end of a review count apart, in the models that are named after it."""
    bag_units: int = 16
    """Units of both hidden layers on words and pairs."""
    proximal: float = 0.2
    """Strength of the proximal L1 step on words and pairs."""
    weighted_proximal: float = 0.1
    """The same where words have weights."""
    bag_batch: int = 512
    """Reviews in a step, words and pairs."""
    network_epochs: int = 4
    """Passes of the networks that read words in order, over which the step size falls to 0."""
    cnn_rate: float = 2e-3
    """Adam's largest step size, convolution."""
    rnn_rate: float = 3e-3
    """The same, recurrent networks."""
    cnn_length: int = 400
    """Words of a review that the convolution reads: its last ones."""
    rnn_length: int = 300
    """Words of a review that the recurrent networks read: its last ones."""
    sequence_batch: int = 128
    """Reviews in a step, networks that read words in order (half as many for the convolution)."""
    epochs: int = 12
    """Passes over the training reviews at most, bags."""
    patience: int = 2
    """Epochs without a lower validation cross-entropy before a bag stops."""
    learning_rate: float = 1e-3
    """Adam's step size, bags."""
    num_words: int = 10_000
    """Vocabulary, with the four special numbers."""
    validation_share: float = 0.2
    """Part of the training reviews, of films of their own, that is not trained on at first."""
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


PRESETS = {
    "quick": Config(
        models=("pairs", "weighted_words", "cnn"),
        pairs=300,
        bag_units=8,
        bag_batch=64,
        cnn_length=64,
        epochs=4,
        num_words=2000,
        twin_rows=1000,
    )
}


def main(config: Config, run: Run) -> Results:
    found, config = load_reviews(config, run)
    data = found.reviews
    rest, chosen = splits.split_by_group(data.train.film, config.validation_share)

    rows, histories = [], {}
    for name in config.models:
        reader = reader_of(name, data.train, config, len(run.seeds))
        train, test = examples(reader, data.train), examples(reader, data.test)
        part, valid = rows_of(train, rest), rows_of(train, chosen)

        stopped = train_until_best(reader, part, valid, run)
        epochs = round(float(np.median(stopped.best_epoch)))
        whole = train_again(reader, train, epochs, run)

        histories[name.replace("_", " ")] = stopped.history
        rows.append(model_row(name, epochs, stopped, whole, test))
        if name in ("words", "pairs"):
            linear = logistic_regression(reader.columns, part, valid, train, test)
            rows.append({"model": f"logistic regression, {name}", **linear})

    trained = [row for row in rows if "epochs" in row]  # without the logistic regressions
    best = max(trained, key=lambda row: row["validation accuracy"].mean())
    split = f"{len(rest):,} + {len(chosen):,} validation, then all; {len(test['y']):,} test"
    return Results(
        tables=[Table(f"Readers of reviews; {split} reviews", rows)],
        figures={"loss": partial(loss_curves, histories, ylabel="cross-entropy")},
        headline={f"test accuracy ({best['model']})": best["test accuracy"]},
        notes=found.remarks,
    )


def predict(config: Config, run: Run, inputs: Sequence[str]) -> Results:
    """What a finished run says of texts: in words, a line each of a .txt, or a table's column.

    The model with the highest validation accuracy is asked, trained on all training texts. What a
    word does is the logit that a text loses without it; both are means of the seeds.
    """
    texts = user_reviews.texts_named(inputs, config.text)
    found, config = load_reviews(config, run)
    reader, fitted = most_accurate(found.reviews, config, run)

    logits_of = partial(text_logits, reader, fitted)
    logits, effects = user_reviews.judge(texts, found.reviews.words, logits_of)
    probability = np.asarray(jax.nn.sigmoid(logits)).mean(axis=0)
    judged = user_reviews.prediction_rows(texts, probability, effects, found.kinds)
    title = f"{len(texts):,} texts, judged by {reader.name}, mean of {len(fitted.seeds)} seeds"
    return Results(
        [Table(title, judged, verbatim=True)],
        notes=["A word's effect is what the text loses without it; unknown words have none."],
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


def pairs_of(name: Bag, train: imdb.ReviewRows, config: Config) -> Pairs | None:
    """The most frequent pairs of the training reviews, if the model reads pairs.

    With an ending it reads as many pairs that have one word between them.
    """
    if name not in WITH_PAIRS:
        return None
    frequent = partial(
        bag_of_words.frequent_pairs,
        train.tokens,
        train.starts,
        config.num_words,
        config.pairs,
        imdb.UNKNOWN,
    )
    distances = (0, 1) if name in WITH_ENDING else (0,)
    return np.concatenate([frequent(between=distance) for distance in distances])


def last_words(
    tokens: Int[np.ndarray, " words"], starts: Int[np.ndarray, " bounds"], length: int
) -> UInt[np.ndarray, "rows length"]:
    """The last `length` words of each text, zeros in front of a shorter one (Keras's default)."""
    chosen = ngrams.last_tokens(tokens, starts, length)
    return chosen.astype(np.uint16) if tokens.max() < 1 << 16 else chosen


def rows_of(examples: Examples, rows: Int[np.ndarray, " chosen"]) -> Examples:
    """Some of the reviews."""
    return {name: values[rows] for name, values in examples.items()}


# ---- models --------------------------------------------------------------------------------------


class Reader(NamedTuple):
    """A model: what it reads of a review, and how it is trained.

    Attributes:
        name: of the model.
        inputs: reviews -> what the model reads of them.
        task: training reviews -> the task; what is known of words depends on these reviews.
        batch_size: reviews in a step.
        epochs: at most.
        patience: epochs without a lower validation cross-entropy before it stops; None: never.
        columns: length of the multi-hot vectors that bags read; 0 for networks.
    """

    name: Model
    inputs: Callable[[imdb.ReviewRows], UInt[np.ndarray, "rows widest"]]
    task: Callable[[Examples], Task]
    batch_size: int
    epochs: int
    patience: int | None = None
    columns: int = 0


def examples(reader: Reader, half: imdb.ReviewRows) -> Examples:
    """What the reader sees of these reviews, and their labels."""
    return {"x": reader.inputs(half), "y": half.label.astype(np.float32)}


def reader_of(name: Model, train: imdb.ReviewRows, config: Config, seeds: int) -> Reader:
    """The model of this name; pairs are chosen by these training reviews."""
    if name in BAGS:
        return bag_reader(name, pairs_of(name, train, config), config, seeds)
    return network_reader(name, config)


def bag_reader(name: Bag, pairs: Pairs | None, config: Config, seeds: int) -> Reader:
    """The multi-hot MLP with the proximal L1 step, on words or on words and pairs."""
    endings = config.endings if name in WITH_ENDING else ()
    size = bag_of_words.columns(config.num_words, pairs, endings)

    def inputs(half):
        return bag_of_words.multi_hot(half.tokens, half.starts, config.num_words, pairs, endings)

    def task(train):
        weighted = name in WITH_WEIGHTS
        strength = config.weighted_proximal if weighted else config.proximal
        method = {name: Regularisation(proximal=strength)}
        hyper, _ = sentiment_task.methods_times_seeds(method, range(seeds))
        model = BagMLP(size, (config.bag_units, config.bag_units), by_length=weighted)
        plain = sentiment_task.sentiment_task(model, hyper, config.learning_rate)
        if not weighted:
            return plain
        return with_word_weights(plain, naive_bayes_weights(train["x"], train["y"], size))

    return Reader(name, inputs, task, config.bag_batch, config.epochs, config.patience, size)


def with_word_weights(task: Task, weights: Float[np.ndarray, " columns"]) -> Task:
    """The task of a `BagMLP` on multi-hot vectors with these weights in place of the ones."""

    def apply(variables, batch, key, train, hyper):
        # a weight times a row of the kernel is a one times the weighted row
        params = variables["params"]
        first = params["hidden_0"]
        kernel = first["kernel"] * jnp.asarray(weights, first["kernel"].dtype)[:, None]
        params = {**params, "hidden_0": {**first, "kernel": kernel}}
        return task.apply({**variables, "params": params}, batch, key, train, hyper)

    return replace(task, apply=apply)


def network_reader(name: Network, config: Config) -> Reader:
    """A network that reads the last words of a review in order."""
    words = config.num_words
    module = {
        "cnn": TextCNN(words),
        "gru": TextRNN(words, GRUCell),
        "lstm": TextRNN(words, LSTMCell),
        "bidirectional": TextRNN(words, LSTMCell, bidirectional=True),
    }[name]
    if name == "cnn":
        length, batch_size, peak = config.cnn_length, config.sequence_batch // 2, config.cnn_rate
    else:
        length, batch_size, peak = config.rnn_length, config.sequence_batch, config.rnn_rate

    def inputs(half):
        return last_words(half.tokens, half.starts, length)

    def task(train):
        rate = optim.cosine(peak, config.network_epochs, len(train["y"]), batch_size)
        plain = sentiment_task.sequence_task(module, rate)
        # in front of a short review there is no word: number `words` is counted by nobody,
        # and each of the others once in a review
        written = np.where(train["x"] == imdb.PADDING, words, train["x"])
        once = bag_of_words.distinct_words(written, words)
        return with_word_scores(plain, log_count_ratio(once, train["y"], words))

    return Reader(name, inputs, task, batch_size, config.network_epochs)


def with_word_scores(task: Task, scores: Float[np.ndarray, " words"]) -> Task:
    """The task of a network on words in order whose scores of words start at these."""

    def init(key, batch):
        variables = task.init(key, batch)
        params = variables["params"]
        words = {**params["words"], "score": jnp.asarray(scores, jnp.float32)[:, None]}
        return {**variables, "params": {**params, "words": words}}

    return replace(task, init=init)


# ---- training ------------------------------------------------------------------------------------


def train_until_best(reader: Reader, part: Examples, valid: Examples, run: Run) -> Fitted:
    """On a part of the training reviews; bags stop early on the others."""
    return run.fit(
        reader.name,
        reader.task(part),
        part,
        valid,
        epochs=reader.epochs,
        batch_size=reader.batch_size,
        patience=reader.patience,
    )


def train_again(reader: Reader, train: Examples, epochs: int, run: Run) -> Fitted:
    """On all training reviews, for a number of epochs that is known by now."""
    return run.fit(
        f"{reader.name}_whole",
        reader.task(train),
        train,
        epochs=epochs,
        batch_size=reader.batch_size,
    )


# ---- texts that are asked about ------------------------------------------------------------------


def most_accurate(data: imdb.Reviews, config: Config, run: Run) -> tuple[Reader, Fitted]:
    """The model of the highest validation accuracy, as it was trained on all training texts."""
    rest, chosen = splits.split_by_group(data.train.film, config.validation_share)
    found: dict[float, tuple[Reader, Fitted]] = {}
    for name in config.models:
        reader = reader_of(name, data.train, config, len(run.seeds))
        train = examples(reader, data.train)
        part, valid = rows_of(train, rest), rows_of(train, chosen)
        stopped = train_until_best(reader, part, valid, run)
        kept = stopped.best_epoch - 1, np.arange(len(stopped.seeds))
        accuracy = float(stopped.history["valid_accuracy"][kept].mean())
        whole = train_again(reader, train, round(float(np.median(stopped.best_epoch))), run)
        found.setdefault(accuracy, (reader, whole))
    return found[max(found)]


def text_logits(
    reader: Reader, fitted: Fitted, rows: imdb.ReviewRows
) -> Float[np.ndarray, "seeds texts"]:
    """The logit that each member gives to each text; none for no texts."""
    if len(rows.starts) == 1:
        return np.zeros((len(fitted.seeds), 0))

    def logit(outputs, batch):
        return outputs

    return np.asarray(fitted.predict(logit, {"x": reader.inputs(rows)}))


# ---- what we see ---------------------------------------------------------------------------------


def model_row(
    name: Model, epochs: int, stopped: Fitted, whole: Fitted, test: Examples
) -> dict[str, Cell]:
    """A model's validation scores in the epoch it stopped at, and its test scores afterwards."""
    kept = stopped.best_epoch - 1, np.arange(len(stopped.seeds))
    judged = whole.predict(sentiment_task.judge, test)
    return {
        "model": name,
        "parameters": whole.parameter_count,
        "epochs": epochs,
        "validation cross-entropy": stopped.history["valid_loss"][kept],
        "validation accuracy": stopped.history["valid_accuracy"][kept],
    } | sentiment_task.scores_on_test(judged, test["y"])


def logistic_regression(
    columns: int,
    part: Examples,
    valid: Examples,
    train: Examples,
    test: Examples,
    strengths: Sequence[float] = (0.01, 0.03, 0.1),
) -> dict[str, float]:
    """The linear baseline (scikit-learn's, with L2) on multi-hot vectors.

    Args:
        columns: length of the multi-hot vector.
        part, valid: the strength C is chosen by the accuracy on `valid` after training on `part`.
        train, test: then it is trained on `train` and tested once.
        strengths: values of C.

    Returns:
        "validation accuracy" and "test accuracy".
    """

    def on_matrix(examples):
        return bag_of_words.sparse_matrix(examples["x"], columns), examples["y"]

    def accuracy(strength, learn, judge):
        return LogisticRegression(C=strength, max_iter=300).fit(*learn).score(*judge)

    part, valid, train, test = (on_matrix(each) for each in (part, valid, train, test))
    scores = {strength: accuracy(strength, part, valid) for strength in strengths}
    best = max(scores, key=scores.__getitem__)
    return {"validation accuracy": scores[best], "test accuracy": accuracy(best, train, test)}
