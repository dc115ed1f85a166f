"""Texts as bags of words and of word pairs, in NumPy.

A multi-hot vector of 10,000 words has some 130 ones. Here it is the list of where they are: each
distinct word of a text once, ascending, filled up with `vocabulary`, which is no word's number.
`jaxdl.models.text.bag_sum` multiplies such a list with a kernel.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Num, UInt
from scipy.sparse import csr_matrix


def multi_hot(
    tokens: Int[np.ndarray, " words"],
    starts: Int[np.ndarray, " bounds"],
    vocabulary: int,
    pairs: Int[np.ndarray, " pairs"] | None = None,
    endings: Sequence[int] = (),
) -> UInt[np.ndarray, "bounds-1 widest"]:
    """Where the ones of each text's multi-hot vector are.

    Args:
        tokens: numbers of words, from 0 and below `vocabulary`, the texts one after the other.
        starts: text i is `tokens[starts[i] : starts[i + 1]]`; one more than there are texts.
        vocabulary: length of the multi-hot vector of words.
        pairs: ascending, from `frequent_pairs`; pair k becomes the number `vocabulary + k`.
        endings: so many words at the end of a text are named once more, by numbers of their own
            behind those of the pairs: word w by `vocabulary + len(pairs) + w` for the first of
            these lengths, and so on.

    Returns:
        Ascending numbers, filled up with `columns(vocabulary, pairs, endings)`.

    Raises:
        ValueError: a token outside the vocabulary.

    >>> multi_hot(np.array([3, 1, 3, 0]), np.array([0, 3, 4]), vocabulary=5)  # 3 1 3, and 0
    array([[1, 3],
           [0, 5]], dtype=uint16)
    >>> multi_hot(np.array([3, 1, 3, 0]), np.array([0, 3, 4]), vocabulary=5, endings=[1])
    array([[ 1,  3,  8],
           [ 0,  5, 10]], dtype=uint16)
    """
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < vocabulary:
        raise ValueError(f"tokens lie outside 0..{vocabulary - 1}")
    row_of_token, every = _row_of_token(starts), tokens.astype(np.int64)
    rows, numbers = [row_of_token], [every]
    size = columns(vocabulary, pairs, endings)
    if pairs is not None and len(pairs):
        for between in range(int(pairs[-1]) // vocabulary**2 + 1):
            codes, inside = _pair_codes(tokens, starts, vocabulary, between)
            place = np.minimum(np.searchsorted(pairs, codes), len(pairs) - 1)
            kept = inside & (pairs[place] == codes)
            rows.append(row_of_token[: len(codes)][kept])
            numbers.append(vocabulary + place[kept])
    for place, length in enumerate(endings):
        last = np.arange(len(tokens)) >= (starts[1:] - length)[row_of_token]
        rows.append(row_of_token[last])
        numbers.append(size - (len(endings) - place) * vocabulary + every[last])
    distinct = np.unique(np.concatenate(rows) * size + np.concatenate(numbers))
    row, number = np.divmod(distinct, size)
    count = np.bincount(row, minlength=len(starts) - 1)
    position = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    kind = np.uint16 if size < 1 << 16 else np.uint32
    table = np.full((len(count), count.max(initial=1)), size, kind)
    table[row, position] = number
    return table


def columns(
    vocabulary: int, pairs: Int[np.ndarray, " pairs"] | None = None, endings: Sequence[int] = ()
) -> int:
    """Length of the multi-hot vector; see `multi_hot`.

    >>> columns(5, np.array([7, 8]), endings=[3])
    12
    """
    return vocabulary * (1 + len(endings)) + (0 if pairs is None else len(pairs))


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


def distinct_words(
    words: UInt[np.ndarray, "rows length"], columns: int
) -> UInt[np.ndarray, "rows length"]:
    """Each number of a row once, ascending; `columns` in the places of its repetitions.

    Args:
        words: numbers of words below `columns`, in order, or `columns` for no word.
        columns: how many words there are.

    >>> distinct_words(np.array([[3, 1, 3], [0, 2, 1]], np.uint16), columns=5)
    array([[1, 3, 5],
           [0, 1, 2]], dtype=uint16)
    """
    ordered = np.sort(words, axis=1)
    repeated = ordered[:, 1:] == ordered[:, :-1]
    ordered[:, 1:][repeated] = columns
    return np.sort(ordered, axis=1)


def log_count_ratio(
    words: UInt[np.ndarray, "rows widest"], label: Num[np.ndarray, " rows"], columns: int
) -> Float[np.ndarray, " columns"]:
    """Naive Bayes's log-count ratio: the log of each word's share in class 1 over that in class 0.

    Wang and Manning, "Baselines and bigrams" (2012), with their smoothing of one. Its size is a
    fixed weight of the word in a model of these texts. Call it on training texts only.

    Args:
        words: from `multi_hot` or `distinct_words`.
        label: 0 or 1.
        columns: words that have a ratio; larger numbers stand for nothing.

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
    between: int = 0,
) -> Int[np.ndarray, " pairs"]:
    """The `most` pairs of words that occur in most texts, as ascending codes.

    The code of a pair is (between * vocabulary + first) * vocabulary + second. Call it on training
    texts only.

    Args:
        tokens, starts, vocabulary: as for `multi_hot`.
        most: how many pairs at most; of pairs in equally many texts those with the lowest code.
        ignore: numbers up to this one (start, unknown) form no pair.
        between: words between the two of a pair; 0 for neighbours.

    >>> frequent_pairs(np.array([7, 8, 9, 7, 8]), np.array([0, 3, 5]), 10, most=1, ignore=2)
    array([78])
    """
    codes, inside = _pair_codes(tokens, starts, vocabulary, between)
    first, second = tokens[: len(codes)], tokens[len(tokens) - len(codes) :]
    inside &= (first > ignore) & (second > ignore)
    row_of_pair = _row_of_token(starts)[: len(codes)]
    once = np.unique(np.stack([codes[inside], row_of_pair[inside]]), axis=1)
    codes, texts = np.unique(once[0], return_counts=True)
    return np.sort(codes[np.lexsort((codes, -texts))[:most]])


def _row_of_token(starts: Int[np.ndarray, " bounds"]) -> Int[np.ndarray, " words"]:
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def _pair_codes(
    tokens: Int[np.ndarray, " words"],
    starts: Int[np.ndarray, " bounds"],
    vocabulary: int,
    between: int,
) -> tuple[Int[np.ndarray, " pairs"], Bool[np.ndarray, " pairs"]]:
    """The code of each token and a later one, and where both are of the same text."""
    count = max(len(tokens) - 1 - between, 0)
    first, second = tokens[:count].astype(np.int64), tokens[len(tokens) - count :]
    row = _row_of_token(starts)
    inside = row[:count] == row[len(tokens) - count :]
    return (between * vocabulary + first) * vocabulary + second, inside
