"""The contract of every detector, and what only some of them promise."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.neighbors import NearestNeighbors

from jaxdl.anomaly import detector as contract
from jaxdl.anomaly import detectors, reconstruction, thresholds
from jaxdl.anomaly.default import default_detector
from jaxdl.serving import export, scorer_file
from jaxdl.training import fit
from tests import tasks

FEATURES = 5
NAMES = tuple(f"c{i}" for i in range(FEATURES))


def correlated_rows(n=600, seed=0):
    """Rows near a plane in five dimensions, with mean 0 and deviation 1 in each column."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(2, FEATURES))
    x = rng.normal(size=(n, 2)) @ directions + 0.1 * rng.normal(size=(n, FEATURES))
    return (x / np.sqrt(np.square(directions).sum(axis=0) + 0.01)).astype(np.float32)


def labelled(make):
    """A supervised detector, taught that rows far along the first column are anomalies."""

    def fitted(normal, seed=0):
        odd = normal[:40] + np.float32([6, 0, 0, 0, 0])
        x = np.concatenate([normal, odd])
        return make(x, np.repeat([0, 1], [len(normal), 40]))

    return fitted


@cache
def trained_on(content, seed):
    task, rows = tasks.autoencoder(), np.frombuffer(content, np.float32).reshape(-1, FEATURES)
    return fit(task, {"x": rows}, seeds=seed + np.arange(2), epochs=2, batch_size=64)


def trained(normal, seed=0):
    """Two members of a small autoencoder; trained once for the same rows and seed."""
    return trained_on(normal.tobytes(), seed)


def plain_score(outputs, batch):
    return jnp.square(batch["x"] - outputs).mean(axis=-1)


def plain_parts(outputs, batch):
    return jnp.square(batch["x"] - outputs) / FEATURES


def population(normal, seed=0):
    fitted = trained(normal, seed)
    return detectors.population(fitted.task, fitted.variables, FEATURES, plain_score, plain_parts)


def occluded_population(normal, seed=0):
    fitted = trained(normal, seed)
    return detectors.population(fitted.task, fitted.variables, FEATURES, plain_score)


def whitened_vote(normal, seed=0):
    fitted = trained(normal, seed)
    usual = fitted.predict(reconstruction.residual, {"x": normal})
    return reconstruction.ensemble_detector(
        fitted.task, fitted.variables, usual, whitened=True, name="vote"
    )


def plain_vote(normal, seed=0):
    fitted = trained(normal, seed)
    usual = fitted.predict(reconstruction.residual, {"x": normal})
    return reconstruction.ensemble_detector(
        fitted.task, fitted.variables, usual, whitened=False, name="vote"
    )


MAKERS = {
    "default": lambda x, seed=0: default_detector(x, key=jax.random.key(seed)),
    "PCA": lambda x, seed=0: detectors.pca(x, 2),
    "minor components": lambda x, seed=0: detectors.minor_components(x, 2),
    "Mahalanobis": lambda x, seed=0: detectors.mahalanobis(x),
    "usual range": lambda x, seed=0: detectors.usual_range(x),
    "ECOD": lambda x, seed=0: detectors.tail_probability(x),
    "isolation forest": lambda x, seed=0: detectors.isolation_forest(x, seed, trees=30),
    "kNN": lambda x, seed=0: detectors.nearest_neighbours(x),
    "kNN of others": lambda x, seed=0: detectors.nearest_neighbours(x, leave_itself_out=True),
    "LOF": lambda x, seed=0: detectors.local_outlier_factor(x),
    "DBSCAN": lambda x, seed=0: detectors.dbscan(x),
    "one-class SVM": lambda x, seed=0: detectors.one_class_svm(x),
    "random": lambda x, seed=0: detectors.random(x.shape[1], seed),
    "autoencoders": population,
    "autoencoders, occluded": occluded_population,
    "vote of plain errors": plain_vote,
    "vote of whitened errors": whitened_vote,
    "logistic regression": labelled(detectors.logistic_regression),
    "gradient boosting": labelled(detectors.gradient_boosting),
    "extra trees": labelled(partial(detectors.extra_trees, trees=30)),
}
NOT_EXPORTED = (
    "LOF",
    "DBSCAN",
    "one-class SVM",
    "random",
    "logistic regression",
    "gradient boosting",
    "extra trees",
)
POPULATIONS = (
    "autoencoders",
    "autoencoders, occluded",
    "vote of plain errors",
    "vote of whitened errors",
)
DRAWN = ("isolation forest", "random", *POPULATIONS)
FEW_VALUES = ("usual range", "gradient boosting", "extra trees")  # a count; leaves of trees
WITH_LABELS = ("logistic regression", "gradient boosting", "extra trees")

