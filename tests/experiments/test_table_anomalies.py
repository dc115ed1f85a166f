"""The lab for any table: what a user's file becomes, and what its promises are worth."""

import csv
import datetime
import json
import subprocess
import sys

import numpy as np
import openpyxl
import pytest

from datasets import shop
from experiments import table_anomalies as lab
from jaxdl.cli import launcher
from jaxdl.errors import UserError
from jaxdl.serving import scorer_file
from jaxdl.tables import read_table
from jaxdl.tables.schema import Column, RowTimes, Schema, column_codes

QUICK = ["experiments/table_anomalies.py", "--preset", "quick"]


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    """The invented orders as a file, some thousand of them."""
    path = tmp_path_factory.mktemp("orders") / "shop.csv"
    shop.write_csv(path, rows=1_500)
    return path


def without(path, target, *names):
    """The same file without some columns."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = [name for name in rows[0] if name not in names]
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return target


def launch(path, folder, *options):
    (results,) = launcher.launch([*QUICK, "--csv", str(path), "--workdir", str(folder), *options])
    return results


def table_of(results, start):
    return next(table for table in results.tables if table.title.startswith(start))


def test_default_detector_is_better_than_chance_and_promises_are_kept(quick_run):
    results = quick_run("table_anomalies").results
    ranking = {row["detector"]: row for row in table_of(results, "Ranking").rows}
    default, *others = ranking
    assert ranking[default]["ROC-AUC"].mean() > 0.8 > ranking["random"]["ROC-AUC"].mean()
    assert "isolation forest" in others
    assert "Mahalanobis" in others
    for row in table_of(results, "False-alarm rates").rows:
        if row["promised"] >= 0.05:  # some twenty rows of 400: the others may be chance
            assert 0.4 * row["promised"] < row["realised"].mean() < 1.8 * row["promised"]


def test_columns_are_explained(quick_run):
    rows = {
        row["column"]: row for row in table_of(quick_run("table_anomalies").results, "Columns").rows
    }
    assert rows["order_id"]["what is done"] == "text that hardly repeats"
    assert rows["currency"]["is a"] == "left out"
    assert rows["category"]["is a"] == "category"
    assert rows["when"]["is a"] == "date"
    assert "outcome" not in rows


def test_alerts_name_cells_and_lines_of_the_file(orders, tmp_path):
    results = launch(orders, tmp_path / "run", "--label", "outcome", "--positive", "fraud")
    with orders.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    alerts = table_of(results, "The ").rows
    assert [row["score"] for row in alerts] == sorted((r["score"] for r in alerts), reverse=True)
    for alert in alerts:
        cells = lines[alert["row"] - 1]
        assert alert["label"] == cells["outcome"]
        reason = alert["why"].split(" (")[0]
        name, _, value = reason.partition(" = ")
        assert value == (cells[name] or "nothing")[:40]


def test_without_labels_rates_and_alerts_are_still_shown(orders, tmp_path):
    path = without(orders, tmp_path / "no_label.csv", "outcome")
    folder = tmp_path / "run"
    asked = ["--contamination", "0.05", "--alerts-per-day", "1"]
    results = launch(path, folder, *asked)
    assert not any(table.title.startswith("Ranking") for table in results.tables)
    rules = {row["rule"]: row for row in table_of(results, "Decisions").rows}
    assert list(rules)[:2] == ["alerts a day", "contamination"]
    assert 0.3 < rules["alerts a day"]["alerts a day"][0] < 2.5
    assert 0.02 < rules["contamination"]["share of rows"][0] < 0.1
    assert "precision" not in rules["contamination"]
    scorer = scorer_file.load(folder)
    assert scorer.threshold["rule"] == "alert_budget"
    schema = json.loads((folder / "schema.json").read_text("utf-8"))
    assert schema["time"] == "when"


def test_labels_are_not_used_unless_asked(orders, tmp_path):
    """Other labels, the same detector: its thresholds and alerts are the same."""
    labelled = ["--label", "outcome", "--positive", "fraud"]
    first = launch(orders, tmp_path / "a", *labelled)
    other = tmp_path / "other.csv"
    text = orders.read_text("utf-8").splitlines()
    swapped = [text[0]]
    for i, line in enumerate(text[1:]):
        swapped.append(f"{line.rpartition(',')[0]},{'fraud' if i % 9 == 0 else 'ok'}")
    other.write_text("\n".join(swapped) + "\n", "utf-8")
    second = launch(other, tmp_path / "b", *labelled)
    for rule in (0, 1):  # false-alarm rate and sigma
        one, two = (table_of(results, "Decisions").rows[rule] for results in (first, second))
        assert one["rule"] == two["rule"]
        np.testing.assert_array_equal(one["threshold"], two["threshold"])
        np.testing.assert_array_equal(one["alerts"], two["alerts"])


@pytest.mark.parametrize("learn_from", ["normal", "labels"])
def test_labels_help_where_they_are_asked_to(learn_from, orders, tmp_path):
    labelled = ["--label", "outcome", "--positive", "fraud", "--learn-from", learn_from]
    results = launch(orders, tmp_path / "run", *labelled, "--steps", "600")
    short = next(note for note in results.notes if note.startswith("In short: learnt from "))
    rows = int(short.split()[4].replace(",", ""))
    assert rows == 900 if learn_from == "labels" else rows < 900
    (first, *_) = table_of(results, "Ranking").rows
    assert first["AUPRC"].mean() > 0.2
    scorer_file.load(tmp_path / "run")


def test_scorer_gives_the_scores_of_the_lab(orders, tmp_path):
    labelled = ["--label", "outcome", "--positive", "fraud"]
    results = launch(orders, tmp_path / "run", *labelled)
    alert = table_of(results, "The ").rows[0]
    command = [sys.executable, "-m", "jaxdl.score", str(tmp_path / "run"), str(orders)]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out.csv")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        scored = list(csv.DictReader(file))
    assert len(scored) == 1_500
    row = scored[alert["row"] - 1]
    assert float(row["score"]) == pytest.approx(alert["score"], rel=1e-5)
    assert row["flag"] == ("1" if alert["flagged"] == "yes" else "0")


NAMES = {
    "mahalanobis": "Mahalanobis",
    "isolation_forest": "isolation forest",
    "pca": "PCA, 8 components",
    "autoencoder": "autoencoder",
}


@pytest.mark.parametrize("name", ["mahalanobis", "isolation_forest", "pca", "autoencoder"])
def test_another_detector_decides_and_is_exported(name, orders, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    labelled = ["--label", "outcome", "--positive", "fraud"]
    # the others are not of interest here
    monkeypatch.setattr(lab, "OTHERS", ("default", "mahalanobis", name))
    results = launch(orders, folder, *labelled, "--detector", name, "--ignore", "category")
    first, *others = [row["detector"] for row in table_of(results, "Ranking").rows]
    assert first.startswith(NAMES[name].split(",")[0])
    assert first not in others
    assert any(other.startswith("default") for other in others)
    assert lab.option_of(first) == name
    scorer = scorer_file.load(folder)
    assert scorer.metadata["detector"] == first
    assert scorer.metadata["equal_to_trainer"]["largest_difference"] < 1e-4
    alert = table_of(results, "The ").rows[0]
    codes = column_codes(read_table(orders).columns, scorer.schema)
    found, _ = scorer.score(codes[alert["row"] - 1 : alert["row"]])
    assert found[0] == pytest.approx(alert["score"], rel=1e-4)


def test_a_smallest_component_that_does_not_vary_decides_nothing(orders, tmp_path):
    """The columns of a category's values add up to what "is rare" says, as far as they reach."""
    with pytest.raises(UserError, match=r"--detector smallest_component: .* does not vary"):
        launch(orders, tmp_path / "run", "--detector", "smallest_component")


