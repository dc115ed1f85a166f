"""Lab 170 on the simulated twins: the jump is found, and a user's own series goes through."""

import numpy as np
import pytest

from experiments import nab_conv1d_ae
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError

LAB = "experiments/nab_conv1d_ae.py"
SHORT = ["--preset", "quick", "--source", "simulated", "--batch-size", "512"]


@pytest.mark.slow
def test_quick_preset_finds_the_jump(tmp_path):
    results = launch([LAB, *SHORT, "--workdir", str(tmp_path / "run")])[0]
    rows = {(row["model"], row["protocol"]): row for row in results.tables[0].rows}
    pca = rows["PCA, 16 components", "sound, MSE"]
    assert pca["points found"].item() == 108
    assert pca["false points"].item() <= 5
    net = rows["lecture net", "sound, MSE"]
    assert net["parameters"] == 9_313
    assert net["true points"] == 108
    assert net["points found"].item() >= 100
    assert net["false points"].item() <= 2
    published = rows["lecture net", "published, MAE"]
    assert published["points found"].item() >= 90
    assert {"flagged_points", "conv1d_arithmetic", "test_errors"} <= set(results.figures)
    assert (tmp_path / "run" / "figures" / "flagged_points.png").stat().st_size > 10_000


def test_own_series(tmp_path):
    rng = np.random.default_rng(0)
    value = np.sin(np.arange(2000) / 8) + 0.05 * rng.normal(size=2000)
    value[1700:1720] += 3
    start = np.datetime64("2020-01-01T00:00")
    rows = [f"{start + 5 * i},{v}" for i, v in enumerate(value)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["timestamp,value", *rows]))
    own = [*SHORT, "--series", str(path), "--workdir", str(tmp_path / "run")]
    results = launch([LAB, *own, "--window", "32"])[0]
    row = next(r for r in results.tables[0].rows if r["model"].startswith("PCA"))
    assert "points found" not in row  # nobody knows the truth of a user's series
    assert 10 <= row["points flagged"].item() <= 60
    with pytest.raises(UserError, match="smaller --window"):
        launch([LAB, *own, "--window", "288", "--fresh"])


def test_what_cannot_work_is_said_in_one_line():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=600)
    constant = np.append(np.ones(300), noise[:300])
    for words, train, numbers in (
        ("multiple of 4", noise, (30, 0.2, 0.1)),
        ("--valid-share 1.5", noise, (32, 1.5, 0.1)),
        ("--alarm-rate 0", noise, (32, 0.2, 0.0)),
        ("600 to test are too few", noise, (32, 0.2, 0.001)),
        ("too few", noise, (400, 0.5, 0.1)),
        ("constant", np.ones(600), (32, 0.2, 0.1)),
        ("out of all range", 1e300 * noise, (32, 0.2, 0.1)),
    ):
        with pytest.raises(UserError, match=words):
            nab_conv1d_ae.split_windows(train, noise, *numbers)
    parts, test = nab_conv1d_ae.split_windows(constant, noise, 32, 0.2, 0.1)
    assert test.shape == (569, 32, 1)
    assert [[len(x) for x in pair] for pair in parts.values()] == [[512, 57], [449, 89]]
