"""`--predict`: mistakes in the call are told in one line, before anything is loaded."""

import json

import pytest

from jaxdl.cli.launcher import main
from jaxdl.errors import UserError
from jaxdl.report import Table
from jaxdl.runs.predictions import check_output, csv_of

CONFIG = {"lab": "batch_norm", "preset": "quick", "seed": 0, "seeds": 1, "source": "auto"}


@pytest.fixture
def finished(tmp_path):
    """A run folder of a lab that predicts nothing."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIG, "options": {}}))
    (folder / "results.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--predict takes a run folder and what to judge"),
        (["RUN"], "--predict takes a run folder and what to judge"),
        (["RUN", "x.jpg"], "is a run of batch_norm, which has nothing to predict"),
        (["nowhere", "x.jpg"], "nowhere/config.json does not exist"),
        (["RUN", "x.jpg", "--output"], "--output needs a folder"),
        (["RUN", "x.jpg", "--output", "RUN/out"], "nothing is written into the run folder"),
        (["RUN", "x.jpg", "--output=RUN"], "nothing is written into the run folder"),
        (["RUN", "x.jpg", "--output", "RUN/.."], "is not empty (it holds run)"),
    ],
)
def test_mistakes(words, told, finished, capsys):
    words = [word.replace("RUN", str(finished)) for word in words]
    assert main(["--predict", *words]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert told in error


def test_an_unfinished_run_is_not_asked(finished, capsys):
    (finished / "results.json").unlink()
    assert main(["--predict", str(finished), "x.jpg"]) == 2
    assert "is not finished" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lab", "file", "told"),
    [
        (
            "table_anomalies",
            "scorer.jaxdl",
            "score the rows of a table: python -m jaxdl.score RUN ",
        ),
        ("fraud_ae", "scorer.jaxdl", "score the rows of a table: python -m jaxdl.score RUN "),
        ("nab_benchmark", "detector.npz", "judge a series: python -m jaxdl.live RUN --series "),
        ("nab_conv1d_ae", "scorer.jaxdl", "judge a series: python -m jaxdl.live RUN --series "),
        (
            "table_anomalies",
            "",
            "is a run of table_anomalies, which has nothing to predict, unlike ",
        ),
    ],
)
def test_the_command_that_answers_instead_is_told(lab, file, told, finished, capsys):
    (finished / "config.json").write_text(json.dumps({**CONFIG, "lab": lab, "options": {}}))
    if file:
        (finished / file).write_bytes(b"")
    assert main(["--predict", str(finished), "my rows.csv"]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert told.replace("RUN", str(finished)) in error
    assert ("'my rows.csv'" in error) == bool(file)  # as it is typed in a shell
    if not file:
        assert "cifar_cnn, clustering, " in error


def test_only_earlier_predictions_are_replaced(tmp_path):
    check_output(tmp_path / "new")
    (tmp_path / "predictions.csv").write_text("")
    check_output(tmp_path)
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(UserError, match=r"holds thesis\.txt"):
        check_output(tmp_path)
    with pytest.raises(UserError, match="cannot be used for output"):
        check_output(tmp_path / "thesis.txt")


def test_the_file_has_every_digit():
    assert csv_of(Table("", [{"p": 1 / 3}], digits=1)).decode("utf-8-sig") == f"p\n{1 / 3}\n"
