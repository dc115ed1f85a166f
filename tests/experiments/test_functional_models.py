"""Lab 020: graphs as data, an LSTM against NumPy, tasks made for a graph, drawings, the lab."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import graph_tasks
from experiments import functional_models
from experiments.functional_models import STUDIES, Study, Variant
from jaxdl.figures.graphs import layout, levels_of
from jaxdl.language import speaking, translate
from jaxdl.models import layer_graph
from jaxdl.models.layer_graph import Concatenate, Dense, FunctionalModel, Graph, Node, chain
from jaxdl.models.lstm import LSTM, lstm_sequence
from jaxdl.training import fit, parameter_count

LECTURE = {
    "mlp": 351,
    "cnn": 128_565,
    "rnn": 601,
    "shared-input": 415_045,
    "shared-features": 1_151,
    "two-inputs": 156_053,
    "two-outputs": 1_452,
}


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_graphs_have_the_lectures_parameters(study):
    graph, count = study.graph, LECTURE[study.name]
    rows = layer_graph.summary(graph)
    assert sum(row.parameters for row in rows) == count
    batch = {name: jax.ShapeDtypeStruct((1, *s), np.float32) for name, s in graph.inputs.items()}
    model = FunctionalModel(graph)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, False), batch)
    assert parameter_count(variables) == count


def test_summary_has_the_lectures_shapes():
    shapes = {
        row.name: (row.shape, row.parameters) for row in layer_graph.summary(functional_models.CNN)
    }
    assert shapes["features_conv"] == ((61, 61, 32), 544)
    assert shapes["features_pool"] == ((20, 20, 32), 0)
    assert shapes["features_flat"] == ((12_800,), 0)
    assert shapes["hidden"] == ((10,), 128_010)
    rows = {row.name: row for row in layer_graph.summary(functional_models.multi_output())}
    assert rows["sequence"].shape == (100, 1)
    assert rows["second_lstm"].parameters == 840
    assert rows["sequence"].inputs == ("lstm",)


def numpy_lstm(x, kernel, recurrent, bias):
    """Keras's equations, one gate and one step at a time."""
    units = recurrent.shape[0]
    gate = {name: slice(i * units, (i + 1) * units) for i, name in enumerate("ifco")}
    h = c = np.zeros((len(x), units))
    states = []
    for t in range(x.shape[1]):
        z = {
            name: x[:, t] @ kernel[:, part] + h @ recurrent[:, part] + bias[part]
            for name, part in gate.items()
        }
        sigmoid = {name: 1 / (1 + np.exp(-z[name])) for name in "ifo"}
        c = sigmoid["f"] * c + sigmoid["i"] * np.tanh(z["c"])
        h = sigmoid["o"] * np.tanh(c)
        states.append(h)
    return np.stack(states, axis=1)


def test_lstm_equals_numpy_and_starts_like_keras():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(3, 7, 2)), jnp.float32)
    params = LSTM(5).init(jax.random.key(0), x)["params"]
    assert parameter_count({"params": params}) == 4 * (5 * (5 + 2) + 5)
    np.testing.assert_array_equal(params["bias"], np.repeat([0, 1, 0, 0], 5))
    recurrent = np.asarray(params["recurrent_kernel"])
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(5), atol=1e-5)
    limit = np.sqrt(6 / (2 + 20))
    assert 0.7 * limit < np.abs(params["kernel"]).max() <= limit

    kernel, bias = rng.normal(size=(2, 20)), rng.normal(size=20)
    recurrent = rng.normal(size=(5, 20))
    expected = numpy_lstm(np.asarray(x), kernel, recurrent, bias)
    arrays = [jnp.asarray(a, jnp.float32) for a in (x, kernel, recurrent, bias)]
    np.testing.assert_allclose(lstm_sequence(*arrays), expected, atol=2e-5)
    given = {"kernel": arrays[1], "recurrent_kernel": arrays[2], "bias": arrays[3]}
    np.testing.assert_allclose(LSTM(5).apply({"params": given}, x), expected[:, -1], atol=2e-5)
    every = LSTM(5, return_sequences=True).apply({"params": given}, x)
    np.testing.assert_allclose(every, expected, atol=2e-5)


FORK = Graph(
    "fork",
    {"a": (3,), "b": (2,)},
    (
        *chain("a", ("left", Dense(4))),
        Node("both", Concatenate(), ("left", "b")),
        *chain("both", ("yes", Dense(1, "sigmoid"))),
        *chain("left", ("number", Dense(2, "linear"))),
    ),
    ("yes", "number"),
)


def fork_rows(rows=64, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))
    made = {"a": a, "b": b, "yes": a[:, 0] + b[:, 0] > 0, "number": a[:, :2]}
    return {name: values.astype(np.float32) for name, values in made.items()}


