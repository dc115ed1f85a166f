"""Simulated payments between accounts: what the deck's rules look at, and patterns they do not.

No public data show fraud rules at work, because the columns they need name people. This stream is
made up from the start: customers who pay their usual partners from their usual region and address,
and planted frauds of eight patterns: five that the deck's rules were written for, three others.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from datasets.source import Provenance, array_digest

KNOWN = ("unusual region", "burst", "unknown sender", "new account", "shared address")
UNKNOWN = ("slow drain", "mule chain", "night owl")
PATTERNS = ("normal", *KNOWN, *UNKNOWN)
REGIONS, PARTNERS = 12, 6


@dataclass(frozen=True)
class Payments:
    """Payments in order of time.

    Attributes:
        time: seconds since the start.
        account: the customer whose account it is.
        partner: the other side; numbers below `PARTNERS` times accounts are usual partners.
        incoming: the partner pays.
        region, home: where the payment was made, and the customer's region.
        address: network address.
        opened: when the account was opened, seconds (negative: before the start).
        amount: euro.
        pattern: index into `PATTERNS`; 0 is normal.
    """

    time: Float64[np.ndarray, " n"]
    account: Int[np.ndarray, " n"]
    partner: Int[np.ndarray, " n"]
    incoming: Bool[np.ndarray, " n"]
    region: Int[np.ndarray, " n"]
    home: Int[np.ndarray, " n"]
    address: Int[np.ndarray, " n"]
    opened: Float64[np.ndarray, " n"]
    amount: Float64[np.ndarray, " n"]
    pattern: Int[np.ndarray, " n"]
    provenance: Provenance

    @property
    def label(self) -> Int[np.ndarray, " n"]:
        """1 = fraud of any pattern."""
        return (self.pattern > 0).astype(np.int32)


def simulate(accounts: int = 3000, days: int = 30, cases: int = 40, seed: int = 0) -> Payments:
    """The stream: about one normal payment per account and day, `cases` of each fraud pattern.

    A case is one or several payments of one account (of eight, for a shared address).

    Raises:
        ValueError: too few accounts for the cases.
    """
    if accounts < 10 * cases:
        raise ValueError(f"{cases} cases of each pattern need {10 * cases} accounts or more")
    rng = np.random.default_rng(seed)
    span = 86_400.0 * days
    home = rng.integers(0, REGIONS, accounts)
    opened = -rng.exponential(3 * 365 * 86_400.0, accounts)
    young = rng.random(accounts) < 0.03
    opened[young] = rng.uniform(0, 0.8 * span, int(young.sum()))
    level = np.exp(rng.normal(3.3, 0.7, accounts))

    n = rng.poisson(accounts * days)
    who = rng.integers(0, accounts, n)
    time = _daytime(rng, n, days)
    alive = time > opened[who]
    who, time = who[alive], time[alive]
    n = len(who)
    travels = rng.random(n) < 0.01
    stranger = rng.random(n) < 0.05
    region = np.where(travels, rng.integers(0, REGIONS, n), home[who])
    partner = who * PARTNERS + rng.integers(0, PARTNERS, n)
    partner = np.where(stranger, rng.integers(0, accounts * PARTNERS, n), partner)
    shares = rng.random(n) < 0.02  # a café's network: a few honest customers behind one address
    address = np.where(shares, accounts + rng.integers(0, accounts // 4, n), who)
    amount = level[who] * np.exp(0.9 * rng.standard_normal(n))
    incoming = rng.random(n) < 0.3
    blocks = [_block(time, who, partner, incoming, region, address, amount, 0)]

    for number, pattern in enumerate(PATTERNS[1:], start=1):
        victims = rng.choice(np.flatnonzero(~young), cases, replace=False)
        if pattern == "new account":
            victims = rng.choice(np.flatnonzero(young), cases)
        for victim in victims:
            begin = rng.uniform(0.1, 0.9) * span
            blocks.append(_case(rng, pattern, number, victim, begin, home, opened, level, accounts))
    columns = {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
    order = np.argsort(columns["time"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    columns["home"] = home[columns["account"]]
    columns["opened"] = opened[columns["account"]]
    frauds = int((columns["pattern"] > 0).sum())
    detail = f"{len(order):,} payments, {frauds:,} of them fraud, {len(PATTERNS) - 1} patterns"
    digest = array_digest(columns)
    return Payments(
        **columns, provenance=Provenance("account stream", "simulated", digest, detail, False)
    )


def _daytime(rng: np.random.Generator, n: int, days: int) -> np.ndarray:
    """Seconds since the start, mostly between 8 and 22 o'clock."""
    hour = np.clip(rng.normal(15, 3.5, n), 0, 23.99)
    return 86_400.0 * rng.integers(0, days, n) + 3600.0 * hour


def _block(time, account, partner, incoming, region, address, amount, pattern) -> dict:
    n = len(time)
    return {
        "time": np.asarray(time, np.float64),
        "account": np.broadcast_to(account, n).astype(np.int64),
        "partner": np.broadcast_to(partner, n).astype(np.int64),
        "incoming": np.broadcast_to(incoming, n).astype(bool),
        "region": np.broadcast_to(region, n).astype(np.int64),
        "address": np.broadcast_to(address, n).astype(np.int64),
        "amount": np.round(np.broadcast_to(amount, n).astype(np.float64), 2),
        "pattern": np.full(n, pattern, np.int64),
    }


def _case(rng, pattern, number, victim, begin, home, opened, level, accounts) -> dict:
    """The payments of one fraud case."""
    where, usual = home[victim], victim * PARTNERS + rng.integers(0, PARTNERS)
    stranger = accounts * PARTNERS + rng.integers(0, 10**6)
    abroad = (where + rng.integers(1, REGIONS)) % REGIONS
    typical, own = level[victim], victim
    if pattern == "unusual region":
        time = begin + rng.uniform(0, 7200, 2)
        return _block(time, victim, stranger, False, abroad, own, 4 * typical, number)
    if pattern == "burst":
        time = begin + np.sort(rng.uniform(0, 1800, 12))
        return _block(time, victim, usual, False, where, own, typical, number)
    if pattern == "unknown sender":
        amount = rng.uniform(3000, 9000, 1)
        return _block([begin], victim, stranger, True, where, own, amount, number)
    if pattern == "new account":
        time = opened[victim] + np.sort(rng.uniform(600, 80_000, 3))
        return _block(time, victim, stranger, False, where, own, rng.uniform(400, 900, 3), number)
    if pattern == "shared address":
        many = rng.choice(np.flatnonzero(opened < 0), 8, replace=False)
        time = begin + np.sort(rng.uniform(0, 3000, 8))
        place = 2 * accounts + rng.integers(0, 10**6)
        return _block(time, many, stranger, False, home[many], place, level[many], number)
    if pattern == "slow drain":  # below every limit, to a stranger, day after day
        time = begin - 3 * 86_400 + 43_200.0 * np.arange(12)
        return _block(time, victim, stranger, False, where, own, 2.5 * typical, number)
    if pattern == "mule chain":  # money comes in from a stranger and leaves at once, somewhat less
        amount = rng.uniform(500, 900)
        partner = [stranger, stranger + 1]
        way, sums = [True, False], [amount, 0.95 * amount]
        return _block([begin, begin + 900], victim, partner, way, where, own, sums, number)
    night = np.floor(begin / 86_400) * 86_400 + 3600 * rng.uniform(2.0, 4.5, 3)
    return _block(night, victim, stranger, False, where, own, 5 * typical, number)
