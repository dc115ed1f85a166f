"""The first page of a results document: what each lab should reach, and what its run reached.

    python -m jaxdl.runs.summary docs/results.md

`summary.toml` beside the document names, for every line, the recorded command, the table, the row
and the column; the number itself is copied from the recorded section, so that none is ever typed.
Every `--record` brings the summary up to date.
"""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError
from jaxdl.report.markdown import SETTINGS, record_section, sections, settings

KEY = "0-summary"  # sorts before every lab
COLUMNS = ("lab", "what", "reference", "measured", "verdict", "n", "data", "machine", "figure")
PLACES = {"command", "table", "column"}
ENTRY = {"lab", "what", "reference", "command", "column"}
OPTIONAL = {"table", "where", "less_is_better", "baselines", "missed"}


class NoSuchRow(UserError):
    """A recorded section has no row as a line of the summary names it."""


@dataclass(frozen=True)
class Recorded:
    """One recorded section.

    Attributes:
        words: of its command, folders left out, sorted.
        data: kinds of the data it used ("real", "simulated twin", ...).
        seeds, machine: from the line below the command.
        tables: title -> rows, each column -> cell as text.
        figure: link to its figure, "-" where it has none.
    """

    words: tuple[str, ...]
    data: str
    seeds: str
    machine: str
    tables: Mapping[str, Sequence[Mapping[str, str]]]
    figure: str


def words_of(command: str) -> tuple[str, ...]:
    """The words of a command without folders, sorted: the order of options does not matter."""
    return tuple(sorted(Path(word).name for word in shlex.split(command)))


def parse(body: str) -> Recorded | None:
    """A section as `jaxdl.runs.record.record_run` wrote it; None where it has no command line."""
    command = re.search(r"^`(python run\.py .+)`$", body, re.MULTILINE)
    made = re.search(r"^n = (\d+) seeds; (.+?), jax [^;]+; (\d+) s; ", body, re.MULTILINE)
    if command is None or made is None:
        return None
    kinds = dict.fromkeys(re.findall(r"^data: .+?, ([a-zA-Z ]+) \(", body, re.MULTILINE))
    figure = re.search(r"^!\[(.+)\]\((.+)\)$", body, re.MULTILINE)
    return Recorded(
        words=words_of(command[1]),
        data=", ".join(kinds),
        seeds=made[1],
        machine=f"{made[2]}; {int(made[3]):,} s",
        tables=dict(_tables(body)),
        figure=f"[{figure[1]}]({figure[2]})" if figure else "-",
    )


