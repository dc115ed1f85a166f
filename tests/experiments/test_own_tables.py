"""The labs of tables on a table of one's own, and what their runs say of further rows."""

import csv

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris

from experiments import outliers
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
    with (folder / "clusters.csv").open(encoding="utf-8-sig") as file:
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
    with (folder / "scores.csv").open(encoding="utf-8-sig") as file:
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


# ---- tables with equal rows, few rows, many rows -------------------------------------------------


def small_integers(n, seed=0):
    """Two columns of three values each: every row has about n / 9 twins."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(1, 4, n), rng.integers(0, 3, n)], axis=1)


def rows_of(path):
    """A CSV file of a run folder, which all spreadsheets must read: UTF-8 with a mark in front."""
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("lab", "name"),
    [
        ("clustering", "clusters.csv"),
        ("outliers", "scores.csv"),
        ("semi_supervised", "labels.csv"),
    ],
)
def test_every_table_of_a_run_is_read_by_the_same_spreadsheets(lab, name, run_of):
    _, folder = run_of(lab)
    assert len(rows_of(folder / name)) == 180


def test_labels_of_equal_rows(tmp_path):
    x = small_integers(300)
    kinds = np.array(["no", "perhaps", "yes"])[x[:, 0] - 1]
    known = np.where(np.arange(300) < 60, kinds, "")
    rows = [[*cells, label] for cells, label in zip(x, known, strict=True)]
    table = write(tmp_path / "table.csv", ("a", "b", "kind"), rows)
    folder = tmp_path / "run"
    words = ["semi_supervised", "--csv", str(table), "--label", "kind"]
    launch([*words, "--workdir", str(folder)])
    assert [row["label"] for row in rows_of(folder / "labels.csv")] == kinds.tolist()


@pytest.fixture
def two_of_three_labelled(tmp_path):
    """Three kinds of people far apart, 30 of each; nobody knows a label of the third."""
    rng = np.random.default_rng(0)
    centre = np.repeat([[0, 0], [90, 0], [0, 90]], 30, axis=0)
    x = (centre + rng.normal(size=(90, 2))).round(4)
    known = [["a", "b", ""][i // 30] if i % 30 < 5 else "" for i in range(90)]
    rows = [[*cells, label] for cells, label in zip(x, known, strict=True)]
    return write(tmp_path / "table.csv", ("u", "v", "kind"), rows)


def test_rows_that_no_label_reaches_stay_blank(two_of_three_labelled, tmp_path):
    folder = tmp_path / "run"
    words = ["semi_supervised", "--preset", "quick", "--csv", str(two_of_three_labelled)]
    (results,) = launch([*words, "--label", "kind", "--workdir", str(folder)])
    labels = [row["label"] for row in rows_of(folder / "labels.csv")]
    assert labels == ["a"] * 30 + ["b"] * 30 + [""] * 30
    assert [row["all rows"] for row in results.tables[1].rows] == [30, 30]
    assert any("30 rows have no label" in note for note in results.notes)
    new = write(tmp_path / "new.csv", ("u", "v"), [[1, 1], [89, 2], [0, 90]])
    rows = predicted(folder, [new], tmp_path / "out")
    assert [row["class"] for row in rows[:2]] == ["a", "b"]
    assert rows[2]["class"] in ("a", "b")  # the nearest rows that have a label vote


@pytest.mark.parametrize(("voters", "voting"), [(91, 90), (61, 60)])
def test_more_voters_than_labelled_rows_are_refused_before_training(
    voters, voting, two_of_three_labelled, tmp_path
):
    words = ["semi_supervised", "--preset", "quick", "--csv", str(two_of_three_labelled)]
    words += ["--label", "kind", "--workdir", str(tmp_path / "run")]
    told = f"--classifier-neighbours {voters}: only {voting} rows can vote"
    with pytest.raises(UserError, match=told):
        launch([*words, "--classifier-neighbours", str(voters)])


def test_more_voters_than_digits_are_refused(tmp_path):
    words = ["semi_supervised", "--preset", "quick", "--workdir", str(tmp_path / "run")]
    with pytest.raises(UserError, match="--classifier-neighbours 1401: only 1400 rows can vote"):
        launch([*words, "--classifier-neighbours", "1401"])


def test_a_table_is_judged_with_one_seed(people, tmp_path):
    words = ["outliers", "--csv", str(people), "--workdir", str(tmp_path / "run")]
    with pytest.raises(UserError, match="--seeds 3: this is done with one seed"):
        launch([*words, "--seeds", "3"])


@pytest.mark.parametrize("lone", [0, 8, 60])
def test_outliers_among_equal_rows(lone, tmp_path):
    """400 rows with 40 twins each and some rows without any; with none all widths are 0."""
    far = 5 + np.random.default_rng(1).normal(size=(lone, 2)).round(3)
    table = write(tmp_path / "table.csv", ("a", "b"), [*small_integers(400), *far])
    folder = tmp_path / "run"
    words = ["outliers", "--preset", "quick", "--csv", str(table), "--workdir", str(folder)]
    launch(words)
    scores = rows_of(folder / "scores.csv")
    assert len(scores) == 400 + lone
    names = [name for name in scores[0] if name.endswith("percentile")]
    assert np.isfinite([[float(row[name]) for name in names] for row in scores]).all()
    if lone == 8:
        oddness = [float(row["mean percentile"]) for row in scores]
        assert min(oddness[400:]) > np.quantile(oddness[:400], 0.9)
    new = write(tmp_path / "new.csv", ("a", "b"), [[2, 1], [40, 40]])
    inside, outside = predicted(folder, [new], tmp_path / "out")
    assert float(outside["kernel density"]) > float(inside["kernel density"])


def test_detectors_learn_from_a_sample_of_many_rows(tmp_path, monkeypatch):
    for place in ("launcher", "predict"):  # which otherwise load a module of their own
        monkeypatch.setattr(f"jaxdl.cli.{place}.load_lab", lambda path: outliers)
    monkeypatch.setattr(outliers, "MOST_LEARNT", 100)
    monkeypatch.setattr(outliers, "MOST_SCORED", 400)
    x = np.random.default_rng(0).normal(size=(301, 3))
    x[200] = 6, -6, 6
    table, folder = write(tmp_path / "table.csv", tuple("abc"), x), tmp_path / "run"
    words = ["outliers", "--preset", "quick", "--csv", str(table), "--workdir"]
    (results,) = launch([*words, str(folder)])
    assert "row 202" in [row["row"] for row in results.tables[0].rows[:3]]
    assert "the detectors learnt from 100 of 301 rows, drawn; all rows are scored" in results.notes
    scores = rows_of(folder / "scores.csv")
    assert [row["row"] for row in scores] == [str(i + 2) for i in range(301)]

    rows = predicted(folder, [table], tmp_path / "out")
    column = "Mahalanobis"
    asked = [float(row[column]) for row in rows]
    stated = [float(row[f"{column}, percentile"]) for row in scores]
    np.testing.assert_allclose(asked, stated)

    monkeypatch.setattr(outliers, "MOST_SCORED", 300)
    with pytest.raises(UserError, match="has 301 rows without a blank, at most 300 can be scored"):
        launch([*words, str(tmp_path / "other")])


def test_only_clusters_that_hold_rows_are_told(tmp_path):
    rows = [[0, 0]] * 20 + [[1, 5]] * 15 + [[4, 2]] * 10
    table, folder = write(tmp_path / "table.csv", ("a", "b"), rows), tmp_path / "run"
    words = ["clustering", "--preset", "quick", "--csv", str(table), "--clusters", "5"]
    (results,) = launch([*words, "--workdir", str(folder)])
    sizes = results.tables[1]
    held = [f"cluster {k} ({n} rows)" for k, n in ((1, 20), (2, 15), (3, 10))]
    assert sizes.columns == ["column", *held]
    assert [list(row.values())[1:] for row in sizes.rows] == [[0, 1, 4], [0, 5, 2]]
    assert results.headline["clusters"] == 3
    assert any("5 clusters were asked for, 3 of them hold rows" in n for n in results.notes)
    new = write(tmp_path / "new.csv", ("a", "b"), [[0, 0], [1, 5], [4, 2]])
    asked = predicted(folder, [new], tmp_path / "out")
    assert [row["nearest cluster"] for row in asked] == ["1", "2", "3"]
    assert {row["percentile in its cluster"] for row in asked} == {"50.0"}


def test_codes_above_the_number_of_rows_are_left_out_and_the_widest_is_asked(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 30)).round(4)
    columns = [f"c{i}" for i in range(30)]
    table, folder = write(tmp_path / "table.csv", columns, x), tmp_path / "run"
    words = ["pca_autoencoder", "--preset", "quick", "--csv", str(table), "--batch-size", "8"]
    words += ["--epochs", "2", "--workdir", str(folder)]
    (results,) = launch([*words, "--codes", "8", "17", "4", "29"])
    assert [row["numbers in the code"] for row in results.tables[0].rows] == [8, 4]
    assert "PCA, 8" in results.headline
    assert "codes of 17 and more numbers were left out: there are 16 rows to train on" in (
        results.notes
    )
    new = write(tmp_path / "new.csv", columns, x[:2])
    words = ["--predict", str(folder), str(new), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    assert "copied through 8 numbers" in (tmp_path / "out" / "report.html").read_text()


def test_a_code_wider_than_the_digits_or_their_number_is_no_code(tmp_path):
    words = ["pca_autoencoder", "--preset", "quick", "--workdir", str(tmp_path / "run")]
    with pytest.raises(UserError, match="digits has 64 columns of numbers: choose"):
        launch([*words, "--codes", "65"])
    with pytest.raises(UserError, match="has 12 rows to train on: choose --codes below 13"):
        launch([*words, "--codes", "16", "--train-rows", "12"])


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
