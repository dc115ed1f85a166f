"""Texts as bags of words (and of word pairs) or as sequences of one length, in NumPy.

A multi-hot vector of 10,000 words has some 130 ones. Here it is the list of where they are: each
distinct word of a text once, ascending, filled up with `vocabulary`, which is no word's number.
`jaxdl.models.text.bag_sum` multiplies such a list with a kernel.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt

Examples = Mapping[str, np.ndarray]  # as `examples` makes them


def multi_hot(
    tokens: Int[np.ndarray, " words"],
    starts: Int[np.ndarray, " rows+1"],
    vocabulary: int,
    pairs: Int[np.ndarray, " pairs"] | None = None,
) -> UInt[np.ndarray, "rows widest"]:
    """Where the ones of each text's multi-hot vector are.

    Args:
        tokens, starts: text i is `tokens[starts[i] : starts[i + 1]]`, numbers below `vocabulary`.
        vocabulary: length of the multi-hot vector of words.
        pairs: from `frequent_pairs`; pair k of them becomes the number `vocabulary + k`.

    Returns:
        Ascending numbers, filled up with vocabulary + number of pairs.

    Raises:
        ValueError: a token outside the vocabulary.
    """
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < vocabulary:
        raise ValueError(f"tokens lie outside 0..{vocabulary - 1}")
    rows, numbers = _row_of(starts), tokens.astype(np.int64)
    columns = vocabulary + (0 if pairs is None else len(pairs))
    if pairs is not None and len(pairs):
        codes, inside = _pair_codes(tokens, starts, vocabulary)
        place = np.minimum(np.searchsorted(pairs, codes), len(pairs) - 1)
        kept = inside & (pairs[place] == codes)
        rows = np.concatenate([rows, rows[:-1][kept]])
        numbers = np.concatenate([numbers, vocabulary + place[kept]])
    distinct = np.unique(rows * columns + numbers)
    rows, numbers = np.divmod(distinct, columns)
    count = np.bincount(rows, minlength=len(starts) - 1)
    position = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    kind = np.uint16 if columns < 1 << 16 else np.uint32
    table = np.full((len(count), count.max(initial=1)), columns, kind)
    table[rows, position] = numbers
    return table


def examples(
    tokens: Int[np.ndarray, " words"],
    starts: Int[np.ndarray, " rows+1"],
    label: Int[np.ndarray, " rows"],
    vocabulary: int,
    pairs: Int[np.ndarray, " pairs"] | None = None,
) -> dict[str, np.ndarray]:
    """{"x": `multi_hot`, "y": label as float32}: a batch for `jaxdl.text.sentiment_task`."""
    return {"x": multi_hot(tokens, starts, vocabulary, pairs), "y": label.astype(np.float32)}


def sparse_matrix(words: UInt[np.ndarray, "rows widest"], columns: int) -> Any:
    """The same multi-hot matrix in SciPy's CSR form, for scikit-learn."""
    from scipy.sparse import csr_matrix

    real = words < columns
    starts = np.append(0, np.cumsum(real.sum(axis=1)))
    ones = np.ones(starts[-1], np.float32)
    return csr_matrix((ones, words[real].astype(np.int32), starts), shape=(len(words), columns))


def frequent_pairs(
    tokens: Int[np.ndarray, " words"],
    starts: Int[np.ndarray, " rows+1"],
    vocabulary: int,
    most: int,
    ignore: int,
) -> Int[np.ndarray, " pairs"]:
    """The `most` pairs of neighbouring words that stand in most texts, as ascending codes.

    Call it on training texts only. Equal counts are decided by the code.

    Args:
        tokens, starts, vocabulary: as for `multi_hot`.
        most: how many pairs at most.
        ignore: numbers up to this one (start, unknown) form no pair.
    """
    codes, inside = _pair_codes(tokens, starts, vocabulary)
    inside &= (tokens[:-1] > ignore) & (tokens[1:] > ignore)
    once = np.unique(np.stack([codes[inside], _row_of(starts)[:-1][inside]]), axis=1)
    codes, texts = np.unique(once[0], return_counts=True)
    return np.sort(codes[np.lexsort((codes, -texts))[:most]])


def class_weights(
    words: UInt[np.ndarray, "rows widest"], label: Float[np.ndarray, " rows"], columns: int
) -> Float[np.ndarray, " columns"]:
    """How unevenly each word stands in the two classes: twice |log of the ratio of its shares|.

    Wang and Manning, "Baselines and bigrams" (2012): naive Bayes's log-count ratio as a fixed
    weight of the features, with their smoothing of one. Twice, so that an average word of film
    reviews has a weight near 1. Call it on training texts only.

    Args:
        words: from `multi_hot`.
        label: 0 or 1.
        columns: length of the multi-hot vector.
    """
    matrix = sparse_matrix(words, columns)
    counts = [1.0 + matrix[label == kind].getnnz(axis=0) for kind in (0, 1)]
    against, for_ = (np.log(count / count.sum()) for count in counts)
    return 2 * np.abs(for_ - against)


def sequences(
    tokens: Int[np.ndarray, " words"], starts: Int[np.ndarray, " rows+1"], length: int
) -> UInt[np.ndarray, "rows length"]:
    """The last `length` words of each text, zeros in front of a shorter one (Keras's default)."""
    position = starts[1:, None] - length + np.arange(length)
    inside = position >= starts[:-1, None]
    chosen = tokens[np.where(inside, position, 0)]
    return np.where(inside, chosen, 0).astype(np.uint16 if tokens.max() < 1 << 16 else np.uint32)


def subset(
    tokens: Int[np.ndarray, " words"],
    starts: Int[np.ndarray, " rows+1"],
    rows: Int[np.ndarray, " chosen"],
) -> tuple[Int[np.ndarray, " words"], Int[np.ndarray, " chosen+1"]]:
    """Tokens and starts of the chosen texts, in the given order."""
    length = np.diff(starts)[rows]
    ends = np.cumsum(length)
    index = np.arange(ends[-1]) + np.repeat(starts[rows] - (ends - length), length)
    return tokens[index], np.append(0, ends)


def logistic_regression(
    columns: int,
    part: Examples,
    valid: Examples,
    train: Examples,
    test: Examples,
    strengths: Sequence[float] = (0.01, 0.03, 0.1),
) -> dict[str, float]:
    """The linear baseline (scikit-learn's, with L2) on lists of words.

    Args:
        columns: length of the multi-hot vector.
        part, valid: the strength C is chosen by the accuracy on `valid` after training on `part`.
        train, test: then it is trained on `train` and tested once.
        strengths: values of C.

    Returns:
        "validation accuracy" and "test accuracy".
    """
    from sklearn.linear_model import LogisticRegression

    part, valid, train, test = (
        (sparse_matrix(data["x"], columns), data["y"]) for data in (part, valid, train, test)
    )
    scores = {c: LogisticRegression(C=c, max_iter=300).fit(*part).score(*valid) for c in strengths}
    best = max(scores, key=scores.__getitem__)
    tested = LogisticRegression(C=best, max_iter=300).fit(*train).score(*test)
    return {"validation accuracy": scores[best], "test accuracy": tested}


def _row_of(starts):
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def _pair_codes(tokens, starts, vocabulary):
    """first * vocabulary + second for each place, and where both are of the same text."""
    codes = tokens[:-1].astype(np.int64) * vocabulary + tokens[1:]
    inside = np.ones(len(codes), bool)
    inside[starts[1:-1] - 1] = False
    return codes, inside
