"""The columns that rules look at, and what rules and learned detectors find."""

import numpy as np
import pytest

from datasets import payments
from experiments import fraud_rules as lab


@pytest.fixture(scope="module")
def events():
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 1000, 300))
    return time, rng.integers(0, 7, 300), rng.integers(0, 5, 300)


def test_counts_and_distinct_values_agree_with_a_loop(events):
    time, group, value = events
    for window in (5.0, 60.0, 2000.0):
        near = [
            (group == group[i]) & (time <= time[i]) & (time >= time[i] - window) for i in range(300)
        ]
        np.testing.assert_array_equal(
            lab.count_before(time, group, window), [rows.sum() for rows in near]
        )
        np.testing.assert_array_equal(
            lab.distinct_before(time, group, value, window),
            [len(set(value[rows])) for rows in near],
        )


def test_first_seen_looks_at_pairs_and_only_back(events):
    _, group, value = events
    pairs = list(zip(group, value, strict=True))
    expected = [pair not in pairs[:i] for i, pair in enumerate(pairs)]
    np.testing.assert_array_equal(lab.first_seen(group, value), expected)


def test_usual_amount_and_last_payment_agree_with_a_loop():
    stream = payments.simulate(100, cases=5)
    common = np.log1p(stream.amount).mean()
    usual, since = lab.times_usual_amount(stream), lab.hours_since_last_payment(stream)
    for i in range(0, len(stream.time), 53):
        before = np.flatnonzero(stream.account[:i] == stream.account[i])
        mean = np.append(np.log1p(stream.amount[before]), common).mean()
        assert usual[i] == pytest.approx((1 + stream.amount[i]) / np.exp(mean))
        seconds = stream.time[i] - stream.time[before[-1]] if before.size else 30 * payments.DAY
        assert since[i] == pytest.approx(seconds / payments.HOUR)


def test_detectors_learn_from_what_no_rule_fired_on_and_judge_later_payments():
    stream = payments.simulate(200, cases=10)
    columns = lab.history(stream)
    fires = lab.fired(lab.RULES, columns)
    data = lab.split_by_time(stream, columns, fires)
    day = stream.time / payments.DAY
    train = (day >= 5) & (day < 18)
    assert len(data.train) == train.sum()
    assert len(data.quiet) == (train & ~fires.any(axis=1)).sum() < len(data.train)
    assert len(data.test) == (day >= 18).sum() == len(data.label)
    assert (
        data.train_label.sum() == ((stream.pattern[train] > 0) & (stream.pattern[train] < 6)).sum()
    )
    np.testing.assert_allclose(data.quiet.mean(axis=0), 0.0, atol=1e-3)
    np.testing.assert_array_equal(data.fires, fires[day >= 18])


def test_lab_rules_catch_what_they_know_and_nothing_else(quick_run):
    rules, caught, ranking = (table.rows for table in quick_run("fraud_rules").results.tables)
    assert all(row["precision"] > 0.9 for row in rules[1:])
    caught = {row["detector"]: row for row in caught}
    assert caught["rules"]["known patterns"] > 0.5
    assert caught["rules"]["unknown patterns"] < 0.05
    assert caught["rules, then ECOD, twice the alerts"]["mule chain"] > 0.5
    area = {row["detector"]: row["AUPRC"].mean() for row in ranking}
    assert area["tail probabilities (ECOD)"] > area["rules"] > 5 * area["random"]