def _tables(body: str):
    title, columns = "", None
    rows: list[dict[str, str]] = []
    for line in [*body.splitlines(), ""]:
        if line.startswith("**") and line.endswith("**"):
            title = line.strip("*")
        elif line.startswith("|"):
            cells = [cell.replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            cells = [cell.strip() for cell in cells]
            if columns is None:
                columns = cells
            elif not all(re.fullmatch(":?-+:?", cell) for cell in cells):
                rows.append(dict(zip(columns, cells, strict=True)))
        elif columns is not None:
            yield title, rows
            columns, rows = None, []


def line(entry: Mapping[str, Any], recorded: Sequence[Recorded]) -> dict[str, str]:
    """One line of the summary.

    Args:
        entry: of the file: "lab", "what", "reference", "command", "column", and, where the first
            row of the first table is not meant, "table" (how its title starts) and "where" (column
            -> how its cell starts). "baselines" stand beside the reference, see `baselines`;
            "less_is_better" is true of errors. "missed" says why a goal was missed, by which
            experiment; see `reasons`.
        recorded: all sections.

    Raises:
        UserError: a key is missing or unknown, or the row has no such column.
        NoSuchRow: the section has no such table or row.
    """
    if not ENTRY <= set(entry) <= ENTRY | OPTIONAL:
        raise UserError(f"an entry of the summary needs {sorted(ENTRY)}, it has {sorted(entry)}")
    shown = {key: entry[key] for key in ("lab", "what", "reference")}
    section = _section(entry, recorded)
    if section is None:
        return shown | dict.fromkeys(COLUMNS[3:], "-") | {"measured": "not recorded"}
    others = baselines(entry, recorded)
    beside = [f"{name} {number}" for name, number in others.items()]
    if entry["reference"]:
        beside = [entry["reference"], *beside]
    shown["reference"] = "; ".join(beside)
    shown["measured"], shown["n"] = _cell(entry, section), section.seeds
    shown["verdict"] = verdict(entry, shown["measured"], list(others.values()))
    return shown | {name: getattr(section, name) for name in ("data", "machine", "figure")}


def baselines(entry: Mapping[str, Any], recorded: Sequence[Recorded]) -> dict[str, str]:
    """What the lab's own number is to be compared with: name -> number.

    Each of the entry's "baselines" says what differs from where that number stands: columns of
    "where", or another "column", "table" or "command".

    Raises:
        UserError: there is no such row or column.
    """
    found = {}
    for changes in entry.get("baselines", []):
        places = {key: value for key, value in changes.items() if key in PLACES}
        where = {key: value for key, value in changes.items() if key not in PLACES}
        other = {**entry, **places, "where": {**entry.get("where", {}), **where}}
        section = _section(other, recorded)
        named = list(where.values())
        if "column" in places:
            named.append(places["column"])
        found[", ".join(named)] = "-" if section is None else _cell(other, section)
    return found


def verdict(entry: Mapping[str, Any], measured: str, beside: Sequence[str] = ()) -> str:
    """Whether a number reaches all that it is compared with: "reached", "missed", or "-" for none.

    It is compared with a goal in the entry's "reference", with the lecture's or a book's number,
    which is one draw, so that within a standard deviation of ours it is reached, and with its
    baselines.

    Args:
        entry: see `line`.
        measured: the number, with its standard deviation where it has one.
        beside: those of the baselines.

    >>> verdict({"reference": "goal 0.8", "column": "accuracy"}, "0.79 ± 0.02")
    'missed'
    >>> verdict({"reference": "0.8 (lecture)", "column": "accuracy"}, "0.79 ± 0.02", ["0.3"])
    'reached'
    """
    reference = entry["reference"]
    kept = re.match(r"(\d+) of (\d+)", measured)
    if kept and "(goal)" in reference:  # "all 4 (goal)", "both (goal)"
        return "reached" if kept[1] == kept[2] else "missed"
    ours, deviation = mean_and_deviation(measured)
    sign = -1 if entry.get("less_is_better") else 1
    others = [mean_and_deviation(cell)[0] for cell in beside if cell != "-"]
    above = re.search(r"goal: ([\d.]+) above", reference)
    if above:
        others = [other + float(above[1]) for other in others]
    goal = re.search(r"goal (?:for normal rows )?([\d.]+)|at most ([\d.]+) \(goal\)", reference)
    if goal:
        others.append(float(goal[1] or goal[2]))
    stored = re.match(r"([\d.]+)\b[^;]*\((?:lecture|slide|Géron)", reference)
    if stored:
        others.append(float(stored[1]) - sign * deviation)
    if not others:
        return "-"
    return "reached" if all(sign * (ours - other) > -1e-9 for other in others) else "missed"


def mean_and_deviation(cell: str) -> tuple[float, float]:
    """The number in a cell, and its standard deviation, 0 where it has none.

    >>> mean_and_deviation("1,234.5 ± 0.5")
    (1234.5, 0.5)
    """
    mean, _, deviation = cell.replace(",", "").partition(" ± ")
    return float(re.findall(r"-?[\d.]+", mean)[0]), float(deviation or 0)


def _section(entry: Mapping[str, Any], recorded: Sequence[Recorded]) -> Recorded | None:
    return next((r for r in recorded if r.words == words_of(entry["command"])), None)


def _cell(entry: Mapping[str, Any], section: Recorded) -> str:
    """The cell that an entry names."""
    where = entry.get("where", {})
    for title, rows in section.tables.items():
        for row in rows:
            if title.startswith(entry.get("table", "")) and all(
                row.get(column, "").startswith(value) for column, value in where.items()
            ):
                if entry["column"] not in row:
                    raise UserError(f"{title!r} has no column {entry['column']!r}")
                return row[entry["column"]]
    raise NoSuchRow(f"no row {where} in {entry['command']!r} for {entry['what']!r}")


def reasons(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why goals were missed: a list below the table, in the order of its lines."""
    missed = [entry for entry in entries if "missed" in entry]
    if not missed:
        return []
    told = [f"- {entry['lab']}, {entry['what']}: {entry['missed']}" for entry in missed]
    return ["", "Missed, and why:", "", *told]


def refresh(document: Path) -> None:
    """Write the summary of a document, where a summary.toml lies beside it.

    Raises:
        UserError: the file is not TOML, or names something that its section does not have.
    """
    given = settings(document)
    if given is None:
        return
    if "line" not in given:
        raise UserError(f"{document.with_name(SETTINGS)} cannot be read: it has no [[line]]")
    entries = given["line"]
    recorded = [found for found in map(parse, sections(document).values()) if found]
    rows = [line(entry, recorded) for entry in entries]
    cells = [[row[column].replace("|", r"\|") for column in COLUMNS] for row in rows]
    table = [COLUMNS, ["---"] * len(COLUMNS), *cells]
    lines = ["| " + " | ".join(cells) + " |" for cells in table]
    note = (
        "References are the course's stored runs and goals taken from published results, as named; "
        "numbers are copied from the sections below. A line reaches its goal, the stored run (or "
        "comes within its own standard deviation of it) and the baselines beside it, or it misses, "
        "with the reason below. Run times are of busy machines."
    )
    body = "\n".join([note, "", *lines, *reasons(entries)])
    record_section(document, KEY, "Summary", body)


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    """Bring the summaries of the documents named up to date; status 2 and one line on a mistake."""
    try:
        for name in arguments or ["docs/results.md"]:
            refresh(Path(name))
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
