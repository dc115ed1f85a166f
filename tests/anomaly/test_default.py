"""The detector to begin with: the right values, hostile tables, and what it finds.

What every detector promises is in `test_detectors.py`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jaxdl.anomaly import default, default_detector
from jaxdl.anomaly.thresholds import quantile
from jaxdl.serving import export, scorer_file


def plain_rows(n=400, features=4, seed=0):
    """Correlated rows in units of their own: deviations of 0.01 to 10,000, means far from 0."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(features, features))
    units, means = np.logspace(-2, 4, features), np.linspace(-50, 50, features)
    return rng.normal(size=(n, features)) @ mixing * units + means * units


def score_by_hand(known, rows):
    """The score, written out with NumPy: one row and one distance after the other."""
    middle = np.median(known, axis=0)
    low, high = np.quantile(known, [0.25, 0.75], axis=0)
    spread = (high - low) / 1.349

    def scale(x):
        z = (x - middle) / spread
        return np.where(np.abs(z) > 3, np.sign(z) * (3 + np.log(np.maximum(np.abs(z) - 2, 1))), z)

    scaled = scale(known)
    away = np.abs(scaled).sum(axis=1)
    kept = away <= np.median(away)
    for _ in range(3):
        mean, covariance = scaled[kept].mean(axis=0), np.cov(scaled[kept].T, bias=True)
        covariance += 0.1 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        precision = np.linalg.inv(covariance)
        squared = np.array([(row - mean) @ precision @ (row - mean) for row in scaled])
        kept = squared <= np.quantile(squared, 0.9)
    bulk = scaled[squared <= np.quantile(squared, 0.8)]

    def mean_distance(row, stored, k):
        far = np.sort([np.sqrt((row - other) @ precision @ (row - other)) for other in stored])
        far = far[1:] if far[0] < 1e-7 else far  # not its own neighbour
        return far[:k].mean()

    def both(x):
        j = round(0.1 * len(bulk))
        return np.array(
            [[mean_distance(r, scaled, 5), mean_distance(r, bulk, j)] for r in scale(x)]
        )

    return (both(rows) / both(known).mean(axis=0)).sum(axis=1)


