"""Lab 060: the lecture's forest of hours, and rows of tables that hold flags against events."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.ensemble import IsolationForest

from jaxdl.anomaly import evaluation, seasonal

Population = Sequence[Float[np.ndarray, " n"]]
DAY_SHARES = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10)
DAY_LEVELS = (0.60, 0.65, 0.68, 0.70, 0.72, 0.75)
HOUR_SHARES = (0.001, 0.01, 0.02)
HOUR_CUTS = (-0.20, -0.16, -0.10, 0.0)


def lecture_forest(
    hours: Float[np.ndarray, " n"], trees: int, contamination: float | str, seed: int
) -> tuple[IsolationForest, Float[np.ndarray, "n 2"]]:
    """The lecture's forest on rows (mean passengers, hour of day), and those rows."""
    rows = np.stack([hours, np.arange(len(hours)) % 24], axis=1)
    forest = IsolationForest(n_estimators=trees, contamination=contamination, random_state=seed)
    return forest.fit(rows), rows


def top_share(scores: Float[np.ndarray, " n"], share: float) -> Bool[np.ndarray, " n"]:
    """The highest scores, a fixed share of all."""
    return scores > np.quantile(scores, 1 - share)


def detector_row(
    name: str,
    sees: str,
    threshold: str,
    population: Population,
    rule: Callable[[np.ndarray], np.ndarray],
    window: Int[np.ndarray, " n"],
) -> dict[str, Any]:
    """Flagged days of one detector against the windows, an array over the seeds in each cell.

    Args:
        name: of the detector.
        sees: "whole series" or "past only".
        threshold: of the rule, in words.
        population: scores of the days, one array per seed; NaN where a day is not judged.
        rule: scores -> flags.
        window: index of the window that holds each day, -1 for none.
    """
    judged = [np.isfinite(scores) for scores in population]
    counts = [seasonal.tally(rule(scores), window) for scores in population]
    auprc = [
        evaluation.average_precision(scores[seen], window[seen] >= 0)
        for scores, seen in zip(population, judged, strict=True)
    ]
    columns = {"windows found": "windows", "false days": "false", "flagged days": "flagged"}
    numbers = {title: np.array([c[key] for c in counts]) for title, key in columns.items()}
    given = {"detector": name, "sees": sees, "threshold": threshold, "days": int(judged[0].sum())}
    return {**given, **numbers, "AUPRC": np.array(auprc)}


def flagged_hours(
    time: np.ndarray,
    hours: Float[np.ndarray, " n"],
    decision: Float[np.ndarray, " n"],
    cut: float,
    window: Int[np.ndarray, " n"],
    events: Sequence[str],
) -> list[dict[str, Any]]:
    """The hours that a forest calls outliers (decision below 0), and which stay below `cut`."""
    return [
        {
            "hour": str(time[i].astype("datetime64[m]")).replace("T", " "),
            "mean passengers": f"{hours[i]:.1f}",
            "score": f"{decision[i]:.6f}",
            "second threshold": "kept" if decision[i] < cut else "dropped",
            "event": events[window[i]] if window[i] >= 0 else "-",
        }
        for i in np.flatnonzero(decision < 0)
    ]


def hour_sweep(
    hours: Float[np.ndarray, " n"], trees: int, contamination: float, window: Int[np.ndarray, " n"]
) -> list[dict[str, Any]]:
    """The lecture's forest (seed 0) under other contaminations and fixed thresholds."""

    def row(rule, cut, flagged):
        count = seasonal.tally(flagged, window)
        right = 1 - count["false"] / max(count["flagged"], 1)
        return {
            "rule": rule,
            "score below": f"{cut:.4f}",
            "hours flagged": count["flagged"],
            "in a window": right,
            "windows found": count["windows"],
        }

    forest, rows = lecture_forest(hours, trees, "auto", 0)
    scores = forest.score_samples(rows)
    out = []
    for share in sorted({*HOUR_SHARES, contamination}):
        cut = np.percentile(scores, 100 * share)  # what scikit-learn makes of contamination
        out.append(row(f"contamination {share}", cut + 0.5, scores < cut))
    for cut in HOUR_CUTS:
        name = "negative score" if cut == 0 else "fixed score"
        out.append(row(f"no contamination, {name}", cut, scores + 0.5 < cut))
    return out


def day_sweep(
    whole: Population, causal: Population, window: Int[np.ndarray, " n"]
) -> list[dict[str, Any]]:
    """The forests of days under other thresholds: shares of all days, or fixed levels."""
    rows = []
    cases = [(whole, "share of days", share) for share in DAY_SHARES]
    cases += [(causal, "fixed level", level) for level in DAY_LEVELS]
    for population, rule, cut in cases:
        share = rule == "share of days"
        flags = [top_share(s, cut) if share else s > cut for s in population]
        counts = [seasonal.tally(flag, window) for flag in flags]
        rows.append(
            {
                "sees": "whole series" if share else "past only",
                "threshold": f"{rule} {cut:.2f}",
                "windows found": np.array([c["windows"] for c in counts]),
                "false days": np.array([c["false"] for c in counts]),
            }
        )
    return rows
