"""Vanishing gradients: descent on the real weights, the order of the nets, the lab's tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import vanishing_gradient as lab
from jaxdl import losses
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError
from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import Setting, setting
from jaxdl.training import fit


def test_training_is_plain_descent_on_the_real_weights():
    rng = np.random.default_rng(0)
    rows = {"x": rng.normal(size=(24, 4)).astype("f4"), "y": rng.integers(0, 10, 24).astype("i4")}
    x, y = jnp.asarray(rows["x"]), jnp.asarray(rows["y"])
    cases = [setting("tanh", "too large"), setting("relu", "glorot", "batch", "shortcut")]
    hyper = Setting(*np.float32(cases).T)._asdict()
    config = lab.Config(narrow=4, wide=6, learning_rate=0.3)
    task = lab.descent_task(config, 4, hyper)
    fitted = fit(task, rows, seeds=np.array([5, 5]), epochs=3, batch_size=24)
    for i, case in enumerate(cases):
        params = traced_mlp.init(jax.random.key(5), 2, 4, 6, 10)
        first, second = traced_mlp.weights(params, case)
        real = {**params, "first": first.reshape(2, -1), "second": second.reshape(2, -1)}
        scales = traced_mlp.weight_scales(case.initialiser, 4, 6)

        def loss(real, case=case, scales=scales):
            units = {"first": real["first"] / scales[0], "second": real["second"] / scales[1]}
            logits = traced_mlp.apply({**real, **units}, x, case)[0]
            return losses.softmax_cross_entropy(logits, y).mean()

        gradient = jax.jit(jax.grad(loss))
        for _ in range(3):
            grads = gradient(real)
            norm = np.sqrt(sum(np.square(g).sum() for g in jax.tree.leaves(grads)))
            shrink = min(1, 1 / norm)
            real = jax.tree.map(lambda w, g, s=shrink: w - 0.3 * s * g, real, grads)
        ours = jax.tree.map(lambda x, i=i: x[i], fitted.variables["params"])
        np.testing.assert_allclose(ours["first"] * scales[0], real["first"], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(ours["stem"], real["stem"], rtol=1e-3, atol=1e-5)


def test_nets_are_found_by_name():
    assert len(lab.NETS) == 150
    mask = lab.chosen(activation="relu", norm="batch")
    assert mask.sum() == 10
    picked = [net for net, wanted in zip(lab.NETS, mask, strict=True) if wanted]
    assert {(net.activation, net.norm) for net in picked} == {("relu", "batch")}
    i = lab.index_of(activation="gelu", initialiser="he", norm="layer", shortcut="shortcut")
    assert lab.NETS[i] == ("gelu", "he", "layer", "shortcut")
    columns = lab.settings(lab.NETS)
    assert [int(columns[name][i]) for name in Setting._fields] == [4, 1, 2, 1]
    assert lab.settings(lab.NETS[:2])["shortcut"].tolist() == [0, 1]


def test_values_of_members_are_sorted_by_net():
    members = np.arange(300).repeat(7).reshape(300, 7)  # two seeds of each net
    assert lab.by_net(members).shape == (150, 2, 7)
    assert lab.by_net({"x": members})["x"][3, :, 0].tolist() == [6, 7]


def test_activations_are_those_of_the_layers_shown():
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    values = lab.activations_at_start(x, seed=1, layers=12, wide=6)
    assert list(values["relu, he"]) == [1, 3, 5, 7, 9, 12]
    params = traced_mlp.init(jax.random.key(1), 6, 4, 6, 10)
    _, trace = traced_mlp.apply(params, jnp.asarray(x), setting("relu", "he"))
    np.testing.assert_array_equal(values["relu, he"][3], trace.outer_value[1])
    np.testing.assert_array_equal(values["relu, he"][12], trace.inner_value[5])


def test_lab_maps_gradients_and_predicts_them(quick_run):
    results = quick_run("vanishing_gradient").results
    plain, theory, learning, deepest, prediction = results.tables
    rows = {(row["activation"], row["initialiser"]): row for row in plain.rows}
    assert rows["sigmoid", "glorot"]["measured"][0] < -7
    for name in (("sigmoid", "glorot"), ("tanh", "lecun")):
        predicted = rows[name]["log10 gradient ratio, theory"]
        assert abs(rows[name]["measured"][0] - predicted) < 0.3, name
    assert abs(rows["relu", "he"]["measured"][0]) < 1.5
    sigmoid = rows["sigmoid", "he"]
    assert sigmoid["log10 of the first kernel's move"][0] < -6
    assert sigmoid["of the last one's"][0] > -3
    smallest = rows["sigmoid", "too small"]
    assert smallest["log10 of the first kernel's move"] == "not at all"
    assert all(row["correlation"] > 0.9 for row in theory.rows if row["net"] == "plain")
    assert len(learning.rows) == 6
    assert len(deepest.rows) == 5
    assert len(prediction.rows) == 4
    assert {"functions_and_slopes", "gradients", "accuracy", "activations"} <= set(results.figures)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--depths", "2", "7"], "--depths 2 7: give even numbers"),
        (["--shown", "6"], "--shown 6: give one of --depths 2 12"),
        (["--valid-rows", "881"], "--train-rows 320, --valid-rows 881: .* there are 1200"),
    ],
)
def test_depths_and_rows_that_cannot_be_are_refused(options, told, tmp_path):
    words = ["vanishing_gradient", "--preset", "quick", "--source", "simulated", *options]
    with pytest.raises(UserError, match=told):
        launch([*words, "--workdir", str(tmp_path / "run")])


@pytest.mark.parametrize(
    ("depths", "asked", "shown"), [((6, 2), 0, 6), ((50, 2, 12, 24, 6), 0, 12), ((2, 6), 2, 2)]
)
def test_the_middle_depth_is_shown_where_none_is_asked_for(depths, asked, shown):
    assert lab.shown_depth(lab.Config(depths=depths, shown=asked)) == shown


def test_cells_tell_what_float32_does_not_hold():
    assert lab.ratio_cell(np.array([-3.0, -36.0])) is None
    assert lab.ratio_cell(np.array([-3.0, -4.0])).tolist() == [-3, -4]
    assert lab.move_cell(np.array([0.1, 0.01])).tolist() == [-1, -2]
    assert lab.move_cell(np.zeros(3)) == "not at all"
    assert lab.move_cell(np.array([0.1, 0.0, 0.2])) == "not at all with 1 of 3 seeds"


def test_both_lines_of_the_gradients_are_medians_of_examples(quick_run):
    draw = quick_run("vanishing_gradient").results.figures["gradients_by_layer"]
    (depth,) = draw.args
    figure = draw()
    panel = figure.axes[0]  # plain nets, no normalisation; sigmoid comes first
    before, after = panel.lines[:2]
    i = lab.index_of(activation="sigmoid", initialiser="he", norm="none", shortcut="plain")
    for line, measured in ((before, depth.start), (after, depth.end)):
        medians = measured.example_gradients[i].mean(axis=0)[:, 1]
        np.testing.assert_allclose(line.get_ydata(), medians)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named[-2:] == [
        "median of examples,\nbefore training",
        "median of examples,\nafter training",
    ]
    assert len({axis.get_ylim() for axis in figure.axes}) == 1  # steep and flat can be compared
