"""A user's series and its score, with a threshold that stands or moves."""

import numpy as np
import pytest

from jaxdl.figures.series import incidents_over_time


@pytest.mark.parametrize("threshold", [0.5, np.array([np.nan, 0.5, 0.7, 0.5])])
def test_the_threshold_is_drawn_over_the_score(threshold):
    time = np.arange("2025-01-01", "2025-01-05", dtype="datetime64[D]")
    score = np.array([np.nan, 0.1, 0.9, 0.2])
    spans = [(time[2], time[2])]
    figure = incidents_over_time(time, {"trips": np.arange(4.0)}, score, threshold, spans)
    values, scores = figure.axes
    drawn, level = scores.lines
    np.testing.assert_array_equal(drawn.get_ydata(), score)
    np.testing.assert_array_equal(level.get_ydata(), np.broadcast_to(threshold, 4))
    assert level.get_label() == "threshold"
    assert len(values.lines) == 1
    assert len(values.patches) == len(scores.patches) == 1
