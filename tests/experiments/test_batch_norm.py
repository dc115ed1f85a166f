"""Batch normalisation: the net against NumPy, populations against single nets, the lab."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import batch_norm as lab
from jaxdl.cli.launcher import launch
from jaxdl.diagnostics import probes
from jaxdl.errors import UserError
from jaxdl.models.batch_norm_mlp import NormedMLP
from jaxdl.training import fit, parameter_count
from jaxdl.training.population import cross


def rows(count=96, inputs=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(1, 2, size=(count, inputs)).astype(np.float32)
    return {"x": x, "y": (x[:, :3].argmax(axis=1)).astype(np.int32)}


def small(placement):
    return NormedMLP(placement, inputs=12, widths=(8, 6), classes=3)


@pytest.mark.parametrize(("placement", "count"), [("none", 89_610), ("after", 90_010)])
def test_parameters_and_pytorchs_start(placement, count):
    model = NormedMLP(placement)
    params = model.init(jax.random.key(0), jnp.zeros((1, 784)), False)["params"]
    assert parameter_count({"params": params}) == count
    for layer, fan in (("hidden_0", 784), ("hidden_1", 100), ("output", 100)):
        limit = 1 / np.sqrt(fan)
        for leaf in params[layer].values():
            assert np.abs(leaf).max() <= limit
        assert np.abs(params[layer]["kernel"]).max() > 0.98 * limit
        assert np.std(params[layer]["kernel"]) == pytest.approx(limit / np.sqrt(3), rel=0.05)
        assert np.std(params[layer]["bias"]) > 0.3 * limit


@pytest.mark.parametrize("placement", ["before", "after"])
def test_net_in_training_equals_numpy(placement):
    x, model = jnp.asarray(rows()["x"]), small(placement)
    variables = model.init(jax.random.key(1), x, False)
    outputs, changed = model.apply(
        variables, x, True, rngs={"dropout": jax.random.key(0)}, mutable=["batch_stats"]
    )
    params = jax.tree.map(np.asarray, variables["params"])
    x = np.asarray(x)

    def normalise(x):
        return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)

    for i in range(2):
        x = x @ params[f"hidden_{i}"]["kernel"] + params[f"hidden_{i}"]["bias"]
        seen = x
        x = normalise(x) if placement == "before" else x
        x = 1 / (1 + np.exp(-x))
        seen = seen if placement == "before" else x
        x = normalise(x) if placement == "after" else x
        stats = changed["batch_stats"][f"norms_{i}"]
        np.testing.assert_allclose(stats["mean"], 0.1 * seen.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * seen.var(axis=0), atol=1e-4)
    x = x @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(outputs, x, rtol=1e-3, atol=1e-4)


def test_bias_counts_for_nothing_only_where_normalisation_follows_it():
    data = rows()
    effect = {}
    for placement in ("none", "after", "before"):
        model = small(placement)
        x = jnp.asarray(data["x"])
        start = jax.vmap(lambda key, model=model, x=x: model.init(key, x, False))
        variables = start(jax.random.split(jax.random.key(0), 2))
        effect[placement] = lab.bias_effect(model, variables, data["x"], 2.0)
    assert (effect["before"] < 1e-4).all()
    assert (effect["none"] > 1e-2).all()
    assert (effect["after"] > 1e-2).all()


def test_members_are_what_they_are_alone_and_losses_are_kept():
    data = rows()
    hyper, seeds = cross({"learning_rate": [0.01, 0.1]}, 2, [0, 1])
    assert hyper["learning_rate"].tolist() == [0.01, 0.01, 0.1, 0.1]
    assert seeds.tolist() == [0, 1, 0, 1]
    task = probes.trace_loss(lab.classifier(small("after"), hyper["learning_rate"]), steps=12)
    together = fit(task, data, data, seeds=seeds, epochs=4, batch_size=32)
    alone = lab.classifier(small("after"), 0.1)
    alone = fit(alone, data, data, seeds=np.array([1]), epochs=4, batch_size=32)
    np.testing.assert_allclose(
        together.history["valid_loss"][:, 3], alone.history["valid_loss"][:, 0], rtol=1e-3
    )
    trace = np.asarray(together.variables[probes.TRACE]["loss"])
    assert trace.shape == (4, 12)
    np.testing.assert_allclose(
        trace.reshape(4, 4, 3).mean(axis=2).T, together.history["train_loss"], rtol=1e-5
    )


def test_without_biases_they_stay_where_they_started():
    data = rows()
    task = lab.classifier(small("none"), 0.05, bias=np.array([1.0, 0.0]))
    fitted = fit(task, data, data, seeds=np.array([4, 4]), epochs=2, batch_size=32)
    x = jnp.asarray(data["x"])
    start = small("none").init(jax.random.key(4), x, False)["params"]
    biases = fitted.variables["params"]["hidden_1"]["bias"]
    assert np.abs(biases[0] - start["hidden_1"]["bias"]).min() > 0
    np.testing.assert_array_equal(biases[1], start["hidden_1"]["bias"])
    logits = fitted.predict(lambda outputs, batch: outputs, data)[1]
    params = jax.tree.map(lambda x: x[1], fitted.variables["params"])
    bare = lab.scale_biases(params, 0.0)
    assert all((bare[f"hidden_{i}"]["bias"] == 0).all() for i in range(2))
    expected = small("none").apply({"params": bare}, x, False)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_verdicts_and_usable_rates():
    clear = np.array([0.02, 0.021, 0.019])
    assert lab.verdict(clear).endswith("helps")
    assert lab.verdict(-clear).endswith("hurts")
    assert lab.verdict(np.array([0.02, -0.02, 0.001])).endswith("no difference")
    assert "one seed" in lab.verdict(np.array([0.1]))
    # 2.9 standard errors of five seeds: enough for one comparison, not for the best of two
    best = np.array([0.0010, 0.0055, 0.0055, 0.0010, 0.0045])
    errors = best.mean() / (best.std(ddof=1) / np.sqrt(5))
    assert 2.776 < errors < 3.495  # t's 97.5 % and 98.75 % quantiles for 4 degrees of freedom
    assert lab.verdict(best).endswith("helps")
    assert lab.verdict(best, tried=2).endswith("no difference")
    # and 2.9 of three seeds are not enough for any
    assert lab.verdict(best[1:4]).endswith("no difference")
    accuracy = {0.1: np.array([0.90, 0.91]), 0.3: np.array([0.9, 0.9]), 1.0: np.array([0.8, 0.99])}
    assert lab.best_rate(accuracy) == 0.1
    assert lab.usable_rates(accuracy) == [0.1, 0.3, 1.0]
    accuracy[1.0] -= 0.01
    assert lab.usable_rates(accuracy) == [0.1, 0.3]


def test_standardised_slide_values():
    # recomputed by hand from the slide's five activations
    given = jnp.array([1, 3, 5.1, 7.5, 9])
    np.testing.assert_allclose(
        lab.standardise(given), [-1.418, -0.730, -0.007, 0.819, 1.336], atol=1e-3
    )


def test_lab_answers_the_three_claims(quick_run):
    results = quick_run("batch_norm").results
    epochs, by_rate, chosen, variants, biases, claims = results.tables
    assert (by_rate.rows[1]["BN in front"] > by_rate.rows[1]["no BN"]).all()
    size = {row["net"]: row["parameters"] for row in chosen.rows}
    assert size == {"no BN": 89_610, "BN behind": 90_010, "BN in front": 90_010, "linear": 7_850}
    assert all(row["test accuracy"].min() > 0.7 for row in chosen.rows)
    assert (np.asarray(biases.rows[0]["BN in front"]) < 1e-3).all()
    assert (np.asarray(biases.rows[0]["BN behind"]) > 0.1).all()
    assert [row["variant"] for row in variants.rows[:3]] == [
        "as it is", "dropout 0.5", "without biases",
    ]  # fmt: skip
    assert len(variants.rows) == 9
    assert len(claims.rows) == 3
    assert "what the best of 1 dropouts adds" in claims.rows[0]["claim"]
    assert epochs.columns == ["epoch", *lab.NETS]  # simulated digits are not the slide's
    assert {"loss_by_iteration", "activations", "learning_rates", "slopes"} <= set(results.figures)


def test_the_slides_rate_must_be_one_of_the_sweep(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--learning-rate", "0.05"]
    with pytest.raises(UserError, match=r"0\.05 is not among"):
        launch(["experiments/batch_norm.py", "--workdir", str(tmp_path / "run"), *options])


def test_the_slide_stands_beside_its_own_digits_rate_and_batch_only():
    data = lab.Digits({}, {}, {}, "validation", real=True)
    assert lab.slide_accuracy(lab.Config(), data) == lab.SLIDE
    assert not lab.slide_accuracy(lab.Config(), data._replace(real=False))
    assert not lab.slide_accuracy(lab.Config(learning_rate=0.03), data)
    assert not lab.slide_accuracy(lab.Config(batch_size=500), data)
    (row,) = lab.epoch_rows({"BN behind": np.ones((1, 2))}, lab.SLIDE)
    assert row["BN behind, slide"] == "0.905"


@pytest.mark.parametrize("dropouts", [("0.2", "0.5"), ("0",), ("0", "1")])
def test_dropouts_are_compared_with_none(dropouts, tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--dropouts", *dropouts]
    with pytest.raises(UserError, match="--dropouts: give 0 first"):
        launch(["experiments/batch_norm.py", "--workdir", str(tmp_path / "run"), *options])
