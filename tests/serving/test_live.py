"""A live series: every line is answered at once, and no end of the program loses an answer."""

import gzip
import json
import math
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import stamps
from jaxdl.errors import UserError
from jaxdl.serving import cells, live, live_clock, live_lines, live_state
from jaxdl.serving.live_detector import StreamingDetector
from jaxdl.timeseries import streaming
from tests.conftest import ROOT
from tests.series import same, stamped, taxi_values

advance, step = jax.jit(streaming.advance), jax.jit(streaming.step)
HALF_HOUR = live.Options(1800)


@pytest.fixture(scope="module")
def taxi():
    return taxi_values()


def answers(lines, options=HALF_HOUR):
    """Records of a fresh program, and the program."""
    program = live.Live(options)
    return list(program.answers(lines)), program


def detector_of(program):
    """The streaming detector's state of the only column."""
    (state,) = program.now.memory.detector
    return state


def parsed(line, **options):
    return live_lines.LineReader(stamps.SeriesColumns(**options)).event(line)


def stored(path):
    """The state in a file of a series of one column, and how many events it has seen."""
    found = live_state.unpack(path.read_bytes())
    key = found.about["detector"]
    return live_state.restore(found, StreamingDetector(tuple(key["columns"]), key["day"]))


def errors_of(records):
    return [record.get("error", "") for record in records]


# ---- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("9999-12-31T23:59:59-10:00,5", "outside the calendar"),
        ("0001-01-01T00:00:00+10:00,5", "outside the calendar"),
        ("-99999999999,5", "outside the calendar"),
        ("x" * 4096 + "7.5", "4,096 characters or more"),
        ("2020-01-01," + "1" * 4096, "4,096 characters or more"),
        ("1_000", "is not 'value'"),
        ("\uff11\uff12", "is not 'value'"),  # full-width digits
        ("\u0663", "is not 'value'"),  # an Arabic digit
        ("2020-01-01,1_0", "is not 'value'"),
        ("\u0662020-01-01,1", "is not 'value'"),
        (",5", "is not 'value'"),
        ("2020-13-01,5", "is not 'value'"),
        ("a,b,5", "is not 'value'"),
        ("inf", "out of range"),
        ("1e39", "out of range"),
    ],
)
def test_a_bad_line_is_marked_and_the_series_goes_on(line, words):
    records, program = answers(["1", f"{line}\n", "2"])
    assert [list(record) == ["error"] for record in records] == [False, True, False]
    assert words in records[1]["error"]
    assert records[1]["error"].isascii()
    assert records[2]["row"] == 1
    assert int(detector_of(program).rows) == 2


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("timestamp,value", True),
        ('"Time","CPU 1 (%)"', True),
        ("\ufeffvalue", True),
        ("온도", True),
        ("value2", True),
        ("inf", False),
        ("-inf", False),
        ("2020-01-01,abc", False),
        ("n/a", False),
        (",", False),
        ("1_000", False),
        ("x" * 4096, False),
    ],
)
def test_only_a_first_line_of_names_is_a_header(line, header):
    records, _ = answers([line, "5"])
    assert ["error" in record for record in records] == ([False] if header else [True, False])
    records, _ = answers(["5", line])
    assert ["error" in record for record in records] == [False, True]


def test_a_first_line_nan_is_a_missing_value():
    records, _ = answers(["NaN", "5"])
    assert [(record["row"], record["value"]) for record in records] == [(0, None), (1, 5.0)]


def test_the_scorer_and_the_series_read_the_same_numbers():
    for text, value in ((" 1.5", 1.5), ("-2e3", -2000.0), ("+.5", 0.5), ("1e400", math.inf)):
        assert cells.number(text) == value
    for text in ("", "1_000", "\uff11", "\u0663", "0x10", "1,5", "1 2"):
        with pytest.raises(ValueError, match="is not a number"):
            cells.number(text)


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("2020-01-31 09:30:00", datetime(2020, 1, 31, 9, 30)),
        ("2020-01-31T09:30:00Z", datetime(2020, 1, 31, 9, 30)),
        ("2020-01-31T09:30:00.25+02:00", datetime(2020, 1, 31, 7, 30, 0, 250_000)),
        ("20200131", datetime(2020, 1, 31)),
        ("1580463000", datetime(2020, 1, 31, 9, 30)),
        ("1580463000.000001", datetime(2020, 1, 31, 9, 30, 0, 1)),
        ("1580463000250", datetime(2020, 1, 31, 9, 30, 0, 250_000)),
        ("1580463000250001", datetime(2020, 1, 31, 9, 30, 0, 250_001)),
        ("1580463000250001000", datetime(2020, 1, 31, 9, 30, 0, 250_001)),
    ],
)
def test_time_stamps(stamp, time):
    assert stamps.parse_stamp(stamp) == time
    assert parsed(f'"{stamp}","7"') == (time, (7.0,))


