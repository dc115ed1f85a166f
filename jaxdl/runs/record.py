"""Markdown documents that commands write: a section per command, replaced when it runs again.

    python -m jaxdl.runs.record docs/results.md runs/LAB-HASH ...

puts a figure of finished runs into sections that were recorded without one.
"""

import io
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxdl.errors import UserError
from jaxdl.files import read_object, write_whole
from jaxdl.hashing import digest
from jaxdl.report import Results
from jaxdl.report.markdown import SETTINGS, code, escaped, record_section, sections, settings
from jaxdl.runs.run import Run
from jaxdl.runs.summary import refresh

if TYPE_CHECKING:
    from PIL.Image import Image
else:
    Image = Any  # Pillow is imported where a figure is recorded

# Options that say where and how, not what: a reader who repeats the command chooses his own.
_PLACES = ("--record", "--workdir", "--data-dir", "--compile-cache", "--language")
_SWITCHES = ("--fresh", "--debug", "--tensorboard")
_COLOURS_OF_CURVES = 25_000  # smoothed edges and colour maps included; photographs have twice that


def repeatable(command: str) -> str:
    """The command as another reader would type it: without the folders of this machine."""
    words, kept = iter(shlex.split(command)), []
    for word in words:
        if word in _PLACES:
            next(words, None)
        elif word not in _SWITCHES and word.split("=")[0] not in _PLACES:
            kept.append(_quoted(_portable(word)))
    return " ".join(kept)


def _quoted(word: str) -> str:
    """A word as a shell reads it back; what stands for the data folder stays a variable."""
    if "$JAXDL_DATA" not in word:
        return shlex.quote(word)
    return f'"{word}"' if any(letter.isspace() for letter in word) else word


def _portable(word: str) -> str:
    option, _, value = word.rpartition("=")
    data = os.environ.get("JAXDL_DATA")
    if data and value.startswith(data.rstrip("/") + "/"):
        value = "$JAXDL_DATA/" + value[len(data.rstrip("/")) + 1 :]
    elif value.startswith("/"):
        value = Path(value).name
    return f"{option}={value}" if option else value


def record_run(path: Path, run: Run, results: Results) -> None:
    """Put the tables of a finished run into a document, with data, command, n and machine.

    Args:
        path: the document; made if it is not there.
        run: that has finished.
        results: what its lab returned.

    Raises:
        UserError: the document or the figure beside it cannot be written.
    """
    if not run.folder.writes:
        return
    machine = run.folder.read("environment.json", devices=list, versions=dict)
    command = repeatable(run.command)
    cores = f"{machine['cpu_count']} core{'s' * (machine['cpu_count'] != 1)}"
    devices = ", ".join(sorted(set(machine["devices"])))
    took = f"{run.timing['run_seconds']:.0f} s"
    if "cpu_seconds" in run.timing:  # other work on the machine does not change it much
        took += f", {run.timing['cpu_seconds']:.0f} s of CPU"
    lines: Sequence[str] = [
        *map(escaped, run.data_lines),
        code(command),
        f"n = {run.config['seeds']} seeds; {machine['platform']} ({devices}, "
        f"{cores}), jax {machine['versions']['jax']}; {took}; {time.strftime('%Y-%m-%d')}",
        *[table.markdown() for table in results.tables],
        *map(escaped, results.notes),
        *figure_line(path, run.lab, command, run.folder.path / "figures"),
    ]
    record_section(path, _key(run.lab, command), run.title, "\n\n".join(lines))
    refresh(path)


def _key(lab: str, command: str) -> str:
    return f"{lab}-{digest(command)[:8]}"


def figure_line(path: Path, lab: str, command: str, folder: Path) -> list[str]:
    """Copy one figure of a run beside the document; the line of Markdown that shows it, or none.

    Args:
        path: the document. `[figures]` in the summary.toml beside it names each lab's figure, or
            several, of which the first that was drawn is taken; for others the first of all.
        lab, command: of the run; the figure is kept as figures/LAB-HASH.png.
        folder: the run's figures.
    """
    from PIL import Image as pictures

    found = {file.stem: file for file in sorted(folder.glob("*.png"))}
    if not found:
        return []
    wanted = (settings(path) or {}).get("figures", {})
    named = wanted.get(lab, list(found))
    names = [named] if isinstance(named, str) else named
    name = next((name for name in names if name in found), None)
    if name is None:
        asked = " or ".join(map(repr, names))
        beside = path.with_name(SETTINGS)
        raise UserError(f"{beside} wants {lab}'s figure {asked}; it drew {', '.join(found)}")
    kept, picture = path.with_name("figures") / f"{_key(lab, command)}.png", io.BytesIO()
    with pictures.open(found[name]) as image:
        _smaller(image.convert("RGB")).save(picture, "png", optimize=True)
    write_whole(kept, picture.getvalue())
    return [f"![{name.replace('_', ' ')}](figures/{kept.name})"]


def _smaller(image: Image) -> Image:
    """With a palette, which halves the bytes; a photograph, which one would posterise, as it is.

    A palette of 64 colours would paint thin lines in the colours of others.
    """
    few = image.getcolors(_COLOURS_OF_CURVES) is not None
    return image.quantize(256) if few else image


def add_figure(path: Path, folder: Path) -> None:
    """Show a figure of a finished run at the end of its section.

    Raises:
        UserError: no finished run, or the document has no section of its command.
    """
    if not (folder / "results.json").exists():
        raise UserError(f"{folder} holds no finished run")
    stored = read_object(folder / "results.json", lab=str, title=str, command=str)
    command = repeatable(stored["command"])
    key, known = _key(stored["lab"], command), sections(path)
    if key not in known:
        raise UserError(f"{path} has no section of `{command}`")
    body = re.sub(r"\n!\[.*\n", "\n", known[key].split("\n\n", 1)[1]).rstrip()
    shown = figure_line(path, stored["lab"], command, folder / "figures")
    record_section(path, key, stored["title"], "\n\n".join([body, *shown]))


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    """The document, then run folders; status 2 and one line on a mistake."""
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
