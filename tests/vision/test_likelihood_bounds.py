"""Bounds on the log likelihood against a model whose likelihood has a closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import bernoulli, multivariate_normal

from jaxdl.models.vae import Posterior
from jaxdl.vision import likelihood_bounds

LATENT, FEATURES, SD = 2, 5, 0.7


@pytest.fixture(scope="module")
def linear():
    """x = W z + b + noise: log p(x) is that of a Gaussian, and so is the true posterior."""
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(FEATURES, LATENT)), rng.normal(size=FEATURES)
    x = rng.normal(size=(4, LATENT)) @ w.T + b + SD * rng.normal(size=(4, FEATURES))
    exact = multivariate_normal(b, w @ w.T + SD**2 * np.eye(FEATURES)).logpdf(x)

    def log_likelihood(codes):
        left = (x - codes @ w.T - b) / SD
        return -0.5 * (left**2).sum(-1) - FEATURES * np.log(SD * np.sqrt(2 * np.pi))

    precision = w.T @ w / SD**2 + np.eye(LATENT)
    mean = np.linalg.solve(precision, w.T @ (x - b).T / SD**2).T
    # the best diagonal Gaussian has the true mean and the inverse diagonal of the precision
    log_variance = np.broadcast_to(-np.log(np.diag(precision)), mean.shape)
    posterior = Posterior(jnp.asarray(mean, jnp.float32), jnp.asarray(log_variance, jnp.float32))
    gap = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    return log_likelihood, posterior, exact, gap


def test_evidence_bound_is_log_p_less_the_divergence_from_the_true_posterior(linear):
    log_likelihood, posterior, exact, gap = linear
    fit, kl = likelihood_bounds.evidence_bound(jax.random.key(0), posterior, log_likelihood, 20_000)
    np.testing.assert_allclose(fit - kl, exact - gap, atol=0.05)


def test_importance_bound_reaches_log_p_from_below(linear):
    log_likelihood, posterior, exact, gap = linear
    poor = Posterior(posterior.mean + 0.5, posterior.log_variance + 0.5)
    means = []
    for draws, chunk in ((1, 1), (10, 5), (20_000, 500)):
        keys = jax.random.split(jax.random.key(1), 400 if draws < 20_000 else 1)
        bound = jax.vmap(
            lambda key, d=draws, c=chunk: likelihood_bounds.importance_bound(
                key, poor, log_likelihood, d, c
            )
        )(keys)
        means.append(np.asarray(bound).mean())
    assert means[0] < means[1] - 0.1 < means[2] - 0.1
    fit, kl = likelihood_bounds.evidence_bound(jax.random.key(2), poor, log_likelihood, 20_000)
    assert means[0] == pytest.approx(float((fit - kl).mean()), abs=0.2)  # K = 1 is the ELBO
    assert means[2] == pytest.approx(exact.mean(), abs=0.05)
    assert gap > 0.05


def test_importance_bound_does_not_depend_on_where_it_is_cut(linear):
    log_likelihood, posterior, exact, _ = linear
    values = [
        likelihood_bounds.importance_bound(
            jax.random.key(3), posterior, log_likelihood, 6000, chunk
        )
        for chunk in (100, 6000)
    ]
    for value in values:
        np.testing.assert_allclose(value, exact, atol=0.05)
    with pytest.raises(ValueError, match="not a multiple"):
        likelihood_bounds.importance_bound(jax.random.key(0), posterior, log_likelihood, 70, 50)


def test_far_codes_do_not_overflow():
    posterior = Posterior(jnp.zeros((1, 1)), jnp.zeros((1, 1)))
    far = likelihood_bounds.importance_bound(
        jax.random.key(0), posterior, lambda z: jnp.full(z.shape[:-1], -5000.0), 100, 50
    )
    np.testing.assert_allclose(far, [-5000.0], atol=0.01)


def test_pixels_against_scipy():
    rng = np.random.default_rng(0)
    logits, x = rng.normal(size=(3, 2, 6)), rng.integers(0, 2, (2, 6))
    expected = bernoulli(1 / (1 + np.exp(-logits))).logpmf(x).sum(-1)
    found = likelihood_bounds.bernoulli_log_likelihood(
        jnp.asarray(logits), jnp.asarray(x, jnp.float32)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    known = rng.integers(0, 2, (40, 6)).astype(np.uint8)
    share = (known.sum(0) + 1) / 42
    alone = likelihood_bounds.independent_pixels(jnp.asarray(known), jnp.asarray(x, jnp.uint8))
    np.testing.assert_allclose(alone, bernoulli(share).logpmf(x).sum(-1), rtol=1e-5)
