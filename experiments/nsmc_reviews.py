"""Lab 040 - Korean film reviews: words between spaces fail, n-grams of letters do not (NSMC)

In English a word stands between spaces. In Korean what stands there is a stem with its endings,
often with the next word behind it, so most of these "words" were never seen before. Four models of
the same reviews are compared. Bags, each a logistic regression on a multi-hot vector: words between
spaces; n-grams of letters, which find a stem whatever hangs on it; n-grams of jamo, the parts that
a syllable is written with, which also see that 했 and 하였 share one. And a small convolution that
reads letters in order, each with the n-grams that end with it. Bags have naive Bayes's weights and
sums by length, as in `imdb_sequence.py`. It is a lab of its own, not an option of the English ones,
because what is learned here is where words end.

    python run.py experiments/nsmc_reviews.py --models words characters jamo --seeds 5
    python run.py experiments/nsmc_reviews.py --models cnn --seeds 5

Protocol: the official halves; 10,000 of the 150,000 training reviews, drawn at random, are for
validation, where training stops and where every option was chosen; the rest is trained on. The
50,000 test reviews are met once, at the end. Empty reviews (5 + 3) are left out of training, as
they teach nothing, and stay in the test, where a model can only give its constant. 1,571 test
reviews have the text of a training review: the last column is the accuracy without them.
Published: logistic regression on words between spaces 0.785, on 1- to 3-grams of letters 0.8645;
convolution and LSTM on morphemes 0.852 to 0.856. The convolution has missed its goal, 0.875: larger
ones, with jamo, or with the bag's logit added to theirs, were no better on the validation reviews.
Runtime on one CPU core: bags a minute for ten seeds, convolution 6 minutes for five.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int64, UInt

from datasets import nsmc, splits
from datasets.nsmc import ReviewTexts
from jaxdl import optim
from jaxdl.errors import UserError
from jaxdl.figures.curves import loss_curves
from jaxdl.figures.decisions import bars
from jaxdl.models.text import LetterCNN, MultiHotDense
from jaxdl.report import Results, Table
from jaxdl.report.table import Cell
from jaxdl.runs import Run
from jaxdl.text import bag_of_words, ngrams, sentiment_task
from jaxdl.text.bag_of_words import naive_bayes_weights
from jaxdl.training import Fitted, Task

Model = Literal["words", "characters", "jamo", "cnn"]
Codes = tuple[Int64[np.ndarray, " codes"], Int64[np.ndarray, " bounds"]]  # and where texts start
Examples = Mapping[str, np.ndarray]  # "x": what the model reads, "y": 1 for a positive review

RAREST_LETTER = 5  # occurrences of a letter in training reviews, for the convolution to know it
UNKNOWN, FIRST_LETTER = 1, 2  # what the convolution reads; 0 is padding


@dataclass(frozen=True)
class Config:
    models: tuple[Model, ...] = ("words", "characters", "jamo", "cnn")
    """Which models to train."""
    features: int = 300_000
    """Words or n-grams of a bag at most: those that occur most often in training reviews."""
    longest: int = 3
    """Letters of the longest n-grams."""
    longest_jamo: int = 5
    """Jamo of the longest n-grams; two syllables have four to six."""
    bag_batch: int = 512
    """Reviews in a step, bags."""
    bag_rate: float = 1e-3
    """Adam's step size, bags."""
    bag_epochs: int = 8
    """Passes over the training reviews at most, bags."""
    length: int = 64
    """Letters of a review that the convolution reads: its last ones."""
    longest_embedded: int = 3
    """Letters of the longest n-grams that have an embedding beside the letters."""
    rarest_embedded: int = 4
    """Occurrences of such an n-gram in training reviews at least."""
    embedding: int = 16
    """Numbers that stand for a letter or an n-gram in the convolution."""
    windows: tuple[int, ...] = (1, 2, 3)
    """Neighbouring letters that a filter sees, one convolution for each."""
    filters: int = 48
    """Filters of each window of the convolution."""
    dropout: float = 0.3
    """Share of embedded letters and of pooled features that each training step drops."""
    token_dropout: float = 0.5
    """Share of letters and n-grams that each training step drops."""
    cnn_batch: int = 512
    """Reviews in a step, convolution."""
    cnn_rate: float = 2e-3
    """Adam's highest step size, convolution; it rises shortly and falls to 0."""
    cnn_epochs: int = 3
    """Passes over the training reviews at most, convolution."""
    patience: int = 1
    """Epochs without a lower validation cross-entropy before training stops."""
    validation_rows: int = 10_000
    """Training reviews that decide when to stop."""
    shown: int = 12
    """How many of the largest weights of each sign are shown."""
    twin_train: int = nsmc.ROWS["train"]
    """Training reviews of the simulated twin, where no real file is found."""
    twin_test: int = nsmc.ROWS["test"]
    """Its test reviews."""


