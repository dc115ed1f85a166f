"""Uses of autoencoders: what is measured, and the pieces that measure it."""

import jax
import numpy as np
import pytest

from experiments import mnist_promises
from experiments.mnist_promises import Labelled
from jaxdl.cli import launcher
from jaxdl.errors import UserError
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.pca import fit_pca
from jaxdl.training import fit
from jaxdl.vision.autoencoder_task import reconstruction_task, squared_error


@pytest.fixture(scope="module")
def grey():
    """60 images of 16 pixels from three classes that differ in their mean."""
    rng = np.random.default_rng(0)
    label = np.arange(60) % 3
    x = rng.integers(0, 256, (3, 16))[label] + rng.normal(0, 25, (60, 16))
    return Labelled(np.clip(x, 0, 255).astype(np.uint8), label.astype(np.uint8))


def test_the_six_uses_are_measured(quick_run):
    tables = quick_run("mnist_promises").results.tables
    compression, cleaned, similar, made, few, maps = tables
    by_method = {row["method"]: row for row in compression.rows}
    assert by_method["autoencoder, a byte each"]["bytes for 784"] == 16
    assert by_method["autoencoder"]["bytes for 784"] == 64
    assert by_method["autoencoder"]["MSE"].shape == (1,)
    for row in cleaned.rows:
        assert row["denoising autoencoder"].mean() > row["noisy"]
    precision = {row["distance between"]: row["precision at 10"] for row in similar.rows}
    assert np.mean(precision["codes, autoencoder"]) > 2 * precision["nothing: chance"]
    judged = {row["images"]: row for row in made.rows}
    assert judged["test images"]["of the class that was meant"] > 0.6
    assert few.rows[0]["net from the encoder"].shape == (1,)
    assert all(0 <= row["of 10 neighbours, same class"] <= 1 for row in maps.rows)


@pytest.mark.parametrize(("rows", "code"), [(320, 300), (60, 16)])
def test_pca_beside_a_wide_code_and_beside_few_images(rows, code):
    x = np.random.default_rng(0).integers(0, 256, (rows + 20, 784)).astype(np.uint8)
    train, test = (Labelled(part, np.zeros(len(part), int)) for part in (x[:rows], x[rows:]))
    model = DenseAutoencoder(784, (code,), code_activation=identity)
    task = reconstruction_task(model, squared_error, 1e-3)
    untrained = fit(task, {"x": train.x}, seeds=[0], epochs=0, batch_size=20)
    pca = fit_pca(train.pixels, mnist_promises.most_components(train, code))
    nets = mnist_promises.Nets(model, untrained, untrained, untrained, pca)
    by_method = {r["method"]: r for r in mnist_promises.compression_table(nets, train, test).rows}
    assert by_method[f"PCA, {code} components"]["numbers"] == code
    stored = by_method[f"PCA, {code} components, a byte each"]
    assert stored["MSE"] == pytest.approx(by_method[f"PCA, {code} components"]["MSE"], rel=0.05)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--widths", "64", "800"], "--widths ... 800: the code stands beside PCA"),
        (["--labels", "50", "2000"], "--labels 2000: one of the 10 classes has "),
        (["--labels", "55"], "55 labels do not divide among 10 classes"),
        (["--tsne", "--mapped", "30"], "30 test images on the maps (--mapped) are too few"),
        (["--mapped", "10"], "10 test images on the maps (--mapped) are too few"),
    ],
)
def test_too_few_images_are_said_before_training(tmp_path, words, said, capsys):
    command = ["experiments/mnist_promises.py", "--preset", "quick", "--source", "simulated"]
    assert launcher.main([*command, *words, "--workdir", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert "epoch" not in printed.out


def test_small_shares_of_noise_are_named():
    config = mnist_promises.Config(salted=0.005, masked=0.5)
    names = list(mnist_promises.kinds_of_noise(config))
    assert names[1:] == ["salt and pepper, 0.5%", "masking, 50%"]


def test_psnr_in_decibels():
    assert mnist_promises.psnr(np.array([0.01, 1.0])).tolist() == pytest.approx([20.0, 0.0])


def test_numbers_stored_in_bytes_are_half_a_step_off_at_most():
    codes = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    again = mnist_promises.in_bytes(codes, codes)
    step = np.ptp(codes, axis=0) / 255
    assert (np.abs(again - codes) <= step / 2 + 1e-6).all()
    assert all(len(np.unique(column)) <= 256 for column in again.T)
    far = mnist_promises.in_bytes(codes + 100, codes)
    assert far.max() <= codes.max() + 1e-5  # cut, not wrapped


def test_drawn_codes_have_the_mean_and_covariance_of_the_known_ones():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(5000, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 2]]) + 3
    drawn = mnist_promises.gaussian_codes(jax.random.key(0), known, 20_000)
    np.testing.assert_allclose(drawn.mean(axis=0), known.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(known.T), atol=0.15)


def test_labelled_images_are_balanced_and_each_seeds_own(grey):
    shown = mnist_promises.draw_labelled(grey, 9, np.arange(2))
    assert shown["x"].shape == (9, 2, 16)
    assert (np.bincount(shown["y"][:, 0]) == 3).all()
    assert (shown["x"][:, 0] != shown["x"][:, 1]).any()
    with pytest.raises(UserError, match="do not divide"):
        mnist_promises.draw_labelled(grey, 10, np.arange(2))


def test_each_member_starts_from_its_own_encoder_and_learns_its_own_labels(grey):
    model, seeds = DenseAutoencoder(16, (8, 4), code_activation=identity), np.arange(2)
    task = reconstruction_task(model, squared_error, 1e-2)
    autoencoder = fit(task, {"x": grey.x}, seeds=seeds, epochs=2, batch_size=20)
    encoders = mnist_promises.encoder_params(autoencoder)
    task = mnist_promises.classifier_task(model, 2, encoders)
    shown = mnist_promises.draw_labelled(grey, 30, seeds)
    judged = {"x": grey.x, "y": grey.label.astype(np.int32)}

    start = fit(task, shown, seeds=seeds, epochs=0, batch_size=30)
    logits = start.predict(lambda outputs, batch: outputs.logits, judged)
    codes = mnist_promises.codes_of(autoencoder, grey)
    for member in range(2):
        head = jax.tree.map(lambda leaf, m=member: leaf[m], start.variables["params"])
        expected = codes[member] @ head["kernel"] + head["bias"]
        np.testing.assert_allclose(logits[member], expected, rtol=1e-4, atol=1e-5)

    trained = fit(task, shown, seeds=seeds, epochs=600, batch_size=30)
    assert mnist_promises.accuracy(trained, grey).mean() > 0.9
    assert trained.history["train_accuracy"].shape == (600, 2)
    # the labels that a member does not see are not its own: shuffled ones leave it untouched
    other = dict(shown, y=shown["y"].copy())
    other["y"][:, 1] = np.roll(other["y"][:, 1], 5)
    again = fit(task, other, seeds=seeds, epochs=5, batch_size=30).variables["params"]["kernel"]
    first = fit(task, shown, seeds=seeds, epochs=5, batch_size=30).variables["params"]["kernel"]
    np.testing.assert_allclose(again[0], first[0], rtol=1e-6)
    assert np.abs(again[1] - first[1]).max() > 1e-4
