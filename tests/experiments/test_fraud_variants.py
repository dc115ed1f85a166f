"""The lab of better autoencoders: its second score, its choice, its explained alerts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import fraud
from datasets.fraud_split import label_free, split_three
from datasets.source import Request
from experiments import fraud_variants
from jaxdl.anomaly import tables
from jaxdl.cli import launcher
from jaxdl.serving import scorer_file
from jaxdl.training import fit
from tests import tasks


def test_gradient_norms_are_those_of_one_row_at_a_time(rows):
    task = tasks.autoencoder()
    fitted = fit(task, rows, seeds=np.arange(2), epochs=1, batch_size=32)
    found = fraud_variants.gradient_norms(fitted, rows)
    assert found.shape == (2, 103)
    params = jax.tree.map(lambda w: w[1], fitted.variables["params"])

    def loss(params):
        outputs, _ = task.apply({"params": params}, {"x": rows["x"][[7]]}, None, False, {})
        return jnp.square(outputs - rows["x"][[7]]).mean()

    squares = [np.square(g).sum() for g in jax.tree.leaves(jax.grad(loss)(params))]
    np.testing.assert_allclose(found[1, 7], np.sqrt(sum(squares)), rtol=1e-5)


def test_lab_chooses_on_validation_and_shows_the_weak_baselines(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--seeds", "2"]
    folder = ["--workdir", str(tmp_path / "run")]
    (results,) = launcher.launch(["experiments/fraud_variants.py", *options, *folder])
    choice, ranking, *decisions, alerts = results.tables
    nets = [row for row in choice.rows if row["error"]]
    others = [row for row in choice.rows if not row["error"]]
    assert {row["model"] for row in others} >= {fraud_variants.MADE_UP}
    best = max(nets, key=lambda row: row["AUPRC"].mean())
    best_other = max(others, key=lambda row: row["AUPRC"].mean())
    assert f"{best['model']}, {best['error']} error" == ranking.rows[0]["detector"]
    area = {row["detector"]: row["AUPRC"].mean() for row in ranking.rows}
    assert {"random", "PCA, 12 components"} < set(area)
    assert area[ranking.rows[0]["detector"]] > 20 * area["random"]
    assert any(name.endswith("untrained") for name in area)
    sources = {row["detector"]: row["learns from"] for row in ranking.rows}
    assert sources[best_other["model"]] == tables.NORMAL_ROWS
    assert sources["default detector"] == tables.ALL_ROWS
    assert best_other["model"] in decisions[-1].title
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
    assert made.threshold["value"] == decisions[-3].rows[-1]["value"][0]  # of the vote
    table = fraud.simulate(20_000)
    raw = np.column_stack([table["time"], table["v"], table["amount"]])
    assert alerts.title.endswith(", explained (the first row below the header is 1)")
    top = np.array([row["row"] for row in alerts.rows]) - 1
    found, flags = made.score(raw[top])
    np.testing.assert_allclose(found, scores, rtol=1e-4)
    assert flags.all()
    assert (table["label"][made.normal_numbers - 1] == 0).all()
    for row in alerts.rows:
        assert row["fraud"] == ("yes" if table["label"][row["row"] - 1] else "no")
        assert row["amount"] == table["amount"][row["row"] - 1]
    # numbers of rows that were learnt from
    data = fraud.load(Request("simulated"), twin_rows=20_000)
    learnt = label_free(split_three(data, "random")).normal_rows
    nearest = np.array([row["nearest normal row"] for row in alerts.rows]) - 1
    assert np.isin(nearest, learnt).all()


@pytest.mark.parametrize("lab", ["fraud_ae", "fraud_variants"])
def test_the_leak_of_principal_components_is_told(lab, quick_run):
    """The twin's columns are components of all its rows, as the published ones are."""
    warnings = [note for note in quick_run(lab).results.notes if note.startswith("LEAK")]
    assert len(warnings) == 1
    assert "378 pairs of columns are uncorrelated over all rows" in warnings[0]
