"""Whitened errors, ensembles, gradient norms, explanations, and the lab that uses them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import fraud
from jaxdl import losses, optim
from jaxdl.anomaly import explain, reconstruction
from jaxdl.cli import launcher
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.serving import scorer_file
from jaxdl.training import Task, fit, module_functions


def test_whitened_score_is_one_on_normal_rows_and_adds_up():
    rng = np.random.default_rng(0)
    residual = rng.normal(size=(500, 3)) * [0.01, 1.0, 10.0]
    scale = reconstruction.fit_error_scale(residual)
    score = reconstruction.whitened_score(scale, residual)
    np.testing.assert_allclose(score.mean(), 1.0, rtol=1e-5)
    parts = reconstruction.whitened_contributions(scale, residual)
    np.testing.assert_allclose(parts.sum(axis=1), score, rtol=1e-5)
    # the same surprise counts the same in every column
    small, large = (np.eye(3)[[i]] * [0.05, 5.0, 50.0] for i in (0, 2))
    np.testing.assert_allclose(
        reconstruction.whitened_score(scale, small),
        reconstruction.whitened_score(scale, large),
        rtol=0.2,
    )
    with pytest.raises(ValueError, match="without any error"):
        reconstruction.fit_error_scale(residual * [1.0, 0.0, 1.0])


def test_ensemble_gives_members_the_same_say():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(2, 4000)) * [[1.0], [1000.0]] + [[0.0], [5000.0]]
    score = reconstruction.ensemble_score(np.array([[1.0], [5000.0]]), normal)
    np.testing.assert_allclose(score, [0.5], atol=0.05)
    np.testing.assert_allclose(reconstruction.ensemble_score(normal, normal).mean(), 0, atol=1e-9)


def test_gradient_norms_are_those_of_one_row_at_a_time(rows):
    task = Task(
        *module_functions(DenseAutoencoder(5, (3,))),
        loss=lambda outputs, batch, hyper: losses.mse(outputs, batch["x"]),
        optimizer=lambda hyper: optim.adam(),
    )
    fitted = fit(task, rows, seeds=np.arange(2), epochs=1, batch_size=32)
    found = reconstruction.gradient_norms(task, fitted.variables, rows)
    assert found.shape == (2, 103)
    params = jax.tree.map(lambda w: w[1], fitted.variables["params"])

    def loss(params):
        outputs, _ = task.apply({"params": params}, {"x": rows["x"][[7]]}, None, False, {})
        return jnp.square(outputs - rows["x"][[7]]).mean()

    squares = [np.square(g).sum() for g in jax.tree.leaves(jax.grad(loss)(params))]
    np.testing.assert_allclose(found[1, 7], np.sqrt(sum(squares)), rtol=1e-5)


def test_explanations_name_the_largest_columns_and_the_nearest_row():
    parts = np.array([[1.0, 6.0, 3.0], [0.0, 0.0, 0.0]])
    words = explain.top_columns(parts, ("a", "b", "c"), k=2)
    assert words[0] == "b 60 %, c 30 %"
    assert "0 %" in words[1]
    with pytest.raises(ValueError, match="3 columns but 2 names"):
        explain.top_columns(parts, ("a", "b"))
    normal = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 3.0]])
    near = explain.nearest_normal(np.array([[0.0, 2.0]]), normal)
    assert (near.row[0], near.distance[0]) == (2, 1.0)
    near = explain.nearest_normal(np.array([[6.0, 0.0]]), normal, np.array([1.0, 1.0]))
    assert near.row[0] == 1
    near = explain.nearest_normal(np.array([[4.0, 2.9]]), normal, np.array([1.0, 100.0]))
    assert near.row[0] in (0, 2)


def test_lab_chooses_on_validation_and_shows_the_weak_baselines(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--seeds", "2"]
    folder = ["--workdir", str(tmp_path / "run")]
    (results,) = launcher.launch(["experiments/fraud_variants.py", *options, *folder])
    choice, ranking, *decisions, alerts = results.tables
    best = max(choice.rows, key=lambda row: row["AUPRC"].mean())
    assert f"{best['model']}, {best['error']} error" == ranking.rows[0]["detector"]
    area = {row["detector"]: row["AUPRC"].mean() for row in ranking.rows}
    assert {"random", "PCA, 12 components"} < set(area)
    assert area[ranking.rows[0]["detector"]] > 20 * area["random"]
    assert any(name.endswith("untrained") for name in area)
    for table in decisions:
        recall = [row["recall"].mean() for row in table.rows]
        assert recall == sorted(recall, reverse=True)
        assert table.rows[-1]["precision"].mean() > 0.05
    scores = [row["score"] for row in alerts.rows]
    assert scores == sorted(scores, reverse=True)
    assert "%" in alerts.rows[0]["columns that made it"]
    made = scorer_file.load(tmp_path / "run")
    assert made.metadata["detector"].endswith("error, mean of 2 members")
    assert made.metadata["equal_to_trainer"]["largest_difference"] < 1e-4
    assert made.exact  # whatever the trainer's order of sums: a row has one score
    assert made.threshold["value"] == decisions[-2].rows[-1]["value"][0]
    table = fraud.simulate(20_000)
    raw = np.column_stack([table["time"], table["v"], table["amount"]])
    top = [row["row"] for row in alerts.rows]
    found, flags = made.score(raw[top])
    np.testing.assert_allclose(found, scores, rtol=1e-4)
    assert flags.all()
    assert (table["label"][made.normal_numbers - 1] == 0).all()
