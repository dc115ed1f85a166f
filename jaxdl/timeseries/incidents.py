"""From scores to incidents: an incident is an interval of time, and one alert.

It begins with a score above the threshold and lasts until the score has been no higher than the
threshold for a time of calm. A score above it later begins another one, on the same day too; only
that in the aftermath of an incident, counted from its beginning, it takes more than the threshold:
what is weaker there is the same incident still, and belongs to its interval.

    rule = Rule(threshold=0.9, calm=28, aftermath=288, renewed=0.9)
    found = find(scores, rule)                                   # a history
    memory, begins = advance(memory, row, score, rule)           # the same, one event at a time
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped


class Rule(NamedTuple):
    """What begins and ends an incident; times are in rows.

    Attributes:
        threshold: an incident begins with a score above it.
        calm: rows without such a score that end it.
        aftermath: this many rows after its beginning only a score of more than `threshold` +
            `renewed` begins another one.
        renewed: see there.
    """

    threshold: float
    calm: int
    aftermath: int = 0
    renewed: float = 0.0


class Incident(NamedTuple):
    """An interval of rows.

    Attributes:
        first, last: the first and the last row with a score above the threshold.
        peak: the row with the highest score.
        score: that score.
    """

    first: int
    last: int
    peak: int
    score: float


class Memory(NamedTuple):
    """What the next row has to know.

    Attributes:
        latest: the latest incident so far.
        unanswered: the latest rows above the threshold came after a calm and began no incident, as
            they were weak and in an aftermath.
    """

    latest: Incident
    unanswered: bool = False


NEVER = -(2**30)  # a row before all others
START = Memory(Incident(first=NEVER, last=NEVER, peak=NEVER, score=0.0))


def advance(memory: Memory, row: int, score: float, rule: Rule) -> tuple[Memory, bool]:
    """What one more row does to the latest incident, and whether another one begins with it.

    Args:
        memory: of the rows so far; `START` before the first one.
        row: the row's number, larger than that of any row before.
        score: of the row, compared as float32.
        rule: of the incidents.
    """
    latest, score = memory.latest, float(np.float32(score))
    if not score > np.float32(rule.threshold):
        return memory, False
    strong = score > np.float32(rule.threshold + rule.renewed)
    # row 0 has nothing before it that it could differ from
    after_calm = row > max(latest.last + rule.calm, 0)
    unanswered = memory.unanswered or after_calm
    in_aftermath = row - latest.first <= rule.aftermath
    if (after_calm and not in_aftermath) or (unanswered and strong):
        return Memory(Incident(row, row, row, score)), True
    if score > latest.score:
        latest = latest._replace(peak=row, score=score)
    return Memory(latest._replace(last=row), unanswered), False


def is_over(latest: Incident, row: int, rule: Rule) -> bool:
    """Whether nothing that comes behind this row can belong to the latest incident."""
    return row >= max(latest.last + rule.calm, latest.first + rule.aftermath)


def find(
    scores: Float[np.ndarray, " n"], rule: Rule, rows: Int[np.ndarray, " n"] | None = None
) -> list[Incident]:
    """The incidents of a history.

    >>> find(np.array([0, 3, 5, 0, 2, 0, 0, 0, 4.0]), Rule(threshold=1, calm=2))
    [Incident(first=1, last=4, peak=2, score=5.0), Incident(first=8, last=8, peak=8, score=4.0)]

    Args:
        scores: in order of time.
        rule: of the incidents.
        rows: numbers of the rows, rising, where some are missing; by default 0, 1, 2, ...
    """
    return follow(scores, rule, rows)[0]


def follow(
    scores: Float[np.ndarray, " n"], rule: Rule, rows: Int[np.ndarray, " n"] | None = None
) -> tuple[list[Incident], Memory]:
    """`find`, and what the row behind the history has to know.

    Args:
        scores, rule, rows: see `find`.
    """
    found: list[Incident] = []
    memory = START
    numbers = np.arange(len(scores)) if rows is None else rows
    above = np.flatnonzero(np.asarray(scores, np.float32) > np.float32(rule.threshold))
    for i in above:
        memory, begins = advance(memory, int(numbers[i]), float(scores[i]), rule)
        if begins:
            found.append(memory.latest)
        elif found:
            found[-1] = memory.latest
    return found, memory


def involved(
    column_scores: Float[np.ndarray, "columns n"],
    incident: Incident,
    threshold: float,
    rows: Int[np.ndarray, " n"] | None = None,
) -> Bool[np.ndarray, " columns"]:
    """Which columns have a score of their own above the threshold when an incident is worst.

    Args:
        column_scores: of each column.
        incident: as `find` gives it.
        threshold: of the incident.
        rows: as `find` was given them.
    """
    at = incident.peak if rows is None else int(np.searchsorted(rows, incident.peak))
    return column_scores[:, at] > np.float32(threshold)


# ---- a table of incidents ------------------------------------------------------------------------

Row = dict[str, str | float | int]


def table(
    found: Sequence[Incident],
    time: Shaped[np.ndarray, " n"],
    columns: Sequence[str],
    column_scores: Float[np.ndarray, "columns n"],
    threshold: float,
    rows: Int[np.ndarray, " n"] | None = None,
) -> list[Row]:
    """One row for each incident: when it began, ended and was worst, how bad, and where.

    Args:
        found: as `find` gives them.
        time: datetime64 of each row.
        columns: names of the values.
        column_scores: of each column.
        threshold: of the incidents.
        rows: as `find` was given them.
    """
    numbers = np.arange(len(time)) if rows is None else rows
    table = []
    for number, incident in enumerate(found, start=1):
        first, last, peak = (time[np.searchsorted(numbers, row)] for row in incident[:3])
        which = involved(column_scores, incident, threshold, rows)
        table.append(
            {
                "incident": number,
                "start": stamp(first),
                "end": stamp(last),
                "peak time": stamp(peak),
                "peak score": float(f"{incident.score:.6g}"),
                "columns": " ".join(np.array(columns)[which]),
            }
        )
    return table


def stamp(time: np.datetime64) -> str:
    """A time as ISO 8601, UTC: without fractions where there are none.

    >>> stamp(np.datetime64("2025-03-20T00:05:00.000000"))
    '2025-03-20T00:05:00Z'
    """
    return f"{str(time).removesuffix('.000000')}Z"


def files(rows: Sequence[Row]) -> dict[str, Callable[[Mapping[str, Any]], bytes]]:
    """The table as the files that a run folder holds: name -> function that gives the bytes."""

    def as_csv(origin: Mapping[str, Any]) -> bytes:
        return csv_bytes(rows)

    def as_json_lines(origin: Mapping[str, Any]) -> bytes:
        return json_lines(rows)

    return {"incidents.csv": as_csv, "incidents.jsonl": as_json_lines}


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """The table as CSV; only the names of the columns where there is no incident."""
    text = io.StringIO()
    writer = csv.DictWriter(text, NAMES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_lines(rows: Sequence[Row]) -> bytes:
    """The table as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


