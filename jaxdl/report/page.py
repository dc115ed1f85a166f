"""The frame of all HTML pages here: style, contents, sections; no script, no other site.

Light or dark as the reader's system is, a list of contents beside the page (above it where there is
no room), tables that scroll in themselves where they are wider than the page, pictures that fill
the window when they are clicked, and a form for paper.
"""

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

from jaxdl.language import spoken, translate


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        title: its heading, plain text in the language of the page; it is escaped here.
        body: HTML, without the heading.
        level: 2, or 3 for a part of the section before it.
    """

    title: str
    body: str
    level: int = 2


STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2127;--soft:#5d6673;--line:#d9dee5;
--shade:#f4f6f8;--link:#0b5cad;--mark:#fff3cd;--mark-ink:#5c4700}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e3e7ec;--soft:#9aa5b1;--line:#353c45;
--shade:#1f242a;--link:#7db8f5;--mark:#44390f;--mark-ink:#ffe9a6}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,"Noto Sans KR","NanumGothic","Malgun Gothic","Apple SD Gothic Neo",
sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;padding:1rem;max-width:82rem;
overflow-wrap:anywhere}
:lang(ko){word-break:keep-all}
a{color:var(--link)}
h1{font-size:1.6rem;line-height:1.25;margin:.3rem 0 1rem}
h2{font-size:1.2rem;margin:2rem 0 .6rem}
h3{font-size:1.02rem;margin:1.5rem 0 .4rem}
nav{font-size:.88rem;border:1px solid var(--line);border-radius:.4rem;padding:.6rem .9rem;
max-height:13rem;overflow-y:auto;margin-bottom:1.2rem}
nav ol{list-style:none;margin:0;padding:0;columns:16rem}
nav li{margin:.2rem 0;line-height:1.35}
nav .part{padding-left:.9rem}
nav a{text-decoration:none}
nav a:hover{text-decoration:underline}
.scroll{overflow-x:auto;max-width:100%;border:1px solid var(--line);border-radius:.4rem}
table{border-collapse:collapse;width:100%;font-size:.87rem;font-variant-numeric:tabular-nums;
overflow-wrap:normal}
th,td{padding:.32rem .5rem;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:break-word}
tbody tr:last-child td{border-bottom:0}
tbody tr:hover td{background:var(--shade)}
th{background:var(--shade);vertical-align:bottom;font-weight:600}
.right{text-align:right;white-space:nowrap}
th.right{white-space:normal}
.left{text-align:left;max-width:26rem}
td.left{min-width:10rem}
td.short{white-space:nowrap;min-width:0}
td:first-child,th:first-child{position:sticky;left:0;background:var(--paper);max-width:44vw;
border-right:1px solid var(--line)}
th:first-child{background:var(--shade)}
pre{background:var(--shade);border-radius:.4rem;padding:.7rem .9rem;white-space:pre-wrap;
overflow-wrap:anywhere;font-size:.85rem}
dl.headline{display:flex;flex-wrap:wrap;gap:.7rem;margin:1rem 0}
dl.headline div{border:1px solid var(--line);border-radius:.4rem;padding:.5rem .9rem}
dt{font-size:.82rem;color:var(--soft)}
dd{margin:0;font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums}
.simulated{background:var(--mark);color:var(--mark-ink);border-radius:.4rem;padding:.5rem .9rem}
td .simulated{display:block;padding:.1rem .4rem}
.data{color:var(--soft);font-size:.9rem}
summary{cursor:pointer}
figure{margin:0}
figure img,td img{display:block;max-width:100%;background:#fff;border-radius:.3rem}
td img{width:9rem;height:6rem;object-fit:contain;max-width:none}
figcaption{display:none}
figure .open{display:inline-block;cursor:zoom-in;max-width:100%}
figure .close,figure .step{display:none}
figure:target{position:fixed;inset:0;z-index:9;display:flex;flex-direction:column;
align-items:center;justify-content:center;background:rgba(0,0,0,.88)}
figure:target img{max-width:96vw;max-height:88vh;width:auto;min-width:min(70vw,60rem);
object-fit:contain}
figure:target figcaption{display:block;color:#e3e7ec;margin-top:.4rem}
figure:target .close{display:block;position:fixed;inset:0;cursor:zoom-out;text-align:right;
padding:.2rem 1.1rem;font-size:2.2rem;line-height:1;color:#fff;text-decoration:none}
figure:target .step{display:block;position:fixed;top:42vh;padding:1rem;font-size:2.4rem;
line-height:1;color:#fff;text-decoration:none;text-shadow:0 0 .4rem #000}
.step.back{left:0}
.step.on{right:0}
@media(max-width:40rem){
td.short:first-child{white-space:normal;min-width:6rem}}
@media(min-width:86rem){
.beside{display:grid;grid-template-columns:13.5rem minmax(0,1fr);gap:1.6rem;align-items:start}
nav{position:sticky;top:1rem;max-height:calc(100vh - 2rem);margin:0}
nav ol{columns:auto}}
@media print{
:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--shade:#f4f4f4;
--link:#000;--mark:#fff;--mark-ink:#000}
nav,.close,.step{display:none!important}
body{max-width:none;padding:0;font-size:10pt}
.beside{display:block}
.scroll{overflow:visible;border:0}
table{font-size:7.5pt}
th,td{padding:.15rem .3rem}
.right,td.short{white-space:normal}
td.left{min-width:0}
td:first-child,th:first-child{position:static}
figure,tr,dl.headline div{break-inside:avoid}
h2,h3{break-after:avoid}
figure:target{position:static;background:none}
}
""".replace("\n", "")


