"""Lab 170, further - heart beats: a code smaller than a short window (심박: 짧은 창의 오토인코더)

Lab 170's net keeps 16 channels at a quarter of the window in its middle: for a beat of 140 points
560 numbers. What has more numbers in the middle than the window has can copy anything, also beats
that it was never shown, and then its error says nothing. A dense layer that squeezes the window to
an eighth of its numbers makes the net what an autoencoder should be. Each detector here learns from
normal beats only and is asked which of other beats are not normal:

1. the lecture's net as it is, and untrained;
2. the same net with a code of an eighth of the window;
3. principal components: 16 of them, and as many as the code has numbers;
4. distance to the nearest normal beats, the default detector, the isolation forest, chance.

    python run.py experiments/heartbeats.py --seeds 10
    python run.py experiments/heartbeats.py --csv beats.csv --label kind --normal 1

Data: simulated beats of five shapes (`datasets.beats`), or a table of one's own whose rows are
windows: its columns of numbers in their order are the points, `--label` names the column that says
what a row is, `--normal` the value that stands for normal. Rows are standardised one by one.

Protocol: half of the normal beats, drawn, to learn from, of which the nets set a fifth aside to
stop by; the other half and all others are tested. No label but "normal" is used, and nothing is
chosen by the test. AUROC and average precision over the tested beats. Expected: docs/results.md.
Runtime on two CPU cores: half a minute a seed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import average_precision_score, roc_auc_score

from datasets import beats, number_table
from jaxdl import optim
from jaxdl.anomaly import detectors
from jaxdl.anomaly.default import default_detector
from jaxdl.errors import UserError, refuse_without
from jaxdl.figures.base import Figure, subplots
from jaxdl.figures.curves import loss_curves
from jaxdl.models import window_autoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.scaling import usable_spread
from jaxdl.timeseries import windows
from jaxdl.training import Fitted, Task, module_functions

Rows = Float[np.ndarray, "rows points"]
LEAST_POINTS = 4  # of a window: the net halves it twice


@dataclass(frozen=True)
class Config:
    beats: int = field(default=5_000, metadata={"least": 40})
    """Simulated beats."""
    components: int = 16
    """Principal components of the linear baseline."""
    epochs: int = 60
    """Most epochs of training."""
    patience: int = 10
    """Epochs without a lower validation loss after which training stops."""
    batch_size: int = 64
    """Beats in a step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    csv: Path | None = None
    """A table of one's own, each row a window, in place of the simulated beats."""
    label: str = ""
    """With --csv: the column that says what a row is."""
    normal: str = ""
    """With --csv: the value of that column that stands for normal."""


PRESETS = {"quick": Config(beats=300, epochs=2)}


