"""Networks for texts: the embedding sum is the dense multi-hot layer; sizes are Keras's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import layers, text
from jaxdl.text import bag_of_words
from tests.texts import VOCABULARY, multi_hot_matrix, some_texts


@pytest.mark.parametrize("members", [None, 3])
def test_embedding_sum_equals_the_dense_layer_in_value_and_gradient(members):
    words = bag_of_words.multi_hot(*some_texts(), VOCABULARY)
    matrix = multi_hot_matrix(*some_texts())
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


def test_members_with_batches_of_their_own_are_not_mixed_up():
    words = bag_of_words.multi_hot(*some_texts(), VOCABULARY)
    kernel = jax.random.normal(jax.random.key(0), (2, VOCABULARY, 3))
    batches = jnp.stack([words[:5], words[-5:]])
    together = jax.vmap(text.bag_sum)(kernel, batches)
    for i in range(2):
        np.testing.assert_array_equal(together[i], text.bag_sum(kernel[i], batches[i]))


def test_bag_mlp_is_the_dense_network_of_the_lab():
    words = bag_of_words.multi_hot(*some_texts(), VOCABULARY)
    matrix = multi_hot_matrix(*some_texts())
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


def test_gaps_between_words_stand_for_nothing():
    words = bag_of_words.multi_hot(*some_texts(), VOCABULARY)
    kernel = jax.random.normal(jax.random.key(0), (VOCABULARY, 3))
    gaps = np.where(np.arange(words.shape[1]) % 2, words, VOCABULARY).astype(words.dtype)
    matrix = np.zeros((len(words), VOCABULARY + 1), np.float32)
    np.put_along_axis(matrix, gaps.astype(int), 1, axis=1)
    expected = matrix[:, :VOCABULARY] @ kernel
    np.testing.assert_allclose(text.bag_sum(kernel, gaps), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("texts", [1, 63, 64, 150])
def test_texts_of_any_number_and_length_are_summed(texts):
    """Texts are put together by length: each has to come back to its own place."""
    rng = np.random.default_rng(texts)
    vocabulary, widest = 300, 21
    words = np.full((texts, widest), vocabulary, np.uint16)
    for i, length in enumerate(rng.integers(0, widest + 1, texts)):
        words[i, :length] = rng.choice(vocabulary, length, replace=False)
    kernel = rng.integers(-9, 10, (vocabulary, 2)).astype(np.float32)  # sums without rounding
    matrix = bag_of_words.sparse_matrix(words, vocabulary).toarray()
    np.testing.assert_array_equal(text.bag_sum(kernel, words), matrix @ kernel)
    weight = rng.integers(-9, 10, (texts, 2)).astype(np.float32)
    gradient = jax.grad(lambda k: (text.bag_sum(k, words) * weight).sum())(kernel)
    np.testing.assert_array_equal(gradient, matrix.T @ weight)


def test_sum_by_length_is_the_dense_layer_on_scaled_vectors():
    words = bag_of_words.multi_hot(*some_texts(), VOCABULARY)
    matrix = bag_of_words.sparse_matrix(words, VOCABULARY).toarray()
    kernel = np.asarray(jax.random.normal(jax.random.key(0), (VOCABULARY, 3)))
    params = {"kernel": kernel, "bias": np.array([1.0, 2.0, 3.0])}
    count = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    expected = (matrix * np.sqrt(text.USUAL_WORDS / count)) @ kernel + params["bias"]
    layer = text.MultiHotDense(3, VOCABULARY, by_length=True)
    np.testing.assert_allclose(layer.apply({"params": params}, words), expected, rtol=1e-4)


def feature_maps(embedded, params):
    """ReLU of convolutions of windows 1 and 3, written out: [batch, length, filters of both]."""
    maps = []
    for window, name in ((1, "Conv1D_0"), (3, "Conv1D_1")):
        around = np.pad(embedded, [(0, 0), (window // 2, window // 2), (0, 0)])
        kernel, bias = (np.asarray(params[name][part]) for part in ("kernel", "bias"))
        places = range(embedded.shape[1])
        seen = [np.einsum("btc,tcf->bf", around[:, i : i + window], kernel) for i in places]
        maps.append(np.maximum(np.stack(seen, axis=1) + bias, 0))
    return np.concatenate(maps, axis=-1)


def with_scores(params, seed=0):
    """The parameters with scores of words that are not 0."""
    words = dict(params["words"])
    words["score"] = np.random.default_rng(seed).normal(size=words["score"].shape)
    return {**params, "words": {**words, "score": words["score"].astype(np.float32)}}


def test_cnn_is_convolutions_and_their_maximum_and_mean_over_time():
    tokens = np.array([[3, 1, 4, 1, 5], [0, 0, 2, 6, 5]], np.uint16)
    model = text.TextCNN(vocabulary=7, embedding=4, filters=3, windows=(1, 3))
    params = model.init(jax.random.key(0), tokens, False)["params"]
    assert np.abs(params["words"]["embedding"]).max() <= 0.05
    assert not np.asarray(params["words"]["score"]).any()
    params = with_scores(params)
    table = np.column_stack([params["words"]["embedding"], params["words"]["score"]])
    there = (tokens > 0)[..., None]
    embedded = table[tokens] * there
    maps = feature_maps(embedded, params)
    mean = (maps * there).sum(axis=1) / there.sum(axis=1)
    pooled = np.concatenate([maps.max(axis=1), mean], axis=-1)
    expected = pooled @ params["output"]["kernel"] + params["output"]["bias"]
    logits = model.apply({"params": params}, tokens, False)
    np.testing.assert_allclose(logits, expected[:, 0], rtol=1e-4, atol=1e-6)


def test_word_dropout_makes_padding_of_words():
    tokens = np.tile(np.arange(1, 9, dtype=np.uint16), (500, 1))
    read = text.ReadWords(9, embedding=4, word_rate=0.25, dropout_rate=0.0)
    params = read.init(jax.random.key(0), tokens, False)["params"]
    numbers, there = read.apply({"params": params}, tokens, False)
    assert there.all()
    rngs = {"dropout": jax.random.key(1)}
    drawn, kept = read.apply({"params": params}, tokens, True, rngs=rngs)
    assert float(kept.mean()) == pytest.approx(0.75, abs=0.03)
    np.testing.assert_array_equal(drawn, numbers * kept)  # not made larger for those left out
    zeros = np.where(np.asarray(kept)[..., 0] > 0, tokens, 0)
    np.testing.assert_array_equal(read.apply({"params": params}, zeros, False)[0], drawn)


def test_letters_are_read_with_the_n_grams_that_end_there():
    tokens = np.array([[[0, 0], [2, 0], [1, 5]], [[3, 0], [2, 4], [3, 6]]], np.uint32)
    model = text.LetterCNN(7, letters=4, embedding=3, filters=2, windows=(1, 3))
    params = model.init(jax.random.key(0), tokens, False)["params"]
    assert not np.asarray(params["embedding"])[4:].any()  # an n-gram says nothing at first
    table = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    params = {**params, "embedding": table}
    embedded = (table[tokens] * (tokens > 0)[..., None]).sum(axis=2)
    maps = feature_maps(embedded, params)
    mean = np.stack([maps[0, 1:].mean(axis=0), maps[1].mean(axis=0)])  # the first is shorter
    pooled = np.concatenate([maps.max(axis=1), mean], axis=-1)
    expected = pooled @ params["output"]["kernel"] + params["output"]["bias"]
    logits = model.apply({"params": params}, tokens, False)
    np.testing.assert_allclose(logits, expected[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layer_has_the_size_and_directions_asked_for(bidirectional):
    tokens = np.array([[3, 1, 4, 1, 5]], np.uint16)
    model = text.TextRNN(7, text.LSTMCell, bidirectional=bidirectional)
    params = model.init(jax.random.key(0), tokens, False)["params"]
    sizes = {name: sum(x.size for x in jax.tree.leaves(params[name])) for name in params}
    directions = 2 if bidirectional else 1
    assert sizes.pop("words") == 7 * 33
    assert sizes.pop("output") == 2 * directions * 32 + 1
    # Keras counts the same: 4 gates, each with an input kernel, a recurrent one and a bias
    assert sum(sizes.values()) == directions * 4 * (33 * 32 + 32 * 32 + 32)
    assert model.apply({"params": params}, tokens, False).shape == (1,)


def test_sums_of_sixteen_bit_rows_are_taken_in_full():
    words = jnp.zeros((600, 1), jnp.int32)
    kernel = jnp.ones((700, 1), jnp.bfloat16)
    many = jnp.arange(600)[None]
    assert text.bag_sum(kernel, many)[0, 0] == 600
    gradient = jax.grad(lambda k: text.bag_sum(k, words).astype(jnp.float32).sum())(kernel)
    assert gradient.dtype == jnp.bfloat16
    assert gradient[0, 0] == 600


def test_an_accelerator_gets_the_same_sum_as_a_product(monkeypatch):
    rng = np.random.default_rng(0)
    lists = [np.concatenate([rng.permutation(50)[:n], [50] * (20 - n)]) for n in range(1, 20)]
    words = jnp.asarray(np.stack(lists).astype(np.uint16))
    kernel = jnp.asarray(rng.normal(size=(50, 4)).astype(np.float32))

    def value(kernel):
        return jnp.sin(text.bag_sum(kernel, words)).sum()

    on_a_cpu = jax.value_and_grad(value)(kernel)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert "dot_general" in str(jax.make_jaxpr(value)(kernel))
    elsewhere = jax.value_and_grad(value)(kernel)
    np.testing.assert_allclose(elsewhere[0], on_a_cpu[0], rtol=1e-5)
    np.testing.assert_allclose(elsewhere[1], on_a_cpu[1], atol=1e-5)
