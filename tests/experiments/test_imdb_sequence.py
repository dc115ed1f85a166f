"""Lab 040, readers of reviews: they beat chance; what they read; words with weights."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments import imdb_sequence as lab
from jaxdl.models.text import BagMLP
from jaxdl.text import bag_of_words, sentiment_task
from tests.texts import VOCABULARY, some_texts


def test_readers_beat_chance(quick_run):
    (table,) = quick_run("imdb_sequence").results.tables
    accuracy = {row["model"]: float(np.mean(row["test accuracy"])) for row in table.rows}
    assert accuracy["pairs"] > 0.65
    assert accuracy["weighted_words"] > 0.65
    assert accuracy["logistic regression, pairs"] > 0.65
    assert accuracy["cnn"] > 0.55


def test_a_bag_has_as_many_columns_as_pairs_were_found():
    tokens, starts = some_texts()
    few = lab.Config(num_words=VOCABULARY, pairs=10**6)
    half = lab.imdb.ReviewRows(
        tokens, starts, np.zeros(len(starts) - 1), np.arange(len(starts) - 1)
    )
    for name in lab.BAGS:
        reader = lab.reader_of(name, half, few, seeds=1)
        listed = reader.inputs(half)
        assert listed.max() == reader.columns  # what fills shorter lists up is no column
        assert (reader.columns - 1 in listed) or name in lab.WITH_ENDING
    one, apart = (lab.reader_of(name, half, few, 1) for name in ("pairs", "ending_pairs"))
    assert apart.columns > one.columns + VOCABULARY


def test_naive_bayes_weights_are_log_ratios_of_smoothed_shares():
    words = np.array([[0, 1], [0, 3], [1, 2]], np.uint16)  # 3 stands for nothing
    weights = lab.naive_bayes_weights(words, np.array([1.0, 1.0, 0.0]), 3)
    shares_for, shares_against = np.array([3, 2, 1]) / 6, np.array([1, 2, 2]) / 5
    np.testing.assert_allclose(weights, 2 * np.abs(np.log(shares_for / shares_against)))


def test_word_weights_scale_the_ones_of_the_vector():
    words = bag_of_words.multi_hot(*some_texts(), VOCABULARY)
    weights = np.random.default_rng(0).uniform(0, 2, VOCABULARY)
    hyper, _ = sentiment_task.methods_times_seeds({"none": sentiment_task.Regularisation()}, [0])
    plain = sentiment_task.sentiment_task(BagMLP(VOCABULARY, (4, 4)), hyper, 1e-3)
    task = lab.with_word_weights(plain, weights)
    batch = {"x": jnp.asarray(words)}
    variables = task.init(jax.random.key(1), batch)
    params = variables["params"]
    x = bag_of_words.sparse_matrix(words, VOCABULARY).toarray() * weights
    for layer in ("hidden_0", "hidden_1"):
        x = np.maximum(x @ params[layer]["kernel"] + params[layer]["bias"], 0)
    expected = x @ params["output"]["kernel"] + params["output"]["bias"]
    logits, _ = task.apply(variables, batch, None, False, {"dropout": 0.0})
    np.testing.assert_allclose(logits, expected[:, 0], rtol=1e-4, atol=1e-5)


def test_last_words_keep_the_end_and_pad_in_front():
    tokens, starts = np.array([5, 6, 7, 8, 9], np.int32), np.array([0, 2, 5])
    assert lab.last_words(tokens, starts, 3).tolist() == [[0, 5, 6], [7, 8, 9]]
    assert lab.last_words(tokens, starts, 2).tolist() == [[5, 6], [8, 9]]


def test_a_network_starts_from_log_count_ratios_and_its_step_size_ends_at_nothing():
    tokens, starts = some_texts()
    label = (np.arange(len(starts) - 1) % 2).astype(np.float32)
    half = lab.imdb.ReviewRows(tokens, starts, label, np.arange(len(label)))
    config = lab.Config(num_words=VOCABULARY, cnn_length=8, network_epochs=3)
    reader = lab.reader_of("cnn", half, config, seeds=1)
    train = lab.examples(reader, half)
    task = reader.task(train)
    params = task.init(jax.random.key(0), train)["params"]
    written = np.where(train["x"] == 0, VOCABULARY, train["x"])  # padding is no word
    assert (train["x"] == 0).any()
    shown = np.array([[word in row for word in range(VOCABULARY)] for row in written])
    assert (np.sort(written)[:, 1:] == np.sort(written)[:, :-1]).any()  # some words come twice
    reviews = [1 + shown[label == kind].sum(axis=0) for kind in (1, 0)]
    positive, negative = (np.log(count / count.sum()) for count in reviews)
    expected = positive - negative
    assert abs(expected[0]) < 0.2
    np.testing.assert_allclose(params["words"]["score"][:, 0], expected, rtol=1e-6)
    assert np.ptp(expected) > 0

    optimizer, zeros = task.optimizer({}), jax.tree.map(jnp.zeros_like, params)
    ones = jax.tree.map(jnp.ones_like, params)
    steps = config.network_epochs * -(-len(label) // reader.batch_size)
    state, moved = optimizer.init(zeros), []
    for _ in range(steps + 1):
        updates, state = optimizer.update(ones, state, zeros)
        moved.append(float(jnp.abs(updates["output"]["bias"]).max()))
    assert max(moved) > 0
    assert moved[-1] < max(moved) * 1e-6
