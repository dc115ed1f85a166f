"""NAB benchmark on the simulated twins: the streaming detector against weak and other ones."""

import numpy as np
import pytest

from jaxdl.cli.launcher import launch


@pytest.mark.slow
def test_quick_preset(tmp_path):
    command = ["experiments/nab_benchmark.py", "--preset", "quick", "--source", "simulated"]
    results = launch([*command, "--workdir", str(tmp_path / "run")])[0]
    table, per_series, thresholds = results.tables
    rows = {row["detector"]: row for row in table.rows}
    streaming, weak = rows["streaming"], rows["random scores"]
    assert streaming["windows found"].item() >= 7
    assert streaming["standard"].item() > 60
    assert streaming["standard"].item() > weak["standard"].item() + 40
    assert streaming["range AP x 100"].item() > 2 * weak["range AP x 100"].item()
    assert streaming["VUS-PR x 100"].item() > 2 * weak["VUS-PR x 100"].item()
    for row in table.rows:
        assert np.all(row["low FP"] <= row["standard"] + 1e-9)
    series = {row["series"]: row for row in per_series.rows}
    assert series["artificialNoAnomaly/art_daily_small_noise"]["standard"] is None
    assert series["artificialWithAnomaly/art_daily_jumpsup"]["found"] == 1
    assert len(thresholds.rows) == 6
    assert (tmp_path / "run" / "figures" / "streaming_alarms.png").stat().st_size > 10_000
