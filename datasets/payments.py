"""Simulated payments between accounts: what fraud rules look at, and patterns they do not know.

No public data show fraud rules at work, because the columns they need name people. This stream is
made up from the start: customers who pay their usual partners from their usual region and address,
and planted frauds of eight patterns: five that the deck's rules were written for, three others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int
from numpy.typing import ArrayLike

from datasets.source import Provenance
from jaxdl.hashing import arrays_digest

KNOWN = ("unusual region", "burst", "unknown sender", "new account", "shared address")
UNKNOWN = ("slow drain", "mule chain", "night owl")
PATTERNS = ("normal", *KNOWN, *UNKNOWN)
REGIONS, PARTNERS = 12, 6  # regions of the country, usual partners of an account
DAY, HOUR = 86_400.0, 3600.0  # seconds
Columns = dict[str, np.ndarray]


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
    span = DAY * days
    customers = _open_accounts(rng, accounts, span)
    blocks = [_normal_payments(rng, customers, days)]
    for number, pattern in enumerate(PATTERNS[1:], start=1):
        for victim in _victims(rng, customers, pattern, cases):
            begin = rng.uniform(0.1, 0.9) * span
            case = _case(rng, customers, victim, begin)
            blocks.append(_block(**CASES[pattern](rng, case), pattern=number))

    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    order = np.argsort(columns["time"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    columns["home"] = customers.home[columns["account"]]
    columns["opened"] = customers.opened[columns["account"]]
    frauds = int((columns["pattern"] > 0).sum())
    detail = f"{len(order):,} payments, {frauds:,} of them fraud, {len(PATTERNS) - 1} patterns"
    digest = arrays_digest(columns)
    provenance = Provenance("account stream", "simulated", digest, detail, False)
    return Payments(**columns, provenance=provenance)


# ---- customers and their normal payments ---------------------------------------------------------


@dataclass(frozen=True)
class _Customers:
    """Of each account: region, time of opening, whether it opens late, usual amount in euro."""

    home: Int[np.ndarray, " accounts"]
    opened: Float64[np.ndarray, " accounts"]
    young: Bool[np.ndarray, " accounts"]
    level: Float64[np.ndarray, " accounts"]


def _open_accounts(rng: np.random.Generator, accounts: int, span: float) -> _Customers:
    """Most accounts are years old; three in a hundred open while the stream runs."""
    home = rng.integers(0, REGIONS, accounts)
    opened = -rng.exponential(3 * 365 * DAY, accounts)
    young = rng.random(accounts) < 0.03
    opened[young] = rng.uniform(0, 0.8 * span, int(young.sum()))
    level = np.exp(rng.normal(3.3, 0.7, accounts))
    return _Customers(home, opened, young, level)


def _normal_payments(rng: np.random.Generator, customers: _Customers, days: int) -> Columns:
    """Usual partners, region and address, with the exceptions that honest people make."""
    accounts = len(customers.home)
    n = rng.poisson(accounts * days)
    account = rng.integers(0, accounts, n)
    time = _daytime(rng, n, days)
    open_by_then = time > customers.opened[account]
    account, time = account[open_by_then], time[open_by_then]
    n = len(account)
    travels = rng.random(n) < 0.01
    stranger = rng.random(n) < 0.05
    region = np.where(travels, rng.integers(0, REGIONS, n), customers.home[account])
    partner = account * PARTNERS + rng.integers(0, PARTNERS, n)
    partner = np.where(stranger, rng.integers(0, accounts * PARTNERS, n), partner)
    shares = rng.random(n) < 0.02  # a café's network: a few honest customers behind one address
    address = np.where(shares, accounts + rng.integers(0, accounts // 4, n), account)
    amount = customers.level[account] * np.exp(0.9 * rng.standard_normal(n))
    incoming = rng.random(n) < 0.3
    return _block(time, account, partner, incoming, region, address, amount, pattern=0)


def _daytime(rng: np.random.Generator, n: int, days: int) -> Float64[np.ndarray, " n"]:
    """Seconds since the start, mostly between 8 and 22 o'clock."""
    hour = np.clip(rng.normal(15, 3.5, n), 0, 23.99)
    return DAY * rng.integers(0, days, n) + HOUR * hour


def _block(
    time: ArrayLike,
    account: ArrayLike,
    partner: ArrayLike,
    incoming: ArrayLike,
    region: ArrayLike,
    address: ArrayLike,
    amount: ArrayLike,
    pattern: int,
) -> Columns:
    """Columns of some payments; whatever is one value holds for all of them."""
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


