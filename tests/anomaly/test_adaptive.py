"""A threshold that moves with the stream: by hand, causal, and true to its promise under drift."""

import numpy as np
import pytest

from jaxdl.anomaly.adaptive import allowance_of, moved_level, paced_alerts, upper_quantile

FOUR = np.array([1.0, 2.0, 3.0, 4.0])
ONE_BY_ONE = {"window": 4, "block": 1}


def paced(past, later, rate, **settings):
    """`paced_alerts` with the same allowance for every row."""
    return paced_alerts(
        past, later, np.full(len(past), rate), np.full(len(later), rate), **settings
    )


# ---- by hand -------------------------------------------------------------------------------------


def test_without_a_gain_the_bar_is_a_rolling_quantile():
    # 0.4 of 4 + 1 rows: the second highest of the last four
    found = paced(FOUR, np.array([3.5, 1.0, 5.0]), 0.4, gain=0.0, **ONE_BY_ONE)
    assert found.bars.tolist() == [3.0, 3.5, 3.5]
    assert found.flags.tolist() == [True, False, True]


def test_an_alert_lowers_the_level_by_the_gain():
    # the first alert leaves a balance of 0.4 - 1; with this gain it halves the level: the highest
    gain = np.log(2) / 0.6
    found = paced(FOUR, np.array([3.5, 3.9, 5.0]), 0.4, gain=gain, **ONE_BY_ONE)
    assert found.bars.tolist() == [3.0, 4.0, 4.0]
    assert found.flags.tolist() == [True, False, True]


def test_unspent_allowance_lowers_the_bar():
    # after a row that is not flagged the balance is 0.2; with this gain the level is 0.4
    gain = np.log(2) / 0.2
    found = paced(FOUR, np.array([0.5, 3.5]), 0.2, gain=gain, **ONE_BY_ONE)
    assert found.bars.tolist() == [4.0, 3.0]
    assert found.flags.tolist() == [False, True]


def test_a_confirmed_anomaly_costs_nothing_and_leaves_the_window():
    later, yes = np.array([9.0, 3.5]), np.array([True, False])
    told = paced(FOUR, later, 0.4, confirmed=yes, gain=0.0, **ONE_BY_ONE)
    untold = paced(FOUR, later, 0.4, gain=0.0, **ONE_BY_ONE)
    assert told.bars.tolist() == [3.0, 3.0]
    assert untold.bars.tolist() == [3.0, 4.0]
    # the balance is 0.2, not -0.8; with this gain the level doubles, to 0.4
    gain = np.log(2) / 0.2
    told = paced(FOUR, later, 0.2, confirmed=yes, gain=gain, **ONE_BY_ONE)
    untold = paced(FOUR, later, 0.2, gain=gain, **ONE_BY_ONE)
    assert told.bars.tolist() == [4.0, 3.0]
    assert untold.bars.tolist() == [4.0, 9.0]


def test_verdicts_on_rows_that_were_not_flagged_are_unknown():
    later, gain = np.array([3.9, 3.5]), np.log(2) / 0.2
    told = paced(FOUR, later, 0.2, confirmed=np.array([True, False]), gain=gain, **ONE_BY_ONE)
    assert told.bars.tolist() == [4.0, 3.9]  # 3.9 is in the window


def test_a_score_equal_to_the_bar_passes():
    assert not paced(FOUR, np.array([3.0]), 0.4).flags.any()


def test_a_block_is_held_to_one_bar():
    found = paced(FOUR, np.array([5.0, 6.0, 7.0]), 0.4, window=4, block=2)
    assert found.bars[0] == found.bars[1] == 3.0
    assert found.bars[2] == 6.0  # level 0.4 exp(0.1 (0.8 - 2)) = 0.355: the highest of 3 4 5 6


def test_a_rare_level_takes_the_highest_and_a_move_is_bounded():
    assert upper_quantile(FOUR, 0.01) == 4.0
    assert upper_quantile(FOUR, 0.6) == 2.0
    assert moved_level(0.01, 0.0) == 0.01
    assert moved_level(0.01, -1e9) == pytest.approx(0.01 * np.exp(-5))
    assert moved_level(0.4, 1.0) == 0.5