PRESETS = {
    "quick": Config(
        features=4000,
        longest_jamo=4,
        bag_batch=64,
        bag_rate=1e-2,
        bag_epochs=4,
        length=24,
        rarest_embedded=10,
        embedding=16,
        filters=32,
        cnn_batch=64,
        cnn_rate=5e-3,
        cnn_epochs=4,
        validation_rows=300,
        twin_train=2000,
        twin_test=1000,
    )
}


def main(config: Config, run: Run) -> Results:
    data = nsmc.load(run.source, config.twin_train, config.twin_test)
    run.uses(data.provenance)
    part, valid = parts_of(data.train, config.validation_rows)
    new = ~nsmc.repeated(data.train.texts, data.test.texts)

    rows, rarities, histories = [], [], {}
    weights: dict[str, list[str]] = {}
    for name in config.models:
        reader = reader_of(name, part, config)
        train = examples(reader, part)
        fitted = run.fit(
            name,
            reader.task(train),
            train,
            examples(reader, valid),
            epochs=reader.epochs,
            batch_size=reader.batch_size,
            patience=config.patience,
        )
        histories[name] = fitted.history
        rows.append(model_row(name, reader, fitted, examples(reader, data.test), new))
        if reader.bag is not None:
            rarities.append({"model": name} | rarity(reader.bag, part, valid))
            weights |= largest_weights(name, reader.bag, fitted, train, config.shown)

    best = max(rows, key=lambda row: row["validation accuracy"].mean())
    split = f"{len(part.label):,} + {len(valid.label):,} validation, {len(new):,} test"
    tables = [Table(f"Readers of Korean reviews; {split} reviews", rows, digits=4)]
    if rarities:
        ranks = range(min(map(len, weights.values())))
        ranked = [{side: spelled[rank] for side, spelled in weights.items()} for rank in ranks]
        tables += [
            Table("What a bag knows: training and validation reviews", rarities),
            Table("Largest weights, first seed; ␣ is a space", ranked, verbatim=True),
        ]
    accuracies = {row["model"]: float(row["test accuracy"].mean()) for row in rows}
    return Results(
        tables=tables,
        figures={
            "accuracy": partial(bars, accuracies, "test accuracy"),
            "loss": partial(loss_curves, histories, ylabel="cross-entropy"),
        },
        headline={f"test accuracy ({best['model']})": best["test accuracy"]},
        notes=[f"{np.count_nonzero(~new):,} test reviews have the text of a training review"],
    )


# ---- data ----------------------------------------------------------------------------------------


def parts_of(train: ReviewTexts, validation_rows: int) -> tuple[ReviewTexts, ReviewTexts]:
    """Training reviews that are not empty: those to train on, and those to validate on.

    Raises:
        UserError: one of the two would be empty.
    """
    filled = np.flatnonzero(~nsmc.is_empty(train.texts))
    if not 0 < validation_rows < len(filled):
        problem = f"{validation_rows:,} of {len(filled):,} training reviews"
        raise UserError(f"{problem} cannot be set aside for validation: one side is empty")
    rest, chosen = splits.split_at_random(filled, validation_rows / len(filled))
    return train.rows(rest), train.rows(chosen)


