"""Do thresholds keep their promise on a later slice?"""

from dataclasses import replace

import numpy as np
import pytest

from jaxdl.cli import labs
from jaxdl.errors import UserError

LAB = labs.load_lab(labs.EXPERIMENTS / "fraud_thresholds.py")
BY_HAND = LAB.Part(
    score=np.array([[1.0, 2.0, 3.0, 4.0]]),
    label=np.array([0, 0, 1, 0], np.int32),
    days=np.array([1.0, 1.5, 2.0, 3.0]),
    amount=np.ones(4),
    start=1.0,
)


def part(score, anomaly, start=0.0):
    """A part of one day with one seed."""
    days = start + np.linspace(0, 1, len(score))
    return LAB.Part(score[None], anomaly.astype(np.int32), days, np.ones(len(score)), start)


def decision(promise, asked, flags):
    return LAB.Decision("rule", promise, asked, False, np.zeros(1), np.array([flags]))


def stream(growth, rows=60_000):
    """(earlier, held out, later): anomalies stand out; later scores grow to so many times."""
    rng = np.random.default_rng(0)
    odd = rng.random((2, rows)) < 0.002
    score = rng.exponential(size=(2, rows))
    score[1] *= np.linspace(1, growth, rows)
    score[odd] += 20
    return part(score[0], odd[0]), rng.random(rows) < 0.5, part(score[1], odd[1], start=1.0)


# ---- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("promise", "value"),
    [
        ("false-alarm rate", 1 / 3),  # one of three normal rows
        ("share of rows", 2 / 4),
        ("alerts a day", 2 / 2.0),  # in two days
        ("false share of alerts", 1 / 2),
    ],
)
def test_what_was_realised_of_each_promise(promise, value):
    made = decision(promise, value, [False, False, True, True])
    assert LAB.realised(made, BY_HAND).tolist() == [value]
    row = LAB.promise_row(made, BY_HAND)
    assert row["realised / asked"].tolist() == [1.0]
    assert row["within 20 %"] == "yes"
    assert (row["alerts a day"], row["precision"], row["recall"]) == (1.0, 0.5, 1.0)


def test_within_a_fifth_either_way():
    flags = [True, False, False, True]  # a share of a half
    kept = {
        asked: LAB.is_kept(decision("share of rows", asked, flags), BY_HAND)
        for asked in (0.4, 0.42, 0.6, 0.64)
    }
    assert kept == {0.4: False, 0.42: True, 0.6: True, 0.64: False}
    # a share of false alerts may be lower than what was asked for
    bound = decision("false share of alerts", 0.9, [False, False, True, True])
    assert LAB.is_kept(bound, BY_HAND)


def test_a_rule_without_a_promise_says_so():
    row = LAB.promise_row(decision("nothing", None, [True] * 4), BY_HAND)
    assert row["within 20 %"] == "promises nothing"
    assert np.isnan([row["asked"], row["realised"], row["realised / asked"]]).all()


def test_frauds_that_a_rate_caught_in_a_day():
    score = np.concatenate([np.arange(1.0, 100.0), [90.5, 99.5, 200.0]])
    earlier = part(score, np.repeat([False, True], [99, 3]))
    earlier = replace(earlier, days=2 * earlier.days)  # two days
    everything = np.ones(102, bool)
    # of 99 normal scores a rate of 0.05 takes the fifth highest, 95: two frauds are above
    assert LAB.frauds_caught_a_day(earlier, everything, 0.05).tolist() == [1.0]


# ---- rules ---------------------------------------------------------------------------------------


CONFIG = LAB.Config(rates=(0.02, 0.005), alerts_per_day=(200.0,))


def kept_promises(parts):
    """Rule -> whether its promise was kept."""
    *_, later = parts
    made = LAB.decide(CONFIG, *parts)
    return {found.rule: LAB.is_kept(found, later) for found in made if found.asked is not None}


def test_every_rule_keeps_its_promise_where_nothing_changes():
    kept = kept_promises(stream(growth=1))
    assert len(kept) == 14
    assert all(kept.values()), kept


def test_moving_rules_keep_under_drift_what_fixed_ones_do_not():
    kept = kept_promises(stream(growth=2))
    fixed = [rule for rule in kept if not rule.startswith(("paced", "rolling"))]
    paced = [rule for rule in kept if rule.startswith("paced")]
    assert len(fixed) == 6
    assert not any(kept[rule] for rule in fixed)
    # a rolling quantile alone lags behind
    assert len(paced) == 6
    assert all(kept[rule] for rule in paced)