def test_a_series_of_ten_a_second_keeps_all_its_events():
    records, program = answers(stamped(range(30), 0.1), live.Options(0.1))
    assert [record["row"] for record in records] == list(range(30))
    assert records[7]["time"] == "2020-01-01 00:00:00.700000"
    assert int(detector_of(program).day) == 864_000
    assert detector_of(program).day_course.shape == (8640,)  # ten seconds share a slot


@pytest.mark.parametrize(
    ("lines", "options", "first"),
    [
        (["ds,y,label", "2025-03-20,1.5,0"], {}, ("2025-03-20 00:00:00", {"y": 1.5})),
        (["cpu,when,disk", "1,2025-03-20,2"], {}, ("2025-03-20 00:00:00", {"cpu": 1, "disk": 2})),
        (["a,b,c", "2025-03-20,1,2"], {"value": ("c",)}, ("2025-03-20 00:00:00", {"c": 2})),
        (["a,b,c", "1,2,2025-03-20"], {"time": "c"}, ("2025-03-20 00:00:00", {"a": 1, "b": 2})),
        (["Zeit;Wert", "20.03.2025 10:00;1,5"], {}, ("2025-03-20 10:00:00", {"Wert": 1.5})),
        (["2025-03-20\t1\t2"], {}, ("2025-03-20 00:00:00", {"value 1": 1, "value 2": 2})),
        (["3/4/2025,1"], {}, ("2025-03-04 00:00:00", {"value": 1})),
        (["3/4/2025,1"], {"day_first": True}, ("2025-04-03 00:00:00", {"value": 1})),
        (["2025-07-01 09:00,1"], {"timezone": "Asia/Seoul"}, ("2025-07-01 00:00:00", {"value": 1})),
    ],
)
def test_columns_and_stamps_are_found_or_named(lines, options, first):
    records, program = answers(lines, live.Options(1800, **options))
    time, values = first
    (record,) = records
    assert record["time"] == time
    found = record["values"] if len(values) > 1 else {program.lines.columns[0]: record["value"]}
    assert found == values


def test_a_header_without_the_column_is_one_line():
    with pytest.raises(
        UserError, match="--value cpuu: the header has no such column; did you mean"
    ):
        answers(["time,cpu", "2025-03-20,1"], live.Options(1800, value=("cpuu",)))


def test_local_times_whose_clocks_are_set_back():
    local = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    given = [f"2025-10-26 {time},1" for time in local]
    records, _ = answers(given)
    assert "--timezone Europe/Berlin" in records[3]["note"]
    assert sum("error" in record for record in records) == 2
    records, _ = answers(given, live.Options(1800, timezone="Europe/Berlin"))
    assert [record["row"] for record in records] == list(range(6))
    assert records[5]["time"] == "2025-10-26 02:00:00"
    with pytest.raises(UserError, match="--timezone 'Berlin' is not known here"):
        live.Live(live.Options(timezone="Berlin"))


# ---- the clock -----------------------------------------------------------------------------------


def test_live_fills_gaps_and_refuses_stamps_that_go_back(taxi):
    given = stamped(taxi[:120])
    records, _ = answers(given[:50] + given[60:])
    assert records[50]["row"] == 60
    odd = [*given[:3], given[1], given[3], given[3], "", "nan", "inf"]
    records, _ = answers(odd)
    assert [bool(error) for error in errors_of(records)] == [False] * 3 + [
        True,
        False,
        True,
        False,
        True,
    ]
    assert "not a step later" in records[3]["error"]


