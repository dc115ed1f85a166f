"""What a run with --series leaves for `python -m jaxdl.live`, and how it is read.

    detector.npz    the streaming detector after the history: a state file (`live_state`) that also
                    holds the run's threshold; plain arrays, no pickle, a sha256 at its end
    scorer.jaxdl    a trained model of windows: a scorer file (`scorer_file`) whose rows are windows

Both are made where the series' own clock and columns are known, and say them.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from jaxdl.errors import UserError
from jaxdl.serving import live_detector, live_state
from jaxdl.serving.live_clock import LiveState
from jaxdl.serving.live_detector import LiveDetector, StreamingDetector
from jaxdl.stamps import LEAST_STEP, MOST_STEP, rows_of_a_day

DETECTOR_FILE = "detector.npz"
LEAST_SECONDS, MOST_SECONDS = LEAST_STEP.total_seconds(), MOST_STEP.total_seconds()
SCORER_FILE = "scorer.jaxdl"  # `scorer_file.FILE_NAME`, which needs JAX


class Loaded(NamedTuple):
    """What a run knows of a series.

    Attributes:
        detector: with the run's threshold.
        step: of its clock.
        state: after the history; None: the detector begins with the first window.
    """

    detector: LiveDetector
    step: timedelta
    state: LiveState | None


def pack_streaming(
    detector: StreamingDetector, state: LiveState, origin: Mapping[str, Any]
) -> bytes:
    """The bytes of `detector.npz`.

    Args:
        detector: with its threshold.
        state: after the history.
        origin: where data and threshold come from; plain JSON.
    """
    more = {"threshold": detector.rule.threshold, "provenance": dict(origin)}
    return live_state.pack(detector, state, 0, more=more)


def load(path: Path, threshold: float | None) -> Loaded:
    """What a run folder, or one of its files, holds for a live series.

    Args:
        path: of the folder or the file.
        threshold: instead of the run's.

    Raises:
        UserError: there is nothing, or it is damaged or of another kind; one line.
    """
    file = path
    if path.is_dir():
        file = next((path / n for n in (DETECTOR_FILE, SCORER_FILE) if (path / n).exists()), path)
        if file == path:
            raise UserError(
                f"{path} holds neither {DETECTOR_FILE} nor {SCORER_FILE}: run nab_benchmark or "
                "nab_conv1d_ae with --series FILE first"
            )
    if file.suffix == ".npz":
        return _load_streaming(file, threshold)
    return _load_windows(file, threshold)


def _load_streaming(path: Path, threshold: float | None) -> Loaded:
    try:
        if path.stat().st_size > live_state.MOST_BYTES:
            raise UserError(f"{path} has more than {live_state.MOST_BYTES:,} bytes")
        stored = live_state.unpack(path.read_bytes())
        key, own = stored.about["detector"], stored.about.get("threshold")
        if key.get("kind") != "streaming" or type(own) is not float or not math.isfinite(own):
            raise ValueError("is no detector that a run left")
        columns = tuple(key["columns"])
        detector = StreamingDetector(columns, key["day"], own if threshold is None else threshold)
        state, _ = live_state.restore(stored, detector)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        text = (
            "is no detector that a run left" if isinstance(error, KeyError | TypeError) else error
        )
        raise UserError(f"{path} {text}") from error
    return Loaded(detector, state.step, state)


def _load_windows(path: Path, threshold: float | None) -> Loaded:
    from jaxdl.serving import scorer_file

    scorer = scorer_file.load(path)
    about = scorer.metadata["provenance"].get("series")
    seconds = about.get("step_seconds") if isinstance(about, dict) else None
    good = isinstance(seconds, int | float) and LEAST_SECONDS <= seconds <= MOST_SECONDS
    step = timedelta(seconds=seconds) if good and seconds is not None else None
    if step is None:
        raise UserError(
            f"{path} is a scorer of rows of a table, not of a series: see python -m jaxdl.score"
        )
    try:
        detector = live_detector.of_scorer(scorer, rows_of_a_day(step), threshold)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return Loaded(detector, step, None)
