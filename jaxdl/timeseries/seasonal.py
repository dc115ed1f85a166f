"""Hourly series without their daily and weekly cycle: residual profiles of days, and day scores.

A forest on (value, hour) flags busy Saturday nights, because every Saturday night is rare among
hours. What is unusual is a day that differs from other days of its weekday; this module makes that
difference, once with the whole series in view and once from the past only.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

Days = Float[np.ndarray, "days 24"]


def hourly_days(time: np.ndarray, value: Float[np.ndarray, " n"]) -> tuple[np.ndarray, Days]:
    """Hourly means of a regular series, one row for each whole day.

    Returns:
        (dates as datetime64[D] [days], values [days, 24]). Days with an hour without values, such
        as incomplete first and last days, are left out only at the two ends.

    Raises:
        ValueError: no whole day, or an hour inside the series has no value.
    """
    hour = time.astype("datetime64[h]").astype(np.int64)
    first, last = -(-hour[0] // 24) * 24, (hour[-1] + 1) // 24 * 24
    inside = (hour >= first) & (hour < last)
    counts = np.bincount(hour[inside] - first, minlength=max(last - first, 0))
    if not counts.size or not counts.all():
        raise ValueError("every hour between the first and the last whole day needs a value")
    sums = np.bincount(hour[inside] - first, value[inside], minlength=counts.size)
    dates = np.arange(first // 24, last // 24).astype("datetime64[D]")
    return dates, (sums / counts).reshape(-1, 24)


def weekday(dates: np.ndarray) -> Int[np.ndarray, " days"]:
    """0 for Monday .. 6 for Sunday."""
    return (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7


def residuals(days: Days) -> Days:
    """Each hour minus the median of its weekday and hour over the whole series: looks ahead."""
    kind = np.arange(len(days)) % 7
    return days - np.stack([np.median(days[kind == k], axis=0) for k in range(7)])[kind]


def causal_residuals(days: Days, weeks: int, level_days: int) -> Days:
    """Each hour minus what the past lets one expect; NaN until there are three such weekdays.

    Expected is the median of the same weekday and hour in the last `weeks` weeks, moved by the
    median of the mean residuals of the last `level_days` days (the level of the season).
    """
    raw = np.full(days.shape, np.nan)
    for day in range(21, len(days)):
        raw[day] = days[day] - np.median(days[day - 7 :: -7][:weeks], axis=0)
    means, out = raw.mean(axis=1), raw.copy()
    for day in range(22, len(days)):
        out[day] -= np.median(means[max(21, day - level_days) : day])
    return out


def day_features(residual: Days) -> Float[np.ndarray, "days 4"]:
    """Mean, standard deviation, largest and smallest residual of a day."""
    parts = (residual.mean(1), residual.std(1), residual.max(1), residual.min(1))
    return np.stack(parts, axis=1)


def forest_scores(
    features: Float[np.ndarray, "n k"], trees: int, seed: int, max_samples: int = 256
) -> Float[np.ndarray, " n"]:
    """Isolation-forest scores of rows by the forest that was grown on them; higher is worse."""
    return -_forest(features, trees, seed, max_samples).score_samples(features)


def causal_forest_scores(
    features: Float[np.ndarray, "n k"], first: int, trees: int, seed: int, refit: int = 7
) -> Float[np.ndarray, " n"]:
    """Scores of days by forests that have seen earlier days only, regrown every `refit` days.

    Rows before `first` and rows with NaN get NaN and are not learnt from.
    """
    scores = np.full(len(features), np.nan)
    for start in range(first, len(features), refit):
        past = features[:start]
        past = past[np.isfinite(past).all(axis=1)]
        block = features[start : start + refit]
        scores[start : start + refit] = -_forest(past, trees, seed, 256).score_samples(block)
    return scores


def _forest(rows: np.ndarray, trees: int, seed: int, max_samples: int) -> Any:
    from sklearn.ensemble import IsolationForest

    samples = min(max_samples, len(rows))
    return IsolationForest(n_estimators=trees, max_samples=samples, random_state=seed).fit(rows)


def running_threshold(
    scores: Float[np.ndarray, " n"], k: float, warmup: int = 7
) -> Float[np.ndarray, " n"]:
    """Median + k robust standard deviations (1.4826 MAD) of all earlier scores; +inf at first."""
    out = np.full(len(scores), np.inf)
    for i in range(len(scores)):
        past = scores[:i][np.isfinite(scores[:i])]
        if len(past) >= warmup:
            centre = np.median(past)
            out[i] = centre + k * 1.4826 * np.median(np.abs(past - centre))
    return out


def window_of(
    moments: np.ndarray, windows: list[tuple[np.datetime64, np.datetime64]]
) -> Int[np.ndarray, " n"]:
    """Index of the labelled window that holds each moment, -1 for none."""
    found = np.full(len(moments), -1)
    for i, (start, end) in enumerate(windows):
        found[(moments >= start) & (moments <= end)] = i
    return found


def tally(flagged: Bool[np.ndarray, " n"], window: Int[np.ndarray, " n"]) -> dict[str, int]:
    """How many rows are flagged, how many windows hold one, and how many lie in no window."""
    hit = window[flagged]
    return {
        "flagged": int(flagged.sum()),
        "windows": len(set(hit[hit >= 0].tolist())),
        "false": int((hit < 0).sum()),
    }
