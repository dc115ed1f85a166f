"""The list of labs: by chapter, in both languages, quick, and complete."""

import resource
import subprocess
import sys

import pytest

from jaxdl.cli import labs
from jaxdl.cli.catalogue import CHAPTERS, docstring_of, korean_titles, lesson_of, listing, runtime
from jaxdl.language import speaking, width_of
from tests.conftest import LABS, ROOT

FILES = [ROOT / "experiments" / f"{lab}.py" for lab in LABS]


def test_every_lab_stands_in_one_chapter():
    named = [lab for chapter in CHAPTERS for lab in chapter.labs]
    assert sorted(named) == LABS
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_list_fits_the_terminal_and_names_all(language):
    with speaking(language):
        text = listing(FILES)
    assert max(map(width_of, text.splitlines())) <= 80
    for lab in LABS:
        lesson = lesson_of(lab)
        assert f"experiments/{lab}.py" in text
        assert (lesson.korean if language == "ko" else lesson.teaches) in text
    for chapter in CHAPTERS:
        assert (chapter.korean if language == "ko" else chapter.title) in text


@pytest.mark.parametrize("lab", LABS)
def test_every_lab_says_how_long_it_takes(lab):
    assert runtime(docstring_of(ROOT / "experiments" / f"{lab}.py"))


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("Runtime: about 10 minutes for five seeds on one CPU core.", "10 min for 5 seeds"),
        ("Runtime: about one minute an epoch on one CPU core (small net).", "1 min per epoch"),
        ("Runtime on two CPU cores: 12 s, twenty seeds 4 to 8 minutes.", "12 s"),
        ("Runtime: 40 s for each epoch and seed on one CPU core; more.", "40 s per epoch and seed"),
        ("Runtime on two CPU cores: under a minute.", "under 1 min"),
        ("Expected: much.", ""),
    ],
)
def test_the_run_time_is_read_from_the_docstring(sentence, shown):
    assert runtime(f"Title\n\n{sentence}") == shown


def test_a_lab_of_ones_own_and_a_broken_one_are_listed_too(tmp_path):
    own, broken = tmp_path / "my_lab.py", tmp_path / "broken.py"
    own.write_text('"""My lab - mine\n\nRuntime: 5 s.\n"""\n', "utf-8")
    broken.write_text("def (", "utf-8")
    text = listing([own, broken, FILES[0]])
    assert "Further labs" in text
    assert "experiments/my_lab.py" in text
    assert "5 s\n      My lab - mine" in text
    assert "experiments/broken.py" in text


def test_korean_titles_are_korean():
    titles = korean_titles(FILES)
    assert len(titles) == len(LABS)
    assert titles[docstring_of(ROOT / "experiments/fraud_ae.py").split("\n")[0]] == (
        "비정상 거래 탐지: 재구성 오차"
    )


def test_the_list_is_quick_and_loads_nothing_large():
    program = (
        "import sys; from jaxdl.cli import main; assert main([]) == 0; "
        "large = {'jax', 'numpy', 'matplotlib', 'tyro'} & set(sys.modules); assert not large, large"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1  # about 0.2; the limit is for busy machines


def test_the_words_of_a_call_choose_the_language(monkeypatch):
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    with labs.speaking_of_labs(["--language", "en"]):
        assert "Models as functions" in labs.list_labs()
    with labs.speaking_of_labs([]):
        assert "신경망 모델 만들기" in labs.list_labs()
