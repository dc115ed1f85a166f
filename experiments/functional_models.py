"""Lab 020 - seven model graphs, built, drawn and trained (함수형 API: 일곱 가지 모델 구조)

The lecture's multi-layer, convolutional and recurrent nets, a shared input, a shared feature
extractor, two inputs and two outputs, as graphs that are data: the model, its summary and its
drawing come from one description. The lecture builds them and stops; here each is trained on a
small synthetic task made for its topology, on which a linear model of the raw inputs only guesses
(the clean series aside).

Is every branch needed? A graph with several inputs or branches is trained again with each of them
blanked, which means that its values are replaced by zeros, in training and in the test. How do two
outputs share a net? The graph with two outputs is trained with several weights of its second loss.
All variants of a graph, each with every seed, train side by side as one population.

    python run.py experiments/functional_models.py --seeds 10

Reference: the lecture's numbers of parameters: 351; 128,565; 601; 415,045; 1,151; 156,053; 1,452.
Two oddities of the lecture are kept: the head of the model with two inputs is linear, so it gets a
number to predict, and the series that the model with two outputs writes goes through a ReLU, though
it is called real-valued. The third table shows what that ReLU costs on a series with both signs.

Protocol: training and test rows are drawn from different streams of random numbers; nothing is
chosen, all weights are the last epoch's. Expected: docs/results.md.
Runtime on one CPU core: 35 minutes for ten seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression, Ridge

from datasets import graph_tasks
from datasets.graph_tasks import Rows
from datasets.source import Provenance
from jaxdl import losses, optim
from jaxdl.figures.base import Figure
from jaxdl.figures.graphs import draw_graph
from jaxdl.hashing import arrays_digest
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
from jaxdl.report.table import Cell
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
    """Adam's step size; a hundredth of it for images."""
    sequence_weights: tuple[float, ...] = (0.0, 1.0, 10.0)
    """Weights of the series' squared error beside the label's cross-entropy (two outputs)."""


PRESETS = {
    "quick": Config(
        vector_rows=2000, series_rows=96, image_rows=32, test_rows=64,
        vector_epochs=15, series_epochs=1, image_epochs=1,
    )
}  # fmt: skip


def main(config: Config, run: Run) -> Results:
    data = {study.name: draw_rows(study, config) for study in STUDIES}
    run.uses(provenance(data))

    outputs, ablations, weights = [], [], []
    for study in STUDIES:
        train, test = data[study.name]
        variants = variants_of(study, config)
        trained = train_variants(config, run, study.name, study, variants, train, test)
        untrained = train_variants(
            config, run, f"{study.name}-untrained", study, [Variant("whole")], train, test, epochs=0
        )
        linear = linear_scores(study, train, test)
        outputs += output_rows(study, trained["whole"], untrained["whole"], linear)
        ablations += ablation_rows(study, trained)
        if study is TWO_OUTPUTS:
            weights += weight_rows(variants, trained)
            weights += signed_series_rows(config, run)

    split = f"{config.test_rows:,} test rows, last epoch"
    return Results(
        tables=[
            Table(f"Seven graphs, each on a task made for it; {split}", outputs),
            Table(f"With a part blanked, in training and in the test; {split}", ablations),
            Table(f"Two outputs: weights of the losses, ReLU on signed series; {split}", weights),
            *(summary_table(study.graph) for study in STUDIES),
        ],
        figures={study.name: partial(draw_study, study) for study in STUDIES},
        headline={f"{row['model'][:3]} {row['output']}": row["trained"] for row in outputs},
        notes=observations(outputs, ablations, weights),
    )


# ---- the seven graphs ----------------------------------------------------------------------------

GREY_IMAGE, COLOUR_IMAGE, SERIES = (64, 64, 1), (32, 32, 3), (100, 1)


def convolved(image: str, branch: str, filters: int, size: int, pool: int) -> tuple[Node, ...]:
    """Convolution, pooling, flattening: a branch that reads `image`; it ends in BRANCH_flat."""
    return chain(
        image,
        (f"{branch}_conv", Conv(filters, size)),
        (f"{branch}_pool", MaxPool(pool)),
        (f"{branch}_flat", Flatten()),
    )


def head(start: str, activation: str = "sigmoid") -> tuple[Node, ...]:
    """Ten units and one output, reading `start`."""
    return chain(start, ("hidden", Dense(10)), ("output", Dense(1, activation)))


