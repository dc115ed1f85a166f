"""python -m jaxdl.score: streams, formats, faults, and what is left behind after a fault."""

import argparse
import csv
import gzip
import io
import json
import os
import select
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxdl.anomaly import detectors, thresholds
from jaxdl.errors import UserError
from jaxdl.precision import double_precision
from jaxdl.serving import export, score, score_writer, scorer_file, table_reader, transactions
from tests.conftest import ROOT

NAMES = ("Time", "V1", "V2", "V3", "Amount")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A scorer of five columns in a run folder, its rows, and its scores of them."""
    rng = np.random.default_rng(0)
    raw = np.column_stack(
        [
            np.sort(rng.integers(0, 172_800, 400)),
            rng.normal(size=(400, 3)).astype(np.float32),
            rng.integers(0, 90_000, 400) / 100,
        ]
    )
    columns = export.Columns(
        NAMES,
        ("hour", *NAMES[1:]),
        np.array([13.0, 0, 0, 0, 450]),
        np.array([7.0, 1, 1, 1, 250]),
        {"Time": transactions.hour_of_day},
        ("Time", "Amount"),
    )
    with double_precision():
        x = np.asarray(columns.standardise(raw))
    detector = detectors.pca(x, 2)
    found = detector.score(x)
    data = export.build(
        detector,
        columns,
        thresholds.k_sigma(found, 2.0, fitted_on="normal rows", resamples=0),
        {"simulated": False},
        rows=raw,
        calibration=found,
        normal=export.Normal(raw[:100], np.arange(1, 101)),
    )
    folder = tmp_path_factory.mktemp("run")
    (folder / scorer_file.FILE_NAME).write_bytes(data)
    return folder, raw, scorer_file.loads(data)


def write_csv(path, raw, names=NAMES, order=None, extra=()):
    order = list(range(len(names))) if order is None else order
    lines = [",".join([names[i] for i in order] + [name for name, _ in extra])]
    for number, row in enumerate(raw):
        cells = [repr(float(row[i])) for i in order] + [cells[number] for _, cells in extra]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def call(capsys, *words):
    status = score.main([str(word) for word in words])
    return status, *capsys.readouterr()


def test_csv_in_any_order_with_class_gives_score_flag_p_value_and_columns(made, tmp_path, capsys):
    folder, raw, scorer = made
    classes = [("Class", ["0"] * len(raw))]
    source = write_csv(tmp_path / "t.csv", raw, order=[3, 0, 4, 2, 1], extra=classes)
    status, out, err = call(capsys, folder, source)
    assert status == 0
    found, flags = scorer.score(raw)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [int(row["row"]) for row in rows] == list(range(1, 401))
    np.testing.assert_array_equal(np.float32([row["score"] for row in rows]), found)
    np.testing.assert_array_equal([row["flag"] == "1" for row in rows], flags)
    wanted = scorer.p_values(found)
    np.testing.assert_allclose([float(row["p_value"]) for row in rows], wanted, rtol=1e-5)
    assert 0 < flags.sum() < 40
    for row, flag, parts in zip(rows, flags, scorer.explain(raw), strict=True):
        best = scorer.features[np.argmax(parts)]
        assert row["top"].split(":")[0] == (best if flag else "")
    assert f"400 rows, {flags.sum()} flagged" in err
    index, distance = scorer.nearest(raw)
    for row, flag, i, far in zip(rows, flags, index, distance, strict=True):
        assert row["nearest"] == (str(scorer.normal_numbers[i]) if flag else "")
        assert row["distance"] == (f"{float(f'{far:.4g}')}" if flag else "")
        if flag:
            name, value = row["usual"].split()[0].split(":")
            wanted = scorer.normal_values[i, scorer.features.index(name)]
            assert row["top"].startswith(f"{name}:")
            assert float(value) == pytest.approx(wanted, rel=1e-3)


def test_json_lines_of_flagged_rows_only_with_a_kept_column(made, tmp_path, capsys):
    folder, raw, scorer = made
    names = ["=1+1", "Müller, K."] * 200
    source = tmp_path / "t.csv"
    write_csv(source, raw, extra=[("id", [f'"{name}"' for name in names])])
    output = tmp_path / "o.jsonl"
    status, out, _ = call(
        capsys, folder, source, "--output", output, "--keep", "id", "--only-flagged", "--top", 2
    )
    assert (status, out) == (0, "")
    found, flags = scorer.score(raw)
    records = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [r["row"] for r in records] == (np.flatnonzero(flags) + 1).tolist()
    assert all(r["id"] == names[r["row"] - 1] and len(r["top"]) == 2 for r in records)
    index, _ = scorer.nearest(raw[flags])
    assert [r["nearest"] for r in records] == scorer.normal_numbers[index].tolist()
    assert all([n for n, _ in r["usual"]] == [n for n, _ in r["top"]] for r in records)
    for record in records:  # what the row has, by the table's own name
        for (column, value), (feature, _) in zip(record["values"], record["top"], strict=True):
            place = scorer.features.index(feature)
            assert column == scorer.columns[place]
            assert value == pytest.approx(raw[record["row"] - 1, place], rel=1e-5)
    assert [np.float32(r["score"]) for r in records] == found[flags].tolist()
    parts = scorer.explain(raw[flags]).max(axis=1) / found[flags]
    np.testing.assert_allclose([r["top"][0][1] for r in records], parts, atol=1e-4)


def test_text_that_a_spreadsheet_would_run_is_quoted_in_csv(made, tmp_path, capsys):
    folder, raw, _ = made
    cells = ["=HYPERLINK(1)", "+4", "-cmd", "@x", "plain", "-2.5"]
    source = write_csv(tmp_path / "t.csv", raw[:6], extra=[("id", cells)])
    status, out, _ = call(capsys, folder, source, "--keep", "id")
    assert status == 0
    shown = [row["id"] for row in csv.DictReader(io.StringIO(out))]
    assert shown == ["'=HYPERLINK(1)", "+4", "'-cmd", "'@x", "plain", "-2.5"]


def test_parquet_gives_what_csv_gives(made, tmp_path, capsys, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    folder, raw, _ = made
    table = pyarrow.table({name: raw[:, i] for i, name in enumerate(NAMES)})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=150)
    write_csv(tmp_path / "t.csv", raw)
    assert (
        call(capsys, folder, tmp_path / "t.csv")[1]
        == (call(capsys, folder, tmp_path / "t.parquet")[1])
    )
    holes = raw[:, 1].tolist()
    holes[170] = None
    table = table.set_column(1, "V1", pyarrow.array(holes))
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=150)
    status, out, err = call(capsys, folder, tmp_path / "t.parquet", "--strict")
    assert (status, out) == (2, "")
    assert "row 171, column V1: nan is not finite" in err
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    status, _, err = call(capsys, folder, tmp_path / "t.parquet")
    assert status == 2
    assert "no readable Parquet" in err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, _, err = call(capsys, folder, tmp_path / "t.parquet")
    assert status == 2
    assert "install it, or give a CSV" in err


def test_blocks_of_any_size_give_the_same_lines(made, tmp_path):
    """A file is cut at arbitrary bytes; the rows must not notice."""
    _, raw, _ = made
    data = write_csv(tmp_path / "t.csv", raw).read_bytes().replace(b"\n", b"\r\n")
    wanted = table_reader.NumberTable(NAMES)
    for size in (1, 37, 1000, 1 << 20):
        stream = io.BytesIO(b"\xef\xbb\xbf" + data if size > 3 else data)
        chunks = list(table_reader.read_csv(lambda most, s=stream, n=size: s.read(n), wanted))
        np.testing.assert_array_equal(np.concatenate([c.rows for c in chunks]), raw)
        assert [c.first for c in chunks] == [
            1 + sum(len(c.rows) for c in chunks[:i]) for i in range(len(chunks))
        ]


@pytest.mark.parametrize("with_pyarrow", [True, False])
def test_a_control_character_is_no_blank(made, tmp_path, monkeypatch, with_pyarrow):
    """NumPy reads past it; a table read in one go says what one read cell by cell says."""
    _, raw, _ = made
    if not with_pyarrow:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    rows = raw[: 2 * table_reader.FEW_LINES]
    lines = write_csv(tmp_path / "t.csv", rows).read_bytes().splitlines(keepends=True)
    lines[100] = lines[100].rstrip(b"\n") + b"\x1c\n"
    stream = io.BytesIO(b"".join(lines))
    (chunk,) = table_reader.read_csv(stream.read, table_reader.NumberTable(NAMES))
    (place,) = chunk.problems
    assert place == 99
    assert "is not a number" in str(chunk.problems[place])


def test_standard_input_is_answered_line_by_line(made, tmp_path):
    folder, raw, scorer = made
    lines = write_csv(tmp_path / "t.csv", raw[:3]).read_bytes().splitlines(keepends=True)
    command = [sys.executable, "-m", "jaxdl.score", folder, "-", "--format", "jsonl", "--strict"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # a pipe is buffered unless this is set, which would hide a missing flush
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, cwd=ROOT, env=env, **pipes) as process:
        process.stdin.write(lines[0])
        for number, line in enumerate(lines[1:]):
            process.stdin.write(line)
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 60)[0], "no answer while input is open"
            record = json.loads(process.stdout.readline())
            assert np.float32(record["score"]) == scorer.score(raw[[number]])[0][0]
        process.stdin.write(b"1,2,3,oops,5\n")
        process.stdin.close()
        assert process.stdout.read() == b""
        error = process.stderr.read().decode()
    assert process.returncode == 2
    assert error == "error: standard input: line 5, column V3: 'oops' is not a number\n"


BAD = {
    "is empty": "",
    "no rows": "Time,V1,V2,V3,Amount\n",
    "column 'V3' is missing": "Time,V1,V2,Amount\n1,2,3,4\n",
    "column 'V1' stands twice": "Time,V1,V1,V2,V3,Amount\n1,2,3,4,5,6\n",
    "column 'city' is unknown": "Time,V1,V2,V3,Amount,city\n1,2,3,4,5,x\n",
    "line 3, column V2: 'x y' is not a number": "Time,V1,V2,V3,Amount\n\n1,2,x y,4,5\n",
    "line 2, column V1: '1_0' is not a number": "Time,V1,V2,V3,Amount\n1,1_0,3,4,5\n",
    "line 2, column V1: '' is not a number": "Time,V1,V2,V3,Amount\n1,,3,4,5\n",
    "line 3, column V3: NaN is not finite": "Time,V1,V2,V3,Amount\n\n1,2,3,NaN,5\n",
    "line 2, column V3: 1e39 is out of range": "Time,V1,V2,V3,Amount\n1,2,3,1e39,5\n",
    "line 2, column Amount: -5 is negative": "Time,V1,V2,V3,Amount\n1,2,3,4,-5\n",
    "line 2: 4 cells instead of 5": "Time,V1,V2,V3,Amount\n1,2,3,4\n",
    "line 2: byte 0xff": b"Time,V1,V2,V3,Amount\n1,2,3,\xff,5\n",
    "line 2: a zero byte": "Time,V1,V2,V3,Amount\n1,2,3,\0,5\n",
    "line 2: a quote is not closed": 'Time,V1,V2,V3,Amount\n1,2,3,4,"5\n',
    "more than 1,048,576 bytes": "Time,V1,V2,V3,Amount\n" + "1" * 1_100_000,
}


@pytest.mark.parametrize("message", BAD)
def test_bad_standard_input_prints_no_header(made, capsys, monkeypatch, message):
    bad = BAD[message]
    stream = io.BytesIO(bad if isinstance(bad, bytes) else bad.encode())
    monkeypatch.setattr(score, "pipe_reader", lambda: stream.read)
    status, out, err = call(capsys, made[0], "-", "--strict")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert err.startswith("error: standard input: ")


@pytest.mark.parametrize("strict", [[], ["--strict"]], ids=["", "strict"])
@pytest.mark.parametrize("message", BAD)
def test_bad_input_gives_one_line_status_2_and_leaves_the_old_output(
    made, tmp_path, capsys, message, strict
):
    bad = BAD[message]
    source, output = tmp_path / "t.csv", tmp_path / "o.csv"
    source.write_bytes(bad if isinstance(bad, bytes) else bad.encode())
    output.write_text("of yesterday")
    status, out, err = call(capsys, made[0], source, "--output", output, *strict)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith(f"error: {source}")
    assert err.count("\n") == 1
    assert output.read_text() == "of yesterday"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.csv", "t.csv"]


def test_a_fault_in_the_last_row_of_a_file_prints_no_row(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(table_reader, "BLOCK_BYTES", 500)
    source = write_csv(tmp_path / "t.csv", made[1])
    source.write_text(source.read_text() + "1,2,3,4,inf\n")
    status, out, err = call(capsys, made[0], source, "--strict")
    assert (status, out) == (2, "")
    assert "line 402, column Amount: inf is out of range" in err


def test_finite_values_without_a_finite_score_are_marked_or_refused(made, tmp_path, capsys):
    """The square of a value near float32's largest is infinite, and infinity compares with all."""
    raw = made[1][:5].copy()
    raw[2, 1] = 3e38
    source = write_csv(tmp_path / "t.csv", raw)
    status, out, err = call(capsys, made[0], source, "--strict")
    assert (status, out) == (2, "")
    assert "row 3: no finite score" in err
    status, out, err = call(capsys, made[0], source)
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["score"] == "" for row in rows] == [False, False, True, False, False]
    assert rows[2]["problem"] == "no finite score: its values are out of all range"
    assert "1 bad row left unscored, the first is row 3: no finite score" in err


