"""Calibrated fraud decisions (탐지 임계값 보정): does a threshold keep its promise a day later?

Every rule of `jaxdl.anomaly.thresholds` is fitted on the validation part of the earlier day and
held against the later day: how often it really raises a false alarm, beside what was asked for.
The score is that of an ensemble of 30-27-30 autoencoders, error whitened by column.

    python run.py experiments/fraud_thresholds.py --seeds 10
    python run.py experiments/fraud_thresholds.py --csv sample.csv --prevalence 0.001727 --seeds 10

Protocol: temporal 50/50 split; autoencoders train on normal rows of three quarters of the earlier
half, thresholds are fitted on the last quarter of it (drawn at random over the day). The
"recalibrated" threshold moves on through the later half: a quantile of the last scores, whose level
follows the false alarms that reviewers report; of labels it sees those of its own alerts. Rules
that need labels say so.
Runtime on two CPU cores: about a minute for ten seeds. Numbers: docs/results.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from datasets import fraud
from datasets.fraud_split import split_three
from jaxdl import losses, optim
from jaxdl.anomaly import metrics, reconstruction, thresholds
from jaxdl.anomaly.adaptive_threshold import recalibrated
from jaxdl.anomaly.costs import AmountCost, FixedCost
from jaxdl.anomaly.thresholds import Threshold
from jaxdl.figures import base
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions


@dataclass(frozen=True)
class Config:
    csv: Path | None = None
    """Your own transactions: columns Time, V1..V28, Amount, Class (0 normal, 1 fraud)."""
    prevalence: float | None = None
    """True share of fraud, where the file was down-sampled: normal rows are weighted to it."""
    rates: tuple[float, ...] = (0.05, 0.02, 0.01, 0.005)
    """False-alarm rates asked for."""
    window: int = 2000
    """Preceding rows that a recalibrated threshold looks at."""
    block: int = 100
    """Rows between two recalibrations."""
    gain: float = 0.2
    """How fast the level of a recalibrated threshold moves against the false alarms it sees."""
    alerts_per_day: float = 200.0
    """What the reviewers can look at, in transactions of the weighted stream."""
    missed: float = 111.58
    """Fixed cost of a missed fraud in euro."""
    false_alarm: float = 5.0
    """Fixed cost of a false alarm in euro."""
    steps: int = 6000
    """Optimiser steps, in whole epochs."""
    batch_size: int = 128
    """Rows in a step."""
    twin_rows: int = fraud.ROWS
    """Rows of the simulated twin, where no real file is found."""


PRESETS = {"quick": Config(steps=150, twin_rows=40_000)}
TAIL = 0.1  # share of normal scores that the extreme-value rule fits its tail to


def residual(outputs, batch):
    """What the copy lacks, column by column."""
    return batch["x"] - outputs


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    parts = split_three(data, "temporal")
    weights = fraud.prevalence_weights(data.label, config.prevalence)
    normal = {"x": parts.fit.normal}
    task = Task(
        *module_functions(DenseAutoencoder(30, (27,))),
        loss=lambda outputs, batch, hyper: losses.mse(outputs, batch["x"]),
        optimizer=lambda hyper: optim.adam(),
    )
    epochs = -(-config.steps // -(-len(normal["x"]) // config.batch_size))
    fitted = run.fit("autoencoder", task, normal, epochs=epochs, batch_size=config.batch_size)
    usual = fitted.predict(residual, normal)
    trained = reconstruction.whitened_population(usual, usual)

    def score(x: np.ndarray) -> np.ndarray:
        errors = fitted.predict(residual, {"x": x})
        return reconstruction.ensemble_score(
            reconstruction.whitened_population(usual, errors), trained
        )

    in_time = np.argsort(data.time[parts.test.rows], kind="stable")
    label, rows = parts.test.label[in_time], parts.test.rows[in_time]
    later = score(parts.test.x[in_time])
    known = score(parts.valid.x)
    calm = known[parts.valid.label == 0]

    seen, on = parts.valid.rows, "normal rows of the validation part"
    whole = {"fitted_on": "validation part", "weights": weights[seen]}
    truth, rule = parts.valid.label, thresholds
    days = np.ptp(data.time) / 86_400 * weights[seen].sum() / weights.sum()
    fixed = FixedCost(config.missed, config.false_alarm)
    fits = [
        *((f"quantile {r:g}", r, rule.quantile(calm, r, fitted_on=on)) for r in config.rates),
        *(
            (f"extreme value {r:g}", r, rule.extreme_value(calm, r, fitted_on=on, tail=TAIL))
            for r in config.rates
            if r < TAIL
        ),
        ("mean + 3 sd", None, rule.k_sigma(calm, 3.0, fitted_on=on)),
        ("contamination 0.01", None, rule.contamination(known, 0.01, **whole)),
        ("alert budget", None, rule.alert_budget(known, config.alerts_per_day, days, **whole)),
        ("F1, labels", None, rule.f_beta(known, truth, 1.0, **whole)),
        ("F2, labels", None, rule.f_beta(known, truth, 2.0, **whole)),
        (
            "cost by amount, labels",
            None,
            rule.cost_minimal(known, truth, AmountCost(), data.amount[seen], **whole),
        ),
        ("fixed cost, labels", None, rule.cost_minimal(known, truth, fixed, **whole)),
    ]
    decided = [Decided(name, asked, fit, fit.label(later)) for name, asked, fit in fits]
    first = calm[np.argsort(data.time[seen[truth == 0]], kind="stable")]
    pace = {"window": config.window, "block": config.block, "gain": config.gain}
    for rate in config.rates:
        flags = recalibrated(first, later, label, rate, **pace)
        decided.append(Decided(f"recalibrated {rate:g}", rate, None, flags))
    table = [promise_row(one, label, weights[rows]) for one in decided]
    middle = config.rates[len(config.rates) // 2]
    shown = {one.rule: one.flags[label == 0] for one in decided if one.asked == middle}
    hours = data.time[rows][label == 0] / 3600
    title = f"False alarms on the later half; temporal 50/50 split; {len(later):,} later rows, "
    title += f"{label.sum()} frauds; {len(calm):,} normal rows calibrate"
    if config.prevalence is not None:
        title += f"; precision at prevalence {config.prevalence}"
    kept = {row["rule"]: row["realised / asked"] for row in table}
    return Results(
        tables=[Table(title, table, digits=3)],
        figures={"false_alarms": partial(rates_over_time, shown, hours, middle)},
        headline={f"realised / asked at {middle:g}": kept[f"recalibrated {middle:g}"]},
        notes=[
            "The score is the vote of the seeds, so there is one value per rule. An "
            "interval of the realised rate covers chance, not drift."
        ],
    )


class Decided(NamedTuple):
    """What a rule decided on a later slice.

    Attributes:
        rule: its name.
        asked: false-alarm rate that it was asked for, if any.
        fitted: the threshold, if it is one and stays.
        flags: of the later rows.
    """

    rule: str
    asked: float | None
    fitted: Threshold | None
    flags: Bool[np.ndarray, " n"]


def promise_row(
    decided: Decided, label: Int[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> Mapping[str, Any]:
    """A table row: the threshold, the rate asked for, the one realised, and what was caught.

    Args:
        decided: flags of the later rows.
        label, weights: of these rows.
    """
    flags, asked = decided.flags.astype(np.float64), decided.asked
    judge = Threshold("flag", 0.5, {}, "flags", 1)  # judges any decision, moving or not
    found = thresholds.realised_rate(judge, flags[label == 0])
    hit = metrics.confusion(flags, label, 0.5, weights)
    ratio = np.nan if asked is None else found.rate / asked
    interval = decided.fitted.interval if decided.fitted else None
    return {
        "rule": decided.rule,
        "threshold": decided.fitted.value if decided.fitted else np.nan,
        "its 95 %": "{:.2f} .. {:.2f}".format(*interval) if interval else "moves",
        "rate asked": np.nan if asked is None else asked,
        "realised": found.rate,
        "realised, 95 %": f"{found.low:.4f} .. {found.high:.4f}",
        "realised / asked": ratio,
        "within 20 %": "" if asked is None else "yes" if 0.8 <= ratio <= 1.2 else "no",
        "precision": float(hit.precision()),
        "recall": float(hit.recall()),
    }


def rates_over_time(
    flags: Mapping[str, Bool[np.ndarray, " n"]], hours: Float[np.ndarray, " n"], asked: float
) -> Any:
    """Share of normal rows flagged, hour by hour of the later half.

    Args:
        flags: rule -> of normal rows.
        hours: of these rows.
        asked: false-alarm rate asked for, a dashed line.
    """
    figure, axes = base.subplots(width=7)
    bins = np.floor(hours - hours.min()).astype(int)
    for colour, (name, own) in zip(base.COLOURS, flags.items(), strict=False):
        share = np.bincount(bins, own) / np.maximum(np.bincount(bins), 1)
        axes.plot(share, color=colour, marker="o", ms=3, label=name)
    axes.axhline(asked, color="0.4", ls="--", label=f"asked for: {asked:g}")
    axes.set(xlabel="hour of the later half", ylabel="share of normal rows flagged", ylim=(0, None))
    axes.legend()
    return figure
