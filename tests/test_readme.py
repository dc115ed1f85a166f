"""What the README tells a newcomer to do works."""

import re
from pathlib import Path

import pytest

from jaxdl.language import speaking, translate, translate_cell

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "README.ko.md", "docs/labs.md", "docs/labs.ko.md")
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


def anchor(heading):
    """What a heading is called in a link: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", dict.fromkeys(LINKING))
def test_links_lead_to_files_and_sections(page):
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, section = target.partition("#")
        path = (ROOT / page).parent / name
        assert path.exists(), target
        if section:
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert section in [anchor(heading) for heading in headings], target


def first_table(page):
    text = (ROOT / page).read_text("utf-8")
    return re.search(r"(?:^\|.+\|\n)+", text, re.MULTILINE)[0]


def in_korean(table):
    """A table of Markdown with its headings and cells in Korean."""
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
    names, rule, *rows = lines
    with speaking("ko"):
        told = [[translate(name) for name in names]]
        told += [
            [translate_cell(cell, name) for cell, name in zip(row, names, strict=True)]
            for row in rows
        ]
    head, *body = [f"| {' | '.join(cells)} |" for cells in told]
    return "\n".join([head, f"|{'|'.join(rule)}|", *body, ""])


def test_the_table_on_the_first_page_is_a_recorded_one():
    recorded = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert first_table("README.md").strip() in recorded


def test_the_table_on_the_korean_first_page_is_the_same_in_korean():
    assert first_table("README.ko.md") == in_korean(first_table("README.md"))


def test_the_labs_in_words_are_the_same_in_both_languages():
    """As many sections, with the same commands in the same order, and Korean throughout."""
    english, korean = (
        re.split(r"^## ", (ROOT / "docs" / name).read_text("utf-8"), flags=re.MULTILINE)[1:]
        for name in ("labs.md", "labs.ko.md")
    )
    assert len(english) == len(korean)
    for one, other in zip(english, korean, strict=True):
        title, body = other.split("\n", 1)
        assert re.search("[가-힣]", title), title
        commands = [re.findall(r"\w+\.py|--[a-z][a-z-]+", text) for text in (one, other)]
        assert commands[0] == commands[1], title
        prose = re.sub(r"`[^`]*`|\([^)]*\)", "", body)
        hangul = len(re.findall("[가-힣]", prose))
        assert hangul > 2 * len(re.findall("[A-Za-z]", prose)), title


def test_the_glossary_has_a_korean_word_for_every_term():
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|-")
    ]
    terms = [row for row in rows if row[0] != "English"]
    assert len(terms) > 70
    for english, korean, meaning in terms:
        assert re.search("[가-힣]", korean) or korean.startswith("AUPRC"), english
        assert re.search("[가-힣]", meaning) or "·" in meaning, english
    # the tables and figures use the glossary's words
    from jaxdl.korean import KOREAN

    for english, korean, _ in terms:
        if english in KOREAN and english not in ("gradient", "simple"):
            assert KOREAN[english].split("(")[0].split(",")[0] in korean, english
