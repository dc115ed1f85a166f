"""Scorer files from a stranger, each with a right sum: one line, status 2, nothing else."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.anomaly import detectors, thresholds
from jaxdl.precision import double_precision
from jaxdl.serving import export, score, scorer_file, vetting
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def good():
    """A sound scorer file of three columns."""
    rows = np.random.default_rng(0).normal(size=(64, 3))
    detector = detectors.pca(rows.astype(np.float32), 1)
    found = detector.score(rows.astype(np.float32))
    limit = thresholds.k_sigma(found, 3.0, fitted_on="rows", resamples=0)
    columns = export.Columns(("a", "b", "c"), ("a", "b", "c"), np.zeros(3), np.ones(3))
    return export.build(detector, columns, limit, {}, rows=rows, calibration=found)


def with_score(good, function):
    """The file with another program."""
    with double_precision():
        (batch,) = jax.export.symbolic_shape("batch")
        shape = jax.ShapeDtypeStruct((batch, 3), jnp.float64)
        program = jax.export.export(jax.jit(function), platforms=scorer_file.PLATFORMS)(shape)
    metadata, parts, _ = scorer_file.unpack(good)
    return scorer_file.pack(metadata, parts | {"score": bytes(program.serialize())})


def refused(capsys, tmp_path, data):
    """What the command says of a file."""
    (tmp_path / "s.jaxdl").write_bytes(data)
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n")
    output = tmp_path / "o.csv"
    words = [tmp_path / "s.jaxdl", tmp_path / "t.csv", "--output", output]
    status = score.main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert not output.exists()
    return err


def test_the_good_file_is_good(good):
    assert scorer_file.loads(good).exact


# ---- programs ------------------------------------------------------------------------------------


def constant_and_flags(value):
    value = value.astype(jnp.float32)
    return value, value > 0


def huge_constant(raw):
    return constant_and_flags(raw[:, 0] + jnp.zeros((1 << 20, 1 << 20)).sum(axis=0)[0])


def terabytes(raw):
    """Each row times 2^26 numbers, sorted: nothing that the compiler could leave out."""
    return constant_and_flags(jnp.sort(raw[:, :1] * jnp.arange(1 << 26), axis=1)[:, 7])


def lapack_in_a_loop(raw):
    def body(i, sums):
        return sums + jnp.linalg.eigh(jnp.eye(3) * sums[0])[0][0]

    return constant_and_flags(jax.lax.fori_loop(0, 3, body, raw[:, 0]))


def lapack_in_a_branch(raw):
    def decomposed(sums):
        return sums + jnp.linalg.eigh(jnp.eye(3) * sums[0])[0][0]

    return constant_and_flags(jax.lax.cond(raw[0, 0] > 1e9, decomposed, jnp.abs, raw[:, 0]))


def of_one_row(raw):
    return constant_and_flags(raw[:1, 0])


def of_a_column(raw):
    return constant_and_flags(raw[:, :1])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (huge_constant, "declares an array of 1048576x1048576 numbers"),
        (terabytes, "GiB of memory for one call"),
        (lapack_in_a_loop, "calls '"),
        (lapack_in_a_branch, "calls '"),
        (of_one_row, "of another shape"),
        (of_a_column, "of another shape"),
    ],
)
def test_a_program_that_asks_too_much_is_refused(good, function, message, tmp_path, capsys):
    assert message in refused(capsys, tmp_path, with_score(good, function))


def endless(raw):
    return constant_and_flags(
        jax.lax.while_loop(lambda x: x.sum() < jnp.inf, lambda x: x * 0.5, raw[:, 0])
    )


HURRY = """
import sys
from jaxdl.serving import command, score, scorer_file
scorer_file.FIRST_CALL_SECONDS = 3.0
command.run_and_leave(score.main)
"""


def test_a_program_that_does_not_end_ends_the_command(good, tmp_path):
    (tmp_path / "s.jaxdl").write_bytes(with_score(good, endless))
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n")
    command = [sys.executable, "-c", HURRY, tmp_path / "s.jaxdl", tmp_path / "t.csv"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "holds a program (score) that does not end within 3 seconds: refused" in done.stderr


LEFT_BEHIND = """
import atexit, time
from jaxdl.serving import command, vetting
atexit.register(print, "the interpreter was ended in the usual way")

