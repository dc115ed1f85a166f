"""One self-contained HTML page of a run: tables, notes, figures, records."""

import base64
import html
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxdl.report.table import Results

if TYPE_CHECKING:  # an evaluation that shows no figure never imports matplotlib
    from matplotlib.figure import Figure


def draw_figures(figures: Mapping[str, Callable[[], "Figure"]]) -> dict[str, bytes]:
    """Every figure as a PNG: name -> bytes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pictures = {}
    for name, draw in figures.items():
        with pyplot.rc_context({"font.family": _font_families()}), warnings.catch_warnings():
            # a letter that no font here has is a box in the picture; the tables have it
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            figure = draw()
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
            pyplot.close(figure)
        pictures[name] = buffer.getvalue()
    return pictures


def _font_families() -> list[str]:
    """matplotlib's own font, then those for Korean that this machine has."""
    from matplotlib import font_manager

    here = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in KOREAN_FONTS if name in here)]


KOREAN_FONTS = ("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "AppleGothic")

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
