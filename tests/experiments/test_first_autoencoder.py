"""Lab 050: PCA's floor, and autoencoders that reach it and go below."""

import jax.numpy as jnp
import numpy as np
import pytest

from datasets.toy import lecture_points
from experiments import first_autoencoder
from jaxdl import optim
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.pca import fit_pca
from jaxdl.training import fit


def test_linear_autoencoder_reaches_the_floor_and_not_below(quick_run):
    (table,) = quick_run("first_autoencoder").results.tables
    floor, untrained, lecture, linear, curved = [row["MSE"] for row in table.rows]
    assert floor == pytest.approx(0.001905, abs=1e-6)
    assert (linear >= floor * 0.9999).all()
    assert (linear <= floor * 1.01).all()
    assert (lecture > linear).all()
    assert (untrained > 10 * lecture).all()
    assert (curved < floor * 1.05).all()  # below it after the default number of epochs
    angles = table.rows[3]["angle to PCA's plane, degrees"]
    assert (angles < 1.0).all()


def test_codes_and_copies_are_the_first_members():
    x = lecture_points().astype(np.float32)
    model = DenseAutoencoder(3, (2,), identity)
    task = first_autoencoder.reconstruction_task(model, optim.adam(1e-2))
    fitted = fit(task, {"x": x}, seeds=np.arange(2), epochs=3, batch_size=50)
    code, copy = first_autoencoder.code_and_copy(model, fitted, x)
    assert code.shape == (100, 2)
    error = fitted.predict(first_autoencoder.squared_error, {"x": x})[0]
    np.testing.assert_allclose(np.square(copy - x).mean(axis=1), error, rtol=1e-4)
    # two seeds find two planes, neither of them PCA's after three epochs
    angles = first_autoencoder.angle_to_plane(fitted, fit_pca(jnp.asarray(x), 2))
    assert angles.shape == (2,)
    assert (angles > 1.0).all()
    assert angles[0] != angles[1]
