"""The lab of the leak: what is removed, what the direction is worth, what is left without it."""

import numpy as np

from datasets import fraud
from datasets.fraud_split import split_in_two
from datasets.source import Request
from experiments import fraud_leak
from jaxdl.anomaly import tables


def test_as_many_random_rows_are_left_out_as_frauds():
    label = np.repeat([0, 1], [190, 10])
    for share, count in ((1.0, 10), (0.5, 5), (0.0, 0)):
        without_frauds, without_random = fraud_leak.rows_left_out(label, 3, share)
        assert (~without_frauds).sum() == (~without_random).sum() == count
        assert (label[~without_frauds] == 1).all()
    other, _ = fraud_leak.rows_left_out(label, 4, 0.5)
    assert not np.array_equal(other, fraud_leak.rows_left_out(label, 3, 0.5)[0])


def test_only_leaving_the_frauds_out_points_at_them(quick_run):
    kept, *_ = quick_run("fraud_leak").results.tables
    for split in ("random", "temporal"):
        rows = {row["rows kept"]: row for row in kept.rows if row["split"] == split}
        column = "cosine with the mean fraud"
        assert rows[fraud_leak.WITHOUT_FRAUDS][column].mean() > 0.95
        assert rows[fraud_leak.ALL][column].mean() < 0.8
        area = {name: row["AUPRC"].mean() for name, row in rows.items()}
        assert area[fraud_leak.WITHOUT_FRAUDS] > 0.5
        assert area[fraud_leak.ALL] < 0.2
        assert abs(area[fraud_leak.WITHOUT_RANDOM] - area[fraud_leak.ALL]) < 0.1


def test_the_leak_fades_to_the_direction_of_all_rows(quick_run):
    kept, fading, *_ = quick_run("fraud_leak").results.tables
    first = [row for row in fading.rows if row["split"] == "random"]
    assert [row["frauds removed"] for row in first] == ["0%", "20%", "100%"]
    ends = {row["rows kept"]: row["AUPRC"].mean() for row in kept.rows if row["split"] == "random"}
    assert first[0]["AUPRC"].mean() == ends[fraud_leak.ALL]
    assert first[-1]["AUPRC"].mean() == ends[fraud_leak.WITHOUT_FRAUDS]


def test_detectors_lose_what_the_direction_gave_them(quick_run):
    _, _, random, _ = quick_run("fraud_leak").results.tables
    rows = {(row["learns from"], row["detector"]): row for row in random.rows}
    smallest = rows[tables.NORMAL_ROWS, "minor components of PCA, 1"]
    assert smallest["AUPRC"].mean() > 0.5 > 0.2 > smallest["without the direction"].mean()
    lecture = rows[tables.NORMAL_ROWS, fraud_leak.LECTURE]
    assert lecture["error along it, frauds"].mean() > 10 * lecture["error along it, normal"].mean()
    assert "error along it, frauds" not in rows[tables.ALL_ROWS, fraud_leak.LECTURE]
    made_up = rows[tables.NORMAL_ROWS, "extra trees, made-up frauds"]["AUPRC"].mean()
    assert made_up > 0.5  # a classifier that never saw a fraud


def test_no_row_lies_outside_the_figure():
    train, _, _ = split_in_two(fraud.load(Request("simulated"), twin_rows=20_000), "random")
    train.x[np.flatnonzero(train.label == 1)[0]] *= 30  # far out
    axes = fraud_leak.draw_directions(train, 0, normals=300).axes
    assert len(axes) == 3
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in axes}) == 1
    for axis in axes:
        for group in axis.collections:
            x, y = np.asarray(group.get_offsets()).T
            assert axis.get_xlim()[0] <= x.min() <= x.max() <= axis.get_xlim()[1]
            assert axis.get_ylim()[0] <= y.min() <= y.max() <= axis.get_ylim()[1]


def test_fading_is_drawn_at_the_shares_themselves():
    removed = (1.0, 0.0, 0.8)
    rows = [
        {"cosine with the mean fraud": np.array([share, share]), "AUPRC": np.array([0.1, 0.1])}
        for share in removed
    ]
    (axis,) = fraud_leak.draw_fading(rows, removed).axes
    cosine, _ = axis.lines
    assert cosine.get_xydata().tolist() == [[0.0, 0.0], [0.8, 0.8], [1.0, 1.0]]
    assert axis.xaxis.get_major_formatter()(0.8) == "80%"
