"""The atlas of gradients: nets against Flax's functions, theory against integrals, the lab."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from jaxdl import losses
from jaxdl.cli.launcher import launch
from jaxdl.diagnostics import mean_field, probes, signal_propagation
from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import Setting
from jaxdl.training import fit

FUNCTIONS = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "leaky relu": jax.nn.leaky_relu,
    "gelu": jax.nn.gelu,
}


def setting(activation, initialiser="lecun", norm="none", shortcut="plain") -> Setting:
    given = (activation, initialiser, norm, shortcut)
    return Setting(
        *(axis.index(name) for axis, name in zip(signal_propagation.AXES, given, strict=True))
    )


@pytest.mark.parametrize("name", traced_mlp.ACTIVATIONS)
def test_one_formula_gives_every_activation_and_its_slope(name):
    number, function = traced_mlp.ACTIVATIONS.index(name), FUNCTIONS[name]
    x = np.linspace(-30, 30, 1200).astype(np.float32)  # no zero, where slopes may differ
    np.testing.assert_allclose(traced_mlp.activate(x, number), function(x), rtol=1e-5, atol=2e-6)
    slopes = jax.vmap(jax.grad(function))(x)
    np.testing.assert_allclose(traced_mlp.slope(x, number), slopes, rtol=1e-4, atol=1e-5)
    huge = traced_mlp.activate(jnp.array([-1e30, 1e30]), number)
    assert np.isfinite(huge).all()


def test_initial_scales():
    narrow, wide = 24, 48
    variances = {name: [] for name in traced_mlp.INITIALISERS}
    for i, name in enumerate(traced_mlp.INITIALISERS):
        variances[name] = [float(s) ** 2 for s in traced_mlp.weight_scales(i, narrow, wide)]
    assert variances["glorot"] == pytest.approx([2 / 72, 2 / 72])
    assert variances["he"] == pytest.approx([2 / 24, 2 / 48])
    assert variances["lecun"] == pytest.approx([1 / 24, 1 / 48])
    assert variances["too small"] == pytest.approx([0.25 / 24, 0.25 / 48])
    assert variances["too large"] == pytest.approx([4 / 24, 4 / 48])


def test_normalisation_equals_numpy():
    x = np.random.default_rng(0).normal(3, 2, size=(40, 6)).astype(np.float32)
    np.testing.assert_array_equal(traced_mlp.normalise(x, 0), x)
    for norm, axis in ((1, 0), (2, 1)):
        spread = np.sqrt(x.var(axis=axis, keepdims=True) + 1e-5)
        expected = (x - x.mean(axis=axis, keepdims=True)) / spread
        np.testing.assert_allclose(traced_mlp.normalise(x, norm), expected, atol=1e-5)


@pytest.mark.parametrize("shortcut", ["plain", "shortcut"])
def test_net_equals_a_loop_over_its_layers(shortcut):
    chosen = setting("tanh", "he", "layer", shortcut)
    params = traced_mlp.init(jax.random.key(0), 3, 4, 6, 10)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    first, second = (np.asarray(w) for w in traced_mlp.weights(params, chosen))
    assert first.std() == pytest.approx(np.sqrt(2 / 4), rel=0.2)

    def f(x):
        spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return np.tanh((x - x.mean(axis=1, keepdims=True)) / spread)

    h = x @ np.asarray(params["stem"])
    for a, b in zip(first, second, strict=True):
        h = (h if shortcut == "shortcut" else 0) + f(f(h) @ a) @ b
    logits, trace = traced_mlp.apply(params, x, chosen)
    np.testing.assert_allclose(logits, f(h) @ np.asarray(params["head"]), rtol=1e-3, atol=1e-4)
    assert trace.inner_value.shape == (3, 5, 6)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu"])
def test_gaussian_integrals_equal_scipys(name):
    function, number, variance = FUNCTIONS[name], traced_mlp.ACTIVATIONS.index(name), 1.7
    slope = jax.jit(jax.grad(function))

    def mean(f):
        def weighted(z):
            return float(f(np.sqrt(variance) * z)) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

        return quad(weighted, -8, 8, limit=100)[0]

    first, square = mean(function), mean(lambda z: function(z) ** 2)
    expected = (square, square - first**2, mean(lambda z: slope(float(z)) ** 2))
    np.testing.assert_allclose(mean_field.moments(number, variance), expected, rtol=1e-3)


def test_theory_of_rectifiers_is_known():
    square, variance, slope = mean_field.moments(traced_mlp.ACTIVATIONS.index("relu"), 3.0)
    assert float(square) == pytest.approx(1.5, rel=1e-4)
    assert float(slope) == pytest.approx(0.5, rel=1e-4)
    assert float(variance) == pytest.approx(3 * (0.5 - 1 / (2 * np.pi)), rel=2e-2)
    # of one width He keeps a gradient as it is and LeCun halves its square in each layer
    he = mean_field.gradient_profile(setting("relu", "he"), 5, 30, 30)
    np.testing.assert_allclose(he, np.zeros(6), atol=1e-4)
    lecun = mean_field.gradient_profile(setting("relu", "lecun"), 5, 30, 30)
    np.testing.assert_allclose(lecun, np.log10(0.5) * np.arange(5, -1, -1), atol=1e-3)
    # a shortcut adds the block's factor to 1; batch normalisation of ReLUs explodes by pi / (pi-1)
    shortcut = mean_field.gradient_profile(setting("relu", "he", shortcut="shortcut"), 5, 30, 30)
    np.testing.assert_allclose(shortcut, 0.5 * np.log10(2) * np.arange(5, -1, -1), atol=1e-3)
    batch = mean_field.gradient_profile(setting("relu", "he", "batch"), 6, 30, 30)
    step = np.log10(np.pi / (np.pi - 1))
    np.testing.assert_allclose(batch[1:-1] - batch[2:], np.full(5, step), rtol=0.02)


@pytest.mark.parametrize("norm", traced_mlp.NORMS)
def test_wide_nets_do_what_theory_says(norm):
    """Four nets of 128 units: the measured signal is within a tenth of a decade per ten layers."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(48, 128)), jnp.float32)
    y = jnp.asarray(rng.integers(0, 10, 48))
    cases = [
        setting(f, i, norm, s)
        for f, i, s in itertools.product(
            ("tanh", "relu"), ("lecun", "too large"), ("plain", "shortcut")
        )
    ]
    keys = jax.random.split(jax.random.key(0), 4)
    settings = Setting(*np.array(cases).T)

    def signal(setting, key):
        params = traced_mlp.init(key, 5, 128, 128, 10)
        return signal_propagation.measure_one(params, setting, x, y).signal

    found = jax.jit(jax.vmap(jax.vmap(signal, (None, 0)), (0, None)))(settings, keys)
    found = np.asarray(found - found[..., -1:]).mean(axis=1)
    for case, measured in zip(cases, found, strict=True):
        theory = mean_field.gradient_profile(case, 5, 128, 128)
        np.testing.assert_allclose(
            measured, theory, atol=0.15, err_msg=str(signal_propagation.names(case))
        )


