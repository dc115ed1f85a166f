"""The scorer file: the trainer's bits, nothing but StableHLO, and no damage unnoticed."""

import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import fraud, fraud_split
from jaxdl import losses, optim
from jaxdl.anomaly import detectors, scores, thresholds
from jaxdl.anomaly.detector import Detector
from jaxdl.cli.launcher import launch
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.precision import double_precision
from jaxdl.serving import export, scorer_file, transactions
from jaxdl.training import Task, fit, module_functions
from tests.conftest import ROOT


def row_score(outputs, batch):
    return scores.reconstruction_score(batch["x"], outputs)


def row_parts(outputs, batch):
    return scores.reconstruction_contributions(batch["x"], outputs)


@dataclass
class Trained:
    raw: np.ndarray
    x: np.ndarray
    columns: export.Columns
    detector: Detector
    members: np.ndarray
    threshold: thresholds.Threshold
    data: bytes


@pytest.fixture(scope="module")
def trained():
    """Three members of a small autoencoder on simulated transactions, exported."""
    table = fraud.simulate(9000)
    raw = np.column_stack([table["time"], table["v"], table["amount"]])
    features = fraud_split.columns(fraud.Transactions(**table, provenance=None))
    scaler = fraud_split.Scaler(features.mean(axis=0), features.std(axis=0))
    x = scaler(features)
    init, apply = module_functions(DenseAutoencoder(30, (12,)))
    task = Task(
        init,
        apply,
        lambda out, batch, hyper: losses.mse(out, batch["x"]),
        lambda hyper: optim.adam(),
    )
    fitted = fit(task, {"x": x[:2000]}, seeds=np.arange(3), epochs=1, batch_size=128)
    members = fitted.predict(row_score, {"x": x})
    vote = members.mean(axis=0)
    threshold = thresholds.k_sigma(vote, 3.0, fitted_on="training rows", resamples=0)
    columns = transactions.columns(scaler.mean, scaler.sd)
    detector = detectors.population(task, fitted.variables, 30, row_score, row_parts)
    data = export.build(
        detector,
        columns,
        threshold,
        {"lab": "test", "simulated": True},
        rows=raw[:700],
        reference=vote[:700],
        calibration=vote,
        normal=export.Normal(raw[1000:4000], np.arange(1001, 4001)),
    )
    return Trained(raw, x, columns, detector, members, threshold, data)


@pytest.fixture(scope="module")
def scorer(trained):
    return scorer_file.loads(trained.data)


@pytest.mark.parametrize("rows", [1, 7, 300, 9000])
def test_scores_and_decisions_are_the_trainers_to_the_bit(trained, scorer, rows):
    found, flags = scorer.score(trained.raw[:rows])
    vote = trained.members.mean(axis=0)[:rows]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vote)
    np.testing.assert_array_equal(flags, trained.threshold.label(vote))
    assert scorer.exact
    agreed = {"rows": 700, "to_the_bit": True, "largest_difference": 0.0}
    assert scorer.metadata["equal_to_trainer"] == agreed


@pytest.mark.parametrize("many_rows", [False, True])
def test_one_row_does_not_pay_for_thousands(trained, many_rows):
    """A call for a row has the size that the file was checked with, no larger one is compiled."""
    scorer = scorer_file.loads(trained.data, many_rows=many_rows)
    size = scorer_file.LARGEST_BLOCK if many_rows else max(scorer.block, scorer_file.FEW_ROWS)
    scorer.score(trained.raw[:1])
    assert set(scorer.programs["score"].compiled) == {size}
    scorer.explain(trained.raw[:1])
    size = scorer_file.EXPLAINED_BLOCK if many_rows else scorer_file.FEW_ROWS
    assert set(scorer.programs["explain"].compiled) == {size}


