"""The variational autoencoder and its bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import optim
from jaxdl.models.autoencoder import ConvAutoencoder, DenseAutoencoder
from jaxdl.models.layers import identity
from jaxdl.models.vae import VAE, DenseVAE, Posterior, VaeOutput, gaussian_bound, reparametrise
from jaxdl.training import Task, fit, module_functions


def test_reparametrise_is_a_pure_function_of_the_key_with_the_right_moments():
    posterior = Posterior(jnp.full((20_000, 2), 3.0), jnp.full((20_000, 2), np.log(0.25)))
    draw = reparametrise(jax.random.key(0), posterior)
    np.testing.assert_array_equal(draw, reparametrise(jax.random.key(0), posterior))
    assert (draw != reparametrise(jax.random.key(1), posterior)).all()
    np.testing.assert_allclose(draw.mean(), 3.0, atol=0.02)
    np.testing.assert_allclose(draw.std(), 0.5, atol=0.02)


def test_gradient_reaches_the_mean_and_the_variance():
    def second_moment(mean, log_variance):
        return jnp.square(reparametrise(jax.random.key(0), Posterior(mean, log_variance))).mean()

    mean, log_variance = jnp.full((50_000, 1), 2.0), jnp.full((50_000, 1), np.log(0.5))
    slopes = jax.grad(second_moment, argnums=(0, 1))(mean, log_variance)
    # E z^2 = mean^2 + variance: slopes 2 mean, and the variance itself
    np.testing.assert_allclose(slopes[0].sum(), 4.0, rtol=0.02)
    np.testing.assert_allclose(slopes[1].sum(), 0.5, rtol=0.05)


def test_gaussian_bound_is_error_and_divergence_in_nats():
    x = jnp.array([[1.0, 2.0, 3.0]])
    outputs = VaeOutput(jnp.zeros((1, 3)), Posterior(jnp.ones((1, 2)), jnp.zeros((1, 2))))
    # 14 / (2 * 0.25) from the squares, 1/2 for each of the two latents
    np.testing.assert_allclose(gaussian_bound(outputs, x, noise=0.5), [28.0 + 1.0])
    np.testing.assert_allclose(gaussian_bound(outputs, x, noise=0.5, beta=4.0), [28.0 + 4.0])


@pytest.mark.parametrize("shape", [(5,), (4, 4, 1)])
def test_output_has_the_shape_of_the_input_and_evaluation_draws_nothing(shape):
    model, x = DenseVAE((8,), 2), jnp.ones((3, *shape))
    variables = model.init({"params": jax.random.key(0)}, x, train=False)
    first = model.apply(variables, x, train=False)
    assert first.reconstruction.shape == x.shape
    assert first.posterior.mean.shape == (3, 2)
    np.testing.assert_array_equal(
        first.reconstruction, model.apply(variables, x, train=False).reconstruction
    )
    noisy = [
        model.apply(variables, x, train=True, rngs={"dropout": jax.random.key(k)}) for k in (0, 1)
    ]
    assert (noisy[0].reconstruction != noisy[1].reconstruction).any()


def test_training_finds_the_plane_the_rows_lie_in(rows):
    task = Task(
        *module_functions(DenseVAE((16,), 2)),
        loss=lambda outputs, batch, hyper: gaussian_bound(outputs, batch["x"], noise=0.3),
        optimizer=lambda hyper: optim.adam(1e-2),
    )
    trained, blank = (
        fit(task, rows, seeds=np.arange(2), epochs=epochs, batch_size=32) for epochs in (60, 0)
    )
    errors = [
        f.predict(lambda o, b: jnp.square(o.reconstruction - b["x"]).mean(-1), rows).mean(axis=1)
        for f in (trained, blank)
    ]
    assert (errors[0] < 0.15 * errors[1]).all()


@pytest.mark.parametrize(
    "body",
    [
        DenseAutoencoder(64, (8, 6), code_activation=identity),
        ConvAutoencoder(8, 4, channels=3, hidden=5, code=6),
    ],
)
def test_vae_of_any_body_halves_its_code(body):
    model, x = VAE(body), jax.random.uniform(jax.random.key(2), (4, 64))
    variables = model.init({"params": jax.random.key(0)}, x, train=False)
    output = model.apply(variables, x, train=False)
    assert output.posterior.mean.shape == output.posterior.log_variance.shape == (4, 3)
    assert output.reconstruction.shape == (4, 64)
    mean = model.apply(variables, x, method="encode").mean
    np.testing.assert_allclose(
        output.reconstruction, model.apply(variables, mean, method="decode"), rtol=1e-5
    )
    drawn = model.apply(variables, x, train=True, rngs={"dropout": jax.random.key(1)})
    assert (drawn.reconstruction != output.reconstruction).any()