def test_mean_and_spread_are_those_of_held_out_normal_rows():
    earlier, held_out, later = stream(growth=1, rows=4000)
    made = {found.rule: found for found in LAB.decide(CONFIG, earlier, held_out, later)}
    normal = earlier.score[0, held_out & (earlier.label == 0)]
    assert made["mean + 3 sd"].bar[0] == pytest.approx(normal.mean() + 3 * normal.std(ddof=1))
    assert not made["mean + 3 sd"].moves


def test_without_verdicts_no_label_of_the_later_part_matters():
    earlier, held_out, later = stream(growth=2, rows=4000)
    turned = replace(later, label=1 - later.label)
    for one, other in zip(
        LAB.decide(CONFIG, earlier, held_out, later),
        LAB.decide(CONFIG, earlier, held_out, turned),
        strict=True,
    ):
        same = (one.flags == other.flags).all()
        assert same == (one.family != "paced with verdicts")


def test_false_discovery_bounds_the_share_of_alerts_that_are_false():
    rng = np.random.default_rng(0)
    normal, odd = rng.exponential(size=2000), 20 + rng.exponential(size=100)
    earlier = part(rng.exponential(size=5000), np.zeros(5000, bool))
    later = part(np.concatenate([normal, odd]), np.repeat([False, True], [2000, 100]), 1.0)
    known = np.ones(5000, bool)
    assert LAB.decide_by_false_discovery(LAB.Config(), earlier, known, later) == []
    config = LAB.Config(false_discovery=0.2)
    (made,) = LAB.decide_by_false_discovery(config, earlier, known, later)
    assert made.rule == "false discovery 0.2"
    assert made.flags[0, later.label == 1].all()
    false = made.flags[0, later.label == 0].sum()
    assert 5 <= false <= 0.3 * made.flags.sum()
    assert LAB.realised(made, later).tolist() == [false / (100 + false)]


def test_a_rate_that_so_few_rows_cannot_promise_is_a_mistake_of_the_user(tmp_path):
    from jaxdl.cli.launcher import launch

    options = ["--preset", "quick", "--source", "simulated", "--workdir", str(tmp_path / "run")]
    with pytest.raises(UserError, match="cannot promise a rate of 1e-06"):
        launch(["experiments/fraud_thresholds.py", *options, "--rates", "1e-6"])


@pytest.mark.parametrize("change", [{"test_shares": (1.5,)}, {"rates": ()}, {"test_shares": ()}])
def test_options_that_no_table_can_be_made_of_are_refused_at_once(change):
    with pytest.raises(UserError, match="--test-shares"):
        LAB.check(replace(LAB.Config(), **change))


# ---- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "said"),
    [((0.02, 0.001), "(0.1 % beside 0.25 %), this guess decides"), ((0.02, 0.01), None)],
)
def test_rates_beside_the_share_of_frauds_are_those_of_the_data(rates, said):
    label = (np.arange(400) < 1).astype(np.int32)
    told = LAB.guess_in_words(LAB.Config(rates=rates), label)
    assert told.startswith("Without verdicts")
    assert ("this guess decides" in told) == (said is not None)
    assert (said or "") in told


def test_a_later_part_shorter_than_a_day_is_said_to_be_so():
    anomaly = np.arange(100) < 1
    day = part(np.ones(100), anomaly)
    hours = replace(day, days=day.days / 4)
    trials = [
        LAB.Trial(split, score, day, anomaly, later, [])
        for split, later in (("50/50", day), ("80/20", hours))
        for score in (LAB.AUTOENCODER, LAB.DEFAULT)
    ]
    (told,) = LAB.parts_of_a_day_in_words(trials)
    assert told.startswith("The later part of 80/20 is 6.0 hours long: alerts a day are ")


# ---- the lab -------------------------------------------------------------------------------------


def test_the_lab_keeps_its_promises_with_moving_thresholds(quick_run):
    results = quick_run("fraud_thresholds").results
    summary, *tables = results.tables
    assert len(tables) == 4  # two splits, two scores
    for table, split in zip(tables, ("50/50", "50/50", "80/20", "80/20"), strict=True):
        assert f"{split} by time" in table.title
        rows = {row["rule"]: row for row in table.rows}
        assert rows["mean + 3 sd"]["within 20 %"] == "promises nothing"
        for rate in (0.02, 0.01, 0.005):
            assert rows[f"paced with verdicts {rate:g}"]["within 20 %"] == "yes"
        for rule in ("paced 0.02", "paced 0.01", "paced share 0.01", "paced budget 500"):
            assert rows[rule]["within 20 %"] == "yes"
        found = [rows[f"quantile {rate:g}"]["realised"][0] for rate in LAB.Config().rates]
        assert found == sorted(found, reverse=True)
    verdicts = {row["rule"]: row for row in summary.rows}["paced with verdicts"]
    assert verdicts["threshold"] == "moves"
