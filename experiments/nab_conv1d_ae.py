"""Lab 170 - Conv1D autoencoder on NAB: a day that jumps up (시계열 이상 탐지)

A convolutional autoencoder learns to copy windows of one day (288 steps of five minutes) of the
quiet series `art_daily_small_noise`. Then it is shown `art_daily_jumpsup`, whose values on
2014-04-11 from 09:00 to 17:55 are higher than they should be: 108 points. What it has never seen it
copies badly. The steps are the lecture's:

1. Scale both series with the mean and deviation of the first, and cut them into windows.
2. Train the autoencoder on windows of the quiet series.
3. Take the error of every window: how far the copy is from the window.
4. Set a threshold on errors of the quiet series; flag the test windows above it.
5. Flag the points all of whose windows are flagged.

Two protocols do this, the published one and a sound one without its leaks. They differ in this:

                   published (lecture, Keras)             sound
    validation     last tenth of the windows, which       last fifth of the series, which shares no
                   overlap the training windows           point with the training windows
    error          mean absolute (MAE)                    mean squared (MSE), and MAE beside it
    threshold      highest training error                 quantile of the validation errors
    a point needs  all its windows but the last           all its windows
    patience       5 epochs                               10 epochs

The notebooks look for the windows of a point one place off, so they leave its last window out; the
stored run found 107 of 108 points.
Both nets (the lecture's, and the one of the Keras example it comes from) go through both. Weak
baselines: the nets untrained, and a PCA of the windows. The net is trained on the squared error,
and with it a window that holds one bad point stands out enough to find the ends of the block; with
the absolute error not always.

    python run.py experiments/nab_conv1d_ae.py --seeds 10
    python run.py experiments/nab_conv1d_ae.py --series my.csv --window 48 --alerts-per-week 2
    python run.py experiments/nab_conv1d_ae.py --preset quick

With --series the first half of a series of your own is learnt and the second tested, also with
several columns of values; --alerts-per-week takes the place of the sound protocol's quantile.
Uneven, missing and repeated stamps are put on an even clock, and the run says how. It leaves
incidents.csv and incidents.jsonl (start, end, peak, score, columns), a figure of them, and
scorer.jaxdl for `python -m jaxdl.live RUN -`.

The lecture's net has four times as many numbers in the middle as a window. On shorter windows it
can copy what it was never shown, so with any other window than the lecture's 288 points a dense
layer squeezes it: an eighth of the window's numbers.

Reference: the published notebook has 9,313 parameters and finds 107 points, none of them false
(n = 1). Expected (n = 10, real data): with either net the sound protocol with MSE finds 108 of 108
points and no false one with every seed, with MAE with 7 of 10; the published one has a false point
in half of the seeds.

Runtime: 25 minutes for ten seeds of both nets on one busy CPU core, quick 20 s.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped
from sklearn.decomposition import PCA

from datasets import nab, user_series
from jaxdl import optim
from jaxdl.anomaly import detectors, thresholds
from jaxdl.anomaly.thresholds import Threshold
from jaxdl.errors import UserError, refuse_without
from jaxdl.figures.base import Axes, Figure, subplots
from jaxdl.figures.curves import loss_curves
from jaxdl.figures.decisions import histogram
from jaxdl.figures.series import flagged_points, incidents_over_time, series
from jaxdl.models import conv1d, window_autoencoder
from jaxdl.report import Results, Table
from jaxdl.report.table import Cell
from jaxdl.runs import Run
from jaxdl.serving import export, scorer_file
from jaxdl.serving.live_detector import leading_columns
from jaxdl.tables.schema import nearly_constant
from jaxdl.timeseries import incidents, windows
from jaxdl.training import Fitted, Task, module_functions

JUMP = "artificialWithAnomaly/art_daily_jumpsup"


@dataclass(frozen=True)
class Config(user_series.SeriesFile):
    train_series: str = "artificialNoAnomaly/art_daily_small_noise"
    """NAB series to learn from."""
    test_series: str = JUMP
    """NAB series to look for anomalies in."""
    window: int = 288
    """Points in a window; a multiple of 4."""
    epochs: int = 25
    """Most epochs of training (the notebook allows 50 and stops after 13)."""
    published_patience: int = 5
    """Patience of the published protocol."""
    patience: int = 10
    """Patience of the sound protocol."""
    batch_size: int = 128
    """Windows in a step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    valid_share: float = 0.2
    """Share of the series, at its end, that validates in the sound protocol."""
    alarm_rate: float = 0.01
    """Share of validation windows above the quantile threshold."""
    alerts_per_week: float | None = None
    """With --series, instead of --alarm-rate: so many incidents a week."""
    truth_above: float = 100.0
    """Test values above this are the true block (known only to the evaluation)."""
    keras_net: bool = True
    """Also train the net of the Keras example."""
    untrained: bool = True
    """Also show the untrained nets."""


