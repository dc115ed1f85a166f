"""NAB's score against published per-file scores, its definition, and a brute-force sweep."""

import numpy as np
import pytest

from datasets import nab
from datasets.source import Request
from jaxdl.timeseries import nab_score as scoring

STANDARD = scoring.PROFILES["standard"]
TIME = np.arange(np.datetime64("2020-01-01", "h"), np.datetime64("2020-01-01", "h") + 400)


def flags(*rows, n=400):
    out = np.zeros(n, bool)
    out[list(rows)] = True
    return out


def two_windows():
    return scoring.layout_of(TIME, [(TIME[100], TIME[119]), (TIME[300], TIME[339])])


def test_published_score_of_one_alarm_at_the_jump():
    """relativeEntropy, Numenta HTM and others on art_daily_jumpsup: raw 0.86067182427."""
    series = nab.load(Request("simulated"), "artificialWithAnomaly/art_daily_jumpsup")
    layout = scoring.layout_of(series.time, series.windows)
    first = flags(2988, n=4032)  # 2014-04-11 09:00
    assert scoring.raw_score(first, layout, STANDARD) == pytest.approx(0.86067182427, abs=1e-11)
    scores = [scoring.corpus_score([first], [layout], p) for p in scoring.PROFILES.values()]
    assert [round(score, 1) for score in scores] == [93.0, 93.0, 95.4]  # as published
    assert layout.counts.sum() == 3428  # TP + TN + FP + FN there
    # two false alarms before the window, the window missed: the published -1.22 of such a file
    assert scoring.raw_score(flags(700, 800, n=4032), layout, STANDARD) == pytest.approx(-1.22)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "row", "extra", "published"),
    [
        # relativeEntropy: one true positive and one false alarm before any window
        ("ec2_cpu_utilization_24ae8d", "2014-02-26T22:05", -0.11, -0.248449197924),
        # relativeEntropy: one true positive, no false alarm
        ("elb_request_count_8c0756", "2014-04-12T17:24", 0.0, -0.138449197924),
    ],
)
def test_published_scores_of_single_hits(real_data, name, row, extra, published):
    series = nab.load(Request("real", real_data), f"realAWSCloudwatch/{name}")
    layout = scoring.layout_of(series.time, series.windows)
    hit = series.time == np.datetime64(row)
    raw = scoring.raw_score(hit, layout, STANDARD)
    assert raw + extra == pytest.approx(published, abs=1e-11)


def test_rows_count_from_the_end_of_learning():
    assert scoring.learning_rows(4032) == 604
    assert scoring.learning_rows(18_050) == 750
    layout = two_windows()
    assert scoring.false_alarms(flags(0, 59), layout) == 0
    assert scoring.false_alarms(flags(59, 60, 110), layout) == 1


def test_value_of_a_flag():
    value = two_windows().value
    assert value[100] == pytest.approx(1.0)
    assert (np.diff(value[100:120]) < 0).all()
    assert value[99] == -1.0
    assert -0.3 < value[120] < 0  # just behind a window a false alarm is cheap
    assert value[299] == -1.0


def test_earliest_hit_counts_once_and_a_miss_costs():
    layout = two_windows()
    both = scoring.raw_score(flags(105, 110, 310), layout, STANDARD)
    assert both == pytest.approx(layout.value[105] + layout.value[310])
    assert scoring.raw_score(flags(105), layout, STANDARD) == pytest.approx(layout.value[105] - 1)
    double = scoring.PROFILES["low FN"]
    assert scoring.raw_score(flags(105), layout, double) == pytest.approx(layout.value[105] - 2)
    assert scoring.windows_found(flags(105, 110), layout) == 1


def test_scale_runs_from_silence_to_perfection():
    layout = two_windows()
    for profile in scoring.PROFILES.values():
        assert scoring.corpus_score([flags()], [layout], profile) == pytest.approx(0.0)
        assert scoring.corpus_score([flags(100, 300)], [layout], profile) == pytest.approx(100.0)
        assert scoring.corpus_score([flags(*range(400))], [layout], profile) < 100.0
    with pytest.raises(ValueError, match="no series has a window"):
        scoring.corpus_score([flags()], [scoring.layout_of(TIME, [])], STANDARD)
    with pytest.raises(ValueError, match="begin and end on rows"):
        scoring.layout_of(TIME, [(np.datetime64("2019-01-01"), TIME[5])])


def test_best_threshold_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    layouts = [two_windows(), scoring.layout_of(TIME, [(TIME[200], TIME[230])])]
    for trial in range(10):
        scores = [np.round(rng.random(400) ** 4, 2) for _ in layouts]
        for series, layout in zip(scores, layouts, strict=True):
            series[(layout.window >= 0) & (rng.random(400) < 0.2)] += 0.3
        for profile in scoring.PROFILES.values():
            threshold, best = scoring.best_threshold(scores, layouts, profile)
            every = [
                scoring.corpus_score([s >= cut for s in scores], layouts, profile)
                for cut in np.unique(np.concatenate(scores))
            ]
            assert best == pytest.approx(max(max(every), 0.0)), trial
            at = scoring.corpus_score([s >= threshold for s in scores], layouts, profile)
            assert at == pytest.approx(best)


def test_range_average_precision():
    layout = two_windows()
    perfect = (layout.window >= 0).astype(float)
    assert scoring.range_average_precision([perfect], [layout]) == 1.0
    one = flags(105, 90).astype(float)  # one window at precision 1/2, the other with all 340 rows
    expected = 0.5 * 0.5 + 0.5 * 60 / 340
    assert scoring.range_average_precision([one], [layout]) == pytest.approx(expected)
