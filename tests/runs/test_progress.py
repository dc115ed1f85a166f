"""The bar on a terminal of 80 columns says the loss from the first epoch to the last."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from tests.conftest import ROOT

PROGRAM = """
import numpy as np
from jaxdl.runs.progress import ProgressBar, StopRequest
bar = ProgressBar("a convolutional autoencoder", StopRequest())
bar.start(3, 100, 0, 1.2)
for epoch in range(3):
    for _ in range(4):
        bar.advance(25)
        bar.bar.refresh()
    losses = {"train_loss": np.array([0.5 / (epoch + 1)]), "valid_loss": np.array([0.75])}
    bar.epoch(epoch, losses, {"train_seconds": 0.1})
bar.close()
"""


def drawn(columns: int) -> list[str]:
    """What the bar draws on a terminal of so many columns, one line for each time."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    subprocess.run(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=environment,
        check=True,
    )
    os.close(theirs)
    content = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed and all is read
            break
        if not piece:
            break
        content += piece
    os.close(ours)
    return [line for line in re.split("[\r\n]+", content.decode()) if line.strip()]


@pytest.mark.parametrize("columns", [80, 70])
def test_the_loss_stays_on_the_terminal(columns):
    lines = drawn(columns)
    assert max(map(len, lines)) <= columns
    first = next(i for i, line in enumerate(lines) if "1/3" in line)
    assert lines[first:]
    for line in lines[first:]:
        assert re.search(r"\d/3 loss train 0\.\d{4}, valid 0\.7500", line), line
    assert "100%" in lines[-1]
    assert "3/3 loss train 0.1667" in lines[-1]
