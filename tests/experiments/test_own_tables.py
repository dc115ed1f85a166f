"""The labs of tables on a table of one's own, and what their runs say of further rows."""

import csv

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris

from jaxdl.cli.launcher import launch, main
from jaxdl.errors import UserError

COLUMNS = ("height", "width", "age", "income")
CENTRES = np.array([[0, 0, 0, 0], [9, 0, 9, 0], [0, 9, 0, 900]])
SIZES = (90, 60, 30)


def write(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """180 people of three kinds; the first five of each kind are labelled."""
    rng = np.random.default_rng(0)
    rows = []
    for kind, (centre, size) in enumerate(zip(CENTRES, SIZES, strict=True)):
        for i in range(size):
            drawn = centre + rng.normal(size=4) * [1, 1, 1, 100]
            rows.append([f"p{len(rows)}", *drawn.round(3), f"종류 {kind}" if i < 5 else ""])
    path = tmp_path_factory.mktemp("people") / "people.csv"
    return write(path, ("person", *COLUMNS, "kind"), rows)


@pytest.fixture(scope="module")
def run_of(people, tmp_path_factory):
    """`run_of(lab)`: (results, run folder) of a quick run on these people, made once."""
    made = {}
    options = {"semi_supervised": ["--label", "kind"], "pca_autoencoder": ["--batch-size", "16"]}

    def run(lab):
        if lab not in made:
            folder = tmp_path_factory.mktemp(lab) / "run"
            words = [lab, "--preset", "quick", "--csv", str(people), *options.get(lab, [])]
            made[lab] = launch([*words, "--workdir", str(folder)])[0], folder
        return made[lab]

    return run


def predicted(folder, tables, output):
    """Rows of predictions.csv, numbers as numbers where they are some."""
    words = ["--predict", str(folder), *map(str, tables), "--output", str(output)]
    assert main(words) == 0
    with (output / "predictions.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def new(tmp_path):
    """The middle of each kind, and somebody who is like none of them; columns in another order."""
    rows = [*CENTRES, [50, 50, -50, -5000]]
    return write(tmp_path / "new.csv", COLUMNS[::-1], [row[::-1] for row in np.array(rows)])


def test_clustering(run_of, new, tmp_path):
    results, folder = run_of("clustering")
    counts, sizes = results.tables
    assert counts.rows[0]["silhouette"] == 3
    # the largest first, means in units of the file
    assert sizes.columns[1:] == [f"cluster {k + 1} ({n} rows)" for k, n in enumerate(SIZES)]
    incomes = next(row for row in sizes.rows if row["column"] == "income")
    assert incomes["cluster 3 (30 rows)"] == pytest.approx(900, abs=60)
    assert "left out of people.csv, no numbers: person, kind" in results.notes
    with (folder / "clusters.csv").open() as file:
        kept = list(csv.DictReader(file))
    assert [row["row"] for row in kept] == [str(i) for i in range(2, 182)]
    assert [row["cluster"] for row in kept] == ["1"] * 90 + ["2"] * 60 + ["3"] * 30

    rows = predicted(folder, [new], tmp_path / "out")
    assert [row["nearest cluster"] for row in rows[:3]] == ["1", "2", "3"]
    assert rows[0]["row"] == "new.csv, row 2"
    percentile = [float(row["percentile in its cluster"]) for row in rows]
    assert max(percentile[:3]) < 10  # nearly nobody is nearer to the centre
    assert percentile[3] == 100


def test_the_number_of_clusters_may_be_said(people, tmp_path):
    words = ["clustering", "--preset", "quick", "--csv", str(people), "--clusters", "2"]
    (results,) = launch([*words, "--workdir", str(tmp_path / "run")])
    assert len(results.tables[1].columns) == 3
    assert results.headline["clusters"] == 2
    with pytest.raises(UserError, match="has 180 rows: too few for so many clusters"):
        launch([*words[:-1], "180", "--workdir", str(tmp_path / "other")])


def test_outliers(run_of, new, tmp_path):
    results, folder = run_of("outliers")
    highest, agreement = results.tables
    assert len(highest.rows) == 20
    means = [row["mean percentile"] for row in highest.rows]
    assert means == sorted(means, reverse=True)
    assert all(row[row["detector"]] == pytest.approx(1) for row in agreement.rows)
    with (folder / "scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    assert len(scores) == 180
    of_all = [float(row["kNN distance, percentile"]) for row in scores]
    assert np.mean(of_all) == pytest.approx(50)

    rows = predicted(folder, [new], tmp_path / "out")
    names = [name for name in rows[0] if name not in ("row", "mean percentile")]
    assert len(names) == 8
    assert min(float(rows[3][name]) for name in names) > 90
    assert float(rows[3]["kNN distance"]) == 100
    assert max(float(row["mean percentile"]) for row in rows[:3]) < 60


def test_semi_supervised(run_of, new, tmp_path):
    results, folder = run_of("semi_supervised")
    right, counts = results.tables
    assert [row["right"] for row in right.rows] == pytest.approx([1, 1, 1 / 3])
    assert [(row["known"], row["all rows"]) for row in counts.rows] == [(5, n) for n in SIZES]
    with (folder / "labels.csv").open(encoding="utf-8-sig") as file:
        labels = list(csv.DictReader(file))
    assert [row["label"] for row in labels[88:92]] == ["종류 0", "종류 0", "종류 1", "종류 1"]
    assert sum(int(row["known"]) for row in labels) == 15

    rows = predicted(folder, [new], tmp_path / "out")
    assert [row["class"] for row in rows[:3]] == ["종류 0", "종류 1", "종류 2"]
    assert {row["probability"] for row in rows[:3]} == {"1.0"}


def test_pca_autoencoder(run_of, new, tmp_path):
    results, folder = run_of("pca_autoencoder")
    (table,) = results.tables
    assert table.title == "MSE on 36 held-out rows (standardised columns), trained on 144"
    (row,) = table.rows
    assert row["PCA"] < 0.2
    assert (row["non-linear, 4-128-code"] < row["untrained"]).all()

    rows = predicted(folder, [new], tmp_path / "out")
    for model in ("PCA", "non-linear"):
        assert float(rows[3][f"percentile, {model}"]) == 100
        assert float(rows[3][f"MSE, {model}"]) > 100 * float(rows[0][f"MSE, {model}"])


def test_a_code_as_wide_as_the_table_is_no_code(people, tmp_path):
    words = ["pca_autoencoder", "--csv", str(people), "--workdir", str(tmp_path / "run")]
    with pytest.raises(UserError, match="has 4 columns of numbers: choose --codes below 4"):
        launch([*words, "--codes", "4", "8"])


@pytest.mark.parametrize("lab", ["clustering", "outliers", "semi_supervised", "pca_autoencoder"])
def test_what_cannot_be_judged_is_told_in_one_line(lab, run_of, tmp_path, capsys):
    _, folder = run_of(lab)
    for header, row, told in (
        (COLUMNS[1:], [1, 2, 3], "new.csv: lacks 1 of the 4 columns that were learnt: height; it "),
        (COLUMNS, [1, 2, "old", 3], "new.csv, row 2, column age: 'old' is no number"),
        (COLUMNS, [1, 2, "", 3], "new.csv, row 2, column age: holds nothing"),
    ):
        path = write(tmp_path / "new.csv", header, [row])
        assert main(["--predict", str(folder), str(path), "--output", str(tmp_path / "o")]) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert told in error
    assert main(["--predict", str(folder), "none.csv", "--output", str(tmp_path / "o")]) == 2
    assert "none.csv" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_table_that_has_changed_since_is_not_asked(people, tmp_path, new, capsys):
    """K-means is fitted anew: other rows would give other clusters under the same numbers."""
    table, folder = tmp_path / "people.csv", tmp_path / "run"
    table.write_bytes(people.read_bytes())
    words = ["clustering", "--preset", "quick", "--csv", str(table), "--clusters", "3"]
    launch([*words, "--workdir", str(folder)])
    with table.open("a") as file:
        file.write("p180,1,1,1,1,\n")
    assert main(["--predict", str(folder), str(new)]) == 2
    assert "people.csv is not what" in capsys.readouterr().err
    # the file of then may lie elsewhere
    assert main(["--predict", str(folder), str(new), "--csv", str(people)]) == 0


def test_semi_supervised_needs_labels_of_two_kinds(people, tmp_path):
    words = ["semi_supervised", "--csv", str(people), "--workdir", str(tmp_path / "run")]
    for more, told in (
        ([], "--csv needs --label COLUMN"),
        (["--label", "sort"], "has no column 'sort'; there are person, height"),
    ):
        with pytest.raises(UserError, match=told):
            launch([*words, *more])
    one = write(tmp_path / "one.csv", ("a", "b", "k"), [[i % 9, i * i % 7, "x"] for i in range(30)])
    with pytest.raises(UserError, match="--label k: 1 kinds of labels, 2 are needed"):
        launch(["semi_supervised", "--csv", str(one), "--label", "k"])


# ---- without a table of one's own ----------------------------------------------------------------


def test_the_irises_are_known(quick_run, tmp_path):
    irises = load_iris()
    table = write(tmp_path / "irises.csv", irises.feature_names, irises.data[[0, 60, 110]])
    rows = predicted(quick_run("clustering").folder, [table], tmp_path / "out")
    assert len({row["nearest cluster"] for row in rows}) == 3


def test_malignant_rows_lie_above_benign_ones(quick_run, tmp_path):
    cancer = load_breast_cancer()
    malignant = np.flatnonzero(cancer.target == 0)[:20]
    benign = np.flatnonzero(cancer.target == 1)[:20]
    found = {}
    for name, chosen in (("malignant", malignant), ("benign", benign)):
        table = write(tmp_path / f"{name}.csv", cancer.feature_names, cancer.data[chosen])
        rows = predicted(quick_run("outliers").folder, [table], tmp_path / name)
        found[name] = np.mean([float(row["mean percentile"]) for row in rows])
    assert found["malignant"] > 85
    assert found["benign"] < 65


@pytest.mark.parametrize("lab", ["semi_supervised", "pca_autoencoder"])
def test_digits_that_were_held_out(lab, quick_run, tmp_path):
    digits = load_digits()
    held_out = slice(1400, 1797)
    table = write(tmp_path / "digits.csv", digits.feature_names, digits.data[held_out])
    run = quick_run(lab)
    rows = predicted(run.folder, [table], tmp_path / "out")
    if lab == "semi_supervised":
        right = [row["class"] == str(y) for row, y in zip(rows, digits.target[held_out],
                                                          strict=True)]  # fmt: skip
        scores = {row["method"]: row["hold-out accuracy"] for row in run.results.tables[1].rows}
        stated = scores["representatives, graph, neighbours"]
        assert np.mean(right) == pytest.approx(stated[0])
    else:
        stated = run.results.tables[0].rows[0]
        for model, column in (("PCA", "PCA"), ("non-linear", "non-linear, 64-128-code")):
            error = np.mean([float(row[f"MSE, {model}"]) for row in rows])
            assert error == pytest.approx(float(np.squeeze(stated[column])), rel=1e-4)
            percentile = [float(row[f"percentile, {model}"]) for row in rows]
            assert np.mean(percentile) == pytest.approx(50)
