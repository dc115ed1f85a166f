"""The lab for any table, part by part and without training: which rows go where, by hand."""

import types

import numpy as np
import pyarrow as pa
import pytest

from datasets.source import Request
from experiments import table_anomalies as lab
from jaxdl.anomaly import metrics
from jaxdl.anomaly.thresholds import Threshold
from jaxdl.errors import UserError
from jaxdl.tables import Column, Schema, drift
from jaxdl.tables.read import Cells
from jaxdl.tables.schema import RowTimes

# ---- which rows are for what ---------------------------------------------------------------------

ROWS = 400


def made(*, with_labels=True, with_times=True):
    """A table whose rows are in no order of time; the anomalies have an `amount` of about 20."""
    rng = np.random.default_rng(0)
    anomaly = rng.permutation(ROWS) < ROWS // 10
    numbers = {"amount": rng.normal(size=ROWS) + 20 * anomaly, "size": rng.normal(size=ROWS)}
    cells = Cells({k: pa.chunked_array([v]) for k, v in numbers.items()}, 2, ".", "made here")
    schema = Schema(tuple(Column(name, "number", "") for name in numbers), label="size")
    times = RowTimes(rng.permutation(ROWS) * 3600.0, True) if with_times else None
    return lab.Loaded(cells, schema, anomaly if with_labels else None, times, 1.0)


def prepared(**options):
    """(config, table, parts, features) of the table above."""
    config, table = lab.Config(**options), made()
    parts = lab.split_rows(config, table)
    return config, table, parts, lab.encode(table, parts)


@pytest.mark.parametrize("with_times", [True, False])
def test_every_row_is_in_one_part_and_the_parts_have_their_shares(with_times):
    table = made(with_times=with_times)
    parts = lab.split_rows(lab.Config(), table)
    three = (parts.learning, parts.threshold, parts.later)
    assert [len(rows) for rows in three] == [240, 80, 80]
    np.testing.assert_array_equal(np.sort(np.concatenate(three)), np.arange(ROWS))
    if with_times:
        hours = [table.times.values[rows] for rows in three]
        assert hours[0].max() < hours[1].min() <= hours[1].max() < hours[2].min()
    else:  # as many anomalies for its size in each part
        assert [table.anomaly[rows].sum() for rows in three] == [24, 8, 8]


def test_labels_choose_rows_only_where_they_are_asked_to():
    table = made()
    honest = lab.split_rows(lab.Config(learn_from="all"), table)
    np.testing.assert_array_equal(honest.known, honest.learning)
    assert honest.usual.all()
    normal = lab.split_rows(lab.Config(learn_from="normal"), table)
    np.testing.assert_array_equal(normal.known, normal.learning[~table.anomaly[normal.learning]])
    np.testing.assert_array_equal(normal.usual, ~table.anomaly[normal.threshold])
    assert not normal.usual.all()


@pytest.mark.parametrize("learn_from", ["all", "normal"])
def test_detectors_and_encoder_see_the_known_rows_only(learn_from, monkeypatch):
    seen = []

    def remember(x, *, key, contamination):
        seen.append((x, contamination))

    monkeypatch.setattr(lab, "default_detector", remember)
    config, table, parts, features = prepared(learn_from=learn_from, contamination=0.1)
    amounts = features.codes[parts.known, 0]
    assert features.encoder.codes[0].centre == np.median(amounts)
    run = types.SimpleNamespace(seeds=[0, 1])
    lab.fit_detectors(config, run, table, parts, features)
    assert len(seen) == 2
    for x, share in seen:
        np.testing.assert_array_equal(x, features.x[parts.known])
        assert share == (0.1 if learn_from == "all" else 0.0)  # known rows hold no anomalies


def test_the_detectors_compared_with_see_the_known_rows_only(monkeypatch):
    class Seen(Exception):
        pass

    def look(x, seed):
        raise Seen(x)

    monkeypatch.setattr(lab.detectors, "isolation_forest", look)
    monkeypatch.setattr(lab, "OTHERS", ("isolation_forest",))
    config, table, parts, features = prepared(learn_from="normal")
    run = types.SimpleNamespace(seeds=[0])
    with pytest.raises(Seen) as found:
        lab.other_scores(config, run, table, parts, features)
    np.testing.assert_array_equal(found.value.args[0], features.x[parts.known])


# ---- decisions, from scores made by hand ---------------------------------------------------------


def by_hand(**options):
    """The prepared table, scored by its `amount`: anomalies lie far above the others."""
    config, table, parts, features = prepared(**options)
    amount = features.codes[:, 0].astype(np.float32)
    scored = lab.Scored(amount[None, parts.threshold], amount[None, parts.later])
    return config, table, parts, features, scored


