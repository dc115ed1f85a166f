"""What `--help` of any lab shows of options that may be left out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from experiments import table_anomalies
from jaxdl.cli import options
from jaxdl.errors import UserError


def help_of(capsys, module=table_anomalies, lab="table_anomalies"):
    with pytest.raises(SystemExit):
        options.parse(module, lab, ["--help"])
    return capsys.readouterr().out


def test_no_default_of_none_and_no_braces_around_it(capsys):
    text = help_of(capsys)
    assert "{None" not in text
    assert "(default: None)" not in text.replace("\n", " ")
    assert "(default: )" not in text
    assert "(default: '')" not in text
    for shown in ("--csv PATH ", "--contamination FLOAT ", "--decimal {. ,} ", "--workdir PATH "):
        assert shown in text
    in_one_line = " ".join(text.replace("│", " ").split())
    assert "(default: 0.01)" in in_one_line
    assert "Share of rows to flag" in text  # the words of the inherited fields
    assert "Config(" not in text


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--csv", "a.csv"], "csv", Path("a.csv")),
        (["--contamination", "0.25"], "contamination", 0.25),
        (["--decimal", ","], "decimal", ","),
        (["--ignore", "a", "b"], "ignore", ("a", "b")),
        ([], "csv", None),
        (["--preset", "quick"], "shop_rows", 2_000),
    ],
)
def test_values_arrive_in_the_labs_own_class(words, name, value):
    run, config = options.parse(table_anomalies, "table_anomalies", words)
    assert type(config) is table_anomalies.Config
    assert type(run) is options.RunOptions
    assert getattr(config, name) == value


def test_a_wrong_value_is_still_one_line():
    with pytest.raises(UserError, match="--contamination") as found:
        options.parse(table_anomalies, "table_anomalies", ["--contamination", "many"])
    assert "\n" not in str(found.value)


def test_a_preset_that_gives_a_value_shows_it(capsys):
    @dataclass(frozen=True)
    class Config:
        limit: int | None = None
        """Rows."""
        kind: Literal["a", "b"] | None = None
        """Which."""

    class Lab:
        __doc__ = "A lab (실습): words"
        PRESETS = {"quick": Config(limit=7)}  # noqa: RUF012

    Lab.Config = Config
    with pytest.raises(SystemExit):
        options.parse(Lab, "no_lab", ["--preset", "quick", "--help"])
    text = capsys.readouterr().out
    assert "(default: 7)" in text
    assert "--kind {a,b}" in text