MIXED = """Time,V1,V2,V3,Amount,id
1,2,3,4,5,a
1,oops,3,4,5,b
1,2,3,4
1,2,3,1e39,5,c

1,2,3,4,-5,d
7,2,3,4,5,e
"""
PROBLEMS = {
    2: "column V1: 'oops' is not a number",
    3: "4 cells instead of 6",
    4: "column V3: 1e39 is out of range",
    5: "column Amount: -5 is negative",
}


def test_bad_rows_are_marked_and_counted_and_the_others_scored(made, tmp_path, capsys):
    (tmp_path / "t.csv").write_text(MIXED)
    status, out, err = call(capsys, made[0], tmp_path / "t.csv", "--keep", "id")
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {int(row["row"]): row["problem"] for row in rows if row["problem"]} == PROBLEMS
    assert [row["id"] for row in rows] == ["a", "b", "", "c", "d", "e"]
    scores = made[2].score(np.array([[1.0, 2, 3, 4, 5], [7, 2, 3, 4, 5]]))[0]
    np.testing.assert_array_equal(np.float32([rows[0]["score"], rows[5]["score"]]), scores)
    for row in rows[1:5]:
        assert row["score"] == row["flag"] == row["p_value"] == row["top"] == ""
    assert err.count("\n") == 1
    bad = "4 bad rows left unscored, the first is line 3, column V1: 'oops' is not a number"
    assert err.strip().endswith(bad)
    status, out, _ = call(
        capsys, made[0], tmp_path / "t.csv", "--keep", "id", "--format", "jsonl", "--only-flagged"
    )
    records = [json.loads(line) for line in out.splitlines()]
    assert {r["row"]: r["problem"] for r in records if r["problem"]} == PROBLEMS
    bad = [r for r in records if r["problem"]]
    assert all(r["score"] is r["flag"] is r["p_value"] is None for r in bad)
    assert all(r["flag"] for r in records if not r["problem"])


