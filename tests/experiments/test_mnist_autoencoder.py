"""Lab 460: autoencoders of images by both protocols, on the simulated twin."""

import pytest

from jaxdl.cli import launcher


def test_autoencoders_beat_the_mean_image(quick_run):
    (table,) = quick_run("mnist_autoencoder").results.tables
    assert "; better protocol: 1,080 to train on, 120 to choose the epoch" in table.title
    rows = {row["model"]: row for row in table.rows}
    assert rows["simple-32"]["parameters"] == 50_992
    for name, protocol in (("simple-32", "lecture"), ("convolutional", "better")):
        assert rows[name]["protocol"] == protocol
        assert (rows[name]["test MSE"] < 0.9 * rows["mean image"]["test MSE"]).all()
        assert (rows[name]["test MSE"] < rows["stacked, untrained"]["test MSE"]).all()
    assert rows["simple-32"]["epoch of the weights"] is None
    assert rows["convolutional"]["epoch of the weights"] > 1
    assert rows["PCA, 64 components"]["test MSE"] < rows["PCA, 32 components"]["test MSE"]


def test_a_title_names_no_protocol_that_no_net_took(tmp_path):
    """Nor are there principal components where there are fewer images."""
    command = ["experiments/mnist_autoencoder.py", "--preset", "quick", "--source", "simulated"]
    options = ["--models", "simple-32", "--epochs", "1", "--twin-rows", "60", "--valid-rows", "10"]
    (results,) = launcher.launch([*command, *options, "--workdir", str(tmp_path / "run")])
    (table,) = results.tables
    assert table.title.endswith(" test images")
    models = [row["model"] for row in table.rows]
    assert models == ["simple-32", "stacked, untrained", "PCA, 32 components", "mean image"]


@pytest.mark.parametrize("lab", ["mnist_autoencoder", "mnist_vae", "mnist_promises"])
def test_too_many_held_out_images_are_refused_in_one_line(tmp_path, lab, capsys):
    command = [f"experiments/{lab}.py", "--preset", "quick", "--source", "simulated"]
    status = launcher.main([*command, "--valid-rows", "1200", "--workdir", str(tmp_path / "run")])
    assert status == 2
    assert "1,200 of 1,200 rows cannot be held out" in capsys.readouterr().err