def fitted_rules(config, table, parts, scored):
    rules = lab.threshold_rules(config, table, parts)
    return {rule.name: rule.fit(scored.threshold[0]) for rule in rules}


def test_promises_are_fitted_on_usual_rows_and_budgets_on_all():
    asked = {"learn_from": "normal", "sigma": 2.0, "contamination": 0.05, "alerts_per_day": 3.0}
    config, table, parts, _, scored = by_hand(false_alarm_rate=0.1, **asked)
    limits = fitted_rules(config, table, parts, scored)
    every = scored.threshold[0]
    usual = every[parts.usual].astype(np.float64)
    assert next(iter(limits)) == "alerts a day"
    mean_plus = usual.mean() + 2 * usual.std(ddof=1)
    assert limits["mean + 2 sd"].value == pytest.approx(mean_plus, rel=1e-6)
    assert (usual > limits["false-alarm rate"].value).sum() == int(0.1 * (len(usual) + 1)) - 1
    assert (every > limits["contamination"].value).sum() == 4  # 5 % of 80
    assert (every > limits["alerts a day"].value).sum() == 10  # 80 hours are 3 1/3 days
    assert limits["contamination"].fitted_on == "all threshold rows"
    assert limits["false-alarm rate"].fitted_on == "normal threshold rows"


def test_a_rate_that_too_few_rows_can_promise_is_raised_to_what_they_can():
    config, table, parts, _, scored = by_hand(false_alarm_rate=0.001)
    limits = fitted_rules(config, table, parts, scored)
    assert limits["false-alarm rate"].parameters["rate"] == 1 / 81
    assert limits["false-alarm rate"].value == scored.threshold[0].max()


@pytest.mark.parametrize(("rate", "needed"), [(0.003, "333"), (0.001, "999"), (0.0075, "133")])
def test_how_many_rows_a_rate_needs_is_how_many_the_rule_takes(rate, needed):
    config, table, parts, _, _ = by_hand(false_alarm_rate=rate)
    (rule,) = [r for r in lab.threshold_rules(config, table, parts) if r.name == "false-alarm rate"]
    assert rule.asked.endswith(f"% needs {needed})")
    enough = np.arange(float(needed.replace(",", "")))
    lab.thresholds.quantile(enough, rate, fitted_on="usual", resamples=0)
    with pytest.raises(ValueError, match="cannot promise"):
        lab.thresholds.quantile(enough[1:], rate, fitted_on="usual", resamples=0)


def test_costs_need_an_anomaly_among_the_threshold_rows():
    config, table, parts, _ = prepared(decide_by="cost")
    assert lab.threshold_rules(config, table, parts)[0].name == "cost (uses labels)"
    table.anomaly[parts.threshold] = False
    with pytest.raises(UserError, match="cost: none of the 80 threshold rows is an anomaly"):
        lab.threshold_rules(config, table, parts)


def told(**options):
    """The notes on the table above."""
    config, table, parts, _ = prepared(**options)
    return lab.notes(config, table, parts, lab.threshold_rules(config, table, parts))


def test_rules_that_saw_all_threshold_rows_are_named():
    asked = {"contamination": 0.05, "alerts_per_day": 3.0}
    (said,) = [note for note in told(learn_from="normal", **asked) if "chose the rows" in note]
    named = said.split("which saw all threshold rows: ")[1]
    assert named == "alerts a day, contamination, cost (uses labels)."
    assert not any("saw all threshold rows" in note for note in told(**asked))


def test_anomalies_among_the_threshold_rows_are_told_of_where_there_are_any():
    config, table, parts, _ = prepared()
    rules = lab.threshold_rules(config, table, parts)
    assert any("there tend to be fewer" in n for n in lab.notes(config, table, parts, rules))
    table.anomaly[parts.threshold] = False
    assert not any("hold anomalies" in n for n in lab.notes(config, table, parts, rules))


@pytest.mark.parametrize(("missed", "alert", "flagged"), [(100.0, 5.0, 8), (4.0, 5.0, 0)])
def test_the_cost_rule_uses_the_costs_that_were_given(missed, alert, flagged):
    config, table, parts, _, scored = by_hand(cost_missed=missed, cost_alert=alert)
    assert table.anomaly[parts.threshold].sum() >= 1
    limit = fitted_rules(config, table, parts, scored)["cost (uses labels)"]
    caught = (scored.threshold[0] > limit.value).sum()
    assert caught == (table.anomaly[parts.threshold].sum() if flagged else 0)


