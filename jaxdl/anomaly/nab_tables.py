"""Rows of tables for detectors on several series: NAB's scores, range precision, VUS-PR."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.anomaly import nab_scoring, streaming, vus
from jaxdl.anomaly.nab_scoring import Layout
from jaxdl.anomaly.window_detectors import SeriesScores, Series

Flags = dict[str, Bool[np.ndarray, " n"]]


def alarms(scores: SeriesScores, threshold: float, days: Mapping[str, int], seed: int = 0) -> Flags:
    """Rows in which an alarm begins, for one seed.

    Args:
        scores: series -> [seeds, rows]; a detector that is not random has one seed only.
        threshold: one number for all series.
        days: series -> rows in a day.
        seed: which seed.
    """
    return {
        name: streaming.alarms(_member(members, seed), threshold, days[name])
        for name, members in scores.items()
    }


def _member(members: Float[np.ndarray, "seeds n"], seed: int) -> Float[np.ndarray, " n"]:
    return members[min(seed, len(members) - 1)]


def detector_row(
    name: str,
    scores: SeriesScores,
    threshold: float,
    layouts: Mapping[str, Layout],
    days: Mapping[str, int],
    periods: Mapping[str, int],
) -> dict[str, Any]:
    """One detector: an array with one value for each of its seeds in each cell.

    Args:
        name: of the detector.
        scores: series -> [seeds, rows].
        threshold: the label-free one.
        layouts: series -> its windows, in the order of `scores`.
        days: series -> rows in a day.
        periods: series -> longest buffer of VUS-PR.
    """
    ordered, standard = list(layouts.values()), nab_scoring.PROFILES["standard"]
    columns: dict[str, list] = {}
    for seed in range(max(len(members) for members in scores.values())):
        flags = list(alarms(scores, threshold, days, seed).values())
        pairs = list(zip(flags, ordered, strict=True))
        member = [_member(members, seed) for members in scores.values()]
        values = {
            **profiles(flags, ordered),
            "windows found": sum(nab_scoring.windows_found(f, rows) for f, rows in pairs),
            "false alarms": sum(nab_scoring.false_alarms(f, rows) for f, rows in pairs),
            "best on labels": best_on_labels(scores, threshold, ordered, days, seed),
            "best on labels, rows": nab_scoring.best_threshold(member, ordered, standard)[1],
            "range AP x 100": 100 * nab_scoring.range_average_precision(member, ordered),
            "VUS-PR x 100": 100 * mean_vus_pr(member, ordered, list(periods.values())),
        }
        for key, value in values.items():
            columns.setdefault(key, []).append(value)
    return {"detector": name, **{key: np.array(column) for key, column in columns.items()}}


def profiles(
    flags: Sequence[Bool[np.ndarray, " n"]], layouts: Sequence[Layout]
) -> dict[str, float]:
    """NAB's score in each of its profiles."""
    return {
        profile: nab_scoring.corpus_score(flags, layouts, weights)
        for profile, weights in nab_scoring.PROFILES.items()
    }


def mean_vus_pr(
    scores: Sequence[Float[np.ndarray, " n"]], layouts: Sequence[Layout], periods: Sequence[int]
) -> float:
    """VUS-PR of each series with a window, behind its learning rows; their mean, as in TSB-AD."""
    values = []
    for series, rows, period in zip(scores, layouts, periods, strict=True):
        labels = (rows.window >= 0)[rows.counts]
        if labels.any():
            values.append(vus.vus_pr(series[rows.counts], labels, period))
    return float(np.mean(values))


def best_on_labels(
    scores: SeriesScores,
    threshold: float,
    layouts: Sequence[Layout],
    days: Mapping[str, int],
    seed: int = 0,
) -> float:
    """Highest standard score over thresholds; it looks at the labels."""
    pooled = np.concatenate([members[0] for members in scores.values()])
    cuts = np.quantile(pooled, 1 - np.geomspace(0.03, 1e-5, 30))
    cuts = [*cuts, *(threshold * np.linspace(0.75, 1.25, 13))]
    weights = nab_scoring.PROFILES["standard"]
    flags = (list(alarms(scores, cut, days, seed).values()) for cut in cuts)
    return max(nab_scoring.corpus_score(each, layouts, weights) for each in flags)


def threshold_rows(
    thresholds: Sequence[float],
    scores: SeriesScores,
    layouts: Mapping[str, Layout],
    days: Mapping[str, int],
) -> list[dict[str, Any]]:
    """How much hangs on the threshold."""
    ordered = list(layouts.values())
    flags = (list(alarms(scores, cut, days).values()) for cut in thresholds)
    return [
        {"threshold": f"{cut:.2f}", **profiles(each, ordered)}
        for cut, each in zip(thresholds, flags, strict=True)
    ]


def series_rows(flags: Flags, layouts: Mapping[str, Layout]) -> list[dict[str, Any]]:
    """One row for each series; a series without a window has no score."""
    rows = []
    for name, layout in layouts.items():
        row = {"series": name, "windows": layout.windows}
        row["found"] = nab_scoring.windows_found(flags[name], layout)
        row["false alarms"] = nab_scoring.false_alarms(flags[name], layout)
        none = dict.fromkeys(nab_scoring.PROFILES)
        rows.append(row | (profiles([flags[name]], [layout]) if layout.windows else none))
    return rows


def buffer_lengths(series: Series) -> dict[str, int]:
    """Longest buffer of VUS-PR for each series."""
    return {name: vus.period(values) for name, values in series.items()}