def test_strict_refuses_the_first_bad_row(made, tmp_path, capsys):
    (tmp_path / "t.csv").write_text(MIXED)
    words = [made[0], tmp_path / "t.csv", "--keep", "id", "--strict"]
    status, out, err = call(capsys, *words, "--output", tmp_path / "o.csv")
    assert (status, out) == (2, "")
    assert err == f"error: {tmp_path / 't.csv'}: line 3, column V1: 'oops' is not a number\n"
    assert not (tmp_path / "o.csv").exists()


def test_standard_input_goes_on_behind_a_bad_row(made, capsys, monkeypatch):
    stream = io.BytesIO(MIXED.encode())
    monkeypatch.setattr(score, "pipe_reader", lambda: lambda most: stream.readline())
    status, out, err = call(capsys, made[0], "-", "--keep", "id", "--format", "jsonl")
    assert status == 0
    records = [json.loads(line) for line in out.splitlines()]
    assert [r["row"] for r in records] == [1, 2, 3, 4, 5, 6]
    assert {r["row"]: r["problem"] for r in records if r["problem"]} == PROBLEMS
    assert "the first is line 3, column V1" in err


def test_a_few_bad_rows_in_a_large_block_are_found_and_the_rest_is_quick(made, tmp_path):
    """The lines around a fault are read with care, not the whole block."""
    lines = ["1,2,3,4,5"] * 5000
    lines[1234], lines[4321] = "1,x,3,4,5", "1,2,3,4,5,6"
    data = (",".join(NAMES) + "\n" + "\n".join(lines) + "\n").encode()
    careful = []

    class Counting(table_reader.NumberTable):
        def careful(self, cells, layout):
            careful.append(len(cells))
            return super().careful(cells, layout)

    (chunk,) = table_reader.read_csv(io.BytesIO(data).read, Counting(NAMES))
    assert {place: str(problem) for place, problem in chunk.problems.items()} == {
        1234: "line 1236, column V1: 'x' is not a number",
        4321: "line 4323: 6 cells instead of 5",
    }
    np.testing.assert_array_equal(np.delete(chunk.rows, [1234, 4321], 0), [[1, 2, 3, 4, 5]] * 4998)
    assert sum(careful) < 400