# ---- fraud ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    """What the patterns of fraud draw on.

    Attributes:
        customers: all of them.
        victim: number of the account.
        begin: seconds since the start.
        usual, stranger: a partner that the victim knows, and one that nobody knows.
        abroad: a region that is not the victim's.
    """

    customers: _Customers
    victim: int
    begin: float
    usual: int
    stranger: int
    abroad: int

    @property
    def level(self) -> float:
        """The victim's usual amount."""
        return self.customers.level[self.victim]

    def outgoing(self, time: ArrayLike, amount: ArrayLike) -> dict[str, Any]:
        """Payments to a stranger from the victim's own region and address."""
        return {
            "time": time,
            "account": self.victim,
            "partner": self.stranger,
            "incoming": False,
            "region": self.customers.home[self.victim],
            "address": self.victim,
            "amount": amount,
        }


def _victims(
    rng: np.random.Generator, customers: _Customers, pattern: str, cases: int
) -> Int[np.ndarray, " cases"]:
    """One account for each case: an old one, or for "new account" one that opens in the stream."""
    victims = rng.choice(np.flatnonzero(~customers.young), cases, replace=False)
    if pattern == "new account":
        victims = rng.choice(np.flatnonzero(customers.young), cases)
    return victims


def _case(rng: np.random.Generator, customers: _Customers, victim: int, begin: float) -> _Case:
    accounts = len(customers.home)
    return _Case(
        customers,
        victim,
        begin,
        usual=victim * PARTNERS + rng.integers(0, PARTNERS),
        stranger=accounts * PARTNERS + rng.integers(0, 10**6),
        abroad=(customers.home[victim] + rng.integers(1, REGIONS)) % REGIONS,
    )


def _unusual_region(rng: np.random.Generator, case: _Case) -> dict[str, Any]:
    """Two payments from elsewhere, of four times the usual amount."""
    time = case.begin + rng.uniform(0, 2 * HOUR, 2)
    return case.outgoing(time, 4 * case.level) | {"region": case.abroad}


def _burst(rng: np.random.Generator, case: _Case) -> dict[str, Any]:
    """Twelve usual payments within half an hour."""
    time = case.begin + np.sort(rng.uniform(0, HOUR / 2, 12))
    return case.outgoing(time, case.level) | {"partner": case.usual}


def _unknown_sender(rng: np.random.Generator, case: _Case) -> dict[str, Any]:
    """A large amount comes in from a stranger."""
    amount = rng.uniform(3000, 9000, 1)
    return case.outgoing([case.begin], amount) | {"incoming": True}


def _new_account(rng: np.random.Generator, case: _Case) -> dict[str, Any]:
    """Three large payments on the day that the account was opened."""
    time = case.customers.opened[case.victim] + np.sort(rng.uniform(600, 80_000, 3))
    return case.outgoing(time, rng.uniform(400, 900, 3))


def _shared_address(rng: np.random.Generator, case: _Case) -> dict[str, Any]:
    """Eight accounts pay from one address within an hour."""
    old = np.flatnonzero(case.customers.opened < 0)
    accounts = rng.choice(old, 8, replace=False)
    time = case.begin + np.sort(rng.uniform(0, 3000, 8))
    address = 2 * len(case.customers.home) + rng.integers(0, 10**6)
    return case.outgoing(time, case.customers.level[accounts]) | {
        "account": accounts,
        "region": case.customers.home[accounts],
        "address": address,
    }


def _slow_drain(rng: np.random.Generator, case: _Case) -> dict[str, Any]:
    """Below every limit, to a stranger, twice a day for six days."""
    del rng
    time = case.begin - 3 * DAY + DAY / 2 * np.arange(12)
    return case.outgoing(time, 2.5 * case.level)


def _mule_chain(rng: np.random.Generator, case: _Case) -> dict[str, Any]:
    """Money comes in from a stranger and leaves for another at once, somewhat less."""
    amount = rng.uniform(500, 900)
    return case.outgoing([case.begin, case.begin + HOUR / 4], [amount, 0.95 * amount]) | {
        "partner": [case.stranger, case.stranger + 1],
        "incoming": [True, False],
    }


def _night_owl(rng: np.random.Generator, case: _Case) -> dict[str, Any]:
    """Three payments between two and half past four at night, of five times the usual amount."""
    midnight = np.floor(case.begin / DAY) * DAY
    return case.outgoing(midnight + HOUR * rng.uniform(2.0, 4.5, 3), 5 * case.level)


CASES: Mapping[str, Callable[[np.random.Generator, _Case], dict[str, Any]]] = {
    "unusual region": _unusual_region,
    "burst": _burst,
    "unknown sender": _unknown_sender,
    "new account": _new_account,
    "shared address": _shared_address,
    "slow drain": _slow_drain,
    "mule chain": _mule_chain,
    "night owl": _night_owl,
}
