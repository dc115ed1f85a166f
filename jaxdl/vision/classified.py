"""What a trained classifier says of pictures: probabilities, and the rows of a table of them."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, UInt8

from jaxdl.training import Fitted

PLACES = ("", "second ", "third ")  # how many classes of a picture are named
DIGITS = 6  # of a probability; no net means what stands behind them


def class_probabilities(
    fitted: Fitted, images: UInt8[np.ndarray, "rows height width channels"]
) -> Float[np.ndarray, "rows classes"]:
    """Softmax of the logits, mean of the members."""

    def softmax(logits, batch):
        return jax.nn.softmax(logits)

    return fitted.predict(softmax, {"x": images}).mean(axis=0)


def prediction_rows(
    names: Sequence[str], probability: Float[np.ndarray, "rows classes"], classes: Sequence[str]
) -> list[dict[str, str | float]]:
    """A line for each picture: the likeliest class, and the next ones.

    >>> prediction_rows(["a.png"], np.array([[0.25, 0.75]]), ["cat", "dog"])[0]["class"]
    'dog'
    """
    rows = []
    for name, of_classes in zip(names, probability, strict=True):
        row: dict[str, str | float] = {"picture": name}
        likeliest = np.argsort(-of_classes, kind="stable")
        for place, k in zip(PLACES, likeliest, strict=False):
            probability_of_k = round(float(of_classes[k]), DIGITS)
            row |= {f"{place}class": classes[k], f"{place}probability": probability_of_k}
        rows.append(row)
    return rows