@pytest.mark.parametrize("smallest", [64, 512, 8192])
def test_the_smallest_call_with_the_bits_of_a_large_one_is_found(monkeypatch, smallest):
    class SumsByAnotherOrder:
        """Small calls differ in the last bit."""

        def __init__(self, exported):
            self.compiled = {}

        def dispatch(self, rows):
            score = rows[:, 0].astype(np.float32)
            return [score if len(rows) >= smallest else np.nextafter(score, np.float32(np.inf))]

    monkeypatch.setattr(scorer_file, "Program", SumsByAnotherOrder)
    rows = np.random.default_rng(0).normal(size=(700, 2))
    block, scores = export._smallest_block(None, rows, None)
    assert block == smallest
    np.testing.assert_array_equal(scores, rows[:, 0].astype(np.float32))


def test_a_score_equal_to_the_threshold_passes(trained):
    rows, votes = trained.raw[:64], trained.members.mean(axis=0)[:64]
    limit = dataclasses.replace(trained.threshold, value=float(np.sort(votes)[40]))
    data = export.build(
        trained.detector, trained.columns, limit, {}, rows=rows, reference=votes, calibration=votes
    )
    _, flags = scorer_file.loads(data).score(rows)
    np.testing.assert_array_equal(flags, votes > np.sort(votes)[40])
    assert flags.sum() == 23


def test_columns_are_prepared_as_the_data_set_does_to_the_bit(trained):
    """Amounts of every cent up to 2,000 and odd times: float64 logarithms may differ in a bit."""
    rng = np.random.default_rng(0)
    n = 200_000
    v = rng.normal(size=(n, 28))
    table = fraud.Transactions(
        time=rng.uniform(0, 200_000, n),
        v=v.astype(np.float32),
        amount=np.arange(n) / 100,
        label=np.zeros(n, np.int8),
        provenance=None,
    )
    scaler = fraud_split.Scaler(trained.columns.mean, trained.columns.sd)
    raw = np.column_stack([table.time, v, table.amount])
    with double_precision():
        found = np.asarray(jax.jit(trained.columns.standardise)(raw))
    np.testing.assert_array_equal(found, scaler(fraud_split.columns(table)))
    assert trained.columns.names == fraud.COLUMNS[:-1]
    assert trained.columns.features == fraud_split.COLUMNS


def test_explanation_adds_up_to_the_score(trained, scorer):
    found, _ = scorer.score(trained.raw[:100])
    parts = scorer.explain(trained.raw[:100])
    assert parts.shape == (100, 30)
    np.testing.assert_allclose(parts.sum(axis=1), found, rtol=1e-5)


def test_p_values_are_the_conformal_ones(trained, scorer):
    vote = trained.members.mean(axis=0)
    found = np.append(scorer.score(trained.raw[:500])[0], np.float32([0, 1e9]))
    np.testing.assert_array_equal(
        scorer.p_values(found), thresholds.conformal_p_values(vote, found)
    )


def test_same_export_same_bytes_without_source_paths(trained):
    build = export.build(
        trained.detector,
        trained.columns,
        trained.threshold,
        {"lab": "test", "simulated": True},
        rows=trained.raw[:700],
        reference=trained.members.mean(axis=0)[:700],
        calibration=trained.members.mean(axis=0),
        normal=export.Normal(trained.raw[1000:4000], np.arange(1001, 4001)),
    )
    assert build == trained.data
    assert b".py" not in trained.data


def test_the_nearest_normal_row_is_found_among_those_that_the_file_keeps(trained, scorer):
    kept = scorer.normal_numbers - 1
    assert len(set(kept)) == export.NORMAL_ROWS
    assert ((kept >= 1000) & (kept < 4000)).all()
    index, distance = scorer.nearest(trained.raw[:300])
    apart = np.linalg.norm(trained.x[:300, None].astype(float) - trained.x[kept], axis=2)
    np.testing.assert_allclose(distance, apart.min(axis=1), rtol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(apart, index[:, None], 1)[:, 0], apart.min(1))
    index, distance = scorer.nearest(trained.raw[kept[:5]])
    np.testing.assert_array_equal(index, np.arange(5))
    np.testing.assert_allclose(distance, 0, atol=1e-6)
    raw = trained.raw[kept[:5]]
    np.testing.assert_allclose(scorer.normal_values[:5, 0], raw[:, 0] / 3600 % 24, rtol=1e-6)
    np.testing.assert_allclose(scorer.normal_values[:5, 1:29], raw[:, 1:29], rtol=1e-6)
    np.testing.assert_allclose(scorer.normal_values[:5, 29], np.log1p(raw[:, 29]), rtol=1e-6)


