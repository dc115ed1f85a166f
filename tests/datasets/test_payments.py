"""The simulated stream of payments: complete, in order, and each fraud as its pattern says."""

import numpy as np
import pytest

from datasets import payments


@pytest.fixture(scope="module")
def stream():
    return payments.simulate(500, cases=10, seed=0)


def test_the_stream_is_in_order_complete_and_the_same_for_the_same_seed(stream):
    same, other = (payments.simulate(500, cases=10, seed=seed) for seed in (0, 1))
    assert stream.provenance.sha256 == same.provenance.sha256 != other.provenance.sha256
    assert stream.provenance.kind == "simulated"
    assert (np.diff(stream.time) >= 0).all()
    assert (stream.time > stream.opened).all()
    assert set(stream.pattern) == set(range(len(payments.PATTERNS)))
    assert 0.01 < stream.label.mean() < 0.06
    with pytest.raises(ValueError, match="need 1000 accounts"):
        payments.simulate(500, cases=100)


def test_frauds_are_what_their_patterns_say(stream):
    def column(name, pattern):
        return getattr(stream, name)[stream.pattern == payments.PATTERNS.index(pattern)]

    payments_of_a_case = {
        "unusual region": 2,
        "burst": 12,
        "unknown sender": 1,
        "new account": 3,
        "shared address": 8,
        "slow drain": 12,
        "mule chain": 2,
        "night owl": 3,
    }
    for pattern, count in payments_of_a_case.items():
        assert len(column("time", pattern)) == 10 * count, pattern
    assert (column("region", "unusual region") != column("home", "unusual region")).all()
    assert column("incoming", "unknown sender").all()
    assert (column("amount", "unknown sender") >= 3000).all()
    age = column("time", "new account") - column("opened", "new account")
    assert (age < payments.DAY).all()
    assert len(set(column("address", "shared address"))) == 10
    assert len(set(column("account", "shared address"))) > 10
    hour = column("time", "night owl") % payments.DAY / payments.HOUR
    assert ((hour >= 2) & (hour <= 4.5)).all()
    assert column("incoming", "mule chain").mean() == 0.5
    normal = stream.pattern == 0
    assert (stream.region == stream.home)[normal].mean() > 0.98