MLP = Graph(
    "A-1 multi-layer perceptron",
    inputs={"x": (10,)},
    nodes=chain(
        "x",
        ("hidden_1", Dense(10)),
        ("hidden_2", Dense(20)),
        ("output", Dense(1, "sigmoid")),
    ),
    outputs=("output",),
)
CNN = Graph(
    "A-2 convolutional network",
    inputs={"image": GREY_IMAGE},
    nodes=(
        *convolved("image", "features", filters=32, size=4, pool=3),
        *head("features_flat"),
    ),
    outputs=("output",),
)
RNN = Graph(
    "A-3 recurrent network",
    inputs={"series": SERIES},
    nodes=(
        *chain("series", ("lstm", Recurrent(10))),
        *head("lstm"),
    ),
    outputs=("output",),
)
SHARED_INPUT = Graph(
    "B-1 shared input layer",
    inputs={"image": GREY_IMAGE},
    nodes=(
        *convolved("image", "fine", filters=32, size=4, pool=2),
        *convolved("image", "coarse", filters=16, size=8, pool=2),
        Node("both", Concatenate(), ("fine_flat", "coarse_flat")),
        *head("both"),
    ),
    outputs=("output",),
)
SHARED_FEATURES = Graph(
    "B-2 shared feature extractor",
    inputs={"series": SERIES},
    nodes=(
        *chain("series", ("lstm", Recurrent(10))),
        *chain("lstm", ("short", Dense(10))),
        *chain("lstm", ("long_1", Dense(10)), ("long_2", Dense(20)), ("long_3", Dense(10))),
        Node("both", Concatenate(), ("short", "long_3")),
        *chain("both", ("output", Dense(1, "sigmoid"))),
    ),
    outputs=("output",),
)
MULTI_INPUT = Graph(
    "C-1 two inputs",
    inputs={"grey": GREY_IMAGE, "colour": COLOUR_IMAGE},
    nodes=(
        *convolved("grey", "first", filters=32, size=4, pool=3),
        *convolved("colour", "second", filters=32, size=4, pool=3),
        Node("both", Concatenate(), ("first_flat", "second_flat")),
        *head("both", "linear"),
    ),
    outputs=("output",),
)


def multi_output(sequence_activation: str = "relu") -> Graph:
    """C-2: one label and one number per step. The lecture's sequence output goes through a ReLU."""
    return Graph(
        "C-2 two outputs",
        inputs={"series": SERIES},
        nodes=(
            *chain("series", ("lstm", Recurrent(10, return_sequences=True))),
            *chain("lstm", ("second_lstm", Recurrent(10)), ("hidden", Dense(10))),
            *chain("hidden", ("label", Dense(1, "sigmoid"))),
            *chain("lstm", ("sequence", Dense(1, sequence_activation))),
        ),
        outputs=("label", "sequence"),
    )


# ---- a task for each graph -----------------------------------------------------------------------

Kind = Literal["class", "number"]


@dataclass(frozen=True)
class Study:
    """A graph and the task made for it.

    Attributes:
        name: of its fits and of its drawing.
        graph: the model.
        make: (rows, seed) -> rows of the task: the graph's inputs by name, and under the names of
            its outputs what they should be.
        size: which numbers of rows and epochs of `Config` it gets.
        outputs: output -> "class" (0 or 1) or "number".
        parts: inputs or branches that are blanked, to see whether they are needed.
    """

    name: str
    graph: Graph
    make: Callable[[int, int], Rows]
    size: Literal["vector", "series", "image"]
    outputs: Mapping[str, Kind]
    parts: tuple[str, ...] = ()


