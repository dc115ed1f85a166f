"""Fraud rules against learned detectors (규칙 기반 탐지): what rules know, and what they do not

The deck's rules - unusual region, frequency, unknown sender with a large amount, new account, one
address with many accounts - as a table of conditions over a simulated stream of payments. Planted
frauds follow eight patterns: five that the rules were written for, three that they do not know.
Every detector may raise as many alerts as the rules do.

    python run.py experiments/fraud_rules.py --seeds 10

Protocol: simulated stream of 30 days, the first five only warm up the account histories; detectors
learn from days 5 to 18 and are judged on the rest. Limits of the rules were written beforehand.
Detectors without labels learn from the payments that no rule fired on; gradient boosting gets
labels of the five known patterns only, because nobody has labelled what nobody has found.
Runtime on two CPU cores: under a minute. Numbers: docs/results.md.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from datasets import accounts
from jaxdl import figures, losses, optim
from jaxdl.anomaly import detectors, reporting
from jaxdl.anomaly.rules import Condition, Rule, count_before, distinct_before, fired, first_seen
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions

DAY, HOUR = 86_400.0, 3600.0
RULES = (
    Rule("unusual region", (Condition("away", ">", 0), Condition("times usual amount", ">", 2))),
    Rule("frequency", (Condition("payments in an hour", ">=", 6),)),
    Rule(
        "unknown sender, large amount",
        (
            Condition("incoming", ">", 0),
            Condition("new partner", ">", 0),
            Condition("amount", ">", 2000),
        ),
    ),
    Rule("new account", (Condition("account age in days", "<", 2), Condition("amount", ">", 300))),
    Rule("one address, many accounts", (Condition("accounts at address in an hour", ">=", 4),)),
)


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


def history(stream: accounts.Payments) -> dict[str, np.ndarray]:
    """Columns of each payment, from it and from what was known before it."""
    n = len(stream.time)
    order = np.lexsort((stream.time, stream.account))
    same = np.concatenate([[False], np.diff(stream.account[order]) == 0])
    log_amount = np.log1p(stream.amount)[order]
    start = np.maximum.accumulate(np.where(same, 0, np.arange(n)))
    sums = np.concatenate([[0.0], np.cumsum(log_amount)])
    before = np.arange(n) - start
    # the mean of the account's earlier payments; one payment's worth of the common mean before any
    mean = (sums[:-1] - sums[start] + log_amount.mean()) / (before + 1)
    gap = np.where(same, np.diff(stream.time[order], prepend=0.0), 30 * DAY)
    usual, since = np.empty(n), np.empty(n)
    usual[order], since[order] = np.exp(log_amount - mean), gap
    return {
        "away": (stream.region != stream.home).astype(float),
        "times usual amount": usual,
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
        "hours since the last payment": since / HOUR,
    }


def as_inputs(columns: dict[str, np.ndarray]) -> np.ndarray:
    """What detectors get: logarithms of whatever is a count, a time or an amount."""
    plain = ("away", "incoming", "new partner", "own address", "hour of day")
    return np.column_stack([v if k in plain else np.log1p(v) for k, v in columns.items()])


def main(config: Config, run: Run) -> Results:
    stream = accounts.simulate(config.accounts, cases=config.cases)
    run.uses(stream.provenance)
    columns = history(stream)
    hits = fired(RULES, columns)
    train = (stream.time >= 5 * DAY) & (stream.time < 18 * DAY)
    test = stream.time >= 18 * DAY
    pattern, label = stream.pattern[test], stream.label[test]
    x = as_inputs(columns)
    quiet = train & ~hits.any(axis=1)
    x = ((x - x[quiet].mean(axis=0)) / np.maximum(x[quiet].std(axis=0), 1e-3)).astype(np.float32)
    known = len(accounts.KNOWN)
    taught = (stream.pattern[train] > 0) & (stream.pattern[train] <= known)

    def error(outputs, batch):
        return losses.mse(outputs, batch["x"])

    task = Task(
        *module_functions(DenseAutoencoder(x.shape[1], config.widths)),
        loss=error,
        optimizer=lambda hyper: optim.adam(),
    )
    rows, size = {"x": x[quiet]}, {"batch_size": config.batch_size}
    fitted = run.fit("autoencoder", task, rows, epochs=config.epochs, **size)
    blank = run.fit("untrained", task, rows, epochs=0, **size)
    forests = [detectors.isolation_forest(x[quiet], int(seed)) for seed in run.seeds]
    count = hits[test].sum(axis=1).astype(np.float64)
    found = {
        "rules": count[None],
        "gradient boosting, labels of known patterns": detectors.gradient_boosting(
            x[train], taught.astype(np.int32)
        )(x[test])[None],
        "autoencoder": fitted.predict(error, {"x": x[test]}),
        "isolation forest": np.stack([forest(x[test]) for forest in forests]),
        "tail probabilities (ECOD)": detectors.tail_probability(x[quiet])(x[test])[None],
        "Mahalanobis": detectors.mahalanobis(x[quiet])(x[test])[None],
        "PCA, 6 components": detectors.pca(x[quiet], 6)(x[test])[None],
        "untrained autoencoder": blank.predict(error, {"x": x[test]}),
        "random": np.stack([np.random.default_rng(s).random(len(label)) for s in run.seeds]),
    }
    budget = int(hits[test].any(axis=1).sum())
    alarms = {name: top(members, budget) for name, members in found.items() if name != "rules"}
    alarms = {"rules": (count > 0)[None], **alarms}
    both = found["tail probabilities (ECOD)"] + 1e6 * (count > 0)
    alarms["rules, then ECOD, twice the alerts"] = top(both, 2 * budget)

    held = f"simulated stream, days 18 to 30: {len(label):,} payments, {label.sum()} frauds"
    by_rule = []
    for rule, flags in zip(RULES, hits[test].T, strict=True):
        precision = float(label[flags].mean()) if flags.any() else 0.0
        alerts = {"alerts": int(flags.sum()), "precision": precision}
        by_rule.append({"rule": rule.name, "fires where": str(rule), **alerts})
    caught = []
    for name, flags in alarms.items():
        shares = {
            accounts.PATTERNS[p]: flags[:, pattern == p].mean(axis=1)
            for p in range(1, len(accounts.PATTERNS))
        }
        new = {"known patterns": flags[:, (pattern > 0) & (pattern <= known)].mean(axis=1)}
        new["unknown patterns"] = flags[:, pattern > known].mean(axis=1)
        precision = (flags * label).sum(axis=1) / flags.sum(axis=1)
        caught.append({"detector": name, "precision": precision, **new, **shares})
    drawn = {row["detector"]: row for row in caught}
    return Results(
        tables=[
            Table(f"Rules; {held}", by_rule),
            Table(f"Share of fraudulent payments caught, {budget} alerts each; {held}", caught, 2),
            reporting.ranking_table(f"Ranking; {held}", found, label, np.ones(len(label))),
        ],
        figures={"caught": partial(by_pattern, drawn)},
        headline={
            "unknown patterns, rules": drawn["rules"]["unknown patterns"],
            "ECOD": drawn["tail probabilities (ECOD)"]["unknown patterns"],
        },
    )


def top(scores: np.ndarray, budget: int) -> np.ndarray:
    """The `budget` highest scores of each member; equal ones in order of time."""
    flags = np.zeros(scores.shape, bool)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :budget]
    np.put_along_axis(flags, order, True, axis=1)
    return flags


def by_pattern(rows: dict[str, dict]):
    """Share caught of each pattern: one group of bars for each, one colour for each detector."""
    figure, axis = figures.subplots(width=11, height=4)
    shown = [name for name in rows if name not in ("random", "untrained autoencoder")]
    for i, (colour, name) in enumerate(zip(figures.COLOURS, shown, strict=False)):
        heights = [float(np.mean(rows[name][pattern])) for pattern in accounts.PATTERNS[1:]]
        axis.bar(np.arange(len(heights)) + 0.1 * i, heights, 0.1, color=colour, label=name)
    axis.axvline(len(accounts.KNOWN) - 0.15, color="0.4", ls="--")
    ticks = np.arange(len(accounts.PATTERNS) - 1) + 0.35
    axis.set_xticks(ticks, accounts.PATTERNS[1:], rotation=20)
    axis.set(ylabel="share of payments caught", ylim=(0, 1.02))
    axis.text(len(accounts.KNOWN), 1.03, "patterns the rules do not know", fontsize=8)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
