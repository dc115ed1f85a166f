"""Texts as bags of words and of word pairs, in NumPy.

A multi-hot vector of 10,000 words has some 130 ones. Here it is the list of where they are: each
distinct word of a text once, ascending, filled up with `vocabulary`, which is no word's number.
`jaxdl.models.text.bag_sum` multiplies such a list with a kernel.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Num, UInt
from scipy.sparse import csr_matrix


def multi_hot(
    tokens: Int[np.ndarray, " words"],
    starts: Int[np.ndarray, " bounds"],
    vocabulary: int,
    pairs: Int[np.ndarray, " pairs"] | None = None,
) -> UInt[np.ndarray, "bounds-1 widest"]:
    """Where the ones of each text's multi-hot vector are.

    Args:
        tokens: numbers of words, from 0 and below `vocabulary`, the texts one after the other.
        starts: text i is `tokens[starts[i] : starts[i + 1]]`; one more than there are texts.
        vocabulary: length of the multi-hot vector of words.
        pairs: from `frequent_pairs`; pair k of them becomes the number `vocabulary + k`.

    Returns:
        Ascending numbers, filled up with vocabulary + number of pairs.

    Raises:
        ValueError: a token outside the vocabulary.

    >>> multi_hot(np.array([3, 1, 3, 0]), np.array([0, 3, 4]), vocabulary=5)  # 3 1 3, and 0
    array([[1, 3],
           [0, 5]], dtype=uint16)
    """
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < vocabulary:
        raise ValueError(f"tokens lie outside 0..{vocabulary - 1}")
    rows, numbers = _row_of_token(starts), tokens.astype(np.int64)
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
    starts: Int[np.ndarray, " bounds"],
    label: Int[np.ndarray, " rows"],
    vocabulary: int,
    pairs: Int[np.ndarray, " pairs"] | None = None,
) -> dict[str, UInt[np.ndarray, "rows widest"] | Float[np.ndarray, " rows"]]:
    """{"x": `multi_hot`, "y": label as float32}: data for `jaxdl.text.sentiment_task`."""
    return {"x": multi_hot(tokens, starts, vocabulary, pairs), "y": label.astype(np.float32)}


def sparse_matrix(words: UInt[np.ndarray, "rows widest"], columns: int) -> csr_matrix:
    """The same multi-hot matrix [rows, columns] in SciPy's compressed form, for scikit-learn.

    >>> sparse_matrix(np.array([[1, 3], [0, 5]], np.uint16), columns=5).toarray()
    array([[0., 1., 0., 1., 0.],
           [1., 0., 0., 0., 0.]], dtype=float32)
    """
    real = words < columns
    starts = np.append(0, np.cumsum(real.sum(axis=1)))
    ones = np.ones(starts[-1], np.float32)
    return csr_matrix((ones, words[real].astype(np.int32), starts), shape=(len(words), columns))


def log_count_ratio(
    words: UInt[np.ndarray, "rows widest"], label: Num[np.ndarray, " rows"], columns: int
) -> Float[np.ndarray, " columns"]:
    """Naive Bayes's log-count ratio: the log of each word's share in class 1 over that in class 0.

    Wang and Manning, "Baselines and bigrams" (2012), with their smoothing of one. Its size is a
    fixed weight of the word in a model of these texts. Call it on training texts only.

    Args:
        words: from `multi_hot`.
        label: 0 or 1.
        columns: length of the multi-hot vector.

    >>> words = np.array([[0, 1], [0, 2]], np.uint16)  # 2 stands for nothing
    >>> log_count_ratio(words, np.array([1, 0]), columns=2).round(3)  # 2/4 to 2/3, 2/4 to 1/3
    array([-0.288,  0.405])
    """
    counts = [
        1.0 + np.bincount(of_class[of_class < columns], minlength=columns)
        for of_class in (words[label == 1], words[label == 0])
    ]
    positive, negative = (np.log(count / count.sum()) for count in counts)
    return positive - negative


def naive_bayes_weights(
    words: UInt[np.ndarray, "rows widest"], label: Num[np.ndarray, " rows"], columns: int
) -> Float[np.ndarray, " columns"]:
    """How unevenly each word stands in the two classes: twice |`log_count_ratio`|.

    Fixed weights of the ones of a multi-hot vector. Twice, so that an average word of film reviews
    has a weight near 1. Call it on training texts only.

    Args:
        words, label, columns: see `log_count_ratio`.
    """
    return 2 * np.abs(log_count_ratio(words, label, columns))


def frequent_pairs(
    tokens: Int[np.ndarray, " words"],
    starts: Int[np.ndarray, " bounds"],
    vocabulary: int,
    most: int,
    ignore: int,
) -> Int[np.ndarray, " pairs"]:
    """The `most` pairs of neighbouring words that occur in most texts, as ascending codes.

    The code of a pair is first * vocabulary + second. Call it on training texts only.

    Args:
        tokens, starts, vocabulary: as for `multi_hot`.
        most: how many pairs at most; of pairs in equally many texts those with the lowest code.
        ignore: numbers up to this one (start, unknown) form no pair.

    >>> frequent_pairs(np.array([7, 8, 9, 7, 8]), np.array([0, 3, 5]), 10, most=1, ignore=2)
    array([78])
    """
    codes, inside = _pair_codes(tokens, starts, vocabulary)
    inside &= (tokens[:-1] > ignore) & (tokens[1:] > ignore)
    once = np.unique(np.stack([codes[inside], _row_of_token(starts)[:-1][inside]]), axis=1)
    codes, texts = np.unique(once[0], return_counts=True)
    return np.sort(codes[np.lexsort((codes, -texts))[:most]])


def _row_of_token(starts: Int[np.ndarray, " bounds"]) -> Int[np.ndarray, " words"]:
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def _pair_codes(
    tokens: Int[np.ndarray, " words"], starts: Int[np.ndarray, " bounds"], vocabulary: int
) -> tuple[Int[np.ndarray, " words-1"], Bool[np.ndarray, " words-1"]]:
    """The code of each token and the next one, and where both are of the same text."""
    codes = tokens[:-1].astype(np.int64) * vocabulary + tokens[1:]
    inside = np.ones(len(codes), bool)
    inside[starts[1:-1] - 1] = False
    return codes, inside
