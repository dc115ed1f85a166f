"""Calibrated fraud decisions (탐지 임계값 보정): does a threshold keep its promise a day later?

Every rule of `jaxdl.anomaly.thresholds` is fitted on the validation part of the earlier day and
held against the later day: how often it really raises a false alarm, beside what was asked for.
The score is that of an ensemble of 30-27-30 autoencoders, error whitened by column.

    python run.py experiments/fraud_thresholds.py --seeds 10
    python run.py experiments/fraud_thresholds.py --csv sample.csv --prevalence 0.001727 --seeds 10
    python run.py experiments/fraud_thresholds.py --false-discovery 0.2

Protocol: temporal 50/50 split; autoencoders train on normal rows of three quarters of the earlier
half, thresholds are fitted on the last quarter of it (drawn at random over the day). The
"recalibrated" threshold moves on through the later half: a quantile of the last scores, whose level
follows the false alarms that reviewers report; of labels it sees those of its own alerts. Rules
that need labels say so.
Runtime on two CPU cores: about a minute for ten seeds. Numbers: docs/results.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from datasets import fraud
from datasets.fraud import Transactions
from datasets.fraud_split import Parts, split_three
from jaxdl import optim
from jaxdl.anomaly import metrics, thresholds
from jaxdl.anomaly.costs import AmountCost, FixedCost
from jaxdl.anomaly.detector import Rows
from jaxdl.anomaly.metrics import Scores
from jaxdl.anomaly.reconstruction import ensemble_score, residual, squared_error, whitened_scores
from jaxdl.anomaly.thresholds import Threshold
from jaxdl.figures import base
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task, module_functions


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
    false_discovery: float | None = None
    """Also flag by Benjamini and Hochberg's rule: at most this share of the alerts is false."""
    steps: int = 6000
    """Optimiser steps, in whole epochs."""
    batch_size: int = 128
    """Rows in a step."""
    twin_rows: int = fraud.ROWS
    """Rows of the simulated twin, where no real file is found."""


