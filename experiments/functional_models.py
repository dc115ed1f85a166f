"""Lab 020 - seven model graphs, built, drawn and trained (함수형 API: 일곱 가지 모델 구조)

The lecture's multi-layer, convolutional and recurrent nets, a shared input, a shared feature
extractor, two inputs and two outputs, as graphs that are data: the model, its summary and its
drawing come from one description. The lecture builds them and stops; here each is trained on a
small synthetic task made for its topology, on which a linear model of the raw inputs only guesses
(the clean series aside). Graphs of several inputs or branches are also trained with each blanked.

    python run.py experiments/functional_models.py --seeds 3

Numbers of parameters, as in the lecture: 351; 128,565; 601; 415,045; 1,151; 156,053; 1,452. Two
oddities of the lecture are kept: the head of the model with two inputs is linear, so it gets a
number to predict, and the series that the model with two outputs writes goes through a ReLU, though
it is called real-valued. The last table shows what that ReLU costs on a series with both signs.

Protocol: training and test rows are drawn from different streams of random numbers; nothing is
chosen, all weights are the last epoch's. Ours: docs/results.md. Runtime: 20 minutes, one CPU core.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression, Ridge

from datasets import graph_tasks
from datasets.source import Provenance, array_digest
from jaxdl import losses, optim
from jaxdl.figures.graphs import draw_graph
from jaxdl.models import layer_graph
from jaxdl.models.layer_graph import (
    Concatenate,
    Conv,
    Dense,
    Flatten,
    FunctionalModel,
    Graph,
    MaxPool,
    Node,
    Recurrent,
    chain,
    summary,
)
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Fitted, Task
from jaxdl.training.population import cross, split_members


@dataclass(frozen=True)
class Config:
    vector_rows: int = 4000
    """Training rows of the perceptron."""
    series_rows: int = 2000
    """Training series of each recurrent model."""
    image_rows: int = 1200
    """Training images (or pairs) of each convolutional model."""
    test_rows: int = 1000
    """Test rows of every model."""
    vector_epochs: int = 40
    """Passes of the perceptron."""
    series_epochs: int = 60
    """Passes of each recurrent model."""
    image_epochs: int = 12
    """Passes of each convolutional model."""
    batch_size: int = 32
    """Rows in a step; half as many images."""
    learning_rate: float = 3e-3
    """Adam's step size; a tenth of it for images."""
    sequence_weights: tuple[float, ...] = (0.0, 1.0, 10.0)
    """Weights of the series' squared error beside the label's cross-entropy (two outputs)."""


PRESETS = {
    "quick": Config(
        vector_rows=2000, series_rows=96, image_rows=32, test_rows=64,
        vector_epochs=15, series_epochs=1, image_epochs=1,
    )
}  # fmt: skip


def rows_of(config: Config, study: "Study"):
    """Training and test rows."""
    return graph_tasks.train_and_test(
        study.make, getattr(config, f"{study.size}_rows"), config.test_rows
    )


