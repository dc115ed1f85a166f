"""The launcher and the run folder, as a user meets them."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxdl.cli import launcher
from tests.conftest import ROOT

LAB = "experiments/fraud_ae.py"
QUICK = [LAB, "--preset", "quick", "--source", "simulated"]


def call(*argv):
    """Exit status, what was printed, and what was printed as an error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = launcher.main([str(word) for word in argv])
        except SystemExit as stop:  # --help
            status = stop.code or 0
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished quick run of the main lab with two seeds, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    status, out, err = call(*QUICK, "--seeds", 2, "--workdir", folder)
    assert status == 0, err
    return folder, out


def test_without_arguments_the_labs_are_listed_and_help_is_quick():
    began = time.monotonic()
    for argv in ((), ("--help",)):
        status, out, _ = call(*argv)
        assert status == 0
        assert "experiments/fraud_ae.py" in out
        assert "Lab 160" in out
    assert time.monotonic() - began < 3  # nothing is imported for it


def test_runs_are_compared_and_listed_without_a_lab(run_folder, tmp_path):
    folder, _ = run_folder
    status, out, err = call("--compare", folder, folder)
    assert status == 0, err
    assert "nothing differs" in out
    status, out, err = call("--index", folder.parent)
    assert status == 0, err
    page = (folder.parent / "index.html").read_text("utf-8")
    assert f'href="{folder.name}/report.html"' in page
    assert "AUPRC" in page
    assert json.loads((folder / "results.json").read_text())["headline"]["AUPRC"]


def test_in_korean_on_request_or_by_the_locale(monkeypatch):
    _, english, _ = call()
    assert "비정상 거래 탐지" not in english
    _, asked, _ = call("--language", "ko")
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    _, by_locale, _ = call("--help")
    assert asked == by_locale
    assert "비정상 거래 탐지" in asked
    assert call("--language=en")[1] == english


def test_help_of_a_lab_shows_its_options_with_words():
    status, out, _ = call(LAB, "--help")
    assert status == 0
    for word in ("--epochs INT", "--split {random,temporal}", "--seeds INT", "Passes over"):
        assert word in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((LAB, "--epoks", "3"), "unknown option --epoks; did you mean --epochs?"),
        (("experiments/vanishing_gradient.py", "--csv", "x"), "unknown option --csv; --help lists"),
        ((LAB, "--compile-cache", "maybe"), "--compile-cache"),
        ((LAB, "--workdir", "x" * 300), "cannot write to"),
        ((LAB, "--record", "x" * 300), "cannot be written"),
        (("--eval", "x" * 300), "cannot be read"),
        (("x" * 300,), "File name too long"),
        ((LAB, "--epochs", "many"), "--epochs"),
        ((LAB, "--split", "odd"), "'random', 'temporal'"),
        ((LAB, "--seeds", "0"), "--seeds 0: must be at least 1"),
        ((LAB, "--seed", "-1"), "--seed -1: must be at least 0"),
        ((LAB, "--epochs", "-1"), "--epochs -1: must be at least 1"),
        ((LAB, "--epochs", "0"), "--epochs 0: must be at least 1"),
        ((LAB, "--widths", "12", "0"), "--widths 0: must be at least 1"),
        ((LAB, "--widths"), "--widths needs at least one value"),
        ((LAB, "--twin-rows", "3", "--source", "simulated"), "1,000 rows or more"),
        ((LAB, "--record", "/no/such/folder/x.md"), "cannot be written"),
        ((LAB, "--device", "cpu:0"), "--device cpu:0"),
        ((LAB, "--device", "abacus"), "--device abacus"),
        (("experiments/fraud_aee.py",), "did you mean experiments/fraud_ae.py?"),
        (("--seed", "1"), "name a lab"),
        (("--language", "fr"), "choose auto, en, ko"),
        (("--compare", "/nowhere"), "takes two run folders"),
        (("--compare", "/nowhere", "/nowhere"), "no finished run"),
        (("--index", "/nowhere"), "not a folder of runs"),
        ((LAB, "--language", "fr"), "choose auto, en, ko"),
        (("--eval",), "needs a run folder"),
        ((LAB, "--eval", "/nowhere"), "is /nowhere a run folder?"),
        ((LAB, "--csv", "/nowhere.csv"), "/nowhere.csv"),
        ((LAB, "--data-dir", "/nowhere"), "not a folder"),
        ((LAB, "--source", "real", "--data-dir", str(ROOT)), "creditcard.csv"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(argv, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))
    status, _, err = call(*argv)
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def test_a_program_elsewhere_is_not_run(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemError('was run')")
    status, _, err = call(tmp_path / "evil.py")
    assert status == 2
    assert "not a lab of this project" in err


def test_the_first_line_names_the_data_and_says_simulated(run_folder):
    folder, out = run_folder
    assert out.splitlines()[0].startswith("data: credit-card fraud, simulated twin")
    results = json.loads((folder / "results.json").read_text())
    assert results["simulated"] is True
    assert "simulated" in (folder / "report.html").read_text()


def test_the_run_folder_holds_everything(run_folder):
    folder, _ = run_folder
    config = json.loads((folder / "config.json").read_text())
    assert config["seeds"] == 2
    assert config["options"]["epochs"] == 3
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["versions"]["jax"]
    assert environment["platform"] == "cpu"
    assert len(json.loads((folder / "data.json").read_text())[0]["sha256"]) == 64
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["fit"] == "autoencoder"]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert len(lines[0]["train_loss"]) == 2
    assert lines[2]["train_loss"] < lines[0]["train_loss"]
    pictures = {p.name for p in (folder / "figures").iterdir()}
    assert {"loss.png", "confusion.png", "precision_recall.png"} <= pictures
    assert (folder / "report.html").read_text().count("data:image/png;base64,") == len(pictures)