def test_a_csv_is_read_the_same_without_pyarrow(made, tmp_path, monkeypatch):
    data = write_csv(tmp_path / "t.csv", made[1]).read_bytes()
    table = table_reader.NumberTable(NAMES)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (chunk,) = table_reader.read_csv(io.BytesIO(data).read, table)
    np.testing.assert_array_equal(chunk.rows, made[1])


@pytest.mark.parametrize("name", ["o.csv.gz", "o.jsonl.gz", "o.parquet"])
def test_output_in_other_forms_says_the_same(made, name, tmp_path, capsys):
    from pyarrow import parquet

    source = tmp_path / "t.csv"
    ids = ["=1+1", 'a "b", c', "", *["x"] * 397]
    cells = ['"' + cell.replace('"', '""') + '"' for cell in ids]
    write_csv(source, made[1], extra=[("id", cells)])
    source.write_text(source.read_text() + "1,2,3,4,x,last\n")
    out = tmp_path / name
    words = [made[0], source, "--keep", "id", "--explain", "all"]
    status, printed, err = call(capsys, *words, "--output", out)
    assert (status, printed) == (0, "")
    assert "1 bad row" in err
    wanted = list(csv.DictReader(io.StringIO(call(capsys, *words)[1])))
    assert [row["id"] for row in wanted[:3]] == ["'=1+1", 'a "b", c', ""]
    if name == "o.csv.gz":
        text = gzip.decompress(out.read_bytes()).decode()
        assert list(csv.DictReader(io.StringIO(text))) == wanted
        return
    if name == "o.jsonl.gz":
        lines = gzip.decompress(out.read_bytes()).decode().splitlines()
        records = [json.loads(line) for line in lines]
    else:
        records = parquet.read_table(out).to_pylist()
    assert [record["id"] for record in records] == [*ids, "last"]
    assert list(records[0]) == ["id", *score_writer.FIELDS]
    for record, row in zip(records, wanted, strict=True):
        assert record["row"] == int(row["row"])
        assert record["problem"] == (row["problem"] or None)
        if row["problem"]:
            assert record["score"] is record["flag"] is record["p_value"] is None
        else:
            assert np.float32(record["score"]) == np.float32(row["score"])
            assert record["flag"] == (row["flag"] == "1")
            assert record["p_value"] == pytest.approx(float(row["p_value"]), rel=1e-5)
            assert record["nearest"] == int(row["nearest"])
            assert record["distance"] == float(row["distance"])
    if name == "o.parquet":
        assert records[0]["top"] == wanted[0]["top"]
        assert records[0]["usual"] == wanted[0]["usual"]


