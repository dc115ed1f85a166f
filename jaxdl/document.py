"""Markdown documents that commands write: a section per command, replaced when it runs again."""

import fcntl
import os
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxdl import parallel
from jaxdl.checkpoint import digest
from jaxdl.report import Results

# Options that say where and how, not what: a reader who repeats the command chooses his own.
_PLACES = ("--record", "--workdir", "--data-dir")
_SWITCHES = ("--fresh", "--debug", "--tensorboard")


def repeatable(command: str) -> str:
    """The command as another reader would type it: without the folders of this machine."""
    words, kept = iter(shlex.split(command)), []
    for word in words:
        if word in _PLACES:
            next(words, None)
        elif word not in _SWITCHES and word.split("=")[0] not in _PLACES:
            kept.append(_portable(word))
    return " ".join(kept)


def _portable(word: str) -> str:
    option, _, value = word.rpartition("=")
    data = os.environ.get("JAXDL_DATA")
    if data and value.startswith(data.rstrip("/") + "/"):
        value = "$JAXDL_DATA/" + value[len(data.rstrip("/")) + 1 :]
    elif value.startswith("/"):
        value = Path(value).name
    return f"{option}={value}" if option else value


def record_run(path: Path, run: Any, results: Results) -> None:
    """Put the tables of a finished run into a document, with data, command, n and machine.

    Args:
        path: the document; made if it is not there.
        run: a `jaxdl.runs.Run`.
        results: what its experiment returned.
    """
    from jaxdl.runs import environment
    from jaxdl.summary import refresh

    if not parallel.is_main():
        return
    machine, command = environment(), repeatable(run.command)
    cores = f"{machine['cpu_count']} core{'s' * (machine['cpu_count'] != 1)}"
    devices = ", ".join(sorted(set(machine["devices"])))
    lines: Sequence[str] = [
        *run.data_lines,
        f"`{command}`",
        f"n = {run.config['seeds']} seeds; {machine['platform']} ({devices}, "
        f"{cores}), jax {machine['versions']['jax']}; "
        f"{time.monotonic() - run.began:.0f} s; {time.strftime('%Y-%m-%d')}",
        *[table.markdown() for table in results.tables],
        *results.notes,
    ]
    record_section(path, f"{run.lab}-{digest(command)[:8]}", run.title, "\n\n".join(lines))
    refresh(path)


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
