"""Texts of one's own with a label: a table with a column of texts and one of two kinds of label.

CSV or TSV (.gz, UTF-8 or CP949), Parquet or Excel, read by `jaxdl.tables.read`. Words become
numbers by the rule of `datasets.imdb`, ranked by their counts in the training texts.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from datasets import imdb, source, splits
from datasets.imdb import OFFSET, SPECIAL, UNKNOWN, ReviewRows, Reviews
from datasets.source import DataError, Provenance, Request
from jaxdl.errors import UserError, refuse_without
from jaxdl.tables.read import Cells, read_table

MAX_ROWS = 500_000
MAX_LETTERS = 50_000  # of a text
MAX_ASKED = 1_000  # texts to be judged in one call
TEXT_SHOWN = 60  # letters of a judged text in a table
FEWEST = 20  # texts of each kind
TEST_SHARE = 0.2  # part of each kind of texts that is tested on, unless another is asked for
TABLES = (".csv", ".tsv", ".gz", ".parquet", ".pq", ".xlsx")
TEXT_NAMES = (
    "text", "review", "document", "comment", "content", "sentence", "리뷰", "댓글", "내용", "문장",
    "본문", "후기",
)  # fmt: skip
LABEL_NAMES = ("label", "sentiment", "class", "target", "라벨", "레이블", "감정", "분류")
POSITIVE = ("1", "pos", "positive", "good", "true", "yes", "긍정", "좋음")
NEGATIVE = ("0", "-1", "neg", "negative", "bad", "false", "no", "부정", "나쁨")


@dataclass(frozen=True)
class UserReviews:
    """One's own texts, and what is to be said about them.

    Attributes:
        reviews: training and test texts as numbers of words; label 1 is the positive kind.
        kinds: the labels as the file writes them, the negative one first.
        remarks: lines to print: which columns, what was left out, how it was split.
    """

    reviews: Reviews
    kinds: tuple[str, str]
    remarks: tuple[str, ...]


def load(
    request: Request,
    path: Path,
    *,
    num_words: int,
    text: str = "",
    label: str = "",
    positive: str = "",
    test_share: float = TEST_SHARE,
    seed: int = 0,
) -> UserReviews:
    """The texts of a table, some of each kind set aside to test on.

    Args:
        request: a source other than "auto" does not go with a file.
        path: of the table.
        num_words: numbers of words from here on become 2 (unknown).
        text, label: names of the columns; found out where they are empty.
        positive: the label that counts as 1, all others as 0; found out where it is empty and there
            are two.
        test_share: part of each kind that is tested on.
        seed: of that choice.

    Raises:
        DataError: the table cannot be read, has no such columns, other labels than two, or too few
            or too many texts.
    """
    if request.source != "auto":
        raise DataError(f"--reviews is the source of the data: leave --source {request.source} out")
    if not 0 < test_share < 1:
        raise DataError(f"--test-share {test_share}: must lie between 0 and 1")
    if num_words <= len(SPECIAL):
        raise DataError(f"num_words must be more than {len(SPECIAL)}, not {num_words}")
    cells = _read(path)
    text = text_column(path, cells, text)
    label = _label_column(path, cells, label, text)
    texts, labels = _strings(cells, text), _strings(cells, label)
    rows, remarks = _usable(path, texts, labels, cells.first_line)
    kinds, truth = _two_kinds(path, label, [labels[row] for row in rows], positive)
    counted = np.bincount(truth, minlength=2)
    if counted.min() < FEWEST:
        kind = kinds[int(counted.argmin())]
        problem = f"has {counted.min()} texts labelled {kind!r}, at least {FEWEST} are needed"
        raise DataError(problem, file=path)
    train, test = splits.split_by_class(truth, test_share, seed)
    halves = {
        half: [(texts[rows[i]], int(truth[i]), number) for number, i in enumerate(part)]
        for half, part in (("train", train), ("test", test))
    }
    arrays = imdb.encode(halves)
    detail = f"{len(train):,} + {len(test):,} texts, {cells.origin}"
    provenance = Provenance(path.name, "user file", source.sha256_of(path), detail)
    reviews = imdb.reviews(arrays, num_words, provenance)
    split = f"{test_share:.0%} of each kind is tested on, drawn with seed {seed}"
    first = (
        f"texts: column {text!r}; labels: column {label!r}, {kinds[0]!r} ({counted[0]:,}) is "
        f"negative, {kinds[1]!r} ({counted[1]:,}) is positive; {split}"
    )
    return UserReviews(reviews, kinds, (first, *remarks))


def load_or_imdb(
    request: Request,
    path: Path | None,
    *,
    num_words: int,
    twin_rows: int,
    text: str = "",
    label: str = "",
    positive: str = "",
    test_share: float = TEST_SHARE,
    seed: int = 0,
) -> UserReviews:
    """Texts of a table, or the film reviews of `datasets.imdb` where there is none.

    Args:
        request, num_words: of both.
        path: of the table, or None.
        twin_rows: size of the simulated twin of the film reviews.
        text, label, positive, test_share, seed: see `load`.

    Raises:
        DataError: see `load` and `imdb.load`.
        UserError: no table, but an option that is for one.
    """
    if path is None:
        given = {
            "label": bool(label),
            "positive": bool(positive),
            "test_share": test_share != TEST_SHARE,
            "split_seed": seed != 0,
        }
        refuse_without("reviews FILE", given)
        reviews = imdb.load(request, num_words, twin_rows)
        return UserReviews(reviews, ("negative", "positive"), ())
    return load(
        request,
        path,
        num_words=num_words,
        text=text,
        label=label,
        positive=positive,
        test_share=test_share,
        seed=seed,
    )


def texts_named(inputs: Sequence[str], text: str = "") -> list[str]:
    """Texts to be judged: the words themselves, the lines of a .txt, or a table's column.

    Args:
        inputs: what is no file is a text, unless it looks like the name of one.
        text: the tables' column; found out where it is empty.

    Raises:
        DataError: no such file, no texts in it, too many or too long ones.
    """
    found: list[str] = []
    for given in inputs:
        path = Path(given)
        if path.suffix.lower() in TABLES and path.is_file():
            cells = _read(path)
            own = _strings(cells, text_column(path, cells, text))
        elif _is_file(path):
            own = _lines(path)
        elif " " not in given.strip() and ("." in given.rstrip(".") or "/" in given):
            raise DataError("does not exist: give a file of texts, or a text", file=path)
        else:
            own = [given]
        own = [each for each in own if each.strip()]
        if not own:
            raise DataError(f"{given!r} holds no text")
        found += own
    if len(found) > MAX_ASKED:
        raise DataError(f"{len(found):,} texts: at most {MAX_ASKED:,} are judged at once")
    too_long = [each for each in found if len(each) > MAX_LETTERS]
    if too_long:
        raise DataError(f"{too_long[0][:40]!r}... has more than {MAX_LETTERS:,} letters")
    return found


def encoded(texts: Sequence[str], words: Sequence[str]) -> ReviewRows:
    """Texts in the numbers of a vocabulary; other words are unknown ones.

    Args:
        texts: as they are written.
        words: `Reviews.words` of the data that a model learnt from.

    >>> encoded(["Good film!", "bad"], [*SPECIAL, "good", "bad"]).tokens.tolist()
    [1, 4, 2, 1, 5]
    """
    arrays = imdb.encode({"train": [(text, 0, i) for i, text in enumerate(texts)], "test": []})
    own = arrays["words"].tobytes().decode().split("\n")
    number = {word: i for i, word in enumerate(words) if i > OFFSET}
    known = np.array([*range(OFFSET + 1), *(number.get(word, UNKNOWN) for word in own)], np.int32)
    return ReviewRows(
        known[arrays["train_tokens"]],
        arrays["train_starts"],
        arrays["train_label"],
        arrays["train_film"],
    )


class Without(NamedTuple):
    """Texts with one word taken out of them, wherever it stands.

    Attributes:
        rows: the shortened texts, one after the other.
        text: for each the number of the whole text.
        word: for each the number of the word that it lacks.
    """

    rows: ReviewRows
    text: Int[np.ndarray, " shortened"]
    word: Int[np.ndarray, " shortened"]


def without_each_word(rows: ReviewRows) -> Without:
    """Each text without each of its known words.

    >>> rows = encoded(["good bad good"], [*SPECIAL, "good", "bad"])
    >>> shorter = without_each_word(rows)
    >>> shorter.word.tolist(), shorter.rows.tokens.tolist()
    ([4, 5], [1, 5, 1, 4, 4])
    """
    pieces, text, word = [], [], []
    for i, (start, end) in enumerate(zip(rows.starts[:-1], rows.starts[1:], strict=True)):
        tokens = rows.tokens[start:end]
        for each in np.unique(tokens[tokens > OFFSET]):
            pieces.append(tokens[tokens != each])
            text.append(i)
            word.append(each)
    starts = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    tokens = np.concatenate([*pieces, np.zeros(0, np.int32)]).astype(np.int32)
    nothing = np.zeros(len(pieces), np.int8)
    shortened = ReviewRows(tokens, starts, nothing, nothing.astype(np.int32))
    return Without(shortened, np.array(text, np.int64), np.array(word, np.int64))


def deciding_words(
    logits: Float[np.ndarray, " texts"],
    shorter: Without,
    shorter_logits: Float[np.ndarray, " shortened"],
    words: Sequence[str],
) -> list[dict[str, float]]:
    """For each text its words with what the logit loses without them, the largest loss first."""
    effects: list[dict[str, float]] = [{} for _ in logits]
    for text, word, logit in zip(shorter.text, shorter.word, shorter_logits, strict=True):
        effects[text][words[word]] = float(logits[text] - logit)
    return [dict(sorted(each.items(), key=lambda item: -abs(item[1]))) for each in effects]


class Judged(NamedTuple):
    """What a population of models says of texts.

    Attributes:
        logits: of each member.
        effects: for each text its words with what the members' mean logit loses without them.
    """

    logits: Float[np.ndarray, "seeds texts"]
    effects: list[dict[str, float]]


def judge(
    texts: Sequence[str],
    words: Sequence[str],
    logits_of: Callable[[ReviewRows], Float[np.ndarray, "seeds texts"]],
) -> Judged:
    """Logits of texts, and which of their words made them.

    Args:
        texts: as they are written.
        words: `Reviews.words` of the data that the models learnt from.
        logits_of: what each member says of texts in numbers.
    """
    rows = encoded(texts, words)
    shorter = without_each_word(rows)
    logits = logits_of(rows)
    without = logits_of(shorter.rows)
    effects = deciding_words(logits.mean(axis=0), shorter, without.mean(axis=0), words)
    return Judged(logits, effects)


def prediction_rows(
    texts: Sequence[str],
    probability: Float[np.ndarray, " texts"],
    effects: Sequence[Mapping[str, float]],
    kinds: tuple[str, str],
) -> list[dict[str, str | float]]:
    """A line for each text: its kind, how probable, and the words that speak for each side."""
    rows = []
    for text, share, words in zip(texts, probability, effects, strict=True):
        is_positive = bool(share > 0.5)
        sides = {
            kinds[1]: [word for word, effect in words.items() if effect > 0],
            kinds[0]: [word for word, effect in words.items() if effect < 0],
        }
        rows.append(
            {
                "text": text if len(text) <= TEXT_SHOWN else f"{text[: TEXT_SHOWN - 3]}...",
                "class": kinds[is_positive],
                "probability": float(share if is_positive else 1 - share),
                **{f"words for {kind}": ", ".join(own[:5]) for kind, own in sides.items()},
            }
        )
    return rows


# ---- the table -----------------------------------------------------------------------------------


def _read(path: Path) -> Cells:
    try:
        cells = read_table(path)
    except UserError as error:
        raise DataError(str(error)) from error
    if cells.rows > MAX_ROWS:
        raise DataError(f"has {cells.rows:,} rows, at most {MAX_ROWS:,} are read", file=path)
    return cells


def _strings(cells: Cells, column: str) -> list[str]:
    """Cells as text, "" where there is none."""
    found = cells.columns[column].to_pylist()
    return ["" if cell is None else str(cell).strip() for cell in found]


def text_column(path: Path, cells: Cells, asked: str) -> str:
    """The column asked for, the one with a usual name, or the one with the longest texts."""
    if asked:
        return _asked_column(path, cells, asked, "--text")
    usual = _usually_named(cells, TEXT_NAMES)
    if usual is not None:
        return usual
    letters = {name: sum(map(len, _strings(cells, name)[:1000])) for name in cells.columns}
    return max(letters, key=lambda name: letters[name])


def _label_column(path: Path, cells: Cells, asked: str, text: str) -> str:
    """The column asked for, the one with a usual name, or the only one with two values."""
    if asked:
        return _asked_column(path, cells, asked, "--label")
    usual = _usually_named(cells, LABEL_NAMES)
    if usual not in (None, text):
        return usual
    others = [name for name in cells.columns if name != text]
    of_two = [name for name in others if len({*_strings(cells, name)} - {""}) == 2]
    if len(of_two) != 1:
        named = ", ".join(others[:10]) or "none"
        raise DataError(f"which column is the label? say --label (there are: {named})", file=path)
    return of_two[0]


def _asked_column(path: Path, cells: Cells, asked: str, option: str) -> str:
    if asked not in cells.columns:
        named = ", ".join(list(cells.columns)[:10])
        raise DataError(f"{option} {asked}: no such column (there are: {named})", file=path)
    return asked


def _usually_named(cells: Cells, names: Sequence[str]) -> str | None:
    by_name = {name.lower(): name for name in cells.columns}
    return next((by_name[name] for name in names if name in by_name), None)


def _usable(
    path: Path, texts: Sequence[str], labels: Sequence[str], first_line: int
) -> tuple[list[int], list[str]]:
    """Rows with a text, a label, and no earlier row with the same text; and what was left out."""
    rows: list[int] = []
    label_of: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for row, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if len(text) > MAX_LETTERS:
            problem = f"has a text of more than {MAX_LETTERS:,} letters"
            raise DataError(problem, file=path, row=row + first_line)
        if not text or not label:
            left_out["rows without a text or a label"] += 1
        elif text in label_of:
            left_out["rows whose text stands above"] += 1
            if label_of[text] != label:
                left_out["of them with another label"] += 1
        else:
            label_of[text] = label
            rows.append(row)
    told = ", ".join(f"{count:,} {why}" for why, count in left_out.items())
    return rows, [f"left out: {told}"] if told else []


def _two_kinds(
    path: Path, column: str, labels: Sequence[str], positive: str
) -> tuple[tuple[str, str], Int[np.ndarray, " rows"]]:
    """The labels' two values, the negative one first, and 1 where a label is the positive one."""
    values = sorted(set(labels))
    if positive:
        if positive not in values or len(values) < 2:
            problem = f"--positive {positive}: column {column} holds {_some(values)}"
            raise DataError(problem, file=path)
        others = [value for value in values if value != positive]
        negative = others[0] if len(others) == 1 else f"not {positive}"
        return (negative, positive), np.array([label == positive for label in labels], np.int64)
    if len(values) != 2:
        problem = f"column {column} holds {len(values)} labels ({_some(values)}): two are needed, "
        raise DataError(problem + "or say --positive", file=path)
    high = _positive_of(values)
    if high is None:
        problem = f"which of {_some(values)} in column {column} is positive? say --positive"
        raise DataError(problem, file=path)
    (low,) = (value for value in values if value != high)
    return (low, high), np.array([label == high for label in labels], np.int64)


def _positive_of(values: Sequence[str]) -> str | None:
    """The positive one of two labels: by usual words, or the larger number; None: not known."""
    named = [value for value in values if value.lower() in POSITIVE]
    opposed = [value for value in values if value.lower() in NEGATIVE]
    if len(named) == 1 and len(opposed) == 1:
        return named[0]
    try:
        return max(values, key=float)
    except ValueError:
        return None


def _some(values: Iterable[str]) -> str:
    first = [repr(value[:30]) for value in values][:6]
    return ", ".join(first)


# ---- texts to be judged --------------------------------------------------------------------------


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text too long to be a name
        return False


def _lines(path: Path) -> list[str]:
    """The lines of a text file, UTF-8 or CP949."""
    try:
        if path.stat().st_size > MAX_ASKED * MAX_LETTERS:
            raise DataError("is too large a file of texts", file=path)
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=path) from error
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return data.decode(encoding).splitlines()
        except UnicodeDecodeError:
            continue
    raise DataError("is no text in utf-8 or cp949", file=path)
