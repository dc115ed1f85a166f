"""The variational autoencoder of digits: binary pixels, the loss, bounds, grids of codes."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import mnist
from datasets.source import Request
from experiments import mnist_vae
from jaxdl import training
from jaxdl.cli import launcher
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.models.vae import VAE

QUICK = mnist_vae.PRESETS["quick"]


def test_bounds_are_ordered_and_beat_the_baselines(quick_run):
    results = quick_run("mnist_vae").results
    vae, untrained, independent = results.tables[0].rows
    assert vae["-ELBO"].mean() < independent["-ELBO"] < untrained["-ELBO"].mean()
    np.testing.assert_allclose(vae["reconstruction"] + vae["KL"], vae["-ELBO"], rtol=1e-6)
    assert (vae["-IWAE, K = 50, first 40"] < vae["-ELBO, first 40"]).all()
    assert 1 <= vae["epoch of the weights"].item() <= QUICK.epochs
    assert "4 dimensions, beta 1; nats" in results.tables[0].title
    assert results.notes == []  # goals are for published images
    names = {"samples", "traversals", "latent_plane", "latent_map", "bound_by_draws"}
    assert names <= set(results.figures)


def test_binary_images_follow_the_grey():
    grey = np.tile(np.array([[0, 64, 128, 255]], np.uint8), (4000, 1))
    once = mnist_vae.binary(grey, "static", seed=0)
    np.testing.assert_array_equal(once, mnist_vae.binary(grey, "static", seed=0))
    assert (once != mnist_vae.binary(grey, "static", seed=1)).any()
    np.testing.assert_allclose(once.mean(axis=0), [0, 64 / 255, 128 / 255, 1], atol=0.03)
    assert mnist_vae.binary(grey, "threshold", seed=0)[0].tolist() == [0, 0, 1, 1]


def test_only_dynamic_training_images_stay_grey():
    data = mnist.load(Request("simulated"), "mnist", QUICK.twin_rows)
    static = mnist_vae.binary_images(QUICK, data, QUICK.valid_rows)
    dynamic = mnist_vae.binary_images(
        replace(QUICK, binarisation="dynamic"), data, QUICK.valid_rows
    )
    assert set(np.unique(static.train["x"])) == {0, 1}
    np.testing.assert_array_equal(static.train["x"], static.train_once)
    assert set(dynamic.train) == {"grey"}
    assert dynamic.train["grey"].max() == 255
    np.testing.assert_array_equal(dynamic.train_once, static.train_once)
    np.testing.assert_array_equal(dynamic.valid["x"], static.valid["x"])
    np.testing.assert_array_equal(dynamic.test, static.test)


def test_the_kl_term_warms_up_and_grey_images_are_drawn_anew():
    model = VAE(DenseAutoencoder(16, (8, 4), code_activation=identity))
    task = mnist_vae.vae_task(model, beta=2.0, warm_up_steps=4, learning_rate=1e-3)
    batch = {"grey": jnp.full((6, 16), 128, jnp.uint8)}
    variables = task.init(jax.random.key(0), batch)
    weights, targets = [], []
    for step in range(6):
        outputs, changed = task.apply(variables, batch, jax.random.key(step), True, {})
        weights.append(float(outputs.kl_weight))
        targets.append(np.asarray(outputs.target))
        variables = {**variables, **changed}
    assert weights == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert set(np.unique(targets)) == {0.0, 1.0}
    assert (targets[0] != targets[1]).any()

    fixed = {"x": jnp.asarray(targets[0], jnp.uint8)}
    outputs, changed = task.apply(variables, fixed, jax.random.key(0), False, {})
    assert changed == {}
    assert float(outputs.kl_weight) == 2.0
    reconstruction = mnist_vae.reconstruction_term(outputs, fixed)
    kl = mnist_vae.kl_term(outputs, fixed)
    np.testing.assert_allclose(task.loss(outputs, fixed, {}), reconstruction + 2 * kl, rtol=1e-6)
    np.testing.assert_allclose(
        task.metrics["bound"](outputs, fixed), reconstruction + kl, rtol=1e-6
    )


def test_the_weight_rises_on_a_line_and_stays():
    weights = [float(mnist_vae.kl_weight(jnp.asarray(step), 4, beta=2.0)) for step in range(6)]
    assert weights == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert float(mnist_vae.kl_weight(jnp.asarray(0), 0, beta=1.0)) == 1.0


def test_the_epoch_is_chosen_by_the_loss_with_its_final_weight():
    """With a large beta -ELBO is best while the KL term still warms up."""
    rng = np.random.default_rng(0)
    x = (rng.random((4, mnist.SIDE**2)) < 0.3)[rng.integers(0, 4, 240)].astype(np.uint8)
    images = mnist_vae.BinaryImages({"x": x[:200]}, x[:200], {"x": x[200:]}, x[200:])
    config = replace(QUICK, beta=100.0, warm_up=15, epochs=20, batch_size=10, learning_rate=1e-2)

    def fit(name, *parts, **settings):
        return training.fit(*parts, **{**settings, "seeds": [0]})

    model = mnist_vae.vae(config, config.latent)
    fitted = mnist_vae.fit_vae(config, SimpleNamespace(fit=fit), model, images)
    history = fitted.history
    loss = history["valid_reconstruction"] + config.beta * history["valid_kl"]
    assert fitted.best_epoch.tolist() == (1 + loss.argmin(axis=0)).tolist()
    assert fitted.best_epoch[0] > config.warm_up > history["valid_bound"][:, 0].argmin()


@pytest.mark.parametrize(("epochs", "weights"), [(1, [1.0, 1.0]), (3, [0.25, 1.0])])
def test_a_short_fit_ends_its_warm_up_before_its_last_epoch(epochs, weights):
    rows = np.zeros((20, mnist.SIDE**2), np.uint8)
    images = mnist_vae.BinaryImages({"x": rows}, rows, {"x": rows}, rows)
    config, tasks = replace(QUICK, beta=1.0, warm_up=5, batch_size=10), []
    run = SimpleNamespace(fit=lambda name, task, *parts, **settings: tasks.append(task))
    mnist_vae.fit(config, run, "plane", mnist_vae.vae(config, 2), images, epochs)
    batch = {"x": jnp.asarray(rows[:10])}
    variables = tasks[0].init(jax.random.key(0), batch)
    seen = []
    for step in (0, (epochs - 1) * 2):  # the first, and the first of the last epoch
        variables["warm_up"]["step"] = jnp.int32(step)
        outputs, _ = tasks[0].apply(variables, batch, jax.random.key(1), True, {})
        seen.append(float(outputs.kl_weight))
    assert seen == weights


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--warm-up", "10"], "--warm-up 10: no epoch of --epochs 10 is left with the full weight"),
        (["--draws", "1", "30"], "--draws 30: give multiples of 25, or fewer than 25"),
    ],
)
def test_numbers_that_cannot_work_are_one_line(tmp_path, words, said, capsys):
    command = ["experiments/mnist_vae.py", "--preset", "quick", "--source", "simulated", *words]
    assert launcher.main([*command, "--workdir", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ["-ELBO, nats", "-IWAE, K = 5,000, first 7, nats"]),
        ({"draws": (5000, 50)}, ["-ELBO, nats", "-IWAE, K = 5,000, first 7, nats"]),
        ({"draws": (1, 50)}, ["-ELBO, nats"]),
        ({"latent": 2}, []),
        ({"beta": 4.0}, []),
    ],
)
def test_goals_are_for_twenty_dimensions_and_thousands_of_draws(change, said):
    config = replace(mnist_vae.Config(), **change)
    row = {"-ELBO": np.array([90.0])}
    row |= {f"-IWAE, K = {k:,}, first 7": np.array([90.0 - k / 1e3]) for k in config.draws}
    real = SimpleNamespace(provenance=SimpleNamespace(kind="real"))
    notes = mnist_vae.goal_notes(config, real, row, first=7)
    assert [note.split(": ")[0] for note in notes] == said
    assert all(note.endswith("met.") for note in notes)


def test_codes_of_the_latent_plane_and_of_a_walk():
    grid = mnist_vae.prior_grid(3, probability=0.5)
    assert grid[:3, 0].tolist() == pytest.approx([-0.6745, 0.0, 0.6745], abs=1e-4)
    assert grid[0, 1] == pytest.approx(0.6745, abs=1e-4)  # the top row is the largest
    walk = mnist_vae.walk(np.arange(3.0), 1, np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(walk, [[0, -1, 2], [0, 0, 2], [0, 2, 2]])


def test_a_pictures_bound_does_not_depend_on_the_pictures_named_with_it():
    """Neither its binary pixels nor the codes that are drawn for it."""
    model = mnist_vae.vae(QUICK, QUICK.latent)
    x = np.zeros((1, mnist.SIDE**2), np.float32)
    params = model.init({"params": jax.random.key(0)}, x, train=False)["params"]
    two = jax.tree.map(lambda leaf: np.stack([leaf, 2 * leaf]), params)
    fitted = SimpleNamespace(seeds=np.array([0, 1]), variables={"params": two})
    grey = np.random.default_rng(0).integers(0, 256, (50, mnist.SIDE**2)).astype(np.uint8)

    def bounds_of(pictures):
        asked = mnist_vae.binary_one_by_one(pictures, "static")
        return mnist_vae.bounds(model, fitted, asked, one_by_one=True)

    together, alone = bounds_of(grey), bounds_of(grey[[45, 3]])
    for term in ("reconstruction", "kl"):
        np.testing.assert_array_equal(alone[term], together[term][:, [45, 3]])
    assert len(np.unique(together["reconstruction"][0])) == 50


def test_pictures_one_by_one_follow_their_grey_and_the_way_of_the_run():
    grey = np.random.default_rng(0).integers(0, 256, (200, 784)).astype(np.uint8)
    drawn = mnist_vae.binary_one_by_one(grey, "dynamic")
    assert set(np.unique(drawn)) == {0, 1}
    assert abs(drawn[grey > 200].mean() - grey[grey > 200].mean() / 255) < 0.01
    np.testing.assert_array_equal(mnist_vae.binary_one_by_one(grey, "threshold"), grey > 127)
    # other pictures have other draws: two that differ in a pixel are unlike in many
    twin = grey[0].copy()
    twin[0] ^= 1
    assert (drawn[0] != mnist_vae.binary_one_by_one(twin[None], "dynamic")[0]).mean() > 0.1