def test_a_gzipped_file_that_is_cut_off_is_one_line(made, tmp_path, capsys):
    packed = gzip.compress(write_csv(tmp_path / "t.csv", made[1]).read_bytes())
    source = tmp_path / "t.csv.gz"
    source.write_bytes(packed[:-200])
    status, out, err = call(capsys, made[0], source)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{source}: is damaged" in err


FORMULAS = ["=1", "+a", "-a", "@a", " =1", "\u200b=1", "\ufeff+a", "\u3000@a", "＝1", "＋a", "－1"]
FORMULAS += ["＠a", "﹦1", "\t1", "\x01=1", "-1+1", "+1_0", "-inf", "--1", "'\t"[1:], "\xa0-a"]
TEXTS = ["-3.5", "+4", "-1e5", "-3,5", " -2", "a=1", "", "한국", "3-4", "a@b.c", "-.5", "1", "(=1)"]


def test_formulas_of_every_kind_get_an_apostrophe_and_numbers_none():
    assert [score_writer.harmless(cell) for cell in FORMULAS] == ["'" + cell for cell in FORMULAS]
    assert [score_writer.harmless(cell) for cell in TEXTS] == TEXTS


def test_names_of_kept_columns_are_harmless_too(made, tmp_path, capsys):
    source = write_csv(tmp_path / "t.csv", made[1][:3], extra=[("=cmd()", ["1", "2", "3"])])
    status, out, _ = call(capsys, made[0], source, "--keep", "=cmd()")
    assert status == 0
    assert out.startswith("'=cmd(),row,score")