TWO_OUTPUTS = Study(
    name="two-outputs",
    graph=multi_output(),
    make=graph_tasks.saw_and_clean,
    size="series",
    outputs={"label": "class", "sequence": "number"},
)
STUDIES = (
    Study(
        name="mlp",
        graph=MLP,
        make=graph_tasks.shell,
        size="vector",
        outputs={"output": "class"},
    ),
    Study(
        name="cnn",
        graph=CNN,
        make=graph_tasks.directions,
        size="image",
        outputs={"output": "class"},
    ),
    Study(
        name="rnn",
        graph=RNN,
        make=graph_tasks.saw,
        size="series",
        outputs={"output": "class"},
    ),
    Study(
        name="shared-input",
        graph=SHARED_INPUT,
        make=graph_tasks.two_scales,
        size="image",
        outputs={"output": "class"},
        parts=("fine_flat", "coarse_flat"),
    ),
    Study(
        name="shared-features",
        graph=SHARED_FEATURES,
        make=graph_tasks.saw_and_pace,
        size="series",
        outputs={"output": "class"},
        parts=("short", "long_3"),
    ),
    Study(
        name="two-inputs",
        graph=MULTI_INPUT,
        make=graph_tasks.pair,
        size="image",
        outputs={"output": "number"},
        parts=("grey", "colour"),
    ),
    TWO_OUTPUTS,
)


class Schedule(NamedTuple):
    """How much a graph is trained."""

    rows: int
    epochs: int
    batch_size: int
    learning_rate: float


def schedule(study: Study, config: Config) -> Schedule:
    """The numbers of `Config` that belong to the study's size."""
    if study.size == "vector":
        rows, epochs = config.vector_rows, config.vector_epochs
    elif study.size == "series":
        rows, epochs = config.series_rows, config.series_epochs
    else:  # images: smaller batches, and a step with which no narrow ReLU layer dies
        batch_size, learning_rate = config.batch_size // 2, config.learning_rate / 100
        return Schedule(config.image_rows, config.image_epochs, batch_size, learning_rate)
    return Schedule(rows, epochs, config.batch_size, config.learning_rate)


def draw_rows(study: Study, config: Config) -> tuple[Rows, Rows]:
    """Training and test rows."""
    return graph_tasks.train_and_test(study.make, schedule(study, config).rows, config.test_rows)


def provenance(data: Mapping[str, tuple[Rows, Rows]]) -> Provenance:
    """One record for the rows of all studies."""
    arrays = {}
    for name, parts in data.items():
        for part, rows in enumerate(parts):
            arrays |= {f"{name}.{part}.{column}": values for column, values in rows.items()}
    detail = "seven tasks made for the seven graphs; the lecture has no data for them"
    return Provenance("synthetic tasks", "simulated", arrays_digest(arrays), detail, False)


# ---- variants of a graph as one population -------------------------------------------------------


@dataclass(frozen=True)
class Variant:
    """One way to train a graph.

    Attributes:
        name: of the variant.
        blanked: an input or node whose values are zeros, in training and in the test.
        loss_weights: output -> factor of its loss in the sum; 1 for those not named.
    """

    name: str
    blanked: str | None = None
    loss_weights: Mapping[str, float] = field(default_factory=dict)


def variants_of(study: Study, config: Config) -> list[Variant]:
    """The whole graph, then it without each part, or with other weights of its second loss."""
    if study is not TWO_OUTPUTS:
        return [Variant("whole"), *(Variant(f"no {part}", blanked=part) for part in study.parts)]
    *others, last = config.sequence_weights
    variants = [Variant("whole", loss_weights={"sequence": last})]
    for weight in others:
        variants.append(Variant(f"weight {weight:g}", loss_weights={"sequence": weight}))
    return variants


def population(
    variants: Sequence[Variant], seeds: Sequence[int] | Int[np.ndarray, " seeds"]
) -> tuple[dict[str, Float[np.ndarray, " members"]], Int[np.ndarray, " members"]]:
    """Every variant with every seed, one variant after the other: (`Task.hyper`, seeds).

    The members of a population share one program and differ in numbers, which the engine hands to
    each as `hyper`. What makes a variant is therefore written as numbers: "keep PART" multiplies
    the values of an input or node (0 blanks it), "weight OUTPUT" the loss of an output.
    """
    columns = {}
    for variant in variants:
        if variant.blanked is not None:
            kept = [0.0 if each.blanked == variant.blanked else 1.0 for each in variants]
            columns[f"keep {variant.blanked}"] = kept
        for output in variant.loss_weights:
            columns[f"weight {output}"] = [each.loss_weights.get(output, 1.0) for each in variants]
    return cross(columns, len(variants), seeds)


