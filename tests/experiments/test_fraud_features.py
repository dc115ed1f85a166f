"""Method 2: features of each kind, networks on each member's own encoder, judging, the lab."""

import re
import types

import jax
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score, roc_auc_score
from sklearn.svm import SVC

from datasets import fraud
from datasets.fraud_split import TransactionRows, thinned
from datasets.source import Request
from experiments import fraud_features as lab
from jaxdl import optim
from jaxdl.anomaly.cross_fitting import cross_fit, draw_budget, f1_threshold
from jaxdl.anomaly.reconstruction import squared_error
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError
from jaxdl.language import speaking, translate
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
    split = lab.Split(rows, rows, prevalence=0.02, test_prevalence=0.1)
    quality = lab.judge(scores, budget, split)
    held_out, mass = scores.held_out[0], fraud.prevalence_weights(label, 0.02)
    flagged = held_out > f1_threshold(held_out, label, mass)
    expected = f1_score(label, flagged, sample_weight=mass)
    np.testing.assert_allclose(quality["F1, held out"], [expected])
    expected = average_precision_score(label, held_out, sample_weight=mass)
    np.testing.assert_allclose(quality["AUPRC, held out"], [expected])
    new, test_mass = scores.new[0].mean(axis=0), fraud.prevalence_weights(label, 0.1)
    expected = average_precision_score(label, new, sample_weight=test_mass)
    np.testing.assert_allclose(quality["AUPRC"], [expected])
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


def test_separating_columns_are_those_of_the_taught_rows():
    rng = np.random.default_rng(0)
    label = (np.arange(2000) < 200).astype(np.int32)
    x = rng.normal(size=(2000, 5)).astype(np.float32)
    x[label == 0, 0] *= 0.1
    x[:200, 2] += 4
    budget = draw_budget(label, 200, 2, [0])
    known = TransactionRows(x, label, np.arange(2000))
    features = lab.with_separating_columns(lambda member, rows: rows[:, :1], known, budget)
    found = features(1, x)
    np.testing.assert_array_equal(found[:, 0], x[:, 0])
    taught = budget.taught(0, 1)
    normal = x[taught & (label == 0)].astype(float)
    centred = x - normal.mean(axis=0)
    squared = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(np.cov(normal.T)), centred)
    np.testing.assert_allclose(np.expm1(found[:, 3]), squared, rtol=0.02)
    assert roc_auc_score(label, found[:, 2]) > 0.99
    changed = TransactionRows(x + 9 * budget.held_out(0, 1)[:, None], label, known.rows)
    again = lab.with_separating_columns(lambda member, rows: rows[:, :1], changed, budget)
    np.testing.assert_allclose(again(1, x), found, rtol=1e-5, atol=1e-5)  # others change nothing
    assert np.abs(again(0, x) - found).max() > 0.1


def test_each_member_starts_from_its_seeds_encoder_and_only_tuning_changes_it(encoders):
    x, weights = encoders
    budget = draw_budget((x[:, 0] > 0).astype(np.int32), 99, 2, [0, 1])
    own = [jax.tree.map(lambda leaf, seed=seed: leaf[seed], weights) for seed in (0, 0, 1, 1)]
    codes = [MODEL.apply({"params": one}, x, method="encode") for one in own]
    for tuned, epochs in ((False, 5), (True, 0), (True, 5)):
        kind = code_kind(weights, tuned)
        batch = lab.network_batch(x, budget)
        fitted = fit(
            lab.network(kind, lab.owners(budget)),
            batch,
            seeds=np.arange(4),
            epochs=epochs,
            batch_size=32,
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
    task = lab.network(lab.FeatureKind("raw", lab.raw, {}), lab.owners(budget))
    held_out, found = budget.held_out(1, 0), []
    for changed in (0.0, 100.0):
        other = {**batch, "x": x + changed * held_out[:, None].astype(np.float32)}
        fitted = fit(task, other, seeds=np.arange(4), epochs=2, batch_size=103)
        found.append(fitted.predict(lab.logits, {"x": x}))
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-5, atol=1e-6)
    assert np.abs(found[0][3] - found[1][3]).max() > 1e-3