def bulk_and_odd(kind, seed=0):
    """Two clusters in five dimensions, and 8 % of anomalies of a kind (Han et al. 2022)."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(3).normal(size=(2, 5, 5)) * 0.5
    centres = np.array([[4.0, 0, 0, 0, 0], [-4.0, 0, 0, 3, 0]])
    which = rng.integers(0, 2, 600)
    usual = centres[which] + np.einsum("nij,ni->nj", mixing[which], rng.normal(size=(600, 5)))
    if kind == "global":
        odd = rng.uniform(1.1 * usual.min(axis=0), 1.1 * usual.max(axis=0), size=(50, 5))
    elif kind == "clustered":
        odd = np.array([0, 6.0, -6, 0, 6]) + 0.2 * rng.normal(size=(50, 5))
    else:
        odd = np.stack([rng.permutation(column)[:50] for column in usual.T], axis=1)
    units = np.logspace(-3, 3, 5)
    return np.concatenate([usual, odd]) * units, np.repeat([0, 1], [600, 50])


# ---- the right values ----------------------------------------------------------------------------


def test_the_score_is_what_the_docstring_says():
    known = plain_rows()
    known[:3] += 40 * known.std(axis=0)  # beyond the linear part
    rows = np.concatenate([known[:10], plain_rows(10, seed=1)])
    found = default_detector(known).score(rows)
    np.testing.assert_allclose(found, score_by_hand(known, rows), rtol=1e-5)


def test_one_of_the_stored_rows_at_distance_zero_is_the_row_itself():
    """A row that is stored twice, one that is stored once, and one that is not."""
    stored = jnp.float32([[0, 0], [0, 0], [3, 4], [6, 8], [60, 80]])
    rows = jnp.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.5]])
    far, index = default._nearest_others(stored, jnp.zeros(2, jnp.int32), rows)
    np.testing.assert_allclose(far[:2], [[0, 5], [5, 5]], atol=1e-6)
    assert set(np.asarray(index[1]).tolist()) <= {0, 1, 3}
    np.testing.assert_allclose(far[2], [0.5, np.hypot(3, 3.5)], rtol=1e-6)


def test_a_learned_row_scores_like_a_new_one():
    """Rows that were learned from are not near to themselves."""
    rows = plain_rows(1200)
    detector = default_detector(rows[:600])
    learned, new = detector.score(rows[:600]), detector.score(rows[600:])
    assert np.median(learned) == pytest.approx(np.median(new), rel=0.05)


def test_units_do_not_matter():
    rows = plain_rows()
    scores = default_detector(rows).score(rows)
    other = default_detector(rows * [1e3, 0.5, 7, 1e-4] + [1e3, -2, 0, 5])
    found = other.score(rows * [1e3, 0.5, 7, 1e-4] + [1e3, -2, 0, 5])
    np.testing.assert_allclose(found, scores, rtol=1e-4)


def test_whole_numbers_in_single_precision_are_as_good_as_doubles():
    rows = np.round(plain_rows() * 100) % 1000
    scores = default_detector(rows).score(rows)
    single = rows.astype(np.float32)
    np.testing.assert_allclose(default_detector(single).score(single), scores, rtol=1e-6)


def test_values_beyond_three_spreads_are_drawn_in():
    middle, spread = jnp.array([1.0]), jnp.array([2.0])
    scaled = default._scaled(jnp.array([[1.0], [7.0], [-5.0], [9.0], [-2e9 + 1]]), middle, spread)
    expected = [0, 3, -3, 3 + np.log(2), -3 - np.log(1e9 - 2)]
    np.testing.assert_allclose(np.ravel(scaled), expected, rtol=1e-5)


def test_a_flag_that_is_nearly_always_off_is_scaled_by_its_deviation():
    flag = np.zeros((1000, 1))
    flag[:10] = 1
    column, middle, spread = default._scales(np.concatenate([flag, np.ones((1000, 1))], axis=1))
    assert column.tolist() == [0]
    assert middle.tolist() == [0]
    np.testing.assert_allclose(spread, [np.sqrt(0.01 * 0.99)])


# ---- hostile tables ------------------------------------------------------------------------------


def test_constant_repeated_and_dependent_columns_do_no_harm():
    rows, odd = plain_rows(), plain_rows(5, seed=1) + 9 * plain_rows().std(axis=0)
    constant = np.full((len(rows), 1), 0.1)
    wider = np.concatenate([rows, rows[:, :2], constant, rows.sum(axis=1, keepdims=True)], axis=1)
    far = np.concatenate([odd, odd[:, :2], constant[:5], odd.sum(axis=1, keepdims=True)], axis=1)
    detector = default_detector(wider)
    scores = detector.score(wider)
    assert np.isfinite(scores).all()
    assert (detector.score(far) > scores.max()).all()
    assert (detector.contributions(far)[:, 6] == 0).all()


def test_a_table_without_any_difference_has_one_score():
    detector = default_detector(np.full((60, 3), 7.0))
    assert detector.score(np.full((4, 3), 7.0)).tolist() == [0.0] * 4
    assert np.isfinite(detector.contributions(np.full((4, 3), 8.0))).all()


def test_repeated_rows_and_flags():
    rng = np.random.default_rng(0)
    flags = (rng.random((500, 6)) < [0.5, 0.3, 0.1, 0.02, 0.9, 0.5]).astype(float)
    rows = np.concatenate([flags, np.eye(3)[rng.integers(0, 3, 500)]], axis=1)
    detector = default_detector(rows)
    scores = detector.score(rows)
    assert np.isfinite(scores).all()
    assert scores[flags[:, 3] == 1].min() > np.median(scores)
    odd = rows[:1].copy()
    odd[0, 6:] = 1  # three kinds at once
    assert detector.score(odd)[0] > scores.max()


@pytest.mark.parametrize("n", [3, 4, 7, 60])
def test_few_rows(n):
    rows = plain_rows(n, 6)
    detector = default_detector(rows)
    assert np.isfinite(detector.score(rows)).all()
    far = detector.score(rows[:1] + 50 * rows.std(axis=0))
    assert far[0] > detector.score(rows).max()


def test_heavy_tails_do_not_hide_what_is_odd_elsewhere():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(800, 4))
    rows[:, 0] = np.exp(3 * rng.normal(size=800))
    odd = np.array([[1.0, 0, 7, 0], [1.0, -7, 0, 0]])
    detector = default_detector(rows)
    assert (detector.score(odd) > np.quantile(detector.score(rows), 0.98)).all()


def test_what_cannot_be_learned_from_is_refused():
    for rows in (plain_rows(2), np.zeros((9, 0))):
        with pytest.raises(ValueError, match="too few to learn from"):
            default_detector(rows)
    for share in (-0.1, 0.5, float("nan")):
        with pytest.raises(ValueError, match="contamination must be"):
            default_detector(plain_rows(), contamination=share)


# ---- what it finds -------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "least"), [("global", 0.97), ("clustered", 0.93), ("mixed", 0.8)])
@pytest.mark.parametrize("normals_only", [False, True])
def test_anomalies_are_found_with_and_without_others_among_the_training_rows(
    kind, least, normals_only
):
    rows, label = bulk_and_odd(kind)
    learned = rows[:300] if normals_only else rows
    tested = slice(300, None) if normals_only else slice(None)
    scores = default_detector(learned).score(rows[tested])
    assert roc_auc_score(label[tested], scores) > least


def test_a_fifth_of_the_rows_in_one_heap_is_still_odd():
    """Neighbours alone call them normal, and so does a covariance of all rows."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(400, 4)), 5 + 0.3 * rng.normal(size=(80, 4))])
    scores = default_detector(rows).score(rows)
    assert roc_auc_score(np.repeat([0, 1], [400, 80]), scores) > 0.9


