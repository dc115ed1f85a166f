"""Rules as a table, the columns they look at, the simulated stream and its lab."""

import numpy as np
import pytest

from datasets import payments
from jaxdl.anomaly.payment_features import count_before, distinct_before, first_seen
from jaxdl.anomaly.rules import Condition, Rule, fired, reasons
from jaxdl.cli import launcher


@pytest.fixture(scope="module")
def stream():
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 1000, 300))
    return time, rng.integers(0, 7, 300), rng.integers(0, 5, 300)


def test_a_rule_fires_where_all_its_conditions_hold():
    columns = {"amount": np.array([10.0, 500.0, 900.0]), "new": np.array([1, 1, 0])}
    rules = (
        Rule("large and new", (Condition("amount", ">=", 500), Condition("new", ">", 0))),
        Rule("huge", (Condition("amount", ">", 500),)),
        Rule("small", (Condition("amount", "<", 10),)),
        Rule("at most ten", (Condition("amount", "<=", 10),)),
    )
    hits = fired(rules, columns)
    np.testing.assert_array_equal(
        hits,
        [[False, False, False, True], [True, False, False, False], [False, True, False, False]],
    )
    assert reasons(rules, hits) == ["at most ten", "large and new", "huge"]
    assert str(rules[0]) == "amount >= 500 and new > 0"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule("r", (Condition("amuont", ">", 1),)), "'amuont'"),
        (Rule("r", ()), "no condition"),
        (Rule("r", (Condition("hole", ">", 1),)), "NaN"),
    ],
)
def test_a_rule_that_cannot_be_judged_is_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        fired((rule,), {"amount": np.ones(2), "hole": np.array([1.0, np.nan])})


def test_counts_and_distinct_values_agree_with_a_loop(stream):
    time, group, value = stream
    for window in (5.0, 60.0, 2000.0):
        near = [
            (group == group[i]) & (time <= time[i]) & (time >= time[i] - window) for i in range(300)
        ]
        np.testing.assert_array_equal(
            count_before(time, group, window), [rows.sum() for rows in near]
        )
        np.testing.assert_array_equal(
            distinct_before(time, group, value, window), [len(set(value[rows])) for rows in near]
        )


def test_first_seen_looks_at_pairs_and_only_back(stream):
    _, group, value = stream
    pairs = list(zip(group, value, strict=True))
    expected = [pair not in pairs[:i] for i, pair in enumerate(pairs)]
    np.testing.assert_array_equal(first_seen(group, value), expected)


def test_the_stream_is_in_order_complete_and_the_same_for_the_same_seed():
    one, same, other = (payments.simulate(500, cases=10, seed=s) for s in (0, 0, 1))
    assert one.provenance.sha256 == same.provenance.sha256 != other.provenance.sha256
    assert one.provenance.kind == "simulated"
    assert (np.diff(one.time) >= 0).all()
    assert (one.time > one.opened).all()
    assert set(one.pattern) == set(range(len(payments.PATTERNS)))
    assert 0.01 < one.label.mean() < 0.06
    with pytest.raises(ValueError, match="need 1000 accounts"):
        payments.simulate(500, cases=100)


def test_lab_rules_catch_what_they_know_and_nothing_else(tmp_path):
    options = ["--preset", "quick", "--workdir", str(tmp_path / "run")]
    (results,) = launcher.launch(["experiments/fraud_rules.py", *options])
    rules, caught, ranking = (table.rows for table in results.tables)
    assert all(row["precision"] > 0.9 for row in rules[1:])
    caught = {row["detector"]: row for row in caught}
    assert caught["rules"]["known patterns"] > 0.5
    assert caught["rules"]["unknown patterns"] < 0.05
    assert caught["rules, then ECOD, twice the alerts"]["mule chain"] > 0.5
    area = {row["detector"]: row["AUPRC"].mean() for row in ranking}
    assert area["tail probabilities (ECOD)"] > area["rules"] > 5 * area["random"]
