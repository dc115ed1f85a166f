"""Solutions of the exercises on clusters, outliers, autoencoders and variational autoencoders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import load_digits, load_sample_image, make_moons
from sklearn.ensemble import IsolationForest
from sklearn.metrics import adjusted_rand_score

from datasets import toy
from jaxdl.anomaly.nearest_neighbours import fit_neighbours, mean_knn_score_of_others
from jaxdl.clustering.choose_k import gap_statistic
from jaxdl.losses import gaussian_kl
from jaxdl.models.vae import Posterior, reparametrise
from jaxdl.pca import fit_pca, pca_errors, project, restore

# ---- clusters -----------------------------------------------------------------------------------


def test_clusters_1_dbscan_finds_moons_where_its_radius_fits():
    x, y = make_moons(300, noise=0.05, random_state=0)

    def agreement(found):
        return adjusted_rand_score(y, found)

    assert agreement(KMeans(2, n_init=5, random_state=0).fit_predict(x)) < 0.6
    assert agreement(DBSCAN(eps=0.2).fit_predict(x)) > 0.95
    assert agreement(DBSCAN(eps=2.0).fit_predict(x)) == 0  # one cluster
    assert (DBSCAN(eps=0.01).fit_predict(x) == -1).mean() > 0.9  # nearly all is noise


def test_clusters_2_each_doubling_of_the_colours_lowers_the_error():
    image = load_sample_image("china.jpg")[::8, ::8].reshape(-1, 3) / 255
    painted = {}
    for k in (2, 4, 8):
        means = KMeans(k, n_init=2, random_state=0).fit(image)
        painted[k] = means.cluster_centers_[means.labels_]
    errors = {k: np.square(image - colours).mean() for k, colours in painted.items()}
    assert len(np.unique(painted[2], axis=0)) == 2
    assert errors[2] > errors[4] > errors[8]
    psnr = -10 * np.log10(errors[4])
    assert psnr == pytest.approx(21.6, abs=0.3)


def test_clusters_3_only_the_gap_can_answer_one():
    blob = np.random.default_rng(0).normal(size=(150, 2))
    found = gap_statistic(jax.random.key(0), blob, (1, 2, 3, 4), references=20)
    assert found.chosen == 1
    assert int(np.sqrt(150 / 2)) == 8  # what the rule of thumb says, whatever the points


# ---- 060 outliers -------------------------------------------------------------------------------


def test_060_1_contamination_moves_the_threshold_and_no_score():
    x = np.random.default_rng(0).normal(size=(500, 2))
    forests = {
        share: IsolationForest(n_estimators=50, contamination=share, random_state=0).fit(x)
        for share in (0.01, 0.1)
    }
    scores = {share: forest.score_samples(x) for share, forest in forests.items()}
    flagged = {share: (forest.predict(x) == -1).sum() for share, forest in forests.items()}
    np.testing.assert_array_equal(scores[0.01], scores[0.1])
    assert flagged == {0.01: 5, 0.1: 50}


def test_060_2_two_outliers_of_one_kind_hide_each_other():
    usual = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    odd = np.array([[9.0, 9.0]], np.float32)

    def rank_of_the_odd(copies, k):
        x = np.concatenate([usual, *[odd + 0.001 * i for i in range(copies)]])
        score = np.asarray(mean_knn_score_of_others(fit_neighbours(x, k), x))
        return int((score > score[-1]).sum())

    assert rank_of_the_odd(copies=1, k=1) == 0  # the highest score
    assert rank_of_the_odd(copies=2, k=1) > 100
    assert rank_of_the_odd(copies=2, k=5) <= 1  # more neighbours than copies


def test_060_3_the_usual_week_taken_out_leaves_the_strange_day():
    rng = np.random.default_rng(0)
    week = np.array([10, 11, 12, 13, 14, 30, 25.0])
    days = np.tile(week, 20) + rng.normal(0, 0.5, 140)
    days[72] += 8  # a Wednesday as busy as no other, and still below every weekend day
    residual = days - np.median(days.reshape(20, 7), axis=0)[np.arange(140) % 7]
    assert days.argmax() % 7 == 5
    assert residual.argmax() == 72


# ---- 050, 460 autoencoders ----------------------------------------------------------------------


def test_autoencoder_1_the_floor_of_a_linear_code_is_pcas():
    points = toy.lecture_points().astype(np.float32)
    errors = pca_errors(points, points, most=3)
    assert errors[2] == pytest.approx(0.001905, abs=2e-6)
    assert errors[3] == pytest.approx(0, abs=1e-6)


def test_autoencoder_2_the_code_throws_noise_away():
    x = load_digits().data.astype(np.float32) / 16
    noisy = x + np.random.default_rng(0).normal(0, 0.3, x.shape).astype(np.float32)
    pca = fit_pca(jnp.asarray(x[:1400]), 16)
    restored = restore(pca, project(pca, noisy[1400:], 16))
    before = np.square(noisy[1400:] - x[1400:]).mean()
    after = np.square(restored - x[1400:]).mean()
    assert before == pytest.approx(0.09, rel=0.03)
    assert after < before / 2


def test_autoencoder_3_the_error_finds_what_was_never_learnt():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    zeros, pca = x[y == 0], fit_pca(jnp.asarray(x[y == 0][:100]), 8)

    def error(rows):
        return np.square(restore(pca, project(pca, rows, 8)) - rows).mean(axis=1)

    assert np.median(error(x[y == 1])) > 2 * np.quantile(error(zeros[100:]), 0.95)


# ---- variational autoencoder --------------------------------------------------------------------


def test_vae_1_the_price_of_moving_a_code():
    for mean in (0.0, 1.0, 3.0):
        price = gaussian_kl(jnp.full((1, 1), mean), jnp.zeros((1, 1)))
        assert float(price[0]) == pytest.approx(mean**2 / 2)


def test_vae_2_the_draw_has_a_slope_since_the_noise_is_outside():
    key, zero = jax.random.key(3), jnp.zeros((1, 1))

    def draw(mean, log_variance):
        return reparametrise(key, Posterior(mean, log_variance)).sum()

    by_mean, by_log_variance = jax.grad(draw, argnums=(0, 1))(zero, zero)
    noise = float(draw(zero, zero))
    assert float(by_mean[0, 0]) == 1
    assert float(by_log_variance[0, 0]) == pytest.approx(0.5 * noise)
