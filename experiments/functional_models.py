"""Lab 020 - seven model graphs, built, drawn and trained (함수형 API: 일곱 가지 모델 구조)

The lecture's multi-layer, convolutional and recurrent nets, a shared input, a shared feature
extractor, two inputs and two outputs, as graphs that are data: the model, its summary and its
drawing come from one description. The lecture builds them and stops; here each is trained on a
small synthetic task made for its topology, on which a linear model of the raw inputs learns next to
nothing. Where a graph has several inputs or branches, it is also trained with each one blanked.

    python run.py experiments/functional_models.py --seeds 3

Numbers of parameters, as in the lecture: 351; 128,565; 601; 415,045; 1,151; 156,053; 1,452. Two
oddities of the lecture are kept: the head of the model with two inputs is linear, so it gets a
number to predict, and the series that the model with two outputs writes goes through a ReLU, though
it is called real-valued. The last table shows what that ReLU costs on a series with both signs.

Protocol: training and test rows are drawn from different streams of random numbers; nothing is
chosen, all weights are those of the last epoch. The lecture stores no results. Ours:
docs/results.md. Runtime: 5 minutes for three seeds on one CPU core.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from datasets import topologies
from datasets.source import Provenance, array_digest
from jaxdl import functional_tasks as tasks
from jaxdl.graph_figures import draw_graph
from jaxdl.models import functional
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import parameter_count


@dataclass(frozen=True)
class Config:
    vector_rows: int = 4000
    """Training rows of the perceptron."""
    series_rows: int = 2000
    """Training series of each recurrent model."""
    image_rows: int = 2000
    """Training images (or pairs) of each convolutional model."""
    test_rows: int = 1000
    """Test rows of every model."""
    vector_epochs: int = 40
    """Passes of the perceptron."""
    series_epochs: int = 40
    """Passes of each recurrent model."""
    image_epochs: int = 8
    """Passes of each convolutional model."""
    batch_size: int = 32
    """Rows in a step."""
    learning_rate: float = 3e-3
    """Adam's step size; a third of it for images."""
    sequence_weights: tuple[float, ...] = (0.0, 1.0, 10.0)
    """Weights of the series' squared error beside the label's cross-entropy (two outputs)."""


PRESETS = {
    "quick": Config(
        vector_rows=2000,
        series_rows=400,
        image_rows=200,
        test_rows=200,
        vector_epochs=15,
        series_epochs=4,
        image_epochs=2,
        sequence_weights=(10.0,),
    )
}


class Study(NamedTuple):
    """A graph, the data made for it, its size in `Config`, what it puts out, what to blank."""

    graph: functional.Graph
    make: Callable
    size: str
    kinds: dict[str, tasks.Kind]
    parts: tuple[str, ...] = ()


YES, NUMBER, BOTH = (
    {"output": "class"},
    {"output": "number"},
    {"label": "class", "sequence": "number"},
)
BRANCHES, READERS = ("fine_flat", "coarse_flat"), ("short", "long_3")
STUDIES = {
    "mlp": Study(functional.MLP, topologies.shell, "vector", YES),
    "cnn": Study(functional.CNN, topologies.directions, "image", YES),
    "rnn": Study(functional.RNN, topologies.saw, "series", YES),
    "shared-input": Study(functional.SHARED_INPUT, topologies.two_scales, "image", YES, BRANCHES),
    "shared-features": Study(
        functional.SHARED_FEATURES, topologies.saw_and_pace, "series", YES, READERS
    ),
    "two-inputs": Study(
        functional.MULTI_INPUT, topologies.pair, "image", NUMBER, ("grey", "colour")
    ),
    "two-outputs": Study(functional.multi_output(), topologies.saw_and_clean, "series", BOTH),
}
MEASURES = {"class": "accuracy", "number": "R²"}


def rows_of(config: Config, study: Study):
    """Training and test rows."""
    return topologies.split(study.make, getattr(config, f"{study.size}_rows"), config.test_rows)


