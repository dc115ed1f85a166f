"""One self-contained HTML page of a run: headline, tables, notes, figures, records."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jaxdl.language import translate, translate_message
from jaxdl.report.page import Section, page, zoomable
from jaxdl.report.pictures import draw_figures
from jaxdl.report.table import Results, format_cell

__all__ = ["draw_figures", "html_report"]

SIMULATED = "These results come from simulated data."


def html_report(
    title: str,
    data_lines: Sequence[str],
    command: str,
    results: Results,
    pictures: Mapping[str, bytes],
    records: Mapping[str, Any],
) -> str:
    """One self-contained page in the language spoken: no script, no address of another site.

    Args:
        title: of the lab.
        data_lines: which data, with hash; a simulated one is marked.
        command: repeats the run.
        results: headline, tables and notes.
        pictures: figure name -> PNG bytes.
        records: name -> JSON value, shown at the end (configuration, environment, timing).
    """
    told = map(translate_message, data_lines)
    head = [f'<p class="data">{html.escape(line)}</p>' for line in told]
    if any("simulated" in line for line in data_lines):
        head.insert(0, f'<p class="simulated">{html.escape(translate(SIMULATED))}</p>')
    head += [f"<pre>{html.escape(command)}</pre>", headline(results)]
    sections = [Section(translate(table.title), table.html()) for table in results.tables]
    if results.notes:
        notes = "".join(f"<p>{html.escape(translate(note))}</p>" for note in results.notes)
        sections.append(Section(translate("Notes"), notes))
    if pictures:
        sections += _figure_sections(pictures)
    blocks = [_record(name, value) for name, value in records.items()]
    if blocks:
        sections.append(Section(translate("Records"), "".join(blocks)))
    return page(translate(title), "\n".join(head), sections)


def headline(results: Results) -> str:
    """The lab's few numbers as HTML; nothing where it has none."""
    entries = "".join(
        f"<div><dt>{html.escape(translate(name))}</dt><dd>{html.escape(format_cell(value, 3))}</dd>"
        "</div>"
        for name, value in results.headline.items()
    )
    return f'<dl class="headline">{entries}</dl>' if entries else ""


def _figure_sections(pictures: Mapping[str, bytes]) -> list[Section]:
    captions = [translate(name.replace("_", " ")) for name in pictures]
    sources = [
        "data:image/png;base64," + base64.b64encode(png).decode() for png in pictures.values()
    ]
    shown = zoomable(list(zip(sources, captions, strict=True)))
    parts = [Section(text, part, level=3) for text, part in zip(captions, shown, strict=True)]
    return [Section(translate("Figures"), ""), *parts]


def _record(name: str, value: Any) -> str:
    text = html.escape(json.dumps(value, indent=2, ensure_ascii=False))
    title = html.escape(translate(name))
    return f"<details><summary>{title}</summary><pre>{text}</pre></details>"
