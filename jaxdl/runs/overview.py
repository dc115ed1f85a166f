"""Several labs in one table, a few numbers of each."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxdl.report import Results, Table, format_cell


class Finished(NamedTuple):
    """A lab that has run, what it gave, and how many seconds that took."""

    lab: str
    results: Results
    seconds: float


def overview(finished: Sequence[Finished]) -> Table:
    """A row for each lab: its headline numbers and its run time."""
    rows = []
    for lab, results, seconds in finished:
        numbers = [f"{name} {format_cell(value, 3)}" for name, value in results.headline.items()]
        rows.append({"lab": lab, "result": ", ".join(numbers), "seconds": round(seconds, 1)})
    return Table("summary", rows, digits=1)
