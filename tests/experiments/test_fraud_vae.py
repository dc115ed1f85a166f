"""The lab of the variational autoencoder."""


def test_lab_beats_chance_and_its_thresholds_trade_recall_for_precision(quick_run):
    results = quick_run("fraud_vae").results
    ranking, *decisions = results.tables
    rows = {row["detector"]: row for row in ranking.rows}
    assert rows["VAE, evidence bound"]["AUPRC"].mean() > 10 * rows["random"]["AUPRC"].mean()
    assert rows["VAE, evidence bound"]["ROC-AUC"].mean() > 0.9
    assert {"VAE untrained, error", "PCA, 12 components", "autoencoder 30-12-30"} < set(rows)
    for table in decisions:
        first, *_, last = table.rows
        assert first["recall"].mean() >= last["recall"].mean() > 0.3
        assert first["FP"].mean() >= last["FP"].mean()
