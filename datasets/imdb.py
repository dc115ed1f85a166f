"""Large Movie Review Dataset (IMDB): 25,000 + 25,000 reviews, half of them positive.

Maas et al., "Learning word vectors for sentiment analysis", ACL 2011; free for research. Data of
lab 040. Words become numbers by Keras's rule, so that the sequences are those of Keras's imdb.npz:
lower case, punctuation to spaces, split at spaces; 1 starts a review, a word of frequency rank r
is r + 3, words beyond the vocabulary are 2, and 0 is left for padding. Ranks come from Keras's
word index where it can be had, else from counting the training half.
"""

import json
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int8, Int32, Int64

from datasets import download, source
from datasets.source import DataError, Provenance, Request
from jaxdl.hashing import arrays_digest

NAME = "IMDB reviews"
ROWS = 25_000  # in each half
ARCHIVE = source.Upstream(
    folder="imdb",
    filename="aclImdb_v1.tar.gz",
    url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    sha256="c40f74a18d3b61f90feba1e17730e0d38e8b97c05fda7008942e91923d1658fe",
    size=84_125_825,
)
WORD_INDEX = source.Upstream(
    folder="imdb",
    filename="imdb_word_index.json",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/imdb_word_index.json",
    sha256="027313fe9a320280f3bf0fac5baf58c4a683cf39a7ed9c3d3d3912bde4284cf6",
    size=1_641_221,
)
PREPARE = "prepare it with `tfds build imdb_reviews --file_format=array_record`"
PADDING, START, UNKNOWN, OFFSET = 0, 1, 2, 3
SPECIAL = ("<pad>", "<start>", "<unknown>", "<unused>")
# The published archive has 100,000 reviews, a few lists and folders. Each member takes its time, so
# an archive of more is given up where the published one would have ended.
MAX_MEMBERS = 100_100
MAX_MEMBER_BYTES = 64 << 20  # its largest list has 41 MB
MAX_TOTAL_BYTES = 1 << 30
MAX_REVIEW_BYTES = 1 << 17  # its longest review has 14 kB
_REVIEW = re.compile(r"aclImdb/(train|test)/(pos|neg)/(\d{1,6})_\d{1,2}\.txt")
_FILMS = re.compile(r"aclImdb/(train|test)/urls_(pos|neg)\.txt")
_SPACES = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))


@dataclass(frozen=True)
class ReviewRows:
    """Reviews one after the other: review i is `tokens[starts[i] : starts[i + 1]]`.

    `label` 1 is positive. `film` numbers the films of this half; where the films are not known,
    every review counts as one of a film of its own.
    """

    tokens: Int32[np.ndarray, " words"]
    starts: Int64[np.ndarray, " rows+1"]
    label: Int8[np.ndarray, " rows"]
    film: Int32[np.ndarray, " rows"]


@dataclass(frozen=True)
class Reviews:
    """Both halves; `words[i]` is the word that the number i stands for."""

    train: ReviewRows
    test: ReviewRows
    words: list[str]
    provenance: Provenance

    def decode(self, half: ReviewRows, row: int) -> str:
        """The words of a review, as far as the vocabulary knows them."""
        tokens = half.tokens[half.starts[row] : half.starts[row + 1]]
        return " ".join(self.words[token] for token in tokens)


