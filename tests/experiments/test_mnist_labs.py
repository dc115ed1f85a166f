"""Labs of image autoencoders on the simulated twins: quick presets from end to end."""

import numpy as np
import pytest

from jaxdl.cli import launcher


def quick(lab, folder, *options):
    command = [f"experiments/{lab}.py", "--preset", "quick", "--source", "simulated"]
    (results,) = launcher.launch([*command, "--workdir", str(folder), *options])
    return results


def test_autoencoders_beat_the_mean_image_and_eval_repeats_the_table(tmp_path):
    folder = tmp_path / "run"
    (table,) = quick("mnist_autoencoder", folder).tables
    rows = {row["model"]: row for row in table.rows}
    assert rows["simple-32"]["parameters"] == 50_992
    for name in ("simple-32", "convolutional"):
        assert (rows[name]["test MSE"] < 0.9 * rows["mean image"]["test MSE"]).all()
        assert (rows[name]["test MSE"] < rows["stacked, untrained"]["test MSE"]).all()
    assert rows["convolutional"]["epoch of the weights"] > 1
    assert rows["PCA, 64 components"]["test MSE"] < rows["PCA, 32 components"]["test MSE"]
    for name in ("copies_convolutional", "bce", "mse"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 1000
    (again,) = launcher.launch(["--eval", str(folder)])
    assert again.tables[0].record() == table.record()


def test_vae_bounds_are_ordered_and_beat_the_baselines(tmp_path):
    results = quick("mnist_vae", tmp_path / "run", "--binarisation", "dynamic")
    (table,) = results.tables
    vae, untrained, alone = table.rows
    assert vae["-ELBO"].mean() < alone["-ELBO"] < untrained["-ELBO"].mean()
    np.testing.assert_allclose(vae["reconstruction"] + vae["KL"], vae["-ELBO"], rtol=1e-6)
    assert (vae["-IWAE, K = 50"] < vae["-ELBO, first 40"]).all()
    assert results.notes == []  # goals are for published images
    names = {path.stem for path in (tmp_path / "run" / "figures").iterdir()}
    assert {"samples", "traversals", "latent_plane", "latent_map", "bound_by_draws"} <= names


def test_promises_are_measured(tmp_path):
    tables = quick("mnist_promises", tmp_path / "run").tables
    compression, cleaned, similar, made, few, maps = tables
    by_method = {row["method"]: row for row in compression.rows}
    assert by_method["autoencoder, a byte each"]["bytes for 784"] == 16
    assert by_method["autoencoder"]["MSE"].shape == (1,)
    for row in cleaned.rows:
        assert row["denoising autoencoder"].mean() > row["noisy"]
    precision = {row["distance between"]: row["precision at 10"] for row in similar.rows}
    assert np.mean(precision["codes, autoencoder"]) > 2 * precision["nothing: chance"]
    judged = {row["images"]: row for row in made.rows}
    assert judged["test images"]["of the class that was meant"] > 0.6
    assert few.rows[0]["net from the encoder"].shape == (1,)
    assert all(0 <= row["of 10 neighbours, same class"] <= 1 for row in maps.rows)


@pytest.mark.parametrize("lab", ["mnist_autoencoder", "mnist_vae", "mnist_promises"])
def test_too_many_held_out_images_are_refused_in_one_line(tmp_path, lab, capsys):
    command = [f"experiments/{lab}.py", "--preset", "quick", "--source", "simulated"]
    status = launcher.main([*command, "--valid-rows", "1200", "--workdir", str(tmp_path / "run")])
    assert status == 2
    assert "1,200 of 1,200 rows cannot be held out" in capsys.readouterr().err
