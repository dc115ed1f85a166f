"""Options for data of one's own are refused where there are none, before anything is read."""

import pytest

from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError


@pytest.mark.parametrize(
    ("lab", "option", "source"),
    [
        ("clustering", ("--clusters", "4"), "csv FILE"),
        ("semi_supervised", ("--label", "species"), "csv FILE"),
        ("cifar_cnn", ("--test-share", "0.3"), "images FOLDER"),
        ("resnet", ("--split-seed", "4"), "images FOLDER"),
        ("mnist_autoencoder", ("--test-share", "0.3"), "images FOLDER"),
        ("mnist_vae", ("--split-seed", "4"), "images FOLDER"),
        ("imdb_sequence", ("--test-share", "0.3"), "reviews FILE"),
        ("nab_conv1d_ae", ("--alerts-per-week", "1"), "series FILE"),
    ],
)
def test_they_are_refused(lab, option, source, tmp_path):
    told = f"^{option[0]} is for data of your own: give --{source}$"
    with pytest.raises(UserError, match=told):
        launch([lab, "--preset", "quick", *option, "--workdir", str(tmp_path / "run")])
