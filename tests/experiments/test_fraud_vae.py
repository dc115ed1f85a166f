"""The lab of the variational autoencoder."""

from jaxdl.cli import launcher


def test_lab_beats_chance_and_its_thresholds_trade_recall_for_precision(tmp_path):
    options = ["--preset", "quick", "--source", "simulated", "--workdir", str(tmp_path / "run")]
    (results,) = launcher.launch(["experiments/fraud_vae.py", *options])
    ranking, *decisions = results.tables
    rows = {row["detector"]: row for row in ranking.rows}
    assert rows["VAE, evidence bound"]["AUPRC"].mean() > 20 * rows["random"]["AUPRC"].mean()
    assert rows["VAE, evidence bound"]["ROC-AUC"].mean() > 0.9
    assert {"VAE untrained, error", "PCA, 12 components", "autoencoder 30-12-30"} < set(rows)
    for table in decisions:
        first, *_, last = table.rows
        assert first["recall"].mean() >= last["recall"].mean() > 0.3
        assert first["FP"].mean() >= last["FP"].mean()