def test_promises_and_discoveries_compare_with_the_usual_rows():
    _, table, parts, _, scored = by_hand(learn_from="normal")
    later = ~table.anomaly[parts.later]
    usual, new = scored.threshold[0][parts.usual], scored.later[0][later]
    for row in lab.promise_rows(scored, table, parts):
        limit = np.sort(usual)[-int(row["promised"] * (len(usual) + 1) * (1 + 1e-12))]
        assert row["realised"] == pytest.approx([(new > limit).mean()])
    anomalies = scored.later[0] > usual.max()
    flags = lab.discoveries(0.25, scored, parts)  # 5 of 80 rows at 1 / 73 each: 0.22
    assert anomalies.sum() == 5
    np.testing.assert_array_equal(flags[0], anomalies)


def test_what_an_alert_rule_did_is_counted_on_the_later_rows():
    _, table, parts, _ = prepared()
    anomaly = table.anomaly[parts.later]
    flags = anomaly.copy()
    flags[np.flatnonzero(anomaly)[0]] = False  # one missed
    flags[np.flatnonzero(~anomaly)[:2]] = True  # two false alarms
    cells = lab.outcome(flags[None], table, parts)
    many = anomaly.sum()
    assert cells["recall"] == [(many - 1) / many]
    assert cells["precision"] == [(many - 1) / (many + 1)]
    assert cells["false-alarm rate"] == [2 / (80 - many)]
    assert cells["alerts a day"] == pytest.approx([(many + 1) / (80 / 24)])


def test_hourly_rows_span_as_many_hours_as_they_are():
    _, table, parts, _ = prepared()
    assert table.days(parts.later) == pytest.approx(80 / 24)
    assert table.days(parts.later[:1]) is None