def test_the_autoencoder_beats_the_weak_baselines(run_folder):
    ranking = json.loads((run_folder[0] / "results.json").read_text())["tables"][-1]["rows"]
    auprc = {row["detector"]: np.mean(row["AUPRC"]) for row in ranking}
    lecture, untrained = auprc["autoencoder of the lecture"], auprc["untrained autoencoder"]
    assert lecture > untrained > 5 * auprc["random score"]


def test_evaluation_prints_the_identical_table_and_trains_nothing(run_folder):
    folder, printed = run_folder
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    status, out, err = call("--eval", folder)
    assert status == 0, err
    assert "identical to its results.json" in out
    table = out[out.index("Autoencoder decisions") : out.index("evaluated")]
    assert table.strip() in printed
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_evaluation_takes_the_architecture_from_the_run(run_folder):
    status, _, err = call("--eval", run_folder[0], "--widths", "5")
    assert status == 2
    assert "widths is [12] there" in err


def test_evaluation_notices_other_numbers(run_folder, tmp_path):
    import shutil

    folder = shutil.copytree(run_folder[0], tmp_path / "copy")
    record = json.loads((folder / "results.json").read_text())
    record["tables"][0]["rows"][0]["precision"][0] += 1e-9
    (folder / "results.json").write_text(json.dumps(record))
    status, _, err = call("--eval", folder)
    assert status == 1
    assert "the tables DIFFER from its results.json (tables 1, rows 1, precision 1:" in err
    assert err.count("\n") == 1


def test_the_same_folder_again_says_so_and_other_options_are_refused(run_folder):
    folder, printed = run_folder
    status, out, _ = call(*QUICK, "--seeds", 2, "--workdir", folder)
    assert status == 0
    assert "finished before" in out
    assert printed[printed.index("Autoencoder dec") : printed.index("report:")] in out
    status, _, err = call(*QUICK, "--seeds", 2, "--epochs", 4, "--workdir", folder)
    assert status == 2
    assert "epochs 3 there, 4 here" in err
    assert "widths" not in err


def test_fresh_starts_again(run_folder, tmp_path):
    folder = tmp_path / "run"
    assert call(*QUICK, "--epochs", 1, "--workdir", folder)[0] == 0
    with (folder / "timing.jsonl").open("a") as file:
        file.write('{"fit": "net", "epoch": 1, "run_seconds": 5000.0, "cpu_seconds": 5000.0}\n')
    assert call(*QUICK, "--epochs", 2, "--workdir", folder, "--fresh")[0] == 0
    timing = json.loads((folder / "results.json").read_text())["timing"]
    assert max(timing["run_seconds"], timing["cpu_seconds"]) < 5000
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 2 * 2  # epochs of two nets


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.txt").write_text("mine")
    status, _, err = call(*QUICK, "--workdir", tmp_path, "--fresh")
    assert status == 2
    assert "not a run folder" in err
    assert (tmp_path / "checkpoints" / "mine.txt").exists()


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    import fcntl

    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        status, _, err = call(*QUICK, "--workdir", tmp_path)
    assert status == 2
    assert "in use by process 4711" in err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((*QUICK, "--twin-rows", "3"), "1,000 rows or more"),
        # the convolution takes half of it
        (
            ("imdb_sequence", *QUICK[1:], "--models", "cnn", "--sequence-batch", "1"),
            "cannot be trained",
        ),
    ],
)
def test_a_run_that_cannot_be_is_one_line_and_leaves_no_folder(wrong, message, tmp_path):
    status, _, err = call(*wrong, "--workdir", tmp_path / "run")
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    assert call(*wrong, "--workdir", tmp_path / "mine")[0] == 2
    assert (tmp_path / "mine").exists()  # it was there before


