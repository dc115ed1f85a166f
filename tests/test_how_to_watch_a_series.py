"""The how-to for a series of one's own: its commands as they stand there, but for fewer epochs."""

import csv
import json
import re
import shlex

import numpy as np

from jaxdl.cli.launcher import launch
from jaxdl.serving import live
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "how-to" / "watch_a_series.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.+?)```", PAGE, re.DOTALL)
    for line in block.split("\n")
]


def test_both_languages_have_the_same_programs():
    korean = (ROOT / "docs" / "how-to" / "watch_a_series.ko.md").read_text("utf-8")
    blocks = [re.findall(r"```.+?```", page, re.DOTALL) for page in (PAGE, korean)]
    assert blocks[0] == blocks[1]
    assert len(blocks[0]) == 4


def words_of(start: str) -> list[str]:
    """The arguments of the page's command that begins so."""
    (line,) = [line for line in COMMANDS if line.startswith(start)]
    return shlex.split(line)[2:]


def test_watch_a_series(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = re.search(r"```python\n(.+?)```", PAGE, re.DOTALL)[1]
    exec(compile(program, "load.py", "exec"), {})  # noqa: S102
    history = (tmp_path / "load.csv").read_text().splitlines()

    results = launch(words_of("python run.py nab_benchmark"))[0]
    assert any(note.startswith("asked: 1 alerts a week") for note in results.notes)
    with (tmp_path / "watch" / "incidents.csv").open() as file:
        found = list(csv.DictReader(file))
    fault = np.datetime64("2025-03-01T00:00") + np.timedelta64(30 * 1800, "m")
    worst = max(found, key=lambda row: float(row["peak score"]))
    assert worst["start"] == f"{fault}:00Z"
    assert worst["columns"] == "load"
    assert len((tmp_path / "watch" / "incidents.jsonl").read_text().splitlines()) == len(found)

    trained = words_of("python run.py nab_conv1d_ae")
    launch([*trained, "--epochs", "2", "--no-keras-net", "--no-untrained"])

    # the pipes, with a fault in what comes next
    later = np.datetime64("2025-03-01T00:00") + np.timedelta64(30, "m") * np.arange(2688, 2760)
    wave = 50 + 10 * np.sin(2 * np.pi * np.arange(2688, 2760) / 48)
    wave[56:70] += 25
    given = [f"{time},{value:.3f},40" for time, value in zip(later, wave, strict=True)]
    for run, state in (("watch", "watch.npz"), ("trained", None)):
        (line,) = [line for line in COMMANDS if f"jaxdl.live {run} -" in line]
        assert ("--state" in line) == (state is not None)
        options = live.Options(run=tmp_path / run, state=state and tmp_path / state)
        program = live.Live(options)
        records = list(program.answers([history[-1], *given]))
        program.close()
        alarms = [record["time"] for record in records if record.get("alarm")]
        fault = {f"{time}:00".replace("T", " ") for time in later[56:70]}
        assert fault & set(alarms), run
        assert json.dumps(records)
