"""Texts of one's own: columns, labels, encodings, what is left out, refusals of one line."""

import numpy as np
import pytest

from datasets import imdb, user_reviews
from datasets.source import DataError, Request


def written(path, rows, header="id,review,stars", encoding="utf-8", separator=","):
    lines = [header.replace(",", separator), *(separator.join(map(str, row)) for row in rows)]
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def rows_of(count=60, low="bad", high="good"):
    """Half of the texts say good and are labelled so."""
    labels = [(low, high)[i % 2] for i in range(count)]
    return [(i, f"a {('bad', 'good')[i % 2]} film {i}", label) for i, label in enumerate(labels)]


def load(path, num_words=1000, **choice):
    return user_reviews.load(Request(), path, num_words=num_words, **choice)


def test_words_in_a_table(tmp_path):
    found = load(written(tmp_path / "own.csv", rows_of()), test_share=0.25, seed=2)
    data = found.reviews
    assert found.kinds == ("bad", "good")
    assert (len(data.train.label), len(data.test.label)) == (44, 16)  # 30 - round(7.5) of each
    for half in (data.train, data.test):
        for row, label in enumerate(half.label):
            words = data.decode(half, row).split()
            assert words[0] == "<start>"
            assert ("good" if label else "bad") in words
    assert "column 'review'; labels: column 'stars', 'bad' (30) is negative" in found.remarks[0]
    assert "25% of each kind is tested on, drawn with seed 2" in found.remarks[0]
    assert "44 + 16 texts, comma-separated" in data.provenance.line()
    # words of the test texts alone have no number
    assert len(data.words) == len(imdb.SPECIAL) + 4 + 44
    few = load(tmp_path / "own.csv", num_words=6).reviews
    assert few.words == [*imdb.SPECIAL, "a", "film"]
    assert few.train.tokens.max() == 5


@pytest.mark.parametrize(
    ("low", "high"),
    [("0", "1"), ("negative", "Positive"), ("부정", "긍정"), ("-1", "1"), ("2", "5")],
)
def test_labels_in_words_or_numbers(tmp_path, low, high):
    for encoding in ("utf-8", "cp949", "utf-8-sig"):
        path = written(tmp_path / "own.tsv", rows_of(low=low, high=high), "id,리뷰,label", encoding,
                       "\t")  # fmt: skip
        found = load(path)
        assert found.kinds == (low, high)
        assert found.reviews.train.label.mean() == 0.5


def test_columns_and_the_positive_label_can_be_said(tmp_path):
    rows = [(*row, f"note {row[0] % 3}") for row in rows_of()]
    path = written(tmp_path / "own.csv", rows, "id,what,how,text")
    found = load(path, text="what", label="how", positive="bad")
    assert found.kinds == ("good", "bad")
    three = load(path, text="what", label="text", positive="note 1")
    assert three.kinds == ("not note 1", "note 1")
    assert three.reviews.train.label.mean() == pytest.approx(1 / 3, abs=0.01)


def test_rows_that_say_nothing_new_are_left_out(tmp_path):
    rows = rows_of()
    again = [(100, rows[0][1], "bad"), (101, rows[1][1], "bad")]
    path = written(tmp_path / "own.csv", [*rows, *again, (102, "", "good"), (103, "fine", "")])
    found = load(path)
    told = "2 rows whose text stands above, 1 of them with another label, 2 rows without a text"
    assert told in found.remarks[1]
    assert len(found.reviews.train.label) + len(found.reviews.test.label) == 60


@pytest.mark.parametrize(
    ("rows", "choice", "told"),
    [
        (rows_of(38), {}, "has 19 texts labelled 'bad', at least 20 are needed"),
        (rows_of(low="x", high="y"), {}, "which of 'x', 'y' in column stars is positive"),
        (rows_of(), {"text": "txt"}, "--text txt: no such column (there are: id, review, stars)"),
        (rows_of(), {"label": "id"}, "column id holds 60 labels"),
        (rows_of(), {"positive": "fine"}, "--positive fine: column stars holds 'bad', 'good'"),
        (rows_of(), {"test_share": 0.0}, "--test-share 0.0: must lie between"),
        ([(*row[:2], row[0]) for row in rows_of()], {}, "which column is the label? say --label"),
        ([*rows_of(), (60, "x" * 60_000, "bad")], {}, "row 62: has a text of more than 50,000"),
    ],
)
def test_refusals(tmp_path, rows, choice, told):
    path = written(tmp_path / "own.csv", rows)
    with pytest.raises(DataError) as error:
        load(path, **choice)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_other_refusals(tmp_path):
    path = written(tmp_path / "own.csv", rows_of())
    with pytest.raises(DataError, match="leave --source real out"):
        user_reviews.load(Request("real"), path, num_words=100)
    with pytest.raises(DataError, match="num_words must be more than 4"):
        load(path, num_words=4)
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        load(tmp_path / "none.csv")


def test_texts_are_words_lines_or_a_column(tmp_path):
    path = written(tmp_path / "own.csv", rows_of(2))
    (tmp_path / "lines.txt").write_bytes("좋은 영화\n\n나쁜 영화\n".encode("cp949"))
    found = user_reviews.texts_named([str(path), str(tmp_path / "lines.txt"), "so good.", "bad!"])
    assert found == ["a bad film 0", "a good film 1", "좋은 영화", "나쁜 영화", "so good.", "bad!"]
    for given, told in (("lost.txt", "does not exist"), ("  ", "holds no text")):
        with pytest.raises(DataError, match=told):
            user_reviews.texts_named([given])
    with pytest.raises(DataError, match="more than 50,000 letters"):
        user_reviews.texts_named(["long " * 20_000])


def test_words_are_taken_out_everywhere():
    words = [*imdb.SPECIAL, "good", "bad"]
    rows = user_reviews.encoded(["Good, bad: good", "new", "bad"], words)
    assert rows.tokens.tolist() == [1, 4, 5, 4, 1, 2, 1, 5]
    shorter = user_reviews.without_each_word(rows)
    assert shorter.text.tolist() == [0, 0, 2]
    assert [words[i] for i in shorter.word] == ["good", "bad", "bad"]
    assert shorter.rows.tokens.tolist() == [1, 5, 1, 4, 4, 1]
    assert shorter.rows.starts.tolist() == [0, 2, 5, 6]
    logits, without = np.array([2.0, 0.0, -1.0]), np.array([-1.0, 2.5, 0.0])
    effects = user_reviews.deciding_words(logits, shorter, without, words)
    assert effects == [{"good": 3.0, "bad": -0.5}, {}, {"bad": -1.0}]
    judged = user_reviews.prediction_rows(
        ["x" * 100, "new", "bad"], np.array([0.9, 0.5, 0.2]), effects, ("-", "+")
    )
    assert [row["class"] for row in judged] == ["+", "-", "-"]
    assert [row["probability"] for row in judged] == pytest.approx([0.9, 0.5, 0.8])
    assert (judged[0]["words for +"], judged[0]["words for -"]) == ("good", "bad")
    assert len(judged[0]["text"]) == 60
