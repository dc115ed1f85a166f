"""Lab 040 in Korean: n-grams beat words between spaces; what a bag holds; how rows are counted."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from datasets import nsmc
from datasets.nsmc import ReviewTexts
from experiments import nsmc_reviews as lab
from jaxdl.errors import UserError
from jaxdl.text import bag_of_words, ngrams

TEXTS = ["영화 재밌다", "영화가 재밌네", "영화는 별로", "별로 별로네"]


def table(results, title):
    return next(table for table in results.tables if table.title.startswith(title))


def test_n_grams_beat_words_between_spaces(quick_run):
    rows = table(quick_run("nsmc_reviews").results, "Readers").rows
    accuracy = {row["model"]: float(np.mean(row["test accuracy"])) for row in rows}
    assert set(accuracy) == {"words", "characters", "jamo", "cnn"}
    assert accuracy["characters"] > accuracy["words"] + 0.03
    assert accuracy["jamo"] > accuracy["words"] + 0.03
    assert min(accuracy.values()) > 0.55


def test_words_between_spaces_are_rarer_than_n_grams(quick_run):
    rows = table(quick_run("nsmc_reviews").results, "What a bag knows").rows
    known = {row["model"]: row["known"] for row in rows}
    assert known["words"] < 0.6 * known["characters"]


def test_heaviest_n_grams_are_parts_of_leaning_stems(quick_run):
    stems = nsmc._invented(np.random.Generator(np.random.PCG64(1)), 80, 2)
    rows = table(quick_run("nsmc_reviews").results, "Largest weights").rows
    for sign, own in (("negative", stems[:40]), ("positive", stems[40:])):
        grams = [row[f"characters, {sign}"].strip("␣") for row in rows]
        parts = [any(gram in stem or stem in gram for stem in own) for gram in grams]
        assert np.mean(parts) > 0.6


def test_empty_reviews_are_never_trained_on_and_parts_share_no_row():
    train = ReviewTexts(["가", "", "나", " ", "다", "라"], np.array([0, 1, 1, 0, 1, 0], np.int8))
    part, valid = lab.parts_of(train, 1)
    assert sorted(part.texts + valid.texts) == ["가", "나", "다", "라"]
    assert len(valid.texts) == 1
    label = dict(zip(train.texts, train.label, strict=True))
    assert [label[text] for text in part.texts] == part.label.tolist()
    for rows in (0, 4, -1):
        with pytest.raises(UserError, match="cannot be set aside"):
            lab.parts_of(train, rows)


def test_a_word_bag_counts_what_stands_between_spaces():
    bag = lab.word_bag(TEXTS, 10)
    assert (bag.distinct, bag.once) == (7, 6 / 7)
    assert [bag.spell(int(code)) for code in bag.vocabulary] == ["별로"]
    assert bag.lists(["별로 새말", "", "별로 별로"]).tolist() == [[0], [1], [0]]


def test_a_gram_bag_finds_a_stem_whatever_hangs_on_it():
    bag = lab.gram_bag(TEXTS, 2, 100, of_jamo=False)
    kept = {bag.spell(int(code)) for code in bag.vocabulary}
    assert {"영화", "재밌", "별로", "␣재"} <= kept
    assert "화가" not in kept  # it occurs once
    columns = {bag.spell(int(code)): column for column, code in enumerate(bag.vocabulary)}
    (row,) = bag.lists(["재밌어"])
    assert row.tolist() == sorted(columns[gram] for gram in ("재", "밌", "재밌"))


def test_jamo_see_a_stem_inside_a_syllable():
    letters, jamo = (lab.gram_bag(["가다", "간다"], 2, 100, each) for each in (False, True))
    spelled = [{bag.spell(int(code)) for code in bag.vocabulary} for bag in (letters, jamo)]
    assert "가" not in spelled[0]
    assert "가" in spelled[1]


def test_a_bag_of_nothing_is_refused():
    with pytest.raises(UserError, match="occurs twice"):
        lab.word_bag(["하나", "둘"], 10)


def test_rarity_counts_occurrences_that_have_a_column():
    bag = lab.word_bag(TEXTS, 10)
    valid = ReviewTexts(["별로 별로 좋다 최고", "최고"], np.array([0, 1], np.int8))
    row = lab.rarity(bag, valid, valid)
    assert row["known"] == 2 / 5
    assert row["without any"] == 1 / 2
    assert row["a review"] == 2.5
    assert (row["distinct in train"], row["columns"]) == (7, 1)


def test_the_linear_bag_is_a_weighted_sum_by_length():
    words = np.array([[0, 2], [1, 3]], np.uint16)  # 3 stands for nothing
    weights = np.array([0.5, 2.0, 1.0])
    task = lab.bag_task(weights, 1e-3)
    variables = task.init(jax.random.key(0), {"x": words})
    kernel = np.asarray(variables["params"]["kernel"])[:, 0]
    logits, _ = task.apply(variables, {"x": words}, jax.random.key(1), True, {})
    matrix = bag_of_words.sparse_matrix(words, 3).toarray()
    expected = matrix @ (kernel * weights) * np.sqrt(100 / np.array([2, 1]))
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_the_convolution_reads_letters_and_the_n_grams_that_end_with_them():
    texts = ["가나" * lab.RAREST_LETTER, "다나가", "다나가"]
    part = ReviewTexts(texts, np.array([0, 1, 1], np.int8))
    tokens = lab.letter_tokens(part, longest=3, least=5)
    # 다 is rarer than a letter that has a number of its own: the n-grams with it have none either
    assert "".join(map(chr, tokens.alphabet)) == "가나"
    known = [ngrams.spelled(int(code), tokens.alphabet) for code in tokens.grams]
    assert known == ["가나", "나가"]  # 가나가 and 나가나 occur four times
    (row,) = tokens.lists(["다가나가"], 5)
    unknown, letter, gram = 1, 2, 4
    assert row.tolist() == [
        [0, 0, 0],
        [unknown, 0, 0],
        [letter, 0, 0],
        [letter + 1, gram, 0],
        [letter, gram + 1, 0],
    ]
    assert (tokens.letters, tokens.vocabulary) == (4, 6)


def test_repeated_reviews_are_left_out_of_the_last_column():
    hits = np.array([[1.0, 0.0, 1.0, 1.0]])

    fitted = SimpleNamespace(
        seeds=np.array([0]),
        best_epoch=np.array([2]),
        parameter_count=7,
        history={"valid_accuracy": np.array([[0.1], [0.6], [0.2]])},
        predict=lambda function, data: {"accuracy": hits},
    )
    reader = lab.Reader(None, "letters", None, 1, 1)
    new = np.array([True, True, False, False])
    row = lab.model_row("cnn", reader, fitted, {}, new)
    assert row["validation accuracy"].tolist() == [0.6]
    assert row["test accuracy"].tolist() == [0.75]
    assert row["test, no repeats"].tolist() == [0.5]
