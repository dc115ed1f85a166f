"""VUS-PR against its definition threshold by threshold, average precision, and closed cases."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from jaxdl.timeseries import vus_pr


def labelled(n, *ranges):
    labels = np.zeros(n, bool)
    for first, last in ranges:
        labels[first : last + 1] = True
    return labels


def direct_area(scores, ranges, buffer):
    """The definition, row by row: no sorting, no cumulative sums."""
    n, half = len(scores), buffer // 2
    weight = [0.0] * n
    for first, last in ranges:
        for row in range(n):
            gap = first - row if row < first else row - last if row > last else 0
            if gap == 0:
                weight[row] += 1.0
            elif gap <= half:
                weight[row] += (1 - gap / buffer) ** 0.5
    weight = [min(w, 1.0) for w in weight]
    wide = []
    for first, last in sorted(ranges):
        low, high = max(first - half, 0), min(last + half, n - 1)
        if wide and low <= wide[-1][1] + 1:
            wide[-1][1] = high
        else:
            wide.append([low, high])
    hard = {row for first, last in ranges for row in range(first, last + 1)}
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        flagged = [row for row in range(n) if scores[row] >= threshold]
        hits = sum(weight[row] for row in flagged)
        buffered = sum(weight[row] for row in flagged if row not in hard)
        found = sum(any(low <= row <= high for row in flagged) for low, high in wide) / len(wide)
        recall = min(hits / (len(hard) + buffered / 2), 1.0) * found
        area += (recall - before) * hits / len(flagged)
        before = recall
    return area


@pytest.mark.parametrize("buffer", [0, 1, 2, 5, 8, 30])
def test_area_is_the_definition(buffer):
    rng = np.random.default_rng(buffer)
    ranges = [(3, 9), (14, 15), (40, 52)]
    labels = labelled(60, *ranges)
    for decimals in (1, 6):  # with many ties and without
        scores = np.round(rng.random(60) + 0.3 * labels, decimals)
        area = vus_pr.range_pr_area(scores, labels, buffer)
        assert area == pytest.approx(direct_area(scores, ranges, buffer), abs=1e-12)


def test_volume_is_the_mean_over_buffers():
    rng = np.random.default_rng(0)
    ranges = [(0, 4), (30, 36)]
    scores = rng.random(50)
    expected = np.mean([direct_area(scores, ranges, buffer) for buffer in range(13)])
    assert vus_pr.vus_pr(scores, labelled(50, *ranges), 12) == pytest.approx(expected, abs=1e-12)


def test_without_buffer_one_range_is_average_precision():
    rng = np.random.default_rng(0)
    labels = labelled(300, (120, 140))
    scores = rng.random(300) + 0.2 * labels
    expected = average_precision_score(labels, scores)
    assert vus_pr.range_pr_area(scores, labels, 0) == pytest.approx(expected, abs=1e-12)
    # with two ranges, recall also asks for both
    labels |= labelled(300, (10, 12))
    assert vus_pr.range_pr_area(scores, labels, 0) < average_precision_score(labels, scores)


def test_closed_cases():
    labels = labelled(200, (50, 69), (150, 154))
    assert vus_pr.vus_pr(labels.astype(float), labels, 40) == pytest.approx(1.0)
    constant = [vus_pr.soft_labels(labels, buffer).mean() for buffer in range(41)]
    assert vus_pr.vus_pr(np.zeros(200), labels, 40) == pytest.approx(np.mean(constant))
    assert vus_pr.vus_pr(-labels.astype(float), labels, 40) < vus_pr.vus_pr(
        np.zeros(200), labels, 40
    )
    with pytest.raises(ValueError, match="no row is labelled"):
        vus_pr.vus_pr(np.zeros(200), np.zeros(200, bool), 40)


def test_soft_labels():
    soft = vus_pr.soft_labels(labelled(12, (4, 5)), 4)
    near, far = np.sqrt(1 - 1 / 4), np.sqrt(1 - 2 / 4)
    np.testing.assert_allclose(soft, [0, 0, far, near, 1, 1, near, far, 0, 0, 0, 0])
    assert vus_pr.soft_labels(labelled(9, (0, 1), (4, 8)), 6)[2] == 1.0  # two buffers, cut at 1


def test_a_late_detector_loses_little():
    labels = labelled(400, (200, 219))
    shifts = [np.roll(labels, by).astype(float) for by in (0, 5, 10, 15, 60)]
    values = [vus_pr.vus_pr(scores, labels, 40) for scores in shifts]
    assert values == sorted(values, reverse=True)
    assert values[1] > vus_pr.range_pr_area(shifts[1], labels, 0) + 0.1


def test_period():
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(3000) / 48) + 0.1 * rng.normal(size=3000)
    assert abs(vus_pr.period(wave) - 48) <= 1
    assert vus_pr.period(np.full(500, 3.0)) == 125
    assert vus_pr.period(np.arange(500.0)) == 125
    long = np.sin(2 * np.pi * np.arange(3000) / 350)
    assert vus_pr.period(long) == 125
