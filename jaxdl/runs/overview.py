"""A run in a few numbers: one table over several labs, and the headline that a run keeps."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxdl.report import Results, Table, format_cell
from jaxdl.report.table import plain_cell
from jaxdl.runs.folder import RunFolder


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


def keep_headline(folder: RunFolder, results: Results) -> None:
    """Put the headline into the results.json of a run that has just finished.

    Raises:
        UserError: it cannot be read or written.
    """
    if folder.writes:
        headline = {name: plain_cell(value) for name, value in results.headline.items()}
        folder.write_json("results.json", {**folder.read("results.json"), "headline": headline})