def test_a_graph_computes_what_numpy_does_and_blanks_parts():
    rows, model = fork_rows(), FunctionalModel(FORK)
    variables = model.init(jax.random.key(0), jax.tree.map(jnp.asarray, rows), False)
    p = jax.tree.map(np.asarray, variables["params"])
    left = np.maximum(rows["a"] @ p["left"]["kernel"] + p["left"]["bias"], 0)
    yes = np.concatenate([left, rows["b"]], 1) @ p["yes"]["kernel"] + p["yes"]["bias"]
    number = left @ p["number"]["kernel"] + p["number"]["bias"]
    rows = jax.tree.map(jnp.asarray, rows)
    outputs = model.apply(variables, rows, False)
    np.testing.assert_allclose(outputs["yes"], yes[:, 0], atol=1e-5)
    np.testing.assert_allclose(outputs["number"], number, atol=1e-5)
    blank = model.apply(variables, rows, False, {"left": 0.0})
    alone = rows["b"] @ p["yes"]["kernel"][4:] + p["yes"]["bias"]
    np.testing.assert_allclose(blank["yes"], alone[:, 0], atol=1e-5)
    np.testing.assert_allclose(blank["number"], np.zeros_like(number), atol=1e-5)


def test_variants_train_side_by_side_as_they_do_alone():
    rows, kinds = fork_rows(), {"yes": "class", "number": "number"}
    variants = [
        Variant("whole"),
        Variant("no b", blanked="b"),
        Variant("yes only", loss_weights={"number": 0.0}),
    ]
    hyper, seeds = functional_models.population(variants, [0, 1])
    assert hyper["keep b"].tolist() == [1, 1, 0, 0, 1, 1]
    assert hyper["weight number"].tolist() == [1, 1, 1, 1, 0, 0]
    assert seeds.tolist() == [0, 1, 0, 1, 0, 1]
    task = functional_models.graph_task(FORK, kinds, 3e-2, hyper)
    together = fit(task, rows, seeds=seeds, epochs=15, batch_size=16)
    zeroed = rows | {"b": np.zeros_like(rows["b"])}
    alone = fit(
        functional_models.graph_task(FORK, kinds, 3e-2, {}),
        zeroed,
        seeds=[0, 1],
        epochs=15,
        batch_size=16,
    )
    for ours, theirs in zip(
        jax.tree.leaves(together.variables), jax.tree.leaves(alone.variables), strict=True
    ):
        np.testing.assert_allclose(ours[2:4], theirs, atol=1e-3)
    # without its loss a head stays where it started
    start = fit(task, rows, seeds=seeds, epochs=0, batch_size=16).variables["params"]["number"]
    end = together.variables["params"]["number"]
    np.testing.assert_array_equal(end["kernel"][4:], start["kernel"][4:])
    assert np.abs(end["kernel"][:2] - start["kernel"][:2]).max() > 1e-3
    found = functional_models.scores(together, kinds, rows)
    assert found["yes"][:2].min() > found["yes"][2:4].max()
    assert found["number"][0] > found["number"][4]


def linear_score(make, graph, kind, train_rows, test_rows):
    """The score of the linear model of the output, and the training targets."""
    study = Study("x", graph, make, "series", {"output": kind})
    train, test = graph_tasks.train_and_test(make, train_rows, test_rows)
    return functional_models.linear_scores(study, train, test)["output"], train["output"]


def test_tasks_need_more_than_a_straight_line():
    for make, graph in (
        (graph_tasks.shell, functional_models.MLP),
        (graph_tasks.saw, functional_models.RNN),
        (graph_tasks.saw_and_pace, functional_models.SHARED_FEATURES),
    ):
        score, target = linear_score(make, graph, "class", 1500, 1000)
        assert 0.4 < score < 0.6, make.__name__
        assert 0.4 < target.mean() < 0.6
    for make, graph in (
        (graph_tasks.directions, functional_models.CNN),
        (graph_tasks.two_scales, functional_models.SHARED_INPUT),
    ):
        score, _ = linear_score(make, graph, "class", 600, 500)
        assert 0.4 < score < 0.6, graph.title
    make, graph = graph_tasks.pair, functional_models.MULTI_INPUT
    score, target = linear_score(make, graph, "number", 300, 200)
    assert score < 0.2
    assert target.var() == pytest.approx(1, abs=0.2)


