"""Threshold rules: their promise by simulation, their artefact, and their intervals."""

import json
import math
from functools import partial

import numpy as np
import pytest
from scipy import stats

from jaxdl.anomaly import costs, metrics, thresholds
from jaxdl.anomaly.thresholds import Threshold

ON = {"fitted_on": "validation normals"}


def draw(n=500, seed=0):
    return np.random.default_rng(seed).exponential(size=n).astype(np.float32)


def draw_labelled(seed=0, n=300):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.2
    scores = np.round(rng.normal(size=n) + 1.5 * labels, 1).astype(np.float32)
    return scores, labels, rng.choice([1.0, 3.0], size=n)


RULES = {
    "k_sigma": lambda **kw: thresholds.k_sigma(draw(), 2, **ON, **kw),
    "quantile": lambda **kw: thresholds.quantile(draw(), 0.05, **ON, **kw),
    "contamination": lambda **kw: thresholds.contamination(draw(), 0.1, **ON, **kw),
    "alert_budget": lambda **kw: thresholds.alert_budget(draw(), 2, 5, **ON, **kw),
    "extreme_value": lambda **kw: thresholds.extreme_value(draw(), 0.01, tail=0.2, **ON, **kw),
    "f_beta": lambda **kw: thresholds.f_beta(*draw_labelled()[:2], 2.0, **ON, **kw),
    "cost_minimal": lambda **kw: thresholds.cost_minimal(
        *draw_labelled()[:2], costs.FixedCost(20.0, 1.0), **ON, **kw
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_gives_a_repeatable_artefact_that_survives_json(name):
    first, second = RULES[name](), RULES[name]()
    assert first == second
    assert first.rule == name
    assert first.n in (500, 300)
    low, high = first.interval
    assert low <= first.value <= high
    assert low < high
    assert Threshold.from_json(first.to_json()) == first
    assert np.float32(first.value) == first.value
    without = RULES[name](resamples=0)
    assert without.interval is None
    assert without.value == first.value
    assert Threshold.from_json(without.to_json()) == without


@pytest.mark.parametrize("name", RULES)
def test_the_order_of_the_rows_does_not_matter(name, monkeypatch):
    shuffled = np.random.default_rng(5).permutation(500)
    rows = np.random.default_rng(5).permutation(300)
    plain, labelled = draw(), draw_labelled()
    expected = RULES[name](resamples=0)
    monkeypatch.setitem(globals(), "draw", lambda: plain[shuffled])
    monkeypatch.setitem(globals(), "draw_labelled", lambda: [c[rows] for c in labelled])
    assert RULES[name](resamples=0).value == pytest.approx(expected.value, rel=1e-6)


VALID = json.loads(
    Threshold("quantile", 1.5, {"rate": 0.01}, "validation", 9, (1.0, 2.0)).to_json()
)


@pytest.mark.parametrize(
    "change",
    [
        {"value": "1.5"},
        {"value": True},
        {"value": None},
        {"value": 10**400},
        {"n": 0},
        {"n": 2.0},
        {"n": True},
        {"rule": ""},
        {"rule": 3},
        {"fitted_on": " "},
        {"fitted_on": "test labels"},
        {"fitted_on": "the Test-set"},
        {"parameters": [1]},
        {"parameters": {"rate": [0.1]}},
        {"parameters": {"rate": None}},
        {"interval": [1.0]},
        {"interval": [2.0, 1.0]},
        {"interval": [1.0, "2"]},
        {"interval": {"low": 1.0}},
        {"extra": 1},
    ],
)
def test_a_bad_file_is_refused(change):
    with pytest.raises(ValueError, match="threshold"):
        Threshold.from_json(json.dumps(VALID | change))


def test_text_that_is_not_a_threshold_is_refused():
    assert Threshold.from_json(json.dumps(VALID)).parameters == {"rate": 0.01}
    missing = {name: value for name, value in VALID.items() if name != "n"}
    not_finite = json.dumps(VALID).replace("1.5", "NaN"), json.dumps(VALID).replace("1.5", "1e999")
    for text in ("", "{", "[]", "3", json.dumps(missing), *not_finite):
        with pytest.raises(ValueError, match="threshold"):
            Threshold.from_json(text)


def test_labels_are_strictly_above_and_nan_does_not_pass_silently():
    threshold = Threshold("k_sigma", 2.0, {}, "validation", 3)
    assert threshold.label(np.array([1.0, 2.0, 2.5])).tolist() == [False, False, True]
    with pytest.raises(ValueError, match="NaN"):
        threshold.label(np.array([1.0, np.nan]))


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [1.0, np.inf]])
def test_bad_scores_are_refused_by_every_rule(bad):
    bad, labels = np.array(bad), np.ones(len(bad))
    for fit in (
        partial(thresholds.k_sigma, bad, 3),
        partial(thresholds.quantile, bad, 0.5),
        partial(thresholds.contamination, bad, 0.5),
        partial(thresholds.alert_budget, bad, 1, 1),
        partial(thresholds.extreme_value, bad, 0.01),
        partial(thresholds.f_beta, bad, labels),
        partial(thresholds.cost_minimal, bad, labels, costs.FixedCost(1.0, 1.0)),
    ):
        with pytest.raises(ValueError, match=r"scores"):
            fit(**ON)


