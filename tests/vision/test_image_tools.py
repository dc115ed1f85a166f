"""Noise, search, pre-training, PCA errors: the pieces of the image autoencoder labs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import mean_squared_error

from datasets import splits
from experiments import mnist_promises
from jaxdl import pca
from jaxdl.errors import UserError
from jaxdl.models.autoencoder import ConvAutoencoder, DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.models.vae import VAE
from jaxdl.report import table
from jaxdl.training import fit, parameter_count
from jaxdl.vision import autoencoder_task as images
from jaxdl.vision import corruptions, pretraining, retrieval, vae_task


@pytest.fixture(scope="module")
def grey():
    """60 images of 16 pixels from three classes that differ in their mean."""
    rng = np.random.default_rng(0)
    label = np.arange(60) % 3
    centre = rng.integers(0, 256, (3, 16))
    x = np.clip(centre[label] + rng.normal(0, 25, (60, 16)), 0, 255)
    return x.astype(np.uint8), label.astype(np.uint8)


def test_noise_is_of_the_stated_strength_and_a_function_of_the_key():
    x = jnp.full((50, 784), 0.5)
    for name, spoil in corruptions.kinds(0.1, 0.2, 0.4).items():
        spoilt = np.asarray(spoil(jax.random.key(0), x))
        np.testing.assert_array_equal(spoilt, spoil(jax.random.key(0), x))
        assert (spoilt != spoil(jax.random.key(1), x)).any()
        assert spoilt.min() >= 0
        assert spoilt.max() <= 1
        shares = {value: (spoilt == value).mean() for value in (0.0, 0.5, 1.0)}
        if name.startswith("Gaussian"):
            assert spoilt.std() == pytest.approx(0.1, rel=0.02)
        elif name.startswith("salt"):
            assert shares[0.0] == pytest.approx(0.1, abs=0.01)
            assert shares[1.0] == pytest.approx(0.1, abs=0.01)
        else:
            assert shares[0.0] == pytest.approx(0.4, abs=0.01)
            assert shares[0.5] == pytest.approx(0.6, abs=0.01)


def test_mixed_noise_gives_each_row_one_kind():
    zeros = {"add": lambda key, x: x + 1.0, "keep": lambda key, x: x}
    spoilt = np.asarray(corruptions.any_of(zeros)(jax.random.key(0), jnp.zeros((400, 3))))
    assert ((spoilt == spoilt[:, :1]).all(axis=1)).all()
    assert spoilt[:, 0].mean() == pytest.approx(0.5, abs=0.1)


def test_precision_at_k_against_brute_force(grey):
    x, label = grey
    gallery, queries = x[:40] / 255, x[40:] / 255
    hits = []
    for q, own in zip(queries, label[40:], strict=True):
        order = np.argsort([np.sum((q - g) ** 2) for g in gallery])[:4]
        hits.append((label[:40][order] == own).mean())
    found = retrieval.precision_at_k(gallery, label[:40], queries, label[40:], 4)
    assert found == pytest.approx(np.mean(hits))
    near = retrieval.nearest(gallery, queries, 1)
    assert near.mse[0, 0] == pytest.approx(mean_squared_error(queries[0], gallery[near.row[0, 0]]))


def test_agreement_leaves_the_row_itself_out():
    points = np.array([[0.0], [0.0], [1.0], [1.1], [5.0]])
    label = np.array([0, 1, 2, 2, 0])
    # the twins at 0 differ, the pair near 1 agrees, the last one's neighbour is of class 2
    assert retrieval.agreement(points, label, 1) == pytest.approx(2 / 5)
    assert retrieval.vote(np.array([[1, 1, 2], [2, 0, 1]]), 3).tolist() == [1, 0]


def test_errors_of_pca_for_all_sizes_at_once(grey):
    x, _ = grey
    errors = pca.pca_errors(images.unit(x[:40]), images.unit(x[40:]), most=5)
    assert errors[0] == pytest.approx(np.square(x[40:] / 255 - (x[:40] / 255).mean(0)).mean())
    theirs = PCA(3).fit(x[:40] / 255)
    copy = theirs.inverse_transform(theirs.transform(x[40:] / 255))
    assert errors[3] == pytest.approx(np.square(x[40:] / 255 - copy).mean(), rel=1e-4)
    assert (np.diff(errors) < 0).all()


def test_psnr_and_bytes():
    assert images.psnr([0.01, 1.0]).tolist() == pytest.approx([20.0, 0.0])
    codes = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    again = mnist_promises.in_bytes(codes, codes)
    step = np.ptp(codes, axis=0) / 255
    assert (np.abs(again - codes) <= step / 2 + 1e-6).all()
    assert all(len(np.unique(column)) <= 256 for column in again.T)
    assert (
        mnist_promises.in_bytes(codes + 100, codes).max() <= codes.max() + 1e-5
    )  # cut, not wrapped


def test_goal_line_says_which():
    assert table.goal_line("MSE", np.array([0.01, 0.02]), 0.015).endswith("0.015: met.")
    assert table.goal_line("MSE", np.array([0.01, 0.03]), 0.015).endswith("0.015: missed.")
    with pytest.raises(UserError, match="one side is empty"):
        splits.split_last({"x": np.zeros((4, 2))}, 4)


@pytest.mark.parametrize(
    ("widths", "count"), [((32,), 50_992), ((64,), 101_200), ((128, 64, 32), 222_384)]
)
def test_parameters_are_the_lectures(widths, count):
    task = images.copy_task(DenseAutoencoder(784, widths), "bce", 1e-3)
    variables = jax.eval_shape(task.init, jax.random.key(0), {"x": jnp.zeros((1, 784), jnp.uint8)})
    assert parameter_count(variables) == count


def test_halves_of_the_convolutional_net_are_the_whole():
    net, x = ConvAutoencoder(8, 4, channels=3, hidden=6, code=5), np.ones((2, 64), np.float32)
    variables = net.init({"params": jax.random.key(0)}, x, train=False)
    code = net.apply(variables, x, method="encode")
    assert code.shape == (2, 5)
    np.testing.assert_allclose(
        net.apply(variables, x, train=False), net.apply(variables, code, method="decode")
    )
    with pytest.raises(ValueError, match="cannot be cut into patches of 4"):
        ConvAutoencoder(10, 4, 3, 6, 5).init({"params": jax.random.key(0)}, x, train=False)


def test_denoiser_sees_noise_only_in_training(grey):
    x, _ = grey
    dark = images.copy_task(
        DenseAutoencoder(16, (4,)), "mse", 1e-2, corrupt=lambda key, x: jnp.zeros_like(x)
    )
    variables = dark.init(jax.random.key(0), {"x": x})
    spoilt, _ = dark.apply(variables, {"x": x}, jax.random.key(0), True, {})
    assert np.ptp(np.asarray(spoilt.logits), axis=0).max() == 0  # all inputs were black
    clean, _ = dark.apply(variables, {"x": x}, jax.random.key(0), False, {})
    assert np.ptp(np.asarray(clean.logits), axis=0).max() > 0
    given, _ = dark.apply(variables, {"x": x, "input": 0.0 * x}, jax.random.key(0), False, {})
    np.testing.assert_array_equal(given.logits, spoilt.logits)


def test_labelled_rows_are_balanced_and_each_seeds_own(grey):
    x, label = grey
    shown = pretraining.labelled(x, label, 9, np.arange(2))
    assert shown["x"].shape == (9, 2, 16)
    assert (np.bincount(shown["y"][:, 0]) == 3).all()
    assert (shown["x"][:, 0] != shown["x"][:, 1]).any()
    with pytest.raises(ValueError, match="do not divide"):
        pretraining.labelled(x, label, 10, np.arange(2))


def test_each_member_starts_from_its_own_encoder_and_learns_its_own_labels(grey):
    x, label = grey
    body, seeds = DenseAutoencoder(16, (8, 4), code_activation=identity), np.arange(2)
    copied = fit(
        images.copy_task(body, "mse", 1e-2), {"x": x}, seeds=seeds, epochs=2, batch_size=20
    )
    encoders = copied.variables["params"]
    task = pretraining.classifier_task(body, 3, 2, encoders, learning_rate=1e-2)
    shown = pretraining.labelled(x, label, 30, seeds)
    judged = {"x": x, "y": label.astype(np.int32)}
    start = fit(task, shown, seeds=seeds, epochs=0, batch_size=30)
    logits = start.predict(lambda scores, batch: scores.logits, judged)
    for member in range(2):
        own = {"params": jax.tree.map(lambda w, m=member: w[m], encoders)}
        code = np.asarray(body.apply(own, x / np.float32(255), method="encode"))
        head = jax.tree.map(lambda w, m=member: w[m], start.variables["params"])
        expected = code @ head["kernel"] + head["bias"]
        np.testing.assert_allclose(logits[member], expected, rtol=1e-4, atol=1e-5)
    trained = fit(task, shown, seeds=seeds, epochs=60, batch_size=30)
    assert trained.predict(pretraining.hits, judged).mean() > 0.9
    assert trained.history["train_accuracy"].shape == (60, 2)


def test_binary_images_follow_the_grey():
    grey = np.tile(np.array([[0, 64, 128, 255]], np.uint8), (4000, 1))
    once = vae_task.binary(grey, "static", seed=0)
    np.testing.assert_array_equal(once, vae_task.binary(grey, "static", seed=0))
    assert (once != vae_task.binary(grey, "static", seed=1)).any()
    np.testing.assert_allclose(once.mean(0), [0, 64 / 255, 128 / 255, 1], atol=0.03)
    assert vae_task.binary(grey, "threshold", seed=0)[0].tolist() == [0, 0, 1, 1]


def test_vae_task_warms_up_and_draws_grey_images_anew():
    net = VAE(DenseAutoencoder(16, (8, 4), code_activation=identity))
    task = vae_task.vae_task(net, beta=2.0, warm_up_steps=4, learning_rate=1e-3)
    batch = {"grey": np.full((6, 16), 128, np.uint8)}
    variables = task.init(jax.random.key(0), batch)
    betas, targets = [], []
    for step in range(6):
        drawn, changed = task.apply(variables, batch, jax.random.key(step), True, {})
        betas.append(float(drawn.beta))
        targets.append(np.asarray(drawn.target))
        variables = {**variables, **changed}
    assert betas == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert set(np.unique(targets)) == {0.0, 1.0}
    assert (targets[0] != targets[1]).any()
    fixed = {"x": targets[0].astype(np.uint8)}
    judged, changed = task.apply(variables, fixed, jax.random.key(0), False, {})
    assert changed == {}
    assert float(judged.beta) == 2.0
    parts = (f(judged, fixed) for f in (vae_task.reconstruction, vae_task.divergence))
    fit_term, kl = parts
    np.testing.assert_allclose(task.loss(judged, fixed, {}), fit_term + 2 * kl, rtol=1e-6)
    np.testing.assert_allclose(task.metrics["bound"](judged, fixed), fit_term + kl, rtol=1e-6)


def test_latent_plane_and_walks():
    plane = vae_task.plane(3, reach=0.5)
    assert plane[:3, 0].tolist() == pytest.approx([-0.6745, 0.0, 0.6745], abs=1e-4)
    assert plane[0, 1] == pytest.approx(0.6745, abs=1e-4)  # the top row is the largest
    walks = vae_task.traversals(np.arange(3.0), [1], [-1, 0, 2])
    np.testing.assert_array_equal(walks["dimension 1"], [[0, -1, 2], [0, 0, 2], [0, 2, 2]])