def main(config: Config, run: Run) -> Results:
    data = load_beats(config, run)
    points = data.train.shape[1]
    code = max(1, points // window_autoencoder.NUMBERS_PER_CODE)

    wide = fit_net(config, run, data, "lecture-net", None)
    untrained = fit_net(config, run, data, "lecture-net-untrained", None, epochs=0)
    squeezed = fit_net(config, run, data, "squeezed-net", code)
    # with as many components as there are points, or beats to learn from, PCA copies everything
    most = min(points, len(data.known)) - 1
    components = min(config.components, most)
    by_code, by_pca = errors(squeezed, data), pca_errors(data, components)
    middle = 16 * padded(data.train).shape[1] // 4
    rows = [
        judged(f"lecture's net, {middle} numbers in the middle", errors(wide, data), data),
        judged("lecture's net, untrained", errors(untrained, data), data),
        judged(f"lecture's net with a code of {code} numbers", by_code, data),
        judged(f"PCA, {components} components", by_pca, data),
    ]
    of_code = min(code, most)
    if of_code != components:
        rows.append(judged(f"PCA, {of_code} components", pca_errors(data, of_code), data))
    rows += other_detectors(run, data)

    tested = f"{len(data.test):,} beats tested, {data.odd.sum():,} of them not normal"
    title = f"{len(data.train):,} normal beats of {points} points learnt by the nets, "
    title += f"{len(data.known):,} by the others; {tested}"
    return Results(
        tables=[Table(title, rows, digits=3), kinds_table(data, by_code, by_pca)],
        figures={
            "beats": partial(draw_kinds, data),
            "copies": partial(draw_copies, data, wide, squeezed),
            "loss": partial(
                loss_curves,
                {"lecture's net": wide.history, "with a code": squeezed.history},
                ylabel="mean squared error",
                log=True,
            ),
        },
        headline={"with a code": rows[2]["AUROC"], "PCA": rows[3]["AUROC"]},
        notes=data.remarks,
    )


# ---- data ----------------------------------------------------------------------------------------


class Beats(NamedTuple):
    """Windows, each standardised.

    Attributes:
        train, valid: normal ones; the nets learn from the first and stop by the second.
        test, kind: others, and what each is.
        odd: whether that is another kind than normal.
        normal: the name of the normal kind.
        remarks: lines to print: what was left out of a table.
    """

    train: Rows
    valid: Rows
    test: Rows
    kind: Sequence[str]
    odd: Bool[np.ndarray, " tested"]
    normal: str
    remarks: Sequence[str] = ()

    @property
    def known(self) -> Rows:
        """All normal ones that are not tested: what learns without epochs learns from them."""
        return np.concatenate([self.train, self.valid])


def load_beats(config: Config, run: Run) -> Beats:
    """Simulated beats, or the rows of a table of one's own.

    Raises:
        UserError: `--csv` without `--label` and `--normal`, or these without it; there are too few
            points, too few normal rows, or no others.
    """
    if config.csv is None:
        given = {"label": bool(config.label), "normal": bool(config.normal)}
        refuse_without("csv FILE", given)
        x, number, provenance = beats.simulate(config.beats, seed=0)
        kind, normal, remarks = [beats.KINDS[k] for k in number], beats.KINDS[0], ()
    else:
        if not config.label or not config.normal:
            raise UserError("--csv needs --label COLUMN and --normal VALUE: what to learn from")
        table = number_table.load(run.source, config.csv, config.label)
        x, kind, normal = table.x, table.label, config.normal
        provenance, remarks = table.provenance, table.remarks
    run.uses(provenance)
    if x.shape[1] < LEAST_POINTS:
        raise UserError(
            f"{x.shape[1]} columns of numbers are no window: at least {LEAST_POINTS} are needed"
        )
    is_normal = np.array([each == normal for each in kind])
    if is_normal.sum() < 20:
        there = ", ".join(sorted(set(kind))[:6])
        raise UserError(
            f"{is_normal.sum()} rows are {normal!r}, at least 20 are needed; there are {there}"
        )
    if is_normal.all():
        raise UserError(f"all rows are {normal!r}: there is nothing to find")
    return split(standardised(x), kind, is_normal, normal, remarks)


def split(
    x: Rows,
    kind: Sequence[str],
    is_normal: Bool[np.ndarray, " rows"],
    normal: str,
    remarks: Sequence[str],
) -> Beats:
    """Half of the normal rows to learn from, a fifth of these to stop by; the others are tested."""
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(is_normal))
    valid, train, _ = np.split(chosen, [len(chosen) // 10, len(chosen) // 2])
    tested = np.setdiff1d(np.arange(len(x)), [*valid, *train])
    kinds = [kind[row] for row in tested]
    return Beats(x[train], x[valid], x[tested], kinds, ~is_normal[tested], normal, remarks)


def standardised(x: Rows) -> Rows:
    """Each row with mean 0 and deviation 1: what counts is the shape of a window, not its level."""
    spread = usable_spread(x.std(axis=1), np.abs(x).max(axis=1))[:, None]
    return ((x - x.mean(axis=1, keepdims=True)) / spread).astype(np.float32)


# ---- the nets ------------------------------------------------------------------------------------


def fit_net(
    config: Config, run: Run, data: Beats, name: str, code: int | None, epochs: int | None = None
) -> Fitted:
    """Lab 170's net, trained by every seed on the mean squared error of normal windows.

    Args:
        config, run, data: of the lab.
        name: of the fit.
        code: numbers that a window is squeezed into; None leaves the net as the lecture has it.
        epochs: as configured by default; 0 leaves it as it starts.
    """
    init, apply = module_functions(window_autoencoder.lecture_net(code))

    def optimizer(hyper):
        return optim.adam(config.learning_rate)

    epochs = config.epochs if epochs is None else epochs
    return run.fit(
        name,
        Task(init, apply, windows.window_loss, optimizer, convolves=True),
        {"x": padded(data.train)},
        {"x": padded(data.valid)},
        epochs=epochs,
        batch_size=config.batch_size,
        patience=config.patience if epochs else None,
    )


def padded(x: Rows) -> Float[np.ndarray, "rows window 1"]:
    """Windows of one channel; the last value is repeated up to a multiple of four, as it strides.

    >>> padded(np.array([[1.0, 2.0, 3.0]]))[0, :, 0].tolist()
    [1.0, 2.0, 3.0, 3.0]
    """
    return np.pad(x, ((0, 0), (0, -x.shape[1] % 4)), mode="edge")[:, :, None]


def errors(fitted: Fitted, data: Beats) -> Float[np.ndarray, "seeds tested"]:
    """Mean squared error of every tested window, by every seed."""
    return fitted.predict(windows.window_errors, {"x": padded(data.test)})["MSE"]


# ---- other detectors -----------------------------------------------------------------------------


def pca_errors(data: Beats, components: int) -> Float[np.ndarray, "1 tested"]:
    """Squared error of tested windows copied by the first principal components of normal ones."""
    return detectors.pca(data.known, components).score(data.test)[None]


def other_detectors(run: Run, data: Beats) -> list[dict[str, Any]]:
    """Lines of what needs no net; those that draw are asked once for each seed."""
    known, seeds = data.known, [int(seed) for seed in run.seeds]
    nearest = detectors.nearest_neighbours(known)
    default = default_detector(known, contamination=0.0)
    forests = [detectors.isolation_forest(known, seed=seed) for seed in seeds]
    chance = [np.random.default_rng(seed).random(len(data.test)) for seed in seeds]
    return [
        judged("distance to the nearest normal beats", nearest.score(data.test)[None], data),
        judged("default detector", default.score(data.test)[None], data),
        judged("isolation forest", np.stack([f.score(data.test) for f in forests]), data),
        judged("random", np.stack(chance), data),
    ]


# ---- what we see ---------------------------------------------------------------------------------


def judged(
    name: str, score: Float[np.ndarray, "members tested"], data: Beats
) -> dict[str, str | Float[np.ndarray, " members"]]:
    """A line of the table: how well scores tell normal windows from others."""
    return {
        "learnt from normal beats": name,
        "AUROC": aurocs(data.odd, score),
        "AUPRC": np.array([average_precision_score(data.odd, row) for row in score]),
    }


def kinds_table(
    data: Beats,
    by_code: Float[np.ndarray, "seeds tested"],
    by_pca: Float[np.ndarray, "1 tested"],
) -> Table:
    """How well each kind is told from the normal one by the net with a code, and by PCA."""
    kind, rows = np.array(data.kind), []
    for name, count in other_kinds(data):
        either = ~data.odd | (kind == name)
        rows.append(
            {
                "kind": name,
                "beats": count,
                "AUROC of the net with a code": aurocs(data.odd[either], by_code[:, either]),
                "AUROC of PCA": aurocs(data.odd[either], by_pca[:, either]),
            }
        )
    return Table("Each kind against the normal one", rows, digits=3)


def other_kinds(data: Beats) -> list[tuple[str, int]]:
    """The kinds that are not normal and how many of each are tested, the most frequent first."""
    return Counter(name for name in data.kind if name != data.normal).most_common()


def aurocs(
    odd: Bool[np.ndarray, " some"], score: Float[np.ndarray, "members some"]
) -> Float[np.ndarray, " members"]:
    return np.array([roc_auc_score(odd, row) for row in score])


def draw_kinds(data: Beats) -> Figure:
    """The first windows of each kind, the normal one first."""
    names = [data.normal, *(name for name, _ in other_kinds(data)[:4])]
    figure, axes = subplots(1, len(names), width=2.2, height=2.2)
    kind = np.array(data.kind)
    for axis, name in zip(np.atleast_1d(axes), names, strict=True):
        axis.plot(data.test[kind == name][:5].T, linewidth=0.8)
        axis.set_title(str(name), fontsize=9)
        axis.set_xlabel("point")
    return figure


def draw_copies(data: Beats, wide: Fitted, squeezed: Fitted) -> Figure:
    """A normal window and one of the largest other kind, with what both nets make of them."""
    kind = np.array(data.kind)
    largest = other_kinds(data)[0][0]
    rows = [int(np.flatnonzero(kind == name)[0]) for name in (data.normal, largest)]
    x = padded(data.test[rows])
    copies: Mapping[str, Any] = {
        "lecture's net": wide.member(0).predict(copied, {"x": x})[0],
        "with a code": squeezed.member(0).predict(copied, {"x": x})[0],
    }
    figure, axes = subplots(1, 2, width=4.5, height=2.8)
    for number, (axis, name) in enumerate(zip(axes, (data.normal, largest), strict=True)):
        axis.plot(x[number, :, 0], color="black", linewidth=1, label="beat")
        for label, copy in copies.items():
            axis.plot(copy[number, :, 0], linewidth=1, label=label)
        axis.set_title(str(name))
        axis.set_xlabel("point")
    axes[0].set_ylabel("scaled value")
    axes[0].legend()
    return figure


def copied(outputs: Any, batch: Any) -> Any:
    """The copies themselves; for `Fitted.predict`."""
    del batch
    return outputs