# ---- what a bag holds ----------------------------------------------------------------------------


class Bag(NamedTuple):
    """What is counted in a review, and which of it makes up the multi-hot vector.

    Attributes:
        codes: texts -> the numbers of their words or n-grams, one text after the other.
        spell: number -> the word or n-gram.
        vocabulary: ascending numbers of those that have a column.
        distinct: how many different ones the training reviews hold.
        once: the share of them that occurs once.
    """

    codes: Callable[[Sequence[str]], Codes]
    spell: Callable[[int], str]
    vocabulary: Int64[np.ndarray, " columns"]
    distinct: int
    once: float

    def lists(self, texts: Sequence[str]) -> UInt[np.ndarray, "rows widest"]:
        """Where the ones of each text's multi-hot vector are."""
        tokens, starts = ngrams.kept_only(*self.codes(texts), self.vocabulary)
        return bag_of_words.multi_hot(tokens, starts, len(self.vocabulary))


def word_bag(texts: Sequence[str], most: int) -> Bag:
    """What stands between spaces in these training texts; the most frequent become columns."""
    words = list(dict.fromkeys(chain.from_iterable(text.split() for text in texts)))
    numbers = {word: number for number, word in enumerate(words)}

    def codes(texts):
        split = [text.split() for text in texts]
        own = [numbers.get(word, -1) for word in chain.from_iterable(split)]
        return np.array(own, np.int64), np.cumsum([0, *map(len, split)], dtype=np.int64)

    return _bag(texts, codes, words.__getitem__, most)


def gram_bag(texts: Sequence[str], longest: int, most: int, of_jamo: bool) -> Bag:
    """N-grams of letters, or of jamo, in these training texts; the most frequent become columns."""

    def letters(texts):
        codes, starts = ngrams.code_points(texts)
        return ngrams.jamo(codes, starts) if of_jamo else (codes, starts)

    alphabet = np.unique(letters(texts)[0])

    def codes(texts):
        written, starts = letters(texts)
        numbers = ngrams.numbered(written, alphabet)
        return ngrams.n_grams(numbers, starts, longest, len(alphabet) + 1)

    def spell(code):
        return ngrams.spelled(code, alphabet).replace(" ", "␣")

    return _bag(texts, codes, spell, most)


def _bag(
    texts: Sequence[str],
    codes: Callable[[Sequence[str]], Codes],
    spell: Callable[[int], str],
    most: int,
) -> Bag:
    distinct, count = np.unique(codes(texts)[0], return_counts=True)
    vocabulary = ngrams.most_frequent(distinct, count, most)
    if not len(vocabulary):
        raise UserError("no word or n-gram occurs twice in the training reviews")
    return Bag(codes, spell, vocabulary, len(distinct), float(np.mean(count == 1)))


def rarity(bag: Bag, part: ReviewTexts, valid: ReviewTexts) -> dict[str, Cell]:
    """How much of new reviews a bag knows: why words between spaces fail.

    "known" is the share of a new review's words or n-grams, repeats included, that have a column,
    and "without any" the share of new reviews that have none.
    """
    codes, starts = bag.codes(valid.texts)
    tokens, kept_starts = ngrams.kept_only(codes, starts, bag.vocabulary)
    return {
        "distinct in train": bag.distinct,
        "of these once": bag.once,
        "columns": len(bag.vocabulary),
        "a review": float(np.median(np.diff(starts))),
        "known": len(tokens) / max(len(codes), 1),
        "without any": float(np.mean(np.diff(kept_starts) == 0)),
    }


# ---- models --------------------------------------------------------------------------------------