def test_a_smallest_component_that_varies_is_exported(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in x))
    launch(path, tmp_path / "run", "--detector", "smallest_component")
    scorer = scorer_file.load(tmp_path / "run")
    assert scorer.metadata["detector"] == "minor components of PCA, 1"


def test_a_better_detector_is_told_of_and_the_last_words_say_what_came_of_it(quick_run):
    results = quick_run("table_anomalies").results
    short = next(note for note in results.notes if note.startswith("In short: learnt from 1,200"))
    decided = table_of(results, "Decisions").rows[0]
    alerts, rows = int(decided["alerts"][0]), 400
    assert f"On {rows} later rows the rule false-alarm rate (1.00% of usual rows)" in short
    assert f"raises {alerts} alerts ({alerts / rows:.2%} of the rows" in short
    assert f"{decided['alerts a day'][0]:.1f} a day)" in short
    many = int(table_of(results, "Ranking").title.split(", ")[-1].split()[0])
    caught = round(float(decided["recall"][0]) * many)
    assert f"{caught} of them are among the {many} anomalies" in short
    assert "Promised false-alarm rates" in short or "promised false-alarm rates were kept" in short
    assert any("Run again with --learn-from labels" in note for note in results.notes)
    assert any("so there tend to be fewer false alarms" in note for note in results.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label", "nothing"], "--label nothing: no such column"),
        (["--label", "outcome"], "--positive is missing"),
        (["--learn-from", "normal"], "--learn-from normal needs --label"),
        (["--positive", "fraud"], "--positive fraud needs --label"),
        (["--alerts-per-day", "100000"], "covers every event, so none is needed; ask for less"),
        (["--split", "time", "--ignore", "when"], "--split time needs --time"),
        (["--alerts-per-day", "3", "--ignore", "when"], "--alerts-per-day needs a date column"),
        (["--decide-by", "contamination"], "--decide-by contamination needs --contamination"),
        (["--decide-by", "cost"], "--decide-by cost needs --label"),
        (["--contamination", "1.5"], "contamination"),
        (["--false-alarm-rate", "0"], "false-alarm-rate"),
        (["--alerts-per-day", "0"], "alerts-per-day"),
        (["--detector", "pca", "--learn-from", "labels"], "--detector pca uses no labels"),
        (["--sheet", "March"], "--sheet March goes with a workbook"),
    ],
)
def test_a_mistake_is_one_line(options, message, orders, tmp_path):
    with pytest.raises(UserError, match=message):
        launch(orders, tmp_path / "run", *options)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--label", "outcome"),
        ("--positive", "fraud"),
        ("--time", "when"),
        ("--time-unit", "days"),
        ("--separator", ";"),
        ("--decimal", ","),
        ("--sheet", "March"),
    ],
)
def test_an_option_for_a_file_needs_one(option, given, tmp_path):
    with pytest.raises(UserError, match=f"^{option} is for data of your own: give --csv FILE$"):
        launcher.launch([*QUICK, "--workdir", str(tmp_path / "run"), option, given])


