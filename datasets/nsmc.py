"""Naver sentiment movie corpus (NSMC): 150,000 + 50,000 short Korean film reviews.

Park, "Naver sentiment movie corpus" (2015), https://github.com/e9t/nsmc; CC0. Data of lab 040 in
Korean. Each review has at most 140 letters or so and a label: 1 for nine or ten stars, 0 for one to
four. The official files hold 5 training and 3 test reviews that are empty, and 1,571 test reviews
whose text is also that of a training review (`repeated`): both are kept here, and told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int8

from datasets import source
from datasets.source import DataError, Provenance, Request

NAME = "NSMC reviews"
ROWS = {"train": 150_000, "test": 50_000}
_ADDRESS = "https://raw.githubusercontent.com/e9t/nsmc/master/"
FILES = {
    "train": source.Upstream(
        folder="nsmc",
        filename="ratings_train.txt",
        url=_ADDRESS + "ratings_train.txt",
        sha256="e03b7d14e9e41be8d464a28057cd25d7396c53e67aa7fd5f7e552c59b0ee2940",
        size=14_628_807,
    ),
    "test": source.Upstream(
        folder="nsmc",
        filename="ratings_test.txt",
        url=_ADDRESS + "ratings_test.txt",
        sha256="8ac9f64052f11dbf6ae0acb5e038f03d90a76f0eda7820cfb3a92d02edfcebda",
        size=4_893_335,
    ),
}
COLUMNS = ["id", "document", "label"]
MAX_BYTES = 1 << 26  # the larger file has 15 MB
MAX_ROWS = 1_000_000
MAX_LETTERS = 10_000  # the longest review has 158
FIRST_SYLLABLE, SYLLABLES = 0xAC00, 11_172


@dataclass(frozen=True)
class ReviewTexts:
    """Reviews as they were typed; `label` 1 is positive."""

    texts: list[str]
    label: Int8[np.ndarray, " rows"]

    def rows(self, chosen: Sequence[int] | np.ndarray) -> "ReviewTexts":
        """Some of the reviews, in the order asked for."""
        return ReviewTexts([self.texts[row] for row in chosen], self.label[chosen])


@dataclass(frozen=True)
class KoreanReviews:
    """Both official halves."""

    train: ReviewTexts
    test: ReviewTexts
    provenance: Provenance


def load(
    request: Request, twin_train: int = ROWS["train"], twin_test: int = ROWS["test"]
) -> KoreanReviews:
    """The published reviews where they can be had, else (source "auto") their simulated twin.

    Args:
        request: source and data folder. Local names: nsmc/ratings_train.txt and ratings_test.txt.
        twin_train, twin_test: reviews of the twin, for quick runs; without effect on other data.

    Raises:
        DataError: a file that is damaged or not the one it should be; nothing found under "real";
            the source "tfds", which has no such data set.
    """
    if request.source == "tfds":
        raise DataError("TensorFlow Datasets has no NSMC: use --source auto, real or simulated")
    found = source.Missing("")
    if request.source != "simulated":
        found = source.find_all(FILES.values(), request)
    if isinstance(found, source.Missing):
        name = f"nsmc-twin-{twin_train}-{twin_test}"
        arrays = source.cached_arrays(name, lambda: _arrays_of_twin(twin_train, twin_test))
        halves = {
            half: ReviewTexts(
                arrays[f"{half}_texts"].tobytes().decode().split("\n"), arrays[f"{half}_label"]
            )
            for half in FILES
        }
        provenance = source.provenance_of_twin(NAME, arrays, _counts(halves), found)
    else:
        halves = {half: read(file.path) for half, file in zip(FILES, found, strict=True)}
        provenance = source.provenance_of(NAME, found, _counts(halves))
    return KoreanReviews(halves["train"], halves["test"], provenance)


def read(path: Path) -> ReviewTexts:
    """Reviews of one file: UTF-8, a line "id, document, label", then a review a line.

    Fields end with a tab, and a quotation mark is a letter like any other. Only a line feed ends a
    line: reviews hold letters that Python's `splitlines` takes for line ends.

    Raises:
        DataError: another form, more than a file of reviews would hold, or one class only.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(f"has {size:,} bytes, more than {MAX_BYTES:,}", file=path)
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"is not UTF-8 (byte {error.start:,})", file=path) from error
    if lines[-1] == "":
        lines.pop()
    if len(lines) > MAX_ROWS:
        raise DataError(f"has {len(lines):,} lines, more than {MAX_ROWS:,}", file=path)
    if not lines or lines[0].rstrip("\r").split("\t") != COLUMNS:
        raise DataError(f"is not {', '.join(COLUMNS)} between tabs", file=path, row=1)
    texts, label = [], []
    for row, line in enumerate(lines[1:], start=2):
        fields = line.rstrip("\r").split("\t")
        if len(fields) != len(COLUMNS):
            problem = f"has {len(fields)} fields between tabs, not {len(COLUMNS)}"
            raise DataError(problem, file=path, row=row)
        _, text, sign = fields
        if sign not in ("0", "1"):
            raise DataError(f"is {sign[:20]!r}, not 0 or 1", file=path, row=row, column="label")
        if len(text) > MAX_LETTERS:
            problem = f"has {len(text):,} letters, more than {MAX_LETTERS:,}"
            raise DataError(problem, file=path, row=row, column="document")
        texts.append(text)
        label.append(int(sign))
    if len(set(label)) < 2:
        raise DataError("needs positive and negative reviews", file=path)
    return ReviewTexts(texts, np.array(label, np.int8))


