"""What a threshold brings: the numbers behind the curves, and what is drawn of them."""

import numpy as np
import pytest

from jaxdl.figures.decisions import SweptPart, precision_recall_alerts, sweep_thresholds

SCORES = np.array([5.0, 1.0, 3.0, 4.0, 2.0, 3.0])
ANOMALY = np.array([True, False, True, False, False, False])


@pytest.fixture(autouse=True)
def _closed():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_a_sweep_by_hand():
    swept = sweep_thresholds(SweptPart(SCORES, ANOMALY, 0.5), np.array([0.5, 2.0, 3.0, 5.0]))
    assert swept.alerts_per_day.tolist() == [12.0, 8.0, 4.0, 0.0]
    assert swept.recall.tolist() == [1.0, 1.0, 0.5, 0.0]
    assert swept.precision[:3].tolist() == [2 / 6, 2 / 4, 1 / 2]
    assert np.isnan(swept.precision[3])  # no alert


def test_each_split_has_precision_recall_and_alerts_with_its_marks():
    earlier = SweptPart(SCORES, ANOMALY, 1.0)
    later = SweptPart(2 * SCORES, ANOMALY, 0.5)
    columns = {name: {"before": earlier, "after": later} for name in ("50/50", "80/20")}
    figure = precision_recall_alerts(columns, [{"fixed": 4.5}, {"fixed": 4.7}], budget=3.0)
    axes = np.reshape(figure.axes, (3, 2))
    assert [axis.get_title() for axis in axes[0]] == ["50/50", "80/20"]
    assert [axis.get_ylabel() for axis in axes[:, 1]] == ["precision", "recall", "alerts a day"]
    lines = {line.get_label(): line for line in axes[2, 1].lines}
    assert set(lines) == {"before", "after", "fixed", "asked for: 3 a day"}
    assert lines["fixed"].get_xdata()[0] == 4.7
    assert lines["before"].get_linestyle() == ":"
    x, y = lines["after"].get_data()
    # above 7 lie two of the six later scores (10, 8), in half a day
    assert y[np.searchsorted(x, 7.0)] == 4.0
