"""Training the graphs of lab 020: losses for several outputs, scores, and a linear model beside."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression, Ridge

from jaxdl import losses, optim
from jaxdl.models.functional import FunctionalModel, Graph, summary
from jaxdl.population import cross
from jaxdl.report import Table
from jaxdl.training import Fitted, Task

Kind = Literal["class", "number"]

LOSSES = {"class": losses.binary_cross_entropy, "number": losses.mse}
GUESSING = 0.6  # accuracy on two classes of equal size
NEEDED = 0.02  # a part that is needed costs more than this when it is blanked
MEASURES = {"class": "accuracy", "number": "R²"}


class Study(NamedTuple):
    """What is asked of a graph.

    Attributes:
        graph: the model.
        make: draws the rows made for it.
        size: "vector", "series" or "image": how many rows and passes it gets.
        kinds: what each output puts out.
        parts: inputs or branches to blank.
    """

    graph: Graph
    make: Callable
    size: str
    kinds: dict[str, Kind]
    parts: tuple[str, ...] = ()


def population(
    variants: Mapping[str, Mapping[str, float]], seeds: Sequence[int]
) -> tuple[dict[str, Float[np.ndarray, " members"]], np.ndarray]:
    """Every variant with every seed, one variant after the other: (hyper, seeds) of the members.

    Args:
        variants: name -> "keep NODE" and "weight OUTPUT" factors; 1 where another names one.
    """
    keys = {key: None for factors in variants.values() for key in factors}
    columns = {key: [factors.get(key, 1.0) for factors in variants.values()] for key in keys}
    return cross(columns, len(variants), seeds)


def graph_task(
    graph: Graph, kinds: Mapping[str, Kind], learning_rate: float, hyper: Mapping[str, Any]
) -> Task:
    """Train a graph on batches that hold its inputs and, under the outputs' names, its targets.

    Args:
        graph: the model.
        kinds: output -> "class" (0 or 1, the output is a logit) or "number" (squared error).
        learning_rate: Adam's.
        hyper: from `population`. "keep NODE" scales an input or node, 0 blanks it; "weight OUTPUT"
            scales an output's loss in the sum. It rides along with the outputs, for a loss does not
            see `hyper`.
    """
    model = FunctionalModel(graph)

    def apply(variables, batch, key, train, hyper):
        keep = {k.removeprefix("keep "): v for k, v in hyper.items() if k.startswith("keep ")}
        weights = {name: hyper.get(f"weight {name}", 1.0) for name in kinds}
        return (model.apply(variables, batch, train, keep), weights), {}

    def loss(outputs, batch):
        values, weights = outputs
        return sum(weights[n] * LOSSES[kind](values[n], batch[n]) for n, kind in kinds.items())

    return Task(
        init=lambda key, batch: model.init(key, batch, False),
        apply=apply,
        loss=loss,
        optimizer=lambda hyper: optim.adam(learning_rate),
        hyper=hyper,
    )


def scores(
    fitted: Fitted, kinds: Mapping[str, Kind], test: Mapping[str, np.ndarray]
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Output -> accuracy of a class, or the share of a number's variance that is explained (R²)."""
    measures = {"class": losses.binary_accuracy, "number": losses.mse}

    def judge(outputs, batch):
        return {name: measures[kind](outputs[0][name], batch[name]) for name, kind in kinds.items()}

    judged = fitted.predict(judge, dict(test))
    return {
        name: values.mean(axis=1)
        if kinds[name] == "class"
        else 1 - values.mean(axis=1) / test[name].var()
        for name, values in judged.items()
    }


def linear_scores(
    graph: Graph,
    kinds: Mapping[str, Kind],
    train: Mapping[str, np.ndarray],
    test: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """The same for logistic or ridge regression on all raw inputs side by side."""

    def flat(rows):
        return np.concatenate([rows[n].reshape(len(rows[n]), -1) for n in graph.inputs], axis=1)

    found = {}
    for name, kind in kinds.items():
        model = LogisticRegression(max_iter=300) if kind == "class" else Ridge(100.0)
        predicted = model.fit(flat(train), train[name]).predict(flat(test))
        if kind == "class":
            found[name] = float(np.mean(predicted == test[name]))
        else:
            found[name] = float(1 - np.square(predicted - test[name]).mean() / test[name].var())
    return found


def output_rows(study: Study, whole: Mapping, start: Mapping, linear: Mapping) -> list[dict]:
    """A row for each output: scores of the trained, the untrained and the linear model."""
    size = sum(row.parameters for row in summary(study.graph))
    return [
        {
            "model": study.graph.title,
            "parameters": size,
            "output": output,
            "measure": MEASURES[kind],
            "trained": whole[output],
            "untrained": start[output],
            "linear model": linear[output],
        }
        for output, kind in study.kinds.items()
    ]


def lesion_rows(study: Study, whole: Mapping, found: Mapping[str, Mapping]) -> list[dict]:
    """A row for each blanked part: the score with everything, and without the part."""
    return [
        {
            "model": study.graph.title,
            "blanked": part,
            "measure": MEASURES[study.kinds["output"]],
            "whole": whole["output"],
            "without": found[part]["output"],
        }
        for part in study.parts
    ]


def observations(rows: Sequence[Mapping], lesions: Sequence[Mapping]) -> list[str]:
    """Sentences on what the tables hide in a mean: seeds that do not learn, parts not needed.

    Args:
        rows: from `output_rows`.
        lesions: from `lesion_rows`.
    """
    said = []
    for row in rows:
        stuck = int(np.sum(row["trained"] < GUESSING)) if row["measure"] == "accuracy" else 0
        if stuck:
            seeds = len(row["trained"])
            said.append(
                f"{row['model']}: {stuck} of {seeds} seeds end at guessing, which is what is left "
                "when all ReLUs of a narrow layer have died."
            )
    for row in lesions:
        if np.mean(row["without"]) > np.mean(row["whole"]) - NEEDED:
            said.append(
                f"{row['model']}: without {row['blanked']} it does no worse; on this task the rest "
                "of the graph can do that part's work."
            )
    return said


def weighed_row(series: str, head: str, weight: float, found: Mapping) -> dict[str, Any]:
    """A row of the table of the graph with two outputs, a label and a series."""
    row = {"series": series, "its output": head, "weight of its loss": f"{weight:g}"}
    return row | {"label, accuracy": found["label"], "series, R²": found["sequence"]}


def summary_table(graph: Graph) -> Table:
    """The graph layer by layer, as Keras's summary has it."""
    rows = [
        {
            "name": row.name,
            "layer": row.layer,
            "reads": ", ".join(row.inputs) or "-",
            "output": " x ".join(map(str, row.shape)),
            "parameters": row.parameters,
        }
        for row in summary(graph)
    ]
    total = sum(row["parameters"] for row in rows)
    return Table(f"{graph.title}: {total:,} parameters", rows)
