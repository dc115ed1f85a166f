"""IMDB reviews: the archive is read with caps, words are numbered as Keras numbers them."""

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest

from datasets import imdb
from datasets.source import DataError, Request

# the first review of Keras's imdb.npz with num_words=10000: its first and last numbers
KERAS_FIRST = [1, 14, 22, 16, 43, 530, 973, 1622, 1385, 65, 458, 4468, 66, 3941, 4, 173, 36, 256]
KERAS_LAST = [113, 103, 32, 15, 16, 5345, 19, 178, 32]


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return path


@pytest.fixture
def small(tmp_path):
    films = b"http://www.imdb.com/title/tt%d/usercomments\n"
    return archive(
        tmp_path / "aclImdb_v1.tar.gz",
        {
            "aclImdb/train/pos/1_9.txt": b"A good, GOOD film!<br />Really",
            "aclImdb/train/neg/1_2.txt": b"bad film",
            "aclImdb/train/pos/0_8.txt": b"good",
            "aclImdb/train/unsup/0_0.txt": b"never read",
            "aclImdb/test/neg/0_1.txt": "don't \x96 caf\xe9 film".encode(),
            "aclImdb/train/urls_pos.txt": films % 7 + films % 8,
            "aclImdb/train/urls_neg.txt": films % 9 + films % 7,
            "../evil.txt": b"outside",
        },
    )


def test_reviews_come_in_order_with_their_films(small):
    halves = imdb.read(small)
    assert halves["train"] == [
        ("good", 1, 0),
        ("bad film", 0, 0),
        ("A good, GOOD film!<br />Really", 1, 1),
    ]
    assert [row[1:] for row in halves["test"]] == [(0, 0)]
    assert not (small.parent.parent / "evil.txt").exists()
    assert [path.name for path in small.parent.iterdir()] == [small.name]


def test_words_follow_kerass_rule_and_the_index(small):
    ranks = {"film": 1, "good": 2, "br": 3, "a": 4, "don't": 5}
    arrays = imdb.encode(imdb.read(small), ranks)
    assert arrays["train_tokens"].tolist() == [1, 5, 1, 4, 1, 7, 5, 5, 4, 6]
    assert arrays["train_starts"].tolist() == [0, 2, 4, 10]
    assert arrays["test_tokens"].tolist() == [1, 8, 4]  # the apostrophe stays, other words drop


def test_words_are_ranked_by_training_counts_without_an_index(small):
    arrays = imdb.encode(imdb.read(small))
    words = arrays["words"].tobytes().decode().split("\n")
    assert words == ["good", "film", "a", "bad", "br", "really"]  # no word of the test half


def test_archive_is_refused_in_one_line(tmp_path, monkeypatch):
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"\x1f\x8b not an archive")
    with pytest.raises(DataError, match=r"broken.tar.gz: cannot be read as a tar.gz"):
        imdb.read(broken)
    whole = archive(tmp_path / "whole.tar.gz", {"aclImdb/train/pos/1_9.txt": b"fine" * 5000})
    noise = np.random.default_rng(0).integers(97, 123, 100_000, np.uint8).tobytes()
    cut = archive(tmp_path / "cut.tar.gz", {"aclImdb/train/pos/1_9.txt": noise})
    cut.write_bytes(cut.read_bytes()[:30_000])
    with pytest.raises(DataError, match="cannot be read"):
        imdb.read(cut)
    latin = archive(tmp_path / "latin.tar.gz", {"aclImdb/train/pos/1_9.txt": b"caf\xe9"})
    with pytest.raises(DataError, match="cannot be read"):
        imdb.read(latin)
    monkeypatch.setattr(imdb, "MAX_REVIEW_BYTES", 100)
    with pytest.raises(DataError, match=r"1_9.txt has 20,000 bytes"):
        imdb.read(whole)
    monkeypatch.setattr(imdb, "MAX_MEMBER_BYTES", 1000)
    with pytest.raises(DataError, match="holds more than the reviews would"):
        imdb.read(whole)
    many = archive(tmp_path / "many.tar.gz", {f"x{i}": b"" for i in range(12)})
    monkeypatch.setattr(imdb, "MAX_MEMBERS", 10)
    with pytest.raises(DataError, match="holds more than the reviews would"):
        imdb.read(many)


def test_twin_is_repeatable_and_capped_by_num_words():
    first = imdb.load(Request("simulated"), num_words=500, twin_rows=100)
    again = imdb.simulate(100)
    assert first.provenance.kind == "simulated"
    assert first.train.tokens.max() < 500
    np.testing.assert_array_equal(
        first.train.tokens, np.where(again["train_tokens"] < 500, again["train_tokens"], 2)
    )
    assert not np.array_equal(again["train_tokens"][:50], again["test_tokens"][:50])
    assert (first.train.tokens[first.train.starts[:-1]] == imdb.START).all()
    assert len(first.words) == 500
    text = first.decode(first.train, 3)
    assert text.startswith("<start> ")
    assert "word" in text
    with pytest.raises(DataError, match="num_words"):
        imdb.load(Request("simulated"), num_words=4)


def test_twin_words_carry_the_sentiment_and_not_turns_it():
    arrays = imdb.simulate(2000)
    words = np.array([*imdb.SPECIAL, *arrays["words"].tobytes().decode().split("\n")])
    tokens, starts, label = (arrays[f"train_{k}"] for k in ("tokens", "starts", "label"))
    good = np.char.startswith(words, "good")[tokens]
    bad = np.char.startswith(words, "bad")[tokens]
    negated = np.append(False, words[tokens[:-1]] == "not")
    score = np.where(negated, -1, 1) * (good.astype(int) - bad)
    turned = np.add.reduceat(score, starts[:-1])
    plain = np.add.reduceat(good.astype(int) - bad, starts[:-1])
    assert 0.84 < np.mean((turned > 0) == label) < 0.92
    assert np.mean((plain > 0) == label) < np.mean((turned > 0) == label)


def test_word_index_must_be_ranks(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "imdb"
    folder.mkdir()
    index = folder / "imdb_word_index.json"
    index.write_text(json.dumps({"film": 1, "good": 3}))
    listed = hashlib.sha256(index.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{listed}  {index.name}\n")
    found = imdb._word_index(Request("auto", tmp_path))
    with pytest.raises(DataError, match="no word index"):
        imdb._ranks(found)


@pytest.mark.real_data
def test_real_reviews_are_kerass_sequences(real_data):
    data = imdb.load(Request("real", real_data))
    assert [len(half.label) for half in (data.train, data.test)] == [25_000, 25_000]
    assert [int(half.label.sum()) for half in (data.train, data.test)] == [12_500, 12_500]
    lengths = [np.diff(half.starts) for half in (data.train, data.test)]
    assert [length.max() for length in lengths] == [2494, 2315]
    assert round(np.concatenate(lengths).mean(), 2) == 234.76
    starts = data.train.starts
    same = [
        row
        for row in np.flatnonzero(lengths[0] == 218)
        if data.train.tokens[starts[row] :][: len(KERAS_FIRST)].tolist() == KERAS_FIRST
    ]
    assert len(same) == 1
    assert data.train.tokens[: starts[same[0] + 1]][-9:].tolist() == KERAS_LAST
    assert data.train.label[same[0]] == 1
    assert data.decode(data.train, same[0]).startswith(
        "<start> this film was just brilliant casting location scenery story direction everyone's"
    )
    assert len(np.unique(data.train.film)) > 3000