def test_a_file_without_normal_rows_says_so(trained):
    metadata, parts, _ = scorer_file.unpack(trained.data)
    for name in scorer_file.NEAREST:
        del parts[name]
    bare = scorer_file.loads(scorer_file.pack(metadata, parts))
    np.testing.assert_array_equal(bare.score(trained.raw[:9])[0], trained.members.mean(0)[:9])
    with pytest.raises(ValueError, match="holds no normal rows"):
        bare.nearest(trained.raw[:1])
    parts["nearest"] = parts["score"]
    with pytest.raises(scorer_file.ArtifactError, match="exactly the parts"):
        scorer_file.loads(scorer_file.pack(metadata, parts))


def test_every_flipped_byte_and_every_cut_is_noticed(trained):
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(trained.data), 300):
        changed = bytearray(trained.data)
        changed[place] ^= 1 << rng.integers(8)
        with pytest.raises(scorer_file.ArtifactError):
            scorer_file.unpack(bytes(changed))
    for end in [0, 5, 40, 79, 80, 200, len(trained.data) - 1]:
        with pytest.raises(scorer_file.ArtifactError):
            scorer_file.unpack(trained.data[:end])


def repacked(trained, **changes):
    """The file with other metadata or parts, and a right sum."""
    metadata, parts, _ = scorer_file.unpack(trained.data)
    parts |= {name: changes.pop(name) for name in list(changes) if name in parts}
    return scorer_file.pack({**metadata, **changes}, parts)


def foreign_program(trained):
    """A program that calls out of StableHLO (LAPACK)."""
    import jax.export

    def score(raw):
        found = jnp.linalg.eigh(raw[:, :1] * raw[:, :1].T)[0].astype(jnp.float32)
        return found, found > 0

    with double_precision():
        shape = jax.ShapeDtypeStruct((64, 30), jnp.float64)
        return bytes(jax.export.export(jax.jit(score))(shape).serialize())