def train(config: Config, run: Run, name: str, study: "Study", data, variants, epochs=None):
    """All variants of a graph as one population; variant -> scores of its outputs on test rows."""
    hyper, seeds = population(variants, run.seeds)
    slower, fewer = (100, 2) if study.size == "image" else (1, 1)
    task = graph_task(study.graph, study.kinds, config.learning_rate / slower, hyper)
    epochs = getattr(config, f"{study.size}_epochs") if epochs is None else epochs
    shape = {"seeds": seeds, "epochs": epochs, "batch_size": config.batch_size // fewer}
    found = scores(run.fit(name, task, data[0], **shape), study.kinds, data[1])
    return split_members(found, list(variants))


def signed_series(config: Config, run: Run) -> list[dict]:
    """The two outputs on a series of both signs: the lecture's ReLU against no activation."""
    rows, weight = [], config.sequence_weights[-1]
    make = partial(graph_tasks.saw_and_clean, lowest=-0.5)
    for head in ("relu", "linear"):
        graph = multi_output(head)
        study = STUDIES["two-outputs"]._replace(graph=graph, make=make)
        data, variants = rows_of(config, study), {"only": {"weight sequence": weight}}
        found = train(config, run, f"two-outputs-signed-{head}", study, data, variants)
        rows.append(weighed_row("-0.5 .. 0.5", head, weight, found["only"]))
    return rows


def main(config: Config, run: Run) -> Results:
    data = {name: rows_of(config, study) for name, study in STUDIES.items()}
    arrays = {f"{n}.{i}.{k}": v for n, d in data.items() for i in (0, 1) for k, v in d[i].items()}
    detail = "seven tasks made for the seven graphs; the lecture has no data for them"
    run.uses(Provenance("synthetic tasks", "simulated", array_digest(arrays), detail, False))

    *weights, last = config.sequence_weights
    rows, lesions, weighed = [], [], []
    for name, study in STUDIES.items():
        variants = {"whole": {}} | {part: {f"keep {part}": 0.0} for part in study.parts}
        if name == "two-outputs":
            variants = {"whole": {"weight sequence": last}}
            variants |= {weight: {"weight sequence": weight} for weight in weights}
        fit = partial(train, config, run, study=study, data=data[name])
        found = fit(name, variants=variants)
        start = fit(f"{name}-untrained", variants={"whole": {}}, epochs=0)["whole"]
        linear = linear_scores(study.graph, study.kinds, *data[name])
        whole = found.pop("whole")
        rows += output_rows(study, whole, start, linear)
        lesions += lesion_rows(study, whole, found)
        if name == "two-outputs":
            weighed = [weighed_row("0 .. 1", "relu", w, found[w]) for w in weights]
            weighed += [weighed_row("0 .. 1", "relu", last, whole), *signed_series(config, run)]

    split = f"{config.test_rows:,} test rows, last epoch"
    drawings = {
        name: partial(draw_graph, graph.title, layer_graph.summary(graph), graph.outputs)
        for name, (graph, *_) in STUDIES.items()
    }
    return Results(
        tables=[
            Table(f"Seven graphs, each on a task made for it; {split}", rows),
            Table(f"With a part blanked, in training and in the test; {split}", lesions),
            Table(f"Two outputs: weights of the losses, ReLU on signed series; {split}", weighed),
            *(summary_table(graph) for graph, _ in LECTURE),
        ],
        figures=drawings,
        headline={f"{row['model'][:3]} {row['output']}": row["trained"] for row in rows},
        notes=observations(rows, lesions),
    )


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

    def loss(outputs, batch, hyper):
        values, weights = outputs
        return sum(weights[n] * LOSSES[kind](values[n], batch[n]) for n, kind in kinds.items())

    return Task(
        init=lambda key, batch: model.init(key, batch, False),
        apply=apply,
        loss=loss,
        optimizer=lambda hyper: optim.adam(learning_rate),
        hyper=hyper,
        convolves=any(isinstance(node.layer, Conv) for node in graph.nodes),
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


def output_rows(study: "Study", whole: Mapping, start: Mapping, linear: Mapping) -> list[dict]:
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


def lesion_rows(study: "Study", whole: Mapping, found: Mapping[str, Mapping]) -> list[dict]:
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


GREY, SERIES = (64, 64, 1), (100, 1)


def convolved(image: str, prefix: str, filters: int, size: int, pool: int) -> tuple[Node, ...]:
    """Convolution, pooling, one row: the branch that the image models share."""
    return chain(
        image,
        (f"{prefix}_conv", Conv(filters, size)),
        (f"{prefix}_pool", MaxPool(pool)),
        (f"{prefix}_flat", Flatten()),
    )


def head(start: str, activation: str = "sigmoid") -> tuple[Node, ...]:
    """Ten units and one output."""
    return chain(start, ("hidden", Dense(10)), ("output", Dense(1, activation)))


MLP = Graph(
    "A-1 multi-layer perceptron",
    {"x": (10,)},
    chain("x", ("hidden_1", Dense(10)), ("hidden_2", Dense(20)), ("output", Dense(1, "sigmoid"))),
    ("output",),
)
CNN = Graph(
    "A-2 convolutional network",
    {"image": GREY},
    (*convolved("image", "features", 32, 4, 3), *head("features_flat")),
    ("output",),
)
RNN = Graph(
    "A-3 recurrent network",
    {"series": SERIES},
    (*chain("series", ("lstm", Recurrent(10))), *head("lstm")),
    ("output",),
)
SHARED_INPUT = Graph(
    "B-1 shared input layer",
    {"image": GREY},
    (
        *convolved("image", "fine", 32, 4, 2),
        *convolved("image", "coarse", 16, 8, 2),
        Node("both", Concatenate(), ("fine_flat", "coarse_flat")),
        *head("both"),
    ),
    ("output",),
)
SHARED_FEATURES = Graph(
    "B-2 shared feature extractor",
    {"series": SERIES},
    (
        *chain("series", ("lstm", Recurrent(10))),
        *chain("lstm", ("short", Dense(10))),
        *chain("lstm", ("long_1", Dense(10)), ("long_2", Dense(20)), ("long_3", Dense(10))),
        Node("both", Concatenate(), ("short", "long_3")),
        *chain("both", ("output", Dense(1, "sigmoid"))),
    ),
    ("output",),
)
MULTI_INPUT = Graph(
    "C-1 two inputs",
    {"grey": GREY, "colour": (32, 32, 3)},
    (
        *convolved("grey", "first", 32, 4, 3),
        *convolved("colour", "second", 32, 4, 3),
        Node("both", Concatenate(), ("first_flat", "second_flat")),
        *head("both", "linear"),
    ),
    ("output",),
)


def multi_output(sequence_activation: str = "relu") -> Graph:
    """C-2: one label and one number per step. The lecture's sequence output goes through a ReLU."""
    return Graph(
        "C-2 two outputs",
        {"series": SERIES},
        (
            *chain("series", ("lstm", Recurrent(10, return_sequences=True))),
            *chain("lstm", ("second_lstm", Recurrent(10)), ("hidden", Dense(10))),
            *chain("hidden", ("label", Dense(1, "sigmoid"))),
            *chain("lstm", ("sequence", Dense(1, sequence_activation))),
        ),
        ("label", "sequence"),
    )


# the lecture's seven models and their numbers of parameters
LECTURE = (
    (MLP, 351),
    (CNN, 128_565),
    (RNN, 601),
    (SHARED_INPUT, 415_045),
    (SHARED_FEATURES, 1_151),
    (MULTI_INPUT, 156_053),
    (multi_output(), 1_452),
)


YES, NUMBER = {"output": "class"}, {"output": "number"}
BOTH = {"label": "class", "sequence": "number"}
BRANCHES, READERS = ("fine_flat", "coarse_flat"), ("short", "long_3")
STUDIES = {
    "mlp": Study(MLP, graph_tasks.shell, "vector", YES),
    "cnn": Study(CNN, graph_tasks.directions, "image", YES),
    "rnn": Study(RNN, graph_tasks.saw, "series", YES),
    "shared-input": Study(SHARED_INPUT, graph_tasks.two_scales, "image", YES, BRANCHES),
    "shared-features": Study(SHARED_FEATURES, graph_tasks.saw_and_pace, "series", YES, READERS),
    "two-inputs": Study(MULTI_INPUT, graph_tasks.pair, "image", NUMBER, ("grey", "colour")),
    "two-outputs": Study(multi_output(), graph_tasks.saw_and_clean, "series", BOTH),
}
