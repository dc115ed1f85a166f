"""Texts as bags and sequences, and networks on them: equal to the dense multi-hot layer."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import layers, text
from jaxdl.text import bag_of_words, sentiment_task

VOCABULARY = 50


@pytest.fixture
def texts():
    """20 texts of 1 to 40 words, some of them often; one holds every word there is."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, 20)
    rows = [rng.zipf(1.5, n) % VOCABULARY for n in lengths] + [np.arange(VOCABULARY)]
    return np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)])


def dense(tokens, starts):
    matrix = np.zeros((len(starts) - 1, VOCABULARY), np.float32)
    for row, (a, b) in enumerate(itertools.pairwise(starts)):
        matrix[row, tokens[a:b]] = 1
    return matrix


def test_lists_of_words_are_the_multi_hot_matrix(texts):
    words = bag_of_words.multi_hot(*texts, VOCABULARY)
    matrix = np.zeros((len(words), VOCABULARY + 1), np.float32)
    for row, listed in enumerate(words):
        real = listed[listed < VOCABULARY]
        assert (np.diff(real.astype(int)) > 0).all()
        matrix[row, listed] = 1
    np.testing.assert_array_equal(matrix[:, :VOCABULARY], dense(*texts))
    with pytest.raises(ValueError, match="outside"):
        bag_of_words.multi_hot(*texts, VOCABULARY - 1)


@pytest.mark.parametrize("members", [None, 3])
def test_embedding_sum_equals_the_dense_layer_in_value_and_gradient(texts, members):
    words, matrix = bag_of_words.multi_hot(*texts, VOCABULARY), dense(*texts)
    shape = (VOCABULARY, 7) if members is None else (members, VOCABULARY, 7)
    kernel = jax.random.normal(jax.random.key(0), shape)
    weight = jax.random.normal(jax.random.key(1), (len(matrix), 7))

    def value_and_gradient(layer, x):
        def loss(kernel):
            out = layer(kernel, x)
            return (jnp.tanh(out) * weight).sum(), out

        run = jax.value_and_grad(loss, has_aux=True)
        (_, out), gradient = (jax.vmap(run) if members else run)(kernel)
        return out, gradient

    ours = value_and_gradient(text.bag_sum, words)
    theirs = value_and_gradient(lambda kernel, x: x @ kernel, matrix)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert (np.asarray(ours[1])[..., matrix.sum(axis=0) == 0, :] == 0).all()


def test_members_with_batches_of_their_own_are_not_mixed_up(texts):
    words = bag_of_words.multi_hot(*texts, VOCABULARY)
    kernel = jax.random.normal(jax.random.key(0), (2, VOCABULARY, 3))
    batches = jnp.stack([words[:5], words[-5:]])
    together = jax.vmap(text.bag_sum)(kernel, batches)
    for i in range(2):
        np.testing.assert_array_equal(together[i], text.bag_sum(kernel[i], batches[i]))


def test_bag_mlp_is_the_dense_network_of_the_lab(texts):
    words, matrix = bag_of_words.multi_hot(*texts, VOCABULARY), dense(*texts)
    model = text.BagMLP(VOCABULARY, (8, 8))
    params = model.init(jax.random.key(0), words, False)["params"]
    x = matrix
    for name in ("hidden_0", "hidden_1"):
        x = nn.relu(x @ params[name]["kernel"] + params[name]["bias"])
    expected = (x @ params["output"]["kernel"] + params["output"]["bias"])[:, 0]
    logits = model.apply({"params": params}, words, False)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    sizes = {}
    for units in (4, 8, 64):
        model = text.BagMLP(10_000, (units, units))
        shapes = jax.eval_shape(
            lambda key, model=model: model.init(key, words, False), jax.random.key(0)
        )
        sizes[units] = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert sizes == {4: 40_029, 8: 80_089, 64: 644_289}  # the lecture's


def test_dropout_rate_may_be_traced_and_keeps_the_mean():
    x = jnp.ones((200, 500))
    run = jax.jit(layers.dropout)
    for rate in (0.0, 0.5, 0.9):
        dropped = run(x, rate, jax.random.key(0))
        assert abs(float((dropped == 0).mean()) - rate) < 0.01
        assert abs(float(dropped.mean()) - 1) < 0.03
    assert run(x, 0.5, None) is not None
    np.testing.assert_array_equal(run(x, 0.5, None), x)


def test_gaps_between_words_stand_for_nothing(texts):
    words = bag_of_words.multi_hot(*texts, VOCABULARY)
    kernel = jax.random.normal(jax.random.key(0), (VOCABULARY, 3))
    gaps = np.where(np.arange(words.shape[1]) % 2, words, VOCABULARY).astype(words.dtype)
    matrix = np.zeros((len(words), VOCABULARY + 1), np.float32)
    np.put_along_axis(matrix, gaps.astype(int), 1, axis=1)
    expected = matrix[:, :VOCABULARY] @ kernel
    np.testing.assert_allclose(text.bag_sum(kernel, gaps), expected, rtol=1e-4, atol=1e-5)


def test_sum_by_length_is_the_dense_layer_on_scaled_vectors(texts):
    words = bag_of_words.multi_hot(*texts, VOCABULARY)
    matrix = bag_of_words.sparse_matrix(words, VOCABULARY).toarray()
    kernel = np.asarray(jax.random.normal(jax.random.key(0), (VOCABULARY, 3)))
    params = {"kernel": kernel, "bias": np.array([1.0, 2.0, 3.0])}
    count = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    expected = (matrix * np.sqrt(text.USUAL_WORDS / count)) @ kernel + params["bias"]
    layer = text.MultiHotDense(3, VOCABULARY, by_length=True)
    np.testing.assert_allclose(layer.apply({"params": params}, words), expected, rtol=1e-4)


