"""Markdown documents of sections, each kept between two HTML comments and replaced as a whole."""

import fcntl
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError
from jaxdl.files import write_whole

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


def escaped(text: str) -> str:
    """Text for a Markdown document, in which names from data become neither HTML nor links.

    >>> escaped("age < 2 <img src=x> [a](http://b)")
    'age < 2 &lt;img src=x> [a]\\\\(http://b)'
    """
    line = " ".join(text.splitlines())
    return re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", line).replace("](", r"]\(")


def code(text: str) -> str:
    """Text as code, whatever is in it.

    >>> code("a"), code("a`b")
    ('`a`', '`` a`b ``')
    """
    return f"`` {text} ``" if "`" in text else f"`{text}`"


_SECTION = re.compile(r"<!-- run: (.+?) -->\n(.*?)<!-- end -->\n", re.DOTALL)


def sections(path: Path) -> dict[str, str]:
    """Key -> text of every section of a document."""
    return {match[1]: match[2] for match in _SECTION.finditer(path.read_text("utf-8"))}


def record_section(path: Path, key: str, title: str, body: str) -> None:
    """Put a section into a Markdown file, or replace the section of the same key.

    Sections are kept between HTML comments and sorted by key, so the file does not depend on the
    order in which runs finish.

    Raises:
        UserError: the file cannot be written; it stays as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            text = path.read_text("utf-8")
            head = _SECTION.split(text, maxsplit=1)[0].rstrip()
            kept = {match[1]: match[2] for match in _SECTION.finditer(text)}
            kept[key] = f"\n## {title}\n\n{body.strip()}\n\n"
            blocks = [f"<!-- run: {k} -->\n{kept[k]}<!-- end -->\n" for k in sorted(kept)]
            write_whole(path, (f"{head}\n\n" + "\n".join(blocks)).encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error})") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The document is ours alone: runs may finish side by side. An empty one is made if need be."""
    while True:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # another run may have put a new file in this one's place while we waited for the lock
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield
                return
