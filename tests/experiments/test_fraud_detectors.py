"""The lab that compares detectors, its protocols, and its table of remedies."""

from jaxdl.anomaly import tables


def test_lab_ranks_labels_first_chance_last_and_refuses_the_leak(quick_run):
    results = quick_run("fraud_detectors").results
    *rankings, remedies = results.tables
    for table, split in zip(
        rankings, ("random 50/50", "temporal 50/50", "temporal 80/20"), strict=True
    ):
        assert split in table.title
        area = {(row["learns from"], row["detector"]): row["AUPRC"].mean() for row in table.rows}
        assert len(area) == len(table.rows) >= 40
        without_labels = [v for (source, _), v in area.items() if source != tables.LABELS]
        boosting = area[tables.LABELS, "supervised: gradient boosting"]
        assert boosting > sorted(without_labels)[-5]
        assert area[tables.NOTHING, "random"] < 0.02
    rows = {row["training part"] + row["model"]: row for row in remedies.rows}
    *honest, leak = rows.values()
    assert "refused" in leak["split check"]
    assert all(row["split check"] == "passed" for row in honest)
    assert leak["AUPRC"].mean() > 0.99 > max(row["AUPRC"].mean() for row in honest)


def test_each_label_free_detector_stands_under_both_protocols(quick_run):
    first, *_ = quick_run("fraud_detectors").results.tables
    names = {
        source: {row["detector"] for row in first.rows if row["learns from"] == source}
        for source in (tables.ALL_ROWS, tables.NORMAL_ROWS)
    }
    (chosen,) = names[tables.NORMAL_ROWS] - names[tables.ALL_ROWS]
    assert chosen.startswith("minor components of PCA, ")
    assert chosen.endswith(", number chosen")
    assert names[tables.ALL_ROWS] < names[tables.NORMAL_ROWS]