def test_measured_gradients_are_those_of_autodiff():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(7, 4)), jnp.float32)
    y = jnp.asarray(rng.integers(0, 10, 7))
    chosen = setting("gelu", "glorot", "layer", "shortcut")
    params = traced_mlp.init(jax.random.key(3), 2, 4, 6, 10)
    measured = jax.jit(signal_propagation.measure_one)(params, chosen, x, y)

    def loss(params, example):
        logits = traced_mlp.apply(params, example["x"][None], chosen)[0]
        return losses.softmax_cross_entropy(logits, example["y"][None])[0]

    batch = {"x": x, "y": y}
    each = jax.jit(lambda p: probes.per_example_gradients(loss, p, batch))(params)
    scales = traced_mlp.weight_scales(chosen.initialiser, 4, 6)
    for i, (name, scale) in enumerate(zip(("first", "second"), scales, strict=True)):
        real = np.asarray(each[name]) / float(scale)  # with respect to the real weights
        together = np.linalg.norm(real.mean(axis=0), axis=-1)
        np.testing.assert_allclose(10 ** measured.weights[i::2], together, rtol=1e-3)
        quantiles = np.quantile(np.linalg.norm(real, axis=-1), [0.1, 0.5, 0.9], axis=0).T
        np.testing.assert_allclose(10 ** measured.examples[i::2], quantiles, rtol=1e-3)


