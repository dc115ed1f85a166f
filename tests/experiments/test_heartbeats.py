"""Short windows: what is learnt from and tested, the table, a table of one's own, bad input."""

import numpy as np
import pytest

from datasets import beats
from experiments import heartbeats as lab
from jaxdl.cli.launcher import launch, main

LAB = ["experiments/heartbeats.py", "--preset", "quick", "--epochs", "1"]


@pytest.fixture(scope="module")
def simulated():
    return beats.simulate(400, seed=1)


def test_simulated_beats_are_of_five_shapes(simulated):
    x, kind, provenance = simulated
    assert x.shape == (400, 140)
    assert np.bincount(kind).argmax() == 0
    assert min(np.bincount(kind)) >= 2
    np.testing.assert_allclose(x.std(axis=1), 1, rtol=1e-4)
    assert provenance.kind == "simulated"
    # the second wave of "early T" comes before the normal one's
    half = x[:, 56:70].mean(axis=1)
    assert half[kind == 1].mean() > half[kind == 0].mean() + 0.5


def test_only_normal_beats_are_learnt_and_no_beat_is_in_two_parts(simulated):
    x, number, _ = simulated
    kind = [beats.KINDS[k] for k in number]
    is_normal = number == 0
    data = lab.split(x, kind, is_normal, "normal", ())
    assert len(data.train) + len(data.valid) + len(data.test) == 400
    assert len(data.train) + len(data.valid) == is_normal.sum() // 2
    assert data.odd.sum() == (~is_normal).sum()
    assert [name != "normal" for name in data.kind] == data.odd.tolist()
    together = np.concatenate([data.train, data.valid, data.test])
    assert len(np.unique(together.round(5), axis=0)) == 400


def test_the_net_with_a_code_finds_what_the_wide_one_copies(quick_run):
    run = quick_run("heartbeats")
    table, kinds = run.results.tables
    rows = {row["learnt from normal beats"]: row for row in table.rows}
    assert "lecture's net, 560 numbers in the middle" in rows
    assert "lecture's net with a code of 17 numbers" in rows
    assert abs(rows["random"]["AUROC"][0] - 0.5) < 0.15
    nearest = rows["distance to the nearest normal beats"]
    assert nearest["AUROC"][0] > 0.8
    assert {row["kind"] for row in kinds.rows} == set(beats.KINDS) - {"normal"}
    assert set(run.results.figures) == {"beats", "copies", "loss"}


def test_level_and_scale_of_a_row_do_not_matter(simulated):
    x, _, _ = simulated
    np.testing.assert_allclose(lab.standardised(1000 + 50 * x[:9]), x[:9], atol=1e-3)
    assert not lab.standardised(np.ones((2, 8))).any()


@pytest.fixture
def table(simulated, tmp_path):
    x, kind, _ = simulated
    lines = ["kind," + ",".join(f"p{i}" for i in range(30))]
    lines += [
        f"k{k}," + ",".join(f"{v:.4f}" for v in row[:30]) for k, row in zip(kind, x, strict=True)
    ]
    path = tmp_path / "beats.csv"
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


def test_rows_of_ones_own_table(table, tmp_path):
    words = ["--csv", table, "--label", "kind", "--normal", "k0"]
    (results,) = launch([*LAB, *words, "--workdir", str(tmp_path / "run")])
    title = results.tables[0].title
    assert "of 30 points" in title
    assert {row["kind"] for row in results.tables[1].rows} == {"k1", "k2", "k3", "k4"}


def test_few_beats_are_learnt_with_few_components(tmp_path):
    """40 beats, of which 10 normal ones are learnt: fewer than PCA and the code ask for."""
    (results,) = launch([*LAB, "--beats", "40", "--workdir", str(tmp_path / "run")])
    names = [row["learnt from normal beats"] for row in results.tables[0].rows]
    (learnt,) = [name for name in names if name.startswith("PCA")]
    assert learnt == "PCA, 9 components"
    assert "8 normal beats of 140 points learnt by the nets, 10 by the" in results.tables[0].title


@pytest.mark.parametrize("option", ["--label", "--normal"])
def test_options_for_a_file_need_one(option, tmp_path, capsys):
    assert main([*LAB, option, "kind", "--workdir", str(tmp_path / "run")]) == 2
    assert f"{option} is for data of your own: give --csv FILE" in capsys.readouterr().err


def test_a_window_has_more_than_a_few_points(tmp_path, capsys):
    path = tmp_path / "narrow.csv"
    numbers = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    rows = [f"k{i % 2},{a},{b}" for i, (a, b) in enumerate(numbers)]
    path.write_text("\n".join(["kind,a,b", *rows]), "utf-8")
    words = ["--csv", str(path), "--label", "kind", "--normal", "k0"]
    assert main([*LAB, *words, "--workdir", str(tmp_path / "run")]) == 2
    assert "2 columns of numbers are no window: at least 4 are needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--label", "kind"], "--csv needs --label COLUMN and --normal VALUE"),
        (["--label", "kind", "--normal", "good"], "0 rows are 'good', at least 20 are needed"),
        (["--label", "sort", "--normal", "k0"], "has no column 'sort'"),
    ],
)
def test_mistakes_are_one_line(table, words, said, tmp_path, capsys):
    assert main([*LAB, "--csv", table, *words, "--workdir", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
