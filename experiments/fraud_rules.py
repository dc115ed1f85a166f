"""Fraud rules against learned detectors (규칙 기반 탐지): what rules know, and what they do not

The deck's rules - unusual region, frequency, unknown sender with a large amount, new account, one
address with many accounts - are sentences about a payment and what was known before it. Detectors
that learn from the same columns are held against them, on a simulated stream with planted frauds
of eight patterns: five that the rules were written for, three that they do not know. Every
detector may raise as many alerts as the rules do.

    python run.py experiments/fraud_rules.py --seeds 10

Protocol: 30 days; the first five only warm up the histories of the accounts, detectors learn from
days 5 to 18 and are judged on the rest. Limits of the rules were written beforehand. Detectors
without labels learn from the payments that no rule fired on; gradient boosting gets labels of the
five known patterns only, because nobody has labelled what nobody has found.
Expected with ten seeds, share of fraud caught of known and of unknown patterns: rules 0.69 and
0.00, gradient boosting 0.84 and 0.00, tail probabilities (ECOD) 0.65 and 0.07, rules and ECOD
together with twice the alerts 0.85 and 0.15 (docs/results.md).
Runtime on two CPU cores: under a minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Num

from datasets import payments
from datasets.payments import DAY, HOUR, Payments
from jaxdl import optim
from jaxdl.anomaly import detectors, tables
from jaxdl.anomaly.metrics import MemberScores
from jaxdl.anomaly.reconstruction import squared_error
from jaxdl.anomaly.rules import Rule, fired
from jaxdl.figures.base import COLOURS, Figure, subplots
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.report.table import Cell
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions


@dataclass(frozen=True)
class Config:
    accounts: int = 3000
    """Customers in the simulated stream."""
    cases: int = 40
    """Fraud cases of each pattern."""
    widths: tuple[int, ...] = (16, 6)
    """Encoder of the autoencoder; the decoder mirrors it."""
    epochs: int = 10
    """Passes over the training payments."""
    batch_size: int = 128
    """Payments in a step."""


PRESETS = {"quick": Config(accounts=800, cases=20, epochs=5)}

# The deck's rules. What the columns mean is said at `history`; a yes or no is 1 or 0.
RULES = (
    Rule("unusual region", "away > 0 and times usual amount > 2"),
    Rule("frequency", "payments in an hour >= 6"),
    Rule("unknown sender, large amount", "incoming > 0 and new partner > 0 and amount > 2000"),
    Rule("new account", "account age in days < 2 and amount > 300"),
    Rule("one address, many accounts", "accounts at address in an hour >= 4"),
)


def main(config: Config, run: Run) -> Results:
    stream = payments.simulate(config.accounts, cases=config.cases)
    run.uses(stream.provenance)
    columns = history(stream)
    data = split_by_time(stream, columns, fires=fired(RULES, columns))

    rules_fired = data.fires.sum(axis=1).astype(np.float64)  # the rules as a score
    scores = {"rules": rules_fired[None], **learned_scores(data, config, run)}
    budget = int((rules_fired > 0).sum())
    alerts = {name: tables.alerts_within(members, budget) for name, members in scores.items()}
    alerts["rules, then ECOD, twice the alerts"] = tables.alerts_within(
        rules_first(rules_fired, scores[ECOD]), 2 * budget
    )

    caught = [share_caught(name, flags, data) for name, flags in alerts.items()]
    held_out = (
        f"simulated stream, days 18 to 30: {len(data.label):,} payments, {data.label.sum()} frauds"
    )
    unknown = {row["detector"]: row["unknown patterns"] for row in caught}
    return Results(
        tables=[
            Table(f"Rules; {held_out}", [alerts_of_rule(i, data) for i in range(len(RULES))]),
            Table(
                f"Share of fraudulent payments caught, {budget} alerts each; {held_out}", caught, 2
            ),
            tables.ranking_table(
                f"Ranking; {held_out}", scores, data.label, np.ones(len(data.label))
            ),
        ],
        figures={"caught": partial(draw_caught_by_pattern, caught)},
        headline={"unknown patterns, rules": unknown["rules"], "ECOD": unknown[ECOD]},
    )


# ---- data: a payment and what was known before it ------------------------------------------------


def history(stream: Payments) -> dict[str, Num[np.ndarray, " n"]]:
    """Columns of each payment, from it and from what was known before it."""
    return {
        "away": (stream.region != stream.home).astype(float),
        "times usual amount": times_usual_amount(stream),
        "payments in an hour": count_before(stream.time, stream.account, HOUR),
        "incoming": stream.incoming.astype(float),
        "new partner": first_seen(stream.account, stream.partner).astype(float),
        "amount": stream.amount,
        "account age in days": (stream.time - stream.opened) / DAY,
        "accounts at address in an hour": distinct_before(
            stream.time, stream.address, stream.account, HOUR
        ),
        "own address": (stream.address == stream.account).astype(float),
        "hour of day": stream.time % DAY / HOUR,
        "hours since the last payment": hours_since_last_payment(stream),
    }


def times_usual_amount(stream: Payments) -> Float[np.ndarray, " n"]:
    """Amount divided by the geometric mean of the account's earlier payments.

    One payment of the stream's mean is added to these, so that a first payment has a usual amount
    and a second one is not judged by the first alone.
    """
    order, earlier = account_by_account(stream)
    log_amount = np.log1p(stream.amount)[order]
    place = np.arange(len(order))
    sum_before = np.concatenate([[0.0], np.cumsum(log_amount)])
    sum_of_account = sum_before[place] - sum_before[place - earlier]
    usual = (sum_of_account + log_amount.mean()) / (earlier + 1)
    return in_order_of_time(np.exp(log_amount - usual), order)


def hours_since_last_payment(stream: Payments) -> Float[np.ndarray, " n"]:
    """Of the same account; thirty days where there is none."""
    order, earlier = account_by_account(stream)
    seconds = np.diff(stream.time[order], prepend=0.0)
    return in_order_of_time(np.where(earlier > 0, seconds, 30 * DAY) / HOUR, order)


def account_by_account(
    stream: Payments,
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The payments sorted by account and time.

    Returns:
        (order: numbers of the payments, one account after the other; earlier: for each payment in
        this order, how many payments its account had before).
    """
    order = np.lexsort((stream.time, stream.account))
    account, place = stream.account[order], np.arange(len(order))
    first = np.concatenate([[True], account[1:] != account[:-1]])
    start = np.maximum.accumulate(np.where(first, place, 0))
    return order, place - start


