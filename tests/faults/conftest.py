"""The faults lane: `python -m pytest -m faults`, minutes of kills, full disks and damaged files.

Each item prints a line at the end: what was done, how often, and how often everything held. With
JAXDL_FAULTS=full every item is tried as often as the programme asks for, which takes hours.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

FULL = os.environ.get("JAXDL_FAULTS") == "full"
ITEM = "fault item"


def times(few: int, full: int) -> int:
    """How often a fault is tried: a few times, or as often as the programme asks for."""
    return full if FULL else few


@dataclass
class Tally:
    """Counts of one item.

    Attributes:
        item: what is done.
        tried: how often it was.
        failures: what did not hold, one line each.
    """

    item: str = ""
    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, held: bool, what: object = "") -> None:
        """One more was tried."""
        self.tried += 1
        if not held:
            self.failures.append(str(what))

    def line(self) -> str:
        """What is printed at the end."""
        return f"{self.item}: {self.tried:,} tried, {self.tried - len(self.failures):,} held"


@pytest.fixture
def tally(record_property) -> Iterator[Tally]:
    """The counts of a test, told at the end of the session; it fails where one did not hold."""
    counts = Tally()
    yield counts
    record_property(ITEM, counts.line())
    assert counts.tried, "nothing was tried"
    assert not counts.failures, "\n".join(counts.failures[:20])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the lane out unless it is asked for."""
    if "faults" in (config.getoption("markexpr") or ""):
        return
    lane = [item for item in items if item.get_closest_marker("faults")]
    if lane:
        config.hook.pytest_deselected(items=lane)
        items[:] = [item for item in items if item not in lane]


def pytest_terminal_summary(terminalreporter) -> None:
    """One line an item."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    lines = {
        (report.nodeid, value)
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == ITEM
    }
    if lines:
        terminalreporter.section("faults")
        for _, line in sorted(lines):
            terminalreporter.line(line)