def main():
    try:
        vetting.within(0.2, lambda: time.sleep(60))
    except vetting.UnfitProgram as error:
        print(error)
    return 7

command.run_and_leave(main)
"""


def test_a_process_with_a_thread_left_behind_does_not_wait_for_it():
    """The usual end would abort where the thread comes back from XLA meanwhile."""
    command = [sys.executable, "-c", LEFT_BEHIND]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == "does not end within 0.2 seconds\n"


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_program_that_does_not_end(good, how, status, tmp_path):
    """No abort of the interpreter, whose thread is still in the program."""
    (tmp_path / "s.jaxdl").write_bytes(with_score(good, endless))
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n")
    said = HURRY.replace("3.0", "60.0\nprint('ready', flush=True)")
    command = [sys.executable, "-c", said, tmp_path / "s.jaxdl", tmp_path / "t.csv"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=-1, stderr=-1) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(3)  # it is in the program, or in its compilation, by then
        process.send_signal(how)
        said = "error: interrupted\n" if status == 130 else ""
        assert (process.wait(30), process.stderr.read()) == (status, said)


ROWS = "tensor<?x3xf64>"
NUMBER = "tensor<f64>"
TEXTS = {  # what is said of it -> body of a function of rows %x
    "calls 'evil'": f"%0 = stablehlo.custom_call @evil(%x) : ({ROWS}) -> {NUMBER}",
    "calls 'mhlo.topk evil'": f"""
        %0 = stablehlo.custom_call @"mhlo.topk evil"(%x) : ({ROWS}) -> {NUMBER}""",
    "calls 'deep'": """
        %c = stablehlo.constant dense<true> : tensor<i1>
        "stablehlo.if"(%c) ({
            %1 = "stablehlo.if"(%c) ({
                %2 = "stablehlo.custom_call"(%c) {call_target_name = "deep"}
                    : (tensor<i1>) -> tensor<i1>
                "stablehlo.return"(%2) : (tensor<i1>) -> ()
            }, { "stablehlo.return"(%c) : (tensor<i1>) -> ()
            }) : (tensor<i1>) -> tensor<i1>
            "stablehlo.return"() : () -> ()
        }, { "stablehlo.return"() : () -> () }) : (tensor<i1>) -> ()""",
    "hands functions": f"""
        %0 = stablehlo.custom_call @Sharding(%x) {{called_computations = [@main]}}
            : ({ROWS}) -> {NUMBER}""",
    "uses mhlo.custom_call": f"""
        %0 = "mhlo.custom_call"(%x) {{call_target_name = "Sharding"}} : ({ROWS}) -> {ROWS}""",
    "uses stablehlo.send": f"""
        %t = stablehlo.create_token : !stablehlo.token
        %0 = "stablehlo.send"(%x, %t) {{
            channel_handle = #stablehlo.channel_handle<handle = 1, type = 2>,
            is_host_transfer = true
        }} : ({ROWS}, !stablehlo.token) -> !stablehlo.token""",
    "calls itself": f"%0 = func.call @main(%x) : ({ROWS}) -> {ROWS}",
    "declares an array of 99999999999": """
        %0 = stablehlo.constant dense<0.0> : tensor<99999999999xf64>""",
    "declares an array of 8x99999999x1": """
        %0 = stablehlo.iota dim = 0 : tensor<8x99999999x1xcomplex<f64>>""",
}


def module(body):
    return (
        f"module {{ func.func public @main(%x: {ROWS}) -> {ROWS} {{ {body} return %x : {ROWS} }} }}"
    )


@pytest.mark.parametrize("message", TEXTS)
def test_an_operation_is_found_however_it_is_spelled_and_wherever_it_stands(message):
    with pytest.raises(vetting.UnfitProgram) as found:
        vetting.check_program(module(TEXTS[message]))
    assert message in str(found.value)


def test_a_plain_program_passes_the_look():
    vetting.check_program(module(f"%0 = stablehlo.abs %x : {ROWS}"))


def test_calls_that_double_at_every_step_are_counted():
    functions = [
        f"""func.func private @f{i}(%x: {NUMBER}) -> {NUMBER} {{
            %0 = func.call @f{i + 1}(%x) : ({NUMBER}) -> {NUMBER}
            %1 = func.call @f{i + 1}(%0) : ({NUMBER}) -> {NUMBER}
            return %1 : {NUMBER}
        }}"""
        for i in range(40)
    ]
    functions.append(f"func.func private @f40(%x: {NUMBER}) -> {NUMBER} {{ return %x : {NUMBER} }}")
    with pytest.raises(vetting.UnfitProgram, match="more than 1,000,000 operations"):
        vetting.check_program(f"module {{ {' '.join(functions)} }}")


# ---- headers -------------------------------------------------------------------------------------


def packed(header: str, rest: bytes = b"") -> bytes:
    """A file with any header and a right sum."""
    body = header.encode() + b"\n" + rest
    return scorer_file.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def header_of(good):
    """Header as text, and all that stands behind it."""
    _, _, body = good.partition(b"\n")
    header, _, rest = body.partition(b"\n")
    return header.decode(), rest


@pytest.mark.parametrize(
    "value", ["1" + "0" * 400, "-1" + "0" * 400, "NaN", "Infinity", "1e999", "true", '"3"', "null"]
)
def test_a_threshold_that_is_no_finite_number_is_refused(good, value, tmp_path, capsys):
    header, rest = header_of(good)
    number = json.dumps(json.loads(header)["threshold"]["value"])
    changed = header.replace(f'"value": {number}', f'"value": {value}')
    assert changed != header
    refused(capsys, tmp_path, packed(changed, rest))


HEADERS = {
    "a million parts": '{"parts": [' + ",".join(['{"name":"a","bytes":0}'] * 500_000) + "]}",
    "deep": '{"parts": ' + "[" * 200_000 + "]" * 200_000 + "}",
    "deep objects": '{"a":' * 200_000 + "1" + "}" * 200_000,
    "parts of no size": '{"parts": [{"name": "score", "bytes": true}]}',
    "huge numbers": '{"parts": [{"name": "score", "bytes": 1' + "0" * 4000 + "}]}",
    "endless digits": '{"parts": ' + "1" * 100_000 + "}",
    "no object": "[]",
    "null": "null",
    "parts in words": '{"parts": "score"}',
    "no line end": None,
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_none_is_refused(name, tmp_path, capsys):
    header = HEADERS[name]
    data = packed("x" * (scorer_file.MAX_HEADER + 5)) if header is None else packed(header)
    refused(capsys, tmp_path, data)


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["/dev/zero", "fifo", "folder", "folder of that name", "nothing"])
def test_what_is_no_plain_file_is_refused_at_once(kind, tmp_path, capsys):
    path = tmp_path / "s.jaxdl"
    if kind == "/dev/zero":
        path.symlink_to(kind)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind.startswith("folder"):
        path.mkdir()
        if kind != "folder":
            (path / scorer_file.FILE_NAME).mkdir()
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n")
    assert score.main([str(path), str(tmp_path / "t.csv")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_no_more_is_read_than_a_scorer_can_have(good, tmp_path, monkeypatch):
    (tmp_path / "s.jaxdl").write_bytes(good)
    monkeypatch.setattr(scorer_file, "MAX_BYTES", 1000)
    with pytest.raises(scorer_file.ArtifactError, match="more than 1,000 bytes"):
        scorer_file.load(tmp_path / "s.jaxdl")
