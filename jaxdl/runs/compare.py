"""Two finished runs: what differs in their options, data, machines and results. Reads only."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxdl.language import spoken, translate_message
from jaxdl.report import Table, format_cell
from jaxdl.runs.stored import StoredRun, cell_of, option_name, read_run

LEVEL = 0.95  # of the intervals
DIFFERENCE = "difference (95 % interval)"
EXPLANATION = """\
difference: second minus first. The interval is Welch's over seeds, not paired,
where both runs have two seeds or more; * where it leaves zero out. It is for
chance in seeds only. Of many numbers one in twenty has a * by chance alone."""
KOREAN_EXPLANATION = """\
차이: 둘째 빼기 첫째. 두 실행에 시드가 둘 이상이면 구간은 시드에 대한 Welch의
구간(짝을 짓지 않음)이고, 0을 벗어나면 *를 붙입니다. 시드의 우연만 담은 구간이며,
숫자가 많으면 스무 개에 하나는 우연만으로도 *가 붙습니다."""


class Interval(NamedTuple):
    """A difference of two means over seeds, with its interval."""

    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def welch(
    one: Float[np.ndarray, " seeds"], other: Float[np.ndarray, " others"], level: float = LEVEL
) -> Interval:
    """Mean of `other` minus mean of `one`, with Welch's interval for unequal variances.

    Seeds are not paired: members of equal seed need not share anything but the seed.

    Args:
        one, other: a value for each seed, two or more each, none missing.
        level: of the interval.

    >>> found = welch(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    >>> [round(float(x), 3) for x in found]
    [1.0, -1.267, 3.267]
    """
    from scipy import stats

    difference = float(other.mean() - one.mean())
    shares = np.array([one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)])
    variance = shares.sum()
    if variance == 0:
        return Interval(difference, difference, difference)
    freedom = variance**2 / (shares**2 / (np.array([len(one), len(other)]) - 1)).sum()
    half = float(stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(variance))
    return Interval(difference, difference - half, difference + half)


def comparison(one: StoredRun, other: StoredRun) -> list[Table]:
    """Tables of what differs; an empty list where nothing does.

    Results are compared where a table of the same title has the same row in both, a row being named
    by its text cells. Differences are the second run minus the first.
    """
    found = [_options(one, other), _data(one, other), _machines(one, other)]
    return [table for table in found if table] + list(_results(one, other))


def _differing(title: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Table | None:
    """A row for each name whose values differ."""
    rows = [
        {"name": name, "first": _shown(one.get(name)), "second": _shown(other.get(name))}
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
    return Table(title, rows, verbatim=True) if rows else None


def _options(one: StoredRun, other: StoredRun) -> Table | None:
    labs = [{"lab": run.lab, **_as_typed(run.options)} for run in (one, other)]
    return _differing("options that differ", *labs)


def _as_typed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by the names that they have on the command line."""
    return {option_name(name): value for name, value in options.items()}


def _data(one: StoredRun, other: StoredRun) -> Table | None:
    lines = [dict(enumerate(run.data_lines, start=1)) for run in (one, other)]
    return _differing(
        "data that differ", *({f"data {n}": x for n, x in each.items()} for each in lines)
    )


def _machines(one: StoredRun, other: StoredRun) -> Table | None:
    machines = []
    for run in (one, other):
        plain = {k: v for k, v in run.machine.items() if k != "versions"}
        versions = run.machine.get("versions")
        machines.append({**plain, **(versions if isinstance(versions, dict) else {})})
    return _differing("machines and versions that differ", *machines)


def _results(one: StoredRun, other: StoredRun) -> Iterator[Table]:
    """For each table of both, its numbers side by side."""
    tables = {table["title"]: table for table in _proper(other)}
    for table in _proper(one):
        if table["title"] in tables:
            rows = list(_paired_rows(table, tables[table["title"]]))
            if rows:
                yield Table(table["title"], rows)


def _proper(run: StoredRun) -> list[Mapping[str, Any]]:
    """The stored tables that have a title and rows."""
    return [
        table
        for table in run.results["tables"]
        if isinstance(table, dict)
        and isinstance(table.get("title"), str)
        and isinstance(table.get("rows"), list)
        and all(isinstance(row, dict) for row in table["rows"])
    ]


def _paired_rows(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    partners = _named_rows(other["rows"])
    for name, row in _named_rows(one["rows"]).items():
        partner = partners.get(name, {})
        for column in row:
            pair = cell_of(row[column]), cell_of(partner.get(column))
            if all(isinstance(cell, np.ndarray) for cell in pair):
                line = _line(*pair)
                if line:
                    yield {"row": name, "number": column, **line}


def _named_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Rows by their leading text cells; rows of one name are numbered."""
    named: dict[str, Mapping[str, Any]] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        name = ", ".join(itertools.takewhile(lambda cell: isinstance(cell, str), row.values()))
        counts[name] += 1
        named[f"{name} #{counts[name]}" if counts[name] > 1 else name or "-"] = row
    return named


def _line(one: np.ndarray, other: np.ndarray) -> dict[str, str] | None:
    """Both values and their difference; None where they are the same."""
    if one.shape == other.shape and np.array_equal(one, other, equal_nan=True):
        return None
    line = {"first": format_cell(one, 3), "second": format_cell(other, 3)}
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return line | {DIFFERENCE: "-"}
    if min(len(one), len(other)) < 2:
        whole = all(
            np.issubdtype(cell.dtype, np.integer) and len(cell) == 1 for cell in (one, other)
        )
        difference = other.mean() - one.mean()
        return line | {DIFFERENCE: _signed(int(difference) if whole else float(difference))}
    found = welch(one.astype(float), other.astype(float))
    interval = f"({_signed(found.low)} .. {_signed(found.high)}){' *' if found.clear else ''}"
    return line | {DIFFERENCE: f"{_signed(found.difference)} {interval}"}


def _signed(value: float | int) -> str:
    text = format_cell(value, 3)
    return f"+{text}" if value > 0 else text


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


def print_comparison(first: Path, second: Path, width: int) -> None:
    """Say what differs between two runs.

    Args:
        first, second: run folders.
        width: of the terminal.

    Raises:
        UserError: one of them holds no finished run.
    """
    one, other = read_run(first), read_run(second)
    korean = spoken() == "ko"
    names = ("첫째:", "둘째:") if korean else ("first: ", "second:")
    print(f"{names[0]} {first}\n{names[1]} {second}")
    tables = comparison(one, other)
    for table in tables:
        print("\n" + table.text(width))
    if not tables:
        told = "nothing differs: options, data, machine and every number of every table"
        print(f"\n{translate_message(told)}")
    elif any(DIFFERENCE in table.columns for table in tables):
        print(f"\n{KOREAN_EXPLANATION if korean else EXPLANATION}")
