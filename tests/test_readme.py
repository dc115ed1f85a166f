"""What the README tells a newcomer to do works."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "README.ko.md", "docs/labs.md")
LINKING = (
    *PAGES,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{path.relative_to(ROOT / 'docs')}" for path in sorted((ROOT / "docs").rglob("*.md"))),
)


@pytest.mark.parametrize("page", PAGES)
def test_every_lab_is_named_and_every_name_is_a_lab(page):
    text = (ROOT / page).read_text("utf-8")
    labs = {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")}
    missing = {lab for lab in labs if not re.search(rf"\b{lab}\b", text)}
    assert not missing
    named = set(re.findall(r"experiments/([a-z]\w*)\.py", text, re.ASCII)) - {"my_lab"}
    assert named <= labs


@pytest.mark.parametrize("page", dict.fromkeys(LINKING))
def test_links_lead_to_files_and_sections(page):
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, section = target.partition("#")
        path = (ROOT / page).parent / name
        assert path.exists(), target
        if section:
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert section in [heading.lower().replace(" ", "-") for heading in headings], target


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_table_on_the_first_page_is_a_recorded_one(page):
    text = (ROOT / page).read_text("utf-8")
    tables = re.findall(r"((?:^\|.+\|\n)+)", text, re.MULTILINE)
    recorded = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert tables[0].strip() in recorded