def test_k_sigma_reproduces_its_formula():
    scores = draw()
    ours = thresholds.k_sigma(scores, 2.5, **ON)
    wide = scores.astype(np.float64)
    assert ours.value == pytest.approx(wide.mean() + 2.5 * np.std(wide, ddof=1), rel=1e-7)


def test_quantile_keeps_its_promise_on_new_events_for_small_calibration_sets():
    rng = np.random.default_rng(0)
    for n, rate in ((19, 0.05), (30, 0.05), (99, 0.1)):
        calibration = rng.exponential(size=(3000, n))
        fitted = [thresholds.quantile(c, rate, resamples=0, **ON).value for c in calibration]
        realised = np.exp(-np.array(fitted)).mean()
        promised = math.floor(rate * (n + 1) + 1e-9) / (n + 1)
        assert promised <= rate
        assert realised == pytest.approx(promised, rel=0.06)
        naive = np.exp(-np.quantile(calibration, 1 - rate, axis=1)).mean()
        assert naive > 1.05 * rate


def test_quantile_says_how_many_scores_a_rate_needs():
    with pytest.raises(ValueError, match="take at least 999"):
        thresholds.quantile(draw(), 0.001, **ON)
    with pytest.raises(ValueError, match="take at least 19"):
        thresholds.quantile(draw(18), 0.05, **ON)
    scores = draw(999)
    assert thresholds.quantile(scores, 0.001, **ON).value == scores.max()


def test_quantile_bootstrap_equals_resampling():
    scores = draw(400)
    ours = thresholds.quantile(scores, 0.05, resamples=4000, **ON)
    rng = np.random.default_rng(3)
    plain = [
        thresholds.quantile(rng.choice(scores, 400), 0.05, resamples=0, **ON).value
        for _ in range(4000)
    ]
    expected = np.quantile(plain, [0.025, 0.975])
    np.testing.assert_allclose(ours.interval, expected, atol=0.06 * np.ptp(expected))


@pytest.mark.parametrize("weighted", [False, True])
def test_budgets_flag_as_much_as_they_may_and_no_more(weighted):
    scores, _, weights = draw_labelled()
    weights = weights if weighted else None
    events = np.ones(scores.size) if weights is None else weights
    for budget in (1, 17, 60.5):
        fitted = thresholds.alert_budget(scores, budget / 4, 4, weights=weights, **ON)
        assert events[scores > fitted.value].sum() <= budget
        assert events[scores >= fitted.value].sum() > budget
        share = budget / events.sum()
        same = thresholds.contamination(scores, share, weights=weights, **ON)
        assert same.value == fitted.value
    assert thresholds.contamination(scores, 0.0, **ON).value == scores.max()
    with pytest.raises(ValueError, match="every event"):
        thresholds.alert_budget(scores, 1000, 1, **ON)


def test_weighted_and_unweighted_bootstrap_of_a_budget_agree():
    scores = draw(300)
    plain = thresholds.contamination(scores, 0.1, resamples=2000, **ON)
    ones = thresholds.contamination(scores, 0.1, weights=np.ones(300), resamples=2000, **ON)
    assert plain.value == ones.value
    width = plain.interval[1] - plain.interval[0]
    np.testing.assert_allclose(plain.interval, ones.interval, atol=0.1 * width)


TAILS = {
    "pareto": stats.genpareto(0.4, scale=2.0),
    "exponential": stats.expon(scale=3.0),
    "bounded": stats.genpareto(-0.3, scale=1.0),
}


@pytest.mark.parametrize("name", TAILS)
def test_extreme_value_finds_the_tail_of_a_known_distribution(name):
    law = TAILS[name]
    scores = law.rvs(size=40_000, random_state=np.random.default_rng(1))
    fitted = thresholds.extreme_value(scores, 1e-4, tail=0.05, **ON)
    true = law.isf(1e-4)
    low, high = fitted.interval
    assert low < true < high
    assert fitted.value == pytest.approx(true, rel=0.15)
    start = fitted.parameters["start"]
    shape, _, scale = stats.genpareto.fit(scores[scores > start] - start, floc=0)
    assert fitted.parameters["shape"] == pytest.approx(shape, abs=0.01)
    assert fitted.parameters["scale"] == pytest.approx(scale, rel=0.01)


