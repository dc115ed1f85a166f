"""Lists of words and of word pairs are the multi-hot vectors that they stand for."""

import numpy as np
import pytest

from jaxdl.text import bag_of_words
from tests.texts import VOCABULARY, multi_hot_matrix, some_texts


def test_lists_of_words_are_the_multi_hot_matrix():
    words = bag_of_words.multi_hot(*some_texts(), VOCABULARY)
    matrix = np.zeros((len(words), VOCABULARY + 1), np.float32)
    for row, listed in enumerate(words):
        real = listed[listed < VOCABULARY]
        assert (np.diff(real.astype(int)) > 0).all()
        matrix[row, listed] = 1
    np.testing.assert_array_equal(matrix[:, :VOCABULARY], multi_hot_matrix(*some_texts()))
    with pytest.raises(ValueError, match="outside"):
        bag_of_words.multi_hot(*some_texts(), VOCABULARY - 1)


def test_pairs_are_neighbours_inside_one_text():
    tokens = np.array([1, 7, 8, 7, 8, 9, 1, 7, 8, 2, 9, 1, 9, 7], np.int32)
    starts = np.array([0, 6, 11, 14])
    pairs = bag_of_words.frequent_pairs(tokens, starts, 10, most=2, ignore=2)
    # (7, 8) stands in two texts, the others in one: the lower code comes first
    assert pairs.tolist() == [78, 87]
    words = bag_of_words.multi_hot(tokens, starts, 10, pairs)
    assert [[int(n) for n in row if n < 12] for row in words] == [
        [1, 7, 8, 9, 10, 11],
        [1, 2, 7, 8, 9, 10],
        [1, 7, 9],
    ]
    everything = bag_of_words.frequent_pairs(tokens, starts, 10, most=100, ignore=0)
    assert 91 not in everything  # the end of one text and the start of the next
