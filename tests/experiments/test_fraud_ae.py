"""Lab 160: what stands beside the lecture's net, by what it learnt from."""

import types

import numpy as np
import pytest

from datasets import fraud
from datasets.fraud_split import LEAST_NORMAL
from datasets.source import Request
from experiments import fraud_ae as lab
from jaxdl.anomaly import tables
from jaxdl.cli import launcher
from jaxdl.errors import UserError

PUBLISHED = {  # average precision on the published file: lecture's split, normal rows
    "PCA, 12 components": 0.242,
    "autoencoder of the lecture": 0.234,
    "minor components of PCA, 1": 0.695,
}


def area_by_protocol(results):
    *_, ranking = results.tables
    return {
        (row["learns from"], row["detector"]): float(row["AUPRC"].mean()) for row in ranking.rows
    }


def test_three_protocols_stand_side_by_side(quick_run):
    results = quick_run("fraud_ae").results
    area = area_by_protocol(results)
    assert {source for source, _ in area} == {
        tables.NORMAL_ROWS,
        tables.ALL_ROWS,
        tables.NOTHING,
    }
    # what learnt from normal rows was handed the direction of the frauds, the rest was not
    normal, everything = (
        area[source, "minor components of PCA, 1"]
        for source in (tables.NORMAL_ROWS, tables.ALL_ROWS)
    )
    assert normal > 0.5 > 0.2 > everything
    assert area[tables.NOTHING, "random score"] < 0.02
    assert area[tables.ALL_ROWS, "default detector"] > area[tables.ALL_ROWS, "Mahalanobis"]


def test_both_nets_decide_by_the_same_rule(quick_run):
    lecture, recommended, _ = quick_run("fraud_ae").results.tables
    assert [row["threshold"] for row in lecture.rows] == [
        row["threshold"] for row in recommended.rows
    ]
    for table in (lecture, recommended):
        alerts = [row["FP"].mean() + row["TP"].mean() for row in table.rows]
        assert alerts == sorted(alerts, reverse=True)


def written(path, normal, frauds):
    """A file of transactions with so many rows of each kind, drawn from the twin."""
    twin = fraud.simulate(20_000)
    rows = np.concatenate(
        [np.flatnonzero(twin["label"] == kind)[:n] for kind, n in ((0, normal), (1, frauds))]
    )
    rows = np.random.default_rng(0).permutation(rows)
    lines = [",".join(fraud.COLUMNS)]
    for row in rows:
        cells = [twin["time"][row], *twin["v"][row], twin["amount"][row], twin["label"][row]]
        lines.append(",".join(map(str, cells)))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("normal", "frauds"), [(40, 20), (0, 30)])
def test_a_file_with_hardly_a_normal_row_is_refused(normal, frauds, tmp_path):
    path = written(tmp_path / "few.csv", normal, frauds)
    run = types.SimpleNamespace(source=Request(), uses=lambda data: None)
    with pytest.raises(UserError, match=f"normal rows to learn from and .*: {LEAST_NORMAL} and 1"):
        lab.load_parts(lab.Config(csv=path), run)


def test_a_small_file_is_judged(tmp_path):
    path = written(tmp_path / "small.csv", 2 * LEAST_NORMAL + 20, 20)
    words = ["experiments/fraud_ae.py", "--preset", "quick", "--csv", str(path)]
    (results,) = launcher.launch([*words, "--workdir", str(tmp_path / "run")])
    assert len(results.tables) == 3


@pytest.mark.slow
def test_the_twin_shows_the_order_of_the_published_file(tmp_path):
    folder = ["--workdir", str(tmp_path / "run")]
    (results,) = launcher.launch(["experiments/fraud_ae.py", "--source", "simulated", *folder])
    area = area_by_protocol(results)
    found = {name: area[tables.NORMAL_ROWS, name] for name in PUBLISHED}
    for name, value in PUBLISHED.items():
        assert found[name] == pytest.approx(value, abs=0.1), name
    lecture, pca, smallest = (
        found[name]
        for name in (
            "autoencoder of the lecture",
            "PCA, 12 components",
            "minor components of PCA, 1",
        )
    )
    assert lecture < pca < smallest
