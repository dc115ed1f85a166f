"""Method 2: budgets of labels, networks on each member's own encoder, the lab."""

import jax
import numpy as np

from datasets.fraud_split import Half
from jaxdl import cli, losses, optim
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.training import Task, fit, module_functions

LAB = cli.load_lab(cli.EXPERIMENTS / "fraud_features.py")


def test_a_budget_keeps_all_normal_rows_and_so_many_frauds():
    label = np.tile([0, 0, 0, 1], 50)
    one, other = (LAB.labelled(label, 7, seed) for seed in (0, 1))
    assert (one & (label == 1)).sum() == 7
    assert one[label == 0].all()
    assert (one != other).any()
    assert LAB.labelled(label, 999, 0).all()


def test_thinning_keeps_every_fraud():
    label = (np.arange(100) % 10 == 0).astype(np.int32)
    part = LAB.thinned(Half(np.zeros((100, 30), np.float32), label, np.arange(100)), 20)
    assert (part.label.sum(), len(part.rows)) == (10, 30)


def test_each_member_starts_from_its_own_encoder_and_only_tuning_changes_it(rows):
    encoder = DenseAutoencoder(5, (3,))
    task = Task(
        *module_functions(encoder),
        loss=lambda outputs, batch: losses.mse(outputs, batch["x"]),
        optimizer=lambda hyper: optim.adam(),
    )
    weights = fit(task, rows, seeds=np.arange(2), epochs=1, batch_size=32).variables["params"]
    own = [jax.tree.map(lambda w, i=i: w[i], weights) for i in range(2)]
    codes = np.stack([encoder.apply({"params": w}, rows["x"], method="encode") for w in own])
    label = (rows["x"][:, 0] > 0).astype(np.float32)
    batch = {"x": rows["x"], "label": label, "keep": np.ones((103, 2), np.float32)}
    moved = {}
    for tuned in (False, True):
        network = LAB.network(encoder, weights, tuned, 2)
        for epochs in (0, 5):
            fitted = fit(network, batch, seeds=np.arange(2), epochs=epochs, batch_size=32)
            found = fitted.predict(lambda outputs, batch: outputs[1], batch)
            moved[tuned, epochs] = float(np.abs(found - codes).max())
    assert moved[False, 0] < 1e-5
    assert moved[False, 5] < 1e-5
    assert moved[True, 0] < 1e-5
    assert moved[True, 5] > 1e-3


def test_rows_outside_the_budget_teach_nothing(rows):
    label = (np.arange(103) % 2).astype(np.float32)
    network = LAB.network(None, None, False, 1)
    keep = np.ones((103, 1), np.float32)
    keep[50:] = 0
    found = []
    for changed in (0.0, 100.0):
        x = rows["x"].copy()
        x[50:] += changed
        batch = {"x": x, "label": label, "keep": keep}
        fitted = fit(network, batch, seeds=np.zeros(1), epochs=2, batch_size=103)
        found.append(fitted.predict(lambda outputs, batch: outputs[0], {**batch, "x": rows["x"]}))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_lab_more_labels_help_and_every_classifier_stands_beside_raw_columns(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--workdir", str(tmp_path / "run")]
    (results,) = cli.launch(["experiments/fraud_features.py", *options])
    rows = results.tables[0].rows
    assert len(rows) == 2 * 3 * 4
    f1 = {(r["frauds"], r["features"], r["classifier"]): r["F1"].mean() for r in rows}
    assert f1["40", "raw", "SVM"] > 0.6
    few, many = (np.mean([v for k, v in f1.items() if k[0] == b]) for b in ("10", "40"))
    assert many > few
