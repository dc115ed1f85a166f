"""Points in the plane."""

import numpy as np
import pytest

from jaxdl.figures.points import MOST_NAMED, latent_maps, principal_plane


@pytest.mark.parametrize("classes", [3, 10, 11, MOST_NAMED, MOST_NAMED + 1])
def test_every_class_has_a_colour_of_its_own_and_a_name_where_it_fits(classes):
    label = np.repeat(np.arange(classes), 2)
    points = np.random.default_rng(0).normal(size=(2 * classes, 2))
    names = [f"class {k}" for k in range(classes)]
    figure = latent_maps({"codes": points}, label, names)
    colours = [tuple(each.get_facecolor()[0]) for each in figure.axes[0].collections]
    assert len(set(colours)) == classes
    named = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert named == (names if classes <= MOST_NAMED else [])


def test_rows_stand_on_the_plane_of_most_variance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4)) * [1, 9, 3, 2]
    new = x[:2] + 1
    _, axes, place = principal_plane(x, new)
    centred = x - x.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ directions[:2].T
    np.testing.assert_allclose(np.abs(place(x)), np.abs(expected), atol=1e-9)
    (stars,) = axes.collections
    np.testing.assert_allclose(stars.get_offsets(), place(new))
    axes.scatter(*place(x).T)
    assert stars.zorder > axes.collections[-1].zorder  # drawn over what is drawn later
