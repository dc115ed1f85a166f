"""Lab 460: the error of PCA is scikit-learn's, and autoencoders learn."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError


def test_digits_against_scikit_learns_pca(quick_run):
    (table,) = quick_run("pca_autoencoder").results.tables
    x = load_digits().data / 16
    row = table.rows[0]
    theirs = PCA(2).fit(x[:1400])
    left = x[1400:] - theirs.inverse_transform(theirs.transform(x[1400:]))
    assert row["PCA"] == pytest.approx(np.square(left).mean(), rel=1e-4)
    assert (row["untrained"] > 2 * row["PCA"]).all()
    assert (row["linear autoencoder"] < row["untrained"]).all()
    assert (row["non-linear, 64-128-code"] < row["untrained"]).all()


def test_some_digits_must_be_held_out(tmp_path):
    words = ["pca_autoencoder", "--preset", "quick", "--workdir", str(tmp_path / "run")]
    with pytest.raises(UserError, match="--train-rows 1797: there are 1797 digits"):
        launch([*words, "--train-rows", "1797"])