def test_missing_rows_are_only_a_later_clock(taxi):
    given = stamped(taxi[:200])
    _, program = answers([*given[:100], given[150]])
    state, _, _ = advance(streaming.start(48), np.append(taxi[:100], np.full(50, np.nan)))
    state, _, _ = step(state, taxi[150])
    assert same(detector_of(program), state)


@pytest.mark.parametrize("ahead", ["2020-01-10T00:00:00", "9999-12-31T23:59:59"])
def test_one_stamp_far_ahead_is_taken_back(taxi, ahead):
    given = stamped(taxi[:120])
    expected, plain = answers(given)
    records, program = answers([*given[:60], f"{ahead},1e6", *given[60:]])
    assert not any(errors_of(records))
    assert "taken back" in records[61].pop("note")
    assert records[:60] + records[61:] == expected
    assert same(program.now, plain.now)


def test_a_first_stamp_far_ahead_is_taken_back_and_falling_stamps_are_refused(taxi):
    given = stamped(taxi[:6])
    records, _ = answers(["2030-01-01,5", *given])
    assert [record["row"] for record in records] == [0, 0, 1, 2, 3, 4, 5]
    records, _ = answers(given[::-1])
    assert [bool(error) for error in errors_of(records)] == [False] * 2 + [True] * 4


def test_ten_steps_ahead_are_sure_and_eleven_in_doubt():
    times = [datetime(2020, 1, 1) + timedelta(minutes=30 * rows) for rows in (0, 1, 11, 12)]
    values = [f"{time},1" for time in times]
    late = f"{datetime(2020, 1, 1, 1)},1"
    assert errors_of(answers([*values[:3], late])[0])[-1]
    records, _ = answers([*values[:2], values[3], late])
    assert not any(errors_of(records))
    assert records[-1]["row"] == 2


@pytest.mark.parametrize("days", [8, 400, 2_900_000])
def test_a_gap_of_any_length_is_a_gap(taxi, days):
    given, at = stamped(taxi[:200]), 120
    later = datetime(2020, 1, 1) + timedelta(minutes=30 * at, days=min(days, 2_900_000))
    rest = stamped(taxi[at:200], start=later.isoformat())
    records, program = answers(given[:at] + rest)
    assert not any(errors_of(records))
    notes = [record["note"] for record in records if "note" in record]
    assert len(notes) == 1
    assert f"nothing came for {days:,}.0 days" in notes[0]
    assert records[at]["row"] == at + days * 48
    # at the same hour: the detector expects what it did
    shift = jax.tree.map(lambda leaf: leaf, detector_of(program))
    assert int(shift.rows) % 48 == 200 % 48
    assert float(shift.day_course[at % 48]) == pytest.approx(
        float(detector_of(answers(given)[1]).day_course[at % 48]), rel=1e-5
    )


def test_rows_beyond_their_type_are_shortened_by_whole_weeks(monkeypatch):
    monkeypatch.setattr(stamps, "MOST_ROWS", 1000)
    times = [datetime(2020, 1, 1) + timedelta(days=days) for days in (0, 1, 21, 22)]
    records, _ = answers([f"{time},1" for time in times])
    assert [record["row"] for record in records] == [0, 48, 48 + 20 * 48 - 2 * 336, 384]


def test_ticks_of_a_history_are_the_rows_of_live(taxi):
    """Gaps, repeated and falling stamps, one far ahead, and a clock that is set back."""
    given = stamped(taxi[:260])
    ahead = stamped(taxi[:1], start="2020-06-01")
    lines = [*given[:50], *given[49:60], *given[90:100], *ahead, *given[100:110], given[3]]
    lines += given[130:140] + given[:130]
    times = [parsed(line).time for line in lines]
    records, _ = answers(lines)
    expected = [record.get("row", -1) for record in records]
    assert expected.count(-1) > live_clock.SET_BACK
    expected[lines.index(ahead[0])] = -1  # taken back by the next one
    ticks = live_clock.ticks_of(times, timedelta(minutes=30), 48)
    assert ticks.tolist() == expected


def test_a_gap_while_the_detector_is_young_does_not_make_it_old(taxi):
    """What little it saw is nothing to compare with: about half a day is counted first."""
    rest = stamped(taxi[:40], start="2020-01-04")
    records, _ = answers(stamped(taxi[:20]) + rest)
    scored = [i for i, record in enumerate(records) if record["score"]]
    assert scored[0] == 20 + 22


def test_a_clock_that_was_set_back_is_followed_at_the_same_hour(taxi):
    given = stamped(taxi[:300])
    ahead = stamped(taxi[:2], start="2021-01-01")
    records, program = answers([*given[:100], *ahead, *given[100:]])
    refused = [i for i, error in enumerate(errors_of(records)) if error]
    assert refused == list(range(102, 102 + live_clock.SET_BACK - 1))
    assert "set back" in records[201]["note"]
    assert records[201]["row"] % (7 * 48) == (100 + live_clock.SET_BACK - 1) % (7 * 48)
    assert program.now.memory.last == datetime(2020, 1, 1) + timedelta(minutes=30 * 299)


def test_a_stamp_that_stands_still_never_counts_as_a_clock_set_back(taxi):
    given = stamped(taxi[:20])
    records, _ = answers([*given, *[given[3]] * 150, *given[1:3] * 60])
    assert all(errors_of(records)[20:])


def test_a_line_without_a_stamp_is_a_step_later():
    records, _ = answers(["2020-01-01T00:00,1", "2", "2020-01-01T01:00,3"])
    assert [record["row"] for record in records] == [0, 1, 2]


# ---- the step ------------------------------------------------------------------------------------


def test_without_a_given_step_the_stamps_tell(taxi):
    given = stamped(taxi[:80])
    found, program = answers(given, live.Options())
    expected, plain = answers(given)
    assert "the step is 1800 s (the median of the first 10 differences)" in found[10].pop("note")
    assert found == expected
    assert same(program.now, plain.now)
    gap = given[:3] + given[5:]
    assert [record["row"] for record in answers(gap, live.Options())[0]][10:12] == [12, 13]
    records, program = answers(["5", "6"], live.Options())
    assert "300 s (no stamp tells)" in records[0]["note"]
    assert int(detector_of(program).day) == 288


def test_a_step_that_the_stamps_told_is_kept_at_once(taxi, tmp_path):
    path, given = tmp_path / "state.npz", stamped(taxi[:12])
    _, program = answers(given[:11], live.Options(state=path))
    program.close()
    assert stored(path)[0].step == timedelta(minutes=30)
    with pytest.raises(UserError, match="step-seconds 1800, not 300"):
        live.Live(live.Options(300, state=path))
    records, program = answers(given[11:], live.Options(state=path))
    program.close()
    assert records[0]["row"] == 11


def test_a_given_step_that_cannot_be_right_is_told_once(taxi):
    records, _ = answers(stamped(taxi[:40], 3600), live.Options(300))
    notes = {i: record["note"] for i, record in enumerate(records) if "note" in record}
    assert list(notes) == [10]
    assert "3600 s apart" in notes[10]
    assert not any("note" in record for record in answers(stamped(taxi[:40]))[0])


# ---- the state file ------------------------------------------------------------------------------


def test_live_goes_on_where_it_stopped(taxi, tmp_path):
    given, path = stamped(taxi[:260]), tmp_path / "state.npz"
    whole, _ = answers(["timestamp,value", *given])
    parts, first = answers(given[:150], live.Options(1800, state=path))
    first.save()
    first.close()
    rest, second = answers(given[150:], live.Options(state=path))  # the step is in the file
    second.close()
    assert parts + rest == whole
    assert whole[-1]["row"] == 259
    with pytest.raises(UserError, match="step-seconds 1800, not 300"):
        live.Live(live.Options(300, state=path))
    path.write_text("no state")
    with pytest.raises(UserError, match="earlier version"):
        live.Live(HALF_HOUR.__class__(1800, state=path))


def killed(lines, path, cut, save_every=40, step_seconds=1800.0):
    """Answers to `lines` by programs that are killed after the rows in `cut`."""
    records, options = [], live.Options(step_seconds, state=path, save_every=save_every)
    for first, end in zip([0, *cut], [*cut, len(lines)], strict=True):
        found, program = answers(lines[first:end], options)
        program.close()  # nothing is saved
        records += found
    return records


@pytest.mark.parametrize("step_seconds", [1800.0, None])
def test_a_kill_after_any_answer_changes_none(taxi, tmp_path, step_seconds):
    given = stamped(taxi[:130])
    given[60:60] = ["2020-01-10,7", "2020-13-01,7", given[3]]  # in doubt; refused later
    whole, _ = answers(given, live.Options(step_seconds))
    cut = [1, 2, 7, 12, 40, 41, 61, 62, 63, 64, 81, 120, 121]
    records = killed(given, tmp_path / "state.npz", cut, step_seconds=step_seconds)
    for record in whole + records:
        record.pop("note", None)
    assert records == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == [".state.npz.journal", "state.npz"]


def test_a_stamp_in_doubt_is_saved_with_the_state(taxi, tmp_path):
    given, path = stamped(taxi[:60]), tmp_path / "state.npz"
    whole, plain = answers(given)
    _, program = answers([*given[:55], "2020-01-10,1e6"], live.Options(1800, state=path))
    program.save()
    program.close()
    rest, program = answers(given[55:], live.Options(1800, state=path))
    program.close()
    assert "taken back" in rest[0].pop("note")
    assert rest == whole[55:]
    assert same(program.now, plain.now)


def test_refused_stamps_are_counted_over_a_restart(taxi, tmp_path):
    given, path = stamped(taxi[:160]), tmp_path / "state.npz"
    lines = [*given[:30], *stamped([1, 2], start="2021-01-01"), *given[30:]]
    whole, plain = answers(lines)
    parts = []
    for part in (lines[:80], lines[80:]):
        found, program = answers(part, live.Options(1800, state=path))
        program.save()
        program.close()
        parts += found
    assert parts == whole
    assert same(program.now, plain.now)


def test_a_kill_between_the_state_and_the_cut_counts_no_row_twice(taxi, tmp_path):
    given, path = stamped(taxi[:60]), tmp_path / "state.npz"
    whole, _ = answers(given)
    _, program = answers(given[:30], live.Options(1800, state=path))
    journal = program._file.journal.read_bytes()
    program.save()
    program.close()
    program._file.journal.write_bytes(journal)
    rest, program = answers(given[30:], live.Options(1800, state=path))
    program.close()
    assert rest == whole[30:]


def test_a_torn_last_line_is_dropped_and_told(taxi, tmp_path):
    given, path = stamped(taxi[:60]), tmp_path / "state.npz"
    whole, _ = answers(given)
    for row in range(10, 50):
        found, program = answers(
            [given[row]] if row > 10 else given[:11], live.Options(1800, state=path)
        )
        assert found[-1]["row"] == row
        program.close()
        data = program._file.journal.read_bytes()
        last = data.splitlines()[-1]
        program._file.journal.write_bytes(data + last[: row - 9])  # of a next row
    rest, program = answers(given[50:], live.Options(1800, state=path))
    program.close()
    assert "torn by a kill" in rest[0].pop("note")
    assert rest == whole[50:]


def test_the_state_is_saved_every_so_often(taxi, tmp_path):
    path = tmp_path / "state.npz"
    program = live.Live(live.Options(1800, state=path, save_every=4))
    given = stamped(taxi[:9])
    saved = [path.exists() for _ in program.answers([*given[:3], *given[5:]])]
    program.close()
    assert saved == [False] * 4 + [True] * 3  # the state is written when the next line is asked for
    state, events = stored(path)
    assert (state.memory.rows, events) == (6, 4)
    assert len(program._file.journal.read_text().splitlines()) == 1 + 3


def test_every_flipped_bit_of_the_state_is_noticed(taxi, tmp_path):
    path = tmp_path / "state.npz"
    _, program = answers(stamped(taxi[:100]), live.Options(1800, state=path))
    program.save()
    program.close()
    good = path.read_bytes()
    assert stored(path)[1] == 100
    assert set(np.load(path)) >= {"0_day_course", "about"}  # still a plain .npz
    bits = [
        *range(8 * 2048),
        *range(8 * 2048, 8 * len(good), 37),
        *range(8 * (len(good) - 90), 8 * len(good)),
    ]
    for bit in bits:
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"^is damaged, or was written by an earlier version"):
            live_state.unpack(bytes(bad))
    for cut in (0, 1, 63, 64, 65, len(good) // 2, len(good) - 1):
        with pytest.raises(ValueError, match=r"^is damaged"):
            live_state.unpack(good[:cut])
    with pytest.raises(ValueError, match=r"^is damaged"):
        live_state.unpack(good + b"\n")


def test_every_flipped_bit_of_the_journal_is_noticed(tmp_path):
    path = tmp_path / "state.npz"
    events = [parsed(line) for line in stamped([1.5, math.nan, 3])]
    layout = live_lines.Layout(",", 2, 0, (1,), ("value",))
    file = live_state.StateFile(path)
    for event in events:
        file.write_down(event, timedelta(minutes=30), layout)
    file.close()
    good = file.journal.read_bytes()

    def read(content):
        file.journal.write_bytes(content)
        again = live_state.StateFile(path)
        try:
            (step, _), found = again.journal_head(), list(again.replay())
        finally:
            again.close()
        return step, repr(found), again.torn

    assert read(good) == (timedelta(minutes=30), repr(events), False)
    for bit in range(8 * len(good) - 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UserError, match="is damaged") as error:
            read(bytes(bad))
        assert "\n" not in str(error.value)
    # without its end the last row is one that a kill has torn
    assert read(good[:-1] + b"?") == (timedelta(minutes=30), repr(events[:2]), True)
    assert read(good[:9]) == (None, "[]", True)


def test_a_file_with_a_right_sum_that_holds_something_else_is_refused(taxi):
    _, program = answers(stamped(taxi[:5]))
    detector, state = program.detector, program.now
    good = live_state.pack(detector, state, 3)
    restored, events = live_state.restore(live_state.unpack(good), detector)
    assert same(restored.memory.detector, state.memory.detector)
    assert restored == state._replace(memory=restored.memory)
    assert events == 3
    for change in ({"day": jnp.int32(0)}, {"mean": jnp.zeros(3)}, {"rows": jnp.float32(1)}):
        changed = (detector_of(program)._replace(**change),)
        memory = state.memory._replace(detector=changed)
        bad = live_state.unpack(live_state.pack(detector, state._replace(memory=memory), 3))
        with pytest.raises(ValueError, match=r"^is not a state of this detector"):
            live_state.restore(bad, detector)
    found = live_state.unpack(good)
    for name, value in (
        ("step", 0),
        ("events", -1),
        ("day", 1.5),
        ("memory", []),
        ("refused", None),
    ):
        bad = found._replace(about={**found.about, name: value})
        with pytest.raises(ValueError, match=r"^is not a state of this detector"):
            live_state.restore(bad, detector)
    for other in (StreamingDetector(("value",), 24), StreamingDetector(("a", "b"), 48)):
        with pytest.raises(ValueError, match="is a state of another detector"):
            live_state.restore(found, other)


def test_a_journal_without_its_state_is_refused(taxi, tmp_path):
    path = tmp_path / "state.npz"
    _, program = answers(stamped(taxi[:9]), live.Options(1800, state=path, save_every=4))
    program.close()
    path.unlink()
    with pytest.raises(UserError, match="does not follow"):
        live.Live(live.Options(1800, state=path))


def test_two_programs_do_not_share_a_state(tmp_path):
    path = tmp_path / "state.npz"
    first = live.Live(live.Options(1800, state=path))
    (tmp_path / "link.npz").symlink_to(path)
    for name in ("state.npz", "link.npz"):
        with pytest.raises(UserError, match="in use by another process"):
            live.Live(live.Options(1800, state=tmp_path / name))
    first.close()
    live.Live(live.Options(1800, state=path)).close()


# ---- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"step_seconds": 0}, "step-seconds"),
        ({"step_seconds": float("nan")}, "step-seconds"),
        ({"threshold": float("nan")}, "threshold"),
        ({"save_every": 0}, "save-every"),
        ({"state": Path("/no/such/folder/s.npz")}, "no such folder"),
        ({"state": Path(__file__).parent}, "no plain file"),
        ({"state": Path("/dev/null")}, "no plain file"),
    ],
)
def test_live_refuses_in_one_line(options, words):
    with pytest.raises(UserError, match=words) as error:
        live.Live(live.Options(**options))
    assert "\n" not in str(error.value)


def test_live_misspelt_option_is_one_line(capsys):
    assert live.main(["--step-second", "3"]) == 2
    assert capsys.readouterr().err == (
        "error: unknown option --step-second; did you mean --step-seconds?\n"
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_program_answers_at_once_and_saves_when_it_is_stopped(signum, tmp_path):
    command = [sys.executable, "-m", "jaxdl.score", "--series", "--step-seconds", "3600"]
    command += ["--state", str(tmp_path / "state.npz")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        process.stdin.write("5\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())  # the input is still open
        process.send_signal(signum)
        assert process.wait(30) == 128 + signum
        assert process.stderr.read() == "1 rows, 0 alarms, 0 lines skipped\n"
    assert (answer["row"], answer["value"], answer["alarm"]) == (0, 5.0, False)
    state, _ = stored(tmp_path / "state.npz")
    assert state.memory.rows == 1


def test_a_file_gives_what_its_lines_give(taxi, tmp_path, capsys):
    lines = ["timestamp,value", *stamped(taxi[:60])]
    expected, _ = answers(lines)
    path = tmp_path / "own.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert live.main(["--series", str(path)]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == expected
    assert "time: column timestamp; values: value" in err
    assert "the step is 1800 s (the median of the differences)" in err
    assert live.main([str(path)]) == 2
    assert "is not a scorer file" in capsys.readouterr().err
    assert live.main(["-", str(path)]) == 2
    assert f"a file is given as --series {path}" in capsys.readouterr().err
    assert live.main(["--series", str(tmp_path / "absent.csv")]) == 2
    assert "does not exist" in capsys.readouterr().err


def shell(line, given=""):
    command = f"{sys.executable} -m jaxdl.live --step-seconds 300 {line}"
    done = subprocess.run(
        ["bash", "-c", command], input=given, capture_output=True, text=True, cwd=ROOT
    )
    return done.returncode, done.stdout, done.stderr


def test_closed_descriptors_and_a_damaged_state_are_one_line(tmp_path):
    state = tmp_path / "state.npz"
    state.write_bytes(b"PK\x03\x04 and so on")
    assert shell("<&-") == (2, "", "error: standard input is closed\n")
    assert shell(">&-", "5\n") == (2, "", "error: standard output is closed\n")
    status, out, told = shell("2>&-", "5\n5_0\n")
    assert (status, told) == (0, "")
    assert [sorted(json.loads(line)) for line in out.splitlines()][1] == ["error"]
    assert len(out.splitlines()) == 2
    status, out, told = shell(">/dev/full", "5\n")
    assert (status, told) == (
        2,
        "error: standard output cannot be written (No space left on device)\n",
    )
    status, out, told = shell(f"--state {state}", "5\n")
    assert (status, out, told.count("\n")) == (2, "", 1)
    assert told.startswith(f"error: {state} is damaged")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="shows descriptors on Linux only")
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    """What a library writes to the number 2 would end up in the journal."""
    command = f"exec {sys.executable} -m jaxdl.live --state {tmp_path / 'state.npz'} 2>&-"
    with subprocess.Popen(["bash", "-c", command], stdin=-1, stdout=-1, cwd=ROOT) as process:
        process.stdin.write(b"5\n")
        process.stdin.flush()
        process.stdout.readline()
        assert Path(f"/proc/{process.pid}/fd/2").readlink() == Path("/dev/null")


def test_an_overlong_line_of_the_pipe_is_one_bad_line():
    status, out, told = shell("", "x" * 4096 + "7.5\n" + "x" * 9000 + "\n8\n")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record.get("value") for record in records] == [None, None, 8.0]
    assert [sorted(record) for record in records[:2]] == [["error"]] * 2
    assert (status, told) == (0, "1 rows, 0 alarms, 2 lines skipped\n")


def test_kill_9_forgets_no_answered_row(taxi, tmp_path):
    """The same answers as without; the default setting saves the state only after 1,000 rows."""
    given, rows = stamped(taxi[:120]), []
    whole, _ = answers(given)
    command = [sys.executable, "-m", "jaxdl.live", "--step-seconds", "1800"]
    command += ["--state", str(tmp_path / "state.npz")]
    for end in (60, 120):
        with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=ROOT) as process:
            process.stdin.write("\n".join(given[len(rows) : end]) + "\n")
            process.stdin.flush()
            while len(rows) < end:
                rows.append(json.loads(process.stdout.readline()))
            process.kill()
    assert rows == whole