@pytest.mark.parametrize(
    ("unit", "days"), [("minutes", 60 / 1440), ("hours", 2.5), ("milliseconds", 60 / 86_400_000)]
)
def test_plain_numbers_are_times_in_the_unit_that_is_said(unit, days, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("t,a\n" + "".join(f"{i},{i % 7}.5\n" for i in range(60)))
    said = []
    run = types.SimpleNamespace(source=Request(), uses=said.append, say=said.append)
    table = lab.load_table(lab.Config(csv=path, time="t", time_unit=unit), run)
    assert table.days(np.arange(60)) == pytest.approx(days)


# ---- what is shown and handed on -----------------------------------------------------------------


def test_an_alert_is_compared_with_rows_that_were_learnt_from():
    config, table, parts, features, scored = by_hand(learn_from="normal", alerts=3)
    falling = np.sort(scored.later[0])[::-1]
    threshold = Threshold("k_sigma", float(falling[1]), {}, "usual rows", 80)
    detector = types.SimpleNamespace(contributions=np.abs)
    later = scored.later[0]
    told = lab.alerts_table(config, detector, later, threshold, table, parts, features).rows
    assert [row["score"] for row in told] == falling[:3].tolist()
    assert [row["flagged"] for row in told] == ["yes", "no", "no"]  # a score equal to it passes
    rows = parts.later[np.argsort(-later, kind="stable")[:3]]
    first = told[0]["row"] - rows[0]  # how the first row of the table is called
    for row, place in zip(told, rows, strict=True):
        apart = np.linalg.norm(features.x[parts.known] - features.x[place], axis=1)
        assert row["row"] == place + first
        nearest = int(row["nearest learnt row"].split()[0])
        assert nearest == parts.known[np.argmin(apart)] + first


def test_drift_is_of_later_rows_against_those_learnt_from():
    _, _, parts, features = prepared(learn_from="normal")
    codes, schema = features.codes, features.encoder.schema
    index = drift.population_stability(codes[parts.known], codes[parts.later], schema)
    assert list(lab.drift_of_columns(features, parts).values()) == index.tolist()


def test_the_scorer_is_calibrated_on_usual_rows_and_numbers_the_rows_it_learnt_from(monkeypatch):
    def remember(*given, **named):
        return given, named

    monkeypatch.setattr(lab.export, "build", remember)
    _, table, parts, features, scored = by_hand(learn_from="normal")
    _, named = lab.export_scorer("detector", "limit", scored, table, parts, features, {})
    np.testing.assert_array_equal(named["calibration"], scored.threshold[0][parts.usual])
    np.testing.assert_array_equal(named["rows"], features.codes[parts.later])
    np.testing.assert_array_equal(named["reference"], scored.later[0])
    np.testing.assert_array_equal(named["normal"].rows, features.codes[parts.known])
    assert len(set(named["normal"].numbers - parts.known)) == 1


def test_a_random_part_is_so_many_days_as_its_share_of_rows():
    rows = np.arange(1000)
    cells = Cells({"x": pa.chunked_array([pa.array(rows)])}, 2, ".", "")
    times = RowTimes(rows * 8640.0, True)  # ten rows a day, a hundred days
    table = lab.Loaded(cells, Schema(()), None, times, 1.0)
    part = np.sort(np.random.default_rng(0).choice(rows, 200, replace=False))
    usual = np.ones(200, bool)
    at_random = lab.Parts("random", part, part, part, usual, part, False)
    assert lab.days_of(table, at_random, part) == pytest.approx(20.0)
    later = np.arange(800, 1000)
    by_time = lab.Parts("time", later, later, later, usual, later, False)
    assert lab.days_of(table, by_time, later) == pytest.approx(20.0)


# ---- is another detector better? -----------------------------------------------------------------


def compared_by_hand(quality, anomalies=40):
    """(config, scored, others, table, parts): the other one sees `quality` of the anomalies."""
    rng = np.random.default_rng(1)
    rows = np.arange(400)
    anomaly = rng.permutation(400) < anomalies
    part = lab.Parts("random", rows, rows, rows, np.ones(400, bool), rows, True)
    table = lab.Loaded(None, None, anomaly, None, None)
    noise = rng.normal(size=400).astype(np.float32)
    seen = np.where(rng.random(400) < quality, 6.0 * anomaly, 0.0).astype(np.float32)
    own = lab.Scored((noise + 1.5 * anomaly)[None].astype(np.float32), noise[None])
    others = {"Mahalanobis": lab.Scored((noise + seen)[None], noise[None])}
    return lab.Config(), own, others, table, part


def test_a_detector_is_recommended_only_where_it_is_better_by_more_than_chance():
    (hint,) = lab.better_detector(*compared_by_hand(1.0))
    assert "400 threshold rows (40 anomalies): Mahalanobis has an AUPRC of 1.00 against" in hint
    assert hint.endswith("Run again with --detector mahalanobis.")
    assert lab.better_detector(*compared_by_hand(0.45)) == []
    assert lab.better_detector(*compared_by_hand(0.0)) == []
    (few,) = lab.better_detector(*compared_by_hand(1.0, anomalies=9))
    assert "hold 9 anomalies: too few to say" in few


def test_the_later_rows_recommend_nothing():
    config, own, others, table, parts = compared_by_hand(0.0)
    perfect = table.anomaly[None].astype(np.float32)
    others = {"Mahalanobis": lab.Scored(others["Mahalanobis"].threshold, perfect)}
    assert lab.better_detector(config, own, others, table, parts) == []


def test_the_gain_is_that_of_the_same_resamples():
    """A score and itself: no gain in any of them."""
    _, own, _, table, _ = compared_by_hand(0.0)
    one = own.threshold[0]
    assert lab.precision_gained(one, one, table.anomaly) == (0.0, 0.0)
    low, high = lab.precision_gained(table.anomaly.astype(float), one, table.anomaly)
    point = 1 - metrics.average_precision(one, table.anomaly)
    assert low < point < high
    assert high < 1


def test_classifiers_are_recommended_by_their_own_option():
    config, own, others, table, parts = compared_by_hand(1.0)
    others = {"supervised: gradient boosting": others["Mahalanobis"]}
    (hint,) = lab.better_detector(config, own, others, table, parts)
    assert "Run again with --learn-from labels" in hint
    assert hint.endswith("how good the network is has not been measured.")


def test_chance_is_never_recommended():
    config, own, others, table, parts = compared_by_hand(1.0)
    others = {"random": others["Mahalanobis"]}
    assert lab.better_detector(config, own, others, table, parts) == []


@pytest.mark.parametrize(("anomalies", "interval"), [(9, False), (12, True)])
def test_few_anomalies_have_no_interval_and_a_precision_that_can_be_reached(anomalies, interval):
    _, own, _, table, parts = compared_by_hand(1.0, anomalies)
    perfect = table.anomaly[None].astype(np.float32)
    (ranked,) = lab.ranking_tables("Ranking", {"all": perfect, "own": own.later}, table, parts)
    for row in ranked.rows:
        assert ("AUPRC, 95 % of first seed" in row) is interval
        assert "precision@100" not in row
    assert ranked.rows[0][f"precision@{anomalies}"] == [1.0]
    assert ("no interval" in ranked.title) is not interval


@pytest.mark.parametrize(
    ("promises", "said"),
    [
        ([], "too few to promise"),
        ([(0.1, "kept"), (0.01, "kept")], "All promised false-alarm rates were kept."),
        ([(0.1, "fewer"), (0.01, "kept")], "were kept, 10.0% with room"),
        ([(0.1, "fewer"), (0.01, "more")], "of 1.0% were NOT kept"),
    ],
)
def test_the_closing_words_say_which_promises_were_kept(promises, said):
    rows = [{"promised": rate, "promise": word} for rate, word in promises]
    assert said in lab.promises_kept(rows)[0]
