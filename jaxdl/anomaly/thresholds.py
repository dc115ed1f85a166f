"""From scores to decisions: thresholds fitted by a named rule, and how far to trust them.

A threshold is an artefact (`Threshold`, plain JSON) fitted on scores of normal data, or on labelled
validation data, never on test data. A label is `score > threshold`, strictly: scores equal to the
threshold pass. Where a rule picks one of the scores, the threshold is that score exactly; any other
value is rounded to the precision of the scores, so that a float32 scorer and a table agree.

Each rule wants to be told what it was `fitted_on`, and gives a 95 % interval of its threshold from
`resamples` bootstrap resamples (0 leaves it out). Their seed is fixed: a threshold is a pure
function of the scores. All rules raise ValueError on empty, NaN or infinite scores.

    k_sigma         mean plus k standard deviations, the lecture's rule
    quantile        a false-alarm rate on new normal events, by counting
    extreme_value   a rate beyond what counting can reach, by a model of the tail
    contamination   a share of unlabelled scores
    alert_budget    so many alerts a day
    f_beta          the largest F-beta on labelled rows
    cost_minimal    the least cost on labelled rows

>>> calm = np.random.default_rng(0).exponential(size=999)
>>> fitted = quantile(calm, 0.01, fitted_on="validation normals")
>>> fitted.label(np.array([1.0, 9.0]))
array([False,  True])
>>> Threshold.from_json(fitted.to_json()) == fitted
True
"""

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from jaxdl.anomaly import metrics
from jaxdl.anomaly.costs import AmountCost, FixedCost
from jaxdl.anomaly.metrics import (
    CONFIDENCE,
    ROUNDING,
    LabelsLike,
    Scores,
    ScoresLike,
    WeightsLike,
    percentile_interval,
)

SEED = 0
# Fewer excesses than this do not show the shape of a tail.
LEAST_EXCESSES = 30


