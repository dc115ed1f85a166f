"""What decisions cost: a price per mistake, fixed or by the transaction's amount."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from jaxdl.anomaly.metrics import LabelsLike, ScoresLike, WeightsLike, check_rows

# Cost of each event if it is flagged, and if it is passed.
EventCosts = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class FixedCost:
    """A price per kind of mistake, in any currency.

    Attributes:
        missed: an anomaly that raised no alert.
        false_alarm: an alert on a normal event.
        investigation: any alert, right or wrong.
    """

    missed: float
    false_alarm: float
    investigation: float = 0.0

    def per_event(self, labels: Bool[np.ndarray, " n"], amounts: ArrayLike | None) -> EventCosts:
        """Cost of each event if it is flagged, and if it is passed; amounts are not used."""
        del amounts
        labels = labels.astype(np.float64)
        return self.false_alarm * (1 - labels) + self.investigation, self.missed * labels


@dataclass(frozen=True)
class AmountCost:
    """Prices that depend on the transaction's amount; gains are negative costs.

    The defaults are those of scikit-learn's example "Post-tuning the decision threshold for
    cost-sensitive learning", which uses the credit-card data of lab 160.

    Attributes:
        margin: gain from an accepted honest transaction, as a share of its amount.
        refused: cost of refusing an honest transaction.
        caught: gain from refusing a fraud, on top of its amount; an accepted one costs its amount.
    """

    margin: float = 0.02
    refused: float = 5.0
    caught: float = 50.0

    def per_event(self, labels: Bool[np.ndarray, " n"], amounts: ArrayLike | None) -> EventCosts:
        """Cost of each event if it is flagged, and if it is passed.

        Raises:
            ValueError: amounts are missing, of another shape, negative or not finite.
        """
        if amounts is None or np.shape(amounts) != labels.shape:
            raise ValueError("AmountCost needs the amount of every event")
        amounts = np.asarray(amounts, np.float64)
        if not np.isfinite(amounts).all() or amounts.min() < 0:
            raise ValueError("amounts must be finite and not negative")
        flagged = np.where(labels, -(self.caught + amounts), self.refused)
        return flagged, np.where(labels, amounts, -self.margin * amounts)


def expected_cost(
    scores: ScoresLike,
    labels: LabelsLike,
    cost: FixedCost | AmountCost,
    thresholds: ArrayLike | float,
    amounts: ArrayLike | None = None,
    weights: WeightsLike = None,
) -> Float[np.ndarray, " *thresholds"]:
    """Total cost of the weighted stream under `score > threshold`, for all given thresholds.

    `-inf` flags everything and `inf` nothing: the two policies that any detector must beat. Divide
    by the sum of the weights for the cost per event.

    Raises:
        ValueError: a NaN threshold, rows that `check_rows` refuses, or amounts that `cost` refuses.

    >>> scores, labels = np.array([0.1, 0.4, 0.9]), np.array([0, 0, 1])
    >>> expected_cost(scores, labels, FixedCost(missed=100.0, false_alarm=5.0), [-np.inf, 0.5, 1.0])
    array([ 10.,   0., 100.])
    """
    scores, labels, weights = check_rows(scores, labels, weights)
    thresholds = np.asarray(thresholds)
    if np.isnan(thresholds).any():
        raise ValueError("a threshold is NaN")
    flagged, passed = cost.per_event(labels, amounts)
    order = np.argsort(scores, kind="stable")
    count = scores.size - np.searchsorted(scores[order], thresholds, side="right")
    change = np.cumsum((weights * (flagged - passed))[order[::-1]])
    return np.asarray(weights @ passed + np.concatenate([[0.0], change])[count])