PRESETS = {"quick": Config(steps=150, twin_rows=40_000)}
TAIL = 0.1  # share of normal scores that the extreme-value rule fits its tail to
CLOSE = 0.2  # "within 20 %" of the rate asked for
DAY, HOUR = 86_400, 3600


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    weights = fraud.prevalence_weights(data.label, config.prevalence)
    parts = split_three(data, "temporal")

    # 1. a score: the vote of autoencoders that learned from the normal rows of the earlier day
    fitted = fit_autoencoders(config, run, parts.fit.normal)
    earlier = earlier_scores(fitted, data, parts, weights)
    later = later_scores(fitted, data, parts, weights)

    # 2. every rule decides about the later day
    decisions = [
        *decide_by_fixed_thresholds(fit_rules(config, earlier), later),
        *decide_by_moving_thresholds(config, earlier, later),
        *decide_by_false_discovery(config, earlier, later),
    ]

    # 3. what was asked for, and what came out
    rows = [promise_row(decision, later) for decision in decisions]
    title = (
        f"False alarms on the later half; temporal 50/50 split; {len(later.score):,} later rows, "
        f"{later.label.sum()} frauds; {len(earlier.normal):,} normal rows calibrate"
    )
    if config.prevalence is not None:
        title += f"; precision at prevalence {config.prevalence}"
    middle = config.rates[len(config.rates) // 2]
    kept = {row["rule"]: row["realised / asked"] for row in rows}
    return Results(
        tables=[Table(title, rows, digits=3)],
        figures={"false_alarms": partial(draw_rates_over_time, decisions, later, middle)},
        headline={f"realised / asked at {middle:g}": kept[f"recalibrated {middle:g}"]},
        notes=[
            "The score is the vote of the seeds, so there is one value per rule. An "
            "interval of the realised rate covers chance, not drift."
        ],
    )


# ---- the score -----------------------------------------------------------------------------------


def fit_autoencoders(config: Config, run: Run, normal: Rows) -> Fitted:
    """A population of 30-27-30 autoencoders of normal rows."""

    def optimizer(hyper):
        return optim.adam()

    init, apply = module_functions(DenseAutoencoder(30, (27,)))
    task = Task(init, apply, squared_error, optimizer)
    size = {"steps": config.steps, "batch_size": config.batch_size}
    return run.fit("autoencoder", task, {"x": normal}, **size)


def vote(fitted: Fitted, normal: Float[np.ndarray, "m features"], x: Rows) -> Scores:
    """Scores of the rows `x` by the vote of the seeds, errors whitened by column.

    Args:
        fitted: the population.
        normal: rows that it was trained on; they say which errors are usual.
        x: rows to score.
    """
    usual = fitted.predict(residual, {"x": normal})
    errors = fitted.predict(residual, {"x": x})
    return ensemble_score(whitened_scores(usual, errors), whitened_scores(usual, usual))


@dataclass(frozen=True)
class Earlier:
    """The validation part of the earlier half, which thresholds are fitted on.

    Attributes:
        score, label, weights, amount: of its rows; label 1 is fraud.
        normal, normal_in_time: scores of its normal rows, as they stand and in order of time.
        days: time that the weighted rows stand for.
    """

    score: Scores
    label: Int[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"]
    amount: Float[np.ndarray, " n"]
    normal: Float[np.ndarray, " m"]
    normal_in_time: Float[np.ndarray, " m"]
    days: float


@dataclass(frozen=True)
class Later:
    """The later half in order of time: score, label, weight and hour of each row."""

    score: Scores
    label: Int[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"]
    hour: Float[np.ndarray, " n"]


def earlier_scores(
    fitted: Fitted, data: Transactions, parts: Parts, weights: Float[np.ndarray, " rows"]
) -> Earlier:
    """The validation part, scored."""
    valid = parts.valid
    score = vote(fitted, parts.fit.normal, valid.x)
    normal = valid.label == 0
    in_time = np.argsort(data.time[valid.rows[normal]], kind="stable")
    share = weights[valid.rows].sum() / weights.sum()
    return Earlier(
        score=score,
        label=valid.label,
        weights=weights[valid.rows],
        amount=data.amount[valid.rows],
        normal=score[normal],
        normal_in_time=score[normal][in_time],
        days=np.ptp(data.time) / DAY * share,
    )


def later_scores(
    fitted: Fitted, data: Transactions, parts: Parts, weights: Float[np.ndarray, " rows"]
) -> Later:
    """The test half, scored, in order of time."""
    test = parts.test.take(np.argsort(data.time[parts.test.rows], kind="stable"))
    score = vote(fitted, parts.fit.normal, test.x)
    return Later(score, test.label, weights[test.rows], data.time[test.rows] / HOUR)


# ---- rules ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """A rule's name, the false-alarm rate it was asked for (if it was) and its threshold."""

    rule: str
    asked: float | None
    threshold: Threshold


def fit_rules(config: Config, earlier: Earlier) -> list[Fit]:
    """Every rule of `jaxdl.anomaly.thresholds`, fitted on the validation part."""
    on_normal = {"fitted_on": "normal rows of the validation part"}
    on_all = {"fitted_on": "validation part", "weights": earlier.weights}
    normal, score, label = earlier.normal, earlier.score, earlier.label
    fits = []

    # rules that only need scores of normal rows
    for rate in config.rates:
        fitted = thresholds.quantile(normal, rate, **on_normal)
        fits.append(Fit(f"quantile {rate:g}", rate, fitted))
    for rate in config.rates:
        if rate < TAIL:
            fitted = thresholds.extreme_value(normal, rate, tail=TAIL, **on_normal)
            fits.append(Fit(f"extreme value {rate:g}", rate, fitted))
    fits.append(Fit("mean + 3 sd", None, thresholds.k_sigma(normal, 3.0, **on_normal)))

    # rules for a stream without labels
    share = thresholds.contamination(score, 0.01, **on_all)
    budget = thresholds.alert_budget(score, config.alerts_per_day, earlier.days, **on_all)
    fits += [Fit("contamination 0.01", None, share), Fit("alert budget", None, budget)]

    # rules that need labels
    f1 = thresholds.f_beta(score, label, 1.0, **on_all)
    f2 = thresholds.f_beta(score, label, 2.0, **on_all)
    by_amount = thresholds.cost_minimal(score, label, AmountCost(), earlier.amount, **on_all)
    prices = FixedCost(config.missed, config.false_alarm)
    fixed = thresholds.cost_minimal(score, label, prices, **on_all)
    fits += [
        Fit("F1, labels", None, f1),
        Fit("F2, labels", None, f2),
        Fit("cost by amount, labels", None, by_amount),
        Fit("fixed cost, labels", None, fixed),
    ]
    return fits


@dataclass(frozen=True)
class Decision:
    """What a rule decided about the later half.

    Attributes:
        rule: its name.
        asked: false-alarm rate that it was asked for, if any.
        threshold: the threshold, if it is one and stays.
        flags: of the later rows.
    """

    rule: str
    asked: float | None
    threshold: Threshold | None
    flags: Bool[np.ndarray, " n"]


def decide_by_fixed_thresholds(fits: Sequence[Fit], later: Later) -> list[Decision]:
    """The thresholds of the earlier day, applied to the later one as they are."""
    return [
        Decision(fit.rule, fit.asked, fit.threshold, fit.threshold.label(later.score))
        for fit in fits
    ]


def decide_by_moving_thresholds(config: Config, earlier: Earlier, later: Later) -> list[Decision]:
    """A threshold that is recalibrated on the way, for each rate."""
    decisions = []
    for rate in config.rates:
        flags = recalibrated_flags(
            earlier.normal_in_time,
            later.score,
            later.label,
            rate,
            window=config.window,
            block=config.block,
            gain=config.gain,
        )
        decisions.append(Decision(f"recalibrated {rate:g}", rate, None, flags))
    return decisions


def recalibrated_flags(
    first: Float[np.ndarray, " m"],
    later: Float[np.ndarray, " n"],
    label: Int[np.ndarray, " n"],
    rate: float,
    *,
    window: int,
    block: int,
    gain: float,
) -> Bool[np.ndarray, " n"]:
    """Flags of a threshold that follows the stream, with a reviewer's verdict on each alert.

    The threshold is the `level` quantile of the last scores; after each block the level moves
    against the false alarms seen (adaptive conformal inference, Gibbs and Candes 2021, here on the
    logarithm of the level). So long as it stays between its bounds, the realised rate is
    `rate * (1 - log(last level / rate) / (gain * blocks))`, however the scores drift.

    Args:
        first: normal scores to start from, in order of time.
        later, label: the stream, in order of time; labels are looked at for flagged rows only.
        rate: of false alarms, asked for.
        window: preceding rows that the quantile is taken of.
        block: rows between two recalibrations.
        gain: how fast the level moves against the false alarms it sees.
    """
    recent, level, all_flags = first[-window:], rate, []
    for start in range(0, len(later), block):
        scores, truth = later[start : start + block], label[start : start + block]
        lowest = 2 / (len(recent) + 1)  # so few scores cannot promise less
        level = min(max(level, lowest), 0.5)
        limit = thresholds.quantile(recent, level, fitted_on="preceding rows", resamples=0)
        flags = limit.label(scores)
        all_flags.append(flags)

        confirmed = flags & (truth == 1)
        false_alarms = (flags & ~confirmed).sum() / max((~confirmed).sum(), 1)
        level *= np.exp(gain * len(scores) / block * (1 - false_alarms / rate))
        # confirmed frauds say nothing of normal rows; the others count as normal
        recent = np.concatenate([recent, scores[~confirmed]])[-window:]
    return np.concatenate(all_flags)


def decide_by_false_discovery(config: Config, earlier: Earlier, later: Later) -> list[Decision]:
    """Not a rate of all normal rows, but a share of the alerts (only where it is asked for).

    Each later row gets a p-value, the share of the earlier normal rows that score as high. The rule
    of Benjamini and Hochberg looks at all of them together: the more rows stand out, the lower it
    may set the bar. It holds for rows as they are in the file, not for weighted ones.
    """
    if config.false_discovery is None:
        return []
    p_values = thresholds.conformal_p_values(earlier.normal, later.score)
    flags = thresholds.benjamini_hochberg(p_values, config.false_discovery)
    return [Decision(f"false discovery {config.false_discovery:g}", None, None, flags)]


# ---- what we see ---------------------------------------------------------------------------------


def promise_row(decision: Decision, later: Later) -> Mapping[str, Any]:
    """A table row: the threshold, the rate asked for, the one realised, and what was caught."""
    flags, asked = decision.flags.astype(np.float64), decision.asked
    # flags are scores of 0 and 1, so that moving decisions are measured like fixed ones
    flagged = Threshold("flag", 0.5, {}, "flags", 1)
    found = thresholds.realised_rate(flagged, flags[later.label == 0])
    hit = metrics.confusion(flags, later.label, flagged.value, later.weights)
    fitted = decision.threshold
    interval = "moves" if fitted is None else "{:.2f} .. {:.2f}".format(*fitted.interval)
    ratio, kept = np.nan, ""
    if asked is not None:
        ratio = found.rate / asked
        kept = "yes" if 1 - CLOSE <= ratio <= 1 + CLOSE else "no"
    return {
        "rule": decision.rule,
        "threshold": np.nan if fitted is None else fitted.value,
        "its 95 %": interval,
        "rate asked": np.nan if asked is None else asked,
        "realised": found.rate,
        "realised, 95 %": f"{found.low:.4f} .. {found.high:.4f}",
        "realised / asked": ratio,
        "within 20 %": kept,
        "precision": float(hit.precision()),
        "recall": float(hit.recall()),
    }


def draw_rates_over_time(decisions: Sequence[Decision], later: Later, asked: float) -> Any:
    """Share of normal rows flagged, hour by hour of the later half.

    Args:
        decisions: those that were asked for this rate are drawn.
        later: the later half.
        asked: false-alarm rate, a dashed line.
    """
    figure, axes = base.subplots(width=7)
    normal = later.label == 0
    hours = later.hour[normal]
    bins = np.floor(hours - hours.min()).astype(int)
    shown = [decision for decision in decisions if decision.asked == asked]
    for colour, decision in zip(base.COLOURS, shown, strict=False):
        share = np.bincount(bins, decision.flags[normal]) / np.maximum(np.bincount(bins), 1)
        axes.plot(share, color=colour, marker="o", ms=3, label=decision.rule)
    axes.axhline(asked, color="0.4", ls="--", label=f"asked for: {asked:g}")
    axes.set(xlabel="hour of the later half", ylabel="share of normal rows flagged", ylim=(0, None))
    axes.legend()
    return figure
