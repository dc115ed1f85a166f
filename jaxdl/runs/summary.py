"""The first page of a results document: what each lab should reach, and what its run reached.

    python -m jaxdl.runs.summary docs/results.md

`summary.toml` beside the document names, for every line, the recorded command, the table, the row
and the column; the number itself is copied from the recorded section, so that none is ever typed.
Every `--record` brings the summary up to date.
"""

import math
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError
from jaxdl.report.markdown import SETTINGS, record_section, sections, settings

KEY = "0-summary"  # sorts before every lab
COLUMNS = ("lab", "what", "reference", "measured", "verdict", "n", "data", "machine", "figure")
ENTRY = {"lab", "what", "command", "column"}
PLACE = {"table", "where"}
COMPARED = {"goal", "every_seed", "margin", "less_is_better", "stored", "published", "baselines"}
OPTIONAL = PLACE | COMPARED | {"beside", "missed", "n"}


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
    made = re.search(r"^n = (\d+) seeds; (.+?), jax [^;]+; ([^;]+); ", body, re.MULTILINE)
    if command is None or made is None:
        return None
    took = re.sub(r"\d+", lambda number: f"{int(number[0]):,}", made[3])
    kinds = dict.fromkeys(re.findall(r"^data: .+?, ([a-zA-Z ]+) \(", body, re.MULTILINE))
    figure = re.search(r"^!\[(.+)\]\((.+)\)$", body, re.MULTILINE)
    return Recorded(
        words=words_of(command[1]),
        data=", ".join(kinds),
        seeds=made[1],
        machine=f"{made[2]}; {took}",
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
        entry: of the file. "lab", "what", "command", "column", and, where the first row of the
            first table is not meant, "table" (how its title starts) and "where" (column -> how its
            cell starts) say where the number stands. With what it is compared, see `verdict`;
            "beside" is text about others that are no measure of it. "missed" says why it falls
            short, by which experiment; see `reasons`. "n" is given where it is not the number of
            seeds of the section.
        recorded: all sections.

    Raises:
        UserError: a key is missing or unknown, or the row has no such column.
        NoSuchRow: the section has no such table or row.
    """
    if not ENTRY <= set(entry) <= ENTRY | OPTIONAL:
        raise UserError(f"an entry of the summary needs {sorted(ENTRY)}, it has {sorted(entry)}")
    shown = {"lab": entry["lab"], "what": entry["what"]}
    section = _section(entry, recorded)
    if section is None:
        return shown | dict.fromkeys(COLUMNS[2:], "-") | {"measured": "not recorded"}
    rivals = baselines(entry, recorded)
    measured = cell(entry, section)
    shown["reference"] = "; ".join(_references(entry, rivals)) or "-"
    shown["measured"], shown["n"] = measured, str(entry.get("n", section.seeds))
    shown["verdict"] = verdict(entry, measured, list(rivals.values()))
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
        places = {
            key: value for key, value in changes.items() if key in ("command", "table", "column")
        }
        where = {key: value for key, value in changes.items() if key not in places}
        other = {**entry, **places, "where": {**entry.get("where", {}), **where}}
        section = _section(other, recorded)
        named = list(where.values())
        if "column" in places:
            named.append(places["column"])
        found[", ".join(named)] = "-" if section is None else cell(other, section)
    return found


def _references(entry: Mapping[str, Any], rivals: Mapping[str, str]) -> list[str]:
    """What a number is compared with, in words."""
    told = []
    if "goal" in entry:
        bound = "at most " if entry.get("less_is_better") else ""
        seeds = " in every seed" if entry.get("every_seed") else ""
        told.append(f"goal {bound}{entry['goal']}{seeds}")
    if "margin" in entry:
        told.append(f"goal {entry['margin']} above the baseline")
    told += [f"{number} ({name})" for name, number in entry.get("stored", {}).items()]
    told += [f"{name} {number}" for name, number in entry.get("published", {}).items()]
    if "beside" in entry:
        told.append(entry["beside"])
    return told + [f"{name} {number}" for name, number in rivals.items()]


def verdict(entry: Mapping[str, Any], measured: str, rivals: Sequence[str] = ()) -> str:
    """How a number compares: "reached", "level", "missed", or "-" where it is compared with none.

    Numbers are compared as they are printed. All of these count:

    - "goal", a number that is to be reached, with "every_seed" by every seed; "margin", by how much
      the baselines are to be beaten;
    - "stored", name -> the number of a run of the course or of a book, which is one draw of the
      same experiment: reached where ours is worse by less than its own standard deviation;
    - "published", name -> number of another method, and the baselines: missed where ours is worse
      by more than its standard deviation, level where they differ by less.

    Args:
        entry: see `line`; with "less_is_better" smaller numbers are better.
        measured: the number, with its standard deviation where it has one.
        rivals: the baselines' numbers.

    >>> verdict({"goal": "0.8"}, "0.79 ± 0.02")
    'missed'
    >>> verdict({"stored": {"lecture": "0.8"}}, "0.79 ± 0.02", ["0.3"])
    'reached'
    >>> verdict({}, "0.79 ± 0.02", ["0.3", "0.8"])
    'level'
    """
    ours, deviation = mean_and_deviation(measured)
    deviation = 0 if math.isnan(deviation) else deviation
    sign = -1 if entry.get("less_is_better") else 1

    def gain_over(number: str) -> float:
        """How much better ours is; rounded, as 0.3 - 0.2 is not 0.1."""
        return round(sign * (ours - mean_and_deviation(number)[0]), 9)

    def gains_over(numbers: Iterable[str]) -> list[float]:
        """The same for those that are numbers: a baseline may not be recorded."""
        return [gain for gain in map(gain_over, numbers) if not math.isnan(gain)]

    over_stored = gains_over(entry.get("stored", {}).values())
    over_published = gains_over(entry.get("published", {}).values())
    over_baselines = gains_over(rivals)
    over_others = [*over_published, *over_baselines]

    reached = [gain >= -deviation for gain in [*over_stored, *over_others]]
    if "goal" in entry:
        reached.append(gain_over(entry["goal"]) >= 0)
    if entry.get("every_seed"):
        reached.append(deviation == 0)
    if "margin" in entry:
        reached += [gain >= float(entry["margin"]) for gain in over_baselines]

    if math.isnan(ours) or not reached:
        return "-"
    if not all(reached):
        return "missed"
    if any(abs(gain) <= deviation for gain in over_others):
        return "level"
    return "reached"


def mean_and_deviation(printed: str) -> tuple[float, float]:
    """The number with which a cell begins, and its standard deviation; nan for what is not there.

    >>> mean_and_deviation("1,234.5 ± 0.5")
    (1234.5, 0.5)
    >>> mean_and_deviation("3 of 4 (0.9 .. 1.3)")
    (3.0, nan)
    """
    mean, _, deviation = printed.replace(",", "").partition(" ± ")
    return _number(mean), _number(deviation)


def _number(text: str) -> float:
    found = re.match(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", text)
    return float(found[0]) if found else math.nan


def _section(entry: Mapping[str, Any], recorded: Sequence[Recorded]) -> Recorded | None:
    return next((r for r in recorded if r.words == words_of(entry["command"])), None)


def cell(entry: Mapping[str, Any], section: Recorded) -> str:
    """The cell of a section that an entry names, see `line`.

    Raises:
        UserError: the row has no such column.
        NoSuchRow: there is no such table or row.
    """
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
        "References are goals, runs that the course stored, published results and baselines, as "
        "named; numbers are copied from the sections below. A line reaches what it is compared "
        "with or misses it, with the reason below the table; it is level with another method where "
        "the two differ by less than its standard deviation. A stored run is one draw: what comes "
        "within a standard deviation of it has reached it. Run times by the clock are of busy "
        "machines; seconds of CPU are what processors worked."
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