def in_order_of_time(
    values: Float[np.ndarray, " n"], order: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Takes values in the order of `account_by_account` back to that of the stream."""
    back = np.empty_like(values)
    back[order] = values
    return back


def count_before(
    time: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"], window: float
) -> Int[np.ndarray, " n"]:
    """Events of the same group in the last `window` seconds, the event itself included.

    Args:
        time: seconds, not falling.
        group: an account or an address, say.
        window: seconds.
    """
    order = np.lexsort((time, group))
    _, number = np.unique(group[order], return_inverse=True)
    # the groups one after the other on one rising axis, so that one search serves them all
    stretch = float(time[-1] - time[0]) + 2 * window + 1.0
    axis = number * stretch + (time[order] - time[0])
    first = np.searchsorted(axis, axis - window, side="left")
    counts = np.empty(len(time), np.int64)
    counts[order] = np.arange(len(time)) - first + 1
    return counts


def distinct_before(
    time: Float[np.ndarray, " n"],
    group: Int[np.ndarray, " n"],
    value: Int[np.ndarray, " n"],
    window: float,
) -> Int[np.ndarray, " n"]:
    """Distinct values of the same group in the last `window` seconds, that of the event included.

    Args:
        time: seconds, not falling.
        group, value: addresses and the accounts behind them, say.
        window: seconds.
    """
    counts = np.ones(len(time), np.int64)
    order = np.lexsort((time, group))
    edges = np.flatnonzero(np.diff(group[order])) + 1
    for rows in np.split(order, edges):
        if (value[rows] == value[rows[:1]]).all():
            continue  # most addresses have one account
        first = np.searchsorted(time[rows], time[rows] - window, side="left")
        for i, start in enumerate(first):
            counts[rows[i]] = len(set(value[rows[start : i + 1]].tolist()))
    return counts


def first_seen(
    group: Int[np.ndarray, " n"], value: Int[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """True at the first event, in the given order, of each pair of group and value."""
    pairs = np.stack([group, value], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    new = np.zeros(len(group), bool)
    new[first] = True
    return new


# ---- data: who learns from what, and what is judged ----------------------------------------------

LEARN_FROM, JUDGE_FROM = 5 * DAY, 18 * DAY
KNOWN = len(payments.KNOWN)  # patterns 1 .. KNOWN are those that the rules were written for
PLAIN = ("away", "incoming", "new partner", "own address", "hour of day")


@dataclass(frozen=True)
class Data:
    """Standardised inputs, and what is known about the payments to be judged.

    Attributes:
        quiet: training payments that no rule fired on; detectors without labels learn from them.
        train: all training payments.
        train_label: 1 for a fraud of a known pattern, 0 for all else.
        test: payments to be judged.
        fires: which rule fires on which of these.
        pattern: index into `payments.PATTERNS` of these; 0 is normal.
        label: 1 for a fraud of any pattern.
    """

    quiet: Float32[np.ndarray, "quiet columns"]
    train: Float32[np.ndarray, "train columns"]
    train_label: Int[np.ndarray, " train"]
    test: Float32[np.ndarray, "test columns"]
    fires: Bool[np.ndarray, "test rules"]
    pattern: Int[np.ndarray, " test"]
    label: Int[np.ndarray, " test"]


def split_by_time(
    stream: Payments,
    columns: Mapping[str, Num[np.ndarray, " n"]],
    fires: Bool[np.ndarray, "n rules"],
) -> Data:
    """Splits the stream by time; inputs are standardised on the quiet training payments."""
    x = as_inputs(columns)
    train = (stream.time >= LEARN_FROM) & (stream.time < JUDGE_FROM)
    test = stream.time >= JUDGE_FROM
    quiet = train & ~fires.any(axis=1)
    mean, sd = x[quiet].mean(axis=0), np.maximum(x[quiet].std(axis=0), 1e-3)
    x = ((x - mean) / sd).astype(np.float32)
    found_before = (stream.pattern > 0) & (stream.pattern <= KNOWN)
    return Data(
        quiet=x[quiet],
        train=x[train],
        train_label=found_before[train].astype(np.int32),
        test=x[test],
        fires=fires[test],
        pattern=stream.pattern[test],
        label=stream.label[test],
    )


def as_inputs(columns: Mapping[str, Num[np.ndarray, " n"]]) -> Float[np.ndarray, "n columns"]:
    """What detectors get: logarithms of whatever is a count, a time or an amount."""
    inputs = [values if name in PLAIN else np.log1p(values) for name, values in columns.items()]
    return np.column_stack(inputs)


# ---- detectors -----------------------------------------------------------------------------------

ECOD = "tail probabilities (ECOD)"


def learned_scores(data: Data, config: Config, run: Run) -> dict[str, MemberScores]:
    """Name -> scores of the payments to be judged, higher is worse, a row for each seed."""
    task = Task(
        *module_functions(DenseAutoencoder(data.quiet.shape[1], config.widths)),
        loss=squared_error,
        optimizer=lambda hyper: optim.adam(),
    )
    rows, size = {"x": data.quiet}, config.batch_size
    trained = run.fit("autoencoder", task, rows, epochs=config.epochs, batch_size=size)
    untrained = run.fit("untrained", task, rows, epochs=0, batch_size=size)
    boosting = detectors.gradient_boosting(data.train, data.train_label)
    forests = [detectors.isolation_forest(data.quiet, int(seed)) for seed in run.seeds]
    chance = [np.random.default_rng(seed).random(len(data.test)) for seed in run.seeds]
    return {
        "gradient boosting, labels of known patterns": boosting.score(data.test)[None],
        "autoencoder": trained.predict(squared_error, {"x": data.test}),
        "isolation forest": np.stack([forest.score(data.test) for forest in forests]),
        ECOD: detectors.tail_probability(data.quiet).score(data.test)[None],
        "Mahalanobis": detectors.mahalanobis(data.quiet).score(data.test)[None],
        "PCA, 6 components": detectors.pca(data.quiet, 6).score(data.test)[None],
        "untrained autoencoder": untrained.predict(squared_error, {"x": data.test}),
        "random": np.stack(chance),
    }


def rules_first(rules_fired: Float[np.ndarray, " n"], scores: MemberScores) -> MemberScores:
    """Scores that put every payment on which a rule fired before all others."""
    return scores + 1e6 * (rules_fired > 0)


# ---- what we see ---------------------------------------------------------------------------------


def alerts_of_rule(number: int, data: Data) -> dict[str, Cell]:
    """A row of the table of rules."""
    rule, fires = RULES[number], data.fires[:, number]
    precision = float(data.label[fires].mean()) if fires.any() else 0.0
    return {
        "rule": rule.name,
        "fires where": rule.when,
        "alerts": int(fires.sum()),
        "precision": precision,
    }


def share_caught(name: str, alerts: Bool[np.ndarray, "seeds n"], data: Data) -> dict[str, Cell]:
    """A row of the table of patterns: which share of its payments a detector's alerts catch."""

    def caught(payments_of: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " seeds"]:
        return alerts[:, payments_of].mean(axis=1)

    row = {
        "detector": name,
        "precision": (alerts * data.label).sum(axis=1) / alerts.sum(axis=1),
        "known patterns": caught((data.pattern > 0) & (data.pattern <= KNOWN)),
        "unknown patterns": caught(data.pattern > KNOWN),
    }
    for number, pattern in enumerate(payments.PATTERNS[1:], start=1):
        row[pattern] = caught(data.pattern == number)
    return row


def draw_caught_by_pattern(rows: Sequence[Mapping[str, Cell]]) -> Figure:
    """One group of bars for each pattern, one colour for each detector; known patterns first.

    Args:
        rows: of `share_caught`.
    """
    figure, axis = subplots(width=11, height=4)
    patterns = payments.PATTERNS[1:]
    shown = [row for row in rows if row["detector"] not in ("random", "untrained autoencoder")]
    for i, (colour, row) in enumerate(zip(COLOURS, shown, strict=False)):
        caught_by_seed = [np.atleast_1d(row[pattern]) for pattern in patterns]
        heights = [float(shares.mean()) for shares in caught_by_seed]
        sds = [float(shares.std(ddof=1)) if len(shares) > 1 else 0.0 for shares in caught_by_seed]
        left = np.arange(len(patterns)) + 0.1 * i
        style = {"color": colour, "label": row["detector"], "error_kw": {"lw": 0.8}}
        axis.bar(left, heights, 0.1, yerr=sds, **style)
        for place in left[np.array(heights) == 0]:
            axis.text(place, 0.005, "0", ha="center", fontsize=6, color=colour)
    axis.axvline(KNOWN - 0.15, color="0.4", ls="--")
    axis.set_xticks(np.arange(len(patterns)) + 0.35, patterns, rotation=20)
    axis.set(ylabel="share of payments caught", ylim=(0, 1.02))
    axis.text(KNOWN, 1.03, "patterns the rules do not know", fontsize=8)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
