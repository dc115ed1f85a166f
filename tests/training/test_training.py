"""The engine: order, step, padding, populations, early stopping, resume, stop, bad losses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.errors import Interrupted, NotFinite, UserError
from jaxdl.runs.progress import ProgressBar, StopRequest
from jaxdl.training import batch_order, fit, parameter_count
from jaxdl.training import step as programs
from jaxdl.training.callback import Silent
from jaxdl.training.checkpoint import Checkpoints
from jaxdl.training.task import ROW_MASK
from tests import tasks

FIT = {"epochs": 3, "batch_size": 16}


class StopAfter(Silent):
    """Asks to stop after so many looks."""

    def __init__(self, looks):
        self.looks = looks

    def stop_signal(self):
        self.looks -= 1
        return 2 if self.looks < 0 else 0


@pytest.fixture(params=["scan", "loop"])
def either_program(request, monkeypatch):
    """Run a test with many steps in one program, and with single steps."""
    monkeypatch.setattr(programs, "prefers_scan", lambda *_: request.param == "scan")
    monkeypatch.setattr("jaxdl.training.loop.SCAN_STEPS", 3)
    monkeypatch.setattr("jaxdl.training.loop.PIECE_SECONDS", 0.0)
    return request.param


def test_an_epoch_holds_every_row_once_and_depends_on_seed_and_epoch_only():
    order = batch_order.epoch_order(7, 2, 103, 16)
    mask = batch_order.padding_mask(103, 16)
    assert order.shape == mask.shape == (7, 16)
    assert sorted(order[mask]) == list(range(103))
    assert (order == batch_order.epoch_order(7, 2, 103, 16)).all()
    assert (order != batch_order.epoch_order(7, 3, 103, 16)).any()
    assert (order != batch_order.epoch_order(8, 2, 103, 16)).any()


def by_hand(task, rows, seed, epochs, batch_size):
    """The same training written out: one member, no jit, no padding, optax called directly."""
    variables = task.init(jax.random.key(seed), {"x": jnp.zeros((1, 5))})
    params, transform = variables["params"], task.optimizer({})
    opt_state, step, curve = transform.init(params), 0, []
    for epoch in range(epochs):
        total = 0.0
        order = batch_order.epoch_order(seed, epoch, len(rows["x"]), batch_size).reshape(-1)
        order = order[: len(rows["x"])]
        for start in range(0, len(order), batch_size):
            batch = {"x": rows["x"][order[start : start + batch_size]]}
            key = jax.random.fold_in(jax.random.key(seed), step)

            def loss(params, batch=batch, key=key):
                outputs, _ = task.apply({"params": params}, batch, key, True, {})
                return task.loss(outputs, batch, {}).mean()

            value, grads = jax.value_and_grad(loss)(params)
            total += float(value) * len(batch["x"])
            updates, opt_state = transform.update(grads, opt_state, params)
            params, step = optax.apply_updates(params, updates), step + 1
        curve.append(total / len(order))
    return params, curve


@pytest.mark.parametrize(("count", "noise"), [(103, 0.0), (96, 0.1)])
def test_fit_equals_the_same_training_written_by_hand(rows, either_program, count, noise):
    rows = {"x": rows["x"][:count]}  # noise is drawn for padding rows too: 96 rows have none
    task = tasks.autoencoder(noise=noise)
    fitted = fit(task, rows, seeds=[4], **FIT)
    params, curve = by_hand(task, rows, 4, **FIT)
    np.testing.assert_allclose(fitted.history["train_loss"][:, 0], curve, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-4, atol=1e-6),
        fitted.variables["params"],
        params,
    )


def test_a_member_of_a_population_is_the_fit_of_its_seed(rows, either_program):
    task = tasks.autoencoder(noise=0.1)
    together = fit(task, rows, rows, seeds=[3, 4, 5], **FIT)
    alone = fit(task, rows, rows, seeds=[4], **FIT)
    assert together.history["valid_loss"].shape == (3, 3)
    for name in together.history:
        np.testing.assert_allclose(
            together.history[name][:, 1], alone.history[name][:, 0], rtol=1e-5
        )
    assert not np.allclose(together.history["train_loss"][:, 0], alone.history["train_loss"][:, 0])


def test_convolutions_train_member_by_member_with_the_same_result():
    rng = np.random.default_rng(0)
    data = {
        "x": rng.normal(size=(21, 6, 6, 1)).astype(np.float32),
        "y": rng.integers(0, 3, 21).astype(np.int32),
    }
    task = tasks.classifier()
    together = fit(task, data, seeds=[0, 1], epochs=2, batch_size=8)
    alone = fit(task, data, seeds=[1], epochs=2, batch_size=8)
    assert len(programs.groups_of(task, 2)) == 2
    np.testing.assert_allclose(
        together.variables["batch_stats"]["BatchNorm_0"]["mean"][1],
        alone.variables["batch_stats"]["BatchNorm_0"]["mean"][0],
        rtol=1e-5,
    )
    assert np.abs(alone.variables["batch_stats"]["BatchNorm_0"]["mean"]).max() > 0
    logits = alone.predict(lambda outputs, batch: outputs, data)
    assert logits.shape == (1, 21, 3)
    assert parameter_count(jax.tree.map(lambda x: x[0], alone.variables)) == 40 + 8 + 435


def test_hyper_parameters_share_the_population_axis(rows):
    rates = np.array([1e-2, 0.0])
    fitted = fit(tasks.autoencoder(hyper={"learning_rate": rates}), rows, seeds=[0, 0], **FIT)
    start = fit(tasks.autoencoder(), rows, seeds=[0], epochs=0, batch_size=16)
    moved, still = (jax.tree.map(lambda x, i=i: x[i], fitted.variables) for i in (0, 1))
    start = jax.tree.map(lambda x: x[0], start.variables)
    assert tasks.same(still, start)
    assert not tasks.same(moved, start)
    with pytest.raises(ValueError, match="learning_rate"):
        fit(tasks.autoencoder(hyper={"learning_rate": np.ones(3)}), rows, seeds=[0, 1], **FIT)


def test_members_that_are_evaluated_one_after_the_other_have_their_own_hyper_parameters(rows):
    def scaled(outputs, batch, hyper):
        return hyper["scale"] * jnp.square(outputs - batch["x"]).mean(axis=1)

    one = tasks.autoencoder(hyper={"scale": np.array([1.0, 3.0])})
    task = dataclasses.replace(one, loss=scaled, convolves=True, optimizer=lambda _: optax.sgd(0.0))
    fitted = fit(task, rows, rows, seeds=[0, 0], epochs=1, batch_size=103)
    first, second = fitted.history["valid_loss"][0]
    assert second == pytest.approx(3 * first, rel=1e-5)


def test_early_stopping_gives_back_the_best_epoch_of_each_member(rows):
    valid = {"x": np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32)}
    setting = {"epochs": 40, "batch_size": 16, "seeds": [0, 1, 2]}
    task = tasks.autoencoder(learning_rate=0.05)
    full = fit(task, rows, valid, **setting)
    stopped = fit(task, rows, valid, patience=3, **setting)
    losses = full.history["valid_loss"]
    for member in range(3):
        best, wait, epoch = np.inf, 0, 0
        for epoch, value in enumerate(losses[:, member], 1):  # Keras's rule, written out
            wait = 0 if value < best else wait + 1
            if value < best:
                best, best_epoch = value, epoch
            if wait == 3:
                break
        assert stopped.best_epoch[member] == best_epoch < epoch < 40
        # a member that has stopped stands still: no more losses, though others go on
        curve = stopped.history["train_loss"][:, member]
        assert np.isfinite(curve[:epoch]).all()
        assert np.isnan(curve[epoch:]).all()
        error = stopped.predict(task.loss, valid)[member].mean()
        np.testing.assert_allclose(error, losses[best_epoch - 1, member], rtol=1e-5)


def test_early_stopping_gives_back_the_batch_statistics_of_the_best_epoch_too():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 6, 6, 1)).astype(np.float32)
    data, valid = ({"x": x * s, "y": rng.integers(0, 3, 24).astype(np.int32)} for s in (1, 3))
    setting = {"seeds": [0], "batch_size": 8}
    stopped = fit(tasks.classifier(), data, valid, epochs=12, patience=2, **setting)
    best = int(stopped.best_epoch[0])
    assert best < 10
    straight = fit(tasks.classifier(), data, valid, epochs=best, **setting)
    assert tasks.same(stopped.variables["batch_stats"], straight.variables["batch_stats"])
    assert tasks.same(stopped.variables["params"], straight.variables["params"])


def test_padding_counts_for_nothing(rows, monkeypatch):
    """Batch 64 pads 103 rows with rows of the last batch, evaluation with the last row: huge ones
    must still count once."""
    monkeypatch.setattr("jaxdl.training.evaluate.BATCH_BYTES", 64 * 20)
    rows["x"][batch_order.epoch_order(0, 0, 103, 64)[1, 0]] *= 50
    rows["x"][-1] *= 50
    task = tasks.autoencoder(learning_rate=0.0)
    fitted = fit(task, rows, rows, seeds=[0], epochs=1, batch_size=64)
    error = fitted.predict(task.loss, rows)[0]
    np.testing.assert_allclose(fitted.history["train_loss"][0, 0], error.mean(), rtol=1e-5)
    np.testing.assert_allclose(fitted.history["valid_loss"][0, 0], error.mean(), rtol=1e-5)


def store(folder):
    return Checkpoints(folder, {"configuration": "c", "data": "d"})


@pytest.mark.parametrize(("looks", "patience"), [(0, None), (4, 2)])
def test_a_stopped_fit_continues_to_the_same_bits(tmp_path, rows, either_program, looks, patience):
    task = tasks.autoencoder(noise=0.1)
    setting = {**FIT, "seeds": [0, 1], "patience": patience}
    whole = fit(task, rows, rows, **setting)
    with pytest.raises(Interrupted) as stopped:
        fit(task, rows, rows, checkpoints=store(tmp_path), watcher=StopAfter(looks), **setting)
    assert 0 < stopped.value.saved_step < 21
    resumed = fit(task, rows, rows, checkpoints=store(tmp_path), **setting)
    assert not resumed.restored
    assert tasks.same(resumed.variables, whole.variables)
    assert tasks.same(resumed.history, whole.history)
    again = fit(task, rows, rows, checkpoints=store(tmp_path), train_allowed=False, **setting)
    assert again.restored
    assert tasks.same(again.variables, whole.variables)
    assert tasks.same(again.history, whole.history)


class StopInTheLastEpoch(Silent):
    """Asks to stop when the last epoch is over, or (late) when the fit is."""

    def __init__(self, late):
        self.late, self.signum = late, 0

    def epoch(self, epoch, metrics, timing):
        if epoch == FIT["epochs"] - 1 and not self.late:
            self.signum = 15

    def close(self):
        self.signum = 15

    def stop_signal(self):
        return self.signum


@pytest.mark.parametrize("late", [False, True])
def test_a_stop_in_the_last_epoch_is_honoured_when_all_is_saved(tmp_path, rows, late):
    """The run has more to do behind the fit; it must leave, and the fit must not be done again."""
    task, setting = tasks.autoencoder(), {**FIT, "seeds": [0]}
    with pytest.raises(Interrupted) as stopped:
        fit(task, rows, checkpoints=store(tmp_path), watcher=StopInTheLastEpoch(late), **setting)
    assert stopped.value.signum == 15
    assert stopped.value.saved_step == 21
    again = fit(task, rows, checkpoints=store(tmp_path), train_allowed=False, **setting)
    assert again.restored
    assert tasks.same(again.variables, fit(task, rows, **setting).variables)


def test_evaluation_refuses_an_unfinished_fit(tmp_path, rows):
    task, setting = tasks.autoencoder(), {**FIT, "seeds": [0]}
    with pytest.raises(UserError, match="no checkpoint"):
        fit(task, rows, checkpoints=store(tmp_path), train_allowed=False, **setting)
    with pytest.raises(Interrupted):
        fit(task, rows, checkpoints=store(tmp_path), watcher=StopAfter(0), **setting)
    with pytest.raises(UserError, match="unfinished"):
        fit(task, rows, checkpoints=store(tmp_path), train_allowed=False, **setting)


def test_a_loss_that_is_not_finite_stops_with_step_and_seed(tmp_path, rows, either_program):
    rows["x"][50, 2] = np.nan
    order = batch_order.epoch_order(6, 0, 103, 16)
    step = int(np.argmax((order == 50).any(axis=1)))
    with pytest.raises(NotFinite, match=rf"seed 6 .* step {step} \(epoch 1\)"):
        fit(tasks.autoencoder(), rows, seeds=[6], checkpoints=store(tmp_path), **FIT)
    assert store(tmp_path).steps() == [] or store(tmp_path).steps()[-1] <= step


def test_a_validation_loss_that_is_not_finite_stops_too(rows):
    valid = {"x": rows["x"][:20].copy()}
    valid["x"][7, 1] = np.inf
    with pytest.raises(NotFinite, match=r"valid_loss of seed 3 is not finite after epoch 1"):
        fit(tasks.autoencoder(), rows, valid, seeds=[3, 4], **FIT)


@pytest.mark.parametrize("monitor", ["train_odd", "valid_odd"])
def test_a_monitored_metric_that_is_not_finite_stops_with_its_name(rows, monitor):
    """Weights cannot be chosen by it. Where nothing is chosen by it, it is only reported."""
    metrics = {"odd": lambda outputs, batch: jnp.log(-1 - outputs[:, 0] ** 2)}
    task = dataclasses.replace(tasks.autoencoder(), metrics=metrics)
    with pytest.raises(NotFinite, match=rf"{monitor} of seed 2 is not finite after epoch 1"):
        fit(task, rows, rows, seeds=[2], patience=2, monitor=monitor, **FIT)
    reported = fit(task, rows, rows, seeds=[2], patience=3, **FIT)
    assert np.isnan(reported.history[monitor]).all()
    assert reported.best_epoch[0] >= 1


def test_a_member_that_has_stopped_has_no_training_loss_to_be_finite(rows):
    task = tasks.autoencoder(learning_rate=0.1, noise=1.0)
    setting = {"epochs": 12, "batch_size": 16, "patience": 1, "monitor": "train_loss"}
    fitted = fit(task, rows, seeds=[0, 1, 2, 3], **setting)
    ends = np.isfinite(fitted.history["train_loss"]).sum(axis=0)
    assert len(set(ends.tolist())) > 1  # one stopped while another went on
    assert (fitted.best_epoch >= 1).all()


def test_what_is_monitored_must_exist(rows):
    names = "train_loss, train_mae"
    with pytest.raises(UserError, match=f"no 'valid_los' to monitor; there are {names}"):
        fit(tasks.autoencoder(), rows, seeds=[0], patience=2, monitor="valid_los", **FIT)
    with pytest.raises(UserError, match="no 'valid_loss'"):  # there are no validation rows
        fit(tasks.autoencoder(), rows, seeds=[0], patience=2, **FIT)


def test_a_value_equal_to_the_best_is_no_improvement(rows):
    """A learning rate of 0: every epoch is as good as the first, which is kept."""
    setting = {"epochs": 9, "batch_size": 16, "seeds": [0, 1]}
    task = tasks.autoencoder(learning_rate=0.0)
    fitted = fit(task, rows, rows, patience=3, **setting)
    assert fitted.best_epoch.tolist() == [1, 1]
    assert np.isfinite(fitted.history["valid_loss"]).sum(axis=0).tolist() == [4, 4]


NUMBERS = np.arange(12.0, dtype=np.float32).reshape(6, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "no array"),
        ({"x": NUMBERS[:0]}, "no rows"),
        ({"x": NUMBERS, "y": NUMBERS[:5]}, "differ in their number of rows.*'x': 6, 'y': 5"),
        ({"x": NUMBERS.astype(object)}, "'x' holds object, not numbers"),
        ({"x": NUMBERS.astype(str)}, "'x' holds <U.*, not numbers"),
        ({"x": NUMBERS > 3}, "'x' holds bool, not numbers; convert it with .astype"),
        ({"x": NUMBERS.astype(complex)}, "'x' holds complex128"),
        ({"x": NUMBERS.astype("datetime64[s]")}, "'x' holds datetime64"),
        ({"x": np.float32(3)}, "'x' is a single number"),
        ({"x": NUMBERS, "y": np.full(6, 2**40)}, "'y' holds 1099511627776, which does not fit"),
        ({"x": NUMBERS, ROW_MASK: NUMBERS}, "rename the array"),
    ],
)
def test_what_a_model_cannot_take_is_one_line(data, message):
    task = tasks.autoencoder()
    good = {"x": np.zeros((6, 5), np.float32)}
    fitted = fit(task, good, seeds=[0], epochs=0, batch_size=4)
    calls = {
        "train": lambda: fit(task, data, seeds=[0], **FIT),
        "valid": lambda: fit(task, good, data, seeds=[0], **FIT),
        "predict": lambda: fitted.predict(lambda outputs, batch: outputs, data),
    }
    for name, call in calls.items():
        with pytest.raises(UserError, match=f"{name}: .*{message}") as told:
            call()
        assert "\n" not in str(told.value)


def test_a_label_that_is_no_class_stops_the_fit(rows):
    """Otherwise -1 would be learnt as the last class."""
    x = np.random.default_rng(0).normal(size=(24, 6, 6, 1)).astype(np.float32)
    for wrong in (-1, 3):
        data = {"x": x, "y": np.arange(24, dtype=np.int32) % 3}
        data["y"][5] = wrong
        with pytest.raises(NotFinite, match="label outside its classes"):
            fit(tasks.classifier(), data, seeds=[0], epochs=1, batch_size=8)


def test_a_member_is_a_population_of_one(rows):
    rates = np.array([1e-2, 0.0, 5e-2])
    task = tasks.autoencoder(hyper={"learning_rate": rates, "same": 1.0})
    fitted = fit(task, rows, rows, seeds=[3, 4, 5], patience=3, **FIT)
    one = fitted.member(2)
    assert one.seeds.tolist() == [5]
    assert one.best_epoch.tolist() == [fitted.best_epoch[2]]
    assert one.task.hyper["learning_rate"].tolist() == [5e-2]
    assert one.history["valid_loss"].shape == (3, 1)
    np.testing.assert_array_equal(
        one.history["valid_loss"][:, 0], fitted.history["valid_loss"][:, 2]
    )
    np.testing.assert_allclose(
        one.predict(task.loss, rows)[0], fitted.predict(task.loss, rows)[2], rtol=1e-5
    )
    assert one.parameter_count == fitted.parameter_count == 5 * 4 + 4 + 4 * 2 + 2 + 2 * 4 + 4 + 25
    for beyond in (-1, 3):
        with pytest.raises(IndexError, match="population of 3"):
            fitted.member(beyond)


def test_predictions_do_not_depend_on_the_batch(rows, monkeypatch):
    fitted = fit(tasks.autoencoder(), rows, seeds=[0, 1], epochs=1, batch_size=16)
    whole = fitted.predict(lambda outputs, batch: {"out": outputs}, rows)["out"]
    monkeypatch.setattr("jaxdl.training.evaluate.BATCH_BYTES", 20 * 10)
    pieces = fitted.predict(lambda outputs, batch: {"out": outputs}, rows)["out"]
    assert whole.shape == (2, 103, 5)
    np.testing.assert_allclose(whole, pieces, rtol=1e-5, atol=1e-6)


def test_a_prediction_is_told_which_rows_of_a_padded_batch_are_real(rows, monkeypatch):
    """103 rows in batches of 64: 64 real ones, then 39."""
    monkeypatch.setattr("jaxdl.training.evaluate.BATCH_BYTES", 64 * 20)

    def real_rows(outputs, batch):
        return jnp.full(len(batch["x"]), batch[ROW_MASK].sum())

    fitted = fit(tasks.autoencoder(), rows, seeds=[0], epochs=0, batch_size=16)
    assert fitted.predict(real_rows, rows)[0].tolist() == [64] * 64 + [39] * 39


def test_the_mean_loss_of_a_padded_batch_is_that_of_its_real_rows(rows):
    """One step on 103 rows is the same in a batch of 103 and in one of 128, 25 of them padding."""
    setting = {"seeds": [0], "epochs": 1}
    task = dataclasses.replace(tasks.autoencoder(), optimizer=lambda hyper: optax.sgd(0.1))
    exact, padded = (fit(task, rows, batch_size=size, **setting) for size in (103, 128))
    for one, two in zip(*map(jax.tree.leaves, (exact.variables, padded.variables)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_leaves_the_last_epochs_line(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    bar = ProgressBar("net", StopRequest())
    bar.start(epochs=9, rows=10, seen=0, compile_seconds=1.0)
    for epoch in range(3):  # stopped early
        bar.advance(10)
        bar.epoch(epoch, {"train_loss": np.array([3.0 - epoch])}, {"train_seconds": 0.5})
    bar.close()
    bar.close()
    assert capsys.readouterr().out == "net: epoch 3/9, loss train 1.0000, 20 examples/s\n"
