"""Incidents are intervals, one alert each; a threshold for so many of them holds on later data."""

import numpy as np
import pytest

from jaxdl.timeseries import incidents
from jaxdl.timeseries.incidents import Incident, Rule


def test_an_incident_lasts_until_it_has_been_calm():
    scores = np.zeros(40)
    scores[[5, 6, 9, 14, 30]] = [2, 4, 3, 2, 5]
    found = incidents.find(scores, Rule(threshold=1.0, calm=3))
    assert found == [Incident(5, 9, 6, 4.0), Incident(14, 14, 14, 2.0), Incident(30, 30, 30, 5.0)]
    # in the aftermath what is weak belongs to the incident before
    rule = Rule(threshold=1.0, calm=3, aftermath=20, renewed=1.5)
    assert incidents.find(scores, rule) == [Incident(5, 14, 6, 4.0), Incident(30, 30, 30, 5.0)]
    scores[14] = 2.6
    assert [each.first for each in incidents.find(scores, rule)] == [5, 14, 30]


def test_missing_rows_count_as_time():
    rows, scores = np.array([3, 4, 5, 100, 101]), np.array([0, 2, 2, 2, 0.0])
    assert len(incidents.find(scores, Rule(1.0, calm=9))) == 1
    found = incidents.find(scores, Rule(1.0, calm=9), rows)
    assert found == [Incident(4, 5, 4, 2.0), Incident(100, 100, 100, 2.0)]


def test_one_event_at_a_time_gives_the_same():
    rng = np.random.default_rng(1)
    scores = np.where(rng.random(3000) < 0.1, rng.exponential(2, 3000), 0)
    rule = Rule(threshold=1.0, calm=5, aftermath=50, renewed=2.0)
    memory, began, over = incidents.START, [], []
    for row, score in enumerate(scores):
        waiting = began and not over[-1]
        memory, begins = incidents.advance(memory, row, score, rule)
        latest = memory.latest
        if begins:
            began.append(latest)
            over.append(False)
        elif began:
            assert not (over[-1] and latest != began[-1])  # what is over stays as it is
            began[-1] = latest
        if waiting or begins:
            over[-1] = incidents.is_over(latest, row, rule)
    assert began == incidents.find(scores, rule)
    assert len(began) > 20
    assert sum(over) > 0


def test_columns_involved():
    scores = np.zeros((3, 20))
    scores[0, 5], scores[1, 7], scores[2, 7], scores[2, 15] = 2, 3, 2, 9
    found = incidents.find(scores.max(axis=0), Rule(1.0, calm=4))
    names = [incidents.involved(scores, each, 1.0).tolist() for each in found]
    assert names == [[False, True, True], [False, False, True]]


def stationary(seed, rows=200_000):
    """Scores with a memory, so that those above a threshold come in groups."""
    noise = np.random.default_rng(seed).normal(size=rows + 20)
    return np.convolve(noise, np.ones(21) / 21**0.5, "valid")


@pytest.mark.parametrize("alerts", [100, 300])
def test_alerts_that_are_asked_for_come_on_later_data(alerts):
    rule = Rule(threshold=0.0, calm=30, aftermath=200, renewed=1.0)
    earlier, later = stationary(0), stationary(1)
    threshold = incidents.threshold_for_alerts(earlier, rule, alerts)
    rule = rule._replace(threshold=threshold)
    assert len(incidents.find(earlier, rule)) == pytest.approx(alerts, rel=0.02)
    assert len(incidents.find(later, rule)) == pytest.approx(alerts, rel=0.2)


def test_low_thresholds_under_which_incidents_flow_together_do_not_count():
    """Ten peaks that rise to 5, on a hum of 1: three are asked for, not the one that all make."""
    scores = np.ones(1000)
    scores[50::100] = 2 + np.arange(10) / 3
    rule = Rule(threshold=0.0, calm=10)
    for alerts in (1, 3, 9):
        threshold = incidents.threshold_for_alerts(scores, rule, alerts)
        assert threshold >= 1
        assert len(incidents.find(scores, rule._replace(threshold=threshold))) == alerts
    # more than there are: the most there can be
    threshold = incidents.threshold_for_alerts(scores, rule, 30)
    assert len(incidents.find(scores, rule._replace(threshold=threshold))) in (9, 10)


def test_what_gives_no_threshold():
    rule = Rule(0.0, calm=3)
    with pytest.raises(ValueError, match="all scores are the same"):
        incidents.threshold_for_alerts(np.zeros(9), rule, 2)
    with pytest.raises(ValueError, match="more than none"):
        incidents.threshold_for_alerts(np.arange(9.0), rule, 0)
