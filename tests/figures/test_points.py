"""Points in the plane."""

import numpy as np

from jaxdl.figures.points import principal_plane


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
