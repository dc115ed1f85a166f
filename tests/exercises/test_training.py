"""Solutions of the exercises of the first chapters of docs/labs.md: nets, depth, regularisation.

Each function is named by its exercise, and each is about ten lines that a student could write.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from jaxdl import optim
from jaxdl.diagnostics.mean_field import gaussian_mean
from jaxdl.models.layer_graph import Dense, Graph, Recurrent, chain, summary
from jaxdl.vision.augmentation import Augmentation, augment

# ---- 010 data augmentation ----------------------------------------------------------------------


def test_010_1_flips_alone_show_two_images_and_shifts_many():
    photograph = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    sixty_four = jnp.repeat(jnp.asarray(photograph), 64, axis=0)

    def different(ranges):
        seen = np.asarray(augment(jax.random.key(0), sixty_four, ranges)).round(3)
        return len(np.unique(seen.reshape(64, -1), axis=0))

    assert different(Augmentation(horizontal_flip=True)) == 2
    assert different(Augmentation(width_shift=0.1, height_shift=0.1)) == 64


def test_010_2_mirrored_digits_are_other_digits():
    x, y = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=200).fit(x[:1000] / 16, y[:1000])
    test, label = x[1000:].reshape(-1, 8, 8) / 16, y[1000:]

    def accuracy(images, chosen):
        return model.score(images[chosen].reshape(chosen.sum(), -1), label[chosen])

    everything = np.ones(len(label), bool)
    assert accuracy(test, everything) > 0.85
    assert accuracy(test[:, :, ::-1], everything) < 0.5
    # what is its own mirror image survives
    assert accuracy(test[:, :, ::-1], np.isin(label, (0, 8))) > 0.75
    assert accuracy(test[:, :, ::-1], np.isin(label, (2, 5))) < 0.4


def test_010_3_parameters_of_the_two_nets():
    def convolution(inside, outside):
        return 3 * 3 * inside * outside + outside

    head = 4 * 4 * 128 * 128 + 128 + 128 * 10 + 10
    one = convolution(3, 32) + convolution(32, 64) + convolution(64, 128)
    second_ones = convolution(32, 32) + convolution(64, 64) + convolution(128, 128)
    assert one + head == 356_810
    assert one + second_ones + head == 550_570


def test_010_4_whitened_columns_have_the_identity_as_covariance():
    rng = np.random.default_rng(0)
    a = rng.normal(size=1000)
    x = np.column_stack([a, a + 0.3 * rng.normal(size=1000)])
    variances, axes = np.linalg.eigh(np.cov(x.T))
    white = (x - x.mean(axis=0)) @ axes / np.sqrt(variances)
    np.testing.assert_allclose(np.cov(white.T), np.eye(2), atol=1e-9)


def test_010_5_a_coin_shows_many_pictures_one_way_and_turns_show_none():
    coins = np.random.default_rng(0).random((100_000, 8)) < 0.5
    one_way = np.maximum(coins.sum(axis=1), 8 - coins.sum(axis=1)) >= 7
    # 8 heads, 8 tails, and 8 ways each for the one that differs: 18 of 256
    assert one_way.mean() == pytest.approx(18 / 256, abs=0.003)
    first = coins[:, :1]
    in_turn = first ^ (np.arange(8) % 2 == 1)
    assert set(in_turn.sum(axis=1)) == {4}


# ---- 020 functional models ----------------------------------------------------------------------


def parameters(graph: Graph) -> int:
    return sum(row.parameters for row in summary(graph))


def test_020_1_parameters_of_a_chain_by_hand():
    layers = (("hidden", Dense(5)), ("output", Dense(1, "sigmoid")))
    graph = Graph("small", {"x": (10,)}, chain("x", *layers), ("output",))
    assert parameters(graph) == (10 * 5 + 5) + (5 * 1 + 1) == 61


@pytest.mark.parametrize("units", [1, 10, 20])
def test_020_2_parameters_of_an_lstm_grow_with_the_square(units):
    graph = Graph("r", {"x": (100, 1)}, chain("x", ("lstm", Recurrent(units))), ("lstm",))
    assert parameters(graph) == 4 * (units * (units + 1) + units)


# ---- 030 a train step of one's own --------------------------------------------------------------


def squared_error(weights, x, y):
    return jnp.square(x @ weights - y).mean()


X = jnp.asarray(np.random.default_rng(1).normal(size=(32, 4)), jnp.float32)
Y = X @ jnp.array([10.0, -20.0, 30.0, 5.0])


def test_030_1_clipping_belongs_between_gradient_and_step():
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))

    @jax.jit
    def train_step(weights, state):
        loss, gradient = jax.value_and_grad(squared_error)(weights, X, Y)
        updates, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state, loss, optax.global_norm(gradient)

    weights = jnp.zeros(4)
    after, _, _, norm = train_step(weights, optimizer.init(weights))
    assert norm > 10
    assert float(jnp.linalg.norm(after - weights)) == pytest.approx(0.1, rel=1e-4)


def test_030_2_a_penalty_adds_its_slope_to_the_gradient():
    strength, weights = 0.3, jnp.array([1.0, -2.0, 0.5, 4.0])

    def penalised(weights, x, y):
        return squared_error(weights, x, y) + strength * jnp.square(weights).sum()

    difference = jax.grad(penalised)(weights, X, Y) - jax.grad(squared_error)(weights, X, Y)
    np.testing.assert_allclose(difference, 2 * strength * weights, rtol=1e-4, atol=1e-4)


# ---- depth: vanishing gradients, batch normalisation, ResNet ------------------------------------


def slope_through(layers, shortcut):
    """The slope of a chain of sigmoids at 0, each with its input added or not."""

    def chained(x):
        for _ in range(layers):
            x = jax.nn.sigmoid(x) + (x if shortcut else 0.0)
        return x

    return float(jax.grad(chained)(0.0))


def test_depth_1_ten_sigmoids_leave_a_millionth():
    assert 0.25**9 > 1e-6 > 0.25**10
    assert slope_through(1, shortcut=False) == pytest.approx(0.25)
    assert slope_through(9, shortcut=False) < 0.25**9 + 1e-12
    assert slope_through(10, shortcut=False) < 1e-6


def test_depth_2_a_shortcut_keeps_the_slope_at_one_or_more():
    assert slope_through(30, shortcut=True) >= 1
    assert slope_through(30, shortcut=False) < 1e-15


def test_depth_3_he_keeps_the_size_of_relu_layers():
    """Half of the square is lost in a ReLU, so the weights' variance has to be 2 / n, not 1 / n."""

    def after(scale, layers=20):
        square = 1.0
        for _ in range(layers):
            square = float(scale * gaussian_mean(lambda x: jnp.square(jax.nn.relu(x)), square))
        return square

    assert after(2.0) == pytest.approx(1.0, rel=0.05)
    assert after(1.0) == pytest.approx(0.5**20, rel=0.5)