CLOSED = {
    ">&-": "error: standard output is closed: give --output\n",
    "2>&-": "",
    "<&-": "error: standard input is closed: there is nothing to read\n",
    ">&- 2>&-": "",
    "> /dev/full": "error: output: No space left on device\n",
}


@pytest.mark.parametrize("how", CLOSED)
def test_a_closed_standard_stream_is_one_line_or_silence(made, how, tmp_path):
    source = write_csv(tmp_path / "t.csv", made[1])
    words = [sys.executable, "-m", "jaxdl.score", made[0], "-" if "<" in how else source]
    command = f"{shlex.join(map(str, words))} {how}"
    command = ["sh", "-c", command]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == (0 if how == "2>&-" else 2)
    assert done.stderr == CLOSED[how]
    assert done.stdout.count("\n") == (401 if how == "2>&-" else 0)


CALLS = {
    "name an input": [],
    "is not a file": ["nothing.csv"],
    "is no plain file": ["t.csv", "--output", "."],
    "--output is the input": ["t.csv", "--output", "t.csv"],
    "is a column of the output": ["t.csv", "--keep", "score"],
    "column 'id' is missing": ["t.csv", "--keep", "id"],
    "--top 0": ["t.csv", "--top", "0"],
    "invalid choice": ["t.csv", "--format", "xml"],
    "Parquet needs an --output": ["t.csv", "--format", "parquet"],
    "names a column twice": ["t.csv", "--keep", "id", "--keep", "id"],
    "folder of Parquet files": ["."],
    "unknown option --out": ["t.csv", "--out", "x"],
    "has the sha256": ["t.csv", "--sha256", "00"],
    "--output nowhere/o.csv cannot be written (No such": ["t.csv", "--output", "nowhere/o.csv"],
    "--output t.csv/o.csv cannot be written (Not a dir": ["t.csv", "--output", "t.csv/o.csv"],
}


@pytest.mark.parametrize("message", CALLS)
def test_a_wrong_call_is_one_line(made, tmp_path, capsys, monkeypatch, message):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "t.csv", made[1][:3])
    status, out, err = call(capsys, made[0], *CALLS[message])
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_message_cannot_steer_the_terminal(made, capsys):
    status, out, err = call(capsys, made[0], "no\x1b[2J\nfile")
    assert (status, out) == (2, "")
    assert err == "error: no\\x1b[2J file is not a file or a folder of Parquet files\n"


def test_a_changed_scorer_is_refused_before_anything_is_read(made, tmp_path, capsys):
    data = bytearray((made[0] / scorer_file.FILE_NAME).read_bytes())
    data[-5] ^= 1
    (tmp_path / "s.jaxdl").write_bytes(data)
    source = write_csv(tmp_path / "t.csv", made[1])
    status, out, err = call(capsys, tmp_path / "s.jaxdl", source)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "damaged or was changed" in err


def test_describe_and_help_teach(made, capsys):
    status, out, _ = call(capsys, made[0], "--describe")
    assert status == 0
    described = json.loads(out)
    assert described["columns"] == list(NAMES)
    assert described["threshold"]["rule"] == "k_sigma"
    with pytest.raises(SystemExit):
        score.main(["--help"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("exit status", "--keep", "standard input", "p_value"))


ALPHABET = st.sampled_from(list('0123456789.,-+eE_"\n\r\t nafi=x\0é٣'))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 200), cut=st.integers(0, 3), text=st.text(ALPHABET, max_size=4))
def test_any_mutation_gives_a_typed_error_or_finite_rows(place, cut, text):
    good = "Time,V1,V2,V3,Amount\n" + "".join(f"{i}.5,-{i},2e-1,{i}.25,9\n" for i in range(9))
    data = (good[:place] + text + good[place + cut :]).encode()
    stream = io.BytesIO(data)
    try:
        wanted = table_reader.NumberTable(NAMES, ("Time", "Amount"))
        chunks = list(table_reader.read_csv(lambda most: stream.read(64), wanted))
    except UserError:
        return
    rows = np.concatenate([chunk.rows for chunk in chunks])
    assert rows.shape[1] == 5
    assert np.isfinite(rows).all()
    assert (rows[:, [0, 4]] >= 0).all()