def load(request: Request, num_words: int = 10_000, twin_rows: int = ROWS) -> Reviews:
    """The published reviews where they can be had, else (source "auto") their simulated twin.

    Args:
        request: source and data folder. Local names: imdb/aclImdb_v1.tar.gz and, if there is one,
            imdb/imdb_word_index.json.
        num_words: numbers from here on become 2 (unknown), as in Keras's `load_data(num_words)`.
        twin_rows: size of each half of the twin, for quick runs; without effect on other data.

    Raises:
        DataError: a file that is damaged or not the one it should be; nothing found under "real"
            or "tfds"; a vocabulary of fewer than 5 numbers.
    """
    if num_words <= len(SPECIAL):
        raise DataError(f"num_words must be more than {len(SPECIAL)}, not {num_words}")
    if request.source == "tfds":
        folder = source.tfds_folder(request, "imdb_reviews", PREPARE)
        arrays = encode(_read_tfds(folder), _ranks(_word_index(request)))
        detail, digest = _counts(arrays), arrays_digest(arrays)
        return reviews(arrays, num_words, Provenance(NAME, "tfds", digest, detail))
    found = source.Missing("") if request.source == "simulated" else source.find(ARCHIVE, request)
    if isinstance(found, source.Missing):
        arrays = source.cached_arrays(f"imdb-twin-{twin_rows}", lambda: simulate(twin_rows))
        provenance = source.provenance_of_twin(NAME, arrays, _counts(arrays), found)
        return reviews(arrays, num_words, provenance)
    index = _word_index(request)
    ranked = index.sha256[:16] if index else "counted"
    arrays = source.cached_arrays(
        f"imdb-{found.sha256[:16]}-{ranked}", lambda: encode(read(found.path), _ranks(index))
    )
    for half in ("train", "test"):
        rows, positive = len(arrays[f"{half}_label"]), int(arrays[f"{half}_label"].sum())
        if (rows, positive) != (ROWS, ROWS // 2):
            problem = f"has {rows:,} {half} reviews, {positive:,} positive, not {ROWS:,} and half"
            raise DataError(problem, file=found.path)
    detail = f"{_counts(arrays)}; words ranked by {'Keras' if index else 'training counts'}"
    files = [found, index] if index else [found]
    return reviews(arrays, num_words, source.provenance_of(NAME, files, detail))


def read(path: Path) -> dict[str, list[tuple[str, int, int]]]:
    """Labelled reviews out of the archive, member by member; nothing is written to disk.

    Returns:
        "train" and "test" -> (text, label, film) in the order of the reviews' numbers, so that
        negative and positive ones alternate.

    Raises:
        DataError: it is no gzipped tar archive, is damaged, or holds more than it may.
    """
    found: dict[str, dict[tuple[int, int], str]] = {"train": {}, "test": {}}
    films: dict[tuple[str, int], list[str]] = {}
    members = total = 0
    try:
        with (
            tarfile.open(path, "r|gz") as archive,
            download.progress(path.name, -1, "files") as bar,
        ):
            for member in archive:
                members, total = members + 1, total + member.size
                if members > MAX_MEMBERS or max(total / 16, member.size) > MAX_MEMBER_BYTES:
                    raise DataError("holds more than the reviews would", file=path)
                bar.update()
                review, list_of_films = (
                    _REVIEW.fullmatch(member.name),
                    _FILMS.fullmatch(member.name),
                )
                if not member.isfile() or not (review or list_of_films):
                    continue
                if review and member.size > MAX_REVIEW_BYTES:
                    raise DataError(f"{member.name} has {member.size:,} bytes", file=path)
                text = archive.extractfile(member).read(MAX_MEMBER_BYTES).decode("utf-8")
                half, sign = (review or list_of_films).group(1, 2)
                if review:
                    found[half][int(review[3]), int(sign == "pos")] = text
                else:
                    films[half, int(sign == "pos")] = re.findall(r"/tt(\d{1,9})/", text)
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as a tar.gz of reviews ({error})", file=path) from error
    return {half: _rows(reviews, half, films) for half, reviews in found.items()}


def encode(
    halves: Mapping[str, Iterable[tuple[str, int, int]]], ranks: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Texts as numbers, with the whole vocabulary: what the cache holds.

    Args:
        halves: as `read` gives them.
        ranks: word -> rank from 1 on; None ranks the words of the training half by their count
            (ties by the alphabet). Words without a rank are left out, as Keras does.
    """
    split = {half: [(_split(text), *rest) for text, *rest in rows] for half, rows in halves.items()}
    if ranks is None:
        counts = Counter(word for words, *_ in split["train"] for word in words)
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        ranks = {word: rank for rank, word in enumerate(ordered, start=1)}
    arrays = {}
    for half, rows in split.items():
        numbers = [
            [START] + [ranks[word] + OFFSET for word in words if word in ranks]
            for words, *_ in rows
        ]
        arrays |= _half_arrays(half, numbers, [row[1] for row in rows], [row[2] for row in rows])
    return arrays | {"words": _pack(sorted(ranks, key=ranks.__getitem__))}


def simulate(rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    """The simulated twin: word counts by Zipf's law, and planted words that carry the sentiment.

    One word in twenty of the vocabulary leans to one side ("good17", "bad17"); how often a
    review's own words agree with its label varies so much that about one review in nine reads like
    the opposite, which is what bounds the accuracy. One such word in eight stands behind "not" and
    means the opposite, which only pairs of words can tell.

    Args:
        rows: reviews in each half, half of them positive.
        seed: draws the reviews; the vocabulary is always the same.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    vocabulary, leaning = 20_000, np.arange(20, 20_000, 20)
    words = [f"word{i}" for i in range(vocabulary)]
    words[0] = "not"
    for i, word in enumerate(leaning):
        words[word] = f"{'bad' if i % 2 else 'good'}{i // 2}"
    share = 1 / (np.arange(vocabulary) + 10.0)
    neutral = share.copy()
    neutral[[0, *leaning]] = 0.0
    cumulative = np.cumsum(neutral) / neutral.sum()
    signed = [np.cumsum(share[leaning[s::2]]) / share[leaning[s::2]].sum() for s in (0, 1)]

    arrays = {}
    for half in ("train", "test"):
        label = (np.arange(rows) % 2).astype(np.int8)
        length = np.clip(rng.lognormal(5.2, 0.7, rows), 10, 1000).astype(np.int64)
        row = np.repeat(np.arange(rows), length)
        # rounding may leave the last sum below 1
        token = np.minimum(np.searchsorted(cumulative, rng.random(len(row))), vocabulary - 1)
        feeling = rng.random(len(row)) < 0.12
        agreement = np.clip(rng.normal(0.71, 0.14, rows), 0.05, 0.95)[row]
        positive = (rng.random(len(row)) < agreement) == (label[row] == 1)
        negated = feeling & (rng.random(len(row)) < 0.125)
        negated[np.cumsum(length) - length] = False  # a review's first word has none before it
        side = (positive == negated).astype(int)
        for s in (0, 1):
            at = feeling & (side == s)
            choice = np.searchsorted(signed[s], rng.random(np.count_nonzero(at)))
            token[at] = leaning[s::2][np.minimum(choice, len(leaning[s::2]) - 1)]
        token[np.flatnonzero(negated) - 1] = 0
        pieces = np.split(token + OFFSET + 1, np.cumsum(length)[:-1])
        numbers = [np.append(START, piece) for piece in pieces]
        arrays |= _half_arrays(half, numbers, label, np.arange(rows) // 4)
    return arrays | {"words": _pack(words)}


def _rows(reviews, half, films) -> list[tuple[str, int, int]]:
    rows, several = [], {}
    for (number, label), text in sorted(reviews.items()):
        listed = films.get((half, label), [])
        # without the list every review counts as one of a film of its own
        film = listed[number] if number < len(listed) else f"{number} {label}"
        rows.append((text, label, several.setdefault(film, len(several))))
    return rows


def _read_tfds(folder: Path) -> dict[str, list[tuple[str, int, int]]]:
    halves = {}
    for half in ("train", "test"):
        columns = source.read_tfds(folder, ("text", "label"), half)
        pairs = zip(columns["text"], columns["label"], strict=True)
        halves[half] = [(text.decode(), int(label), i) for i, (text, label) in enumerate(pairs)]
    return halves


def _word_index(request: Request) -> source.Found | None:
    # the index is welcome, not needed: words can be counted
    found = source.find(WORD_INDEX, Request("auto", request.data_dir))
    return None if isinstance(found, source.Missing) else found


def _ranks(index: source.Found | None) -> dict[str, int] | None:
    if index is None:
        return None
    try:
        ranks = json.loads(index.path.read_text("utf-8"))
        if sorted(ranks.values()) != list(range(1, len(ranks) + 1)):
            raise ValueError("ranks are not 1, 2, 3, ...")
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"is no word index ({error})", file=index.path) from error
    return ranks


def _split(text: str) -> list[str]:
    return [word for word in text.lower().translate(_SPACES).split(" ") if word]


def _half_arrays(half, numbers, label, film) -> dict[str, np.ndarray]:
    starts = np.cumsum([0, *map(len, numbers)], dtype=np.int64)
    tokens = np.concatenate(numbers) if len(numbers) else np.zeros(0)
    return {
        f"{half}_tokens": tokens.astype(np.int32),
        f"{half}_starts": starts,
        f"{half}_label": np.asarray(label, np.int8),
        f"{half}_film": np.asarray(film, np.int32),
    }


def _pack(words: list[str]) -> np.ndarray:
    return np.frombuffer("\n".join(words).encode(), np.uint8)


def reviews(arrays: dict[str, np.ndarray], num_words: int, provenance: Provenance) -> Reviews:
    """Both halves of what `encode` gives; numbers of words from `num_words` on become unknown."""
    words = [*SPECIAL, *arrays["words"].tobytes().decode().split("\n")][:num_words]
    halves = []
    for half in ("train", "test"):
        tokens, starts, label, film = (
            arrays[f"{half}_{name}"] for name in ("tokens", "starts", "label", "film")
        )
        known = np.where(tokens < num_words, tokens, np.int32(UNKNOWN))
        halves.append(ReviewRows(known, starts, label, film))
    return Reviews(*halves, words, provenance)


def _counts(arrays: dict[str, np.ndarray]) -> str:
    return f"{len(arrays['train_label']):,} + {len(arrays['test_label']):,} reviews"
