"""Do thresholds keep their promise on a later slice?"""

import numpy as np

from jaxdl.cli import labs

PACE = {"window": 2000, "block": 100, "gain": 0.2}
LAB = labs.load_lab(labs.EXPERIMENTS / "fraud_thresholds.py")


def test_a_recalibrated_threshold_follows_drift_that_a_fixed_one_does_not():
    rng = np.random.default_rng(0)
    first, later = rng.exponential(size=4000), rng.exponential(size=20_000)
    later *= np.linspace(1, 3, len(later))
    label = np.zeros(len(later), np.int32)
    flags = LAB.recalibrated_flags(first, later, label, 0.02, **PACE)
    assert 0.95 < flags.mean() / 0.02 < 1.05
    fixed = later > np.quantile(first, 0.98)
    assert fixed.mean() > 2 * flags.mean()


def test_confirmed_frauds_do_not_raise_the_bar():
    rng = np.random.default_rng(0)
    first, later = rng.exponential(size=2000), rng.exponential(size=6000)
    label = (rng.random(6000) < 0.05).astype(np.int32)
    later[label == 1] += 50
    flags = LAB.recalibrated_flags(first, later, label, 0.02, **PACE)
    assert flags[label == 1].all()
    assert 0.8 < flags[label == 0].mean() / 0.02 < 1.2


def test_false_discovery_bounds_the_share_of_alerts_that_are_false():
    rng = np.random.default_rng(0)
    normal, odd = rng.exponential(size=2000), 20 + rng.exponential(size=100)
    calibration = rng.exponential(size=5000)
    later = LAB.Later(
        score=np.concatenate([normal, odd]),
        label=np.repeat([0, 1], [2000, 100]),
        weights=np.ones(2100),
        hour=np.arange(2100.0),
    )
    earlier = LAB.Earlier(
        score=calibration,
        label=np.zeros(5000, np.int32),
        weights=np.ones(5000),
        amount=np.ones(5000),
        normal=calibration,
        normal_in_time=calibration,
        days=1.0,
    )
    assert LAB.decide_by_false_discovery(LAB.Config(), earlier, later) == []
    (decision,) = LAB.decide_by_false_discovery(LAB.Config(false_discovery=0.2), earlier, later)
    assert decision.flags[later.label == 1].all()
    false = decision.flags[later.label == 0].sum()
    assert 5 <= false <= 0.3 * decision.flags.sum()
    row = LAB.promise_row(decision, later)
    assert row["rule"] == "false discovery 0.2"
    assert row["precision"] == 100 / (100 + false)


def test_lab_keeps_the_rate_within_a_fifth(quick_run):
    results = quick_run("fraud_thresholds").results
    rows = {row["rule"]: row for row in results.tables[0].rows}
    for rate in LAB.Config().rates[:3]:
        assert rows[f"recalibrated {rate:g}"]["within 20 %"] == "yes"
    found = [rows[f"quantile {rate:g}"]["realised"] for rate in LAB.Config().rates]
    assert found == sorted(found, reverse=True)
    assert "temporal" in results.tables[0].title
    assert rows["cost by amount, labels"]["realised"] <= 0.02