class Reader(NamedTuple):
    """A model: what it reads of a review, and how it is trained.

    Attributes:
        inputs: texts -> what the model reads of them.
        describes: this, in words.
        task: training examples -> the task; a bag's fixed weights depend on them.
        batch_size, epochs: of its training.
        bag: what it counts, if it is a bag.
    """

    inputs: Callable[[Sequence[str]], UInt[np.ndarray, "rows widest"]]
    describes: str
    task: Callable[[Examples], Task]
    batch_size: int
    epochs: int
    bag: Bag | None = None


def examples(reader: Reader, reviews: ReviewTexts) -> Examples:
    """What the reader sees of these reviews, and their labels."""
    return {"x": reader.inputs(reviews.texts), "y": reviews.label.astype(np.float32)}


def reader_of(name: Model, part: ReviewTexts, config: Config) -> Reader:
    """The model of this name; what it counts or knows is learned from the training reviews."""
    most = config.features
    if name == "cnn":
        return convolution(part, config)
    if name == "words":
        return bag_reader(word_bag(part.texts, most), "words between spaces", config)
    of_jamo = name == "jamo"
    longest = config.longest_jamo if of_jamo else config.longest
    bag = gram_bag(part.texts, longest, most, of_jamo)
    return bag_reader(bag, f"1- to {longest}-grams of {'jamo' if of_jamo else 'letters'}", config)


def bag_reader(bag: Bag, describes: str, config: Config) -> Reader:
    """Logistic regression on a bag."""

    def task(train):
        weights = naive_bayes_weights(train["x"], train["y"], len(bag.vocabulary))
        return bag_task(weights, config.bag_rate)

    return Reader(bag.lists, describes, task, config.bag_batch, config.bag_epochs, bag)


def bag_task(weights: Float[np.ndarray, " columns"], learning_rate: float) -> Task:
    """Binary cross-entropy of a linear model on multi-hot vectors with weights for ones."""
    module = MultiHotDense(1, len(weights), by_length=True)
    column_weights = jnp.asarray(weights, jnp.float32)[:, None]

    def init(key, batch):
        return module.init(key, batch["x"])

    def apply(variables, batch, key, train, hyper):
        del key, train, hyper
        # a weight times a row of the kernel is a one times the weighted row
        params = variables["params"]
        weighted = {**params, "kernel": params["kernel"] * column_weights}
        return module.apply({"params": weighted}, batch["x"])[:, 0], {}

    def optimizer(hyper):
        del hyper
        return optim.adam(learning_rate)

    return Task(
        init,
        apply,
        sentiment_task.cross_entropy,
        optimizer,
        metrics={"accuracy": sentiment_task.accuracy},
    )


class LetterTokens(NamedTuple):
    """What stands at each letter of a text, as numbers of embeddings: 0 is nothing.

    Attributes:
        alphabet: code points of the letters that have a number of their own, ascending.
        grams: n-grams of two and more of them that have one, ascending.
        longest: letters of the longest n-grams.
    """

    alphabet: Int64[np.ndarray, " known"]
    grams: Int64[np.ndarray, " grams"]
    longest: int

    @property
    def letters(self) -> int:
        """How many numbers are letters, nothing and unknown ones; the first ones are."""
        return FIRST_LETTER + len(self.alphabet)

    @property
    def vocabulary(self) -> int:
        """How many numbers there are."""
        return self.letters + len(self.grams)

    def lists(self, texts: Sequence[str], length: int) -> UInt[np.ndarray, "rows length longest"]:
        """At each of the last `length` letters: it, and the n-grams of 2, 3, ... that end there.

        In front of a shorter text there is nothing.
        """
        written, starts = ngrams.code_points(texts)
        numbers = ngrams.numbered(written, self.alphabet)
        kinds = [UNKNOWN + numbers]
        for codes in longer_grams(numbers, starts, self.longest, len(self.alphabet)):
            place = ngrams.numbered(codes, self.grams)
            kinds.append(np.where(place > 0, self.letters - 1 + place, 0))
        return np.stack([ngrams.last_tokens(kind, starts, length) for kind in kinds], axis=-1)


