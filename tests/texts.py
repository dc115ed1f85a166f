"""Texts small enough for tests, and their multi-hot matrix written out."""

import itertools

import numpy as np

VOCABULARY = 50


def some_texts() -> tuple[np.ndarray, np.ndarray]:
    """20 texts of 1 to 40 words, some of them often, and one of every word: tokens, starts."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, 20)
    rows = [rng.zipf(1.5, n) % VOCABULARY for n in lengths] + [np.arange(VOCABULARY)]
    return np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)])


def multi_hot_matrix(tokens: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """1 where a text has a word: [texts, VOCABULARY]."""
    matrix = np.zeros((len(starts) - 1, VOCABULARY), np.float32)
    for row, (a, b) in enumerate(itertools.pairwise(starts)):
        matrix[row, tokens[a:b]] = 1
    return matrix
