"""Curves over seeds: what is drawn is the mean, and the tables' standard deviation around it."""

import numpy as np
import pytest

from jaxdl.figures.base import subplots
from jaxdl.figures.curves import curves_over_seeds, draw_curve, loss_curves


@pytest.fixture(autouse=True)
def _closed():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def band_of(axes):
    """(lower edge, upper edge) of the only band, by point."""
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    edges = {}
    for x, y in corners:
        edges.setdefault(float(x), []).append(float(y))
    return np.array([[min(edges[x]), max(edges[x])] for x in sorted(edges)]).T


def test_band_is_one_sample_standard_deviation():
    y = np.array([[1.0, 3.0, 5.0], [2.0, 2.0, 8.0]])
    _, axes = subplots()
    draw_curve(axes, np.array([1, 2]), y, color="red", label="net")
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_ydata(), [3, 4])
    low, high = band_of(axes)
    np.testing.assert_allclose(low, [3 - 2, 4 - np.sqrt(12)])
    np.testing.assert_allclose(high, [3 + 2, 4 + np.sqrt(12)])


def test_one_seed_has_no_band():
    _, axes = subplots()
    draw_curve(axes, np.array([1, 2]), np.array([[1.0], [2.0]]))
    assert not axes.collections


def test_a_seed_that_has_stopped_counts_no_more():
    y = np.array([[1.0, 3.0], [2.0, np.nan]])
    _, axes = subplots()
    draw_curve(axes, np.array([1, 2]), y)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [2, 2])
    low, high = band_of(axes)
    np.testing.assert_allclose(low, [2 - np.sqrt(2), 2])
    np.testing.assert_allclose(high, [2 + np.sqrt(2), 2])


def test_no_curve_is_left_out_and_references_are_dotted_in_its_colour():
    x = np.array([1.0, 10.0])
    curves = {f"net {i}": (x, np.full((2, 2), float(i + 1))) for i in range(11)}
    figure = curves_over_seeds(
        curves, "rate", "loss", log_x=True, references={"net 2": (x, np.array([3.0, 4.0]))}
    )
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_yscale() == "linear"
    lines = {line.get_label(): line for line in axes.lines}
    assert len(lines) == 12
    reference = lines["net 2, reference"]
    assert reference.get_linestyle() == ":"
    assert reference.get_color() == lines["net 2"].get_color()


def test_loss_curves_end_where_all_seeds_have_stopped():
    history = {
        "train_loss": np.array([[3.0, 2.0], [2.0, 1.0], [np.nan, np.nan]]),
        "valid_loss": np.array([[3.5, 2.5], [2.5, np.nan], [np.nan, np.nan]]),
        "train_accuracy": np.ones((3, 2)),
    }
    (axes,) = loss_curves({"net": history}, log=True).axes
    train, valid = axes.lines
    assert (train.get_linestyle(), valid.get_linestyle()) == ("-", "--")
    np.testing.assert_allclose(train.get_ydata(), [2.5, 1.5])
    np.testing.assert_allclose(valid.get_ydata(), [3.0, 2.5])
    (axes,) = loss_curves({"net": history}, held_out="test").axes
    assert [line.get_label() for line in axes.lines] == ["net train", "net test"]
    (axes,) = loss_curves({"net": history}, "accuracy", "accuracy").axes
    assert [line.get_label() for line in axes.lines] == ["net train"]


def test_epochs_are_whole_numbers_on_the_axis():
    history = {"train_loss": np.array([[3.0], [2.0], [1.0]])}
    by_epoch = {"net": (np.arange(1, 4), np.ones((3, 1)))}
    for figure in (loss_curves({"net": history}), curves_over_seeds(by_epoch, "epoch", "loss")):
        ticks = figure.axes[0].get_xticks()
        np.testing.assert_array_equal(ticks, np.round(ticks))


def test_many_curves_have_their_legend_beside_the_axes():
    history = {"train_loss": np.ones((3, 2)), "valid_loss": np.ones((3, 2))}
    few, many = (loss_curves({f"net {i}": history for i in range(nets)}) for nets in (1, 2))
    assert few.axes[0].get_legend()
    assert not few.legends
    assert not many.axes[0].get_legend()
    assert len(many.legends[0].get_texts()) == 4
