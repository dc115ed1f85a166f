"""Markdown documents that commands write: a section per command, replaced when it runs again.

    python -m jaxdl.document docs/results.md runs/LAB-HASH ...

puts a figure of finished runs into sections that were recorded without one.
"""

import fcntl
import os
import re
import shlex
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxdl import parallel
from jaxdl.checkpoint import digest
from jaxdl.errors import UserError
from jaxdl.report import Results

# Options that say where and how, not what: a reader who repeats the command chooses his own.
_PLACES = ("--record", "--workdir", "--data-dir")
_SWITCHES = ("--fresh", "--debug", "--tensorboard")
SETTINGS = "summary.toml"  # beside the document: lines of its summary, figures of its sections


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
    from jaxdl.runs import read_json
    from jaxdl.summary import refresh

    if not parallel.is_main():
        return
    machine, command = read_json(run.folder / "environment.json"), repeatable(run.command)
    cores = f"{machine['cpu_count']} core{'s' * (machine['cpu_count'] != 1)}"
    devices = ", ".join(sorted(set(machine["devices"])))
    lines: Sequence[str] = [
        *run.data_lines,
        f"`{command}`",
        f"n = {run.config['seeds']} seeds; {machine['platform']} ({devices}, "
        f"{cores}), jax {machine['versions']['jax']}; "
        f"{run.timing['run_seconds']:.0f} s; {time.strftime('%Y-%m-%d')}",
        *[table.markdown() for table in results.tables],
        *results.notes,
        *figure_line(path, run.lab, command, run.folder / "figures"),
    ]
    record_section(path, _key(run.lab, command), run.title, "\n\n".join(lines))
    refresh(path)


def _key(lab: str, command: str) -> str:
    return f"{lab}-{digest(command)[:8]}"


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


def figure_line(path: Path, lab: str, command: str, folder: Path) -> list[str]:
    """Copy one figure of a run beside the document; the line of Markdown that shows it, or none.

    Args:
        path: the document. `[figures]` in the summary.toml beside it names each lab's figure;
            for others the first is taken.
        lab, command: of the run; the figure is kept as figures/LAB-HASH.png.
        folder: the run's figures.
    """
    from PIL import Image

    found = {file.stem: file for file in sorted(folder.glob("*.png"))}
    if not found:
        return []
    wanted = (settings(path) or {}).get("figures", {})
    name = wanted.get(lab, next(iter(found)))
    if name not in found:
        beside = path.with_name(SETTINGS)
        raise UserError(f"{beside} wants {lab}'s figure {name!r}; it drew {', '.join(found)}")
    kept = path.with_name("figures") / f"{_key(lab, command)}.png"
    kept.parent.mkdir(exist_ok=True)
    with Image.open(found[name]) as image:  # 64 colours: a third of the bytes
        image.convert("RGB").quantize(64).save(kept, optimize=True)
    return [f"![{name.replace('_', ' ')}](figures/{kept.name})"]


def add_figure(path: Path, folder: Path) -> None:
    """Show a figure of a finished run at the end of its section.

    Raises:
        UserError: no finished run, or the document has no section of its command.
    """
    from jaxdl.runs import read_json

    if not (folder / "results.json").exists():
        raise UserError(f"{folder} holds no finished run")
    stored = read_json(folder / "results.json")
    command = repeatable(stored["command"])
    key, known = _key(stored["lab"], command), sections(path)
    if key not in known:
        raise UserError(f"{path} has no section of `{command}`")
    body = re.sub(r"\n!\[.*\n", "\n", known[key].split("\n\n", 1)[1]).rstrip()
    shown = figure_line(path, stored["lab"], command, folder / "figures")
    record_section(path, key, stored["title"], "\n\n".join([body, *shown]))


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


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    """The document, then run folders; status 2 and one line on a mistake."""
    from jaxdl.summary import refresh

    try:
        document, *folders = map(Path, arguments)
        for folder in folders:
            add_figure(document, folder)
        refresh(document)
    except (UserError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
