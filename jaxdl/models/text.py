"""Networks for texts: an MLP on bags of words, a convolutional and a recurrent network.

A dense layer on a multi-hot vector adds up the kernel's rows of the words that occur. On a CPU
`bag_sum` does just that, a few columns of the list of words after the other, with the same value
and gradient and no dense matrix of the data (benchmarks/imdb_epoch.py: how much faster).
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Float, Integer

from jaxdl.models.conv1d import Conv1D
from jaxdl.models.layers import dropout, glorot, keras_embedding

# the recurrent cells of a `TextRNN`, so that a lab can name one without Flax
GRUCell = nn.GRUCell
LSTMCell = nn.OptimizedLSTMCell

Words = Integer[np.ndarray | Array, "batch widest"]  # from `jaxdl.text.bag_of_words.multi_hot`
Tokens = Integer[np.ndarray | Array, "batch length"]  # words in order; 0 is padding

USUAL_WORDS = 100  # distinct words; near the median of the film reviews
TEXTS, COLUMNS = 64, 8  # of a block whose words are looked up together


# ---- the sum of a kernel's rows ------------------------------------------------------------------


def bag_sum(kernel: Float[Array, "vocabulary units"], words: Words) -> Float[Array, "batch units"]:
    """`multi_hot(words) @ kernel`: the sum of the kernel's rows named by each text.

    A CPU adds the rows up. An accelerator makes the multi-hot matrix of the batch and multiplies:
    its matrix units are idle otherwise, and rows added one column of words after the other keep it
    waiting (benchmarks/accelerator.py).

    >>> kernel = jnp.array([[1.0], [10.0], [100.0]])
    >>> bag_sum(kernel, jnp.array([[0, 2], [1, 3]]))  # 3 stands for nothing
    Array([[101.],
           [ 10.]], dtype=float32)

    Args:
        kernel: of the layer.
        words: distinct row numbers; those from `vocabulary` on stand for nothing.
    """
    return (_sum_by_columns if jax.default_backend() == "cpu" else _product)(kernel, words)


def _product(kernel, words):
    """The matrix product itself, in full precision."""
    vocabulary = len(kernel)
    text = jnp.arange(len(words))[:, None]
    # one more column takes the numbers that stand for nothing
    matrix = jnp.zeros((len(words), vocabulary + 1), kernel.dtype)
    matrix = matrix.at[text, jnp.minimum(words.astype(jnp.int32), vocabulary)].set(1)
    return jnp.matmul(matrix[:, :vocabulary], kernel, precision="highest")


@jax.custom_vjp
def _sum_by_columns(kernel, words):
    """The sum, column after column of the lists of words.

    Members of a vmapped population are computed one after the other, so that each may stop at its
    own longest text.
    """
    return _sum_rows(kernel, words)


def _bag_sum_forward(kernel, words):
    return _sum_rows(kernel, words), (kernel, words)


def _bag_sum_backward(saved, gradient):
    kernel, words = saved
    return _scatter_rows(kernel, words, gradient), None


_sum_by_columns.defvjp(_bag_sum_forward, _bag_sum_backward)


@sequential_vmap
def _sum_rows(kernel, words):
    """[batch, units]: the sum of the rows.

    Texts of like length are summed together, so that short ones do not wait for the longest.
    """
    (batch, widest), (vocabulary, units) = words.shape, kernel.shape
    length = _lengths(words, vocabulary)
    order = jnp.argsort(length)
    together = min(TEXTS, batch)
    empty_texts, empty_columns = -batch % together, -widest % COLUMNS
    words = jnp.pad(
        words[order].astype(jnp.int32),
        ((0, empty_texts), (0, empty_columns)),
        constant_values=vocabulary,
    ).reshape(-1, together, widest + empty_columns)
    longest = jnp.pad(length[order], (0, empty_texts)).reshape(-1, together).max(axis=1)

    def sum_of_texts(texts_and_longest):
        texts, longest = texts_and_longest

        def add_columns(j, total):
            block = jax.lax.dynamic_slice_in_dim(texts, j * COLUMNS, COLUMNS, 1)
            for column in block.T:
                total += kernel.at[column].get(mode="fill", fill_value=0)
            return total

        # in float32 whatever the kernel is: a sum of 16-bit numbers soon stops growing
        start = jnp.zeros((together, units), jnp.float32)
        return jax.lax.fori_loop(0, -(-longest // COLUMNS), add_columns, start)

    total = jax.lax.map(sum_of_texts, (words, longest)).reshape(-1, units)[:batch]
    return jnp.zeros_like(total).at[order].set(total).astype(kernel.dtype)


@sequential_vmap
def _scatter_rows(kernel, words, gradient):
    """[vocabulary, units]: each text's gradient added to the rows that it named."""

    def add_column(j, total):
        column = jax.lax.dynamic_index_in_dim(words, j, 1, keepdims=False).astype(jnp.int32)
        return total.at[column].add(gradient.astype(jnp.float32), mode="drop")

    start = jnp.zeros(kernel.shape, jnp.float32)
    total = jax.lax.fori_loop(0, _lengths(words, kernel.shape[0]).max(), add_column, start)
    return total.astype(kernel.dtype)


