"""`runs/index.html`: all finished runs of a folder, those of one lab side by side."""

import datetime
import html
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from jaxdl.errors import UserError
from jaxdl.files import write_whole
from jaxdl.language import translate, translate_message
from jaxdl.report import format_cell
from jaxdl.report.page import Section, page
from jaxdl.report.table import html_table, side_of
from jaxdl.runs.stored import StoredRun, option_name, read_run

INDEX = "index.html"
OURS = "<!-- all runs of this folder, written by python run.py --index -->"
MOST_RUNS = 500  # the newest; a page with more is no overview, and is written after every run
DEPTH = 2  # runs lie in the folder, or in a folder of it (several labs in one call)


def write_index(folder: Path) -> Path:
    """Write the overview of a folder's runs into it.

    Returns:
        The page.

    Raises:
        UserError: there is no such folder, another index.html is in it, or it cannot be written.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of runs")
    target = folder / INDEX
    if target.exists() and not _is_ours(target):
        raise UserError(f"{target} is not an overview of runs; it stays as it is")
    write_whole(target, index_page(folder).encode())
    return target


def refresh_index(run_folder: Path) -> None:
    """Bring the overview beside a run up to date: in `runs/`, or where there is one already."""
    folder = run_folder.resolve().parent
    if folder.name == "runs" or _is_ours(folder / INDEX):
        write_index(folder)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return OURS.encode() in file.read(64 << 10)
    except OSError:
        return False


def find_runs(folder: Path) -> tuple[list[StoredRun], list[str]]:
    """All finished runs of a folder, the newest first, and what cannot be read of the others."""
    patterns = ["/".join(["*"] * depth) + "/results.json" for depth in range(1, DEPTH + 1)]
    records = [path for pattern in patterns for path in folder.glob(pattern)]
    records.sort(key=lambda path: (-path.stat().st_mtime, path))
    runs, problems = [], []
    for record in records[:MOST_RUNS]:
        try:
            runs.append(read_run(record.parent))
        except UserError as error:
            problems.append(str(error))
    return runs, problems


def index_page(folder: Path) -> str:
    """The overview as HTML, in the language spoken.

    Args:
        folder: that holds the runs; links lead from it.
    """
    runs, problems = find_runs(folder)
    by_lab: dict[str, list[StoredRun]] = {}
    for run in runs:
        by_lab.setdefault(run.lab, []).append(run)
    sections = [
        Section(f"{lab} ({len(by_lab[lab])})", _lab_table(folder, by_lab[lab]))
        for lab in sorted(by_lab)
    ]
    if problems:
        lines = "".join(f"<p>{html.escape(problem)}</p>" for problem in problems)
        sections.append(Section(translate("Could not be read"), lines))
    title = f"{translate('Runs')}: {folder.resolve().name}"
    hint = translate("What differs between two runs, with intervals:")
    command = "python run.py --compare RUN RUN"
    head = (
        f"{OURS}\n<p>{translate(f'{len(runs):,} finished runs, the newest first')}. "
        f"{html.escape(hint)} <code>{command}</code></p>"
    )
    return page(title, head, sections)


def differing_options(runs: Sequence[StoredRun]) -> list[str]:
    """Names of the options in which runs differ, but seed, seeds and preset, which all show."""
    names = dict.fromkeys(name for run in runs for name in run.options)
    return [
        name
        for name in names
        if name not in ("preset", "seed", "seeds")
        and len({repr(run.options.get(name)) for run in runs}) > 1
    ]


def _lab_table(folder: Path, runs: Sequence[StoredRun]) -> str:
    """The runs of one lab, a row each: headline, data, picture, and the options that differ."""
    options = differing_options(runs)
    headlines = list(dict.fromkeys(name for run in runs for name in run.headline))
    names = [("left", "run"), *(("right", name) for name in headlines)]
    names += [("left", "data"), ("left", "picture"), ("left", "preset"), ("right", "seeds")]
    names += [("left", option_name(name)) for name in options]
    names += [("right", "seconds"), ("left", "finished")]
    head = [(side, translate(name)) for side, name in names]
    rows = [_row(folder, run, headlines, options) for run in runs]
    title = html.escape(translate(runs[0].results["title"]))
    return f"<p>{title}</p>{html_table(head, rows)}"


def _row(
    folder: Path, run: StoredRun, headlines: Sequence[str], options: Sequence[str]
) -> list[tuple[str, str]]:
    """Class and HTML of each cell."""
    place = quote(os.path.relpath(run.folder, folder))
    name = html.escape(run.folder.relative_to(folder).as_posix())
    report = f"{place}/report.html"
    link = f'<a href="{report}">{name}</a>' if (run.folder / "report.html").exists() else name
    simulated = bool(run.results.get("simulated"))
    data = "<br>".join(html.escape(translate_message(line)) for line in run.data_lines)
    record = run.folder / "results.json"
    finished = datetime.datetime.fromtimestamp(record.stat().st_mtime).astimezone()
    seconds = "" if run.seconds is None else f"{run.seconds:,.0f}"
    numbers = [format_cell(run.headline.get(name, ""), 3) for name in headlines]
    chosen = [_shown(run.options.get(name, "")) for name in options]
    return [
        (side_of(name), link),
        *(("right", html.escape(number)) for number in numbers),
        ("left", f'<span class="simulated">{data}</span>' if simulated else data),
        ("left short", _picture(run, place, report)),
        ("left short", html.escape(str(run.options["preset"]))),
        ("right", str(run.options["seeds"])),
        *((side_of(text), html.escape(text)) for text in chosen),
        ("right", seconds),
        ("left short", f"{finished:%Y-%m-%d %H:%M}"),
    ]


def _picture(run: StoredRun, place: str, report: str) -> str:
    """A small picture of the run, leading to its report; loss curves only if there is no other."""
    found = sorted(
        (run.folder / "figures").glob("*.png"), key=lambda path: ("loss" in path.stem, path.stem)
    )
    if not found:
        return ""
    source = f"{place}/figures/{quote(found[0].name)}"
    text = html.escape(found[0].stem.replace("_", " "))
    return f'<a href="{report}"><img loading="lazy" alt="{text}" src="{source}"></a>'


def _shown(value: object) -> str:
    """An option's value in a cell: paths by their name, a list with commas."""
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    text = str(value)
    return text.rsplit("/", maxsplit=1)[-1] if text.startswith("/") else text