def test_class_weights_are_log_ratios_of_smoothed_shares():
    words = np.array([[0, 1], [0, 3], [1, 2]], np.uint16)  # 3 stands for nothing
    weights = bag_of_words.class_weights(words, np.array([1.0, 1.0, 0.0]), 3)
    shares_for, shares_against = np.array([3, 2, 1]) / 6, np.array([1, 2, 2]) / 5
    np.testing.assert_allclose(weights, 2 * np.abs(np.log(shares_for / shares_against)))


def test_word_weights_scale_the_ones_of_the_vector(texts):
    words = bag_of_words.multi_hot(*texts, VOCABULARY)
    weights = np.random.default_rng(0).uniform(0, 2, VOCABULARY)
    hyper, _ = sentiment_task.population({"plain": {}}, [0])
    model = text.BagMLP(VOCABULARY, (4, 4))
    task = sentiment_task.sentiment_task(model, hyper, 1e-3, weights)
    variables = task.init(jax.random.key(1), {"x": words})
    params = variables["params"]
    x = bag_of_words.sparse_matrix(words, VOCABULARY).toarray() * weights
    for layer in ("hidden_0", "hidden_1"):
        x = np.maximum(x @ params[layer]["kernel"] + params[layer]["bias"], 0)
    expected = x @ params["output"]["kernel"] + params["output"]["bias"]
    logits, _ = task.apply(variables, {"x": words}, None, False, {"dropout": 0.0})
    np.testing.assert_allclose(logits, expected[:, 0], rtol=1e-4, atol=1e-5)


def test_pairs_are_neighbours_inside_one_text():
    tokens = np.array([1, 7, 8, 7, 8, 9, 1, 7, 8, 2, 9, 1, 9, 7], np.int32)
    starts = np.array([0, 6, 11, 14])
    pairs = bag_of_words.frequent_pairs(tokens, starts, 10, most=2, ignore=2)
    # (7, 8) stands in two texts, the others in one: the lower code comes first
    assert pairs.tolist() == [78, 87]
    words = bag_of_words.multi_hot(tokens, starts, 10, pairs)
    assert [[int(n) for n in row if n < 12] for row in words] == [
        [1, 7, 8, 9, 10, 11],
        [1, 2, 7, 8, 9, 10],
        [1, 7, 9],
    ]
    everything = bag_of_words.frequent_pairs(tokens, starts, 10, most=100, ignore=0)
    assert 91 not in everything  # the end of one text and the start of the next


def test_sequences_keep_the_end_and_pad_in_front():
    tokens, starts = np.array([5, 6, 7, 8, 9], np.int32), np.array([0, 2, 5])
    assert bag_of_words.sequences(tokens, starts, 3).tolist() == [[0, 5, 6], [7, 8, 9]]
    assert bag_of_words.sequences(tokens, starts, 2).tolist() == [[5, 6], [8, 9]]


def test_subset_of_texts(texts):
    tokens, starts = texts
    some, bounds = bag_of_words.subset(tokens, starts, np.array([4, 2]))
    expected = [tokens[starts[i] : starts[i + 1]] for i in (4, 2)]
    np.testing.assert_array_equal(some, np.concatenate(expected))
    assert bounds.tolist() == [0, len(expected[0]), len(some)]


def test_cnn_is_convolution_and_maximum_over_time():
    tokens = np.array([[3, 1, 4, 1, 5], [0, 0, 2, 6, 5]], np.uint16)
    model = text.TextCNN(vocabulary=7, embedding=4, filters=3, window=3)
    params = model.init(jax.random.key(0), tokens, False)["params"]
    kernel, bias = (np.asarray(params["Conv1D_0"][name]) for name in ("kernel", "bias"))
    embedded = np.pad(np.asarray(params["Embed_0"]["embedding"])[tokens], [(0, 0), (1, 1), (0, 0)])
    maps = [np.einsum("btc,tcf->bf", embedded[:, i : i + 3], kernel) + bias for i in range(5)]
    pooled = np.maximum(np.max(maps, axis=0), 0)
    expected = pooled @ params["output"]["kernel"] + params["output"]["bias"]
    logits = model.apply({"params": params}, tokens, False)
    np.testing.assert_allclose(logits, expected[:, 0], rtol=1e-4, atol=1e-6)
    assert np.abs(params["Embed_0"]["embedding"]).max() <= 0.05


@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layer_has_the_size_and_directions_asked_for(bidirectional):
    tokens = np.array([[3, 1, 4, 1, 5]], np.uint16)
    model = text.TextRNN(7, nn.OptimizedLSTMCell, bidirectional=bidirectional)
    params = model.init(jax.random.key(0), tokens, False)["params"]
    sizes = {name: sum(x.size for x in jax.tree.leaves(params[name])) for name in params}
    directions = 2 if bidirectional else 1
    assert sizes.pop("Embed_0") == 7 * 32
    assert sizes.pop("output") == directions * 32 + 1
    # Keras counts the same: 4 gates, each with an input kernel, a recurrent one and a bias
    assert sum(sizes.values()) == directions * 4 * (32 * 32 + 32 * 32 + 32)
    assert model.apply({"params": params}, tokens, False).shape == (1,)
