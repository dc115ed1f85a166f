"""Why a row was flagged."""

import numpy as np
import pytest

from jaxdl.anomaly import explain


def test_explanations_name_the_largest_columns_and_the_nearest_row():
    parts = np.array([[1.0, 6.0, 3.0], [0.0, 0.0, 0.0]])
    words = explain.top_columns(parts, ("a", "b", "c"), k=2)
    assert words[0] == "b 60 %, c 30 %"
    assert "0 %" in words[1]
    with pytest.raises(ValueError, match="3 columns but 2 names"):
        explain.top_columns(parts, ("a", "b"))
    normal = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 3.0]])
    near = explain.nearest_normal(np.array([[0.0, 2.0]]), normal)
    assert (near.row[0], near.distance[0]) == (2, 1.0)
    near = explain.nearest_normal(np.array([[6.0, 0.0]]), normal, np.array([1.0, 1.0]))
    assert near.row[0] == 1
    near = explain.nearest_normal(np.array([[4.0, 2.9]]), normal, np.array([1.0, 100.0]))
    assert near.row[0] in (0, 2)


def test_the_scale_divides_rows_and_normal_rows_alike():
    normal = np.array([[0.0, 4.0], [3.0, 0.0]])
    x = np.array([[0.0, 0.0]])
    assert explain.nearest_normal(x, normal).row.tolist() == [1]
    near = explain.nearest_normal(x + [1.0, 2.0], normal + [1.0, 2.0], np.array([1.0, 4.0]))
    assert (near.row.tolist(), near.distance.tolist()) == ([0], [1.0])
