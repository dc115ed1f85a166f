"""A scorer of any table: a user's file through the encoder to an answer in the user's words."""

import csv
import dataclasses
import gzip
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl.anomaly import detectors, thresholds
from jaxdl.anomaly.detector import Detector
from jaxdl.serving import export, score, scorer_file, table_reader
from jaxdl.serving.typed_table import TypedTable
from jaxdl.tables import Column, Encoder, Schema, fit_encoder, infer_schema, read_table
from jaxdl.tables.schema import column_codes
from tests.conftest import ROOT

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


# ---- the command ---------------------------------------------------------------------------------


def call(capsys, *words):
    status = score.main([str(word) for word in words])
    return status, *capsys.readouterr()


def scored(capsys, made, source, *options):
    """Rows of the command's CSV."""
    status, out, err = call(capsys, made.folder, source, *options)
    assert status == 0, err
    return list(csv.DictReader(io.StringIO(out))), err


def as_parts(folder, rows):
    """The table as two Parquet files with types."""
    folder.mkdir()
    kinds = {"age": lambda cell: float(cell) if cell else None}
    kinds["금액 [원]"] = lambda cell: float(cell.replace(",", "."))
    kinds["when"] = np.datetime64
    columns = {}
    for i, name in enumerate(HEADER):
        cells = [row[i].removesuffix("+09:00") for row in rows]
        columns[name] = pa.array([kinds.get(name, str)(cell) for cell in cells])
    hours = pa.scalar(9 * 3600, pa.duration("s"))
    columns["when"] = pa.compute.subtract(columns["when"].cast(pa.timestamp("s")), hours)
    table = pa.table(columns)
    pa.parquet.write_table(table.slice(0, 350), folder / "part-0.parquet")
    pa.parquet.write_table(table.slice(350), folder / "part-1.parquet")
    return folder


@pytest.mark.parametrize("kind", ["semicolon", "tab", "cp949", "gz", "parts", "stdin", "extra"])
def test_a_table_scored_by_the_command_has_the_trainers_scores(
    made, kind, tmp_path, capsys, monkeypatch
):
    rows, source, options = shop(), tmp_path / "t.csv", []
    if kind == "tab":
        write(source, rows, "\t")
    elif kind == "cp949":
        write(source, rows, encoding="cp949")
    elif kind == "parts":
        source = as_parts(tmp_path / "parts", rows)
    else:
        write(source, rows)
    if kind == "gz":
        source = tmp_path / "t.csv.gz"
        source.write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    if kind == "stdin":
        stream = io.BytesIO(source.read_bytes())
        monkeypatch.setattr(score, "pipe_reader", lambda: lambda most: stream.read(700))
        source = "-"
    if kind == "extra":
        lines = source.read_text("utf-8").splitlines()
        lines = ["x;" + ";".join(reversed(line.split(";"))) for line in lines]
        source.write_text("\n".join(lines), encoding="utf-8")
        options = ["--keep", "order", "--keep", "when"]
    found, err = scored(capsys, made, source, *options)
    np.testing.assert_allclose([float(row["score"]) for row in found], made.scores, rtol=1e-5)
    assert "bad row" not in err
    if options:
        assert [row["order"] for row in found] == [row[0] for row in rows]
        assert [row["when"] for row in found] == [row[1] for row in rows]


def test_blocks_of_any_size_give_the_same_codes(made, tmp_path):
    data = write(tmp_path / "t.csv", shop(), encoding="cp949").read_bytes()
    for size in (37, 1000, 30_000):
        stream = io.BytesIO(data)
        table = TypedTable(made.scorer.schema, ("order",))
        chunks = list(table_reader.read_csv(lambda most, s=stream, n=size: s.read(n), table))
        np.testing.assert_array_equal(np.concatenate([c.rows for c in chunks]), made.codes)
        assert [cell for c in chunks for cell in c.kept[0]] == [row[0] for row in shop()]
        assert not any(c.problems for c in chunks)


def test_a_decimal_point_is_found_in_a_table_that_was_learned_with_commas(made, tmp_path, capsys):
    rows = [
        [cell.replace(",", ".") if i == 2 else cell for i, cell in enumerate(row)] for row in shop()
    ]
    for separator in (",", ";"):
        found, _ = scored(capsys, made, write(tmp_path / "t.csv", rows, separator))
        np.testing.assert_allclose([float(row["score"]) for row in found], made.scores, rtol=1e-5)


