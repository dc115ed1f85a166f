"""Korean film reviews: files are read with caps and quoting off; repeated reviews are counted."""

import hashlib
import unicodedata

import numpy as np
import pytest

from datasets import nsmc
from datasets.source import DataError, Request

HEAD = "id\tdocument\tlabel\n"


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
    return path


def test_quotation_marks_are_letters_and_only_a_line_feed_ends_a_line(tmp_path):
    text = HEAD + '1\t"재밌다\t1\n2\t\t0\r\n3\tnot\x85an end\u2028no\t1\n'
    reviews = nsmc.read(written(tmp_path / "x.txt", text))
    assert reviews.texts == ['"재밌다', "", "not\x85an end\u2028no"]
    assert reviews.label.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("document\tlabel\n굿\t1\n", "row 1: is not id, document, label between tabs"),
        ("", "row 1: is not id"),
        (HEAD + "1\t굿\t1\n2\t별로\n", "row 3: has 2 fields between tabs, not 3"),
        (HEAD + "1\t굿\t1\n2\t별\t로\t0\n", "row 3: has 4 fields"),
        (HEAD + "1\t굿\t1\n2\t별로\t2\n", "row 3, column label: is '2', not 0 or 1"),
        (HEAD + "1\t굿\t1\n\n2\t별로\t0\n", "row 3: has 1 fields"),
        (HEAD + "1\t굿\t1\n", "needs positive and negative"),
    ],
)
def test_another_form_is_named_with_its_row(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        nsmc.read(written(tmp_path / "x.txt", text))


def test_what_a_file_may_hold_has_limits(tmp_path, monkeypatch):
    path = written(tmp_path / "x.txt", HEAD + "1\t굿굿굿굿\t1\n2\t별로\t0\n")
    assert len(nsmc.read(path).texts) == 2
    for name, limit, problem in (
        ("MAX_LETTERS", 3, "row 2, column document: has 4 letters, more than 3"),
        ("MAX_ROWS", 2, "has 3 lines, more than 2"),
        ("MAX_BYTES", 10, r"has \d+ bytes, more than 10"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(nsmc, name, limit)
            with pytest.raises(DataError, match=problem):
                nsmc.read(path)
    path.write_bytes(HEAD.encode() + "1\t굿\t1\n".encode("euc-kr"))
    with pytest.raises(DataError, match="is not UTF-8"):
        nsmc.read(path)


def test_a_listed_copy_is_read_and_an_unlisted_one_refused(tmp_path):
    for half, text in (("train", "1\t굿\t1\n2\t별로\t0\n"), ("test", "3\t굿\t1\n4\t아\t0\n")):
        written(tmp_path / "nsmc" / f"ratings_{half}.txt", HEAD + text)
    request = Request("real", tmp_path)
    with pytest.raises(DataError, match=r"ratings_train\.txt: has sha256"):
        nsmc.load(request)
    files = [tmp_path / "nsmc" / f"ratings_{half}.txt" for half in ("train", "test")]
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (tmp_path / "nsmc" / "SHA256SUMS").write_text("".join(sums))
    data = nsmc.load(request)
    assert data.provenance.kind == "local mirror"
    assert data.provenance.detail == "2 + 2 reviews, 0 + 0 empty; 1 test reviews also in train"
    with pytest.raises(DataError, match="has no NSMC"):
        nsmc.load(Request("tfds", tmp_path))


def test_rows_keep_texts_and_labels_together():
    reviews = nsmc.ReviewTexts(["가", "나", "다"], np.array([0, 1, 1], np.int8))
    some = reviews.rows(np.array([2, 0]))
    assert (some.texts, some.label.tolist()) == (["다", "가"], [1, 0])


def test_twin_is_repeatable_hangul_with_empty_and_repeated_reviews():
    data, again = (nsmc.load(Request("simulated"), 400, 200) for _ in range(2))
    assert data.provenance.kind == "simulated"
    assert data.provenance.sha256 == again.provenance.sha256
    assert (len(data.train.texts), len(data.test.texts)) == (400, 200)
    assert nsmc.is_empty(data.train.texts).sum() == nsmc.is_empty(data.test.texts).sum() == 1
    assert 4 <= nsmc.repeated(data.train.texts, data.test.texts).sum() <= 5
    letters = {letter for text in data.train.texts for letter in text} - {" "}
    assert all(unicodedata.name(letter).startswith("HANGUL SYLLABLE") for letter in letters)
    assert abs(data.train.label.mean() - 0.5) < 0.01


def test_twins_stems_carry_the_sentiment_and_its_words_are_rare():
    halves = nsmc.simulate(2000, 10)
    stems = nsmc._invented(np.random.Generator(np.random.PCG64(1)), 400, 2)
    score = [
        sum(text.count(stem) for stem in stems[40:80])
        - sum(text.count(stem) for stem in stems[:40])
        for text in halves["train"].texts
    ]
    decided = np.array(score) != 0
    right = (np.array(score) > 0) == (halves["train"].label == 1)
    assert decided.mean() > 0.75
    assert 0.8 < right[decided].mean() < 0.95
    words = [word for text in halves["train"].texts for word in text.split()]
    assert len(set(words)) > 0.6 * len(words)


@pytest.mark.real_data
def test_real_reviews_are_those_of_the_description(real_data):
    data = nsmc.load(Request("real", real_data))
    assert data.provenance.kind == "real"
    assert [len(half.label) for half in (data.train, data.test)] == [150_000, 50_000]
    assert [int(half.label.sum()) for half in (data.train, data.test)] == [74_827, 25_173]
    assert [nsmc.is_empty(half.texts).sum() for half in (data.train, data.test)] == [5, 3]
    assert nsmc.repeated(data.train.texts, data.test.texts).sum() == 1571
    assert data.train.texts[0] == "아 더빙.. 진짜 짜증나네요 목소리"
    assert data.train.label[:3].tolist() == [0, 1, 0]