def test_allowance_by_the_row_and_by_the_clock():
    days = np.array([1.0, 1.25, 2.25])
    assert allowance_of(days, 0.5, per_day=8.0).tolist() == [4.0, 2.0, 8.0]
    assert allowance_of(days, 0.5, per_row=0.25).tolist() == [0.25, 0.25, 0.25]


# ---- causality -----------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 7, 100])
def test_later_scores_verdicts_and_allowances_never_change_an_earlier_decision(block):
    rng = np.random.default_rng(0)
    past, later = rng.exponential(size=500), rng.exponential(size=900)
    yes = rng.random(900) < 0.01
    before, allowance = np.full(500, 0.05), np.full(900, 0.05)
    pace = {"block": block, "window": 300}
    first = paced_alerts(past, later, before, allowance, confirmed=yes, **pace)
    for cut in (1, 250, 640):
        changed, other, wealth = later.copy(), yes.copy(), allowance.copy()
        changed[cut:] = 100 * rng.exponential(size=900 - cut)
        other[cut:] = rng.random(900 - cut) < 0.5
        wealth[cut:] = 0.2
        again = paced_alerts(past, changed, before, wealth, confirmed=other, **pace)
        assert (first.flags[:cut] == again.flags[:cut]).all()
        assert (first.bars[:cut] == again.bars[:cut]).all()
        assert (first.bars[-100:] != again.bars[-100:]).any()


# ---- promises under drift ------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.02, 0.005])
@pytest.mark.parametrize("end", [3.0, 0.4])
def test_a_rate_is_kept_under_drift_that_a_fixed_threshold_does_not_survive(rate, end):
    rng = np.random.default_rng(1)
    past, later = rng.exponential(size=20_000), rng.exponential(size=40_000)
    later *= np.linspace(1, end, len(later))
    fixed = (later > np.quantile(past, 1 - rate)).mean() / rate
    assert abs(fixed - 1) > 0.5
    assert paced(past, later, rate).flags.mean() / rate == pytest.approx(1, abs=0.05)


def test_alerts_a_day_are_kept_however_many_rows_a_day_has():
    rng = np.random.default_rng(2)
    past_days = np.sort(rng.random(20_000))
    # twice the traffic, and scores twice as high: a fixed threshold gives many times the alerts
    days = 1 + np.sort(rng.random(40_000))
    past, later = rng.exponential(size=20_000), 2 * rng.exponential(size=40_000)
    asked = 100.0
    found = paced_alerts(
        past,
        later,
        allowance_of(past_days, 0.0, per_day=asked),
        allowance_of(days, 1.0, per_day=asked),
    )
    assert found.flags.sum() == pytest.approx(asked, abs=5)
    assert (later > np.sort(past)[-101]).sum() > 10 * asked


def test_verdicts_keep_the_false_alarms_where_anomalies_are_as_many():
    rng = np.random.default_rng(3)
    past, later = rng.exponential(size=20_000), rng.exponential(size=40_000)
    anomaly = rng.random(40_000) < 0.005
    later[anomaly] += 50
    told = paced(past, later, 0.005, confirmed=anomaly).flags
    untold = paced(past, later, 0.005).flags
    assert told[anomaly].all()
    assert told[~anomaly].mean() / 0.005 == pytest.approx(1, abs=0.05)
    # without verdicts the anomalies use the allowance up
    assert untold.mean() / 0.005 == pytest.approx(1, abs=0.05)
    assert untold[~anomaly].mean() < 0.2 * 0.005


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "must be 1 or more"),
        ({"block": 0}, "must be 1 or more"),
        ({"gain": -1.0}, "gain must be 0 or more"),
        ({"window": 2}, "give a window of 4 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        paced(FOUR, FOUR, 0.2, **settings)


def test_allowances_that_cannot_be_are_refused():
    good = np.full(4, 0.4)
    for bad, message in [(-good, "not negative"), (good[:3], "3 allowances for 4 rows")]:
        with pytest.raises(ValueError, match=message):
            paced_alerts(FOUR, FOUR, good, bad)
    with pytest.raises(ValueError, match="finite"):
        paced_alerts(FOUR, FOUR, good, np.full(4, np.nan))