normal = correlated_rows()
unseen = correlated_rows(50, seed=1)
# off the plane, out of every column's range, and where labels said anomaly
odd = unseen[:8] + np.float32([12, -9, 9, -9, 9])
one_column_moved = unseen[:8] + np.float32([12, 0, 0, 0, 0])


@pytest.fixture(scope="module")
def fitted():
    """Each detector, fitted once when it is asked for."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = MAKERS[name](normal)
        return made[name]

    return get


def all_but(*names):
    return pytest.mark.parametrize("name", [name for name in MAKERS if name not in names])


@all_but("random")
def test_an_outlier_scores_higher(fitted, name):
    usual, far = fitted(name).score(normal), fitted(name).score(odd)
    assert (far > np.quantile(usual, 0.99)).all()


@all_but()
def test_scores_are_one_finite_number_a_row(fitted, name):
    scores = fitted(name).score(unseen)
    assert scores.shape == (50,)
    assert np.issubdtype(scores.dtype, np.floating)
    assert np.isfinite(scores).all()
    # a detector that has collapsed to one answer can still look fine in a ranking of few rows
    least = 2 if name in FEW_VALUES else 40
    assert len(np.unique(np.concatenate([scores, fitted(name).score(odd)]))) >= least


@all_but()
def test_a_row_is_scored_by_itself(fitted, name):
    detector, rows = fitted(name), np.concatenate([unseen, odd])
    whole = detector.score(rows)
    alone = np.concatenate([detector.score(rows[i : i + 1]) for i in range(0, len(rows), 7)])
    if name == "random":  # the i-th number is that of row i, whatever stands there
        assert (alone == whole[0]).all()
        np.testing.assert_array_equal(detector.score(rows[:5]), whole[:5])
    else:  # products of few rows are summed in another order
        np.testing.assert_allclose(alone, whole[::7], rtol=1e-5, atol=1e-5)


@all_but("random")
def test_blocks_do_not_show(fitted, name, monkeypatch):
    rows = np.concatenate([unseen, odd])
    whole, parts = fitted(name).score(rows), fitted(name).contributions(rows)
    monkeypatch.setattr(contract, "BLOCK", 24)
    np.testing.assert_allclose(fitted(name).score(rows), whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fitted(name).contributions(rows), parts, rtol=1e-4, atol=1e-4)


@all_but("random", *WITH_LABELS)
def test_a_constant_column_does_no_harm(name):
    constant = normal.copy()
    constant[:, 2] = 0.0
    detector = MAKERS[name](constant)
    usual, far = detector.score(constant), odd.copy()
    far[:, 2] = 0.0
    assert np.isfinite(usual).all()
    assert (detector.score(far) > np.quantile(usual, 0.99)).all()


@all_but("random")
def test_equal_rows_get_equal_scores(name):
    repeated = np.concatenate([np.repeat(normal[:30], 4, axis=0), normal[:300]])
    scores = MAKERS[name](repeated).score(repeated)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[:120].reshape(30, 4).std(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(scores[:120:4], scores[120:150], rtol=1e-5, atol=1e-6)


@all_but()
def test_the_same_seed_gives_the_same_detector(fitted, name):
    scores = fitted(name).score(unseen)
    np.testing.assert_array_equal(MAKERS[name](normal).score(unseen), scores)
    other = MAKERS[name](normal, seed=7).score(unseen)
    assert np.array_equal(other, scores) == (name not in DRAWN)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@all_but("random", *POPULATIONS)
def test_rows_that_are_not_finite_cannot_be_learned_from(name, bad):
    rows = normal.copy()
    rows[3, 1] = bad
    with pytest.raises(ValueError, match=r"row 3, column 1 is .*finite"):
        MAKERS[name](rows)


@all_but()
def test_rows_that_cannot_be_scored_are_refused(fitted, name):
    rows = unseen.copy()
    rows[3, 1] = np.nan
    for ask in (fitted(name).score, fitted(name).contributions):
        with pytest.raises(ValueError, match="row 3, column 1 is nan"):
            ask(rows)
        with pytest.raises(ValueError, match=r"not \[n, 5\]"):
            ask(rows[:, :4])


@all_but("random")
def test_contributions_are_what_their_reading_says(fitted, name):
    detector, rows = fitted(name), np.concatenate([unseen[:10], one_column_moved])
    parts, scores = detector.contributions(rows), detector.score(rows)
    assert parts.shape == rows.shape
    assert (parts[10:].argmax(axis=1) == 0).all()  # the column that was moved is blamed
    if detector.reading == contract.ADDITIVE:
        np.testing.assert_allclose(parts.sum(axis=1), scores, rtol=1e-4, atol=1e-4)
    elif detector.reading == contract.SHIFTED:
        shift = parts.sum(axis=1) - scores
        np.testing.assert_allclose(shift, shift.mean(), rtol=1e-4)
        assert shift[0] > 0.1
    else:
        assert detector.reading == contract.OCCLUSION
        for column in range(FEATURES):
            without = rows.copy()
            without[:, column] = detector.centre[column]
            fall = scores - detector.score(without)
            np.testing.assert_allclose(parts[:, column], fall, rtol=1e-4, atol=1e-4)


def columns_as_they_are():
    """Raw columns that are the features: mean 0, deviation 1, nothing transformed."""
    return export.Columns(NAMES, NAMES, np.zeros(FEATURES), np.ones(FEATURES))


def exported(detector):
    scores = detector.score(normal)
    return export.build(
        detector,
        columns_as_they_are(),
        thresholds.quantile(scores, 0.05, fitted_on="normal rows", resamples=0),
        {},
        rows=normal.astype(np.float64),
        reference=scores,
        calibration=scores,
    )


@all_but(*NOT_EXPORTED)
def test_the_exported_scorer_is_the_detector(fitted, name):
    detector = fitted(name)
    loaded = scorer_file.loads(exported(detector))
    rows = np.concatenate([unseen, odd])
    found, flags = loaded.score(rows.astype(np.float64))
    scores = detector.score(rows)
    np.testing.assert_allclose(found, scores, rtol=1e-5, atol=1e-5)
    assert flags[50:].all()
    usual, usual_flags = loaded.score(normal.astype(np.float64))
    # the threshold is the score of one of these rows, which is not flagged itself
    limit = np.float32(loaded.threshold["value"])
    np.testing.assert_array_equal(usual_flags, usual > limit)
    assert usual_flags.sum() <= 30  # of 600 rows at a rate of 0.05
    parts = loaded.explain(rows.astype(np.float64))
    np.testing.assert_allclose(parts, detector.contributions(rows), rtol=1e-4, atol=1e-4)
    assert loaded.metadata["detector"] == detector.name
    assert loaded.metadata["explanation"] == detector.reading


@pytest.mark.parametrize("name", NOT_EXPORTED)
def test_what_is_no_array_program_is_not_exported(fitted, name):
    with pytest.raises(ValueError, match="cannot be exported"):
        exported(fitted(name))


def test_a_detector_of_other_columns_is_not_exported(fitted):
    detector = detectors.pca(normal[:, :4], 2)
    scores = detector.score(normal[:, :4])
    with pytest.raises(ValueError, match="fitted on 4 features, not on the 5"):
        export.build(
            detector,
            columns_as_they_are(),
            thresholds.k_sigma(scores, 3, fitted_on="normal rows", resamples=0),
            {},
            rows=normal.astype(np.float64),
            calibration=scores,
        )


def test_members_are_scored_one_by_one():
    forests = [detectors.isolation_forest(normal, seed, trees=10) for seed in (0, 1)]
    scores = contract.score_members(forests, unseen)
    assert scores.shape == (2, 50)
    np.testing.assert_array_equal(scores[1], forests[1].score(unseen))


def test_a_subsample_has_no_row_twice():
    few = detectors.subsample(normal, 100, seed=0)
    assert len(np.unique(few, axis=0)) == 100
    np.testing.assert_array_equal(few, detectors.subsample(normal, 100, seed=0))
    assert detectors.subsample(normal, 600, seed=0) is normal


# ---- what only some promise ----------------------------------------------------------------------


def test_all_minor_components_are_the_mahalanobis_distance():
    everything = detectors.minor_components(normal, FEATURES)
    np.testing.assert_allclose(
        everything.score(unseen), detectors.mahalanobis(normal).score(unseen), rtol=1e-5
    )
    for components in (0, FEATURES + 1):
        with pytest.raises(ValueError, match=r"components must be 1\.\.5"):
            detectors.minor_components(normal, components)


def test_one_minor_component_is_the_squared_distance_to_the_others_in_units_of_its_variance():
    smallest = detectors.minor_components(normal, 1).score(unseen)
    distance = FEATURES * detectors.pca(normal, FEATURES - 1).score(unseen)
    ratio = smallest / distance
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-2)
    assert detectors.minor_components(normal, 1).score(normal).mean() == pytest.approx(1, rel=1e-2)


def test_tail_probability_is_minus_the_log_of_the_smaller_tail():
    learned = np.arange(9.0)[:, None]
    score = detectors.tail_probability(learned).score(
        np.array([[-1.0], [0.0], [4.0], [8.0], [99.0]])
    )
    expected = -np.log([1 / 10, 2 / 10, 6 / 10, 2 / 10, 1 / 10])
    np.testing.assert_allclose(score, expected, rtol=1e-6)


def test_a_range_leaves_its_share_out_and_counts_columns():
    rows = np.arange(1000.0)[:, None] * [1.0, -1.0]
    detector = detectors.usual_range(rows, share=0.02)
    assert detector.score(rows).tolist().count(2.0) == 20
    assert detector.score(np.array([[5.0, -500.0], [500.0, -500.0]])).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="share"):
        detectors.usual_range(rows, share=1.0)


def test_a_range_limit_between_two_float32_numbers_moves_no_row():
    """The limit of float64 quantiles is compared with float32 rows as if it were not rounded."""
    rows = np.float32(1) + np.arange(64, dtype=np.float32)[:, None] * np.float32(2**-23)
    low, high = np.quantile(rows.astype(np.float64), [0.05, 0.95], axis=0)
    outside = ((rows < low) | (rows > high)).sum(axis=1)
    np.testing.assert_array_equal(detectors.usual_range(rows, share=0.1).score(rows), outside)


def test_dbscan_score_above_epsilon_is_dbscan_noise():
    rows = np.random.default_rng(1).normal(size=(300, 2))
    reach = NearestNeighbors(n_neighbors=10).fit(rows).kneighbors(rows)[0][:, -1]
    epsilon = float(np.quantile(reach, 0.95))
    noise = DBSCAN(eps=epsilon, min_samples=10).fit(rows).labels_ == -1
    np.testing.assert_array_equal(detectors.dbscan(rows).score(rows) > epsilon, noise)


def test_dbscan_takes_rows_that_are_mostly_equal():
    rows = np.concatenate([np.zeros((300, 2)), np.ones((2, 2))])
    score = detectors.dbscan(rows).score(rows)
    assert (score[:300] == 0).all()
    assert (score[300:] > 1).all()


@pytest.mark.parametrize("columns", [2, 30])
def test_dbscan_of_a_core_row_takes_the_nearest_other_one_where_it_is_left_out(columns):
    rows = np.random.default_rng(1).normal(size=(200, columns))
    counted, left_out = detectors.dbscan(rows), detectors.dbscan(rows, leave_itself_out=True)
    core = counted.score(rows) < 1e-6  # 0 up to rounding
    assert 150 < core.sum() < 200
    apart = np.linalg.norm(rows[:, None] - rows, axis=2)
    np.fill_diagonal(apart, np.inf)
    np.testing.assert_allclose(left_out.score(rows), apart[:, core].min(axis=1))
    new = rows + 0.01  # a new row is judged as ever
    np.testing.assert_allclose(left_out.score(new), counted.score(new), atol=1e-6)


def test_a_single_core_row_of_dbscan_has_no_other():
    rows = np.float64([[0], [1], [50]])
    with pytest.raises(ValueError, match="single core row"):
        detectors.dbscan(rows, neighbours=3, share=0.99, leave_itself_out=True)


def test_a_row_that_was_learned_is_its_own_neighbour_unless_it_is_left_out():
    rows = np.concatenate([normal[:200], normal[:3]])  # three rows stand twice
    far = NearestNeighbors(n_neighbors=5).fit(rows)
    counted = detectors.nearest_neighbours(rows).score(rows)
    np.testing.assert_allclose(counted, far.kneighbors(rows)[0].mean(axis=1), atol=1e-6)
    left_out = detectors.nearest_neighbours(rows, leave_itself_out=True).score(rows)
    np.testing.assert_allclose(left_out, far.kneighbors()[0].mean(axis=1), atol=1e-6)
    assert (left_out >= counted).all()
    # rows that were not learned from do not notice
    both = [
        detectors.nearest_neighbours(rows, leave_itself_out=flag).score(unseen)
        for flag in (False, True)
    ]
    np.testing.assert_allclose(*both, rtol=1e-6)
    with pytest.raises(ValueError, match="203 rows have no 203 neighbours"):
        detectors.nearest_neighbours(rows, 203, leave_itself_out=True)


def test_supervised_detectors_give_log_odds_and_may_weight_the_classes():
    x = np.concatenate([normal, normal[:40] + np.float32([3, 0, 0, 0, 0])])
    label = np.repeat([0, 1], [600, 40])
    for make in (detectors.logistic_regression, detectors.gradient_boosting):
        plain, balanced = (make(x, label, flag).score(x) for flag in (False, True))
        assert plain[label == 0].mean() < 0 < plain[label == 1].mean()
        assert balanced.mean() > plain.mean()


class Votes:
    """Stands for fitted trees."""

    def predict_proba(self, x):
        return np.stack([1 - x[:, 0], x[:, 0]], axis=1)


def test_votes_of_trees_are_log_odds_and_never_infinite():
    votes = np.array([[0.0], [1.0], [0.5], [0.8]])
    found = detectors._log_odds_of_votes(Votes(), votes)
    largest = np.log(0.99995 / 0.00005)
    np.testing.assert_allclose(found, [-largest, largest, 0.0, np.log(4.0)], atol=1e-12)


def test_trees_with_another_seed_are_other_trees():
    x = np.concatenate([normal, normal[:40] + np.float32([9, 0, 0, 0, 0])])
    label = np.repeat([0, 1], [600, 40])
    first, again, other = (detectors.extra_trees(x, label, seed, 20) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.score(unseen), again.score(unseen))
    assert not np.array_equal(first.score(unseen), other.score(unseen))
    assert first.score(x)[label == 0].mean() < -2 < first.score(x)[label == 1].mean()


def test_the_number_of_minor_components_is_chosen_on_labelled_rows():
    """Anomalies in the last but two direction: fewer components do not see them."""
    rng = np.random.default_rng(8)
    sd = np.array([5.0, 4.0, 0.3, 0.2, 0.1])
    x = (rng.normal(size=(2000, 5)) * sd).astype(np.float32)
    odd = (rng.normal(size=(50, 5)) * sd + [0, 0, 3, 0, 0]).astype(np.float32)
    label = np.repeat([0, 1], [2000, 50])
    chosen = detectors.best_minor_components(x, np.concatenate([x, odd]), label, (1, 2, 3, 5))
    assert chosen.name == "minor components of PCA, 3"
    last = (rng.normal(size=(50, 5)) * sd + [0, 0, 0, 0, 1]).astype(np.float32)
    chosen = detectors.best_minor_components(x, np.concatenate([x, last]), label, (1, 2, 3, 5))
    assert chosen.name == "minor components of PCA, 1"


def test_a_standardised_ensemble_has_its_own_error_scale():
    """What needs more than outputs: each member's error variances, mean and deviation."""
    fitted = trained(normal)
    usual = fitted.predict(reconstruction.residual, {"x": normal})
    errors = fitted.predict(reconstruction.residual, {"x": unseen})
    for whitened, kind in (
        (True, reconstruction.whitened_contributions),
        (False, reconstruction.plain_contributions),
    ):
        known, new = (kind(usual, e).sum(axis=-1) for e in (usual, errors))
        detector = reconstruction.ensemble_detector(
            fitted.task, fitted.variables, usual, whitened, "autoencoder"
        )
        wanted = reconstruction.ensemble_score(new, known)
        np.testing.assert_allclose(detector.score(unseen), wanted, rtol=1e-3, atol=1e-4)
        shift = (known.mean(axis=1) / known.std(axis=1)).mean()
        parts = detector.contributions(unseen).sum(axis=1)
        np.testing.assert_allclose(parts - shift, wanted, rtol=1e-3, atol=1e-3)
        assert detector.name == "autoencoder, mean of 2 members"


def test_gradient_boosting_of_many_rows_is_the_same_twice():
    x = np.random.default_rng(0).normal(size=(220_000, 1)).astype(np.float32)
    label = (x[:, 0] > 3).astype(np.int32)
    first, second = (detectors.gradient_boosting(x, label).score(x[:5000]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