def test_each_sign_of_two_scales_is_right_three_times_out_of_four():
    rows = graph_tasks.two_scales(3000, 0)
    image, label = rows["image"][..., 0], rows["output"]

    def together(lag):  # mean product of columns so far apart
        return (image[:, :, lag:] * image[:, :, :-lag]).mean(axis=(1, 2))

    found = {}
    for name, value in {"stripes": -together(1), "ground": together(6)}.items():
        found[name] = value > (np.quantile(value, 0.05) + np.quantile(value, 0.95)) / 2
        assert (found[name] == label).mean() == pytest.approx(0.75, abs=0.03), name
        assert found[name][label == 1].mean() > 0.98, name
    assert (found["stripes"] & found["ground"])[label == 0].mean() < 0.02
    # columns that the fine branch sees at once, four and one from pooling, tell no ground from
    # another; those that the coarse branch sees do
    equal, opposite = label == 1, (label == 0) & found["stripes"]
    gaps = [
        abs(together(lag)[equal].mean() - together(lag)[opposite].mean()) for lag in range(1, 7)
    ]
    assert max(gaps[:5]) < 3e-4 < 0.02 < gaps[5]
    layers = {node.name: node.layer for node in functional_models.SHARED_INPUT.nodes}
    assert layers["fine_conv"].size + 1 <= graph_tasks.PERIOD < layers["coarse_conv"].size


def test_rows_depend_on_the_seed_alone():
    for make in (graph_tasks.directions, graph_tasks.pair, graph_tasks.saw_and_clean):
        once, again, other = make(4, 0), make(4, 0), make(4, 1)
        for name in once:
            np.testing.assert_array_equal(once[name], again[name])
        assert any((once[name] != other[name]).any() for name in once)
    low = graph_tasks.saw_and_clean(50, 0, lowest=-0.5)
    high = graph_tasks.saw_and_clean(50, 0)
    np.testing.assert_allclose(low["sequence"], high["sequence"] - 0.5)
    np.testing.assert_array_equal(low["series"], high["series"])
    noise = high["series"][..., 0] - high["sequence"]
    assert noise.std() == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_drawing_keeps_arrows_off_boxes(study):
    rows = layer_graph.summary(study.graph)
    places, ways = layout(rows)
    assert len(set(places.values())) == len(rows)
    levels = levels_of(rows)
    for (start, end), way in ways.items():
        assert way[0] == places[start]
        assert way[-1] == places[end]
        assert [level for _, level in way] == list(range(levels[start], levels[end] + 1))
        assert not set(way[1:-1]) & set(places.values())
    for one, other in itertools.combinations(places.values(), 2):
        assert one[1] != other[1] or abs(one[0] - other[0]) >= 1


def test_quick_preset_has_the_tables_of_all_graphs(quick_run):
    results = quick_run("functional_models").results
    models, ablations, weighed, *summaries = results.tables
    assert [row["parameters"] for row in models.rows] == [
        *(351, 128_565, 601, 415_045, 1_151, 156_053),
        *(1_452, 1_452),
    ]
    mlp = models.rows[0]
    assert float(mlp["trained"][0]) > 0.8
    assert mlp["linear model"] < 0.6
    assert len(ablations.rows) == 6
    assert [row["its output"] for row in weighed.rows] == ["relu"] * 4 + ["linear"]
    assert [table.title.rsplit(": ")[1] for table in summaries][1] == "128,565 parameters"
    assert set(results.figures) == set(LECTURE)


def test_what_a_mean_hides_is_said():
    row = {"model": "A-2", "output": "output", "measure": "accuracy"}
    well, badly = np.array([1.0, 0.98, 0.99]), np.array([1.0, 0.5, 0.51])
    worse, guessing = np.array([0.7, 0.5, 0.72]), np.array([0.5, 0.51, 0.49])
    observations = functional_models.observations
    assert observations([row | {"trained": well}], [], []) == []
    (stuck,) = observations([row | {"trained": badly}], [], [])
    assert stuck == "A-2: 2 of 3 seeds end at guessing."
    # a share of variance is no accuracy: nothing to guess
    assert observations([row | {"measure": "R²", "trained": badly}], [], []) == []

    def parts(whole, without, measure="accuracy"):
        found = {"whole": whole, "without": without, "blanked": "part", "measure": measure}
        return observations([], [{"model": "B-1"} | found], [])

    spare = "B-1: without part it does no worse where it learns"
    assert parts(well, well)[0].startswith(spare)
    # seeds that never learnt do not make a part look needed
    stuck, said = parts(well, badly)
    assert stuck == "B-1 without part: 2 of 3 seeds end at guessing."
    assert said.startswith(spare)
    # nor do those of the whole graph make it look spare
    assert parts(badly, worse) == ["B-1 without part: 1 of 3 seeds end at guessing."]
    # where nothing learns without it, it is needed
    assert parts(well, guessing) == ["B-1 without part: 3 of 3 seeds end at guessing."]
    assert parts(well, worse, "R²") == []
    assert parts(well, well, "R²")[0].startswith(spare)

    weights = functional_models.weight_row(
        "0 .. 1", "relu", 1.0, {"label": badly, "sequence": well}
    )
    (stuck,) = observations([], [], [weights])
    assert stuck == (
        "C-2 two outputs (series 0 to 1, relu, weight 1): 2 of 3 seeds end at guessing."
    )
    with speaking("ko"):
        for note in (stuck, said, parts(well, guessing)[0]):
            assert re.search("[가-힣]", translate(note)), note