def test_extreme_value_interval_covers_the_true_quantile():
    law = TAILS["pareto"]
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        fitted = thresholds.extreme_value(
            law.rvs(size=5000, random_state=rng), 1e-3, tail=0.1, resamples=100, **ON
        )
        covered += fitted.interval[0] < law.isf(1e-3) < fitted.interval[1]
    assert 0.85 <= covered / 200 <= 1.0


def test_extreme_value_interval_near_the_start_of_the_tail_is_that_of_counting():
    # There the number of scores in the tail is what is uncertain, not the tail's shape.
    scores = draw(20_000)
    model = thresholds.extreme_value(scores, 0.04, tail=0.05, **ON)
    counted = thresholds.quantile(scores, 0.04, **ON)
    assert model.value == pytest.approx(counted.value, rel=0.02)
    assert 0.6 < np.diff(model.interval)[0] / np.diff(counted.interval)[0] < 1.4


def test_extreme_value_reaches_beyond_the_largest_score_and_says_when_it_cannot():
    scores = draw(2000)
    assert thresholds.extreme_value(scores, 1e-6, tail=0.1, **ON).value > scores.max()
    with pytest.raises(ValueError, match="larger tail"):
        thresholds.extreme_value(scores, 1e-4, tail=0.01, **ON)
    with pytest.raises(ValueError, match="rate < tail"):
        thresholds.extreme_value(scores, 0.05, tail=0.02, **ON)


@pytest.mark.parametrize("seed", range(4))
def test_f_beta_finds_the_best_of_all_thresholds(seed):
    scores, labels, weights = draw_labelled(seed)
    for beta in (0.5, 2.0):
        fitted = thresholds.f_beta(scores, labels, beta, weights=weights, resamples=0, **ON)
        every = np.concatenate([scores, [-np.inf]])
        table = metrics.confusion(scores, labels, every, weights)
        ours = metrics.confusion(scores, labels, fitted.value, weights)
        assert ours.f_beta(beta) == pytest.approx(table.f_beta(beta).max())


@pytest.mark.parametrize("seed", range(4))
def test_cost_minimal_finds_the_cheapest_of_all_thresholds(seed):
    scores, labels, weights = draw_labelled(seed)
    amounts = np.random.default_rng(seed).exponential(40, size=scores.size)
    every = np.concatenate([scores, [-np.inf, np.inf]])
    for cost in (costs.FixedCost(10.0, 1.0, 0.5), costs.AmountCost()):
        fitted = thresholds.cost_minimal(
            scores, labels, cost, amounts, weights=weights, resamples=0, **ON
        )
        table = costs.expected_cost(scores, labels, cost, every, amounts, weights)
        ours = costs.expected_cost(scores, labels, cost, fitted.value, amounts, weights)
        assert ours == pytest.approx(table.min())
        assert fitted.parameters["cost"] == type(cost).__name__


def test_cost_minimal_may_flag_nothing_or_everything():
    scores, labels, _ = draw_labelled()
    nothing = thresholds.cost_minimal(scores, labels, costs.FixedCost(1.0, 1e6), **ON)
    assert not nothing.label(scores).any() or labels[nothing.label(scores)].all()
    dear = thresholds.cost_minimal(scores, ~labels, costs.FixedCost(1.0, 1e6), **ON)
    assert not dear.label(scores).any()
    everything = thresholds.cost_minimal(scores, labels, costs.FixedCost(1e6, 0.0), **ON)
    assert labels[~everything.label(scores)].sum() == 0
    free = thresholds.cost_minimal(scores, ~labels, costs.FixedCost(1e6, 1e-3), **ON)
    assert free.label(scores).all()


def test_labelled_rules_need_anomalies_and_good_parameters():
    scores, labels, _ = draw_labelled()
    with pytest.raises(ValueError, match="anomaly"):
        thresholds.f_beta(scores, np.zeros_like(labels), **ON)
    with pytest.raises(ValueError, match="beta"):
        thresholds.f_beta(scores, labels, 0.0, **ON)


def test_realised_rate_is_clopper_pearson():
    threshold = Threshold("quantile", 0.5, {"rate": 0.1}, "validation", 9)
    later = np.array([1.0] * 7 + [0.0] * 93)
    ours = thresholds.realised_rate(threshold, later)
    exact = stats.binomtest(7, 100).proportion_ci(0.95, method="exact")
    assert ours == pytest.approx((0.07, exact.low, exact.high, 7, 100))
    none = thresholds.realised_rate(threshold, np.zeros(50))
    assert none.low == 0.0
    assert none.high == pytest.approx(stats.binomtest(0, 50).proportion_ci(0.95).high)
    assert thresholds.realised_rate(threshold, np.ones(50)).high == 1.0


