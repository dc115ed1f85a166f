"""A scorer of any table: a user's file through the encoder to an answer in the user's words."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from jaxdl.anomaly import detectors, thresholds
from jaxdl.anomaly.detector import Detector
from jaxdl.serving import export, scorer_file
from jaxdl.tables import Encoder, fit_encoder, infer_schema, read_table
from jaxdl.tables.schema import column_codes

HEADER = ["order", "when", "금액 [원]", "country %", "age", "note", "outcome"]
TRAINED_ON = 500


def shop(rows: int = 600, seed: int = 0) -> list[list[str]]:
    """An invented shop's orders: dates with a zone, decimal commas, blanks, words."""
    rng = np.random.default_rng(seed)
    table = []
    for i in range(rows):
        country = rng.choice(["KR", "US", "독일"], p=[0.8, 0.1, 0.1])
        age = "" if rng.random() < 0.1 else str(rng.integers(18, 80))
        amount = f"{rng.normal(50, 10):.2f}".replace(".", ",")
        when = f"2025-03-{1 + i % 28:02d}T{8 + i % 12:02d}:{i % 60:02d}:00+09:00"
        table.append([f"A{i:05d}", when, amount, country, age, "", "ok"])
    table[1][-1] = "fraud"
    return table


def write(path: Path, rows: list[list[str]], separator: str = ";", encoding: str = "utf-8"):
    lines = [separator.join(cells) for cells in [HEADER, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


@dataclass
class Made:
    folder: Path
    encoder: Encoder
    detector: Detector
    codes: np.ndarray
    scores: np.ndarray
    scorer: scorer_file.Scorer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A detector of the shop's table, exported into a run folder."""
    folder = tmp_path_factory.mktemp("run")
    cells = read_table(write(folder / "shop.csv", shop()))
    schema = infer_schema(cells, label="outcome", positive="fraud")
    encoder = fit_encoder(column_codes(cells.columns, schema)[:TRAINED_ON], schema)
    codes = column_codes(cells.columns, encoder.schema)
    x = encoder(codes)
    detector = detectors.mahalanobis(x[:TRAINED_ON])
    scores = detector.score(x)
    data = export.build(
        detector,
        encoder,
        thresholds.k_sigma(scores, 3.0, fitted_on="training rows", resamples=0),
        {"lab": "test"},
        rows=codes,
        reference=scores,
        calibration=scores[:TRAINED_ON],
        normal=export.Normal(codes[:TRAINED_ON], np.arange(1, TRAINED_ON + 1)),
    )
    (folder / scorer_file.FILE_NAME).write_bytes(data)
    return Made(folder, encoder, detector, codes, scores, scorer_file.loads(data))


def test_scores_of_codes_are_the_trainers_and_the_schema_comes_back(made):
    assert made.scorer.columns == ("when", "금액 [원]", "country %", "age")
    assert made.scorer.features == made.scorer.columns
    assert made.scorer.schema == made.encoder.schema
    assert np.isnan(made.codes).any()
    found, flags = made.scorer.score(made.codes)
    np.testing.assert_allclose(found, made.scores, rtol=1e-5)
    np.testing.assert_array_equal(flags, found > np.float32(made.scorer.threshold["value"]))
    assert made.scorer.metadata["equal_to_trainer"]["largest_difference"] < 1e-5


def test_explanation_is_by_the_users_columns(made):
    parts = made.scorer.explain(made.codes[:40])
    wanted = made.encoder.by_column(made.detector.contributions(made.encoder(made.codes[:40])))
    assert parts.shape == (40, 4)
    np.testing.assert_allclose(parts, wanted, rtol=1e-4, atol=1e-4)


def test_the_nearest_normal_row_is_stored_as_codes(made):
    index, distance = made.scorer.nearest(made.codes[:5])
    x = made.encoder(made.codes)
    apart = np.linalg.norm(x[:5, None].astype(float) - x[:TRAINED_ON], axis=2)
    np.testing.assert_allclose(distance, apart.min(axis=1), atol=1e-5)
    np.testing.assert_array_equal(made.scorer.normal_values, made.codes[:TRAINED_ON])
    np.testing.assert_array_equal(made.scorer.normal_numbers[index], index + 1)


def test_infinite_codes_and_other_shapes_are_refused(made):
    with pytest.raises(ValueError, match="not finite"):
        made.scorer.score(np.full((1, 4), np.inf))
    with pytest.raises(ValueError, match=r"not \[n, 4\]"):
        made.scorer.score(made.codes[:, :3])
    with pytest.raises(ValueError, match=r"rows have shape \(600, 3\)"):
        export.build(
            made.detector,
            made.encoder,
            thresholds.k_sigma(made.scores, 3.0, fitted_on="rows", resamples=0),
            {},
            rows=made.codes[:, :3],
            calibration=made.scores,
        )


def changed_schema(made, **changes):
    metadata, parts, _ = scorer_file.unpack((made.folder / scorer_file.FILE_NAME).read_bytes())
    metadata["schema"] = {**metadata["schema"], **changes}
    return scorer_file.pack(metadata, parts)


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": []},
        {"columns": 7},
        {"columns": [{"name": "when"}]},
        {"columns": [[]]},
        {"decimal": "x"},
        {"label": 3},
        {"decimal": []},
    ],
)
def test_a_schema_that_is_none_is_refused(made, changes):
    with pytest.raises(scorer_file.ArtifactError, match="proper"):
        scorer_file.loads(changed_schema(made, **changes))


def test_a_schema_needs_codes_and_its_absence_values(made):
    metadata, parts, _ = scorer_file.unpack((made.folder / scorer_file.FILE_NAME).read_bytes())
    parts["normal_values"] = parts.pop("normal_codes")
    with pytest.raises(scorer_file.ArtifactError, match="do not go with its header"):
        scorer_file.loads(scorer_file.pack(metadata, parts))
