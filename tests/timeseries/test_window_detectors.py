"""Sub-sequence detectors: fitted on the learning rows, scores at the row that ends a window."""

import numpy as np
import pytest

from experiments import nab_benchmark
from jaxdl.errors import UserError
from jaxdl.timeseries import nab_score, window_detectors

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def wave():
    rng = np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(1200) / 24) + 0.05 * rng.normal(size=1200)
    values[700:710] += 4
    return values


def test_windows_are_scaled_by_the_learning_rows(wave):
    x, count = window_detectors.scaled_windows(100 + 7 * wave, 12)
    assert count == nab_score.learning_rows(1200) - 12 + 1 == 169
    learning = np.append(x[:count, 0, 0], x[count - 1, 1:, 0])
    assert learning.mean() == pytest.approx(0, abs=1e-5)
    assert learning.std() == pytest.approx(1, abs=1e-5)
    constant, _ = window_detectors.scaled_windows(np.append(np.zeros(200), 1e9), 12)
    assert constant.max() == window_detectors.FARTHEST


def test_classical_detectors_find_the_bump_and_do_not_look_ahead(wave):
    scores = window_detectors.classical(wave, 12, 4, 3, SEEDS)
    assert [len(members) for members in scores.values()] == [1, 1, 2]
    for name, members in scores.items():
        assert members.shape[1] == len(wave)
        assert not members[:, :11].any()
        assert 700 <= members[0].argmax() < 722, name
    changed = wave.copy()
    changed[800:] = 50.0
    for name, members in window_detectors.classical(changed, 12, 4, 3, SEEDS).items():
        np.testing.assert_array_equal(members[:, :800], scores[name][:, :800])
        assert not np.array_equal(members, scores[name])


def test_sizes_that_cannot_work_are_refused(wave):
    window_detectors.check({"a": wave}, 12, 4, 3)
    for sizes, words in (
        ((14, 4, 3), "--window 14: give a multiple of 4, at most 90"),
        ((0, 4, 3), "--window 0"),
        ((92, 4, 3), "--window 92"),
        ((12, 13, 3), "--components 13: give 1 to 12"),
        ((12, 4, 169), "--neighbours 169: give 1 to 168"),
    ):
        with pytest.raises(UserError, match=words):
            window_detectors.check({"a": wave, "b": wave}, *sizes)
    window_detectors.classical(wave, 12, 12, 168, [0])  # the largest that it allows


def test_scores_of_joined_windows_are_taken_apart():
    errors = np.arange(10.0).reshape(2, 5) + 1
    scores = window_detectors.split_by_series(errors, {"a": 2, "b": 3}, 4)
    assert scores["a"].tolist() == [[0, 0, 0, 1, 2], [0, 0, 0, 6, 7]]
    assert scores["b"].tolist() == [[0, 0, 0, 3, 4, 5], [0, 0, 0, 8, 9, 10]]


def test_rarity_counts_from_half_of_the_learning_rows():
    scores = {"a": np.arange(200.0)[None]}
    rare = window_detectors.rarity(scores)["a"][0]
    assert not rare[:15].any()
    np.testing.assert_allclose(rare[15:], np.log10(np.arange(1, 186)))


def test_a_row_of_the_table_has_a_value_for_each_seed():
    time = np.arange(np.datetime64("2020-01-01", "h"), np.datetime64("2020-01-01", "h") + 400)
    layouts = {
        "a": nab_score.layout(time, [(time[200], time[219])]),
        "b": nab_score.layout(time, []),
    }
    hit, miss = np.zeros(400), np.zeros(400)
    hit[200], miss[100] = 5, 5
    scores = {"a": np.stack([hit, miss]), "b": np.zeros((1, 400))}
    days = {"a": 24, "b": 24}
    periods = nab_benchmark.buffer_lengths(
        {"a": np.sin(2 * np.pi * np.arange(400) / 24), "b": np.zeros(400)}
    )
    assert periods["a"] in (23, 24, 25)
    row = nab_benchmark.detector_row("x", scores, 1.0, layouts, days, periods)
    assert row["standard"].tolist() == pytest.approx([100.0, -5.5])
    assert row["windows found"].tolist() == [1, 0]
    assert row["false alarms"].tolist() == [0, 1]
    assert row["best on labels"][0] == pytest.approx(100.0)
    assert row["best on labels, rows"].tolist() == pytest.approx([100.0, 0.0])
    assert row["VUS-PR x 100"][0] > row["VUS-PR x 100"][1]
    rows = nab_benchmark.series_rows(nab_benchmark.alarms(scores, 1.0, days), layouts)
    assert [r["found"] for r in rows] == [1, 0]
    assert rows[1]["standard"] is None
    sweep = nab_benchmark.threshold_rows((1.0, 9.0), scores, layouts, days)
    assert [r["standard"] for r in sweep] == pytest.approx([100.0, 0.0])
