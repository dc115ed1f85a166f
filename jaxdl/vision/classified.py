"""What a trained classifier says of pictures: probabilities, a table and a figure of them."""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Float, UInt8

from jaxdl.figures.images import classified_images
from jaxdl.report import Results, Table
from jaxdl.training import Fitted

PLACES = ("", "second ", "third ")  # how many classes of a picture are named
DIGITS = 6  # of a probability; no net means what stands behind them


def judged_pictures(
    net: str,
    fitted: Fitted,
    names: Sequence[str],
    images: UInt8[np.ndarray, "rows height width channels"],
    classes: Sequence[str],
) -> Results:
    """The table and the figure of what a net says of pictures; probabilities are means of seeds.

    Args:
        net: its name.
        fitted: the net.
        names, images: of the pictures.
        classes: names of the classes.
    """
    probability = class_probabilities(fitted, images)
    rows = prediction_rows(names, probability, classes)
    title = f"{len(rows):,} pictures, judged by {net}, mean of {len(fitted.seeds)} seeds"
    return Results(
        [Table(title, rows, verbatim=True)],
        {"pictures": partial(classified_images, images, probability, classes)},
        notes=[f"A net names one of its {len(classes)} classes, whatever the picture shows."],
    )


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