def longer_grams(
    numbers: Int64[np.ndarray, " letters"],
    starts: Int64[np.ndarray, " bounds"],
    longest: int,
    letters: int,
) -> list[Int64[np.ndarray, " letters"]]:
    """The n-grams of 2, 3, ... letters that end with each letter."""
    return [ngrams.n_grams_at(numbers, starts, n, letters + 1) for n in range(2, longest + 1)]


def letter_tokens(part: ReviewTexts, longest: int, least: int) -> LetterTokens:
    """Letters and n-grams that are not rare in these training texts."""
    written, starts = ngrams.code_points(part.texts)
    letters, count = np.unique(written, return_counts=True)
    alphabet = letters[count >= min(RAREST_LETTER, count.max())]
    numbers = ngrams.numbered(written, alphabet)
    found = longer_grams(numbers, starts, longest, len(alphabet))
    codes, count = np.unique(np.concatenate([[0], *found]), return_counts=True)
    return LetterTokens(alphabet, codes[1:][count[1:] >= least], longest)


def convolution(part: ReviewTexts, config: Config) -> Reader:
    """A convolution over the last letters; letters that are rare in training reviews are one."""
    tokens = letter_tokens(part, config.longest_embedded, config.rarest_embedded)
    module = LetterCNN(
        tokens.vocabulary,
        tokens.letters,
        config.embedding,
        config.windows,
        config.filters,
    )

    def inputs(texts):
        return tokens.lists(texts, config.length)

    def task(train):
        return convolution_task(module, len(train["y"]), config)

    describes = f"1- to {config.longest_embedded}-grams, the last {config.length}, in order"
    return Reader(inputs, describes, task, config.cnn_batch, config.cnn_epochs)


def convolution_task(module: LetterCNN, rows: int, config: Config) -> Task:
    """Binary cross-entropy, Adam with a rate that rises shortly and falls to 0.

    Args:
        module: the net.
        rows: of an epoch.
    """

    def init(key, batch):
        return module.init(key, batch["x"], False)

    def apply(variables, batch, key, train, hyper):
        del hyper
        rngs = {"dropout": key} if train else {}
        rates = config.dropout, config.token_dropout
        return module.apply(variables, batch["x"], train, *rates, rngs=rngs), {}

    def optimizer(hyper):
        del hyper
        return optim.adam(optim.cosine(config.cnn_rate, config.cnn_epochs, rows, config.cnn_batch))

    return Task(
        init,
        apply,
        sentiment_task.cross_entropy,
        optimizer,
        metrics={"accuracy": sentiment_task.accuracy},
        convolves=True,
    )


# ---- what we see ---------------------------------------------------------------------------------


def model_row(
    name: Model, reader: Reader, fitted: Fitted, test: Examples, new: Bool[np.ndarray, " rows"]
) -> dict[str, Cell]:
    """A model's validation accuracy in the epoch it stopped at, and its test accuracies."""
    kept = fitted.best_epoch - 1, np.arange(len(fitted.seeds))
    hits = fitted.predict(sentiment_task.judge, test)["accuracy"]
    return {
        "model": name,
        "reads": reader.describes,
        "parameters": fitted.parameter_count,
        "epochs": fitted.best_epoch,
        "validation accuracy": fitted.history["valid_accuracy"][kept],
        "test accuracy": hits.mean(axis=1),
        "test, no repeats": hits[:, new].mean(axis=1),
    }


def largest_weights(
    name: Model, bag: Bag, fitted: Fitted, train: Examples, shown: int
) -> dict[str, list[str]]:
    """The words or n-grams with the largest weights of either sign, of the first seed."""
    kernel = np.asarray(fitted.variables["params"]["kernel"])[0, :, 0]
    effect = kernel * naive_bayes_weights(train["x"], train["y"], len(kernel))
    order = np.argsort(effect)
    ends = {"negative": order[:shown], "positive": order[::-1][:shown]}
    return {
        f"{name}, {sign}": [bag.spell(int(bag.vocabulary[column])) for column in columns]
        for sign, columns in ends.items()
    }