def test_a_known_share_of_anomalies_is_used():
    """Of rows that are normal, none is left out of the bulk."""
    rows = plain_rows()
    clean = default_detector(rows, contamination=0.0).params
    assert len(clean.bulk) == 400
    assert not np.allclose(clean.mean, default_detector(rows).params.mean)
    assert len(default_detector(rows, contamination=0.3).params.bulk) == 280
    assert len(default_detector(rows).params.bulk) == 320


# ---- many rows, many columns ---------------------------------------------------------------------


def test_of_many_rows_some_are_kept_and_the_key_draws_them(monkeypatch):
    monkeypatch.setattr(default, "FITTED_ROWS", 900)
    monkeypatch.setattr(default, "NEAR_ROWS_OF_MANY", 300)
    rows = plain_rows(1500)
    first, again = default_detector(rows), default_detector(rows)
    other = default_detector(rows, key=jax.random.key(1))
    assert first.params.near.shape == (300, 4)
    assert first.params.bulk.shape == (512, 4)
    assert default_detector(rows[:900]).params.near.shape == (900, 4)
    np.testing.assert_array_equal(first.score(rows), again.score(rows))
    assert not np.array_equal(first.score(rows), other.score(rows))
    assert np.corrcoef(first.score(rows), other.score(rows))[0, 1] > 0.95
    odd = rows[:5] + 9 * rows.std(axis=0)
    assert (first.score(odd) > np.quantile(first.score(rows), 0.99)).all()


def test_of_many_rows_no_far_heap_is_kept_to_be_near_to(monkeypatch):
    """Eight anomalies that lie together would hide one another in the draws that keep them."""
    monkeypatch.setattr(default, "FITTED_ROWS", 1900)
    monkeypatch.setattr(default, "NEAR_ROWS_OF_MANY", 1800)
    rows = plain_rows(2000)
    heap = 9 * rows.std(axis=0) + 0.01 * plain_rows(8)
    scores = []
    for seed in range(4):
        detector = default_detector(np.concatenate([rows, heap]), key=jax.random.key(seed))
        normal = default_detector(rows, key=jax.random.key(seed))
        scores.append(detector.score(heap).mean() / normal.score(heap).mean())
        assert (detector.score(heap) > detector.score(rows).max()).all()
    np.testing.assert_allclose(scores, 1.0, atol=0.15)
    # 2,000 of 2,008 rows are normal, and all rows may be normal: then none is left out
    known = default_detector(rows, contamination=0.0).params
    assert len(known.near) == 1800


@pytest.fixture
def wide(monkeypatch):
    """Rows of 30 columns near a space of four dimensions, seen through eight; their detector."""
    monkeypatch.setattr(default, "COORDINATES", 8)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 30)) + 0.1 * rng.normal(size=(300, 30))
    return rows.astype(np.float32), default_detector(rows.astype(np.float32))


def test_a_wide_table_is_seen_through_its_first_directions_and_what_they_leave(wide, monkeypatch):
    """With all directions but one, the distances are those of the columns themselves."""
    rows, detector = wide
    assert detector.params.mean.shape == (9,)
    monkeypatch.setattr(default, "COORDINATES", 29)
    through = default_detector(rows).score(rows)
    monkeypatch.setattr(default, "COORDINATES", 30)
    as_it_is = default_detector(rows).score(rows)
    assert np.corrcoef(through, as_it_is)[0, 1] > 0.99


def test_one_column_of_many_is_found_and_blamed(wide):
    rows, detector = wide
    odd = rows[:6].copy()
    odd[:, 23] += 8 * rows[:, 23].std()
    scores, parts = detector.score(odd), detector.contributions(odd)
    assert (scores > np.quantile(detector.score(rows), 0.99)).all()
    assert (parts.argmax(axis=1) == 23).all()
    np.testing.assert_allclose(parts.sum(axis=1), scores, rtol=1e-5)
    alone = np.concatenate([detector.score(row[None]) for row in odd])
    np.testing.assert_allclose(alone, scores, rtol=1e-6)


def test_a_wide_table_can_be_exported(wide):
    rows, detector = wide
    names = tuple(f"c{i}" for i in range(30))
    columns = export.Columns(names, names, np.zeros(30), np.ones(30))
    scores = detector.score(rows)
    rule = quantile(scores, 0.05, fitted_on="all rows", resamples=0)
    data = export.build(
        detector,
        columns,
        rule,
        {},
        rows=rows.astype(np.float64),
        reference=scores,
        calibration=scores,
    )
    loaded = scorer_file.loads(data)
    found, _ = loaded.score(rows.astype(np.float64))
    np.testing.assert_allclose(found, scores, rtol=1e-5)
    parts = loaded.explain(rows[:5].astype(np.float64))
    np.testing.assert_allclose(parts, detector.contributions(rows[:5]), rtol=1e-4, atol=1e-4)


def test_what_is_stored_stays_small():
    rows = np.random.default_rng(0).normal(size=(3000, 300)).astype(np.float32)
    params = default_detector(rows).params
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(params)) < 10_000_000