def test_the_robust_row_is_in_units_of_quartiles_and_draws_huge_values_in():
    x = np.random.default_rng(0).normal(3.0, 2.0, (5001, 4)).astype(np.float32)
    x[0] = 1e6
    x[:, 3] = 7.0
    kind = lab.robust_kind(x, [0, 1])
    found = np.asarray(kind.make(lab.weights_of_seed(kind, 1), x))
    np.testing.assert_allclose(np.sinh(found[1:, :3]).std(axis=0), 1, rtol=0.05)
    np.testing.assert_allclose(np.median(found, axis=0), 0, atol=1e-6)
    assert 10 < found[0, 0] < 20  # log of twice a million over 2
    assert np.isfinite(found).all()


def test_frauds_are_repeated_with_their_entries_until_a_step_sees_some():
    label = (np.arange(1000) < 4).astype(np.int32)
    x = np.arange(1000.0, dtype=np.float32)[:, None]
    known = TransactionRows(x, label, 5000 + np.arange(1000))
    batch = lab.more_frauds(known, {"x": x, "label": label})
    assert batch["label"].mean() == pytest.approx(0.02, abs=0.001)
    np.testing.assert_array_equal(batch["label"], batch["x"][:, 0] < 4)
    assert set(batch["x"][:, 0]) == set(range(1000))


def test_extra_trees_answer_with_log_odds_of_their_votes():
    x = np.random.default_rng(0).normal(size=(300, 2))
    label = (x[:, 0] > 1).astype(np.int32)
    trees = lab.ExtraTrees(10, max_features=2, random_state=0).fit(x, label)
    share = trees.predict_proba(x)[:, 1]
    found = trees.decision_function(x)
    np.testing.assert_allclose(found[share == 1], np.log(10.5 / 0.5))
    np.testing.assert_allclose(found[share == 0], -np.log(10.5 / 0.5))


@pytest.mark.parametrize("setting", [{}, {"C": 10, "gamma": 0.005}, {"kernel": "linear"}])
def test_decisions_by_matrix_products_are_those_of_libsvm(setting):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 6)).astype(np.float32)
    label = (x[:, 0] * x[:, 1] > 1).astype(np.int32)
    taught = clone(lab.SVM(**setting)).fit(x[:600], label[:600])
    np.testing.assert_allclose(
        taught.decision_function(x), SVC.decision_function(taught, x), rtol=1e-9, atol=1e-9
    )


def row_of(features, held_out, f1, frauds="10"):
    quality = {"AUPRC, held out": held_out, "F1": f1, "AUPRC": np.add(f1, 0.1)}
    quality = {column: np.array(values) for column, values in quality.items()}
    return {"frauds": frauds, "features": features, "classifier": "SVM"} | quality


def test_a_gain_is_that_of_the_features_chosen_on_held_out_rows_seed_by_seed():
    rows = [
        row_of("raw", [0.5, 0.5], [0.5, 0.6]),
        row_of("code", [0.6, 0.6], [0.6, 0.72]),
        row_of("tuned code", [0.1, 0.1], [0.9, 0.9]),  # best in test, but not where one may look
        row_of("untrained code", [0.9, 0.9], [0.9, 0.9]),
    ]
    (gain,) = lab.gains_over_raw(rows)
    assert gain["features"] == "code"
    np.testing.assert_allclose(gain["gain in F1"], [0.1, 0.12])
    assert gain["more than the spread"] == "F1 and AUPRC"
    assert "in 1 of 1 comparisons: SVM with 10 frauds" in lab.gains_in_words([gain])
    rows[1] = row_of("code", [0.6, 0.6], [0.8, 0.5])  # one seed gains, the other loses
    (gain,) = lab.gains_over_raw(rows)
    assert gain["more than the spread"] == "no"
    assert not lab.is_clear(np.array([0.5]))


