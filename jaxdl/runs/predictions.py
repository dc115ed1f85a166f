"""What a finished run says of new data, printed and written into a folder of its own."""

import csv
import io
import shutil
from pathlib import Path

from jaxdl.errors import UserError
from jaxdl.files import write_whole
from jaxdl.language import translate
from jaxdl.report import Results, Table
from jaxdl.report.html import draw_figures, html_report
from jaxdl.runs.run import Run

TABLE, PAGE, FIGURES = "predictions.csv", "report.html", "figures"
MOST_PRINTED = 40  # rows; the file has all


def check_output(folder: Path) -> None:
    """Refuse a folder that holds anything but earlier predictions.

    Raises:
        UserError: it is no folder, cannot be read, or holds something else.
    """
    try:
        held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise UserError(f"{folder} cannot be used for output ({error.strerror})") from error
    others = sorted(held - {TABLE, PAGE, FIGURES})
    if others:
        raise UserError(f"{folder} is not empty (it holds {others[0]}); choose another --output")


def publish(run: Run, results: Results, folder: Path) -> None:
    """Print the tables and notes, and write the first table, the figures and a page.

    Args:
        run: that was asked.
        results: what its lab says; the first table has a row for each input.
        folder: checked by `check_output`; earlier predictions in it are replaced.

    Raises:
        UserError: something cannot be written.
    """
    pictures = draw_figures(results.figures)
    page = html_report(run.title, run.data_lines, run.command, results, pictures, {})
    shutil.rmtree(folder / FIGURES, ignore_errors=True)
    write_whole(folder / TABLE, csv_of(results.tables[0]))
    for name, picture in pictures.items():
        write_whole(folder / FIGURES / f"{name}.png", picture)
    write_whole(folder / PAGE, page.encode())

    width = shutil.get_terminal_size((80, 24)).columns
    for table in results.tables:
        shown = Table(table.title, table.rows[:MOST_PRINTED], table.digits, table.verbatim)
        run.say("\n" + shown.text(width), told=True)
        if len(table.rows) > MOST_PRINTED:
            run.say(translate(f"... {len(table.rows) - MOST_PRINTED:,} more"), told=True)
    for note in results.notes:
        run.say(f"\n{translate(note)}", told=True)
    names = ", ".join([TABLE, PAGE, *(f"{FIGURES}/{name}.png" for name in pictures)])
    run.say("\n" + translate(f"written to {folder}: {names}"), told=True)


def csv_of(table: Table) -> bytes:
    """A table with whole numbers, as CSV that spreadsheets read in any language (UTF-8 with BOM).

    >>> csv_of(Table("", [{"a": "x, y", "b": 0.25}])).decode("utf-8-sig").splitlines()
    ['a,b', '"x, y",0.25']
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, table.columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.record()["rows"])
    return text.getvalue().encode("utf-8-sig", "replace")
