"""N-grams of letters and of the parts of Korean syllables are those written out in Python."""

import itertools
import unicodedata

import numpy as np
import pytest

from jaxdl.text import bag_of_words, ngrams

TEXTS = ["재밌다", "", "굿 ㅋㅋ ok", "각", "값진 영화!", "a"]


def by_hand(text, longest):
    return [text[i : i + n] for n in range(1, longest + 1) for i in range(len(text) - n + 1)]


def test_jamo_are_unicodes_decomposition():
    parts, starts = ngrams.jamo(*ngrams.code_points(TEXTS))
    for text, (a, b) in zip(TEXTS, itertools.pairwise(starts), strict=True):
        assert "".join(map(chr, parts[a:b])) == unicodedata.normalize("NFD", text)
    every = "".join(map(chr, range(0xAC00, 0xD7A4)))
    parts, _ = ngrams.jamo(*ngrams.code_points([every]))
    assert "".join(map(chr, parts)) == unicodedata.normalize("NFD", every)


@pytest.mark.parametrize("longest", [1, 2, 3, 5])
@pytest.mark.parametrize("of_jamo", [False, True])
def test_n_grams_are_those_written_out(longest, of_jamo):
    letters, starts = ngrams.code_points(TEXTS)
    if of_jamo:
        letters, starts = ngrams.jamo(letters, starts)
    alphabet = np.unique(letters)
    numbers = ngrams.numbered(letters, alphabet)
    codes, bounds = ngrams.n_grams(numbers, starts, longest, len(alphabet) + 1)
    for text, (a, b) in zip(TEXTS, itertools.pairwise(bounds), strict=True):
        written = unicodedata.normalize("NFD", text) if of_jamo else text
        expected = [unicodedata.normalize("NFC", gram) for gram in by_hand(written, longest)]
        assert [ngrams.spelled(int(code), alphabet) for code in codes[a:b]] == expected


def test_a_letter_that_is_not_in_the_alphabet_is_in_no_n_gram():
    letters, starts = ngrams.code_points(["abxab"])
    alphabet = np.array([ord("a"), ord("b")])
    codes, bounds = ngrams.n_grams(ngrams.numbered(letters, alphabet), starts, 2, 3)
    assert [ngrams.spelled(int(code), alphabet) for code in codes] == list("abab") + ["ab", "ab"]
    assert bounds.tolist() == [0, 6]


def test_codes_of_different_length_differ_and_must_fit_a_number():
    numbers = np.array([1, 1, 1])
    codes, _ = ngrams.n_grams(numbers, np.array([0, 3]), 3, 2)
    assert len(set(codes.tolist())) == 3
    ngrams.n_grams(numbers, np.array([0, 3]), 5, 4096)
    for longest, base in ((6, 4096), (0, 2)):
        with pytest.raises(ValueError, match="do not fit"):
            ngrams.n_grams(numbers, np.array([0, 3]), longest, base)


def test_no_letters_at_all():
    letters, starts = ngrams.code_points(["", ""])
    codes, bounds = ngrams.n_grams(letters, starts, 3, 10)
    assert (len(codes), bounds.tolist()) == (0, [0, 0, 0])
    assert ngrams.last_tokens(letters, starts, 2).tolist() == [[0, 0], [0, 0]]
    tokens, kept = ngrams.kept_only(codes, bounds, np.array([3]))
    assert bag_of_words.multi_hot(tokens, kept, 1).tolist() == [[1], [1]]


def test_the_most_frequent_are_kept_and_ties_go_to_the_lowest():
    codes = np.array([9, 4, 4, 8, 8, 8, 2, 2])
    distinct, count = np.unique(codes, return_counts=True)
    assert ngrams.most_frequent(distinct, count, 2).tolist() == [2, 8]
    assert ngrams.most_frequent(distinct, count, 9).tolist() == [2, 4, 8]
    assert ngrams.most_frequent(distinct, count, 9, least=1).tolist() == [2, 4, 8, 9]


def test_last_tokens_keep_the_end_and_pad_in_front():
    tokens, starts = np.array([5, 6, 7, 8, 9]), np.array([0, 2, 2, 5])
    assert ngrams.last_tokens(tokens, starts, 3).tolist() == [[0, 5, 6], [0, 0, 0], [7, 8, 9]]
    assert ngrams.last_tokens(tokens, starts, 2).tolist() == [[5, 6], [0, 0], [8, 9]]


def test_n_grams_at_their_last_letters_are_those_of_the_list():
    letters, starts = np.array([1, 2, 1, 0, 2, 2, 1, 2, 1]), np.array([0, 4, 4, 5, 9])
    for n in (1, 2, 3):
        there = ngrams.n_grams_at(letters, starts, n, base=3)
        listed, _ = ngrams.n_grams(letters, starts, n, base=3)
        least = sum(3**k for k in range(n))  # n digits, none of them 0
        assert sorted(there[there > 0]) == sorted(listed[listed >= least])
    assert there.tolist() == [0, 0, 16, 0, 0, 0, 0, 23, 16]


def test_log_count_ratio_is_that_of_smoothed_shares():
    words = np.array([[0, 1], [0, 3], [1, 2]], np.uint16)  # 3 stands for nothing
    ratio = bag_of_words.log_count_ratio(words, np.array([1.0, 1.0, 0.0]), 3)
    shares_for, shares_against = np.array([3, 2, 1]) / 6, np.array([1, 2, 2]) / 5
    np.testing.assert_allclose(ratio, np.log(shares_for / shares_against))
