"""Solutions of the exercises on Korean reviews."""

import unicodedata

from jaxdl.text import ngrams


def test_nsmc_1_a_syllable_taken_apart():
    number = ord("값") - 0xAC00
    initial, medial, final = number // 588, number % 588 // 28, number % 28
    assert (initial, medial, final) == (0, 0, 18)  # ㄱ, ㅏ, ㅄ
    parts = chr(0x1100 + initial) + chr(0x1161 + medial) + chr(0x11A7 + final)
    assert parts == unicodedata.normalize("NFD", "값")
    assert [ord(part) for part in parts] == ngrams.jamo(*ngrams.code_points(["값"]))[0].tolist()


def grams(text: str) -> set[str]:
    """1- and 2-grams of letters."""
    return set(text) | {text[i : i + 2] for i in range(len(text) - 1)}


def test_nsmc_2_a_stem_is_shared_by_n_grams_only():
    reviews = ["재밌다", "재밌네요", "재밌었음"]
    assert set.intersection(*(set(review.split()) for review in reviews)) == set()
    assert set.intersection(*map(grams, reviews)) == {"재", "밌", "재밌"}


def test_nsmc_3_without_spaces_a_bag_of_words_knows_nothing():
    review = "정말 재밌는 영화"
    closed = review.replace(" ", "")
    assert not set(closed.split()) & set(review.split())
    kept = {gram for gram in grams(review) if " " not in gram}
    assert len(kept) == 11
    assert kept <= grams(closed)  # only those across a space are lost
