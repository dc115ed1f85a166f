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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from datasets import payments
from jaxdl import losses, optim
from jaxdl.anomaly import detectors, tables
from jaxdl.anomaly.payment_features import DAY, as_inputs, history
from jaxdl.anomaly.rules import Condition, Rule, fired
from jaxdl.figures import base
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions

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


def main(config: Config, run: Run) -> Results:
    stream = payments.simulate(config.accounts, cases=config.cases)
    run.uses(stream.provenance)
    columns = history(stream)
    hits = fired(RULES, columns)
    train = (stream.time >= 5 * DAY) & (stream.time < 18 * DAY)
    test = stream.time >= 18 * DAY
    pattern, label = stream.pattern[test], stream.label[test]
    x = as_inputs(columns)
    quiet = train & ~hits.any(axis=1)
    x = ((x - x[quiet].mean(axis=0)) / np.maximum(x[quiet].std(axis=0), 1e-3)).astype(np.float32)
    known = len(payments.KNOWN)
    taught = (stream.pattern[train] > 0) & (stream.pattern[train] <= known)

    def error(outputs, batch, hyper=None):
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
    alarms = {
        name: tables.alerts_within(members, budget)
        for name, members in found.items()
        if name != "rules"
    }
    alarms = {"rules": (count > 0)[None], **alarms}
    both = found["tail probabilities (ECOD)"] + 1e6 * (count > 0)
    alarms["rules, then ECOD, twice the alerts"] = tables.alerts_within(both, 2 * budget)

    held = f"simulated stream, days 18 to 30: {len(label):,} payments, {label.sum()} frauds"
    by_rule = []
    for rule, flags in zip(RULES, hits[test].T, strict=True):
        precision = float(label[flags].mean()) if flags.any() else 0.0
        alerts = {"alerts": int(flags.sum()), "precision": precision}
        by_rule.append({"rule": rule.name, "fires where": str(rule), **alerts})
    caught = []
    for name, flags in alarms.items():
        shares = {
            payments.PATTERNS[p]: flags[:, pattern == p].mean(axis=1)
            for p in range(1, len(payments.PATTERNS))
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
            tables.ranking_table(f"Ranking; {held}", found, label, np.ones(len(label))),
        ],
        figures={"caught": partial(caught_by_pattern, drawn, payments.PATTERNS[1:], known)},
        headline={
            "unknown patterns, rules": drawn["rules"]["unknown patterns"],
            "ECOD": drawn["tail probabilities (ECOD)"]["unknown patterns"],
        },
    )


def caught_by_pattern(
    rows: Mapping[str, Mapping[str, Any]], patterns: Sequence[str], known: int
) -> Any:
    """Share caught of each pattern: one group of bars for each, one colour for each detector.

    Args:
        rows: detector -> pattern -> share of its payments caught.
        patterns: in order, those that the rules know first.
        known: how many these are.
    """
    figure, axis = base.subplots(width=11, height=4)
    shown = [name for name in rows if name not in ("random", "untrained autoencoder")]
    for i, (colour, name) in enumerate(zip(base.COLOURS, shown, strict=False)):
        heights = [float(np.mean(rows[name][pattern])) for pattern in patterns]
        axis.bar(np.arange(len(heights)) + 0.1 * i, heights, 0.1, color=colour, label=name)
    axis.axvline(known - 0.15, color="0.4", ls="--")
    axis.set_xticks(np.arange(len(patterns)) + 0.35, patterns, rotation=20)
    axis.set(ylabel="share of payments caught", ylim=(0, 1.02))
    axis.text(known, 1.03, "patterns the rules do not know", fontsize=8)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
