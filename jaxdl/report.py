"""Results: tables with mean and standard deviation over seeds, results.json, one HTML report.

A table is a list of rows; a cell is text, a number, or an array with one value per seed, which is
shown as mean ± sample standard deviation.
"""

import base64
import html
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Cell = Any


@dataclass(frozen=True)
class Table:
    """A titled table.

    Attributes:
        title: what it shows, with the split.
        rows: one mapping per row, column name -> cell; the first row gives the columns.
        digits: decimals of numbers that are not whole.
    """

    title: str
    rows: Sequence[Mapping[str, Cell]]
    digits: int = 3

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0])

    def cells(self) -> list[list[str]]:
        """Every cell as text."""
        return [
            [format_cell(row.get(c, ""), self.digits) for c in self.columns] for row in self.rows
        ]

    def text(self) -> str:
        """The table for a terminal."""
        lines = [self.columns, *self.cells()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        numeric = [_is_numeric(self.rows[0].get(c)) for c in self.columns]

        def join(line):
            padded = [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line, widths, numeric, strict=True)
            ]
            return "  ".join(padded).rstrip()

        rule = "  ".join("-" * width for width in widths)
        return "\n".join([self.title, join(lines[0]), rule, *(join(line) for line in lines[1:])])

    def markdown(self) -> str:
        """The table for a document."""
        table = (self.columns, *self.cells())
        lines = [[cell.replace("|", r"\|") for cell in line] for line in table]
        rows = ["| " + " | ".join(line) + " |" for line in lines]
        marks = ["---:" if _is_numeric(self.rows[0].get(c)) else "---" for c in self.columns]
        rule = "|" + "|".join(marks) + "|"
        return "\n".join([f"**{self.title}**", "", rows[0], rule, *rows[1:]])

    def html(self) -> str:
        """The table for the report; every text is escaped."""
        head = "".join(f"<th>{html.escape(c)}</th>" for c in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>"
            for line in self.cells()
        )
        return f"<h2>{html.escape(self.title)}</h2><table><tr>{head}</tr>{body}</table>"

    def record(self) -> dict[str, Any]:
        """The table for results.json: every value of every seed, nothing rounded."""
        rows = [
            {column: _plain(row.get(column, "")) for column in self.columns} for row in self.rows
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
        scorer: makes the run's scorer file (`jaxdl.export`) from a record of where it comes from.
    """

    tables: Sequence[Table]
    figures: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    headline: Mapping[str, Cell] = field(default_factory=dict)
    notes: Sequence[str] = ()
    scorer: Callable[[dict[str, Any]], bytes] | None = None


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


def _is_numeric(value: Cell) -> bool:
    return not isinstance(value, str)


def _plain(value: Cell) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return np.asarray(value).tolist()


def save_figures(results: Results, folder: Path) -> dict[str, bytes]:
    """Draw every figure into `folder` as PNG; returns name -> bytes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for name, draw in results.figures.items():
        figure = draw()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        pyplot.close(figure)
        pictures[name] = buffer.getvalue()
        (folder / f"{name}.png").write_bytes(pictures[name])
    return pictures


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;"
    "color:#222}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .7rem;"
    "border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}"
    "img{max-width:100%}pre{background:#f5f5f5;padding:.7rem;overflow:auto}"
    ".simulated{background:#fff3cd;padding:.5rem 1rem}"
)


def html_report(
    title: str,
    data_lines: Sequence[str],
    command: str,
    results: Results,
    pictures: Mapping[str, bytes],
    records: Mapping[str, Any],
) -> str:
    """One self-contained page: no script, no address of another site.

    Args:
        title: of the lab.
        data_lines: which data, with hash; a simulated one is marked.
        command: repeats the run.
        results: tables and notes.
        pictures: figure name -> PNG bytes.
        records: name -> JSON value, shown at the end (configuration, environment, timing).
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for line in data_lines:
        kind = ' class="simulated"' if "simulated" in line else ""
        parts.append(f"<p{kind}>{html.escape(line)}</p>")
    parts.append(f"<pre>{html.escape(command)}</pre>")
    parts += [table.html() for table in results.tables]
    parts += [f"<p>{html.escape(note)}</p>" for note in results.notes]
    for name, png in pictures.items():
        source = base64.b64encode(png).decode()
        caption = html.escape(name.replace("_", " "))
        parts.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{source}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    for name, value in records.items():
        text = html.escape(json.dumps(value, indent=2, ensure_ascii=False))
        parts.append(f"<details><summary>{html.escape(name)}</summary><pre>{text}</pre></details>")
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>\n{body}\n</body></html>\n"
    )
