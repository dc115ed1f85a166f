"""Budgets of labels, held-out scores, and the vote of classifiers in unlike units."""

from functools import partial

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from datasets.fraud import prevalence_weights
from jaxdl.anomaly import cross_fitting, metrics
from jaxdl.anomaly.cross_fitting import CrossFitted, LabelBudget, draw_budget


@pytest.fixture(scope="module")
def blobs():
    """200 normal rows and 40 anomalies that overlap, and as many new ones."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [200, 40])
    return [(rng.normal(size=(240, 2)) + 2 * label[:, None], label) for _ in range(2)]


def every_column(member, x):
    del member
    return x


def test_a_budget_labels_all_normal_rows_and_so_many_anomalies():
    label = np.tile([0, 0, 0, 1], 50)
    budget = draw_budget(label, 7, 3, [0, 1])
    for fold in budget.fold:
        inside = fold != cross_fitting.OUTSIDE
        assert (inside & (label == 1)).sum() == 7
        assert inside[label == 0].all()
        assert sorted(np.bincount(fold[inside & (label == 1)])) == [2, 2, 3]
        assert np.ptp(np.bincount(fold[inside])) <= 1
    assert (budget.fold[0] != budget.fold[1]).any()
    assert (draw_budget(label, 999, 3, [0]).fold >= 0).all()
    with pytest.raises(ValueError, match="2 rows of label 1 do not fill 3 folds"):
        draw_budget(label, 2, 3, [0])


def test_each_member_is_taught_everything_but_its_fold():
    budget = draw_budget(np.tile([0, 0, 0, 1], 50), 7, 3, [0, 1])
    assert budget.members == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    for seed, fold in budget.members:
        own = budget.fold[seed]
        np.testing.assert_array_equal(budget.taught(seed, fold), (own >= 0) & (own != fold))
        np.testing.assert_array_equal(budget.held_out(seed, fold), own == fold)


def test_held_out_scores_are_those_of_the_classifier_that_was_not_taught_the_row(blobs):
    (x, label), (new, _) = blobs
    budget = draw_budget(label, 20, 4, [3])
    found = cross_fitting.cross_fit(LogisticRegression(), every_column, x, new, budget)
    fold = budget.fold[0]
    np.testing.assert_array_equal(np.isnan(found.held_out[0]), fold == cross_fitting.OUTSIDE)
    for k in range(4):
        rows = (fold >= 0) & (fold != k)
        model = LogisticRegression().fit(x[rows], label[rows])
        own = fold == k
        np.testing.assert_allclose(found.held_out[0, own], model.decision_function(x[own]))
        np.testing.assert_allclose(found.new[0, k], model.decision_function(new))


def test_a_classifier_without_a_boundary_gives_its_probability(blobs):
    (x, label), (new, _) = blobs
    budget = draw_budget(label, 20, 2, [0])
    found = cross_fitting.cross_fit(KNeighborsClassifier(4), every_column, x, new, budget)
    assert set(np.unique(found.new)) <= {0, 0.25, 0.5, 0.75, 1}
    assert found.new[0][:, label == 1].mean() > 0.3 > found.new[0][:, label == 0].mean()


def test_a_population_is_read_by_the_member_that_was_not_taught_the_row(blobs):
    (_, label), _ = blobs
    budget = draw_budget(label, 20, 4, [3, 4])
    scores = np.stack([np.arange(240.0) + 1000 * member for member in range(8)])
    found = cross_fitting.cross_fitted_population(scores, scores[:, :7], budget)
    for seed, fold in enumerate(budget.fold):
        inside = fold >= 0
        expected = np.arange(240) + 1000 * (4 * seed + fold)
        np.testing.assert_array_equal(found.held_out[seed, inside], expected[inside])
        assert np.isnan(found.held_out[seed, ~inside]).all()
    assert found.new.shape == (2, 4, 7)
    np.testing.assert_array_equal(found.new[1, 2], scores[6, :7])


def test_the_vote_gives_classifiers_of_other_units_the_same_say(blobs):
    (x, label), (new, _) = blobs
    weigh = partial(prevalence_weights, prevalence=0.02)
    budget = draw_budget(label, 40, 4, [0])
    made = cross_fitting.cross_fit(LogisticRegression(), every_column, x, new, budget)
    large = CrossFitted(1000 * made.held_out + 7, 1000 * made.new + 7)
    one = cross_fitting.vote([made], budget, weigh)
    both = cross_fitting.vote([made, large, large], budget, weigh)
    np.testing.assert_allclose(one.held_out, both.held_out, rtol=1e-6)
    np.testing.assert_allclose(one.new, both.new, rtol=1e-6)
    mean_chance = np.average(1 / (1 + np.exp(-one.held_out[0])), weights=weigh(label))
    np.testing.assert_allclose(mean_chance, 0.02, rtol=1e-2)


def test_the_vote_is_the_mean_of_log_odds(blobs):
    (x, label), (new, _) = blobs
    weigh = partial(prevalence_weights, prevalence=0.02)
    budget = draw_budget(label, 40, 4, [0])
    kinds = [
        cross_fitting.cross_fit(classifier, every_column, x, new, budget)
        for classifier in (LogisticRegression(), KNeighborsClassifier(4))
    ]
    each = [cross_fitting.calibrated(scores, budget, weigh) for scores in kinds]
    found = cross_fitting.vote(kinds, budget, weigh)
    np.testing.assert_allclose(found.new, (each[0].new + each[1].new) / 2)
    np.testing.assert_allclose(found.held_out, (each[0].held_out + each[1].held_out) / 2)


def test_the_f1_threshold_lies_where_the_chance_of_an_anomaly_is_half_the_best_f1():
    rng = np.random.default_rng(0)
    label = (np.arange(200_000) < 20_000).astype(int)
    known = rng.normal(size=200_000) + 2.0 * label  # log-odds are linear in the score
    found = cross_fitting.f1_threshold(known, label, np.ones(200_000))
    counted = metrics.sweep(known, label).confusion().f_beta()
    chance = 1 / (1 + np.exp(-(2 * found - 2 + np.log(0.1 / 0.9))))
    assert chance == pytest.approx(counted.max() / 2, abs=0.01)
    reached = metrics.confusion(known, label, found).f_beta()
    assert reached == pytest.approx(counted.max(), abs=0.002)


def test_the_f1_threshold_counts_weights_and_flags_the_whole_of_a_tie():
    label = np.repeat([0, 0, 1, 1], [500, 10, 10, 30])
    known = np.repeat([0.0, 1.0, 1.0, 2.0], [500, 10, 10, 30])
    few = cross_fitting.f1_threshold(known, label, np.ones(550))
    many = cross_fitting.f1_threshold(known, label, np.where(label, 1.0, 50.0))
    assert 0 < few < 1 <= many < 2
    assert few == np.nextafter(1.0, -np.inf)


def test_members_draw_differently_and_again_the_same(blobs):
    (x, label), (new, _) = blobs
    budget = draw_budget(label, 40, 2, [0])
    same = LabelBudget(label, np.stack([budget.fold[0]] * 2), 2)
    forest = ExtraTreesClassifier(5)
    first, again = (
        cross_fitting.cross_fit(forest, every_column, x, new, same).new for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()  # the same labels, another draw


def test_random_scores_are_a_member_for_each_seed_and_know_the_budget():
    budget = draw_budget(np.tile([0, 0, 0, 1], 50), 7, 3, [0, 1])
    scores = cross_fitting.random_scores(budget, 11, [0, 1])
    np.testing.assert_array_equal(np.isnan(scores.held_out), budget.fold == cross_fitting.OUTSIDE)
    assert scores.new.shape == (2, 1, 11)
    assert (scores.new[0] != scores.new[1]).all()
