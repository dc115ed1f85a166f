"""From the errors of windows to flagged points: the published protocol of lab 170, and a sound one.

Errors come as a mapping kind -> [seeds, windows], the kind being "MAE" or "MSE". A protocol fits
its threshold on training or validation windows; the test windows only meet the finished number.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float
from sklearn.decomposition import PCA

from jaxdl.anomaly import thresholds, windows
from jaxdl.errors import UserError
from jaxdl.losses import mae, mse

Errors = Mapping[str, Float[np.ndarray, "seeds windows"]]


class Protocol(NamedTuple):
    """A way to decide.

    Attributes:
        name: for tables.
        kinds: the errors it looks at, the most telling first.
        threshold: (errors of the training windows, of the validation windows) -> number.
        points: (flags of the windows, window) -> flags of the points.
    """

    name: str
    kinds: tuple[str, ...]
    threshold: Callable[[np.ndarray, np.ndarray], float]
    points: Callable[[np.ndarray, int], np.ndarray]

    def flag(
        self, errors: Sequence[Errors], kind: str, seed: int, window: int
    ) -> tuple[float, Bool[np.ndarray, " windows"], Bool[np.ndarray, " n"]]:
        """Threshold, flagged windows and flagged points of one seed.

        Args:
            errors: of the training, the validation and the test windows.
            kind: which error.
            seed: which row of the errors.
            window: points in a window.
        """
        fit, valid, test = (error[kind][seed] for error in errors)
        threshold = self.threshold(fit, valid)
        flags = test > threshold
        return threshold, flags, self.points(flags, window)


def published() -> Protocol:
    """Mean absolute error, threshold = highest training error, one window short at the points."""
    return Protocol("published", ("MAE",), lambda fit, _: float(fit.max()), windows.lecture_points)


def sound(alarm_rate: float) -> Protocol:
    """Quantile of the validation errors; a point is flagged when all its windows are."""
    quantile = partial(thresholds.quantile, fitted_on="validation windows", resamples=0)
    return Protocol(
        "sound",
        ("MSE", "MAE"),
        lambda _, valid: quantile(valid, alarm_rate).value,
        windows.points_in_flagged_windows,
    )


def split_windows(
    train: Float[np.ndarray, " n"],
    test: Float[np.ndarray, " m"],
    window: int,
    valid_share: float,
    alarm_rate: float,
) -> tuple[dict[Protocol, tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Windows of both series, scaled by the mean and deviation of the first.

    Args:
        train: the series to learn from.
        test: the other one.
        window: points in a window, a multiple of 4.
        valid_share: share of the first series, at its end, that validates in the sound protocol.
        alarm_rate: share of validation windows that the sound threshold lets through.

    Returns:
        protocol -> (training windows, validation windows), and the test windows. The published
        protocol validates on the last tenth of all windows, which overlap the others.

    Raises:
        UserError: the series are too short for these numbers, or the first is constant.
    """
    if window < 4 or window % 4:
        raise UserError(f"--window {window}: give a multiple of 4")
    for name, share in (("valid-share", valid_share), ("alarm-rate", alarm_rate)):
        if not 0 < share < 1:
            raise UserError(f"--{name} {share}: give a number between 0 and 1")
    cut = round((1 - valid_share) * len(train))
    validating = len(train) - cut
    if validating - window + 1 < 1 / alarm_rate or min(cut, len(test)) < 2 * window:
        raise UserError(
            f"{cut} + {validating} rows to learn and validate and {len(test)} to test are too few "
            f"for --window {window}, --valid-share {valid_share} and --alarm-rate {alarm_rate}: "
            "use a smaller --window, or a longer series"
        )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mean, deviation = train.mean(), train.std(ddof=1)
        scaled, scaled_test = ((x - mean) / deviation for x in (train, test))
        farthest = np.abs(np.append(scaled, scaled_test)).max()
    if not (np.isfinite(deviation) and farthest < np.finfo(np.float32).max):  # NaN is not less
        raise UserError("the series to learn from is constant, or its values are out of all range")
    everything, overlap = windows.sliding(scaled, window), round(0.9 * (len(train) - window + 1))
    parts = {
        published(): (everything[:overlap], everything[overlap:]),
        sound(alarm_rate): tuple(windows.sliding(x, window) for x in (scaled[:cut], scaled[cut:])),
    }
    return parts, windows.sliding(scaled_test, window)


def window_errors(
    outputs: Float[Array, "batch window channels"], batch: Mapping[str, Array]
) -> dict[str, Float[Array, " batch"]]:
    """Mean absolute and mean squared error of each window against `batch["x"]`."""
    return {"MAE": mae(outputs, batch["x"]), "MSE": mse(outputs, batch["x"])}


def window_loss(
    outputs: Float[Array, "batch window channels"], batch: Mapping[str, Array]
) -> Float[Array, " batch"]:
    """What an autoencoder of windows is trained on: the mean squared error of each."""
    return mse(outputs, batch["x"])


def pca_errors(components: int, *x: Float[np.ndarray, "windows window 1"]) -> list[Errors]:
    """`window_errors` of a PCA of the first windows, for these and the others; a population of one.

    Raises:
        ValueError: there are more components than windows or points in one.
    """
    flat = [each[:, :, 0] for each in x]
    pca = PCA(components).fit(flat[0])
    differences = [pca.inverse_transform(pca.transform(each)) - each for each in flat]
    return [
        {"MAE": np.abs(d).mean(axis=1)[None], "MSE": np.square(d).mean(axis=1)[None]}
        for d in differences
    ]


def table_rows(
    model: Mapping[str, Any],
    protocol: Protocol,
    errors: Sequence[Errors],
    window: int,
    truth: Bool[np.ndarray, " n"] | None = None,
) -> list[dict[str, Any]]:
    """One row for each kind of error, with an array over the seeds in each cell.

    Args:
        model: the first cells of the rows.
        protocol: how to decide.
        errors: of the training, the validation and the test windows.
        window: points in a window.
        truth: the points that should be flagged, where they are known.
    """
    rows = []
    for kind in protocol.kinds:
        seeds = range(len(errors[0][kind]))
        cuts, flags, points = zip(
            *(protocol.flag(errors, kind, seed, window) for seed in seeds), strict=True
        )
        row = {**model, "protocol": f"{protocol.name}, {kind}", "threshold": np.array(cuts)}
        row["windows flagged"] = np.array([flag.sum() for flag in flags])
        if truth is None:
            row["points flagged"] = np.array([point.sum() for point in points])
        else:
            exact = sum(bool((point == truth).all()) for point in points)
            row["true points"] = int(truth.sum())
            row["points found"] = np.array([(point & truth).sum() for point in points])
            row["false points"] = np.array([(point & ~truth).sum() for point in points])
            row["exact"] = f"{exact} of {len(points)}"
        rows.append(row)
    return rows