def test_too_few_threshold_rows_for_any_promise_leave_its_table_and_figure_out(tmp_path):
    """50 rows, 10 of them anomalies: 8 normal threshold rows do not promise a rate of 0.1."""
    rng = np.random.default_rng(0)
    path = tmp_path / "small.csv"
    lines = ["a,b,Class"]
    for i, (a, b) in enumerate(rng.normal(size=(50, 2))):
        lines.append(f"{a:.4f},{b:.4f},{int(i % 5 == 0)}")
    path.write_text("\n".join(lines) + "\n")
    labelled = ["--label", "Class", "--learn-from", "normal", "--split", "random"]
    results = launch(path, tmp_path / "run", *labelled, "--steps", "20")
    assert not any(table.title.startswith("False-alarm") for table in results.tables)
    assert "promises" not in results.figures
    assert "scores" in results.figures
    assert any("too few to promise a false-alarm rate" in note for note in results.notes)


def test_few_rows_are_refused(tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("a,b\n" + "".join(f"{i % 7}.5,{i % 3}\n" for i in range(49)))
    with pytest.raises(UserError, match="49 rows are too few"):
        launch(path, tmp_path / "run")


def test_components_of_all_rows_are_warned_of_where_labels_choose_the_rows(tmp_path):
    rng = np.random.default_rng(0)
    x, fraud = rng.normal(size=(600, 8)) * np.arange(2, 10), np.arange(600) % 30 == 0
    x[fraud] += 20.0
    components = (x - x.mean(axis=0)) @ np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2].T
    lines = [",".join([*(f"c{i}" for i in range(8)), "Class"])]
    for row, label in zip(components, fraud, strict=True):
        lines.append(",".join([*(f"{value:.9f}" for value in row), str(int(label))]))
    path = tmp_path / "components.csv"
    path.write_text("\n".join(lines) + "\n")
    labelled = ["--label", "Class", "--learn-from"]
    warned = launch(path, tmp_path / "normal", *labelled, "normal").notes
    assert sum(note.startswith("LEAK") for note in warned) == 1
    assert not any(
        "LEAK" in note for note in launch(path, tmp_path / "all", *labelled, "all").notes
    )


