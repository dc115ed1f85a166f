"""Character n-grams of texts, of letters or of the parts of Korean syllables, in NumPy.

Texts lie one after the other, as in `jaxdl.text.bag_of_words`: letter i of a text is a number, and
text k is `letters[starts[k] : starts[k + 1]]`. An n-gram is one number too: n letters as the digits
of a number, so that no two n-grams, of whatever length, share one.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int64, UInt

# Unicode, "Conjoining Jamo Behavior", section 3.12: 19 initials x 21 medials x 28 finals, where the
# first final stands for none
FIRST_SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3
FIRST_INITIAL, FIRST_MEDIAL, NO_FINAL = 0x1100, 0x1161, 0x11A7
MEDIALS, FINALS = 21, 28


def code_points(
    texts: Sequence[str],
) -> tuple[Int64[np.ndarray, " letters"], Int64[np.ndarray, " bounds"]]:
    """Unicode numbers of the texts' letters, and where each text starts.

    >>> code_points(["ab", "", "가"])
    (array([   97,    98, 44032]), array([0, 2, 2, 3]))
    """
    letters = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).astype(np.int64)
    return letters, np.cumsum([0, *map(len, texts)], dtype=np.int64)


def jamo(
    letters: Int64[np.ndarray, " letters"], starts: Int64[np.ndarray, " bounds"]
) -> tuple[Int64[np.ndarray, " parts"], Int64[np.ndarray, " bounds"]]:
    """Every Hangul syllable taken apart: initial, medial and, if there is one, final.

    A syllable's number is 0xAC00 + (initial * 21 + medial) * 28 + final. Other letters stay, those
    like ㅋ among them, which stand alone.

    >>> parts, starts = jamo(*code_points(["한가 a"]))
    >>> [hex(part) for part in parts], starts
    (['0x1112', '0x1161', '0x11ab', '0x1100', '0x1161', '0x20', '0x61'], array([0, 7]))
    """
    syllable = (letters >= FIRST_SYLLABLE) & (letters <= LAST_SYLLABLE)
    number = np.where(syllable, letters - FIRST_SYLLABLE, 0)
    pair, final = np.divmod(number, FINALS)
    initial, medial = np.divmod(pair, MEDIALS)
    parts = np.stack(
        [
            np.where(syllable, FIRST_INITIAL + initial, letters),
            FIRST_MEDIAL + medial,
            NO_FINAL + final,
        ],
        axis=1,
    )
    there = np.stack([np.ones_like(syllable), syllable, syllable & (final > 0)], axis=1)
    length = np.append(0, np.cumsum(there.sum(axis=1)))
    return parts[there], length[starts]


def numbered(
    letters: Int64[np.ndarray, " letters"], alphabet: Int64[np.ndarray, " known"]
) -> Int64[np.ndarray, " letters"]:
    """The place of each letter in a sorted alphabet, from 1 on; 0 for a letter not in it.

    >>> numbered(np.array([98, 120, 97]), alphabet=np.array([97, 98]))
    array([2, 0, 1])
    """
    place = np.minimum(np.searchsorted(alphabet, letters), len(alphabet) - 1)
    return np.where(alphabet[place] == letters, place + 1, 0)


def n_grams(
    numbers: Int64[np.ndarray, " letters"],
    starts: Int64[np.ndarray, " bounds"],
    longest: int,
    base: int,
) -> tuple[Int64[np.ndarray, " grams"], Int64[np.ndarray, " bounds"]]:
    """All n-grams of 1 to `longest` letters of each text, text after text.

    Args:
        numbers: from `numbered`: 1 to base - 1, or 0 for a letter that is in no n-gram.
        starts: where each text starts.
        longest: letters of the longest n-grams.
        base: of the number that an n-gram is: one more than the alphabet has letters.

    Returns:
        Codes and where each text starts.

    Raises:
        ValueError: such n-grams do not fit a number of 63 bits.

    >>> n_grams(np.array([1, 2, 3]), np.array([0, 2, 3]), longest=2, base=10)
    (array([ 1,  2, 12,  3]), array([0, 3, 4]))
    """
    if longest < 1 or base**longest >= 1 << 63:
        raise ValueError(f"n-grams of 1 to {longest} of {base - 1} letters do not fit a number")
    text_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    codes, texts = [], []
    code, whole = np.zeros_like(numbers), np.ones(len(numbers), bool)
    for n in range(1, min(longest, len(numbers)) + 1):
        last = slice(n - 1, None)  # the n-th letter of the n-grams that begin at 0, 1, 2, ...
        count = len(numbers) - n + 1
        code = code[:count] * base + numbers[last]
        whole = whole[:count] & (numbers[last] > 0) & (text_of[last] == text_of[:count])
        codes.append(code[whole])
        texts.append(text_of[:count][whole])
    if not codes:
        return numbers, starts
    text = np.concatenate(texts)
    # each length's texts ascend, and a stable sort merges such runs
    order = np.argsort(text, kind="stable")
    count_of_text = np.bincount(text, minlength=len(starts) - 1)
    return np.concatenate(codes)[order], np.append(0, np.cumsum(count_of_text))


def n_grams_at(
    numbers: Int64[np.ndarray, " letters"],
    starts: Int64[np.ndarray, " bounds"],
    n: int,
    base: int,
) -> Int64[np.ndarray, " letters"]:
    """The n-gram that ends with each letter, numbered as by `n_grams`; 0 where there is none.

    There is none at the first n - 1 letters of a text, nor with a letter of number 0 in it.

    >>> n_grams_at(np.array([1, 2, 3, 4]), np.array([0, 3, 4]), n=2, base=10)
    array([ 0, 12, 23,  0])
    """
    if n < 1 or base**n >= 1 << 63:
        raise ValueError(f"n-grams of {n} of {base - 1} letters do not fit a number")
    place = np.arange(len(numbers)) - np.repeat(starts[:-1], np.diff(starts))
    code, whole = np.zeros_like(numbers), place >= n - 1
    for back in range(n):
        before = np.roll(numbers, back)
        code += before * base**back
        whole &= before > 0
    return np.where(whole, code, 0)


def most_frequent(
    distinct: Int64[np.ndarray, " codes"],
    count: Int64[np.ndarray, " codes"],
    most: int,
    least: int = 2,
) -> Int64[np.ndarray, " kept"]:
    """The `most` codes that occur most often, at least `least` times, in ascending order.

    Of codes that occur as often as one another the lowest are kept. Count in training texts only.

    Args:
        distinct, count: from `np.unique(codes, return_counts=True)`.
        most: how many codes at most.
        least: occurrences of a code at least.

    >>> most_frequent(np.array([1, 5, 7, 9]), np.array([1, 2, 3, 2]), most=2)
    array([5, 7])
    """
    often = np.flatnonzero(count >= least)
    return np.sort(distinct[often[np.argsort(-count[often], kind="stable")[:most]]])


def kept_only(
    codes: Int64[np.ndarray, " grams"],
    starts: Int64[np.ndarray, " bounds"],
    vocabulary: Int64[np.ndarray, " kept"],
) -> tuple[Int64[np.ndarray, " tokens"], Int64[np.ndarray, " bounds"]]:
    """Places in the vocabulary of the codes that are in it, and where each text then starts.

    >>> kept_only(np.array([5, 6, 7]), np.array([0, 2, 3]), vocabulary=np.array([5, 7]))
    (array([0, 1]), array([0, 1, 2]))
    """
    place = numbered(codes, vocabulary) - 1
    known = place >= 0
    return place[known], np.append(0, np.cumsum(known))[starts]


def spelled(code: int, alphabet: Int[np.ndarray, " known"]) -> str:
    """The letters of an n-gram; parts of syllables are put together again where they make one.

    >>> alphabet = np.array([97, 98])
    >>> spelled(1 * 3 + 2, alphabet)  # base 3, as there are two letters
    'ab'
    """
    letters = []
    while code:
        code, number = divmod(code, len(alphabet) + 1)
        letters.append(chr(alphabet[number - 1]))
    return unicodedata.normalize("NFC", "".join(reversed(letters)))


def last_tokens(
    tokens: Int[np.ndarray, " letters"], starts: Int[np.ndarray, " bounds"], length: int
) -> UInt[np.ndarray, "bounds-1 length"]:
    """The last `length` tokens of each text, zeros in front of a shorter one.

    >>> last_tokens(np.array([5, 6, 7, 8]), np.array([0, 1, 4]), length=2)
    array([[0, 5],
           [7, 8]], dtype=uint32)
    """
    position = starts[1:, None] - length + np.arange(length)
    inside = position >= starts[:-1, None]
    if not len(tokens):
        return np.zeros(inside.shape, np.uint32)
    return np.where(inside, tokens[np.where(inside, position, 0)], 0).astype(np.uint32)
