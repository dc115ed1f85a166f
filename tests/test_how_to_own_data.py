"""The how-tos for pictures and texts of one's own: their commands as they stand, fewer epochs."""

import csv
import re
import shlex

import pytest

from jaxdl.cli.launcher import launch, main
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "how-to"
PAGES = ("train_on_your_own_pictures", "classify_your_own_texts")
# so that the test is quick; --predict takes them from the run
QUICKER = {
    "cifar_cnn": ["--epochs", "3", "--augmentations", "none"],
    "resnet": ["--steps", "4"],
    "mnist_autoencoder": ["--epochs", "20"],
}


def blocks(name: str, language: str) -> list[str]:
    """What stands between three back quotes each, with the language that it is in."""
    return re.findall(rf"```{language}\n(.+?)```", (FOLDER / name).read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_programs(page):
    for language in ("python", "bash"):
        english, korean = (blocks(f"{page}{end}.md", language) for end in ("", ".ko"))
        assert english == korean
        assert english


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_as_many_sections_and_points(page):
    english, korean = ((FOLDER / f"{page}{end}.md").read_text("utf-8") for end in ("", ".ko"))
    for mark in (r"^#+ ", r"^\* "):
        counts = [len(re.findall(mark, text, re.MULTILINE)) for text in (english, korean)]
        assert counts[0] == counts[1]


@pytest.fixture
def follow(tmp_path, monkeypatch):
    """`follow(page)`: do what the page says; run folder -> rows of its predictions.csv."""
    monkeypatch.chdir(tmp_path)

    def do(page):
        (program,) = blocks(f"{page}.md", "python")
        exec(compile(program, f"{page}.py", "exec"), {})  # noqa: S102
        predictions = {}
        for line in "".join(blocks(f"{page}.md", "bash")).splitlines():
            python, script, *words = shlex.split(line)
            assert (python, script) == ("python", "run.py")
            if words[0] == "--predict":
                assert main(words) == 0
                output = tmp_path / f"{words[1]}-predictions"
                with (output / "predictions.csv").open(encoding="utf-8-sig") as file:
                    predictions[words[1]] = list(csv.DictReader(file))
                assert (output / "report.html").is_file()
            else:
                launch([*words, *QUICKER.get(words[0], [])])
        return predictions

    return do


def test_train_on_your_own_pictures(follow, tmp_path):
    found = follow("train_on_your_own_pictures")
    assert list(found) == ["sky", "deep", "copy"]
    *skies, cloudy, stripes = found["sky"]
    assert [row["class"] for row in skies] == ["sunny"] * 60
    assert cloudy["class"] == "cloudy"
    assert stripes["class"] in ("sunny", "cloudy")  # whatever the picture shows
    assert found["deep"][0]["class"] in ("sunny", "cloudy")
    sky, stripes = found["copy"]
    assert float(stripes["percentile among test images"]) == 100
    assert float(stripes["MSE"]) > 10 * float(sky["MSE"])
    assert (tmp_path / "copy-predictions" / "figures" / "reconstructions.png").is_file()


def test_classify_your_own_texts(follow):
    good, bad = follow("classify_your_own_texts")["verdict"]
    assert (good["class"], bad["class"]) == ("good", "bad")