NAMES = ("incident", "start", "end", "peak time", "peak score", "columns")


# ---- a threshold for so many alerts --------------------------------------------------------------

TRIED = 400  # thresholds


def threshold_for_alerts(
    scores: Float[np.ndarray, " n"],
    rule: Rule,
    alerts: float,
    rows: Int[np.ndarray, " n"] | None = None,
) -> float:
    """The threshold under which a history has as many incidents as are wanted, or nearest to it.

    Where several thresholds are as near, it is the middle one of them. Thresholds so low that
    incidents flow together and become fewer again do not count.

    Args:
        scores: in order of time.
        rule: of the incidents; its threshold does not count.
        alerts: how many are wanted, above 0.
        rows: as in `find`.

    Raises:
        ValueError: no score differs from the others, or none is wanted.
    """
    if not alerts > 0:
        raise ValueError(f"{alerts:g} alerts: give more than none")
    distinct = np.unique(scores)
    if len(distinct) < 2:
        raise ValueError("all scores are the same")
    # the highest scores make the alerts, so thresholds lie closest there
    ranks = np.unique(np.geomspace(1, len(distinct) - 1, TRIED).round().astype(int))
    thresholds = distinct[-1 - ranks]
    counts = []
    for threshold in thresholds:
        counts.append(len(find(scores, rule._replace(threshold=float(threshold)), rows)))
        if counts[-1] > 2 * alerts + 10:  # lower ones are farther off still
            break
    # below the threshold with the most incidents they become fewer again: they flow together
    counts = counts[: int(np.argmax(counts)) + 1]
    apart = np.abs(np.array(counts) - alerts)
    nearest = np.flatnonzero(apart == apart.min())
    return float(thresholds[nearest[len(nearest) // 2]])