BROKEN = {
    "금액 [원]": (2, "900,5"),
    "country %": (3, "never seen"),
    "when": (1, "2025-03-05T03:00:00+09:00"),
    "age": (4, "700"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_explanation_names_the_broken_column_in_the_users_words(made, name, tmp_path, capsys):
    """What is usual there is shown as the user writes it: number, word or ISO date."""
    rows = shop()[:3]
    place, cell = BROKEN[name]
    rows[2][place] = cell
    source = write(tmp_path / "t.csv", rows)
    found, err = scored(capsys, made, source, "--explain", "all", "--top", 1)
    assert "bad row" not in err
    assert found[2]["top"].startswith(f"{name}:")
    assert float(found[2]["score"]) > 2 * made.scores[2]
    status, out, _ = call(
        capsys, made.folder, source, "--explain", "all", "--format", "jsonl", "--top", 4
    )
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert all(record["problem"] is None for record in records)
    usual = dict(records[2]["usual"])
    normal = shop()[records[2]["nearest"] - 1]
    assert usual["country %"] == normal[3]
    assert usual["금액 [원]"] == float(normal[2].replace(",", "."))
    assert usual["age"] == (float(normal[4]) if normal[4] else None)
    hour = int(normal[1][11:13]) - 9
    day = int(normal[1][8:10]) if hour >= 0 else int(normal[1][8:10]) - 1
    assert usual["when"].startswith(f"2025-0{3 if day else 2}-{day or 28:02d}T{hour % 24:02d}:")
    assert usual["when"].endswith(":00+00:00")
    own = dict(records[2]["values"])
    assert own["금액 [원]"] == float(rows[2][2].replace(",", "."))
    assert own["country %"] == (rows[2][3] if name != "country %" else "another value")
    assert own["age"] == (float(rows[2][4]) if rows[2][4] else None)
    assert own["when"].startswith(("2025-03-0", "2025-03-1"))
    assert list(own) == [column for column, _ in records[2]["top"]]
    first = found[2]["values"].partition(":")
    assert first[0] == name


def test_cells_that_cannot_be_read_are_told_by_the_users_column(made, tmp_path, capsys):
    rows = shop()[:200]
    rows[3][2] = "twelve"
    rows[5][1] = "yesterday"
    rows[7][4] = "1e300"
    rows[9] = rows[9][:-1]
    rows[11][2] = "1e999"
    found, err = scored(capsys, made, write(tmp_path / "t.csv", rows), "--keep", "order")
    problems = {int(row["row"]): row["problem"] for row in found if row["problem"]}
    assert problems == {
        4: "column 금액 [원]: 'twelve' is not a number",
        6: "column when: 'yesterday' is no date",
        8: "column age: 1e300 is out of range",
        10: "6 cells instead of 7",
        12: "column 금액 [원]: 1e999 is out of range",
    }
    assert "5 bad rows left unscored, the first is line 5, column 금액 [원]: 'twelve'" in err
    assert [row["order"] for row in found] == [row[0] for row in rows]  # also of the short one
    good = [i for i in range(200) if i + 1 not in problems]
    np.testing.assert_allclose(
        [float(found[i]["score"]) for i in good], made.scores[good], rtol=1e-5
    )
    assert all(found[i - 1]["score"] == found[i - 1]["flag"] == "" for i in problems)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "when;age;country %",
            "column '금액 [원]' is missing; needed: when, 금액 [원], country %, age",
        ),
        ("when;age;age;country %;금액 [원]", "column 'age' stands twice"),
        ("timestamp,value", "time series"),
    ],
)
def test_a_header_without_a_needed_column_is_one_line(made, header, message, tmp_path, capsys):
    source = tmp_path / "t.csv"
    source.write_text(header + "\n1;2;3;4;5\n", encoding="utf-8")
    status, out, err = call(capsys, made.folder, source)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


NUMBERS = [
    "1",
    "2.5",
    " 3 ",
    "+4",
    "1e5",
    "1E400",
    "nan",
    " NA",
    "N/a",
    "-inf",
    "0x1",
    "1_0",
    "1,5",
]
NUMBERS += ["", ".5", "?", "x", '"1"', '1"', '"1"2', "1e", "true", "nUll", "\u0661"]
WORDS = ["a", " b ", "A", "", "NA", "unseen", '"a"', '"a;b"', 'a"b', '"a""b"', '"a"x', '"open', "é"]
DATES = ["2025-03-01", "2025-03-01 10:00:00+09:00", "2025-02-30", "x", "", " 2025-03-01 "]
SECONDS = ["1742428800", "", "x", "1e9", "1742428800.5", "-1"]
ROW = st.tuples(*map(st.sampled_from, (NUMBERS, WORDS, DATES, SECONDS, WORDS)))


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=6))
def test_the_quick_way_and_the_careful_way_find_the_same_codes(rows):
    """And both find what training's own function finds in rows without a fault."""
    columns = (Column("n", "number", ""), Column("c", "category", "", categories=("a", "b")))
    columns += (Column("d", "date", "", unit="iso"), Column("e", "date", "", unit="s"))
    schema = Schema(columns)
    table = TypedTable(schema, ("k", "n"))
    data = "n;c;d;e;k\n" + "".join(";".join(row) + "\n" for row in rows)
    found = []
    for few in (1, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table_reader, "FEW_LINES", few)
            found.append(list(table_reader.read_csv(io.BytesIO(data.encode()).read, table)))
    (quick,), (careful,) = found
    np.testing.assert_array_equal(quick.rows, careful.rows)
    assert quick[2:] == careful[2:]
    plain = [i for i, row in enumerate(rows) if i not in quick.problems and '"' not in "".join(row)]
    if plain:
        cells = zip(*[rows[i] for i in plain], strict=True)
        texts = {n: pa.chunked_array([pa.array(c)]) for n, c in zip("ncdek", cells, strict=True)}
        decimal = "," if any(rows[i][0] == "1,5" for i in plain) else "."
        wanted = column_codes(texts, dataclasses.replace(schema, decimal=decimal))
        np.testing.assert_array_equal(quick.rows[plain], wanted)


