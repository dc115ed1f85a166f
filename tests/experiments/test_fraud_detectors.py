"""The lab that compares detectors, and its table of remedies."""


def test_lab_ranks_labels_first_chance_last_and_refuses_the_leak(quick_run):
    results = quick_run("fraud_detectors").results
    for table, split in zip(results.tables, ("random", "temporal"), strict=False):
        assert split in table.title
        area = {row["detector"]: row["AUPRC"].mean() for row in table.rows}
        label_free = [v for k, v in area.items() if not k.startswith("supervised")]
        assert area["supervised: logistic regression"] > max(label_free)
        assert area["random"] == min(area.values()) < 0.02
        assert len(area) >= 20
    rows = {row["training part"] + row["model"]: row for row in results.tables[2].rows}
    *honest, leak = rows.values()
    assert "refused" in leak["split check"]
    assert all(row["split check"] == "passed" for row in honest)
    assert leak["AUPRC"].mean() > 0.99 > max(row["AUPRC"].mean() for row in honest)
