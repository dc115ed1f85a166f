"""Gradient transforms against analytic gradients, automatic differentiation and Adam by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim


def make_params(seed=0):
    keys = jax.random.split(jax.random.key(seed), 4)
    return {
        "Dense_0": {"kernel": jax.random.normal(keys[0], (5, 3)), "bias": jnp.ones(3)},
        "BatchNorm_0": {"scale": jnp.full(3, 2.0), "bias": jnp.ones(3)},
        "Embed_0": {"embedding": jax.random.normal(keys[1], (4, 2))},
        "Dense_1": {"kernel": jax.random.normal(keys[2], (3, 2)), "bias": jnp.ones(2)},
    }


def make_grads(seed=1):
    return jax.tree.map(lambda w: 0.1 * jnp.cos(3 * w), make_params(seed))


def assert_trees_close(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


TRANSFORMS = {
    "l1": (lambda: optim.l1(0.03), {"l1": 0.03}),
    "l2": (lambda: optim.l2(0.02), {"l2": 0.02}),
    "elastic_net": (lambda: optim.elastic_net(0.03, 0.02), {"l1": 0.03, "l2": 0.02}),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_penalty_gradient_is_that_of_the_penalty(name):
    make, strengths = TRANSFORMS[name]
    params, grads = make_params(), make_grads()
    transform = make()
    updates, _ = transform.update(grads, transform.init(params), params)
    slope = jax.grad(lambda p: optim.penalty(p, **strengths))(params)
    assert_trees_close(updates, jax.tree.map(jnp.add, grads, slope), rtol=1e-6)


def test_penalty_value_and_gradient_by_hand_in_keras_convention():
    params = {"Dense_0": {"kernel": jnp.array([[2.0, -3.0, 0.0]]), "bias": jnp.array([7.0])}}
    assert optim.penalty(params, l1=0.1, l2=0.01) == pytest.approx(0.1 * 5 + 0.01 * 13)
    zero = jax.tree.map(jnp.zeros_like, params)
    transform = optim.elastic_net(0.1, 0.01)
    updates, _ = transform.update(zero, transform.init(params), params)
    expected = [[0.1 + 0.02 * 2, -0.1 - 0.02 * 3, 0.0]]
    np.testing.assert_allclose(updates["Dense_0"]["kernel"], expected, rtol=1e-6)
    assert updates["Dense_0"]["bias"].tolist() == [0.0]


def test_only_kernels_are_touched():
    params, grads = make_params(), make_grads()
    for transform in (optim.l2(1.0), optim.l1(1.0), optim.soft_threshold(1.0, 1.0)):
        updates, _ = transform.update(grads, transform.init(params), params)
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), updates, grads)
        flags, _ = jax.tree_util.tree_flatten_with_path(changed)
        assert {path[-1].key for path, flag in flags if flag} == {"kernel"}


def test_where_picks_layers_and_a_choice_of_nothing_is_refused():
    params, grads = make_params(), make_grads()
    transform = optim.l2(1.0, where=lambda names: names == ("Dense_0", "kernel"))
    updates, _ = transform.update(grads, transform.init(params), params)
    assert (updates["Dense_1"]["kernel"] == grads["Dense_1"]["kernel"]).all()
    assert (updates["Dense_0"]["kernel"] != grads["Dense_0"]["kernel"]).any()
    with pytest.raises(ValueError, match="no parameter"):
        optim.l2(1.0, where=lambda names: names[-1] == "kernels").update(
            grads, optax.EmptyState(), params
        )
    with pytest.raises(ValueError, match="no parameter"):
        optim.penalty({"bias": jnp.ones(2)}, l2=1.0)


@pytest.mark.parametrize("transform", [optim.l1(0.1), optim.soft_threshold(0.1, 0.1)])
def test_missing_params_are_named(transform):
    params = make_params()
    with pytest.raises(ValueError, match="needs the parameters"):
        transform.update(make_grads(), transform.init(params))


def test_soft_threshold_turns_an_update_into_a_proximal_step():
    params = {"kernel": jnp.array([0.5, -0.5, 0.05, -0.05, 0.2])}
    updates = {"kernel": jnp.array([0.1, 0.1, 0.01, 0.01, -0.5])}
    transform = optim.soft_threshold(2.0, 0.05)
    moved, _ = transform.update(updates, transform.init(params), params)
    new = optax.apply_updates(params, moved)["kernel"]
    np.testing.assert_allclose(new, [0.5, -0.3, 0.0, 0.0, -0.2], atol=1e-7)
    assert new[2] == 0
    assert new[3] == 0


def test_soft_threshold_solves_the_lasso_that_has_a_closed_form():
    # With orthonormal columns the lasso is the shrunk least-squares solution.
    rng = np.random.default_rng(0)
    x, _ = np.linalg.qr(rng.normal(size=(20, 6)))
    y = x @ np.array([3.0, -2.0, 0.1, 0.05, 0.0, 1.0]) + 0.01 * rng.normal(size=20)
    solver = optax.chain(optax.sgd(0.3), optim.soft_threshold(0.2, 0.3))
    params = {"kernel": jnp.zeros(6)}
    state = solver.init(params)
    slope = jax.grad(lambda p: 0.5 * jnp.sum((x @ p["kernel"] - y) ** 2))
    step = jax.jit(lambda p, s: solver.update(slope(p), s, p))
    for _ in range(100):
        updates, state = step(params, state)
        params = optax.apply_updates(params, updates)
    exact = np.sign(x.T @ y) * np.maximum(np.abs(x.T @ y) - 0.2, 0)
    np.testing.assert_allclose(params["kernel"], exact, atol=1e-5)
    assert ((params["kernel"] == 0) == (exact == 0)).all()


def test_soft_threshold_follows_a_schedule():
    schedule = optax.piecewise_constant_schedule(0.1, {1: 0.1})
    transform = optim.soft_threshold(1.0, schedule)
    params = {"kernel": jnp.array([1.0])}
    state, still = transform.init(params), {"kernel": jnp.zeros(1)}
    first, state = transform.update(still, state, params)
    second, state = transform.update(still, state, params)
    assert first["kernel"][0] == pytest.approx(-0.1)
    assert second["kernel"][0] == pytest.approx(-0.01, rel=1e-4)


def keras_adam_by_hand(gradients, learning_rate=1e-3, b1=0.9, b2=0.999, epsilon=1e-7):
    m = v = w = np.zeros_like(gradients[0])
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        alpha = learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
        w = w - alpha * m / (np.sqrt(v) + epsilon)
    return w


def run_steps(optimizer, gradients):
    params = jnp.zeros_like(gradients[0])
    state = optimizer.init(params)
    for g in gradients:
        updates, state = optimizer.update(g, state, params)
        params = optax.apply_updates(params, updates)
    return params


def test_adam_is_keras_adam_for_tiny_gradients_too():
    rng = np.random.default_rng(0)
    scales = np.array([1.0, 1e-3, 1e-6, 1e-8])
    gradients = [scales * rng.normal(size=4) for _ in range(7)]
    ours = run_steps(optim.adam(), [jnp.asarray(g, jnp.float32) for g in gradients])
    np.testing.assert_allclose(ours, keras_adam_by_hand(gradients), rtol=2e-4)


def test_adam_equals_optax_adam_where_epsilon_does_not_matter_and_when_flattened():
    params, grads = make_params(), make_grads()
    ours, theirs = optim.adam(1e-2, epsilon=1e-20), optax.adam(1e-2, eps=1e-20)
    flat = optax.flatten(ours)
    results = [t.update(grads, t.init(params), params)[0] for t in (ours, theirs, flat)]
    assert_trees_close(results[0], results[1], rtol=1e-5)
    assert_trees_close(results[0], results[2], rtol=1e-6)


def test_adam_takes_a_schedule():
    schedule = optax.piecewise_constant_schedule(1e-3, {2: 0.0})
    gradients = [jnp.ones(3)] * 5
    np.testing.assert_allclose(
        run_steps(optim.adam(schedule), gradients), run_steps(optim.adam(), gradients[:2])
    )


def test_strengths_and_learning_rates_may_differ_along_a_vmapped_population():
    params, grads = make_params(), make_grads()

    def one_step(l1, l2, prox, learning_rate):
        chain = optax.chain(
            optim.elastic_net(l1, l2),
            optim.adam(learning_rate),
            optim.soft_threshold(prox, learning_rate),
        )
        updates, _ = chain.update(grads, chain.init(params), params)
        return optax.apply_updates(params, updates)

    hyper = jnp.array([[0.0, 0.0, 0.0, 1e-3], [0.1, 0.2, 3.0, 1e-2], [0.0, 1.0, 0.0, 0.1]])
    together = jax.jit(jax.vmap(one_step))(*hyper.T)
    for i, member in enumerate(hyper.tolist()):
        apart = one_step(*member)
        assert_trees_close(jax.tree.map(lambda x, i=i: x[i], together), apart, rtol=1e-5, atol=1e-6)


def test_lookahead_pulls_the_weights_to_their_average():
    transform = optax.chain(optax.sgd(1.0), optim.lookahead(0.25, every=2))
    weight, state = jnp.array(0.0), None
    state = transform.init(weight)
    seen = []
    for gradient in (-1.0, -3.0, -1.0, -1.0):
        update, state = transform.update(jnp.array(gradient), state, weight)
        weight = optax.apply_updates(weight, update)
        seen.append(float(weight))
    # 1; then 4 meets 0: 3; 4; then 5 meets 3: 4.5
    assert seen == [1.0, 3.0, 4.0, 4.5]


def test_lookahead_that_keeps_nothing_changes_nothing():
    params, grads = make_params(), make_grads()
    plain, ahead = optax.sgd(0.1), optax.chain(optax.sgd(0.1), optim.lookahead(0.0, every=1))
    updates = [t.update(grads, t.init(params), params)[0] for t in (plain, ahead)]
    assert_trees_close(*updates, atol=1e-6)


def test_lookahead_asks_its_schedule_with_the_steps_done():
    asked = []

    def keep(count):
        asked.append(int(count))
        return 0.0

    transform = optim.lookahead(keep, every=2)
    state = transform.init(jnp.zeros(()))
    for _ in range(3):
        _, state = transform.update(jnp.ones(()), state, jnp.zeros(()))
    assert asked == [1, 2, 3]


def test_lookahead_needs_the_parameters():
    transform = optim.lookahead(0.5, every=2)
    with pytest.raises(ValueError, match="needs the parameters"):
        transform.update(jnp.ones(()), transform.init(jnp.zeros(())))
