"""Results: tables with mean and standard deviation over seeds, results.json, one HTML report.

A table is a list of rows; a cell is text, a number, or an array with one value per seed, which is
shown as mean ± sample standard deviation.
"""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxdl.language import translate, translate_cell, width_of
from jaxdl.report.markdown import escaped
from jaxdl.report.terminal import Column, table_text

if TYPE_CHECKING:  # an evaluation that shows no figure never imports matplotlib
    from matplotlib.figure import Figure

SHORT = 24  # width of a cell that stays in one line on a page; a letter of Korean counts twice
Cell = str | float | int | None | np.ndarray


@dataclass(frozen=True)
class Table:
    """A titled table.

    Attributes:
        title: what it shows, with the split.
        rows: one mapping per row, column name -> cell; the first row gives the columns.
        digits: decimals of numbers that are not whole.
        verbatim: cells are names and values of options or of data: they are never translated.
    """

    title: str
    rows: Sequence[Mapping[str, Cell]]
    digits: int = 3
    verbatim: bool = False

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0])

    def cells(self) -> list[list[str]]:
        """Every cell as text."""
        return [
            [format_cell(row.get(c, ""), self.digits) for c in self.columns] for row in self.rows
        ]

    def text(self, width: int = 80, whole_title: bool = False) -> str:
        """The table for a terminal, in the language spoken; a wider one is cut into named parts.

        Args:
            width: of the terminal, in letters.
            whole_title: the title stays in one line, however long, as programs look for it.
        """
        cells = zip(*self.cells(), strict=True)
        columns = [
            Column(
                translate(name),
                [self._told(cell, name) for cell in column],
                self._is_numeric(name),
            )
            for name, column in zip(self.columns, cells, strict=True)
        ]
        return table_text(translate(self.title), columns, width, whole_title)

    def markdown(self) -> str:
        """The table for a document."""
        table = (self.columns, *self.cells())
        lines = [[escaped(cell).replace("|", r"\|") for cell in line] for line in table]
        rows = ["| " + " | ".join(line) + " |" for line in lines]
        marks = ["---:" if self._is_numeric(c) else "---" for c in self.columns]
        rule = "|" + "|".join(marks) + "|"
        return "\n".join([f"**{escaped(self.title)}**", "", rows[0], rule, *rows[1:]])

    def html(self) -> str:
        """The table without its title, for the report, in the language spoken; all is escaped."""
        sides = ["right" if self._is_numeric(c) else "left" for c in self.columns]
        head = list(zip(sides, map(translate, self.columns), strict=True))
        told = [
            [self._told(cell, name) for cell, name in zip(line, self.columns, strict=True)]
            for line in self.cells()
        ]
        return html_table(head, [_html_cells(line, sides) for line in told])

    def _told(self, cell: str, column: str) -> str:
        return cell if self.verbatim else translate_cell(cell, column)

    def _is_numeric(self, column: str) -> bool:
        return not isinstance(self.rows[0].get(column), str)

    def record(self) -> dict[str, Any]:
        """The table for results.json: every value of every seed, nothing rounded."""
        rows = [
            {column: plain_cell(row.get(column, "")) for column in self.columns}
            for row in self.rows
        ]
        return {"title": self.title, "rows": rows}


@dataclass(frozen=True)
class Results:
    """What an experiment hands back.

    Attributes:
        tables: printed, stored and put into the report, in this order.
        figures: file name without suffix -> function that draws a matplotlib figure. Functions, so
            that an evaluation that shows no figure never imports matplotlib.
        headline: a few numbers (or arrays over seeds) for the summary of several labs.
        notes: sentences for the reader: what the numbers are not, where a goal was missed.
        files: name of a further file of the run folder -> function that makes its bytes from the
            run's origin: a mapping with "lab", "command", "data", "simulated" and "n_seeds".
    """

    tables: Sequence[Table]
    figures: Mapping[str, Callable[[], "Figure"]] = field(default_factory=dict)
    headline: Mapping[str, Cell] = field(default_factory=dict)
    notes: Sequence[str] = ()
    files: Mapping[str, Callable[[Mapping[str, Any]], bytes]] = field(default_factory=dict)


def format_cell(value: Cell, digits: int) -> str:
    """A cell as text: "0.160 ± 0.004" for an array of seeds, "1,234" for a whole number."""
    if isinstance(value, str):
        return value
    if value is None:
        return "-"
    array = np.asarray(value, np.float64).reshape(-1)
    mean = array.mean()
    if np.issubdtype(np.asarray(value).dtype, np.integer):
        digits = 0 if len(array) == 1 or mean >= 100 else 1
    elif 0 < abs(mean) < 5 * 10.0**-digits:
        # three decimals say nothing about 0.0019: show two significant digits
        digits = 1 - math.floor(math.log10(abs(mean)))
    if len(array) == 1:
        return _number(mean, digits)
    return f"{_number(mean, digits)} ± {_number(array.std(ddof=1), digits)}"


def _number(value: float, digits: int) -> str:
    if not np.isfinite(value):
        return "-" if np.isnan(value) else str(value)
    return f"{value:,.{digits}f}"


def _html_cells(line: Sequence[str], sides: Sequence[str]) -> list[tuple[str, str]]:
    pairs = zip(sides, line, strict=True)
    return [(side_of(text) if side == "left" else side, html.escape(text)) for side, text in pairs]


def side_of(text: str) -> str:
    """The class of a cell of text: what is short stays in one line.

    >>> side_of("quick")
    'left short'
    """
    return "left short" if width_of(text) <= SHORT else "left"


def html_table(head: Sequence[tuple[str, str]], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """A table that scrolls in itself.

    Args:
        head: class and name of each column; the name is escaped here.
        rows: class and HTML of each cell.
    """
    names = "".join(f'<th class="{side}">{html.escape(name)}</th>' for side, name in head)
    lines = ["".join(f'<td class="{side}">{cell}</td>' for side, cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="scroll"><table><thead><tr>{names}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def plain_cell(value: Cell) -> Any:
    """A cell as JSON holds it: every value of every seed, nothing rounded."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return np.asarray(value).tolist()


def goal_line(what: str, values: np.ndarray, goal: float) -> str:
    """A sentence that says whether the mean over seeds is at most the goal."""
    mean = float(np.mean(values))
    return f"{what}: {mean:.4g}, goal at most {goal:g}: {'met' if mean <= goal else 'missed'}."