def test_depth_4_a_bias_before_batch_normalisation_does_nothing():
    z = np.random.default_rng(0).normal(2.0, 3.0, (200, 5))

    def normalised(x):
        return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)

    np.testing.assert_allclose(normalised(z + 7.0), normalised(z), atol=1e-10)


# ---- 040 regularisation -------------------------------------------------------------------------


def trained(*transforms) -> np.ndarray:
    """Weights of a linear model of 20 inputs, of which 3 matter, after 500 steps."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 20)).astype(np.float32)
    y = x[:, :3] @ np.array([2.0, -1.0, 1.5], np.float32) + rng.normal(size=100).astype(np.float32)
    optimizer = optax.chain(*transforms)

    def loss(params):
        return 0.5 * jnp.square(x @ params["kernel"][:, 0] - y).mean()

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    params = {"kernel": jnp.full((20, 1), 0.1)}
    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), length=500)
    return np.asarray(params["kernel"][:, 0])


def test_040_1_only_the_proximal_step_reaches_zero():
    by_gradient = trained(optim.l1(0.2), optax.sgd(0.1))
    proximal = trained(optax.sgd(0.1), optim.soft_threshold(0.2, 0.1))
    assert (by_gradient == 0).sum() == 0
    assert (proximal == 0).sum() >= 12
    assert (np.abs(proximal[:3]) > 0.5).all()


def test_040_2_pairs_of_words_tell_apart_what_a_bag_cannot():
    reviews = ["not good but funny", "good but not funny"]
    words = CountVectorizer().fit_transform(reviews).toarray()
    pairs = CountVectorizer(ngram_range=(2, 2)).fit_transform(reviews).toarray()
    np.testing.assert_array_equal(words[0], words[1])
    assert (pairs[0] != pairs[1]).any()