def test_a_small_file_gives_its_tables(tmp_path, run_folder):
    """Sixty rows in a half are fewer than the hundred alerts of a column."""
    rng = np.random.default_rng(0)
    names = ["Time", *(f"V{i}" for i in range(1, 29)), "Amount", "Class"]
    rows = [",".join(f"{x:.3f}" for x in abs(rng.normal(size=30))) for _ in range(120)]
    lines = [f"{row},{int(i % 12 == 0)}" for i, row in enumerate(rows)]
    (tmp_path / "few.csv").write_text("\n".join([",".join(names), *lines, ""]))
    status, out, err = call(*QUICK[:3], "--csv", tmp_path / "few.csv", "--workdir", tmp_path / "r")
    assert status == 0, err
    assert "precision@100" in out


def test_evaluation_takes_no_other_options(run_folder):
    for option, value in (("--seeds", 5), ("--seed", 1), ("--workdir", "x"), ("--record", "x.md")):
        status, _, err = call("--eval", run_folder[0], option, value)
        assert (status, err.count("\n")) == (2, 1)
        assert f"leave {option} out" in err
    assert call("--eval", run_folder[0], "--seeds", 2)[0] == 0


def test_made_up_data_are_not_taken_for_real_ones(tmp_path):
    command = ["experiments/outliers.py", "--preset", "quick", "--source", "real"]
    status, out, err = call(*command, "--workdir", tmp_path / "run")
    assert status == 2
    assert "made by a formula" in err
    assert "twin" not in out


def test_a_closed_pipe_and_a_poor_terminal_lose_nothing(tmp_path):
    command = f"{sys.executable} run.py {' '.join(QUICK)} --seeds 2 --workdir {tmp_path / 'run'}"
    poor = {**os.environ, "PYTHONIOENCODING": "ascii"}
    quoted = ["bash", "-o", "pipefail", "-c", f"{command} | head -c 1"]
    assert subprocess.run(quoted, cwd=ROOT, env=poor, capture_output=True).returncode == 0
    before = json.loads((tmp_path / "run" / "results.json").read_text())
    again = subprocess.run(command.split(), cwd=ROOT, env=poor, capture_output=True)
    assert again.returncode == 0
    assert b" ? 0.0" in again.stdout  # the plus-minus sign
    after = json.loads((tmp_path / "run" / "results.json").read_text())
    assert after["timing"] == before["timing"]  # the first run's: the second trained nothing


def test_a_stopped_process_skips_the_shutdown_that_would_crash():
    program = (
        "import atexit; from jaxdl.cli import launcher; launcher.main = lambda: {}; "
        "atexit.register(print, 'shutdown'); launcher.script()"
    )
    for status, shown in ((130, ""), (2, "shutdown")):
        done = subprocess.run(
            [sys.executable, "-c", program.format(status)], cwd=ROOT, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout.strip()) == (status, shown)


def test_threads_that_wait_for_each_other_do_not_spin():
    """Beside another process spinning costs up to fifty times; the libraries ask when they load."""
    own = {"OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    program = (
        "import os, sys; from jaxdl.cli import launcher; assert 'numpy' not in sys.modules; "
        "launcher.main = lambda: print(os.environ['OPENBLAS_NUM_THREADS'], "
        "os.environ['OMP_WAIT_POLICY']); launcher.script()"
    )
    for asked, expected in (({}, "1 PASSIVE"), ({"OPENBLAS_NUM_THREADS": "7"}, "7 PASSIVE")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=environment | asked,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == expected, done.stderr


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core has one thread anyway")
def test_numpy_heeds_the_one_thread():
    program = (
        "from jaxdl.cli import launcher; launcher.keep_threads_from_spinning(); import numpy; "
        "from threadpoolctl import threadpool_info; "
        "print(*(pool['num_threads'] for pool in threadpool_info() "
        "if pool['internal_api'] == 'openblas'))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if not done.stdout.strip():
        pytest.skip("this NumPy has another BLAS")
    assert set(done.stdout.split()) == {"1"}, done.stderr


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = call(*QUICK, "--workdir", tmp_path / "file" / "run")
    assert status == 2
    assert "cannot write to" in err


def test_several_labs_give_one_summary_and_a_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = tmp_path / "results.md"
    status, out, err = call(LAB, *QUICK, "--record", document)
    assert status == 0, err
    assert out.count("data: credit-card") == 2
    assert "summary" in out
    assert "AUPRC" in out[out.index("summary") :]
    text = document.read_text()
    assert text.count("<!-- run: fraud_ae-") == 1
    link = re.search(r"!\[.+\]\((figures/fraud_ae-\w+\.png)\)", text)
    assert (tmp_path / link[1]).read_bytes().startswith(b"\x89PNG")
    assert "simulated twin" in text
    assert "--record" not in text
    assert str(tmp_path) not in text


def test_import_is_light():
    program = (
        "import sys, jaxdl, jaxdl.cli; heavy = {'tensorflow', 'tensorflow_datasets', 'sklearn', "
        "'matplotlib', 'jax'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
    program = "import sys, jaxdl.training, jaxdl.runs, datasets.fraud; " + program
    program = program.replace(", 'jax'", "")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_output_into_a_closed_pipe_is_no_error():
    command = f"{sys.executable} run.py | head -1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, env=os.environ
    )
    assert done.stderr == ""
