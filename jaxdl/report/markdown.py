"""Markdown documents of sections, each kept between two HTML comments and replaced as a whole."""

import fcntl
import re
import tomllib
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError

SETTINGS = "summary.toml"  # beside the document: lines of its summary, figures of its sections


def settings(path: Path) -> dict[str, Any] | None:
    """What the summary.toml beside a document says; None where there is none.

    Raises:
        UserError: it is not TOML.
    """
    beside = path.with_name(SETTINGS)
    try:
        return tomllib.loads(beside.read_text("utf-8")) if beside.exists() else None
    except ValueError as error:
        raise UserError(f"{beside} cannot be read: {error}") from error


_SECTION = re.compile(r"<!-- run: (.+?) -->\n(.*?)<!-- end -->\n", re.DOTALL)


def sections(path: Path) -> dict[str, str]:
    """Key -> text of every section of a document."""
    return {match[1]: match[2] for match in _SECTION.finditer(path.read_text("utf-8"))}


def record_section(path: Path, key: str, title: str, body: str) -> None:
    """Put a section into a Markdown file, or replace the section of the same key.

    Sections are kept between HTML comments and sorted by key, so the file does not depend on the
    order in which runs finish.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # runs may finish side by side
        file.seek(0)
        text = file.read()
        head = _SECTION.split(text, maxsplit=1)[0].rstrip()
        kept = {match[1]: match[2] for match in _SECTION.finditer(text)}
        kept[key] = f"\n## {title}\n\n{body.strip()}\n\n"
        blocks = [f"<!-- run: {k} -->\n{kept[k]}<!-- end -->\n" for k in sorted(kept)]
        file.truncate(0)
        file.write(f"{head}\n\n" + "\n".join(blocks))