def read_both_ways(data, table):
    """Chunks of the quick way wherever it can, and of the careful way alone."""
    found = []
    for few in (1, 10**9):
        table_reader.FEW_LINES = few
        try:
            found.append(list(table_reader.read_csv(io.BytesIO(data).read, table)))
        except UserError as error:
            found.append(str(error))
        finally:
            table_reader.FEW_LINES = 64
    return found


CELLS = st.text(st.sampled_from(list("0123456789.,-+eE_\" \r\t nafiNA'=x한é")), max_size=5)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(cells=st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=6))
def test_the_quick_way_and_the_careful_way_find_the_same(cells):
    rows = [
        [cells[i % len(cells)][0], f"{i}.5", "kept " + cells[i % len(cells)][1]] for i in range(9)
    ]
    data = "V1,V2,id\n" + "".join(",".join(row) + "\n" for row in rows)
    table = table_reader.NumberTable(("V1", "V2"), ("V2",), ("id",))
    quick, careful = read_both_ways(data.encode(), table)
    if isinstance(careful, str):
        assert quick == careful
        return
    for one, two in zip(quick, careful, strict=True):
        np.testing.assert_array_equal(one.rows, two.rows)
        assert one[2:] == two[2:]


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_kill_leaves_the_output_as_it_was(made, how, tmp_path):
    """SIGTERM or SIGKILL while rows arrive: what is under the output's name is of before."""
    output = tmp_path / "o.csv"
    output.write_text("of yesterday")
    command = [sys.executable, "-m", "jaxdl.score", made[0], "-", "--output", output]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
        process.stdin.write(b"Time,V1,V2,V3,Amount\n1,2,3,4,5\n")
        process.stdin.flush()
        for _ in range(600):
            if list(tmp_path.glob(".o.csv.*")):
                break
            select.select([], [], [], 0.1)
        getattr(process, how)()
        assert process.wait(60) == (143 if how == "terminate" else -9)
    assert output.read_text() == "of yesterday"
    left = [path.name for path in tmp_path.iterdir() if path != output]
    assert left == ([] if how == "terminate" else [f".o.csv.{process.pid}.tmp"])


PEAK = """
import sys
from pathlib import Path
from jaxdl.serving import score
status = score.main(sys.argv[1:])
(line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
print(int(line.split()[1]) // 1024)
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is told by Linux")
def test_memory_does_not_grow_with_the_file(made, tmp_path):
    """90 MB of long lines, plain and gzipped, take hardly more memory than 9 MB."""
    line = b"1,2,3,4,5," + b"0" * 3000 + b"\n"
    peaks = {}
    for name, rows in (("few.csv", 3_000), ("many.csv", 30_000), ("many.csv.gz", 30_000)):
        content = b"Time,V1,V2,V3,Amount,Class\n" + line * rows
        packed = gzip.compress(content, 1) if name.endswith("gz") else content
        (tmp_path / name).write_bytes(packed)
        command = [sys.executable, "-c", PEAK, made[0], tmp_path / name]
        command += ["--output", tmp_path / "o.csv", "--explain", "none"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        assert f"{rows:,} rows" in done.stderr
        peaks[name] = int(done.stdout)
    assert max(peaks.values()) < peaks["few.csv"] + 45, peaks


def test_shares_of_columns_are_shares_whatever_the_sign_of_the_score(monkeypatch):
    parts = np.array([[3.0, -1.0, 1.0], [-2.0, -1.0, np.inf]])

    class Stub:
        columns = features = ("a", "b", "c")
        normal_numbers, has_schema = (), False

        def explain(self, rows):
            return parts

    scoring = score._Scoring(Stub(), argparse.Namespace(top=3, strict=False))
    reasons = scoring._why(np.array([[7.0, 8.0, 9.0]] * 2), np.array([-5.0, 0.0]), np.ones(2, bool))
    assert reasons[0].top == [("a", 0.75), ("c", 0.25), ("b", 0.0)]
    assert [share for _, share in reasons[1].top] == [0.0, 0.0, 0.0]
    assert reasons[0].values == [("a", 7.0), ("c", 9.0), ("b", 8.0)]


@pytest.mark.parametrize("name", ["alerts.xlsx", "ALERTS.XLS", "alerts.ods"])
def test_a_spreadsheets_name_is_refused(name):
    with pytest.raises(UserError, match=r"no spreadsheet is written; give \.csv"):
        score_writer.format_of(Path(name), None)
