"""Pages: plain HTML, and in a real browser nothing is wider than the window."""

import html
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from jaxdl.language import speaking
from jaxdl.report import Results, Table
from jaxdl.report.html import html_report
from jaxdl.report.page import Section, page, zoomable
from jaxdl.runs.index import write_index
from tests.runs.stored_runs import PNG, store_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
LONG = "averyveryverylongwordthatnobrowsercanbreakbyitself" * 3

# Loads a page in a frame of the width asked for, and writes down how wide its content is, what is
# wider than the page, and which cells' texts run into the next cell.
PROBE = """<!doctype html>
<iframe id=f src="{address}" style="width:{width}px;height:900px;border:0"></iframe>
<script>
document.getElementById("f").onload = event => {{
  const page = event.target.contentDocument;
  const wide = [...page.querySelectorAll("body *")].filter(
    part => part.getBoundingClientRect().right > {width} + 1 && !part.closest(".scroll")
  ).map(part => part.tagName);
  const spilt = [...page.querySelectorAll("td,th")].filter(
    cell => cell.scrollWidth > cell.clientWidth + 1
  ).map(cell => cell.textContent);
  document.title = page.documentElement.scrollWidth + " " + wide.concat(spilt).join(",");
}};
</script>"""


def report() -> str:
    """A page with all that could be too wide."""
    rng = np.random.default_rng(0)
    names = [f"recall at precision 0.{i}" for i in range(9)]
    detectors = (LONG, "지도 학습: 그레이디언트 부스팅", "기본: 가까운 행과 전체 분포, 2,500행")
    numbers = {name: rng.random(10) for name in names}
    rows = [{"detector": detector, **numbers, "why": LONG} for detector in detectors]
    results = Results(
        [Table(f"A title with {LONG}", rows)],
        headline={f"number {i}": rng.random(3) for i in range(9)},
        notes=[LONG],
    )
    records = {"configuration": {"path": LONG}}
    command = f"python run.py --csv {LONG}"
    return html_report(LONG, [f"data: {LONG}"], command, results, {"loss": PNG}, records)


def overview(folder) -> str:
    for name in ("first", LONG[:120]):
        store_run(folder / name, (0.1, 0.2), note=f"{name} {LONG}", epochs=len(name))
    return write_index(folder).read_text("utf-8")


def test_contents_lead_to_every_section_once():
    text = page("T", "", [Section("A <b>", "x"), Section("같은", "y", 3), Section("A <b>", "z")])
    names = re.findall(r'<section id="([^"]+)"', text)
    assert len(set(names)) == 3
    assert re.findall(r'<a href="#([^"]+)"', text) == names
    assert "<h3>같은</h3>" in text
    assert "<b>" not in text


def test_pictures_lead_on_and_back_and_close():
    first, second, third = zoomable([("a.png", "A"), ("b.png", "<B>"), ("c.png", "C")])
    assert 'id="zoom2"' in second
    assert set(re.findall(r'href="#(\w+)"', second)) == {"zoom2", "picture2", "zoom1", "zoom3"}
    assert "&lt;B&gt;" in second
    assert 'class="step back"' not in first
    assert 'class="step on"' not in third


def test_a_page_has_no_script_and_no_other_site():
    for text in (report(), page("T", "", [])):
        assert "<script" not in text
        assert "http" not in text
        assert " onclick" not in text


def test_a_korean_page_says_so():
    with speaking("ko"):
        text = html_report("L", ["simulated twin"], "c", Results([], notes=["n"]), {"f": PNG}, {})
    assert '<html lang="ko">' in text
    for word in ("그림", "차례", "시뮬레이션"):
        assert word in text
    for word in ("Figures", "Notes", "Contents", "simulated data"):
        assert word not in text


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("made", ["report", "overview"])
def test_in_a_browser_nothing_overflows(tmp_path, width, made):
    path = tmp_path / "runs" / "page.html"
    path.parent.mkdir()
    path.write_text(report() if made == "report" else overview(path.parent), "utf-8")
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(address=path.as_uri(), width=width), "utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=5000", "--window-size=1400,1000", "--dump-dom"]
    done = subprocess.run(
        [*command, probe.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    found = re.search(r"<title>(\d+) ?(.*?)</title>", html.unescape(done.stdout))
    assert found, done.stderr[-2000:]
    assert int(found[1]) <= width
    assert not found[2]
