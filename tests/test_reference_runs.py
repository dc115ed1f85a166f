"""The course's nets trained again in Keras: the table, and the compiled loop against `fit`."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from jaxdl.errors import UserError
from jaxdl.report import markdown
from jaxdl.runs import summary

ROOT = Path(__file__).resolve().parents[1]


def test_the_interval_is_welchs(reference_runs):
    rng = np.random.default_rng(0)
    a, b = rng.normal(1.0, 0.1, 5), rng.normal(0.5, 0.4, 9)
    gap, half = reference_runs.difference(*map(reference_runs.spread, (a.tolist(), b.tolist())))
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose((gap - half, gap + half), (low, high), rtol=1e-12)


def test_one_number_has_no_interval(reference_runs):
    gap, half = reference_runs.difference(
        reference_runs.spread([1.0]), reference_runs.spread([0.25, 0.75])
    )
    assert gap == 0.5
    assert np.isnan(half)


def recorded(command, seeds, cell):
    body = f"`{command}`\n\nn = {seeds} seeds; cpu, jax 0.10.2; 3 s; 2026-01-01\n\n"
    body += (
        "**Fashion-MNIST, 10,000 test images**\n\n| model | protocol | test BCE |\n|---|---|---|\n"
    )
    return summary.parse(body + f"| stacked | lecture | {cell} |\n")


def test_a_table_of_records_and_recorded_sections(reference_runs, tmp_path, capsys):
    file = tmp_path / "records.jsonl"
    records = [
        {"net": "stacked_autoencoder", "seed": k, "measured": {"held_loss": loss}, "whole": k < 3}
        for k, loss in enumerate([0.25, 0.27, 0.29, 99.0])
    ]
    file.write_text("\n".join(map(json.dumps, records)))
    command = "python run.py experiments/mnist_autoencoder.py"
    found = [
        recorded(f"{command} --seeds 3", 3, "0.5000 ± 0.0100"),
        recorded(f"{command} --seeds 4", 4, "0.260 ± 0.020"),  # more seeds: this one is taken
    ]
    line = reference_runs.table(reference_runs.read_records(file), found).splitlines()[2]
    assert "0.2765 | 0.2700 ± 0.0200 (3) | 0.260 ± 0.020 (4) | -0.010 (" in line
    assert "seed 3" in capsys.readouterr().out


def test_a_recorded_line_is_not_lost(reference_runs, tmp_path):
    (line,) = [c for c in reference_runs.COMPARISONS if c.net == "stacked_autoencoder"]
    old = f"| {line.what} | 0.2765 |"
    with pytest.raises(UserError, match="no record of stacked_autoencoder: train these first"):
        reference_runs.refuse_lost_lines(old, [{"net": "imdb_4"}], tmp_path)
    reference_runs.refuse_lost_lines(old, [{"net": "stacked_autoencoder"}], tmp_path)
    reference_runs.refuse_lost_lines("", [{"net": "imdb_4"}], tmp_path)
    longer = "| 170, threshold after 13 epochs | 0.1495 |"  # begins like the line of 50 epochs
    reference_runs.refuse_lost_lines(longer, [{"net": "window_autoencoder_13_epochs"}], tmp_path)
    with_note = "| 170, threshold [1] | 0.1495 |"
    with pytest.raises(UserError, match="no record of window_autoencoder: "):
        reference_runs.refuse_lost_lines(with_note, [{"net": "imdb_4"}], tmp_path)


def test_a_renamed_column_is_no_missing_number(reference_runs):
    (line,) = [c for c in reference_runs.COMPARISONS if c.net == "stacked_autoencoder"]
    section = recorded("python run.py experiments/mnist_autoencoder.py", 3, "0.5")
    assert reference_runs.ours(line, [section]).n == 3
    with pytest.raises(UserError, match="no column 'loss'"):
        reference_runs.ours(line._replace(column="loss"), [section])
    assert reference_runs.ours(line._replace(where={"model": "other"}), [section]) is None
    assert reference_runs.ours(line._replace(words=()), [section]) is None


def test_a_number_that_did_not_vary_has_an_interval(reference_runs):
    (line,) = [c for c in reference_runs.COMPARISONS if c.net == "stacked_autoencoder"]
    command = "python run.py experiments/mnist_autoencoder.py"
    constant = reference_runs.ours(line, [recorded(command, 3, "108 ± 0")])
    assert str(constant) == "108 ± 0 (3)"
    again = reference_runs.spread([107.0, 108.0, 109.0])
    assert reference_runs.difference(constant, again)[1] > 0
    without = reference_runs.ours(line, [recorded(command, 3, "108")])
    assert str(without) == "108 (3)"
    assert np.isnan(reference_runs.difference(without, again)[1])


def test_a_recorded_training_is_not_repeated(reference_runs):
    found = [
        {"net": "imdb_4", "seed": 0},
        {"net": "imdb_8", "seed": 0},
        {"net": "imdb_4", "seed": 1},
    ]
    jobs = reference_runs.still_to_train(["imdb_4", "imdb_8", "custom_step"], range(2), found)
    assert jobs == [(["imdb_8"], 1), (["custom_step"], 0), (["custom_step"], 1)]


def test_every_comparison_names_a_net_and_a_row_that_is_recorded(reference_runs):
    sections = markdown.sections(ROOT / "docs" / "results.md")
    recorded = [found for found in map(summary.parse, sections.values()) if found]
    lines = reference_runs.COMPARISONS
    assert {line.net for line in lines} == set(reference_runs.REFERENCES)
    without = {line.net for line in lines if not reference_runs.ours(line, recorded)}
    # nothing of ours is stopped after 13 epochs, nor the slide's net trained by that protocol
    expected = {"window_autoencoder_13_epochs", "cifar_slide", "cifar_slide_augmented"}
    assert without == expected


def test_no_lower_loss_for_so_long_ends_a_training(reference_runs):
    losses = [{"held_loss": loss} for loss in (3.0, 1.0, 1.0, 2.0)]
    assert [reference_runs.has_stopped(losses[:n], 2) for n in range(5)] == [0, 0, 0, 0, 1]
    assert not reference_runs.has_stopped(losses, None)


def test_nets_side_by_side_train_for_their_own_epochs(reference_runs, monkeypatch):
    pytest.importorskip("keras")
    rows = np.random.default_rng(0).random((40, 288, 1), np.float32)
    data = reference_runs.Data(rows, rows, rows[:8], rows[:8])
    nets = {
        name: reference_runs.Reference(lambda: data, reference_runs.window_autoencoder, epochs, 20)
        for name, epochs in (("short", 1), ("long", 3))
    }
    monkeypatch.setattr(reference_runs, "REFERENCES", nets)
    options = argparse.Namespace(limit_rows=None, epochs=None, loop="fit", workers=1, command="")
    records = reference_runs.train(["short", "long"], 0, options)
    assert [record["measured"]["epochs"] for record in records] == [1, 3]
    options.epochs = 2
    records = reference_runs.train(["long", "short"], 0, options)
    assert [record["measured"]["epochs"] for record in records] == [2, 1]


def test_the_compiled_loop_does_what_fit_does(reference_runs, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "jax":
        pytest.skip("Keras was loaded with another backend")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (70, 10_000)).astype(np.uint8)
    y = rng.integers(0, 2, (70, 1))
    order, results = rng.permutation(70), []
    for kind in (reference_runs.CompiledEpochs, reference_runs.FittedEpochs):
        keras.utils.set_random_seed(0)
        trainer = kind(reference_runs.review_net(8, l2=1e-3, dropout=0.5), (x[:30], y[:30]))
        for _ in range(3):
            learnt = trainer.learn(x, y, order, 32)
        results.append({**learnt, **{f"held_{k}": v for k, v in trainer.judge().items()}})
        results[-1]["prediction"] = trainer.trained().predict(x[:1], verbose=0).item()
    compiled, fitted = results
    assert compiled == pytest.approx(fitted, rel=1e-4)


def test_images_are_drawn_as_the_generator_draws(reference_runs):
    pytest.importorskip("keras")
    images = np.random.default_rng(0).random((6, 32, 32, 3), dtype=np.float32)
    reference_runs._images = images
    drawn = reference_runs._draw(np.array([2, 4]), (0, 1, 2))
    assert drawn.shape == (2, 32, 32, 3)
    again = reference_runs._draw(np.array([2, 4]), (0, 1, 2))
    other = reference_runs._draw(np.array([2, 4]), (0, 2, 2))
    assert (drawn == again).all()
    assert not np.allclose(drawn, other)
