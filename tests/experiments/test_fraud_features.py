"""Method 2: features of each kind, networks on each member's own encoder, judging, the lab."""

import jax
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from datasets import fraud
from datasets.fraud_split import TransactionRows, thinned
from experiments import fraud_features as lab
from jaxdl import optim
from jaxdl.anomaly.cross_fitting import cross_fit, draw_budget
from jaxdl.anomaly.reconstruction import squared_error
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.pca import fit_pca
from jaxdl.training import Task, fit, module_functions

MODEL = DenseAutoencoder(5, (3,))


@pytest.fixture(scope="module")
def encoders():
    """Rows, and the autoencoders of two seeds."""
    x = np.random.default_rng(0).normal(size=(103, 5)).astype(np.float32)
    task = Task(*module_functions(MODEL), loss=squared_error, optimizer=lambda hyper: optim.adam())
    fitted = fit(task, {"x": x}, seeds=np.arange(2), epochs=1, batch_size=32)
    return x, fitted.variables["params"]


def code_kind(weights, tuned):
    return lab.FeatureKind("code", lambda own, x: lab.code(MODEL, own, x), weights, tuned)


def test_thinning_keeps_every_fraud():
    label = (np.arange(100) % 10 == 0).astype(np.int32)
    part = thinned(TransactionRows(np.zeros((100, 30), np.float32), label, np.arange(100)), 20)
    assert (part.label.sum(), len(part.rows)) == (10, 30)


def test_judging_places_the_threshold_on_held_out_scores():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [200, 40])
    known, test = (rng.normal(size=(240, 2)) + 2 * label[:, None] for _ in range(2))
    budget = draw_budget(label, 40, 4, [0])
    scores = cross_fit(LogisticRegression(), lambda member, x: x, known, test, budget)
    rows = TransactionRows(test, label, np.arange(240))
    split = lab.Split(known, rows, rows, prevalence=0.02)
    quality = lab.judge(scores, budget, split)
    held_out, mass = scores.held_out[0], fraud.prevalence_weights(label, 0.02)
    hits = [(mass * (held_out > limit)) @ np.c_[label, 1 - label] for limit in held_out]
    best = max(2 * tp / (tp + fp + 40) for tp, fp in hits)
    np.testing.assert_allclose(quality[lab.HELD_OUT], [best])
    assert 0.3 < quality["F1"][0] < 1


def test_features_are_the_row_its_code_and_its_error(encoders):
    x, weights = encoders
    own = jax.tree.map(lambda leaf: leaf[1], weights)
    code = MODEL.apply({"params": own}, x, method="encode")
    error = np.square(MODEL.apply({"params": own}, x, train=False) - x).mean(axis=1)
    np.testing.assert_array_equal(lab.raw(own, x), x)
    np.testing.assert_allclose(lab.code(MODEL, own, x), code)
    together = lab.code_and_row(MODEL, own, x)
    np.testing.assert_allclose(together[:, :5], x)
    np.testing.assert_allclose(together[:, 5:8], code, rtol=1e-6)
    np.testing.assert_allclose(together[:, 8], np.log(error), atol=1e-4)
    found = lab.pca_code(fit_pca(x, 3), x)
    np.testing.assert_allclose(np.abs(found), np.abs(PCA(3).fit_transform(x)), atol=1e-4)


def test_each_member_starts_from_its_seeds_encoder_and_only_tuning_changes_it(encoders):
    x, weights = encoders
    budget = draw_budget((x[:, 0] > 0).astype(np.int32), 99, 2, [0, 1])
    own = [jax.tree.map(lambda leaf, seed=seed: leaf[seed], weights) for seed in (0, 0, 1, 1)]
    codes = [MODEL.apply({"params": one}, x, method="encode") for one in own]
    for tuned, epochs in ((False, 5), (True, 0), (True, 5)):
        kind = code_kind(weights, tuned)
        batch = lab.network_batch(x, budget)
        fitted = fit(
            lab.network(kind, budget), batch, seeds=np.arange(4), epochs=epochs, batch_size=32
        )
        features = lab.member_features(kind, budget, fitted.variables["params"].get("change"))
        moved = max(float(np.abs(features(m, x) - codes[m]).max()) for m in range(4))
        assert (moved > 1e-3) == (tuned and epochs > 0)


def test_rows_that_a_member_is_not_taught_change_nothing(encoders):
    x, _ = encoders
    budget = draw_budget(np.arange(103) % 2, 99, 2, [0, 1])
    batch = lab.network_batch(x, budget)
    assert batch["keep"].shape == (103, 4)
    np.testing.assert_array_equal(batch["keep"][:, 2], budget.taught(1, 0))
    task = lab.network(lab.FeatureKind("raw", lab.raw, {}), budget)
    held_out, found = budget.held_out(1, 0), []
    for changed in (0.0, 100.0):
        other = {**batch, "x": x + changed * held_out[:, None].astype(np.float32)}
        fitted = fit(task, other, seeds=np.arange(4), epochs=2, batch_size=103)
        found.append(fitted.predict(lab.logits, {"x": x}))
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-5, atol=1e-6)
    assert np.abs(found[0][3] - found[1][3]).max() > 1e-3


def test_lab_chooses_on_held_out_rows_and_shows_every_classifier_on_raw_columns(quick_run):
    results = quick_run("fraud_features").results
    rows = results.tables[0].rows
    assert len(rows) == 4 * 5 + 2 * 3 + 2 * 5 + 1
    f1 = {(row["features"], row["classifier"]): row["F1"].mean() for row in rows}
    assert f1["raw", "SVM, C = 10"] > 0.6
    for kind in ("raw", "code", "tuned code", "code and row"):
        assert f1[kind, "logistic regression"] > 0.2
    assert ("untrained code", "SVM") in f1
    assert f1["PCA code", "SVM"] > f1["none", "random"] < 0.1
    chosen = max(rows, key=lambda row: row["F1, held out"].mean())
    assert f"F1 ({chosen['classifier']}, {chosen['features']})" in results.headline