CHANGES = {
    "other scores": {"golden_scores": np.full(64, 7, "<f4").tobytes()},
    "do not fit": {"golden_rows": b"12345678"},
    "not fit each": {"normal_numbers": b"12345678"},
    "not sorted": {"calibration": np.float32([2, 1]).tobytes()},
    "cannot read": {"score": b"nonsense"},
    "contradicts": {"block": 0},
    "proper columns": {"columns": ["=cmd()"] * 30},
    "proper 'value'": {"threshold": {}},
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_wrong_file_with_a_right_sum_is_refused(trained, message):
    with pytest.raises(scorer_file.ArtifactError, match=message):
        scorer_file.loads(repacked(trained, **CHANGES[message]))


def test_a_single_golden_row_with_another_score_is_enough_to_refuse_a_file(trained):
    golden = scorer_file.loads(trained.data).score(trained.raw[:64])[0].copy()
    golden[40] += 0.01 * max(golden[40], np.median(golden))
    data = repacked(trained, golden_scores=golden.astype("<f4").tobytes())
    with pytest.raises(scorer_file.ArtifactError, match="gives other scores for its golden rows"):
        scorer_file.loads(data)


def test_a_program_that_calls_foreign_code_is_refused(trained):
    with pytest.raises(scorer_file.ArtifactError, match=r"calls .*lapack"):
        scorer_file.loads(repacked(trained, score=foreign_program(trained)))


def test_expected_sum_other_formats_and_missing_files(trained, tmp_path):
    file = tmp_path / "scorer.jaxdl"
    with pytest.raises(scorer_file.ArtifactError, match=r"holds no scorer\.jaxdl"):
        scorer_file.load(tmp_path)
    file.write_bytes(trained.data)
    digest = scorer_file.load(tmp_path).sha256
    assert scorer_file.load(file, sha256=digest.upper()).sha256 == digest
    with pytest.raises(scorer_file.ArtifactError, match="has the sha256"):
        scorer_file.load(file, sha256="0" * 64)
    file.write_bytes(trained.data.replace(b"jaxdl-scorer 1", b"jaxdl-scorer 2", 1))
    with pytest.raises(scorer_file.ArtifactError, match="another format"):
        scorer_file.load(file)
    file.write_bytes(b"\x80\x04 a pickle, say")
    with pytest.raises(scorer_file.ArtifactError, match="not a scorer file"):
        scorer_file.load(file)


def test_build_refuses_scores_that_are_not_the_trainers(trained):
    with pytest.raises(ValueError, match="not the trainer's: row 3"):
        export.build(
            trained.detector,
            trained.columns,
            trained.threshold,
            {},
            rows=trained.raw[:64],
            reference=trained.members.mean(axis=0)[:64] + 5 * (np.arange(64) == 3),
            calibration=trained.members[0],
        )


def built(trained, **changes):
    """`export.build` of the trained detector with other arguments than it should have."""
    arguments = {"rows": trained.raw[:64], "calibration": trained.members[0]}
    return export.build(
        trained.detector, trained.columns, trained.threshold, {}, **{**arguments, **changes}
    )


@pytest.mark.parametrize("calibration", [[], [1.0, np.nan], [1.0, np.inf]])
def test_build_refuses_calibration_scores_that_p_values_cannot_compare_with(trained, calibration):
    with pytest.raises(ValueError, match="calibration scores must be some and finite"):
        built(trained, calibration=np.array(calibration))


def test_build_refuses_scores_that_are_not_finite(trained):
    rows = trained.raw[:64].copy()
    rows[5, 3] = 3e38  # finite, but its square is not
    with pytest.raises(ValueError, match="gives scores that are not finite"):
        built(trained, rows=rows)


def test_rows_of_another_shape_or_not_finite_are_refused(scorer):
    with pytest.raises(ValueError, match=r"not \[n, 30\]"):
        scorer.score(np.zeros((3, 29)))
    with pytest.raises(ValueError, match="finite"):
        scorer.score(np.full((3, 30), np.nan))
    assert scorer.score(np.zeros((0, 30)))[0].shape == (0,)


def test_the_fraud_lab_exports_the_vote_of_its_seeds(tmp_path):
    folder = tmp_path / "run"
    lab = ["experiments/fraud_ae.py", "--source", "simulated", "--seeds", "3"]
    small = ["--preset", "quick", "--epochs", "1", "--twin-rows", "4000"]
    launch([*lab, *small, "--workdir", str(folder)])
    scorer = scorer_file.load(folder)
    assert scorer.metadata["equal_to_trainer"]["to_the_bit"]
    assert scorer.metadata["detector"] == "autoencoder, mean of 3 members"
    assert scorer.metadata["provenance"]["simulated"] is True
    assert scorer.threshold["parameters"] == {"k": 3.0}
    table = fraud.simulate(4000)
    raw = np.column_stack([table["time"], table["v"], table["amount"]])
    _, flags = scorer.score(raw)
    assert flags[table["label"] == 1].mean() > 10 * flags[table["label"] == 0].mean()


LIGHT = """
import json, sys
import numpy as np

class Block:
    def find_spec(self, name, path=None, target=None):
        banned = {"flax", "optax", "orbax", "sklearn", "jaxtyping", "tqdm", "matplotlib", "tyro"}
        if name.split(".")[0] in banned | {"datasets", "tensorflow"} or name in (
            "jaxdl.training", "jaxdl.serving.export", "jaxdl.models", "jaxdl.anomaly"
        ):
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Block())
from jaxdl import score
from jaxdl.serving import scorer_file
scorer = scorer_file.load(sys.argv[1])
found, _ = scorer.score(np.load(sys.argv[2], allow_pickle=False))
print(json.dumps(found.tolist()))
"""


def test_scoring_needs_only_jax_and_numpy(trained, tmp_path):
    (tmp_path / "scorer.jaxdl").write_bytes(trained.data)
    np.save(tmp_path / "rows.npy", trained.raw[:50])
    command = [sys.executable, "-c", LIGHT, tmp_path / "scorer.jaxdl", tmp_path / "rows.npy"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    found = np.float32(json.loads(done.stdout))
    np.testing.assert_array_equal(found, trained.members.mean(axis=0)[:50])