def test_goals_are_said_to_be_reached_or_missed_by_the_choice():
    rows = [row_of("raw", [0.9], [0.88]), row_of("code", [0.8], [0.95])]
    said = lab.choice_in_words(lab.largest(lab.HELD_OUT, rows), rows, lab.GOALS["random", 0.5])
    assert said.startswith(
        "Held-out scores choose SVM, raw: AUPRC 0.980, goal 0.85 reached; F1 0.8"
    )
    assert "F1 SVM, code, 0.950" in said
    low = [row_of("raw", [0.9], [0.6])]
    said = lab.choice_in_words(low[0], low, lab.GOALS["temporal", 0.2])
    assert "AUPRC 0.700, goal 0.8 missed; F1 0.600. " in said
    assert "goal" not in lab.choice_in_words(low[0], low, {})


@pytest.mark.parametrize(
    ("kind", "options", "goals"),
    [
        ("real", {}, {"AUPRC": 0.85, "F1": 0.87}),
        ("local mirror", {}, {"AUPRC": 0.85, "F1": 0.87}),
        ("real", {"split": "temporal", "test_share": 0.2}, {"AUPRC": 0.80}),
        ("real", {"split": "temporal"}, {}),
        ("real", {"test_share": 0.2}, {}),
        ("real", {"prevalence": 0.1}, {}),
        ("real", {"steps": 150}, {}),
        ("simulated", {}, {}),
        ("user file", {}, {}),
    ],
)
def test_goals_are_those_of_the_published_file_and_its_splits(kind, options, goals):
    data = types.SimpleNamespace(provenance=types.SimpleNamespace(kind=kind))
    assert lab.goals_of(data, lab.Config(**options)) == goals