def _lengths(words, vocabulary):
    """[batch]: the number of the last column that holds a word of each text; 0 where none does."""
    columns = jnp.arange(1, words.shape[1] + 1)
    return jnp.where(words < vocabulary, columns, 0).max(axis=1)


# ---- networks on bags of words -------------------------------------------------------------------


class MultiHotDense(nn.Module):
    """A dense layer on multi-hot vectors that are given as lists of words.

    Attributes:
        features: units.
        vocabulary: length of the multi-hot vector.
        by_length: divide the sum by the square root of the number of distinct words, so that a
            long text does not weigh more; a text of `USUAL_WORDS` is left as it is.
    """

    features: int
    vocabulary: int
    by_length: bool = False

    @nn.compact
    def __call__(self, words: Words) -> Float[Array, "batch units"]:
        kernel = self.param("kernel", glorot, (self.vocabulary, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        total = bag_sum(kernel, words)
        if self.by_length:
            count = (words < self.vocabulary).sum(axis=1, keepdims=True)
            total = total * jnp.sqrt(USUAL_WORDS / jnp.maximum(count, 1))
        return total + bias


class BagMLP(nn.Module):
    """Lab 040: multi-hot -> ReLU layers of the given widths, each with dropout -> one logit.

    Attributes:
        vocabulary: length of the multi-hot vector.
        widths: of the hidden layers; (8, 8) has 80,089 parameters on 10,000 words.
        by_length: see `MultiHotDense`.
    """

    vocabulary: int
    widths: Sequence[int]
    by_length: bool = False

    @nn.compact
    def __call__(
        self,
        words: Words,
        train: bool,
        rate: float | Float[Array, ""] = 0.0,
    ) -> Float[Array, " batch"]:
        """`rate` is the dropout of hidden units, and may differ between members of a population."""
        first = MultiHotDense(self.widths[0], self.vocabulary, self.by_length, name="hidden_0")
        x = first(words)
        for layer, width in enumerate(self.widths):
            if layer:
                x = nn.Dense(width, kernel_init=glorot, name=f"hidden_{layer}")(x)
            x = dropout(nn.relu(x), rate, self.make_rng("dropout") if train else None)
        return nn.Dense(1, kernel_init=glorot, name="output")(x)[:, 0]


# ---- networks that read words in order -----------------------------------------------------------


class ReadWords(nn.Module):
    """Words in order -> their embeddings, and which words are there.

    Behind the embedding of a word stands one number more, its score. It starts at 0, or where the
    caller puts it: a log-count ratio, say, which knows from the first step on what the word says.

    Attributes:
        vocabulary: numbers of words; 0 is padding.
        embedding: width, without the score.
        word_rate: share of the words that a training step takes for padding (word dropout). What
            is left is not scaled up: a text with fewer words is a text like any other.
        dropout_rate: of the numbers of the other words.
    """

    vocabulary: int
    embedding: int
    word_rate: float
    dropout_rate: float

    @nn.compact
    def __call__(
        self, tokens: Tokens, train: bool
    ) -> tuple[Float[Array, "batch length numbers"], Float[Array, "batch length 1"]]:
        table = self.param("embedding", keras_embedding, (self.vocabulary, self.embedding))
        score = self.param("score", nn.initializers.zeros, (self.vocabulary, 1))
        tokens = tokens.astype(jnp.int32)
        there = tokens > 0
        if train:
            kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.word_rate, tokens.shape)
            there = there & kept
        there = there[..., None].astype(table.dtype)
        x = jnp.concatenate([table, score], axis=1)[tokens] * there
        return nn.Dropout(self.dropout_rate, deterministic=not train)(x), there


def max_and_mean(
    x: Float[Array, "batch length units"], there: Float[Array, "batch length 1"]
) -> Float[Array, "batch 2*units"]:
    """Maximum of each unit over all places, and its mean over those that hold a word."""
    mean = (x * there).sum(axis=1) / jnp.maximum(there.sum(axis=1), 1)
    return jnp.concatenate([x.max(axis=1), mean], axis=-1)


class TextCNN(nn.Module):
    """Embedding -> convolutions over neighbouring words -> largest value and mean -> one logit.

    Kim, "Convolutional neural networks for sentence classification" (2014). A window of one word
    is a bag of words inside the net.

    Attributes:
        vocabulary, embedding, word_rate: see `ReadWords`.
        filters: of each window.
        windows: neighbouring words that a filter sees, one convolution for each.
        dropout_rate: of the embedded words and of the pooled features.
    """

    convolves = True

    vocabulary: int
    embedding: int = 50
    filters: int = 64
    windows: Sequence[int] = (1, 3)
    word_rate: float = 0.5
    dropout_rate: float = 0.3

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> Float[Array, " batch"]:
        read = ReadWords(
            self.vocabulary, self.embedding, self.word_rate, self.dropout_rate, name="words"
        )
        x, there = read(tokens, train)
        maps = [nn.relu(Conv1D(self.filters, n)(x)) for n in self.windows]
        pooled = max_and_mean(jnp.concatenate(maps, axis=-1), there)
        pooled = nn.Dropout(self.dropout_rate, deterministic=not train)(pooled)
        return nn.Dense(1, kernel_init=glorot, name="output")(pooled)[:, 0]


class LetterCNN(nn.Module):
    """Sums of embeddings -> convolutions over neighbouring letters -> pooling over time -> a logit.

    At each letter of a text stand several tokens: it, and the n-grams that end with it. Their
    embeddings are added up (Bojanowski et al., "Enriching word vectors with subword information",
    2017, who do so for words), and convolutions of several windows read the sums (Kim,
    "Convolutional neural networks for sentence classification", 2014).

    Attributes:
        vocabulary: numbers of tokens; 0 is no token and adds nothing.
        letters: how many of them, the first ones, are letters; n-grams say nothing at first.
        embedding: numbers that stand for a token.
        windows: neighbouring letters that a filter sees, one convolution for each.
        filters: of each window; the largest value over the text and the mean are read.
    """

    convolves = True

    vocabulary: int
    letters: int
    embedding: int = 16
    windows: Sequence[int] = (1, 2, 3)
    filters: int = 48

    @nn.compact
    def __call__(
        self,
        tokens: Integer[np.ndarray | Array, "batch length kinds"],
        train: bool,
        rate: float = 0.0,
        token_rate: float = 0.0,
    ) -> Float[Array, " batch"]:
        """`rate` is the dropout of embedded letters and pooled features, `token_rate` of tokens."""

        def drop(x, rate):
            return dropout(x, rate, self.make_rng("dropout") if train else None)

        table = self.param("embedding", self._start, (self.vocabulary, self.embedding))
        tokens = tokens.astype(jnp.int32)
        there = (tokens > 0).astype(table.dtype)
        kept = drop(there, token_rate)
        x = drop((table[tokens] * kept[..., None]).sum(axis=2), rate)
        maps = nn.relu(jnp.concatenate([Conv1D(self.filters, n)(x) for n in self.windows], axis=-1))
        pooled = drop(max_and_mean(maps, there[:, :, :1]), rate)
        return nn.Dense(1, kernel_init=glorot, name="output")(pooled)[:, 0]

    def _start(self, key, shape):
        letter = jnp.arange(shape[0])[:, None] < self.letters
        return jnp.where(letter, keras_embedding(key, shape), 0)


class TextRNN(nn.Module):
    """Embedding -> recurrent layer -> largest value over time and mean of each unit -> one logit.

    Attributes:
        vocabulary, embedding, word_rate: see `ReadWords`.
        cell: makes the recurrent cell from its number of units: `GRUCell` or `LSTMCell`.
        units: in each direction.
        bidirectional: a second layer reads from the end.
        dropout_rate: of the embedded words and of the pooled features.
    """

    vocabulary: int
    cell: Callable[[int], nn.RNNCellBase]
    embedding: int = 32
    units: int = 32
    bidirectional: bool = False
    word_rate: float = 0.5
    dropout_rate: float = 0.3

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> Float[Array, " batch"]:
        read = ReadWords(
            self.vocabulary, self.embedding, self.word_rate, self.dropout_rate, name="words"
        )
        x, there = read(tokens, train)
        layer = nn.RNN(self.cell(self.units))
        if self.bidirectional:
            layer = nn.Bidirectional(layer, nn.RNN(self.cell(self.units)))
        pooled = max_and_mean(layer(x), there)
        pooled = nn.Dropout(self.dropout_rate, deterministic=not train)(pooled)
        return nn.Dense(1, kernel_init=glorot, name="output")(pooled)[:, 0]