def test_training_is_plain_descent_on_the_real_weights():
    rng = np.random.default_rng(0)
    rows = {"x": rng.normal(size=(24, 4)).astype("f4"), "y": rng.integers(0, 10, 24).astype("i4")}
    cases = [setting("tanh", "too large"), setting("relu", "glorot", "batch", "shortcut")]
    hyper, seeds = signal_propagation.population(cases, [5])
    task = signal_propagation.task(hyper, 2, 6, 10, 0.3)
    fitted = fit(task, rows, seeds=seeds, epochs=3, batch_size=24)
    for i, case in enumerate(cases):
        params = traced_mlp.init(jax.random.key(5), 2, 4, 6, 10)
        first, second = traced_mlp.weights(params, case)
        real = {**params, "first": first.reshape(2, -1), "second": second.reshape(2, -1)}
        scales = traced_mlp.weight_scales(case.initialiser, 4, 6)

        def loss(real, case=case, scales=scales):
            units = {"first": real["first"] / scales[0], "second": real["second"] / scales[1]}
            logits = traced_mlp.apply({**real, **units}, rows["x"], case)[0]
            return losses.softmax_cross_entropy(logits, rows["y"]).mean()

        gradient = jax.jit(jax.grad(loss))
        for _ in range(3):
            grads = gradient(real)
            norm = np.sqrt(sum(np.square(g).sum() for g in jax.tree.leaves(grads)))
            shrink = min(1, 1 / norm)
            real = jax.tree.map(lambda w, g, s=shrink: w - 0.3 * s * g, real, grads)
        ours = jax.tree.map(lambda x, i=i: x[i], fitted.variables["params"])
        np.testing.assert_allclose(ours["first"] * scales[0], real["first"], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(ours["stem"], real["stem"], rtol=1e-3, atol=1e-5)


def test_combinations_by_name():
    assert len(signal_propagation.COMBINATIONS) == 150
    mask = signal_propagation.chosen(activation="relu", norm="batch")
    assert mask.sum() == 10
    picked = [
        signal_propagation.names(c)
        for c, m in zip(signal_propagation.COMBINATIONS, mask, strict=True)
        if m
    ]
    assert {(name[0], name[2]) for name in picked} == {("relu", "batch")}
    hyper, seeds = signal_propagation.population(signal_propagation.COMBINATIONS[:2], [7, 8])
    assert seeds.tolist() == [7, 8, 7, 8]
    assert hyper["shortcut"].tolist() == [0, 0, 1, 1]


def test_lab_runs_and_evaluates_to_the_same_tables(tmp_path, capsys):
    lab = ["experiments/vanishing_gradient.py", "--workdir", str(tmp_path / "run")]
    results = launch([*lab, "--preset", "quick", "--source", "simulated"])[0]
    plain, theory, trained, deepest, foresight = results.tables
    rows = {(row["activation"], row["initialiser"]): row for row in plain.rows}
    assert rows["sigmoid", "glorot"]["measured"][0] < -7
    for name in (("sigmoid", "glorot"), ("tanh", "lecun")):
        predicted = rows[name]["log10 gradient ratio, theory"]
        assert abs(rows[name]["measured"][0] - predicted) < 0.3, name
    assert abs(rows["relu", "he"]["measured"][0]) < 1.5
    sigmoid = rows["sigmoid", "glorot"]
    assert sigmoid["log10 of the first kernel's move"][0] < -6
    assert sigmoid["of the last one's"][0] > -3
    assert all(row["correlation"] > 0.9 for row in theory.rows if row["net"] == "plain")
    assert len(trained.rows) == 6
    assert len(deepest.rows) == 5
    assert len(foresight.rows) == 4
    figures = {path.stem for path in (tmp_path / "run" / "figures").iterdir()}
    assert {"functions_and_slopes", "gradients", "accuracy", "activations"} <= figures
    launch(["--eval", str(tmp_path / "run")])
    assert "identical to its results.json" in capsys.readouterr().out
