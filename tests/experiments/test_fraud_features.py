"""Method 2: budgets of labels, held-out scores, networks on each member's own encoder, the lab."""

from functools import partial

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from datasets import fraud
from datasets.fraud_split import TransactionRows, thinned
from experiments import fraud_features
from jaxdl import losses, optim
from jaxdl.anomaly import cross_fitting
from jaxdl.cli import launcher
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.pca import fit_pca
from jaxdl.training import Task, fit, module_functions

ENCODER = DenseAutoencoder(5, (3,))


@pytest.fixture(scope="module")
def blobs():
    """200 normal rows and 40 frauds that overlap, and as many new ones."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [200, 40])
    return [(rng.normal(size=(240, 2)) + 2 * label[:, None], label) for _ in range(2)]


@pytest.fixture(scope="module")
def encoders():
    rows = {"x": np.random.default_rng(0).normal(size=(103, 5)).astype(np.float32)}
    task = Task(
        *module_functions(ENCODER),
        loss=lambda outputs, batch, hyper: losses.mse(outputs, batch["x"]),
        optimizer=lambda hyper: optim.adam(),
    )
    return rows["x"], fit(task, rows, seeds=np.arange(2), epochs=1, batch_size=32).variables[
        "params"
    ]


def test_a_budget_labels_all_normal_rows_and_so_many_frauds():
    label = np.tile([0, 0, 0, 1], 50)
    budget = cross_fitting.draw_budget(label, 7, 3, [0, 1])
    for fold in budget.fold:
        inside = fold != cross_fitting.OUTSIDE
        assert (inside & (label == 1)).sum() == 7
        assert inside[label == 0].all()
        assert sorted(np.bincount(fold[inside & (label == 1)])) == [2, 2, 3]
        assert np.ptp(np.bincount(fold[inside])) <= 1
    assert (budget.fold[0] != budget.fold[1]).any()
    assert (cross_fitting.draw_budget(label, 999, 3, [0]).fold >= 0).all()
    with pytest.raises(ValueError, match="2 rows of label 1 do not fill 3 folds"):
        cross_fitting.draw_budget(label, 2, 3, [0])


def test_each_member_is_taught_everything_but_its_fold():
    label = np.tile([0, 0, 0, 1], 50)
    budget = cross_fitting.draw_budget(label, 7, 3, [0, 1])
    assert budget.owner.tolist() == [0, 0, 0, 1, 1, 1]
    assert budget.keep.shape == (200, 6)
    for member, rows in enumerate(budget.keep.T):
        fold = budget.fold[member // 3]
        np.testing.assert_array_equal(rows, (fold >= 0) & (fold != member % 3))


def test_thinning_keeps_every_fraud():
    label = (np.arange(100) % 10 == 0).astype(np.int32)
    part = thinned(TransactionRows(np.zeros((100, 30), np.float32), label, np.arange(100)), 20)
    assert (part.label.sum(), len(part.rows)) == (10, 30)


def test_held_out_scores_are_those_of_the_classifier_that_was_not_taught_the_row(blobs):
    (x, label), (new, _) = blobs
    budget = cross_fitting.draw_budget(label, 20, 4, [3])
    (found,) = cross_fitting.cross_fit(LogisticRegression, lambda member, x: x, x, new, budget)
    fold = budget.fold[0]
    np.testing.assert_array_equal(np.isnan(found.known), fold == cross_fitting.OUTSIDE)
    for k in range(4):
        rows = (fold >= 0) & (fold != k)
        model = LogisticRegression().fit(x[rows], label[rows])
        np.testing.assert_allclose(found.known[fold == k], model.decision_function(x[fold == k]))
        np.testing.assert_allclose(found.new[k], model.decision_function(new))
    logits = np.stack([np.arange(240.0) + 1000 * k for k in range(4)])
    (same,) = cross_fitting.cross_fitted_logits(logits, logits[:, :7], budget)
    inside = fold >= 0
    np.testing.assert_array_equal(same.known[inside], (np.arange(240) + 1000 * fold)[inside])
    assert same.new.shape == (4, 7)


def test_the_vote_gives_kinds_of_other_units_the_same_say_and_judging_finds_the_threshold(blobs):
    (x, label), (new, new_label) = blobs
    weigh = partial(fraud.prevalence_weights, prevalence=0.02)
    budget = cross_fitting.draw_budget(label, 40, 4, [0])
    made = cross_fitting.cross_fit(LogisticRegression, lambda member, x: x, x, new, budget)
    large = [cross_fitting.Scored(1000 * s.known + 7, 1000 * s.new + 7) for s in made]
    one, both = (
        cross_fitting.vote(kinds, budget, weigh)[0] for kinds in ([made], [made, large, large])
    )
    np.testing.assert_allclose(one.known, both.known, rtol=1e-6)
    np.testing.assert_allclose(one.new, both.new, rtol=1e-6)
    quality = cross_fitting.judge(made, budget, new_label, weigh)
    held_out, mass = made[0].known, weigh(label)
    hits = [(mass * (held_out > t)) @ np.c_[label, 1 - label] for t in held_out]
    best = max(2 * tp / (tp + fp + 40) for tp, fp in hits)
    np.testing.assert_allclose(quality[cross_fitting.HELD_OUT], [best])
    assert 0.3 < quality["F1"][0] < 1


def test_features_are_the_row_its_code_and_its_error(encoders):
    x, weights = encoders
    own = jax.tree.map(lambda w: w[1], weights)
    kinds = {k: fraud_features.features(ENCODER, k, own, x) for k in fraud_features.KINDS}
    code = ENCODER.apply({"params": own}, x, method="encode")
    error = np.square(ENCODER.apply({"params": own}, x, train=False) - x).mean(axis=1)
    np.testing.assert_array_equal(kinds["raw"], x)
    np.testing.assert_allclose(kinds["code"], code)
    np.testing.assert_allclose(kinds["code and row"][:, :5], x)
    np.testing.assert_allclose(kinds["code and row"][:, 5:8], code, rtol=1e-6)
    np.testing.assert_allclose(kinds["code and row"][:, 8], np.log(error), atol=1e-4)
    from sklearn.decomposition import PCA

    pca = fit_pca(x, 3)
    found = fraud_features.features(ENCODER, "PCA code", pca, x)
    np.testing.assert_allclose(np.abs(found), np.abs(PCA(3).fit_transform(x)), atol=1e-4)


def test_each_member_starts_from_its_seeds_encoder_and_only_tuning_changes_it(encoders):
    x, weights = encoders
    label = (x[:, 0] > 0).astype(np.int32)
    budget = cross_fitting.draw_budget(label, 99, 2, [0, 1])
    batch = {"x": x, "label": label.astype(np.float32), "keep": np.float32(budget.keep)}
    own = [jax.tree.map(lambda w, i=i: w[i], weights) for i in (0, 0, 1, 1)]
    codes = [ENCODER.apply({"params": w}, x, method="encode") for w in own]
    for kind, epochs in (("code", 5), ("tuned code", 0), ("tuned code", 5)):
        task = fraud_features.network(ENCODER, kind, weights, budget)
        fitted = fit(task, batch, seeds=np.arange(4), epochs=epochs, batch_size=32)
        change = fitted.variables["params"].get("change")
        of = fraud_features.member_features(ENCODER, kind, weights, budget, change)
        moved = max(float(np.abs(of(m, x) - codes[m]).max()) for m in range(4))
        assert (moved > 1e-3) == (kind == "tuned code" and epochs > 0)


def test_rows_that_a_member_is_not_taught_change_nothing(encoders):
    x, weights = encoders
    label = np.float32(np.arange(103) % 2)
    budget = cross_fitting.draw_budget(label.astype(int), 99, 2, [0, 1])
    task = fraud_features.network(ENCODER, "raw", weights, budget)
    held, found = budget.fold[1] == 0, []
    for changed in (0.0, 100.0):
        batch = {"x": x + changed * held[:, None].astype(np.float32), "label": label}
        batch["keep"] = np.float32(budget.keep)
        fitted = fit(task, batch, seeds=np.arange(4), epochs=2, batch_size=103)
        found.append(fitted.predict(lambda outputs, batch: outputs[0], {**batch, "x": x}))
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-5, atol=1e-6)
    assert np.abs(found[0][3] - found[1][3]).max() > 1e-3


def test_lab_chooses_on_held_out_rows_and_shows_every_classifier_on_raw_columns(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--workdir", str(tmp_path / "run")]
    (results,) = launcher.launch(["experiments/fraud_features.py", *options])
    rows = results.tables[0].rows
    assert len(rows) == 4 * 5 + 2 * 3 + 2 * 5 + 1
    f1 = {(row["features"], row["classifier"]): row["F1"].mean() for row in rows}
    assert f1["raw", "SVM, C = 10"] > 0.6
    assert all(f1[kind, "logistic regression"] > 0.2 for kind in fraud_features.KINDS)
    assert ("untrained code", "SVM") in f1
    assert f1["PCA code", "SVM"] > f1["none", "random"] < 0.1
    chosen = max(rows, key=lambda row: row["F1, held out"].mean())
    assert f"F1 ({chosen['classifier']}, {chosen['features']})" in results.headline
