"""Labs 050 and 460: PCA's floor, autoencoders that reach it and go below."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from datasets.toy import lecture_points, shapes
from jaxdl.cli.launcher import launch


def quick_tables(lab, folder):
    command = [f"experiments/{lab}.py", "--preset", "quick", "--seeds", "2"]
    return launch([*command, "--workdir", str(folder / "run")])[0].tables


def test_points_are_the_lectures():
    x = lecture_points()
    centred = x - x.mean(axis=0)
    variance = np.linalg.eigvalsh(centred.T @ centred / 100)[::-1]
    assert variance[2] / 3 == pytest.approx(0.001905, abs=5e-7)
    np.testing.assert_allclose(variance / variance.sum(), [0.866, 0.128, 0.006], atol=6e-4)


def test_linear_autoencoder_reaches_the_floor_and_not_below(tmp_path):
    (table,) = quick_tables("first_autoencoder", tmp_path)
    floor, untrained, lecture, linear, bent = [row["MSE"] for row in table.rows]
    assert floor == pytest.approx(0.001905, abs=1e-6)
    assert (np.asarray(linear) >= floor * 0.9999).all()
    assert (np.asarray(linear) <= floor * 1.01).all()
    assert (np.asarray(lecture) > linear).all()
    assert (np.asarray(untrained) > 10 * np.asarray(lecture)).all()
    assert (np.asarray(bent) < floor * 1.05).all()  # below it after the default number of epochs
    angles = table.rows[3]["angle to PCA's plane, degrees"]
    assert (angles < 1.0).all()


def test_digits_against_scikit_learns_pca(tmp_path):
    from sklearn.datasets import load_digits

    (table,) = quick_tables("pca_autoencoder", tmp_path)
    x = load_digits().data / 16
    row = table.rows[0]
    theirs = PCA(2).fit(x[:1400])
    left = x[1400:] - theirs.inverse_transform(theirs.transform(x[1400:]))
    assert row["PCA"] == pytest.approx(np.square(left).mean(), rel=1e-4)
    assert (row["untrained"] > 2 * row["PCA"]).all()
    assert (row["non-linear, 64-128-code"] < row["untrained"]).all()


def test_shapes_are_standardised_and_repeatable():
    for name, (x, y) in shapes(120).items():
        assert x.shape == (120, 2)
        assert len(y) == 120
        np.testing.assert_allclose(x.std(axis=0), 1)
        np.testing.assert_array_equal(x, shapes(120)[name][0])