def train(
    config: Config, run: Run, name: str, study: Study, data, blank=(), weight=None, epochs=None
):
    """Scores of a graph's outputs on test rows, and its number of parameters."""
    rate = config.learning_rate / (3 if study.size == "image" else 1)
    weights = {"sequence": config.sequence_weights[-1] if weight is None else weight}
    task = tasks.graph_task(study.graph, study.kinds, rate, weights, blank)
    epochs = getattr(config, f"{study.size}_epochs") if epochs is None else epochs
    fitted = run.fit(name, task, *data, epochs=epochs, batch_size=config.batch_size)
    size = parameter_count(fitted.variables) // len(fitted.seeds)
    return tasks.scores(fitted, study.kinds, data[1]), size


def two_outputs(config: Config, run: Run, whole) -> list[dict]:
    """Other weights of the losses; the lecture's ReLU, and no activation, on a signed series."""
    *weights, last = config.sequence_weights
    study = STUDIES["two-outputs"]
    signed = study._replace(make=partial(topologies.saw_and_clean, lowest=-0.5))
    cases = [("0 .. 1", "relu", weight, study) for weight in weights]
    for head in ("relu", "linear"):
        case = signed._replace(graph=functional.multi_output(head))
        cases.append(("-0.5 .. 0.5", head, last, case))
    found = {("0 .. 1", "relu", last): whole}
    for target, head, weight, case in cases:
        name = f"two-outputs-{head}-{'signed-' * (case is not study)}{weight:g}"
        data = rows_of(config, case)
        found[target, head, weight], _ = train(config, run, name, case, data, weight=weight)
    return [
        {"series": target, "its output": head, "weight of its loss": f"{weight:g}"}
        | {"label, accuracy": scores["label"], "series, R²": scores["sequence"]}
        for (target, head, weight), scores in found.items()
    ]


def main(config: Config, run: Run) -> Results:
    data = {name: rows_of(config, study) for name, study in STUDIES.items()}
    arrays = {f"{n}.{i}.{k}": v for n, d in data.items() for i in (0, 1) for k, v in d[i].items()}
    detail = "seven tasks made for the seven graphs; the lecture has no data for them"
    run.uses(Provenance("synthetic tasks", "simulated", array_digest(arrays), detail))

    rows, lesions, whole = [], [], {}
    for name, study in STUDIES.items():
        fit = partial(train, config, run, study=study, data=data[name])
        whole[name], size = fit(name)
        start, _ = fit(f"{name}-untrained", epochs=0)
        linear = tasks.linear_scores(study.graph, study.kinds, *data[name])
        model = {"model": study.graph.title}
        for output, kind in study.kinds.items():
            row = model | {"parameters": size, "output": output, "measure": MEASURES[kind]}
            row |= {"trained": whole[name][output], "untrained": start[output]}
            rows.append(row | {"linear model": linear[output]})
        for part in study.parts:
            without, _ = fit(f"{name}-without-{part}", blank=(part,))
            row = model | {"blanked": part, "measure": rows[-1]["measure"]}
            lesions.append(row | {"whole": whole[name]["output"], "without": without["output"]})
    weighed = two_outputs(config, run, whole["two-outputs"])

    split = f"{config.test_rows:,} test rows, last epoch"
    drawings = {
        name: partial(draw_graph, graph.title, functional.summary(graph), graph.outputs)
        for name, (graph, *_) in STUDIES.items()
    }
    return Results(
        tables=[
            Table(f"Seven graphs, each on a task made for it; {split}", rows),
            Table(f"With a part blanked, in training and in the test; {split}", lesions),
            Table(f"Two outputs: weights of the losses, ReLU on signed series; {split}", weighed),
            *(tasks.summary_table(graph) for graph, _ in functional.LECTURE),
        ],
        figures=drawings,
        headline={f"{row['model'][:3]} {row['output']}": row["trained"] for row in rows},
    )