def test_realised_rate_with_weights_widens_with_their_inequality():
    threshold = Threshold("quantile", 0.5, {"rate": 0.1}, "validation", 9)
    later = np.array([1.0] * 7 + [0.0] * 93)
    assert thresholds.realised_rate(threshold, later, np.full(100, 3.0)) == pytest.approx(
        thresholds.realised_rate(threshold, later)
    )
    uneven = np.tile([1.0, 9.0], 50)
    weighted = thresholds.realised_rate(threshold, later, uneven)
    assert weighted.rate == pytest.approx(uneven[:7].sum() / uneven.sum())
    effective = uneven.sum() ** 2 / (uneven**2).sum()
    expected = stats.beta.ppf(0.975, weighted.rate * effective + 1, effective * (1 - weighted.rate))
    assert weighted.high == pytest.approx(expected)


def test_conformal_p_values_by_hand_and_by_simulation():
    ours = thresholds.conformal_p_values(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 2, 2.5, 9]))
    np.testing.assert_allclose(ours, [5 / 5, 4 / 5, 2 / 5, 1 / 5])
    rng = np.random.default_rng(0)
    p = np.concatenate(
        [
            thresholds.conformal_p_values(rng.integers(0, 30, size=49), rng.integers(0, 30, size=5))
            for _ in range(3000)
        ]
    )
    for level in (0.02, 0.1, 0.5):
        assert (p <= level).mean() <= level * 1.05


def test_benjamini_hochberg_by_hand():
    # m = 5, rate 0.1: limits 0.02, 0.04, 0.06, 0.08, 0.1; the third is met, so the second is too.
    p = np.array([0.9, 0.06, 0.01, 0.045, 0.5])
    assert thresholds.benjamini_hochberg(p, 0.1).tolist() == [False, True, True, True, False]
    assert not thresholds.benjamini_hochberg(np.array([0.3, 0.2]), 0.1).any()
    for m in range(1, 60):
        limits = np.arange(1, m + 1) * 0.1 / m
        assert thresholds.benjamini_hochberg(limits, 0.1).all()
    with pytest.raises(ValueError, match="p"):
        thresholds.benjamini_hochberg(np.array([1.2]), 0.1)


def test_benjamini_hochberg_on_conformal_p_values_keeps_the_false_discovery_rate():
    rng = np.random.default_rng(0)
    shares, found = [], []
    for _ in range(400):
        calibration = rng.normal(size=1000)
        scores = np.concatenate([rng.normal(size=180), rng.normal(4.0, size=20)])
        p = thresholds.conformal_p_values(calibration, scores)
        alerts = thresholds.benjamini_hochberg(p, 0.2)
        shares.append(alerts[:180].sum() / max(alerts.sum(), 1))
        found.append(alerts[180:].mean())
    assert np.mean(shares) <= 0.2
    assert np.mean(found) > 0.7


def test_the_bootstrap_of_a_weighted_rule_counts_weights_too():
    """Rows of weight 0 are drawn but stand for nothing: as if they were not there."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=400)
    scores[200:] += 50  # far above the others, without weight
    weights = np.repeat([1.0, 0.0], 200)
    fitted = thresholds.contamination(scores, 0.1, weights=weights, **ON)
    alone = thresholds.contamination(scores[:200], 0.1, **ON)
    assert fitted.value == alone.value
    assert fitted.interval[1] < scores[:200].max()
    labels = scores > 1
    labels[200:] = False  # to flag them would cost something, if they stood for anything
    cost = costs.FixedCost(missed=1.0, false_alarm=1.0)
    fitted = thresholds.cost_minimal(scores, labels, cost, weights=weights, **ON)
    assert fitted.value <= 1
    assert fitted.interval[1] < 5


def test_of_equal_costs_the_one_with_the_fewest_alerts_is_taken():
    scores, labels = np.array([1.0, 2.0, 3.0]), np.array([0, 1, 0])
    cost = costs.FixedCost(missed=1.0, false_alarm=1.0)
    # no alert costs 1; flagging the upper two costs 1 as well
    assert thresholds.cost_minimal(scores, labels, cost, **ON).value == 3.0


def test_the_excess_of_a_tail_begins_above_its_start():
    """A hundred scores equal to the start are no excesses of 0: the same tail without them."""
    rng = np.random.default_rng(0)
    low, high = rng.random(900), 2 + rng.exponential(size=50)
    tied = np.concatenate([low, [1.5] * 50, high])
    fitted = thresholds.extreme_value(tied, 0.001, tail=0.06, **ON)
    apart = np.concatenate([low, [1.0] * 49, [1.5], high])
    same = thresholds.extreme_value(apart, 0.001, tail=0.05, **ON)
    assert fitted.parameters["start"] == same.parameters["start"] == 1.5
    assert fitted.parameters["scale"] == same.parameters["scale"]
