"""The language in which people are told things: English, or Korean where it is asked for.

English text is the key, as in gettext: what has no translation stays English. Records on disk
(results.json, logs, documents) are English always, so that runs compare whatever was spoken.
"""

import contextlib
import itertools
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Literal

Language = Literal["en", "ko"]
LANGUAGES = ("auto", "en", "ko")  # what `--language` takes; auto is the locale's

_spoken: ContextVar[Language] = ContextVar("language", default="en")
_further: ContextVar[Mapping[str, str] | None] = ContextVar("further words", default=None)


def language_of(option: str | None, environment: Mapping[str, str] | None = None) -> Language:
    """The language that an option asks for, or the locale.

    Args:
        option: "en", "ko", or "auto" and None for the locale's.
        environment: variables of the process; the first of LC_ALL, LC_MESSAGES and LANG that is set
            decides, as POSIX has it.

    >>> language_of("auto", {"LANG": "ko_KR.UTF-8"}), language_of("en", {"LANG": "ko_KR.UTF-8"})
    ('ko', 'en')
    >>> language_of(None, {"LC_ALL": "C.UTF-8", "LANG": "ko_KR.UTF-8"})
    'en'
    """
    if option == "en" or option == "ko":
        return option
    variables = os.environ if environment is None else environment
    values = (variables.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((value for value in values if value), "")
    return "ko" if re.match(r"(ko|korean)([_.@]|$)", locale.lower()) else "en"


def spoken() -> Language:
    """The language spoken now."""
    return _spoken.get()


@contextlib.contextmanager
def speaking(language: Language, further: Mapping[str, str] | None = None) -> Iterator[None]:
    """Speak a language while it lasts.

    Args:
        language: to speak.
        further: English text -> translation of what only the caller knows, such as a lab's title.

    >>> with speaking("ko"):
    ...     translate("epoch")
    '에포크'
    >>> translate("epoch")
    'epoch'
    """
    tokens = _spoken.set(language), _further.set({**(_further.get() or {}), **(further or {})})
    try:
        yield
    finally:
        _spoken.reset(tokens[0])
        _further.reset(tokens[1])


def translate(text: str) -> str:
    """A text in the language spoken now; as it is, where it has no translation.

    Numbers do not matter: "3 of 9" is looked up as "{} of {}". "A (B)", "A, B" and "A: B" are
    translated by their parts where they are not known as a whole. Of several sentences all or none
    are translated, and a sentence may have parts that anything can stand for (`SENTENCES`).

    >>> with speaking("ko"):
    ...     translate("recall at precision 0.5"), translate("loss (train)"), translate("made up")
    ('정밀도 0.5에서의 재현율', '손실 (학습)', 'made up')
    """
    if spoken() == "en" or not re.search("[A-Za-z]", text):
        return text
    return (_further.get() or {}).get(text) or _korean(text)


def translate_cell(text: str, column: str = "") -> str:
    """A cell of a table in the language spoken; what may be a name in somebody's data is kept.

    Args:
        text: the cell.
        column: the heading of its column, in English: some hold nothing but such names, and in some
            a word has a meaning of its own.

    >>> with speaking("ko"):
    ...     translate_cell("score"), translate_cell("random score")
    ...     translate_cell("kept", "promise"), translate_cell("random score", "column")
    ('score', '무작위 점수')
    ('지킴', 'random score')
    """
    from jaxdl.korean import COLUMNS_OF_NAMES, NAMES_IN_DATA, WORDS_OF_COLUMNS

    if spoken() == "en" or column in COLUMNS_OF_NAMES:
        return text
    of_column = WORDS_OF_COLUMNS.get(column, {})
    if text in of_column:
        return of_column[text]
    return text if text in NAMES_IN_DATA else translate(text)


def translate_message(text: str) -> str:
    """What a command says in one line: a mistake, a warning, how far it is (`korean_messages`).

    What is no such message is translated like any text.

    >>> with speaking("ko"):
    ...     translate_message("--epochs 0: must be at least 1")
    ...     translate_message("prices.csv, row 3, column fee: holds nothing")
    '--epochs 0: 1 이상이어야 합니다'
    'prices.csv, 3행, fee 열: 비어 있습니다'
    """
    if spoken() == "en":
        return text
    for pattern, is_kept, korean in _messages():
        found = pattern.fullmatch(text)
        if found:
            place, *parts = found.groups()
            pairs = zip(parts, is_kept, strict=True)
            told = (part if kept else translate_message(part) for part, kept in pairs)
            return _place(place or "") + korean.format(*told)
    if "; " in text:
        return "; ".join(map(translate_message, text.split("; ")))
    return translate(text)


def _place(place: str) -> str:
    """ "prices.csv, row 3: " in Korean."""
    place = re.sub(r"\brow ([\d,]+)(?=[,:])", r"\1행", place)
    return re.sub(r"\bcolumn (.+)(?=: $)", r"\1 열", place)


def _korean(text: str) -> str:
    from jaxdl.korean import ENDINGS, KOREAN, NOT_BEFORE_ENDINGS

    if text in KOREAN:
        return KOREAN[text]
    if text.replace("\n", " ") in KOREAN:  # a caption that was broken into lines
        return KOREAN[text.replace("\n", " ")]
    numbers = _NUMBER.findall(text)
    template = KOREAN.get(_NUMBER.sub("{}", text)) if numbers else None
    if template is not None:
        return template.format(*numbers)
    sentences = _BETWEEN_SENTENCES.split(text)
    if len(sentences) > 1:
        told = [_korean(sentence) for sentence in sentences]
        unknown = any(one == other for one, other in zip(sentences, told, strict=True))
        return text if unknown else " ".join(told)
    for pattern, is_kept, korean in _sentences():
        found = pattern.fullmatch(text)
        if found:
            pairs = zip(found.groups(), is_kept, strict=True)
            return korean.format(*(part if kept else _korean(part) for part, kept in pairs))
    for separator in _SEPARATORS:
        parts = separator.split(text)
        if len(parts) > 1:
            return "".join(
                part if separator.fullmatch(part) or not part else _korean(part) for part in parts
            )
    for ending, korean in ENDINGS.items():
        name = text.removesuffix(ending)
        if name != text and name.split(" ")[-1] not in NOT_BEFORE_ENDINGS:
            return _korean(name) + korean
    return text


Patterns = list[tuple[re.Pattern, list[bool], str]]  # of a text, which parts are kept, the Korean


@cache
def _sentences() -> Patterns:
    """Sentences with parts that may be anything."""
    from jaxdl.korean import SENTENCES

    return _patterns(SENTENCES, "")


@cache
def _messages() -> Patterns:
    """Messages, those that say most first, with a place in front that is a part, too."""
    from jaxdl.korean_messages import MESSAGES

    ordered = sorted(MESSAGES, key=lambda english: -len(_SLOT.sub("", english)))
    return _patterns({english: MESSAGES[english] for english in ordered}, "(.+: )?")


def _patterns(known: Mapping[str, str], before: str) -> Patterns:
    found = []
    for english, korean in known.items():
        said, slots = _SLOT.split(english), _SLOT.findall(english)
        pattern = before + re.escape(said[0])
        for ahead, behind in itertools.pairwise(said):
            # in a message, what a semicolon sets apart is told on its own, but in brackets
            anything = "([^;]+?)" if before and not ahead.endswith("(") else "(.+?)"
            pattern += anything + re.escape(behind)
        kept = [slot == "{=}" for slot in slots]
        found.append((re.compile(pattern, re.DOTALL), kept, korean))
    return found


_SLOT = re.compile(r"\{=?\}")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[-+]?\d+)?%?(?!\w)")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")
# the outermost first: lines, sentences, brackets, then what stands before a colon or a comma
_SEPARATORS = tuple(map(re.compile, (r"(\n)", r"( \(|\))", r"(: )", r"(; )", r"(, )", r"( = )")))


def romanised(text: str) -> str:
    """Hangul in Latin letters, syllable by syllable, for where no font can draw it.

    >>> romanised("서울 12")
    'seoul 12'
    """
    return re.sub("[가-힣]", _latin_name, text)


def _latin_name(syllable: re.Match) -> str:
    return unicodedata.name(syllable[0]).split()[-1].lower()  # "HANGUL SYLLABLE SEO"


def width_of(text: str) -> int:
    """How many columns of a terminal a text takes: letters of Korean take two.

    >>> width_of("abc"), width_of("손실")
    (3, 4)
    """
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )
