"""The clock of a live series: the time between events, and what a time stamp means for the rows.

The rule:

1. A stamp at least one step later than the last one is the next event; rows between are missing.
2. One more than `MOST_SURE` steps later, or the first one of all, is taken as well, but stays in
   doubt until the next event. If that comes earlier, the stamp in doubt was wrong: its event is
   taken back, as if it had never been.
3. Any other stamp is refused. `SET_BACK` refused ones in a row, each later than the one before,
   mean that the clock was set back: the series goes on there, at the same hour of the week.

A gap of any length is only a gap: the rows in it are missing, what the detector has learnt stays.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxdl.stamps import bounded, steps_between
from jaxdl.timeseries import incidents

MOST_SURE = 10
SET_BACK = 100
LONG_GAP = timedelta(days=7)


class Ongoing(NamedTuple):
    """What is known of the latest incident.

    Attributes:
        memory: of the rule of incidents.
        times: of its first, last and worst event; None where an event had no stamp.
        above: columns that were above the threshold when it was worst.
        told: its end was told, or there is none.
    """

    memory: incidents.Memory = incidents.START
    times: tuple[datetime | None, datetime | None, datetime | None] = (None, None, None)
    above: tuple[bool, ...] = ()
    told: bool = True


class Memory(NamedTuple):
    """What the next answer depends on.

    Attributes:
        detector: all that it has learnt; see `jaxdl.serving.live_detector`.
        rows: ticks of the clock so far.
        last: time of its last event; None before the first stamp.
        incident: the latest one.
    """

    detector: Any
    rows: int
    last: datetime | None
    incident: Ongoing = Ongoing()


class LiveState(NamedTuple):
    """A series with its clock.

    Attributes:
        step: time between two events.
        day: events in a day or another season of the detector.
        memory: of all events so far.
        before: the memory before an event whose stamp is in doubt; None where none is.
        refused: stamps refused in a row, each later than the one before.
        refused_last: the last of them.
    """

    step: timedelta
    day: int
    memory: Memory
    before: Memory | None = None
    refused: int = 0
    refused_last: datetime | None = None


class Placement(NamedTuple):
    """Where an event stands.

    Attributes:
        state: to score the event with.
        missing: rows between it and the last event.
        note: what a reader must know; mostly empty.
        error: why the event is refused; empty where it is not.
    """

    state: LiveState
    missing: int = 0
    note: str = ""
    error: str = ""


def place(state: LiveState, time: datetime | None) -> Placement:
    """Apply the rule at the head of this module to the next event.

    Args:
        state: of the series so far.
        time: of the event; None: it has no stamp and follows the last one at once.
    """
    last = state.memory.last
    settled = state._replace(before=None, refused=0, refused_last=None)
    if time is None:
        return Placement(settled)
    if last is None:
        return Placement(settled._replace(before=state.memory))
    ahead = steps_between(last, time, state.step)
    if ahead > MOST_SURE:
        note = ""
        if time - last > LONG_GAP:
            note = f"nothing came for {_days(time - last)} before {time}; the detector goes on"
        missing = bounded(ahead - 1, state.memory.rows, state.day)
        return Placement(settled._replace(before=state.memory), missing, note)
    if ahead >= 1:
        return Placement(settled, ahead - 1)
    before = state.before
    if before is not None and time < last and _is_later(time, before.last, state.step):
        return _taken_back(settled._replace(memory=before), time, last)
    return _refused(state, settled, time, ahead)


def _taken_back(state: LiveState, time: datetime, wrong: datetime) -> Placement:
    """The event, placed as if the one at `wrong` had never been."""
    note = f"the event at {wrong} was ahead of its neighbours and is taken back"
    if state.memory.last is None:  # not in doubt again: stamps that only fall are refused
        return Placement(state, note=note)
    placement = place(state, time)
    return placement._replace(note="; ".join(filter(None, (note, placement.note))))


def _refused(state: LiveState, settled: LiveState, time: datetime, ahead: int) -> Placement:
    """Refuse a stamp that is not a step later, or follow a clock that was set back."""
    last = state.memory.last
    follows = state.refused_last is not None and time > state.refused_last
    refused = state.refused + 1 if follows else 1
    if refused < SET_BACK:
        state = state._replace(refused=refused, refused_last=time)
        return Placement(state, error=not_later(time, last))
    note = f"the clock was set back from {last} to {time}; the detector goes on there"
    return Placement(settled, (ahead - 1) % (7 * state.day), note)


def ticks_of(times: Sequence[datetime], step: timedelta, day: int) -> Int[np.ndarray, " n"]:
    """Where the rule places each event of a history: the number of its row.

    >>> stamps = [datetime(2025, 3, 20, hour) for hour in (0, 1, 1, 4)]
    >>> ticks_of(stamps, timedelta(hours=1), day=24).tolist()  # the third repeats the second
    [0, 1, -1, 4]

    Args:
        times: of the events.
        step: time between two events.
        day: events in a day.

    Returns:
        -1 for an event that is refused, or taken back by the next one.
    """
    state = LiveState(step, day, Memory(None, 0, None))
    ticks = np.full(len(times), -1)
    latest = -1
    for i, time in enumerate(times):
        rows = state.memory.rows
        placement = place(state, time)
        state = placement.state
        if placement.error:
            continue
        if state.memory.rows < rows:  # what the memory held is gone
            ticks[latest] = -1
        ticks[i] = state.memory.rows + placement.missing
        state = state._replace(memory=Memory(None, int(ticks[i]) + 1, time))
        latest = i
    return ticks


def not_later(time: datetime, last: datetime) -> str:
    """What is said of a stamp that goes back or stands still."""
    return f"{time} is not a step later than {last}; skipped"


def _is_later(time: datetime, last: datetime | None, step: timedelta) -> bool:
    return last is None or steps_between(last, time, step) >= 1


def _days(time: timedelta) -> str:
    return f"{time / timedelta(days=1):,.1f} days"
