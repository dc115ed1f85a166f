"""Rules: sentences that are read, fire where they should, and are refused where they cannot be."""

import numpy as np
import pytest

from jaxdl.anomaly.rules import Condition, Rule, fired


def test_a_sentence_is_read_as_conditions():
    rule = Rule("r", "times usual amount > 2.5 and age<=10 and amount >= -1e3")
    assert rule.conditions == (
        Condition("times usual amount", ">", 2.5),
        Condition("age", "<=", 10.0),
        Condition("amount", ">=", -1000.0),
    )


def test_a_rule_fires_where_all_its_conditions_hold():
    columns = {"amount": np.array([10.0, 500.0, 900.0]), "new": np.array([1, 1, 0])}
    rules = (
        Rule("large and new", "amount >= 500 and new > 0"),
        Rule("huge", "amount > 500"),
        Rule("small", "amount < 10"),
        Rule("at most ten", "amount <= 10"),
    )
    np.testing.assert_array_equal(
        fired(rules, columns),
        [[False, False, False, True], [True, False, False, False], [False, True, False, False]],
    )


@pytest.mark.parametrize(
    "when",
    [
        "",
        "amount",
        "amount > ",
        "> 3",
        "amount = 3",
        "amount > many",
        "1 < amount < 3",
        "a > 1 and",
    ],
)
def test_a_sentence_that_is_no_rule_is_refused(when):
    with pytest.raises(ValueError, match=r"rule 'r': .* is not a column"):
        Rule("r", when)


@pytest.mark.parametrize(("when", "message"), [("amuont > 1", "'amuont'"), ("hole > 1", "NaN")])
def test_a_rule_that_cannot_be_judged_is_refused(when, message):
    columns = {"amount": np.ones(2), "hole": np.array([1.0, np.nan])}
    with pytest.raises(ValueError, match=message):
        fired((Rule("r", when),), columns)
