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


def test_pairs_may_have_words_between_them():
    tokens = np.array([7, 5, 8, 7, 6, 8, 9, 3, 8], np.int32)
    starts = np.array([0, 3, 7, 9])
    apart = bag_of_words.frequent_pairs(tokens, starts, 10, most=1, ignore=2, between=1)
    assert apart.tolist() == [178]  # 7 and 8 with one word between, in two texts
    neighbours = bag_of_words.frequent_pairs(tokens, starts, 10, most=100, ignore=2)
    pairs = np.concatenate([neighbours, apart])
    words = bag_of_words.multi_hot(tokens, starts, 10, pairs)
    apart_number = 10 + len(neighbours)
    assert [apart_number in row for row in words] == [True, True, False]
    assert (10 + neighbours.tolist().index(75)) not in words[1]
    assert words.max() == bag_of_words.columns(10, pairs)


def test_last_words_have_numbers_of_their_own():
    tokens, starts = np.array([5, 6, 5, 7, 8], np.int32), np.array([0, 3, 4, 5, 5])
    pairs = np.array([56])
    words = bag_of_words.multi_hot(tokens, starts, 10, pairs, endings=[2, 1])
    assert bag_of_words.columns(10, pairs, endings=[2, 1]) == 31
    assert [[int(n) for n in row if n < 31] for row in words] == [
        [5, 6, 10, 16, 17, 26],
        [7, 18, 28],
        [8, 19, 29],
        [],
    ]