LIGHT = """
import json, sys
import numpy as np

class Block:
    def find_spec(self, name, path=None, target=None):
        banned = {"flax", "optax", "orbax", "sklearn", "jaxtyping", "pyarrow", "jaxdl.tables"}
        if name.split(".")[0] in banned or name in banned:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Block())
from jaxdl.serving import score, scorer_file
scorer = scorer_file.load(sys.argv[1])
found, _ = scorer.score(np.load(sys.argv[2], allow_pickle=False))
print(json.dumps(found.tolist()))
sys.exit(score.main([sys.argv[1], sys.argv[3]]))
"""


def test_codes_are_scored_without_pyarrow_and_a_table_says_that_it_needs_it(made, tmp_path):
    np.save(tmp_path / "codes.npy", made.codes)
    source = write(tmp_path / "t.csv", shop()[:3])
    command = [sys.executable, "-c", LIGHT, made.folder, tmp_path / "codes.npy", source]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr == "error: this scorer needs the package pyarrow to read a table\n"
    np.testing.assert_allclose(json.loads(done.stdout), made.scores, rtol=1e-5)


def test_columns_that_changed_since_are_named(made, tmp_path, capsys):
    rows = shop(600, seed=1)
    same = write(tmp_path / "same.csv", rows)
    assert score.main([str(made.folder), str(same), "--output", str(tmp_path / "a.csv")]) == 0
    assert "no longer as learnt" not in capsys.readouterr().err
    for row in rows:
        row[2] = row[2].replace(",", "5,")  # amounts some ten times as high
    moved = write(tmp_path / "moved.csv", rows)
    assert score.main([str(made.folder), str(moved), "--output", str(tmp_path / "b.csv")]) == 0
    said = capsys.readouterr().err
    assert "no longer as learnt (stability index): 금액 [원] " in said
    assert "age" not in said
    few = write(tmp_path / "few.csv", rows[:499])
    assert score.main([str(made.folder), str(few), "--output", str(tmp_path / "c.csv")]) == 0
    assert "no longer as learnt" not in capsys.readouterr().err


def write_book(path, rows, header, sheet="Sheet"):
    """A workbook whose amounts are numbers and whose dates are dates."""
    book = openpyxl.Workbook()
    book.active.title = "notes"
    page = book.create_sheet(sheet)
    page.append(list(header))
    for row in rows:
        page.append(row)
    book.save(path)
    return path


def test_a_sheet_is_scored_as_its_csv_is(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(table_reader, "SHEET_ROWS", 250)  # several blocks
    header = write(tmp_path / "t.csv", shop()).read_text("utf-8").splitlines()[0]
    names = next(csv.reader([header], delimiter=";"))
    rows = []
    for cells in shop():
        row = list(cells)
        row[2] = float(row[2].replace(",", "."))
        row[4] = float(row[4]) if row[4] else None
        rows.append(row)
    rows[3][2] = "twelve"
    path = write_book(tmp_path / "t.xlsx", rows, names, "March")
    found, err = scored(capsys, made, path, "--keep", "order", "--sheet", "March")
    assert "1 bad row left unscored, the first is line 5, column 금액 [원]: 'twelve'" in err
    good = np.arange(len(rows)) != 3
    scores = [float(row["score"]) for i, row in enumerate(found) if i != 3]
    np.testing.assert_allclose(scores, made.scores[good], rtol=1e-5)
    assert [row["order"] for row in found] == [row[0] for row in rows]
    assert [int(row["row"]) for row in found] == list(range(1, 601))
    for options, message in (
        (["--sheet", "May"], "--sheet May: no such sheet; there are notes, March"),
        ([], "sheet notes is empty"),
    ):
        status, out, err = call(capsys, made.folder, path, *options)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"{path}: {message}" in err
    status, _, err = call(capsys, made.folder, tmp_path / "t.csv", "--sheet", "March")
    assert (status, err) == (2, "error: --sheet March goes with a workbook (.xlsx)\n")
