"""Every exercise of docs/labs.md has its solution here, in both languages, and no other has."""

import re

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "exercises"


def solved() -> dict[str, str]:
    """Exercise -> file of its solution; "010-1" is solved by `test_010_1_...`."""
    found = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for chapter, number in re.findall(
            r"^def test_([a-z0-9]+)_(\d+)_", path.read_text("utf-8"), re.MULTILINE
        ):
            assert f"{chapter}-{number}" not in found
            found[f"{chapter}-{number}"] = path.name
    return found


@pytest.mark.parametrize("page", ["labs.md", "labs.ko.md"])
def test_every_exercise_has_one_solution(page):
    text = (ROOT / "docs" / page).read_text("utf-8")
    chapters = re.findall(
        r"^\*\*(?:Exercises|연습 문제)\*\* \(.+`tests/exercises/(\w+\.py)`\)\n\n((?:[- ] .+\n)+)",
        text,
        re.MULTILINE,
    )
    asked = {name: file for file, body in chapters for name in re.findall(r"\*\*(.+?)\*\*", body)}
    assert asked == solved()
    assert all(2 <= body.count("- **") <= 4 for _, body in chapters)
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[2:]  # behind how labs are built
    assert len(chapters) == len(sections)
