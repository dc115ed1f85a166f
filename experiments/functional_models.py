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

from dataclasses import dataclass
from functools import partial

from datasets import topologies
from datasets.source import Provenance, array_digest
from jaxdl import functional_tasks as tasks
from jaxdl.functional_tasks import Study, weighed_row
from jaxdl.graph_figures import draw_graph
from jaxdl.models import functional
from jaxdl.regularisation import split_members
from jaxdl.report import Results, Table
from jaxdl.runs import Run


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
YES, NUMBER = {"output": "class"}, {"output": "number"}
BOTH = {"label": "class", "sequence": "number"}
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


def rows_of(config: Config, study: Study):
    """Training and test rows."""
    return topologies.train_and_test(study.make, getattr(config, f"{study.size}_rows"), config.test_rows)


def train(config: Config, run: Run, name: str, study: Study, data, variants, epochs=None):
    """All variants of a graph as one population; variant -> scores of its outputs on test rows."""
    hyper, seeds = tasks.population(variants, run.seeds)
    slower, fewer = (100, 2) if study.size == "image" else (1, 1)
    task = tasks.graph_task(study.graph, study.kinds, config.learning_rate / slower, hyper)
    epochs = getattr(config, f"{study.size}_epochs") if epochs is None else epochs
    shape = {"seeds": seeds, "epochs": epochs, "batch_size": config.batch_size // fewer}
    found = tasks.scores(run.fit(name, task, data[0], **shape), study.kinds, data[1])
    return split_members(found, list(variants))


def signed_series(config: Config, run: Run) -> list[dict]:
    """The two outputs on a series of both signs: the lecture's ReLU against no activation."""
    rows, weight = [], config.sequence_weights[-1]
    make = partial(topologies.saw_and_clean, lowest=-0.5)
    for head in ("relu", "linear"):
        graph = functional.multi_output(head)
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
        linear = tasks.linear_scores(study.graph, study.kinds, *data[name])
        whole = found.pop("whole")
        rows += tasks.output_rows(study, whole, start, linear)
        lesions += tasks.lesion_rows(study, whole, found)
        if name == "two-outputs":
            weighed = [weighed_row("0 .. 1", "relu", w, found[w]) for w in weights]
            weighed += [weighed_row("0 .. 1", "relu", last, whole), *signed_series(config, run)]

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
        notes=tasks.observations(rows, lesions),
    )