def page(title: str, head: str, sections: Sequence[Section]) -> str:
    """A whole page in the language spoken.

    Args:
        title: plain text.
        head: HTML between the title and the first section.
        sections: with a list of them beside or above.
    """
    names = _anchors([section.title for section in sections])
    entries = "".join(
        f"<li{' class=part' if section.level > 2 else ''}>"
        f'<a href="#{name}">{html.escape(section.title)}</a></li>'
        for name, section in zip(names, sections, strict=True)
    )
    parts = [
        f'<section id="{name}"><h{section.level}>{html.escape(section.title)}</h{section.level}>'
        f"{section.body}</section>"
        for name, section in zip(names, sections, strict=True)
    ]
    contents = html.escape(translate("Contents"))
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", head, *parts])
    return (
        f'<!doctype html><html lang="{spoken()}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
        f'<body><div class="beside"><nav aria-label="{contents}"><ol>{entries}</ol></nav>\n'
        f"<main>\n{body}\n</main></div></body></html>\n"
    )


def _anchors(titles: Sequence[str]) -> list[str]:
    """A name for each heading, fit for an address, no two alike."""
    names: list[str] = []
    for number, title in enumerate(titles, start=1):
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40]
        names.append(f"s{number}-{plain}" if plain else f"s{number}")
    return names


def zoomable(pictures: Sequence[tuple[str, str]]) -> list[str]:
    """Pictures that fill the window when they are clicked, with steps to the one before and after.

    Args:
        pictures: (source of the picture, caption in plain text).

    Returns:
        HTML of each.
    """
    figures = []
    for i, (source, caption) in enumerate(pictures):
        text, address = html.escape(caption), html.escape(source)
        steps = ""
        if i > 0:
            steps += f'<a class="step back" href="#zoom{i}" aria-label="back">&#8249;</a>'
        if i + 1 < len(pictures):
            steps += f'<a class="step on" href="#zoom{i + 2}" aria-label="next">&#8250;</a>'
        figures.append(
            f'<div id="picture{i + 1}"><figure id="zoom{i + 1}">'
            f'<a class="open" href="#zoom{i + 1}"><img alt="{text}" src="{address}"></a>'
            f'<figcaption>{text}</figcaption><a class="close" href="#picture{i + 1}" '
            f'aria-label="close">&times;</a>{steps}</figure></div>'
        )
    return figures
