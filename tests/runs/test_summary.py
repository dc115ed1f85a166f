"""The summary copies numbers out of recorded sections, and says what it cannot find."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxdl.figures.base import COLOURS
from jaxdl.figures.curves import curves_over_seeds
from jaxdl.hashing import digest
from jaxdl.report import Table, markdown
from jaxdl.runs import record, summary

ROOT = Path(__file__).parents[2]
TOML = """
[[line]]
lab = "A"
what = "accuracy of b"
beside = "0.5"
command = "python run.py experiments/a.py --seeds 3 --csv x/y.csv"
where = { model = "b" }
column = "accuracy|all"

[[line]]
lab = "B"
what = "not there"
command = "python run.py experiments/b.py"
column = "accuracy"
"""


@pytest.fixture
def recorded(tmp_path):
    """A document with one section, and its summary.toml."""
    table = Table(
        "Results", [{"model": "a", "accuracy|all": 0.25}, {"model": "b", "accuracy|all": 0.75}]
    )
    body = (
        "data: digits, local mirror (x), sha256 00\n\n"
        "`python run.py experiments/a.py --csv y.csv --seeds 3`\n\n"
        "n = 3 seeds; cpu (cpu, 2 cores), jax 0.10.2; 1234 s; 2026-01-01\n\n" + table.markdown()
    )
    path = tmp_path / "results.md"
    markdown.record_section(path, "a-1", "Lab A", body)
    (tmp_path / "summary.toml").write_text(TOML)
    return path


def test_numbers_are_copied_and_gaps_are_named(recorded):
    summary.refresh(recorded)
    text = recorded.read_text()
    assert text.index("## Summary") < text.index("## Lab A")
    line = next(line for line in text.splitlines() if line.startswith("| A |"))
    expected = (
        "| A | accuracy of b | 0.5 | 0.750 | - | 3 | local mirror | cpu (cpu, 2 cores); 1,234 s "
        "| - |"
    )
    assert line == expected
    assert "| B | not there | - | not recorded |" in text
    summary.refresh(recorded)
    assert recorded.read_text() == text


def test_seconds_of_a_processor_stand_beside_those_of_the_clock(recorded):
    text = recorded.read_text()
    recorded.write_text(text.replace("; 1234 s; ", "; 1234 s, 1001 s of CPU; "))
    summary.refresh(recorded)
    assert "| cpu (cpu, 2 cores); 1,234 s, 1,001 s of CPU |" in recorded.read_text()


def test_baselines_stand_beside_the_reference(recorded):
    settings = recorded.with_name("summary.toml")
    beside = 'baselines = [{ model = "a" }]\nwhere = { model = "b" }'
    settings.write_text(TOML.replace('where = { model = "b" }', beside))
    summary.refresh(recorded)
    assert "| A | accuracy of b | 0.5; a 0.250 | 0.750 | reached |" in recorded.read_text()
    settings.write_text(settings.read_text().replace('beside = "0.5"\n', ""))
    summary.refresh(recorded)
    assert "| A | accuracy of b | a 0.250 | 0.750 | reached |" in recorded.read_text()
    settings.write_text(settings.read_text().replace('{ model = "a" }', '{ model = "c" }'))
    assert summary.main([str(recorded)]) == 2


def test_what_missed_says_why_below_the_table(recorded):
    summary.refresh(recorded)
    assert "Missed" not in recorded.read_text()
    settings = recorded.with_name("summary.toml")
    settings.write_text(TOML.replace('what = "not', 'missed = "it is not run"\nwhat = "not'))
    summary.refresh(recorded)
    told = markdown.sections(recorded)[summary.KEY].strip()
    assert told.endswith("Missed, and why:\n\n- B, not there: it is not run")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("accuracy|all", "loss", "has no column 'loss'"),
        ('"b" }', '"c" }', "no row {'model': 'c'}"),
        ('lab = "A"\n', "", "needs"),
        ('beside = "0.5"', 'aside = "0.5"', "needs"),
        ("[[line]]", "[[line", "cannot be read"),
    ],
)
def test_a_wrong_entry_is_one_line(recorded, capsys, old, new, message):
    toml = recorded.parent / "summary.toml"
    toml.write_text(TOML.replace(old, new))
    before = recorded.read_text()
    assert summary.main([str(recorded)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert recorded.read_text() == before


def test_a_finished_run_puts_its_figure_into_its_section(recorded, tmp_path, capsys):
    (tmp_path / "summary.toml").write_text('[figures]\na = "two"\n' + TOML)
    command, run = "python run.py experiments/a.py --seeds 3", tmp_path / "run"
    key = f"a-{digest(command)[:8]}"
    body = "`" + command + "`\n\nn = 3 seeds; cpu, jax 0.10.2; 1 s; 2026-01-01"
    markdown.record_section(recorded, key, "Lab A", body)
    (run / "figures").mkdir(parents=True)
    for name, grey in {"one": 0, "two": 255}.items():
        Image.new("L", (8, 8), grey).save(run / "figures" / f"{name}.png")
    assert record.main([str(recorded), str(run)]) == 2
    assert "no finished run" in capsys.readouterr().err

    stored = {"lab": "a", "title": "Lab A", "command": command + " --record x.md"}
    (run / "results.json").write_text(json.dumps(stored))
    for _ in range(2):
        assert record.main([str(recorded), str(run)]) == 0
    assert "accuracy of b" in markdown.sections(recorded)[summary.KEY]
    text = recorded.read_text()
    assert text.count(f"![two](figures/{key}.png)") == 1
    assert text.index(body) < text.index("![two]")
    with Image.open(tmp_path / "figures" / f"{key}.png") as kept:
        assert kept.convert("L").getpixel((4, 4)) == 255
    section = summary.parse(markdown.sections(recorded)[key])
    assert section.figure == f"[two](figures/{key}.png)"

    (tmp_path / "summary.toml").write_text('[figures]\na = ["three", "one"]\n' + TOML)
    assert record.main([str(recorded), str(run)]) == 0
    assert f"![one](figures/{key}.png)" in recorded.read_text()

    (tmp_path / "summary.toml").write_text('[figures]\na = "three"\n' + TOML)
    assert record.main([str(recorded), str(run)]) == 2
    assert "'three'; it drew one, two" in capsys.readouterr().err


def test_lines_of_a_recorded_figure_keep_their_colours(tmp_path):
    rng, x = np.random.default_rng(0), np.arange(20)
    curves = {str(i): (x, rng.normal(i, 1, (20, 5))) for i in range(len(COLOURS))}
    figure = curves_over_seeds(curves, "epoch", "loss")
    figure.savefig(tmp_path / "curves.png")
    record.figure_line(tmp_path / "results.md", "a", "python run.py", tmp_path)
    (kept,) = (tmp_path / "figures").glob("a-*.png")
    with Image.open(tmp_path / "curves.png") as drawn, Image.open(kept) as shown:
        drawn, shown = (np.asarray(image.convert("RGB"), int) for image in (drawn, shown))
    for colour in COLOURS:
        line = (drawn == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=-1)
        assert line.sum() > 100
        assert abs(shown - drawn)[line].max() < 16, colour
    assert kept.stat().st_size < (tmp_path / "curves.png").stat().st_size / 2


def test_a_recorded_photograph_is_not_posterised(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "photograph.png")
    record.figure_line(tmp_path / "results.md", "a", "python run.py", tmp_path)
    (kept,) = (tmp_path / "figures").glob("a-*.png")
    with Image.open(kept) as shown:
        np.testing.assert_array_equal(shown, colours)


def test_the_summary_of_the_results_is_up_to_date(tmp_path):
    for name in ("results.md", "summary.toml"):
        (tmp_path / name).write_text((ROOT / "docs" / name).read_text("utf-8"), "utf-8")
    summary.refresh(tmp_path / "results.md")
    assert (tmp_path / "results.md").read_text("utf-8") == (ROOT / "docs/results.md").read_text(
        "utf-8"
    )


def test_every_lab_has_a_line():
    listed = (ROOT / "docs" / "summary.toml").read_text("utf-8")
    labs = {path.name for path in (ROOT / "experiments").glob("[!_]*.py")}
    assert labs == set(re.findall(r"experiments/(\w+\.py)", listed))


def test_every_miss_and_no_hit_says_why():
    document = ROOT / "docs" / "results.md"
    found = map(summary.parse, markdown.sections(document).values())
    recorded = [section for section in found if section]
    for entry in markdown.settings(document)["line"]:
        line = summary.line(entry, recorded)
        assert line["measured"] != "not recorded", entry
        assert (line["verdict"] == "missed") == ("missed" in entry), line


GOAL, LECTURE, OTHER = {"goal": "0.80"}, {"stored": {"lecture": "0.72"}}, {"published": {"x": "3"}}
LESS = {"less_is_better": True}


@pytest.mark.parametrize(
    ("compared", "measured", "expected"),
    [
        (GOAL, "0.8123 ± 0.1", "reached"),
        (GOAL, "0.79 ± 0.1", "missed"),
        (GOAL | LESS, "0.81", "missed"),
        ({"goal": "3"} | LESS, "0.1 ± 0.4", "reached"),
        ({"goal": "4"}, "3 of 4 (0.7 .. 1.0)", "missed"),
        ({"goal": "2"}, "2 of 2 (1.0 .. 1.0)", "reached"),
        ({"goal": "5", "every_seed": True}, "5.0 ± 0.0", "reached"),
        ({"goal": "5", "every_seed": True}, "5.0 ± 0.2", "missed"),
        (LECTURE, "0.70 ± 0.01", "missed"),
        (LECTURE, "0.70 ± 0.03", "reached"),
        (LECTURE | LESS, "0.75 ± 0.01", "missed"),
        (GOAL | LECTURE, "0.81 ± 0.01", "reached"),
        ({"goal": "0.6"} | LECTURE, "0.65 ± 0.01", "missed"),
        ({"stored": {"lecture": "0.72", "book": "0.75"}}, "0.73", "missed"),
        (OTHER, "3.1 ± 0.05", "reached"),
        (OTHER, "2.9 ± 0.2", "level"),
        (OTHER, "3.1 ± 0.2", "level"),
        (OTHER, "2.9 ± 0.05", "missed"),
        (OTHER | LESS, "2.9 ± 0.05", "reached"),
        ({"beside": "0.9"}, "0.7", "-"),
        (GOAL, "-", "-"),
    ],
)
def test_a_number_is_compared_with_what_the_entry_names(compared, measured, expected):
    assert summary.verdict(compared, measured) == expected


def test_baselines_are_to_be_beaten():
    assert summary.verdict({}, "0.5 ± 0.1", ["0.4", "0.7"]) == "missed"
    assert summary.verdict({}, "0.5 ± 0.01", ["0.4", "-"]) == "reached"
    assert summary.verdict({}, "0.5 ± 0.01", ["0.4", "0.505 ± 0.01"]) == "level"
    margin = {"margin": "0.2"}
    assert summary.verdict(margin, "0.5", ["0.35 ± 0.01"]) == "missed"
    assert summary.verdict(margin, "0.5", ["0.3 ± 0.01"]) == "reached"


def test_the_reference_says_what_it_is_compared_with(recorded):
    entry = {
        "lab": "A",
        "what": "b",
        "command": "python run.py experiments/a.py --seeds 3 --csv x/y.csv",
        "column": "accuracy|all",
        "goal": "3",
        "every_seed": True,
        "less_is_better": True,
        "stored": {"lecture": "0.5"},
        "published": {"book": "0.6"},
        "beside": "others",
        "baselines": [{"model": "b"}],
        "n": 1,
    }
    (section,) = map(summary.parse, markdown.sections(recorded).values())
    line = summary.line(entry, [section])
    told = "goal at most 3 in every seed; 0.5 (lecture); book 0.6; others; b 0.750"
    assert line["reference"] == told
    assert line["n"] == "1"
    del entry["goal"], entry["every_seed"]
    line = summary.line(entry | {"margin": "0.2"}, [section])
    assert line["reference"].startswith("goal 0.2 above the baseline; 0.5")
