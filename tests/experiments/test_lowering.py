"""Every lab's train steps for a GPU and a TPU, made where there is neither.

An epoch must be one program there, without double precision. What a program is made of on an
accelerator is decided by `jax.default_backend()`, which the test answers in its place.
"""

import re
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from jaxdl.training import batch_order, loop
from jaxdl.training import step as programs
from jaxdl.training.state import hyper_arrays, init_member
from tests.conftest import LABS

BACKENDS = {"cuda": "gpu", "tpu": "tpu"}
MOST_MODELS = 4
TRAINS_NO_NET = {
    "clustering",
    "image_segmentation",
    "outliers",
    "semi_supervised",
    "taxi_isolation_forest",
}


def population(asked):
    """Shapes of the first group of members before the first step, and their hyper-parameters."""
    task, members = asked.task, programs.groups_of(asked.task, len(asked.seeds))[0]
    hyper = {k: jnp.asarray(v[members]) for k, v in hyper_arrays(task, len(asked.seeds)).items()}

    def start(seed, hyper):
        example = {name: jnp.zeros((1, *x.shape[1:]), x.dtype) for name, x in asked.train.items()}
        return init_member(task, example, seed, hyper)

    seeds = jnp.asarray(asked.seeds[members])
    return jax.eval_shape(jax.vmap(start), seeds, hyper), hyper


def different_models(fits):
    """A fit of each model of the lab, those with other layers or sizes."""
    found = {}
    for asked in fits:
        state, _ = population(asked)
        shapes = str(jax.tree.map(lambda leaf: leaf.shape, state.params))
        found.setdefault(shapes, asked)
    return list(found.values())[:MOST_MODELS]


def lowered(asked, platform):
    """The program of an epoch, as text."""
    state, hyper = population(asked)
    width, rows = len(state.step), next(iter(asked.train.values())).shape[0]
    steps = batch_order.steps_per_epoch(rows, asked.batch_size)
    order = jax.ShapeDtypeStruct((width, steps, asked.batch_size), jnp.int32)
    mask = jax.ShapeDtypeStruct((steps, asked.batch_size), bool)
    program = jax.jit(partial(programs.scan_steps, asked.task))
    traced = program.trace(state, dict(asked.train), order, mask, jnp.int32(0), hyper, None)
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("lab", LABS)
def test_train_steps_lower_for_accelerators(lab, quick_run, monkeypatch):
    fits = quick_run(lab).fits
    assert bool(fits) == (lab not in TRAINS_NO_NET)
    models = different_models(fits)
    for platform, backend in BACKENDS.items():
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        for asked in models:
            assert programs.prefers_scan(asked.task, {}, asked.batch_size)
            text = lowered(asked, platform)
            assert "stablehlo.while" in text
            assert not re.search(r"\bf64\b|xf64>", text)


def test_epochs_of_the_courses_size_are_one_program(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for rows, row, batch_size in (
        (50_000, 32 * 32 * 3 + 4, 32),  # CIFAR-10
        (227_451, 30 * 4, 32),  # transactions
        (60_000, 784, 32),  # digits
        (25_000, 2 * 1_500, 512),  # reviews
    ):
        steps = batch_order.steps_per_epoch(rows, batch_size)
        assert min(loop._scan_limits(row * batch_size)) >= steps