PRESETS = {
    "quick": Config(epochs=2, batch_size=256, learning_rate=5e-3, keras_net=False, untrained=False)
}


def main(config: Config, run: Run) -> Results:
    data = load_data(config, run)
    train, test = data.train, data.test
    check_sizes(config, len(train), len(test))
    check_alerts(config, data)
    scaled_train, scaled_test = standardise(train, test)
    published = published_protocol(scaled_train, config)
    sound = sound_protocol(scaled_train, config, None if data.own is None else data.own.step)
    test_windows, starts = whole_windows(scaled_test, config, "test")

    code = window_autoencoder.code_for(config.window, test.shape[1])
    nets = {"lecture net": window_autoencoder.lecture_net(code)}
    if config.keras_net:
        nets["Keras net"] = window_autoencoder.keras_net(code)
    fit_net = partial(fit_autoencoder, config, run, test_windows=test_windows, test_starts=starts)
    fitted = []
    for name, net in nets.items():
        fitted.append(fit_net(name, net, published, config.epochs))
        if config.untrained:
            fitted.append(fit_net(name, net, sound, epochs=0))
        fitted.append(fit_net(name, net, sound, config.epochs))
    components = min(16, config.window // 2, len(sound.train_windows))
    fitted.append(fit_pca(components, sound, test_windows, starts))

    truth = test[:, 0] > config.truth_above if data.own is None else None
    rows = [row for detector in fitted for row in table_rows(detector, truth, len(test))]
    title = "Flagged points of the test series; thresholds from training or validation windows only"
    notes = [
        "Both protocols give back the weights of the best validation loss; the published "
        "notebooks keep the last ones."
    ]
    if data.own is None and config.test_series == JUMP:
        notes[0] += (
            " That the squared error serves better than the absolute one was seen on this test "
            "series; the thresholds know nothing of it."
        )
    results = Results(
        tables=[Table(title, rows, digits=4)],
        figures=figures(train[:, 0], test[:, 0], scaled_test[:, 0], fitted, truth),
        headline=headline(rows),
        notes=notes,
    )
    if data.own is None:
        return results
    trained = next(each for each in fitted if each.fitted and each.protocol is sound)
    return with_incidents(results, config, run, data, trained, test_windows)


# ---- data ----------------------------------------------------------------------------------------

Values = Float[np.ndarray, "n channels"]


class Data(NamedTuple):
    """What is learnt and what is tested.

    Attributes:
        train, test: the values.
        columns: their names.
        own: the user's series; None: they are NAB's.
        test_time: datetime64 of the tested rows of the user's series.
    """

    train: Values
    test: Values
    columns: tuple[str, ...]
    own: user_series.UserSeries | None = None
    test_time: Shaped[np.ndarray, " m"] | None = None


def load_data(config: Config, run: Run) -> Data:
    """The series to learn from and the series to test; a user's file is cut in half."""
    own = config.load_series(run.source)
    if own is None:
        given = {"alerts_per_week": config.alerts_per_week is not None}
        refuse_without("series FILE", given)
        train = nab.load(run.source, config.train_series)
        test = nab.load(run.source, config.test_series)
        run.uses(train.provenance)
        run.uses(test.provenance)
        return Data(train.value[:, None], test.value[:, None], ("value",))
    run.uses(own.provenance)
    for remark in own.remarks:
        run.say(f"series: {remark}")
    even = own.for_windows()
    half = len(even.value) // 2
    varies = [not nearly_constant(column[~np.isnan(column)]) for column in even.value[:half].T]
    if any(varies) and not all(varies):
        constant = [name for name, kept in zip(own.columns, varies, strict=True) if not kept]
        run.say(f"series: left out, since it does not vary: {', '.join(constant)}")
    value = even.value[:, varies] if any(varies) else even.value
    columns = tuple(name for name, kept in zip(own.columns, varies, strict=True) if kept)
    return Data(value[:half], value[half:], columns or own.columns, own, even.time[half:])


def check_sizes(config: Config, train_points: int, test_points: int) -> None:
    """Whether the series are long enough for the window, the split and the threshold.

    Raises:
        UserError: they are not, or a number is out of its range.
    """
    window, valid_share, alarm_rate = config.window, config.valid_share, config.alarm_rate
    if window < 4 or window % 4:
        raise UserError(f"--window {window}: give a multiple of 4")
    for option, share in (("valid-share", valid_share), ("alarm-rate", alarm_rate)):
        if not 0 < share < 1:
            raise UserError(f"--{option} {share}: give a number between 0 and 1")
    if config.alerts_per_week is not None and not config.alerts_per_week > 0:
        raise UserError(f"--alerts-per-week {config.alerts_per_week}: give more than 0")
    asked = f"--window {window} and --valid-share {valid_share}"
    if config.alerts_per_week is None:
        asked = f"--window {window}, --valid-share {valid_share} and --alarm-rate {alarm_rate}"
    learning = learning_points(train_points, valid_share)
    validating = train_points - learning
    enough_to_learn = min(learning, test_points) >= 2 * window
    enough_to_validate = validating - window + 1 >= least_valid_windows(config)
    if not (enough_to_learn and enough_to_validate):
        raise UserError(
            f"{learning} + {validating} rows to learn and validate and {test_points} to test are "
            f"too few for {asked}: use a smaller --window, or a longer series"
        )


def least_valid_windows(config: Config) -> float:
    """Validation windows that the threshold needs: so many that a quantile leaves one above it.

    A threshold by alerts needs two, which differ; `check_alerts` asks for more.
    """
    return 1 / config.alarm_rate if config.alerts_per_week is None else 2


def check_alerts(config: Config, data: Data) -> None:
    """Whether the validation windows hold at least one of the alerts asked for.

    Raises:
        UserError: they do not.
    """
    if config.alerts_per_week is None:
        return
    rows = len(data.train) - learning_points(len(data.train), config.valid_share)
    weeks = weeks_of(data.own.step, rows - config.window + 1)
    alerts = config.alerts_per_week * weeks
    if alerts < 1:
        raise UserError(
            f"--alerts-per-week {config.alerts_per_week:g}: the {7 * weeks:.3g} days that validate "
            f"hold {alerts:.2g} of them; ask for more than {1 / weeks:.2g}, or give a longer series"
        )


def learning_points(points: int, valid_share: float) -> int:
    """How many points of the training series the sound protocol learns from."""
    return round((1 - valid_share) * points)


def standardise(train: Values, test: Values) -> tuple[Values, Values]:
    """Both series minus the mean of the first, divided by its standard deviation, by column.

    Raises:
        UserError: a column of the first series is constant, or a value does not fit into float32.
    """
    mean, deviation = moments(train)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled_train, scaled_test = (train - mean) / deviation, (test - mean) / deviation
        farthest = np.nanmax(np.abs(np.concatenate([scaled_train, scaled_test])), axis=0)
    # infinity and NaN are not less
    good = np.isfinite(deviation) & (deviation > 0) & (farthest < np.finfo(np.float32).max)
    if not good.all():
        raise UserError(
            "a column of the series to learn from is constant, or its values are out of all range"
        )
    return scaled_train, scaled_test


def moments(
    train: Values,
) -> tuple[Float[np.ndarray, " channels"], Float[np.ndarray, " channels"]]:
    """Mean and standard deviation of each column, gaps left out."""
    known = [column[~np.isnan(column)] for column in train.T]
    with np.errstate(over="ignore", invalid="ignore"):
        means = [column.mean() for column in known]
        deviations = [column.std(ddof=1) for column in known]
    return np.array(means), np.array(deviations)


Windows = Float[np.ndarray, "windows window channels"]
Starts = Int[np.ndarray, " windows"]


def whole_windows(scaled: Values, config: Config, use: str) -> tuple[Windows, Starts]:
    """Windows that cross no gap, and the point where each begins.

    Raises:
        UserError: hardly any is left.
    """
    x, start = windows.without_gaps(scaled, config.window)
    least = config.window
    if use == "validate":
        least = max(least, least_valid_windows(config))
    if np.isnan(scaled).any() and len(x) < least:
        raise UserError(
            f"gaps leave {len(x)} windows of {config.window} rows to {use}: use a smaller --window"
        )
    return x, start


# ---- the two protocols ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Protocol:
    """Which windows a detector learns from, and how its errors become flags.

    Attributes:
        name: for the table.
        train_windows: what the detector learns from.
        valid_windows: what stops the training.
        patience: epochs without a lower validation loss before the training stops.
        errors: the errors that are tried, "MAE" or "MSE", the most telling first.
        threshold: (errors of the training windows, of the validation windows) -> threshold.
        flagged_points: (flags of the windows, points in a window) -> flags of the points.
    """

    name: str
    train_windows: Windows
    valid_windows: Windows
    patience: int
    errors: tuple[str, ...]
    threshold: Callable[[Float[np.ndarray, " train"], Float[np.ndarray, " valid"]], float]
    flagged_points: Callable[[Bool[np.ndarray, " windows"], int], Bool[np.ndarray, " n"]]


def published_protocol(scaled_train: Values, config: Config) -> Protocol:
    """As the lecture and the Keras example have it: Keras holds out the last tenth of windows."""
    everything, _ = whole_windows(scaled_train, config, "learn")
    cut = round(0.9 * len(everything))

    def highest_training_error(train_errors, valid_errors):
        del valid_errors
        return float(train_errors.max())

    return Protocol(
        name="published",
        train_windows=everything[:cut],
        valid_windows=everything[cut:],
        patience=config.published_patience,
        errors=("MAE",),
        threshold=highest_training_error,
        flagged_points=windows.lecture_points,
    )


def sound_protocol(scaled_train: Values, config: Config, step: timedelta | None = None) -> Protocol:
    """Validation behind the training series, threshold from it, and no window left out.

    Args:
        scaled_train: the series to learn from.
        config: of the lab.
        step: between its rows, for a threshold by alerts a week.
    """
    cut = learning_points(len(scaled_train), config.valid_share)

    def threshold_of_validation_errors(train_errors, valid_errors):
        del train_errors
        return threshold_of(config, step, valid_errors).value

    return Protocol(
        name="sound",
        train_windows=whole_windows(scaled_train[:cut], config, "learn")[0],
        valid_windows=whole_windows(scaled_train[cut:], config, "validate")[0],
        patience=config.patience,
        errors=("MSE", "MAE"),
        threshold=threshold_of_validation_errors,
        flagged_points=windows.points_in_flagged_windows,
    )


# ---- training ------------------------------------------------------------------------------------

Errors = Mapping[str, Float[np.ndarray, "seeds windows"]]


@dataclass(frozen=True)
class Detector:
    """A model that was fitted as a protocol says, and the errors that its windows have.

    Attributes:
        name: for the table.
        parameters: numbers in the model.
        protocol: what it was fitted by.
        train_errors, valid_errors, test_errors: "MAE" and "MSE" of the windows, for every seed.
        test_starts: the first point of each test window.
        fitted: the trained net; None if nothing was trained.
    """

    name: str
    parameters: int
    protocol: Protocol
    train_errors: Errors
    valid_errors: Errors
    test_errors: Errors
    test_starts: Starts
    fitted: Fitted | None = None


def fit_autoencoder(
    config: Config,
    run: Run,
    name: str,
    net: window_autoencoder.ConvAutoencoder,
    protocol: Protocol,
    epochs: int,
    test_windows: Windows,
    test_starts: Starts,
) -> Detector:
    """Train a net with every seed on the mean squared error; 0 epochs leave it as it starts."""
    init, apply = module_functions(net)

    def optimizer(hyper):
        return optim.adam(config.learning_rate)

    fitted = run.fit(
        f"{name} {protocol.name} {'trained' if epochs else 'untrained'}".replace(" ", "_"),
        Task(init, apply, windows.window_loss, optimizer, convolves=True),
        {"x": protocol.train_windows},
        {"x": protocol.valid_windows},
        epochs=epochs,
        batch_size=config.batch_size,
        patience=protocol.patience if epochs else None,
    )
    # `window_errors` gives {"MAE": ..., "MSE": ...}, in both a row for each seed
    return Detector(
        name=name if epochs else f"{name}, untrained",
        parameters=fitted.parameter_count,
        protocol=protocol,
        train_errors=fitted.predict(windows.window_errors, {"x": protocol.train_windows}),
        valid_errors=fitted.predict(windows.window_errors, {"x": protocol.valid_windows}),
        test_errors=fitted.predict(windows.window_errors, {"x": test_windows}),
        test_starts=test_starts,
        fitted=fitted if epochs else None,
    )


def fit_pca(
    components: int, protocol: Protocol, test_windows: Windows, test_starts: Starts
) -> Detector:
    """The linear baseline: windows projected on the first principal components and back."""
    pca = PCA(components, svd_solver="full").fit(flat(protocol.train_windows))
    return Detector(
        name=f"PCA, {components} components",
        parameters=pca.components_.size + pca.mean_.size,
        protocol=protocol,
        train_errors=pca_errors(pca, protocol.train_windows),
        valid_errors=pca_errors(pca, protocol.valid_windows),
        test_errors=pca_errors(pca, test_windows),
        test_starts=test_starts,
    )


def flat(x: Windows) -> Float[np.ndarray, "windows numbers"]:
    """All numbers of a window in one row."""
    return x.reshape(len(x), -1)


def pca_errors(pca: PCA, x: Windows) -> Errors:
    """`windows.window_errors` of a PCA: a population of one."""
    rows = flat(x)
    difference = pca.inverse_transform(pca.transform(rows)) - rows
    return {
        "MAE": np.abs(difference).mean(axis=1)[None],
        "MSE": np.square(difference).mean(axis=1)[None],
    }


# ---- from errors to flagged points ---------------------------------------------------------------


class Decision(NamedTuple):
    """What one seed of a detector flags in the test series.

    Attributes:
        threshold: of the error of a window.
        windows: whose error is above it.
        points: that the flagged windows point at.
    """

    threshold: float
    windows: Bool[np.ndarray, " windows"]
    points: Bool[np.ndarray, " n"]


def decide(detector: Detector, error: str, seed: int, points: int) -> Decision:
    """Apply the detector's protocol.

    Args:
        detector: with its errors.
        error: "MAE" or "MSE".
        seed: which row of the errors.
        points: of the test series.
    """
    protocol = detector.protocol
    window = protocol.train_windows.shape[1]
    threshold = protocol.threshold(
        detector.train_errors[error][seed], detector.valid_errors[error][seed]
    )
    flags = detector.test_errors[error][seed] > threshold
    # windows that a gap cuts do not exist, and must not speak for their points
    everywhere = np.ones(points - window + 1, bool)
    everywhere[detector.test_starts] = flags
    judged = windows.points_of_windows(detector.test_starts, window, points)
    return Decision(threshold, flags, protocol.flagged_points(everywhere, window) & judged)


# ---- a series of one's own: incidents and a scorer for live data ---------------------------------


@dataclass(frozen=True)
class WindowScores:
    """The sound protocol's squared errors, mean over the seeds, at the rows that end the windows.

    Attributes:
        threshold: how it was chosen and what it is.
        valid: of the validation windows.
        test: of the test windows.
        by_column: of the test windows, [columns, windows]; `test` is their mean.
        last_row: of each test window, in the test series.
    """

    threshold: Threshold
    valid: Float[np.ndarray, " valid"]
    test: Float[np.ndarray, " windows"]
    by_column: Float[np.ndarray, "columns windows"]
    last_row: Int[np.ndarray, " windows"]


def with_incidents(
    results: Results, config: Config, run: Run, data: Data, trained: Detector, test_windows: Windows
) -> Results:
    """The results with the incidents of the tested half, and the files for other programs."""
    scores = window_scores(config, data, trained, test_windows)
    rule = rule_of(config, scores.threshold.value)
    found = incidents.find(scores.test, rule, scores.last_row)
    assert data.test_time is not None
    assert data.own is not None
    time = data.test_time[scores.last_row]
    leading = np.where(leading_columns(scores.by_column, rule.threshold), scores.by_column, 0.0)
    rows = incidents.table(found, time, data.columns, leading, rule.threshold, scores.last_row)
    promises = promise_lines(config, data, scores, len(found))
    for line in promises:
        run.say(line)
    files = incidents.files(rows)
    notes = [*results.notes, *data.own.remarks, *promises]
    if config.window * len(data.columns) <= scorer_file.MAX_COLUMNS:
        files[scorer_file.FILE_NAME] = partial(export_scorer, config, data, trained, scores)
    else:
        notes.append("No scorer file: a window holds too many numbers; use a smaller --window.")
    spans = [(data.test_time[each.first], data.test_time[each.last]) for each in found]
    at_rows = np.full(len(data.test), np.nan)
    at_rows[scores.last_row] = scores.test
    draw = partial(
        incidents_over_time,
        data.test_time,
        dict(zip(data.columns, data.test.T, strict=True)),
        at_rows,
        rule.threshold,
        spans,
    )
    title = "Incidents in the tested half; times are UTC and those of the windows' last rows"
    table = [Table(title, rows, digits=4)] if rows else []
    return Results(
        tables=[*results.tables, *table],
        figures={"incidents": draw, **results.figures},
        headline={"incidents": len(found), **results.headline},
        notes=notes,
        files=files,
    )


def rule_of(config: Config, threshold: float) -> incidents.Rule:
    """A quarter of a window without a high score ends an incident."""
    return incidents.Rule(threshold, calm=config.window // 4)


def window_scores(
    config: Config, data: Data, trained: Detector, test_windows: Windows
) -> WindowScores:
    """Scores of the ensemble of seeds, and the threshold that was asked for."""
    valid = trained.valid_errors["MSE"].mean(axis=0)
    by_column = trained.fitted.predict(column_errors, {"x": test_windows}).mean(axis=0).T
    return WindowScores(
        threshold=threshold_of(config, data.own.step, valid),
        valid=valid,
        test=trained.test_errors["MSE"].mean(axis=0),
        by_column=by_column,
        last_row=trained.test_starts + config.window - 1,
    )


def column_errors(
    outputs: Float[Array, "batch window channels"], batch: Mapping[str, Array]
) -> Float[Array, "batch channels"]:
    """Mean squared error of each column of each window."""
    return jnp.square(outputs - batch["x"]).mean(axis=1)


def threshold_of(
    config: Config, step: timedelta | None, valid: Float[np.ndarray, " valid"]
) -> Threshold:
    """A share of the validation windows above it, or so many incidents in them.

    Args:
        config: of the lab; alerts a week need a series with a clock.
        step: of that clock.
        valid: errors of the validation windows.
    """
    if config.alerts_per_week is None:
        return thresholds.quantile(
            valid, config.alarm_rate, fitted_on="validation windows", resamples=0
        )
    assert step is not None
    alerts = config.alerts_per_week * weeks_of(step, len(valid))
    value = incidents.threshold_for_alerts(valid, rule_of(config, 0.0), alerts)
    parameters = {"alerts_per_week": config.alerts_per_week, "expected": alerts}
    return Threshold("alerts_per_week", value, parameters, "validation windows", len(valid))


def weeks_of(step: timedelta, rows: int) -> float:
    """How many weeks so many rows take."""
    return rows * (step / timedelta(weeks=1))


def promise_lines(config: Config, data: Data, scores: WindowScores, found: int) -> list[str]:
    """What was asked of the threshold, and what came of it on the later half."""
    above = (scores.test > scores.threshold.value).mean()
    weeks = weeks_of(data.own.step, len(scores.test))
    realised = f"{found} incidents in {weeks:.3g} weeks, {found / weeks:.3g} a week"
    if config.alerts_per_week is None:
        asked = f"{config.alarm_rate:.3g} of the windows above the threshold"
        return [f"asked: {asked}; on the tested half {above:.3g}; {realised}"]
    expected = scores.threshold.parameters["expected"]
    scatter = f"from {expected:.3g} incidents in the validation windows, so give or take "
    scatter += f"{1 / np.sqrt(expected):.0%}"
    return [
        f"asked: {config.alerts_per_week:g} alerts a week ({scatter}); on the tested half "
        f"{realised}"
    ]


def export_scorer(
    config: Config,
    data: Data,
    trained: Detector,
    scores: WindowScores,
    origin: Mapping[str, Any],
) -> bytes:
    """The ensemble as a file that `python -m jaxdl.live` and `jaxdl.score` read: a row is a window.

    Args:
        config, data, trained, scores: of this lab.
        origin: where data and model come from.
    """
    window, channels = config.window, len(data.columns)
    shape = (-1, window, channels)
    fitted = trained.fitted
    net = window_autoencoder.lecture_net(window_autoencoder.code_for(window, channels))
    init, apply = module_functions(net, lambda batch: batch["x"].reshape(shape))

    def parts(outputs, batch):
        x = batch["x"]
        return jnp.square(outputs.reshape(x.shape) - x) / x.shape[1]

    def score(outputs, batch):
        return jnp.square(outputs - batch["x"].reshape(shape)).mean(axis=(1, 2))

    mean, deviation = moments(data.train)
    names = tuple(f"c{c}_t{window - 1 - t}" for t in range(window) for c in range(channels))
    columns = export.Columns(
        names,
        names,
        np.tile(mean, window),
        np.tile(deviation, window),
        transforms=dict.fromkeys(names, unrounded),
    )
    raw, _ = windows.without_gaps(data.test, window, np.float64)
    about = {
        "window": window,
        "columns": list(data.columns),
        "step_seconds": data.own.step.total_seconds(),
        "most_filled": user_series.MOST_FILLED,
        "calm": rule_of(config, 0.0).calm,
    }
    task = dataclasses.replace(fitted.task, init=init, apply=apply)
    return export.build(
        detectors.population(task, fitted.variables, len(names), score, parts),
        columns,
        scores.threshold,
        {**origin, "series": about},
        rows=flat(raw)[:1024],
        reference=scores.test[:1024],
        calibration=scores.valid,
    )


def unrounded(values: Array) -> Array:
    """A column as it is: large values that hardly vary must not be rounded before scaling."""
    return values


# ---- what we see ---------------------------------------------------------------------------------


def table_rows(
    detector: Detector, truth: Bool[np.ndarray, " n"] | None, test_points: int
) -> list[dict[str, Cell]]:
    """One row for each error of the protocol, with an array over the seeds in each cell.

    Args:
        detector: with its errors.
        truth: the points that should be flagged, where they are known.
        test_points: of the test series.
    """
    rows = []
    for error in detector.protocol.errors:
        seeds = len(detector.test_errors[error])
        decisions = [decide(detector, error, seed, test_points) for seed in range(seeds)]
        points = np.stack([decision.points for decision in decisions])
        row = {
            "model": detector.name,
            "parameters": detector.parameters,
            "best epoch": None if detector.fitted is None else detector.fitted.best_epoch,
            "protocol": f"{detector.protocol.name}, {error}",
            "threshold": np.array([decision.threshold for decision in decisions]),
            "windows flagged": np.array([decision.windows.sum() for decision in decisions]),
        }
        if truth is None:
            row["points flagged"] = points.sum(axis=1)
        else:
            exact = (points == truth).all(axis=1).sum()
            row["true points"] = int(truth.sum())
            row["points found"] = (points & truth).sum(axis=1)
            row["false points"] = (points & ~truth).sum(axis=1)
            row["exact"] = f"{exact} of {seeds}"
        rows.append(row)
    return rows


def headline(rows: Sequence[Mapping[str, Cell]]) -> dict[str, Cell]:
    """What the trained lecture net finds by the sound protocol with the squared error."""
    for row in rows:
        if row["protocol"] == "sound, MSE" and row["best epoch"] is not None:
            columns = ("points found", "false points", "points flagged")
            return {column: row[column] for column in columns if column in row}
    raise ValueError("no net was trained by the sound protocol")


def figures(
    train: Float[np.ndarray, " n"],
    test: Float[np.ndarray, " m"],
    scaled_test: Float[np.ndarray, " m"],
    detectors: Sequence[Detector],
    truth: Bool[np.ndarray, " m"] | None,
) -> dict[str, Callable[[], Figure]]:
    """The notebook's figures, for the first seed of the lecture's net, and the points of all nets.

    Args:
        train, test: the series as they are.
        scaled_test: the test series as the net sees it.
        detectors: those of the lecture's net first.
        truth: the points that should be flagged, where they are known.
    """
    trained = [detector for detector in detectors if detector.fitted is not None]
    published, sound = trained[:2]
    threshold_mae = decide(published, "MAE", 0, len(test)).threshold
    threshold_mse = decide(sound, "MSE", 0, len(test)).threshold
    histories = {f"{each.name}, {each.protocol.name}": each.fitted.history for each in trained}
    first = sound.protocol.train_windows[:1]
    code = window_autoencoder.code_for(*first.shape[1:])
    layers = conv1d.layer_rows(window_autoencoder.lecture_net(code), first)
    return {
        "raw_series": partial(series, {"training series": train, "test series": test}),
        "net": partial(draw_layers, layers, "the lecture's net: output shapes without the batch"),
        "loss": partial(loss_curves, histories, log=True),
        "training_errors": partial(
            histogram, published.train_errors["MAE"][0], "training window MAE", threshold_mae
        ),
        "first_window": partial(draw_reconstruction, published),
        "scaled_test_series": partial(series, {"test series": scaled_test}, "scaled value"),
        "test_errors": partial(
            histogram, published.test_errors["MAE"][0], "test window MAE", threshold_mae
        ),
        "test_errors_sound": partial(
            histogram, sound.test_errors["MSE"][0], "test window MSE", threshold_mse
        ),
        "flagged_points": partial(draw_flagged_points, test, trained, truth),
        "conv1d_arithmetic": draw_conv1d_arithmetic,
    }


def draw_flagged_points(
    test: Float[np.ndarray, " n"],
    detectors: Sequence[Detector],
    truth: Bool[np.ndarray, " n"] | None,
) -> Figure:
    """The points that the first seed of each detector flags; the true block shaded.

    Where there is a block, only the rows around it and around what is flagged are shown.
    """
    panels, spans = {}, {}
    seen = np.zeros(len(test), bool) if truth is None else truth.copy()
    for detector in detectors:
        title = f"{detector.name}, {detector.protocol.name} protocol"
        points = decide(detector, detector.protocol.errors[0], 0, len(test)).points
        panels[title] = (test, points)
        seen |= points
        if truth is not None and truth.any():
            block = np.flatnonzero(truth)
            spans[title] = [(int(block[0]), int(block[-1]))]
    figure = flagged_points(panels, spans)
    if spans:
        rows = np.flatnonzero(seen)
        for axis in figure.axes:
            axis.set_xlim(rows[0] - 100, rows[-1] + 100)
    return figure


def draw_reconstruction(detector: Detector) -> Figure:
    """The first training window, and what the autoencoder makes of it."""
    first = detector.protocol.train_windows[:1]
    copies = detector.fitted.predict(reconstruction, {"x": first})
    figure, axis = subplots(width=7.0)
    axis.plot(first[0, :, 0], label="window")
    axis.plot(copies[0, 0, :, 0], label="reconstruction")
    axis.set(xlabel="step", ylabel="scaled value")
    axis.legend()
    return figure


def reconstruction(outputs, batch):
    """The net's outputs as they are, for `Fitted.predict`."""
    del batch
    return outputs


def draw_layers(rows: Sequence[Mapping[str, Cell]], title: str) -> Figure:
    """A net as a column of boxes: layer, output shape, number of parameters."""
    figure, axis = subplots(height=0.5 * len(rows) + 0.6)
    box = {"boxstyle": "round,pad=0.35", "fc": "#cfe2f3", "ec": "0.4"}
    arrow = {"arrowstyle": "->", "color": "0.4"}
    for place, row in enumerate(rows):
        text = f"{row['layer']}: {row['output']}, {row['parameters']:,} parameters"
        axis.text(0, -place, text, ha="center", va="center", fontsize=8, bbox=box)
        if place:
            axis.annotate("", (0, -place + 0.25), (0, -place + 0.75), arrowprops=arrow)
    axis.set(xlim=(-1, 1), ylim=(0.6 - len(rows), 0.5), title=title)
    axis.axis("off")
    return figure


def draw_conv1d_arithmetic() -> Figure:
    """Slide 99: which numbers a one-dimensional convolution multiplies and adds."""
    signal, kernel = jnp.array([1.0, 1.0, 3.0, 4.0, 3.0]), jnp.array([1.0, 2.0, 1.0])
    feature = conv1d.conv1d(signal[None, :, None], kernel[:, None, None])[0, :, 0]
    figure, axis = subplots(width=7.0, height=3.2)
    middle = (len(kernel) - 1) / 2  # a feature stands under the middle of what it reads
    draw_cells(axis, "signal", signal, left=0, height=1, colour="#cfe2f3")
    draw_cells(axis, "feature", feature, left=middle, height=0, colour="#d9ead3")
    for place in range(len(feature)):
        terms = []
        for tap, weight in enumerate(kernel):
            across, down = (place + tap, place + middle), (0.86, 0.14)
            axis.plot(across, down, color="0.6", lw=0.6 + 0.6 * abs(weight), zorder=0)
            terms.append(f"{weight:g}x{signal[place + tap]:g}")
        axis.text(place + middle, -0.32, " + ".join(terms), ha="center", fontsize=7)
    axis.set(xlim=(-1.6, len(signal)), ylim=(-0.5, 1.4))
    axis.set_title(f"kernel {kernel.tolist()}, stride 1, no padding")
    axis.axis("off")
    return figure


def draw_cells(
    axis: Axes,
    label: str,
    values: Float[Array, " n"],
    left: float,
    height: float,
    colour: str,
) -> None:
    """A row of numbers in boxes, the first one `left` from the edge, with the row's name."""
    box = {"boxstyle": "square,pad=0.7", "fc": colour, "ec": "0.4"}
    axis.text(-1.0, height, label, ha="center", va="center")
    for place, value in enumerate(values):
        axis.text(left + place, height, f"{value:g}", ha="center", va="center", bbox=box)