def graph_task(
    graph: Graph,
    outputs: Mapping[str, Kind],
    learning_rate: float,
    hyper: Mapping[str, Float[np.ndarray, " members"]],
) -> Task:
    """Train a graph on batches that hold its inputs and, under its outputs' names, the targets.

    Args:
        graph: the model.
        outputs: output -> "class" (cross-entropy of its logit) or "number" (squared error).
        learning_rate: Adam's.
        hyper: from `population`.
    """
    model = FunctionalModel(graph)
    names = (*graph.inputs, *(node.name for node in graph.nodes))

    def init(key, batch):
        return model.init(key, batch, train=False)

    def apply(variables, batch, key, train, hyper):
        del key
        keep = {name: hyper[f"keep {name}"] for name in names if f"keep {name}" in hyper}
        return model.apply(variables, batch, train, keep), {}

    def loss(values, batch, hyper):
        total = 0.0
        for name, kind in outputs.items():
            error = losses.binary_cross_entropy if kind == "class" else losses.mse
            total += hyper.get(f"weight {name}", 1.0) * error(values[name], batch[name])
        return total

    def optimizer(hyper):
        return optim.adam(learning_rate)

    convolves = any(isinstance(node.layer, Conv) for node in graph.nodes)
    return Task(init, apply, loss, optimizer, hyper=hyper, convolves=convolves)


Scores = Mapping[str, Float[np.ndarray, " seeds"]]


def train_variants(
    config: Config,
    run: Run,
    name: str,
    study: Study,
    variants: Sequence[Variant],
    train: Rows,
    test: Rows,
    epochs: int | None = None,
) -> dict[str, Scores]:
    """Train all variants of a graph side by side; variant -> scores of its outputs on test rows.

    Args:
        config, run: of the lab.
        name: of the fit.
        study: whose graph.
        variants: how.
        train, test: rows.
        epochs: the study's by default; 0 leaves the graph as it starts.
    """
    plan = schedule(study, config)
    hyper, seeds = population(variants, run.seeds)
    fitted = run.fit(
        name,
        graph_task(study.graph, study.outputs, plan.learning_rate, hyper),
        train,
        epochs=plan.epochs if epochs is None else epochs,
        batch_size=plan.batch_size,
        seeds=seeds,
    )
    by_member = scores(fitted, study.outputs, test)
    return split_members(by_member, [variant.name for variant in variants])


# ---- scores --------------------------------------------------------------------------------------


def scores(fitted: Fitted, outputs: Mapping[str, Kind], test: Rows) -> Scores:
    """Output -> accuracy of a class, or the share of a number's variance that is explained (R²)."""

    def by_row(values, batch):
        measured = {}
        for name, kind in outputs.items():
            measure = losses.binary_accuracy if kind == "class" else losses.mse
            measured[name] = measure(values[name], batch[name])
        return measured

    means = {name: rows.mean(axis=1) for name, rows in fitted.predict(by_row, test).items()}
    for name, kind in outputs.items():
        if kind == "number":
            means[name] = 1 - means[name] / test[name].var()
    return means


def linear_scores(study: Study, train: Rows, test: Rows) -> dict[str, float]:
    """The same for logistic or ridge regression on all raw inputs side by side."""
    x_train, x_test = raw_inputs(study.graph, train), raw_inputs(study.graph, test)
    found = {}
    for name, kind in study.outputs.items():
        model = LogisticRegression(max_iter=300) if kind == "class" else Ridge(100.0)
        predicted = model.fit(x_train, train[name]).predict(x_test)
        if kind == "class":
            found[name] = float(np.mean(predicted == test[name]))
        else:
            found[name] = float(1 - np.square(predicted - test[name]).mean() / test[name].var())
    return found


def raw_inputs(graph: Graph, rows: Rows) -> Float[np.ndarray, "rows columns"]:
    """All inputs of a graph, flattened, side by side."""
    flat = [rows[name].reshape(len(rows[name]), -1) for name in graph.inputs]
    return np.concatenate(flat, axis=1)


# ---- what we see ---------------------------------------------------------------------------------

MEASURES = {"class": "accuracy", "number": "R²"}
GUESSING = 0.6  # accuracy on two classes of equal size
NEEDED = 0.02  # a part that is needed costs more than this when it is blanked


def output_rows(
    study: Study, trained: Scores, untrained: Scores, linear: Mapping[str, float]
) -> list[dict[str, Cell]]:
    """A row for each output: scores of the trained, the untrained and the linear model."""
    parameters = sum(row.parameters for row in summary(study.graph))
    return [
        {
            "model": study.graph.title,
            "parameters": parameters,
            "output": output,
            "measure": MEASURES[kind],
            "trained": trained[output],
            "untrained": untrained[output],
            "linear model": linear[output],
        }
        for output, kind in study.outputs.items()
    ]