@pytest.mark.parametrize(
    ("times", "unit", "days"),
    [
        (np.repeat(np.arange(7) * 86_400.0, 20), 1.0, 7.0),  # dates alone: whole days
        (np.arange(48) * 3600.0, 1.0, 2.0),  # every hour of two days
        (np.zeros(5), 1.0, 1.0),  # one date
    ],
)
def test_days_are_counted_as_a_calendar_does(times, unit, days):
    table = lab.Loaded(None, None, None, RowTimes(times, True), unit)
    assert table.days(np.arange(len(times))) == pytest.approx(days)


def test_a_column_that_may_name_somebody_is_pointed_out():
    schema = Schema((Column("customer", "category", "", distinct=120, categories=("a",)),))
    assert "customer has 120 different values: if it names somebody" in lab.summary_of(schema)


def test_a_workbook_is_a_table_like_any_other(orders, tmp_path):
    book = openpyxl.Workbook()
    with orders.open(encoding="utf-8") as file:
        for i, row in enumerate(csv.reader(file)):
            if i:
                row[1] = datetime.datetime.fromisoformat(row[1])
                row[5:7] = int(row[5]), float(row[6])
            book.active.append(row)
    book.save(tmp_path / "shop.xlsx")
    one = launch(tmp_path / "shop.xlsx", tmp_path / "one")
    two = launch(orders, tmp_path / "two")
    first, second = (table_of(found, "Decisions").rows[0] for found in (one, two))
    np.testing.assert_array_equal(first["threshold"], second["threshold"])
    assert [row["is a"] for row in table_of(one, "Columns").rows] == [
        row["is a"] for row in table_of(two, "Columns").rows
    ]


def test_a_table_with_more_columns_than_rows_is_judged_by_those_that_can(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "wide.csv"
    lines = [",".join([*(f"c{i}" for i in range(70)), "Class"])]
    for i, row in enumerate(rng.normal(size=(100, 70)) + 5 * (np.arange(100) % 9 == 0)[:, None]):
        lines.append(",".join([*(f"{value:.4f}" for value in row), str(int(i % 9 == 0))]))
    path.write_text("\n".join(lines) + "\n")
    results = launch(path, tmp_path / "run", "--label", "Class", "--steps", "20")
    names = [row["detector"] for row in table_of(results, "Ranking").rows]
    assert "Mahalanobis" not in names
    assert "isolation forest" in names
    with pytest.raises(UserError, match=r"--detector mahalanobis: 60 rows do not determine"):
        launch(path, tmp_path / "m", "--label", "Class", "--detector", "mahalanobis")