def test_every_budget_is_drawn_at_its_own_place_and_the_goal_has_a_name():
    rows = [
        row_of("raw", [0.9], [0.8], frauds="50"),
        row_of("code", [0.9], [0.9], frauds="50"),
        row_of("PCA code", [0.9], [0.7], frauds="50"),  # with all labels only
        row_of("raw", [0.9], [0.5]),
        row_of("code", [0.9], [0.4]),
    ]
    rows.append(rows[-1] | {"classifier": "KNN"})  # its own panel
    figure = lab.draw_f1_by_budget(rows, 0.87)
    axes = figure.axes
    assert [axis.get_title() for axis in axes] == [rows[0]["classifier"], "KNN"]
    axis = axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axis.lines}
    goal = "goal 0.87 for every label and every row"
    assert list(lines) == ["raw", "code", goal]
    assert sorted(lines["raw"]) == [[10, 0.5], [50, 0.8]]
    assert sorted(lines["code"]) == [[10, 0.4], [50, 0.9]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(lines)
    axis, _ = lab.draw_f1_by_budget(rows, None).axes
    assert [line.get_label() for line in axis.lines] == ["raw", "code"]


@pytest.mark.parametrize(
    ("budgets", "asked", "with_all"),
    [((10, 30), [10, 30], set()), ((1000, 10), [10, 60], {60}), ((60, 90), [60], {60})],
)
def test_baselines_are_compared_where_all_labels_are_given(budgets, asked, with_all, monkeypatch):
    label = np.repeat([0, 1], [200, 60]).astype(np.int32)
    rows = TransactionRows(np.zeros((260, 2), np.float32), label, np.arange(260))
    split = lab.Split(rows, rows, 0.1, 0.1)
    seen = []

    def remember(kind, classifiers, budget, frauds, *rest):
        seen.append((kind.name, frauds, len(classifiers)))
        return {}

    monkeypatch.setattr(lab, "cross_fit_all", remember)
    monkeypatch.setattr(lab, "judge", lambda *given: {})
    kinds = lab.Kinds(
        [lab.FeatureKind("raw", lab.raw, {})], [lab.FeatureKind("PCA code", lab.raw, {})], None
    )
    run = types.SimpleNamespace(seeds=[0])
    (chance,) = lab.compare_features(kinds, split, lab.Config(budgets=budgets), run)
    assert [frauds for name, frauds, _ in seen if name == "raw"] == asked
    assert {frauds for name, frauds, _ in seen if name == "PCA code"} == with_all
    more = {frauds for _, frauds, count in seen if count > len(lab.CLASSIFIERS)}
    assert more == with_all
    assert chance["frauds"] == str(max(asked))


@pytest.mark.parametrize("split", ["random", "temporal"])
def test_all_rows_are_taught_and_tested_and_a_sample_has_the_prevalence_of_its_part(split):
    data = fraud.load(Request("simulated"), twin_rows=20_000)
    config = lab.Config(split=split, test_share=0.2, rows=500, test_rows=700)
    whole = lab.split_rows(data, config)
    assert (len(whole.known.x), len(whole.test.x)) == (16_000, 4_000)
    np.testing.assert_allclose(whole.test_weights, 1)
    some = lab.few_rows(whole, config)
    assert (some.known.label == 0).sum() == 500
    assert some.test.label.sum() == whole.test.label.sum()
    share = np.average(some.test.label, weights=some.test_weights)
    assert share == pytest.approx(whole.test.label.mean())


def test_too_few_labels_are_refused():
    label = np.repeat([0, 1], [50, 6])
    lab.refuse_too_few_labels(label, lab.Config(budgets=(5, 100), folds=4))
    for budgets, folds in (((3, 100), 4), ((10, 100), 7)):
        with pytest.raises(UserError, match="labelled frauds do not fill"):
            lab.refuse_too_few_labels(label, lab.Config(budgets=budgets, folds=folds))


def test_above_half_is_where_a_classifier_says_fraud():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    label = (x[:, 0] + 0.3 * rng.normal(size=400) > 1).astype(np.int32)
    for classifier in (lab.CLASSIFIERS["SVM"], lab.CLASSIFIERS["KNN, k = 3"]):
        taught = clone(classifier).fit(x[:300], label[:300])
        scores = lab.above_half(taught, x[300:])
        said = taught.predict(x[300:])
        np.testing.assert_array_equal(scores > 0, said == 1)
        counts = lab.counts_above_half(np.stack([scores, -scores]), label[300:], np.ones(100))
        tn, fp, fn, tp = confusion_matrix(label[300:], said).ravel()
        assert 0 < tp < 100
        assert (counts.tn[0], counts.fp[0], counts.fn[0], counts.tp[0]) == (tn, fp, fn, tp)
        other = confusion_matrix(label[300:], -scores > 0).ravel()
        assert tuple(count[1] for count in counts) == tuple(other)
        weighted = lab.counts_above_half(scores[None], label[300:], np.full(100, 2.5))
        assert weighted.fp[0] == 2.5 * fp
        np.testing.assert_allclose(counts.f_beta()[0], f1_score(label[300:], said))


def test_by_the_lectures_protocol_every_row_is_taught(encoders, monkeypatch):
    x, weights = encoders
    taught = []

    def remember_rows(self, x, label):
        taught.append((x, label))
        return DummyClassifier().fit(x, label)

    for classifier in (lab.KNeighborsClassifier, lab.SVM):
        monkeypatch.setattr(classifier, "fit", remember_rows)
    monkeypatch.setattr(lab, "above_half", lambda classifier, x: x[:, 0])
    fitted = types.SimpleNamespace(predict=lambda output, batch: np.zeros((2, len(batch["x"]))))
    batches, lengths = {}, {}

    def remember(name, task, batch, **length):
        batches[name], lengths[name] = batch, length
        return fitted

    run = types.SimpleNamespace(seeds=[5, 6], fit=remember)
    label = np.arange(103) % 2
    train = TransactionRows(x, label, np.arange(103))
    found = lab.lecture_scores(code_kind(weights, False), train, x[:7], lab.Config(), run)
    assert batches["network-code"]["keep"].shape == (103, 2)
    assert batches["network-code"]["keep"].all()
    assert lengths["network-code"] == {"epochs": 50, "batch_size": 1024}
    assert len(taught) == 2 * 2  # both classifiers, an encoder of its own for each seed
    for seed, (features, of_rows) in zip((0, 1, 0, 1), taught, strict=True):
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], weights)
        code = MODEL.apply({"params": own}, x, method="encode")
        np.testing.assert_allclose(features, code, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(of_rows, label)
        np.testing.assert_allclose(found["KNN, k = 3"][seed], code[:7, 0], rtol=1e-5, atol=1e-6)
    raw = lab.FeatureKind("raw", lab.raw, {})
    lab.lecture_scores(raw, train, x[:7], lab.Config(), run)
    assert len(taught) == 2 * 2 + 2  # no seed draws the raw columns


def test_the_lectures_protocol_compares_its_classifiers_on_code_and_raw_columns(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--protocol", "lecture"]
    folder = ["--workdir", str(tmp_path / "run")]
    (results,) = launch(["experiments/fraud_features.py", *options, *folder])
    (table,) = results.tables
    assert "every row taught; random 50/50 split; test part 20,000" in table.title
    rows = {(row["features"], row["classifier"]): row for row in table.rows}
    assert len(rows) == 4 * 3
    neighbours = rows["raw", "KNN, k = 3"]
    assert neighbours["F1"].mean() > 0.6
    missed = 1 - neighbours["recall"]
    frauds = int(table.title.split(" frauds")[0].split()[-1])
    np.testing.assert_allclose(neighbours["frauds missed"], missed * frauds)
    assert list(results.headline) == [
        "F1 (DNN, code)", "F1 (SVM, code)", "F1 (KNN, k = 3, code)"
    ]  # fmt: skip
    panels = results.figures["confusion"]().axes
    shown = [text.get_text() for text in panels[2].texts]
    assert shown[2] == f"{rows['code', 'KNN, k = 3']['frauds missed'].mean():.0f}"
    with speaking("ko"):
        told = [translate(text) for text in (table.title, *table.columns, *results.notes)]
        told += [translate(axis.get_title()) for axis in panels]
    assert not {text for text in told if re.search("[a-z]{3,}", text)}


def test_lab_chooses_on_held_out_rows_and_shows_every_classifier_on_raw_columns(quick_run):
    results = quick_run("fraud_features").results
    by_features, gains, strongest = (table.rows for table in results.tables)
    assert len(by_features) == 4 * 5 + 2 * 2 + 2 * 5 + 1
    f1 = {(row["features"], row["classifier"]): row["F1"].mean() for row in by_features}
    assert f1["raw", "SVM, C = 10"] > 0.6
    for kind in ("raw", "code", "tuned code", "code and row"):
        assert f1[kind, "logistic regression"] > 0.2
    assert ("untrained code", "SVM") in f1
    assert f1["PCA code", "SVM"] > f1["none", "random"] < 0.1
    assert [row["classifier"] for row in gains][:2] == ["DNN", "SVM"]

    auprc = {(row["features"], row["classifier"]): row["AUPRC"].mean() for row in strongest}
    assert len(auprc) == 1 + 2 * (2 + 2) + 1
    assert auprc["raw", "gradient boosting"] > 0.5
    assert auprc["raw", "extra trees"] > 0.5
    chosen = max(strongest, key=lambda row: row["AUPRC, held out"].mean())
    assert f"F1 ({chosen['classifier']}, {chosen['features']})" in results.headline
    assert "20,000 rows" in results.tables[2].title  # the whole test half
    normal = 20_000 - int(results.tables[2].title.split(" frauds")[0].split()[-1])
    told, labels, *_, choice = results.notes
    assert f"each of which counts for {normal / 3000:.2f}, which" in told
    assert "standardised by normal rows" in labels
    assert "goal" not in choice  # of a simulated twin
