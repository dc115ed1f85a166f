"""The labs of reviews on a table of one's own, and what a run says of further texts."""

import csv

import numpy as np
import pytest

from jaxdl.cli.launcher import launch, main

OPTIONS = {
    "imdb_regularization": ["--epochs", "30", "--batch-size", "16"],
    "imdb_sequence": ["--models", "words", "cnn", "--epochs", "20", "--bag-batch", "16"],
}


@pytest.fixture(scope="module")
def own_reviews(tmp_path_factory):
    """240 Korean texts: 최고 or 최악 stands among words that say nothing."""
    rng = np.random.default_rng(0)
    lines = ["document\tlabel"]
    for i in range(240):
        words = [f"말{k}" for k in rng.integers(0, 30, 6)]
        words.insert(int(rng.integers(0, 6)), ("최악", "최고")[i % 2])
        lines.append(f"{' '.join(words)}\t{('부정', '긍정')[i % 2]}")
    path = tmp_path_factory.mktemp("own") / "리뷰.tsv"
    path.write_bytes("\n".join(lines).encode("cp949"))
    return path


@pytest.mark.parametrize("lab", OPTIONS)
def test_trained_evaluated_asked(lab, own_reviews, tmp_path, capsys):
    folder, output = tmp_path / "run", tmp_path / "out"
    words = [f"experiments/{lab}.py", "--preset", "quick", "--reviews", str(own_reviews)]
    (results,) = launch([*words, *OPTIONS[lab], "--workdir", str(folder)])
    (accuracy,) = results.headline.values()
    assert accuracy > 0.95
    assert "'부정' (120) is negative, '긍정' (120) is positive" in results.notes[0]
    launch(["--eval", str(folder)])

    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    texts = ["말1 최고 말2 말3 처음", "최악 말4 말5"]
    assert main(["--predict", str(folder), *texts, "--output", str(output)]) == 0
    with (output / "predictions.csv").open(encoding="utf-8-sig") as file:
        good, bad = csv.DictReader(file)
    assert (good["class"], bad["class"]) == ("긍정", "부정")
    assert min(float(good["probability"]), float(bad["probability"])) > 0.6
    assert good["words for 긍정"].split(", ")[0] == "최고"
    assert bad["words for 부정"].split(", ")[0] == "최악"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before

    assert main(["--predict", str(folder), "lost.txt", "--output", str(output)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: lost.txt: does not exist")