def is_empty(texts: Sequence[str]) -> Bool[np.ndarray, " rows"]:
    """Which reviews hold no letter: nothing, or spaces only.

    >>> is_empty(["", " ", "재밌다"])
    array([ True,  True, False])
    """
    return np.array([not text.strip() for text in texts], bool)


def repeated(train: Sequence[str], test: Sequence[str]) -> Bool[np.ndarray, " rows"]:
    """Which test reviews have, letter by letter, the text of a training review.

    >>> repeated(["굿", "최고"], ["최고", "최고 ", "별로"])
    array([ True, False, False])
    """
    known = set(train)
    return np.array([text in known for text in test], bool)


def simulate(train: int, test: int, seed: int = 0) -> dict[str, ReviewTexts]:
    """The simulated twin: invented stems with endings, in Hangul, that are seldom set apart.

    A word is a stem of two syllables with one of 24 endings, as Korean has it, and one word in four
    has no space behind it. Of 400 stems 80 lean to one side; how often a review's own agree
    with its label varies. So whole words between spaces are rare, while the stems in them are not.
    A few reviews are empty, and one in fifty is copied from the training half.

    Args:
        train, test: reviews in each half, half of them positive, but for the copied ones.
        seed: draws the reviews; stems and endings are always the same.
    """
    language = np.random.Generator(np.random.PCG64(1))
    stems = _invented(language, 400, 2)
    endings = _invented(language, 12, 1) + _invented(language, 12, 2)
    rng = np.random.Generator(np.random.PCG64(seed))
    halves: dict[str, ReviewTexts] = {}
    for half, rows in (("train", train), ("test", test)):
        label = (np.arange(rows) % 2).astype(np.int8)
        texts = [_invented_review(rng, stems, endings, sign) for sign in label]
        if half == "test":
            for row in rng.choice(rows, rows // 50, replace=False):
                copied = rng.integers(train)
                texts[row] = halves["train"].texts[copied]
                label[row] = halves["train"].label[copied]
        texts[rows // 2] = ""
        halves[half] = ReviewTexts(texts, label)
    return halves


def _invented(rng: np.random.Generator, count: int, syllables: int) -> list[str]:
    """Strings of Hangul syllables."""
    codes = FIRST_SYLLABLE + rng.integers(SYLLABLES, size=(count, syllables))
    return ["".join(map(chr, row)) for row in codes]


def _invented_review(
    rng: np.random.Generator, stems: list[str], endings: list[str], label: int
) -> str:
    """Stems 0 to 39 lean to the negative side, 40 to 79 to the positive, the others to none."""
    words = int(np.clip(rng.lognormal(1.9, 0.6), 2, 30))
    agreement = np.clip(rng.normal(0.8, 0.15), 0.05, 0.95)
    leans = rng.random(words) < 0.3
    side = np.where(rng.random(words) < agreement, label, 1 - label)
    stem = np.where(leans, 40 * side + rng.integers(40, size=words), rng.integers(80, 400, words))
    ending, spaced = rng.integers(len(endings), size=words), rng.random(words) < 0.75
    parts = [stems[stem[i]] + endings[ending[i]] + (" " if spaced[i] else "") for i in range(words)]
    return "".join(parts).rstrip()


def _arrays_of_twin(train: int, test: int) -> dict[str, np.ndarray]:
    return {
        f"{half}_{name}": array
        for half, reviews in simulate(train, test).items()
        for name, array in _as_arrays(reviews).items()
    }


def _as_arrays(reviews: ReviewTexts) -> dict[str, np.ndarray]:
    """For a checksum: the texts' bytes, a line each, and the labels."""
    texts = np.frombuffer("\n".join(reviews.texts).encode(), np.uint8)
    return {"texts": texts, "label": reviews.label}


def _counts(halves: dict[str, ReviewTexts]) -> str:
    train, test = (halves[half].texts for half in ("train", "test"))
    empty = f"{is_empty(train).sum()} + {is_empty(test).sum()} empty"
    again = f"{repeated(train, test).sum():,} test reviews also in train"
    return f"{len(train):,} + {len(test):,} reviews, {empty}; {again}"