def ablation_rows(study: Study, trained: Mapping[str, Scores]) -> list[dict[str, Cell]]:
    """A row for each blanked part: the score with everything, and without the part."""
    return [
        {
            "model": study.graph.title,
            "blanked": part,
            "measure": MEASURES[study.outputs["output"]],
            "whole": trained["whole"]["output"],
            "without": trained[f"no {part}"]["output"],
        }
        for part in study.parts
    ]


def weight_rows(
    variants: Sequence[Variant], trained: Mapping[str, Scores]
) -> list[dict[str, Cell]]:
    """Two outputs: a row for each weight of the second loss, the whole graph's last."""
    whole, *others = variants
    return [
        weight_row("0 .. 1", "relu", variant.loss_weights["sequence"], trained[variant.name])
        for variant in (*others, whole)
    ]


def signed_series_rows(config: Config, run: Run) -> list[dict[str, Cell]]:
    """Two outputs on a series of both signs: the lecture's ReLU against no activation."""
    weight = config.sequence_weights[-1]
    variant = Variant("whole", loss_weights={"sequence": weight})
    rows = []
    for activation in ("relu", "linear"):
        study = Study(
            name=f"two-outputs-signed-{activation}",
            graph=multi_output(activation),
            make=partial(graph_tasks.saw_and_clean, lowest=-0.5),
            size="series",
            outputs=TWO_OUTPUTS.outputs,
        )
        train, test = draw_rows(study, config)
        trained = train_variants(config, run, study.name, study, [variant], train, test)
        rows.append(weight_row("-0.5 .. 0.5", activation, weight, trained["whole"]))
    return rows


def weight_row(series: str, activation: str, weight: float, found: Scores) -> dict[str, Cell]:
    """A row of the table of the graph with two outputs.

    Args:
        series: lowest and highest value of the clean series.
        activation: of the output that writes it.
        weight: of the loss of that output.
        found: scores of both outputs.
    """
    return {
        "series": series,
        "its output": activation,
        "weight of its loss": f"{weight:g}",
        "label, accuracy": found["label"],
        "series, R²": found["sequence"],
    }


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


def draw_study(study: Study) -> Figure:
    """The drawing of a graph."""
    return draw_graph(study.graph.title, summary(study.graph), study.graph.outputs)


def observations(
    outputs: Sequence[Mapping[str, Cell]],
    ablations: Sequence[Mapping[str, Cell]],
    weights: Sequence[Mapping[str, Cell]],
) -> list[str]:
    """Sentences on what the tables hide in a mean: seeds that do not learn, parts not needed.

    Whether a part is needed is judged by the seeds that learn, with it and without it. Where none
    learns without it, it is.

    Args:
        outputs: from `output_rows`.
        ablations: from `ablation_rows`.
        weights: from `weight_rows` and `signed_series_rows`.
    """
    said = []
    for row in outputs:
        if row["measure"] == "accuracy":
            said += stuck_note(row["model"], row["trained"])
    for row in ablations:
        whole, without = row["whole"], row["without"]
        if row["measure"] == "accuracy":
            said += stuck_note(f"{row['model']} without {row['blanked']}", without)
            whole, without = whole[whole >= GUESSING], without[without >= GUESSING]
        if len(whole) and len(without) and np.mean(without) > np.mean(whole) - NEEDED:
            said.append(
                f"{row['model']}: without {row['blanked']} it does no worse where it learns; on "
                "this task the rest of the graph can do that part's work."
            )
    for row in weights:
        series = row["series"].replace(" .. ", " to ")
        setting = f"series {series}, {row['its output']}, weight {row['weight of its loss']}"
        said += stuck_note(f"{TWO_OUTPUTS.graph.title} ({setting})", row["label, accuracy"])
    return said


def stuck_note(what: str, accuracy: Float[np.ndarray, " seeds"]) -> list[str]:
    """A sentence on the seeds whose accuracy is that of guessing, where there are some."""
    stuck = int(np.sum(accuracy < GUESSING))
    return [f"{what}: {stuck} of {len(accuracy)} seeds end at guessing."] if stuck else []