@dataclass(frozen=True)
class Threshold:
    """A decision rule that can be saved and read back.

    Attributes:
        rule: name of the function that fitted it.
        value: flag when `score > value`.
        parameters: what the rule was asked for and what it found; strings, numbers, booleans.
        fitted_on: which scores, in words ("validation normals").
        n: how many scores.
        interval: 95 % bootstrap interval of `value`, or None.

    Raises:
        ValueError: a field of the wrong type or out of range, or fitted on test data.
    """

    rule: str
    value: float
    parameters: dict[str, Any]
    fitted_on: str
    n: int
    interval: tuple[float, float] | None = None

    def __post_init__(self):
        _check_fields({field.name: getattr(self, field.name) for field in fields(self)})

    def label(self, scores: ScoresLike) -> Bool[np.ndarray, " n"]:
        """`score > value` for each score. ValueError on NaN, which would silently pass."""
        return metrics.check_scores(scores) > self.value

    def to_json(self) -> str:
        """One JSON object with the fields above; floats keep every bit."""
        return json.dumps(asdict(self), allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Threshold":
        """Reads what `to_json` wrote. ValueError on anything else."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"threshold: not valid JSON ({error})") from None
        names = sorted(field.name for field in fields(cls))
        good = isinstance(values, dict) and sorted(values) == names
        _require(good, f"expected an object with exactly the fields {names}")
        if isinstance(values["interval"], list):
            values["interval"] = tuple(values["interval"])
        _check_fields(values)
        return cls(**values)


def _check_fields(values: dict[str, Any]) -> None:
    """ValueError unless the values are those of a `Threshold`; they may come from a file."""
    for name in ("rule", "fitted_on"):
        text = values[name]
        _require(isinstance(text, str) and text.strip(), f"{name} must be a non-empty string")
    fitted_on, value, n = values["fitted_on"], values["value"], values["n"]
    words = set(re.findall(r"[a-z]+", fitted_on.lower()))
    unseen = not words & {"test", "testing"}
    _require(unseen, f"fitted on {fitted_on!r}; use training or validation scores")
    _require(_is_number(value), f"value must be a finite number, not {value!r}")
    _require(type(n) is int and n > 0, f"n must be a positive integer, not {n!r}")
    parameters, pair = values["parameters"], values["interval"]
    _require(isinstance(parameters, dict), "parameters must be a mapping")
    for name, found in parameters.items():
        good = isinstance(name, str) and (isinstance(found, str | bool) or _is_number(found))
        _require(good, f"parameter {name!r} must be a string, finite number or boolean")
    if pair is not None:
        good = isinstance(pair, tuple) and len(pair) == 2 and all(map(_is_number, pair))
        _require(good and pair[0] <= pair[1], f"interval must be (low, high), not {pair!r}")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(f"threshold: {message}")


def _is_number(value: Any) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and bool(abs(value) <= sys.float_info.max)


def _finite(scores: ScoresLike) -> Scores:
    scores = metrics.check_scores(scores)
    _require(np.isfinite(scores).all(), "it cannot be fitted on infinite scores")
    return scores


def _artefact(
    rule: str,
    scores: Scores,
    value: float | np.floating,
    draws: ArrayLike,
    parameters: dict[str, Any],
    fitted_on: str,
) -> Threshold:
    """The threshold in the precision of the scores, with the interval of its bootstrap draws."""
    interval = percentile_interval(draws) if len(draws) else None
    value = float(scores.dtype.type(value))
    return Threshold(rule, value, parameters, fitted_on, scores.size, interval)


# ---- rules that need scores of normal rows -------------------------------------------------------


def k_sigma(
    scores: ScoresLike, k: float | int, *, fitted_on: str, resamples: int = 200
) -> Threshold:
    """Mean plus `k` standard deviations, the lecture's rule (lab 160, slide 94).

    The deviation divides by n - 1, as pandas does and as the lab's stored thresholds do. The lab
    flags `>=`; here it is `>`. The false-alarm rate that a Gaussian would give does not hold for
    skewed scores, which reconstruction errors are: see `quantile`.
    """
    scores = _finite(scores)
    _require(scores.size > 1, "k_sigma needs at least two scores")
    wide, rng = scores.astype(np.float64), np.random.default_rng(SEED)

    def rule(x):
        return x.mean() + k * x.std(ddof=1)

    draws = [rule(wide[rng.integers(wide.size, size=wide.size)]) for _ in range(resamples)]
    return _artefact("k_sigma", scores, rule(wide), draws, {"k": k}, fitted_on)


def _order_statistic(
    falling: Scores, index: int, resamples: int
) -> tuple[np.floating, Float[np.ndarray, " resamples"]]:
    """The score at `index` from the top, and that of bootstrap resamples, without resampling.

    A resample is n uniform draws of a position; the position of its r-th order statistic is that of
    the r-th of n uniforms, which is Beta(r, n - r + 1) distributed. Exact, and needs one draw each.
    """
    n = falling.size
    uniform = np.random.default_rng(SEED).beta(index + 1, n - index, size=resamples)
    return falling[index], falling[np.minimum((uniform * n).astype(np.int64), n - 1)]


def quantile(scores: ScoresLike, rate: float, *, fitted_on: str, resamples: int = 200) -> Threshold:
    """The smallest score whose false-alarm rate on new normal events is at most `rate`.

    Split-conformal correction: the ceil((n + 1)(1 - rate))-th smallest of n normal scores, so that
    P(new normal score > threshold) <= rate holds at any n if the new event is exchangeable with the
    scores (Vovk et al. 2005; Angelopoulos and Bates 2021). `rate = 1 / (n + 1)` gives the maximum,
    the rule of lab 170.

    Raises:
        ValueError: n is too small to promise `rate`.
    """
    scores = _finite(scores)
    _require(0 < rate < 1, f"rate must be between 0 and 1, not {rate}")
    allowed = math.floor(rate * (scores.size + 1) * (1 + ROUNDING))
    _require(
        allowed >= 1,
        f"{scores.size} scores cannot promise a rate of {rate:g}: "
        f"take at least {math.ceil(1 / rate) - 1}, or the extreme_value rule",
    )
    (falling,) = metrics.sort_falling(scores)
    value, draws = _order_statistic(falling, allowed - 1, resamples)
    return _artefact("quantile", scores, value, draws, {"rate": rate}, fitted_on)


def extreme_value(
    scores: ScoresLike, rate: float, *, fitted_on: str, tail: float = 0.02, resamples: int = 200
) -> Threshold:
    """A false-alarm rate beyond what counting can reach: peaks over threshold.

    The excesses over the `1 - tail` quantile are taken as generalised Pareto (Pickands 1975; Siffer
    et al., "Anomaly detection in streams with extreme value theory", 2017) and the threshold is
    where that tail has `rate` left. Unlike `quantile` it rests on a model, and it extrapolates.

    Raises:
        ValueError: `rate` is not below `tail`, or fewer than 30 scores lie in the tail.
    """
    scores = _finite(scores)
    _require(0 < rate < tail < 1, f"0 < rate < tail < 1 must hold, not {rate} and {tail}")
    (falling,) = metrics.sort_falling(scores.astype(np.float64))
    start = falling[math.floor(tail * scores.size)]
    excess = falling[falling > start] - start
    _require(
        excess.size >= max(LEAST_EXCESSES, rate * scores.size),
        f"only {excess.size} scores lie above the {1 - tail:g} quantile: give more scores, "
        "a larger tail or, for a larger rate, use the quantile rule",
    )
    # the first fit is that of the excesses as they are, the others are bootstrap resamples, in
    # which the number of scores that reach the tail varies too
    once = np.ones((1, excess.size))
    resampled = np.random.default_rng(SEED).poisson(1.0, (resamples, excess.size))
    fits = _fit_pareto_tails(excess, np.concatenate([once, resampled]))
    values = start + fits.exceeded_by(rate * scores.size)
    parameters = {"rate": rate, "tail": tail, "start": float(start)}
    parameters |= {"shape": float(fits.shape[0]), "scale": float(fits.scale[0])}
    return _artefact("extreme_value", scores, values[0], values[1:], parameters, fitted_on)


class _ParetoTails(NamedTuple):
    """Generalised Pareto distributions of excesses, one for each fit.

    Attributes:
        shape: the tail index; above 0 the tail falls like a power, below 0 it ends somewhere.
        b: minus shape over scale, the parameter that was searched for.
        number: excesses that each was fitted to.
    """

    shape: Float[np.ndarray, " fits"]
    b: Float[np.ndarray, " fits"]
    number: Float[np.ndarray, " fits"]

    @property
    def scale(self) -> Float[np.ndarray, " fits"]:
        return -self.shape / self.b

    def exceeded_by(self, events: float) -> Float[np.ndarray, " fits"]:
        """The excess that so many events are expected to exceed."""
        return -np.expm1(-self.shape * np.log(events / self.number)) / self.b


def _fit_pareto_tails(
    excess: Float[np.ndarray, " m"], counts: Float[np.ndarray, "fits m"]
) -> _ParetoTails:
    """The estimator of Zhang and Stephens (Technometrics, 2009).

    With b = -shape / scale the likelihood has one free parameter: b gives the best shape. Over a
    fixed grid of b the profile likelihood gives weights, and b is their mean. No optimiser that
    could fail, and all bootstrap fits share one matrix product.

    Args:
        excess: in falling order.
        counts: how often each excess counts in each fit.
    """
    number = counts.sum(axis=1)
    grid = _grid_of_b(excess)
    # [fits, grid]: the shape that suits each b, and how likely the excesses are then
    shapes = counts @ np.log1p(-grid[:, None] * excess).T / number[:, None]
    likelihood = number[:, None] * (np.log(-grid / shapes) - shapes - 1)
    weights = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    b = weights @ grid / weights.sum(axis=1)
    shape = np.empty(len(counts))
    for fit in range(len(counts)):  # one by one: all at once would take another [fits, m]
        shape[fit] = counts[fit] @ np.log1p(-b[fit] * excess)
    return _ParetoTails(shape / number, b, number)


def _grid_of_b(excess: Float[np.ndarray, " m"]) -> Float[np.ndarray, " grid"]:
    """Values of b, denser where it is likely: equation of section 3 of the paper.

    All lie below 1 / (largest excess), beyond which the largest excess would be impossible.
    """
    m = excess.size
    points = 30 + min(math.isqrt(m), 70)
    first_quartile = excess[::-1][int(m / 4 + 0.5) - 1]
    spacing = 1 - np.sqrt(points / (np.arange(points) + 0.5))
    return 1 / excess[0] + spacing / (3 * first_quartile)


# ---- rules that need scores of all rows, without labels ------------------------------------------


def _top(
    scores: Scores, weights: WeightsLike, budget: Callable[[float], float], resamples: int
) -> tuple[np.floating, Float[np.ndarray, " resamples"]]:
    """The lowest threshold that flags no more than `budget(number of events)`, and its draws."""
    rows = metrics.check_weights(weights, scores.size)
    falling, rows = metrics.sort_falling(scores, rows)

    def first_beyond(mass):
        total = np.cumsum(mass)
        return int(np.searchsorted(total, budget(total[-1]) * (1 + ROUNDING), side="right"))

    index = first_beyond(rows)
    _require(index < scores.size, "the budget covers every event, so none is needed")
    if weights is None:
        return _order_statistic(falling, index, resamples)
    counts = metrics.resample_counts(np.zeros(scores.size, bool), resamples, SEED)
    drawn = np.array([first_beyond(rows * count) for count in counts], np.int64)
    return falling[index], falling[np.minimum(drawn, scores.size - 1)]


def contamination(
    scores: ScoresLike,
    share: float,
    *,
    fitted_on: str,
    weights: WeightsLike = None,
    resamples: int = 200,
) -> Threshold:
    """Flags at most this share of the scores fitted on: unlabelled data with anomalies in it.

    As PyOD and scikit-learn do, but on a score, not between two; equal scores at the cut all pass.
    """
    scores = _finite(scores)
    _require(0 <= share < 1, f"share must be at least 0 and below 1, not {share}")
    value, draws = _top(scores, weights, lambda events: share * events, resamples)
    return _artefact("contamination", scores, value, draws, {"share": share}, fitted_on)


def alert_budget(
    scores: ScoresLike,
    alerts_per_day: float | int,
    days: float | int,
    *,
    fitted_on: str,
    weights: WeightsLike = None,
    resamples: int = 200,
) -> Threshold:
    """At most `alerts_per_day` alerts a day on average over the `days` that the scores span.

    The scores are those of all events, anomalies included; no labels are needed.

    Raises:
        ValueError: not positive, or the budget covers every event.
    """
    scores = _finite(scores)
    _require(alerts_per_day > 0 and days > 0, "alerts_per_day and days must be positive")
    value, draws = _top(scores, weights, lambda _: alerts_per_day * days, resamples)
    asked = {"alerts_per_day": alerts_per_day, "days": days}
    return _artefact("alert_budget", scores, value, draws, asked, fitted_on)


# ---- rules that need labels ----------------------------------------------------------------------


def f_beta(
    scores: ScoresLike,
    labels: LabelsLike,
    beta: float = 1.0,
    *,
    fitted_on: str,
    weights: WeightsLike = None,
    resamples: int = 200,
) -> Threshold:
    """The threshold of the largest F-beta (recall counts `beta` times) on labelled validation data.

    Raises:
        ValueError: `beta` is not positive, or there is no anomaly.
    """
    rows = metrics.check_rows(_finite(scores), labels, weights)
    scores, labels, weights = metrics.sort_falling(*rows)
    _require(beta > 0, f"beta must be positive, not {beta}")
    _require((labels & (weights > 0)).any(), "f_beta needs at least one anomaly")

    def best(mass):
        swept = metrics.sweep(scores, labels, mass)
        return swept.thresholds[np.argmax(swept.confusion().f_beta(beta))]

    draws = [best(weights * n) for n in metrics.resample_counts(labels, resamples, SEED)]
    return _artefact("f_beta", scores, best(weights), draws, {"beta": beta}, fitted_on)


def cost_minimal(
    scores: ScoresLike,
    labels: LabelsLike,
    cost: FixedCost | AmountCost,
    amounts: ArrayLike | None = None,
    *,
    fitted_on: str,
    weights: WeightsLike = None,
    resamples: int = 200,
) -> Threshold:
    """The threshold with the least total cost on labelled validation data.

    Flagging nothing (the highest score) and everything (just below the lowest) are among the
    choices. Of equal costs the one with the fewest alerts is taken. `amounts` are the transactions'
    (`AmountCost` needs them); the prices go into `parameters`.
    """
    scores, labels, weights = metrics.check_rows(_finite(scores), labels, weights)
    flagged, passed = cost.per_event(labels, amounts)
    columns = (scores, labels, weights, flagged - passed)
    scores, labels, weights, change = metrics.sort_falling(*columns)
    ends = metrics.group_ends(scores)
    choices = np.append(scores[ends], np.nextafter(scores[-1], -np.inf))

    def best(mass):
        return choices[np.argmin(np.append(0.0, np.cumsum(mass * change)[ends]))]

    draws = [best(weights * n) for n in metrics.resample_counts(labels, resamples, SEED)]
    parameters = {"cost": type(cost).__name__, **asdict(cost)}
    return _artefact("cost_minimal", scores, best(weights), draws, parameters, fitted_on)


# ---- how a threshold does later ------------------------------------------------------------------


class RealisedRate(NamedTuple):
    """Share of later events that were flagged, its 95 % interval, and the counts behind it."""

    rate: float
    low: float
    high: float
    alerts: int
    n: int


def realised_rate(
    threshold: Threshold, later: ScoresLike, weights: WeightsLike = None
) -> RealisedRate:
    """How often the threshold really flags, to be compared with what it was asked for.

    Clopper-Pearson interval; with weights, at the effective sample size (sum w)^2 / sum w^2 (Korn
    and Graubard 1998). It covers chance, not drift: later events need not be like earlier ones, and
    an interval that excludes the requested rate says so.
    """
    flags = threshold.label(later)
    weights = metrics.check_weights(weights, flags.size)
    rate = float(weights @ flags / weights.sum())
    effective = weights.sum() ** 2 / (weights**2).sum()
    low, high = share_interval(rate, effective)
    return RealisedRate(rate, low, high, int(flags.sum()), flags.size)


def share_interval(share: float, n: float | int) -> tuple[float, float]:
    """95 % interval of a share that was found among `n` events (Clopper and Pearson 1934).

    Args:
        share: from 0 to 1.
        n: how many events, or their effective number.

    >>> low, high = share_interval(0.5, 10)
    >>> round(low, 3), round(high, 3)
    (0.187, 0.813)
    """
    from scipy.special import betaincinv

    hits, tail = share * n, (1 - CONFIDENCE) / 2
    low = betaincinv(hits, n - hits + 1, tail) if share > 0 else 0.0
    high = betaincinv(hits + 1, n - hits, 1 - tail) if share < 1 else 1.0
    return float(low), float(high)


# ---- p-values instead of a threshold -------------------------------------------------------------


def conformal_p_values(
    calibration_scores: ScoresLike, scores: ScoresLike
) -> Float[np.ndarray, " n"]:
    """P-value of "this is like the calibration events": (1 + #{calibration >= s}) / (n + 1).

    For an event that is exchangeable with the normal calibration events, P(p <= a) <= a for every a
    (Vovk et al. 2005). Equal scores count against the alert, which keeps this true with ties.

    >>> conformal_p_values(np.array([1.0, 2.0, 3.0]), np.array([0.5, 2.0, 9.0]))
    array([1.  , 0.75, 0.25])
    """
    calibration = np.sort(metrics.check_scores(calibration_scores))
    scores = metrics.check_scores(scores)
    as_high = calibration.size - np.searchsorted(calibration, scores, side="left")
    return (1 + as_high) / (calibration.size + 1)


def benjamini_hochberg(p_values: Float[np.ndarray, " n"], rate: float) -> Bool[np.ndarray, " n"]:
    """Which events to flag so that the expected share of false alarms among alerts is <= `rate`.

    Benjamini and Hochberg (1995); valid for conformal p-values of one calibration set (Bates et
    al., "Testing for outliers with conformal p-values", 2023).

    Raises:
        ValueError: a p-value outside [0, 1], or `rate` outside (0, 1).

    >>> benjamini_hochberg(np.array([0.9, 0.06, 0.01, 0.045, 0.5]), rate=0.1)
    array([False,  True,  True,  True, False])
    """
    from scipy.stats import false_discovery_control

    _require(0 < rate < 1, f"rate must be between 0 and 1, not {rate}")
    return false_discovery_control(p_values, method="bh") <= rate * (1 + ROUNDING)
